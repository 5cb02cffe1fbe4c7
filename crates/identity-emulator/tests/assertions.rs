//! Assertions that an application signs with its certificate are verified in every respect.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test says so by failing"
)]

mod common;

use common::{Response, base64, builder, jwt, now, padded, padded_jwt, refusal, request, send_tls, token};
use identity_emulator::{
    App, CERTIFICATE_CLIENT_ID, Emulator, OTHER_TENANT_ID, Source, TENANT_DOMAIN, TENANT_ID, TEST_CERTIFICATE_PEM,
    TEST_KEY_PEM, WEB_CLIENT_ID,
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, Issuer, KeyPair};
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};

const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

fn ask_as(emulator: &Emulator, client_id: &str, assertion: &str) -> Response {
    let fields = [
        ("client_id", client_id),
        ("client_assertion", assertion),
        ("client_assertion_type", TYPE),
        ("grant_type", "client_credentials"),
        ("scope", "https://storage.azure.com/.default"),
    ];
    token(emulator, TENANT_ID, &fields)
}

fn ask(emulator: &Emulator, assertion: &str) -> Response {
    ask_as(emulator, CERTIFICATE_CLIENT_ID, assertion)
}

fn der(pem: &str) -> Vec<u8> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap().to_vec()
}

fn x5t(pem: &str) -> String {
    base64(digest(&SHA1_FOR_LEGACY_USE_ONLY, &der(pem)).as_ref(), true)
}

fn x5t_s256(pem: &str) -> String {
    base64(digest(&SHA256, &der(pem)).as_ref(), true)
}

fn rs256() -> Value {
    json!({ "alg": "RS256", "typ": "JWT", "x5t": x5t(TEST_CERTIFICATE_PEM) })
}

fn ps256() -> Value {
    json!({ "alg": "PS256", "typ": "JWT", "x5t#S256": x5t_s256(TEST_CERTIFICATE_PEM) })
}

fn good_claims(emulator: &Emulator) -> Value {
    json!({
        "aud": emulator.endpoint(Source::Entra),
        "exp": now() + 600,
        "iat": now(),
        "iss": CERTIFICATE_CLIENT_ID,
        "jti": "7e57ab1e-0000-4000-8000-00000000beef",
        "nbf": now(),
        "sub": CERTIFICATE_CLIENT_ID,
    })
}

fn with(mut object: Value, name: &str, value: Value) -> Value {
    match value {
        Value::Null => drop(object.as_object_mut().unwrap().remove(name)),
        value => object[name] = value,
    }
    object
}

#[test]
fn both_algorithms_and_all_forms_of_thumbprints_are_accepted() {
    let emulator = builder().start_in_background().unwrap();
    let sha1 = digest(&SHA1_FOR_LEGACY_USE_ONLY, &der(TEST_CERTIFICATE_PEM));
    let plain = padded(&base64(sha1.as_ref(), false));
    let chain = json!([padded(&base64(&der(TEST_CERTIFICATE_PEM), false))]);
    for header in [
        rs256(),
        ps256(),
        with(rs256(), "x5t", plain.into()),
        with(ps256(), "x5t", x5t(TEST_CERTIFICATE_PEM).into()),
        with(rs256(), "x5c", chain),
    ] {
        let answer = ask(&emulator, &jwt(&header, &good_claims(&emulator)));
        assert_eq!(answer.status, 200, "{header} {}", answer.text());
        let claims = answer.claims();
        assert_eq!((&claims["appid"], &claims["appidacr"]), (&CERTIFICATE_CLIENT_ID.into(), &"2".into()));
    }
}

#[test]
fn headers_that_are_wrong_are_refused() {
    let emulator = builder().start_in_background().unwrap();
    let claims = good_claims(&emulator);
    let chain = |text: String| json!([text]);
    for (header, code) in [
        (with(rs256(), "alg", "none".into()), 5_002_738),
        (with(rs256(), "alg", "HS256".into()), 5_002_738),
        (with(rs256(), "alg", "RS512".into()), 5_002_738),
        (with(rs256(), "typ", "at+jwt".into()), 50_027),
        (with(rs256(), "typ", Value::Null), 50_027),
        (with(rs256(), "x5t", Value::Null), 700_027),
        (with(rs256(), "x5t", "AAAA".into()), 700_027),
        (with(rs256(), "x5t", "?".into()), 700_027),
        (with(rs256(), "x5t#S256", "AAAA".into()), 700_027),
        (with(rs256(), "x5c", json!("x")), 50_027),
        (with(rs256(), "x5c", json!([])), 50_027),
        (with(rs256(), "x5c", chain(base64(b"no certificate", false))), 50_027),
        (with(rs256(), "x5c", chain(base64(&der(TEST_CERTIFICATE_PEM), true))), 50_027),
        (with(rs256(), "x5c", chain(base64(&der(&emulator.ca_pem()), false))), 700_027),
    ] {
        assert_eq!(refusal(&ask(&emulator, &jwt(&header, &claims))), (401, code), "{header}");
    }
}

#[test]
fn claims_that_are_wrong_are_refused() {
    let emulator = builder().start_in_background().unwrap();
    let good = good_claims(&emulator);
    let endpoint = emulator.endpoint(Source::Entra);
    for (name, value, code) in [
        ("sub", Value::Null, 700_021),
        ("sub", WEB_CLIENT_ID.into(), 700_021),
        ("iss", Value::Null, 50_027),
        ("iss", WEB_CLIENT_ID.into(), 70_021),
        ("jti", Value::Null, 50_027),
        ("jti", "".into(), 50_027),
        ("exp", Value::Null, 50_027),
        ("exp", (now() - 310).into(), 700_024),
        ("exp", (now() + 90_000).into(), 700_024),
        ("nbf", (now() + 310).into(), 700_024),
        ("aud", Value::Null, 50_012),
        ("aud", "https://login.microsoftonline.com/other".into(), 50_012),
        ("aud", endpoint.replace(TENANT_ID, OTHER_TENANT_ID).into(), 50_012),
        ("aud", endpoint.replace("https", "http").into(), 50_012),
        ("aud", endpoint.replace("localhost", "evil.example").into(), 50_012),
        ("aud", format!("{endpoint}/").into(), 50_012),
        ("aud", json!([endpoint]), 50_012),
    ] {
        let answer = ask(&emulator, &jwt(&rs256(), &with(good.clone(), name, value.clone())));
        let status = if code == 70_021 { 400 } else { 401 };
        assert_eq!(refusal(&answer), (status, code), "{name} {value} {}", answer.text());
    }
}

#[test]
fn clocks_may_differ_by_five_minutes_and_times_may_have_fractions() {
    let emulator = builder().start_in_background().unwrap();
    let good = good_claims(&emulator);
    #[expect(clippy::cast_precision_loss, reason = "seconds of any real date fit")]
    let fraction = now() as f64 + 600.5;
    for (name, value) in [
        ("exp", (now() - 290).into()),
        ("nbf", (now() + 290).into()),
        ("nbf", Value::Null),
        ("exp", fraction.into()),
        ("iss", CERTIFICATE_CLIENT_ID.to_uppercase().into()),
    ] {
        let answer = ask(&emulator, &jwt(&rs256(), &with(good.clone(), name, value.clone())));
        assert_eq!(answer.status, 200, "{name} {value} {}", answer.text());
    }
    emulator.set_clock_skew_secs(1_200);
    let late = ask(&emulator, &jwt(&rs256(), &good));
    assert_eq!(refusal(&late), (401, 700_024));
    assert!(late.json()["error_description"].as_str().unwrap().contains("Current time: "));
}

#[test]
fn bytes_that_are_no_token_and_signatures_of_others_are_refused() {
    let emulator = builder().start_in_background().unwrap();
    let good = jwt(&rs256(), &good_claims(&emulator));
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let mut wrong: Vec<char> = signature.chars().collect();
    wrong[10] = if wrong[10] == 'A' { 'B' } else { 'A' };
    let wrong: String = wrong.into_iter().collect();
    for (assertion, code) in [
        (format!("{signed}.{wrong}"), 700_027),
        (format!("{signed}."), 700_027),
        (format!("{signed}.{}", base64(&[0; 256], true)), 700_027),
        (signed.to_owned(), 50_027),
        (format!("{good}.x"), 50_027),
        (format!("{good}\n"), 50_027),
        (format!("x{good}"), 50_027),
        ("..".to_owned(), 50_027),
        ("x".to_owned(), 50_027),
    ] {
        assert_eq!(refusal(&ask(&emulator, &assertion)), (401, code), "{assertion:.40}");
    }
    let fields = [
        ("client_id", CERTIFICATE_CLIENT_ID),
        ("client_assertion", good.as_str()),
        ("grant_type", "client_credentials"),
        ("scope", "https://storage.azure.com/.default"),
    ];
    assert_eq!(refusal(&token(&emulator, TENANT_ID, &fields)), (400, 900_144), "the type is missing");
    let mut fields = fields.to_vec();
    fields.push(("client_assertion_type", "saml"));
    assert_eq!(refusal(&token(&emulator, TENANT_ID, &fields)), (400, 90_100));
    assert_eq!(refusal(&ask_as(&emulator, WEB_CLIENT_ID, &good)), (400, 70_021));
}

#[test]
fn padding_and_replays_pass_unless_told_otherwise() {
    let lenient = builder().start_in_background().unwrap();
    assert_eq!(ask(&lenient, &padded_jwt(&ps256(), &good_claims(&lenient))).status, 200);
    let assertion = jwt(&ps256(), &good_claims(&lenient));
    assert_eq!(ask(&lenient, &assertion).status, 200);
    assert_eq!(ask(&lenient, &assertion).status, 200, "again");

    let strict = builder().refuse_padded_assertions().refuse_replayed_assertions().start_in_background().unwrap();
    let padded = padded_jwt(&ps256(), &good_claims(&strict));
    assert!(padded.contains('='));
    assert_eq!(refusal(&ask(&strict, &padded)), (401, 50_027));
    let assertion = jwt(&ps256(), &good_claims(&strict));
    assert_eq!(ask(&strict, &assertion).status, 200);
    assert_eq!(refusal(&ask(&strict, &assertion)), (401, 50_012));
}

#[test]
fn every_name_of_the_authority_is_an_audience() {
    let emulator = builder().dns_name("login.microsoftonline.com").start_in_background().unwrap();
    let authority = emulator.authority();
    let host = authority.strip_prefix("https://").unwrap().to_owned();
    let ask_at = |own: &str, audience: &str| {
        let assertion = jwt(&rs256(), &with(good_claims(&emulator), "aud", audience.into()));
        let body = common::form(&[
            ("client_id", CERTIFICATE_CLIENT_ID),
            ("client_assertion", &assertion),
            ("client_assertion_type", TYPE),
            ("grant_type", "client_credentials"),
            ("scope", "https://storage.azure.com/.default"),
        ]);
        let headers = [("Content-Type", "application/x-www-form-urlencoded")];
        let bytes = request("POST", &format!("/{TENANT_DOMAIN}/oauth2/v2.0/token"), &headers, &body);
        let bytes = String::from_utf8(bytes).unwrap().replace("Host: 127.0.0.1", &format!("Host: {own}"));
        Response::parse(&send_tls(&emulator, Source::Entra, bytes.as_bytes()).unwrap()).status
    };
    let port = host.rsplit(':').next().unwrap();
    for (own, audience) in [
        (host.as_str(), format!("{authority}/{TENANT_ID}/oauth2/v2.0/token")),
        (&host, format!("{authority}/{TENANT_DOMAIN}/oauth2/v2.0/token")),
        (&host, format!("https://127.0.0.1:{port}/{TENANT_ID}/oauth2/v2.0/token")),
        (&host, format!("{authority}/{TENANT_ID}/v2.0")),
        (&host, format!("https://sts.windows.net/{TENANT_ID}/")),
        ("login.microsoftonline.com", format!("https://login.microsoftonline.com/{TENANT_ID}/oauth2/v2.0/token")),
        ("login.microsoftonline.com", format!("https://login.windows.net/{TENANT_ID}/oauth2/v2.0/token")),
        ("westeurope.login.microsoft.com", format!("https://login.microsoftonline.com/{TENANT_ID}/oauth2/v2.0/token")),
        ("westeurope.login.example", format!("https://login.example/{TENANT_ID}/oauth2/v2.0/token")),
    ] {
        assert_eq!(ask_at(own, &audience), 200, "{own} {audience}");
    }
    for (own, audience) in [
        ("login.microsoftonline.com", format!("https://login.microsoftonline.us/{TENANT_ID}/oauth2/v2.0/token")),
        ("a.b.login.example", format!("https://login.example/{TENANT_ID}/oauth2/v2.0/token")),
        ("evil.example", format!("https://sts.windows.net/{OTHER_TENANT_ID}/")),
    ] {
        assert_eq!(ask_at(own, &audience), 401, "{own} {audience}");
    }
}

#[test]
fn ad_fs_takes_the_old_algorithm_only() {
    let emulator = builder().start_in_background().unwrap();
    let claims = with(good_claims(&emulator), "aud", format!("{}/adfs/oauth2/token", emulator.authority()).into());
    let ask = |header: &Value| {
        let body = common::form(&[
            ("client_id", CERTIFICATE_CLIENT_ID),
            ("client_assertion", &jwt(header, &claims)),
            ("client_assertion_type", TYPE),
            ("grant_type", "client_credentials"),
            ("scope", "https://storage.azure.com/.default"),
        ]);
        let headers = [("Content-Type", "application/x-www-form-urlencoded")];
        let bytes = request("POST", "/adfs/oauth2/token", &headers, &body);
        let host = emulator.authority().replace("https://", "Host: ");
        let bytes = String::from_utf8(bytes).unwrap().replace("Host: 127.0.0.1", &host);
        Response::parse(&send_tls(&emulator, Source::Entra, bytes.as_bytes()).unwrap()).status
    };
    assert_eq!(ask(&rs256()), 200);
    assert_eq!(ask(&ps256()), 401);
    assert_eq!(ask(&with(ps256(), "alg", "RS256".into())), 401, "no SHA-1 thumbprint");
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
    let answer = ask(&emulator, &jwt(&with(rs256(), "x5t", x5t(&old).into()), &good_claims(&emulator)));
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
    let ask = |leaf: &str, chain: &[&str]| {
        let chain: Vec<String> = chain.iter().map(|pem| padded(&base64(&der(pem), false))).collect();
        let mut header = with(rs256(), "x5t", x5t(leaf).into());
        if !chain.is_empty() {
            header["x5c"] = chain.into();
        }
        refusal(&ask(&emulator, &jwt(&header, &good_claims(&emulator))))
    };
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
