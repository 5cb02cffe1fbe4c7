//! What a workload's credential needs and what it sends.

use identity_core::http::{Method, Proxy, Reach, ServerTrust};

use super::*;
use crate::WorkloadIdentityCredential;

const NAME: &str = "WorkloadIdentityCredential";

#[test]
fn the_token_in_the_file_is_exchanged_for_one_of_entra() {
    let world = World::pod(&[(200, TOKEN)]);
    let credential = WorkloadIdentityCredential::builder().build_with(&world.platform).unwrap();
    assert_eq!((world.transport.count(), world.env.reads().len()), (0, 0));
    let token = world.get(&credential).unwrap();
    assert_eq!((token.secret(), credential.name()), ("CANARY-token", NAME));
    world.get(&credential.clone()).unwrap();
    let requests = world.transport.requests();
    let [request] = &requests[..] else { panic!("{requests:?}") };
    assert_eq!((request.method, request.url.as_str()), (Method::Post, ENDPOINT));
    assert_eq!((request.reach, request.proxy), (Reach::Any, Proxy::Configured));
    assert_eq!((&request.trust, &request.server_name), (&ServerTrust::Roots, &None));
    let expected = [
        ("client_assertion", "CANARY-assertion"),
        ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
        ("client_id", "client"),
        ("client_info", "1"),
        ("grant_type", "client_credentials"),
        ("scope", SCOPE),
    ];
    assert_eq!(form(request), expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    assert_eq!(header(request, "content-type"), Some("application/x-www-form-urlencoded"));
}

#[test]
fn what_is_given_to_the_builder_wins_over_the_variables() {
    let world = World::pod(&[(200, TOKEN)]);
    world.env.file("/other", Ok(b"other-assertion"));
    let builder = WorkloadIdentityCredential::builder().tenant_id("mine").client_id("me").token_file_path("/other");
    let credential = builder.authority("login.microsoftonline.us").build_with(&world.platform).unwrap();
    world.get(&credential).unwrap();
    let request = &world.transport.requests()[0];
    assert_eq!(request.url, "https://login.microsoftonline.us/mine/oauth2/v2.0/token");
    assert!(form(request).contains(&("client_id".into(), "me".into())));
    assert_eq!(assertion(request), "other-assertion");
    assert!(world.env.reads().iter().all(|path| path.as_os_str() == "/other"));
}

#[test]
fn all_that_is_missing_is_named_in_one_error() {
    let names = ["AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_FEDERATED_TOKEN_FILE"];
    let setters = ["'tenant_id'", "'client_id'", "'token_file_path'"];
    for mask in 1..8_u8 {
        let is_missing = |at: usize| mask & (1 << at) != 0;
        // Some are empty, the others are not set.
        let vars: Vec<_> = (0..3)
            .filter(|&at| at != 0 || !is_missing(0))
            .map(|at| (names[at], if is_missing(at) { "" } else { "x" }))
            .collect();
        let error = WorkloadIdentityCredential::builder().build_with(&World::replies(&vars, &[]).platform).unwrap_err();
        refused(&error, ErrorKind::InvalidArgument, NAME, &["webhook", "https://"]);
        for at in 0..3 {
            let message = error.to_string();
            assert_eq!(message.contains(names[at]), is_missing(at), "{mask} {message}");
            assert_eq!(message.contains(setters[at]), is_missing(at), "{mask} {message}");
        }
    }
}

#[test]
fn ids_and_options_that_cannot_work_are_refused_when_it_is_built() {
    let new = WorkloadIdentityCredential::builder;
    let world = World::pod(&[(200, TOKEN)]);
    for (builder, says) in [
        (new().tenant_id(""), "tenant id"),
        (new().tenant_id("../evil"), "tenant id"),
        (new().tenant_id("a b"), "tenant id"),
        (new().client_id(""), "client id"),
        (new().client_id("a\r\nb"), "client id"),
        (new().token_file_path(""), "path"),
        (new().authority("http://localhost"), "https"),
        (new().region("east.us"), "region"),
        (new().cache_capacity(0), "cache"),
        (new().failure_memory(std::time::Duration::from_secs(61)), "failure memory"),
    ] {
        let error = builder.clone().build_with(&world.platform).expect_err(says);
        refused(&error, ErrorKind::InvalidArgument, NAME, &[says]);
    }
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStringExt as _;
        world.env.set("AZURE_CLIENT_ID", std::ffi::OsString::from_vec(b"CANARY\xff".to_vec()));
        let error = new().build_with(&world.platform).unwrap_err();
        refused(&error, ErrorKind::InvalidArgument, NAME, &["AZURE_CLIENT_ID", "Unicode"]);
    }
    assert_eq!(world.transport.count(), 0);
}

#[test]
fn nothing_shows_a_token() {
    let world = World::pod(&[(200, TOKEN)]);
    let builder = WorkloadIdentityCredential::builder();
    let credential = builder.clone().build_with(&world.platform).unwrap();
    world.get(&credential).unwrap();
    let shown = format!("{builder:?} {credential:?} {credential:#?}");
    assert!(shown.contains("tenant") && shown.contains("client") && !shown.contains("CANARY"), "{shown}");

    // A service that repeats what it was sent.
    let world = World::pod(&[(
        400,
        r#"{"error":"invalid_request","error_description":"AADSTS50027: bad token CANARY-assertion CANARY-assertio"}"#,
    )]);
    let credential = WorkloadIdentityCredential::builder().build_with(&world.platform).unwrap();
    let error = world.get(&credential).unwrap_err();
    refused(&error, ErrorKind::AuthenticationFailed, NAME, &["AADSTS50027", "bad token ***"]);
}
