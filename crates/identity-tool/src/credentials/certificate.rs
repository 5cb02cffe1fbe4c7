//! `--credential certificate`.

use std::sync::Arc;

use identity::{CertificateCredential, Platform, Result, TokenCredential};

use super::{application, settings::Settings};
use crate::cli::TokenArgs;

pub(super) fn build(args: &TokenArgs, platform: &Platform) -> Result<Arc<dyn TokenCredential>> {
    let mut settings = Settings::new(platform.env().as_ref());
    let proof = &args.proof;
    let (tenant, client) = application(&mut settings, args)?;
    let path = settings.path("certificate-path", proof.certificate_path.as_deref(), &[CERTIFICATE_PATH])?;
    let file = proof.certificate_password_file.as_deref();
    let password = settings.optional_secret("certificate-password-file", file, CERTIFICATE_PASSWORD)?;
    let sends_chain = proof.send_certificate_chain || settings.is_on(SEND_CERTIFICATE_CHAIN)?;
    settings.done("certificate")?;
    let mut builder = with_client_options!(CertificateCredential::builder(tenant, client), args).certificate_path(path);
    if let Some(password) = password {
        builder = builder.password(password);
    }
    if sends_chain {
        builder = builder.send_certificate_chain();
    }
    Ok(Arc::new(builder.build_with(platform)?))
}

pub(super) const CERTIFICATE_PATH: &str = "AZURE_CLIENT_CERTIFICATE_PATH";
pub(super) const CERTIFICATE_PASSWORD: &str = "AZURE_CLIENT_CERTIFICATE_PASSWORD";
pub(super) const SEND_CERTIFICATE_CHAIN: &str = "AZURE_CLIENT_SEND_CERTIFICATE_CHAIN";
