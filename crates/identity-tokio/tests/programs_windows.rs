//! What is promised of a program that is run, on Windows.
//!
//! Batch files play the programs, and this program plays what they start: it writes to a file for as long as it lives.

#![cfg(windows)]
#![expect(clippy::disallowed_methods, reason = "looks at processes, and waits for them in real time")]
#![expect(clippy::unwrap_used, reason = "a test ends when it is not so")]

use std::{
    env, fs,
    io::{ErrorKind, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use identity_core::process::{Command, GRACE, OUTPUT_LIMIT, ProcessError, Processes};

const BEATS: &str = "PROGRAMS_BEATS";

fn processes() -> Arc<dyn Processes> {
    Arc::clone(identity_tokio::platform().processes().unwrap())
}

/// A batch file, in a directory of its own with a space in its name.
struct Batch {
    command: Command,
    beats: PathBuf,
}

impl Batch {
    /// In its text, DESCENDANT is the command that starts one.
    fn new(name: &str, text: &str) -> Self {
        let directory =
            PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("a batch {}-{name}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let (program, beats) = (directory.join("program.cmd"), directory.join("beats"));
        let descendant = format!("\"{}\" --exact beats --nocapture", env::current_exe().unwrap().display());
        let text = format!("@echo off\n{text}\n").replace("DESCENDANT", &descendant).replace('\n', "\r\n");
        fs::write(&program, text).unwrap();
        let command = Command {
            program,
            args: Vec::new(),
            variables: vec![(BEATS, beats.display().to_string())],
            hidden: &[],
            directory,
            timeout: Duration::from_secs(30),
        };
        Self { command, beats }
    }

    fn with(mut self, args: &[&str]) -> Self {
        self.command.args = args.iter().map(|&arg| arg.to_owned()).collect();
        self
    }

    async fn run(&self) -> Result<(Option<i32>, String, String), ProcessError> {
        let output = processes().run(self.command.clone()).await?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok((output.code(), text(output.stdout()), text(output.stderr())))
    }

    /// Fails unless a descendant was there, and is there no longer.
    fn is_over(&self) {
        assert!(len(&self.beats) > 0, "no descendant ran");
        thread::sleep(BEAT);
        let before = len(&self.beats);
        thread::sleep(10 * BEAT);
        assert_eq!(len(&self.beats), before, "a descendant lives");
    }
}

fn len(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |facts| facts.len())
}

/// Not a test by itself: a descendant, which lives long enough to be noticed.
#[test]
fn beats() {
    let Some(path) = env::var_os(BEATS) else { return };
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(60) {
        fs::File::options().create(true).append(true).open(&path).unwrap().write_all(b".").unwrap();
        thread::sleep(BEAT);
    }
}

#[tokio::test]
async fn a_batch_file_gets_its_arguments_and_variables() {
    let text = "echo [%1] [%2]\n>&2 echo %PROGRAMS_BEATS%\nexit /b 3";
    let batch = Batch::new("arguments", text).with(&["https://vault.azure.net/.default", "a & whoami | b"]);
    let (code, stdout, stderr) = batch.run().await.unwrap();
    assert_eq!(code, Some(3), "{stdout}{stderr}");
    // What separates commands has no meaning in an argument.
    assert_eq!(stdout.trim_end(), r#"[https://vault.azure.net/.default] ["a & whoami | b"]"#);
    assert_eq!(stderr.trim_end(), batch.beats.display().to_string());
}

#[tokio::test]
async fn what_cannot_be_started_is_told_from_what_failed() {
    let broken = Batch::new("broken", "echo started>started").with(&["two\r\nlines"]);
    let Err(ProcessError::NotStarted(error)) = broken.run().await else { panic!("a batch file cannot be told this") };
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(!broken.command.directory.join("started").exists());
    let mut missing = Batch::new("missing", "");
    missing.command.program.set_file_name("missing.exe");
    let Err(ProcessError::NotStarted(error)) = missing.run().await else { panic!("there is none") };
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn what_hangs_is_ended_with_its_descendants() {
    let mut batch = Batch::new("hangs", "DESCENDANT");
    batch.command.timeout = START;
    assert!(matches!(batch.run().await, Err(ProcessError::TimedOut)));
    batch.is_over();
}

#[tokio::test]
async fn a_dropped_future_kills_all_of_them_at_once() {
    let batch = Batch::new("dropped", "DESCENDANT");
    assert!(tokio::time::timeout(START, batch.run()).await.is_err());
    batch.is_over();
}

#[tokio::test]
async fn a_descendant_that_holds_the_outputs_open_is_not_waited_for() {
    let batch = Batch::new("holds", "echo token\nstart \"\" /b DESCENDANT\n:wait\nif not exist beats goto wait");
    let start = Instant::now();
    let (code, stdout, _) = batch.run().await.unwrap();
    assert_eq!((code, stdout.lines().next()), (Some(0), Some("token")), "{stdout}");
    assert!(start.elapsed() < START + GRACE, "{:?}", start.elapsed());
    batch.is_over();
}

#[tokio::test]
async fn a_flood_ends_the_program() {
    let batch = Batch::new("flood", &format!(":again\necho {}\ngoto again", "x".repeat(4000)));
    assert!(matches!(batch.run().await, Err(ProcessError::TooMuch("standard output"))), "{OUTPUT_LIMIT}");
}

/// Between two signs of life.
const BEAT: Duration = Duration::from_millis(50);
/// Long enough for a program to start another one.
const START: Duration = Duration::from_secs(4);
