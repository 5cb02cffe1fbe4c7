//! From the options of a case to a credential.

use std::{fmt::Write as _, sync::Arc, time::Duration};

use identity::DefaultAzureCredential;
use identity_certificate::CertificateCredential;
use identity_confidential::{ClientAssertionCredential, ClientSecretCredential, OnBehalfOfClient};
use identity_core::{Platform, Result, TokenCredential};
use identity_msi::ManagedIdentityCredential;
use identity_workload::{AzurePipelinesCredential, GithubActionsCredential, WorkloadIdentityCredential};

use crate::{
    build_default::{build_chain, build_environment},
    build_users::{assertions, build_for_users},
    case::{Builder, Folder},
};

pub(crate) struct Built {
    pub(crate) who: Who,
    /// What `source()` or `chosen()` says, where there is one.
    pub(crate) source: &'static str,
}

/// Who is called.
#[derive(Clone)]
pub(crate) enum Who {
    One(Arc<dyn TokenCredential>),
    /// Makes a credential for each user.
    Many(OnBehalfOfClient),
    Chain(DefaultAzureCredential),
}

/// Tells a builder what all credentials of a token endpoint can be told.
macro_rules! entra {
    ($builder:expr, $told:expr) => {{
        let (mut builder, told): (_, &Builder) = ($builder, $told);
        if let Some(authority) = &told.authority {
            builder = builder.authority(authority);
        }
        if !told.additionally_allowed_tenants.is_empty() {
            builder = builder.additionally_allowed_tenants(told.additionally_allowed_tenants.clone());
        }
        if told.disable_instance_discovery {
            builder = builder.disable_instance_discovery();
        }
        if let Some(region) = &told.region {
            builder = builder.region(region);
        }
        if let Some(seconds) = told.failure_memory_secs {
            builder = builder.failure_memory(Duration::from_secs(seconds));
        }
        if let Some(keys) = told.cache_capacity {
            builder = builder.cache_capacity(keys);
        }
        if told.require_granted_scopes {
            builder = builder.require_granted_scopes();
        }
        builder
    }};
}
pub(crate) use entra;

/// Tells a builder whose defaults are variables who the application is.
macro_rules! ids {
    ($builder:expr, $told:expr) => {{
        let (mut builder, told): (_, &Builder) = ($builder, $told);
        if let Some(id) = &told.tenant_id {
            builder = builder.tenant_id(id);
        }
        if let Some(id) = &told.client_id {
            builder = builder.client_id(id);
        }
        builder
    }};
}

/// Builds what the case describes; what the builder prints of itself is added to `visible`.
pub(crate) fn build(folder: &Folder, platform: &Platform, visible: &mut String) -> Result<Built> {
    let told = &folder.case.credential;
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let (tenant, client) = (text(&told.tenant_id), text(&told.client_id));
    let mut show = |builder: &dyn std::fmt::Debug| {
        let _ = write!(visible, "{builder:?} {builder:#?}");
    };
    let credential: Arc<dyn TokenCredential> = match told.name.as_deref().unwrap_or("managed-identity") {
        "managed-identity" => {
            let mut builder = ManagedIdentityCredential::builder();
            if let Some(id) = &told.client_id {
                builder = builder.client_id(id);
            }
            if let Some(id) = &told.object_id {
                builder = builder.object_id(id);
            }
            if let Some(id) = &told.resource_id {
                builder = builder.resource_id(id);
            }
            if told.allow_remote_endpoint {
                builder = builder.allow_remote_endpoint();
            }
            if let Some(seconds) = told.failure_memory_secs {
                builder = builder.failure_memory(Duration::from_secs(seconds));
            }
            if told.disable_instance_discovery {
                builder = builder.disable_instance_discovery();
            }
            show(&builder);
            let credential = builder.build_with(platform)?;
            let source = credential.source();
            return Ok(Built { who: Who::One(Arc::new(credential)), source });
        }
        "client-secret" => {
            let builder = entra!(ClientSecretCredential::builder(tenant, client, text(&told.client_secret)), told);
            show(&builder);
            Arc::new(builder.build_with(platform)?)
        }
        "client-assertion" => {
            let builder = entra!(ClientAssertionCredential::builder(tenant, client, assertions(told)), told);
            show(&builder);
            Arc::new(builder.build_with(platform)?)
        }
        "certificate" => {
            let mut builder = entra!(CertificateCredential::builder(tenant, client), told);
            if let Some(path) = &told.certificate_path {
                builder = builder.certificate_path(path);
            }
            if let Some(path) = &told.certificate_data {
                builder = builder.certificate_data(folder.files.get(path).expect("the certificate is in fs/").clone());
            }
            if let Some(password) = &told.password {
                builder = builder.password(password.as_str());
            }
            if told.send_certificate_chain {
                builder = builder.send_certificate_chain();
            }
            show(&builder);
            Arc::new(builder.build_with(platform)?)
        }
        "workload-identity" => {
            let mut builder = ids!(entra!(WorkloadIdentityCredential::builder(), told), told);
            if let Some(path) = &told.token_file_path {
                builder = builder.token_file_path(path);
            }
            if told.enable_azure_proxy {
                builder = builder.enable_azure_proxy();
            }
            show(&builder);
            Arc::new(builder.build_with(platform)?)
        }
        "azure-pipelines" => {
            let (connection, token) = (text(&told.service_connection_id), text(&told.system_access_token));
            let builder = entra!(AzurePipelinesCredential::builder(tenant, client, connection, token), told);
            show(&builder);
            Arc::new(builder.build_with(platform)?)
        }
        "github-actions" => {
            let mut builder = ids!(entra!(GithubActionsCredential::builder(), told), told);
            if let Some(audience) = &told.audience {
                builder = builder.audience(audience);
            }
            show(&builder);
            Arc::new(builder.build_with(platform)?)
        }
        "environment" => return build_environment(told, platform, visible),
        "default" => return Ok(Built { who: Who::Chain(build_chain(told, platform, visible)?), source: "" }),
        name => return Ok(Built { who: build_for_users(name, folder, platform, visible)?, source: "" }),
    };
    Ok(Built { who: Who::One(credential), source: "" })
}
