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

use common::{
    Response, assertion_fields, base64, builder, der, good_claims, jwt, now, padded, padded_jwt, refusal, request,
    rs256, send_tls, sha1, token, with, x5c, x5t,
};
use identity_emulator::{
    CERTIFICATE_CLIENT_ID, Emulator, OTHER_TENANT_ID, Source, TENANT_DOMAIN, TENANT_ID, TEST_CERTIFICATE_PEM,
    WEB_CLIENT_ID,
};
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

fn ask_as(emulator: &Emulator, client_id: &str, assertion: &str) -> Response {
    token(emulator, TENANT_ID, &assertion_fields(client_id, assertion))
}

fn ask(emulator: &Emulator, assertion: &str) -> Response {
    ask_as(emulator, CERTIFICATE_CLIENT_ID, assertion)
}

fn x5t_s256(pem: &str) -> String {
    base64(digest(&SHA256, &der(pem)).as_ref(), true)
}

fn ps256() -> Value {
    json!({ "alg": "PS256", "typ": "JWT", "x5t#S256": x5t_s256(TEST_CERTIFICATE_PEM) })
}

#[test]
fn all_algorithms_and_all_forms_of_thumbprints_are_accepted() {
    let emulator = builder().start_in_background().unwrap();
    let sha1 = sha1(TEST_CERTIFICATE_PEM);
    let plain = padded(&base64(&sha1, false));
    let hex: String = sha1.iter().map(|byte| format!("{byte:02X}")).collect();
    let by_id = |id: String| with(with(rs256(), "x5t", Value::Null), "kid", id.into());
    for header in [
        rs256(),
        ps256(),
        with(rs256(), "x5t", plain.into()),
        with(ps256(), "x5t", x5t(TEST_CERTIFICATE_PEM).into()),
        with(rs256(), "x5c", x5c(&[TEST_CERTIFICATE_PEM])),
        with(rs256(), "alg", "RS384".into()),
        with(rs256(), "alg", "RS512".into()),
        with(ps256(), "alg", "PS384".into()),
        with(ps256(), "alg", "PS512".into()),
        with(rs256(), "typ", "http://openid.net/specs/jwt/1.0".into()),
        // Where nothing else names the certificate, the id of the key in Microsoft Graph does.
        by_id(hex.to_lowercase()),
        by_id(hex),
        with(rs256(), "kid", "anything".into()),
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
    for (header, status, code) in [
        (with(rs256(), "alg", "none".into()), 401, 5_002_738),
        (with(rs256(), "alg", "HS256".into()), 401, 5_002_738),
        (with(rs256(), "alg", "ES256".into()), 401, 5_002_738),
        (with(rs256(), "typ", "at+jwt".into()), 400, 5_002_727),
        (with(rs256(), "typ", Value::Null), 400, 5_002_727),
        (with(rs256(), "x5t", Value::Null), 401, 5_002_723),
        (with(with(rs256(), "x5t", Value::Null), "kid", x5t(TEST_CERTIFICATE_PEM).into()), 401, 700_027),
        (with(rs256(), "x5t", "AAAA".into()), 401, 700_027),
        (with(rs256(), "x5t", "?".into()), 401, 700_027),
        (with(rs256(), "x5t#S256", "AAAA".into()), 401, 700_027),
        (with(rs256(), "x5c", json!("x")), 400, 50_027),
        (with(rs256(), "x5c", json!([])), 400, 50_027),
        (with(rs256(), "x5c", chain(base64(b"no certificate", false))), 400, 50_027),
        (with(rs256(), "x5c", chain(base64(&der(TEST_CERTIFICATE_PEM), true))), 400, 50_027),
        (with(rs256(), "x5c", chain(base64(&der(&emulator.ca_pem()), false))), 401, 700_027),
    ] {
        assert_eq!(refusal(&ask(&emulator, &jwt(&header, &claims))), (status, code), "{header}");
    }
    let text = ask(&emulator, &jwt(&with(rs256(), "alg", "HS256".into()), &claims)).text();
    assert!(text.contains("Supported signing algorithms are: 'RS256,RS384,RS512,"), "{text}");
}

#[test]
fn claims_that_are_wrong_are_refused() {
    let emulator = builder().start_in_background().unwrap();
    let good = good_claims(&emulator);
    let endpoint = emulator.endpoint(Source::Entra);
    for (name, value, status, code) in [
        ("sub", Value::Null, 401, 700_021),
        ("sub", WEB_CLIENT_ID.into(), 401, 700_021),
        ("iss", Value::Null, 400, 90_014),
        ("iss", 1.into(), 400, 50_027),
        ("iss", WEB_CLIENT_ID.into(), 400, 70_021),
        ("jti", Value::Null, 400, 50_027),
        ("jti", "".into(), 400, 50_027),
        ("exp", Value::Null, 401, 700_024),
        ("exp", (now() - 310).into(), 401, 700_024),
        ("exp", (now() + 90_000).into(), 401, 700_024),
        ("exp", "soon".into(), 400, 50_027),
        ("nbf", (now() + 310).into(), 401, 700_024),
        ("nbf", "x".into(), 400, 50_027),
        ("iat", "x".into(), 400, 50_027),
        ("aud", Value::Null, 400, 90_014),
        ("aud", "https://login.microsoftonline.com/other".into(), 401, 700_023),
        ("aud", endpoint.replace(TENANT_ID, OTHER_TENANT_ID).into(), 401, 700_023),
        ("aud", endpoint.replace("https", "http").into(), 401, 700_023),
        ("aud", endpoint.replace("localhost", "evil.example").into(), 401, 700_023),
        ("aud", format!("{endpoint}/").into(), 401, 700_023),
        ("aud", json!([endpoint]), 400, 50_027),
    ] {
        let answer = ask(&emulator, &jwt(&rs256(), &with(good.clone(), name, value.clone())));
        assert_eq!(refusal(&answer), (status, code), "{name} {value} {}", answer.text());
    }
    // Both are within five minutes of now, but the end comes before the beginning.
    let backwards = with(with(good, "nbf", (now() + 250).into()), "exp", (now() - 250).into());
    assert_eq!(refusal(&ask(&emulator, &jwt(&rs256(), &backwards))), (401, 700_024));
}

#[test]
fn times_are_told_as_the_service_tells_them() {
    let emulator = builder().start_in_background().unwrap();
    let claims = with(with(good_claims(&emulator), "nbf", 1_727_906_703.into()), "exp", Value::Null);
    let answer = ask(&emulator, &jwt(&rs256(), &claims)).json();
    let text = answer["error_description"].as_str().unwrap();
    let part =
        "assertion valid from 2024-10-02T22:05:03.0000000Z, expiry time of assertion 1970-01-01T00:00:00.0000000Z. ";
    assert!(text.contains(part), "{text}");
    let time = text.split("Current time: ").nth(1).unwrap().split(',').next().unwrap();
    assert!(time.len() == 28 && time.as_bytes()[10] == b'T' && time.ends_with('Z'), "{time}");
}

#[test]
fn clocks_may_differ_by_five_minutes_and_times_may_have_fractions() {
    let emulator = builder().start_in_background().unwrap();
    let good = good_claims(&emulator);
    #[expect(clippy::cast_precision_loss, reason = "seconds of any real date fit")]
    let fraction = now() as f64 + 600.5;
    for (name, value) in [
        ("nbf", (now() + 290).into()),
        ("nbf", Value::Null),
        ("exp", fraction.into()),
        ("iss", CERTIFICATE_CLIENT_ID.to_uppercase().into()),
    ] {
        let answer = ask(&emulator, &jwt(&rs256(), &with(good.clone(), name, value.clone())));
        assert_eq!(answer.status, 200, "{name} {value} {}", answer.text());
    }
    let old = with(with(good.clone(), "nbf", (now() - 600).into()), "exp", (now() - 290).into());
    assert_eq!(ask(&emulator, &jwt(&rs256(), &old)).status, 200);
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
    for (assertion, status, code) in [
        (format!("{signed}.{wrong}"), 401, 700_027),
        (format!("{signed}."), 401, 700_027),
        (format!("{signed}.{}", base64(&[0; 256], true)), 401, 700_027),
        (signed.to_owned(), 400, 50_027),
        (format!("{good}.x"), 400, 50_027),
        (format!("{good}\n"), 400, 50_027),
        (format!("x{good}"), 400, 50_027),
        ("..".to_owned(), 400, 50_027),
        ("e30.e30.c2ln".to_owned(), 400, 50_027),
        ("x".to_owned(), 400, 50_027),
    ] {
        let answer = ask(&emulator, &assertion);
        assert_eq!(refusal(&answer), (status, code), "{assertion:.40}");
        assert_eq!(answer.json()["error"], if status == 400 { "invalid_request" } else { "invalid_client" });
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
    assert_eq!(refusal(&ask(&strict, &padded)), (400, 50_027));
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
        let body = common::form(&assertion_fields(CERTIFICATE_CLIENT_ID, &assertion));
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
        ("LOGIN.microsoftonline.com", format!("https://Login.Windows.net/{TENANT_ID}/oauth2/v2.0/token")),
        (&format!("westus2.{host}"), format!("{authority}/{TENANT_ID}/oauth2/v2.0/token")),
        (&format!("westus2.{host}"), format!("https://westus2.{host}/{TENANT_ID}/oauth2/v2.0/token")),
        // A request for nobody known is one for the first name.
        ("evil.example", format!("{authority}/{TENANT_ID}/oauth2/v2.0/token")),
    ] {
        assert_eq!(ask_at(own, &audience), 200, "{own} {audience}");
    }
    for (own, audience) in [
        ("login.microsoftonline.com", format!("https://login.microsoftonline.us/{TENANT_ID}/oauth2/v2.0/token")),
        ("evil.example", format!("https://evil.example/{TENANT_ID}/oauth2/v2.0/token")),
        ("westeurope.login.example", format!("https://login.example/{TENANT_ID}/oauth2/v2.0/token")),
        (&format!("a.b.{host}"), format!("https://a.b.{host}/{TENANT_ID}/oauth2/v2.0/token")),
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
        let body = common::form(&assertion_fields(CERTIFICATE_CLIENT_ID, &jwt(header, &claims)));
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
