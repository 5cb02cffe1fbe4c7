//! Running other programs.

use std::collections::BTreeMap;
use std::env;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Result;

/// A program with its arguments and the environment it gets.
#[derive(Clone)]
pub(crate) struct Cmd {
    program: String,
    arguments: Vec<String>,
    changes: BTreeMap<String, Option<String>>,
    bare: bool,
    folder: Option<PathBuf>,
}

/// What a program printed.
pub(crate) struct Output {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Cmd {
    pub(crate) fn new(program: impl AsRef<Path>) -> Self {
        let program = program.as_ref().display().to_string();
        Self { program, arguments: Vec::new(), changes: BTreeMap::new(), bare: false, folder: None }
    }

    /// The cargo that runs us, without the variables that it set for us alone: they would look like changes to
    /// the build scripts that watch them.
    pub(crate) fn cargo(arguments: &[&str]) -> Self {
        let mut command = Self::new(env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned())).args(arguments);
        for (name, _) in env::vars() {
            if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") || name == "CARGO" {
                command.changes.insert(name, None);
            }
        }
        command
    }

    pub(crate) fn arg(mut self, argument: impl AsRef<Path>) -> Self {
        self.arguments.push(argument.as_ref().display().to_string());
        self
    }

    pub(crate) fn args(mut self, arguments: &[&str]) -> Self {
        self.arguments.extend(arguments.iter().map(|&argument| argument.to_owned()));
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<Path>) -> Self {
        self.changes.insert(name.to_owned(), Some(value.as_ref().display().to_string()));
        self
    }

    pub(crate) fn unset(mut self, name: &str) -> Self {
        self.changes.insert(name.to_owned(), None);
        self
    }

    /// Starts from an empty environment, so that counts do not depend on the machine's.
    pub(crate) fn bare(mut self) -> Self {
        self.bare = true;
        self
    }

    pub(crate) fn folder(mut self, folder: &Path) -> Self {
        self.folder = Some(folder.to_owned());
        self
    }

    /// The command as one would type it.
    pub(crate) fn line(&self) -> String {
        let mut line = String::new();
        if let Some(folder) = &self.folder {
            let _ = write!(line, "cd {} && ", folder.display());
        }
        for (name, value) in &self.changes {
            if let Some(value) = value {
                let _ = write!(line, "{name}={} ", quoted(value));
            } else if !name.starts_with("CARGO") {
                let _ = write!(line, "{name}= ");
            }
        }
        let program = Path::new(&self.program);
        let short = program.file_name().filter(|name| *name == "cargo").map_or(program, Path::new);
        line.push_str(&short.display().to_string());
        for argument in &self.arguments {
            line.push(' ');
            line.push_str(&quoted(argument));
        }
        line
    }

    /// Runs to the end.
    ///
    /// The error is everything that was printed, shortened to its last lines, and the status.
    pub(crate) fn run(&self) -> Result<Output> {
        let (status, output) = self.run_any()?;
        if status == Some(0) {
            return Ok(output);
        }
        let text = format!("{}\n{}", output.stdout, output.stderr);
        let lines: Vec<&str> = text.lines().collect();
        let from = lines.len().saturating_sub(LINES_SHOWN);
        let status = status.map_or("ended by a signal".to_owned(), |code| format!("exit code {code}"));
        Err(format!("{}\n{status}: {}", lines.get(from..).unwrap_or_default().join("\n"), self.line()))
    }

    /// Runs to the end, whatever the exit code is; none after a signal.
    pub(crate) fn run_any(&self) -> Result<(Option<i32>, Output)> {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).stdin(Stdio::null());
        if self.bare {
            command.env_clear();
        }
        for (name, value) in &self.changes {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        let output = command.output().map_err(|error| format!("{} cannot be started: {error}", self.program))?;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ok((output.status.code(), Output { stdout: text(output.stdout), stderr: text(output.stderr) }))
    }
}

/// Whether a program can be started with `--version`.
pub(crate) fn has(program: &str) -> bool {
    has_with(program, &["--version"])
}

/// Whether a program exists and accepts these arguments.
pub(crate) fn has_with(program: &str, arguments: &[&str]) -> bool {
    Cmd::new(program).args(arguments).run().is_ok()
}

fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) { text.to_owned() } else { format!("'{text}'") }
}

/// How much of a failing step's output is shown.
const LINES_SHOWN: usize = 200;
