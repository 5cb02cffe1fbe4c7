//! Waiting for a future on a thread of its own.

use std::{
    pin::Pin,
    sync::{Arc, Condvar, Mutex, PoisonError},
    task::{Context, Poll, Wake, Waker},
    time::{Duration, Instant},
};

/// Polls `future` on this thread, which sleeps in between, until it is done; `None` if that takes longer than `limit`. It is
/// polled at least once.
pub(crate) fn wait<F: Future + Unpin>(mut future: F, limit: Option<Duration>) -> Option<F::Output> {
    // A limit that no clock can show is none.
    let deadline = limit.and_then(|limit| Instant::now().checked_add(limit));
    let bell = Arc::new(Bell::default());
    let waker = Waker::from(Arc::clone(&bell));
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(output) = Pin::new(&mut future).poll(&mut context) {
            return Some(output);
        }
        if !bell.heard(deadline) {
            return None;
        }
    }
}

/// Wakes a thread. A lock, and not [`std::thread::park`]: what somebody else unparks this thread for would be lost.
#[derive(Default)]
struct Bell {
    rung: Mutex<bool>,
    ring: Condvar,
}

impl Bell {
    /// Sleeps until the bell has been rung, also before; false if that does not happen in time.
    fn heard(&self, deadline: Option<Instant>) -> bool {
        let mut rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        while !*rung {
            rung = match deadline {
                None => self.ring.wait(rung).unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return false;
                    }
                    self.ring.wait_timeout(rung, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        *rung = false;
        true
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        *self.rung.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.ring.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::{pending, poll_fn, ready},
        pin::pin,
        thread,
    };

    use super::*;

    #[test]
    fn what_is_done_needs_no_time() {
        assert_eq!(wait(ready(7), Some(Duration::ZERO)), Some(7));
        assert_eq!(wait(ready(7), Some(Duration::MAX)), Some(7));
    }

    #[test]
    fn what_never_ends_is_given_up_in_time() {
        let start = Instant::now();
        assert_eq!(wait(pending::<()>(), Some(Duration::ZERO)), None);
        assert_eq!(wait(pending::<()>(), Some(Duration::from_millis(30))), None);
        assert!(start.elapsed() >= Duration::from_millis(30));
    }

    #[test]
    fn each_poll_needs_a_ring_and_one_before_the_sleep_counts() {
        let mut polls = 0;
        let by_itself = poll_fn(|context| {
            polls += 1;
            context.waker().wake_by_ref();
            if polls == 3 { Poll::Ready(()) } else { Poll::Pending }
        });
        assert_eq!(wait(pin!(by_itself), None), Some(()));

        let mut polls = 0;
        let by_another = poll_fn(|context| {
            polls += 1;
            let waker = context.waker().clone();
            thread::spawn(move || waker.wake());
            if polls == 3 { Poll::Ready(polls) } else { Poll::Pending }
        });
        assert_eq!(wait(pin!(by_another), None), Some(3));
    }

    #[test]
    fn a_thread_that_was_unparked_for_something_else_stays_unparked() {
        thread::current().unpark();
        let mut polls = 0;
        let rings = poll_fn(|context| {
            polls += 1;
            let waker = context.waker().clone();
            thread::spawn(move || waker.wake());
            if polls == 2 { Poll::Ready(()) } else { Poll::Pending }
        });
        assert_eq!(wait(pin!(rings), None), Some(()));
        // It would not return otherwise.
        thread::park();
    }

    #[test]
    fn a_panic_of_the_future_is_its_callers() {
        let panics = || wait(pin!(async { panic!("of the future") }), None::<Duration>);
        assert!(thread::spawn(move || -> Option<()> { panics() }).join().is_err());
    }
}
