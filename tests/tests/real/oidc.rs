//! A certified OpenID provider gives our credentials tokens, and refuses what it should: it checks our signatures.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use identity_certificate::CertificateCredential;
use identity_confidential::{ClientAssertionCredential, ClientSecretCredential};
use identity_core::{
    AccessToken, Error, ErrorKind, Platform, Secret, TokenCredential, TokenRequestOptions, text::base64url_decode,
};
use identity_tests::{Variables, find_secret, shown};
use identity_tokio::{Roots, TransportOptions};
use serde_json::{Value, json};

use crate::{
    installed::{folder, path, scripts},
    pki::{self, Application, PASSWORD},
    process::Process,
};

// As in oidc.mjs.
pub(crate) const TENANT: &str = "0dc00000-0000-4000-8000-000000000001";
pub(crate) const SECRET_CLIENT: &str = "0dc00000-0000-4000-8000-0000000000a1";
pub(crate) const SECRET: &str = "secret of a client / of oidc-provider+";
pub(crate) const CERTIFICATE_CLIENT: &str = "0dc00000-0000-4000-8000-0000000000a2";
pub(crate) const ASSERTION_CLIENT: &str = "0dc00000-0000-4000-8000-0000000000a3";

pub(crate) const ADFS: &str = "adfs";
pub(crate) const RESOURCE: &str = "https://storage.azure.com";

#[test]
#[ignore = "needs installed components: cargo xtask real"]
fn client_secrets_satisfy_a_certified_provider() {
    let Some(mut provider) = Provider::start("oidc-secret") else { return };
    for tenant in [TENANT, ADFS] {
        provider.gives(tenant, SECRET_CLIENT, &provider.secret(tenant, SECRET_CLIENT, SECRET));
    }
    provider.refuses(
        &provider.secret(TENANT, SECRET_CLIENT, "wrong secret"),
        "invalid_client",
        "invalid secret provided",
    );
    provider.refuses(&provider.secret(TENANT, "unknown", SECRET), "invalid_client", "client not found");
    // A certificate's client has no secret.
    let mechanism = "the provided authentication mechanism does not match";
    provider.refuses(&provider.secret(TENANT, CERTIFICATE_CLIENT, SECRET), "invalid_client", mechanism);
    provider.saw(5);
}

#[test]
#[ignore = "needs installed components: cargo xtask real"]
fn certificates_satisfy_a_certified_provider() {
    let Some(mut provider) = Provider::start("oidc-certificate") else { return };
    let files = [&provider.app.pem, &provider.app.encrypted_pem, &provider.app.pfx].map(Clone::clone);
    // Entra ID gets PS256 and the certificate's SHA-256, AD FS gets RS256 and SHA-1: the provider insists.
    for (tenant, algorithm) in [(TENANT, "PS256"), (ADFS, "RS256")] {
        let cases = files.iter().flat_map(|file| [(file, false, 0), (file, true, 2)]);
        for (file, sends_chain, certificates) in cases {
            let credential = provider.certificate(tenant, file, sends_chain);
            let seen = provider.gives(tenant, CERTIFICATE_CLIENT, &credential);
            assert_eq!((&seen["alg"], &seen["certificates"]), (&json!(algorithm), &json!(certificates)), "{seen}");
            let left = seen["lives"].as_u64();
            assert!(left.is_some_and(|seconds| (570..=600).contains(&seconds)), "ten minutes: {seen}");
        }
    }
    let other = Application::make(&provider.folder, "other").pem;
    for tenant in [TENANT, ADFS] {
        // The package keeps to itself what is wrong with a signature.
        provider.refuses(&provider.certificate(tenant, &other, false), "invalid_client", "");
    }
    provider.saw(14);
}

#[test]
#[ignore = "needs installed components: cargo xtask real"]
fn assertions_of_programs_satisfy_a_certified_provider() {
    let Some(mut provider) = Provider::start("oidc-assertion") else { return };
    let signer = Arc::clone(&provider.signer);
    let audience = format!("{}/{TENANT}/oauth2/v2.0/token", provider.origin);
    let claims = move |lifetime: i64, audience: &str| {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap();
        let jti = format!("assertion {}", NEXT.fetch_add(1, Ordering::Relaxed));
        let (iss, nbf) = (ASSERTION_CLIENT, now - 600);
        json!({"aud": audience, "iss": iss, "sub": iss, "jti": jti, "iat": nbf, "nbf": nbf, "exp": now + lifetime})
    };

    let good = signer.signed(&claims(300, &audience));
    provider.gives(TENANT, ASSERTION_CLIENT, &provider.assertion(&good));
    provider.refuses(&provider.assertion(&good), "invalid_client", "must only be used once");
    let expired = signer.signed(&claims(-60, &audience));
    provider.refuses(&provider.assertion(&expired), "invalid_client", "");
    let elsewhere = signer.signed(&claims(300, "https://login.microsoftonline.com/common/oauth2/v2.0/token"));
    provider.refuses(&provider.assertion(&elsewhere), "invalid_client", "audience (aud) must equal");
    let forged = provider.app.signed(&claims(300, &audience));
    provider.refuses(&provider.assertion(&forged), "invalid_client", "");
    provider.saw(5);
}

/// The package `oidc-provider`, by `real/js/oidc.mjs`.
pub(crate) struct Provider {
    process: Process,
    pub(crate) origin: String,
    pub(crate) platform: Platform,
    folder: PathBuf,
    /// What the provider itself signs with.
    pub(crate) own: Application,
    /// What [`CERTIFICATE_CLIENT`] has.
    pub(crate) app: Application,
    /// What [`ASSERTION_CLIENT`] has.
    pub(crate) signer: Arc<Application>,
    /// How many token requests it told of.
    told: usize,
}

impl Provider {
    pub(crate) fn start(name: &str) -> Option<Self> {
        let modules = path("REAL_NODE_MODULES", "oidc-provider")?;
        let folder = folder(name);
        pki::server(&folder);
        let own = Application::make(&folder, "provider");
        let app = Application::make(&folder, "app");
        let signer = Application::make(&folder, "signer");
        fs::write(folder.join("assertions.pem"), signer.public_key()).unwrap();
        let mut command = Command::new("node");
        command.arg(scripts().join("js/oidc.mjs")).arg(&folder);
        let mut process = Process::start(command.current_dir(modules.parent().expect("it lies in a project")));
        let first: Value = serde_json::from_str(&process.line()).unwrap();
        let origin = first["origin"].as_str().unwrap().to_owned();
        let ca = fs::read_to_string(folder.join("ca.pem")).unwrap();
        let options = TransportOptions::new().roots(Roots::None).ca_pem(ca).no_proxy();
        let platform = options.platform().unwrap().with_env(Arc::new(Variables::new([])));
        Some(Self { process, origin, platform, folder, own, app, signer: Arc::new(signer), told: 0 })
    }

    pub(crate) fn secret(&self, tenant: &str, client_id: &str, secret: &str) -> ClientSecretCredential {
        let builder = ClientSecretCredential::builder(tenant, client_id, secret);
        builder.authority(&self.origin).disable_instance_discovery().build_with(&self.platform).unwrap()
    }

    fn certificate(&self, tenant: &str, file: &Path, sends_chain: bool) -> CertificateCredential {
        let mut builder = CertificateCredential::builder(tenant, CERTIFICATE_CLIENT);
        builder = builder.certificate_path(file).password(PASSWORD);
        if sends_chain {
            builder = builder.send_certificate_chain();
        }
        builder.authority(&self.origin).disable_instance_discovery().build_with(&self.platform).unwrap()
    }

    fn assertion(&self, assertion: &str) -> ClientAssertionCredential {
        let assertion = Secret::new(assertion);
        let get = move || std::future::ready(Ok(assertion.clone()));
        let builder = ClientAssertionCredential::builder(TENANT, ASSERTION_CLIENT, get);
        builder.authority(&self.origin).disable_instance_discovery().build_with(&self.platform).unwrap()
    }

    /// Gets a token, which must be one for that client; what the provider tells of the request.
    fn gives(&mut self, tenant: &str, client_id: &str, credential: &dyn TokenCredential) -> Value {
        let token = get(credential).unwrap_or_else(|error| panic!("{client_id} at {tenant}: {}", shown(&error)));
        let seen = self.seen();
        assert_eq!((&seen["outcome"], &seen["client_id"]), (&json!("token"), &json!(client_id)), "{seen}");
        let claims = self.claims(tenant, &token);
        assert_eq!((&claims["aud"], &claims["client_id"]), (&json!(RESOURCE), &json!(client_id)));
        seen
    }

    /// What a token of the provider says; that it lives as long as the credential believes.
    pub(crate) fn claims(&self, tenant: &str, token: &AccessToken) -> Value {
        let claims = part(token.secret(), 1);
        assert_eq!(claims["iss"], self.issuer(tenant));
        let exp = Duration::from_secs(claims["exp"].as_u64().unwrap());
        let expires_on = token.expires_on().duration_since(UNIX_EPOCH).unwrap();
        assert!(exp.abs_diff(expires_on) < Duration::from_secs(5), "{exp:?} {expires_on:?}");
        claims
    }

    pub(crate) fn issuer(&self, tenant: &str) -> String {
        let path = if tenant == ADFS { "/adfs".to_owned() } else { format!("/{tenant}/v2.0") };
        self.origin.clone() + &path
    }

    /// Asks for a token, which must be refused with that error, for the reason that the provider keeps to itself.
    fn refuses(&mut self, credential: &dyn TokenCredential, error: &str, detail: &str) {
        let refusal = get(credential).expect_err("it is refused");
        let text = shown(&refusal);
        assert_eq!((refusal.kind(), refusal.http_status()), (ErrorKind::AuthenticationFailed, Some(401)), "{text}");
        assert!(refusal.to_string().contains("client authentication failed"), "the provider's own words: {text}");
        assert_eq!(find_secret(&text, [SECRET, "wrong secret"]), None, "{text}");
        let seen = self.seen();
        let told = seen["detail"].as_str().unwrap_or_default();
        assert!(seen["outcome"] == error && told.contains(detail), "{seen}, expected {error}: {detail}");
    }

    /// What the provider tells of the next request.
    pub(crate) fn seen(&mut self) -> Value {
        self.told += 1;
        serde_json::from_str(&self.process.line()).unwrap()
    }

    /// So that no case goes without being noticed, and no request was sent twice.
    pub(crate) fn saw(mut self, requests: usize) {
        assert_eq!(self.told, requests, "token requests");
        let _ = get(&self.secret(TENANT, SECRET_CLIENT, SECRET)).unwrap();
        assert_eq!(self.seen()["outcome"], "token", "the next request is the next one it tells of");
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn get(credential: &dyn TokenCredential) -> Result<AccessToken, Error> {
    ask(credential, RESOURCE, None)
}

/// Asks for a token; one with claims does not come from memory.
pub(crate) fn ask(
    credential: &dyn TokenCredential,
    resource: &str,
    claims: Option<&str>,
) -> Result<AccessToken, Error> {
    let options = claims.map(|claims| TokenRequestOptions::new().with_claims(claims));
    wait(credential.get_token(&[&format!("{resource}/.default")], options.as_ref()))
}

pub(crate) fn wait<F: IntoFuture>(work: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(work.into_future())
}

/// The header of a JSON Web Token, or its claims: the part of that number.
pub(crate) fn part(token: &str, number: usize) -> Value {
    let part = token.split('.').nth(number).and_then(base64url_decode).unwrap();
    serde_json::from_slice(&part).unwrap()
}
