//! Programs that exist only in a test.

use std::{
    collections::HashMap,
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use super::{Active, FakeClock};
use crate::{
    BoxFuture, Clock as _,
    process::{Command, Output, ProcessError, Processes},
};

type Runner = dyn Fn(&Command) -> Result<Output, ProcessError> + Send + Sync;

/// Programs that a function plays, and files that are written when it is said that they are. Remembers what was run.
#[derive(Clone)]
pub struct FakeProcesses {
    clock: FakeClock,
    latency: Duration,
    runner: Arc<Runner>,
    programs: Arc<Mutex<Vec<PathBuf>>>,
    stamps: Arc<Mutex<HashMap<PathBuf, u64>>>,
    commands: Arc<Mutex<Vec<Command>>>,
    active: Arc<Mutex<(usize, usize)>>,
}

impl FakeProcesses {
    /// The programs at these paths, each of which takes `latency` to end as `runner` says.
    pub fn new(
        clock: &FakeClock,
        programs: &[&str],
        latency: Duration,
        runner: impl Fn(&Command) -> Result<Output, ProcessError> + Send + Sync + 'static,
    ) -> Self {
        Self {
            clock: clock.clone(),
            latency,
            runner: Arc::new(runner),
            programs: Arc::new(Mutex::new(programs.iter().map(PathBuf::from).collect())),
            stamps: Arc::default(),
            commands: Arc::default(),
            active: Arc::default(),
        }
    }

    /// Writes a file.
    pub fn write(&self, path: &str) {
        *self.stamps.lock().unwrap().entry(path.into()).or_default() += 2;
    }

    /// Installs a program.
    pub fn install(&self, path: &str) {
        self.programs.lock().unwrap().push(path.into());
    }

    /// Everything that was run.
    pub fn commands(&self) -> Vec<Command> {
        self.commands.lock().unwrap().clone()
    }

    /// How many are running, and the most that were at a time.
    pub fn active(&self) -> (usize, usize) {
        *self.active.lock().unwrap()
    }
}

impl Processes for FakeProcesses {
    fn is_executable(&self, path: &Path) -> bool {
        self.programs.lock().unwrap().iter().any(|program| program == path)
    }

    fn stamp(&self, path: &Path) -> Option<u64> {
        self.stamps.lock().unwrap().get(path).copied()
    }

    fn run(&self, command: Command) -> BoxFuture<'_, Result<Output, ProcessError>> {
        Box::pin(async move {
            let _guard = Active::start(&self.active);
            self.commands.lock().unwrap().push(command.clone());
            let result = (self.runner)(&command);
            self.clock.sleep(self.latency.min(command.timeout)).await;
            if self.latency >= command.timeout { Err(ProcessError::TimedOut) } else { result }
        })
    }
}

impl fmt::Debug for FakeProcesses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FakeProcesses")
    }
}
