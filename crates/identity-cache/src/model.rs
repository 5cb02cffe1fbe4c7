//! The engine under a model checker: shuttle runs these scenarios under thousands of thread schedules and reports
//! lost wake-ups as deadlocks. Run with `RUSTFLAGS="--cfg identity_model" cargo test -p identity-cache`.

use std::{
    fmt,
    future::poll_fn,
    sync::{
        Arc, Mutex as StdMutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    task::{Poll, Waker},
    time::Duration,
};

use identity_core::{
    BoxFuture, CallContext, Clock, Error, ErrorKind, Moment, Platform, Random, Result, Runtime, RuntimeId, Task,
    fakes::{FakeClock, FakeEnv, FakeTransport, FixedRandom},
};
use shuttle::{future::block_on, thread};

use crate::{Ask, CacheOptions, Fetch, Fetched, Lookup, TokenCache};

/// Schedules per scenario, half of them random and half by priorities with few changes.
const SCHEDULES: usize = 4_000;

fn check(scenario: impl Fn() + Send + Sync + Clone + 'static) {
    shuttle::check_random(scenario.clone(), SCHEDULES / 2);
    shuttle::check_pct(scenario, SCHEDULES / 2, 3);
}

#[test]
fn callers_share_one_request_and_all_wake_up() {
    check(|| {
        let world = World::new(Answer::Token);
        let callers: Vec<_> = (0..3).map(|_| world.caller(None)).collect();
        for caller in callers {
            assert_eq!(caller.join().unwrap().unwrap(), "a#1");
        }
        world.wait_until_idle();
        assert_eq!(world.service.count(), 1);
    });
}

#[test]
fn callers_share_one_failure_and_all_wake_up() {
    check(|| {
        let world = World::new(Answer::Refused);
        let callers: Vec<_> = (0..3).map(|_| world.caller(None)).collect();
        for caller in callers {
            assert_eq!(caller.join().unwrap(), Err(ErrorKind::AuthenticationFailed));
        }
        world.wait_until_idle();
        assert_eq!(world.service.count(), 1);
    });
}

#[test]
fn a_caller_that_goes_stops_nobody_and_leaves_nothing_behind() {
    check(|| {
        let world = World::new(Answer::Token);
        let quitter = world.quitter(None);
        let callers: Vec<_> = (0..2).map(|_| world.caller(None)).collect();
        quitter.join().unwrap();
        for caller in callers {
            caller.join().unwrap().unwrap();
        }
        // Two at the most: the quitter's own, if it had gone before anyone joined, and the others'.
        assert!((1..=2).contains(&world.service.count()));
        world.wait_until_idle();
        assert_eq!(world.token(None).unwrap(), world.token(None).unwrap());
    });
}

#[test]
fn when_all_callers_go_the_request_is_given_up() {
    check(|| {
        let world = World::new(Answer::Never);
        let quitters: Vec<_> = (0..3).map(|_| world.quitter(None)).collect();
        quitters.into_iter().for_each(|quitter| quitter.join().unwrap());
        world.wait_until_idle();
        assert_eq!(world.service.dropped.load(SeqCst), world.service.count());
    });
}

#[test]
fn at_the_refresh_point_one_request_goes_out_and_nobody_waits() {
    check(|| {
        let world = World::new(Answer::Token);
        assert_eq!(world.token(None).unwrap(), "a#1");
        world.clock.advance(Duration::from_secs(3_400));
        let callers: Vec<_> = (0..3).map(|_| world.at_once()).collect();
        for caller in callers {
            let token = caller.join().unwrap();
            assert!(token == "a#1" || token == "a#2", "{token}");
        }
        world.wait_until_idle();
        assert_eq!((world.service.count(), world.token(None).unwrap().as_str()), (2, "a#2"));
    });
}

#[test]
fn in_the_last_seconds_waiters_get_the_new_token_from_one_request() {
    check(|| {
        let world = World::new(Answer::Token);
        world.token(None).unwrap();
        world.clock.advance(Duration::from_secs(3_580));
        let callers: Vec<_> = (0..3).map(|_| world.caller(None)).collect();
        for caller in callers {
            assert_eq!(caller.join().unwrap().unwrap(), "a#2");
        }
        assert_eq!(world.service.count(), 2);
    });
}

#[test]
fn a_token_got_for_claims_is_never_replaced_by_one_asked_for_earlier() {
    check(|| {
        let world = World::new(Answer::Token);
        world.token(None).unwrap();
        world.clock.advance(Duration::from_secs(3_400));
        let plain = world.at_once();
        let challenged = world.caller(Some("{}"));
        plain.join().unwrap();
        let got = challenged.join().unwrap().unwrap();
        let remembered = world.token(None).unwrap();
        world.wait_until_idle();
        // What is remembered was asked for after the challenge, or is the answer to it.
        let later = world.token(None).unwrap();
        for token in [remembered, later] {
            assert!(token == got || world.service.asked_after(&token, &got), "{token} after {got}");
        }
    });
}

#[test]
fn callers_whose_task_is_taken_away_start_another() {
    check(|| {
        let world = World::new(Answer::Token);
        let callers: Vec<_> = (0..2).map(|_| world.caller(None)).collect();
        let tasks = Arc::clone(&world.tasks);
        let thief = thread::spawn(move || {
            // Bound to a clone, so that no lock of the real world is held while the task reacts.
            let first = tasks.0.lock().unwrap().first().cloned();
            first.iter().for_each(|task| task.abort());
        });
        for caller in callers {
            caller.join().unwrap().unwrap();
        }
        thief.join().unwrap();
        assert!((1..=2).contains(&world.service.count()));
        world.wait_until_idle();
    });
}

#[test]
fn the_credential_may_go_at_any_time() {
    check(|| {
        let world = World::new(Answer::Token);
        world.token(None).unwrap();
        world.clock.advance(Duration::from_secs(3_400));
        let last = world.at_once();
        let World { cache, tasks, .. } = world;
        drop(cache);
        last.join().unwrap();
        wait_until_idle(&tasks);
    });
}

#[test]
fn keys_that_come_and_go_disturb_nobody() {
    check(|| {
        let world = World::with(Answer::Token, 1);
        let threads: Vec<_> = ["a", "b"]
            .into_iter()
            .map(|scope| {
                let cache = world.cache.clone();
                thread::spawn(move || {
                    for _ in 0..2 {
                        let token = block_on(cache.find(lookup(&[scope], None))).unwrap();
                        assert!(token.secret().starts_with(scope));
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        world.wait_until_idle();
    });
}

#[test]
fn who_comes_after_another_has_signed_in_gets_that_ones_token() {
    check(|| {
        let world = World::with(Answer::Token, 256);
        // One whose request may be under way.
        let earlier = world.caller(None);
        thread::yield_now();
        world.service.account.store(1, SeqCst);
        world.clock.advance(Duration::from_secs(1));
        let callers: Vec<_> = (0..2).map(|_| world.caller(None)).collect();
        for caller in callers {
            let token = caller.join().unwrap().unwrap();
            assert_eq!(world.service.account_of(&token), 1, "{token}");
        }
        earlier.join().unwrap().unwrap();
        world.wait_until_idle();
        assert_eq!(world.service.account_of(&world.token(None).unwrap()), 1);
    });
}

#[derive(Clone, Copy)]
enum Answer {
    Token,
    Refused,
    Never,
}

/// Answers after it was suspended once, so that every interleaving around that is met.
struct Service {
    answer: Answer,
    clock: FakeClock,
    count: AtomicUsize,
    dropped: AtomicUsize,
    /// Whether the request of each number carried claims, in the order in which they were asked for.
    claims: StdMutex<Vec<bool>>,
    /// Who is signed in, and who was when each number was asked for.
    account: AtomicUsize,
    accounts: StdMutex<Vec<usize>>,
}

impl Service {
    fn count(&self) -> usize {
        self.count.load(SeqCst)
    }

    fn account_of(&self, token: &str) -> usize {
        let number: usize = token.rsplit('#').next().and_then(|number| number.parse().ok()).unwrap();
        self.accounts.lock().unwrap()[number - 1]
    }

    fn asked_after(&self, token: &str, other: &str) -> bool {
        let number = |token: &str| token.rsplit('#').next().and_then(|number| number.parse::<usize>().ok()).unwrap();
        number(token) > number(other)
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Service")
    }
}

struct Counted(Arc<Service>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dropped.fetch_add(1, SeqCst);
    }
}

impl Fetch for Service {
    fn name(&self) -> &'static str {
        "ModelCredential"
    }

    fn check(&self, _: &Lookup<'_>) -> Result<()> {
        Ok(())
    }

    fn generation(&self) -> u64 {
        self.account.load(SeqCst) as u64
    }

    fn recheck(&self) -> Option<Duration> {
        Some(Duration::from_secs(1))
    }

    fn fetch(self: Arc<Self>, ask: Ask) -> BoxFuture<'static, Result<Fetched>> {
        // Numbers and accounts are of one order.
        let mut accounts = self.accounts.lock().unwrap();
        accounts.push(self.account.load(SeqCst));
        drop(accounts);
        let number = self.count.fetch_add(1, SeqCst) + 1;
        self.claims.lock().unwrap().push(ask.claims.is_some());
        Box::pin(async move {
            let _counted = Counted(Arc::clone(&self));
            let mut suspended = false;
            poll_fn(|cx| {
                if suspended {
                    return Poll::Ready(());
                }
                suspended = true;
                cx.waker().wake_by_ref();
                Poll::Pending
            })
            .await;
            match self.answer {
                Answer::Token => Ok(Fetched {
                    secret: format!("{}#{number}", ask.scopes.join("+")).into(),
                    life: Duration::from_secs(3_600),
                    refresh_in: None,
                    sent_at: self.clock.now(),
                    origin: "",
                }),
                Answer::Refused => Err(Error::new(ErrorKind::AuthenticationFailed, "no")),
                Answer::Never => std::future::pending().await,
            }
        })
    }
}

struct World {
    clock: FakeClock,
    service: Arc<Service>,
    cache: TokenCache,
    tasks: Arc<Tasks>,
}

impl World {
    fn new(answer: Answer) -> Self {
        Self::with(answer, 256)
    }

    fn with(answer: Answer, capacity: usize) -> Self {
        let clock = FakeClock::default();
        let tasks = Arc::new(Tasks::default());
        let service = Arc::new(Service {
            answer,
            clock: clock.clone(),
            count: AtomicUsize::new(0),
            dropped: AtomicUsize::new(0),
            claims: StdMutex::default(),
            account: AtomicUsize::new(0),
            accounts: StdMutex::default(),
        });
        let platform = Platform::new(
            Arc::new(FakeTransport::new(&clock, |_| unreachable!("nothing here speaks HTTP"))),
            Arc::new(Still(clock.clone())),
            Arc::new(FixedRandom(0)) as Arc<dyn Random>,
            Arc::new(FakeEnv::default()),
            Arc::<Tasks>::clone(&tasks),
        );
        let options = CacheOptions { capacity, ..CacheOptions::default() };
        let cache = TokenCache::new(&platform, Arc::<Service>::clone(&service), options);
        Self { clock, service, cache, tasks }
    }

    fn token(&self, claims: Option<&str>) -> Result<String, ErrorKind> {
        let result = block_on(self.cache.find(lookup(&["a"], claims)));
        result.map(|token| token.secret().to_owned()).map_err(|error| error.kind())
    }

    /// A thread that asks and waits.
    fn caller(&self, claims: Option<&'static str>) -> thread::JoinHandle<Result<String, ErrorKind>> {
        let cache = self.cache.clone();
        thread::spawn(move || {
            let result = block_on(cache.find(lookup(&["a"], claims)));
            result.map(|token| token.secret().to_owned()).map_err(|error| error.kind())
        })
    }

    /// A thread that asks, looks once and goes.
    fn quitter(&self, claims: Option<&'static str>) -> thread::JoinHandle<()> {
        let cache = self.cache.clone();
        thread::spawn(move || {
            block_on(async {
                let scopes = ["a"];
                let mut call = cache.find(lookup(&scopes, claims));
                poll_fn(|cx| Poll::Ready(std::pin::Pin::new(&mut call).poll(cx).is_ready())).await;
            });
        })
    }

    /// A thread that must be served without waiting.
    fn at_once(&self) -> thread::JoinHandle<String> {
        let cache = self.cache.clone();
        thread::spawn(move || {
            let scopes = ["a"];
            let token = cache.find(lookup(&scopes, None)).try_ready().expect("nobody waits").unwrap();
            token.secret().to_owned()
        })
    }

    fn wait_until_idle(&self) {
        wait_until_idle(&self.tasks);
    }
}

/// Lets others run until no task is left; one that never ends is found as a schedule that never ends.
fn wait_until_idle(tasks: &Tasks) {
    while tasks.alive() > 0 {
        thread::yield_now();
    }
}

fn lookup<'a>(scopes: &'a [&'a str], claims: Option<&'a str>) -> Lookup<'a> {
    Lookup { scopes, tenant: "", subject: "", cae: false, claims, context: CallContext::Alone, evidence: None }
}

/// Time that stands still; no deadline is ever reached.
#[derive(Debug)]
struct Still(FakeClock);

impl Clock for Still {
    fn now(&self) -> Moment {
        self.0.now()
    }

    fn sleep(&self, _: Duration) -> BoxFuture<'static, ()> {
        Box::pin(std::future::pending())
    }
}

/// Tasks on shuttle, which end at their next suspension when they are aborted, as tokio's do.
#[derive(Debug, Default)]
struct Tasks(StdMutex<Vec<Arc<Handle>>>);

#[derive(Debug, Default)]
struct Handle {
    aborted: AtomicBool,
    over: AtomicBool,
    waker: StdMutex<Option<Waker>>,
}

impl Tasks {
    fn alive(&self) -> usize {
        self.0.lock().unwrap().iter().filter(|handle| !handle.over.load(SeqCst)).count()
    }
}

impl Handle {
    fn abort(&self) {
        self.aborted.store(true, SeqCst);
        let waker = self.waker.lock().unwrap().take();
        waker.iter().for_each(Waker::wake_by_ref);
    }
}

struct Owned(Arc<Handle>);

impl Task for Owned {
    fn abort(&self) {
        self.0.abort();
    }
}

impl Runtime for Tasks {
    fn current(&self) -> Option<RuntimeId> {
        Some(RuntimeId(1))
    }

    fn spawn(&self, work: BoxFuture<'static, ()>) -> Result<Box<dyn Task>, BoxFuture<'static, ()>> {
        let handle = Arc::new(Handle::default());
        self.0.lock().unwrap().push(Arc::clone(&handle));
        let inside = Arc::clone(&handle);
        shuttle::future::spawn(async move {
            let mut work = Some(work);
            poll_fn(|cx| {
                *inside.waker.lock().unwrap() = Some(cx.waker().clone());
                let done =
                    inside.aborted.load(SeqCst) || work.as_mut().is_none_or(|work| work.as_mut().poll(cx).is_ready());
                if done { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
            drop(work);
            inside.over.store(true, SeqCst);
        });
        Ok(Box::new(Owned(handle)))
    }
}
