//! Programs that serve while a test runs.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{self, Receiver},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// A running program; it ends with this value. What it prints is read all the time, so that it never waits for a full pipe.
pub(crate) struct Process {
    child: Child,
    lines: Receiver<String>,
    complaints: Option<JoinHandle<String>>,
    /// Programs that end with their input live on until this goes.
    _input: Option<ChildStdin>,
}

impl Process {
    pub(crate) fn start(command: &mut Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{:?}: {error}", command.get_program()));
        let output = child.stdout.take().expect("it was asked for");
        let mut errors = child.stderr.take().expect("it was asked for");
        let (send, lines) = mpsc::channel();
        thread::spawn(move || {
            BufReader::new(output).lines().map_while(Result::ok).for_each(|line| drop(send.send(line)))
        });
        let complaints = thread::spawn(move || {
            let mut said = Vec::new();
            let _ = errors.read_to_end(&mut said);
            String::from_utf8_lossy(&said).into_owned()
        });
        let input = child.stdin.take();
        Self { child, lines, complaints: Some(complaints), _input: input }
    }

    /// The next line of its output, within half a minute.
    pub(crate) fn line(&mut self) -> String {
        self.lines.recv_timeout(Duration::from_secs(30)).unwrap_or_else(|_| panic!("no line: {}", self.complaint()))
    }

    /// What is left of the first line with that in it.
    pub(crate) fn line_after(&mut self, mark: &str) -> String {
        loop {
            if let Some((_, rest)) = self.line().split_once(mark) {
                return rest.trim().to_owned();
            }
        }
    }

    /// Ends it; what it said on its error output.
    pub(crate) fn complaint(&mut self) -> String {
        let _ = self.child.kill();
        self.complaints.take().and_then(|thread| thread.join().ok()).unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Politely first: Squid leaves shared memory behind when it is killed.
        let told = cfg!(unix) && Command::new("kill").arg(self.child.id().to_string()).status().is_ok();
        let start = Instant::now();
        while told && start.elapsed() < Duration::from_secs(5) && matches!(self.child.try_wait(), Ok(None)) {
            thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
