//! Fakes of every seam, and an executor whose time is virtual. For the tests of this workspace only.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "test helpers")]

use std::{
    cell::RefCell,
    collections::{HashMap, VecDeque},
    ffi::OsString,
    fmt, io,
    path::{Path, PathBuf},
    pin::pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::{Duration, Instant, SystemTime},
};

use crate::{
    BoxFuture, Clock, Env, Links, Moment, Platform, Random, Runtime, RuntimeId, Task,
    http::{Request, Response, Transport, TransportError},
};

mod processes;

pub use self::processes::FakeProcesses;

/// Time that moves only when told to, or when an executor has nothing else to do.
#[derive(Clone)]
pub struct FakeClock(Arc<Mutex<Time>>);

struct Time {
    /// Where the monotonic clock starts; any real instant will do.
    origin: Instant,
    monotonic: Duration,
    wall_offset: i64,
    sleepers: Vec<(Duration, Waker)>,
}

impl Default for FakeClock {
    fn default() -> Self {
        #[expect(clippy::disallowed_methods, reason = "std has no other way to make an Instant")]
        let origin = Instant::now();
        Self(Arc::new(Mutex::new(Time { origin, monotonic: Duration::ZERO, wall_offset: 0, sleepers: Vec::new() })))
    }
}

impl FakeClock {
    /// The time of day at the clock's origin: 2026-01-01 00:00:00 UTC.
    pub const START: u64 = 1_767_225_600;

    pub fn elapsed(&self) -> Duration {
        self.0.lock().unwrap().monotonic
    }

    /// Moves both clocks.
    pub fn advance(&self, by: Duration) {
        let mut time = self.0.lock().unwrap();
        time.monotonic += by;
        let now = time.monotonic;
        let (due, rest) = std::mem::take(&mut time.sleepers).into_iter().partition::<Vec<_>, _>(|(at, _)| *at <= now);
        time.sleepers = rest;
        drop(time);
        due.into_iter().for_each(|(_, waker)| waker.wake());
    }

    /// Moves the wall clock only, as setting the time or a machine that sleeps does.
    pub fn jump_wall(&self, seconds: i64) {
        self.0.lock().unwrap().wall_offset += seconds;
    }

    /// Moves to the next moment that somebody waits for; false if nobody does.
    fn advance_to_next(&self) -> bool {
        let time = self.0.lock().unwrap();
        let Some(next) = time.sleepers.iter().map(|(at, _)| *at).min() else { return false };
        let by = next.saturating_sub(time.monotonic);
        drop(time);
        self.advance(by);
        true
    }
}

impl Clock for FakeClock {
    fn now(&self) -> Moment {
        let time = self.0.lock().unwrap();
        let seconds = FakeClock::START.saturating_add_signed(time.wall_offset);
        Moment {
            monotonic: time.origin + time.monotonic,
            wall: SystemTime::UNIX_EPOCH + Duration::from_secs(seconds) + time.monotonic,
        }
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        let clock = self.clone();
        let until = self.elapsed() + duration;
        Box::pin(std::future::poll_fn(move |cx| {
            let mut time = clock.0.lock().unwrap();
            if time.monotonic >= until {
                return Poll::Ready(());
            }
            time.sleepers.push((until, cx.waker().clone()));
            Poll::Pending
        }))
    }
}

impl fmt::Debug for FakeClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FakeClock({:?})", self.elapsed())
    }
}

/// A runtime of one thread. Tasks run only inside [`run`](Self::run); when nothing is ready, time moves on.
#[derive(Debug)]
pub struct Sim {
    clock: FakeClock,
    tasks: Arc<Tasks>,
}

struct Tasks {
    id: RuntimeId,
    ready: Mutex<VecDeque<Arc<SimTask>>>,
    all: Mutex<Vec<Arc<SimTask>>>,
    closed: AtomicBool,
}

struct SimTask {
    work: Mutex<Option<BoxFuture<'static, ()>>>,
    tasks: Arc<Tasks>,
}

struct MainWaker(AtomicBool);

thread_local! {
    static CURRENT: RefCell<Option<Arc<Tasks>>> = const { RefCell::new(None) };
}

impl Sim {
    pub fn new(clock: &FakeClock) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let tasks = Tasks {
            id: RuntimeId(NEXT.fetch_add(1, Ordering::Relaxed)),
            ready: Mutex::default(),
            all: Mutex::default(),
            closed: AtomicBool::new(false),
        };
        Self { clock: clock.clone(), tasks: Arc::new(tasks) }
    }

    /// Runs `main` to its end, and tasks beside it.
    pub fn run<T>(&self, main: impl Future<Output = T>) -> T {
        let mut main = pin!(main);
        let flag = Arc::new(MainWaker(AtomicBool::new(true)));
        let waker = Waker::from(Arc::clone(&flag));
        let previous = CURRENT.with(|current| current.replace(Some(Arc::clone(&self.tasks))));
        let result = loop {
            if flag.0.swap(false, Ordering::SeqCst)
                && let Poll::Ready(value) = main.as_mut().poll(&mut Context::from_waker(&waker))
            {
                break value;
            }
            let next = self.tasks.ready.lock().unwrap().pop_front();
            match next {
                Some(task) => task.run(),
                None if flag.0.load(Ordering::SeqCst) => {}
                None => assert!(self.clock.advance_to_next(), "deadlock: nothing is ready and nobody waits for time"),
            }
        };
        CURRENT.with(|current| current.replace(previous));
        result
    }

    /// Runs tasks until none is ready; time stands still.
    pub fn settle(&self) {
        let previous = CURRENT.with(|current| current.replace(Some(Arc::clone(&self.tasks))));
        loop {
            let next = self.tasks.ready.lock().unwrap().pop_front();
            let Some(task) = next else { break };
            task.run();
        }
        CURRENT.with(|current| current.replace(previous));
    }

    /// How many tasks have not ended.
    pub fn alive(&self) -> usize {
        self.tasks.all.lock().unwrap().iter().filter(|task| task.work.lock().unwrap().is_some()).count()
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        self.tasks.closed.store(true, Ordering::SeqCst);
        let all = std::mem::take(&mut *self.tasks.all.lock().unwrap());
        for task in all {
            let work = task.work.lock().unwrap().take();
            drop(work);
        }
    }
}

impl fmt::Debug for Tasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tasks({:?})", self.id)
    }
}

impl SimTask {
    fn run(self: Arc<Self>) {
        let Some(mut work) = self.work.lock().unwrap().take() else { return };
        let waker = Waker::from(Arc::clone(&self));
        if work.as_mut().poll(&mut Context::from_waker(&waker)).is_pending() {
            *self.work.lock().unwrap() = Some(work);
        }
    }
}

impl Wake for SimTask {
    fn wake(self: Arc<Self>) {
        let tasks = Arc::clone(&self.tasks);
        tasks.ready.lock().unwrap().push_back(self);
    }
}

impl Wake for MainWaker {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl Task for SimTask {
    fn abort(&self) {
        let work = self.work.lock().unwrap().take();
        drop(work);
    }
}

struct Handle(Arc<SimTask>);

impl Task for Handle {
    fn abort(&self) {
        self.0.abort();
    }
}

/// Starts tasks on the [`Sim`] that runs on this thread.
#[derive(Debug)]
pub struct SimRuntime;

impl Runtime for SimRuntime {
    fn current(&self) -> Option<RuntimeId> {
        CURRENT.with(|current| current.borrow().as_ref().map(|tasks| tasks.id))
    }

    fn spawn(&self, work: BoxFuture<'static, ()>) -> Result<Box<dyn Task>, BoxFuture<'static, ()>> {
        let Some(tasks) = CURRENT.with(|current| current.borrow().clone()) else { return Err(work) };
        if tasks.closed.load(Ordering::SeqCst) {
            return Err(work);
        }
        let task = Arc::new(SimTask { work: Mutex::new(Some(work)), tasks: Arc::clone(&tasks) });
        tasks.all.lock().unwrap().push(Arc::clone(&task));
        tasks.ready.lock().unwrap().push_back(Arc::clone(&task));
        Ok(Box::new(Handle(task)))
    }
}

/// Yields the same number for ever, so that jitter can be told: 0 draws nothing, `u64::MAX` nearly all.
#[derive(Debug, Default)]
pub struct FixedRandom(pub u64);

impl Random for FixedRandom {
    fn next(&self) -> u64 {
        self.0
    }
}

/// Variables and files that exist only here.
#[derive(Clone, Debug, Default)]
pub struct FakeEnv(Arc<Mutex<EnvState>>);

#[derive(Debug, Default)]
struct EnvState {
    vars: HashMap<String, OsString>,
    files: HashMap<PathBuf, Result<Vec<u8>, io::ErrorKind>>,
    links: HashMap<PathBuf, PathBuf>,
    reads: Vec<PathBuf>,
}

impl FakeEnv {
    pub fn new(vars: &[(&str, &str)]) -> Self {
        let env = Self::default();
        vars.iter().for_each(|(name, value)| env.set(name, value));
        env
    }

    pub fn set(&self, name: &str, value: impl Into<OsString>) {
        self.0.lock().unwrap().vars.insert(name.to_owned(), value.into());
    }

    pub fn file(&self, path: &str, content: Result<&[u8], io::ErrorKind>) {
        self.0.lock().unwrap().files.insert(path.into(), content.map(<[u8]>::to_vec));
    }

    pub fn link(&self, path: &str, target: &str) {
        self.0.lock().unwrap().links.insert(path.into(), target.into());
    }

    /// The files that were asked for, in order.
    pub fn reads(&self) -> Vec<PathBuf> {
        self.0.lock().unwrap().reads.clone()
    }
}

impl Env for FakeEnv {
    fn var_os(&self, name: &str) -> Option<OsString> {
        self.0.lock().unwrap().vars.get(name).cloned()
    }

    fn read(&self, path: &Path, limit: usize, links: Links) -> io::Result<Vec<u8>> {
        let mut state = self.0.lock().unwrap();
        state.reads.push(path.to_owned());
        let target = match state.links.get(path) {
            Some(_) if links == Links::Refuse => return Err(io::ErrorKind::InvalidInput.into()),
            Some(target) => target.clone(),
            None => path.to_owned(),
        };
        match state.files.get(&target) {
            None => Err(io::ErrorKind::NotFound.into()),
            Some(Err(kind)) => Err((*kind).into()),
            Some(Ok(content)) if content.len() > limit => Err(io::ErrorKind::FileTooLarge.into()),
            Some(Ok(content)) => Ok(content.clone()),
        }
    }

    fn is_file(&self, path: &Path) -> bool {
        self.0.lock().unwrap().files.contains_key(path)
    }

    fn canonicalize(&self, path: &Path) -> io::Result<PathBuf> {
        let state = self.0.lock().unwrap();
        Ok(state.links.get(path).cloned().unwrap_or_else(|| path.to_owned()))
    }
}

type Handler = dyn Fn(Request) -> BoxFuture<'static, Result<Response, TransportError>> + Send + Sync;

/// Answers by a function and remembers what was asked, and when.
#[derive(Clone)]
pub struct FakeTransport {
    clock: FakeClock,
    handler: Arc<Handler>,
    requests: Arc<Mutex<Vec<(Duration, Request)>>>,
    active: Arc<Mutex<(usize, usize)>>,
}

impl FakeTransport {
    /// Answers at once.
    pub fn new(
        clock: &FakeClock,
        answer: impl Fn(&Request) -> Result<Response, TransportError> + Send + Sync + 'static,
    ) -> Self {
        Self::slow(clock, Duration::ZERO, answer)
    }

    /// Answers after `latency`, but no later than the request's timeout allows a real transport to take.
    pub fn slow(
        clock: &FakeClock,
        latency: Duration,
        answer: impl Fn(&Request) -> Result<Response, TransportError> + Send + Sync + 'static,
    ) -> Self {
        let sleeper = clock.clone();
        Self::with_handler(clock, move |request| {
            let result = answer(&request);
            let (sleep, late) = (sleeper.sleep(latency.min(request.timeout)), latency >= request.timeout);
            Box::pin(async move {
                sleep.await;
                if late {
                    return Err(TransportError::new(crate::http::TransportErrorKind::Timeout, "no answer in time"));
                }
                result
            })
        })
    }

    pub fn with_handler(
        clock: &FakeClock,
        handler: impl Fn(Request) -> BoxFuture<'static, Result<Response, TransportError>> + Send + Sync + 'static,
    ) -> Self {
        Self { clock: clock.clone(), handler: Arc::new(handler), requests: Arc::default(), active: Arc::default() }
    }

    /// Everything that was asked.
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().iter().map(|(_, request)| request.clone()).collect()
    }

    /// When it was asked, in seconds since the clock's origin, rounded to milliseconds.
    pub fn times(&self) -> Vec<f64> {
        self.requests.lock().unwrap().iter().map(|(at, _)| (at.as_secs_f64() * 1000.0).round() / 1000.0).collect()
    }

    pub fn count(&self) -> usize {
        self.requests.lock().unwrap().len()
    }

    /// The most requests that were under way at a time.
    pub fn most_active(&self) -> usize {
        self.active.lock().unwrap().1
    }

    /// How many requests are under way.
    pub fn active(&self) -> usize {
        self.active.lock().unwrap().0
    }
}

struct Active(Arc<Mutex<(usize, usize)>>);

impl Active {
    fn start(count: &Arc<Mutex<(usize, usize)>>) -> Self {
        let mut active = count.lock().unwrap();
        active.0 += 1;
        active.1 = active.1.max(active.0);
        Self(Arc::clone(count))
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        self.0.lock().unwrap().0 -= 1;
    }
}

impl Transport for FakeTransport {
    fn send(&self, request: Request) -> BoxFuture<'_, Result<Response, TransportError>> {
        self.requests.lock().unwrap().push((self.clock.elapsed(), request.clone()));
        let guard = Active::start(&self.active);
        let answer = (self.handler)(request);
        Box::pin(async move {
            let _guard = guard;
            answer.await
        })
    }
}

impl fmt::Debug for FakeTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FakeTransport")
    }
}

/// A platform of fakes around one clock.
pub fn platform(clock: &FakeClock, transport: &FakeTransport, env: &FakeEnv) -> Platform {
    Platform::new(
        Arc::new(transport.clone()),
        Arc::new(clock.clone()),
        Arc::new(FixedRandom(0)),
        Arc::new(env.clone()),
        Arc::new(SimRuntime),
    )
}

/// A JSON answer.
pub fn json(status: u16, body: &str) -> Response {
    Response::new(status, vec![("content-type".into(), "application/json; charset=utf-8".into())], body.into())
}

/// Polls all futures to their ends, in turn.
pub async fn join_all<F: Future>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let mut slots: Vec<_> = futures.into_iter().map(|future| (Some(Box::pin(future)), None)).collect();
    std::future::poll_fn(|cx| {
        let mut done = true;
        for (future, value) in &mut slots {
            if let Some(pending) = future {
                match pending.as_mut().poll(cx) {
                    Poll::Ready(result) => (*future, *value) = (None, Some(result)),
                    Poll::Pending => done = false,
                }
            }
        }
        if done { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    slots.into_iter().map(|(_, value)| value.expect("every future is done")).collect()
}
