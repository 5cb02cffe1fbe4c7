//! People who signed in to a web application, over fakes of every seam.

use identity_core::{
    fakes::join_all,
    http::{TransportError, TransportErrorKind},
};

use super::{users::*, *};
use crate::{AuthorizationCodeCredential, AuthorizationCodeCredentialBuilder};

const VERIFIER: &str = "CANARY-verifier-of-forty-three-characters-.";

fn builder() -> AuthorizationCodeCredentialBuilder {
    AuthorizationCodeCredential::builder("tenant", "client", "CANARY-code", "https://app.example/in?a=b")
}

fn build(world: &World) -> AuthorizationCodeCredential {
    builder().client_secret("CANARY-secret").build_with(&world.platform).unwrap()
}

#[test]
fn a_code_is_redeemed_once_and_what_comes_with_it_serves_every_resource() {
    let world = World::new(|_, form| match form["grant_type"].as_str() {
        "refresh_token" => gives_both("token-2", &format!("{}-next", form["refresh_token"])),
        _ => gives_both("token-1", "CANARY-refresh"),
    });
    let credential = build(&world);
    for (scope, expected) in [(GRAPH, "token-1"), (VAULT, "token-2"), (GRAPH, "token-1"), (VAULT, "token-2")] {
        let token = world.get(&credential.clone(), scope).unwrap();
        assert_eq!((token.secret(), token.credential()), (expected, "AuthorizationCodeCredential"));
    }
    world.clock.advance(Duration::from_secs(3_600));
    world.get(&credential, GRAPH).unwrap();
    let forms = world.forms();
    let expected = [
        ("client_id", "client"),
        ("client_info", "1"),
        ("client_secret", "CANARY-secret"),
        ("code", "CANARY-code"),
        ("grant_type", "authorization_code"),
        ("redirect_uri", "https://app.example/in?a=b"),
        ("scope", "https://graph.microsoft.com/User.Read offline_access openid profile"),
    ];
    assert_eq!(forms[0], expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
    assert_eq!(world.grants(), ["authorization_code", "refresh_token", "refresh_token"]);
    let used: Vec<_> = forms[1..].iter().map(|form| form["refresh_token"].as_str()).collect();
    assert_eq!(used, ["CANARY-refresh", "CANARY-refresh-next"], "the newest one is used");
    let shown =
        format!("{credential:?} {credential:#?} {:?}", builder().client_secret("CANARY").code_verifier(VERIFIER));
    assert!(shown.contains("tenant") && !shown.contains("CANARY"), "{shown}");
}

#[test]
fn a_public_client_shows_its_verifier_and_no_secret() {
    let world = World::new(|_, _| gives("token"));
    let credential = builder().code_verifier(VERIFIER).build_with(&world.platform).unwrap();
    world.get(&credential, GRAPH).unwrap();
    let form = &world.forms()[0];
    assert_eq!((form["code_verifier"].as_str(), form.get("client_secret")), (VERIFIER, None));
}

#[test]
fn several_resources_at_once_redeem_one_code() {
    let world = World::slow(Duration::from_millis(100), |request| {
        let grant = form(request)["grant_type"].clone();
        gives_both(&grant, "refresh")
    });
    let credential = build(&world);
    let scopes: Vec<String> = (0..20).map(|number| format!("api://{number}/.default")).collect();
    let scopes: Vec<[&str; 1]> = scopes.iter().map(|scope| [scope.as_str()]).collect();
    let tokens = world.sim.run(join_all(scopes.iter().map(|scopes| credential.get_token(scopes, None))));
    assert!(tokens.iter().all(Result::is_ok));
    assert_eq!(world.grants().iter().filter(|grant| *grant == "authorization_code").count(), 1);
    // Many services let a refresh token be used once, so one request waits for the other.
    assert_eq!((world.transport.count(), world.transport.most_active()), (20, 1));
}

#[test]
fn without_a_refresh_token_the_person_has_to_sign_in_again() {
    let world = World::new(|_, _| gives("token"));
    let credential = build(&world);
    world.get(&credential, GRAPH).unwrap();
    let error = world.get(&credential, VAULT).unwrap_err();
    assert_eq!((error.kind(), error.scopes()), (ErrorKind::AuthenticationRequired, &[VAULT.to_owned()][..]));
    assert!(error.to_string().contains("used up") && error.to_string().contains("sign in again"), "{error}");
    assert_eq!(world.transport.count(), 1);
    world.get(&credential, GRAPH).unwrap();
}

#[test]
fn a_refresh_token_that_is_refused_is_forgotten_and_the_person_is_needed() {
    let world = World::new(|number, _| match number {
        0 => gives_both("token", "CANARY-refresh"),
        _ => refuses("invalid_grant", r#","error_description":"AADSTS70008: CANARY-refresh expired""#),
    });
    let credential = build(&world);
    world.get(&credential, GRAPH).unwrap();
    let error = world.get(&credential, VAULT).unwrap_err();
    assert_eq!((error.kind(), error.entra_codes()), (ErrorKind::AuthenticationRequired, &[70_008][..]), "{error}");
    assert_eq!(error.scopes(), [VAULT]);
    assert!(!format!("{error:?}").contains("CANARY"), "{error:?}");
    let error = world.get(&credential, "https://storage.azure.com/.default").unwrap_err();
    assert_eq!((error.kind(), world.transport.count()), (ErrorKind::AuthenticationRequired, 2));
}

#[test]
fn a_code_that_is_refused_is_kept_and_says_why() {
    for (body, says) in [
        (r#","error_description":"AADSTS54005: redeemed""#, "was redeemed before"),
        (r#","error_description":"AADSTS9002325: PKCE""#, "code verifier"),
        (r#","error_description":"AADSTS50011: redirect""#, "redirect URI"),
    ] {
        let world =
            World::new(move |number, _| if number == 0 { refuses("invalid_grant", body) } else { gives("token") });
        let credential = build(&world);
        let error = world.get(&credential, GRAPH).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AuthenticationFailed);
        assert!(error.to_string().contains(says), "{error}");
        world.clock.advance(Duration::from_secs(61));
        world.get(&credential, GRAPH).unwrap();
        assert_eq!(world.grants(), ["authorization_code"; 2]);
    }
}

#[test]
fn a_code_that_may_have_been_written_is_not_sent_again_in_the_same_call() {
    let fault = |kind| Err(TransportError::new(kind, "trouble"));
    for (first, requests) in [
        (fault(TransportErrorKind::Closed), 1),
        (fault(TransportErrorKind::Timeout), 1),
        (Ok(json(503, "{}")), 1),
        (Ok(json(429, "{}")), 1),
        // Nothing was written.
        (fault(TransportErrorKind::Connect), 2),
        (fault(TransportErrorKind::ConnectTimeout), 2),
    ] {
        let first = Mutex::new(Some(first));
        let world = World::new(move |_, _| first.lock().unwrap().take().unwrap_or_else(|| gives("token")));
        let credential = build(&world);
        let result = world.get(&credential, GRAPH);
        assert_eq!((result.is_ok(), world.transport.count()), (requests == 2, requests), "{result:?}");
        // Whether it still is good, the service knows.
        world.clock.advance(Duration::from_secs(10));
        world.get(&credential, GRAPH).unwrap();
    }
}

#[test]
fn what_cannot_work_is_refused_when_it_is_built() {
    let world = World::new(|_, _| gives("token"));
    let of = |code: &str, uri: &str| AuthorizationCodeCredential::builder("tenant", "client", code, uri);
    for (builder, says) in [
        (of("", "https://app.example"), "code is empty"),
        (of("CANARY", ""), "redirect URI is empty"),
        (builder().client_secret(""), "secret is empty"),
        (builder().code_verifier("CANARY"), "verifier"),
        (builder().code_verifier("CANARY+".repeat(10)), "verifier"),
        (builder().code_verifier("C".repeat(129)), "verifier"),
        (builder().client_secret("CANARY").client_secret("CANARY"), "several proofs"),
        (AuthorizationCodeCredential::builder("../evil", "client", "CANARY", "uri"), "tenant"),
    ] {
        let error = builder.build_with(&world.platform).unwrap_err();
        let told = (error.kind(), error.credential());
        assert_eq!(told, (ErrorKind::InvalidArgument, "AuthorizationCodeCredential"), "{error}");
        assert!(error.to_string().contains(says) && !error.to_string().contains("CANARY"), "{error}");
    }
}

#[test]
fn what_is_refused_for_one_resource_costs_the_others_nothing() {
    use ErrorKind::{AuthenticationFailed, AuthenticationRequired};
    for (status, error, more, kind) in [
        (400, "invalid_resource", r#","error_description":"AADSTS500011: none""#, AuthenticationFailed),
        (400, "invalid_scope", "", AuthenticationFailed),
        (401, "invalid_client", r#","error_description":"AADSTS7000222: expired""#, AuthenticationFailed),
        (400, "invalid_grant", r#","error_description":"AADSTS53003: a policy""#, AuthenticationFailed),
        (400, "invalid_grant", r#","error_description":"AADSTS50034: who""#, AuthenticationFailed),
        (400, "invalid_grant", r#","error_description":"AADSTS50196: loop""#, AuthenticationFailed),
        (400, "invalid_grant", r#","error_description":"AADSTS65001: consent""#, AuthenticationRequired),
        (400, "interaction_required", r#","claims":"{\"access_token\":{}}""#, AuthenticationRequired),
    ] {
        let world = World::new(move |_, form| match form["scope"].contains("vault") {
            true => Ok(json(status, &format!(r#"{{"error":"{error}"{more}}}"#))),
            false => gives_both("token", "refresh"),
        });
        let credential = build(&world);
        world.get(&credential, GRAPH).unwrap();
        assert_eq!(world.get(&credential, VAULT).unwrap_err().kind(), kind, "{error}{more}");
        world.clock.advance(Duration::from_secs(3_600));
        world.get(&credential, GRAPH).unwrap();
        assert_eq!(world.grants(), ["authorization_code", "refresh_token", "refresh_token"], "{error}{more}");
    }
}

#[test]
fn an_application_that_cannot_prove_who_it_is_for_a_while_costs_nobody_the_sign_in() {
    let world = World::new(|_, _| gives_both("token", "refresh"));
    let next = std::sync::atomic::AtomicUsize::new(0);
    let proof = move || {
        let fails = next.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 1;
        async move {
            let error = || Error::new(ErrorKind::AuthenticationFailed, "the key is not there").with_http_status(400);
            if fails { Err(error()) } else { Ok(Secret::new("assertion")) }
        }
    };
    let credential = builder().client_assertion(proof).build_with(&world.platform).unwrap();
    world.get(&credential, GRAPH).unwrap();
    let error = world.get(&credential, VAULT).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AuthenticationFailed, "{error}");
    world.get(&credential, "https://storage.azure.com/.default").unwrap();
}

#[test]
fn a_grant_of_too_little_does_not_cost_what_came_with_it() {
    let world = World::new(|_, form| match form["scope"].contains("graph") {
        true => Ok(json(200, r#"{"expires_in":3599,"access_token":"t","refresh_token":"refresh","scope":"other"}"#)),
        false => gives("token"),
    });
    let credential = builder().require_granted_scopes().build_with(&world.platform).unwrap();
    assert_eq!(world.get(&credential, GRAPH).unwrap_err().kind(), ErrorKind::AuthenticationFailed);
    world.get(&credential, VAULT).unwrap();
    assert_eq!(world.grants(), ["authorization_code", "refresh_token"]);
}

#[test]
fn whoever_waits_for_others_waits_no_longer_than_45_seconds() {
    use identity_core::Clock as _;
    let clock = FakeClock::default();
    let (time, next) = (clock.clone(), std::sync::atomic::AtomicUsize::new(0));
    let transport = FakeTransport::with_handler(&clock, move |request| {
        let is_first = next.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 0;
        let sleep = time.sleep(if is_first { Duration::ZERO } else { request.timeout });
        Box::pin(async move {
            sleep.await;
            match is_first {
                true => gives_both("token", "refresh"),
                false => Err(TransportError::new(TransportErrorKind::Timeout, "late")),
            }
        })
    });
    let platform = platform(&clock, &transport, &FakeEnv::default());
    let world = World { sim: Sim::new(&clock), clock, transport, platform };
    let credential = build(&world);
    world.get(&credential, GRAPH).unwrap();
    let scopes: Vec<String> = (0..8).map(|number| format!("api://{number}/.default")).collect();
    let scopes: Vec<[&str; 1]> = scopes.iter().map(|scope| [scope.as_str()]).collect();
    for result in world.sim.run(join_all(scopes.iter().map(|scopes| credential.get_token(scopes, None)))) {
        assert_eq!(result.unwrap_err().kind(), ErrorKind::Transport);
    }
    assert_eq!(world.clock.elapsed().as_secs(), 45);
}

#[test]
fn whoever_gives_up_while_the_code_is_redeemed_does_not_cost_it() {
    let world = World::slow(Duration::from_secs(1), |_| gives_both("token", "refresh"));
    let credential = build(&world);
    world.sim.run(async {
        let clock = world.platform.clock().as_ref();
        let first =
            identity_core::gate::timeout(clock, Duration::from_millis(500), credential.get_token(&[GRAPH], None));
        assert!(first.await.is_none());
        credential.get_token(&[VAULT], None).await.unwrap();
    });
    assert_eq!(world.grants(), ["authorization_code", "refresh_token"]);
}
