//! Entra refuses as the real service does.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test says so by failing"
)]

mod common;

use common::{Response, builder, control, fields, form, outcome, request, send_tls, token};
use identity_emulator::{
    Answer, App, DISABLED_CLIENT_ID, EXPIRED_CLIENT_ID, EXPIRED_CLIENT_SECRET, Emulator, OTHER_TENANT_ID, Source,
    TENANT_ID,
};

fn refused(emulator: &Emulator, tenant: &str, changes: &[(&str, &str)]) -> (u16, String, u64) {
    outcome(&token(emulator, tenant, &fields(changes)))
}

#[test]
fn refusals_have_the_codes_of_entra() {
    let emulator = builder()
        .app(App::new("7e57ab1e-0000-4000-8000-00000000aa02").secret("s").blocked_by_policy())
        .app(App::new("7e57ab1e-0000-4000-8000-00000000aa03").secret("s").only_resource("https://vault.azure.net"))
        .app(App::new("7e57ab1e-0000-4000-8000-00000000aa04").public_client())
        .start_in_background()
        .unwrap();
    let policy = "7e57ab1e-0000-4000-8000-00000000aa02";
    let (narrow, public) = ("7e57ab1e-0000-4000-8000-00000000aa03", "7e57ab1e-0000-4000-8000-00000000aa04");
    let unknown = "7e57ab1e-0000-4000-8000-00000000ffff";
    let two = "https://vault.azure.net/.default https://storage.azure.com/.default";
    let twice = "https://storage.azure.com/.default https://storage.azure.com/.default";
    type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], u16, &'a str, u64);
    let cases: &[Case<'_>] = &[
        (TENANT_ID, &[("client_secret", "wrong")], 401, "invalid_client", 7000215),
        (TENANT_ID, &[("client_secret", "-")], 401, "invalid_client", 7000216),
        (TENANT_ID, &[("client_id", "-")], 400, "invalid_request", 900144),
        (TENANT_ID, &[("client_id", unknown)], 400, "unauthorized_client", 700016),
        (TENANT_ID, &[("client_id", DISABLED_CLIENT_ID)], 400, "unauthorized_client", 7000112),
        (
            TENANT_ID,
            &[("client_id", EXPIRED_CLIENT_ID), ("client_secret", EXPIRED_CLIENT_SECRET)],
            401,
            "invalid_client",
            7000222,
        ),
        (OTHER_TENANT_ID, &[("client_id", EXPIRED_CLIENT_ID)], 400, "unauthorized_client", 700016),
        (TENANT_ID, &[("client_id", public)], 401, "invalid_client", 700025),
        (TENANT_ID, &[("client_assertion", "a.b.c")], 400, "invalid_request", 90100),
        (TENANT_ID, &[("grant_type", "-")], 400, "invalid_request", 900144),
        (TENANT_ID, &[("grant_type", "magic")], 400, "unsupported_grant_type", 70003),
        (TENANT_ID, &[("scope", "-")], 400, "invalid_request", 90014),
        (TENANT_ID, &[("scope", "https://storage.azure.com")], 400, "invalid_scope", 1002012),
        (TENANT_ID, &[("scope", "/.default")], 400, "invalid_scope", 1002012),
        (TENANT_ID, &[("scope", "a\"b/.default")], 400, "invalid_scope", 70011),
        (TENANT_ID, &[("scope", two)], 400, "invalid_scope", 70011),
        (TENANT_ID, &[("scope", twice)], 400, "invalid_scope", 70011),
        (TENANT_ID, &[("scope", "openid")], 400, "invalid_scope", 1002012),
        (TENANT_ID, &[("scope", "email profile offline_access openid")], 400, "invalid_scope", 1002012),
        (TENANT_ID, &[("scope", "openid https://storage.azure.com/read")], 400, "invalid_scope", 1002012),
        (TENANT_ID, &[("scope", "https://nobody.example/.default")], 400, "invalid_resource", 500011),
        (TENANT_ID, &[("scope", "https://storage.azure.com///.default")], 400, "invalid_resource", 500011),
        (TENANT_ID, &[("client_id", narrow), ("client_secret", "s")], 400, "invalid_resource", 500011),
        (TENANT_ID, &[("resource", "https://storage.azure.com")], 400, "invalid_request", 901002),
        (TENANT_ID, &[("client_id", policy), ("client_secret", "s")], 400, "invalid_grant", 53003),
        (TENANT_ID, &[("claims", "{")], 400, "invalid_request", 90100),
        (TENANT_ID, &[("claims", "[]")], 400, "invalid_request", 90100),
        (TENANT_ID, &[("claims", "{\"access_token\":1}")], 400, "invalid_request", 90100),
        ("common", &[], 400, "invalid_request", 50194),
        ("organizations", &[], 400, "invalid_request", 50194),
        ("consumers", &[], 400, "invalid_request", 9002332),
        ("nobody.example", &[], 400, "invalid_request", 90002),
        ("7e57ab1e-0000-4000-8000-00000000ffff", &[], 400, "invalid_request", 90002),
        ("nobody", &[], 400, "invalid_request", 900023),
        ("-.example", &[], 400, "invalid_request", 900023),
    ];
    for (tenant, changes, status, error, code) in cases {
        assert_eq!(refused(&emulator, tenant, changes), (*status, (*error).to_owned(), *code), "{tenant} {changes:?}");
    }
}

#[test]
fn errors_have_the_shape_of_entra() {
    let emulator = builder().start_in_background().unwrap();
    let id = "0fedcba9-0000-4000-8000-000000000001";
    let headers = [
        ("Content-Type", "application/x-www-form-urlencoded"),
        ("client-request-id", id),
        ("return-client-request-id", "true"),
    ];
    let body = form(&fields(&[("client_secret", "wrong")]));
    let bytes = request("POST", &format!("/{TENANT_ID}/oauth2/v2.0/token"), &headers, &body);
    let answer = Response::parse(&send_tls(&emulator, Source::Entra, &bytes).unwrap());
    let body = answer.json();
    assert_eq!(body["correlation_id"], id);
    assert_eq!(answer.header("client-request-id"), Some(id));
    assert_eq!(answer.header("x-ms-request-id"), body["trace_id"].as_str());
    let text = body["error_description"].as_str().unwrap();
    let stamp = body["timestamp"].as_str().unwrap();
    assert!(text.ends_with(&format!(" Correlation ID: {id} Timestamp: {stamp}")), "{text}");
    assert!(stamp.len() == 20 && stamp.ends_with('Z'), "{stamp}");
    assert!(body["error_uri"].as_str().unwrap().ends_with("/error?code=7000215"));
    assert_eq!(answer.header("cache-control"), Some("no-store, no-cache"));

    let canned = {
        emulator.faults().next(Source::Entra, Answer::entra_error(53003));
        token(&emulator, TENANT_ID, &fields(&[]))
    };
    assert_eq!(outcome(&canned), (400, "invalid_grant".to_owned(), 53003));
    let claims: serde_json::Value = serde_json::from_str(canned.json()["claims"].as_str().unwrap()).unwrap();
    assert!(claims["access_token"].is_object());
    emulator.faults().next(Source::Entra, Answer::entra_error(90033));
    assert_eq!(token(&emulator, TENANT_ID, &fields(&[])).status, 503);
    emulator.faults().next(Source::Entra, Answer::status(500));
    assert_eq!(token(&emulator, TENANT_ID, &fields(&[])).json()["error"], "fault");
}

#[test]
fn a_refusal_of_entra_can_be_had_from_every_source() {
    let emulator = builder().start_in_background().unwrap();
    emulator.faults().next(Source::Imds, Answer::entra_error(500011));
    let answer = common::imds(&emulator);
    assert_eq!((answer.status, answer.json()["error"].as_str()), (400, Some("invalid_resource")));
    emulator.faults().next(Source::Entra, Answer::entra_error(90055));
    let answer = token(&emulator, TENANT_ID, &fields(&[]));
    assert_eq!(outcome(&answer), (429, "temporarily_unavailable".to_owned(), 90055));
    assert_eq!(answer.header("retry-after"), Some("60"));
    emulator.faults().next(Source::Entra, Answer::entra_error(50196).with_header("Retry-After", "7"));
    let answer = token(&emulator, TENANT_ID, &fields(&[]));
    assert_eq!((outcome(&answer).2, answer.header("retry-after")), (50196, Some("7")));
}

#[test]
fn words_of_openid_connect_change_nothing_in_any_order() {
    // MSAL for Java sends these, in the order of a hash table.
    let emulator = builder().start_in_background().unwrap();
    for scope in [
        "openid profile offline_access https://storage.azure.com/.default",
        "https://storage.azure.com/.default offline_access openid profile",
        "profile https://storage.azure.com/.default email openid",
    ] {
        let answer = token(&emulator, TENANT_ID, &fields(&[("scope", scope)]));
        assert_eq!(answer.claims()["aud"], "https://storage.azure.com", "{scope}");
    }
}

#[test]
fn a_code_that_nobody_knows_is_not_guessed() {
    let emulator = builder().start_in_background().unwrap();
    emulator.faults().next(Source::Entra, Answer::entra_error(1));
    let answer = token(&emulator, TENANT_ID, &fields(&[]));
    assert_eq!((answer.status, answer.json()["error"].as_str()), (501, Some("unknown_code")));
    let order = |code: u32| {
        let body = format!(r#"{{"source":"entra","script":[{{"entra_error":7000229}},{{"entra_error":{code}}}]}}"#);
        control(&emulator, "POST", "/__emulator/faults", &body)
    };
    let refused = order(50089);
    assert!(refused.status == 400 && refused.text().contains("50089"), "{}", refused.text());
    assert_eq!(emulator.faults().queued(Source::Entra), 0);
    assert_eq!(order(700_084).status, 204);
    assert_eq!(refused_as(&emulator), (401, "invalid_client".to_owned(), 7_000_229));
    assert_eq!(refused_as(&emulator), (400, "invalid_grant".to_owned(), 700_084));
}

fn refused_as(emulator: &Emulator) -> (u16, String, u64) {
    refused(emulator, TENANT_ID, &[])
}

#[test]
fn what_is_not_played_is_told_as_such() {
    let emulator = builder().start_in_background().unwrap();
    for grant in ["device_code", "urn:ietf:params:oauth:grant-type:device_code"] {
        let answer = token(&emulator, TENANT_ID, &fields(&[("grant_type", grant)]));
        let body = answer.json();
        assert_eq!((answer.status, &body["error"]), (501, &"not_emulated".into()), "{grant}");
        assert!(body["error_description"].as_str().unwrap().contains(grant), "{body}");
    }
    for grant in ["password", "refresh_token", "urn:ietf:params:oauth:grant-type:jwt-bearer"] {
        let headers = [("Content-Type", "application/x-www-form-urlencoded")];
        let bytes = request("POST", "/adfs/oauth2/token", &headers, &form(&fields(&[("grant_type", grant)])));
        assert_eq!(Response::parse(&send_tls(&emulator, Source::Entra, &bytes).unwrap()).status, 501, "AD FS, {grant}");
    }
}

#[test]
fn too_many_equal_requests_are_a_loop() {
    let emulator = builder().loop_limit(2).start_in_background().unwrap();
    let ask = |scope| token(&emulator, TENANT_ID, &fields(&[("scope", scope)]));
    let one = "https://vault.azure.net/.default";
    assert_eq!((ask(one).status, ask("openid https://vault.azure.net/.default").status), (200, 200));
    let refused = ask(one);
    assert_eq!((refused.status, refused.text().as_str()), (429, "Too Many Requests"));
    assert_eq!(refused.header("retry-after"), Some("60"));
    assert!(refused.header("content-type").unwrap().starts_with("text/plain"));
    assert_eq!(ask("https://storage.azure.com/.default").status, 200);
    emulator.faults().next(Source::Entra, Answer::entra_error(50196));
    assert_eq!(outcome(&ask("https://storage.azure.com/.default")).2, 50196, "as users are told");
}
