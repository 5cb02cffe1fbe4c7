//! From options and variables to the members of the chain.

use std::sync::Arc;

use identity_chain::ChainedTokenCredential;
#[cfg(any(feature = "msi", feature = "workload"))]
use identity_core::check;
use identity_core::{CallContext, Error, ErrorKind, Platform, Result, TokenCredential};

#[cfg(feature = "msi")]
use super::builder::Managed;
use super::{
    DefaultAzureCredential, Inner, Member, NAME,
    absent::Absent,
    builder::{DefaultAzureCredentialBuilder, Told},
    link::{ChainLink, VARIABLE, Wish},
    steps::steps,
};

impl DefaultAzureCredentialBuilder {
    pub(super) fn assemble(self, platform: &Platform) -> Result<DefaultAzureCredential> {
        let env = platform.env().as_ref();
        let wish = Wish::read(env)?;
        if self.requires_variable && wish == Wish::Nothing {
            let message = format!(
                "{VARIABLE} is not set, which this program requires; set it to dev, prod, or the name of a credential"
            );
            return Err(invalid(message));
        }
        self.check(platform)?;
        let mut links = Vec::with_capacity(ChainLink::ALL.len());
        for &link in ChainLink::ALL {
            links.push((link, self.member(link, wish, platform)?));
        }
        let members: Vec<_> = links.iter().filter_map(|(_, member)| member.as_ref().ok().map(Arc::clone)).collect();
        if members.is_empty() {
            return Err(invalid("every credential is left out; at least one is required".to_owned()));
        }
        // Nothing else is meant: it has its whole patience.
        let is_managed_alone = wish == Wish::Only(ChainLink::ManagedIdentity) && members.len() == 1;
        let included: Vec<ChainLink> =
            links.iter().filter(|(_, member)| member.is_ok()).map(|(link, _)| *link).collect();
        let is_real = |link| included.contains(&link) && self.is_real(link, platform);
        let mut lacking: Vec<&str> = included.iter().filter_map(|link| lacking(*link)).collect();
        lacking.dedup();
        let steps = steps(env, wish, self.requires_variable, is_real, &lacking);
        let chain = ChainedTokenCredential::builder(members).default_chain(NAME).steps(steps);
        let chain = if is_managed_alone { chain.context(CallContext::Alone) } else { chain };
        let chain = if self.retry_sources { chain.retry_sources() } else { chain };
        Ok(DefaultAzureCredential(Arc::new(Inner { chain: chain.build()?, links })))
    }

    /// Judges what the program said, also of what is not tried here: a mistake must not wait for the place where it matters.
    fn check(&self, platform: &Platform) -> Result<()> {
        #[cfg(any(feature = "environment", feature = "workload"))]
        self.options().check(platform.env().as_ref())?;
        #[cfg(feature = "workload")]
        {
            self.workload_tenant_id.as_deref().map_or(Ok(()), check::tenant_id)?;
            self.workload_client_id.as_deref().map_or(Ok(()), |id| check::id("client id", id))?;
        }
        #[cfg(feature = "msi")]
        if let Managed::User(id) = &self.managed_identity {
            check::id("client id", id)?;
        }
        #[cfg(any(feature = "cli", feature = "environment", feature = "msi", feature = "workload"))]
        self.tool(ChainLink::AzureCli, platform)?;
        let _ = platform;
        Ok(())
    }

    /// Whether there is a credential in a place that is tried, and not only its name.
    fn is_real(&self, link: ChainLink, platform: &Platform) -> bool {
        let is_replaced = self.told.iter().any(|(told, how)| *told == link && matches!(how, Told::Replaced(_)));
        let is_tool = matches!(link, ChainLink::AzureCli | ChainLink::AzurePowerShell | ChainLink::AzureDeveloperCli);
        let can_run = !is_tool || platform.processes().is_some();
        is_replaced || link.is_in_this_version() && lacking(link).is_none() && can_run
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
            ChainLink::WorkloadIdentity => self.workload_identity(platform)?,
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
    fn workload_identity(&self, platform: &Platform) -> Result<Arc<dyn TokenCredential>> {
        let link = ChainLink::WorkloadIdentity;
        if !is_set(platform, FEDERATED_TOKEN_FILE) {
            return Ok(Arc::new(Absent::unavailable(link, NO_POD)));
        }
        let mut builder = identity_workload::WorkloadIdentityCredential::builder().with_options(self.options());
        let (tenant, client) = (self.workload_tenant_id.as_deref(), self.workload_client_id.as_deref());
        #[cfg(feature = "msi")]
        let client = match &self.managed_identity {
            Managed::User(id) => client.or(Some(id)),
            _ => client,
        };
        if let Some(id) = tenant {
            builder = builder.tenant_id(id);
        }
        if let Some(id) = client {
            builder = builder.client_id(id);
        }
        let error = match builder.build_with(platform) {
            Ok(credential) => return Ok(Arc::new(credential)),
            Err(error) => error,
        };
        // Variables that do not say who it is may be meant for somebody else. Whatever else is wrong must not lead to another
        // identity.
        let is_good = |name: &str, check: fn(&str) -> Result<()>| {
            platform.env().text(name).is_ok_and(|value| value.is_some_and(|value| check(&value).is_ok()))
        };
        let is_id = |id: &str| check::id("client id", id);
        let says_who = (tenant.is_some() || is_good(TENANT_ID, check::tenant_id))
            && (client.is_some() || is_good(CLIENT_ID, is_id));
        if says_who { Err(error) } else { Ok(Arc::new(Absent::failed(link, error))) }
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
    pub(super) fn options(&self) -> identity_oauth::ClientOptions {
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
    #[expect(
        clippy::unnecessary_wraps,
        clippy::unused_self,
        reason = "the signature of the build that has the feature"
    )]
    fn workload_identity(&self, platform: &Platform) -> Result<Arc<dyn TokenCredential>> {
        let set = [FEDERATED_TOKEN_FILE].into_iter().filter(|name| is_set(platform, name)).collect::<Vec<_>>();
        Ok(Arc::new(Absent::not_compiled_in(ChainLink::WorkloadIdentity, "workload", &set)))
    }

    #[cfg(not(feature = "msi"))]
    #[expect(
        clippy::unnecessary_wraps,
        clippy::unused_self,
        reason = "the signature of the build that has the feature"
    )]
    fn managed_identity(&self, platform: &Platform, _: bool) -> Result<Arc<dyn TokenCredential>> {
        let names = ["IDENTITY_ENDPOINT", "MSI_ENDPOINT", "AZURE_POD_IDENTITY_AUTHORITY_HOST"];
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

/// The feature that brings a credential into its place, if this build is without it.
fn lacking(link: ChainLink) -> Option<&'static str> {
    let (has, feature) = match link {
        ChainLink::Environment => (cfg!(feature = "environment"), "`environment`"),
        ChainLink::WorkloadIdentity => (cfg!(feature = "workload"), "`workload`"),
        ChainLink::ManagedIdentity => (cfg!(feature = "msi"), "`msi`"),
        ChainLink::AzureCli | ChainLink::AzurePowerShell | ChainLink::AzureDeveloperCli => {
            (cfg!(feature = "cli"), "`cli`")
        }
        _ => (true, ""),
    };
    (!has).then_some(feature)
}

fn is_set(platform: &Platform, name: &str) -> bool {
    platform.env().var_os(name).is_some_and(|value| !value.is_empty())
}

#[cold]
fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidArgument, message)
}

#[cfg(feature = "workload")]
const TENANT_ID: &str = "AZURE_TENANT_ID";
#[cfg(any(not(feature = "environment"), feature = "msi", feature = "workload"))]
const CLIENT_ID: &str = "AZURE_CLIENT_ID";
const FEDERATED_TOKEN_FILE: &str = "AZURE_FEDERATED_TOKEN_FILE";
#[cfg(feature = "workload")]
const NO_POD: &str =
    "AZURE_FEDERATED_TOKEN_FILE is not set, as the webhook of Azure Workload Identity does in a pod of Kubernetes";
