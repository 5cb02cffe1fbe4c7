use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    task::Poll,
    time::Duration,
};

use identity_core::{
    AccessToken, BoxFuture, CallContext, Clock, Error, ErrorKind, Platform, Result,
    fakes::{FakeClock, FakeEnv, FakeTransport, FixedRandom, Sim, SimRuntime, join_all},
};

use crate::{Ask, CacheOptions, Fetch, Fetched, Lookup, TokenCache};

mod callers;
mod clocks;
mod keys;
mod refresh;
mod runtimes;
mod warnings;

type Answer = dyn Fn(usize, &Ask) -> Result<Duration> + Send + Sync;

/// A service whose answers a test decides: the number of the request and what is asked, to a life or an error.
struct Service {
    clock: FakeClock,
    latency: Mutex<Duration>,
    answer: Box<Answer>,
    refresh_in: Option<Duration>,
    count: AtomicUsize,
    generation: AtomicU64,
    asks: Mutex<Vec<(Duration, Ask)>>,
}

impl Service {
    fn count(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }

    /// When requests came, in whole seconds.
    fn times(&self) -> Vec<u64> {
        self.asks.lock().unwrap().iter().map(|(at, _)| at.as_secs()).collect()
    }

    fn slow(&self, latency: Duration) {
        *self.latency.lock().unwrap() = latency;
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Service")
    }
}

impl Fetch for Service {
    fn name(&self) -> &'static str {
        "TestCredential"
    }

    fn check(&self, lookup: &Lookup<'_>) -> Result<()> {
        identity_core::check::scopes(lookup.scopes)
    }

    fn generation(&self) -> u64 {
        self.generation.load(Ordering::SeqCst)
    }

    fn fetch(self: Arc<Self>, ask: Ask) -> BoxFuture<'static, Result<Fetched>> {
        let number = self.count.fetch_add(1, Ordering::SeqCst) + 1;
        let sent_at = self.clock.now();
        let result = (self.answer)(number, &ask).map(|life| Fetched {
            secret: format!("{}#{number}", ask.scopes.join("+")).into(),
            life,
            refresh_in: self.refresh_in,
            sent_at,
            origin: "test",
        });
        self.asks.lock().unwrap().push((self.clock.elapsed(), ask));
        let sleep = self.clock.sleep(*self.latency.lock().unwrap());
        Box::pin(async move {
            sleep.await;
            result
        })
    }
}

/// A cache, what it asks, and the time it lives in.
struct World {
    clock: FakeClock,
    service: Arc<Service>,
    cache: TokenCache,
    sim: Sim,
}

impl World {
    fn new(answer: impl Fn(usize, &Ask) -> Result<Duration> + Send + Sync + 'static) -> Self {
        Self::with(CacheOptions::default(), None, 0, answer)
    }

    fn with(
        options: CacheOptions,
        refresh_in: Option<Duration>,
        random: u64,
        answer: impl Fn(usize, &Ask) -> Result<Duration> + Send + Sync + 'static,
    ) -> Self {
        let clock = FakeClock::default();
        let service = Arc::new(Service {
            clock: clock.clone(),
            latency: Mutex::new(Duration::from_millis(100)),
            answer: Box::new(answer),
            refresh_in,
            count: AtomicUsize::new(0),
            generation: AtomicU64::new(7),
            asks: Mutex::default(),
        });
        let transport = FakeTransport::new(&clock, |_| unreachable!("nothing here speaks HTTP"));
        let platform = Platform::new(
            Arc::new(transport),
            Arc::new(clock.clone()),
            Arc::new(FixedRandom(random)),
            Arc::new(FakeEnv::default()),
            Arc::new(SimRuntime),
        );
        let cache = TokenCache::new(&platform, Arc::<Service>::clone(&service), options);
        let sim = Sim::new(&clock);
        Self { clock, service, cache, sim }
    }

    /// A token for one scope, waited for.
    fn get(&self, scope: &str) -> Result<AccessToken> {
        self.sim.run(async { self.cache.find(lookup(&[scope])).await })
    }

    /// The text of the token for the usual scope; it ends in the number of the request that brought it.
    fn secret(&self) -> String {
        self.get("a").unwrap().secret().to_owned()
    }

    /// A token that is there at once, or nothing.
    fn at_once(&self, scope: &str) -> Option<String> {
        // The call itself is made inside the runtime, for it may start a refresh there.
        self.sim.run(async {
            let token = self.cache.find(lookup(&[scope])).try_ready().ok()?;
            Some(token.unwrap().secret().to_owned())
        })
    }

    fn claims(&self, claims: &str) -> Result<AccessToken> {
        self.sim.run(self.cache.find(Lookup { claims: Some(claims), ..lookup(&["a"]) }))
    }

    fn advance(&self, seconds: u64) {
        self.clock.advance(secs(seconds));
    }

    /// Lets time pass while tasks run.
    fn pass(&self, seconds: u64) {
        let sleep = self.clock.sleep(secs(seconds));
        self.sim.run(sleep);
    }
}

fn lookup<'a>(scopes: &'a [&'a str]) -> Lookup<'a> {
    Lookup { scopes, tenant: "", subject: "", cae: false, claims: None, context: CallContext::Alone, evidence: None }
}

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn refused() -> Error {
    Error::new(ErrorKind::AuthenticationFailed, "no")
}

fn down() -> Error {
    Error::new(ErrorKind::Transport, "down")
}

const HOUR: Duration = Duration::from_secs(3600);
