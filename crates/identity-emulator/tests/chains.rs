//! Certificates and their chains are trusted as far as they should be.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test says so by failing"
)]

mod common;

use common::{assertion_fields, builder, good_claims, jwt, refusal, rs256, token, with, x5c, x5t};
use identity_emulator::{App, CERTIFICATE_CLIENT_ID, Emulator, TENANT_ID, TEST_KEY_PEM};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, Issuer, KeyPair, PKCS_ECDSA_P384_SHA384,
};

/// What Entra says to an assertion that this certificate signs and that has this chain.
fn ask_with(emulator: &Emulator, leaf: &str, chain: &[&str]) -> (u16, u64) {
    let mut header = with(rs256(), "x5t", x5t(leaf).into());
    if !chain.is_empty() {
        header["x5c"] = x5c(chain);
    }
    let assertion = jwt(&header, &good_claims(emulator));
    refusal(&token(emulator, TENANT_ID, &assertion_fields(CERTIFICATE_CLIENT_ID, &assertion)))
}

/// An emulator that trusts certificates of that name and that CA.
fn trusting(common_name: &str, ca: &str) -> Emulator {
    let app = App::new(CERTIFICATE_CLIENT_ID).subject_name(common_name, ca);
    builder().app(app).start_in_background().unwrap()
}

/// A CA and a certificate of it for the public test key.
fn issued(common_name: &str, until: i32) -> (CertifiedIssuer<'static, KeyPair>, String) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "CA of a test");
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let leaf = leaf(common_name, until, &ca);
    (ca, leaf)
}

fn leaf(common_name: &str, until: i32, ca: &Issuer<'_, KeyPair>) -> String {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.not_after = rcgen::date_time_ymd(until, 1, 1);
    params.signed_by(&KeyPair::from_pem(TEST_KEY_PEM).unwrap(), ca).unwrap().pem()
}

#[test]
fn an_expired_certificate_signs_nothing() {
    let emulator = builder().start_in_background().unwrap();
    let (_, old) = issued("old", 2020);
    emulator.put_app(App::new(CERTIFICATE_CLIENT_ID).certificate_pem(old.clone())).unwrap();
    let assertion = jwt(&with(rs256(), "x5t", x5t(&old).into()), &good_claims(&emulator));
    let answer = token(&emulator, TENANT_ID, &assertion_fields(CERTIFICATE_CLIENT_ID, &assertion));
    assert_eq!(refusal(&answer), (401, 700_027));
    assert!(answer.text().contains("expired"), "{}", answer.text());
    emulator.put_app(App::new(CERTIFICATE_CLIENT_ID).certificate_pem("-----BEGIN x")).unwrap_err();
}

#[test]
fn a_new_certificate_of_the_same_name_is_accepted_with_its_chain() {
    let (ca, first) = issued("app.contoso.example", 2099);
    let emulator = builder()
        .app(App::new(CERTIFICATE_CLIENT_ID).subject_name("app.contoso.example", ca.pem()))
        .start_in_background()
        .unwrap();
    let ask = |leaf: &str, chain: &[&str]| ask_with(&emulator, leaf, chain);
    let second = leaf("app.contoso.example", 2099, &ca);
    for leaf in [&first, &second] {
        assert_eq!(ask(leaf, &[leaf]), (200, 0));
        assert_eq!(ask(leaf, &[leaf, &ca.pem()]), (200, 0));
        assert_eq!(ask(leaf, &[]), (401, 700_027), "no chain");
        assert_eq!(ask(leaf, &[leaf, leaf]), (401, 700_030), "a chain that does not hold");
    }
    let other_name = leaf("evil.example", 2099, &ca);
    assert_eq!(ask(&other_name, &[&other_name]), (401, 700_030));
    let (other_ca, other_issuer) = issued("app.contoso.example", 2099);
    assert_eq!(ask(&other_issuer, &[&other_issuer, &other_ca.pem()]), (401, 700_030));
    assert_eq!(ask(&first, &[&second]), (401, 700_027), "x5t and x5c differ");
    let expired = leaf("app.contoso.example", 2020, &ca);
    assert_eq!(ask(&expired, &[&expired]), (401, 700_027));
}

/// A certificate of that CA for a key of its own, which may sign others if `is_ca` says so.
fn intermediate(name: &str, is_ca: IsCa, ca: &Issuer<'_, KeyPair>) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = is_ca;
    params.distinguished_name.push(DnType::CommonName, name);
    CertifiedIssuer::signed_by(params, KeyPair::generate().unwrap(), ca).unwrap()
}

#[test]
fn only_a_ca_issues_certificates() {
    let (ca, _) = issued("app.contoso.example", 2099);
    let emulator = trusting("app.contoso.example", &ca.pem());
    let below = |is_ca: IsCa| {
        let between = intermediate("between.contoso.example", is_ca, &ca);
        let leaf = leaf("app.contoso.example", 2099, &between);
        ask_with(&emulator, &leaf, &[&leaf, &between.pem()])
    };
    assert_eq!(below(IsCa::NoCa), (401, 700_030), "an ordinary certificate");
    assert_eq!(below(IsCa::ExplicitNoCa), (401, 700_030));
    assert_eq!(below(IsCa::Ca(BasicConstraints::Unconstrained)), (200, 0));
    let first = intermediate("first", IsCa::Ca(BasicConstraints::Constrained(0)), &ca);
    let second = intermediate("second", IsCa::Ca(BasicConstraints::Unconstrained), &first);
    let leaf = leaf("app.contoso.example", 2099, &second);
    let refused = ask_with(&emulator, &leaf, &[&leaf, &second.pem(), &first.pem()]);
    assert_eq!(refused, (401, 700_030), "the first may have no CA below it");
}

#[test]
fn a_ca_that_has_expired_is_trusted_no_more() {
    let make = |until: i32| {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.not_after = rcgen::date_time_ymd(until, 1, 1);
        params.distinguished_name.push(DnType::CommonName, "CA of a test");
        CertifiedIssuer::self_signed(params, KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap()).unwrap()
    };
    for (until, expected) in [(2099, (200, 0)), (2020, (401, 700_030))] {
        let ca = make(until);
        let leaf = leaf("app.contoso.example", 2099, &ca);
        let emulator = trusting("app.contoso.example", &ca.pem());
        assert_eq!(ask_with(&emulator, &leaf, &[&leaf]), expected, "{until}");
        assert_eq!(ask_with(&emulator, &leaf, &[&leaf, &ca.pem()]), expected, "{until}");
    }
}
