//! `--credential client-secret`.

use std::sync::Arc;

use identity::{ClientSecretCredential, Platform, Result, TokenCredential};

use super::{application, settings::Settings};
use crate::cli::TokenArgs;

pub(super) fn build(args: &TokenArgs, platform: &Platform) -> Result<Arc<dyn TokenCredential>> {
    let mut settings = Settings::new(platform.env().as_ref());
    let (tenant, client) = application(&mut settings, args)?;
    let secret = settings.secret("client-secret-file", args.proof.client_secret_file.as_deref(), CLIENT_SECRET)?;
    settings.done("client-secret")?;
    let builder = with_client_options!(ClientSecretCredential::builder(tenant, client, secret), args);
    Ok(Arc::new(builder.build_with(platform)?))
}

pub(super) const CLIENT_SECRET: &str = "AZURE_CLIENT_SECRET";
