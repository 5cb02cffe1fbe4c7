//! What is signed is taken by a strict server, over TLS.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a test ends when it is not so, and runs against a real server"
)]

use identity_certificate::CertificateCredential;
use identity_core::TokenCredential as _;
use identity_emulator::{CERTIFICATE_CLIENT_ID, Emulator, TENANT_ID, TEST_CERTIFICATE_PEM, TEST_KEY_PEM};
use identity_tokio::{Roots, TransportOptions};

#[test]
fn a_token_is_given_for_a_certificate() {
    let emulator = Emulator::builder().start_in_background().unwrap();
    let platform = TransportOptions::new().roots(Roots::None).ca_pem(emulator.ca_pem()).platform().unwrap();
    let credential = CertificateCredential::builder(TENANT_ID, CERTIFICATE_CLIENT_ID)
        .certificate_data([TEST_KEY_PEM, TEST_CERTIFICATE_PEM].concat())
        .authority(emulator.authority())
        .disable_instance_discovery()
        .build_with(&platform)
        .unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for resource in ["https://storage.azure.com/.default", "https://vault.azure.net/.default"] {
        let token = runtime.block_on(credential.get_token(&[resource], None)).unwrap();
        assert!(!token.secret().is_empty());
    }
    assert_eq!(emulator.requests().len(), 2);
}
