use identity_confidential::{ClientSecretCredential, ClientSecretCredentialBuilder};
use identity_core::{
    ErrorKind::{AuthenticationFailed, InvalidArgument, Transport},
    TokenRequestOptions,
};
use identity_emulator::{
    Answer, DISABLED_CLIENT_ID, EXPIRED_CLIENT_ID, EXPIRED_CLIENT_SECRET, OTHER_TENANT_ID, ServerCertificate, Source,
    TENANT_DOMAIN, TENANT_ID, WEB_CLIENT_ID, WEB_CLIENT_SECRET,
};
use identity_tokio::{Roots, TransportOptions};
use serde_json::{Value, json};

use crate::world::{STORAGE, VAULT, World};

const UNKNOWN: &str = "7e57ab1e-0000-4000-8000-00000000dead";

fn secret(tenant: &str, client: &str, secret: &str) -> ClientSecretCredentialBuilder {
    ClientSecretCredential::builder(tenant, client, secret).disable_instance_discovery()
}

#[test]
fn a_client_secret_gets_tokens_that_are_remembered() {
    let world = World::new();
    let platform = world.platform(Source::Entra);
    let credential = secret(TENANT_ID, WEB_CLIENT_ID, WEB_CLIENT_SECRET).build_with(&platform).unwrap();
    for scope in [STORAGE, VAULT, STORAGE, VAULT] {
        let claims = world.claims(&credential.clone(), scope);
        assert_eq!((&claims["appid"], &claims["tid"]), (&json!(WEB_CLIENT_ID), &json!(TENANT_ID)));
    }
    assert_eq!(world.emulator.connections(Source::Entra).accepted, 1, "the connection is kept");
    let by_domain = secret(TENANT_DOMAIN, WEB_CLIENT_ID, WEB_CLIENT_SECRET).build_with(&platform).unwrap();
    assert_eq!(world.claims(&by_domain, STORAGE)["tid"], TENANT_ID);
    world.end(&[(Source::Entra, 3)]);
}

#[test]
fn another_tenant_cae_and_claims_are_asked_for_each_on_its_own() {
    let world = World::new();
    let platform = world.platform(Source::Entra);
    let builder = secret(TENANT_ID, WEB_CLIENT_ID, WEB_CLIENT_SECRET);
    let credential = builder.clone().additionally_allowed_tenants(["*"]).build_with(&platform).unwrap();
    assert_eq!(world.claims(&credential, STORAGE)["xms_cc"], Value::Null);
    for _ in 0..2 {
        let other = world.claims_with(&credential, TokenRequestOptions::new().with_tenant_id(OTHER_TENANT_ID));
        assert_eq!(other["tid"], OTHER_TENANT_ID);
        let cae = world.claims_with(&credential, TokenRequestOptions::new().enable_cae());
        assert_eq!(cae["xms_cc"], json!(["CP1"]));
    }
    assert_eq!(world.count(Source::Entra), 3);
    // What a resource sends when it has had enough of a token.
    let claims = r#"{"access_token":{"nbf":{"essential":true,"value":"1600000000"}}}"#;
    for _ in 0..2 {
        world.claims_with(&credential, TokenRequestOptions::new().with_claims(claims));
    }
    let asked = world.last(Source::Entra).form_value("claims").unwrap();
    assert_eq!(serde_json::from_str::<Value>(&asked).unwrap()["access_token"]["nbf"]["value"], "1600000000");
    assert_eq!(world.count(Source::Entra), 5, "tokens for a challenge are asked for each time");

    let strict = builder.build_with(&platform).unwrap();
    let other = TokenRequestOptions::new().with_tenant_id(OTHER_TENANT_ID);
    world.refusal_of(&strict, STORAGE, Some(&other), InvalidArgument, 0);
    world.end(&[(Source::Entra, 5)]);
}

#[test]
fn refusals_come_with_their_code() {
    let world = World::new();
    let platform = world.platform(Source::Entra);
    for (tenant, client, value, code) in [
        (TENANT_ID, WEB_CLIENT_ID, "wrong secret", 7_000_215),
        (TENANT_ID, EXPIRED_CLIENT_ID, EXPIRED_CLIENT_SECRET, 7_000_222),
        (TENANT_ID, DISABLED_CLIENT_ID, WEB_CLIENT_SECRET, 7_000_112),
        (TENANT_ID, UNKNOWN, WEB_CLIENT_SECRET, 700_016),
        (UNKNOWN, WEB_CLIENT_ID, WEB_CLIENT_SECRET, 90_002),
    ] {
        let credential = secret(tenant, client, value).build_with(&platform).unwrap();
        let error = world.refusal(&credential, AuthenticationFailed, code);
        let request = world.last(Source::Entra);
        assert_eq!(error.correlation_id(), request.header("client-request-id"), "{error}");
        assert_eq!(error.trace_id(), Some(request.trace_id()), "{error}");
    }
    let credential = secret(TENANT_ID, WEB_CLIENT_ID, WEB_CLIENT_SECRET).build_with(&platform).unwrap();
    let unknown = "https://unknown.example/.default";
    world.refusal_of(&credential, unknown, None, AuthenticationFailed, 500_011);
    world.claims(&credential, STORAGE);
    world.end(&[(Source::Entra, 7)]);
}

#[test]
fn trouble_of_the_service_is_waited_out() {
    let world = World::new();
    let platform = world.platform(Source::Entra);
    let credential = secret(TENANT_ID, WEB_CLIENT_ID, WEB_CLIENT_SECRET).build_with(&platform).unwrap();
    let faults = world.emulator.faults();
    faults.next(Source::Entra, Answer::status(503));
    faults.next(Source::Entra, Answer::status(429).with_header("retry-after", "1"));
    world.claims(&credential, STORAGE);
    world.end(&[(Source::Entra, 3)]);
}

#[test]
fn a_server_that_proves_nothing_gets_nothing_and_costs_no_token_that_is_remembered() {
    let world = World::new();
    // Without kept connections, which would not look at the certificate again.
    let options = TransportOptions::new().roots(Roots::None).ca_pem(world.emulator.ca_pem()).no_proxy();
    let platform = options.max_idle_per_host(0).platform().unwrap();
    let platform = platform.with_env(world.platform(Source::Entra).env().clone());
    let build = || secret(TENANT_ID, WEB_CLIENT_ID, WEB_CLIENT_SECRET).build_with(&platform).unwrap();
    let accepted = || world.emulator.connections(Source::Entra).accepted;
    let mut requests = 0;
    for (certificate, words) in [
        (ServerCertificate::Expired, &["has expired", "local clock is ahead"][..]),
        (ServerCertificate::NotYetValid, &["is not valid yet", "local clock is behind"]),
        (ServerCertificate::OtherName, &["is for another name than", "other.emulator.example"]),
        (ServerCertificate::SelfSigned, &["comes from an unknown issuer", "CA file"]),
    ] {
        let credential = build();
        world.claims(&credential, STORAGE);
        world.emulator.show_certificate(certificate).unwrap();
        let before = accepted();
        let error = world.refusal_of(&credential, VAULT, None, Transport, 0);
        let text = error.to_string();
        assert!(words.iter().all(|word| text.contains(word)) && text.contains("localhost"), "{certificate:?}: {text}");
        assert_eq!(error.http_status(), None, "{text}");
        // What is remembered needs no connection.
        for _ in 0..2 {
            world.claims(&credential, STORAGE);
        }
        assert_eq!(accepted() - before, 1, "{certificate:?}: {text}");
        world.emulator.show_certificate(ServerCertificate::Good).unwrap();
        world.claims(&build(), VAULT);
        requests += 2;
        assert_eq!(world.count(Source::Entra), requests, "{certificate:?}");
    }
    world.end(&[(Source::Entra, requests)]);
}
