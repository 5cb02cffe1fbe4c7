//! What is signed with OpenSSL's files is taken by a strict server, over TLS.

use identity_certificate::{CertificateCredential, CertificateCredentialBuilder};
use identity_core::{AccessToken, Result, TokenCredential as _};
use identity_emulator::{App, Emulator, TENANT_ID};
use identity_tokio::{Roots, TransportOptions};

use crate::support::*;

fn emulator(app: App) -> Emulator {
    Emulator::builder().app(app).start_in_background().unwrap()
}

fn token(
    emulator: &Emulator,
    set: impl Fn(CertificateCredentialBuilder) -> CertificateCredentialBuilder,
) -> Result<AccessToken> {
    let platform = TransportOptions::new().roots(Roots::None).ca_pem(emulator.ca_pem()).platform()?;
    let builder = CertificateCredential::builder(TENANT_ID, CLIENT).authority(emulator.authority());
    let credential = set(builder.disable_instance_discovery()).build_with(&platform)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(credential.get_token(&["https://storage.azure.com/.default"], None))
}

#[test]
fn an_application_known_by_its_certificate_gets_a_token() {
    let Some(shop) = Workshop::open() else { return };
    let certificate = String::from_utf8(shop.read("cert.pem")).unwrap();
    let emulator = emulator(App::new(CLIENT).certificate_pem(certificate));
    let path = shop.join(&["key.pem", "cert.pem"], "both.pem");
    token(&emulator, |builder| builder.certificate_path(&path)).unwrap();
    #[cfg(feature = "pkcs12")]
    {
        shop.run("pkcs12 -export -inkey key.pem -in cert.pem -passout pass:x -out store.pfx");
        token(&emulator, |builder| builder.certificate_path(shop.path("store.pfx")).password("x")).unwrap();
    }
    // Another certificate of the same key is another certificate.
    shop.run("req -x509 -new -key key.pem -subj /CN=other -days 9 -out other.pem");
    let path = shop.join(&["key.pem", "other.pem"], "both.pem");
    let error = token(&emulator, |builder| builder.certificate_path(&path)).unwrap_err();
    assert_eq!(error.kind(), identity_core::ErrorKind::AuthenticationFailed, "{error}");
}

#[test]
fn an_application_known_by_name_and_issuer_gets_a_token_if_the_chain_is_sent() {
    let Some(shop) = Workshop::open() else { return };
    shop.authority("root");
    shop.issue_authority("middle", "root");
    shop.issue("own", "middle");
    let root = String::from_utf8(shop.read("root.pem")).unwrap();
    let emulator = emulator(App::new(CLIENT).subject_name("own", root));
    let path = shop.join(&["root.pem", "middle.pem", "own.key", "own.pem"], "both.pem");
    token(&emulator, |builder| builder.certificate_path(&path).send_certificate_chain()).unwrap();
    let error = token(&emulator, |builder| builder.certificate_path(&path)).unwrap_err();
    assert_eq!(error.kind(), identity_core::ErrorKind::AuthenticationFailed, "{error}");
}
