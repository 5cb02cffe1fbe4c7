//! Where a blocking call works and where it says that it does not.
#![expect(clippy::unwrap_used, reason = "a test says so by failing")]

use identity_blocking::BlockingCredential;
use identity_core::{AccessToken, Result};
use tokio::task::{self, LocalSet, coop};

use crate::support::{Counted, SCOPES, assert_must_not_wait, runtimes};

mod support;

type Blocking = BlockingCredential<Counted>;
/// Makes one call somewhere.
type Place = fn(Blocking) -> Result<AccessToken>;

fn call(credential: &Blocking) -> Result<AccessToken> {
    credential.get_token(SCOPES, None)
}

/// Threads that may wait, with a runtime near or not.
const MAY_WAIT: [(&str, Place); 9] = [
    ("no runtime", |credential| call(&credential)),
    ("spawn_blocking, one thread", |credential| {
        let [one, _] = runtimes();
        one.block_on(one.spawn_blocking(move || call(&credential))).unwrap()
    }),
    ("spawn_blocking, threads", |credential| {
        let [_, threads] = runtimes();
        threads.block_on(threads.spawn_blocking(move || call(&credential))).unwrap()
    }),
    ("block_in_place in block_on", |credential| {
        let [_, threads] = runtimes();
        threads.block_on(async { task::block_in_place(|| call(&credential)) })
    }),
    ("block_in_place in a task", |credential| {
        let [_, threads] = runtimes();
        let task = threads.spawn(async move { task::block_in_place(|| call(&credential)) });
        threads.block_on(task).unwrap()
    }),
    ("an entered runtime that nobody drives", |credential| {
        let [one, _] = runtimes();
        let _entered = one.enter();
        call(&credential)
    }),
    ("an entered runtime with threads", |credential| {
        let [_, threads] = runtimes();
        let _entered = threads.enter();
        call(&credential)
    }),
    // Not recognised: they stop their runtime, and still get a token.
    ("opted out of budgets, one thread", |credential| {
        let [one, _] = runtimes();
        one.block_on(coop::unconstrained(async { call(&credential) }))
    }),
    ("opted out of budgets, threads", |credential| {
        let [_, threads] = runtimes();
        let task = threads.spawn(coop::unconstrained(async move { call(&credential) }));
        threads.block_on(task).unwrap()
    }),
];

/// Threads on which tokio polls something.
const MUST_NOT_WAIT: [(&str, Place); 7] = [
    ("block_on, one thread", |credential| runtimes()[0].block_on(async { call(&credential) })),
    ("block_on, threads", |credential| runtimes()[1].block_on(async { call(&credential) })),
    ("a task, one thread", |credential| {
        let [one, _] = runtimes();
        one.block_on(one.spawn(async move { call(&credential) })).unwrap()
    }),
    ("a task, threads", |credential| {
        let [_, threads] = runtimes();
        threads.block_on(threads.spawn(async move { call(&credential) })).unwrap()
    }),
    ("a local set", |credential| {
        let [one, _] = runtimes();
        LocalSet::new().block_on(&one, async { call(&credential) })
    }),
    ("a local task", |credential| {
        let [one, _] = runtimes();
        let set = LocalSet::new();
        let task = set.spawn_local(async move { call(&credential) });
        one.block_on(set.run_until(task)).unwrap()
    }),
    ("block_on in spawn_blocking", |credential| {
        let [one, _] = runtimes();
        let handle = one.handle().clone();
        one.block_on(one.spawn_blocking(move || handle.block_on(async { call(&credential) }))).unwrap()
    }),
];

#[test]
fn a_thread_that_may_wait_gets_its_token_from_the_drivers_thread() {
    for (place, call) in MAY_WAIT {
        let credential = Counted::new();
        let token = call(credential.clone()).unwrap_or_else(|error| panic!("{place}: {error}"));
        assert_eq!((token.secret(), token.credential()), ("token-1", "Counted"), "{place}");
        assert_eq!(credential.inner().threads(), ["identity-blocking"], "{place}");
    }
}

#[test]
fn where_tokio_polls_there_is_an_error_and_nothing_is_sent() {
    for (place, call) in MUST_NOT_WAIT {
        let credential = Counted::new();
        let result = call(credential.clone());
        assert_eq!(result.as_ref().unwrap_err().credential(), "Counted", "{place}");
        assert_must_not_wait(result);
        assert_eq!(credential.inner().asked(), 0, "{place}");
        // It spoils nothing: elsewhere there is one.
        assert_eq!(credential.get_token(SCOPES, None).unwrap().secret(), "token-1", "{place}");
    }
}

#[test]
fn a_remembered_token_is_given_everywhere() {
    for (place, call) in MAY_WAIT.into_iter().chain(MUST_NOT_WAIT) {
        let credential = Counted::new();
        credential.get_token(SCOPES, None).unwrap();
        let token = call(credential.clone()).unwrap_or_else(|error| panic!("{place}: {error}"));
        assert_eq!((token.secret(), credential.inner().asked()), ("token-1", 1), "{place}");
    }
}

#[test]
fn async_callers_share_the_memory_of_blocking_ones() {
    let credential = Counted::new();
    let [one, _] = runtimes();
    let asynchronous = credential.inner().clone();
    let get = || one.block_on(identity_core::TokenCredential::get_token(&asynchronous, SCOPES, None));
    let token = get().unwrap();
    assert_eq!(token.secret(), credential.get_token(SCOPES, None).unwrap().secret());
    assert_eq!(credential.inner().asked(), 1);
}

#[test]
fn the_runtime_that_was_entered_is_entered_again_after_a_call() {
    let [one, _] = runtimes();
    let _entered = one.enter();
    Counted::new().get_token(SCOPES, None).unwrap();
    assert_eq!(tokio::runtime::Handle::current().id(), one.handle().id());
}
