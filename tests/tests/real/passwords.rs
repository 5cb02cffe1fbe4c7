//! MSAL for Python signs people in by their passwords, unchanged, those of AD FS included.
//!
//! It asks who knows a password at the authority's host without its port, so the emulator has to be at 443. The test starts itself
//! again in a network of its own, where that port is free and nobody else is: that takes root, or a system that lets users have
//! namespaces.

use std::{
    fmt,
    process::{Command, Output},
};

use identity_emulator::{Emulator, FEDERATED_USER_NAME, Source, USER_NAME};
use serde_json::{Map, Value, json};

use crate::{
    installed::{path, run, scripts, text},
    network::{is_inside, pass_in_own},
};

/// How many cases end well, and how many requests arrive: the SDK sends what is answered with 500 four times.
const CASES: usize = 14;
const REQUESTS: u64 = 58;

#[test]
#[ignore = "needs installed components: cargo xtask real"]
fn python_signs_people_in_by_their_passwords() {
    let name = "UsernamePasswordCredential for Python";
    let Some(_) = path("REAL_PYTHON", "azure-identity for Python") else { return };
    if pass_in_own(name, NETWORK, INSIDE) {
        println!("passwords: {CASES} ok");
    }
}

/// Not a test by itself: it does nothing elsewhere.
#[test]
#[ignore = "only another test starts it, in a network of its own"]
fn inside() {
    if !is_inside(INSIDE) {
        return;
    }
    let emulator = Emulator::builder().port(Source::Entra, 443).start_in_background().unwrap();
    let variables = emulator.variables(Source::Entra).into_iter().filter(|(name, _)| name == "REQUESTS_CA_BUNDLE");
    let mut command = Command::new(path("REAL_PYTHON", "azure-identity for Python").unwrap());
    command.arg(scripts().join("python/passwords.py")).envs(variables).env("PYTHONDONTWRITEBYTECODE", "1");
    let given: Map<String, Value> = [("user", USER_NAME), ("federated_user", FEDERATED_USER_NAME)]
        .into_iter()
        .chain([("password", identity_emulator::USER_PASSWORD), ("keys_url", &emulator.keys_url())])
        .map(|(name, value)| (name.to_owned(), value.into()))
        .collect();
    let output = run(&mut command, &json!(given).to_string());
    let printed = text(&output.stdout);
    let ok = printed.lines().filter(|line| line.starts_with("ok     ")).count();
    let all = printed.lines().count();
    let problem = Problem(&output);
    assert!(output.status.success() && (ok, all) == (CASES, CASES), "{ok} of {all}, expected {CASES}\n{problem}");
    assert_eq!(emulator.request_count(None), REQUESTS, "{problem}");
}

struct Problem<'a>(&'a Output);

impl fmt::Display for Problem<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}{}", self.0.status, text(&self.0.stdout), text(&self.0.stderr))
    }
}

const NETWORK: &str = "ip link set lo up";
const INSIDE: &str = "passwords::inside";
