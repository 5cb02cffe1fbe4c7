//! One credential that works on a laptop, in a build and in production.

use std::{fmt, sync::Arc};

use identity_chain::ChainedTokenCredential;
use identity_core::{CallContext, Result, TokenCredential, TokenFuture, TokenRequestOptions};

mod absent;
#[cfg(test)]
#[cfg(not(any(feature = "cli", feature = "environment", feature = "msi", feature = "workload")))]
mod bare_tests;
mod builder;
mod link;
mod members;
mod steps;
#[cfg(test)]
#[cfg(feature = "default-chain")]
mod tests;

pub use self::{builder::DefaultAzureCredentialBuilder, link::ChainLink};

/// Gets tokens for whoever the program is, wherever it runs.
///
/// Credentials are tried in the order of [`ChainLink`], and the first that has a token answers for good:
///
/// | | credential | it is there if |
/// |---|---|---|
/// | 1 | `EnvironmentCredential` | `AZURE_TENANT_ID`, `AZURE_CLIENT_ID` and `AZURE_CLIENT_SECRET` or `AZURE_CLIENT_CERTIFICATE_PATH` are set, or user name and password |
/// | 2 | `WorkloadIdentityCredential` | the pod of Kubernetes has a workload identity |
/// | 3 | `ManagedIdentityCredential` | the machine or service of Azure has an identity; `AZURE_CLIENT_ID` chooses one |
/// | 4 | `SharedTokenCacheCredential` | not in this version |
/// | 5 | `VisualStudioCodeCredential` | not in this version |
/// | 6 | `AzureCliCredential` | somebody is signed in to `az` |
/// | 7 | `AzurePowerShellCredential` | somebody is signed in to Azure PowerShell |
/// | 8 | `AzureDeveloperCliCredential` | somebody is signed in to `azd` |
/// | 9 | `InteractiveBrowserCredential` | not in this version; only tried when it is included |
/// | 10 | `BrokerCredential` | not in this version |
///
/// A service's credential (1 to 3) that is there and fails stops the chain, for another identity would hide what went wrong. A
/// developer's tool that fails counts as not there, unless the call itself is wrong (a scope or tenant that is none). Where there
/// is no token the error has a line for each credential and says what to do;
/// [`Error::attempts`](identity_core::Error::attempts) and [`Error::steps`](identity_core::Error::steps) have the same as data,
/// and the command `identity diagnose` shows more.
///
/// The variable `AZURE_TOKEN_CREDENTIALS` narrows the chain: `dev` for 4 to 8 and 10, `prod` for 1 to 3, or the name of one
/// credential in letters of either case (not of 4 and 10). A service should set it to `prod`, or to the one that it means.
///
/// Whether there is a metadata endpoint is found out by one request that waits a second at most, unless managed identity is
/// the only one that is tried, since the variable names `ManagedIdentityCredential`. On a machine without any of all this, and
/// without tools, a call fails within that second.
///
/// Clones share everything. Turning a feature of this crate on brings a credential into its place and changes nothing else;
/// one that is not compiled in is listed with its feature, and stops the chain if variables are made for it.
///
/// ```no_run
/// # async fn example() -> identity::Result<()> {
/// use identity::{DefaultAzureCredential, TokenCredential};
///
/// let credential = DefaultAzureCredential::new()?;
/// let token = credential.get_token(&["https://storage.azure.com/.default"], None).await?;
/// # Ok(())
/// # }
/// ```
///
/// Source: azure-identity 1.27.0, `_credentials/default.py`; `docs/PYTHON.md` lists what differs.
#[derive(Clone)]
pub struct DefaultAzureCredential(Arc<Inner>);

struct Inner {
    chain: ChainedTokenCredential,
    /// Every place, and who is in it, or why nobody is.
    links: Vec<(ChainLink, Member)>,
}

/// Who is in a place, or why nobody is.
type Member = Result<Arc<dyn TokenCredential>, String>;

impl DefaultAzureCredential {
    /// The credential of this process, with all defaults.
    ///
    /// # Errors
    ///
    /// As [`DefaultAzureCredentialBuilder::build_with`].
    pub fn new() -> Result<Self> {
        Self::builder().build()
    }

    /// Starts a credential with options.
    #[must_use]
    pub fn builder() -> DefaultAzureCredentialBuilder {
        DefaultAzureCredentialBuilder::default()
    }

    /// Every place of the chain in its order: the credential that is tried there, or why none is.
    ///
    /// For reports and diagnosis: the chain asks each of them in its [`context`](Self::context).
    pub fn links(&self) -> impl Iterator<Item = (ChainLink, Result<&Arc<dyn TokenCredential>, &str>)> {
        self.0.links.iter().map(|(link, member)| (*link, member.as_ref().map_err(String::as_str)))
    }

    /// The context in which the credentials are asked until one has answered:
    /// [`CallContext::DefaultChain`](identity_core::CallContext::DefaultChain), or
    /// [`CallContext::Alone`](identity_core::CallContext::Alone) if `AZURE_TOKEN_CREDENTIALS` names managed identity and nothing
    /// is included besides.
    #[must_use]
    pub fn context(&self) -> CallContext {
        self.0.chain.context()
    }

    /// The place of the credential that answered first and answers since; `None` before that.
    #[must_use]
    pub fn winner(&self) -> Option<ChainLink> {
        let winner = self.0.chain.winner()?;
        let is_it = |(_, member): &&(_, Member)| member.as_ref().is_ok_and(|member| Arc::ptr_eq(member, winner));
        self.0.links.iter().find(is_it).map(|(link, _)| *link)
    }
}

impl TokenCredential for DefaultAzureCredential {
    /// Gets a token from the first credential that has one, or from the one that answered before.
    ///
    /// # Errors
    ///
    /// - A failure of a service's credential: its kind and facts, with a message that lists what was tried.
    /// - [`ErrorKind::AuthenticationRequired`](identity_core::ErrorKind::AuthenticationRequired) if none had a token and one
    ///   needs a person: with that one's scopes and claims.
    /// - [`ErrorKind::CredentialUnavailable`](identity_core::ErrorKind::CredentialUnavailable) if none was available.
    /// - Once a credential has answered: that credential's failures, unchanged.
    ///
    /// # Cancellation
    ///
    /// Dropping the future drops that of the credential which is being asked; nothing is remembered.
    #[inline]
    fn get_token<'a>(&'a self, scopes: &'a [&'a str], options: Option<&'a TokenRequestOptions>) -> TokenFuture<'a> {
        self.0.chain.get_token(scopes, options)
    }

    fn name(&self) -> &'static str {
        NAME
    }
}

impl fmt::Debug for DefaultAzureCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chain.fmt(f)
    }
}

const NAME: &str = "DefaultAzureCredential";

/// Facts that the compiler checks.
const _: () = {
    const fn credential<T: Clone + fmt::Debug + TokenCredential + 'static>() {}
    credential::<DefaultAzureCredential>();
    assert!(size_of::<DefaultAzureCredential>() == size_of::<usize>());
};
