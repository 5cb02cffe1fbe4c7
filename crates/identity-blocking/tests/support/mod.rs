//! A credential over the real cache and the real runtime seam, whose service is a function of the test.
#![allow(dead_code, clippy::unwrap_used, reason = "not every test uses all of it, and a test says so by failing")]

use std::{
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};

use identity_blocking::BlockingCredential;
use identity_cache::{Ask, CacheOptions, Fetch, Fetched, Lookup, TokenCache};
use identity_core::{
    AccessToken, BoxFuture, ErrorKind, Moment, Platform, Result, Secret, TokenCredential, TokenFuture,
    TokenRequestOptions,
};
use tokio::runtime::{Builder, Runtime};

pub(crate) const SCOPES: &[&str] = &["https://storage.azure.com/.default"];

/// What happens while a token is requested, on the thread that requests it.
type Work = dyn Fn() -> BoxFuture<'static, ()> + Send + Sync;

/// Remembers tokens as all credentials do.
#[derive(Clone, Debug)]
pub(crate) struct Counted {
    cache: TokenCache,
    service: Arc<Service>,
}

struct Service {
    platform: Platform,
    asked: AtomicUsize,
    threads: Mutex<Vec<String>>,
    work: Box<Work>,
}

impl Counted {
    /// A service that answers after a moment, by which timers are shown to run.
    pub(crate) fn new() -> BlockingCredential<Self> {
        Self::with(identity_tokio::platform(), || {
            Box::pin(identity_tokio::platform().clock().sleep(Duration::from_millis(1)))
        })
    }

    pub(crate) fn with(
        platform: Platform,
        work: impl Fn() -> BoxFuture<'static, ()> + Send + Sync + 'static,
    ) -> BlockingCredential<Self> {
        let (asked, threads) = (AtomicUsize::new(0), Mutex::default());
        let service = Arc::new(Service { platform: platform.clone(), asked, threads, work: Box::new(work) });
        let cache = TokenCache::new(&platform, Arc::clone(&service) as Arc<dyn Fetch>, CacheOptions::default());
        BlockingCredential::new(Self { cache, service })
    }

    /// How many requests the service has got.
    pub(crate) fn asked(&self) -> usize {
        self.service.asked.load(SeqCst)
    }

    /// The names of the threads that requests ran on.
    pub(crate) fn threads(&self) -> Vec<String> {
        self.service.threads.lock().unwrap().clone()
    }
}

impl TokenCredential for Counted {
    fn get_token<'a>(&'a self, scopes: &'a [&'a str], options: Option<&'a TokenRequestOptions>) -> TokenFuture<'a> {
        self.cache.get(scopes, "", "", options)
    }

    fn name(&self) -> &'static str {
        "Counted"
    }
}

impl Fetch for Service {
    fn name(&self) -> &'static str {
        "Counted"
    }

    fn check(&self, _: &Lookup<'_>) -> Result<()> {
        Ok(())
    }

    fn fetch(self: Arc<Self>, _: Ask) -> BoxFuture<'static, Result<Fetched>> {
        Box::pin(async move {
            let number = self.asked.fetch_add(1, SeqCst) + 1;
            self.threads.lock().unwrap().push(thread::current().name().unwrap_or_default().to_owned());
            let sent_at: Moment = self.platform.clock().now();
            (self.work)().await;
            let life = Duration::from_secs(3600);
            Ok(Fetched { secret: Secret::new(format!("token-{number}")), life, refresh_in: None, sent_at, origin: "" })
        })
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Service")
    }
}

/// A runtime of one thread and one of several.
pub(crate) fn runtimes() -> [Runtime; 2] {
    [Builder::new_current_thread(), Builder::new_multi_thread()]
        .map(|mut builder| builder.enable_all().build().unwrap())
}

/// What a call says that would have to wait where it must not.
#[track_caller]
pub(crate) fn assert_must_not_wait(result: Result<AccessToken>) {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
    let text = error.to_string();
    assert!(text.contains("await the credential itself") && text.contains("spawn_blocking"), "{text}");
}
