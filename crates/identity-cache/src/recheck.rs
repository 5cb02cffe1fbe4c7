//! Whether a credential is still the one that its tokens were got with.

use std::{sync::Arc, time::Duration};

use identity_core::Moment;

use crate::{
    cache::Inner,
    entry::Entry,
    fetch::Fetch,
    flight::Flight,
    sync::{Mutex, lock},
};

/// When the generation was asked last, and what it was. Taken while the cache's lock is held, never the other way round.
pub(crate) struct Watch {
    /// See [`Fetch::recheck`].
    every: Option<Duration>,
    last: Mutex<Option<(u64, Moment)>>,
}

impl Watch {
    pub(crate) fn new(fetch: &dyn Fetch) -> Self {
        Self { every: if IS_BUILT_IN { fetch.recheck() } else { None }, last: Mutex::default() }
    }

    pub(crate) fn is_on(&self) -> bool {
        IS_BUILT_IN && self.every.is_some()
    }

    /// Has an entry served without a look for no longer than until the next one is due.
    pub(crate) fn limit(&self, entry: &mut Entry) {
        if IS_BUILT_IN && let (Some(every), Some((_, at))) = (self.every, *lock(&self.last)) {
            let due = at.plus(every);
            entry.quiet_until.monotonic = entry.quiet_until.monotonic.min(due.monotonic);
            entry.quiet_until.wall = entry.quiet_until.wall.min(due.wall);
        }
    }

    /// Whether a token is to be remembered that was asked for in this generation.
    pub(crate) fn wants(&self, generation: u64) -> bool {
        !self.is_on() || lock(&self.last).is_none_or(|(last, _)| last == generation)
    }
}

impl Inner {
    /// Forgets all tokens, and the flights that are under way, if the credential has become another. Looks once in a while, and without the cache's lock: it may
    /// read files.
    pub(crate) fn recheck(&self) {
        if !IS_BUILT_IN {
            return;
        }
        let Some(every) = self.watch.every else { return };
        let now = self.clock.now();
        if lock(&self.watch.last).is_some_and(|(_, at)| now.since(&at) < every) {
            return;
        }
        self.notice(self.fetch.generation(), None);
    }

    /// Takes note of a generation: that of `flight`, if one starts with it.
    pub(crate) fn notice(&self, generation: u64, flight: Option<&Arc<Flight>>) {
        if !self.watch.is_on() {
            return;
        }
        let now = self.clock.now();
        let mut state = lock(&self.state);
        let last = lock(&self.watch.last).replace((generation, now));
        if last.is_some_and(|(last, _)| last != generation) {
            state.forget(flight, &|entry| self.front.clear(entry.key.slot, entry));
        }
    }
}

/// Whether any credential of this build asks for it. The others need not carry what it takes.
const IS_BUILT_IN: bool = cfg!(any(test, feature = "recheck"));

#[cfg(all(test, not(identity_model)))]
mod tests {
    use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};

    use identity_core::{
        AccessToken, BoxFuture, Clock as _, Result, TokenRequestOptions,
        fakes::{FakeClock, FakeEnv, FakeTransport, Sim, join_all, json, platform},
    };

    use super::*;
    use crate::{Ask, CacheOptions, Fetched, Lookup, TokenCache};

    /// Names its tokens by the generation that they were asked for in.
    #[derive(Debug)]
    struct Tool {
        clock: FakeClock,
        generation: AtomicU64,
        looks: AtomicUsize,
        asked: AtomicUsize,
    }

    impl Fetch for Tool {
        fn name(&self) -> &'static str {
            "Tool"
        }

        fn check(&self, _: &Lookup<'_>) -> Result<()> {
            Ok(())
        }

        fn generation(&self) -> u64 {
            self.looks.fetch_add(1, SeqCst);
            self.generation.load(SeqCst)
        }

        fn recheck(&self) -> Option<Duration> {
            Some(Duration::from_secs(1))
        }

        fn fetch(self: Arc<Self>, _: Ask) -> BoxFuture<'static, Result<Fetched>> {
            Box::pin(async move {
                self.asked.fetch_add(1, SeqCst);
                let (secret, sent_at) = (self.generation.load(SeqCst).to_string().into(), self.clock.now());
                self.clock.sleep(Duration::from_millis(500)).await;
                Ok(Fetched { secret, life: Duration::from_secs(3600), refresh_in: None, sent_at, origin: "" })
            })
        }
    }

    #[test]
    fn a_token_is_dropped_within_a_second_when_the_account_is_another() {
        let clock = FakeClock::default();
        let transport = FakeTransport::new(&clock, |_| Ok(json(200, "{}")));
        let tool = Arc::new(Tool {
            clock: clock.clone(),
            generation: AtomicU64::new(7),
            looks: AtomicUsize::new(0),
            asked: AtomicUsize::new(0),
        });
        let platform = platform(&clock, &transport, &FakeEnv::default());
        let cache = TokenCache::new(&platform, Arc::clone(&tool) as Arc<dyn Fetch>, CacheOptions::default());
        let sim = Sim::new(&clock);
        let get = |options: Option<&TokenRequestOptions>| -> AccessToken {
            sim.run(cache.get(&["a"], "", "", options)).unwrap()
        };
        let counts = || (tool.looks.load(SeqCst), tool.asked.load(SeqCst));

        // Before the first request, and as it starts.
        assert_eq!((get(None).secret(), counts()), ("7", (2, 1)));
        // For a second nothing is looked at, then once in a second, however many ask.
        (0..100).for_each(|_| assert_eq!(get(None).secret(), "7"));
        assert_eq!(counts(), (2, 1));
        for second in 1..=5 {
            clock.advance(Duration::from_secs(1));
            (0..100).for_each(|_| assert_eq!(get(None).secret(), "7"));
            assert_eq!(counts(), (2 + second, 1));
        }

        tool.generation.store(8, SeqCst);
        assert_eq!(get(None).secret(), "7", "not yet looked at");
        clock.advance(Duration::from_secs(1));
        assert_eq!((get(None).secret(), counts()), ("8", (9, 2)));

        // A change while a token is asked for is noticed as well, for the token is of before it.
        let options = TokenRequestOptions::new().with_claims("{}");
        let outcomes: Vec<Option<AccessToken>> = sim.run(join_all([
            Box::pin(async { Some(cache.get(&["a"], "", "", Some(&options)).await.unwrap()) }) as BoxFuture<'_, _>,
            Box::pin(async {
                clock.sleep(Duration::from_millis(100)).await;
                tool.generation.store(9, SeqCst);
                None
            }),
        ]));
        assert_eq!(outcomes[0].as_ref().unwrap().secret(), "8");
        clock.advance(Duration::from_secs(1));
        assert_eq!(get(None).secret(), "9");

        // So is one that a request meets before the next look is due: what it brings is remembered.
        tool.generation.store(10, SeqCst);
        let other = || sim.run(cache.get(&["b"], "", "", None)).unwrap();
        let asked = tool.asked.load(SeqCst);
        assert_eq!((other().secret(), get(None).secret(), other().secret()), ("10", "10", "10"));
        assert_eq!(tool.asked.load(SeqCst), asked + 2);
    }
}
