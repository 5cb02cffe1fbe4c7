//! The official SDKs get tokens from the emulator, unchanged: that proves the emulator.

use std::{fs, process::Command};

use identity_emulator::{Emulator, Source};
use identity_tests::skip;

use crate::installed::{path, run, scripts, text};

/// What must come out for a source.
struct Expected {
    source: Source,
    /// How many cases end well.
    ok: usize,
    /// How many the SDK refuses, or the service does not have.
    not_available: usize,
    /// How many requests arrive.
    requests: u64,
}

/// So that neither script can silently do less. Python runs each case twice, for its sync and its aio half.
const PYTHON: [Expected; 6] = [
    row(Source::Imds, 18, 0, 18),
    row(Source::AppService, 18, 0, 18),
    row(Source::AzureArc, 18, 0, 32),
    row(Source::ServiceFabric, 4, 14, 4),
    row(Source::AzureMl, 10, 8, 18),
    row(Source::CloudShell, 4, 14, 4),
];
const JAVASCRIPT: [Expected; 6] = [
    row(Source::Imds, 9, 0, 9),
    row(Source::AppService, 9, 0, 9),
    row(Source::AzureArc, 9, 0, 16),
    row(Source::ServiceFabric, 2, 7, 2),
    row(Source::AzureMl, 5, 4, 5),
    row(Source::CloudShell, 2, 7, 2),
];

const fn row(source: Source, ok: usize, not_available: usize, requests: u64) -> Expected {
    Expected { source, ok, not_available, requests }
}

#[test]
#[ignore = "needs installed components: cargo xtask real"]
fn python_gets_tokens_from_every_source() {
    let Some(python) = path("REAL_PYTHON", "azure-identity for Python") else { return };
    let problems = every_source(&PYTHON, || {
        let mut command = Command::new(&python);
        command.arg(scripts().join("python/tokens.py"));
        command
    });
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
#[ignore = "needs installed components: cargo xtask real"]
fn javascript_gets_tokens_from_every_source() {
    let Some(modules) = path("REAL_NODE_MODULES", "@azure/identity for JavaScript") else { return };
    let problems = every_source(&JAVASCRIPT, || {
        let mut command = Command::new("node");
        command.arg(scripts().join("js/tokens.mjs")).current_dir(modules.parent().expect("it lies in a project"));
        command
    });
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// Runs one script per source, all against one emulator; what is not as expected, with what was printed.
fn every_source(table: &[Expected], script: impl Fn() -> Command) -> Vec<String> {
    let emulator = Emulator::builder().start_in_background().unwrap();
    let mut problems = Vec::new();
    for row in table {
        let source = row.source;
        if source == Source::AzureArc && !can_write_keys() {
            skip("Azure Arc with an official SDK", &format!("{KEYS} cannot be written; run as root"));
            continue;
        }
        let mut command = script();
        command.arg(source.name()).arg(emulator.keys_url()).envs(emulator.variables(source));
        let output = run(&mut command, "");
        let printed = text(&output.stdout);
        let count = |word: &str| printed.lines().filter(|line| line.starts_with(word)).count();
        let asked = emulator.request_count(source);
        emulator.clear_requests();
        println!("{source}: {} ok, {} not available, {asked} requests", count("ok "), count("n/a "));
        let came = (count("ok "), count("n/a "), asked);
        let expected = (row.ok, row.not_available, row.requests);
        if !output.status.success() || count("FAILED") != 0 || came != expected {
            let problem = format!(
                "{source}: {}; ok, not available and requests are {came:?}, expected {expected:?}\n{printed}{}",
                output.status,
                text(&output.stderr)
            );
            problems.push(problem);
        }
    }
    problems
}

/// Where the SDKs look for the agent's challenge files, and nowhere else.
const KEYS: &str = "/var/opt/azcmagent/tokens";

fn can_write_keys() -> bool {
    let file = format!("{KEYS}/identity-tests-{}", std::process::id());
    fs::create_dir_all(KEYS).and_then(|()| fs::write(&file, "")).and_then(|()| fs::remove_file(&file)).is_ok()
}
