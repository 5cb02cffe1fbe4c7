//! Runs that end without a token: each exit code, and what is said.

use std::time::Instant;

use identity_emulator::{Answer, BLUE_CLIENT_ID, BLUE_OBJECT_ID, Source};
use serde_json::{Value, json};

use crate::{CANARY, Files, SCOPE, SOON, answering, run, token};

fn variable(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

#[test]
fn a_wrong_command_line_is_2_and_says_what_there_is() {
    for (arguments, part) in [
        (&["token"][..], "--scope"),
        (&["token", "--scope", SCOPE, "--credential", "visual-studio-code"], "managed-identity"),
        (&["token", "--scope", SCOPE, "--credential", "managed-identify"], "similar value exists: 'managed-identity'"),
        (&["token", "--scope", SCOPE, "--client-id", "a", "--object-id", "b"], "cannot be used with"),
        (&["token", "--scope", SCOPE, "--emulator-source", "imds"], "--emulator"),
        (&["token", "--scope", SCOPE, "--emulator", "--emulator-source", "vm"], "cloud-shell"),
        (&["token", "--scope", SCOPE, "--output", "yaml"], "header"),
        (&["emulator", "--port", "1"], "--source"),
        (&["emulator", "--latency", "2"], "ms, s, m or h"),
        (&["emulator", "--fail", "99"], "200..=599"),
        (&["emulator", "--fail", "503", "--throttle", "1s"], "cannot be used with"),
        (&["emulator", "--imds-address", "10.0.0.1:80"], "neither a loopback address nor 169.254.169.254"),
        (&["emulator", "--throttle", "999ms"], "at least 1s"),
        (&["emulator", "--lifetime", "0s"], "at least 1s"),
        (&["emulator", "--allow-resource", ""], "the resource \"\" must"),
        (&["emulator", "--allow-resource", "api://a b"], "the resource \"api://a b\" must"),
        (&["emulator", "--source", "imds", "--port", "1", "--imds-address", "127.0.0.1:2"], "give one of them"),
        (&["emulator", "--source", "vm"], "certificate"),
        (&["token", "--scope", SCOPE, "--roots", "none"], "webpki"),
        (&["emulator", "--write-directory", "x", "--source", "imds"], "cannot be used with"),
        (&["login"], "login"),
    ] {
        let done = run(arguments);
        assert_eq!((done.code, done.stdout.as_str()), (Some(2), ""), "{arguments:?}");
        assert!(done.stderr.contains(part), "{part} in\n{}", done.stderr);
    }
}

#[test]
fn an_option_that_does_nothing_is_2_and_says_who_takes_it() {
    let entra = "it goes with --credential environment, client-secret, certificate";
    let tenants = "it goes with --credential client-secret, certificate";
    for (credential, arguments, part) in [
        ("default", &["--tenant-id", "t"][..], tenants),
        ("default", &["--region", "westus2"], entra),
        ("default", &["--no-cache"], "--credential azure-cli, azure-developer-cli or azure-powershell\n"),
        ("default", &["--exclude", "broker", "--include", "broker"], "--exclude and --include both name broker"),
        ("default", &["--emulator", "--process-timeout", "1s"], "--emulator, whose world has no tools"),
        ("managed-identity", &["--exclude", "broker"], "it goes with --credential default\n"),
        ("environment", &["--require-envvar"], "it goes with --credential default\n"),
        ("environment", &["--workload-identity-client-id", "x"], "it goes with --credential default\n"),
        ("environment", &["--client-id", "x"], "--credential managed-identity, client-secret"),
        ("environment", &["--tenant-id", "x"], tenants),
        ("environment", &["--process-timeout", "1s"], "azure-cli, azure-developer-cli or azure-powershell\n"),
        ("managed-identity", &["--authority", "login.microsoftonline.us"], entra),
        ("managed-identity", &["--additionally-allowed-tenant", "*"], entra),
        ("managed-identity", &["--region", "westus2"], entra),
        ("managed-identity", &["--require-granted-scopes"], entra),
        ("managed-identity", &["--cache-capacity", "1"], entra),
        ("managed-identity", &["--max-in-flight", "1"], entra),
        (
            "client-secret",
            &["--object-id", "x"],
            "--object-id does nothing for client-secret; it goes with --credential managed-identity\n",
        ),
        ("client-secret", &["--resource-id", "x"], "--credential managed-identity\n"),
        ("client-secret", &["--allow-remote-endpoint"], "--credential managed-identity or client-assertion\n"),
        (
            "client-secret",
            &["--emulator", "--emulator-source", "imds"],
            "--credential managed-identity or client-assertion\n",
        ),
        ("client-assertion", &["--emulator", "--emulator-source", "imds"], "--assertion-from"),
        (
            "certificate",
            &["--client-secret-file", "x"],
            "--credential client-secret, on-behalf-of or authorization-code\n",
        ),
        (
            "client-secret",
            &["--certificate-path", "x"],
            "--credential certificate, on-behalf-of or authorization-code\n",
        ),
        (
            "client-secret",
            &["--certificate-password-file", "x"],
            "--credential certificate, on-behalf-of or authorization-code\n",
        ),
        (
            "client-secret",
            &["--send-certificate-chain"],
            "--credential certificate, on-behalf-of or authorization-code\n",
        ),
        (
            "client-secret",
            &["--assertion-file", "x"],
            "--credential client-assertion, on-behalf-of or authorization-code\n",
        ),
        ("client-secret", &["--assertion-from", "managed-identity"], "--credential client-assertion\n"),
        ("client-assertion", &["--assertion-from", "managed-identity", "--assertion-file", "x"], "cannot be used with"),
        ("client-assertion", &["--token-file-path", "x"], "--credential workload-identity\n"),
        ("client-assertion", &["--enable-azure-proxy"], "--credential workload-identity\n"),
        ("github-actions", &["--service-connection-id", "x"], "--credential azure-pipelines\n"),
        ("github-actions", &["--system-access-token-file", "x"], "--credential azure-pipelines\n"),
        ("azure-pipelines", &["--audience", "x"], "--credential github-actions\n"),
        ("client-secret", &["--emulator", "--authority", "x"], "cannot be used with"),
        ("client-assertion", &["--assertion-scope", "x"], "--assertion-from"),
        ("client-assertion", &["--assertion-client-id", "x"], "--assertion-from"),
        ("client-secret", &["--proxy", "http://x", "--no-proxy"], "cannot be used with"),
    ] {
        let done = run(&[&["token", "--scope", SCOPE, "--credential", credential], arguments].concat());
        assert_eq!((done.code, done.stdout.as_str()), (Some(2), ""), "{arguments:?}");
        assert!(done.stderr.contains(part), "{part} in\n{}", done.stderr);
        assert!(done.stderr.contains("Usage: identity token"), "{}", done.stderr);
    }
}

#[test]
fn a_secret_on_the_command_line_is_2_and_not_repeated() {
    for (arguments, part) in [
        (&["--client-secret", CANARY][..], "AZURE_CLIENT_SECRET, or give --client-secret-file"),
        (&["--client-secret=canary-3f9a1c"], "AZURE_CLIENT_SECRET"),
        (&["--client-secret", "-canary-3f9a1c"], "AZURE_CLIENT_SECRET"),
        (&["--client-secret"], "AZURE_CLIENT_SECRET"),
        (&["--certificate-password", CANARY], "AZURE_CLIENT_CERTIFICATE_PASSWORD"),
        (&["--password", CANARY], "AZURE_CLIENT_CERTIFICATE_PASSWORD"),
        (&["--assertion", CANARY], "--assertion-file"),
        (&["--client-assertion", CANARY], "--assertion-file"),
        (&["--system-access-token", CANARY], "SYSTEM_ACCESSTOKEN"),
        (&["--proxy", "http://user:canary-3f9a1c@proxy.example:8080"], "HTTPS_PROXY"),
        (&["--proxy", "canary-3f9a1c@proxy.example:8080"], "HTTPS_PROXY"),
    ] {
        for output in ["text", "json"] {
            let first = ["token", "--scope", SCOPE, "--credential", "client-secret", "-o", output];
            let done = run(&[&first[..], arguments].concat());
            assert_eq!((done.code, done.stdout.as_str()), (Some(2), ""), "{arguments:?}");
            assert!(done.stderr.contains(part), "{part} in\n{}", done.stderr);
            assert!(!done.stderr.contains("canary"), "{}", done.stderr);
        }
    }
    assert!(!run(&["token", "--help"]).stdout.contains("--client-secret "));
}

#[test]
fn a_wrong_value_is_2_and_nothing_is_sent() {
    let (emulator, variables) = answering(Source::AppService, Answer::real());
    for (arguments, part) in [
        (&["--scope", "a b"][..], "\"a b\" has a character"),
        (&["--scope", "https://vault.azure.net/.default"], "2 scopes"),
        (&["--claims", "not json"], "claims"),
        (&["--client-id", "a/b"], "client id"),
        (&["--client-id", ""], "client id"),
        (&["--resource-id", "/x"], "resource id"),
        (&["--failure-memory", "61s"], "failure memory"),
    ] {
        let done = token(&variables, arguments);
        assert_eq!((done.code, done.stdout.as_str()), (Some(2), ""), "{arguments:?}: {}", done.stderr);
        assert!(done.stderr.contains(part), "{part} in\n{}", done.stderr);
    }
    let done = run(&["token", "--emulator", "--scope", "a\u{202e}b"]);
    assert!(done.code == Some(2) && !done.stderr.contains('\u{202e}'), "{}", done.stderr);
    assert_eq!(emulator.request_count(None), 0);
}

#[test]
fn a_wrong_variable_is_2_and_named() {
    for (name, value) in [
        ("IDENTITY_ENDPOINT", "ftp://127.0.0.1/"),
        ("IDENTITY_ENDPOINT", "http://192.0.2.1/msi/token"),
        ("IDENTITY_HEADER", "a\r\nb"),
    ] {
        let mut variables =
            vec![variable("IDENTITY_ENDPOINT", "http://127.0.0.1:9/"), variable("IDENTITY_HEADER", CANARY)];
        variables.push(variable(name, value));
        let done = token(&variables, &[]);
        assert_eq!(done.code, Some(2), "{name}={value}: {}", done.stderr);
        assert!(done.stderr.contains(name), "{}", done.stderr);
        assert!(!done.all().contains(CANARY));
    }
}

#[test]
fn nothing_available_is_3_and_says_why_for_each_source() {
    let begun = Instant::now();
    let done = token(&[variable("IDENTITY_ENDPOINT", "http://127.0.0.1:9/")], &[]);
    assert!(begun.elapsed() < SOON);
    assert_eq!((done.code, done.stdout.as_str()), (Some(3), ""));
    for part in [
        "error: DefaultAzureCredential failed to retrieve a token from the included credentials\n",
        "\n  EnvironmentCredential: none of its variables is set; ",
        "\n  WorkloadIdentityCredential: AZURE_FEDERATED_TOKEN_FILE is not set",
        "\n  ManagedIdentityCredential: no managed identity endpoint found: ",
        "\n  AzureCliCredential: the Azure CLI (az) is not on the PATH",
        "\n  1. on a developer's machine: install the Azure CLI",
        "\n  CredentialUnavailable\n",
        "\n  4. see what each of them finds: run `identity diagnose`\n",
        "\n  identity token --emulator --scope https://storage.azure.com/.default\n",
    ] {
        assert!(done.stderr.contains(part), "{part} in\n{}", done.stderr);
    }
    assert!(!done.stderr.contains("not here: "), "{}", done.stderr);
    assert_eq!(done.stderr.matches("identity diagnose").count(), 1, "{}", done.stderr);

    // Who asks for more of it, or for managed identity alone, is told more.
    let nobody = [variable("IDENTITY_ENDPOINT", "http://127.0.0.1:9/")];
    assert!(token(&nobody, &["-v"]).stderr.contains("\n  App Service     not here: "));
    let done = token(&nobody, &["--credential", "managed-identity"]);
    for part in [
        "error: ManagedIdentityCredential: no managed identity endpoint found: ",
        "\n  CredentialUnavailable\n",
        "\n  Service Fabric  not here: IDENTITY_ENDPOINT is set, but IDENTITY_HEADER, IDENTITY_SERVER_THUMBPRINT are not\n",
        "\n  App Service     not here: ",
        "\n  Azure Arc       not here: ",
        "\n  Azure ML        not here: MSI_ENDPOINT, MSI_SECRET are not set\n",
        "\n  Cloud Shell     not here: MSI_ENDPOINT is not set\n",
        "\n  IMDS            not asked",
        "\n  identity token --emulator --credential managed-identity --scope https://storage.azure.com/.default\n",
    ] {
        assert!(done.stderr.contains(part), "{part} in\n{}", done.stderr);
    }
}

#[test]
fn an_option_for_managed_identity_is_2_where_that_is_left_out() {
    let dev = [variable("AZURE_TOKEN_CREDENTIALS", "dev")];
    for (variables, arguments, part) in [
        (&dev[..], &["--object-id", "x"][..], "--object-id does nothing"),
        (&dev, &["--resource-id", "x"], "AZURE_TOKEN_CREDENTIALS is dev"),
        (&[], &["--allow-remote-endpoint", "--exclude", "managed-identity"], "--allow-remote-endpoint does nothing"),
        (&[], &["--require-envvar"], "AZURE_TOKEN_CREDENTIALS is not set"),
    ] {
        let done = token(variables, arguments);
        assert_eq!((done.code, done.stdout.as_str()), (Some(2), ""), "{arguments:?}: {}", done.stderr);
        assert!(done.stderr.contains(part), "{part} in\n{}", done.stderr);
    }
    // Included on purpose it is asked after all.
    let done = token(&dev, &["--object-id", BLUE_OBJECT_ID, "--include", "managed-identity", "--emulator"]);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert!(done.stdout.contains(BLUE_OBJECT_ID), "{}", done.stdout);
}

#[test]
fn a_credential_that_is_there_and_fails_stops_the_default_chain() {
    let (emulator, mut variables) = answering(Source::AppService, Answer::real());
    for (name, value) in emulator.variables(Source::Entra) {
        // With a secret that is another's.
        let value = if name == "AZURE_CLIENT_SECRET" { CANARY.to_owned() } else { value };
        variables.push((name, value));
    }
    let files = Files::new("stops");
    let ca = files.write("ca.pem", &emulator.ca_pem());
    let arguments = ["--ca-file", &ca, "--disable-instance-discovery"];
    let done = token(&variables, &arguments);
    assert_eq!((done.code, done.stdout.as_str()), (Some(5), ""), "{}", done.stderr);
    for part in ["\n  EnvironmentCredential: ClientSecretCredential: ", "AADSTS7000215", "8 after it not tried"] {
        assert!(done.stderr.contains(part), "{part} in\n{}", done.stderr);
    }
    assert!(!done.all().contains(CANARY), "{}", done.all());
    assert_eq!(emulator.request_count(Source::AppService), 0);
    // Left out, it does not stop the next one; that one's identity is not that of the variable.
    let more = ["--exclude", "environment", "--client-id", BLUE_CLIENT_ID, "-o", "json"];
    let done = token(&variables, &[&arguments[..], &more].concat());
    let object: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!((done.code, &object["link"]), (Some(0), &json!("ManagedIdentityCredential")));
    assert_eq!((&object["chain"], &object["source"]), (&json!("DefaultAzureCredential"), &json!("App Service")));
}

#[test]
fn something_else_at_the_address_of_imds_is_3() {
    for answer in [Answer::captive_portal(), Answer::docker_unreachable()] {
        let (_emulator, variables) = answering(Source::Imds, answer);
        let done = token(&variables, &["--credential", "managed-identity"]);
        assert_eq!(done.code, Some(3), "{}", done.stderr);
        assert!(done.stderr.contains("error: ManagedIdentityCredential: "), "{}", done.stderr);
        assert!(done.stderr.contains("asked where AZURE_POD_IDENTITY_AUTHORITY_HOST says"), "{}", done.stderr);
    }
}

#[test]
fn each_way_to_fail_has_its_exit_code_and_hides_every_secret() {
    // The body repeats all that a careless or hostile server could.
    let echo = format!(r#"{{"error":"e","message":"{CANARY} {{token}} \u001b[2J AADSTS500011: no"}}"#);
    let rows = [
        (Answer::status(401).with_body(&echo), 5, "AuthenticationFailed"),
        (Answer::status(400).with_body(&echo), 5, "AuthenticationFailed"),
        (Answer::status(429).with_header("Retry-After", "120").with_body(&echo), 6, "Transport"),
        (Answer::captive_portal(), 7, "Protocol"),
        (Answer::real().with_body(&echo), 7, "Protocol"),
        (Answer::redirect(302, format!("http://127.0.0.1:9/{CANARY}")), 7, "Protocol"),
    ];
    for (answer, code, kind) in rows {
        let (emulator, variables) = answering(Source::AppService, answer);
        for credential in ["default", "managed-identity"] {
            for more in [&["-v"][..], &["-v", "--output", "json"]] {
                let done = token(&variables, &[&["--credential", credential], more].concat());
                assert_eq!((done.code, done.stdout.as_str()), (Some(code), ""), "{}", done.stderr);
                assert!(done.stderr.contains(kind), "{kind} in\n{}", done.stderr);
                assert!(!done.stderr.contains(CANARY) && !done.stderr.contains("eyJ"), "{}", done.stderr);
                // What was tried is told, too.
                assert!(done.stderr.contains("url=http://127.0.0.1:"), "{}", done.stderr);
            }
        }
        assert_eq!(emulator.request_count(Source::AppService), 4, "{kind}: one request for each run");
    }
}

#[test]
fn a_failure_of_the_only_credential_is_told_once_and_in_the_log_once() {
    let (_emulator, variables) =
        answering(Source::AppService, Answer::status(400).with_body(r#"{"message":"no such"}"#));
    for (arguments, count) in [(&[][..], 1), (&["-v"], 2)] {
        let done = token(&variables, arguments);
        assert_eq!(done.stderr.matches("it said: no such").count(), count, "{}", done.stderr);
        assert!(done.stderr.contains("\n  AuthenticationFailed, HTTP 400, correlation id "), "{}", done.stderr);
    }
}

#[test]
fn an_endpoint_that_is_not_local_is_called_if_the_flag_says_so() {
    // Nobody routes 192.0.2.0/24, so that the flag is seen by what is tried.
    let variables = [variable("IDENTITY_ENDPOINT", "http://192.0.2.1:9/"), variable("IDENTITY_HEADER", CANARY)];
    let done = token(&variables, &[]);
    assert!(done.code == Some(2) && done.stderr.contains("allow_remote_endpoint()"), "{}", done.stderr);
    let mut child = crate::program();
    child.args(["token", "--scope", SCOPE, "-v", "--allow-remote-endpoint"]).envs(variables);
    let mut child = child.stderr(std::process::Stdio::piped()).spawn().unwrap();
    let mut seen = String::new();
    // It would try for 45 s; its first request is enough.
    for line in std::io::BufRead::lines(std::io::BufReader::new(child.stderr.take().unwrap())) {
        seen += &line.unwrap();
        if seen.contains("192.0.2.1") {
            break;
        }
    }
    let _ = child.kill();
    let _ = child.wait();
    assert!(seen.contains("url=http://192.0.2.1:9/") && !seen.contains("not local"), "{seen}");
}

#[test]
fn a_command_line_that_cannot_be_read_is_told_as_json_to_who_asks_for_it() {
    for arguments in [
        &["token", "-o", "json"][..],
        &["token", "--output=json", "--scope", SCOPE, "--credential", "x"],
        &["token", "-ojson", "--nonsense"],
    ] {
        let done = run(arguments);
        assert_eq!((done.code, done.stdout.as_str(), done.stderr.lines().count()), (Some(2), "", 1), "{}", done.stderr);
        let object: Value = serde_json::from_str(&done.stderr).unwrap();
        assert_eq!(object["kind"], "InvalidArgument");
        assert!(object["message"].as_str().unwrap().contains("--help"), "{object}");
    }
    assert_eq!(run(&["token", "-o", "json", "--help"]).code, Some(0));
}

#[test]
fn an_error_as_json_is_one_object_on_standard_error() {
    let (_emulator, variables) = answering(
        Source::AppService,
        Answer::status(403).with_body(r#"{"statusCode":403,"message":"AADSTS500011: no \u202e such"}"#),
    );
    let done = token(&variables, &["--output", "json"]);
    assert_eq!((done.code, done.stdout.as_str(), done.stderr.lines().count()), (Some(5), "", 1));
    assert!(!done.stderr.contains('\u{202e}'));
    let object: Value = serde_json::from_str(&done.stderr).unwrap();
    assert_eq!(object["kind"], "AuthenticationFailed");
    assert_eq!(object["credential"], "ManagedIdentityCredential");
    assert_eq!((&object["http_status"], &object["entra_codes"]), (&json!(403), &json!([500_011])));
    assert!(object["message"].as_str().unwrap().starts_with("DefaultAzureCredential failed"));
    let attempts = object["attempts"].as_array().unwrap();
    assert_eq!((attempts.len(), &attempts[0]["kind"]), (3, &json!("CredentialUnavailable")));
    assert_eq!(attempts[2]["kind"], "AuthenticationFailed");
    assert_eq!(object["correlation_id"].as_str().unwrap().len(), 36);
}
