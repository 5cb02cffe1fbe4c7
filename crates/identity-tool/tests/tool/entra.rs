//! Credentials of Entra ID against an emulator, and what is said when they cannot work.

use std::{
    fs,
    io::Write as _,
    process::{Command, Stdio},
};

use identity_emulator::{
    Answer, CERTIFICATE_CLIENT_ID, Emulator, OTHER_TENANT_ID, Source, TENANT_ID, WEB_CLIENT_ID, WEB_CLIENT_SECRET,
};
use serde_json::{Value, json};

use crate::{CANARY, Done, Files, SCOPE, done, program, run, token};

/// Must never be seen, but is a secret of an application here.
const OWN_SECRET: &str = "canary-own~secret.of_a_test_application";
const OWN_CLIENT_ID: &str = "7e57ab1e-0000-4000-8000-00000000abcd";

fn emulator() -> Emulator {
    let app = identity_emulator::App::new(OWN_CLIENT_ID).secret(OWN_SECRET);
    Emulator::builder().app(app).start_in_background().unwrap()
}

/// The variables of `source`, less those that are named.
fn variables(emulator: &Emulator, source: Source, without: &[&str]) -> Vec<(String, String)> {
    let mut variables = emulator.variables(source);
    variables.retain(|(name, _)| !without.contains(&name.as_str()));
    variables
}

/// `identity token` for a credential that trusts the emulator's authority.
fn trusting(variables: &[(String, String)], credential: &str, arguments: &[&str]) -> Done {
    let first = ["--credential", credential, "--disable-instance-discovery"];
    token(variables, &[&first[..], arguments].concat())
}

fn parameter(emulator: &Emulator, name: &str) -> Option<String> {
    let requests = emulator.requests();
    let request = requests.iter().rev().find(|request| request.source() == Source::Entra).unwrap();
    let body = String::from_utf8(request.body().to_vec()).unwrap();
    body.split('&').find_map(|pair| pair.strip_prefix(&format!("{name}=")).map(str::to_owned))
}

#[test]
fn every_credential_works_on_any_machine_with_no_other_option() {
    for (credential, name, more) in [
        ("client-secret", "ClientSecretCredential", &[][..]),
        ("certificate", "CertificateCredential", &[]),
        ("client-certificate", "CertificateCredential", &["--send-certificate-chain"]),
        ("client-assertion", "ClientAssertionCredential", &[]),
        ("client-assertion", "ClientAssertionCredential", &["--assertion-from", "managed-identity"]),
    ] {
        let arguments = ["token", "--emulator", "--scope", SCOPE, "--credential", credential];
        let done = run(&[&arguments[..], more].concat());
        assert_eq!((done.code, done.stderr.as_str()), (Some(0), ""), "{credential} {more:?}");
        for part in [
            &format!("{name} got a token\nby the emulator")[..],
            "\n  for         https://storage.azure.com\n",
            "\n  client id   7e57ab1e-",
            &format!("\n  tenant      {TENANT_ID}\n"),
        ] {
            assert!(done.stdout.contains(part), "{part} in\n{}", done.stdout);
        }
    }
}

#[test]
fn a_run_of_the_emulator_leaves_no_file_behind() {
    let files = Files::new("clean");
    let arguments = ["token", "--emulator", "--credential", "certificate", "--scope", SCOPE];
    for (output, code) in [("json", 0), ("text", 0)] {
        let done = done(program().args(arguments).args(["-o", output]).env("TMPDIR", &files.0));
        assert_eq!(done.code, Some(code), "{}", done.stderr);
    }
    assert_eq!(fs::read_dir(&files.0).unwrap().count(), 0);
}

#[test]
fn variables_alone_are_enough() {
    let emulator = emulator();
    for (variables, credential) in [
        (emulator.variables(Source::Entra), "client-secret"),
        (emulator.certificate_variables(), "certificate"),
        (emulator.variables(Source::WorkloadIdentity), "client-assertion"),
    ] {
        let done = trusting(&variables, credential, &["-o", "token"]);
        assert_eq!((done.code, done.stderr.as_str()), (Some(0), ""), "{credential}");
        assert!(done.stdout.starts_with("eyJ"));
    }
}

#[test]
fn options_alone_are_enough_and_come_before_variables() {
    let (emulator, files) = (emulator(), Files::new("options"));
    let (authority, ca) = (emulator.authority(), emulator.ca_path().display().to_string());
    let secret = files.write("secret", &format!("{WEB_CLIENT_SECRET}\n"));
    let certificate = emulator.client_certificate_path().display().to_string();
    let assertion = emulator
        .kubernetes_token(
            identity_emulator::KUBERNETES_SUBJECT,
            "api://AzureADTokenExchange",
            std::time::Duration::from_secs(600),
        )
        .unwrap();
    let assertion = files.write("assertion", &format!("\n{assertion}\n"));
    let wrong: Vec<_> = [
        "AZURE_TENANT_ID",
        "AZURE_CLIENT_ID",
        "AZURE_CLIENT_SECRET",
        "AZURE_CLIENT_CERTIFICATE_PATH",
        "AZURE_FEDERATED_TOKEN_FILE",
        "AZURE_AUTHORITY_HOST",
    ]
    .map(|name| (name.to_owned(), "wrong.example".to_owned()))
    .into();
    for (credential, client, flag, file) in [
        ("client-secret", WEB_CLIENT_ID, "--client-secret-file", &secret),
        ("certificate", CERTIFICATE_CLIENT_ID, "--certificate-path", &certificate),
        ("client-assertion", identity_emulator::FEDERATED_CLIENT_ID, "--assertion-file", &assertion),
    ] {
        let mut arguments = vec!["--authority", &authority, "--ca-file", &ca, "--tenant-id", TENANT_ID];
        arguments.extend(["--client-id", client, flag, file, "-v"]);
        for variables in [&[][..], &wrong] {
            let done = trusting(variables, credential, &arguments);
            assert_eq!(done.code, Some(0), "{credential}: {}", done.stderr);
            assert!(!done.all().contains(WEB_CLIENT_SECRET) && !done.all().contains("eyJ"), "{}", done.all());
        }
    }
}

#[test]
fn a_secret_may_come_through_a_pipe() {
    let emulator = emulator();
    let variables = variables(&emulator, Source::Entra, &["AZURE_CLIENT_SECRET"]);
    let mut child = program()
        .args(["token", "--credential", "client-secret", "--client-secret-file", "-", "--disable-instance-discovery"])
        .args(["--scope", SCOPE, "-o", "header"])
        .envs(variables)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    writeln!(child.stdin.take().unwrap(), "{WEB_CLIENT_SECRET}").unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success() && output.stdout.starts_with(b"Authorization: Bearer eyJ"));
}

#[test]
fn options_of_a_request_reach_the_service() {
    let emulator = emulator();
    let variables = emulator.variables(Source::Entra);
    let everything = [
        "--additionally-allowed-tenant",
        "example.org",
        "--additionally-allowed-tenant",
        OTHER_TENANT_ID,
        "--request-tenant-id",
        OTHER_TENANT_ID,
        "--claims",
        r#"{"access_token":{"nbf":{"essential":true,"value":"1"}}}"#,
        "--enable-cae",
        "--require-granted-scopes",
        "--failure-memory",
        "1s",
        "--cache-capacity",
        "1",
        "--max-in-flight",
        "1",
        "--no-proxy",
        "--roots",
        "system",
    ];
    let done = trusting(&variables, "client-secret", &everything);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert!(done.stdout.contains(&format!("\n  tenant      {OTHER_TENANT_ID}\n")), "{}", done.stdout);
    let claims = parameter(&emulator, "claims").unwrap();
    assert!(claims.contains("CP1") && claims.contains("nbf"), "{claims}");
}

#[test]
fn values_that_cannot_work_are_2_and_nothing_is_sent() {
    let emulator = emulator();
    let variables = emulator.variables(Source::Entra);
    for (arguments, part) in [
        (&["--tenant-id", ""][..], "tenant"),
        (&["--tenant-id", "a/b"], "tenant"),
        (&["--client-id", "a b"], "client id"),
        (&["--authority", "http://localhost"], "https"),
        (&["--region", "WEST"], "region"),
        (&["--cache-capacity", "0"], "capacity"),
        (&["--failure-memory", "61s"], "failure memory"),
        (&["--request-tenant-id", OTHER_TENANT_ID], "on this command line: --additionally-allowed-tenant\n"),
        (&["--claims", "no"], "claims"),
        (&["--ca-file", "/nowhere/ca.pem"], "/nowhere/ca.pem"),
        (&["--proxy", "socks5://127.0.0.1:1"], "SOCKS"),
        (&["--proxy", "nonsense://x"], "http://"),
        (&["--client-secret-file", "/nowhere/secret"], "--client-secret-file /nowhere/secret"),
        (&["--client-secret-file", "/dev/null"], "is empty"),
    ] {
        let done = trusting(&variables, "client-secret", arguments);
        assert_eq!((done.code, done.stdout.as_str()), (Some(2), ""), "{arguments:?}: {}", done.stderr);
        assert!(done.stderr.contains(part), "{part} in\n{}", done.stderr);
        assert!(!done.stderr.contains("--emulator"), "{}", done.stderr);
    }
    assert_eq!(emulator.request_count(None), 0);
}

#[test]
fn roots_and_proxies_are_those_of_the_options() {
    let emulator = emulator();
    let entra = emulator.variables(Source::Entra);
    // The emulator's root is none of Mozilla's.
    let done = trusting(&entra, "client-secret", &["--roots", "webpki"]);
    assert_eq!(done.code, Some(6), "{}", done.stderr);
    let ca = emulator.ca_path().display().to_string();
    assert_eq!(trusting(&entra, "client-secret", &["--roots", "webpki", "--ca-file", &ca]).code, Some(0));
    // Nobody listens at port 9.
    let mut proxied = entra.clone();
    proxied.push(("HTTPS_PROXY".to_owned(), "http://127.0.0.1:9".to_owned()));
    assert_eq!(trusting(&proxied, "client-secret", &["--no-proxy"]).code, Some(0));
    proxied.push(("NO_PROXY".to_owned(), "localhost".to_owned()));
    assert_eq!(trusting(&proxied, "client-secret", &[]).code, Some(0));
    let without_root = variables(&emulator, Source::Entra, &["SSL_CERT_FILE"]);
    assert_eq!(trusting(&without_root, "client-secret", &[]).code, Some(6));
}

#[test]
fn everything_that_is_missing_is_named_with_its_variable() {
    for (credential, parts) in [
        ("client-secret", &["--client-secret-file, or the variable AZURE_CLIENT_SECRET"][..]),
        ("certificate", &["--certificate-path, or the variable AZURE_CLIENT_CERTIFICATE_PATH"]),
        (
            "client-assertion",
            &["--assertion-from, needs", "--assertion-file, or the variable AZURE_FEDERATED_TOKEN_FILE"],
        ),
    ] {
        let done = token(&[("AZURE_CLIENT_ID".to_owned(), String::new())], &["--credential", credential]);
        assert_eq!((done.code, done.stdout.as_str()), (Some(2), ""), "{credential}");
        let common = [
            " needs more:\n",
            "\n  --tenant-id, or the variable AZURE_TENANT_ID\n",
            "\n  --client-id, or the variable AZURE_CLIENT_ID\n",
            &format!("identity token --emulator --credential {credential} --scope {SCOPE}\n"),
        ];
        for part in common.iter().chain(parts) {
            assert!(done.stderr.contains(part), "{part} in\n{}", done.stderr);
        }
    }
    let done = token(&[], &["--credential", "client-secret", "-o", "json"]);
    let object: Value = serde_json::from_str(&done.stderr).unwrap();
    assert_eq!(object["kind"], "InvalidArgument");
}

#[test]
fn a_refusal_has_its_codes_its_ids_and_what_to_do() {
    let emulator = emulator();
    let files = Files::new("refusal");
    let secret = files.write("secret", CANARY);
    let variables = emulator.variables(Source::Entra);
    let done = trusting(&variables, "client-secret", &["-v", "--client-secret-file", &secret]);
    assert_eq!((done.code, done.stdout.as_str()), (Some(5), ""));
    for part in [
        "error: ClientSecretCredential: ",
        "the client secret is wrong",
        "HTTP 401, AADSTS7000215, correlation id ",
        "trace id ",
    ] {
        assert!(done.stderr.contains(part), "{part} in\n{}", done.stderr);
    }
    assert!(!done.stderr.contains(CANARY));
    let done = trusting(&variables, "client-secret", &["-o", "json", "--client-secret-file", &secret]);
    let object: Value = serde_json::from_str(&done.stderr).unwrap();
    assert_eq!((&object["kind"], &object["http_status"]), (&json!("AuthenticationFailed"), &json!(401)));
    assert_eq!(object["entra_codes"], json!([7_000_215]));
    assert_eq!(object["credential"], "ClientSecretCredential");
    for id in ["correlation_id", "trace_id"] {
        assert_eq!(object[id].as_str().map(str::len), Some(36), "{id} of {object}");
    }
}

#[test]
fn each_way_to_fail_has_its_exit_code_and_hides_every_secret() {
    let emulator = emulator();
    let mut variables = variables(&emulator, Source::Entra, &["AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET"]);
    for (name, value) in [("AZURE_CLIENT_ID", OWN_CLIENT_ID), ("AZURE_CLIENT_SECRET", OWN_SECRET)] {
        variables.push((name.to_owned(), value.to_owned()));
    }
    assert_eq!(trusting(&variables, "client-secret", &["-v"]).code, Some(0));
    let echo = format!(r#"{{"error":"e","error_description":"AADSTS7000215: {OWN_SECRET} \u001b[2J"}}"#);
    for (answer, code) in [
        (Answer::status(401).with_body(&echo), 5),
        (Answer::status(429).with_header("Retry-After", "120").with_body(&echo), 6),
        (Answer::redirect(302, format!("https://localhost:9/{OWN_SECRET}")), 7),
        (Answer::captive_portal(), 7),
    ] {
        emulator.faults().always(Source::Entra, answer);
        for more in [&["-v"][..], &["-v", "-o", "json"]] {
            let done = trusting(&variables, "client-secret", more);
            assert_eq!((done.code, done.stdout.as_str()), (Some(code), ""), "{}", done.stderr);
            assert!(!done.stderr.contains("canary"), "{}", done.stderr);
        }
    }
}

#[test]
fn an_assertion_is_read_anew_and_judged() {
    let (emulator, files) = (emulator(), Files::new("assertion"));
    let variables = variables(&emulator, Source::WorkloadIdentity, &["AZURE_FEDERATED_TOKEN_FILE"]);
    let missing = files.path("missing");
    for (path, code, part) in [
        (files.write("empty", " \n"), 2, "it is empty"),
        (files.write("lines", "a\nb"), 2, "a character that no token has"),
        (missing, 2, "caused by: No such file"),
        (files.write("foreign", "a.b.c"), 5, "AADSTS50027"),
    ] {
        let done = trusting(&variables, "client-assertion", &["--assertion-file", &path]);
        assert_eq!(done.code, Some(code), "{path}: {}", done.stderr);
        assert!(done.stderr.contains(part), "{part} in\n{}", done.stderr);
    }
}

#[test]
fn a_managed_identity_may_be_the_assertion() {
    let emulator = emulator();
    let mut variables = variables(&emulator, Source::WorkloadIdentity, &["AZURE_FEDERATED_TOKEN_FILE"]);
    variables.extend(emulator.variables(Source::AppService));
    let from = ["--assertion-from", "managed-identity"];
    for more in [
        &[][..],
        &["--assertion-client-id", identity_emulator::BLUE_CLIENT_ID],
        &["--assertion-object-id", identity_emulator::BLUE_OBJECT_ID],
        &["--assertion-resource-id", identity_emulator::BLUE_RESOURCE_ID],
        &["--assertion-scope", "api://AzureADTokenExchange/.default"],
    ] {
        let done = trusting(&variables, "client-assertion", &[&from[..], more].concat());
        assert_eq!(done.code, Some(0), "{more:?}: {}", done.stderr);
    }
    let done = trusting(&variables, "client-assertion", &[&from[..], &["--assertion-scope", SCOPE]].concat());
    assert_eq!(done.code, Some(5), "a token for storage is no assertion: {}", done.stderr);
    // Without a managed identity, where one was looked for is told.
    variables.retain(|(name, _)| name != "IDENTITY_HEADER");
    let done = trusting(&variables, "client-assertion", &from);
    assert_eq!(done.code, Some(3), "{}", done.stderr);
    assert!(done.stderr.contains("where a managed identity was looked for"), "{}", done.stderr);
}

#[test]
fn an_authority_that_nobody_can_be_asked_about_names_the_flag() {
    let emulator = emulator();
    let mut variables = emulator.variables(Source::Entra);
    variables.push(("HTTPS_PROXY".to_owned(), "http://127.0.0.1:9".to_owned()));
    let done = token(&variables, &["--credential", "client-secret"]);
    assert_eq!(done.code, Some(6), "{}", done.stderr);
    assert!(done.stderr.contains("such as an emulator's: --disable-instance-discovery\n"), "{}", done.stderr);
    assert_eq!(emulator.request_count(None), 0);
}

#[test]
fn a_certificate_file_is_judged_before_anything_is_sent() {
    let (emulator, files) = (emulator(), Files::new("certificate"));
    let variables = emulator.certificate_variables();
    let good = fs::read_to_string(emulator.client_certificate_path()).unwrap();
    let encrypted = good.replace(" PRIVATE KEY", " ENCRYPTED PRIVATE KEY");
    let password = files.write("password", CANARY);
    for (path, part) in [
        (files.write("empty", ""), "it is empty"),
        (files.write("no-key", identity_emulator::TEST_CERTIFICATE_PEM), "private key"),
        (files.write("encrypted", &encrypted), "encrypted"),
        ("/nowhere".to_owned(), "the certificate file /nowhere"),
    ] {
        let arguments = ["-v", "--certificate-path", &path, "--certificate-password-file", &password];
        let done = trusting(&variables, "certificate", &arguments);
        assert_eq!((done.code, done.stdout.as_str()), (Some(2), ""), "{path}: {}", done.stderr);
        assert!(done.stderr.contains(part) && !done.stderr.contains(CANARY), "{part} in\n{}", done.stderr);
    }
    assert_eq!(emulator.request_count(None), 0);
}

#[test]
fn the_certificate_chain_is_sent_if_the_option_or_the_variable_says_so() {
    let emulator = emulator();
    let plain = emulator.certificate_variables();
    let with = |value: &str| {
        let variable = ("AZURE_CLIENT_SEND_CERTIFICATE_CHAIN".to_owned(), value.to_owned());
        plain.iter().cloned().chain([variable]).collect::<Vec<_>>()
    };
    for (variables, arguments, expected) in [
        (plain.clone(), &[][..], false),
        (plain.clone(), &["--send-certificate-chain"], true),
        (with("true"), &[], true),
        (with("1"), &[], true),
        (with("false"), &[], false),
    ] {
        assert_eq!(trusting(&variables, "certificate", arguments).code, Some(0));
        let assertion = parameter(&emulator, "client_assertion").unwrap();
        // "x5c" in the header; a chain of certificates takes more than a thousand letters.
        assert_eq!(assertion.split('.').next().unwrap().len() > 1000, expected, "{assertion}");
    }
}

#[test]
#[cfg(unix)]
fn ctrl_c_ends_a_run_of_the_emulator_and_its_files() {
    let files = Files::new("interrupt");
    // It waits for a region that nobody tells, so that there is time.
    let mut child = program()
        .args([
            "token",
            "--emulator",
            "--credential",
            "client-secret",
            "--scope",
            SCOPE,
            "--proxy",
            "http://192.0.2.1:9",
        ])
        .env("TMPDIR", &files.0)
        .stderr(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let made = || fs::read_dir(&files.0).unwrap().count();
    while made() == 0 && child.try_wait().unwrap().is_none() {
        std::thread::yield_now();
    }
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    let status = child.wait().unwrap();
    assert_eq!((status.code(), made()), (Some(130), 0));
}
