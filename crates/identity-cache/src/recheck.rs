//! Whether what a remembered token was got with is still the same.

use std::time::Duration;

use crate::{
    cache::Inner,
    key::{self, Lookup},
    sync::lock,
};

impl Inner {
    /// Drops the token of a key if the credential has become another since it was asked for. Looks once in `every`, without
    /// the lock: it may read files.
    #[cold]
    pub(crate) fn recheck(&self, lookup: &Lookup<'_>, every: Duration) {
        let hash = key::hash(lookup);
        let now = self.clock.now();
        let due = lock(&self.state).find(lookup, hash).and_then(|node| node.entry.clone());
        if due.is_none_or(|entry| entry.life.age(&now) < entry.life.recheck_at) {
            return;
        }
        let generation = self.fetch.generation();
        let mut state = lock(&self.state);
        let Some(node) = state.find(lookup, hash) else { return };
        let Some(entry) = node.entry.take() else { return };
        if entry.generation == generation {
            self.publish(node, entry.rechecked(&now, every));
        } else {
            self.front.clear(entry.key.slot, &entry);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst},
    };

    use identity_core::{
        AccessToken, BoxFuture, Clock as _, Result, TokenRequestOptions,
        fakes::{FakeClock, FakeEnv, FakeTransport, Sim, join_all, json, platform},
    };

    use super::*;
    use crate::{Ask, CacheOptions, Fetch, Fetched, TokenCache};

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

        assert_eq!((get(None).secret(), counts()), ("7", (1, 1)));
        // For a second nothing is looked at, then once in a second, however many ask.
        (0..100).for_each(|_| assert_eq!(get(None).secret(), "7"));
        assert_eq!(counts(), (1, 1));
        for second in 1..=5 {
            clock.advance(Duration::from_secs(1));
            (0..100).for_each(|_| assert_eq!(get(None).secret(), "7"));
            assert_eq!(counts(), (1 + second, 1));
        }

        tool.generation.store(8, SeqCst);
        assert_eq!(get(None).secret(), "7", "not yet looked at");
        clock.advance(Duration::from_secs(1));
        assert_eq!((get(None).secret(), counts()), ("8", (8, 2)));

        // A change while a token is asked for is noticed as well, for the token is of before it.
        let options = TokenRequestOptions::new().with_claims("{}");
        let outcomes = sim.run(join_all([
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
    }
}
