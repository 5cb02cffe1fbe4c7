//! Credentials of Entra ID against an emulator, and what is said when they cannot work.

#[cfg(unix)]
use std::{fs, process::Command};
use std::{io::Write as _, process::Stdio};

use identity_emulator::{
    Answer, CERTIFICATE_CLIENT_ID, Emulator, OTHER_TENANT_ID, Source, TENANT_ID, WEB_CLIENT_ID, WEB_CLIENT_SECRET,
};
use serde_json::{Value, json};

#[cfg(unix)]
use crate::done;
use crate::{CANARY, Done, Files, SCOPE, program, run, token};

/// Must never be seen, but is a secret of an application here.
const OWN_SECRET: &str = "canary-own~secret.of_a_test_application";
const OWN_CLIENT_ID: &str = "7e57ab1e-0000-4000-8000-00000000abcd";

pub(crate) fn emulator() -> Emulator {
    let app = identity_emulator::App::new(OWN_CLIENT_ID).secret(OWN_SECRET);
    Emulator::builder().app(app).start_in_background().unwrap()
}

/// The variables of `source`, less those that are named.
pub(crate) fn variables(emulator: &Emulator, source: Source, without: &[&str]) -> Vec<(String, String)> {
    let mut variables = emulator.variables(source);
    variables.retain(|(name, _)| !without.contains(&name.as_str()));
    variables
}

/// `identity token` for a credential that trusts the emulator's authority.
pub(crate) fn trusting(variables: &[(String, String)], credential: &str, arguments: &[&str]) -> Done {
    let first = ["--credential", credential, "--disable-instance-discovery"];
    token(variables, &[&first[..], arguments].concat())
}

pub(crate) fn parameter(emulator: &Emulator, name: &str) -> Option<String> {
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
        ("workload-identity", "WorkloadIdentityCredential", &[]),
        ("workload-identity", "WorkloadIdentityCredential", &["--enable-azure-proxy"]),
        ("azure-pipelines", "AzurePipelinesCredential", &[]),
        ("github-actions", "GithubActionsCredential", &[]),
        ("on-behalf-of", "OnBehalfOfCredential", &[]),
        ("authorization-code", "AuthorizationCodeCredential", &[]),
        ("username-password", "UsernamePasswordCredential", &[]),
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
fn what_the_emulator_refuses_is_told_as_such() {
    let first = ["token", "--emulator", "--credential", "client-secret", "--scope", SCOPE];
    let done = run(&[&first[..], &["--tenant-id", "nowhere.example"]].concat());
    assert_eq!((done.code, done.stdout.as_str()), (Some(5), ""));
    assert!(
        done.stderr.contains("\n  it said: ")
            && done.stderr.ends_with("\n\nby the emulator, which knows nothing of the real world\n"),
        "{}",
        done.stderr
    );
    let done = run(&[&first[..], &["--tenant-id", ""]].concat());
    assert!(done.code == Some(2) && !done.stderr.contains("by the emulator"), "{}", done.stderr);
}

#[test]
#[cfg(unix)]
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
        (emulator.variables(Source::WorkloadIdentity), "workload-identity"),
        (emulator.variables(Source::AzurePipelines), "azure-pipelines"),
        (emulator.variables(Source::GithubActions), "github-actions"),
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
        ("workload-identity", identity_emulator::FEDERATED_CLIENT_ID, "--token-file-path", &assertion),
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
    let (emulator, files) = (emulator(), Files::new("values"));
    let empty = files.write("empty", "");
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
        (&["--client-secret-file", &empty], "is empty"),
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
fn a_region_has_an_endpoint_of_its_own() {
    let emulator = emulator();
    // No certificate has this name, and most systems do not resolve it.
    let done = trusting(&emulator.variables(Source::Entra), "client-secret", &["-v", "--region", "westus2"]);
    assert_eq!(done.code, Some(6), "{}", done.stderr);
    assert!(done.stderr.contains("url=https://westus2.localhost:"), "{}", done.stderr);
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
        ("workload-identity", &["--token-file-path, or the variable AZURE_FEDERATED_TOKEN_FILE"]),
        ("github-actions", &[]),
        (
            "on-behalf-of",
            &[
                "--user-assertion-file, or the variable IDENTITY_USER_ASSERTION_FILE",
                "--client-secret-file, --certificate-path, --assertion-file, or the variable AZURE_CLIENT_SECRET",
            ],
        ),
        (
            "authorization-code",
            &[
                "--code-file, or the variable IDENTITY_CODE_FILE",
                "--redirect-uri, or the variable IDENTITY_REDIRECT_URI",
            ],
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
    let done = token(&[], &["--credential", "azure-pipelines"]);
    for part in [
        "\n  --tenant-id, or the variable AZURESUBSCRIPTION_TENANT_ID or AZURE_TENANT_ID\n",
        "\n  --client-id, or the variable AZURESUBSCRIPTION_CLIENT_ID or AZURE_CLIENT_ID\n",
        "\n  --service-connection-id, or the variable AZURESUBSCRIPTION_SERVICE_CONNECTION_ID\n",
        "\n  --system-access-token-file, or the variable SYSTEM_ACCESSTOKEN\n",
    ] {
        assert!(done.stderr.contains(part), "{part} in\n{}", done.stderr);
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
