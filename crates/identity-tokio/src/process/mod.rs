//! Programs, each as the leader of a group that ends with it when it has to.

use std::{
    future::poll_fn,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    io,
    path::Path,
    pin::{Pin, pin},
    process::{ExitStatus, Stdio},
    task::{Context, Poll, ready},
    time::Duration,
};

use identity_core::{
    BoxFuture,
    process::{AT_ONCE, Command, ERROR_LIMIT, GRACE, OUTPUT_LIMIT, Output, ProcessError, Processes},
};
use tokio::{
    io::{AsyncRead, ReadBuf},
    time::{sleep, timeout},
};
use zeroize::Zeroizing;

mod turns;
#[cfg(unix)]
mod unix;
#[cfg(unix)]
use unix as system;
#[cfg(windows)]
mod windows;
#[cfg(windows)]
use windows as system;

use self::{system::Tree, turns::Turns};

/// Programs of this machine.
#[derive(Debug)]
pub(crate) struct TokioProcesses {
    turns: Turns,
}

impl Default for TokioProcesses {
    fn default() -> Self {
        Self { turns: Turns::new(AT_ONCE) }
    }
}

impl Processes for TokioProcesses {
    fn is_executable(&self, path: &Path) -> bool {
        system::is_executable(path)
    }

    fn stamp(&self, path: &Path) -> Option<u64> {
        system::stamp(path)
    }

    fn run(&self, command: Command) -> BoxFuture<'_, Result<Output, ProcessError>> {
        Box::pin(async move {
            let _turn = self.turns.take(command.timeout + LEEWAY).await;
            run(&command).await
        })
    }
}

async fn run(command: &Command) -> Result<Output, ProcessError> {
    let mut program = tokio::process::Command::new(&command.program);
    program
        .args(&command.args)
        .envs(command.variables.iter().map(|(name, value)| (name, value)))
        .current_dir(&command.directory)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    for name in command.hidden {
        program.env_remove(name);
    }
    let mut tree = Tree::start(program).map_err(ProcessError::NotStarted)?;

    let Some((mut stdout, mut stderr)) = tree.outputs() else {
        return Err(ProcessError::Lost(io::ErrorKind::BrokenPipe.into()));
    };
    let mut outputs = (Reader::new("standard output", OUTPUT_LIMIT), Reader::new("standard error", ERROR_LIMIT));
    let watched = {
        let reading = poll_fn(|cx| {
            let stdout = outputs.0.poll(cx, Pin::new(&mut stdout))?;
            let stderr = outputs.1.poll(cx, Pin::new(&mut stderr))?;
            if stdout.is_ready() && stderr.is_ready() { Poll::Ready(Ok(())) } else { Poll::Pending }
        });
        timeout(command.timeout, watch(&mut tree, reading)).await
    };
    match watched {
        Ok(Ok(End::Quiet)) => {}
        // Whoever holds its outputs after its end would not be done either.
        Ok(Ok(End::Holding)) => tree.kill(),
        Ok(Err(error)) => {
            tree.kill();
            return Err(error);
        }
        Err(_) => {
            tree.ask_to_end();
            let _ = timeout(GRACE, ended(&mut tree, EAGER)).await;
            tree.kill();
            return Err(ProcessError::TimedOut);
        }
    }
    let status: ExitStatus = tree.reap().await.map_err(ProcessError::Lost)?;
    Ok(Output::new(status.code(), outputs.0.finish(), outputs.1.finish()))
}

/// How a program ended.
enum End {
    /// With its outputs closed.
    Quiet,
    /// With its outputs open: a descendant holds them.
    Holding,
}

/// Waits for the program's end and the end of what it says.
async fn watch(tree: &mut Tree, reading: impl Future<Output = Result<(), ProcessError>>) -> Result<End, ProcessError> {
    let mut reading = pin!(reading);
    let is_silent = {
        let mut ended = pin!(ended(tree, PATIENT));
        poll_fn(|cx| match reading.as_mut().poll(cx) {
            Poll::Ready(result) => Poll::Ready(result.map(|()| true)),
            Poll::Pending => ended.as_mut().poll(cx).map(|()| Ok(false)),
        })
        .await?
    };
    if is_silent {
        // It has closed its outputs: most likely it is ending just now.
        ended(tree, EAGER).await;
        return Ok(End::Quiet);
    }
    match timeout(GRACE, reading).await {
        Ok(result) => result.map(|()| End::Quiet),
        Err(_) => Ok(End::Holding),
    }
}

/// Waits until the program has ended, without collecting it: until that is done, no other process can have its number, and so
/// its group is the one that is killed. No system tells this as an event, so it is asked again and again.
async fn ended(tree: &mut Tree, mut pause: Duration) {
    while !tree.has_ended() {
        sleep(pause).await;
        pause = (pause * 2).min(PATIENT);
    }
}

/// What a program says on one of its outputs.
struct Reader {
    name: &'static str,
    limit: usize,
    bytes: Zeroizing<Vec<u8>>,
    is_done: bool,
}

impl Reader {
    fn new(name: &'static str, limit: usize) -> Self {
        Self { name, limit, bytes: Zeroizing::new(Vec::with_capacity(BUFFER)), is_done: false }
    }

    /// Reads what is there; ready at its end.
    fn poll(&mut self, cx: &mut Context<'_>, mut pipe: Pin<&mut impl AsyncRead>) -> Poll<Result<(), ProcessError>> {
        let mut space = Zeroizing::new([0; BUFFER]);
        while !self.is_done {
            let mut chunk = ReadBuf::new(&mut *space);
            match ready!(pipe.as_mut().poll_read(cx, &mut chunk)) {
                Ok(()) if chunk.filled().is_empty() => self.is_done = true,
                Ok(()) => self.keep(chunk.filled())?,
                Err(error) => return Poll::Ready(Err(ProcessError::Lost(error))),
            }
        }
        Poll::Ready(Ok(()))
    }

    fn keep(&mut self, chunk: &[u8]) -> Result<(), ProcessError> {
        let len = self.bytes.len() + chunk.len();
        if len > self.limit {
            return Err(ProcessError::TooMuch(self.name));
        }
        if len > self.bytes.capacity() {
            // A vector that grows by itself leaves a copy behind.
            let mut larger = Zeroizing::new(Vec::with_capacity(len * 2));
            larger.extend_from_slice(&self.bytes);
            self.bytes = larger;
        }
        self.bytes.extend_from_slice(chunk);
        Ok(())
    }

    fn finish(&mut self) -> Vec<u8> {
        std::mem::take(&mut *self.bytes)
    }
}

/// A number for what is known about a file.
fn mix(parts: &[u64]) -> u64 {
    let mut hasher = DefaultHasher::new();
    parts.hash(&mut hasher);
    hasher.finish()
}

/// A token and what stands around it fit.
const BUFFER: usize = 8 * 1024;
/// What a run may take beyond its time: to be asked to end, to be killed and collected.
const LEEWAY: Duration = Duration::from_secs(5);
/// Between two looks at a program that is at work, and at one that seems to be ending.
const PATIENT: Duration = Duration::from_millis(50);
const EAGER: Duration = Duration::from_millis(1);
