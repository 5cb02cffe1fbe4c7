use std::{
    pin::Pin,
    sync::{Arc, Weak},
    task::{Context, Poll, Waker},
};

use identity_core::{AccessToken, CallContext, Error, RuntimeId, Task};

use crate::{
    cache::Inner,
    key::Key,
    sync::{Mutex, lock},
};

/// One request that is under way, and those who wait for it.
pub(crate) struct Flight {
    pub(crate) key: Arc<Key>,
    pub(crate) claims: Option<String>,
    pub(crate) context: CallContext,
    pub(crate) runtime: RuntimeId,
    pub(crate) order: u64,
    /// Taken while the cache's lock is held, never the other way round.
    pub(crate) cell: Mutex<Cell>,
}

#[derive(Default)]
pub(crate) struct Cell {
    pub(crate) waiters: usize,
    /// One place for each waiter that was polled.
    wakers: Vec<Option<Waker>>,
    outcome: Option<Outcome>,
    /// Whether it takes too long for those who have a token.
    is_late: bool,
    pub(crate) task: Option<Box<dyn Task>>,
}

impl Cell {
    /// Whether the flight has no outcome yet.
    pub(crate) fn is_open(&self) -> bool {
        self.outcome.is_none()
    }
}

#[derive(Clone)]
pub(crate) enum Outcome {
    Token(AccessToken),
    Failed(Error),
    /// The task went with its runtime.
    Lost,
    /// For those who have a token: it takes too long.
    Late,
}

impl Flight {
    /// Sends those away who have a token.
    pub(crate) fn be_late(&self) {
        let mut cell = lock(&self.cell);
        cell.is_late = true;
        // They keep their places: some of them have no token, and wait on.
        let wakers: Vec<Waker> = cell.wakers.iter().flatten().cloned().collect();
        drop(cell);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Hands the outcome to all who wait. The first outcome counts.
    pub(crate) fn finish(&self, outcome: Outcome) {
        let mut cell = lock(&self.cell);
        if cell.outcome.is_none() {
            cell.outcome = Some(outcome);
        }
        let task = cell.task.take();
        let wakers = std::mem::take(&mut cell.wakers);
        drop(cell);
        drop(task);
        wakers.into_iter().flatten().for_each(Waker::wake);
    }
}

/// Waits for a flight. Must be made while the cache's lock is held, so that nobody gives the flight up in between.
pub(crate) struct Waiter {
    flight: Arc<Flight>,
    cache: Weak<Inner>,
    has_token: bool,
    place: Option<usize>,
}

impl Waiter {
    pub(crate) fn new(flight: &Arc<Flight>, cache: Weak<Inner>, has_token: bool) -> Self {
        lock(&flight.cell).waiters += 1;
        Self { flight: Arc::clone(flight), cache, has_token, place: None }
    }

    /// Waits for the flight's end, however late that is.
    pub(crate) fn lose_token(&mut self) {
        self.has_token = false;
    }
}

impl Future for Waiter {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        let flight = Arc::clone(&self.flight);
        let mut cell = lock(&flight.cell);
        if let Some(outcome) = &cell.outcome {
            return Poll::Ready(outcome.clone());
        }
        if cell.is_late && self.has_token {
            return Poll::Ready(Outcome::Late);
        }
        match self.place.and_then(|place| cell.wakers.get_mut(place)) {
            Some(Some(waker)) => waker.clone_from(cx.waker()),
            Some(empty) => *empty = Some(cx.waker().clone()),
            None => {
                self.place = Some(cell.wakers.len());
                cell.wakers.push(Some(cx.waker().clone()));
            }
        }
        Poll::Pending
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        let mut cell = lock(&self.flight.cell);
        if let Some(waker) = self.place.and_then(|place| cell.wakers.get_mut(place)) {
            *waker = None;
        }
        while let Some(None) = cell.wakers.last() {
            cell.wakers.pop();
        }
        if cell.outcome.is_some() || cell.waiters > 1 {
            cell.waiters -= 1;
            return;
        }
        // The last one: whether the flight ends with it is for the cache, whose lock comes first.
        drop(cell);
        match self.cache.upgrade() {
            Some(cache) => cache.leave(&self.flight),
            None => lock(&self.flight.cell).waiters -= 1,
        }
    }
}
