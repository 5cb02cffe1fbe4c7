use std::sync::Arc;

use identity_core::{Error, Moment};

use crate::{
    entry::Entry,
    flight::Flight,
    key::{Key, Lookup},
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
