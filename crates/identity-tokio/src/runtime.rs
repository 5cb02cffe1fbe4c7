//! Time, randomness and tasks.

use std::{
    hash::{BuildHasher as _, Hash as _, Hasher, RandomState},
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
            Ok(handle) => Ok(Box::new(Flight(handle.spawn(work).abort_handle()))),
            Err(_) => Err(work), // There is nothing in the error but that there is no runtime.
        }
    }
}

struct Flight(AbortHandle);

impl Task for Flight {
    fn abort(&self) {
        self.0.abort();
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
