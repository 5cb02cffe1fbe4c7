//! Runs that end with a token.

use std::process::Stdio;

use identity_emulator::{Answer, BLUE_CLIENT_ID, BLUE_OBJECT_ID, BLUE_RESOURCE_ID, Source};
use serde_json::Value;

use crate::{CANARY, SCOPE, answering, done, program, run, token};

#[test]
fn text_says_who_for_what_and_until_when_but_not_the_token() {
    let done = run(&["token", "--emulator", "--scope", SCOPE]);
    assert_eq!((done.code, done.stderr.as_str()), (Some(0), ""));
    for part in [
        "ManagedIdentityCredential got a token from App Service\nby the emulator",
        "\n  for         https://storage.azure.com\n",
        " UTC, in 23 h 59 min\n",
        "\n  client id   7e57ab1e-0000-4000-8000-0000000000c0\n",
        "\n  object id   7e57ab1e-0000-4000-8000-0000000000d0\n",
        "\n  xms_mirid   /subscriptions/",
    ] {
        assert!(done.stdout.contains(part), "{part} in\n{}", done.stdout);
    }
    assert!(!done.stdout.contains("eyJ"));
}

#[test]
fn json_has_the_promised_fields() {
    let done = run(&["token", "--emulator", "--scope", SCOPE, "--output", "json"]);
    assert_eq!((done.code, done.stderr.as_str(), done.stdout.lines().count()), (Some(0), "", 1));
    let object: Value = serde_json::from_str(&done.stdout).unwrap();
    let (expires, refresh) = (object["expires_on"].as_u64().unwrap(), object["refresh_on"].as_u64().unwrap());
    assert_eq!(object["claims"]["exp"].as_u64().unwrap().abs_diff(expires), 0);
    assert!(refresh < expires);
    assert_eq!(object["token"].as_str().unwrap().split('.').count(), 3);
    assert_eq!((&object["token_type"], &object["emulator"]), (&Value::from("Bearer"), &Value::from(true)));
    assert_eq!(
        (&object["credential"], &object["source"]),
        (&"ManagedIdentityCredential".into(), &"App Service".into())
    );
}

#[test]
fn token_and_header_are_one_line_for_other_programs() {
    let (_emulator, variables) = answering(Source::AppService, Answer::real());
    let alone = token(&variables, &["-o", "token"]).stdout;
    let header = token(&variables, &["-o", "header"]).stdout;
    assert!(alone.starts_with("eyJ") && alone.trim_end().split('.').count() == 3 && alone.lines().count() == 1);
    assert!(header.starts_with("Authorization: Bearer eyJ") && header.lines().count() == 1);
}

#[test]
fn every_source_of_the_emulator_answers() {
    // Azure Arc writes to a directory that takes root; the emulator's own tests have it.
    for source in ["imds", "app-service", "service-fabric", "azure-ml", "cloud-shell"] {
        for credential in ["default", "managed-identity"] {
            let arguments = ["token", "--emulator", "--emulator-source", source, "--credential", credential];
            let done = run(&[&arguments[..], &["--scope", SCOPE]].concat());
            assert_eq!(done.code, Some(0), "{source}: {}", done.stderr);
        }
    }
}

#[test]
fn the_variables_of_an_application_are_a_credential_of_their_own() {
    let done = run(&["token", "--emulator", "--credential", "environment", "--scope", SCOPE, "-o", "json"]);
    let object: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!((done.code, &object["credential"]), (Some(0), &"ClientSecretCredential".into()), "{}", done.stderr);
    // It is no chain.
    assert_eq!((object.get("chain"), object.get("link")), (None, None));
}

#[test]
fn each_id_chooses_the_same_identity() {
    for (flag, id) in
        [("--client-id", BLUE_CLIENT_ID), ("--object-id", BLUE_OBJECT_ID), ("--resource-id", BLUE_RESOURCE_ID)]
    {
        let done = run(&["token", "--emulator", "--scope", SCOPE, flag, id]);
        assert!(done.stdout.contains(&format!("client id   {BLUE_CLIENT_ID}")), "{flag}: {}", done.all());
    }
}

#[test]
fn request_options_are_accepted() {
    let (emulator, variables) = answering(Source::AppService, Answer::real());
    let arguments = ["--claims", r#"{"access_token":{}}"#, "--enable-cae", "--request-tenant-id", "organizations"];
    assert_eq!(token(&variables, &arguments).code, Some(0));
    assert_eq!(emulator.request_count(Source::AppService), 1);
}

#[test]
fn the_emulator_of_a_run_hides_the_real_variables() {
    let (emulator, variables) = answering(Source::AppService, Answer::real());
    let done = token(&variables, &["--emulator", "--emulator-source", "azure-ml"]);
    assert!(done.stdout.contains("from Azure ML"), "{}", done.all());
    assert_eq!(emulator.request_count(None), 0, "the real endpoint was asked");
}

#[test]
fn verbose_tells_what_is_tried_on_standard_error_only() {
    let (_emulator, variables) = answering(Source::AppService, Answer::real());
    let done = token(&variables, &["--verbose", "--output", "json"]);
    assert_eq!(done.code, Some(0));
    serde_json::from_str::<Value>(&done.stdout).unwrap();
    for part in [
        "source chosen  source=App Service",
        "HTTP  method=GET",
        "status=200",
        "token acquired  chain=DefaultAzureCredential",
    ] {
        assert!(done.stderr.contains(part), "{part} in\n{}", done.stderr);
    }
    assert!(!done.stderr.contains("eyJ") && !done.stderr.contains(CANARY));
    assert_eq!(done.stderr.matches("source chosen").count(), 1, "{}", done.stderr);
}

#[test]
fn nobody_who_reads_is_no_reason_to_panic() {
    let mut child = program()
        .args(["token", "--emulator", "--scope", SCOPE])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
}

#[test]
fn help_and_version_are_there() {
    let version = run(&["--version"]);
    assert_eq!(
        (version.code, version.stdout.as_str()),
        (Some(0), concat!("identity ", env!("CARGO_PKG_VERSION"), "\n"))
    );
    for arguments in [&["--help"][..], &["token", "--help"], &["diagnose", "--help"], &["emulator", "--help"]] {
        let done = run(arguments);
        assert!(done.code == Some(0) && done.stdout.contains("Examples:"), "{arguments:?}");
    }
    assert!(run(&["token", "-h"]).stdout.contains("Exit codes:"));
}

#[test]
fn help_fits_the_terminal() {
    for (columns, command) in
        [60, 100].into_iter().flat_map(|columns| ["token", "diagnose", "emulator"].map(|name| (columns, name)))
    {
        let done = done(program().args([command, "-h"]).env("COLUMNS", columns.to_string()));
        let options = done.stdout.split("Exit codes:").next().unwrap().split("Examples:").next().unwrap();
        let longest = options.lines().max_by_key(|line| line.chars().count()).unwrap();
        assert!(longest.chars().count() <= columns, "{longest}");
        // Commands are not broken: they are there to be copied.
        assert!(done.stdout.lines().all(|line| line.chars().count() <= 80.max(columns)), "{}", done.stdout);
    }
}
