//! A person signs in on a page, and the application that has sent them there gets a code.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test says so by failing"
)]

mod common;

use common::{CHALLENGE, CP1, Response, VERIFIER, builder, changed, form, outcome, part, request, send_tls, token};
use identity_emulator::{
    Answer, App, DISABLED_USER_NAME, EXPIRED_PASSWORD_USER_NAME, Emulator, FEDERATED_USER_NAME, MFA_USER_NAME,
    OTHER_TENANT_ID, OTHER_USER_NAME, PUBLIC_CLIENT_ID, Source, TENANT_ID, USER_NAME, USER_OBJECT_ID, USER_PASSWORD,
    WEB_CLIENT_ID, WEB_REDIRECT_URI,
};
use serde_json::{Value, json};

const LOCAL: &str = "http://localhost:8400";
const SCOPE: &str = "https://storage.azure.com/.default openid profile offline_access";

/// What a program on the user's own machine asks for.
fn query() -> Vec<(&'static str, &'static str)> {
    vec![
        ("client_id", PUBLIC_CLIENT_ID),
        ("response_type", "code"),
        ("redirect_uri", LOCAL),
        ("scope", SCOPE),
        ("state", "a state & more"),
        ("nonce", "a nonce"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ]
}

fn target(tenant: &str, changes: &[(&str, &str)]) -> String {
    format!("/{tenant}/oauth2/v2.0/authorize?{}", form(&changed(&query(), changes)))
}

fn get(emulator: &Emulator, target: &str) -> Response {
    common::document(emulator, target)
}

fn post(emulator: &Emulator, target: &str, fields: &[(&str, &str)]) -> Response {
    post_with(emulator, target, fields, &[])
}

fn post_with(emulator: &Emulator, target: &str, fields: &[(&str, &str)], more: &[(&str, &str)]) -> Response {
    let headers = [&[("Content-Type", "application/x-www-form-urlencoded")], more].concat();
    Response::parse(&send_tls(emulator, Source::Entra, &request("POST", target, &headers, &form(fields))).unwrap())
}

fn sign_in(emulator: &Emulator, target: &str, user: &str) -> Response {
    post(emulator, target, &[("loginfmt", user), ("passwd", USER_PASSWORD)])
}

/// The parameters of a redirect, and where it leads.
fn redirect(answer: &Response, separator: char) -> (String, Vec<(String, String)>) {
    assert_eq!(answer.status, 302, "{answer:?}");
    let location = answer.header("location").unwrap();
    let (base, parameters) = location.split_once(separator).unwrap_or((location, ""));
    let pairs = parameters.split('&').map(|pair| {
        let (name, value) = pair.split_once('=').unwrap();
        (name.to_owned(), decode(value))
    });
    (base.to_owned(), pairs.collect())
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'%' => {
                let digits = [rest.next().unwrap(), rest.next().unwrap()];
                bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap());
            }
            other => bytes.push(other),
        }
    }
    String::from_utf8(bytes).unwrap()
}

fn value(pairs: &[(String, String)], name: &str) -> String {
    let found = pairs.iter().find(|(other, _)| other == name);
    found.unwrap_or_else(|| panic!("no {name} in {pairs:?}")).1.clone()
}

/// The value of the hidden field of that name.
fn hidden(html: &str, name: &str) -> String {
    let begin = format!("name=\"{name}\" value=\"");
    let (_, rest) = html.split_once(&begin).unwrap_or_else(|| panic!("no {name} in {html}"));
    rest.split_once('"').unwrap().0.replace("&amp;", "&")
}

fn redeem(emulator: &Emulator, tenant: &str, code: &str) -> Response {
    token(
        emulator,
        tenant,
        &[
            ("client_id", PUBLIC_CLIENT_ID),
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", LOCAL),
            ("code_verifier", VERIFIER),
            ("client_info", "1"),
        ],
    )
}

#[test]
fn a_password_on_the_page_gets_a_code_that_gets_tokens() {
    let emulator = builder().start_in_background().unwrap();
    for (tenant, user, home) in [
        (TENANT_ID, USER_NAME, TENANT_ID),
        ("organizations", USER_NAME, TENANT_ID),
        ("common", OTHER_USER_NAME, OTHER_TENANT_ID),
    ] {
        let target = target(tenant, &[("client_info", "1"), ("claims", CP1)]);
        let page = get(&emulator, &target);
        assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
        assert!(page.text().contains("to continue to <b>public</b>"), "{}", page.text());
        let (base, answer) = redirect(&sign_in(&emulator, &target, user), '?');
        assert_eq!(base, LOCAL);
        assert_eq!(value(&answer, "state"), "a state & more");
        let info: Value = serde_json::from_slice(&common::decode_base64_url(&value(&answer, "client_info"))).unwrap();
        assert_eq!(info["utid"], home);
        let tokens = redeem(&emulator, tenant, &value(&answer, "code"));
        assert_eq!((&tokens.claims()["upn"], &tokens.claims()["tid"]), (&user.into(), &home.into()));
        assert_eq!(common::claims(&part(&tokens, "id_token"))["nonce"], "a nonce");
        part(&tokens, "refresh_token");
    }
}

#[test]
fn answers_go_where_and_how_they_are_asked_for() {
    let emulator = builder().start_in_background().unwrap();
    let fragment = sign_in(&emulator, &target(TENANT_ID, &[("response_mode", "fragment")]), USER_NAME);
    let (base, answer) = redirect(&fragment, '#');
    assert_eq!(base, LOCAL);
    assert_eq!(redeem(&emulator, TENANT_ID, &value(&answer, "code")).status, 200);
    let posted = sign_in(&emulator, &target(TENANT_ID, &[("response_mode", "form_post")]), USER_NAME);
    assert_eq!(posted.status, 200);
    let html = posted.text();
    assert!(html.contains(&format!("<form method=\"post\" action=\"{LOCAL}\">")), "{html}");
    assert_eq!(hidden(&html, "state"), "a state & more");
    assert_eq!(redeem(&emulator, TENANT_ID, &hidden(&html, "code")).claims()["oid"], USER_OBJECT_ID);
    let stateless = sign_in(&emulator, &target(TENANT_ID, &[("state", "-"), ("response_mode", "query")]), USER_NAME);
    assert!(!stateless.header("location").unwrap().contains("&state="));
    let web = [("client_id", WEB_CLIENT_ID), ("redirect_uri", WEB_REDIRECT_URI), ("code_challenge", "-")];
    let web = [&web[..], &[("code_challenge_method", "-")]].concat();
    let (base, _) = redirect(&sign_in(&emulator, &target(TENANT_ID, &web), USER_NAME), '?');
    assert_eq!(base, WEB_REDIRECT_URI);
}

#[test]
fn somebody_on_the_list_needs_no_password() {
    let emulator = builder().start_in_background().unwrap();
    let here = target(TENANT_ID, &[]);
    let html = get(&emulator, &here).text();
    for name in [USER_NAME, MFA_USER_NAME, FEDERATED_USER_NAME] {
        assert!(html.contains(&format!("<button name=\"pick\" value=\"{name}\">")), "{name}");
    }
    for name in [OTHER_USER_NAME, DISABLED_USER_NAME] {
        assert!(!html.contains(name), "{name}");
    }
    assert!(html.contains(&format!(">{USER_NAME}</button>")) && !html.contains("<small></small>"), "{html}");
    assert!(html.contains(&format!(">{MFA_USER_NAME} <small>with a second factor</small></button>")), "{html}");
    let (_, answer) = redirect(&post(&emulator, &here, &[("pick", MFA_USER_NAME)]), '?');
    let tokens = redeem(&emulator, TENANT_ID, &value(&answer, "code"));
    assert_eq!((&tokens.claims()["upn"], &tokens.claims()["amr"]), (&MFA_USER_NAME.into(), &json!(["pwd", "mfa"])));
    let hinted = get(&emulator, &target("organizations", &[("login_hint", USER_NAME)])).text();
    assert!(hinted.contains(&format!("value=\"{USER_NAME}\" autocomplete")) && hinted.contains(OTHER_USER_NAME));
    for (name, code) in [(DISABLED_USER_NAME, "AADSTS50057"), ("nobody@x.example", "AADSTS50034")] {
        let refused = post(&emulator, &here, &[("pick", name)]);
        assert!(refused.status == 400 && refused.text().contains(code), "{name}: {}", refused.text());
    }
    let elsewhere = post(&emulator, &here, &[("pick", OTHER_USER_NAME)]);
    assert!(elsewhere.text().contains("AADSTS50020"), "{}", elsewhere.text());
}

#[test]
fn a_second_factor_is_a_second_page() {
    let emulator = builder().start_in_background().unwrap();
    let here = target(TENANT_ID, &[]);
    let second = sign_in(&emulator, &here, MFA_USER_NAME);
    assert!(second.status == 200 && second.text().contains("Approve sign in request"), "{second:?}");
    assert!(!second.text().contains(USER_PASSWORD));
    let ticket = hidden(&second.text(), "ticket");
    let (_, answer) = redirect(&post(&emulator, &here, &[("ticket", &ticket)]), '?');
    let tokens = redeem(&emulator, TENANT_ID, &value(&answer, "code"));
    assert_eq!(tokens.claims()["amr"], json!(["pwd", "mfa"]));
    let again = post(&emulator, &here, &[("ticket", &ticket)]);
    assert!(again.status == 200 && again.text().contains("Sign in again"), "a ticket is good once");
    let ticket = hidden(&sign_in(&emulator, &here, MFA_USER_NAME).text(), "ticket");
    emulator.set_clock_skew_secs(601);
    assert!(post(&emulator, &here, &[("ticket", &ticket)]).text().contains("Sign in again"));
}

#[test]
fn a_second_factor_is_that_of_the_request_that_asked_for_it() {
    let emulator = builder().start_in_background().unwrap();
    let here = target(TENANT_ID, &[]);
    for other in [
        target("organizations", &[]),
        target(TENANT_ID, &[("scope", "openid")]),
        target(TENANT_ID, &[("client_id", WEB_CLIENT_ID), ("redirect_uri", WEB_REDIRECT_URI)]),
    ] {
        let ticket = hidden(&sign_in(&emulator, &here, MFA_USER_NAME).text(), "ticket");
        let answer = post(&emulator, &other, &[("ticket", &ticket)]);
        assert!(answer.status == 200 && answer.text().contains("Sign in again"), "{other}: {answer:?}");
    }
}

#[test]
fn an_application_may_send_its_request_as_a_form() {
    let emulator = builder().start_in_background().unwrap();
    let path = format!("/{TENANT_ID}/oauth2/v2.0/authorize");
    for (path, left) in
        [(path.clone(), query()), (format!("{path}?state=a%20state"), changed(&query(), &[("state", "-")]))]
    {
        // It comes from a page of the application.
        let page = post_with(&emulator, &path, &left, &[("Origin", "https://web.contoso.example")]);
        assert_eq!(page.status, 200, "{}", page.text());
        let html = page.text();
        let (_, action) = html.split_once("action=\"").unwrap_or_else(|| panic!("{html}"));
        let action = action.split_once('"').unwrap().0.replace("&amp;", "&");
        let (_, answer) =
            redirect(&sign_in(&emulator, &format!("/{TENANT_ID}/oauth2/v2.0/authorize{action}"), USER_NAME), '?');
        assert!(value(&answer, "state").starts_with("a state"));
        assert_eq!(redeem(&emulator, TENANT_ID, &value(&answer, "code")).status, 200);
    }
    let (_, answer) = redirect(&post(&emulator, &path, &changed(&query(), &[("prompt", "none")])), '?');
    assert_eq!(value(&answer, "error"), "login_required");
    let evil = post(&emulator, &path, &changed(&query(), &[("redirect_uri", "https://evil.example")]));
    assert!(evil.status == 400 && evil.text().contains("AADSTS50011"), "{}", evil.text());
    let twice = post(&emulator, &format!("{path}?scope=openid"), &query());
    assert!(twice.status == 400 && twice.text().contains("AADSTS9000411"), "{}", twice.text());
    let all = [query(), vec![("pick", USER_NAME)]].concat();
    assert_eq!(post(&emulator, &path, &all).status, 200, "nobody is signed in by the application");
}

#[test]
fn whoever_cannot_sign_in_stays_on_the_page() {
    let emulator = builder().start_in_background().unwrap();
    let here = target(TENANT_ID, &[]);
    for (user, password, code) in [
        (USER_NAME, "wrong", "50126"),
        (USER_NAME, "", "50126"),
        ("", USER_PASSWORD, "50034"),
        ("nobody@contoso.example", USER_PASSWORD, "50034"),
        (OTHER_USER_NAME, USER_PASSWORD, "50020"),
        (DISABLED_USER_NAME, USER_PASSWORD, "50057"),
        (EXPIRED_PASSWORD_USER_NAME, USER_PASSWORD, "50055"),
    ] {
        let page = post(&emulator, &here, &[("loginfmt", user), ("passwd", password)]);
        assert_eq!(page.status, 200, "{user}");
        let html = page.text();
        assert!(html.contains(&format!("(AADSTS{code})")) && html.contains("role=\"alert\""), "{user}: {html}");
        assert!(password.is_empty() || !html.contains(password), "{html}");
    }
    assert_eq!(sign_in(&emulator, &here, FEDERATED_USER_NAME).status, 302);
}

#[test]
fn what_the_application_did_wrong_it_is_told() {
    let id = "7e57ab1e-0000-4000-8000-00000000aa03";
    let emulator = builder()
        .app(App::new(id).public_client().redirect_uri("http://localhost").without_consent())
        .start_in_background()
        .unwrap();
    let long = "a".repeat(44);
    type Case<'a> = (&'a [(&'a str, &'a str)], &'a str, &'a str);
    let cases: &[Case<'_>] = &[
        (&[("prompt", "none")], "login_required", "AADSTS50058"),
        (&[("prompt", "magic")], "invalid_request", "AADSTS90023"),
        (&[("abort", "1")], "access_denied", "AADSTS65004"),
        (&[("response_type", "-")], "invalid_request", "AADSTS900144"),
        (&[("response_type", "token")], "unsupported_response_type", "AADSTS700051: response_type 'token'"),
        (&[("response_type", "id_token token")], "unsupported_response_type", "AADSTS700051: response_type 'token'"),
        (&[("response_type", "code id_token")], "unsupported_response_type", "AADSTS700054: response_type 'id_token'"),
        (&[("response_mode", "web_message")], "invalid_request", "AADSTS70007"),
        (&[("scope", "-")], "invalid_request", "AADSTS900144"),
        (&[("scope", "https://storage.azure.com/user_impersonation c/d")], "invalid_resource", "AADSTS500011"),
        (&[("scope", "https://storage.azure.com/Files.Read")], "invalid_client", "AADSTS650053"),
        (&[("scope", "https://unknown.example/.default")], "invalid_resource", "AADSTS500011"),
        (&[("client_id", id)], "consent_required", "AADSTS65001"),
        (&[("client_id", id), ("scope", "openid profile")], "consent_required", "AADSTS65001"),
        (&[("code_challenge_method", "plain")], "invalid_request", "AADSTS90100"),
        (&[("code_challenge_method", "-")], "invalid_request", "AADSTS90100"),
        (&[("code_challenge", "-")], "invalid_request", "AADSTS90100"),
        (&[("code_challenge", &long)], "invalid_request", "AADSTS501491"),
        (&[("code_challenge", "short")], "invalid_request", "AADSTS501491"),
        (&[("claims", "x")], "invalid_request", "AADSTS90100"),
    ];
    for (changes, error, code) in cases {
        let (base, answer) = redirect(&get(&emulator, &target(TENANT_ID, changes)), '?');
        assert_eq!((base.as_str(), value(&answer, "error").as_str()), (LOCAL, *error), "{changes:?}");
        let text = value(&answer, "error_description");
        assert!(text.starts_with(code) && text.contains("Trace ID: "), "{text}");
        assert_eq!(value(&answer, "state"), "a state & more");
    }
    let posted = get(&emulator, &target(TENANT_ID, &[("prompt", "none"), ("response_mode", "form_post")])).text();
    assert_eq!(hidden(&posted, "error"), "login_required");
    let (_, answer) =
        redirect(&get(&emulator, &target(TENANT_ID, &[("prompt", "none"), ("response_mode", "fragment")])), '#');
    assert_eq!(value(&answer, "error"), "login_required");
    let late = target("organizations", &[("scope", "https://unknown.example/.default")]);
    assert_eq!(get(&emulator, &late).status, 200, "which tenant it is, only the person says");
    let (_, answer) = redirect(&sign_in(&emulator, &late, USER_NAME), '?');
    assert_eq!(value(&answer, "error"), "invalid_resource");
}

#[test]
fn nobody_is_sent_to_an_address_that_is_not_registered() {
    let (bare, policy) = ("7e57ab1e-0000-4000-8000-00000000aa02", "7e57ab1e-0000-4000-8000-00000000aa04");
    let emulator = builder()
        .app(App::new(bare).public_client())
        .app(App::new(policy).public_client().redirect_uri("http://localhost").blocked_by_policy())
        .start_in_background()
        .unwrap();
    type Case<'a> = (&'a [(&'a str, &'a str)], &'a str);
    let cases: &[Case<'_>] = &[
        (&[("client_id", "-")], "AADSTS900144"),
        (&[("client_id", "7e57ab1e-0000-4000-8000-00000000ffff")], "AADSTS700016"),
        (&[("client_id", bare)], "AADSTS500113"),
        (&[("redirect_uri", "-")], "AADSTS900971"),
        (&[("redirect_uri", "https://evil.example")], "AADSTS50011"),
        (&[("redirect_uri", "http://localhost.evil.example")], "AADSTS50011"),
        (&[("redirect_uri", "http://localhost:1@evil.example")], "AADSTS50011"),
        (&[("redirect_uri", "http://localhost:1/other")], "AADSTS50011"),
        (&[("redirect_uri", "javascript:alert(1)")], "AADSTS50011"),
    ];
    for (changes, code) in cases {
        let here = target(TENANT_ID, changes);
        for answer in [get(&emulator, &here), sign_in(&emulator, &here, USER_NAME)] {
            assert_eq!((answer.status, answer.header("location")), (400, None), "{changes:?}");
            assert!(answer.text().contains(code), "{code} {}", answer.text());
        }
    }
    let twice = format!("{}&redirect_uri=https%3A%2F%2Fevil.example", target(TENANT_ID, &[]));
    assert!(get(&emulator, &twice).text().contains("AADSTS9000411"));
    assert!(get(&emulator, &format!("{}&x=%zz", target(TENANT_ID, &[]))).text().contains("AADSTS90100"));
    let single = target("common", &[("client_id", policy)]);
    assert!(get(&emulator, &single).text().contains("AADSTS50194"));
    let blocked = sign_in(&emulator, &target(TENANT_ID, &[("client_id", policy)]), USER_NAME);
    assert!(blocked.status == 400 && blocked.text().contains("AADSTS53003"), "{}", blocked.text());
    assert_eq!(get(&emulator, &target("nobody.example", &[])).status, 400);
    let put = Response::parse(
        &send_tls(&emulator, Source::Entra, &request("PUT", &target(TENANT_ID, &[]), &[], "")).unwrap(),
    );
    assert_eq!(put.status, 405);
}

#[test]
fn the_page_runs_nothing_and_shows_nothing_of_a_request_as_html() {
    let emulator = builder().start_in_background().unwrap();
    let evil = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>";
    let changes = [("state", evil), ("login_hint", evil), ("nonce", evil), ("ui_locales", evil)];
    let here = target(TENANT_ID, &changes);
    let policy = get(&emulator, &target(TENANT_ID, &[])).header("content-security-policy").unwrap().to_owned();
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
    let pages = [
        get(&emulator, &here),
        sign_in(&emulator, &here, evil),
        sign_in(&emulator, &here, MFA_USER_NAME),
        get(&emulator, &target(TENANT_ID, &[("redirect_uri", evil)])),
        get(&emulator, &target(TENANT_ID, &[("client_id", evil)])),
        get(&emulator, &target(TENANT_ID, &[("prompt", "none"), ("response_mode", "form_post"), ("state", evil)])),
        get(&emulator, &target(TENANT_ID, &[("prompt", evil), ("response_mode", "form_post")])),
    ];
    for page in pages {
        let html = page.text().replace("<script>document.forms[0].submit()</script>", "");
        assert!(!html.contains("<script") && !html.contains("<img") && !html.contains("\"'>"), "{html}");
        assert_eq!(page.header("content-security-policy"), Some(policy.as_str()), "the same for all");
        assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(page.header("x-frame-options"), Some("DENY"));
        assert_eq!(page.header("cache-control"), Some("no-store, no-cache"));
    }
    let (_, answer) = redirect(&sign_in(&emulator, &here, USER_NAME), '?');
    assert_eq!(value(&answer, "state"), evil);
    // A line break in a state ends no header.
    let broken = target(TENANT_ID, &[("state", "a\r\nSet-Cookie: b=c"), ("prompt", "none")]);
    let answer = get(&emulator, &broken);
    assert!(answer.header("set-cookie").is_none() && answer.status == 302, "{answer:?}");
}

#[test]
fn the_style_and_the_script_of_the_page_are_those_of_its_policy() {
    let emulator = builder().start_in_background().unwrap();
    let page = sign_in(&emulator, &target(TENANT_ID, &[("response_mode", "form_post")]), USER_NAME);
    let policy = page.header("content-security-policy").unwrap();
    for element in ["style", "script"] {
        let html = page.text();
        let (_, rest) = html.split_once(&format!("<{element}>")).unwrap();
        let (content, _) = rest.split_once(&format!("</{element}>")).unwrap();
        let hash = ring::digest::digest(&ring::digest::SHA256, content.as_bytes());
        let hash = common::padded(&common::base64(hash.as_ref(), false));
        assert!(policy.contains(&format!("{element}-src 'sha256-{hash}'")), "{element} {policy}");
    }
}

#[test]
fn a_page_of_somebody_else_signs_nobody_in() {
    let emulator = builder().start_in_background().unwrap();
    let here = target(TENANT_ID, &[]);
    let pick = [("pick", USER_NAME)];
    for origin in ["https://evil.example", "null", "http://127.0.0.1"] {
        let answer = post_with(&emulator, &here, &pick, &[("Origin", origin)]);
        assert!(answer.status == 400 && answer.header("location").is_none(), "{origin}");
    }
    assert_eq!(post_with(&emulator, &here, &pick, &[("Origin", "https://127.0.0.1")]).status, 302);
    let json = request("POST", &here, &[("Content-Type", "application/json")], "{\"pick\":\"ada@contoso.example\"}");
    assert_eq!(Response::parse(&send_tls(&emulator, Source::Entra, &json).unwrap()).status, 400);
    let twice = post(&emulator, &here, &[("pick", USER_NAME), ("pick", MFA_USER_NAME)]);
    assert!(twice.status == 400 && twice.text().contains("AADSTS9000411"), "{}", twice.text());
    let huge = post(&emulator, &here, &[("loginfmt", &"a".repeat(70_000))]);
    assert_eq!(huge.status, 413);
}

#[test]
fn requests_of_browsers_are_recorded_and_can_go_wrong_as_all_others() {
    let emulator = builder().start_in_background().unwrap();
    emulator.faults().next(Source::Entra, Answer::status(503));
    let here = target(TENANT_ID, &[]);
    assert_eq!((get(&emulator, &here).status, get(&emulator, &here).status), (503, 200));
    sign_in(&emulator, &here, USER_NAME);
    let requests = emulator.requests();
    assert_eq!(requests[2].form_value("loginfmt").as_deref(), Some(USER_NAME));
    assert_eq!((requests[0].status(), requests[2].status()), (Some(503), Some(302)));
    assert!(!format!("{:?}", requests[2]).contains(USER_PASSWORD));
    let long = "a".repeat(60_000);
    let (_, answer) = redirect(&sign_in(&emulator, &target(TENANT_ID, &[("state", &long)]), USER_NAME), '?');
    assert_eq!(value(&answer, "state").len(), long.len());
    let too_long = request("GET", &target(TENANT_ID, &[("state", &"a".repeat(70_000))]), &[], "");
    let refused = send_tls(&emulator, Source::Entra, &too_long);
    assert!(refused.is_err() || Response::parse(&refused.unwrap()).status == 431);
    assert_eq!(sign_in(&emulator, &here, USER_NAME).status, 302);
}

#[test]
fn refused_redemptions_of_codes_of_the_page_name_their_reason() {
    let emulator = builder().start_in_background().unwrap();
    let bare = [("code_challenge", "-"), ("code_challenge_method", "-")];
    let (_, answer) = redirect(&sign_in(&emulator, &target(TENANT_ID, &bare), USER_NAME), '?');
    assert_eq!(outcome(&redeem(&emulator, TENANT_ID, &value(&answer, "code"))).2, 501_481);
    let openid = target(TENANT_ID, &[("scope", "openid")]);
    let (_, answer) = redirect(&sign_in(&emulator, &openid, USER_NAME), '?');
    let tokens = redeem(&emulator, TENANT_ID, &value(&answer, "code"));
    assert_eq!(tokens.claims()["aud"], "https://graph.microsoft.com");
    assert!(tokens.json().get("refresh_token").is_none());
}
