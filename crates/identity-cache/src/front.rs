use std::{
    cell::Cell,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use crate::{
    entry::Entry,
    sync::{Mutex, lock},
};

/// Where hits find their entries: a copy for each of some groups of threads, so that threads which are served at the
/// same time share nothing but the token's own count. Its locks are held for some instructions, never longer.
pub(crate) struct Front([Shard; SHARDS]);

/// Alone on its cache lines (two, as processors fetch them in pairs).
#[repr(align(128))]
#[derive(Default)]
struct Shard(Mutex<[Option<Arc<Entry>>; SLOTS]>);

impl Front {
    pub(crate) fn new() -> Self {
        Self(Default::default())
    }

    /// Looks at the entry in a slot.
    #[inline]
    pub(crate) fn read<R>(&self, slot: usize, look: impl FnOnce(&Entry) -> Option<R>) -> Option<R> {
        let shard = self.0.get(shard() % SHARDS)?;
        lock(&shard.0).get(slot % SLOTS)?.as_deref().and_then(look)
    }

    /// Puts an entry into a slot, for all threads.
    pub(crate) fn set(&self, slot: usize, entry: &Arc<Entry>) {
        self.change(slot, |place| place.replace(Arc::clone(entry)));
    }

    /// Empties a slot if `entry` is there.
    pub(crate) fn clear(&self, slot: usize, entry: &Arc<Entry>) {
        self.change(slot, |place| {
            if place.as_ref().is_some_and(|shown| Arc::ptr_eq(shown, entry)) { place.take() } else { None }
        });
    }

    fn change(&self, slot: usize, change: impl Fn(&mut Option<Arc<Entry>>) -> Option<Arc<Entry>>) {
        for shard in &self.0 {
            // What was there is dropped, and a token maybe wiped, when the lock is free again.
            let _old = lock(&shard.0).get_mut(slot % SLOTS).and_then(&change);
        }
    }
}

/// The number of this thread's group.
#[inline]
fn shard() -> usize {
    thread_local!(static SHARD: Cell<usize> = const { Cell::new(usize::MAX) });
    let known = SHARD.get();
    if known != usize::MAX { known } else { assign(&SHARD) }
}

#[cold]
fn assign(shard: &'static std::thread::LocalKey<Cell<usize>>) -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let number = NEXT.fetch_add(1, Relaxed) % SHARDS;
    shard.set(number);
    number
}

/// Groups of threads; a power of two.
const SHARDS: usize = 8;
/// Entries for each; a power of two.
pub(crate) const SLOTS: usize = 16;
