//! Calls within calls, and how a call ends that does not get its token.
#![expect(clippy::disallowed_methods, reason = "threads of the test")]
#![expect(clippy::panic, clippy::unwrap_used, reason = "a test says so by failing")]

use std::{
    cell::RefCell,
    future::pending,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
        mpsc::{Sender, channel},
    },
    thread,
    time::{Duration, Instant},
};

use identity_blocking::BlockingCredential;
use identity_core::{AccessToken, ErrorKind, Result, TokenCredential, TokenFuture, TokenRequestOptions};

use crate::support::{Counted, SCOPES, assert_must_not_wait};

mod support;

/// Asks another credential, the blocking way, when its future is polled.
#[derive(Debug)]
struct Nests(BlockingCredential<Counted>);

impl TokenCredential for Nests {
    fn get_token<'a>(&'a self, scopes: &'a [&'a str], _: Option<&'a TokenRequestOptions>) -> TokenFuture<'a> {
        TokenFuture::pending(async move { self.0.get_token(scopes, None) })
    }

    fn name(&self) -> &'static str {
        "Nests"
    }
}

#[test]
fn a_credential_that_calls_another_one_the_blocking_way_gets_its_token() {
    let inner = Counted::new();
    let outer = BlockingCredential::new(Nests(inner.clone()));
    assert_eq!(outer.get_token(SCOPES, None).unwrap().secret(), "token-1");
    let outer = BlockingCredential::new(Arc::new(Nests(inner)) as Arc<dyn TokenCredential>);
    assert_eq!(outer.get_token(SCOPES, None).unwrap().secret(), "token-1");
    assert_eq!(outer.name(), "Nests");
}

/// What a call of another credential comes to that is made while a token is requested, on the driver.
fn within_a_request(
    call: fn(BlockingCredential<Counted>, Sender<Result<AccessToken>>) -> TokenFuture<'static>,
) -> Result<AccessToken> {
    let (sender, receiver) = channel();
    let inner = Counted::new();
    let outer = Counted::with(identity_tokio::platform(), move || {
        let called = call(inner.clone(), sender.clone());
        Box::pin(async move { drop(called.await) })
    });
    assert_eq!(outer.get_token(SCOPES, None).unwrap().secret(), "token-1");
    receiver.try_recv().unwrap()
}

#[test]
fn a_blocking_call_within_a_request_is_refused_and_does_not_stop_the_driver() {
    assert_must_not_wait(within_a_request(|inner, sender| {
        TokenFuture::pending(async move {
            let result = inner.get_token(SCOPES, None);
            sender.send(result.clone()).unwrap();
            result
        })
    }));
    // The driver's thread is known also where there is no budget.
    assert_must_not_wait(within_a_request(|inner, sender| {
        TokenFuture::pending(tokio::task::coop::unconstrained(async move {
            let result = inner.get_token(SCOPES, None);
            sender.send(result.clone()).unwrap();
            result
        }))
    }));
}

#[test]
fn a_blocking_call_within_a_request_works_on_a_thread_that_may_wait() {
    let token = within_a_request(|inner, sender| {
        TokenFuture::pending(async move {
            let result = tokio::task::spawn_blocking(move || inner.get_token(SCOPES, None)).await.unwrap();
            sender.send(result.clone()).unwrap();
            result
        })
    });
    assert_eq!(token.unwrap().secret(), "token-1");
}

#[derive(Debug)]
struct Panics;

impl TokenCredential for Panics {
    fn get_token<'a>(&'a self, _: &'a [&'a str], _: Option<&'a TokenRequestOptions>) -> TokenFuture<'a> {
        TokenFuture::pending(async { panic!("of the credential") })
    }

    fn name(&self) -> &'static str {
        "Panics"
    }
}

#[test]
fn a_panic_of_a_credential_is_its_callers_and_leaves_everything_usable() {
    let panics = BlockingCredential::new(Panics);
    let result = catch_unwind(AssertUnwindSafe(|| panics.get_token(SCOPES, None)));
    assert_eq!(*result.unwrap_err().downcast_ref::<&str>().unwrap(), "of the credential");
    assert!(tokio::runtime::Handle::try_current().is_err(), "the thread has left the driver's runtime");
    assert_eq!(Counted::new().get_token(SCOPES, None).unwrap().secret(), "token-1");
}

#[test]
fn a_panic_of_a_request_is_an_error_and_the_driver_goes_on() {
    let panics = Counted::with(identity_tokio::platform(), || panic!("of the request"));
    assert!(panics.get_token(SCOPES, None).is_err());
    assert_eq!(Counted::new().get_token(SCOPES, None).unwrap().secret(), "token-1");
}

/// Tells when it is dropped.
struct Told(Sender<()>);

impl Drop for Told {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

#[test]
fn a_call_gives_up_in_time_and_its_request_ends() {
    let limit = Duration::from_millis(50);
    for limit in [Duration::ZERO, limit] {
        let (sender, receiver) = channel();
        let credential = Counted::with(identity_tokio::platform(), move || {
            let told = Told(sender.clone());
            Box::pin(async move {
                let _told = told;
                pending().await
            })
        });
        let start = Instant::now();
        let error = credential.get_token_within(SCOPES, None, limit).unwrap_err();
        assert!(start.elapsed() >= limit);
        assert_eq!((error.kind(), error.credential()), (ErrorKind::Transport, "Counted"));
        assert!(error.to_string().starts_with("no token within"), "{error}");
        if !limit.is_zero() {
            receiver.recv_timeout(Duration::from_secs(30)).unwrap();
            assert_eq!(credential.inner().asked(), 1);
        }
    }
}

#[test]
fn a_limit_does_not_keep_from_what_is_remembered_or_comes_in_time() {
    let credential = Counted::new();
    let get = |limit| credential.get_token_within(SCOPES, None, limit).unwrap();
    assert_eq!(get(Duration::MAX).secret(), "token-1");
    assert_eq!(get(Duration::ZERO).secret(), "token-1");
}

#[test]
fn one_who_gives_up_does_not_take_the_token_from_others() {
    let waiting = Arc::new(AtomicUsize::new(0));
    let (opener, gate) = tokio::sync::watch::channel(false);
    let credential = Counted::with(identity_tokio::platform(), {
        let waiting = Arc::clone(&waiting);
        move || {
            waiting.fetch_add(1, SeqCst);
            let mut gate = gate.clone();
            Box::pin(async move { drop(gate.wait_for(|open| *open).await) })
        }
    });
    let patient = {
        let credential = credential.clone();
        thread::spawn(move || credential.get_token(SCOPES, None))
    };
    while waiting.load(SeqCst) == 0 {
        thread::yield_now();
    }
    credential.get_token_within(SCOPES, None, Duration::from_millis(1)).unwrap_err();
    opener.send(true).unwrap();
    assert_eq!(patient.join().unwrap().unwrap().secret(), "token-1");
    assert_eq!(credential.inner().asked(), 1);
}

/// Asks for a token when its thread ends.
struct Late(BlockingCredential<Counted>, Sender<Result<AccessToken>>);

impl Drop for Late {
    fn drop(&mut self) {
        self.1.send(self.0.get_token(SCOPES, None)).unwrap();
    }
}

thread_local! {
    static LATE: RefCell<Option<Late>> = const { RefCell::new(None) };
}

#[test]
fn a_thread_that_ends_gets_a_token_or_an_error_and_no_panic() {
    // Values are dropped in the order in which they were made, or the other way round, as the system likes.
    let mut refused = 0;
    for runtime_first in [true, false] {
        let (sender, receiver) = channel();
        let thread = thread::spawn(move || {
            let credential = Counted::new();
            let set = || LATE.set(Some(Late(credential.clone(), sender)));
            if runtime_first {
                credential.get_token(SCOPES, None).unwrap();
                set();
            } else {
                set();
                credential.get_token(SCOPES, None).unwrap();
            }
        });
        thread.join().unwrap();
        match receiver.recv().unwrap() {
            Ok(token) => assert_eq!(token.secret(), "token-1"),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::InvalidArgument);
                assert!(error.to_string().contains("about to end"), "{error}");
                refused += 1;
            }
        }
    }
    assert!(refused < 2, "in one of the two orders tokio's values are there");
}
