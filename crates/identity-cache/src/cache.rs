use std::{fmt, sync::Arc, time::Duration};

use identity_core::{
    AccessToken, CallContext, Clock, Error, ErrorKind, Moment, Platform, Result, Secret, TokenFuture,
    TokenRequestOptions, gate::timeout,
};
use tracing::debug;

use crate::{
    entry::Entry,
    fetch::Fetch,
    flight::{Flight, Outcome, Waiter},
    front::Front,
    key::{self, Lookup},
    pilot::Pilot,
    recheck::Watch,
    state::{FLIGHT_LIMIT, Node, Start, State},
    sync::{Mutex, lock},
};

/// Limits of a cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheOptions {
    /// The most keys that are remembered; 256 by default. Keys with a request under way may exceed it.
    pub capacity: usize,
    /// How long a refusal by the service, or its answer that there is no identity, is handed out again without asking;
    /// 60 s by default.
    pub failure_memory: Duration,
}

impl Default for CacheOptions {
    fn default() -> Self {
        Self { capacity: 256, failure_memory: Duration::from_secs(60) }
    }
}

/// The tokens of one credential. Clones share them.
#[derive(Clone)]
pub struct TokenCache(Arc<Inner>);

pub(crate) struct Inner {
    /// What a hit needs comes first.
    pub(crate) front: Front,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) state: Mutex<State>,
    pub(crate) platform: Platform,
    pub(crate) fetch: Arc<dyn Fetch>,
    pub(crate) watch: Watch,
    pub(crate) options: CacheOptions,
}

impl TokenCache {
    /// An empty cache. Starts nothing.
    #[must_use]
    pub fn new(platform: &Platform, fetch: Arc<dyn Fetch>, options: CacheOptions) -> Self {
        Self(Arc::new(Inner {
            front: Front::new(),
            clock: Arc::clone(platform.clock()),
            state: Mutex::new(State::default()),
            platform: platform.clone(),
            watch: Watch::new(fetch.as_ref()),
            fetch,
            options,
        }))
    }

    /// A token for `scopes`: from memory if a fresh one is there, which allocates nothing and takes no lock that anyone
    /// holds for long; else from the flight that is under way for it, or from one that is started.
    ///
    /// `tenant` is the tenant after the rules for tenants were applied, empty for credentials without tenants. `subject`
    /// says whose token it is, where one cache serves several users: a hash, never an assertion; else empty.
    ///
    /// # Errors
    ///
    /// What [`Fetch::check`] and [`Fetch::fetch`] say, the latter shared by all who waited; and
    /// [`ErrorKind::InvalidArgument`] outside a runtime, [`ErrorKind::Transport`] if the flight took too long.
    ///
    /// # Cancellation
    ///
    /// Dropping the future is safe. When the last one that waits for a flight goes and no usable token is remembered,
    /// the flight is ended, unless [`Fetch::goes_on`] says otherwise.
    #[inline]
    pub fn get<'a>(
        &'a self,
        scopes: &'a [&'a str],
        tenant: &'a str,
        subject: &'a str,
        options: Option<&'a TokenRequestOptions>,
    ) -> TokenFuture<'a> {
        // Claims are never answered from memory.
        let cae = match options {
            None => Some(false),
            Some(options) => options.claims().is_none().then(|| options.is_cae_enabled()),
        };
        if let Some(cae) = cae
            && let Some(token) = self.0.hit(scopes, tenant, subject, cae)
        {
            return TokenFuture::ready(Ok(token));
        }
        self.miss(scopes, tenant, subject, None, options)
    }

    /// The same, for those who are rarely there: a call and not a part of its caller, to which every text is known only when
    /// it runs. Where `subject` is the hash of `evidence`, a request shows that to the service; it is kept only as long as the
    /// request is under way.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    ///
    /// # Cancellation
    ///
    /// As [`get`](Self::get).
    #[inline(never)]
    pub fn get_for<'a>(
        &'a self,
        scopes: &'a [&'a str],
        tenant: &'a str,
        subject: &'a str,
        evidence: Option<&'a Secret>,
        options: Option<&'a TokenRequestOptions>,
    ) -> TokenFuture<'a> {
        let is_plain = options.is_none_or(|options| options.claims().is_none());
        let cae = options.is_some_and(TokenRequestOptions::is_cae_enabled);
        if is_plain && let Some(token) = self.0.hit(scopes, tenant, subject, cae) {
            return TokenFuture::ready(Ok(token));
        }
        self.miss(scopes, tenant, subject, evidence, options)
    }

    /// Apart from [`get`](Self::get), so that a hit builds no `Lookup`: a sixth of its instructions.
    #[cold]
    fn miss<'a>(
        &'a self,
        scopes: &'a [&'a str],
        tenant: &'a str,
        subject: &'a str,
        evidence: Option<&'a Secret>,
        options: Option<&'a TokenRequestOptions>,
    ) -> TokenFuture<'a> {
        self.0.miss(Lookup {
            scopes,
            tenant,
            subject,
            cae: options.is_some_and(TokenRequestOptions::is_cae_enabled),
            claims: options.and_then(TokenRequestOptions::claims),
            context: options.map_or(CallContext::Alone, TokenRequestOptions::context),
            evidence,
        })
    }

    /// The same for what tests make up.
    #[cfg(test)]
    pub(crate) fn find<'a>(&'a self, lookup: Lookup<'a>) -> TokenFuture<'a> {
        let Lookup { scopes, tenant, subject, cae, claims, .. } = lookup;
        match claims {
            None => self.0.hit(scopes, tenant, subject, cae).map(|token| TokenFuture::ready(Ok(token))),
            Some(_) => None,
        }
        .unwrap_or_else(|| self.0.miss(lookup))
    }

    #[cfg(test)]
    pub(crate) fn remembered(&self) -> usize {
        lock(&self.0.state).len()
    }
}

impl fmt::Debug for TokenCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Short: what is reachable from here is part of every program.
        f.write_str("TokenCache")
    }
}

/// What a lookup comes to under the lock.
enum Step {
    Token(AccessToken),
    Failed(Error),
    /// A failure that was remembered, with the generation of what it was made with.
    Remembered(Error, u64),
    /// Waits for a flight; the entry is served if that fails.
    Wait(Waiter, Option<Arc<Entry>>),
}

impl Inner {
    /// Finds a token that needs nothing else to be done.
    #[inline]
    fn hit(&self, scopes: &[&str], tenant: &str, subject: &str, cae: bool) -> Option<AccessToken> {
        self.front.read(key::slot(scopes, tenant, subject), |entry| {
            let good = entry.key.is(scopes, tenant, subject, cae) && self.clock.is_before(&entry.quiet_until);
            good.then(|| {
                entry.mark_used();
                entry.token.clone()
            })
        })
    }

    /// Finds a fresh token under the cache's lock.
    fn look(self: &Arc<Self>, lookup: &Lookup<'_>) -> Option<AccessToken> {
        let now = self.clock.now();
        let mut state = lock(&self.state);
        let (token, refresh) = self.fresh(&mut state, lookup, key::hash(lookup), &now)?;
        drop(state);
        self.launch_refresh(refresh);
        Some(token)
    }

    /// The fresh token of a key, and the flight to launch if its refresh is due: one for all callers, and nobody waits
    /// for it.
    fn fresh(
        &self,
        state: &mut State,
        lookup: &Lookup<'_>,
        hash: u64,
        now: &Moment,
    ) -> Option<(AccessToken, Option<Start>)> {
        let order = state.order();
        let node = state.find(lookup, hash)?;
        let entry = node.entry.clone()?;
        let mut life = entry.life;
        if !life.is_fresh(now) {
            return None;
        }
        entry.mark_used();
        let mut start = None;
        if life.wants_refresh(now) {
            let runtime = self.platform.runtime().current();
            // Outside a runtime nothing can be started; a call inside one soon will.
            life.postpone_refresh(now, if runtime.is_some() { FLIGHT_LIMIT } else { SOON });
            // One that this runtime has not driven yet is not joined by another.
            let waits = |flight: &Arc<Flight>| flight.claims.is_none() && Some(flight.runtime) == runtime;
            start = (runtime.filter(|_| !node.flights.iter().any(waits)))
                .map(|runtime| node.start(&Lookup { claims: None, ..*lookup }, runtime, order, now));
            self.publish(node, entry.with_life(life));
        } else if self.watch.is_on() {
            self.publish(node, entry.with_life(life));
        } else {
            self.front.set(entry.key.slot, &entry);
        }
        Some((entry.token.clone(), start))
    }

    fn launch_refresh(self: &Arc<Self>, start: Option<Start>) {
        if let Some(start) = start {
            // If the runtime is closing, the flight's own end puts the next try off a little.
            let _ = self.launch(start);
        }
    }

    /// Makes `entry` what is known about its key.
    pub(crate) fn publish(&self, node: &mut Node, mut entry: Entry) {
        self.watch.limit(&mut entry);
        let entry = Arc::new(entry);
        self.front.set(entry.key.slot, &entry);
        node.entry = Some(entry);
    }

    #[cold]
    fn miss<'a>(self: &'a Arc<Self>, lookup: Lookup<'a>) -> TokenFuture<'a> {
        self.recheck();
        if lookup.claims.is_none()
            && let Some(token) = self.look(&lookup)
        {
            return TokenFuture::ready(Ok(token));
        }
        TokenFuture::pending(async move {
            let name = self.fetch.name();
            self.acquire(lookup)
                .await
                .map_err(|error| if error.credential().is_empty() { error.with_credential(name) } else { error })
        })
    }

    async fn acquire(self: &Arc<Self>, lookup: Lookup<'_>) -> Result<AccessToken> {
        self.fetch.check(&lookup)?;
        let hash = key::hash(&lookup);
        for _ in 0..LOST_LIMIT {
            let (mut waiter, old) = match self.step(&lookup, hash) {
                Step::Token(token) => return Ok(token),
                Step::Failed(error) => return Err(error),
                Step::Remembered(error, generation) => {
                    if self.fetch.generation() == generation {
                        return Err(error);
                    }
                    self.forget(&lookup, hash, generation);
                    continue;
                }
                Step::Wait(waiter, old) => (waiter, old),
            };
            let mut outcome = (&mut waiter).await;
            // By the time that this caller looks, the old token may have expired.
            let old = old.filter(|old| !old.life.left(&self.clock.now()).is_zero());
            if old.is_none() && matches!(outcome, Outcome::Late) {
                waiter.lose_token();
                outcome = (&mut waiter).await;
            }
            match (outcome, old) {
                (Outcome::Token(token), _) => return Ok(token),
                (_, Some(old)) => return Ok(old.token.clone()),
                (Outcome::Failed(error), None) => return Err(error),
                (Outcome::Lost | Outcome::Late, None) => {}
            }
        }
        Err(Error::new(
            ErrorKind::InvalidArgument,
            "the runtime dropped the request before it was answered: it is shutting down, was built without enable_all(), or what was called panicked",
        ))
    }

    /// Finds a token or a remembered failure, or joins a flight, or starts one.
    fn step(self: &Arc<Self>, lookup: &Lookup<'_>, hash: u64) -> Step {
        let now = self.clock.now();
        let runtime = self.platform.runtime().current();
        let mut state = lock(&self.state);
        // It may have come since the caller looked, or since the last flight was lost.
        if lookup.claims.is_none()
            && let Some((token, refresh)) = self.fresh(&mut state, lookup, hash, &now)
        {
            drop(state);
            self.launch_refresh(refresh);
            return Step::Token(token);
        }
        let order = state.order();
        let mut old = None;
        if let Some(node) = state.find(lookup, hash) {
            if lookup.claims.is_none() {
                old = node.entry.clone().filter(|entry| !entry.life.left(&now).is_zero());
            }
            let joins = |flight: &&Arc<Flight>| {
                Some(flight.runtime) == runtime
                    && flight.claims.as_deref() == lookup.claims
                    && (flight.context == lookup.context || old.is_some())
            };
            if let Some(flight) = node.flights.iter().find(joins) {
                return Step::Wait(Waiter::new(flight, Arc::downgrade(self), old.is_some()), old);
            }
            let remembered = node.failure(lookup.claims).filter(|failure| {
                now.is_before(&failure.until) && (failure.context == lookup.context || old.is_some())
            });
            if let Some(failure) = remembered {
                // The last seconds of a token are no reason to ask more often.
                return match (&old, failure.error.retry_after()) {
                    (Some(old), _) => Step::Token(old.token.clone()),
                    (None, None) => Step::Remembered(failure.error.clone(), failure.generation),
                    // Counted from now, not from when the first caller was told.
                    (None, Some(_)) => {
                        Step::Remembered(failure.error.clone().with_retry_after(failure.left(&now)), failure.generation)
                    }
                };
            }
        }
        let Some(runtime) = runtime else {
            return old.map_or_else(|| Step::Failed(no_runtime()), |old| Step::Token(old.token.clone()));
        };
        let evicted = |entry: &Arc<Entry>| self.front.clear(entry.key.slot, entry);
        let node = state.find_or_insert(lookup, hash, self.options.capacity, &evicted);
        let start = node.start(lookup, runtime, order, &now);
        let waiter = Waiter::new(&start.flight, Arc::downgrade(self), old.is_some());
        drop(state);
        match self.launch(start) {
            Ok(()) => Step::Wait(waiter, old),
            Err(error) => Step::Failed(error),
        }
    }

    /// Forgets a failure of an earlier generation.
    fn forget(&self, lookup: &Lookup<'_>, hash: u64, generation: u64) {
        if let Some(node) = lock(&self.state).find(lookup, hash) {
            node.failures.retain(|failure| failure.generation != generation);
        }
    }

    /// Starts the task of a flight. It holds the cache weakly and ends by itself within [`Fetch::limit`].
    fn launch(self: &Arc<Self>, start: Start) -> Result<()> {
        let Start { flight, ask, late } = start;
        debug!(
            credential = self.fetch.name(),
            scope = first(&ask.scopes),
            refresh = ask.current.is_some(),
            "token request starts"
        );
        let mut pilot = Pilot::new(self, &flight);
        let (fetch, clock) = (Arc::clone(&self.fetch), Arc::clone(&self.clock));
        let work = async move {
            pilot.start(fetch.generation());
            let mut answer = Arc::clone(&fetch).fetch(ask);
            let mut result = timeout(clock.as_ref(), late, &mut answer).await;
            let limit = fetch.limit();
            if result.is_none() && late < limit {
                pilot.be_late();
                result = timeout(clock.as_ref(), limit - late, &mut answer).await;
            }
            pilot.land(result.unwrap_or_else(|| Err(too_long(limit))));
        };
        match self.platform.runtime().spawn(Box::pin(work)) {
            Ok(task) => {
                let mut cell = lock(&flight.cell);
                if cell.is_open() {
                    cell.task = Some(task);
                }
                Ok(())
            }
            Err(work) => {
                // Dropping the work takes the flight off the list.
                drop(work);
                Err(no_runtime())
            }
        }
    }
}

impl Drop for Inner {
    /// Nobody is left to wait: what is under way ends.
    fn drop(&mut self) {
        let flights = lock(&self.state).take_flights();
        for flight in flights {
            let task = lock(&flight.cell).task.take();
            if let Some(task) = task {
                task.abort();
            }
        }
    }
}

/// What logs call a key by.
pub(crate) fn first(scopes: &[String]) -> &str {
    scopes.first().map_or("", String::as_str)
}

#[cold]
fn no_runtime() -> Error {
    Error::new(
        ErrorKind::InvalidArgument,
        "no token is remembered and there is no tokio runtime to get one; call this from inside a runtime",
    )
}

#[cold]
fn too_long(limit: Duration) -> Error {
    Error::new(ErrorKind::Transport, format!("no answer within {} s", limit.as_secs()))
}

/// When a refresh that could not be started is tried again.
pub(crate) const SOON: Duration = Duration::from_secs(1);
/// How many flights in a row a caller may lose to runtimes that end.
const LOST_LIMIT: u32 = 3;
