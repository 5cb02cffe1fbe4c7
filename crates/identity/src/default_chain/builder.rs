//! From options and variables to the members of the chain.

#[cfg(any(feature = "cli", feature = "environment", feature = "msi", feature = "workload"))]
use std::time::Duration;
use std::{fmt, sync::Arc};

use identity_chain::ChainedTokenCredential;
use identity_core::{CallContext, Error, ErrorKind, Platform, Result, TokenCredential};

use super::{
    DefaultAzureCredential, Inner, Member, NAME,
    absent::Absent,
    link::{ChainLink, VARIABLE, Wish},
    steps::steps,
};

/// Builds a [`DefaultAzureCredential`].
#[derive(Clone, Default)]
pub struct DefaultAzureCredentialBuilder {
    #[cfg(any(feature = "environment", feature = "workload"))]
    authority: Option<String>,
    #[cfg(any(feature = "environment", feature = "workload"))]
    allowed_tenants: Vec<String>,
    #[cfg(any(feature = "environment", feature = "workload"))]
    trusts_authority: bool,
    #[cfg(feature = "msi")]
    managed_identity: Managed,
    #[cfg(feature = "workload")]
    workload_client_id: Option<String>,
    #[cfg(feature = "workload")]
    workload_tenant_id: Option<String>,
    #[cfg(feature = "cli")]
    process_timeout: Option<Duration>,
    #[cfg(any(feature = "cli", feature = "environment", feature = "msi", feature = "workload"))]
    failure_memory: Option<Duration>,
    /// What the program said of places, the last word for each.
    told: Vec<(ChainLink, Told)>,
    requires_variable: bool,
    retry_sources: bool,
}

/// Which identity of the machine or service is asked for.
#[cfg(feature = "msi")]
#[derive(Clone, Debug, Default)]
enum Managed {
    /// The one that `AZURE_CLIENT_ID` names, else the machine's own.
    #[default]
    ByVariable,
    /// The machine's own.
    System,
    User(String),
}

#[derive(Clone)]
enum Told {
    Included,
    Excluded,
    Replaced(Arc<dyn TokenCredential>),
}

impl DefaultAzureCredentialBuilder {
    /// Leaves a credential out, whatever `AZURE_TOKEN_CREDENTIALS` says.
    #[must_use]
    pub fn exclude(self, link: ChainLink) -> Self {
        self.tell(link, Told::Excluded)
    }

    /// Tries a credential, whatever `AZURE_TOKEN_CREDENTIALS` says. The only one that needs it otherwise is
    /// [`ChainLink::InteractiveBrowser`].
    #[must_use]
    pub fn include(self, link: ChainLink) -> Self {
        self.tell(link, Told::Included)
    }

    /// Puts `credential` into a place of the chain and tries it, whatever `AZURE_TOKEN_CREDENTIALS` says: one with other
    /// options, or one that this version does not have. This builder's options do not reach it.
    #[must_use]
    pub fn replace(self, link: ChainLink, credential: Arc<dyn TokenCredential>) -> Self {
        self.tell(link, Told::Replaced(credential))
    }

    /// Sets the authority that issues the tokens: a host such as `login.microsoftonline.us`, or an `https` URL. The default is
    /// the variable `AZURE_AUTHORITY_HOST`, else `login.microsoftonline.com`. Tools of developers have their own.
    #[cfg(any(feature = "environment", feature = "workload"))]
    #[must_use]
    pub fn authority(mut self, authority: impl Into<String>) -> Self {
        self.authority = Some(authority.into());
        self
    }

    /// Lets requests ask for tokens of these tenants besides a credential's own; `"*"` allows any. May be called several times.
    ///
    /// The default is the list in `AZURE_ADDITIONALLY_ALLOWED_TENANTS`, separated by semicolons, else none. Tools of
    /// developers allow any tenant.
    #[cfg(any(feature = "environment", feature = "workload"))]
    #[must_use]
    pub fn additionally_allowed_tenants<T: Into<String>>(mut self, tenants: impl IntoIterator<Item = T>) -> Self {
        self.allowed_tenants.extend(tenants.into_iter().map(Into::into));
        self
    }

    /// Trusts the authority without asking `login.microsoftonline.com` whether it is one. For disconnected clouds, private
    /// ones, and tests. Hosts of Microsoft's clouds are never asked about.
    #[cfg(any(feature = "environment", feature = "workload"))]
    #[must_use]
    pub fn disable_instance_discovery(mut self) -> Self {
        self.trusts_authority = true;
        self
    }

    /// Chooses a user-assigned managed identity by the client id of its application, a GUID. It is also the default of
    /// `workload_identity_client_id`.
    ///
    /// The default is the variable `AZURE_CLIENT_ID`, else the identity of the machine or service itself.
    #[cfg(feature = "msi")]
    #[must_use]
    pub fn managed_identity_client_id(mut self, client_id: impl Into<String>) -> Self {
        self.managed_identity = Managed::User(client_id.into());
        self
    }

    /// Chooses the managed identity of the machine or service itself, whatever `AZURE_CLIENT_ID` says.
    #[cfg(feature = "msi")]
    #[must_use]
    pub fn system_assigned_managed_identity(mut self) -> Self {
        self.managed_identity = Managed::System;
        self
    }

    /// Sets the application that workload identity is for. The default is that of
    /// `managed_identity_client_id`, else the variable `AZURE_CLIENT_ID`.
    #[cfg(feature = "workload")]
    #[must_use]
    pub fn workload_identity_client_id(mut self, client_id: impl Into<String>) -> Self {
        self.workload_client_id = Some(client_id.into());
        self
    }

    /// Sets the tenant of workload identity. The default is the variable `AZURE_TENANT_ID`.
    #[cfg(feature = "workload")]
    #[must_use]
    pub fn workload_identity_tenant_id(mut self, tenant_id: impl Into<String>) -> Self {
        self.workload_tenant_id = Some(tenant_id.into());
        self
    }

    /// Sets how long one run of a developer's tool may take; the default is 10 seconds, the most 90.
    #[cfg(feature = "cli")]
    #[must_use]
    pub fn process_timeout(mut self, timeout: Duration) -> Self {
        self.process_timeout = Some(timeout);
        self
    }

    /// Sets how long a credential hands a refusal out again without asking. The default, and the most, is 60 seconds.
    #[cfg(any(feature = "cli", feature = "environment", feature = "msi", feature = "workload"))]
    #[must_use]
    pub fn failure_memory(mut self, duration: Duration) -> Self {
        self.failure_memory = Some(duration);
        self
    }

    /// Wants the variable `AZURE_TOKEN_CREDENTIALS` to be set, so that nobody can forget to say which credentials a service
    /// may use.
    #[must_use]
    pub fn require_envvar(mut self) -> Self {
        self.requires_variable = true;
        self
    }

    /// Makes every call start at the first credential again, instead of staying with the one that answered first.
    ///
    /// The program's identity can then change from call to call.
    #[must_use]
    pub fn retry_sources(mut self) -> Self {
        self.retry_sources = true;
        self
    }

    /// Builds the credential for this process: its variables, programs, HTTP by hyper, TLS by rustls, time and tasks by
    /// tokio.
    ///
    /// # Errors
    ///
    /// As [`build_with`](Self::build_with).
    pub fn build(self) -> Result<DefaultAzureCredential> {
        self.build_with(&identity_tokio::platform())
    }

    /// Builds the credential for `platform`. Reads variables, and the certificate file that they name; touches no network
    /// and starts nothing.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidArgument`] if
    ///
    /// - `AZURE_TOKEN_CREDENTIALS` names nothing, or is required and not set; every credential is left out;
    /// - the variables of `EnvironmentCredential` are complete and its credential cannot be built;
    /// - an endpoint of managed identity that a variable names is malformed, or the identity that was given here, not by
    ///   `AZURE_CLIENT_ID`, is one that the source does not take;
    /// - a process timeout or failure memory is out of its bounds.
    ///
    /// Workload identity that cannot be built, and managed identity that cannot for `AZURE_CLIENT_ID` alone, count as
    /// unavailable.
    pub fn build_with(self, platform: &Platform) -> Result<DefaultAzureCredential> {
        self.assemble(platform).map_err(|error| match error.credential() {
            "" => error.with_credential(NAME),
            _ => error,
        })
    }

    fn assemble(self, platform: &Platform) -> Result<DefaultAzureCredential> {
        let env = platform.env().as_ref();
        let wish = Wish::read(env)?;
        if self.requires_variable && wish == Wish::Nothing {
            let message = format!(
                "{VARIABLE} is not set, which this program requires; set it to dev, prod, or the name of a credential"
            );
            return Err(invalid(message));
        }
        let mut links = Vec::with_capacity(ChainLink::ALL.len());
        for link in ChainLink::ALL {
            links.push((link, self.member(link, wish, platform)?));
        }
        let members: Vec<_> = links.iter().filter_map(|(_, member)| member.as_ref().ok().map(Arc::clone)).collect();
        if members.is_empty() {
            return Err(invalid("every credential is left out; at least one is required".to_owned()));
        }
        // Nothing else is meant: it has its whole patience.
        let is_managed_alone = wish == Wish::Only(ChainLink::ManagedIdentity) && members.len() == 1;
        let is_in = |link| links.iter().any(|(other, member)| *other == link && member.is_ok());
        let chain = ChainedTokenCredential::builder(members).default_chain(NAME).steps(steps(env, wish, is_in));
        let chain = if is_managed_alone { chain.context(CallContext::Alone) } else { chain };
        let chain = if self.retry_sources { chain.retry_sources() } else { chain };
        Ok(DefaultAzureCredential(Arc::new(Inner { chain: chain.build()?, links })))
    }

    /// What is in a place, or why nothing is.
    fn member(&self, link: ChainLink, wish: Wish, platform: &Platform) -> Result<Member> {
        match self.told.iter().find(|(told, _)| *told == link).map(|(_, told)| told) {
            Some(Told::Excluded) => return Ok(Err("the program excludes it".to_owned())),
            Some(Told::Replaced(credential)) => return Ok(Ok(Arc::clone(credential))),
            Some(Told::Included) => {}
            None => {
                if let Some(reason) = wish.excludes(link) {
                    return Ok(Err(reason));
                }
            }
        }
        Ok(Ok(match link {
            ChainLink::Environment => self.environment(platform)?,
            ChainLink::WorkloadIdentity => self.workload_identity(platform),
            ChainLink::ManagedIdentity => {
                self.managed_identity(platform, self.is_in(ChainLink::WorkloadIdentity, wish))?
            }
            ChainLink::AzureCli | ChainLink::AzurePowerShell | ChainLink::AzureDeveloperCli => {
                self.tool(link, platform)?
            }
            _ => Arc::new(Absent::not_yet(link)),
        }))
    }

    /// Whether a place is tried, by whatever credential.
    fn is_in(&self, link: ChainLink, wish: Wish) -> bool {
        match self.told.iter().find(|(told, _)| *told == link) {
            Some((_, told)) => !matches!(told, Told::Excluded),
            None => wish.excludes(link).is_none(),
        }
    }

    #[cfg(feature = "environment")]
    fn environment(&self, platform: &Platform) -> Result<Arc<dyn TokenCredential>> {
        let builder = crate::EnvironmentCredential::builder().in_default_chain().with_options(self.options());
        Ok(Arc::new(builder.build_with(platform)?))
    }

    #[cfg(feature = "workload")]
    fn workload_identity(&self, platform: &Platform) -> Arc<dyn TokenCredential> {
        let link = ChainLink::WorkloadIdentity;
        if !is_set(platform, FEDERATED_TOKEN_FILE) {
            return Arc::new(Absent::unavailable(link, NO_POD));
        }
        let mut builder = identity_workload::WorkloadIdentityCredential::builder().with_options(self.options());
        #[cfg(feature = "msi")]
        if let Managed::User(id) = &self.managed_identity {
            builder = builder.client_id(id);
        }
        if let Some(id) = &self.workload_client_id {
            builder = builder.client_id(id);
        }
        if let Some(id) = &self.workload_tenant_id {
            builder = builder.tenant_id(id);
        }
        match builder.build_with(platform) {
            Ok(credential) => Arc::new(credential),
            Err(error) => Arc::new(Absent::failed(link, error)),
        }
    }

    /// `with_exchange` if workload identity is tried, too: whoever leaves that out means the exchange of its token as well.
    ///
    /// Source: azure-identity 1.27.0, `_credentials/default.py` (`_exclude_workload_identity_credential`).
    #[cfg(feature = "msi")]
    fn managed_identity(&self, platform: &Platform, with_exchange: bool) -> Result<Arc<dyn TokenCredential>> {
        let mut builder = identity_msi::ManagedIdentityCredential::builder();
        if !with_exchange {
            builder = builder.exclude_token_exchange();
        }
        // A source may be the exchange of a token.
        #[cfg(feature = "workload")]
        {
            if let Some(authority) = &self.authority {
                builder = builder.authority(authority);
            }
            if self.trusts_authority {
                builder = builder.disable_instance_discovery();
            }
        }
        if let Some(duration) = self.failure_memory {
            builder = builder.failure_memory(duration);
        }
        let id = match &self.managed_identity {
            Managed::User(id) => return Ok(Arc::new(builder.client_id(id).build_with(platform)?)),
            Managed::System => None,
            Managed::ByVariable => platform.env().text(CLIENT_ID)?,
        };
        let Some(id) = id else { return Ok(Arc::new(builder.build_with(platform)?)) };
        Ok(match builder.clone().client_id(id).build_with(platform) {
            Ok(credential) => Arc::new(credential),
            // Is it the id that the variable has? It may be meant for somebody else.
            Err(error) => {
                builder.build_with(platform)?;
                Arc::new(Absent::failed(ChainLink::ManagedIdentity, error.with_context(CLIENT_ID)))
            }
        })
    }

    #[cfg(feature = "cli")]
    fn tool(&self, link: ChainLink, platform: &Platform) -> Result<Arc<dyn TokenCredential>> {
        use identity_cli::{AzureCliCredential, AzureDeveloperCliCredential, AzurePowerShellCredential};
        macro_rules! tool {
            ($credential:ty) => {{
                let mut builder = <$credential>::builder();
                if let Some(timeout) = self.process_timeout {
                    builder = builder.process_timeout(timeout);
                }
                if let Some(duration) = self.failure_memory {
                    builder = builder.failure_memory(duration);
                }
                Arc::new(builder.build_with(platform)?)
            }};
        }
        if platform.processes().is_none() {
            return Ok(Arc::new(Absent::unavailable(link, "this platform runs no programs")));
        }
        Ok(match link {
            ChainLink::AzureCli => tool!(AzureCliCredential),
            ChainLink::AzurePowerShell => tool!(AzurePowerShellCredential),
            _ => tool!(AzureDeveloperCliCredential),
        })
    }

    /// For all that ask a token endpoint.
    #[cfg(any(feature = "environment", feature = "workload"))]
    fn options(&self) -> identity_oauth::ClientOptions {
        let mut options = identity_oauth::ClientOptions::default();
        if let Some(authority) = &self.authority {
            options.authority(authority.clone());
        }
        if !self.allowed_tenants.is_empty() {
            options.additionally_allowed_tenants(self.allowed_tenants.clone());
        }
        if self.trusts_authority {
            options.disable_instance_discovery();
        }
        if let Some(duration) = self.failure_memory {
            options.failure_memory(duration);
        }
        options
    }

    fn tell(mut self, link: ChainLink, told: Told) -> Self {
        self.told.retain(|(other, _)| *other != link);
        self.told.push((link, told));
        self
    }
}

/// What a build lacks.
impl DefaultAzureCredentialBuilder {
    #[cfg(not(feature = "environment"))]
    #[expect(
        clippy::unnecessary_wraps,
        clippy::unused_self,
        reason = "the signature of the build that has the feature"
    )]
    fn environment(&self, platform: &Platform) -> Result<Arc<dyn TokenCredential>> {
        let sets: [&[&str]; 3] = [
            &["AZURE_TENANT_ID", CLIENT_ID, "AZURE_CLIENT_SECRET"],
            &["AZURE_TENANT_ID", CLIENT_ID, "AZURE_CLIENT_CERTIFICATE_PATH"],
            &[CLIENT_ID, "AZURE_USERNAME", "AZURE_PASSWORD"],
        ];
        let set = sets.into_iter().find(|set| set.iter().all(|name| is_set(platform, name)));
        Ok(Arc::new(Absent::not_compiled_in(ChainLink::Environment, "environment", set.unwrap_or_default())))
    }

    #[cfg(not(feature = "workload"))]
    #[expect(clippy::unused_self, reason = "the signature of the build that has the feature")]
    fn workload_identity(&self, platform: &Platform) -> Arc<dyn TokenCredential> {
        let set = [FEDERATED_TOKEN_FILE].into_iter().filter(|name| is_set(platform, name)).collect::<Vec<_>>();
        Arc::new(Absent::not_compiled_in(ChainLink::WorkloadIdentity, "workload", &set))
    }

    #[cfg(not(feature = "msi"))]
    #[expect(
        clippy::unnecessary_wraps,
        clippy::unused_self,
        reason = "the signature of the build that has the feature"
    )]
    fn managed_identity(&self, platform: &Platform, _: bool) -> Result<Arc<dyn TokenCredential>> {
        let names = ["IDENTITY_ENDPOINT", "MSI_ENDPOINT"];
        let set = names.into_iter().filter(|name| is_set(platform, name)).collect::<Vec<_>>();
        Ok(Arc::new(Absent::not_compiled_in(ChainLink::ManagedIdentity, "msi", &set)))
    }

    #[cfg(not(feature = "cli"))]
    #[expect(
        clippy::unnecessary_wraps,
        clippy::unused_self,
        reason = "the signature of the build that has the feature"
    )]
    fn tool(&self, link: ChainLink, _: &Platform) -> Result<Arc<dyn TokenCredential>> {
        Ok(Arc::new(Absent::not_compiled_in(link, "cli", &[])))
    }
}

impl fmt::Debug for DefaultAzureCredentialBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let told = |wanted: fn(&Told) -> bool| -> Vec<ChainLink> {
            self.told.iter().filter(|(_, told)| wanted(told)).map(|(link, _)| *link).collect()
        };
        let mut f = f.debug_struct("DefaultAzureCredentialBuilder");
        #[cfg(any(feature = "environment", feature = "workload"))]
        f.field("options", &self.options());
        #[cfg(feature = "msi")]
        f.field("managed_identity", &self.managed_identity);
        #[cfg(feature = "workload")]
        f.field("workload_identity", &(&self.workload_client_id, &self.workload_tenant_id));
        #[cfg(feature = "cli")]
        f.field("process_timeout", &self.process_timeout);
        f.field("included", &told(|told| matches!(told, Told::Included)))
            .field("excluded", &told(|told| matches!(told, Told::Excluded)))
            .field("replaced", &told(|told| matches!(told, Told::Replaced(_))))
            .field("require_envvar", &self.requires_variable)
            .field("retry_sources", &self.retry_sources)
            .finish_non_exhaustive()
    }
}

fn is_set(platform: &Platform, name: &str) -> bool {
    platform.env().var_os(name).is_some_and(|value| !value.is_empty())
}

#[cold]
fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidArgument, message)
}

#[cfg(any(not(feature = "environment"), feature = "msi"))]
const CLIENT_ID: &str = "AZURE_CLIENT_ID";
const FEDERATED_TOKEN_FILE: &str = "AZURE_FEDERATED_TOKEN_FILE";
#[cfg(feature = "workload")]
const NO_POD: &str =
    "AZURE_FEDERATED_TOKEN_FILE is not set, as the webhook of Azure Workload Identity does in a pod of Kubernetes";
