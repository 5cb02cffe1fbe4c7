//! What clients of Kubernetes get that run the program as an exec plugin.

use identity_core::date::parse_time;
use identity_emulator::{Answer, Source};
use serde_json::{Value, json};

use crate::{CANARY, Done, SCOPE, answering, done, program, token};

const V1: &str = "client.authentication.k8s.io/v1";
const V1_BETA_1: &str = "client.authentication.k8s.io/v1beta1";

/// The variable as kubectl 1.37 sets it for a kubeconfig with `provideClusterInfo: true`.
fn exec_info(version: &str) -> (String, String) {
    let cluster = json!({
        "server": "https://127.0.0.1:6443", "certificate-authority-data": "LS0t".repeat(512), "config": null,
    });
    let spec = json!({ "cluster": cluster, "interactive": false });
    let info = json!({ "kind": "ExecCredential", "apiVersion": version, "spec": spec });
    ("KUBERNETES_EXEC_INFO".to_owned(), info.to_string())
}

/// The status, if the text is one object of the published shape, and nothing else.
///
/// Source: Kubernetes documentation, "client-go authentication (v1)": the fields of ExecCredential and ExecCredentialStatus,
/// <https://kubernetes.io/docs/reference/config-api/client-authentication.v1/>.
fn status(done: &Done, version: &str) -> Value {
    assert_eq!((done.code, done.stderr.as_str(), done.stdout.lines().count()), (Some(0), "", 1));
    let object: Value = serde_json::from_str(&done.stdout).unwrap();
    let names = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    // What there is besides, `spec` and a certificate with its key, may be left out.
    assert_eq!(names(&object), ["apiVersion", "kind", "status"]);
    assert_eq!((&object["apiVersion"], &object["kind"]), (&version.into(), &"ExecCredential".into()));
    assert_eq!(names(&object["status"]), ["expirationTimestamp", "token"]);
    object["status"].clone()
}

#[test]
fn kubectl_gets_an_exec_credential_of_the_version_that_it_asks_for() {
    let (emulator, mut variables) = answering(Source::AppService, Answer::real());
    status(&token(&variables, &["-o", "kubectl"]), V1);
    for version in [V1, V1_BETA_1] {
        variables.push(exec_info(version));
        let status = status(&token(&variables, &["--output=kubectl"]), version);
        assert_eq!(status["token"].as_str().unwrap().split('.').count(), 3);
    }
    variables.push(("KUBERNETES_EXEC_INFO".to_owned(), String::new()));
    status(&token(&variables, &["--output", "kubectl"]), V1);
    assert_eq!(emulator.request_count(None), 4);
}

#[test]
fn the_time_that_kubectl_gets_is_five_minutes_before_the_token_expires() {
    let (emulator, variables) = answering(Source::AppService, Answer::real());
    for (lifetime, early) in [(3_600, 300..=300), (120, 60..=70)] {
        emulator.faults().always(Source::AppService, Answer::real().with_lifetime_secs(lifetime));
        let status = status(&token(&variables, &["-o", "kubectl"]), V1);
        let time = status["expirationTimestamp"].as_str().unwrap();
        assert!(
            time.len() == 20 && time.as_bytes()[10] == b'T' && time.ends_with('Z'),
            "{time} is not RFC 3339 in UTC"
        );
        // The same token, as another format tells it.
        let payload = status["token"].as_str().unwrap().split('.').nth(1).unwrap();
        let payload = identity_core::text::base64url_decode(payload).unwrap();
        let exp = serde_json::from_slice::<Value>(&payload).unwrap()["exp"].as_i64().unwrap();
        let before = exp - parse_time(time).unwrap();
        // What has passed since the token was made is a little.
        assert!(early.contains(&before), "{time} is {before} s before the end");
    }
}

#[test]
fn another_version_is_2_and_nobody_is_asked_for_a_token() {
    let (emulator, variables) = answering(Source::AppService, Answer::real());
    for (info, part) in [
        (exec_info("client.authentication.k8s.io/v1alpha1").1, "put one of them for `apiVersion` below"),
        ("{".to_owned(), "is no JSON"),
        (format!("{{\"token\":\"{CANARY}\"}}"), "is no object of kind ExecCredential"),
        ("[".repeat(100_000), "nests deeper"),
    ] {
        for arguments in [&["-o", "kubectl"][..], &["-o", "kubectl", "--emulator"]] {
            let info = [("KUBERNETES_EXEC_INFO".to_owned(), info.clone())];
            let done = token(&[&variables[..], &info].concat(), arguments);
            assert_eq!((done.code, done.stdout.as_str()), (Some(2), ""), "{}", done.stderr);
            assert!(done.stderr.starts_with("error: the variable KUBERNETES_EXEC_INFO "), "{}", done.stderr);
            assert!(done.stderr.contains(part) && !done.stderr.contains(CANARY), "{part} in\n{}", done.stderr);
        }
    }
    assert_eq!(emulator.request_count(None), 0);
    // It is for clients of Kubernetes alone.
    let other = [&variables[..], &[exec_info("v0")]].concat();
    assert_eq!(token(&other, &["-o", "token"]).code, Some(0));
}

#[test]
fn kubectl_gets_nothing_but_a_reason_when_there_is_no_token() {
    let done = done(program().args(["token", "-o", "kubectl", "--scope", SCOPE, "--credential", "client-secret"]));
    assert_eq!((done.code, done.stdout.as_str()), (Some(2), ""));
    assert!(done.stderr.contains("the variable AZURE_CLIENT_SECRET"), "{}", done.stderr);
    assert!(!done.stderr.contains("--emulator"), "whoever runs kubectl has a cluster, and tries nothing out");
}
