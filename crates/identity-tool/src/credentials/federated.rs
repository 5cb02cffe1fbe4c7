//! Credentials of platforms that vouch for what runs on them.

use std::sync::Arc;

use identity::{
    AzurePipelinesCredential, GithubActionsCredential, Platform, Result, TokenCredential, WorkloadIdentityCredential,
};

use super::{CLIENT_ID, FEDERATED_TOKEN_FILE, TENANT_ID, application, settings::Settings};
use crate::cli::TokenArgs;

pub(super) fn workload_identity(args: &TokenArgs, platform: &Platform) -> Result<Arc<dyn TokenCredential>> {
    let mut settings = Settings::new(platform.env().as_ref());
    let (tenant, client) = application(&mut settings, args)?;
    let file = args.proof.token_file_path.as_deref();
    let path = settings.path("token-file-path", file, &[FEDERATED_TOKEN_FILE])?;
    settings.done("workload-identity")?;
    let builder = WorkloadIdentityCredential::builder().tenant_id(tenant).client_id(client).token_file_path(path);
    let mut builder = with_client_options!(builder, args);
    if args.proof.enable_azure_proxy {
        builder = builder.enable_azure_proxy();
    }
    Ok(Arc::new(builder.build_with(platform)?))
}

/// Tasks of Azure Pipelines set the variables of the service connection; those of the SDKs come after them.
///
/// Source: azure-identity 1.27.0, `_credentials/azure_pipelines.py` (example).
pub(super) fn azure_pipelines(args: &TokenArgs, platform: &Platform) -> Result<Arc<dyn TokenCredential>> {
    let mut settings = Settings::new(platform.env().as_ref());
    let tenant = settings.text("tenant-id", args.app.tenant_id.as_deref(), &[CONNECTION_TENANT_ID, TENANT_ID])?;
    let client = settings.text("client-id", args.app.client_id.as_deref(), &[CONNECTION_CLIENT_ID, CLIENT_ID])?;
    let id = args.proof.service_connection_id.as_deref();
    let connection = settings.text("service-connection-id", id, &[CONNECTION_ID])?;
    let file = args.proof.system_access_token_file.as_deref();
    let token = settings.secret("system-access-token-file", file, SYSTEM_ACCESS_TOKEN)?;
    settings.done("azure-pipelines")?;
    let builder = AzurePipelinesCredential::builder(tenant, client, connection, token);
    Ok(Arc::new(with_client_options!(builder, args).build_with(platform)?))
}

pub(super) fn github_actions(args: &TokenArgs, platform: &Platform) -> Result<Arc<dyn TokenCredential>> {
    let mut settings = Settings::new(platform.env().as_ref());
    let (tenant, client) = application(&mut settings, args)?;
    settings.done("github-actions")?;
    let builder = GithubActionsCredential::builder().tenant_id(tenant).client_id(client);
    let mut builder = with_client_options!(builder, args);
    if let Some(audience) = &args.proof.audience {
        builder = builder.audience(audience);
    }
    Ok(Arc::new(builder.build_with(platform)?))
}

const CONNECTION_TENANT_ID: &str = "AZURESUBSCRIPTION_TENANT_ID";
const CONNECTION_CLIENT_ID: &str = "AZURESUBSCRIPTION_CLIENT_ID";
const CONNECTION_ID: &str = "AZURESUBSCRIPTION_SERVICE_CONNECTION_ID";
const SYSTEM_ACCESS_TOKEN: &str = "SYSTEM_ACCESSTOKEN";
