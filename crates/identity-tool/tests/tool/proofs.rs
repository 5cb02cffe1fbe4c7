//! What proves an application: certificates, assertions, and the platforms that vouch for it.

use std::fs;

use identity_emulator::{FEDERATED_CLIENT_ID, SERVICE_CONNECTION_ID, Source, TENANT_ID};

use crate::{
    CANARY, Files, SCOPE,
    entra::{emulator, parameter, trusting, variables},
};

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
fn the_password_of_a_key_comes_from_a_file_or_the_variable() {
    let (emulator, files) = (emulator(), Files::new("password"));
    let key = [identity_emulator::TEST_CERTIFICATE_PEM, include_str!("PUBLIC-TEST-KEY-encrypted.pem")].concat();
    let (path, password) = (files.write("key.pem", &key), files.write("password", "canary-of-a-test\r\n"));
    let plain = emulator.certificate_variables();
    let variable = ("AZURE_CLIENT_CERTIFICATE_PASSWORD".to_owned(), "canary-of-a-test".to_owned());
    let with: Vec<_> = plain.iter().cloned().chain([variable]).collect();
    for (variables, arguments, code) in [
        (&plain, &["--certificate-password-file", &*password][..], 0),
        (&with, &[], 0),
        (&plain, &[], 2),
        (&with, &["--certificate-password-file", &path], 2),
    ] {
        let done = trusting(variables, "certificate", &[&["-v", "--certificate-path", &path], arguments].concat());
        assert_eq!(done.code, Some(code), "{arguments:?}: {}", done.stderr);
        assert!(!done.all().contains("canary"), "{}", done.all());
    }
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
fn an_assertion_is_read_anew_and_judged() {
    let (emulator, files) = (emulator(), Files::new("assertion"));
    let variables = variables(&emulator, Source::WorkloadIdentity, &["AZURE_FEDERATED_TOKEN_FILE"]);
    let missing = files.path("missing");
    for (path, code, part) in [
        (files.write("empty", " \n"), 2, "it is empty"),
        (files.write("lines", "a\nb"), 2, "a character that no token has"),
        (missing, 2, "caused by: "),
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
fn a_token_file_is_read_and_judged() {
    let (emulator, files) = (emulator(), Files::new("token-file"));
    let variables = emulator.variables(Source::WorkloadIdentity);
    for (path, part, code) in [(files.path("missing"), "missing", 2), (files.write("empty", "\n"), "empty", 3)] {
        let done = trusting(&variables, "workload-identity", &["--token-file-path", &path]);
        assert_eq!((done.code, done.stdout.as_str()), (Some(code), ""), "{path}: {}", done.stderr);
        assert!(done.stderr.contains(part), "{part} in\n{}", done.stderr);
    }
    assert_eq!(emulator.request_count(None), 0);
}

#[test]
fn the_proxy_of_aks_is_asked_if_the_option_says_so() {
    let emulator = emulator();
    let variables = emulator.variables(Source::IdentityBinding);
    let done = trusting(&variables, "workload-identity", &["--enable-azure-proxy"]);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert_eq!((emulator.request_count(Source::IdentityBinding), emulator.request_count(Source::Entra)), (1, 0));
    // Its tokens are of another audience, which Entra itself refuses.
    let done = trusting(&variables, "workload-identity", &[]);
    assert_eq!(done.code, Some(5), "{}", done.stderr);
    assert!(done.stderr.contains("for a pod with an AKS identity binding: --enable-azure-proxy\n"), "{}", done.stderr);
}

#[test]
fn a_job_of_azure_pipelines_is_vouched_for() {
    let (emulator, files) = (emulator(), Files::new("pipelines"));
    let all = emulator.variables(Source::AzurePipelines);
    let token = &all.iter().find(|(name, _)| name == "SYSTEM_ACCESSTOKEN").unwrap().1;
    let path = files.write("token", &format!("{token}\n"));
    // Only what is no option: where the job asks, whom it trusts.
    let mut few = all.clone();
    few.retain(|(name, _)| ["SYSTEM_OIDCREQUESTURI", "AZURE_AUTHORITY_HOST", "SSL_CERT_FILE"].contains(&&**name));
    let options = ["--tenant-id", TENANT_ID, "--client-id", FEDERATED_CLIENT_ID, "--system-access-token-file", &path];
    let connection = ["--service-connection-id", SERVICE_CONNECTION_ID, "-v"];
    let done = trusting(&few, "azure-pipelines", &[&options[..], &connection].concat());
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert!(!done.all().contains(token.as_str()) && !done.all().contains("eyJ"), "{}", done.all());

    let wrong = files.write("wrong", CANARY);
    for (arguments, part) in [
        (&["--service-connection-id", "7e57ab1e-0000-4000-8000-000000000bad"][..], "service connection"),
        (&["--system-access-token-file", &wrong], "system access token"),
    ] {
        let done = trusting(&all, "azure-pipelines", &[&["-v"], arguments].concat());
        assert_eq!((done.code, done.stdout.as_str()), (Some(5), ""), "{arguments:?}: {}", done.stderr);
        assert!(done.stderr.contains(part) && !done.stderr.contains(CANARY), "{part} in\n{}", done.stderr);
    }
    let elsewhere = variables(&emulator, Source::AzurePipelines, &["SYSTEM_OIDCREQUESTURI"]);
    let done = trusting(&elsewhere, "azure-pipelines", &[]);
    assert_eq!(done.code, Some(3), "{}", done.stderr);
    assert!(done.stderr.contains("SYSTEM_OIDCREQUESTURI is not set"), "{}", done.stderr);
    assert!(done.stderr.contains("--emulator --credential azure-pipelines --scope"), "{}", done.stderr);
}

#[test]
fn a_job_of_github_actions_is_vouched_for() {
    let emulator = emulator();
    let all = emulator.variables(Source::GithubActions);
    let audience = ["--audience", "api://AzureADTokenExchange", "-v"];
    let done = trusting(&all, "github-actions", &audience);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    let token = &all.iter().find(|(name, _)| name == "ACTIONS_ID_TOKEN_REQUEST_TOKEN").unwrap().1;
    assert!(!done.all().contains(token.as_str()) && !done.all().contains("eyJ"), "{}", done.all());
    let done = trusting(&all, "github-actions", &["--audience", "api://Other"]);
    assert_eq!(done.code, Some(5), "{}", done.stderr);
    assert!(done.stderr.contains("federated credential"), "{}", done.stderr);
    let done = trusting(&all, "github-actions", &["--audience", "a b"]);
    assert!(done.code == Some(2) && done.stderr.contains("audience"), "{}", done.stderr);
    let elsewhere = variables(&emulator, Source::GithubActions, &["ACTIONS_ID_TOKEN_REQUEST_URL"]);
    let done = trusting(&elsewhere, "github-actions", &[]);
    assert_eq!(done.code, Some(3), "{}", done.stderr);
    assert!(done.stderr.contains("id-token: write"), "{}", done.stderr);
}

#[test]
fn a_managed_identity_exchanges_the_token_of_a_pod() {
    let emulator = emulator();
    let variables = emulator.variables(Source::WorkloadIdentity);
    let done = trusting(&variables, "managed-identity", &["-o", "json"]);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert!(done.stdout.contains(FEDERATED_CLIENT_ID), "{}", done.stdout);
    // The emulator is none of Microsoft's hosts, and nobody can be asked about it.
    let proxied = ["--credential", "managed-identity", "--proxy", "http://127.0.0.1:1"];
    let done = crate::token(&variables, &proxied);
    assert_eq!((done.code, done.stdout.as_str()), (Some(6), ""), "{}", done.stderr);
    assert_eq!(emulator.request_count(Source::WorkloadIdentity), 1);
    // In the default chain workload identity comes before it.
    for (credential, who) in [
        ("managed-identity", "ManagedIdentityCredential got a token from token exchange"),
        ("default", "WorkloadIdentityCredential got a token\n"),
    ] {
        let emulated = ["token", "--emulator", "--emulator-source", "workload-identity", "--scope", SCOPE];
        let done = crate::run(&[&emulated[..], &["--credential", credential]].concat());
        assert_eq!(done.code, Some(0), "{}", done.stderr);
        assert!(done.stdout.starts_with(who), "{}", done.stdout);
    }
}
