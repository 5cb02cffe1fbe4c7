use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use identity_core::{AccessToken, Error, ErrorKind, Moment, Random, expiry::LIFE_LIMIT, retry::jitter};

use crate::{fetch::Fetched, key::Key, sync::AtomicBool};

/// A token and what is known about its life. It does not change but for its mark of use: a new state is a new entry.
pub(crate) struct Entry {
    pub(crate) key: Arc<Key>,
    pub(crate) token: AccessToken,
    /// Until then it is served without a lock: neither is it stale nor does anything have to be started.
    pub(crate) quiet_until: Moment,
    pub(crate) life: Life,
    /// Whether it was used since the eviction's hand passed; written only when clear.
    used: AtomicBool,
}

/// All durations count from `since`.
#[derive(Clone, Copy)]
pub(crate) struct Life {
    since: Moment,
    whole: Duration,
    /// Until then nobody waits.
    fresh: Duration,
    /// From then on a call starts a refresh.
    refresh_at: Duration,
    /// Refreshes that failed in a row.
    failures: u32,
    /// The age at the first of them.
    failing_since: Duration,
    /// The highest level of warning that was given.
    warned: u8,
    /// Orders answers: one that was asked for earlier does not replace a later one.
    pub(crate) order: u64,
}

impl Entry {
    pub(crate) fn new(key: Arc<Key>, fetched: &Fetched, name: &'static str, random: &dyn Random, order: u64) -> Self {
        let (since, whole) = (fetched.sent_at, fetched.life.min(LIFE_LIMIT));
        let asked = fetched.refresh_in.filter(|refresh| !refresh.is_zero() && *refresh < whole);
        let half = (whole >= HALF_LIFE_FROM).then(|| whole / 2);
        let point = asked.or(half).unwrap_or_else(|| whole.saturating_sub(REFRESH_BEFORE));
        let early = jitter(random, (whole / 10).min(JITTER_LIMIT));
        let token = AccessToken::new(fetched.secret.expose(), since.plus(whole).wall)
            .with_refresh_on(asked.or(half).map(|point| since.plus(point).wall))
            .with_credential(name, fetched.origin);
        let life = Life {
            since,
            whole,
            fresh: whole.saturating_sub(LAST).max(FETCH_GAP.min(whole)),
            refresh_at: point.saturating_sub(early).max(FETCH_GAP),
            failures: 0,
            failing_since: Duration::ZERO,
            warned: 0,
            order,
        };
        Self { key, token, quiet_until: life.quiet_until(), life, used: AtomicBool::new(false) }
    }

    /// The same token with another life.
    pub(crate) fn with_life(&self, life: Life) -> Self {
        Self {
            key: Arc::clone(&self.key),
            token: self.token.clone(),
            quiet_until: life.quiet_until(),
            life,
            used: AtomicBool::new(self.used.load(Relaxed)),
        }
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

impl Life {
    /// How old the token is, by whichever clock moved further.
    pub(crate) fn age(&self, now: &Moment) -> Duration {
        now.since(&self.since)
    }

    /// Whether the token is served without waiting for anything.
    pub(crate) fn is_fresh(&self, now: &Moment) -> bool {
        self.age(now) < self.fresh
    }

    /// What is left of it; zero when the token has expired.
    pub(crate) fn left(&self, now: &Moment) -> Duration {
        self.whole.saturating_sub(self.age(now))
    }

    pub(crate) fn wants_refresh(&self, now: &Moment) -> bool {
        self.age(now) >= self.refresh_at
    }

    /// Puts the next refresh off for `wait`.
    pub(crate) fn postpone_refresh(&mut self, now: &Moment, wait: Duration) {
        self.refresh_at = self.age(now).saturating_add(wait);
    }

    /// Notes that a refresh failed: the next one follows 30 s later, doubling to 5 min, more or less a fifth, and never
    /// before the server asks for it. Says whether it is worth a warning: once at the first refusal, and once each when
    /// a half and four fifths are gone of the life that was left at the first failure.
    pub(crate) fn refresh_failed(&mut self, now: &Moment, error: &Error, random: &dyn Random) -> bool {
        let wait = RETRY_FIRST.saturating_mul(1 << self.failures.min(8)).min(RETRY_LAST);
        let wait = (wait * 4 / 5 + jitter(random, wait * 2 / 5)).min(RETRY_LAST);
        self.postpone_refresh(now, wait.max(error.retry_after().unwrap_or_default()));

        let age = self.age(now);
        if self.failures == 0 {
            self.failing_since = age;
        }
        self.failures = self.failures.saturating_add(1);
        let (gone, all) = (age.saturating_sub(self.failing_since), self.whole.saturating_sub(self.failing_since));
        let level = match error.kind() {
            // Once is enough: it will not change by itself.
            ErrorKind::AuthenticationFailed => 1,
            _ if gone * 5 >= all * 4 => 3,
            _ if gone * 2 >= all => 2,
            _ => 0,
        };
        let warn = level > self.warned;
        self.warned = self.warned.max(level);
        warn
    }

    fn quiet_until(&self) -> Moment {
        self.since.plus(self.fresh.min(self.refresh_at))
    }
}

/// In this last part of its life a token is served only if getting another one fails.
pub(crate) const LAST: Duration = Duration::from_secs(30);
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
