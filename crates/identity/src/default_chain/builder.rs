//! What a program can say of the chain.

#[cfg(any(feature = "cli", feature = "environment", feature = "msi", feature = "workload"))]
use std::time::Duration;
use std::{fmt, sync::Arc};

use identity_core::{Platform, Result, TokenCredential};

use super::{DefaultAzureCredential, NAME, link::ChainLink};

/// Builds a [`DefaultAzureCredential`].
#[derive(Clone, Default)]
pub struct DefaultAzureCredentialBuilder {
    #[cfg(any(feature = "environment", feature = "workload"))]
    pub(super) authority: Option<String>,
    #[cfg(any(feature = "environment", feature = "workload"))]
    pub(super) allowed_tenants: Vec<String>,
    #[cfg(any(feature = "environment", feature = "workload"))]
    pub(super) trusts_authority: bool,
    #[cfg(feature = "msi")]
    pub(super) managed_identity: Managed,
    #[cfg(feature = "workload")]
    pub(super) workload_client_id: Option<String>,
    #[cfg(feature = "workload")]
    pub(super) workload_tenant_id: Option<String>,
    #[cfg(feature = "cli")]
    pub(super) process_timeout: Option<Duration>,
    #[cfg(any(feature = "cli", feature = "environment", feature = "msi", feature = "workload"))]
    pub(super) failure_memory: Option<Duration>,
    /// What the program said of places, the last word for each.
    pub(super) told: Vec<(ChainLink, Told)>,
    pub(super) requires_variable: bool,
    pub(super) retry_sources: bool,
}

/// Which identity of the machine or service is asked for.
#[cfg(feature = "msi")]
#[derive(Clone, Debug, Default)]
pub(super) enum Managed {
    /// The one that `AZURE_CLIENT_ID` names, else the machine's own.
    #[default]
    ByVariable,
    /// The machine's own.
    System,
    User(String),
}

#[derive(Clone)]
pub(super) enum Told {
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
    /// [`ErrorKind::InvalidArgument`](identity_core::ErrorKind::InvalidArgument) if
    ///
    /// - `AZURE_TOKEN_CREDENTIALS` names nothing, or is required and not set; every credential is left out;
    /// - the variables of `EnvironmentCredential` are complete and its credential cannot be built;
    /// - an endpoint of managed identity that a variable names is malformed, or the identity that was given here, not by
    ///   `AZURE_CLIENT_ID`, is one that the source does not take;
    /// - workload identity cannot be built although tenant, client and token file are there;
    /// - an option is malformed or out of its bounds, or `AZURE_AUTHORITY_HOST` or `AZURE_ADDITIONALLY_ALLOWED_TENANTS` is
    ///   malformed, whether or not the credential that they are for is tried.
    ///
    /// Workload identity whose tenant or client the variables do not name, and managed identity that cannot be built for
    /// `AZURE_CLIENT_ID` alone, count as unavailable.
    pub fn build_with(self, platform: &Platform) -> Result<DefaultAzureCredential> {
        self.assemble(platform).map_err(|error| match error.credential() {
            "" => error.with_credential(NAME),
            _ => error,
        })
    }

    fn tell(mut self, link: ChainLink, told: Told) -> Self {
        self.told.retain(|(other, _)| *other != link);
        self.told.push((link, told));
        self
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
