//! Tokens are what a managed identity gets from Entra, and the published key set verifies them.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test says so by failing"
)]

mod common;

use std::time::SystemTime;

use common::{builder, control, decode_base64_url, imds};
use identity_emulator::{SYSTEM_CLIENT_ID, SYSTEM_OBJECT_ID, TENANT_ID};
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};

#[test]
fn the_published_key_verifies_every_token() {
    let emulator = builder().start_in_background().unwrap();
    let discovery = control(&emulator, "GET", &format!("/{TENANT_ID}/.well-known/openid-configuration"), "").json();
    assert_eq!(discovery["jwks_uri"], emulator.keys_url());
    assert_eq!(discovery["issuer"], format!("https://sts.windows.net/{TENANT_ID}/"));
    let keys = control(&emulator, "GET", &format!("/{TENANT_ID}/discovery/v2.0/keys"), "").json();
    let key = &keys["keys"][0];
    let part = |name: &str| decode_base64_url(key[name].as_str().unwrap());
    let public = RsaPublicKeyComponents { n: part("n"), e: part("e") };

    let token = imds(&emulator).json()["access_token"].as_str().unwrap().to_owned();
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let signature = decode_base64_url(signature);
    public.verify(&RSA_PKCS1_2048_8192_SHA256, signed.as_bytes(), &signature).unwrap();
    let altered = signed.replacen('e', "f", 1);
    public.verify(&RSA_PKCS1_2048_8192_SHA256, altered.as_bytes(), &signature).unwrap_err();

    let header: serde_json::Value =
        serde_json::from_slice(&decode_base64_url(token.split('.').next().unwrap())).unwrap();
    assert_eq!(header["alg"], "RS256");
    assert_eq!(header["kid"], key["kid"]);
    assert_eq!(header["x5t"], key["x5t"]);
}

#[test]
fn claims_are_those_of_a_managed_identity() {
    let emulator = builder().start_in_background().unwrap();
    let first = imds(&emulator);
    let claims = first.claims();
    for (name, value) in [
        ("aud", "https://storage.azure.com/"),
        ("iss", &format!("https://sts.windows.net/{TENANT_ID}/")),
        ("idp", &format!("https://sts.windows.net/{TENANT_ID}/")),
        ("tid", TENANT_ID),
        ("appid", SYSTEM_CLIENT_ID),
        ("oid", SYSTEM_OBJECT_ID),
        ("sub", SYSTEM_OBJECT_ID),
        ("idtyp", "app"),
        ("ver", "1.0"),
    ] {
        assert_eq!(claims[name], value, "{name}");
    }
    assert!(claims["xms_mirid"].as_str().unwrap().starts_with("/subscriptions/"));
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let time = |name: &str| claims[name].as_u64().unwrap();
    assert!(time("nbf") == time("iat") && time("iat") + 295 < now, "{claims}");
    assert!(time("exp").abs_diff(now + 86_400) <= 5, "{claims}");
    assert_eq!(first.json()["expires_on"], time("exp").to_string());
    assert_ne!(imds(&emulator).claims()["uti"], claims["uti"]);
}

#[test]
fn tenant_and_lifetime_can_be_chosen() {
    let emulator = builder().tenant_id("contoso.example").lifetime_secs(600).start_in_background().unwrap();
    let answer = imds(&emulator);
    assert_eq!(answer.claims()["iss"], "https://sts.windows.net/contoso.example/");
    assert_eq!(answer.json()["expires_in"], "600");
    assert_eq!(control(&emulator, "GET", "/contoso.example/discovery/v2.0/keys", "").status, 200);
    assert_eq!(control(&emulator, "GET", &format!("/{TENANT_ID}/discovery/v2.0/keys"), "").status, 404);
}
