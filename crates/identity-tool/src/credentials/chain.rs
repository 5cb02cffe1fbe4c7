//! `--credential default`.

use std::{sync::Arc, time::Duration};

use identity::{
    ChainLink, DefaultAzureCredential, DefaultAzureCredentialBuilder, Error, ErrorKind, ManagedIdentityCredential,
    ManagedIdentityCredentialBuilder, Platform, Result,
};
use tracing::subscriber::{NoSubscriber, with_default};

use crate::{
    cli::{ChainArgs, TokenArgs},
    overlay::Overlay,
};

/// What the default chain is told.
pub(crate) struct ChainOptions<'a> {
    pub(crate) places: &'a ChainArgs,
    pub(crate) authority: Option<&'a str>,
    pub(crate) allowed_tenants: &'a [String],
    pub(crate) trusts_authority: bool,
    pub(crate) client_id: Option<&'a str>,
    pub(crate) object_id: Option<&'a str>,
    pub(crate) resource_id: Option<&'a str>,
    pub(crate) allow_remote_endpoint: bool,
    pub(crate) process_timeout: Option<Duration>,
    pub(crate) failure_memory: Option<Duration>,
}

impl<'a> ChainOptions<'a> {
    pub(super) fn of(args: &'a TokenArgs) -> Self {
        Self {
            places: &args.chain,
            authority: args.service.authority.as_deref(),
            allowed_tenants: &args.service.additionally_allowed_tenant,
            // The emulator is no authority that Microsoft knows.
            trusts_authority: args.service.disable_instance_discovery || args.emulator.emulator,
            client_id: args.app.client_id.as_deref(),
            object_id: args.app.object_id.as_deref(),
            resource_id: args.app.resource_id.as_deref(),
            allow_remote_endpoint: args.app.allow_remote_endpoint,
            process_timeout: args.tool.process_timeout,
            failure_memory: args.request.failure_memory,
        }
    }

    /// The chain, to be built. Reads variables, touches no network.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for a managed identity that cannot be asked as the options say.
    pub(crate) fn builder(&self, platform: &Platform) -> Result<DefaultAzureCredentialBuilder> {
        let mut builder = self.places();
        if let Some(authority) = self.authority {
            builder = builder.authority(authority);
        }
        if !self.allowed_tenants.is_empty() {
            builder = builder.additionally_allowed_tenants(self.allowed_tenants.iter().cloned());
        }
        if self.trusts_authority {
            builder = builder.disable_instance_discovery();
        }
        if let Some(id) = self.client_id {
            builder = builder.managed_identity_client_id(id);
        }
        if let Some(id) = &self.places.workload_identity_client_id {
            builder = builder.workload_identity_client_id(id);
        }
        if let Some(id) = &self.places.workload_identity_tenant_id {
            builder = builder.workload_identity_tenant_id(id);
        }
        if let Some(timeout) = self.process_timeout {
            builder = builder.process_timeout(timeout);
        }
        if let Some(duration) = self.failure_memory {
            builder = builder.failure_memory(duration);
        }
        let Some(flag) = self.flag_of_managed_identity() else { return Ok(builder) };
        // What is put in the place of a credential is tried whatever the variable says, which is not what the flag says.
        if let Some(why) = self.left_out(ChainLink::ManagedIdentity, platform)? {
            let message = format!("--{flag} does nothing, for managed identity is left out: {why}");
            return Err(Error::new(ErrorKind::InvalidArgument, message));
        }
        Ok(builder.replace(ChainLink::ManagedIdentity, Arc::new(self.managed_identity_in_chain(platform)?)))
    }

    /// Where the chain's managed identity would come from; `None` if the chain has none.
    pub(crate) fn source(&self, chain: &DefaultAzureCredential, platform: &Platform) -> Option<&'static str> {
        let is_in = chain.links().any(|(link, member)| link == ChainLink::ManagedIdentity && member.is_ok());
        is_in.then(|| self.source_in_chain(platform)).flatten()
    }

    /// Where a managed identity of the chain would come from; `None` if it cannot be asked as the options say.
    pub(crate) fn source_in_chain(&self, platform: &Platform) -> Option<&'static str> {
        // The log has it already.
        let managed = with_default(NoSubscriber::default(), || self.managed_identity_in_chain(platform));
        managed.ok().map(|managed| managed.source())
    }

    /// A managed identity, as the options say.
    ///
    /// # Errors
    ///
    /// As `ManagedIdentityCredentialBuilder::build_with`.
    pub(crate) fn managed_identity(&self, platform: &Platform) -> Result<ManagedIdentityCredential> {
        self.managed(ManagedIdentityCredential::builder(), platform)
    }

    /// The same as the chain has it: whoever leaves workload identity out leaves the exchange of its token out.
    fn managed_identity_in_chain(&self, platform: &Platform) -> Result<ManagedIdentityCredential> {
        let builder = ManagedIdentityCredential::builder();
        let builder = match self.left_out(ChainLink::WorkloadIdentity, platform)? {
            Some(_) => builder.exclude_token_exchange(),
            None => builder,
        };
        self.managed(builder, platform)
    }

    fn managed(
        &self,
        mut builder: ManagedIdentityCredentialBuilder,
        platform: &Platform,
    ) -> Result<ManagedIdentityCredential> {
        if let Some(id) = self.client_id {
            builder = builder.client_id(id);
        }
        if let Some(id) = self.object_id {
            builder = builder.object_id(id);
        }
        if let Some(id) = self.resource_id {
            builder = builder.resource_id(id);
        }
        if self.allow_remote_endpoint {
            builder = builder.allow_remote_endpoint();
        }
        if let Some(authority) = self.authority {
            builder = builder.authority(authority);
        }
        if self.trusts_authority {
            builder = builder.disable_instance_discovery();
        }
        if let Some(duration) = self.failure_memory {
            builder = builder.failure_memory(duration);
        }
        builder.build_with(platform)
    }

    /// The chain with nothing but who is in it.
    pub(crate) fn places(&self) -> DefaultAzureCredentialBuilder {
        let mut builder = DefaultAzureCredential::builder();
        for link in &self.places.exclude {
            builder = builder.exclude(*link);
        }
        for link in &self.places.include {
            builder = builder.include(*link);
        }
        if self.places.require_envvar {
            builder = builder.require_envvar();
        }
        builder
    }

    /// An option that the chain does not have, and its managed identity has.
    fn flag_of_managed_identity(&self) -> Option<&'static str> {
        match self {
            Self { object_id: Some(_), .. } => Some("object-id"),
            Self { resource_id: Some(_), .. } => Some("resource-id"),
            Self { allow_remote_endpoint: true, .. } => Some("allow-remote-endpoint"),
            _ => None,
        }
    }

    /// Why the chain has nobody in a place, by what is known without building one: the options and the one variable.
    fn left_out(&self, link: ChainLink, platform: &Platform) -> Result<Option<String>> {
        let value = platform.env().text(TOKEN_CREDENTIALS)?.map(|value| (TOKEN_CREDENTIALS.to_owned(), value));
        let env = Overlay::new(value.into_iter().collect(), Arc::clone(platform.env()));
        let chain = self.places().build_with(&platform.with_env(Arc::new(env)))?;
        let place = chain.links().find(|(other, _)| *other == link);
        Ok(place.and_then(|(_, member)| member.err().map(str::to_owned)))
    }
}

/// The variable that chooses among the credentials of the chain.
pub(crate) const TOKEN_CREDENTIALS: &str = "AZURE_TOKEN_CREDENTIALS";
