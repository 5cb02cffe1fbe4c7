use std::{
    collections::{HashMap, VecDeque},
    hash::{BuildHasherDefault, Hasher},
    sync::Arc,
};

use identity_core::{Error, Moment};

use crate::{
    entry::Entry,
    flight::Flight,
    key::{Key, Lookup},
};

/// Everything that changes, behind the cache's one lock.
#[derive(Default)]
pub(crate) struct State {
    nodes: HashMap<u64, Node, BuildHasherDefault<AsIs>>,
    /// The keys in the order in which eviction looks at them.
    hand: VecDeque<u64>,
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
        let place = places(hash).find(|place| self.nodes.get(place).is_some_and(|node| node.key.matches(lookup)))?;
        self.nodes.get_mut(&place)
    }

    /// The node of a key that was made by [`insert`](Self::insert), if it is still there.
    pub(crate) fn node(&mut self, key: &Arc<Key>) -> Option<&mut Node> {
        let place =
            places(key.hash).find(|place| self.nodes.get(place).is_some_and(|node| Arc::ptr_eq(&node.key, key)))?;
        self.nodes.get_mut(&place)
    }

    /// The node for `lookup`, new if it was not there. Entries that had to make room are given to `evicted`.
    pub(crate) fn insert(
        &mut self,
        lookup: &Lookup<'_>,
        hash: u64,
        capacity: usize,
        evicted: &mut dyn FnMut(Arc<Entry>),
    ) -> &mut Node {
        let known = places(hash).find(|place| self.nodes.get(place).is_some_and(|node| node.key.matches(lookup)));
        let place = match known {
            Some(place) => place,
            None => {
                while self.nodes.len() >= capacity && self.evict_one(evicted) {}
                let free = places(hash).find(|place| !self.nodes.contains_key(place));
                let place = free.unwrap_or(hash);
                // Four keys of one 64-bit hash: whoever made them has no claim to be remembered.
                if free.is_none()
                    && let Some(old) = self.nodes.remove(&place)
                {
                    old.entry.into_iter().for_each(&mut *evicted);
                } else {
                    self.hand.push_back(place);
                }
                place
            }
        };
        self.nodes.entry(place).or_insert_with(|| Node {
            key: Arc::new(Key::new(lookup, hash)),
            entry: None,
            failure: None,
            flights: Vec::new(),
        })
    }

    /// Removes the first node that was not used since the hand passed it last; false if every one is in use by flights.
    fn evict_one(&mut self, evicted: &mut dyn FnMut(Arc<Entry>)) -> bool {
        for _ in 0..self.hand.len() * 2 {
            let Some(place) = self.hand.pop_front() else { return false };
            let Some(node) = self.nodes.get(&place) else { continue };
            if !node.flights.is_empty() || node.entry.as_ref().is_some_and(|entry| entry.clear_used()) {
                self.hand.push_back(place);
                continue;
            }
            if let Some(node) = self.nodes.remove(&place) {
                node.entry.into_iter().for_each(evicted);
            }
            return true;
        }
        false
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }
}

/// Where a key of this hash may be.
fn places(hash: u64) -> impl Iterator<Item = u64> {
    (0..4).map(move |step| hash.wrapping_add(step))
}

/// The keys of the map are hashes already.
#[derive(Default)]
struct AsIs(u64);

impl Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        // Only `u64` is ever hashed; kept right for anything else.
        self.0 = bytes.iter().fold(self.0, |hash, &byte| hash.rotate_left(8) ^ u64::from(byte));
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}
