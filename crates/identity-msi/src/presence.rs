//! Whether IMDS is there: found out by one request for all who wonder, and remembered.

use std::{
    future::poll_fn,
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Poll, Waker},
    time::Duration,
};

use identity_core::{Clock, Moment};

/// What is known about an endpoint. Presence is remembered for ever, absence for [`ABSENCE_MEMORY`].
#[derive(Debug, Default)]
pub(crate) struct Presence(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    known: Known,
    probing: bool,
    waiting: Vec<Waker>,
}

#[derive(Debug, Default)]
enum Known {
    #[default]
    Nothing,
    Present,
    /// Since when, and why.
    Absent(Moment, String),
}

impl Presence {
    /// Somebody answered as only the real one does.
    pub(crate) fn confirm(&self) {
        self.lock().known = Known::Present;
    }

    /// Whether somebody has answered.
    pub(crate) fn is_confirmed(&self) -> bool {
        matches!(self.lock().known, Known::Present)
    }

    /// What is known, else what `probe` finds out; callers that come meanwhile wait for that. An error says why nobody
    /// is there. A probe that is dropped makes room for the next caller's.
    pub(crate) async fn find_out(
        &self,
        clock: &dyn Clock,
        probe: impl Future<Output = Result<(), String>>,
    ) -> Result<(), String> {
        let known = poll_fn(|cx| {
            let mut state = self.lock();
            match &state.known {
                Known::Present => return Poll::Ready(Some(Ok(()))),
                Known::Absent(since, why) if clock.now().since(since) < ABSENCE_MEMORY => {
                    return Poll::Ready(Some(Err(why.clone())));
                }
                _ => {}
            }
            if !state.probing {
                state.probing = true;
                return Poll::Ready(None);
            }
            if !state.waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
                state.waiting.push(cx.waker().clone());
            }
            Poll::Pending
        });
        if let Some(known) = known.await {
            return known;
        }
        let _turn = Turn(self);
        let result = probe.await;
        self.lock().known = match &result {
            Ok(()) => Known::Present,
            Err(why) => Known::Absent(clock.now(), why.clone()),
        };
        result
    }

    /// Nothing that runs under the lock can panic, so a poisoned one is as good as any.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to probe; given back when dropped.
struct Turn<'a>(&'a Presence);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.probing = false;
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        waiting.into_iter().for_each(Waker::wake);
    }
}

/// Source: our choice: long enough that a laptop is not slowed down, short enough for a machine that is starting.
const ABSENCE_MEMORY: Duration = Duration::from_secs(300);
