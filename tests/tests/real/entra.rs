//! The official SDKs sign in to the emulator's Entra ID, unchanged: that proves the emulator.

use std::{
    fmt::Write as _,
    fs,
    process::{Command, Output},
};

use identity_emulator::{App, Emulator, Source};
use serde_json::{Map, Value, json};

use crate::{
    installed::{folder, path, run, scripts, text},
    pki::{Application, PASSWORD},
};

/// How many cases of a flow end well, so that no script can silently do less.
type Flows = &'static [(&'static str, usize)];

/// Each case twice, for the sync and the aio half.
const PYTHON: Flows = &[
    ("secret", 30),
    ("certificate", 16),
    ("assertion", 8),
    ("workload", 6),
    ("binding", 4),
    ("pipelines", 6),
    ("on_behalf_of", 32),
    ("code", 22),
];
const JAVASCRIPT: Flows = &[
    ("secret", 15),
    ("certificate", 8),
    ("assertion", 4),
    ("workload", 3),
    ("binding", 2),
    ("pipelines", 3),
    ("on_behalf_of", 14),
    ("code", 11),
    ("password", 11),
];

/// How many requests arrive at each source, and how many of those have claims in their form.
struct Requests {
    entra: u64,
    workload: u64,
    binding: u64,
    pipelines: u64,
    claims: usize,
}

/// How many cases the SDK has nothing for: no chain in the aio half of Python, no PKCS#12 in JavaScript.
const NOT_AVAILABLE: usize = 1;

// MSAL for JavaScript sends claims with every code, if only empty ones.
const PYTHON_REQUESTS: Requests = Requests { entra: 158, workload: 4, binding: 2, pipelines: 6, claims: 18 };
const JAVASCRIPT_REQUESTS: Requests = Requests { entra: 129, workload: 4, binding: 1, pipelines: 6, claims: 20 };

#[test]
#[ignore = "needs installed components: cargo xtask real"]
fn python_signs_in_in_every_way() {
    let Some(python) = path("REAL_PYTHON", "azure-identity for Python") else { return };
    let mut command = Command::new(python);
    command.arg(scripts().join("python/entra.py"));
    signs_in("python", &mut command, PYTHON, &PYTHON_REQUESTS);
}

#[test]
#[ignore = "needs installed components: cargo xtask real"]
fn javascript_signs_in_in_every_way() {
    let Some(modules) = path("REAL_NODE_MODULES", "@azure/identity for JavaScript") else { return };
    let mut command = Command::new("node");
    command.arg(scripts().join("js/entra.mjs")).current_dir(modules.parent().expect("it lies in a project"));
    signs_in("javascript", &mut command, JAVASCRIPT, &JAVASCRIPT_REQUESTS);
}

fn signs_in(name: &str, command: &mut Command, flows: Flows, requests: &Requests) {
    let folder = folder(&format!("entra-{name}"));
    let own = Application::make(&folder, "own");
    let other = Application::make(&folder, "other");
    let read = |path| fs::read_to_string(path).unwrap();
    let emulator = Emulator::builder()
        .app(App::new(OWN).certificate_pem(read(&own.certificate)))
        .app(App::new(NAMED).subject_name("own", read(&own.issuer)))
        .start_in_background()
        .unwrap();
    let variables = |source| -> Map<String, Value> {
        emulator.variables(source).into_iter().map(|(name, value)| (name, value.into())).collect()
    };
    let given = json!({
        "keys_url": emulator.keys_url(),
        "variables": {
            "secret": variables(Source::Entra),
            "workload": variables(Source::WorkloadIdentity),
            "binding": variables(Source::IdentityBinding),
            "pipelines": variables(Source::AzurePipelines),
        },
        "certificate": {
            "client_id": OWN,
            "named_client_id": NAMED,
            "certificate": own.certificate,
            "key": own.key,
            "pem": own.pem,
            "encrypted_pem": own.encrypted_pem,
            "pfx": own.pfx,
            "other_pem": other.pem,
            "password": PASSWORD,
        },
    });
    let ca = |(name, _): &(String, String)| CA_VARIABLES.contains(&name.as_str());
    command.envs(emulator.variables(Source::Entra).into_iter().filter(ca));
    let output = run(command, &given.to_string());
    let problems = compare(&output, flows) + &count(&emulator, requests);
    assert!(problems.is_empty(), "{problems}\n{}{}", text(&output.stdout), text(&output.stderr));
    let _ = fs::remove_dir_all(&folder);
}

fn compare(output: &Output, flows: Flows) -> String {
    let printed = text(&output.stdout);
    let mut problems = String::new();
    let mut all = 0;
    for (flow, expected) in flows {
        let ok = printed.lines().filter(|line| line.starts_with(&format!("ok     {flow}/"))).count();
        println!("{flow}: {ok} ok");
        if ok != *expected {
            writeln!(problems, "{flow}: {ok} ok, expected {expected}").unwrap();
        }
        all += ok;
    }
    let lines = printed.lines().count();
    let not_available = printed.lines().filter(|line| line.starts_with("n/a    ")).count();
    if !output.status.success() || not_available != NOT_AVAILABLE || lines != all + NOT_AVAILABLE {
        writeln!(problems, "{}, {all} ok and {not_available} not available of {lines}", output.status).unwrap();
    }
    problems
}

fn count(emulator: &Emulator, expected: &Requests) -> String {
    let claims = emulator.requests().iter().filter(|request| request.form_value("claims").is_some()).count();
    let Requests { entra, workload, binding, pipelines, .. } = *expected;
    let mut problems = String::new();
    for (source, expected) in [
        (Source::Entra, entra),
        (Source::WorkloadIdentity, workload),
        (Source::IdentityBinding, binding),
        (Source::AzurePipelines, pipelines),
    ] {
        let count = emulator.request_count(source);
        if count != expected {
            writeln!(problems, "{source}: {count} requests, expected {expected}").unwrap();
        }
    }
    if claims != expected.claims {
        writeln!(problems, "{claims} requests with claims, expected {}", expected.claims).unwrap();
    }
    problems
}

/// The application that is registered with its certificate.
const OWN: &str = "7e57ab1e-0000-4000-8000-00000000ce01";
/// The application that is registered with the subject name of that certificate, and its issuer.
const NAMED: &str = "7e57ab1e-0000-4000-8000-00000000ce02";
/// By which Python and node find the emulator's CA.
const CA_VARIABLES: [&str; 3] = ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"];
