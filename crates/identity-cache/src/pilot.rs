use std::sync::{Arc, Weak};

use identity_core::Result;

use crate::{
    cache::{Inner, SOON},
    entry::Entry,
    fetch::Fetched,
    flight::{Flight, Outcome},
    sync::lock,
};

/// Sees to it that a flight ends for those who wait, whatever happens to its task.
pub(crate) struct Pilot {
    cache: Weak<Inner>,
    flight: Arc<Flight>,
    landed: bool,
    /// See [`Fetch::generation`](crate::Fetch::generation); as it was when the request started.
    generation: u64,
}

impl Pilot {
    pub(crate) fn new(cache: &Arc<Inner>, flight: &Arc<Flight>) -> Self {
        Self { cache: Arc::downgrade(cache), flight: Arc::clone(flight), landed: false, generation: 0 }
    }

    /// Takes note of what the request is made with.
    pub(crate) fn start(&mut self, generation: u64) {
        self.generation = generation;
        if let Some(cache) = self.cache.upgrade() {
            cache.notice(generation, Some(&self.flight));
        }
    }

    pub(crate) fn be_late(&self) {
        self.flight.be_late();
    }

    pub(crate) fn land(mut self, result: Result<Fetched>) {
        self.landed = true;
        let outcome = match self.cache.upgrade() {
            Some(cache) => cache.land(&self.flight, result, self.generation),
            // The credential is gone, and so is everyone who could wait.
            None => Outcome::Lost,
        };
        self.flight.finish(outcome);
    }
}

impl Drop for Pilot {
    fn drop(&mut self) {
        if self.landed {
            return;
        }
        if let Some(cache) = self.cache.upgrade() {
            let mut state = lock(&cache.state);
            if let Some(node) = state.node(&self.flight.key) {
                node.flights.retain(|other| !Arc::ptr_eq(other, &self.flight));
                // The refresh that ended with its task is due again; any other state of the token is not its business.
                let mine = |entry: &Arc<Entry>| self.flight.claims.is_none() && entry.life.order < self.flight.order;
                if let Some(entry) = node.entry.clone().filter(mine) {
                    let mut life = entry.life;
                    life.postpone_refresh(&cache.clock.now(), SOON);
                    cache.publish(node, entry.with_life(life));
                }
            }
        }
        self.flight.finish(Outcome::Lost);
    }
}
