//! The first example of the README is one that runs, and it runs on the emulator.
#![expect(clippy::disallowed_methods, reason = "a file is read and a program started")]
#![expect(clippy::unwrap_used, reason = "a test ends when it is not so")]

use std::{env, fs, path::PathBuf, process::Command};

use identity_emulator::{Emulator, Source};

const EXAMPLE: &str = include_str!("../examples/default_azure_credential.rs");

#[test]
fn the_first_example_of_the_readme_is_this_one() {
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md")).unwrap();
    let (_, code) = EXAMPLE.split_once("// README\n").unwrap();
    let (_, first) = readme.split_once("```rust").unwrap();
    let (_, first) = first.split_once('\n').unwrap();
    let (first, _) = first.split_once("```").unwrap();
    assert_eq!(first, code);
}

#[test]
fn the_first_example_gets_a_token_of_the_emulator() {
    let emulator = Emulator::builder().start_in_background().unwrap();
    let program = examples().join(format!("default_azure_credential{}", env::consts::EXE_SUFFIX));
    let mut command = Command::new(&program);
    command.env_clear().envs(emulator.variables(Source::AppService));
    // Windows starts no program without it.
    command.envs(env::var_os("SYSTEMROOT").map(|root| ("SYSTEMROOT", root)));
    let output = command.output().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{stdout}{stderr}");
    assert!(stdout.starts_with("ManagedIdentityCredential gave a token until "), "{stdout}");
    assert_eq!(emulator.request_count(Source::AppService), 1);

    let output = command.env("AZURE_TOKEN_CREDENTIALS", "azureclicredential").output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && stderr.contains("AzureCliCredential: the Azure CLI (az) is not on the PATH"));
}

/// Where cargo has put the examples of this build.
fn examples() -> PathBuf {
    let mut path = env::current_exe().unwrap();
    path.pop();
    path.pop();
    path.join("examples")
}
