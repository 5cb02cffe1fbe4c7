//! A remembered token that is due for refresh: the call that gets it starts the request, and does not wait.
#![expect(clippy::disallowed_methods, reason = "the clock of the test is the system's, moved")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    thread,
    time::{Duration, Instant},
};

use identity_core::{BoxFuture, Clock, Moment, Platform};

use crate::support::{Counted, SCOPES};

mod support;

/// The real clock, set forward.
#[derive(Debug)]
struct Forward {
    clock: Arc<dyn Clock>,
    seconds: AtomicU64,
}

impl Clock for Forward {
    fn now(&self) -> Moment {
        self.clock.now().plus(Duration::from_secs(self.seconds.load(SeqCst)))
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        self.clock.sleep(duration)
    }
}

#[test]
fn a_refresh_that_is_due_is_started_by_a_call_that_does_not_wait_for_it() {
    let real = identity_tokio::platform();
    let clock = Arc::new(Forward { clock: Arc::clone(real.clock()), seconds: AtomicU64::new(0) });
    let platform = Platform::new(
        Arc::clone(real.transport()),
        Arc::clone(&clock) as Arc<dyn Clock>,
        Arc::clone(real.random()),
        Arc::clone(real.env()),
        Arc::clone(real.runtime()),
    );
    let (opener, gate) = tokio::sync::watch::channel(true);
    let credential = Counted::with(platform, move || {
        let mut gate = gate.clone();
        Box::pin(async move { drop(gate.wait_for(|open| *open).await) })
    });
    let get = || credential.get_token(SCOPES, None).unwrap();
    assert_eq!(get().secret(), "token-1");

    // Less than two minutes are left, and the service does not answer.
    opener.send(false).unwrap();
    clock.seconds.store(3500, SeqCst);
    assert_eq!(get().secret(), "token-1");
    until(|| credential.inner().asked() == 2);
    assert_eq!(get().secret(), "token-1");

    opener.send(true).unwrap();
    until(|| get().secret() == "token-2");
    assert_eq!(credential.inner().threads(), ["identity-blocking", "identity-blocking"]);
}

/// Waits for what the driver does.
fn until(done: impl Fn() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(30), "it does not happen");
        thread::yield_now();
    }
}
