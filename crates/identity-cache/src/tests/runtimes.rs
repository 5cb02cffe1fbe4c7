//! Runtimes that end, stand still, or are not there.

use super::*;
use crate::tests::callers::poll_once;

#[test]
fn a_request_that_went_with_its_runtime_is_started_again_by_the_next_caller() {
    let world = World::new(|_, _| Ok(HOUR));
    let other = Sim::new(&world.clock);
    let scopes = ["a"];
    let mut call = world.cache.find(lookup(&scopes));
    other.run(async { poll_once(&mut call).await });
    drop(other);
    assert_eq!(world.sim.run(call).unwrap().secret(), "a#1", "its own waiter too");
    assert_eq!(world.sim.alive(), 0);
}

#[test]
fn a_runtime_that_nobody_drives_holds_up_no_caller_on_another() {
    let world = World::new(|_, _| Ok(HOUR));
    let idle = Sim::new(&world.clock);
    let scopes = ["a"];
    let mut call = world.cache.find(lookup(&scopes));
    idle.run(async { poll_once(&mut call).await });
    assert_eq!(world.secret(), "a#1");
    // When it is driven again, its own answer comes as well, but the later flight's token stands.
    assert_eq!(idle.run(call).unwrap().secret(), "a#1");
    assert_eq!(world.service.count(), 2);
}

#[test]
fn a_refresh_on_a_runtime_that_nobody_drives_is_given_up_in_the_end() {
    let world = World::new(|_, _| Ok(secs(7_200)));
    world.secret();
    world.advance(3_700);
    let idle = Sim::new(&world.clock);
    idle.run(async { assert!(world.cache.find(lookup(&["a"])).try_ready().is_ok()) });
    world.advance(60);
    world.at_once("a");
    world.sim.settle();
    assert_eq!(world.service.count(), 1, "one at a time");
    world.advance(60);
    world.at_once("a");
    world.pass(1);
    assert_eq!(world.at_once("a").as_deref(), Some("a#2"));
}

#[test]
fn refreshes_do_not_pile_up_on_a_runtime_that_nobody_drives() {
    let world = World::new(|_, _| Ok(secs(86_400)));
    world.secret();
    world.advance(43_300);
    // Each call is made inside the runtime, which is never given the time to run its tasks.
    for _ in 0..400 {
        assert_eq!(world.at_once("a").as_deref(), Some("a#1"));
        world.advance(100);
    }
    assert_eq!((world.sim.alive(), world.service.count()), (1, 1));
    world.pass(1);
    assert_eq!(world.service.count(), 2);
}

#[test]
fn outside_a_runtime_a_remembered_token_is_served_and_anything_else_is_an_error() {
    let world = World::new(|_, _| Ok(HOUR));
    let scopes = ["a"];
    let mut call = world.cache.find(lookup(&scopes));
    let waker = std::task::Waker::noop();
    let Poll::Ready(Err(error)) = std::pin::Pin::new(&mut call).poll(&mut std::task::Context::from_waker(waker)) else {
        panic!("an error at once")
    };
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert_eq!(world.service.count(), 0);

    world.secret();
    world.advance(3_400);
    for _ in 0..3 {
        assert!(
            world.cache.find(lookup(&scopes)).try_ready().is_ok(),
            "in the refresh window, but nothing to start it on"
        );
    }
    world.advance(2);
    world.at_once("a");
    world.pass(1);
    assert_eq!(world.service.count(), 2, "the first call inside a runtime refreshes");
    world.advance(3_590);
    let mut call = world.cache.find(lookup(&scopes));
    let poll = std::pin::Pin::new(&mut call).poll(&mut std::task::Context::from_waker(waker));
    assert!(matches!(poll, Poll::Ready(Ok(_))), "in its last 30 s the old token is better than nothing");
}

#[test]
fn a_runtime_that_drops_every_task_is_an_error_and_no_endless_loop() {
    #[derive(Debug)]
    struct Closing;
    struct Gone;
    impl identity_core::Task for Gone {
        fn abort(&self) {}
    }
    impl identity_core::Runtime for Closing {
        fn current(&self) -> Option<identity_core::RuntimeId> {
            Some(identity_core::RuntimeId(1))
        }
        fn spawn(&self, work: BoxFuture<'static, ()>) -> Result<Box<dyn identity_core::Task>, BoxFuture<'static, ()>> {
            drop(work);
            Ok(Box::new(Gone))
        }
    }
    let world = World::new(|_, _| Ok(HOUR));
    let transport = FakeTransport::new(&world.clock, |_| unreachable!("nothing here speaks HTTP"));
    let platform = Platform::new(
        Arc::new(transport),
        Arc::new(world.clock.clone()),
        Arc::new(FixedRandom(0)),
        Arc::new(FakeEnv::default()),
        Arc::new(Closing),
    );
    let cache = TokenCache::new(&platform, Arc::<Service>::clone(&world.service), CacheOptions::default());
    let error = world.sim.run(cache.find(lookup(&["a"]))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
}
