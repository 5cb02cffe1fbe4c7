use std::fs;

use identity_certificate::CertificateCredential;
use identity_confidential::ClientAssertionCredential;
use identity_core::{ErrorKind::AuthenticationFailed, Secret, text::base64url_decode};
use identity_emulator::{
    App, CERTIFICATE_CLIENT_ID, Emulator, FEDERATED_CLIENT_ID, KUBERNETES_SUBJECT, Source, TENANT_ID,
    TEST_CERTIFICATE_PEM, TEST_KEY_PEM, WEB_CLIENT_ID,
};
use rcgen::{CertificateParams, KeyPair};
use serde_json::{Value, json};

use crate::world::{STORAGE, VAULT, World};

fn header(world: &World) -> Value {
    let assertion = world.last(Source::Entra).form_value("client_assertion").unwrap();
    serde_json::from_slice(&assertion.split('.').next().and_then(base64url_decode).unwrap()).unwrap()
}

#[test]
fn a_certificate_gets_tokens_from_entra_and_from_ad_fs() {
    let world = World::new();
    let platform = world.platform(Source::Entra);
    let file = world.emulator.client_certificate_path();
    for (tenant, algorithm) in [(TENANT_ID, "PS256"), ("adfs", "RS256")] {
        let builder = CertificateCredential::builder(tenant, CERTIFICATE_CLIENT_ID).certificate_path(&file);
        let credential = builder.disable_instance_discovery().build_with(&platform).unwrap();
        for scope in [STORAGE, VAULT, STORAGE] {
            assert_eq!(world.claims(&credential, scope)["appid"], CERTIFICATE_CLIENT_ID);
        }
        assert_eq!(header(&world)["alg"], algorithm);
    }
    world.end(&[(Source::Entra, 4)]);
}

#[test]
fn a_certificate_of_another_application_is_refused() {
    let world = World::of(Emulator::builder().app(App::new(UNREGISTERED).secret("of no use here")));
    let data = [TEST_KEY_PEM, TEST_CERTIFICATE_PEM].concat();
    for (client, chain) in [(UNREGISTERED, false), (WEB_CLIENT_ID, true)] {
        let mut builder = CertificateCredential::builder(TENANT_ID, client).certificate_data(data.clone());
        if chain {
            builder = builder.send_certificate_chain();
        }
        let platform = world.platform(Source::Entra);
        let credential = builder.disable_instance_discovery().build_with(&platform).unwrap();
        world.refusal(&credential, AuthenticationFailed, 700_027);
        assert_eq!(header(&world)["x5c"].is_array(), chain);
    }
    let credential = CertificateCredential::builder(TENANT_ID, CERTIFICATE_CLIENT_ID).certificate_data(data);
    let credential = credential.disable_instance_discovery().build_with(&world.platform(Source::Entra)).unwrap();
    world.claims(&credential, STORAGE);
    world.end(&[(Source::Entra, 3)]);
}

#[test]
fn a_new_certificate_in_the_file_is_used_at_once() {
    let world = World::new();
    let file = world.folder().join("app.pem");
    // Of a key that ring can sign with: RSA, which only the emulator's own is here.
    fs::write(&file, [TEST_KEY_PEM, TEST_CERTIFICATE_PEM].concat()).unwrap();
    let again = {
        let key = KeyPair::from_pem(TEST_KEY_PEM).unwrap();
        CertificateParams::new(vec!["renewed".to_owned()]).unwrap().self_signed(&key).unwrap().pem()
    };
    world.emulator.put_app(App::new(RENEWED).certificate_pem(TEST_CERTIFICATE_PEM).certificate_pem(&again)).unwrap();
    let builder = CertificateCredential::builder(TENANT_ID, RENEWED).certificate_path(&file);
    let credential = builder.disable_instance_discovery().build_with(&world.platform(Source::Entra)).unwrap();
    world.claims(&credential, STORAGE);
    let first = header(&world);
    fs::write(&file, [TEST_KEY_PEM, &again].concat()).unwrap();
    world.claims(&credential, VAULT);
    let second = header(&world);
    assert!(first["x5t#S256"].is_string() && first["x5t#S256"] != second["x5t#S256"], "{first} {second}");
    world.end(&[(Source::Entra, 2)]);
}

#[test]
fn a_clock_that_is_wrong_costs_one_more_request() {
    let world = World::new();
    world.emulator.set_clock_skew_secs(3_600);
    let builder = CertificateCredential::builder(TENANT_ID, CERTIFICATE_CLIENT_ID);
    let builder = builder.certificate_path(world.emulator.client_certificate_path());
    let credential = builder.disable_instance_discovery().build_with(&world.platform(Source::Entra)).unwrap();
    world.claims(&credential, STORAGE);
    world.end(&[(Source::Entra, 2)]);
}

#[test]
fn an_assertion_that_the_program_gets_is_exchanged() {
    let world = World::new();
    let lifetime = std::time::Duration::from_secs(600);
    let given = |audience: &str| world.emulator.kubernetes_token(KUBERNETES_SUBJECT, audience, lifetime).unwrap();
    let exchange = |assertion: String| {
        let get = move || std::future::ready(Ok(Secret::new(assertion.as_str())));
        let builder = ClientAssertionCredential::builder(TENANT_ID, FEDERATED_CLIENT_ID, get);
        builder.disable_instance_discovery().build_with(&world.platform(Source::Entra)).unwrap()
    };
    let claims = world.claims(&exchange(given("api://AzureADTokenExchange")), STORAGE);
    assert_eq!((&claims["appid"], &claims["appidacr"]), (&json!(FEDERATED_CLIENT_ID), &json!("2")));
    world.refusal(&exchange(given("api://elsewhere")), AuthenticationFailed, 700_212);
    world.refusal(&exchange("e30.e30.c2ln".to_owned()), AuthenticationFailed, 50_027);
    world.end(&[(Source::Entra, 3)]);
}

const UNREGISTERED: &str = "7e57ab1e-0000-4000-8000-00000000ce11";
const RENEWED: &str = "7e57ab1e-0000-4000-8000-00000000ce12";
