//! Credentials of users: what an application does for the people who use it.

use std::sync::Arc;

#[expect(deprecated, reason = "whoever asks for it is told in the help")]
use identity::UsernamePasswordCredential;
use identity::{
    AuthorizationCodeCredential, ClientAuthentication, ClientCertificate, OnBehalfOfCredential, Platform, Result,
    Secret, TokenCredential,
};

use super::{
    CLIENT_ID, TENANT_ID, application,
    assertion::AssertionFile,
    certificate::{CERTIFICATE_PASSWORD, CERTIFICATE_PATH, SEND_CERTIFICATE_CHAIN},
    secret::CLIENT_SECRET,
    settings::Settings,
};
use crate::cli::TokenArgs;

pub(super) fn on_behalf_of(args: &TokenArgs, platform: &Platform) -> Result<Arc<dyn TokenCredential>> {
    let mut settings = Settings::new(platform.env().as_ref());
    let (tenant, client) = application(&mut settings, args)?;
    let user = settings.file("user-assertion-file", args.proof.user_assertion_file.as_deref(), USER_ASSERTION_FILE)?;
    let proof = proof(&mut settings, args, platform)?;
    if proof.is_none() {
        settings.lack("client-secret-file, --certificate-path, --assertion-file, or the variable AZURE_CLIENT_SECRET");
    }
    settings.done("on-behalf-of")?;
    let mut builder = with_client_options!(OnBehalfOfCredential::builder(tenant, client, user), args);
    builder = match proof {
        Some(Proof::Secret(secret)) => builder.client_secret(secret),
        Some(Proof::Assertion(file)) => builder.client_assertion(file),
        Some(Proof::Other(proof)) => builder.client_authentication(proof),
        None => builder,
    };
    Ok(Arc::new(builder.build_with(platform)?))
}

pub(super) fn authorization_code(args: &TokenArgs, platform: &Platform) -> Result<Arc<dyn TokenCredential>> {
    let mut settings = Settings::new(platform.env().as_ref());
    let (tenant, client) = application(&mut settings, args)?;
    let code = settings.file("code-file", args.proof.code_file.as_deref(), CODE_FILE)?;
    let redirect_uri = settings.text("redirect-uri", args.proof.redirect_uri.as_deref(), &[REDIRECT_URI])?;
    let verifier = settings.optional_file("code-verifier-file", args.proof.code_verifier_file.as_deref())?;
    let proof = proof(&mut settings, args, platform)?;
    settings.done("authorization-code")?;
    let builder = AuthorizationCodeCredential::builder(tenant, client, code, redirect_uri);
    let mut builder = with_client_options!(builder, args);
    if let Some(verifier) = verifier {
        builder = builder.code_verifier(verifier);
    }
    builder = match proof {
        Some(Proof::Secret(secret)) => builder.client_secret(secret),
        Some(Proof::Assertion(file)) => builder.client_assertion(file),
        Some(Proof::Other(proof)) => builder.client_authentication(proof),
        // A public client.
        None => builder,
    };
    Ok(Arc::new(builder.build_with(platform)?))
}

#[expect(deprecated, reason = "whoever asks for it is told in the help")]
pub(super) fn username_password(args: &TokenArgs, platform: &Platform) -> Result<Arc<dyn TokenCredential>> {
    let mut settings = Settings::new(platform.env().as_ref());
    let client = settings.text("client-id", args.app.client_id.as_deref(), &[CLIENT_ID])?;
    let username = settings.text("username", args.proof.username.as_deref(), &[USERNAME])?;
    let password = settings.secret("password-file", args.proof.password_file.as_deref(), PASSWORD)?;
    // Without one, any organisation's.
    let tenant = match &args.app.tenant_id {
        Some(tenant) => Some(tenant.clone()),
        None => settings.variable(&[TENANT_ID])?,
    };
    settings.done("username-password")?;
    let mut builder = with_client_options!(UsernamePasswordCredential::builder(client, username, password), args);
    if let Some(tenant) = tenant {
        builder = builder.tenant_id(tenant);
    }
    Ok(Arc::new(builder.build_with(platform)?))
}

// No SDK has variables for these; the emulator sets them.
const USER_ASSERTION_FILE: &str = "IDENTITY_USER_ASSERTION_FILE";
const CODE_FILE: &str = "IDENTITY_CODE_FILE";
const REDIRECT_URI: &str = "IDENTITY_REDIRECT_URI";
const USERNAME: &str = "AZURE_USERNAME";
const PASSWORD: &str = "AZURE_PASSWORD";

/// How the application proves who it is.
enum Proof {
    Secret(Secret),
    Assertion(AssertionFile),
    Other(Arc<dyn ClientAuthentication>),
}

/// What an option says, else what a variable says: a certificate, an assertion, a secret.
fn proof(settings: &mut Settings<'_>, args: &TokenArgs, platform: &Platform) -> Result<Option<Proof>> {
    let proof = &args.proof;
    if let Some(path) = &proof.assertion_file {
        return Ok(Some(Proof::Assertion(AssertionFile { path: path.clone(), platform: platform.clone() })));
    }
    let by_secret = proof.client_secret_file.is_some();
    let path = match &proof.certificate_path {
        Some(path) => Some(path.clone()),
        None if by_secret => None,
        None => settings.variable(&[CERTIFICATE_PATH])?.map(Into::into),
    };
    let Some(path) = path else {
        let secret =
            settings.optional_secret("client-secret-file", proof.client_secret_file.as_deref(), CLIENT_SECRET)?;
        return Ok(secret.map(Proof::Secret));
    };
    let mut builder = ClientCertificate::builder().certificate_path(path);
    let file = proof.certificate_password_file.as_deref();
    if let Some(password) = settings.optional_secret("certificate-password-file", file, CERTIFICATE_PASSWORD)? {
        builder = builder.password(password);
    }
    if proof.send_certificate_chain || settings.is_on(SEND_CERTIFICATE_CHAIN)? {
        builder = builder.send_certificate_chain();
    }
    Ok(Some(Proof::Other(Arc::new(builder.build_with(platform)?))))
}
