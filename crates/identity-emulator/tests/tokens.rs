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

use common::{assertion_fields, builder, control, decode_base64_url, document, imds, token, variable};
use identity_emulator::{FEDERATED_CLIENT_ID, SYSTEM_CLIENT_ID, SYSTEM_OBJECT_ID, Source, TENANT_ID};
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use serde_json::Value;

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

    let header: Value = serde_json::from_slice(&decode_base64_url(token.split('.').next().unwrap())).unwrap();
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
    assert_eq!(decode_base64_url(claims["uti"].as_str().unwrap()).len(), 16);
}

#[test]
fn the_key_that_signs_can_be_rolled_over() {
    let emulator = builder().start_in_background().unwrap();
    let path = variable(&emulator, Source::WorkloadIdentity, "AZURE_FEDERATED_TOKEN_FILE");
    let written = || std::fs::read_to_string(&path).unwrap();
    let of = |token: &str| -> Value {
        serde_json::from_slice(&decode_base64_url(token.split('.').next().unwrap())).unwrap()
    };
    let kid = |token: &str| of(token)["kid"].as_str().unwrap().to_owned();
    let key_set = || {
        let keys = document(&emulator, &format!("/{TENANT_ID}/discovery/v2.0/keys")).json();
        let at_control = control(&emulator, "GET", &format!("/{TENANT_ID}/discovery/keys"), "").json();
        let ids = |keys: &Value| -> Vec<String> {
            keys["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(ids(&keys), ids(&at_control));
        (ids(&keys), keys)
    };
    let exchange =
        |assertion: &str| token(&emulator, TENANT_ID, &assertion_fields(FEDERATED_CLIENT_ID, assertion)).status;
    let (old, first) = (written(), key_set().0);
    assert_eq!(first, [kid(&old)]);
    assert_eq!(control(&emulator, "POST", "/__emulator/rotate", r#"{"what":"signing-key"}"#).status, 204);
    let new = written();
    let (both, keys) = key_set();
    assert_eq!(both, [kid(&new), kid(&old)]);
    assert_eq!((exchange(&old), exchange(&new)), (200, 200));
    let issued = imds(&emulator).json()["access_token"].as_str().unwrap().to_owned();
    let (signed, signature) = issued.rsplit_once('.').unwrap();
    let part = |name: &str| decode_base64_url(keys["keys"][0][name].as_str().unwrap());
    let public = RsaPublicKeyComponents { n: part("n"), e: part("e") };
    public.verify(&RSA_PKCS1_2048_8192_SHA256, signed.as_bytes(), &decode_base64_url(signature)).unwrap();
    // A day later the old one is gone.
    emulator.set_clock_skew_secs(86_401);
    assert_eq!(key_set().0, [kid(&new)]);
    assert_eq!(exchange(&old), 401);
    emulator.set_clock_skew_secs(0);
    emulator.roll_signing_key().unwrap();
    assert_eq!(key_set().0, [kid(&old), kid(&new)], "there are two");
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
