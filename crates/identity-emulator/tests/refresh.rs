//! Refresh tokens are for one client and one user, and for every resource.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test says so by failing"
)]

mod common;

use common::{CP1, Response, builder, changed, control, outcome, part, token};
use identity_emulator::{
    App, CERTIFICATE_CLIENT_ID, Emulator, OTHER_TENANT_ID, OTHER_USER_NAME, PUBLIC_CLIENT_ID, TENANT_ID, USER_NAME,
    USER_OBJECT_ID, USER_PASSWORD, User, WEB_CLIENT_ID, WEB_CLIENT_SECRET,
};

const SCOPE: &str = "https://storage.azure.com/.default offline_access openid";

/// A refresh token of the public client, from a password.
fn refresh_token(emulator: &Emulator, user: &str, claims: &str) -> String {
    let form = [
        ("client_id", PUBLIC_CLIENT_ID),
        ("grant_type", "password"),
        ("username", user),
        ("password", USER_PASSWORD),
        ("scope", SCOPE),
        ("claims", claims),
    ];
    part(
        &token(emulator, "organizations", &changed(&form, if claims.is_empty() { &[("claims", "-")] } else { &[] })),
        "refresh_token",
    )
}

fn form(refresh_token: &str) -> Vec<(&str, &str)> {
    vec![("client_id", PUBLIC_CLIENT_ID), ("grant_type", "refresh_token"), ("refresh_token", refresh_token)]
}

fn ask(emulator: &Emulator, refresh_token: &str, changes: &[(&str, &str)]) -> Response {
    token(emulator, TENANT_ID, &changed(&form(refresh_token), changes))
}

#[test]
fn a_refresh_token_serves_every_resource_and_the_old_one_stays_good() {
    let emulator = builder().start_in_background().unwrap();
    let first = refresh_token(&emulator, USER_NAME, "");
    let answer = ask(&emulator, &first, &[("scope", "https://vault.azure.net/.default"), ("client_info", "1")]);
    assert_eq!(
        (&answer.claims()["aud"], &answer.claims()["oid"]),
        (&"https://vault.azure.net".into(), &USER_OBJECT_ID.into())
    );
    assert!(answer.json().get("id_token").is_none(), "nobody asked for one");
    part(&answer, "client_info");
    let second = part(&answer, "refresh_token");
    assert_ne!(first, second);
    for good in [&first, &second, &first] {
        let answer = ask(&emulator, good, &[]);
        assert_eq!(answer.claims()["aud"], "https://storage.azure.com", "the first scope, if nothing is said");
        part(&answer, "id_token");
    }
    assert_eq!(ask(&emulator, &second, &[("scope", "Mail.Read openid")]).claims()["scp"], "Mail.Read openid");
}

#[test]
fn refresh_tokens_are_refused_as_the_real_service_does() {
    let emulator = builder().start_in_background().unwrap();
    let good = refresh_token(&emulator, USER_NAME, "");
    let unknown = format!("1.emulated-{}", "A".repeat(64));
    type Case<'a> = (&'a [(&'a str, &'a str)], u16, &'a str, u64);
    let cases: &[Case<'_>] = &[
        (&[("refresh_token", "-")], 400, "invalid_request", 900_144),
        (&[("refresh_token", "nonsense")], 400, "invalid_grant", 9_002_313),
        (&[("refresh_token", &unknown)], 400, "invalid_grant", 70_000),
        (&[("client_id", "-")], 400, "invalid_request", 900_144),
        (&[("client_secret", "x")], 401, "invalid_client", 700_025),
        (&[("client_id", WEB_CLIENT_ID)], 401, "invalid_client", 7_000_218),
        (&[("client_id", WEB_CLIENT_ID), ("client_secret", WEB_CLIENT_SECRET)], 400, "invalid_grant", 70_000),
        (&[("client_id", CERTIFICATE_CLIENT_ID), ("client_secret", "x")], 401, "invalid_client", 7_000_215),
        (&[("scope", "https://unknown.example/.default")], 400, "invalid_resource", 500_011),
        (&[("scope", "https://storage.azure.com/Files.Read")], 400, "invalid_grant", 65_001),
        (&[("scope", "https://storage.azure.com/.default Mail.Read")], 400, "invalid_scope", 28_000),
        (&[("claims", CP1)], 400, "invalid_grant", 70_000),
    ];
    for (changes, status, error, code) in cases {
        let answer = ask(&emulator, &good, changes);
        assert_eq!(outcome(&answer), (*status, (*error).to_owned(), *code), "{changes:?}");
    }
    let elsewhere = token(&emulator, OTHER_TENANT_ID, &form(&good));
    assert_eq!(outcome(&elsewhere), (400, "invalid_grant".to_owned(), 50_020));
    assert_eq!(ask(&emulator, &good, &[]).status, 200);
    let edith = refresh_token(&emulator, OTHER_USER_NAME, "");
    assert_eq!(token(&emulator, "organizations", &form(&edith)).claims()["tid"], OTHER_TENANT_ID);
}

#[test]
fn tokens_with_and_without_capabilities_are_not_mixed() {
    let emulator = builder().start_in_background().unwrap();
    let cae = refresh_token(&emulator, USER_NAME, CP1);
    assert_eq!(ask(&emulator, &cae, &[("claims", CP1)]).claims()["xms_cc"][0], "CP1");
    assert_eq!(outcome(&ask(&emulator, &cae, &[])).2, 70_000);
}

#[test]
fn a_refresh_token_expires_and_is_revoked() {
    let emulator = builder().refresh_token_lifetime_secs(1_000).start_in_background().unwrap();
    let token = refresh_token(&emulator, USER_NAME, "");
    emulator.set_clock_skew_secs(980);
    assert_eq!(ask(&emulator, &token, &[]).status, 200);
    emulator.set_clock_skew_secs(1_002);
    let expired = ask(&emulator, &token, &[]);
    assert_eq!(outcome(&expired), (400, "invalid_grant".to_owned(), 700_082));
    emulator.set_clock_skew_secs(0);
    let edith = refresh_token(&emulator, OTHER_USER_NAME, "");
    emulator.revoke_refresh_tokens(Some(USER_NAME)).unwrap();
    let revoked = ask(&emulator, &token, &[]);
    assert_eq!(outcome(&revoked), (400, "invalid_grant".to_owned(), 50_173));
    assert_eq!(revoked.json()["suberror"], "bad_token");
    assert_eq!(common::token(&emulator, OTHER_TENANT_ID, &form(&edith)).status, 200, "somebody else's");
    let fresh = refresh_token(&emulator, USER_NAME, "");
    assert_eq!(ask(&emulator, &fresh, &[]).status, 200);
    emulator.expire_refresh_tokens(None).unwrap();
    for token in [&fresh, &edith] {
        assert_eq!(outcome(&common::token(&emulator, "organizations", &form(token))).2, 700_082);
    }
    assert!(emulator.revoke_refresh_tokens(Some("nobody")).is_err());
    let order = |body: &str| control(&emulator, "POST", "/__emulator/grants", body).status;
    let fresh = refresh_token(&emulator, USER_NAME, "");
    assert_eq!((order(r#"{"user":"nobody","end":"revoke"}"#), order(r#"{"end":"x"}"#)), (400, 400));
    assert_eq!(order(r#"{"user":"ada@contoso.example","end":"revoke"}"#), 204);
    assert_eq!(outcome(&ask(&emulator, &fresh, &[])).2, 50_173);
    assert_eq!(order(r#"{"end":"expire"}"#), 204);
    assert_eq!(outcome(&ask(&emulator, &fresh, &[])).2, 700_082);
}

#[test]
fn a_token_can_be_good_for_one_use() {
    let emulator = builder().single_use_refresh_tokens().start_in_background().unwrap();
    let first = refresh_token(&emulator, USER_NAME, "");
    assert_eq!(outcome(&ask(&emulator, &first, &[("scope", "Files/x")])).2, 500_011, "a refusal uses nothing up");
    let second = part(&ask(&emulator, &first, &[]), "refresh_token");
    assert_eq!(outcome(&ask(&emulator, &first, &[])), (400, "invalid_grant".to_owned(), 70_008));
    assert_eq!(ask(&emulator, &second, &[]).status, 200);
    let emulator = builder().single_use_refresh_tokens().loop_limit(2).start_in_background().unwrap();
    let first = refresh_token(&emulator, USER_NAME, "");
    let second = part(&ask(&emulator, &first, &[]), "refresh_token");
    for _ in 0..2 {
        assert_eq!(outcome(&ask(&emulator, &second, &[])).2, 50_196);
    }
}

#[test]
fn of_many_redemptions_at_once_one_succeeds() {
    let emulator = builder().single_use_refresh_tokens().start_in_background().unwrap();
    let first = refresh_token(&emulator, USER_NAME, "");
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| ask(&emulator, &first, &[]).status)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
}

#[test]
fn the_account_is_looked_at_each_time() {
    let emulator =
        builder().app(App::new("7e57ab1e-0000-4000-8000-00000000aa02").public_client()).start_in_background().unwrap();
    let good = refresh_token(&emulator, USER_NAME, "");
    emulator.put_user(User::new(USER_NAME, "x").object_id(USER_OBJECT_ID).disabled()).unwrap();
    assert_eq!(outcome(&ask(&emulator, &good, &[])).2, 50_057);
    emulator.put_user(User::new(USER_NAME, "x")).unwrap();
    assert_eq!(outcome(&ask(&emulator, &good, &[])), (400, "invalid_grant".to_owned(), 50_034), "it is another one");
    let alone = ask(&emulator, &good, &[("client_id", "7e57ab1e-0000-4000-8000-00000000aa02")]);
    assert_eq!(outcome(&alone).2, 70_000);
}
