//! People whose password the program knows, and whom the authority itself knows, over fakes of every seam.
#![expect(deprecated, reason = "the tests of what is deprecated")]

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicUsize, Ordering},
};

use identity_core::{
    Clock as _,
    fakes::join_all,
    http::{Method, Proxy, Request, TransportError, TransportErrorKind},
};

use super::{log::Log, users::*, *};
use crate::{UsernamePasswordCredential, UsernamePasswordCredentialBuilder};

pub(super) const PASSWORD: &str = "CANARY-pass <&>\"' word";
pub(super) const USER: &str = "ada@contoso.com";
pub(super) const MANAGED: &str = r#"{"ver":"1.0","account_type":"Managed","domain_name":"contoso.com"}"#;

pub(super) fn builder() -> UsernamePasswordCredentialBuilder {
    UsernamePasswordCredential::builder("client", USER, PASSWORD)
}

pub(super) fn build(world: &World) -> UsernamePasswordCredential {
    builder().build_with(&world.platform).unwrap()
}

/// A world whose people are all the authority's own. What the token endpoint says depends on the number of the request to it.
fn managed(answer: impl Fn(usize, &BTreeMap<String, String>) -> Answer + Send + Sync + 'static) -> World {
    let next = AtomicUsize::new(0);
    World::slow(Duration::ZERO, move |request| match request.method {
        Method::Get => Ok(json(200, MANAGED)),
        _ => answer(next.fetch_add(1, Ordering::SeqCst), &form(request)),
    })
}

/// What was sent, in short.
pub(super) fn sent(world: &World) -> Vec<String> {
    let short = |request: &Request| match &request.body {
        None if request.url.contains("/userrealm/") => "realm".to_owned(),
        None if request.url.contains("/discovery/") => "discovery".to_owned(),
        None => "mex".to_owned(),
        Some(body) if body.expose().starts_with('<') => "sts".to_owned(),
        Some(_) => form(request)["grant_type"].rsplit(':').next().unwrap().to_owned(),
    };
    world.transport.requests().iter().map(short).collect()
}

pub(super) fn header<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    request.headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.expose())
}

/// Gets a token as these options say.
fn get_as(
    world: &World,
    credential: &UsernamePasswordCredential,
    scope: &str,
    options: &TokenRequestOptions,
) -> String {
    let token = world.sim.run(async { credential.get_token(&[scope], Some(options)).await });
    token.unwrap().secret().to_owned()
}

#[test]
fn a_password_is_sent_to_the_authority_that_checks_it() {
    let world = managed(|_, _| gives("CANARY-token"));
    let credential = build(&world);
    for _ in 0..2 {
        let token = world.get(&credential, GRAPH).unwrap();
        assert_eq!((token.secret(), token.credential()), ("CANARY-token", "UsernamePasswordCredential"));
    }
    let requests = world.transport.requests();
    assert_eq!(sent(&world), ["realm", "password"]);
    let [realm, token] = &requests[..] else { panic!("{requests:?}") };
    assert_eq!(realm.url, "https://login.microsoftonline.com/common/userrealm/ada%40contoso.com?api-version=1.0");
    let names: Vec<_> = realm.headers.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["accept", "client-request-id"]);
    assert_eq!(header(realm, "accept"), Some("application/json"));
    assert_eq!(header(realm, "client-request-id").unwrap().len(), 36);
    assert_eq!(token.url, "https://login.microsoftonline.com/organizations/oauth2/v2.0/token");
    assert_eq!(header(token, "x-anchormailbox"), Some("upn:ada@contoso.com"));
    let expected = [
        ("client_id", "client"),
        ("client_info", "1"),
        ("grant_type", "password"),
        ("password", PASSWORD),
        ("scope", "https://graph.microsoft.com/User.Read offline_access openid profile"),
        ("username", USER),
    ];
    assert_eq!(form(token), expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
    for request in &requests {
        let limits = (request.connect_timeout.as_secs(), request.timeout.as_secs(), request.body_limit);
        assert_eq!((limits, request.proxy), ((5, 15, 1024 * 1024), Proxy::Configured));
    }
    let shown = format!("{credential:?} {credential:#?} {:?} {:#?}", builder(), builder().tenant_id("tenant"));
    assert!(shown.contains("organizations") && !shown.contains("CANARY") && !shown.contains(USER), "{shown}");
}

#[test]
fn tenants_and_authorities_are_those_that_were_chosen() {
    let world = managed(|_, _| gives("token"));
    let credential =
        builder().tenant_id("tenant").authority("login.microsoftonline.us:8443/x").build_with(&world.platform);
    world.get(&credential.unwrap(), GRAPH).unwrap();
    // Whoever belongs to no tenant may ask for any.
    get_as(&world, &build(&world), GRAPH, &TokenRequestOptions::new().with_tenant_id("Other"));
    let urls: Vec<_> = world.transport.requests().into_iter().map(|request| request.url).collect();
    let realm = "common/userrealm/ada%40contoso.com?api-version=1.0";
    let expected = [
        &format!("https://login.microsoftonline.us:8443/{realm}"),
        "https://login.microsoftonline.us:8443/x/tenant/oauth2/v2.0/token",
        &format!("https://login.microsoftonline.com/{realm}"),
        "https://login.microsoftonline.com/other/oauth2/v2.0/token",
    ];
    assert_eq!(urls, expected);
}

#[test]
fn ad_fs_is_not_asked_who_checks_passwords() {
    let world = managed(|_, _| gives("token"));
    let credential = builder().tenant_id("ADFS").authority("sts.contoso.com").build_with(&world.platform).unwrap();
    world.get(&credential, GRAPH).unwrap();
    assert_eq!(sent(&world), ["password"]);
    assert_eq!(world.transport.requests()[0].url, "https://sts.contoso.com/ADFS/oauth2/token");
}

#[test]
fn no_name_changes_where_a_request_goes() {
    for (name, in_url, anchor) in [
        ("a/b?c#d@e%f g", "a%2Fb%3Fc%23d%40e%25f%20g", Some("upn:a/b?c#d@e%f g")),
        ("../../x", "..%2F..%2Fx", Some("upn:../../x")),
        ("ü@contoso.com", "%C3%BC%40contoso.com", None),
        ("ada ", "ada%20", None),
        ("\u{202e}", "%E2%80%AE", None),
    ] {
        let world = managed(|_, _| gives("token"));
        let credential = UsernamePasswordCredential::builder("client", name, "password");
        world.get(&credential.build_with(&world.platform).unwrap(), GRAPH).unwrap();
        let requests = world.transport.requests();
        let expected = format!("https://login.microsoftonline.com/common/userrealm/{in_url}?api-version=1.0");
        assert_eq!((requests[0].url.as_str(), header(&requests[1], "x-anchormailbox")), (expected.as_str(), anchor));
        assert_eq!(form(&requests[1])["username"], name);
    }
}

#[test]
fn a_name_or_password_that_is_none_is_refused_when_it_is_built() {
    let world = managed(|_, _| gives("token"));
    let long = "x".repeat(1_025);
    for (name, password) in [
        ("", "CANARY"),
        (".", "CANARY"),
        ("..", "CANARY"),
        ("a\r\nb", "CANARY"),
        ("a\0", "CANARY"),
        ("\u{ffff}", "x"),
        (&long, "x"),
        ("ada", ""),
    ] {
        let built = UsernamePasswordCredential::builder("client", name, password).build_with(&world.platform);
        let error = built.unwrap_err();
        assert_eq!((error.kind(), error.credential()), (ErrorKind::InvalidArgument, "UsernamePasswordCredential"));
        assert!(!error.to_string().contains("CANARY"), "{error}");
    }
    for bad in [builder().tenant_id("../x"), builder().tenant_id(""), builder().authority("http://x")] {
        assert_eq!(bad.build_with(&world.platform).unwrap_err().kind(), ErrorKind::InvalidArgument);
    }
}

#[test]
fn an_authority_that_nobody_knows_hears_neither_name_nor_password() {
    let world = World::slow(Duration::ZERO, |request| match request.url.contains("/discovery/") {
        true => Ok(json(400, r#"{"error":"invalid_instance"}"#)),
        false => Ok(json(200, MANAGED)),
    });
    let credential = builder().authority("login.evil.example").build_with(&world.platform).unwrap();
    assert_eq!(world.get(&credential, GRAPH).unwrap_err().kind(), ErrorKind::InvalidArgument);
    assert_eq!(sent(&world), ["discovery"]);

    let world = managed(|_, _| gives("token"));
    let credential = builder().authority("sts.example").disable_instance_discovery().build_with(&world.platform);
    world.get(&credential.unwrap(), GRAPH).unwrap();
    assert_eq!(sent(&world), ["realm", "password"]);
}

#[test]
fn who_is_not_said_to_be_of_a_federation_is_the_authoritys_own() {
    for body in [
        "{}",
        r#"{"account_type":"Unknown"}"#,
        r#"{"account_type":null,"federation_metadata_url":"https://sts.contoso.com/mex"}"#,
        r#"{"account_type":["Federated"]}"#,
        r#"{"account_type":"","error":null}"#,
    ] {
        let world = World::slow(Duration::ZERO, move |request| match request.method {
            Method::Get => Ok(json(200, body)),
            _ => gives("token"),
        });
        world.get(&build(&world), GRAPH).unwrap();
        assert_eq!(sent(&world), ["realm", "password"], "{body}");
    }
}

#[test]
fn an_authority_without_realms_is_asked_once() {
    let world = World::slow(Duration::ZERO, |request| match request.method {
        Method::Get => Ok(Response::new(404, Vec::new(), b"<html>".to_vec())),
        _ => gives("token"),
    });
    let credential = build(&world);
    for scope in [GRAPH, VAULT] {
        world.get(&credential, scope).unwrap();
    }
    get_as(&world, &credential, GRAPH, &TokenRequestOptions::new().with_tenant_id("other"));
    assert_eq!(sent(&world), ["realm", "password", "password", "password"]);
}

#[test]
fn without_an_answer_to_who_checks_it_no_password_is_sent() {
    use ErrorKind::{AuthenticationFailed, Protocol, Transport};
    let page =
        |status, body: &str| Response::new(status, vec![("content-type".into(), "text/html".into())], body.into());
    let with = |status, name: &str, value: &str| Response::new(status, vec![(name.into(), value.into())], Vec::new());
    let deep = format!(r#"{{"account_type":{}"#, "[".repeat(10_000));
    type Row = (Box<dyn Fn() -> Answer + Send + Sync>, ErrorKind, usize);
    let rows: [Row; 11] = [
        (Box::new(move || Ok(page(200, "<html></html>"))), Protocol, 1),
        (Box::new(move || Ok(page(403, "<html></html>"))), Protocol, 1),
        (Box::new(move || Ok(with(302, "location", "https://evil.example/"))), Protocol, 1),
        (Box::new(move || Ok(json(200, &deep))), Protocol, 1),
        (Box::new(|| Ok(json(200, r#"{"account_type":"Managed","account_type":"Federated"}"#))), Protocol, 1),
        (Box::new(|| Ok(json(200, r#"{"error":"x"}"#))), Protocol, 1),
        (
            Box::new(|| Ok(json(400, r#"{"error":"invalid_request","error_description":"AADSTS90002: no"}"#))),
            AuthenticationFailed,
            1,
        ),
        (Box::new(|| Ok(json(503, "{}"))), Transport, 4),
        (Box::new(|| Ok(json(200, r#"{"account_type":"Man"#))), Transport, 4),
        (Box::new(move || Ok(with(429, "retry-after", "120"))), Transport, 1),
        (Box::new(|| Err(TransportError::new(TransportErrorKind::TooLarge, "too large"))), Protocol, 1),
    ];
    for (at, (answer, kind, count)) in rows.into_iter().enumerate() {
        let world = World::slow(Duration::ZERO, move |_| answer());
        let error = world.get(&build(&world), GRAPH).unwrap_err();
        assert_eq!((error.kind(), error.credential()), (kind, "UsernamePasswordCredential"), "{at}: {error}");
        assert!(error.to_string().contains("who checks the password"), "{at}: {error}");
        assert_eq!(sent(&world), vec!["realm"; count], "{at}: {error}");
        assert_eq!(error.correlation_id().map(str::len), Some(36), "{at}");
        assert_eq!(error.retry_after().map(|wait| wait.as_secs()), (at == 9).then_some(120), "{at}");
        assert_eq!(error.entra_codes(), if at == 6 { &[90_002][..] } else { &[] });
    }
}

#[test]
fn what_came_with_a_token_is_used_before_the_password() {
    let world = managed(|_, form| match form["grant_type"].as_str() {
        "refresh_token" => gives_both("token-2", &format!("{}-next", form["refresh_token"])),
        _ => gives_both("token-1", "CANARY-refresh"),
    });
    let credential = build(&world);
    assert_eq!(world.get(&credential, GRAPH).unwrap().secret(), "token-1");
    assert_eq!(world.get(&credential, VAULT).unwrap().secret(), "token-2");
    world.clock.advance(Duration::from_secs(3_600));
    assert_eq!(world.get(&credential, GRAPH).unwrap().secret(), "token-2");
    assert_eq!(sent(&world), ["realm", "password", "refresh_token", "refresh_token"]);
    let requests = world.transport.requests();
    let expected = [
        ("client_id", "client"),
        ("client_info", "1"),
        ("grant_type", "refresh_token"),
        ("refresh_token", "CANARY-refresh"),
        ("scope", "https://vault.azure.net/.default offline_access openid profile"),
    ];
    assert_eq!(form(&requests[2]), expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
    assert_eq!(form(&requests[3])["refresh_token"], "CANARY-refresh-next");
}

#[test]
fn the_password_is_used_again_when_what_came_with_a_token_is_refused() {
    for error in ["invalid_grant", "interaction_required"] {
        let world = managed(move |number, form| match form["grant_type"].as_str() {
            "refresh_token" => refuses(error, r#","error_description":"AADSTS70043: CANARY-refresh""#),
            _ if number == 0 => gives_both("token-1", "CANARY-refresh"),
            _ => gives("token-2"),
        });
        let credential = build(&world);
        for scope in [GRAPH, VAULT, "https://storage.azure.com/.default"] {
            world.get(&credential, scope).unwrap();
        }
        // Forgotten once, it is not tried again.
        let expected = ["realm", "password", "refresh_token", "realm", "password", "realm", "password"];
        assert_eq!(sent(&world), expected, "{error}");
    }
}

#[test]
fn trouble_with_what_came_with_a_token_costs_one_request_and_a_pause_is_kept() {
    let world = managed(|number, _| match number {
        0 => gives_both("token-1", "CANARY-refresh"),
        1 => Err(TransportError::new(TransportErrorKind::Closed, "closed")),
        _ => gives("token-2"),
    });
    let credential = build(&world);
    world.get(&credential, GRAPH).unwrap();
    assert_eq!(world.get(&credential, VAULT).unwrap().secret(), "token-2");
    assert_eq!(sent(&world), ["realm", "password", "refresh_token", "realm", "password"]);

    let pause = || Ok(Response::new(429, vec![("retry-after".into(), "120".into())], Vec::new()));
    let world = managed(move |number, _| if number == 0 { gives_both("token", "CANARY-refresh") } else { pause() });
    let credential = build(&world);
    world.get(&credential, GRAPH).unwrap();
    for _ in 0..3 {
        let error = world.get(&credential, VAULT).unwrap_err();
        let told = (error.kind(), error.retry_after());
        assert_eq!(told, (ErrorKind::Transport, Some(Duration::from_secs(120))), "{error}");
    }
    assert_eq!(sent(&world), ["realm", "password", "refresh_token"]);
}

#[test]
fn tenants_and_kinds_of_tokens_have_their_own_refresh_tokens() {
    let world = managed(|number, _| gives_both(&format!("token-{number}"), &format!("refresh-{number}")));
    let credential = build(&world);
    let plain = TokenRequestOptions::new;
    for (options, expected) in [
        (plain(), "token-0"),
        (plain().enable_cae(), "token-1"),
        (plain().with_tenant_id("other"), "token-2"),
        (plain().with_tenant_id("OTHER").enable_cae(), "token-3"),
    ] {
        assert_eq!(get_as(&world, &credential, GRAPH, &options), expected);
    }
    assert_eq!(get_as(&world, &credential, VAULT, &plain().enable_cae()), "token-4");
    let claims = r#"{"access_token":{"nbf":{"essential":true,"value":"1"}}}"#;
    assert_eq!(get_as(&world, &credential, VAULT, &plain().with_claims(claims)), "token-5");
    let grants: Vec<_> = (world.transport.requests().iter().filter(|request| request.method == Method::Post))
        .map(|request| {
            let form = form(request);
            let claims = form.get("claims").map_or("", String::as_str);
            (form.get("refresh_token").cloned().unwrap_or_default(), claims.contains("CP1"), claims.contains("nbf"))
        })
        .collect();
    let expected = [
        ("", false, false),
        ("", true, false),
        ("", false, false),
        ("", true, false),
        ("refresh-1", true, false),
        ("refresh-0", false, true),
    ];
    assert_eq!(grants, expected.map(|(token, cae, claims)| (token.to_owned(), cae, claims)));
}

#[test]
fn a_wrong_password_is_not_tried_again_for_other_scopes() {
    let world = managed(|_, _| {
        refuses(
            "invalid_grant",
            &format!(r#","error_description":"AADSTS50126: wrong: {}""#, PASSWORD.replace('"', "\\\"")),
        )
    });
    let credential = build(&world);
    let scopes: Vec<String> = (0..16).map(|number| format!("https://{number}.example/.default")).collect();
    for scope in &scopes {
        let error = world.get(&credential, scope).unwrap_err();
        assert_eq!((error.kind(), error.entra_codes()), (ErrorKind::AuthenticationFailed, &[50_126][..]), "{error}");
        assert!(error.to_string().contains("user name or password is wrong"), "{error}");
        assert!(!format!("{error} {error:?}").contains("CANARY"), "{error:?}");
    }
    assert_eq!(sent(&world), ["realm", "password"]);
    world.clock.advance(Duration::from_secs(61));
    world.get(&credential, &scopes[0]).unwrap_err();
    assert_eq!(sent(&world).len(), 4);
    // Whoever wants it asks each time.
    let credential = builder().failure_memory(Duration::ZERO).build_with(&world.platform).unwrap();
    for scope in &scopes[..3] {
        world.get(&credential, scope).unwrap_err();
    }
    assert_eq!(sent(&world).len(), 10);
}

#[test]
fn what_a_person_has_to_answer_is_told_and_concerns_that_scope_alone() {
    let claims = r#"{\"access_token\":{\"capolids\":{\"essential\":true,\"values\":[\"c1\"]}}}"#;
    let more = format!(r#","error_description":"AADSTS50076: more proof","claims":"{claims}""#);
    let world = managed(move |_, form| match form["scope"].contains("vault") {
        true => refuses("invalid_grant", &more),
        false => gives("token"),
    });
    let credential = build(&world);
    for _ in 0..2 {
        let error = world.get(&credential, VAULT).unwrap_err();
        assert_eq!((error.kind(), error.entra_codes()), (ErrorKind::AuthenticationRequired, &[50_076][..]), "{error}");
        let wanted = r#"{"access_token":{"capolids":{"essential":true,"values":["c1"]}}}"#;
        assert_eq!((error.claims(), error.scopes()), (Some(wanted), &[VAULT.to_owned()][..]));
    }
    world.get(&credential, GRAPH).unwrap();
    assert_eq!(sent(&world), ["realm", "password", "realm", "password"]);
}

#[test]
fn all_ways_share_45_seconds() {
    let clock = FakeClock::default();
    let (time, is_first) = (clock.clone(), AtomicUsize::new(0));
    let transport = FakeTransport::with_handler(&clock, move |request| {
        let number = is_first.fetch_add(1, Ordering::SeqCst);
        let sleep = time.sleep(if number < 2 { Duration::ZERO } else { request.timeout });
        Box::pin(async move {
            sleep.await;
            match number {
                0 => Ok(json(200, MANAGED)),
                1 => gives_both("token", "refresh"),
                _ => Err(TransportError::new(TransportErrorKind::Timeout, "late")),
            }
        })
    });
    let platform = platform(&clock, &transport, &FakeEnv::default());
    let world = World { sim: Sim::new(&clock), clock, transport, platform };
    let credential = build(&world);
    world.get(&credential, GRAPH).unwrap();
    let scopes = [VAULT, "https://storage.azure.com/.default"];
    // The second one waits for its turn, and no longer than 45 s either.
    let calls = scopes.each_ref().map(|scope| credential.get_token(std::slice::from_ref(scope), None));
    for result in world.sim.run(join_all(calls)) {
        let error = result.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Transport, "{error}");
    }
    assert_eq!(world.clock.elapsed().as_secs(), 45);
    // 15 s for what is good for one use, then 15 and 15 s for who checks the password.
    assert_eq!(sent(&world)[2..], ["refresh_token", "realm", "realm"]);
}

#[test]
fn many_who_wait_are_one_sign_in() {
    let world = World::slow(Duration::from_millis(100), |request| match request.method {
        Method::Get => Ok(json(200, MANAGED)),
        _ => gives_both("token", "refresh"),
    });
    let credential = build(&world);
    let calls = (0..1_000).map(|number| credential.get_token(if number % 2 == 0 { &[GRAPH] } else { &[VAULT] }, None));
    assert!(world.sim.run(join_all(calls)).iter().all(Result::is_ok));
    assert_eq!(sent(&world), ["realm", "password", "refresh_token"]);
    assert_eq!(world.transport.most_active(), 1);
}

#[test]
fn whoever_gives_up_leaves_the_turn_to_the_next() {
    let world = World::slow(Duration::from_secs(1), |request| match request.method {
        Method::Get => Ok(json(200, MANAGED)),
        _ => gives("token"),
    });
    let credential = build(&world);
    world.sim.run(async {
        let clock = world.platform.clock().as_ref();
        let first =
            identity_core::gate::timeout(clock, Duration::from_millis(1_500), credential.get_token(&[GRAPH], None));
        assert!(first.await.is_none());
        credential.get_token(&[VAULT], None).await.unwrap();
    });
    assert_eq!(sent(&world), ["realm", "password", "realm", "password"]);
}

#[test]
fn whoever_builds_one_is_warned_once_and_no_log_has_a_secret() {
    let lines = Log::of(|| {
        let world = managed(|number, _| match number {
            0 => gives_both("CANARY-token", "CANARY-refresh"),
            1 => refuses("invalid_grant", r#","error_description":"AADSTS70043: CANARY-refresh""#),
            _ => refuses("invalid_grant", r#","error_description":"AADSTS50126: CANARY-pass <&>\"' word""#),
        });
        let credential = build(&world);
        world.get(&credential, GRAPH).unwrap();
        world.get(&credential, VAULT).unwrap_err();
    });
    let warnings: Vec<_> = lines.iter().filter(|line| line.contains("deprecated")).collect();
    assert!(
        warnings.len() == 1 && warnings[0].starts_with("WARN") && warnings[0].contains("multi-factor"),
        "{lines:?}"
    );
    assert!(lines.len() > 3 && !lines.iter().any(|line| line.contains("CANARY") || line.contains(USER)), "{lines:#?}");
    // Not if there is nothing to warn of.
    let lines = Log::of(|| {
        let world = managed(|_, _| gives("token"));
        builder().tenant_id("").build_with(&world.platform).unwrap_err();
    });
    assert_eq!(lines, [""; 0]);
}
