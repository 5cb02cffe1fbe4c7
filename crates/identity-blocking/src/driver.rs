//! The one thread, and the runtime that it drives.

use std::{
    future::pending,
    process,
    sync::{Mutex, OnceLock, PoisonError, mpsc},
    thread::{self, ThreadId},
};

use identity_core::{Error, ErrorKind, Result};
use tokio::runtime::{Builder, EnterGuard, Handle};

use crate::polled;

/// Drives a runtime for ever, on a thread of its own.
pub(crate) struct Driver {
    runtime: Handle,
    thread: ThreadId,
    /// The process that has the thread: a fork of it has not.
    process: u32,
}

impl Driver {
    /// The driver of this process, which the first call starts.
    #[inline]
    pub(crate) fn get() -> Result<&'static Self> {
        static DRIVER: OnceLock<Driver> = OnceLock::new();
        match DRIVER.get() {
            Some(driver) => Ok(driver),
            None => Self::first(&DRIVER),
        }
    }

    #[cold]
    fn first(place: &'static OnceLock<Self>) -> Result<&'static Self> {
        static TURN: Mutex<()> = Mutex::new(());
        let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(driver) = place.get() {
            return Ok(driver);
        }
        let driver = Self::start()?;
        Ok(place.get_or_init(|| driver))
    }

    fn start() -> Result<Self> {
        let (sender, receiver) = mpsc::channel();
        // The runtime is made where it stays: to drop one is not allowed everywhere, as in a task of another.
        let drive = move || match Builder::new_current_thread().thread_name(NAME).enable_all().build() {
            Ok(runtime) => {
                // Whoever asked waits for it.
                let _ = sender.send(Ok(runtime.handle().clone()));
                // A panic of a task stays in the task.
                runtime.block_on(pending::<()>());
            }
            Err(error) => {
                let _ = sender.send(Err(error));
            }
        };
        let thread = thread::Builder::new().name(NAME.to_owned()).spawn(drive).map_err(not_started)?;
        let runtime = match receiver.recv() {
            Ok(runtime) => runtime.map_err(not_started)?,
            Err(error) => return Err(not_started(error)),
        };
        Ok(Self { runtime, thread: thread.thread().id(), process: process::id() })
    }

    /// Makes the runtime that of the calling thread, as long as the guard lives: what is spawned, slept or connected there is
    /// the driver's.
    #[inline]
    pub(crate) fn enter(&self) -> Result<EnterGuard<'_>> {
        match Handle::try_current() {
            // Entering would panic.
            Err(error) if error.is_thread_local_destroyed() => Err(thread_ends()),
            _ => Ok(self.runtime.enter()),
        }
    }

    /// Refuses to wait on a thread that must not.
    pub(crate) fn may_wait(&self) -> Result<()> {
        let message = if self.process != process::id() {
            "no token is remembered, and the thread that gets one was left behind in the process that this one was forked from; make the first call after the fork, or exec"
        } else if thread::current().id() == self.thread || polled::is_polled() {
            "no token is remembered, and to wait for one would stop the tokio runtime that runs on this thread; await the credential itself, or make this call within tokio::task::spawn_blocking"
        } else {
            return Ok(());
        };
        Err(Error::new(ErrorKind::InvalidArgument, message))
    }
}

#[cold]
fn not_started(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(
        ErrorKind::Transport,
        "the thread that gets tokens could not be started; raise the limits of threads and open files, or try again later",
    )
    .with_source(error)
}

#[cold]
fn thread_ends() -> Error {
    Error::new(
        ErrorKind::InvalidArgument,
        "this thread is about to end and can get no token any more; ask for it before the thread's local values are dropped",
    )
}

/// What the thread and its helpers are called; systems cut it to 15 characters.
const NAME: &str = "identity-blocking";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_driver_however_many_threads_start_it() {
        let runtime = || Driver::get().unwrap().runtime.id();
        let threads: Vec<_> = (0..32).map(|_| thread::spawn(runtime)).collect();
        for thread in threads {
            assert_eq!(thread.join().unwrap(), runtime());
        }
    }

    #[test]
    fn the_driver_survives_a_task_that_panics() {
        let driver = Driver::get().unwrap();
        let (sender, receiver) = mpsc::channel();
        driver.runtime.spawn(async { panic!("of a task") });
        driver.runtime.spawn(async move { sender.send(thread::current().id()).unwrap() });
        assert_eq!(receiver.recv().unwrap(), driver.thread);
    }

    #[test]
    fn the_drivers_own_thread_must_not_wait() {
        let driver = Driver::get().unwrap();
        let (sender, receiver) = mpsc::channel();
        let ask = async move { sender.send(driver.may_wait()).unwrap() };
        // Without a budget it is known by its thread.
        driver.runtime.spawn(tokio::task::coop::unconstrained(ask));
        let error = receiver.recv().unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        assert!(error.to_string().contains("spawn_blocking"), "{error}");
    }

    #[test]
    fn a_forked_process_is_told_instead_of_waiting_for_ever() {
        let driver = Driver::start().unwrap();
        driver.may_wait().unwrap();
        let child = Driver { process: driver.process + 1, ..driver };
        let error = child.may_wait().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        assert!(error.to_string().contains("forked"), "{error}");
    }

    #[test]
    fn an_entered_thread_has_the_drivers_runtime_until_the_guard_goes() {
        let driver = Driver::get().unwrap();
        let other = Builder::new_current_thread().build().unwrap();
        let _other = other.enter();
        {
            let _entered = driver.enter().unwrap();
            assert_eq!(Handle::current().id(), driver.runtime.id());
        }
        assert_eq!(Handle::current().id(), other.handle().id());
    }
}
