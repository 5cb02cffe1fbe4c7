use std::{sync::Arc, time::Duration};

use identity_core::{CallContext, Error, ErrorKind, Moment, RuntimeId};

use crate::{
    entry::{Entry, LAST},
    fetch::Ask,
    flight::Flight,
    key::{Key, Lookup},
    sync::Mutex,
};

/// Everything that changes, behind the cache's one lock.
#[derive(Default)]
pub(crate) struct State {
    /// By the hash of their key, ascending. A list: nodes come and go no faster than requests are made, and finding one
    /// takes ten comparisons among a thousand.
    #[expect(clippy::vec_box, reason = "insertion moves pointers, not nodes")]
    nodes: Vec<Box<Node>>,
    /// Where eviction looks next.
    hand: usize,
    next_order: u64,
}

/// What is known about one key.
pub(crate) struct Node {
    pub(crate) key: Arc<Key>,
    pub(crate) entry: Option<Arc<Entry>>,
    /// One of callers without claims, and the last one of those with some.
    pub(crate) failures: Vec<Failure>,
    pub(crate) flights: Vec<Arc<Flight>>,
}

/// A failure that is handed out again until its time is over.
pub(crate) struct Failure {
    pub(crate) error: Error,
    pub(crate) until: Moment,
    /// How patient the callers were: an impatient one's failure says nothing to others.
    pub(crate) context: CallContext,
    /// How many there were in a row.
    pub(crate) count: u32,
    /// Of the inputs that it was made with.
    pub(crate) generation: u64,
    /// Those that the callers had.
    pub(crate) claims: Option<String>,
}

impl State {
    /// Numbers events in the order in which they happen.
    pub(crate) fn order(&mut self) -> u64 {
        self.next_order += 1;
        self.next_order
    }

    pub(crate) fn find(&mut self, lookup: &Lookup<'_>, hash: u64) -> Option<&mut Node> {
        let at = self.position(hash, |key| key.matches(lookup))?;
        self.nodes.get_mut(at).map(|node| &mut **node)
    }

    /// The node that was made with `key`, if it is still there.
    pub(crate) fn node(&mut self, key: &Arc<Key>) -> Option<&mut Node> {
        let at = self.position(key.hash, |other| std::ptr::eq(other, &**key))?;
        self.nodes.get_mut(at).map(|node| &mut **node)
    }

    /// The node for `lookup`, new if there is none. Entries that have to make room for it are given to `evicted`.
    pub(crate) fn find_or_insert(
        &mut self,
        lookup: &Lookup<'_>,
        hash: u64,
        capacity: usize,
        evicted: &dyn Fn(&Arc<Entry>),
    ) -> &mut Node {
        let at = self.position(hash, |key| key.matches(lookup)).unwrap_or_else(|| {
            while self.nodes.len() >= capacity && self.evict_one(capacity, evicted) {}
            let at = self.first(hash);
            let key = Arc::new(Key::new(lookup, hash));
            self.nodes.insert(at, Box::new(Node { key, entry: None, failures: Vec::new(), flights: Vec::new() }));
            at
        });
        #[expect(clippy::indexing_slicing, reason = "a node was found or put there in the statement before")]
        &mut self.nodes[at]
    }

    /// Lets go of nodes that a burst of requests brought.
    pub(crate) fn trim(&mut self, capacity: usize, evicted: &dyn Fn(&Arc<Entry>)) {
        while self.nodes.len() > capacity && self.evict_one(capacity, evicted) {}
    }

    /// All flights that are under way.
    pub(crate) fn take_flights(&mut self) -> Vec<Arc<Flight>> {
        self.nodes.iter_mut().flat_map(|node| std::mem::take(&mut node.flights)).collect()
    }

    /// Forgets all tokens, and has nobody join a flight that is under way, but for `current`: it is for those who started it.
    pub(crate) fn forget(&mut self, current: Option<&Arc<Flight>>, forgotten: &dyn Fn(&Arc<Entry>)) {
        for node in &mut self.nodes {
            node.flights.retain(|flight| current.is_some_and(|current| Arc::ptr_eq(flight, current)));
            node.entry.take().iter().for_each(forgotten);
        }
    }

    /// Removes the first node that was not used since the hand passed it last. Looks at so many and no more, and at few with
    /// flights: where they are under way for more keys than there is room for, there is nothing to find, and all who come
    /// would look in vain.
    fn evict_one(&mut self, capacity: usize, evicted: &dyn Fn(&Arc<Entry>)) -> bool {
        let mut busy = 0;
        for _ in 0..capacity.saturating_mul(2).saturating_add(2) {
            let Some(node) = self.nodes.get(self.hand) else {
                self.hand = 0;
                continue;
            };
            if !node.flights.is_empty() {
                busy += 1;
                if busy > BUSY_LIMIT {
                    return false;
                }
            } else if !node.entry.as_ref().is_some_and(|entry| entry.clear_used()) {
                let node = self.nodes.remove(self.hand);
                node.entry.iter().for_each(evicted);
                return true;
            }
            self.hand += 1;
        }
        false
    }

    fn position(&self, hash: u64, is_it: impl Fn(&Key) -> bool) -> Option<usize> {
        let first = self.first(hash);
        let mut same_hash = self.nodes.get(first..)?.iter().take_while(|node| node.key.hash == hash);
        same_hash.position(|node| is_it(&node.key)).map(|at| first + at)
    }

    /// Where the first node of this hash is, or would be.
    fn first(&self, hash: u64) -> usize {
        self.nodes.partition_point(|node| node.key.hash < hash)
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }
}

/// A flight on its node's list.
pub(crate) struct Start {
    pub(crate) flight: Arc<Flight>,
    /// What it is to ask.
    pub(crate) ask: Ask,
    /// After how long those who have a token are not to wait any longer.
    pub(crate) late: Duration,
}

impl Node {
    /// Puts a flight on the list.
    pub(crate) fn start(&mut self, lookup: &Lookup<'_>, runtime: RuntimeId, order: u64, now: &Moment) -> Start {
        let key = Arc::clone(&self.key);
        let ask = Ask {
            scopes: key.scopes.clone(),
            tenant: key.tenant.clone(),
            subject: key.subject.clone(),
            cae: key.cae,
            claims: lookup.claims.map(str::to_owned),
            context: lookup.context,
            evidence: lookup.evidence.cloned(),
            current: self.entry.as_ref().map(|entry| entry.token.clone()),
        };
        let (claims, context) = (ask.claims.clone(), ask.context);
        let flight = Arc::new(Flight { key, claims, context, runtime, order, cell: Mutex::default() });
        self.flights.push(Arc::clone(&flight));
        // In the last 30 s of a token's life a new one is worth waiting for, but not longer than the old one is of use:
        // half of that time, or of what is left of it.
        let left = self.entry.as_ref().map(|entry| entry.life.left(now));
        let late = left.map_or(FLIGHT_LIMIT, |left| left.saturating_sub(LAST / 2).max(left / 2).min(FLIGHT_LIMIT));
        Start { flight, ask, late }
    }

    /// Remembers a failure, if handing it out again is right: a refusal, and an answer that there is no identity, for `permanent`,
    /// what may pass for 1 s doubling to 10 s or what the server asked for, what the caller can change not at all. With `all`, every
    /// such answer: it is looked at what could change it.
    pub(crate) fn remember(
        &mut self,
        error: &Error,
        now: &Moment,
        flight: &Flight,
        permanent: Duration,
        generation: u64,
        all: bool,
    ) {
        let (context, claims) = (flight.context, flight.claims.clone());
        // In a row is what comes within a minute after the last one was forgotten.
        let last = self.failure(flight.claims.as_deref());
        let count = last.filter(|last| now.is_before(&last.until.plus(FAILURE_ROW))).map_or(0, |last| last.count);
        self.failures.retain(|failure| failure.claims.is_some() != claims.is_some());
        let wait = match error.kind() {
            // Or for as long as the service itself forbids to ask.
            ErrorKind::AuthenticationFailed => permanent.max(error.retry_after().unwrap_or_default()),
            // An answer that there is none, or none without the person. Whether anyone answers at all is for the credential
            // to remember.
            ErrorKind::CredentialUnavailable | ErrorKind::AuthenticationRequired
                if all || error.http_status().is_some() =>
            {
                permanent
            }
            ErrorKind::Transport | ErrorKind::Protocol => {
                Duration::from_secs(1 << count.min(4)).min(FAILURE_LAST).max(error.retry_after().unwrap_or_default())
            }
            _ => return,
        };
        let (error, until) = (error.clone(), now.plus(wait));
        self.failures.push(Failure { error, until, context, count: count.saturating_add(1), generation, claims });
    }

    /// What is remembered for callers with these claims.
    pub(crate) fn failure(&self, claims: Option<&str>) -> Option<&Failure> {
        self.failures.iter().find(|failure| failure.claims.as_deref() == claims)
    }
}

impl Failure {
    /// How long it is still handed out.
    pub(crate) fn left(&self, now: &Moment) -> Duration {
        self.until.monotonic.saturating_duration_since(now.monotonic)
    }
}

/// No flight takes longer. The longest budget of a flow, 90 s, fits.
pub(crate) const FLIGHT_LIMIT: Duration = Duration::from_secs(100);
/// How many nodes with flights eviction passes before it gives up. Source: our choice: among as many nodes with flights as
/// without, it finds one of the latter.
const BUSY_LIMIT: usize = 64;
/// Failures further apart than this are not in a row.
const FAILURE_ROW: Duration = Duration::from_secs(60);
/// The longest that a failure which may pass is handed out again, unless the server asks for more.
const FAILURE_LAST: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use identity_core::{Clock as _, fakes::FakeClock};

    use super::*;
    use crate::key;

    #[test]
    fn who_comes_when_there_is_nothing_to_evict_does_not_look_at_everything() {
        const CAPACITY: usize = 1_000;
        let (mut state, now) = (State::default(), FakeClock::default().now());
        let start = |state: &mut State, number: usize| {
            let subject = number.to_string();
            let lookup = Lookup {
                scopes: &["a"],
                tenant: "",
                subject: &subject,
                cae: false,
                claims: None,
                context: CallContext::Alone,
                evidence: None,
            };
            let node = state.find_or_insert(&lookup, key::hash(&lookup), CAPACITY, &|_| {});
            drop(node.start(&lookup, RuntimeId(1), 0, &now));
        };
        (0..CAPACITY).for_each(|number| start(&mut state, number));
        start(&mut state, CAPACITY);
        assert_eq!(state.hand, BUSY_LIMIT);
        // When the flights are over, what is too much goes.
        (0..CAPACITY).for_each(|number| start(&mut state, CAPACITY + 1 + number));
        state.take_flights();
        state.trim(CAPACITY, &|_| {});
        assert_eq!(state.len(), CAPACITY);
    }
}
