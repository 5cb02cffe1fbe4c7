use std::{fmt, sync::Arc, time::Duration};

use identity_cache::{CacheOptions, TokenCache};
use identity_core::{Error, ErrorKind, Platform, Result, TokenCredential, TokenFuture, TokenRequestOptions, check};
use tracing::info;

use crate::{
    NAME,
    endpoint::{self, Target, UserAssigned, invalid},
    exchange::Authority,
    fetch::ManagedIdentity,
    source::IdKind,
};

/// Gets tokens for the identity that Azure gave to the place where the program runs.
///
/// Clones share one cache. Which source is asked is decided when the credential is built, by the process's environment
/// variables; see the [crate's documentation](crate#sources) for the table.
#[derive(Clone)]
pub struct ManagedIdentityCredential(Arc<Inner>);

struct Inner {
    cache: TokenCache,
    source: &'static str,
    id: Option<UserAssigned>,
}

impl ManagedIdentityCredential {
    /// Starts a credential for the identity of the machine or service itself; the builder can name another one.
    #[must_use]
    pub fn builder() -> ManagedIdentityCredentialBuilder {
        ManagedIdentityCredentialBuilder::default()
    }

    /// The source that was chosen: `"IMDS"`, `"App Service"`, `"Azure Arc"`, `"Service Fabric"`, `"Azure ML"`,
    /// `"Cloud Shell"`, `"token exchange"`, or `"none"` if the variables name none.
    #[must_use]
    pub fn source(&self) -> &'static str {
        self.0.source
    }
}

impl TokenCredential for ManagedIdentityCredential {
    /// Gets a token for the one scope that is given. The tenant of the options is ignored: an identity has its own.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::InvalidArgument`] for none or several scopes, for claims that are no JSON object, outside a
    ///   runtime, if the endpoint is not local, and if this build lacks what the chosen source needs.
    /// - [`ErrorKind::CredentialUnavailable`] if there is no managed identity here: something else answers at the address
    ///   of IMDS; IMDS knows no such identity; `IDENTITY_ENDPOINT` is set alone; the Azure Arc agent's keys cannot be read
    ///   by this user. In a chain of credentials also if IMDS does not answer.
    /// - [`ErrorKind::AuthenticationFailed`] if the source refuses, or gives the token of another identity.
    /// - [`ErrorKind::Transport`] if no answer came, or none but "later", after retries. Outside of chains that is all that
    ///   is known of an IMDS that is not there.
    /// - [`ErrorKind::Protocol`] for an answer that is none, or too large, from what is surely the source.
    ///
    /// For token exchange they are those of `identity_workload::WorkloadIdentityCredential`.
    fn get_token<'a>(&'a self, scopes: &'a [&'a str], options: Option<&'a TokenRequestOptions>) -> TokenFuture<'a> {
        self.0.cache.get(scopes, "", "", options)
    }

    fn name(&self) -> &'static str {
        NAME
    }
}

impl fmt::Debug for ManagedIdentityCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct(NAME).field("source", &self.0.source).field("identity", &self.0.id).finish_non_exhaustive()
    }
}

/// Builds a [`ManagedIdentityCredential`].
#[derive(Clone, Debug, Default)]
pub struct ManagedIdentityCredentialBuilder {
    client_id: Option<String>,
    object_id: Option<String>,
    resource_id: Option<String>,
    failure_memory: Option<Duration>,
    allow_remote: bool,
    trusts_authority: bool,
    excludes_exchange: bool,
    #[cfg(feature = "workload")]
    authority: Option<String>,
}

impl ManagedIdentityCredentialBuilder {
    /// Chooses a user-assigned identity by the client id of its application, a GUID.
    ///
    /// Only one of the three ids may be given. Service Fabric and Cloud Shell take none. For token exchange it takes the
    /// place of the variable `AZURE_CLIENT_ID`.
    #[must_use]
    pub fn client_id(mut self, client_id: impl Into<String>) -> Self {
        self.client_id = Some(client_id.into());
        self
    }

    /// Chooses a user-assigned identity by the object id of its service principal, a GUID.
    ///
    /// Service Fabric, Cloud Shell, Azure ML and token exchange do not take it.
    #[must_use]
    pub fn object_id(mut self, object_id: impl Into<String>) -> Self {
        self.object_id = Some(object_id.into());
        self
    }

    /// Chooses a user-assigned identity by its Azure resource id, such as
    /// `/subscriptions/{id}/resourceGroups/{group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{name}`.
    ///
    /// Service Fabric, Cloud Shell, Azure ML and token exchange do not take it.
    #[must_use]
    pub fn resource_id(mut self, resource_id: impl Into<String>) -> Self {
        self.resource_id = Some(resource_id.into());
        self
    }

    /// Sets how long a refusal is handed out again without asking the source. The default, and the most, is 60 seconds.
    #[must_use]
    pub fn failure_memory(mut self, duration: Duration) -> Self {
        self.failure_memory = Some(duration);
        self
    }

    /// Lets the endpoint that a variable names be anywhere.
    ///
    /// Without this it must be at a loopback or link-local address, so that whoever can set `IDENTITY_ENDPOINT` cannot
    /// have the value of `IDENTITY_HEADER`, or tokens of their own making, come from elsewhere. Only for platforms that
    /// put the endpoint on another host. Service Fabric does not need it: there a certificate proves who answers.
    #[must_use]
    pub fn allow_remote_endpoint(mut self) -> Self {
        self.allow_remote = true;
        self
    }

    /// Trusts the authority that `AZURE_AUTHORITY_HOST` names without asking `login.microsoftonline.com` whether it is one.
    ///
    /// For token exchange in disconnected and private clouds; no other source has an authority. Hosts of Microsoft's clouds
    /// are never asked about.
    #[must_use]
    pub fn disable_instance_discovery(mut self) -> Self {
        self.trusts_authority = true;
        self
    }

    /// Passes token exchange over, whatever the variables say: Azure Arc or IMDS is asked in its place. For programs that leave
    /// workload identity to another credential, or do not want it.
    #[must_use]
    pub fn exclude_token_exchange(mut self) -> Self {
        self.excludes_exchange = true;
        self
    }

    /// Sets the authority of a token exchange in place of the variable `AZURE_AUTHORITY_HOST`; no other source has one.
    #[cfg(feature = "workload")]
    #[must_use]
    pub fn authority(mut self, authority: impl Into<String>) -> Self {
        self.authority = Some(authority.into());
        self
    }

    /// Builds the credential for this process: its variables, HTTP by hyper, time and tasks by tokio.
    ///
    /// # Errors
    ///
    /// As [`build_with`](Self::build_with).
    #[cfg(feature = "tokio")]
    pub fn build(self) -> Result<ManagedIdentityCredential> {
        self.build_with(&identity_tokio::platform())
    }

    /// Builds the credential for `platform`. Reads variables and looks whether the Azure Arc agent is installed; touches
    /// no network.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidArgument`] if several ids are given, one is not well-formed or not taken by the source, a
    /// variable that the source needs is malformed, the failure memory is longer than 60 seconds; for token exchange also
    /// if there is no client id, or the platform's transport cannot speak `https`.
    pub fn build_with(self, platform: &Platform) -> Result<ManagedIdentityCredential> {
        self.assemble(platform).map_err(|error| error.with_credential(NAME))
    }

    fn assemble(self, platform: &Platform) -> Result<ManagedIdentityCredential> {
        let mut cache = CacheOptions::default();
        if let Some(duration) = self.failure_memory {
            if duration > cache.failure_memory {
                return Err(invalid(format!(
                    "a failure memory of more than {} s was given",
                    cache.failure_memory.as_secs()
                )));
            }
            cache.failure_memory = duration;
        }
        let (allow_remote, authority) = (self.allow_remote, self.exchange_authority());
        let mut id = self.identity()?;
        let selection = endpoint::select(platform, id.clone(), allow_remote, &authority)?;
        let source = selection.name;
        if let (None, Ok(Target::Exchange(exchange))) = (&id, &selection.target) {
            id = Some(UserAssigned { kind: IdKind::Client, value: exchange.client_id().to_owned() });
        }
        let identity = id.as_ref().map_or("default", |id| &id.value);
        info!(source, identity, also_set = ?selection.unused, "managed identity source chosen");
        let fetch = Arc::new(ManagedIdentity::new(platform, selection));
        Ok(ManagedIdentityCredential(Arc::new(Inner { cache: TokenCache::new(platform, fetch, cache), source, id })))
    }

    fn exchange_authority(&self) -> Authority {
        Authority {
            is_excluded: self.excludes_exchange,
            is_trusted: self.trusts_authority,
            #[cfg(feature = "workload")]
            host: self.authority.clone(),
        }
    }

    /// The only id that was given. An empty one is an error: the machine's own identity is not what was meant.
    fn identity(self) -> Result<Option<UserAssigned>> {
        let ids =
            [(IdKind::Client, self.client_id), (IdKind::Object, self.object_id), (IdKind::Resource, self.resource_id)];
        let mut given = ids.into_iter().filter_map(|(kind, value)| value.map(|value| UserAssigned { kind, value }));
        let Some(id) = given.next() else { return Ok(None) };
        if let Some(other) = given.next() {
            return Err(invalid(format!(
                "a {} and a {} were given; expected one of them",
                id.kind.name(),
                other.kind.name()
            )));
        }
        match id.kind {
            IdKind::Resource => check_resource_id(&id.value)?,
            kind => check::id(kind.name(), &id.value)?,
        }
        Ok(Some(id))
    }
}

/// Letters of any language may occur in names; what could end a line or a value may not.
fn check_resource_id(id: &str) -> Result<()> {
    let start = "/subscriptions/";
    let bad = |c: char| {
        c.is_control() || c.is_whitespace() || matches!(c, '"' | '\'' | '\\' | '&' | '?' | '#' | '%' | '<' | '>')
    };
    if id.len() <= 1024 && id.get(..start.len()).is_some_and(|s| s.eq_ignore_ascii_case(start)) && !id.chars().any(bad)
    {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::InvalidArgument,
        "the resource id is none; expected /subscriptions/{id}/resourceGroups/{group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{name}",
    ))
}
