//! The Instance Metadata Service: the probe of chains, patience, and what strangers answer at its address.

use std::{sync::Arc, time::Duration};

use identity_core::{ErrorKind, fakes::join_all};

use super::*;

const DOCKER: &str = "connecting to 169.254.169.254:80: connecting to 169.254.169.254:80: dial tcp 169.254.169.254:80: connectex: A socket operation was attempted to an unreachable network.";
const HTML: &str = "<html><title>Welcome to our lounge</title></html>";
const ENTRA: &str =
    r#"{"error":"invalid_resource","error_description":"AADSTS500011: The resource principal named x was not found"}"#;

fn is_probe(request: &Request) -> bool {
    request.headers.is_empty()
}

/// IMDS as it is: whoever forgets the header gets 400.
fn real(request: &Request) -> Result<Response, TransportError> {
    if is_probe(request) {
        reply(400, r#"{"error":"invalid_request","error_description":"Required metadata header not specified"}"#)
    } else {
        reply(200, TOKEN)
    }
}

#[test]
fn a_chain_probes_once_and_then_asks() {
    let world = World::new(IMDS, real);
    let credential = world.build(ManagedIdentityCredential::builder().client_id(CLIENT)).unwrap();
    world.get_in_chain(&credential).unwrap();
    let requests = world.transport.requests();
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[0].url, requests[1].url, "the same but for the headers");
    assert_eq!((requests[0].timeout, requests[0].connect_timeout), (Duration::from_secs(1), Duration::from_secs(1)));
    assert!(is_probe(&requests[0]) && !is_probe(&requests[1]));
    // Presence is remembered for ever.
    world.clock.advance(Duration::from_secs(1_000_000));
    world.get_in_chain(&credential).unwrap();
    assert_eq!(world.transport.count(), 3);
}

#[test]
fn who_chose_the_credential_on_purpose_is_spared_the_probe() {
    let world = World::new(IMDS, real);
    let credential = world.credential();
    world.get(&credential).unwrap();
    assert!(!is_probe(&world.transport.requests()[0]));
    // And a token proves as much as a probe.
    world.clock.advance(Duration::from_secs(4000));
    world.get_in_chain(&credential).unwrap();
    assert_eq!(world.transport.count(), 2);
    // Who names the address says that somebody is there.
    let world = World::new(POD_HOST, real);
    world.get_in_chain(&world.credential()).unwrap();
    assert!(world.transport.count() == 1 && !is_probe(&world.transport.requests()[0]));
}

#[test]
fn only_json_that_imds_sends_is_a_sign_of_life() {
    for (status, body, present) in [
        (400, IDENTITY_NOT_FOUND, true),
        (400, "{}", true),
        (410, "{}", true),
        (429, "{}", true),
        (500, "{}", true),
        (503, "{}", true),
        (0, "", false),
        (200, TOKEN, false),
        (200, HTML, false),
        (204, "", false),
        (302, "", false),
        (400, HTML, false),
        (401, "{}", false),
        (403, DOCKER, false),
        (403, r#"{"error":"unreachable"}"#, false),
        (404, "{}", false),
        (404, HTML, false),
        (500, HTML, false),
        (503, "", false),
    ] {
        let world =
            World::new(IMDS, move |request| if is_probe(request) { reply(status, body) } else { reply(200, TOKEN) });
        let result = world.get_in_chain(&world.credential());
        assert_eq!(result.is_ok(), present, "{status} {body:.40}");
        assert_eq!(world.transport.count(), if present { 2 } else { 1 }, "{status} {body:.40}");
        if let Err(error) = result {
            assert_eq!(error.kind(), ErrorKind::CredentialUnavailable);
            assert!(error.to_string().contains("http://169.254.169.254"), "{error}");
        }
    }
}

#[test]
fn silence_costs_a_chain_one_second_and_is_remembered_for_five_minutes() {
    let clock = FakeClock::default();
    let transport = FakeTransport::slow(&clock, Duration::from_secs(100_000), |_| reply(200, TOKEN));
    let world = World::with_transport(IMDS, clock, transport);
    let credential = world.credential();
    for (advance, requests, elapsed) in [(0, 1, 1), (0, 1, 1), (299, 1, 300), (1, 2, 302), (0, 2, 302)] {
        world.clock.advance(Duration::from_secs(advance));
        let error = world.get_in_chain(&credential).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::CredentialUnavailable);
        assert_eq!((world.transport.count(), world.clock.elapsed().as_secs()), (requests, elapsed));
    }
    // Who chose it on purpose still asks, with all patience.
    assert_eq!(world.get(&credential).unwrap_err().kind(), ErrorKind::Transport);
    assert_eq!(world.clock.elapsed().as_secs(), 302 + 45);
}

#[test]
fn a_thousand_scopes_share_one_probe() {
    for present in [true, false] {
        let clock = FakeClock::default();
        let transport = FakeTransport::slow(&clock, Duration::from_millis(500), move |request| {
            if present { real(request) } else { reply(404, HTML) }
        });
        let world = World::with_transport(IMDS, clock, transport);
        let credential = world.credential();
        let options = TokenRequestOptions::new().with_context(CallContext::DefaultChain);
        let scopes: Vec<_> = (0..200).map(|i| format!("https://{i}.example/.default")).collect();
        let scopes: Vec<_> = scopes.iter().map(|scope| [scope.as_str()]).collect();
        let calls = scopes.iter().map(|scope| credential.get_token(scope, Some(&options)));
        let results = world.sim.run(join_all(calls));
        assert!(results.iter().all(|result| result.is_ok() == present));
        assert_eq!(world.transport.requests().iter().filter(|request| is_probe(request)).count(), 1);
        assert_eq!((world.transport.count(), world.transport.most_active()), if present { (201, 8) } else { (1, 1) });
    }
}

#[test]
fn a_probe_whose_caller_goes_away_is_taken_over() {
    let clock = FakeClock::default();
    let transport = FakeTransport::slow(&clock, Duration::from_millis(500), real);
    let world = World::with_transport(IMDS, clock, transport);
    let credential = world.credential();
    let options = TokenRequestOptions::new().with_context(CallContext::Chain);
    let result = world.sim.run(async {
        let mut first = Box::pin(credential.get_token(&[SCOPE], Some(&options)));
        let mut second = Box::pin(credential.get_token(&["https://other.example/.default"], Some(&options)));
        let mut turns = 0;
        std::future::poll_fn(|cx| {
            assert!(first.as_mut().poll(cx).is_pending() && second.as_mut().poll(cx).is_pending());
            turns += 1;
            // Lets the tasks of both start.
            if turns < 3 {
                cx.waker().wake_by_ref()
            }
            if turns < 3 || world.transport.active() == 0 {
                std::task::Poll::Pending
            } else {
                std::task::Poll::Ready(())
            }
        })
        .await;
        assert_eq!(world.transport.count(), 1);
        drop(first);
        second.await
    });
    result.unwrap();
    assert_eq!(world.transport.requests().iter().filter(|request| is_probe(request)).count(), 2);
}

#[test]
fn answers_are_waited_for_as_the_service_asks() {
    // Replies, times of the requests in seconds, the error's kind alone and in a chain whose probe succeeded.
    type Row = (&'static [(u16, &'static str)], &'static [f64], Option<(ErrorKind, ErrorKind)>);
    use ErrorKind::{AuthenticationFailed, CredentialUnavailable, Protocol, Transport};
    let rows: [Row; 15] = [
        (&[(404, "{}"), (404, HTML), (200, TOKEN)], &[0.0, 1.0, 3.0], None),
        (&[(404, "{}")], &[0.0, 1.0, 3.0, 7.0, 15.0], Some((Transport, CredentialUnavailable))),
        (&[(429, "{}"), (200, TOKEN)], &[0.0, 1.0], None),
        (&[(429, "{}")], &[0.0, 1.0, 3.0, 7.0, 15.0], Some((Transport, Transport))),
        (&[(500, "{}"), (503, HTML), (200, TOKEN)], &[0.0, 1.0, 3.0], None),
        (&[(500, "{}")], &[0.0, 1.0, 3.0, 7.0, 15.0], Some((Transport, Transport))),
        (&[(0, "")], &[0.0, 1.0, 3.0, 7.0, 15.0], Some((Transport, Transport))),
        (&[(410, "{}")], &[0.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0], Some((Transport, Transport))),
        (
            &[(410, "{}"), (410, "{}"), (410, "{}"), (410, "{}"), (410, "{}"), (410, "{}"), (410, "{}"), (200, TOKEN)],
            &[0.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0],
            None,
        ),
        (&[(400, IDENTITY_NOT_FOUND)], &[0.0], Some((CredentialUnavailable, CredentialUnavailable))),
        (&[(400, ENTRA)], &[0.0], Some((AuthenticationFailed, AuthenticationFailed))),
        (&[(403, DOCKER)], &[0.0], Some((CredentialUnavailable, CredentialUnavailable))),
        (&[(401, "{}")], &[0.0], Some((AuthenticationFailed, AuthenticationFailed))),
        (&[(200, HTML)], &[0.0], Some((CredentialUnavailable, CredentialUnavailable))),
        // Something else, unless the probe has shown that it is IMDS.
        (&[(302, "")], &[0.0], Some((CredentialUnavailable, Protocol))),
    ];
    for (replies, times, kinds) in rows {
        for in_chain in [false, true] {
            let next = AtomicUsize::new(0);
            let world = World::new(IMDS, move |request| {
                if is_probe(request) {
                    return real(request);
                }
                let (status, body) = replies[next.fetch_add(1, Ordering::Relaxed).min(replies.len() - 1)];
                reply(status, body)
            });
            let credential = world.credential();
            let result = if in_chain { world.get_in_chain(&credential) } else { world.get(&credential) };
            let expected = kinds.map(|(alone, chained)| if in_chain { chained } else { alone });
            assert_eq!(result.as_ref().err().map(Error::kind), expected, "{replies:.70?} {result:?}");
            let asked = world.transport.times().split_off(usize::from(in_chain));
            assert_eq!(asked, times, "{replies:.70?}");
        }
    }
}

#[test]
fn a_missing_identity_is_unavailable_at_first_and_a_refusal_once_it_had_been_there() {
    let world = World::replies(IMDS, &[(400, IDENTITY_NOT_FOUND), (200, TOKEN), (400, IDENTITY_NOT_FOUND)]);
    let credential = world.build(ManagedIdentityCredential::builder().client_id(CLIENT)).unwrap();
    let error = world.get(&credential).unwrap_err();
    assert_eq!((error.kind(), error.http_status()), (ErrorKind::CredentialUnavailable, Some(400)));
    assert!(error.to_string().contains("Identity not found"), "the server's words are kept: {error}");
    // Remembered for a minute, after which it may have been assigned.
    assert_eq!(world.get(&credential).unwrap_err().kind(), ErrorKind::CredentialUnavailable);
    world.clock.advance(Duration::from_secs(61));
    world.get(&credential).unwrap();
    world.clock.advance(Duration::from_secs(4000));
    assert_eq!(world.get(&credential).unwrap_err().kind(), ErrorKind::AuthenticationFailed);
    assert_eq!(world.transport.count(), 3);
}

#[test]
fn entras_refusal_is_kept_with_its_codes_and_ids_and_shared_for_a_minute() {
    let world = World::new(IMDS, |_| {
        let headers = [("content-type", "application/json"), ("x-ms-request-id", "trace-1")];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        Ok(Response::new(400, headers, ENTRA.into()))
    });
    let credential = world.credential();
    for _ in 0..3 {
        let error = world.get(&credential).unwrap_err();
        assert_eq!((error.kind(), error.entra_codes()), (ErrorKind::AuthenticationFailed, &[500_011][..]));
        assert!(error.to_string().contains("The resource principal named x was not found"), "{error}");
        assert_eq!(error.trace_id(), Some("trace-1"));
        let sent = world.transport.requests()[0].headers.last().unwrap().1.expose().to_owned();
        assert_eq!(error.correlation_id(), Some(sent.as_str()));
    }
    assert_eq!(world.transport.count(), 1);
}

#[test]
fn thousands_of_callers_send_one_request_each_time() {
    for (replies, requests, ok) in [
        (&[(200, TOKEN)][..], 1, true),
        (&[(400, IDENTITY_NOT_FOUND)], 1, false),
        (&[(429, "{}"), (429, "{}"), (200, TOKEN)], 3, true),
        (&[(500, "{}")], 5, false),
    ] {
        let world = World::replies(IMDS, replies);
        let credential = world.credential();
        let results = world.sim.run(join_all((0..2_000).map(|_| credential.get_token(&[SCOPE], None))));
        assert!(results.iter().all(|result| result.is_ok() == ok));
        assert_eq!(world.transport.count(), requests);
    }
}

#[test]
fn a_pod_identity_host_that_never_answers_is_unavailable_to_a_chain() {
    let world = World::replies(POD_HOST, &[(0, "")]);
    let error = world.get_in_chain(&world.credential()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CredentialUnavailable);
    assert!(error.to_string().contains("AZURE_POD_IDENTITY_AUTHORITY_HOST"), "{error}");
    let world = World::replies(POD_HOST, &[(0, "")]);
    assert_eq!(world.get(&world.credential()).unwrap_err().kind(), ErrorKind::Transport);
    // Once it had answered it is a failure that no other identity may cover up.
    let world = World::replies(POD_HOST, &[(200, TOKEN), (0, "")]);
    let credential = world.credential();
    world.get_in_chain(&credential).unwrap();
    world.clock.advance(Duration::from_secs(4000));
    assert_eq!(world.get_in_chain(&credential).unwrap_err().kind(), ErrorKind::Transport);
}

#[test]
fn whoever_redirects_or_speaks_no_http_is_not_imds() {
    type Stranger = fn(&Request) -> Result<Response, TransportError>;
    let strangers: [Stranger; 3] = [
        |_| Ok(Response::new(302, vec![("location".into(), "https://evil.example/CANARY".into())], Vec::new())),
        |_| Err(TransportError::new(TransportErrorKind::Malformed, "no HTTP")),
        |_| Err(TransportError::new(TransportErrorKind::TooLarge, "too large")),
    ];
    for (vars, stranger) in [IMDS, POD_HOST].iter().flat_map(|vars| strangers.map(|stranger| (vars, stranger))) {
        for in_chain in [false, true] {
            let world = World::new(vars, stranger);
            let credential = world.credential();
            let error = if in_chain { world.get_in_chain(&credential) } else { world.get(&credential) }.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::CredentialUnavailable, "{error}");
            if !in_chain {
                assert!(error.to_string().contains(": something else answers at its address: "), "{error}");
            }
            assert!(!shown(&error).contains("CANARY"), "{error}");
        }
    }
    // A token has shown who is there.
    let next = AtomicUsize::new(0);
    let world =
        World::new(
            IMDS,
            move |_| {
                if next.fetch_add(1, Ordering::Relaxed) == 0 { reply(200, TOKEN) } else { reply(302, "") }
            },
        );
    let credential = world.credential();
    world.get(&credential).unwrap();
    world.clock.advance(Duration::from_secs(4000));
    assert_eq!(world.get(&credential).unwrap_err().kind(), ErrorKind::Protocol);
}

#[test]
fn an_id_is_blamed_only_if_one_was_given() {
    let new = ManagedIdentityCredential::builder;
    for (builder, word) in [(new(), "if it has several, give"), (new().client_id(CLIENT), "the id that was given")] {
        let world = World::replies(IMDS, &[(400, IDENTITY_NOT_FOUND)]);
        let error = world.get(&world.build(builder).unwrap()).unwrap_err();
        assert!(error.to_string().contains(word), "{error}");
    }
}

#[test]
fn the_error_of_a_machine_outside_azure_says_so() {
    let world = World::replies(IMDS, &[(0, "")]);
    let credential = world.credential();
    assert_eq!(
        world.get_in_chain(&credential).unwrap_err().to_string(),
        "no managed identity here: no variable names a source, and IMDS does not answer at http://169.254.169.254: connection refused"
    );
    assert_eq!(
        world.get(&credential).unwrap_err().to_string(),
        "IMDS (no variable names another source): no answer from http://169.254.169.254: connection refused (5 attempts)"
    );
    assert_eq!(Arc::new(world.get(&credential).unwrap_err()).credential(), "ManagedIdentityCredential");
}
