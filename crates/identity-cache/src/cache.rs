use std::{
    fmt,
    sync::{Arc, Weak},
    time::Duration,
};

use identity_core::{
    AccessToken, CallContext, Clock, Error, ErrorKind, Moment, Platform, Result, TokenFuture, TokenRequestOptions,
    gate::timeout,
};
use tracing::{debug, warn};

use crate::{
    entry::Entry,
    fetch::{Ask, Fetch, Fetched},
    flight::{Flight, Outcome, Waiter},
    front::Front,
    key::{self, Lookup},
    state::{Node, Start, State},
    sync::{Mutex, lock},
};

/// Limits of a cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheOptions {
    /// The most keys that are remembered; 256 by default. Keys with a request under way may exceed it.
    pub capacity: usize,
    /// How long a refusal by the service is handed out again without asking; 60 s by default.
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
    front: Front,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    platform: Platform,
    fetch: Arc<dyn Fetch>,
    options: CacheOptions,
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
    /// the flight is ended.
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
        self.miss(scopes, tenant, subject, options)
    }

    /// Apart from [`get`](Self::get), so that a hit builds no `Lookup`: a sixth of its instructions.
    #[cold]
    fn miss<'a>(
        &'a self,
        scopes: &'a [&'a str],
        tenant: &'a str,
        subject: &'a str,
        options: Option<&'a TokenRequestOptions>,
    ) -> TokenFuture<'a> {
        self.0.miss(Lookup {
            scopes,
            tenant,
            subject,
            cae: options.is_some_and(TokenRequestOptions::is_cae_enabled),
            claims: options.and_then(TokenRequestOptions::claims),
            context: options.map_or(CallContext::Alone, TokenRequestOptions::context),
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
            start = runtime.map(|runtime| node.start(None, lookup.context, runtime, order));
            self.publish(node, entry.with_life(life));
        } else {
            self.front.set(entry.key.slot, &entry);
        }
        Some((entry.token.clone(), start))
    }

    fn launch_refresh(self: &Arc<Self>, start: Option<Start>) {
        if let Some((flight, ask)) = start {
            // If the runtime is closing, the flight's own end puts the next try off a little.
            let _ = self.launch(&flight, ask);
        }
    }

    /// Makes `entry` what is known about its key.
    fn publish(&self, node: &mut Node, entry: Entry) {
        let entry = Arc::new(entry);
        self.front.set(entry.key.slot, &entry);
        node.entry = Some(entry);
    }

    #[cold]
    fn miss<'a>(self: &'a Arc<Self>, lookup: Lookup<'a>) -> TokenFuture<'a> {
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
            let (waiter, old) = match self.step(&lookup, hash) {
                Step::Token(token) => return Ok(token),
                Step::Failed(error) => return Err(error),
                Step::Wait(waiter, old) => (waiter, old),
            };
            let Some(old) = old else {
                match waiter.await {
                    Outcome::Token(token) => return Ok(token),
                    Outcome::Failed(error) => return Err(error),
                    Outcome::Lost => continue,
                }
            };
            // In the last 30 s of a token's life a new one is worth waiting for, but not longer than the old one is
            // of use: half of what is left of it.
            let patience = old.life.left(&self.clock.now()) / 2;
            return match timeout(self.clock.as_ref(), patience, waiter).await {
                Some(Outcome::Token(token)) => Ok(token),
                Some(Outcome::Failed(error)) if old.life.left(&self.clock.now()).is_zero() => Err(error),
                _ => Ok(old.token.clone()),
            };
        }
        Err(Error::new(
            ErrorKind::InvalidArgument,
            "the runtime dropped the request before it was answered: it is shutting down, or was built without enable_all()",
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
                return Step::Wait(Waiter::new(flight, Arc::downgrade(self)), old);
            }
            let remembered = node.failure.as_ref().filter(|failure| now.is_before(&failure.until));
            if let (Some(failure), None, None) = (remembered, lookup.claims, &old) {
                let (error, until) = (failure.error.clone(), failure.until.monotonic);
                return Step::Failed(match error.retry_after() {
                    // Counted from now, not from when the first caller was told.
                    Some(_) => error.with_retry_after(until.saturating_duration_since(now.monotonic)),
                    None => error,
                });
            }
        }
        let Some(runtime) = runtime else {
            return old.map_or_else(|| Step::Failed(no_runtime()), |old| Step::Token(old.token.clone()));
        };
        let evicted = |entry: &Arc<Entry>| self.front.clear(entry.key.slot, entry);
        let node = state.find_or_insert(lookup, hash, self.options.capacity, &evicted);
        let (flight, ask) = node.start(lookup.claims, lookup.context, runtime, order);
        let waiter = Waiter::new(&flight, Arc::downgrade(self));
        drop(state);
        match self.launch(&flight, ask) {
            Ok(()) => Step::Wait(waiter, old),
            Err(error) => Step::Failed(error),
        }
    }

    /// Starts the task of a flight. It holds the cache weakly and ends by itself within [`FLIGHT_LIMIT`].
    fn launch(self: &Arc<Self>, flight: &Arc<Flight>, ask: Ask) -> Result<()> {
        debug!(
            credential = self.fetch.name(),
            scope = first(&ask.scopes),
            refresh = ask.current.is_some(),
            "token request starts"
        );
        let pilot = Pilot { cache: Arc::downgrade(self), flight: Arc::clone(flight), landed: false };
        let (fetch, clock) = (Arc::clone(&self.fetch), Arc::clone(&self.clock));
        let work = async move {
            let result = timeout(clock.as_ref(), FLIGHT_LIMIT, fetch.fetch(ask)).await;
            pilot.land(result.unwrap_or_else(|| Err(too_long())));
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

    /// The last waiter of a flight goes.
    pub(crate) fn leave(&self, flight: &Arc<Flight>) {
        let now = self.clock.now();
        let mut state = lock(&self.state);
        let mut cell = lock(&flight.cell);
        cell.waiters -= 1;
        if cell.waiters > 0 || !cell.is_open() {
            return;
        }
        let Some(node) = state.node(&flight.key) else { return };
        let usable = node.entry.as_ref().is_some_and(|entry| !entry.life.left(&now).is_zero());
        if usable && flight.claims.is_none() {
            return;
        }
        node.flights.retain(|other| !Arc::ptr_eq(other, flight));
        let task = cell.task.take();
        drop(cell);
        drop(state);
        if let Some(task) = task {
            task.abort();
        }
    }

    /// Takes an answer in; the outcome is for everyone who waits.
    fn land(&self, flight: &Arc<Flight>, result: Result<Fetched>) -> Outcome {
        let random = self.platform.random().as_ref();
        let now = self.clock.now();
        let mut state = lock(&self.state);
        // An answer to claims replaces whatever is there; a plain one only what was asked for before it.
        let order = if flight.claims.is_some() { state.order() } else { flight.order };
        let Some(node) = state.node(&flight.key) else {
            return result.map_or_else(Outcome::Failed, |fetched| {
                Outcome::Token(Entry::new(Arc::clone(&flight.key), &fetched, self.fetch.name(), random, order).token)
            });
        };
        node.flights.retain(|other| !Arc::ptr_eq(other, flight));
        match result {
            Ok(fetched) => {
                node.failure = None;
                let newer =
                    node.entry.as_ref().filter(|entry| entry.life.order > order && !entry.life.left(&now).is_zero());
                if newer.is_none() {
                    self.publish(node, Entry::new(Arc::clone(&node.key), &fetched, self.fetch.name(), random, order));
                }
                let token = node.entry.as_ref().map(|entry| entry.token.clone());
                drop(state);
                debug!(
                    credential = self.fetch.name(),
                    scope = first(&flight.key.scopes),
                    origin = fetched.origin,
                    life_secs = fetched.life.as_secs(),
                    "token received"
                );
                token.map_or(Outcome::Lost, Outcome::Token)
            }
            Err(error) => {
                let error = error.with_credential(self.fetch.name());
                let usable = node.entry.clone().filter(|entry| !entry.life.left(&now).is_zero());
                match &usable {
                    _ if flight.claims.is_some() => {}
                    Some(entry) => {
                        let mut life = entry.life;
                        if life.refresh_failed(&now, &error, random) {
                            warn!(credential = self.fetch.name(), scope = first(&flight.key.scopes), left_secs = life.left(&now).as_secs(), %error, "a token cannot be refreshed and will expire");
                        }
                        self.publish(node, entry.with_life(life));
                    }
                    None => node.remember(&error, &now, self.options.failure_memory),
                }
                drop(state);
                debug!(credential = self.fetch.name(), scope = first(&flight.key.scopes), %error, kept = usable.is_some(), "token request failed");
                Outcome::Failed(error)
            }
        }
    }
}

/// Sees to it that a flight ends for those who wait, whatever happens to its task.
struct Pilot {
    cache: Weak<Inner>,
    flight: Arc<Flight>,
    landed: bool,
}

impl Pilot {
    fn land(mut self, result: Result<Fetched>) {
        self.landed = true;
        let outcome = match self.cache.upgrade() {
            Some(cache) => cache.land(&self.flight, result),
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
                if let Some(entry) = node.entry.clone() {
                    let mut life = entry.life;
                    life.postpone_refresh(&cache.clock.now(), SOON);
                    cache.publish(node, entry.with_life(life));
                }
            }
        }
        self.flight.finish(Outcome::Lost);
    }
}

/// What logs call a key by.
fn first(scopes: &[String]) -> &str {
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
fn too_long() -> Error {
    Error::new(ErrorKind::Transport, format!("no answer within {} s", FLIGHT_LIMIT.as_secs()))
}

/// No flight takes longer. The longest budget of a flow, 90 s, fits.
const FLIGHT_LIMIT: Duration = Duration::from_secs(100);
/// When a refresh that could not be started is tried again.
const SOON: Duration = Duration::from_secs(1);
/// How many flights in a row a caller may lose to runtimes that end.
const LOST_LIMIT: u32 = 3;
