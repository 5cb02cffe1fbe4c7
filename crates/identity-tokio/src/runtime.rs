//! Time, randomness and tasks.

use std::{
    hash::{BuildHasher as _, Hash as _, Hasher, RandomState},
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::{Duration, SystemTime},
};

use identity_core::{BoxFuture, Clock, Moment, Random, Runtime, RuntimeId, Task};
use tokio::{
    runtime::Handle,
    task::AbortHandle,
    time::{self, Instant},
};

/// tokio's clock, which is the system's unless a test has paused it, and the system's time of day.
#[derive(Debug)]
pub(crate) struct TokioClock;

impl Clock for TokioClock {
    #[inline]
    fn now(&self) -> Moment {
        Moment { monotonic: Instant::now().into_std(), wall: SystemTime::now() }
    }

    fn is_before(&self, deadline: &Moment) -> bool {
        Instant::now().into_std() < deadline.monotonic && SystemTime::now() < deadline.wall
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(time::sleep(duration))
    }
}

/// The keys that std draws for its hash maps: new ones for each, from the system's randomness.
#[derive(Debug)]
pub(crate) struct StdRandom;

impl Random for StdRandom {
    fn next(&self) -> u64 {
        RandomState::new().build_hasher().finish()
    }
}

/// Tasks on the tokio runtime that the caller is inside.
#[derive(Debug)]
pub(crate) struct TokioRuntime;

impl Runtime for TokioRuntime {
    fn current(&self) -> Option<RuntimeId> {
        // tokio shows the number inside its id to hashers only.
        let mut number = Number(0);
        Handle::try_current().ok()?.id().hash(&mut number);
        Some(RuntimeId(number.finish()))
    }

    fn spawn(&self, work: BoxFuture<'static, ()>) -> Result<Box<dyn Task>, BoxFuture<'static, ()>> {
        match Handle::try_current() {
            Ok(handle) => {
                let work = Arc::new(Mutex::new(Some(work)));
                let task = handle.spawn(Work(Arc::clone(&work))).abort_handle();
                Ok(Box::new(Flight { work, task }))
            }
            Err(_) => Err(work), // There is nothing in the error but that there is no runtime.
        }
    }
}

type Shared = Arc<Mutex<Option<BoxFuture<'static, ()>>>>;

/// What a task does, as long as nobody has ended it.
struct Work(Shared);

impl Future for Work {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut work = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        work.as_mut().map_or(Poll::Ready(()), |work| work.as_mut().poll(cx))
    }
}

struct Flight {
    work: Shared,
    task: AbortHandle,
}

impl Task for Flight {
    /// Drops the work here and now, with its connection or child process: a runtime that nobody drives would not. Only while
    /// it is being polled that is left to the runtime, which is then driven.
    fn abort(&self) {
        let work = self.work.try_lock().ok().and_then(|mut work| work.take());
        drop(work);
        self.task.abort();
    }
}

/// A hasher whose result is the number that it was given.
struct Number(u64);

impl Hasher for Number {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}

#[cfg(test)]
mod tests {
    use std::{
        collections::HashSet,
        future::pending,
        sync::mpsc::{Sender, channel},
    };

    use super::*;

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    }

    #[test]
    fn runtimes_are_told_apart() {
        let (one, two) = (runtime(), runtime());
        let current = || async { TokioRuntime.current() };
        assert_eq!(TokioRuntime.current(), None);
        assert_eq!(one.block_on(current()), one.block_on(current()));
        assert_ne!(one.block_on(current()), two.block_on(current()));
        assert_eq!(TokioRuntime.current(), None);
    }

    #[test]
    fn without_a_runtime_the_work_is_given_back() {
        let (sender, receiver) = channel();
        let work = TokioRuntime.spawn(Box::pin(async move { sender.send(1).unwrap() })).err().unwrap();
        runtime().block_on(work);
        assert_eq!(receiver.recv(), Ok(1));
    }

    #[test]
    fn a_task_runs_on_without_its_handle_and_ends_when_aborted() {
        struct Told(Sender<&'static str>);
        impl Drop for Told {
            fn drop(&mut self) {
                self.0.send("dropped").unwrap();
            }
        }
        runtime().block_on(async {
            let (sender, receiver) = channel();
            drop(TokioRuntime.spawn(Box::pin(async move { sender.send("ran").unwrap() })));
            tokio::task::yield_now().await;
            assert_eq!(receiver.try_recv(), Ok("ran"));

            let (sender, receiver) = channel();
            let told = Told(sender);
            let work = async move {
                let _told = told;
                pending().await
            };
            let task = TokioRuntime.spawn(Box::pin(work)).ok().unwrap();
            tokio::task::yield_now().await;
            assert!(receiver.try_recv().is_err());
            task.abort();
            tokio::task::yield_now().await;
            assert_eq!(receiver.try_recv(), Ok("dropped"));
        });
    }

    #[test]
    fn a_task_of_a_runtime_that_nobody_drives_ends_at_once() {
        struct Told(Sender<()>);
        impl Drop for Told {
            fn drop(&mut self) {
                self.0.send(()).unwrap();
            }
        }
        let (runtime, (sender, receiver)) = (runtime(), channel());
        let told = Told(sender);
        let task = runtime.block_on(async {
            let task = TokioRuntime.spawn(Box::pin(async move {
                let _told = told;
                pending().await
            }));
            tokio::task::yield_now().await;
            task.ok().unwrap()
        });
        assert!(receiver.try_recv().is_err());
        task.abort();
        assert_eq!(receiver.try_recv(), Ok(()));
        runtime.block_on(tokio::task::yield_now());
    }

    #[tokio::test(start_paused = true)]
    async fn time_is_the_runtimes() {
        let before = TokioClock.now();
        TokioClock.sleep(Duration::from_secs(3600)).await;
        assert!(TokioClock.now().monotonic - before.monotonic >= Duration::from_secs(3600));
    }

    #[test]
    fn numbers_differ() {
        let numbers: HashSet<_> = (0..1000).map(|_| StdRandom.next()).collect();
        assert_eq!(numbers.len(), 1000);
        let spread = numbers.iter().fold((0, u64::MAX), |(or, and), number| (or | number, and & number));
        assert_eq!(spread, (u64::MAX, 0), "every bit is used");
    }
}
