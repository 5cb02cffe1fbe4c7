//! The first example of the README is this one, and it runs on the emulator.
#![expect(clippy::disallowed_methods, reason = "a file is read and a program started")]

use std::{
    env, fs,
    process::{Command, Output},
};

use identity_emulator::{Emulator, Source};

#[test]
fn the_first_example_of_the_readme_is_this_one() {
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md")).unwrap();
    let (_, code) = include_str!("main.rs").split_once("// README\n").unwrap();
    let (_, first) = readme.split_once("```rust").unwrap();
    let (_, first) = first.split_once('\n').unwrap();
    let (first, _) = first.split_once("```").unwrap();
    assert_eq!(first, code);
}

#[test]
fn it_gets_a_token_of_the_emulator_or_says_why_not() {
    let emulator = Emulator::builder().start_in_background().unwrap();
    let variables = emulator.variables(Source::AppService);
    let output = run(&variables, "");
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{stdout}{stderr}");
    assert!(stdout.contains("ManagedIdentityCredential gave a token until "), "{stdout}");
    assert_eq!(emulator.request_count(Source::AppService), 1);

    let output = run(&variables, "azureclicredential");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{stderr}");
    assert!(stderr.contains("AzureCliCredential: the Azure CLI (az) is not on the PATH"), "{stderr}");
    assert_eq!(emulator.request_count(Source::AppService), 1);
}

/// The example in a process of its own, which has these variables and no others.
fn run(variables: &[(String, String)], chosen: &str) -> Output {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", "tests::inside", "--ignored", "--nocapture"]).env_clear();
    command.envs(variables.iter().cloned()).env(INSIDE, "1").env("AZURE_TOKEN_CREDENTIALS", chosen);
    // Windows starts no program without it.
    command.envs(env::var_os("SYSTEMROOT").map(|root| ("SYSTEMROOT", root)));
    command.output().unwrap()
}

/// Not a test by itself: it does nothing elsewhere.
#[test]
#[ignore = "only another test starts it"]
fn inside() {
    if env::var_os(INSIDE).is_some() {
        super::main().unwrap();
    }
}

const INSIDE: &str = "IDENTITY_EXAMPLE_INSIDE";
