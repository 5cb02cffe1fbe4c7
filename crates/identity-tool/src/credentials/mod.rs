//! From options to a credential.

use std::sync::Arc;

use identity::{
    ChainLink, DefaultAzureCredential, EnvironmentCredential, ManagedIdentityCredential, Platform, Result,
    TokenCredential,
};

use crate::cli::{Credential, TokenArgs};

/// Sets what all credentials of Entra ID can be told.
macro_rules! with_client_options {
    ($builder:expr, $args:expr) => {{
        let mut builder = $builder;
        let (service, request) = (&$args.service, &$args.request);
        if let Some(authority) = &service.authority {
            builder = builder.authority(authority);
        }
        // The emulator is no authority that Microsoft knows.
        if service.disable_instance_discovery || $args.emulator.emulator {
            builder = builder.disable_instance_discovery();
        }
        if !service.additionally_allowed_tenant.is_empty() {
            builder = builder.additionally_allowed_tenants(service.additionally_allowed_tenant.iter().cloned());
        }
        if let Some(region) = &service.region {
            builder = builder.region(region);
        }
        if service.require_granted_scopes {
            builder = builder.require_granted_scopes();
        }
        if let Some(duration) = request.failure_memory {
            builder = builder.failure_memory(duration);
        }
        if let Some(tokens) = request.cache_capacity {
            builder = builder.cache_capacity(tokens);
        }
        if let Some(requests) = request.max_in_flight {
            builder = builder.max_in_flight(requests);
        }
        builder
    }};
}

// Below the macro, which they use.
mod assertion;
mod certificate;
mod chain;
mod federated;
mod secret;
mod settings;
mod tools;
mod users;

use self::settings::Settings;
pub(crate) use self::{
    chain::{ChainOptions, TOKEN_CREDENTIALS},
    settings::is_incomplete,
};

/// A credential, as the options say.
pub(crate) struct Built {
    pub(crate) credential: Arc<dyn TokenCredential>,
    /// Which source the managed identity that is asked would come from; `None` if none is asked.
    pub(crate) source: Option<&'static str>,
    /// The default chain, if that is it.
    chain: Option<DefaultAzureCredential>,
}

impl Built {
    fn new(credential: Arc<dyn TokenCredential>) -> Self {
        Self { credential, source: None, chain: None }
    }

    /// The place of the default chain that the token came from; `None` if there is no such chain, or no token yet.
    pub(crate) fn link(&self) -> Option<ChainLink> {
        self.chain.as_ref().and_then(DefaultAzureCredential::winner)
    }
}

/// Makes the credential. Reads files and variables, touches no network.
///
/// # Errors
///
/// `InvalidArgument` for what is missing or malformed; as the builders.
pub(crate) fn build(args: &TokenArgs, platform: &Platform) -> Result<Built> {
    let credential: Arc<dyn TokenCredential> = match args.credential {
        Credential::Default => return default(args, platform),
        Credential::ManagedIdentity => return managed(args, platform),
        Credential::Environment => {
            Arc::new(with_client_options!(EnvironmentCredential::builder(), args).build_with(platform)?)
        }
        Credential::ClientSecret => secret::build(args, platform)?,
        Credential::Certificate => certificate::build(args, platform)?,
        Credential::ClientAssertion => return assertion::build(args, platform),
        Credential::WorkloadIdentity => federated::workload_identity(args, platform)?,
        Credential::AzurePipelines => federated::azure_pipelines(args, platform)?,
        Credential::GithubActions => federated::github_actions(args, platform)?,
        Credential::OnBehalfOf => users::on_behalf_of(args, platform)?,
        Credential::AuthorizationCode => users::authorization_code(args, platform)?,
        Credential::UsernamePassword => users::username_password(args, platform)?,
        Credential::AzureCli => tools::azure_cli(args, platform)?,
        Credential::AzureDeveloperCli => tools::azure_developer_cli(args, platform)?,
        Credential::AzurePowerShell => tools::azure_powershell(args, platform)?,
    };
    Ok(Built::new(credential))
}

fn default(args: &TokenArgs, platform: &Platform) -> Result<Built> {
    let options = ChainOptions::of(args);
    let chain = options.builder(platform)?.build_with(platform)?;
    let source = options.source(&chain, platform);
    Ok(Built { credential: Arc::new(chain.clone()), source, chain: Some(chain) })
}

fn managed(args: &TokenArgs, platform: &Platform) -> Result<Built> {
    let managed: ManagedIdentityCredential = ChainOptions::of(args).managed_identity(platform)?;
    let source = Some(managed.source());
    Ok(Built { source, ..Built::new(Arc::new(managed)) })
}

/// Tenant and client id of an application.
fn application(settings: &mut Settings<'_>, args: &TokenArgs) -> Result<(String, String)> {
    let tenant = settings.text("tenant-id", args.app.tenant_id.as_deref(), &[TENANT_ID])?;
    let client = settings.text("client-id", args.app.client_id.as_deref(), &[CLIENT_ID])?;
    Ok((tenant, client))
}

const TENANT_ID: &str = "AZURE_TENANT_ID";
const CLIENT_ID: &str = "AZURE_CLIENT_ID";
/// On Kubernetes; what somebody else signed may as well be there.
const FEDERATED_TOKEN_FILE: &str = "AZURE_FEDERATED_TOKEN_FILE";
