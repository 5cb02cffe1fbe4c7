//! Key files that OpenSSL makes are read, and what is signed with them is checked by OpenSSL.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a test ends when it is not so, and works with real files"
)]

#[cfg(feature = "pkcs12")]
mod crafted;
#[cfg(feature = "encrypted")]
mod encrypted;
mod hostile;
mod inputs;
#[cfg(feature = "pkcs12")]
mod pkcs12;
mod refused;
mod server;
mod support;

use std::time::Duration;

use identity_certificate::ClientCertificate;
use identity_core::Clock as _;

use support::*;

#[test]
fn keys_of_both_forms_sign_what_openssl_verifies() {
    let Some(shop) = Workshop::open() else { return };
    for order in
        [["key.pem", "cert.pem"], ["cert.pem", "key.pem"], ["pkcs1.pem", "cert.pem"], ["cert.pem", "pkcs1.pem"]]
    {
        let certificate = from_file(&shop.join(&order, "both.pem")).unwrap();
        for (tenant, algorithm, thumbprint, hash) in
            [("TENANT", "PS256", "x5t#S256", "sha256"), ("adfs", "RS256", "x5t", "sha1")]
        {
            let assertion = assertion(&certificate, tenant, now());
            assert!(shop.verifies(&assertion, "pub.pem"), "{order:?} {tenant}");
            let (header, claims) = decoded(&assertion);
            let printed = shop.run(&format!("x509 -in cert.pem -noout -fingerprint -{hash}"));
            let digits: String = printed.trim().split('=').nth(1).unwrap().replace(':', "").to_lowercase();
            let decoded = identity_core::text::base64url_decode(header[thumbprint].as_str().unwrap()).unwrap();
            assert_eq!(identity_core::text::hex(&decoded), digits);
            assert_eq!(header, serde_json::json!({"alg": algorithm, "typ": "JWT", thumbprint: header[thumbprint]}));
            assert_eq!(
                claims,
                serde_json::json!({
                    "aud": ENDPOINT, "iss": CLIENT, "sub": CLIENT, "jti": "00000000-0000-4000-8000-000000000000",
                    "iat": 1_800_000_000, "nbf": 1_799_999_700, "exp": 1_800_000_600,
                })
            );
        }
    }
}

#[test]
fn a_changed_assertion_does_not_verify() {
    let Some(shop) = Workshop::open() else { return };
    let certificate = from_file(&shop.join(&["key.pem", "cert.pem"], "both.pem")).unwrap();
    let assertion = assertion(&certificate, "TENANT", now());
    let (input, signature) = assertion.rsplit_once('.').unwrap();
    assert!(!shop.verifies(&format!("{input}A.{signature}"), "pub.pem"));
}

#[test]
fn a_chain_is_sent_in_its_order_and_what_is_not_of_it_comes_last() {
    let Some(shop) = Workshop::open() else { return };
    shop.authority("root");
    shop.issue_authority("middle", "root");
    shop.issue("own", "middle");
    let names = |names: &[&str]| names.iter().map(|name| shop.der(name)).collect::<Vec<_>>();
    for (order, expected) in [
        (&["own.key", "own.pem", "middle.pem", "root.pem"][..], &["own", "middle", "root"][..]),
        (&["root.pem", "middle.pem", "own.pem", "own.key"], &["own", "middle", "root"]),
        (&["middle.pem", "own.key", "root.pem", "own.pem"], &["own", "middle", "root"]),
        (&["cert.pem", "middle.pem", "own.pem", "own.key"], &["own", "middle", "cert"]),
        (&["root.pem", "cert.pem", "own.pem", "own.key"], &["own", "root", "cert"]),
        (&["own.pem", "own.key"], &["own"]),
    ] {
        let builder = ClientCertificate::builder().certificate_path(shop.join(order, "both.pem"));
        let (header, _) = decoded(&assertion(&build(builder.send_certificate_chain()).unwrap(), "TENANT", now()));
        assert_eq!(header["x5c"], serde_json::json!(names(expected)), "{order:?}");
    }
}

#[test]
fn of_two_certificates_for_one_key_the_one_that_is_valid_is_taken() {
    let Some(shop) = Workshop::open() else { return };
    shop.run("req -x509 -new -key key.pem -subj /CN=old -days 1 -out old.pem");
    let clock = clock();
    clock.advance(Duration::from_secs(2 * 86_400));
    let path = shop.join(&["old.pem", "key.pem", "cert.pem"], "both.pem");
    let builder = ClientCertificate::builder().certificate_path(&path).send_certificate_chain();
    let certificate = builder.build_with(&platform(&clock)).unwrap();
    let (header, _) = decoded(&assertion(&certificate, "TENANT", clock.now().wall));
    assert_eq!(header["x5c"][0], shop.der("cert").as_str());
    shop.join(&["old.pem", "key.pem"], "both.pem");
    let result = ClientCertificate::builder().certificate_path(&path).build_with(&platform(&clock));
    assert!(refusal(result).contains("expired 24 hours ago"));
}
