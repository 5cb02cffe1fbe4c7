//! How a flight ends.

use std::sync::Arc;

use identity_core::{Error, ErrorKind, Result};
use tracing::{debug, warn};

use crate::{
    cache::{Inner, first},
    entry::Entry,
    fetch::Fetched,
    flight::{Flight, Outcome},
    state::Node,
    sync::lock,
};

impl Inner {
    /// The last waiter of a flight goes.
    pub(crate) fn leave(&self, flight: &Arc<Flight>) {
        let now = self.clock.now();
        let mut state = lock(&self.state);
        let mut cell = lock(&flight.cell);
        cell.waiters -= 1;
        if cell.waiters > 0 || !cell.is_open() {
            return;
        }
        let Some(node) = state.node(&flight.key) else { return };
        let usable = node.entry.as_ref().is_some_and(|entry| !entry.life.left(&now).is_zero());
        if usable && flight.claims.is_none() || self.fetch.goes_on() {
            return;
        }
        node.flights.retain(|other| !Arc::ptr_eq(other, flight));
        let task = cell.task.take();
        drop(cell);
        drop(state);
        if let Some(task) = task {
            task.abort();
        }
    }

    /// Takes an answer in; the outcome is for everyone who waits.
    pub(crate) fn land(&self, flight: &Arc<Flight>, result: Result<Fetched>, generation: u64) -> Outcome {
        let (random, name) = (self.platform.random().as_ref(), self.fetch.name());
        let now = self.clock.now();
        let result = result.map_err(|error| error.with_credential(name)).and_then(|fetched| {
            let in_time = now.since(&fetched.sent_at) < fetched.life;
            if in_time { Ok(fetched) } else { Err(came_too_late().with_credential(name)) }
        });
        let remember = |node: &mut Node, error: &Error| {
            let all = self.watch.is_on();
            node.remember(error, &now, flight, self.options.failure_memory, generation, all);
        };
        let mut state = lock(&self.state);
        // An answer to claims replaces whatever is there; a plain one only what was asked for before it.
        let order = if flight.claims.is_some() { state.order() } else { flight.order };
        let Some(node) = state.node(&flight.key) else {
            return result.map_or_else(Outcome::Failed, |fetched| {
                Outcome::Token(Entry::new(Arc::clone(&flight.key), &fetched, name, random, order).token)
            });
        };
        node.flights.retain(|other| !Arc::ptr_eq(other, flight));
        let usable = node.entry.clone().filter(|entry| !entry.life.left(&now).is_zero());
        let is_newer = usable.as_ref().is_some_and(|entry| entry.life.order > order);
        let (mut token, mut warn) = (None, false);
        match (&result, &usable) {
            (Ok(fetched), _) => {
                node.failures.clear();
                if is_newer {
                    token = node.entry.as_ref().map(|entry| entry.token.clone());
                } else {
                    let entry = Entry::new(Arc::clone(&node.key), fetched, name, random, order);
                    token = Some(entry.token.clone());
                    if self.watch.wants(generation) {
                        self.publish(node, entry);
                    }
                }
            }
            // What was refused was asked for before a token that is good.
            (Err(_), _) if is_newer => {}
            // The answer to a challenge says nothing about the token that is there.
            (Err(error), _) if flight.claims.is_some() => {
                remember(node, error);
            }
            (Err(error), Some(entry)) => {
                let mut life = entry.life;
                warn = life.refresh_failed(&now, error, random);
                self.publish(node, entry.with_life(life));
                if !life.is_fresh(&now) {
                    remember(node, error);
                }
            }
            (Err(error), None) => remember(node, error),
        }
        state.trim(self.options.capacity, &|entry| self.front.clear(entry.key.slot, entry));
        // Whoever takes log events may ask for a token: no lock is held from here on.
        drop(state);
        let scope = first(&flight.key.scopes);
        match result {
            Ok(fetched) => {
                let life_secs = fetched.life.as_secs();
                debug!(credential = name, scope, origin = fetched.origin, life_secs, "token received");
                token.map_or(Outcome::Lost, Outcome::Token)
            }
            Err(error) => {
                let left_secs = usable.map_or(0, |entry| entry.life.left(&now).as_secs());
                if warn {
                    warn!(credential = name, scope, left_secs, %error, "a token cannot be refreshed and will expire");
                }
                debug!(credential = name, scope, left_secs, %error, "token request failed");
                Outcome::Failed(error)
            }
        }
    }
}

#[cold]
fn came_too_late() -> Error {
    Error::new(ErrorKind::Protocol, "the token had expired when it came; compare the clocks of both sides")
}
