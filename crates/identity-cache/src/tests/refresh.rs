//! Replacing a token that is still good: nobody waits, and nothing good is thrown away.

use super::*;
use crate::tests::callers::poll_once;

#[test]
fn the_refresh_point_is_what_the_server_says_else_half_life_else_five_minutes_before_expiry() {
    const MAX: u64 = u64::MAX;
    // Life, the server's word, drawn number, expected second of the refresh.
    for (life, refresh_in, random, expected) in [
        (3600, None, 0, 3300),
        (3600, None, MAX, 2940),
        (7199, None, 0, 6899),
        (7200, None, 0, 3600),
        (86_400, None, 0, 43_200),
        (86_400, None, MAX, 42_600),
        (86_400, Some(7200), 0, 7200),
        (86_400, Some(0), 0, 43_200),
        (86_400, Some(86_400), 0, 43_200),
        (86_400, Some(1_000_000), 0, 43_200),
        (400, None, 0, 100),
        (299, None, 0, 10),
        (100, None, MAX, 10),
    ] {
        let refresh_in = refresh_in.map(secs);
        let world = World::with(CacheOptions::default(), refresh_in, random, move |_, _| Ok(secs(life)));
        world.secret();
        let mut at = 0;
        while world.service.count() == 1 {
            assert!(at <= life, "never refreshed: {life} {refresh_in:?}");
            let wait = if expected > at + 2 { expected - at - 1 } else { 1 };
            world.advance(wait);
            at += wait;
            world.at_once("a");
            world.sim.settle();
        }
        assert!(at.abs_diff(expected) <= 1, "life {life}, word {refresh_in:?}, drawn {random}: {at}, not {expected}");
    }
}

#[test]
fn a_token_says_when_the_service_wants_it_refreshed() {
    for (life, refresh_in, expected) in [(3600, None, None), (7200, None, Some(3600)), (3600, Some(600), Some(600))] {
        let world = World::with(CacheOptions::default(), refresh_in.map(secs), u64::MAX, move |_, _| Ok(secs(life)));
        let token = world.get("a").unwrap();
        let start = std::time::UNIX_EPOCH + secs(FakeClock::START);
        assert_eq!(
            (token.expires_on(), token.refresh_on()),
            (start + secs(life), expected.map(|point| start + secs(point)))
        );
        assert_eq!((token.credential(), token.origin()), ("TestCredential", "test"));
    }
}

#[test]
fn in_the_refresh_window_one_request_goes_out_and_everyone_is_served_at_once() {
    let world = World::new(|_, _| Ok(HOUR));
    world.secret();
    world.advance(3_400);
    world.service.slow(Duration::from_millis(500));
    for _ in 0..10_000 {
        assert_eq!(world.at_once("a").as_deref(), Some("a#1"));
    }
    world.pass(1);
    assert_eq!(world.service.count(), 2);
    assert_eq!(world.at_once("a").as_deref(), Some("a#2"));
}

#[test]
fn a_refresh_needs_nobody_to_wait_for_it() {
    let world = World::new(|_, _| Ok(HOUR));
    world.secret();
    world.advance(3_400);
    world.sim.run(async { drop(world.cache.find(lookup(&["a"]))) });
    world.pass(1);
    assert_eq!((world.service.count(), world.sim.alive()), (2, 0));
}

#[test]
fn a_failing_refresh_is_tried_again_after_30_s_growing_to_5_min_and_the_token_stays() {
    for (random, expected) in [
        (0, vec![0, 43_200, 43_224, 43_272, 43_368, 43_560, 43_800, 44_040]),
        (u64::MAX, vec![0, 42_600, 42_636, 42_708, 42_852, 43_140, 43_440, 43_740, 44_040]),
    ] {
        let world = World::with(CacheOptions::default(), None, random, |number, _| {
            if number == 1 { Ok(secs(86_400)) } else { Err(down()) }
        });
        world.service.slow(Duration::ZERO);
        world.secret();
        world.pass(42_000);
        while world.clock.elapsed() < secs(44_100) {
            assert_eq!(world.at_once("a").as_deref(), Some("a#1"));
            world.pass(1);
        }
        let times = world.service.times();
        assert_eq!(times.len(), expected.len(), "{times:?}");
        for (time, expected) in times.iter().zip(expected) {
            assert!(time.abs_diff(expected) <= 8, "{times:?}");
        }
    }
}

#[test]
fn a_good_token_survives_an_outage_until_it_expires() {
    let world = World::new(|number, _| if number == 1 { Ok(HOUR) } else { Err(down()) });
    world.service.slow(Duration::ZERO);
    world.secret();
    for second in 1..3_600 {
        world.advance(1);
        assert_eq!(world.secret(), "a#1", "second {second}");
    }
    world.advance(1);
    assert_eq!(world.get("a").unwrap_err().kind(), ErrorKind::Transport);
}

#[test]
fn in_the_last_30_s_callers_wait_and_get_the_new_token() {
    let world = World::new(|_, _| Ok(HOUR));
    world.secret();
    world.advance(3_575);
    assert_eq!(world.at_once("a"), None);
    let results = world.sim.run(join_all((0..1_000).map(|_| world.cache.find(lookup(&["a"])))));
    assert!(results.iter().all(|result| result.as_ref().unwrap().secret() == "a#2"));
    assert_eq!(world.service.count(), 2);
}

#[test]
fn in_the_last_30_s_callers_get_the_old_token_if_there_is_no_new_one() {
    for error in [down(), refused()] {
        let world = World::new(move |number, _| if number == 1 { Ok(HOUR) } else { Err(error.clone()) });
        world.secret();
        world.advance(3_575);
        let started = world.clock.elapsed();
        assert_eq!(world.secret(), "a#1");
        assert_eq!(world.clock.elapsed() - started, Duration::from_millis(100));
        for _ in 0..1_000 {
            assert_eq!(world.secret(), "a#1", "and asks no more than a failure without a token would");
        }
        assert_eq!(world.service.count(), 2);
    }
}

#[test]
fn in_the_last_30_s_a_silent_endpoint_costs_half_of_what_is_left_and_never_the_token() {
    let world = World::new(|_, _| Ok(HOUR));
    world.secret();
    world.service.slow(secs(45));
    world.advance(3_580 - 1);
    let started = world.clock.elapsed();
    assert_eq!(world.secret(), "a#1");
    assert!(world.clock.elapsed() - started <= secs(11));
    // The flight goes on: a usable token is there, so nobody's leaving ends it.
    world.pass(45);
    assert_eq!(world.at_once("a").as_deref(), Some("a#2"));
}

#[test]
fn dropping_a_call_with_claims_moves_no_refresh_point() {
    let world = World::new(|_, _| Ok(HOUR));
    world.secret();
    world.service.slow(secs(50));
    let scopes = ["a"];
    world.sim.run(async {
        let mut call = world.cache.find(Lookup { claims: Some("{}"), ..lookup(&scopes) });
        poll_once(&mut call).await;
    });
    let asked = world.service.count();
    for _ in 0..100 {
        world.advance(10);
        assert_eq!(world.at_once("a").as_deref(), Some("a#1"));
        world.sim.settle();
    }
    assert_eq!(world.service.count(), asked);
}

#[test]
fn an_older_request_that_fails_does_not_speak_for_a_newer_token() {
    let world = World::new(|number, _| if number == 2 { Err(down()) } else { Ok(HOUR) });
    world.secret();
    world.advance(3_400);
    world.service.slow(secs(5));
    world.at_once("a");
    world.sim.settle();
    world.service.slow(Duration::ZERO);
    assert_eq!(world.claims("{}").unwrap().secret(), "a#3");
    world.pass(60);
    for _ in 0..20 {
        world.pass(100);
        assert_eq!(world.at_once("a").as_deref(), Some("a#3"));
    }
    assert_eq!(world.service.count(), 3);
}

#[test]
fn a_caller_that_was_sent_away_takes_nobody_elses_place() {
    let world = World::new(|_, _| Ok(HOUR));
    world.secret();
    world.service.slow(secs(60));
    world.advance(3_575);
    let (scopes, cache) = (["a"], world.cache.clone());
    let got = Arc::new(Mutex::new(None));
    let slot = Arc::clone(&got);
    world.sim.run(async {
        let mut sent_away = world.cache.find(lookup(&scopes));
        poll_once(&mut sent_away).await;
        // Told to go, but held unpolled until after the old token has expired and somebody else waits, in a task of its
        // own that nothing else wakes.
        world.clock.sleep(secs(30)).await;
        let waits = async move { *slot.lock().unwrap() = Some(cache.find(lookup(&["a"])).await) };
        assert!(identity_core::Runtime::spawn(&SimRuntime, Box::pin(waits)).is_ok());
        world.clock.sleep(secs(1)).await;
        drop(sent_away);
        world.clock.sleep(secs(60)).await;
    });
    let token = got.lock().unwrap().take().expect("woken").unwrap();
    assert_eq!((token.secret(), world.service.count()), ("a#2", 2));
}

#[test]
fn a_caller_that_was_sent_away_and_looks_too_late_gets_no_expired_token() {
    let world = World::new(|_, _| Ok(HOUR));
    world.secret();
    world.service.slow(secs(60));
    world.advance(3_575);
    let scopes = ["a"];
    let token = world.sim.run(async {
        let mut held = world.cache.find(lookup(&scopes));
        poll_once(&mut held).await;
        world.clock.sleep(secs(30)).await;
        held.await
    });
    assert_eq!((token.unwrap().secret(), world.service.count()), ("a#2", 2));
}

#[test]
fn a_refresh_under_way_is_joined_when_the_last_30_s_begin() {
    let world = World::new(|_, _| Ok(HOUR));
    world.secret();
    world.service.slow(secs(10));
    world.advance(3_569);
    assert_eq!(world.at_once("a").as_deref(), Some("a#1"), "starts a refresh");
    world.pass(4);
    assert_eq!(world.secret(), "a#2");
    assert_eq!(world.service.count(), 2);
}

#[test]
fn tokens_of_a_very_short_life_are_not_asked_for_more_than_every_10_s() {
    for life in [15, 31, 45, 240, 299] {
        let world = World::new(move |_, _| Ok(secs(life)));
        world.service.slow(Duration::ZERO);
        for _ in 0..600 {
            world.secret();
            world.pass(1);
        }
        let gaps: Vec<_> = world.service.times().windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(gaps.iter().all(|&gap| gap >= 10), "gap, life {life}: {gaps:?}");
        assert!(gaps.len() > 2, "life {life}");
    }
}

#[test]
fn claims_are_never_answered_from_memory_and_their_token_replaces_the_remembered_one() {
    let world = World::new(|_, _| Ok(HOUR));
    assert_eq!(world.secret(), "a#1");
    assert_eq!(world.claims("{\"x\":1}").unwrap().secret(), "a#2");
    assert_eq!(world.secret(), "a#2", "the revoked token is gone for everybody");
    assert_eq!(world.claims("{\"x\":1}").unwrap().secret(), "a#3");
    let asks = world.service.asks.lock().unwrap();
    assert_eq!(asks[1].1.claims.as_deref(), Some("{\"x\":1}"));
    assert_eq!(asks[1].1.current.as_ref().map(AccessToken::secret), Some("a#1"));
}

#[test]
fn callers_with_the_same_claims_share_a_request_and_others_do_not() {
    let world = World::new(|_, _| Ok(HOUR));
    let call = |claims| world.cache.find(Lookup { claims, ..lookup(&["a"]) });
    let claims = [None, Some("{\"x\":1}"), Some("{\"x\":2}")];
    let results = world.sim.run(join_all((0..999).map(|i| call(claims[i % 3]))));
    assert_eq!(world.service.count(), 3);
    let mut per_request = HashMap::<_, usize>::new();
    for result in &results {
        *per_request.entry(result.as_ref().unwrap().secret().to_owned()).or_default() += 1;
    }
    // A plain answer that lands after one to claims is dropped in favour of that one.
    assert!(per_request.values().all(|count| count % 333 == 0), "{per_request:?}");
}

#[test]
fn an_answer_asked_for_before_the_challenge_does_not_bring_the_revoked_token_back() {
    let world = World::new(|_, _| Ok(HOUR));
    world.secret();
    world.advance(3_400);
    world.service.slow(secs(5));
    assert_eq!(world.at_once("a").as_deref(), Some("a#1"), "starts the plain refresh");
    world.sim.settle();
    world.service.slow(secs(1));
    assert_eq!(world.claims("{}").unwrap().secret(), "a#3");
    world.pass(10);
    assert_eq!(world.service.count(), 3);
    assert_eq!(world.secret(), "a#3");
}

#[test]
fn a_failed_answer_to_claims_is_an_error_and_leaves_the_rest_alone() {
    let world = World::new(|_, ask| if ask.claims.is_some() { Err(refused()) } else { Ok(HOUR) });
    assert_eq!(world.secret(), "a#1");
    assert_eq!(world.claims("{}").unwrap_err().kind(), ErrorKind::AuthenticationFailed);
    assert_eq!(world.secret(), "a#1");
    assert_eq!(world.claims("{}").unwrap_err().kind(), ErrorKind::AuthenticationFailed);
    assert_eq!(world.service.count(), 2, "remembered for the same claims");
    world.claims(r#"{"x":1}"#).unwrap_err();
    world.claims(r#"{"x":1}"#).unwrap_err();
    assert_eq!(world.service.count(), 3, "and not for others");
    world.clock.advance(secs(60));
    world.claims(r#"{"x":1}"#).unwrap_err();
    assert_eq!((world.service.count(), world.secret().as_str()), (4, "a#1"));
}

#[test]
fn refusals_of_claims_and_of_none_are_remembered_each_on_its_own() {
    let world = World::new(|_, _| Err(refused()));
    for _ in 0..3 {
        world.get("a").unwrap_err();
        world.claims("{}").unwrap_err();
    }
    assert_eq!(world.service.count(), 2);
}

#[test]
fn callers_with_claims_who_all_go_end_their_request_even_though_a_token_is_there() {
    let world = World::new(|_, _| Ok(HOUR));
    world.secret();
    world.service.slow(secs(50));
    let scopes = ["a"];
    world.sim.run(async {
        let mut call = world.cache.find(Lookup { claims: Some("{}"), ..lookup(&scopes) });
        poll_once(&mut call).await;
    });
    assert_eq!(world.sim.alive(), 0);
}
