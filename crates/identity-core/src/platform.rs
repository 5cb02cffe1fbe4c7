use std::{
    ffi::OsString,
    fmt, io,
    path::Path,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use crate::{BoxFuture, Error, ErrorKind, gate::Gates, http::Transport, process::Processes};

/// The outside world, as credentials see it: HTTP, time, randomness, variables and files, tasks, and perhaps programs.
///
/// One pointer wide. Credentials made with the same platform share the limits and gates of the endpoints they call.
#[derive(Clone)]
pub struct Platform(Arc<Parts>);

#[derive(Clone)]
struct Parts {
    transport: Arc<dyn Transport>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    env: Arc<dyn Env>,
    runtime: Arc<dyn Runtime>,
    gates: Arc<Gates>,
    processes: Option<Arc<dyn Processes>>,
}

impl Platform {
    /// Puts a platform together. It runs no programs; see [`with_processes`](Self::with_processes).
    #[must_use]
    pub fn new(
        transport: Arc<dyn Transport>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        env: Arc<dyn Env>,
        runtime: Arc<dyn Runtime>,
    ) -> Self {
        Self(Arc::new(Parts { transport, clock, random, env, runtime, gates: Arc::default(), processes: None }))
    }

    /// The same platform with other variables and files. Limits and gates stay shared.
    #[must_use]
    pub fn with_env(&self, env: Arc<dyn Env>) -> Self {
        Self(Arc::new(Parts { env, ..(*self.0).clone() }))
    }

    /// The same platform with other random numbers. Limits and gates stay shared.
    #[must_use]
    pub fn with_random(&self, random: Arc<dyn Random>) -> Self {
        Self(Arc::new(Parts { random, ..(*self.0).clone() }))
    }

    /// The same platform with another transport, and gates of its own.
    #[must_use]
    pub fn with_transport(&self, transport: Arc<dyn Transport>) -> Self {
        Self(Arc::new(Parts { transport, gates: Arc::default(), ..(*self.0).clone() }))
    }

    /// The same platform, with the programs of a machine. Limits and gates stay shared.
    #[must_use]
    pub fn with_processes(&self, processes: Arc<dyn Processes>) -> Self {
        Self(Arc::new(Parts { processes: Some(processes), ..(*self.0).clone() }))
    }

    /// HTTP.
    #[must_use]
    pub fn transport(&self) -> &Arc<dyn Transport> {
        &self.0.transport
    }

    /// Time.
    #[must_use]
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.0.clock
    }

    /// Randomness.
    #[must_use]
    pub fn random(&self) -> &Arc<dyn Random> {
        &self.0.random
    }

    /// Variables and files.
    #[must_use]
    pub fn env(&self) -> &Arc<dyn Env> {
        &self.0.env
    }

    /// Tasks.
    #[must_use]
    pub fn runtime(&self) -> &Arc<dyn Runtime> {
        &self.0.runtime
    }

    /// Programs, if this platform runs any.
    #[must_use]
    pub fn processes(&self) -> Option<&Arc<dyn Processes>> {
        self.0.processes.as_ref()
    }

    /// Limits and gates of the endpoints that are called through this platform.
    #[must_use]
    pub fn gates(&self) -> &Arc<Gates> {
        &self.0.gates
    }
}

impl fmt::Debug for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Platform").field("transport", &self.0.transport).finish_non_exhaustive()
    }
}

/// A point in time on both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Never goes back; may stand still while the machine sleeps.
    pub monotonic: Instant,
    /// What the machine takes for the time of day; may jump.
    pub wall: SystemTime,
}

impl Moment {
    /// How much time has passed since `earlier`: the larger of what the two clocks say, so that neither a machine that
    /// slept nor a wall clock that was set back makes anything look younger than it is.
    #[must_use]
    pub fn since(&self, earlier: &Moment) -> Duration {
        let monotonic = self.monotonic.saturating_duration_since(earlier.monotonic);
        self.wall.duration_since(earlier.wall).map_or(monotonic, |wall| wall.max(monotonic))
    }

    /// This moment and `duration` more, on both clocks; a clock that cannot show it stays where it is.
    #[must_use]
    pub fn plus(&self, duration: Duration) -> Self {
        Self {
            monotonic: self.monotonic.checked_add(duration).unwrap_or(self.monotonic),
            wall: self.wall.checked_add(duration).unwrap_or(self.wall),
        }
    }

    /// Whether both clocks are still before `deadline`.
    #[inline]
    #[must_use]
    pub fn is_before(&self, deadline: &Moment) -> bool {
        self.monotonic < deadline.monotonic && self.wall < deadline.wall
    }
}

/// Time: what it is, and waiting for it.
pub trait Clock: fmt::Debug + Send + Sync {
    /// Now, on both clocks.
    fn now(&self) -> Moment;

    /// Whether both clocks are still before `deadline`: what a remembered token costs. The same as asking
    /// [`now`](Self::now), but the answer fits into a register.
    fn is_before(&self, deadline: &Moment) -> bool {
        self.now().is_before(deadline)
    }

    /// Waits for `duration`.
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()>;
}

/// Randomness for jitter and request ids. Not for keys, nonces or anything that an attacker must not guess.
pub trait Random: fmt::Debug + Send + Sync {
    /// The next 64 bits.
    fn next(&self) -> u64;
}

/// Variables and files that choose or prove an identity.
pub trait Env: fmt::Debug + Send + Sync {
    /// The variable's raw value, if it is set. Ask through [`text`](Self::text), which has the rules.
    fn var_os(&self, name: &str) -> Option<OsString>;

    /// Reads a whole regular file of at most `limit` bytes.
    ///
    /// The file is opened once and judged by that handle; opening never blocks on a pipe or device.
    ///
    /// # Errors
    ///
    /// The system's reason; [`io::ErrorKind::InvalidInput`] if it is not a regular file, or a symbolic link where
    /// `links` forbids them; [`io::ErrorKind::FileTooLarge`] if it holds more than `limit` bytes.
    fn read(&self, path: &Path, limit: usize, links: Links) -> io::Result<Vec<u8>>;

    /// Whether there is a file of this name. Any failure to tell counts as no.
    fn is_file(&self, path: &Path) -> bool;

    /// Whether every user of the machine may read the file. Where that cannot be told the answer is no.
    fn is_world_readable(&self, path: &Path) -> bool {
        let _ = path;
        false
    }

    /// The path with all symbolic links resolved.
    ///
    /// # Errors
    ///
    /// The system's reason, as [`std::fs::canonicalize`] gives it.
    fn canonicalize(&self, path: &Path) -> io::Result<std::path::PathBuf>;

    /// The variable's text. An empty variable counts as unset, for every variable.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidArgument`] naming the variable if its value is not Unicode.
    fn text(&self, name: &str) -> Result<Option<String>, Error> {
        match self.var_os(name).filter(|value| !value.is_empty()).map(OsString::into_string) {
            None => Ok(None),
            Some(Ok(text)) => Ok(Some(text)),
            Some(Err(_)) => {
                // The value may be a secret: it is not shown, not even lossily.
                Err(Error::new(
                    ErrorKind::InvalidArgument,
                    format!("the environment variable {name} is not valid Unicode"),
                ))
            }
        }
    }
}

/// What [`Env::read`] does at a symbolic link in the last part of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Links {
    /// Follows it, as projected token files need.
    Follow,
    /// Refuses it, where a less trusted party could have placed one.
    Refuse,
}

/// Tasks: where flights run.
pub trait Runtime: fmt::Debug + Send + Sync {
    /// The runtime that the calling thread is inside, if any.
    fn current(&self) -> Option<RuntimeId>;

    /// Starts a task on the runtime that the calling thread is inside; gives the work back if there is none.
    ///
    /// # Errors
    ///
    /// The work, unstarted.
    fn spawn(&self, work: BoxFuture<'static, ()>) -> Result<Box<dyn Task>, BoxFuture<'static, ()>>;
}

/// Tells one runtime from another, nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RuntimeId(pub u64);

/// A task that was started. Dropping the handle lets it run on.
pub trait Task: Send + Sync {
    /// Ends the task and drops its future: here and now, so that what it holds is let go of also where nobody drives its runtime;
    /// while it is being polled, at its next suspension.
    fn abort(&self);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fakes::FakeClock;

    #[test]
    fn the_clock_that_moved_further_decides_how_much_time_has_passed() {
        let origin = FakeClock::default().now();
        let at = |monotonic, wall| Moment {
            monotonic: origin.monotonic + Duration::from_secs(monotonic),
            wall: SystemTime::UNIX_EPOCH + Duration::from_secs(wall),
        };
        let start = at(100, 1_000);
        for (now, expected) in [(at(110, 1_010), 10), (at(110, 1_500), 500), (at(110, 10), 10), (at(90, 900), 0)] {
            assert_eq!(now.since(&start), Duration::from_secs(expected));
            assert!(now.is_before(&start.plus(Duration::from_secs(expected + 1))));
            assert!(expected == 0 || !now.is_before(&start.plus(Duration::from_secs(expected))));
        }
    }
}
