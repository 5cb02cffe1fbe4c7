use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use super::*;
use crate::{
    fakes::{FakeClock, FakeEnv, FakeTransport, Sim, join_all, json, platform},
    http::{Method, TransportError},
};

/// What the endpoint does, request by request; the last one repeats.
#[derive(Clone, Copy, Debug)]
enum Reply {
    Status(u16),
    After(u16, &'static str),
    Fail(TransportErrorKind),
}

fn transport(clock: &FakeClock, replies: &'static [Reply]) -> FakeTransport {
    let next = AtomicUsize::new(0);
    FakeTransport::new(clock, move |_| {
        let at = next.fetch_add(1, Ordering::Relaxed).min(replies.len() - 1);
        match replies[at] {
            Status(status) => Ok(json(status, "{}")),
            After(status, value) => Ok(Response::new(status, vec![("retry-after".into(), value.into())], Vec::new())),
            Fail(kind) => Err(TransportError::new(kind, format!("{kind:?}"))),
        }
    })
}

fn judge(response: &Response) -> Verdict {
    match response.status() {
        410 => Verdict::Upgrading,
        404 | 408 | 429 | 500.. => Verdict::Retry,
        _ => Verdict::Final,
    }
}

async fn ask(platform: &Platform, client: &str, policy: &RetryPolicy) -> Result<Answer> {
    let request = Request::new(Method::Get, "http://127.0.0.1:1/token?resource=x");
    let gate = platform.gates().gate(request.origin(), client, 8);
    send(platform, &gate, policy, &request, &judge).await
}

/// One request, and at most one second.
const BRIEF: RetryPolicy = RetryPolicy { retries: 0, budget: Duration::from_secs(1), ..RetryPolicy::METADATA };

use Reply::{After, Fail, Status};
use TransportErrorKind as Kind;

#[test]
fn schedules_of_the_metadata_policy() {
    // Replies, times of the requests in seconds, last status (0 for none), suggested wait in seconds.
    type Row = (&'static [Reply], &'static [f64], u16, Option<u64>);
    const ROWS: &[Row] = &[
        (&[Status(200)], &[0.0], 200, None),
        (&[Status(400)], &[0.0], 400, None),
        (&[Status(404)], &[0.0, 1.0, 3.0, 7.0, 15.0], 404, None),
        (&[Status(500), Status(503), Status(200)], &[0.0, 1.0, 3.0], 200, None),
        (&[Status(429), Status(200)], &[0.0, 1.0], 200, None),
        (&[After(429, "3"), Status(200)], &[0.0, 3.0], 200, None),
        (&[After(503, "3"), Status(200)], &[0.0, 3.0], 200, None),
        (&[After(429, "120")], &[0.0], 429, Some(120)),
        (&[After(429, "999999999")], &[0.0], 429, Some(3600)),
        (&[After(429, "-5"), Status(200)], &[0.0, 1.0], 200, None),
        (&[After(429, "soon"), Status(200)], &[0.0, 1.0], 200, None),
        (&[After(429, "Fri, 31 Dec 9999 23:59:59 GMT")], &[0.0], 429, Some(3600)),
        (&[After(429, "Thu, 01 Jan 2026 00:00:07 GMT"), Status(200)], &[0.0, 7.0], 200, None),
        (&[After(503, "0"), Status(200)], &[0.0, 0.0], 200, None),
        (&[Status(410), Status(410), Status(200)], &[0.0, 10.0, 20.0], 200, None),
        (&[Status(410)], &[0.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0], 410, None),
        (
            &[Fail(Kind::Connect), Fail(Kind::Closed), Fail(Kind::Timeout), Status(200)],
            &[0.0, 1.0, 3.0, 7.0],
            200,
            None,
        ),
        (&[Fail(Kind::Connect)], &[0.0, 1.0, 3.0, 7.0, 15.0], 0, None),
        (&[Fail(Kind::Dns)], &[0.0, 1.0], 0, None),
        (&[Fail(Kind::Tls)], &[0.0], 0, None),
        (&[Fail(Kind::TooLarge)], &[0.0], 0, None),
        (&[Fail(Kind::Malformed)], &[0.0], 0, None),
        (&[Fail(Kind::Refused)], &[0.0], 0, None),
    ];
    for (replies, times, status, retry_after) in ROWS {
        let clock = FakeClock::default();
        let transport = transport(&clock, replies);
        let platform = platform(&clock, &transport, &FakeEnv::default());
        let result = Sim::new(&clock).run(ask(&platform, "", &RetryPolicy::METADATA));
        assert_eq!(transport.times(), *times, "{replies:?}");
        let got = result.as_ref().map_or(0, |answer| answer.response.status());
        assert_eq!(got, *status, "{replies:?}: {result:?}");
        let wait = result.ok().and_then(|answer| answer.retry_after);
        assert_eq!(wait.map(|wait| wait.as_secs()), *retry_after, "{replies:?}");
    }
}

#[test]
fn a_slow_endpoint_costs_no_more_than_the_budget() {
    for (policy, limit) in [(RetryPolicy::METADATA, 45), (BRIEF, 1)] {
        let clock = FakeClock::default();
        let transport = FakeTransport::slow(&clock, Duration::from_secs(1_000_000), |_| Ok(json(200, "{}")));
        let platform = platform(&clock, &transport, &FakeEnv::default());
        let error = Sim::new(&clock).run(ask(&platform, "", &policy)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Transport);
        assert_eq!(clock.elapsed(), Duration::from_secs(limit));
    }
}

#[test]
fn errors_name_the_endpoint_and_the_number_of_attempts() {
    let clock = FakeClock::default();
    let transport = transport(&clock, &[Fail(Kind::Connect)]);
    let platform = platform(&clock, &transport, &FakeEnv::default());
    let error = Sim::new(&clock).run(ask(&platform, "", &RetryPolicy::METADATA)).unwrap_err();
    assert_eq!(error.to_string(), "no answer from http://127.0.0.1:1: Connect (5 attempts)");
}

#[test]
fn redirects_are_reported_by_status_and_host_only() {
    for (location, host) in
        [("https://evil.example/steal?token=abc", "https://evil.example"), ("/elsewhere?token=abc", "the same host")]
    {
        let clock = FakeClock::default();
        let transport = FakeTransport::new(&clock, move |_| {
            Ok(Response::new(302, vec![("location".into(), location.into())], Vec::new()))
        });
        let platform = platform(&clock, &transport, &FakeEnv::default());
        let error = Sim::new(&clock).run(ask(&platform, "", &RetryPolicy::METADATA)).unwrap_err();
        assert_eq!((error.kind(), error.http_status(), transport.count()), (ErrorKind::Protocol, Some(302), 1));
        assert!(error.to_string().contains(host) && !error.to_string().contains("abc"), "{error}");
    }
}

#[test]
fn after_a_flight_gave_up_new_ones_fail_at_once_and_one_probe_goes_out_per_opening() {
    let clock = FakeClock::default();
    let transport = transport(&clock, &[Status(500)]);
    let platform = platform(&clock, &transport, &FakeEnv::default());
    let sim = Sim::new(&clock);
    // A credential keeps its gate for as long as it lives.
    let _gate = platform.gates().gate("http://127.0.0.1:1", "", 8);
    sim.run(ask(&platform, "", &RetryPolicy::METADATA)).unwrap();
    assert_eq!(transport.count(), 5);

    let error = sim.run(ask(&platform, "", &RetryPolicy::METADATA)).unwrap_err();
    assert_eq!((error.kind(), error.http_status(), transport.count()), (ErrorKind::Transport, Some(500), 5));
    assert_eq!(error.retry_after(), Some(Duration::from_secs(1)));
    // Another client of the same endpoint is not held back.
    sim.run(ask(&platform, "other", &BRIEF)).unwrap();
    assert_eq!(transport.count(), 6);

    clock.advance(Duration::from_secs(1));
    let calls = (0..1000).map(|_| ask(&platform, "", &RetryPolicy::METADATA));
    let results = sim.run(join_all(calls));
    // One of them probes and then makes its own retries; the probe's failure turns the others away.
    assert_eq!(transport.count(), 11);
    assert_eq!(results.iter().filter(|result| result.is_err()).count(), 999);
}

#[test]
fn a_probe_that_succeeds_lets_everyone_through() {
    let clock = FakeClock::default();
    let transport = transport(&clock, &[Status(500), Status(500), Status(500), Status(500), Status(500), Status(200)]);
    let platform = platform(&clock, &transport, &FakeEnv::default());
    let sim = Sim::new(&clock);
    // A credential keeps its gate for as long as it lives.
    let _gate = platform.gates().gate("http://127.0.0.1:1", "", 8);
    sim.run(ask(&platform, "", &RetryPolicy::METADATA)).unwrap();
    clock.advance(Duration::from_secs(1));
    let calls = (0..100).map(|_| ask(&platform, "", &RetryPolicy::METADATA));
    let results = sim.run(join_all(calls));
    assert!(results.iter().all(|result| result.as_ref().unwrap().response.status() == 200));
}

#[test]
fn too_many_requests_lets_one_request_out_per_pause_however_many_flights_wait() {
    let clock = FakeClock::default();
    let transport = transport(&clock, &[After(429, "3"), After(429, "3"), Status(200)]);
    let platform = platform(&clock, &transport, &FakeEnv::default());
    let sim = Sim::new(&clock);
    let results = sim.run(async {
        let mut opener = Box::pin(ask(&platform, "", &RetryPolicy::METADATA));
        // The first request is answered before the others come.
        std::future::poll_fn(|cx| {
            assert!(opener.as_mut().poll(cx).is_pending());
            std::task::Poll::Ready(())
        })
        .await;
        let others = (0..50).map(|_| Box::pin(ask(&platform, "", &RetryPolicy::METADATA)));
        join_all(std::iter::once(opener).chain(others)).await
    });
    assert!(results.iter().all(|result| result.as_ref().unwrap().response.status() == 200));
    let times = transport.times();
    assert_eq!(&times[..3], &[0.0, 3.0, 6.0], "one request per pause");
}

#[test]
fn no_more_requests_are_under_way_than_the_limit_and_all_get_their_turn() {
    let clock = FakeClock::default();
    let transport = FakeTransport::slow(&clock, Duration::from_millis(100), |_| Ok(json(200, "{}")));
    let platform = platform(&clock, &transport, &FakeEnv::default());
    let calls = (0..1000).map(|_| ask(&platform, "", &RetryPolicy::METADATA));
    let results = Sim::new(&clock).run(join_all(calls));
    assert!(results.iter().all(Result::is_ok));
    assert_eq!((transport.count(), transport.most_active()), (1000, 8));
    assert_eq!(clock.elapsed(), Duration::from_millis(12_500));
}

#[test]
fn dropped_callers_give_their_slots_back() {
    let clock = FakeClock::default();
    let transport = FakeTransport::slow(&clock, Duration::from_secs(5), |_| Ok(json(200, "{}")));
    let platform = platform(&clock, &transport, &FakeEnv::default());
    let sim = Sim::new(&clock);
    let mut calls: Vec<_> = (0..20).map(|_| Box::pin(ask(&platform, "", &RetryPolicy::METADATA))).collect();
    sim.run(std::future::poll_fn(|cx| {
        calls.iter_mut().for_each(|call| assert!(call.as_mut().poll(cx).is_pending()));
        std::task::Poll::Ready(())
    }));
    assert_eq!(transport.active(), 8);
    calls.truncate(10); // ten that wait
    drop(calls); // eight under way, two that wait
    assert_eq!(transport.active(), 0);
    let calls = (0..8).map(|_| ask(&platform, "", &RetryPolicy::METADATA));
    sim.run(join_all(calls));
    assert_eq!(transport.most_active(), 8);
    assert_eq!(clock.elapsed(), Duration::from_secs(5));
}

#[test]
fn a_probe_that_is_dropped_makes_room_for_the_next_one() {
    let clock = FakeClock::default();
    let replies = AtomicUsize::new(0);
    let transport = FakeTransport::slow(&clock, Duration::from_millis(10), move |_| {
        let status = if replies.fetch_add(1, Ordering::Relaxed) < 5 { 500 } else { 200 };
        Ok(json(status, "{}"))
    });
    let platform = Arc::new(platform(&clock, &transport, &FakeEnv::default()));
    let sim = Sim::new(&clock);
    // A credential keeps its gate for as long as it lives.
    let _gate = platform.gates().gate("http://127.0.0.1:1", "", 8);
    sim.run(ask(&platform, "", &RetryPolicy::METADATA)).unwrap();
    clock.advance(Duration::from_secs(1));
    let result = sim.run(async {
        let mut probe = Box::pin(ask(&platform, "", &RetryPolicy::METADATA));
        let mut next = Box::pin(ask(&platform, "", &RetryPolicy::METADATA));
        std::future::poll_fn(|cx| {
            assert!(probe.as_mut().poll(cx).is_pending() && next.as_mut().poll(cx).is_pending());
            std::task::Poll::Ready(())
        })
        .await;
        assert_eq!(transport.active(), 1);
        drop(probe);
        next.await
    });
    assert_eq!(result.unwrap().response.status(), 200);
}

#[test]
fn jitter_stays_within_its_limit() {
    let limit = Duration::from_secs(600);
    for (random, expected) in [(0, 0), (u64::MAX / 2, 299), (u64::MAX, 599)] {
        assert_eq!(jitter(&crate::fakes::FixedRandom(random), limit).as_secs(), expected);
    }
    assert_eq!(jitter(&crate::fakes::FixedRandom(u64::MAX), Duration::ZERO), Duration::ZERO);
}
