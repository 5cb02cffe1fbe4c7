//! Many callers, one request; and what becomes of it when callers go.

use super::*;

#[test]
fn any_number_of_callers_on_an_empty_cache_make_one_request() {
    for callers in [1, 1_000, 10_000] {
        let world = World::new(|_, _| Ok(HOUR));
        let results = world.sim.run(join_all((0..callers).map(|_| world.cache.find(lookup(&["a"])))));
        assert!(results.iter().all(|result| result.as_ref().unwrap().secret() == "a#1"));
        assert_eq!(world.service.count(), 1);
        assert_eq!(world.clock.elapsed(), Duration::from_millis(100));
    }
}

#[test]
fn any_number_of_callers_share_one_failure() {
    for (error, callers) in [(refused(), 10_000), (down(), 1_000)] {
        let answer = error.clone();
        let world = World::new(move |_, _| Err(answer.clone()));
        let results = world.sim.run(join_all((0..callers).map(|_| world.cache.find(lookup(&["a"])))));
        for result in results {
            let got = result.unwrap_err();
            assert_eq!((got.kind(), got.credential()), (error.kind(), "TestCredential"));
        }
        assert_eq!(world.service.count(), 1);
    }
}

#[test]
fn a_refusal_is_handed_out_again_for_a_minute() {
    let world = World::new(|_, _| Err(refused()));
    let mut asked = Vec::new();
    for _ in 0..130 {
        assert_eq!(world.get("a").unwrap_err().kind(), ErrorKind::AuthenticationFailed);
        asked.push(world.service.count());
        world.advance(1);
    }
    assert_eq!((asked[0], asked[59], asked[62], asked[129]), (1, 1, 2, 3));
}

#[test]
fn a_refusal_is_forgotten_when_what_proves_the_identity_changes() {
    let world = World::new(|number, _| if number < 3 { Err(refused()) } else { Ok(HOUR) });
    world.get("a").unwrap_err();
    world.get("a").unwrap_err();
    assert_eq!(world.service.count(), 1);
    world.service.generation.store(8, Ordering::SeqCst);
    world.get("a").unwrap_err();
    world.get("a").unwrap_err();
    assert_eq!(world.service.count(), 2);
    world.service.generation.store(9, Ordering::SeqCst);
    assert_eq!(world.secret(), "a#3");
}

#[test]
fn a_refusal_is_handed_out_for_as_long_as_the_service_forbids_to_ask() {
    let world = World::new(|_, _| Err(refused().with_retry_after(secs(300))));
    let mut left = Vec::new();
    for _ in 0..310 {
        left.push(world.get("a").unwrap_err().retry_after().unwrap().as_secs());
        world.advance(1);
    }
    assert_eq!(world.service.count(), 2);
    assert!(left[100] < 201 && left[100] > 190, "{}", left[100]);
}

#[test]
fn the_memory_of_refusals_can_be_shortened() {
    let options = CacheOptions { failure_memory: Duration::ZERO, ..CacheOptions::default() };
    let world = World::with(options, None, 0, |_, _| Err(refused()));
    for _ in 0..3 {
        world.get("a").unwrap_err();
    }
    assert_eq!(world.service.count(), 3);
}

#[test]
fn what_may_pass_is_asked_again_after_1_s_doubling_to_10_s() {
    let world = World::new(|_, _| Err(down()));
    for _ in 0..500 {
        world.get("a").unwrap_err();
        world.clock.advance(Duration::from_millis(100));
    }
    assert_eq!(world.service.times(), [0, 1, 3, 7, 15, 25, 35, 45]);
}

#[test]
fn a_longer_wait_that_the_server_asks_for_is_kept() {
    let world = World::new(|_, _| Err(down().with_retry_after(secs(30))));
    for _ in 0..65 {
        world.get("a").unwrap_err();
        world.advance(1);
    }
    assert_eq!(world.service.times(), [0, 30, 60]);
}

#[test]
fn what_the_caller_can_mend_is_not_remembered() {
    for kind in [ErrorKind::InvalidArgument, ErrorKind::CredentialUnavailable, ErrorKind::AuthenticationRequired] {
        let world = World::new(move |number, _| if number == 1 { Err(Error::new(kind, "x")) } else { Ok(HOUR) });
        assert_eq!(world.get("a").unwrap_err().kind(), kind);
        assert_eq!(world.secret(), "a#2");
    }
}

#[test]
fn the_lack_of_an_identity_is_handed_out_again_for_a_minute_to_callers_of_the_same_patience() {
    let world = World::new(|_, _| Err(Error::new(ErrorKind::CredentialUnavailable, "none here").with_http_status(400)));
    let call = |context| world.sim.run(async { world.cache.find(Lookup { context, ..lookup(&["a"]) }).await });
    for _ in 0..1_000 {
        call(CallContext::Alone).unwrap_err();
    }
    assert_eq!(world.service.count(), 1);
    call(CallContext::Chain).unwrap_err();
    assert_eq!(world.service.count(), 2);
    world.advance(61);
    call(CallContext::Chain).unwrap_err();
    assert_eq!(world.service.count(), 3);
}

#[test]
fn failures_far_apart_are_not_in_a_row() {
    let world = World::new(|_, _| Err(down()));
    for _ in 0..2_000 {
        world.get("a").unwrap_err();
        world.clock.advance(Duration::from_millis(100));
    }
    world.advance(86_400);
    let before = world.service.count();
    world.get("a").unwrap_err();
    world.advance(2);
    world.get("a").unwrap_err();
    assert_eq!(world.service.count(), before + 2);
}

#[test]
fn a_log_that_asks_for_a_token_itself_stops_nobody() {
    let world = World::new(|number, _| if number == 1 { Ok(HOUR) } else { Err(refused()) });
    world.secret();
    world.advance(3_400);
    let subscriber = Asks(world.cache.clone());
    tracing::subscriber::with_default(subscriber, || {
        assert_eq!(world.at_once("a").as_deref(), Some("a#1"));
        world.pass(1);
    });
    assert_eq!(world.service.count(), 2);
}

/// A log whose sink needs a token of the very credential that it logs.
struct Asks(TokenCache);

impl tracing::Subscriber for Asks {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, _: &tracing::Event<'_>) {
        // Not remembered, so that it has to look under the lock.
        drop(self.0.find(lookup(&["b"])));
    }
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

#[test]
fn a_token_that_has_expired_when_it_comes_is_none() {
    let world = World::new(|_, _| Ok(secs(1)));
    world.service.slow(secs(2));
    assert_eq!(world.get("a").unwrap_err().kind(), ErrorKind::Protocol);
}

#[test]
fn what_can_never_be_asked_is_refused_before_anything_is_sent() {
    let world = World::new(|_, _| Ok(HOUR));
    let error = world.get("a b").unwrap_err();
    assert_eq!(
        (error.kind(), error.credential(), world.service.count()),
        (ErrorKind::InvalidArgument, "TestCredential", 0)
    );
}

#[test]
fn the_caller_that_started_a_request_may_go() {
    let world = World::new(|_, _| Ok(HOUR));
    let scopes = ["a"];
    let token = world.sim.run(async {
        let mut first = world.cache.find(lookup(&scopes));
        let second = world.cache.find(lookup(&scopes));
        poll_once(&mut first).await;
        let mut second = second;
        poll_once(&mut second).await;
        drop(first);
        second.await
    });
    assert_eq!((token.unwrap().secret(), world.service.count()), ("a#1", 1));
}

#[test]
fn when_all_callers_go_the_request_ends_and_the_next_call_starts_anew() {
    let world = World::new(|_, _| Ok(HOUR));
    let scopes = ["a"];
    world.sim.run(async {
        let mut calls: Vec<_> = (0..1_000).map(|_| world.cache.find(lookup(&scopes))).collect();
        for call in &mut calls {
            poll_once(call).await;
        }
        assert_eq!(world.sim.alive(), 1);
        drop(calls);
    });
    assert_eq!((world.sim.alive(), world.service.count()), (0, 0), "the task never ran, and never will");
    assert_eq!(world.secret(), "a#1");
}

#[test]
fn a_caller_that_is_held_without_being_polled_stops_nobody() {
    let world = World::new(|_, _| Ok(HOUR));
    let scopes = ["a"];
    world.sim.run(async {
        let mut held = world.cache.find(lookup(&scopes));
        poll_once(&mut held).await;
        assert_eq!(world.cache.find(lookup(&scopes)).await.unwrap().secret(), "a#1");
        assert_eq!(held.await.unwrap().secret(), "a#1");
    });
}

#[test]
fn an_answer_that_takes_longer_than_callers_wait_arrives_after_all() {
    let world = World::new(|_, _| Ok(HOUR));
    world.service.slow(secs(3));
    let scopes = ["a"];
    for _ in 0..4 {
        // Somebody always waits, but nobody for more than a second.
        let next = world.cache.find(lookup(&scopes));
        let mut next = std::pin::pin!(next);
        let done = world.sim.run(async {
            let mut pause = world.clock.sleep(secs(1));
            std::future::poll_fn(|cx| {
                if next.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(true);
                }
                pause.as_mut().poll(cx).map(|()| false)
            })
            .await
        });
        if done {
            return;
        }
        // The next caller joins before this one goes.
        let joined = world.cache.find(lookup(&scopes));
        assert_eq!(world.sim.run(joined).unwrap().secret(), "a#1");
    }
}

#[test]
fn a_flight_that_never_ends_is_ended() {
    let world = World::new(|_, _| Ok(HOUR));
    world.service.slow(secs(1_000_000));
    let error = world.get("a").unwrap_err();
    assert_eq!((error.kind(), world.clock.elapsed()), (ErrorKind::Transport, secs(100)));
    assert_eq!(world.sim.alive(), 0);
}

#[test]
fn a_slow_scope_delays_no_other() {
    let world = World::new(|_, _| Ok(HOUR));
    world.secret();
    world.service.slow(secs(5));
    world.sim.run(async {
        let scopes = ["b"];
        let mut slow = world.cache.find(lookup(&scopes));
        poll_once(&mut slow).await;
        for _ in 0..1_000 {
            assert_eq!(world.cache.find(lookup(&["a"])).try_ready().unwrap().unwrap().secret(), "a#1");
        }
    });
}

#[test]
fn the_credential_may_go_while_its_request_is_under_way() {
    let world = World::new(|_, _| Ok(HOUR));
    world.secret();
    world.advance(3_400);
    assert_eq!(world.at_once("a").as_deref(), Some("a#1"), "this starts a refresh");
    let World { cache, sim, service, .. } = world;
    drop(cache);
    assert_eq!((service.count(), sim.alive()), (1, 0), "what is under way ends with it");
    drop(sim);
    assert_eq!(Arc::strong_count(&service), 1, "neither cache nor task is left");
}

/// Polls once; the future must not be done.
pub(super) async fn poll_once<T>(future: &mut (impl Future<Output = T> + Unpin)) {
    std::future::poll_fn(|cx| {
        assert!(std::pin::Pin::new(&mut *future).poll(cx).is_pending());
        Poll::Ready(())
    })
    .await;
}
