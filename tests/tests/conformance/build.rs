//! From the options of a case to a credential.

use std::{
    fmt::Write as _,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use identity_confidential::{ClientAssertionCredential, ClientSecretCredential};
use identity_core::{Error, ErrorKind, Platform, Result, Secret, TokenCredential};
use identity_msi::ManagedIdentityCredential;

use crate::case::Builder;

pub(crate) struct Built {
    pub(crate) credential: Arc<dyn TokenCredential>,
    /// What `source()` says, where there is one.
    pub(crate) source: &'static str,
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

/// Builds what the case describes; what the builder prints of itself is added to `visible`.
pub(crate) fn build(told: &Builder, platform: &Platform, visible: &mut String) -> Result<Built> {
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
            show(&builder);
            let credential = builder.build_with(platform)?;
            let source = credential.source();
            return Ok(Built { credential: Arc::new(credential), source });
        }
        "client-secret" => {
            let builder = entra!(ClientSecretCredential::builder(tenant, client, text(&told.client_secret)), told);
            show(&builder);
            Arc::new(builder.build_with(platform)?)
        }
        "client-assertion" => {
            let (assertions, next) = (told.assertions.clone(), AtomicUsize::new(0));
            let callback = move || {
                let at = next.fetch_add(1, Ordering::Relaxed).min(assertions.len().saturating_sub(1));
                let assertion = assertions.get(at).map_or("", String::as_str);
                std::future::ready(match assertion.strip_prefix("error:") {
                    Some(why) => Err(Error::new(ErrorKind::CredentialUnavailable, why)),
                    None => Ok(Secret::new(assertion)),
                })
            };
            let builder = entra!(ClientAssertionCredential::builder(tenant, client, callback), told);
            show(&builder);
            Arc::new(builder.build_with(platform)?)
        }
        other => panic!("no credential is called {other}"),
    };
    Ok(Built { credential, source: "" })
}
