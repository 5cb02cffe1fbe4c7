//! Credentials of tools.

use std::sync::Arc;

use identity::{
    AzureCliCredential, AzureDeveloperCliCredential, AzurePowerShellCredential, Platform, Result, TokenCredential,
};

use crate::cli::TokenArgs;

/// Sets what all of them can be told.
macro_rules! with_tool_options {
    ($builder:expr, $args:expr) => {{
        let mut builder = $builder;
        if let Some(tenant) = &$args.app.tenant_id {
            builder = builder.tenant_id(tenant);
        }
        if !$args.service.additionally_allowed_tenant.is_empty() {
            builder = builder.additionally_allowed_tenants($args.service.additionally_allowed_tenant.iter().cloned());
        }
        if let Some(timeout) = $args.tool.process_timeout {
            builder = builder.process_timeout(timeout);
        }
        if let Some(duration) = $args.request.failure_memory {
            builder = builder.failure_memory(duration);
        }
        if $args.tool.no_cache {
            builder = builder.no_cache();
        }
        builder
    }};
}

pub(super) fn azure_cli(args: &TokenArgs, platform: &Platform) -> Result<Arc<dyn TokenCredential>> {
    let mut builder = with_tool_options!(AzureCliCredential::builder(), args);
    if let Some(subscription) = &args.tool.subscription {
        builder = builder.subscription(subscription);
    }
    Ok(Arc::new(builder.build_with(platform)?))
}

pub(super) fn azure_developer_cli(args: &TokenArgs, platform: &Platform) -> Result<Arc<dyn TokenCredential>> {
    Ok(Arc::new(with_tool_options!(AzureDeveloperCliCredential::builder(), args).build_with(platform)?))
}

pub(super) fn azure_powershell(args: &TokenArgs, platform: &Platform) -> Result<Arc<dyn TokenCredential>> {
    Ok(Arc::new(with_tool_options!(AzurePowerShellCredential::builder(), args).build_with(platform)?))
}
