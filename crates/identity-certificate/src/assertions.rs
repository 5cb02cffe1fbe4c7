//! The assertions that were signed and are good for some time yet.

use std::{
    future::poll_fn,
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Poll, Waker},
};

use identity_core::Secret;

use crate::signer::SigningAlgorithm;

/// What makes one assertion another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Purpose {
    pub(crate) endpoint: String,
    pub(crate) client_id: String,
    pub(crate) algorithm: SigningAlgorithm,
}

/// Remembers assertions, and lets one caller at a time make each.
#[derive(Debug, Default)]
pub(crate) struct Assertions(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    remembered: Vec<Remembered>,
    /// What is being made.
    under_way: Vec<Purpose>,
    waiting: Vec<Waker>,
    /// Counts the keys: what one signed is not remembered once there is another.
    epoch: u64,
}

#[derive(Debug)]
struct Remembered {
    purpose: Purpose,
    assertion: Secret,
    not_before: i64,
    expires: i64,
}

/// What a caller does next.
pub(crate) enum Turn<'a> {
    /// Uses this one.
    Ready(Secret),
    /// Makes one; the others wait until this is dropped.
    Make(Making<'a>),
}

/// The right to make an assertion.
pub(crate) struct Making<'a> {
    assertions: &'a Assertions,
    purpose: Purpose,
    epoch: u64,
}

impl Assertions {
    /// Waits for the assertion that somebody makes, or lets the caller make it. With `renew` nothing that is remembered
    /// will do.
    pub(crate) async fn turn(&self, purpose: Purpose, now: i64, renew: bool) -> Turn<'_> {
        let mut renew = renew;
        poll_fn(|context| {
            let mut state = self.lock();
            if std::mem::take(&mut renew) {
                state.remembered.retain(|remembered| remembered.purpose != purpose);
            }
            let usable = state.remembered.iter().find(|remembered| {
                let is_time = remembered.not_before <= now && now.saturating_add(LEFT) <= remembered.expires;
                remembered.purpose == purpose && is_time
            });
            if let Some(remembered) = usable {
                return Poll::Ready(Turn::Ready(remembered.assertion.clone()));
            }
            if state.under_way.contains(&purpose) {
                if !state.waiting.iter().any(|waker| waker.will_wake(context.waker())) {
                    state.waiting.push(context.waker().clone());
                }
                return Poll::Pending;
            }
            state.under_way.push(purpose.clone());
            let epoch = state.epoch;
            Poll::Ready(Turn::Make(Making { assertions: self, purpose: purpose.clone(), epoch }))
        })
        .await
    }

    /// Forgets everything: the key is another one.
    pub(crate) fn clear(&self) {
        let mut state = self.lock();
        state.remembered.clear();
        state.epoch += 1;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Making<'_> {
    /// Remembers what was made.
    pub(crate) fn done(self, assertion: Secret, not_before: i64, expires: i64) {
        let mut state = self.assertions.lock();
        if state.epoch != self.epoch {
            return;
        }
        state.remembered.retain(|remembered| remembered.purpose != self.purpose);
        if state.remembered.len() >= CAPACITY
            && let Some(at) =
                (0..state.remembered.len()).min_by_key(|at| state.remembered.get(*at).map(|one| one.expires))
        {
            state.remembered.swap_remove(at);
        }
        state.remembered.push(Remembered { purpose: self.purpose.clone(), assertion, not_before, expires });
    }
}

impl Drop for Making<'_> {
    fn drop(&mut self) {
        let mut state = self.assertions.lock();
        state.under_way.retain(|purpose| *purpose != self.purpose);
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        waiting.into_iter().for_each(Waker::wake);
    }
}

/// The most that are remembered: a tenant and a region each have an endpoint. Source: our choice.
const CAPACITY: usize = 16;
/// How many seconds an assertion must be good for yet; a request with its retries takes 45. Source: our choice.
const LEFT: i64 = 60;
