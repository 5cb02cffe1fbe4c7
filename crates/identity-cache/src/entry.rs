use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use identity_core::{AccessToken, Error, ErrorKind, Moment, Random, retry::jitter};

use crate::{
    cache::Fetched,
    key::Key,
    sync::{AtomicBool, AtomicU32, AtomicU64},
};

/// A token and what is known about its life. All times count from `since`.
pub(crate) struct Entry {
    pub(crate) key: Arc<Key>,
    pub(crate) token: AccessToken,
    since: Moment,
    life: Duration,
    /// Until then nobody waits.
    fresh: Duration,
    /// When a call starts the next refresh, in nanoseconds. Starting one moves it, so that one call does.
    refresh_at: AtomicU64,
    /// Refreshes that failed in a row.
    failures: AtomicU32,
    /// The age at the first of them, in nanoseconds.
    failing_since: AtomicU64,
    /// The highest level of warning that was given.
    warned: AtomicU32,
    /// Whether it was used since the eviction's hand passed; written only when clear.
    used: AtomicBool,
    /// Orders answers: one that was asked for earlier does not replace a later one.
    pub(crate) order: u64,
}

impl Entry {
    pub(crate) fn new(key: Arc<Key>, fetched: &Fetched, name: &'static str, random: &dyn Random, order: u64) -> Self {
        let Fetched { life, sent_at: since, .. } = *fetched;
        let asked = fetched.refresh_in.filter(|refresh| !refresh.is_zero() && *refresh < life);
        let half = (life >= HALF_LIFE_FROM).then(|| life / 2);
        let point = asked.or(half).unwrap_or_else(|| life.saturating_sub(REFRESH_BEFORE));
        let early = jitter(random, (life / 10).min(JITTER_LIMIT));
        let refresh_on = asked.or(half).and_then(|point| since.wall.checked_add(point));
        // The life is at most a week, so that only a wall clock at the end of time can overflow.
        let expires_on = since.wall.checked_add(life).unwrap_or(since.wall);
        let token = AccessToken::new(fetched.secret.expose(), expires_on)
            .with_refresh_on(refresh_on)
            .with_credential(name, fetched.origin);
        Self {
            key,
            token,
            since,
            life,
            fresh: life.saturating_sub(LAST).max(FETCH_GAP.min(life)),
            refresh_at: AtomicU64::new(nanos(point.saturating_sub(early).max(FETCH_GAP))),
            failures: AtomicU32::new(0),
            failing_since: AtomicU64::new(0),
            warned: AtomicU32::new(0),
            used: AtomicBool::new(false),
            order,
        }
    }

    /// How old it is by whichever clock moved further.
    #[inline]
    pub(crate) fn age(&self, now: &Moment) -> Duration {
        now.since(&self.since)
    }

    /// Whether it is served without waiting for anything.
    #[inline]
    pub(crate) fn is_fresh(&self, age: Duration) -> bool {
        age < self.fresh
    }

    /// The life that is left; zero when it has expired.
    pub(crate) fn left(&self, now: &Moment) -> Duration {
        self.life.saturating_sub(self.age(now))
    }

    #[inline]
    pub(crate) fn wants_refresh(&self, age: Duration) -> bool {
        nanos(age) >= self.refresh_at.load(Relaxed)
    }

    /// Takes the right to refresh it, until `lease` is over: true for one caller.
    pub(crate) fn claim_refresh(&self, age: Duration, lease: Duration) -> bool {
        let at = self.refresh_at.load(Relaxed);
        let next = nanos(age.saturating_add(lease));
        nanos(age) >= at && self.refresh_at.compare_exchange(at, next, Relaxed, Relaxed).is_ok()
    }

    /// Puts the next refresh off for `wait`.
    pub(crate) fn postpone_refresh(&self, now: &Moment, wait: Duration) {
        self.refresh_at.store(nanos(self.age(now).saturating_add(wait)), Relaxed);
    }

    /// Notes that a refresh failed: the next one follows 30 s later, doubling to 5 min, more or less a fifth, and never
    /// before the server asks for it. Says whether it is worth a warning: once at the first refusal, and once each when
    /// a half and four fifths are gone of the life that was left at the first failure.
    pub(crate) fn refresh_failed(&self, now: &Moment, error: &Error, random: &dyn Random) -> bool {
        let count = self.failures.fetch_add(1, Relaxed);
        let wait = RETRY_FIRST.saturating_mul(1 << count.min(8)).min(RETRY_LAST);
        let wait = (wait * 4 / 5 + jitter(random, wait * 2 / 5)).min(RETRY_LAST);
        self.postpone_refresh(now, wait.max(error.retry_after().unwrap_or_default()));

        let age = self.age(now);
        if count == 0 {
            self.failing_since.store(nanos(age), Relaxed);
        }
        let since = Duration::from_nanos(self.failing_since.load(Relaxed));
        let (gone, whole) = (age.saturating_sub(since), self.life.saturating_sub(since));
        let level = match error.kind() {
            _ if gone * 5 >= whole * 4 => 3,
            _ if gone * 2 >= whole => 2,
            ErrorKind::AuthenticationFailed => 1,
            _ => 0,
        };
        self.warned.fetch_max(level, Relaxed) < level
    }

    #[inline]
    pub(crate) fn mark_used(&self) {
        if !self.used.load(Relaxed) {
            self.used.store(true, Relaxed);
        }
    }

    /// Clears the mark of use and says what it was.
    pub(crate) fn clear_used(&self) -> bool {
        self.used.swap(false, Relaxed)
    }
}

#[inline]
fn nanos(duration: Duration) -> u64 {
    // A plain conversion to u128 and back costs a hit twice the instructions.
    duration.as_secs().saturating_mul(1_000_000_000).saturating_add(u64::from(duration.subsec_nanos()))
}

/// In this last part of its life a token is served only if getting another one fails.
const LAST: Duration = Duration::from_secs(30);
/// Between two requests for a token whose life is shorter than all of these rules.
const FETCH_GAP: Duration = Duration::from_secs(10);
/// Source: azure-identity 1.27.0, `_internal/aad_client_base.py`, which refreshes 300 s before expiry.
const REFRESH_BEFORE: Duration = Duration::from_secs(300);
/// Source: azure-identity 1.27.0, `_internal/managed_identity_client.py`: half of a life of 7200 s or more.
const HALF_LIFE_FROM: Duration = Duration::from_secs(7200);
const JITTER_LIMIT: Duration = Duration::from_secs(600);
/// Source: azure-identity 1.27.0, `_constants.py`, DEFAULT_TOKEN_REFRESH_RETRY_DELAY.
const RETRY_FIRST: Duration = Duration::from_secs(30);
const RETRY_LAST: Duration = Duration::from_secs(300);
