//! Programs that know a password get tokens, if a password is all that it takes.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test says so by failing"
)]

mod common;

use common::{CP1, Response, STORAGE_SCOPE, builder, changed, outcome, part, token, verified};
use identity_emulator::{
    App, DISABLED_USER_NAME, EXPIRED_PASSWORD_USER_NAME, Emulator, FEDERATED_USER_NAME, MFA_USER_NAME, OTHER_TENANT_ID,
    OTHER_USER_NAME, PUBLIC_CLIENT_ID, TENANT_ID, USER_NAME, USER_OBJECT_ID, USER_PASSWORD, WEB_CLIENT_ID,
    WEB_CLIENT_SECRET,
};

fn form() -> Vec<(&'static str, &'static str)> {
    vec![
        ("client_id", PUBLIC_CLIENT_ID),
        ("grant_type", "password"),
        ("username", USER_NAME),
        ("password", USER_PASSWORD),
        ("scope", STORAGE_SCOPE),
    ]
}

fn ask(emulator: &Emulator, tenant: &str, changes: &[(&str, &str)]) -> Response {
    token(emulator, tenant, &changed(&form(), changes))
}

#[test]
fn a_password_gets_tokens() {
    let emulator = builder().start_in_background().unwrap();
    let scope = format!("{STORAGE_SCOPE} offline_access openid profile");
    for (tenant, name) in
        [(TENANT_ID, USER_NAME), ("organizations", "ADA@contoso.example"), ("contoso.example", USER_NAME)]
    {
        let answer =
            ask(&emulator, tenant, &[("scope", &scope), ("username", name), ("client_info", "1"), ("claims", CP1)]);
        let claims = verified(&emulator, &part(&answer, "access_token"));
        assert_eq!((&claims["oid"], &claims["upn"]), (&USER_OBJECT_ID.into(), &USER_NAME.into()));
        assert_eq!((&claims["appid"], &claims["appidacr"]), (&PUBLIC_CLIENT_ID.into(), &"0".into()));
        assert_eq!((&claims["tid"], &claims["xms_cc"][0]), (&TENANT_ID.into(), &"CP1".into()));
        let id = verified(&emulator, &part(&answer, "id_token"));
        assert_eq!((&id["aud"], &id["preferred_username"]), (&PUBLIC_CLIENT_ID.into(), &USER_NAME.into()));
        assert!(id.get("nonce").is_none());
        part(&answer, "refresh_token");
    }
    let own = [("client_id", WEB_CLIENT_ID), ("client_secret", WEB_CLIENT_SECRET)];
    assert_eq!(ask(&emulator, TENANT_ID, &own).claims()["appidacr"], "1");
    let other = ask(&emulator, "organizations", &[("username", OTHER_USER_NAME)]);
    assert_eq!(other.claims()["tid"], OTHER_TENANT_ID);
}

#[test]
fn passwords_are_refused_as_the_real_service_does() {
    let alone = "7e57ab1e-0000-4000-8000-00000000aa02";
    let emulator = builder().app(App::new(alone).public_client().without_consent()).start_in_background().unwrap();
    type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], u16, &'a str, u64);
    let cases: &[Case<'_>] = &[
        (TENANT_ID, &[("username", "-")], 400, "invalid_request", 900_144),
        (TENANT_ID, &[("password", "-")], 400, "invalid_request", 900_144),
        (TENANT_ID, &[("scope", "-")], 400, "invalid_request", 90_014),
        (TENANT_ID, &[("password", "wrong")], 400, "invalid_grant", 50_126),
        (TENANT_ID, &[("password", "public test password")], 400, "invalid_grant", 50_126),
        (TENANT_ID, &[("username", "nobody@contoso.example")], 400, "invalid_grant", 50_034),
        (TENANT_ID, &[("username", OTHER_USER_NAME)], 400, "invalid_grant", 50_034),
        (TENANT_ID, &[("username", MFA_USER_NAME)], 400, "invalid_grant", 50_076),
        (TENANT_ID, &[("username", MFA_USER_NAME), ("password", "wrong")], 400, "invalid_grant", 50_126),
        (TENANT_ID, &[("username", EXPIRED_PASSWORD_USER_NAME)], 400, "invalid_grant", 50_055),
        (TENANT_ID, &[("username", DISABLED_USER_NAME)], 400, "invalid_grant", 50_057),
        (TENANT_ID, &[("username", FEDERATED_USER_NAME)], 400, "invalid_grant", 50_126),
        (TENANT_ID, &[("client_id", WEB_CLIENT_ID)], 401, "invalid_client", 7_000_218),
        (TENANT_ID, &[("client_secret", WEB_CLIENT_SECRET)], 401, "invalid_client", 700_025),
        (TENANT_ID, &[("client_id", alone)], 400, "invalid_grant", 65_001),
        ("organizations", &[("client_id", alone)], 400, "invalid_request", 50_194),
        ("common", &[], 400, "invalid_request", 9_001_023),
        ("consumers", &[], 400, "invalid_request", 9_001_023),
        (TENANT_ID, &[("scope", "https://unknown.example/.default")], 400, "invalid_resource", 500_011),
        (TENANT_ID, &[("claims", "{")], 400, "invalid_request", 90_100),
    ];
    for (tenant, changes, status, error, code) in cases {
        let answer = ask(&emulator, tenant, changes);
        assert_eq!(outcome(&answer), (*status, (*error).to_owned(), *code), "{tenant} {changes:?}");
        assert!(!answer.text().contains(USER_PASSWORD), "{answer:?}");
    }
    for (user, suberror) in [(MFA_USER_NAME, "basic_action"), (EXPIRED_PASSWORD_USER_NAME, "user_password_expired")] {
        assert_eq!(ask(&emulator, TENANT_ID, &[("username", user)]).json()["suberror"], suberror);
    }
}

#[test]
fn hostile_names_come_back_in_json_alone() {
    let emulator = builder().start_in_background().unwrap();
    for name in ["<script>alert(1)</script>", "a\"b\\c", "\u{202e}\0\n", &"x".repeat(20_000)] {
        let answer = ask(&emulator, TENANT_ID, &[("username", name)]);
        assert_eq!(outcome(&answer).2, 50_034);
        assert_eq!(answer.header("content-type"), Some("application/json; charset=utf-8"));
    }
    let twice = common::form(&[form(), vec![("username", "x")]].concat());
    let headers = [("Content-Type", "application/x-www-form-urlencoded")];
    let bytes = common::request("POST", &format!("/{TENANT_ID}/oauth2/v2.0/token"), &headers, &twice);
    let answer = Response::parse(&common::send_tls(&emulator, identity_emulator::Source::Entra, &bytes).unwrap());
    assert_eq!(outcome(&answer).2, 9_000_411);
}
