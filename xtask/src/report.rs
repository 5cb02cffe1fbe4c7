//! One line per step, failures and the way to repeat them at the end.

use std::env;
use std::process::ExitCode;
use std::time::Instant;

use crate::Result;
use crate::shell::Cmd;

/// What has passed, failed and been skipped so far.
pub(crate) struct Report {
    started: Instant,
    strict: bool,
    passed: usize,
    failed: Vec<(String, String)>,
    skipped: Vec<String>,
}

impl Report {
    pub(crate) fn new() -> Self {
        let strict = env::var("CI").is_ok_and(|value| value == "true" || value == "1");
        Self { started: Instant::now(), strict, passed: 0, failed: Vec::new(), skipped: Vec::new() }
    }

    /// Prints what the following steps belong to.
    pub(crate) fn section(&self, name: &str) {
        println!("-- {name}");
    }

    /// Prints a line that is neither success nor failure.
    pub(crate) fn note(&self, text: &str) {
        println!("               {text}");
    }

    /// Runs one step; `rerun` is the command that repeats it, the text it returns ends its line.
    pub(crate) fn step(&mut self, what: &str, rerun: &str, work: impl FnOnce() -> Result<String>) -> bool {
        let started = Instant::now();
        let result = work();
        let seconds = started.elapsed().as_secs_f64();
        match result {
            Ok(detail) => {
                println!("ok     {seconds:6.1} s  {what}{}{detail}", if detail.is_empty() { "" } else { ": " });
                self.passed += 1;
                true
            }
            Err(output) => {
                println!("FAILED {seconds:6.1} s  {what}");
                for line in output.lines() {
                    println!("    {line}");
                }
                self.failed.push((what.to_owned(), rerun.to_owned()));
                false
            }
        }
    }

    /// Runs one command as one step.
    pub(crate) fn command(&mut self, what: &str, command: &Cmd) -> bool {
        self.step(what, &command.line(), || command.run().map(|_| String::new()))
    }

    /// Something that this machine cannot do.
    pub(crate) fn skip(&mut self, what: &str, reason: &str) {
        println!("SKIPPED {what}: {reason}");
        self.skipped.push(format!("{what}: {reason}"));
        if self.strict {
            self.failed.push((format!("{what} (skipped: {reason})"), "CI=true allows no skip".to_owned()));
        }
    }

    /// Prints the summary; the last line is for programs that read logs.
    pub(crate) fn finish(self) -> ExitCode {
        println!();
        for what in &self.skipped {
            println!("SKIPPED {what}");
        }
        for (what, rerun) in &self.failed {
            println!("FAILED {what}\n    {rerun}");
        }
        println!("{:.0} s in all", self.started.elapsed().as_secs_f64());
        println!("{} passed, {} failed", self.passed, self.failed.len());
        if self.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}
