//! The assertions that were signed and are good for some time yet.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use identity_core::{Result, Secret, gate::Turns};

use crate::signer::SigningAlgorithm;

/// What makes one assertion another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Purpose {
    pub(crate) endpoint: String,
    pub(crate) client_id: String,
    pub(crate) algorithm: SigningAlgorithm,
    /// Counts the keys: what an earlier one signed serves no longer.
    pub(crate) key: u64,
    /// Which of the key's certificates it names.
    pub(crate) certificate: usize,
}

/// An assertion, and its time in seconds since the Unix epoch.
#[derive(Debug)]
pub(crate) struct Made {
    pub(crate) assertion: Secret,
    pub(crate) not_before: i64,
    pub(crate) expires: i64,
}

/// Remembers assertions, and lets one caller at a time make each.
#[derive(Debug, Default)]
pub(crate) struct Assertions(Mutex<Vec<Entry>>);

#[derive(Debug)]
struct Entry {
    purpose: Purpose,
    turns: Arc<Turns>,
    made: Option<Made>,
}

impl Assertions {
    /// The assertion that is remembered, or else what `make` makes; others who want the same wait for it meanwhile. With
    /// `renew` nothing that was made before will do.
    pub(crate) async fn get(
        &self,
        purpose: Purpose,
        now: i64,
        renew: bool,
        make: impl Future<Output = Result<Made>>,
    ) -> Result<Secret> {
        let turns = {
            let mut entries = self.lock();
            let entry = find(&mut entries, &purpose);
            if renew {
                entry.made = None;
            }
            Arc::clone(&entry.turns)
        };
        let _turn = turns.take().await;
        if let Some(made) = &find(&mut self.lock(), &purpose).made
            && made.not_before <= now
            && now.saturating_add(LEFT) <= made.expires
        {
            return Ok(made.assertion.clone());
        }
        let made = make.await?;
        let assertion = made.assertion.clone();
        find(&mut self.lock(), &purpose).made = Some(made);
        Ok(assertion)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The entry of `purpose`, which is made if there is none. The one goes for it that nobody waits at and that expires first.
fn find<'a>(entries: &'a mut Vec<Entry>, purpose: &Purpose) -> &'a mut Entry {
    let at = entries.iter().position(|entry| entry.purpose == *purpose).unwrap_or_else(|| {
        if entries.len() >= CAPACITY {
            let expires = |entry: &Entry| match &entry.made {
                _ if Arc::strong_count(&entry.turns) > 1 => i64::MAX,
                made => made.as_ref().map_or(i64::MIN, |made| made.expires),
            };
            let first = entries.iter().enumerate().min_by_key(|(_, entry)| expires(entry)).map_or(0, |(at, _)| at);
            entries.swap_remove(first);
        }
        entries.push(Entry { purpose: purpose.clone(), turns: Arc::default(), made: None });
        entries.len() - 1
    });
    #[expect(clippy::indexing_slicing, reason = "it was found there, or put there")]
    &mut entries[at]
}

/// The most that are remembered: a tenant and a region each have an endpoint. Source: our choice.
const CAPACITY: usize = 16;
/// How many seconds an assertion must be good for yet; a request with its retries takes 45. Source: our choice.
const LEFT: i64 = 60;
