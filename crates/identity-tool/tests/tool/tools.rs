//! Credentials of tools, with scripts in their places.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant, SystemTime},
};

use crate::{Done, Files, SCOPE, done, program, run};

/// A folder with this script as `name`.
pub(crate) fn tool(test: &str, name: &str, script: &str) -> Files {
    let files = Files::new(test);
    let path = files.write(name, &format!("#!/bin/sh\n# Stands in for {name}.\n{script}\n"));
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    files
}

fn command(files: &Files, arguments: &[&str]) -> Command {
    let mut command = program();
    command.args(["token", "--scope", SCOPE]).args(arguments);
    command.env("PATH", format!("{}:/usr/bin:/bin", files.0.display())).env("HOME", &files.0);
    command
}

fn token(files: &Files, arguments: &[&str]) -> Done {
    done(&mut command(files, arguments))
}

/// What `az` prints for a token that lives an hour.
fn answer() -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    format!(r#"{{"accessToken":"a.b.c","expires_on":{},"tokenType":"Bearer"}}"#, now + 3600)
}

#[test]
fn whoever_is_signed_in_to_a_tool_gets_a_token() {
    let script = format!("echo \"$@\" > \"$HOME/args\"; echo '{}'", answer());
    let files = tool("az", "az", &script);
    let done = token(
        &files,
        &["--credential", "azure-cli", "--subscription", "My One", "--process-timeout", "20s", "-o", "json"],
    );
    assert_eq!((done.code, done.stderr.as_str()), (Some(0), ""));
    let token: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!((&token["token"], &token["credential"]), (&"a.b.c".into(), &"AzureCliCredential".into()));
    let args = fs::read_to_string(files.path("args")).unwrap();
    assert_eq!(
        args,
        "account get-access-token --output json --resource https://storage.azure.com --subscription My One\n"
    );

    let files = tool("azd", "azd", "echo '{\"token\":\"a.b.c\",\"expiresOn\":\"2099-01-01T00:00:00Z\"}'");
    let done = token_of(&files, "azure-developer-cli");
    assert_eq!((done.code, done.stdout.as_str()), (Some(0), "a.b.c\n"), "{}", done.stderr);
    let files = tool("pwsh", "pwsh", "echo 'azsdk%a.b.c%4070908800'");
    let done = token_of(&files, "azure-powershell");
    assert_eq!((done.code, done.stdout.as_str()), (Some(0), "a.b.c\n"), "{}", done.stderr);
}

fn token_of(files: &Files, credential: &str) -> Done {
    token(files, &["--credential", credential, "-o", "token"])
}

#[test]
fn who_is_not_signed_in_is_told_what_to_type() {
    let files = tool("az-out", "az", "echo \"ERROR: Please run 'az login' to setup account.\" >&2; exit 1");
    let done = token_of(&files, "azure-cli");
    assert_eq!((done.code, done.stdout.as_str()), (Some(5), ""));
    assert!(done.stderr.contains("nobody is signed in to the Azure CLI (az); run `az login`"), "{}", done.stderr);
    // What does not help is not recommended.
    assert!(!done.stderr.contains("--emulator"), "{}", done.stderr);
    for (credential, words) in
        [("azure-developer-cli", "https://aka.ms/azd"), ("azure-powershell", "https://aka.ms/azps")]
    {
        let done = token_of(&files, credential);
        assert_eq!(done.code, Some(3), "{credential}");
        assert!(done.stderr.contains("is not on the PATH") && done.stderr.contains(words), "{}", done.stderr);
    }
}

#[test]
fn options_that_do_nothing_for_a_tool_are_refused() {
    for (credential, arguments, part) in [
        ("azure-cli", &["--client-id", "x"][..], "--client-id does nothing for azure-cli"),
        ("azure-cli", &["--authority", "login.microsoftonline.us"], "--authority does nothing for azure-cli"),
        ("azure-powershell", &["--proxy", "http://p:1"], "--proxy does nothing for azure-powershell"),
        ("azure-developer-cli", &["--subscription", "x"], "it goes with --credential azure-cli\n"),
        ("client-secret", &["--process-timeout", "1s"], "azure-cli, azure-developer-cli or azure-powershell\n"),
        ("azure-cli", &["--emulator"], "--emulator has no stand-in for the tool"),
    ] {
        let done = run(&[&["token", "--scope", SCOPE, "--credential", credential], arguments].concat());
        assert_eq!((done.code, done.stdout.as_str()), (Some(2), ""), "{arguments:?}");
        assert!(done.stderr.contains(part), "{part} in\n{}", done.stderr);
    }
    let files = Files::new("az-wrong");
    for (arguments, part) in [
        (&["--subscription", "x", "--tenant-id", "y"][..], "`az` takes one of them"),
        (&["--subscription=--only-show-errors"], "the subscription is"),
        (&["--tenant-id=--debug"], "is not a tenant id"),
        (&["--process-timeout", "91s"], "at most 90 s"),
    ] {
        let done = token(&files, &[&["--credential", "azure-cli"], arguments].concat());
        assert_eq!((done.code, done.stdout.as_str()), (Some(2), ""), "{arguments:?}");
        assert!(done.stderr.contains(part), "{part} in\n{}", done.stderr);
    }
}

#[test]
fn a_tool_that_hangs_does_not_outlive_its_time_nor_the_command() {
    let hangs = "echo $$ > \"$HOME/pid\"; sleep 600 & wait";
    let files = tool("az-hangs", "az", hangs);
    let done = token(&files, &["--credential", "azure-cli", "--process-timeout", "300ms"]);
    assert_eq!(done.code, Some(6), "{}", done.stderr);
    assert!(done.stderr.contains("was not done within 300ms"), "{}", done.stderr);
    gone(&files);

    // Ctrl-C in a terminal.
    fs::remove_file(files.path("pid")).unwrap();
    let mut command = command(&files, &["--credential", "azure-cli", "--process-timeout", "90s"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let start = Instant::now();
    while fs::read_to_string(files.path("pid")).is_ok_and(|pid| pid.ends_with('\n')).then_some(()).is_none() {
        assert!(start.elapsed() < Duration::from_secs(10), "it never starts");
        thread::sleep(Duration::from_millis(10));
    }
    Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    gone(&files);
}

/// Waits until the script and what it started are gone; whoever collects orphans on this machine may take a while.
pub(crate) fn gone(files: &Files) {
    let group = fs::read_to_string(files.path("pid")).unwrap();
    let start = Instant::now();
    // The whole group: signal 0 only asks.
    while Command::new("kill")
        .args(["-0", "--", &format!("-{}", group.trim())])
        .stderr(Stdio::null())
        .status()
        .unwrap()
        .success()
    {
        assert!(start.elapsed() < Duration::from_secs(10), "group {group} is there");
        thread::sleep(Duration::from_millis(10));
    }
}
