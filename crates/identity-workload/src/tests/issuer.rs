//! Patience with services that give a job its token: the same for both.

use std::time::Duration;

use identity_core::{Clock as _, http::TransportErrorKind};

use super::*;
use crate::{AzurePipelinesCredential, GithubActionsCredential};

const JOB: &[(&str, &str)] = &[
    ("AZURE_TENANT_ID", "tenant"),
    ("AZURE_CLIENT_ID", "client"),
    ("SYSTEM_OIDCREQUESTURI", "https://issuer.example/token"),
    ("ACTIONS_ID_TOKEN_REQUEST_URL", "https://issuer.example/token"),
    ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "CANARY-request"),
];
const GIVEN: Reply = (200, &[], r#"{"oidcToken":"CANARY-assertion","value":"CANARY-assertion"}"#);

fn both(world: &World) -> [Box<dyn TokenCredential>; 2] {
    let pipelines = AzurePipelinesCredential::builder("tenant", "client", "connection", "CANARY-access");
    [
        Box::new(pipelines.build_with(&world.platform).unwrap()),
        Box::new(GithubActionsCredential::builder().build_with(&world.platform).unwrap()),
    ]
}

#[test]
fn what_may_pass_is_asked_for_again() {
    for at in 0..2 {
        let cut: Reply = (200, &[], r#"{"oidcToken":"CANARY-asse"#);
        for first in [(500, &[][..], "oops"), (503, &[], "{}"), (408, &[], ""), cut] {
            let world = World::job(JOB, Box::leak(Box::new([first, first, GIVEN])));
            world.get(&*both(&world)[at]).unwrap();
            assert_eq!(world.transport.count(), 4, "{}", first.0);
        }
        let world = World::job(JOB, &[(429, &[("retry-after", "7")], "{}"), GIVEN]);
        world.get(&*both(&world)[at]).unwrap();
        assert_eq!(world.transport.times(), [0.0, 7.0, 7.0]);
    }
}

#[test]
fn what_does_not_pass_is_a_failure_of_transport_after_three_retries() {
    for at in 0..2 {
        let world = World::job(JOB, &[(503, &[], r#"{"message":"CANARY-access CANARY-request"}"#)]);
        let credential = &both(&world)[at];
        let error = world.get(&**credential).unwrap_err();
        let hidden = if at == 0 { "*** CANARY-request" } else { "CANARY-access ***" };
        assert_eq!((error.kind(), error.http_status()), (ErrorKind::Transport, Some(503)));
        assert!(error.to_string().contains("(4 attempts)") && error.to_string().contains(hidden), "{error}");
        assert_eq!(world.transport.count(), 4);
        // Others are told at once for as long as that is fresh.
        assert_eq!(world.get_scope(&**credential, "api://b/.default").unwrap_err().kind(), ErrorKind::Transport);
        assert_eq!(world.transport.count(), 4);

        let world = World::job(JOB, &[(429, &[("retry-after", "120")], "{}")]);
        let error = world.get(&*both(&world)[at]).unwrap_err();
        assert_eq!((error.kind(), error.retry_after()), (ErrorKind::Transport, Some(Duration::from_secs(120))));
        assert_eq!((world.transport.count(), world.clock.elapsed()), (1, Duration::ZERO));
    }
}

#[test]
fn a_service_that_does_not_answer_leaves_no_time_unused_and_no_call_without_end() {
    for at in 0..2 {
        let clock = FakeClock::default();
        let time = clock.clone();
        let transport = FakeTransport::with_handler(&clock, move |request| {
            let sleep = time.sleep(request.timeout);
            Box::pin(async move {
                sleep.await;
                Err(TransportError::new(TransportErrorKind::Timeout, "no answer in time"))
            })
        });
        let env = FakeEnv::new(JOB);
        let platform = platform(&clock, &transport, &env);
        let world = World { sim: Sim::new(&clock), clock, env, transport, platform };
        let error = world.get(&*both(&world)[at]).unwrap_err();
        let name = ["Azure Pipelines", "GitHub Actions"][at];
        assert!(error.to_string().starts_with(name) && error.to_string().contains("https://issuer.example"), "{error}");
        assert_eq!((error.kind(), world.clock.elapsed().as_secs()), (ErrorKind::Transport, 30));
    }
}

#[test]
fn an_exchange_that_is_refused_as_too_late_asks_for_another_token() {
    let outside = r#"{"error":"invalid_client","error_description":"AADSTS700024: outside of its time range."}"#;
    for at in 0..2 {
        let (asked, exchanged) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let world = World::new(JOB, move |request| {
            if request.url != ENDPOINT {
                let number = asked.fetch_add(1, Ordering::SeqCst);
                return Ok(json(200, &format!(r#"{{"oidcToken":"a-{number}","value":"a-{number}"}}"#)));
            }
            Ok(if exchanged.fetch_add(1, Ordering::SeqCst) == 0 { json(401, outside) } else { json(200, TOKEN) })
        });
        world.get(&*both(&world)[at]).unwrap();
        let requests = world.transport.requests();
        let assertions: Vec<_> = requests.iter().filter(|request| request.url == ENDPOINT).map(assertion).collect();
        assert_eq!((assertions, requests.len()), (vec!["a-0".to_owned(), "a-1".to_owned()], 4));
    }
}

#[test]
fn debug_names_the_service_only() {
    let world = World::job(JOB, &[GIVEN]);
    let shown = format!("{:?}", both(&world));
    assert!(!shown.contains("CANARY") && shown.contains("GithubActionsCredential"), "{shown}");
}

#[test]
fn the_service_and_entra_share_45_seconds_also_when_both_are_asked_twice() {
    const OUTSIDE: &str = r#"{"error":"invalid_client","error_description":"AADSTS700024: outside"}"#;
    let clock = FakeClock::default();
    let (next, slow) = (AtomicUsize::new(0), Duration::from_secs(14));
    let transport = FakeTransport::slow(&clock, slow, move |request| match request.url == ENDPOINT {
        true => Ok(json(401, OUTSIDE)),
        false if next.fetch_add(1, Ordering::SeqCst) == 0 => Ok(json(503, "{}")),
        false => Ok(json(200, r#"{"oidcToken":"CANARY-assertion","value":"CANARY-assertion"}"#)),
    });
    let env = FakeEnv::new(&[
        ("SYSTEM_OIDCREQUESTURI", "https://dev.azure.com/oidctoken"),
        ("ACTIONS_ID_TOKEN_REQUEST_URL", "https://actions.example/token"),
        ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "CANARY-request-token"),
        ("AZURE_TENANT_ID", "tenant"),
        ("AZURE_CLIENT_ID", "client"),
    ]);
    let platform = platform(&clock, &transport, &env);
    let world = World { sim: Sim::new(&clock), clock, env, transport, platform };
    for credential in both(&world) {
        let start = world.clock.elapsed();
        world.get(credential.as_ref()).unwrap_err();
        assert!((world.clock.elapsed() - start).as_secs() <= 45, "{:?}", world.clock.elapsed() - start);
        world.clock.advance(Duration::from_secs(3_600));
    }
}

#[test]
fn no_more_than_eight_jobs_tokens_are_asked_for_at_a_time() {
    let clock = FakeClock::default();
    let transport = FakeTransport::slow(&clock, Duration::from_millis(100), |request| match request.url == ENDPOINT {
        true => Ok(json(200, TOKEN)),
        false => Ok(json(200, r#"{"oidcToken":"CANARY-assertion"}"#)),
    });
    let env = FakeEnv::new(&[("SYSTEM_OIDCREQUESTURI", "https://dev.azure.com/oidctoken")]);
    let platform = platform(&clock, &transport, &env);
    let credential =
        AzurePipelinesCredential::builder("tenant", "client", "connection", "CANARY").build_with(&platform).unwrap();
    let scopes: Vec<String> = (0..64).map(|number| format!("api://{number}/.default")).collect();
    let scopes: Vec<[&str; 1]> = scopes.iter().map(|scope| [scope.as_str()]).collect();
    let results = Sim::new(&clock).run(join_all(scopes.iter().map(|scopes| credential.get_token(scopes, None))));
    assert!(results.iter().all(Result::is_ok));
    // Eight rounds of the service, and at most one of Entra ID after the last.
    assert_eq!((transport.count(), clock.elapsed().as_millis()), (128, 900));
}
