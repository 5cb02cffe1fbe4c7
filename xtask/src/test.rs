//! `cargo xtask test`: every test that this machine can run.

use std::{env, fs, process};

use crate::real;
use crate::report::Report;
use crate::shell::{Cmd, has_with};
use crate::workspace::Workspace;

pub(crate) fn run(workspace: &Workspace, report: &mut Report) {
    report.section("tests");
    let runner = Runner::find();
    step(report, "unit and behaviour tests", &runner.everything());
    step(report, "doctests", &Cmd::cargo(&["test", "--locked", "--doc", "--workspace", "--all-features"]));
    // What a build says that lacks a credential.
    let bare = runner.unit("identity", "bare").args(&["--features", "default-chain-bare"]);
    step(report, "the default chain without its credentials", &bare);
    // Own flags mean an own folder: sharing one would rebuild everything twice a run.
    let model = runner
        .unit("identity-cache", "model")
        .env("RUSTFLAGS", "--cfg identity_model")
        .env("CARGO_TARGET_DIR", workspace.target.join("model"));
    step(report, "model check of the cache", &model);
    real::run(workspace, report);
}

/// Runs tests as one step that says how many passed. None at all is a failure: something was not found.
pub(crate) fn step(report: &mut Report, what: &str, tests: &Cmd) {
    // Runners hide what passing tests print, and a test that cannot run has no other way to pass on why.
    let skips = env::temp_dir().join(format!("xtask-skips-{}", process::id()));
    let telling = tests.clone().env(SKIPS, &skips);
    report.step(what, &tests.line(), || {
        let output = telling.run()?;
        match passed(&output.stdout) + passed(&output.stderr) {
            0 => Err(format!("no test ran\n{}", output.stderr)),
            count => Ok(format!("{count} passed")),
        }
    });
    for line in fs::read_to_string(&skips).unwrap_or_default().lines() {
        let (what, reason) = line.split_once(": ").unwrap_or((line, "no reason given"));
        report.skip(what, reason);
    }
    // There is none if nothing was skipped.
    let _ = fs::remove_file(&skips);
}

/// The file to which tests add a line for what they skip; `identity_tests::skip` reads the same variable.
const SKIPS: &str = "IDENTITY_TESTS_SKIPS";

/// The sum over the summaries: `test result: ok. 3 passed; ..` or `Summary [ 0.1s] 3 tests run: 3 passed, ..`.
fn passed(output: &str) -> u64 {
    let summaries = output.lines().filter(|line| line.contains("test result:") || line.contains(" run: "));
    let count = |line: &str| {
        let before = line.split_once(" passed")?.0;
        before.rsplit(' ').next()?.parse::<u64>().ok()
    };
    summaries.filter_map(count).sum()
}

/// cargo-nextest where it is installed: it runs the binaries side by side.
pub(crate) enum Runner {
    Nextest,
    Cargo,
}

impl Runner {
    pub(crate) fn find() -> Self {
        if has_with("cargo", &["nextest", "--version"]) { Self::Nextest } else { Self::Cargo }
    }

    /// Everything of the workspace, built once for all steps: other features would be another build.
    fn workspace(&self) -> Cmd {
        match self {
            Self::Nextest => Cmd::cargo(&["nextest", "run"]),
            Self::Cargo => Cmd::cargo(&["test"]),
        }
        .args(&["--locked", "--workspace", "--all-features", "--no-fail-fast"])
    }

    fn everything(&self) -> Cmd {
        self.workspace().args(&["--lib", "--bins", "--tests", "--examples"])
    }

    /// One test binary, ignored tests included.
    pub(crate) fn binary(&self, name: &str) -> Cmd {
        let command = self.workspace().args(&["--test", name]);
        match self {
            Self::Nextest => command.args(&["--run-ignored", "all"]),
            Self::Cargo => command.args(&["--", "--include-ignored"]),
        }
    }

    /// The unit tests of one package whose names contain a word.
    fn unit(&self, package: &str, word: &str) -> Cmd {
        match self {
            Self::Nextest => Cmd::cargo(&["nextest", "run"]),
            Self::Cargo => Cmd::cargo(&["test"]),
        }
        .args(&["--locked", "--package", package, "--lib", word])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summaries_of_both_runners_are_understood() {
        let cargo = "test result: ok. 3 passed; 0 failed\ntest result: ok. 12 passed; 0 failed";
        assert_eq!(passed(cargo), 15);
        assert_eq!(passed("     Summary [   0.060s] 10 tests run: 10 passed, 2 skipped"), 10);
        assert_eq!(passed("     Summary [   0.060s] 1 test run: 1 passed (1 slow), 0 skipped"), 1);
        assert_eq!(passed("error: nothing was built, 3 passed by"), 0);
    }
}
