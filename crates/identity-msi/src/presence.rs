//! Whether IMDS is there: found out by one request for all who wonder, and remembered.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use identity_core::{Clock, Moment, gate::Turns};

/// What is known about an endpoint. Presence is remembered for ever, absence for [`ABSENCE_MEMORY`].
#[derive(Debug, Default)]
pub(crate) struct Presence {
    known: Mutex<Known>,
    turns: Turns,
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
        *self.lock() = Known::Present;
    }

    /// Whether somebody has answered.
    pub(crate) fn is_confirmed(&self) -> bool {
        matches!(*self.lock(), Known::Present)
    }

    /// What is known, else what `probe` finds out; callers that come meanwhile wait for that. An error says why nobody
    /// is there. A probe that is dropped makes room for the next caller's.
    pub(crate) async fn find_out(
        &self,
        clock: &dyn Clock,
        probe: impl Future<Output = Result<(), String>>,
    ) -> Result<(), String> {
        if let Some(known) = self.known(clock) {
            return known;
        }
        let _turn = self.turns.take().await;
        if let Some(known) = self.known(clock) {
            return known;
        }
        let result = probe.await;
        *self.lock() = match &result {
            Ok(()) => Known::Present,
            Err(why) => Known::Absent(clock.now(), why.clone()),
        };
        result
    }

    fn known(&self, clock: &dyn Clock) -> Option<Result<(), String>> {
        match &*self.lock() {
            Known::Present => Some(Ok(())),
            Known::Absent(since, why) if clock.now().since(since) < ABSENCE_MEMORY => Some(Err(why.clone())),
            _ => None,
        }
    }

    /// Nothing that runs under the lock can panic, so a poisoned one is as good as any.
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Source: our choice: long enough that a laptop is not slowed down, short enough for a machine that is starting.
const ABSENCE_MEMORY: Duration = Duration::from_secs(300);
