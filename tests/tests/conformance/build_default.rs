//! The same for what is made of other credentials.

use std::{fmt::Write as _, sync::Arc, time::Duration};

use identity::{ChainLink, DefaultAzureCredential, EnvironmentCredential};
use identity_core::{Platform, Result};

use crate::{
    build::{Built, Who, entra},
    case::Builder,
};

/// Builds the credential of the variables.
pub(crate) fn build_environment(told: &Builder, platform: &Platform, visible: &mut String) -> Result<Built> {
    let rest = Builder { region: None, cache_capacity: None, require_granted_scopes: false, ..without_common(told) };
    assert_eq!(rest, Builder::default(), "an environment has no such options");
    let builder = entra!(EnvironmentCredential::builder(), told);
    let _ = write!(visible, "{builder:?} {builder:#?}");
    let credential = builder.build_with(platform)?;
    let source = credential.chosen().unwrap_or_default();
    Ok(Built { who: Who::One(Arc::new(credential)), source })
}

/// Builds a default chain.
pub(crate) fn build_chain(told: &Builder, platform: &Platform, visible: &mut String) -> Result<DefaultAzureCredential> {
    let rest = Builder {
        exclude: Vec::new(),
        include: Vec::new(),
        managed_identity_client_id: None,
        system_assigned_managed_identity: false,
        workload_identity_client_id: None,
        workload_identity_tenant_id: None,
        process_timeout_secs: None,
        require_envvar: false,
        retry_sources: false,
        ..without_common(told)
    };
    assert_eq!(rest, Builder::default(), "a default chain has no such options");
    let mut builder = DefaultAzureCredential::builder();
    for name in &told.exclude {
        builder = builder.exclude(link(name));
    }
    for name in &told.include {
        builder = builder.include(link(name));
    }
    if let Some(authority) = &told.authority {
        builder = builder.authority(authority);
    }
    if !told.additionally_allowed_tenants.is_empty() {
        builder = builder.additionally_allowed_tenants(told.additionally_allowed_tenants.clone());
    }
    if told.disable_instance_discovery {
        builder = builder.disable_instance_discovery();
    }
    if let Some(id) = &told.managed_identity_client_id {
        builder = builder.managed_identity_client_id(id);
    }
    if told.system_assigned_managed_identity {
        builder = builder.system_assigned_managed_identity();
    }
    if let Some(id) = &told.workload_identity_client_id {
        builder = builder.workload_identity_client_id(id);
    }
    if let Some(id) = &told.workload_identity_tenant_id {
        builder = builder.workload_identity_tenant_id(id);
    }
    if let Some(seconds) = told.process_timeout_secs {
        builder = builder.process_timeout(Duration::from_secs_f64(seconds));
    }
    if let Some(seconds) = told.failure_memory_secs {
        builder = builder.failure_memory(Duration::from_secs(seconds));
    }
    if told.require_envvar {
        builder = builder.require_envvar();
    }
    if told.retry_sources {
        builder = builder.retry_sources();
    }
    let _ = write!(visible, "{builder:?} {builder:#?}");
    builder.build_with(platform)
}

/// What is told without the options of both, so that no other is ignored unseen.
fn without_common(told: &Builder) -> Builder {
    Builder {
        name: None,
        authority: None,
        additionally_allowed_tenants: Vec::new(),
        disable_instance_discovery: false,
        failure_memory_secs: None,
        ..told.clone()
    }
}

fn link(name: &str) -> ChainLink {
    let found = ChainLink::ALL.iter().copied().find(|link| link.name() == name);
    found.unwrap_or_else(|| panic!("no place of a default chain is called {name}"))
}
