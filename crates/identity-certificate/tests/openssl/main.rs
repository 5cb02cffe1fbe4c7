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

#[cfg(feature = "encrypted")]
mod encrypted;
mod hostile;
#[cfg(feature = "pkcs12")]
mod pkcs12;
mod refused;
mod support;

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
