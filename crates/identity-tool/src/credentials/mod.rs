//! From options to a credential.

use std::{path::PathBuf, sync::Arc};

use identity::{
    Assertion, AssertionRequest, BoxFuture, ChainedTokenCredential, ClientAssertionCredential, ClientSecretCredential,
    Error, ErrorKind, Links, ManagedIdentityCredential, Platform, Result, Secret, TokenAssertion, TokenCredential,
};
use identity_certificate::CertificateCredential;

use crate::cli::{Credential, TokenArgs};

mod settings;

use self::settings::Settings;
pub(crate) use self::settings::is_incomplete;

/// A credential, as the options say.
pub(crate) struct Built {
    pub(crate) credential: Arc<dyn TokenCredential>,
    /// Which source the managed identity that is asked would come from; `None` if none is asked.
    pub(crate) source: Option<&'static str>,
}

/// Makes the credential. Reads files and variables, touches no network.
///
/// # Errors
///
/// `InvalidArgument` for what is missing or malformed; as the builders.
pub(crate) fn build(args: &TokenArgs, platform: &Platform) -> Result<Built> {
    let credential: Arc<dyn TokenCredential> = match args.credential {
        Credential::Default | Credential::ManagedIdentity => return managed(args, platform),
        Credential::ClientSecret => client_secret(args, platform)?,
        Credential::Certificate => certificate(args, platform)?,
        Credential::ClientAssertion => return client_assertion(args, platform),
    };
    Ok(Built { credential, source: None })
}

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

fn managed(args: &TokenArgs, platform: &Platform) -> Result<Built> {
    let mut builder = ManagedIdentityCredential::builder();
    if let Some(id) = &args.app.client_id {
        builder = builder.client_id(id);
    }
    if let Some(id) = &args.app.object_id {
        builder = builder.object_id(id);
    }
    if let Some(id) = &args.app.resource_id {
        builder = builder.resource_id(id);
    }
    if args.app.allow_remote_endpoint {
        builder = builder.allow_remote_endpoint();
    }
    if let Some(duration) = args.request.failure_memory {
        builder = builder.failure_memory(duration);
    }
    let managed = builder.build_with(platform)?;
    let source = Some(managed.source());
    let credential: Arc<dyn TokenCredential> = match args.credential {
        Credential::Default => Arc::new(ChainedTokenCredential::new(vec![Arc::new(managed)])?),
        _ => Arc::new(managed),
    };
    Ok(Built { credential, source })
}

fn client_secret(args: &TokenArgs, platform: &Platform) -> Result<Arc<dyn TokenCredential>> {
    let mut settings = Settings::new(platform.env().as_ref());
    let (tenant, client) = application(&mut settings, args)?;
    let secret = settings.secret("client-secret-file", args.proof.client_secret_file.as_deref(), CLIENT_SECRET)?;
    settings.done("client-secret")?;
    let builder = with_client_options!(ClientSecretCredential::builder(tenant, client, secret), args);
    Ok(Arc::new(builder.build_with(platform)?))
}

fn certificate(args: &TokenArgs, platform: &Platform) -> Result<Arc<dyn TokenCredential>> {
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

fn client_assertion(args: &TokenArgs, platform: &Platform) -> Result<Built> {
    let mut settings = Settings::new(platform.env().as_ref());
    let (tenant, client) = application(&mut settings, args)?;
    let name = "client-assertion";
    let (builder, source) = if args.proof.assertion_from.is_some() {
        settings.done(name)?;
        let (assertion, source) = managed_assertion(args, platform)?;
        (ClientAssertionCredential::builder(tenant, client, assertion), Some(source))
    } else {
        let path = settings.path(ASSERTION_FILE, args.proof.assertion_file.as_deref(), &[FEDERATED_TOKEN_FILE])?;
        settings.done(&format!("{name}, without --assertion-from,"))?;
        let assertion = AssertionFile { path, platform: platform.clone() };
        (ClientAssertionCredential::builder(tenant, client, assertion), None)
    };
    let credential = with_client_options!(builder, args).build_with(platform)?;
    Ok(Built { credential: Arc::new(credential), source })
}

/// The managed identity whose tokens are assertions, and its source.
fn managed_assertion(args: &TokenArgs, platform: &Platform) -> Result<(TokenAssertion, &'static str)> {
    let mut builder = ManagedIdentityCredential::builder();
    if let Some(id) = &args.proof.assertion_client_id {
        builder = builder.client_id(id);
    }
    if let Some(id) = &args.proof.assertion_object_id {
        builder = builder.object_id(id);
    }
    if let Some(id) = &args.proof.assertion_resource_id {
        builder = builder.resource_id(id);
    }
    if args.app.allow_remote_endpoint {
        builder = builder.allow_remote_endpoint();
    }
    let managed = builder.build_with(platform)?;
    let source = managed.source();
    let assertion = TokenAssertion::new(Arc::new(managed));
    Ok(match &args.proof.assertion_scope {
        Some(scope) => (assertion.scope(scope), source),
        None => (assertion, source),
    })
}

/// Tenant and client id of an application.
fn application(settings: &mut Settings<'_>, args: &TokenArgs) -> Result<(String, String)> {
    let tenant = settings.text("tenant-id", args.app.tenant_id.as_deref(), &[TENANT_ID])?;
    let client = settings.text("client-id", args.app.client_id.as_deref(), &[CLIENT_ID])?;
    Ok((tenant, client))
}

/// Reads the assertion from a file for each exchange, for whoever writes it writes it anew.
struct AssertionFile {
    path: PathBuf,
    platform: Platform,
}

impl Assertion for AssertionFile {
    fn assertion<'a>(&'a self, _: &'a AssertionRequest<'a>) -> BoxFuture<'a, Result<Secret>> {
        Box::pin(async move {
            let invalid = |what: &str| {
                let message = format!("the assertion file {}: {what}", self.path.display());
                Error::new(ErrorKind::InvalidArgument, message)
            };
            let bytes = self.platform.env().read(&self.path, LARGEST, Links::Follow);
            let bytes = bytes.map_err(|error| invalid("it cannot be read").with_source(error))?;
            let text = str::from_utf8(&bytes).map_err(|_| invalid("it is not UTF-8 text"))?.trim_ascii();
            if text.is_empty() {
                return Err(invalid("it is empty; expected a JSON Web Token"));
            }
            Ok(Secret::new(text))
        })
    }
}

/// The most that is read of an assertion file, in bytes. Source: our choice; tokens have some thousand.
const LARGEST: usize = 64 * 1024;

const ASSERTION_FILE: &str = "assertion-file";

const TENANT_ID: &str = "AZURE_TENANT_ID";
const CLIENT_ID: &str = "AZURE_CLIENT_ID";
const CLIENT_SECRET: &str = "AZURE_CLIENT_SECRET";
const CERTIFICATE_PATH: &str = "AZURE_CLIENT_CERTIFICATE_PATH";
const CERTIFICATE_PASSWORD: &str = "AZURE_CLIENT_CERTIFICATE_PASSWORD";
const SEND_CERTIFICATE_CHAIN: &str = "AZURE_CLIENT_SEND_CERTIFICATE_CHAIN";
const FEDERATED_TOKEN_FILE: &str = "AZURE_FEDERATED_TOKEN_FILE";
