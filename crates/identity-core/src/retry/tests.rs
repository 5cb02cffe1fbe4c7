use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::Clock as _;
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
        // No time worth the name: the policy's own.
        (&[After(503, "0"), Status(200)], &[0.0, 1.0], 200, None),
        (&[After(503, "0.2"), Status(200)], &[0.0, 1.0], 200, None),
        (&[After(503, "Wed, 31 Dec 2025 23:59:00 GMT"), Status(200)], &[0.0, 1.0], 200, None),
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
    // One of them probes, once; the others are told at once what is known.
    assert_eq!(transport.count(), 7);
    assert_eq!(results.iter().filter(|result| result.is_err()).count(), 999);
    // Each opening is one request, and they are 1, 2, 4, 8, 10, 10 s apart.
    let before = clock.elapsed();
    for _ in 0..350 {
        let _ = sim.run(ask(&platform, "", &RetryPolicy::METADATA));
        clock.advance(Duration::from_millis(100));
    }
    let openings: Vec<_> =
        transport.times().into_iter().skip(7).map(|at| (at - before.as_secs_f64()).round()).collect();
    assert_eq!(openings, [2.0, 6.0, 14.0, 24.0, 34.0]);
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
    for _ in 0..100 {
        assert_eq!(sim.run(ask(&platform, "", &RetryPolicy::METADATA)).unwrap().response.status(), 200);
    }
}

#[test]
fn what_waits_for_a_slot_hears_of_a_pause() {
    // Eight are under way when the answer comes; without a time in it they make their own retries, and a few probes
    // follow.
    for (replies, most) in [(&[After(429, "120")], 8), (&[Status(429)], 8 * 5 + 10)] {
        let clock = FakeClock::default();
        let next = AtomicUsize::new(0);
        let transport = FakeTransport::slow(&clock, Duration::from_millis(100), move |_| {
            next.fetch_add(1, Ordering::Relaxed);
            match replies[0] {
                After(status, wait) => Ok(Response::new(status, vec![("retry-after".into(), wait.into())], Vec::new())),
                _ => Ok(json(429, "{}")),
            }
        });
        let platform = platform(&clock, &transport, &FakeEnv::default());
        let calls = (0..1000).map(|_| ask(&platform, "", &RetryPolicy::METADATA));
        let results = Sim::new(&clock).run(join_all(calls));
        assert!(results.iter().all(|result| result.as_ref().map_or(true, |answer| answer.exhausted)));
        assert!(transport.count() <= most, "{} requests", transport.count());
    }
}

#[test]
fn a_longer_pause_is_not_cut_short_by_other_news() {
    let clock = FakeClock::default();
    // The first request is answered last, and well.
    let count = AtomicUsize::new(0);
    let sleeper = clock.clone();
    let transport = FakeTransport::with_handler(&clock, move |_| {
        let number = count.fetch_add(1, Ordering::Relaxed);
        let sleep = sleeper.sleep(Duration::from_millis(if number == 0 { 900 } else { 100 }));
        Box::pin(async move {
            sleep.await;
            Ok(match number {
                1 => Response::new(429, vec![("retry-after".into(), "120".into())], Vec::new()),
                2 => Response::new(503, vec![], Vec::new()),
                _ => json(200, "{}"),
            })
        })
    });
    let platform = platform(&clock, &transport, &FakeEnv::default());
    let _gate = platform.gates().gate("http://127.0.0.1:1", "", 8);
    let sim = Sim::new(&clock);
    let results = sim.run(join_all((0..3).map(|_| ask(&platform, "", &BRIEF))));
    assert_eq!(results[0].as_ref().unwrap().response.status(), 200);
    // Neither the old good answer nor the flight that gave up for a second has opened the gate.
    let error = sim.run(ask(&platform, "", &RetryPolicy::METADATA)).unwrap_err();
    assert!(error.retry_after() > Some(Duration::from_secs(115)), "{error:?}");
    assert_eq!(transport.count(), 3);
}

#[test]
fn after_too_many_requests_the_gate_stays_closed_for_five_seconds_at_least() {
    let clock = FakeClock::default();
    let transport = transport(&clock, &[Status(429)]);
    let platform = platform(&clock, &transport, &FakeEnv::default());
    let _gate = platform.gates().gate("http://127.0.0.1:1", "", 8);
    let sim = Sim::new(&clock);
    sim.run(ask(&platform, "", &RetryPolicy::METADATA)).unwrap();
    let error = sim.run(ask(&platform, "", &RetryPolicy::METADATA)).unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_secs(5)));
}

#[test]
fn a_probe_after_a_pause_that_fails_does_not_let_the_others_out_at_once() {
    let clock = FakeClock::default();
    let transport = transport(&clock, &[Status(429), Status(500)]);
    let platform = platform(&clock, &transport, &FakeEnv::default());
    let sim = Sim::new(&clock);
    sim.run(async {
        let mut opener = Box::pin(ask(&platform, "", &RetryPolicy::METADATA));
        poll_once(&mut opener).await;
        join_all((0..200).map(|_| ask(&platform, "", &RetryPolicy::METADATA))).await
    });
    // The pause ends after 5 s; in the ten seconds from there go the retries of few flights, not of two hundred.
    let early = transport.times().into_iter().filter(|&at| at < 15.0).count();
    assert!(early < 25, "{early} requests");
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
    let count = AtomicUsize::new(0);
    let transport = FakeTransport::slow(&clock, Duration::from_millis(10), move |_| {
        let first = count.fetch_add(1, Ordering::Relaxed) == 0;
        Ok(Response::new(if first { 429 } else { 200 }, vec![("retry-after".into(), "3".into())], Vec::new()))
    });
    let platform = platform(&clock, &transport, &FakeEnv::default());
    let _gate = platform.gates().gate("http://127.0.0.1:1", "", 8);
    let result = Sim::new(&clock).run(async {
        let mut opener = Box::pin(ask(&platform, "", &RetryPolicy::METADATA));
        poll_once(&mut opener).await;
        clock.sleep(Duration::from_millis(20)).await;
        poll_once(&mut opener).await;
        drop(opener);
        let mut probe = Box::pin(ask(&platform, "", &RetryPolicy::METADATA));
        let mut next = Box::pin(ask(&platform, "", &RetryPolicy::METADATA));
        poll_once(&mut probe).await;
        poll_once(&mut next).await;
        clock.sleep(Duration::from_secs(3)).await;
        poll_once(&mut probe).await;
        poll_once(&mut next).await;
        assert_eq!((transport.count(), transport.active()), (2, 1), "one is under way, the other waits for it");
        drop(probe);
        next.await
    });
    assert_eq!((result.unwrap().response.status(), transport.count()), (200, 3));
}

async fn poll_once<T>(future: &mut (impl Future<Output = T> + Unpin)) {
    std::future::poll_fn(|cx| {
        assert!(std::pin::Pin::new(&mut *future).poll(cx).is_pending());
        std::task::Poll::Ready(())
    })
    .await;
}

#[test]
fn jitter_stays_within_its_limit() {
    let limit = Duration::from_secs(600);
    for (random, expected) in [(0, 0), (u64::MAX / 2, 299), (u64::MAX, 599)] {
        assert_eq!(jitter(&crate::fakes::FixedRandom(random), limit).as_secs(), expected);
    }
    assert_eq!(jitter(&crate::fakes::FixedRandom(u64::MAX), Duration::ZERO), Duration::ZERO);
}
