//! Authorization codes are good once, for whoever asked for them.
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
    CHALLENGE, CP1, Response, STORAGE_SCOPE, VERIFIER, builder, changed, control, outcome, part, token, verified, with,
};
use identity_emulator::{
    App, CERTIFICATE_CLIENT_ID, DISABLED_USER_NAME, Emulator, MFA_USER_NAME, OTHER_TENANT_ID, OTHER_USER_NAME,
    PUBLIC_CLIENT_ID, TENANT_ID, USER_NAME, USER_OBJECT_ID, User, UserFlow, WEB_CLIENT_ID, WEB_CLIENT_SECRET,
    WEB_REDIRECT_URI,
};
use serde_json::{Value, json};

const LOCAL: &str = "http://localhost:8400";
const SCOPE: &str = "https://storage.azure.com/.default openid profile offline_access";

/// A code for the web application.
fn code(emulator: &Emulator) -> String {
    emulator.authorization_code(WEB_CLIENT_ID, WEB_REDIRECT_URI, SCOPE, USER_NAME, None, Some("a nonce")).unwrap()
}

fn form(code: &str) -> Vec<(&str, &str)> {
    vec![
        ("client_id", WEB_CLIENT_ID),
        ("client_secret", WEB_CLIENT_SECRET),
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", WEB_REDIRECT_URI),
    ]
}

fn ask(emulator: &Emulator, code: &str, changes: &[(&str, &str)]) -> Response {
    token(emulator, TENANT_ID, &changed(&form(code), changes))
}

/// A code for a program on the user's own machine.
fn public_code(emulator: &Emulator, challenge: Option<&str>) -> String {
    emulator.authorization_code(PUBLIC_CLIENT_ID, LOCAL, SCOPE, USER_NAME, challenge, None).unwrap()
}

fn ask_public(emulator: &Emulator, code: &str, changes: &[(&str, &str)]) -> Response {
    let public = [("client_id", PUBLIC_CLIENT_ID), ("client_secret", "-"), ("redirect_uri", LOCAL)];
    token(emulator, TENANT_ID, &changed(&changed(&form(code), &public), changes))
}

#[test]
fn a_code_gets_tokens() {
    let emulator = builder().start_in_background().unwrap();
    let answer = ask(&emulator, &code(&emulator), &[("client_info", "1")]);
    assert_eq!(answer.status, 200, "{answer:?}");
    let claims = verified(&emulator, &part(&answer, "access_token"));
    assert_eq!((&claims["aud"], &claims["oid"]), (&"https://storage.azure.com".into(), &USER_OBJECT_ID.into()));
    assert_eq!((&claims["appid"], &claims["appidacr"]), (&WEB_CLIENT_ID.into(), &"1".into()));
    let id = verified(&emulator, &part(&answer, "id_token"));
    assert_eq!((&id["nonce"], &id["aud"], &id["name"]), (&"a nonce".into(), &WEB_CLIENT_ID.into(), &"Ada".into()));
    assert!(id.get("email").is_none() && id["exp"].as_i64().unwrap() > common::now());
    part(&answer, "refresh_token");
    part(&answer, "client_info");
    assert_eq!(answer.header("cache-control"), Some("no-store, no-cache"));
}

#[test]
fn the_scope_of_the_redemption_decides() {
    let emulator = builder().start_in_background().unwrap();
    let vault = "https://vault.azure.net/.default openid";
    let answer = ask(&emulator, &code(&emulator), &[("scope", vault), ("claims", CP1)]);
    assert_eq!(answer.claims()["aud"], "https://vault.azure.net");
    assert_eq!(answer.claims()["xms_cc"], json!(["CP1"]));
    let id = common::claims(&part(&answer, "id_token"));
    assert!(id.get("preferred_username").is_none() && id.get("oid").is_none(), "that takes profile: {id}");
    part(&answer, "refresh_token");
    let alone =
        emulator.authorization_code(WEB_CLIENT_ID, WEB_REDIRECT_URI, STORAGE_SCOPE, USER_NAME, None, None).unwrap();
    let answer = ask(&emulator, &alone, &[]).json();
    assert!(answer.get("refresh_token").is_none() && answer.get("id_token").is_none(), "{answer}");
    let openid =
        emulator.authorization_code(WEB_CLIENT_ID, WEB_REDIRECT_URI, "openid email", USER_NAME, None, None).unwrap();
    let answer = ask(&emulator, &openid, &[]);
    assert_eq!(
        (&answer.claims()["aud"], &answer.claims()["scp"]),
        (&"https://graph.microsoft.com".into(), &"openid email".into())
    );
    assert_eq!(common::claims(&part(&answer, "id_token"))["email"], USER_NAME);
}

#[test]
fn a_code_may_be_for_several_resources_and_a_token_for_one() {
    let emulator = builder().start_in_background().unwrap();
    let scope = "https://storage.azure.com/user_impersonation Mail.Read https://vault.azure.net/user_impersonation openid offline_access";
    let code = || emulator.authorization_code(WEB_CLIENT_ID, WEB_REDIRECT_URI, scope, USER_NAME, None, None).unwrap();
    let first = code();
    assert_eq!(outcome(&ask(&emulator, &first, &[])), (400, "invalid_request".to_owned(), 28_003));
    assert_eq!(outcome(&ask(&emulator, &first, &[("scope", scope)])).2, 28_000);
    let answer = ask(&emulator, &first, &[("scope", "Mail.Read")]);
    assert_eq!(
        (&answer.claims()["aud"], &answer.claims()["scp"]),
        (&"https://graph.microsoft.com".into(), &"Mail.Read".into())
    );
    let refresh = part(&answer, "refresh_token");
    let own = [("client_id", WEB_CLIENT_ID), ("client_secret", WEB_CLIENT_SECRET), ("grant_type", "refresh_token")];
    let form = [&own[..], &[("refresh_token", &refresh), ("scope", "https://vault.azure.net/.default")]].concat();
    assert_eq!(token(&emulator, TENANT_ID, &form).claims()["aud"], "https://vault.azure.net");
    assert_eq!(outcome(&token(&emulator, TENANT_ID, &changed(&form, &[("scope", "-")]))).2, 28_003);
    for (more, code) in [
        ("https://unknown.example/a", "AADSTS500011"),
        ("https://management.azure.com/.default", "AADSTS70011"),
        ("https://management.azure.com/Files.Read", "AADSTS650053"),
        ("https://vault.azure.net/.default", "AADSTS70011"),
    ] {
        let scope = format!("{scope} {more}");
        let made = emulator.authorization_code(WEB_CLIENT_ID, WEB_REDIRECT_URI, &scope, USER_NAME, None, None);
        let error = made.unwrap_err().to_string();
        assert!(error.contains(code), "{error}");
    }
}

#[test]
fn a_page_in_a_browser_redeems_nothing() {
    let emulator = builder().start_in_background().unwrap();
    let code = code(&emulator);
    let refresh = part(&ask(&emulator, &self::code(&emulator), &[]), "refresh_token");
    let own = [("client_id", WEB_CLIENT_ID), ("client_secret", WEB_CLIENT_SECRET), ("grant_type", "refresh_token")];
    let refreshing = [&own[..], &[("refresh_token", &refresh)]].concat();
    for form in [form(&code), refreshing] {
        let headers =
            [("Content-Type", "application/x-www-form-urlencoded"), ("Origin", "https://web.contoso.example")];
        let body = common::form(&form);
        let bytes = common::request("POST", &format!("/{TENANT_ID}/oauth2/v2.0/token"), &headers, &body);
        let answer = Response::parse(&common::send_tls(&emulator, identity_emulator::Source::Entra, &bytes).unwrap());
        assert_eq!(outcome(&answer), (400, "invalid_request".to_owned(), 9_002_326));
        assert!(answer.text().contains("Request origin: 'https://web.contoso.example'."), "{}", answer.text());
        assert_eq!(token(&emulator, TENANT_ID, &form).status, 200, "that has not used it up");
    }
}

#[test]
fn a_code_is_good_once_and_what_came_of_it_is_revoked_by_a_second_use() {
    let emulator = builder().start_in_background().unwrap();
    let (code, other) = (code(&emulator), code(&emulator));
    let refresh = part(&ask(&emulator, &code, &[]), "refresh_token");
    let kept = part(&ask(&emulator, &other, &[]), "refresh_token");
    let redeem = |refresh: &str| {
        let own = [("client_id", WEB_CLIENT_ID), ("client_secret", WEB_CLIENT_SECRET)];
        let form = [&own[..], &[("grant_type", "refresh_token"), ("refresh_token", refresh)]].concat();
        token(&emulator, TENANT_ID, &form)
    };
    let next = part(&redeem(&refresh), "refresh_token");
    assert_eq!(outcome(&ask(&emulator, &code, &[])), (400, "invalid_grant".to_owned(), 54_005));
    for revoked in [&refresh, &next] {
        let answer = redeem(revoked);
        assert_eq!(outcome(&answer), (400, "invalid_grant".to_owned(), 50_173));
        assert_eq!(answer.json()["suberror"], "bad_token");
    }
    assert_eq!(redeem(&kept).status, 200);
}

#[test]
fn a_refusal_for_a_loop_uses_no_code_up() {
    let emulator = builder().loop_limit(1).start_in_background().unwrap();
    assert_eq!(ask(&emulator, &code(&emulator), &[]).status, 200);
    let second = code(&emulator);
    for _ in 0..2 {
        assert_eq!(outcome(&ask(&emulator, &second, &[])), (400, "invalid_grant".to_owned(), 50_196));
    }
    assert_eq!(ask(&emulator, &second, &[("scope", "Mail.Read")]).status, 200);
}

#[test]
fn a_code_expires_after_ten_minutes() {
    let emulator = builder().start_in_background().unwrap();
    let (early, late) = (code(&emulator), code(&emulator));
    emulator.set_clock_skew_secs(590);
    assert_eq!(ask(&emulator, &early, &[]).status, 200);
    emulator.set_clock_skew_secs(601);
    assert_eq!(outcome(&ask(&emulator, &late, &[])), (400, "invalid_grant".to_owned(), 70_008));
    emulator.set_clock_skew_secs(0);
    let third = code(&emulator);
    emulator.revoke_refresh_tokens(Some(USER_NAME)).unwrap();
    assert_eq!(outcome(&ask(&emulator, &third, &[])).2, 50_173);
}

#[test]
fn redemptions_are_refused_as_the_real_service_does() {
    let emulator = builder().start_in_background().unwrap();
    let good = code(&emulator);
    let unknown = format!("1.emulated-{}", "A".repeat(64));
    type Case<'a> = (&'a [(&'a str, &'a str)], u16, &'a str, u64);
    let cases: &[Case<'_>] = &[
        (&[("code", "-")], 400, "invalid_request", 900_144),
        (&[("redirect_uri", "-")], 400, "invalid_request", 900_144),
        (&[("code", "nonsense"), ("client_secret", "wrong")], 400, "invalid_grant", 9_002_313),
        (&[("code", &unknown)], 400, "invalid_grant", 70_000),
        (&[("client_secret", "-")], 401, "invalid_client", 7_000_218),
        (&[("client_secret", "wrong")], 401, "invalid_client", 7_000_215),
        (&[("client_id", CERTIFICATE_CLIENT_ID), ("client_secret", "-")], 401, "invalid_client", 7_000_218),
        (&[("client_id", PUBLIC_CLIENT_ID)], 401, "invalid_client", 700_025),
        (&[("client_id", PUBLIC_CLIENT_ID), ("client_secret", "-")], 400, "invalid_grant", 70_000),
        (&[("redirect_uri", LOCAL)], 401, "invalid_client", 500_112),
        (&[("redirect_uri", "https://web.contoso.example/signed-in/")], 401, "invalid_client", 500_112),
        (&[("code_verifier", VERIFIER)], 400, "invalid_grant", 501_481),
        (&[("scope", "a/b c/d")], 400, "invalid_scope", 28_000),
        (&[("scope", "https://storage.azure.com/Files.Read")], 400, "invalid_grant", 65_001),
        (&[("claims", "x")], 400, "invalid_request", 90_100),
    ];
    for (changes, status, error, code) in cases {
        let answer = ask(&emulator, &good, changes);
        assert_eq!(outcome(&answer), (*status, (*error).to_owned(), *code), "{changes:?}");
    }
    let elsewhere = token(&emulator, OTHER_TENANT_ID, &form(&good));
    assert_eq!(outcome(&elsewhere), (400, "invalid_grant".to_owned(), 700_005));
    assert_eq!(ask(&emulator, &good, &[]).status, 200, "none of that has used it up");
}

#[test]
fn a_public_client_proves_that_it_has_asked() {
    let emulator = builder().start_in_background().unwrap();
    let with_proof = public_code(&emulator, Some(CHALLENGE));
    let other = "a".repeat(43);
    for verifier in ["-", &other, CHALLENGE, "short"] {
        let answer = ask_public(&emulator, &with_proof, &[("code_verifier", verifier)]);
        assert_eq!(outcome(&answer), (400, "invalid_grant".to_owned(), 501_481), "{verifier}");
    }
    let answer = ask_public(&emulator, &with_proof, &[("code_verifier", VERIFIER)]);
    assert_eq!(answer.claims()["appidacr"], "0");
    let bare = public_code(&emulator, None);
    assert_eq!(outcome(&ask_public(&emulator, &bare, &[])), (400, "invalid_request".to_owned(), 9_002_325));
    let lax = builder().optional_pkce().start_in_background().unwrap();
    assert_eq!(ask_public(&lax, &public_code(&lax, None), &[]).status, 200);
    let bound = public_code(&lax, Some(CHALLENGE));
    assert_eq!(outcome(&ask_public(&lax, &bound, &[])).2, 501_481, "who asks for it gets it");
}

#[test]
fn a_group_of_tenants_means_that_of_the_user() {
    let emulator = builder().start_in_background().unwrap();
    for (user, tenant) in [(USER_NAME, TENANT_ID), (OTHER_USER_NAME, OTHER_TENANT_ID)] {
        for realm in ["common", "organizations", tenant] {
            let code = emulator.authorization_code(WEB_CLIENT_ID, WEB_REDIRECT_URI, SCOPE, user, None, None).unwrap();
            let answer = token(&emulator, realm, &form(&code));
            assert_eq!(answer.claims()["tid"], tenant, "{realm}");
            let id = common::claims(&part(&answer, "id_token"));
            assert_eq!(id["iss"], format!("{}/{tenant}/v2.0", emulator.authority()));
        }
    }
    assert_eq!(outcome(&token(&emulator, "consumers", &form(&code(&emulator)))).2, 9_002_332);
}

#[test]
fn a_code_is_made_only_where_the_page_would_make_one() {
    let emulator = builder()
        .app(App::new("7e57ab1e-0000-4000-8000-00000000aa02").secret("s"))
        .app(App::new("7e57ab1e-0000-4000-8000-00000000aa03").secret("s").redirect_uri(LOCAL).without_consent())
        .start_in_background()
        .unwrap();
    let make = |client: &str, redirect: &str, scope: &str, user: &str| {
        emulator.authorization_code(client, redirect, scope, user, None, None).unwrap_err().to_string()
    };
    for (client, redirect, scope, user, part) in [
        (WEB_CLIENT_ID, "https://evil.example", SCOPE, USER_NAME, "AADSTS50011: "),
        (WEB_CLIENT_ID, "", SCOPE, USER_NAME, "AADSTS900971: "),
        ("7e57ab1e-0000-4000-8000-00000000aa02", LOCAL, SCOPE, USER_NAME, "AADSTS500113: "),
        ("7e57ab1e-0000-4000-8000-00000000aa03", LOCAL, SCOPE, USER_NAME, "AADSTS65001: "),
        ("7e57ab1e-0000-4000-8000-00000000aa03", LOCAL, "openid", USER_NAME, "AADSTS65001: "),
        (WEB_CLIENT_ID, WEB_REDIRECT_URI, SCOPE, "nobody@contoso.example", "no user"),
        (WEB_CLIENT_ID, WEB_REDIRECT_URI, SCOPE, DISABLED_USER_NAME, "AADSTS50057: "),
        (WEB_CLIENT_ID, WEB_REDIRECT_URI, "", USER_NAME, "AADSTS70011: "),
        (WEB_CLIENT_ID, WEB_REDIRECT_URI, "https://storage.azure.com/Files.Read", USER_NAME, "AADSTS650053: "),
        (WEB_CLIENT_ID, WEB_REDIRECT_URI, "https://unknown.example/.default", USER_NAME, "AADSTS500011: "),
        (WEB_CLIENT_ID, WEB_REDIRECT_URI, "https://unknown.example/Files.Read", USER_NAME, "AADSTS500011: "),
    ] {
        let error = make(client, redirect, scope, user);
        assert!(error.contains(part), "{error}");
    }
    for challenge in ["", "short", &"+".repeat(43), &"a".repeat(44)] {
        let error = emulator
            .authorization_code(PUBLIC_CLIENT_ID, LOCAL, SCOPE, USER_NAME, Some(challenge), None)
            .expect_err(challenge);
        assert!(error.to_string().contains("AADSTS501491: "), "{error}");
    }
    let order =
        json!({ "client_id": WEB_CLIENT_ID, "redirect_uri": WEB_REDIRECT_URI, "scope": SCOPE, "user": USER_NAME });
    let made = control(&emulator, "POST", "/__emulator/code", &order.to_string());
    assert_eq!(ask(&emulator, &part(&made, "code"), &[]).status, 200);
    let wrong = with(order, "redirect_uri", "https://evil.example".into()).to_string();
    assert_eq!(control(&emulator, "POST", "/__emulator/code", &wrong).status, 400);
}

#[test]
fn the_code_in_the_file_is_always_a_good_one() {
    let emulator = builder().start_in_background().unwrap();
    emulator.check_user_variables(UserFlow::AuthorizationCode).unwrap();
    let variables = emulator.user_variables(UserFlow::AuthorizationCode);
    let get = |name: &str| variables.iter().find(|(other, _)| other == name).unwrap().1.clone();
    let read = || std::fs::read_to_string(get("IDENTITY_CODE_FILE")).unwrap();
    let (client, secret, redirect) = (get("AZURE_CLIENT_ID"), get("AZURE_CLIENT_SECRET"), get("IDENTITY_REDIRECT_URI"));
    let redeem = |code: &str| {
        let own: [(&str, &str); 4] =
            [("client_id", &client), ("client_secret", &secret), ("redirect_uri", &redirect), ("scope", STORAGE_SCOPE)];
        ask(&emulator, code, &own)
    };
    let first = read();
    emulator.set_clock_skew_secs(86_400);
    assert_eq!(redeem(&first).claims()["oid"], USER_OBJECT_ID);
    let second = read();
    assert_ne!(first, second);
    assert_eq!(outcome(&redeem(&first)).2, 54_005);
    part(&redeem(&second), "refresh_token");
    emulator.revoke_refresh_tokens(None).unwrap();
    assert_eq!(redeem(&read()).status, 200);
    let poor = builder().user(User::new(USER_NAME, "x").mfa()).start_in_background().unwrap();
    assert!(poor.check_user_variables(UserFlow::AuthorizationCode).is_err(), "nobody else is at home without more");
    assert!(poor.user_variables(UserFlow::OnBehalfOf).is_empty());
}

#[test]
fn somebody_with_a_second_factor_has_it_in_every_token_that_follows() {
    let emulator = builder().start_in_background().unwrap();
    let code = emulator.authorization_code(WEB_CLIENT_ID, WEB_REDIRECT_URI, SCOPE, MFA_USER_NAME, None, None).unwrap();
    let answer = ask(&emulator, &code, &[]);
    assert_eq!(answer.claims()["amr"], json!(["pwd", "mfa"]));
    let refresh = part(&answer, "refresh_token");
    let form = [
        ("client_id", WEB_CLIENT_ID),
        ("client_secret", WEB_CLIENT_SECRET),
        ("grant_type", "refresh_token"),
        ("refresh_token", &refresh),
    ];
    assert_eq!(token(&emulator, TENANT_ID, &form).claims()["amr"], json!(["pwd", "mfa"]));
    // A policy that comes later stops those who have come without it.
    let refresh = part(&ask(&emulator, &self::code(&emulator), &[]), "refresh_token");
    emulator.put_user(User::new(USER_NAME, "x").object_id(USER_OBJECT_ID).mfa()).unwrap();
    let form = changed(&form, &[("refresh_token", &refresh)]);
    let refused = token(&emulator, TENANT_ID, &form);
    assert_eq!(outcome(&refused), (400, "invalid_grant".to_owned(), 50_076));
    assert_eq!((&refused.json()["suberror"], refused.json().get("claims")), (&Value::from("basic_action"), None));
}
