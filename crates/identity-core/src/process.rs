//! Programs of this machine that may know who its user is: one run of one program, as this project needs it.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::BoxFuture;

/// Runs programs. The seam behind which child processes live.
///
/// An implementation keeps what a [`Command`] states, and this: no shell is involved; the child reads end of file at once
/// and inherits nothing but its two outputs; both are read all the time; it and its descendants are one group that ends
/// together, and is gone when the future is.
pub trait Processes: fmt::Debug + Send + Sync {
    /// Whether this is a file that this user may run.
    fn is_executable(&self, path: &Path) -> bool;

    /// What changes whenever a file is written or replaced; `None` if there is no such file.
    fn stamp(&self, path: &Path) -> Option<u64>;

    /// Runs a program to its end.
    ///
    /// No more than [`AT_ONCE`] run at a time; the others wait their turn, which does not count for the timeout.
    ///
    /// # Errors
    ///
    /// [`ProcessError`] if there is no whole output. That the program failed is no error, but its [`Output::code`].
    ///
    /// # Cancellation
    ///
    /// Dropping the future kills the program and its descendants at once. One that has left the group, as a daemon does, is
    /// out of reach.
    fn run(&self, command: Command) -> BoxFuture<'_, Result<Output, ProcessError>>;
}

/// A program to run, and what is promised about it.
///
/// It has the variables of this process but for those that are taken away, and holds no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// The program's absolute path. It is not looked for anywhere else.
    pub program: PathBuf,
    /// Its arguments, one by one.
    pub args: Vec<String>,
    /// Variables that it has besides.
    pub variables: Vec<(&'static str, String)>,
    /// Variables of this process that it does not have.
    pub hidden: &'static [&'static str],
    /// The directory that it runs in.
    pub directory: PathBuf,
    /// How long it may take. Then it is asked to end, and killed [`GRACE`] later.
    pub timeout: Duration,
}

/// What a program left behind. Its outputs are wiped on drop, for they may hold a token.
pub struct Output {
    code: Option<i32>,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

impl Output {
    /// `code` is `None` if a signal ended the program.
    #[must_use]
    pub fn new(code: Option<i32>, stdout: Vec<u8>, stderr: Vec<u8>) -> Self {
        Self { code, stdout, stderr }
    }

    /// The exit code; `None` if a signal ended the program.
    #[must_use]
    pub fn code(&self) -> Option<i32> {
        self.code
    }

    /// Its standard output, [`OUTPUT_LIMIT`] bytes at most.
    #[must_use]
    pub fn stdout(&self) -> &[u8] {
        &self.stdout
    }

    /// Its standard error, [`ERROR_LIMIT`] bytes at most.
    #[must_use]
    pub fn stderr(&self) -> &[u8] {
        &self.stderr
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        crate::bytes::wipe(std::mem::take(&mut self.stdout));
        crate::bytes::wipe(std::mem::take(&mut self.stderr));
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Output")
            .field("code", &self.code)
            .field("stdout_len", &self.stdout.len())
            .field("stderr_len", &self.stderr.len())
            .finish()
    }
}

/// Why there is no whole output. Nothing of the program's is left running.
#[derive(Debug)]
#[non_exhaustive]
pub enum ProcessError {
    /// It could not be started: it is gone, may not be run, or its arguments cannot be passed.
    NotStarted(io::Error),
    /// It was not done within its time.
    TimedOut,
    /// It wrote more than it may, on the output of this name.
    TooMuch(&'static str),
    /// It was started, and then the system failed.
    Lost(io::Error),
}

impl fmt::Display for ProcessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotStarted(error) => write!(f, "it cannot be started: {error}"),
            Self::TimedOut => f.write_str("it was not done in time and was ended"),
            Self::TooMuch(name) => write!(f, "it wrote more to its {name} than it may and was ended"),
            Self::Lost(error) => write!(f, "it was lost: {error}"),
        }
    }
}

impl std::error::Error for ProcessError {}

/// The most of a program's standard output that is read, in bytes. A token has 2 to 8 thousand.
///
/// Source: our choice.
pub const OUTPUT_LIMIT: usize = 1024 * 1024;

/// The most of a program's standard error that is read, in bytes. A traceback has 20 thousand.
///
/// Source: our choice.
pub const ERROR_LIMIT: usize = 64 * 1024;

/// How long a program has to end by itself when its time is over.
///
/// Source: our choice: long enough to remove a lock file, and everything is gone within a second.
pub const GRACE: Duration = Duration::from_millis(500);

/// How many programs of a platform run at a time. Source: our choice; `az` takes half a second of one processor.
pub const AT_ONCE: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_nothing_of_what_was_written() {
        let output = Output::new(Some(0), b"canary".to_vec(), b"canary".to_vec());
        assert_eq!(format!("{output:?}"), "Output { code: Some(0), stdout_len: 6, stderr_len: 6 }");
    }

    #[test]
    fn errors_say_what_became_of_the_program() {
        for (error, expected) in [
            (
                ProcessError::NotStarted(io::ErrorKind::PermissionDenied.into()),
                "it cannot be started: permission denied",
            ),
            (ProcessError::TimedOut, "it was not done in time and was ended"),
            (
                ProcessError::TooMuch("standard output"),
                "it wrote more to its standard output than it may and was ended",
            ),
            (ProcessError::Lost(io::ErrorKind::BrokenPipe.into()), "it was lost: broken pipe"),
        ] {
            assert_eq!(error.to_string(), expected);
        }
    }
}
