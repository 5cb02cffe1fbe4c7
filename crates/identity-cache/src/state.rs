use std::{sync::Arc, time::Duration};

use identity_core::{CallContext, Error, ErrorKind, Moment, RuntimeId};

use crate::{
    entry::Entry,
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
    pub(crate) failure: Option<Failure>,
    pub(crate) flights: Vec<Arc<Flight>>,
}

/// A failure that is handed out again until its time is over.
pub(crate) struct Failure {
    pub(crate) error: Error,
    pub(crate) until: Moment,
    /// How many there were in a row.
    pub(crate) count: u32,
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
            while self.nodes.len() >= capacity && self.evict_one(evicted) {}
            let at = self.first(hash);
            let key = Arc::new(Key::new(lookup, hash));
            self.nodes.insert(at, Box::new(Node { key, entry: None, failure: None, flights: Vec::new() }));
            at
        });
        #[expect(clippy::indexing_slicing, reason = "a node was found or put there in the statement before")]
        &mut self.nodes[at]
    }

    /// Removes the first node that was not used since the hand passed it last; false if every one is in use by flights.
    fn evict_one(&mut self, evicted: &dyn Fn(&Arc<Entry>)) -> bool {
        for _ in 0..self.nodes.len() * 2 {
            let Some(node) = self.nodes.get(self.hand) else {
                self.hand = 0;
                continue;
            };
            if node.flights.is_empty() && !node.entry.as_ref().is_some_and(|entry| entry.clear_used()) {
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

/// A flight on its node's list, and what it is to ask.
pub(crate) type Start = (Arc<Flight>, Ask);

impl Node {
    /// Puts a flight on the list, and says what it is to ask.
    pub(crate) fn start(
        &mut self,
        claims: Option<&str>,
        context: CallContext,
        runtime: RuntimeId,
        order: u64,
    ) -> (Arc<Flight>, Ask) {
        let key = Arc::clone(&self.key);
        let ask = Ask {
            scopes: key.scopes.clone(),
            tenant: key.tenant.clone(),
            subject: key.subject.clone(),
            cae: key.cae,
            claims: claims.map(str::to_owned),
            context,
            current: self.entry.as_ref().map(|entry| entry.token.clone()),
        };
        let flight =
            Arc::new(Flight { key, claims: ask.claims.clone(), context, runtime, order, cell: Mutex::default() });
        self.flights.push(Arc::clone(&flight));
        (flight, ask)
    }

    /// Remembers a failure, if handing it out again is right: a refusal for `permanent`, what may pass for 1 s doubling
    /// to 10 s or what the server asked for, what the caller can change not at all.
    pub(crate) fn remember(&mut self, error: &Error, now: &Moment, permanent: Duration) {
        let count = self.failure.as_ref().map_or(0, |failure| failure.count);
        let wait = match error.kind() {
            ErrorKind::AuthenticationFailed => permanent,
            ErrorKind::Transport | ErrorKind::Protocol => {
                Duration::from_secs(1 << count.min(4)).min(FAILURE_LAST).max(error.retry_after().unwrap_or_default())
            }
            _ => {
                self.failure = None;
                return;
            }
        };
        self.failure = Some(Failure { error: error.clone(), until: now.plus(wait), count: count.saturating_add(1) });
    }
}

/// The longest that a failure which may pass is handed out again, unless the server asks for more.
const FAILURE_LAST: Duration = Duration::from_secs(10);
