use std::{
    fmt,
    sync::{Arc, Weak},
    time::Duration,
};

use identity_core::{
    AccessToken, BoxFuture, CallContext, Clock, Error, ErrorKind, Moment, Platform, Result, RuntimeId, Secret,
    TokenFuture, gate::timeout,
};
use tracing::{debug, warn};

use crate::{
    entry::Entry,
    flight::{Flight, Outcome, Waiter},
    key::{self, Key, Lookup},
    state::{Failure, Node, State},
    sync::{Mutex, Slot, lock},
};

/// How a credential gets a token when none is remembered.
pub trait Fetch: fmt::Debug + Send + Sync + 'static {
    /// The credential's name, for tokens, errors and logs.
    fn name(&self) -> &'static str;

    /// Judges what a caller asks for, before anything is sent. Called for every lookup that memory cannot answer.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidArgument`] for what can never be asked.
    fn check(&self, lookup: &Lookup<'_>) -> Result<()>;

    /// Asks the service, with all the retries that are worth it.
    fn fetch(self: Arc<Self>, ask: Ask) -> BoxFuture<'static, Result<Fetched>>;
}

/// What to ask the service for: the owned form of a [`Lookup`].
#[derive(Clone, Debug)]
pub struct Ask {
    /// See [`Lookup::scopes`].
    pub scopes: Vec<String>,
    /// See [`Lookup::tenant`].
    pub tenant: String,
    /// See [`Lookup::subject`].
    pub subject: String,
    /// See [`Lookup::cae`].
    pub cae: bool,
    /// See [`Lookup::claims`].
    pub claims: Option<String>,
    /// See [`Lookup::context`].
    pub context: CallContext,
    /// The token that is remembered under the same key, if any: what a refresh or an answer to a challenge replaces.
    pub current: Option<AccessToken>,
}

/// A token as the service gave it.
#[derive(Debug)]
pub struct Fetched {
    /// The token; it passed [`check::is_token`](identity_core::check::is_token).
    pub secret: Secret,
    /// How long it lives, counted from `sent_at`.
    pub life: Duration,
    /// When the service wants it refreshed, counted from `sent_at`.
    pub refresh_in: Option<Duration>,
    /// When the request was sent that brought it.
    pub sent_at: Moment,
    /// Which of the credential's sources it came from; empty if there is only one.
    pub origin: &'static str,
}

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
    front: [Slot<Entry>; FRONT],
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
            front: std::array::from_fn(|_| Slot::empty()),
            clock: Arc::clone(platform.clock()),
            state: Mutex::new(State::default()),
            platform: platform.clone(),
            fetch,
            options,
        }))
    }

    /// A token for `lookup`: from memory if a fresh one is there, which allocates nothing and takes no lock; else from
    /// the flight that is under way for it, or from one that is started.
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
    pub fn get<'a>(&'a self, lookup: Lookup<'a>) -> TokenFuture<'a> {
        let hash = key::hash(&lookup);
        if lookup.claims.is_none()
            && let Some(token) = self.0.hit(&lookup, hash).or_else(|| self.0.hit_under_lock(&lookup, hash))
        {
            return TokenFuture::ready(Ok(token));
        }
        self.0.miss(lookup, hash)
    }

    #[cfg(test)]
    pub(crate) fn remembered(&self) -> usize {
        lock(&self.0.state).len()
    }
}

impl fmt::Debug for TokenCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenCache").field("options", &self.0.options).finish_non_exhaustive()
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
    #[inline]
    fn hit(self: &Arc<Self>, lookup: &Lookup<'_>, hash: u64) -> Option<AccessToken> {
        self.slot(hash)?.read(|entry| {
            if !entry.key.matches(lookup) {
                return None;
            }
            let age = entry.age(&self.clock.now());
            if !entry.is_fresh(age) {
                return None;
            }
            if entry.wants_refresh(age) {
                self.start_refresh(entry, age, lookup.context);
            }
            entry.mark_used();
            Some(entry.token.clone())
        })
    }

    #[inline]
    fn slot(&self, hash: u64) -> Option<&Slot<Entry>> {
        self.front.get((hash >> (u64::BITS - FRONT.ilog2())) as usize)
    }

    /// Finds a fresh entry whose slot another one has taken.
    #[cold]
    fn hit_under_lock(self: &Arc<Self>, lookup: &Lookup<'_>, hash: u64) -> Option<AccessToken> {
        let now = self.clock.now();
        let entry = lock(&self.state).find(lookup, hash)?.entry.clone()?;
        let age = entry.age(&now);
        entry.is_fresh(age).then(|| self.serve(&entry, age, lookup.context))
    }

    #[cold]
    fn miss<'a>(self: &'a Arc<Self>, lookup: Lookup<'a>, hash: u64) -> TokenFuture<'a> {
        TokenFuture::pending(async move {
            let name = self.fetch.name();
            self.acquire(lookup, hash)
                .await
                .map_err(|error| if error.credential().is_empty() { error.with_credential(name) } else { error })
        })
    }

    async fn acquire(self: &Arc<Self>, lookup: Lookup<'_>, hash: u64) -> Result<AccessToken> {
        self.fetch.check(&lookup)?;
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
            let patience = old.left(&self.clock.now()) / 2;
            return match timeout(self.clock.as_ref(), patience, waiter).await {
                Some(Outcome::Token(token)) => Ok(token),
                Some(Outcome::Failed(error)) if old.left(&self.clock.now()).is_zero() => Err(error),
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
        let mut old = None;
        if let Some(node) = state.find(lookup, hash) {
            if let (Some(entry), None) = (&node.entry, lookup.claims) {
                let age = entry.age(&now);
                if entry.is_fresh(age) {
                    let entry = Arc::clone(entry);
                    drop(state);
                    return Step::Token(self.serve(&entry, age, lookup.context));
                }
                old = Some(Arc::clone(entry)).filter(|entry| !entry.left(&now).is_zero());
            }
            let joins = |flight: &&Arc<Flight>| {
                Some(flight.runtime) == runtime
                    && flight.claims.as_deref() == lookup.claims
                    && (flight.context == lookup.context || old.is_some())
            };
            if let Some(flight) = node.flights.iter().find(joins) {
                return Step::Wait(Waiter::new(flight, Arc::downgrade(self)), old);
            }
            let remembered = node.failure.as_ref().filter(|failure| failure.until > now.monotonic);
            if let (Some(failure), None, None) = (remembered, lookup.claims, &old) {
                return Step::Failed(failure.error.clone());
            }
        }
        let Some(runtime) = runtime else {
            return old.map_or_else(|| Step::Failed(no_runtime()), |old| Step::Token(old.token.clone()));
        };
        let order = state.order();
        let mut evicted = |entry: Arc<Entry>| self.forget(&entry);
        let node = state.insert(lookup, hash, self.options.capacity, &mut evicted);
        let flight = new_flight(node, lookup.claims, lookup.context, runtime, order);
        let ask = ask(&flight, node.entry.as_ref());
        let waiter = Waiter::new(&flight, Arc::downgrade(self));
        drop(state);
        match self.launch(&flight, ask) {
            Ok(()) => Step::Wait(waiter, old),
            Err(error) => Step::Failed(error),
        }
    }

    /// Serves an entry that the lock-free look did not find in its slot, and puts it there.
    fn serve(self: &Arc<Self>, entry: &Arc<Entry>, age: Duration, context: CallContext) -> AccessToken {
        if let Some(slot) = self.slot(entry.key.hash) {
            slot.set(Some(Arc::clone(entry)));
        }
        if entry.wants_refresh(age) {
            self.start_refresh(entry, age, context);
        }
        entry.mark_used();
        entry.token.clone()
    }

    /// Starts one refresh for all callers; nobody waits for it.
    #[cold]
    fn start_refresh(self: &Arc<Self>, entry: &Arc<Entry>, age: Duration, context: CallContext) {
        if !entry.claim_refresh(age, FLIGHT_LIMIT) {
            return;
        }
        let Some(runtime) = self.platform.runtime().current() else {
            // Outside a runtime nothing can be started; a call inside one soon will.
            entry.postpone_refresh(&self.clock.now(), Duration::from_secs(1));
            return;
        };
        let mut state = lock(&self.state);
        let order = state.order();
        let Some(node) = state.node(&entry.key) else { return };
        let flight = new_flight(node, None, context, runtime, order);
        let ask = ask(&flight, node.entry.as_ref());
        drop(state);
        if self.launch(&flight, ask).is_err() {
            entry.postpone_refresh(&self.clock.now(), Duration::from_secs(1));
        }
    }

    /// Starts the task of a flight. It holds the cache weakly and ends by itself within [`FLIGHT_LIMIT`].
    fn launch(self: &Arc<Self>, flight: &Arc<Flight>, ask: Ask) -> Result<()> {
        debug!(credential = self.fetch.name(), scopes = ?ask.scopes, refresh = ask.current.is_some(), "token request starts");
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
        let usable = node.entry.as_ref().is_some_and(|entry| !entry.left(&now).is_zero());
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
                let entry = match &node.entry {
                    Some(entry) if entry.order > order && !entry.left(&now).is_zero() => Arc::clone(entry),
                    _ => Arc::new(Entry::new(Arc::clone(&node.key), &fetched, self.fetch.name(), random, order)),
                };
                node.failure = None;
                node.entry = Some(Arc::clone(&entry));
                if let Some(slot) = self.slot(entry.key.hash) {
                    slot.set(Some(Arc::clone(&entry)));
                }
                drop(state);
                debug!(credential = self.fetch.name(), scopes = ?flight.key.scopes, origin = fetched.origin, life_secs = fetched.life.as_secs(), "token received");
                Outcome::Token(entry.token.clone())
            }
            Err(error) => {
                let error = error.with_credential(self.fetch.name());
                let usable = node.entry.clone().filter(|entry| !entry.left(&now).is_zero());
                match &usable {
                    _ if flight.claims.is_some() => {}
                    Some(entry) => self.refresh_failed(entry, &now, &error),
                    None => node.remember(&error, now.monotonic, self.options.failure_memory),
                }
                drop(state);
                debug!(credential = self.fetch.name(), scopes = ?flight.key.scopes, %error, kept = usable.is_some(), "token request failed");
                Outcome::Failed(error)
            }
        }
    }

    fn refresh_failed(&self, entry: &Entry, now: &Moment, error: &Error) {
        if entry.refresh_failed(now, error, self.platform.random().as_ref()) {
            warn!(credential = self.fetch.name(), scopes = ?entry.key.scopes, left_secs = entry.left(now).as_secs(), %error, "a token cannot be refreshed and will expire");
        }
    }

    /// Takes an evicted entry out of the lock-free look as well.
    fn forget(&self, entry: &Arc<Entry>) {
        if let Some(slot) = self.slot(entry.key.hash)
            && slot.read(|shown| Arc::ptr_eq(shown, entry).then_some(())).is_some()
        {
            slot.set(None);
        }
    }
}

impl Node {
    /// Remembers a failure, if handing it out again is right: a refusal for `permanent`, what may pass for 1 s doubling
    /// to 10 s or what the server asked for, what the caller can change not at all.
    fn remember(&mut self, error: &Error, now: Duration, permanent: Duration) {
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
        self.failure =
            Some(Failure { error: error.clone(), until: now.saturating_add(wait), count: count.saturating_add(1) });
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
                if let Some(entry) = &node.entry {
                    entry.postpone_refresh(&cache.clock.now(), Duration::from_secs(1));
                }
            }
        }
        self.flight.finish(Outcome::Lost);
    }
}

fn new_flight(
    node: &mut Node,
    claims: Option<&str>,
    context: CallContext,
    runtime: RuntimeId,
    order: u64,
) -> Arc<Flight> {
    let flight = Arc::new(Flight {
        key: Arc::clone(&node.key),
        claims: claims.map(str::to_owned),
        context,
        runtime,
        order,
        cell: Mutex::default(),
    });
    node.flights.push(Arc::clone(&flight));
    flight
}

fn ask(flight: &Flight, current: Option<&Arc<Entry>>) -> Ask {
    let Key { scopes, tenant, subject, cae, .. } = &*flight.key;
    Ask {
        scopes: scopes.clone(),
        tenant: tenant.clone(),
        subject: subject.clone(),
        cae: *cae,
        claims: flight.claims.clone(),
        context: flight.context,
        current: current.map(|entry| entry.token.clone()),
    }
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

/// Places for entries that are found without a lock; a power of two.
const FRONT: usize = 64;
/// No flight takes longer. The longest budget of a flow, 90 s, fits.
const FLIGHT_LIMIT: Duration = Duration::from_secs(100);
/// How many flights in a row a caller may lose to runtimes that end.
const LOST_LIMIT: u32 = 3;
/// The longest that a failure which may pass is handed out again, unless the server asks for more.
const FAILURE_LAST: Duration = Duration::from_secs(10);
