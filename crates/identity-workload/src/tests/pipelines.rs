//! A job of Azure Pipelines.

use identity_core::http::{Method, Proxy, Reach, ServerTrust};

use super::*;
use crate::{AzurePipelinesCredential, AzurePipelinesCredentialBuilder};

const NAME: &str = "AzurePipelinesCredential";
const URI: &str = "https://dev.azure.com/org/_apis/distributedtask/hubs/build/plans/1/jobs/2/oidctoken";
const JOB: &[(&str, &str)] = &[("SYSTEM_OIDCREQUESTURI", URI)];
const GIVEN: Reply = (200, &[], r#"{"oidcToken":"CANARY-assertion"}"#);

fn builder() -> AzurePipelinesCredentialBuilder {
    AzurePipelinesCredential::builder("tenant", "client", "connection-1", "CANARY-access")
}

fn build(world: &World) -> AzurePipelinesCredential {
    builder().build_with(&world.platform).unwrap()
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
    assert_eq!(
        (ask.method, ask.url.clone()),
        (Method::Post, format!("{URI}?api-version=7.1&serviceConnectionId=connection-1"))
    );
    let headers: Vec<_> = ask.headers.iter().map(|(name, value)| (*name, value.expose())).collect();
    let expected = [
        ("accept", "application/json"),
        ("content-type", "application/json"),
        ("authorization", "Bearer CANARY-access"),
        ("x-tfs-fedauthredirect", "Suppress"),
    ];
    assert_eq!(headers, expected);
    // The transport makes a length of 0 of it.
    assert_eq!(ask.body.as_ref().map(|body| body.expose()), Some(""));
    assert_eq!((ask.proxy, ask.reach, &ask.trust), (Proxy::Configured, Reach::Any, &ServerTrust::Roots));
    assert_eq!((exchange.url.as_str(), assertion(exchange)), (ENDPOINT, "CANARY-assertion".to_owned()));
    assert!(header(exchange, "authorization").is_none());
    // The assertion is not kept.
    world.get_scope(&credential, "https://storage.azure.com/.default").unwrap();
    assert_eq!(world.transport.count(), 4);
}

#[test]
fn the_address_is_read_for_each_exchange_and_joined_as_urls_are() {
    let query = "api-version=7.1&serviceConnectionId=connection-1";
    let world = World::job(&[], &[GIVEN]);
    let credential = build(&world);
    let error = world.get(&credential).unwrap_err();
    refused(&error, ErrorKind::CredentialUnavailable, NAME, &["SYSTEM_OIDCREQUESTURI"]);
    world.env.set("SYSTEM_OIDCREQUESTURI", "");
    assert!(world.get(&credential).unwrap_err().is_unavailable());
    assert_eq!(world.transport.count(), 0);
    for (at, (uri, expected)) in [
        ("https://a/oidctoken/", format!("https://a/oidctoken?{query}")),
        ("https://b:8443", format!("https://b:8443?{query}")),
        ("https://c/x/?y=z/", format!("https://c/x?y=z/&{query}")),
    ]
    .into_iter()
    .enumerate()
    {
        world.env.set("SYSTEM_OIDCREQUESTURI", uri);
        world.get_scope(&credential, &format!("api://{at}/.default")).unwrap();
        assert_eq!(world.urls()[2 * at], expected);
    }
}

#[test]
fn the_access_token_leaves_over_https_to_the_address_only() {
    for (uri, says) in [
        ("http://localhost/oidctoken", "https"),
        ("http://dev.azure.com/", "https"),
        ("dev.azure.com", "https"),
        ("https://user:CANARY@dev.azure.com/", "password"),
        ("https://dev.azure.com/#CANARY", "fragment"),
        ("https://dev.azure.com/\\@evil.example", "backslash"),
        ("https:///oidctoken", "host"),
        ("https://dev.azure.com/?api-version=6.0", "parameter"),
        ("https://dev.azure.com/?a&serviceconnectionid=other", "parameter"),
    ] {
        let world = World::job(&[("SYSTEM_OIDCREQUESTURI", uri)], &[GIVEN]);
        let error = world.get(&build(&world)).expect_err(uri);
        refused(&error, ErrorKind::InvalidArgument, NAME, &["SYSTEM_OIDCREQUESTURI", says]);
        assert_eq!(world.transport.count(), 0);
    }
}

#[test]
fn arguments_that_are_none_are_refused_when_it_is_built() {
    let world = World::job(JOB, &[GIVEN]);
    let new = AzurePipelinesCredential::builder;
    for (builder, says) in [
        (new("", "client", "connection", "CANARY"), "tenant id"),
        (new("a/b", "client", "connection", "CANARY"), "tenant id"),
        (new("tenant", "", "connection", "CANARY"), "client id"),
        (new("tenant", "a&b", "connection", "CANARY"), "client id"),
        (new("tenant", "client", "", "CANARY"), "service connection id"),
        (new("tenant", "client", "a b", "CANARY"), "service connection id"),
        (new("tenant", "client", "a&api-version=1", "CANARY"), "service connection id"),
        (new("tenant", "client", "connection", ""), "$(System.AccessToken)"),
        (new("tenant", "client", "connection", "CANARY\r\nx: y"), "$(System.AccessToken)"),
        (builder().authority("http://x"), "https"),
    ] {
        let error = builder.build_with(&world.platform).expect_err(says);
        refused(&error, ErrorKind::InvalidArgument, NAME, &[says]);
    }
}

#[test]
fn refusals_say_what_to_do_and_where_to_look() {
    let access = "$(System.AccessToken)";
    let rows: [(Reply, ErrorKind, &[&str]); 11] = [
        (
            (401, &[("x-vss-e2eid", "id-1"), ("x-msedge-ref", "Ref A: 2")], r#"{"message":"TF400813: CANARY-access"}"#),
            ErrorKind::AuthenticationFailed,
            &["401", access, "x-vss-e2eid: id-1", "x-msedge-ref: Ref A: 2", "TF400813: ***"],
        ),
        ((203, &[], "<html>CANARY sign in</html>"), ErrorKind::AuthenticationFailed, &["203 with text/html", access]),
        ((403, &[], "{}"), ErrorKind::AuthenticationFailed, &["403", access]),
        (
            (302, &[("location", "https://spsprodweu1.vssps.visualstudio.com/_signin?CANARY")], ""),
            ErrorKind::AuthenticationFailed,
            &["302", "https://spsprodweu1.vssps.visualstudio.com", access],
        ),
        (
            (
                404,
                &[("x-vss-e2eid", "CANARY-access \u{1b}[31m")],
                r#"{"message":"The service connection x was not found."}"#,
            ),
            ErrorKind::AuthenticationFailed,
            &["404", "no such service connection", "was not found", "x-vss-e2eid: *** \\u{1b}[31m"],
        ),
        ((400, &[], r#"{"message":"bad api-version"}"#), ErrorKind::AuthenticationFailed, &["400", "bad api-version"]),
        ((204, &[], ""), ErrorKind::AuthenticationFailed, &["204"]),
        ((200, &[], "{}"), ErrorKind::Protocol, &["has no token"]),
        ((200, &[], r#"{"oidcToken":null,"value":"CANARY"}"#), ErrorKind::Protocol, &["has no token"]),
        ((200, &[], r#"{"oidcToken":"CANARY CANARY"}"#), ErrorKind::Protocol, &["is no token"]),
        ((200, &[], "<html>CANARY</html>"), ErrorKind::Protocol, &["200 with text/html", "sign-in page"]),
    ];
    for (reply, kind, says) in rows {
        let world = World::job(JOB, Box::leak(Box::new([reply])));
        let credential = build(&world);
        let error = world.get(&credential).expect_err(says[0]);
        refused(&error, kind, NAME, &[&["Azure Pipelines"], says].concat());
        assert_eq!(error.http_status(), Some(reply.0));
        assert_eq!(world.transport.count(), 1, "not retried, and Entra ID is not asked: {says:?}");
    }
}

#[test]
fn a_refusal_is_forgotten_when_the_job_is_given_another_address() {
    let world = World::job(JOB, &[(401, &[], "{}"), GIVEN]);
    let credential = build(&world);
    for _ in 0..2 {
        assert_eq!(world.get(&credential).unwrap_err().http_status(), Some(401));
    }
    assert_eq!(world.transport.count(), 1);
    world.env.set("SYSTEM_OIDCREQUESTURI", "https://dev.azure.com/other/oidctoken");
    world.get(&credential).unwrap();
}

#[test]
fn outside_of_a_job_nobody_is_asked_about_the_authority_or_a_region() {
    let world = World::job(&[], &[GIVEN]);
    let credential =
        builder().authority("sts.contoso.com").region("tryautodetect").build_with(&world.platform).unwrap();
    refused(&world.get(&credential).unwrap_err(), ErrorKind::CredentialUnavailable, NAME, &["SYSTEM_OIDCREQUESTURI"]);
    assert_eq!(world.transport.count(), 0);
}

#[test]
fn nothing_shows_the_access_token() {
    let world = World::job(JOB, &[GIVEN]);
    let builder = builder();
    let credential = builder.clone().build_with(&world.platform).unwrap();
    world.get(&credential).unwrap();
    let shown = format!("{builder:?} {builder:#?} {credential:?} {credential:#?}");
    assert!(shown.contains("client") && !shown.contains("CANARY"), "{shown}");
}
