//! A job of GitHub Actions.

use identity_core::http::{Method, Proxy};

use super::*;
use crate::GithubActionsCredential;

const NAME: &str = "GithubActionsCredential";
const URL: &str = "https://run-actions-1.actions.githubusercontent.com/1//idtoken/2/3?api-version=2.0";
const JOB: &[(&str, &str)] = &[
    ("AZURE_TENANT_ID", "tenant"),
    ("AZURE_CLIENT_ID", "client"),
    ("ACTIONS_ID_TOKEN_REQUEST_URL", URL),
    ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "CANARY-request"),
];
const GIVEN: Reply = (200, &[], r#"{"count":1,"value":"CANARY-assertion"}"#);

fn build(world: &World) -> GithubActionsCredential {
    GithubActionsCredential::builder().build_with(&world.platform).unwrap()
}

/// The variables but for these, and with others in their place.
fn job(instead: &[(&'static str, &'static str)]) -> Vec<(&'static str, &'static str)> {
    let is_replaced = |name: &str| instead.iter().any(|(other, _)| *other == name);
    JOB.iter().copied().filter(|(name, _)| !is_replaced(name)).chain(instead.iter().copied()).collect()
}

#[test]
fn the_token_of_the_job_is_asked_for_and_exchanged() {
    let world = World::job(JOB, &[GIVEN]);
    let credential = build(&world);
    assert_eq!(world.transport.count(), 0);
    let token = world.get(&credential).unwrap();
    world.get(&credential.clone()).unwrap();
    assert_eq!((token.secret(), credential.name()), ("CANARY-token", NAME));
    let requests = world.transport.requests();
    let [ask, exchange] = &requests[..] else { panic!("{requests:?}") };
    assert_eq!(ask.method, Method::Get);
    assert_eq!(ask.url, format!("{URL}&audience=api%3A%2F%2FAzureADTokenExchange"));
    let headers: Vec<_> = ask.headers.iter().map(|(name, value)| (*name, value.expose())).collect();
    let expected = [("accept", "application/json; api-version=2.0"), ("authorization", "bearer CANARY-request")];
    assert_eq!((headers, ask.body.is_none(), ask.proxy), (expected.to_vec(), true, Proxy::Configured));
    assert_eq!((exchange.url.as_str(), assertion(exchange)), (ENDPOINT, "CANARY-assertion".to_owned()));
}

#[test]
fn builder_and_variables_say_who_it_is_and_for_whom() {
    let world = World::job(&job(&[("AZURE_TENANT_ID", "other"), ("AZURE_CLIENT_ID", "")]), &[GIVEN]);
    let builder = GithubActionsCredential::builder().tenant_id("tenant").client_id("me").audience("api://a b");
    refused(&builder.clone().build_with(&world.platform).unwrap_err(), ErrorKind::InvalidArgument, NAME, &["audience"]);
    let credential = builder.audience("api://AzureADTokenExchangeUSGov&x=y").build_with(&world.platform).unwrap();
    world.get(&credential).unwrap();
    let requests = world.transport.requests();
    assert_eq!(requests[0].url, format!("{URL}&audience=api%3A%2F%2FAzureADTokenExchangeUSGov%26x%3Dy"));
    assert!(form(&requests[1]).contains(&("client_id".into(), "me".into())));

    let world = World::job(&job(&[("AZURE_TENANT_ID", ""), ("AZURE_CLIENT_ID", "")]), &[GIVEN]);
    let error = GithubActionsCredential::builder().build_with(&world.platform).unwrap_err();
    refused(&error, ErrorKind::InvalidArgument, NAME, &["AZURE_TENANT_ID", "AZURE_CLIENT_ID", "are missing"]);
}

#[test]
fn without_the_permission_there_is_no_credential() {
    for name in ["ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"] {
        let world = World::job(&job(&[(name, "")]), &[GIVEN]);
        let credential = build(&world);
        let error = world.get(&credential).unwrap_err();
        refused(&error, ErrorKind::CredentialUnavailable, NAME, &[name, "permissions: id-token: write"]);
        assert_eq!(world.transport.count(), 0);
        // It is looked for at each exchange.
        world.env.set(name, JOB.iter().find(|(known, _)| *known == name).unwrap().1);
        world.get(&credential).unwrap();
    }
}

#[test]
fn the_request_token_leaves_over_https_to_the_address_only() {
    let (url, token) = ("ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN");
    for (name, value, says) in [
        (url, "http://localhost/x?api-version=2.0", "https"),
        (url, "https://user:CANARY@x/", "password"),
        (url, "https://x/#CANARY", "fragment"),
        (url, "https://x/?audience=CANARY", "parameter"),
        (url, "https://:1/", "host"),
        (token, "CANARY\r\nHost: x", "runner"),
        (token, "CANARY CANARY", "runner"),
    ] {
        let world = World::job(&job(&[(name, value)]), &[GIVEN]);
        let error = world.get(&build(&world)).expect_err(value);
        refused(&error, ErrorKind::InvalidArgument, NAME, &[name, says]);
        assert_eq!(world.transport.count(), 0);
    }
}

#[test]
fn refusals_say_what_to_do() {
    let permission = "id-token: write";
    let rows: [(Reply, ErrorKind, &[&str]); 6] = [
        (
            (401, &[("x-github-request-id", "A:B")], r#"{"message":"bearer CANARY-request is expired"}"#),
            ErrorKind::AuthenticationFailed,
            &["401", permission, "bearer *** is expired", "x-github-request-id: A:B"],
        ),
        ((403, &[], "{}"), ErrorKind::AuthenticationFailed, &["403", permission]),
        ((302, &[("location", "https://github.com/login")], ""), ErrorKind::AuthenticationFailed, &["302", permission]),
        ((404, &[], "<html>"), ErrorKind::AuthenticationFailed, &["404", "ACTIONS_ID_TOKEN_REQUEST_URL"]),
        ((200, &[], r#"{"oidcToken":"CANARY"}"#), ErrorKind::Protocol, &["has no token"]),
        ((200, &[], "<html>CANARY"), ErrorKind::Protocol, &["200 with text/html"]),
    ];
    for (reply, kind, says) in rows {
        let world = World::job(JOB, Box::leak(Box::new([reply])));
        let error = world.get(&build(&world)).expect_err(says[0]);
        refused(&error, kind, NAME, &[&["GitHub Actions"], says].concat());
        assert_eq!((error.http_status(), world.transport.count()), (Some(reply.0), 1));
    }
}

#[test]
fn a_refusal_is_forgotten_when_the_job_is_given_another_token() {
    let world = World::job(JOB, &[(401, &[], "{}"), GIVEN]);
    let credential = build(&world);
    for _ in 0..2 {
        assert_eq!(world.get(&credential).unwrap_err().http_status(), Some(401));
    }
    assert_eq!(world.transport.count(), 1);
    world.env.set("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "another");
    world.get(&credential).unwrap();
}

#[test]
fn nothing_shows_the_request_token() {
    let world = World::job(JOB, &[GIVEN]);
    let credential = build(&world);
    world.get(&credential).unwrap();
    let shown = format!("{credential:?} {credential:#?} {:?}", GithubActionsCredential::builder());
    assert!(shown.contains("client") && !shown.contains("CANARY"), "{shown}");
}
