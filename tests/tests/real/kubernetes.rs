//! kubectl, and the official client for Python, sign in with what `identity token --output kubectl` prints, to a server that takes
//! nothing but tokens that the emulator signed for AKS. Their users are those of docs/KUBERNETES.md.

mod cluster;

use std::{ffi::OsString, fs, process::Command};

use identity_emulator::{Answer, Emulator, Source, WEB_CLIENT_SECRET};

use self::cluster::{Cluster, block, identity, said};
use crate::{
    az,
    installed::{run, text},
};

/// What kubectl asks for in order to list pods, when it does not know the server yet.
const PATHS: [&str; 4] = ["/api", "/api/v1", PODS, "/apis"];
const PODS: &str = "/api/v1/namespaces/default/pods";
const V1: &str = "apiVersion: client.authentication.k8s.io/v1\n";
const V1_BETA_1: &str = "apiVersion: client.authentication.k8s.io/v1beta1\n";

#[test]
#[ignore = "needs installed components: cargo xtask real"]
fn kubectl_lists_pods_and_runs_us_once() {
    let emulator = Emulator::builder().start_in_background().unwrap();
    let Some(cluster) = Cluster::start("kubectl", &emulator, &[]) else { return };
    if !cluster.has_kubectl() {
        return;
    }
    for version in [V1, V1_BETA_1] {
        for (user, source) in [("machine", Source::AppService), ("application", Source::Entra)] {
            cluster.write_kubeconfig(user, |users| users.replace(V1, version));
            let output = cluster.kubectl(&variables(&emulator, source));
            assert!(output.status.success() && output.stderr.is_empty(), "{user}: {}", said(&output));
            assert_eq!(text(&output.stdout), "pod/ada\n");
            let mut requests = cluster.requests();
            requests.sort();
            assert_eq!(requests, PATHS.map(|path| format!("200 {path} {}", cluster.tokens())), "one token for all");
            assert_eq!(emulator.request_count(source), 1, "{user}");
            emulator.clear_requests();
        }
    }
    assert_eq!(cluster.tokens(), 4, "each run got its own");
}

#[test]
#[ignore = "needs installed components: cargo xtask real"]
fn kubectl_lists_pods_as_whoever_is_signed_in_to_az() {
    let Some(session) = az::Session::start("kubectl-az") else { return };
    let Some(cluster) = Cluster::start("kubectl-developer", session.emulator(), &[]) else { return };
    if !cluster.has_kubectl() {
        return;
    }
    cluster.write_kubeconfig("developer", |users| users);
    let output = cluster.kubectl(&session.environment());
    let told = text(&output.stderr);
    assert!(!output.status.success() && told.contains("error: AzureCliCredential: nobody is signed in"), "{told}");
    assert!(cluster.requests().is_empty());

    session.login_service_principal();
    let output = cluster.kubectl(&session.environment());
    assert!(output.status.success() && output.stderr.is_empty(), "{}", said(&output));
    assert_eq!((text(&output.stdout).as_str(), cluster.tokens()), ("pod/ada\n", 1));
}

#[test]
#[ignore = "needs installed components: cargo xtask real"]
fn kubectl_comes_back_when_its_token_is_refused() {
    let emulator = Emulator::builder().start_in_background().unwrap();
    let Some(cluster) = Cluster::start("kubectl-401", &emulator, &["refuse-first"]) else { return };
    if !cluster.has_kubectl() {
        return;
    }
    cluster.write_kubeconfig("application", |users| users);
    let output = cluster.kubectl(&variables(&emulator, Source::Entra));
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(text(&output.stdout), "pod/ada\n");
    let requests = cluster.requests();
    assert!(requests.iter().all(|line| line.starts_with("401") == line.ends_with(" 1")), "{requests:?}");
    assert_eq!((cluster.tokens(), emulator.request_count(Source::Entra)), (2, 2), "{requests:?}");
}

#[test]
#[ignore = "needs installed components: cargo xtask real"]
fn kubectl_comes_back_before_its_token_has_expired() {
    let emulator = Emulator::builder().start_in_background().unwrap();
    // It is told half of the first eight seconds.
    let Some(cluster) = Cluster::start("kubectl-expiry", &emulator, &["slow=/api/v1,4.2"]) else { return };
    if !cluster.has_kubectl() {
        return;
    }
    cluster.write_kubeconfig("machine", |users| users);
    emulator.faults().next(Source::AppService, Answer::real().with_lifetime_secs(8));
    let output = cluster.kubectl(&variables(&emulator, Source::AppService));
    assert!(output.status.success() && output.stderr.is_empty(), "{}", said(&output));
    let requests = cluster.requests();
    assert!(requests.iter().all(|line| line.starts_with("200 ")), "{requests:?}");
    assert_eq!(requests.last().unwrap(), &format!("200 {PODS} 2"), "{requests:?}");
    assert_eq!(emulator.request_count(Source::AppService), 2);
}

#[test]
#[ignore = "needs installed components: cargo xtask real"]
fn kubectl_says_so_when_the_token_is_for_something_else() {
    let emulator = Emulator::builder().start_in_background().unwrap();
    let Some(cluster) = Cluster::start("kubectl-audience", &emulator, &[]) else { return };
    if !cluster.has_kubectl() {
        return;
    }
    cluster.write_kubeconfig("machine", |users| users.replace(AKS_SCOPE, "https://vault.azure.net/.default"));
    let output = cluster.kubectl(&variables(&emulator, Source::AppService));
    let told = text(&output.stderr);
    assert!(!output.status.success() && told.contains("You must be logged in to the server"), "{}", said(&output));
    let requests = cluster.requests();
    assert!(!requests.is_empty() && requests.iter().all(|line| line.starts_with("401 ")), "{requests:?}");
}

#[test]
#[ignore = "needs installed components: cargo xtask real"]
fn kubectl_shows_why_there_is_no_token() {
    let emulator = Emulator::builder().start_in_background().unwrap();
    let Some(cluster) = Cluster::start("kubectl-refused", &emulator, &[]) else { return };
    if !cluster.has_kubectl() {
        return;
    }
    let mut wrong = variables(&emulator, Source::Entra);
    wrong.iter_mut().filter(|(name, _)| name == "AZURE_CLIENT_SECRET").for_each(|(_, value)| *value = WRONG.into());
    let failing = |users: String| users.replace("--credential=client-secret", "--credential=no-such");
    let same: fn(String) -> String = |users| users;
    for (edit, variables, code, parts) in [
        (same, &wrong, 5, ["error: ClientSecretCredential: ", "AADSTS7000215"]),
        (same, &Vec::new(), 2, ["error: client-secret needs more:\n", "AZURE_CLIENT_SECRET"]),
        (failing, &wrong, 2, ["invalid value 'no-such' for '--credential <NAME>'", "client-secret"]),
    ] {
        cluster.write_kubeconfig("application", edit);
        let output = cluster.kubectl(variables);
        let told = text(&output.stderr);
        assert!(!output.status.success() && output.stdout.is_empty(), "{told}");
        let code = format!("executable identity failed with exit code {code}");
        for part in parts.into_iter().chain([&*code]) {
            assert!(told.contains(part), "{part} in\n{told}");
        }
        assert!(!told.contains(WRONG) && !told.contains(WEB_CLIENT_SECRET), "a secret is shown");
    }
    assert!(cluster.requests().is_empty(), "nothing was asked without a token");
}

#[test]
#[ignore = "needs installed components: cargo xtask real"]
fn the_command_in_the_documentation_makes_the_user_that_is_there() {
    let emulator = Emulator::builder().start_in_background().unwrap();
    let Some(cluster) = Cluster::start("kubectl-config", &emulator, &[]) else { return };
    if !cluster.has_kubectl() {
        return;
    }
    let user = || {
        let mut view = cluster.command("kubectl", &[]);
        let view = run(view.args(["config", "view", "--raw", "-o", "jsonpath={.users[?(@.name=='machine')]}"]), "");
        assert!(view.status.success() && view.stdout.len() > 100, "{}", said(&view));
        text(&view.stdout)
    };
    cluster.write_kubeconfig("machine", |users| users);
    let written = user();
    fs::write(cluster.kubeconfig(), "").unwrap();
    let script = block("sh\nkubectl config");
    let output = run(cluster.command("sh", &[]).args(["-c", &format!("kubectl config{script}")]), "");
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(user(), written);

    let help = run(Command::new(identity()).args(["token", "--help"]), "");
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let (help, script) = (words(&text(&help.stdout)), words(&script));
    assert!(help.windows(script.len()).any(|found| found == script), "the help has another command");
}

#[test]
#[ignore = "needs installed components: cargo xtask real"]
fn curl_sends_the_header_that_it_is_piped() {
    let emulator = Emulator::builder().start_in_background().unwrap();
    let Some(cluster) = Cluster::start("kubernetes-curl", &emulator, &[]) else { return };
    let get = format!("identity token --output header --scope {AKS_SCOPE}");
    let send = "curl --silent --show-error --max-time 20 --noproxy '*' --cacert \"$0\" --header @- \"$1\"";
    let mut command = cluster.command("sh", &variables(&emulator, Source::AppService));
    command.arg("-c").arg(format!("{get} | {send}")).arg(cluster.folder.join("ca.pem"));
    let output = run(command.arg(format!("{}{PODS}", cluster.origin)), "");
    assert!(output.status.success() && output.stderr.is_empty(), "{}", said(&output));
    assert!(text(&output.stdout).contains(r#""name": "ada""#), "{}", said(&output));
    assert_eq!(cluster.requests(), [format!("200 {PODS} 1")]);
}

#[test]
#[ignore = "needs installed components: cargo xtask real"]
fn the_official_client_for_python_lists_pods() {
    let emulator = Emulator::builder().start_in_background().unwrap();
    let Some(cluster) = Cluster::start("kubernetes-python", &emulator, &[]) else { return };
    for (user, version, source) in
        [("machine", V1, Source::AppService), ("application", V1, Source::Entra), ("machine", V1_BETA_1, Source::Imds)]
    {
        cluster.write_kubeconfig(user, |users| users.replace(V1, version));
        let output = cluster.python(&variables(&emulator, source), "3");
        assert!(output.status.success() && output.stderr.is_empty(), "{user}: {}", said(&output));
        assert_eq!(text(&output.stdout), "ada\nada\nada\n");
        assert_eq!(cluster.requests(), vec![format!("200 {PODS} {}", cluster.tokens()); 3]);
        assert_eq!(emulator.request_count(source), 1, "{user}");
        emulator.clear_requests();
    }
    assert_eq!(cluster.tokens(), 3);

    // It takes no token that has less than five minutes left, and asks for another one before each request.
    cluster.write_kubeconfig("machine", |users| users);
    emulator.faults().always(Source::AppService, Answer::real().with_lifetime_secs(120));
    let output = cluster.python(&variables(&emulator, Source::AppService), "2");
    assert_eq!(text(&output.stdout), "ada\nada\n", "{}", said(&output));
    assert_eq!(emulator.request_count(Source::AppService), 3);
}

#[test]
#[ignore = "needs installed components: cargo xtask real"]
fn the_official_client_for_python_tells_what_is_wrong() {
    let emulator = Emulator::builder().start_in_background().unwrap();
    let Some(cluster) = Cluster::start("kubernetes-python-refused", &emulator, &[]) else { return };
    let mut wrong = variables(&emulator, Source::Entra);
    wrong.iter_mut().filter(|(name, _)| name == "AZURE_CLIENT_SECRET").for_each(|(_, value)| *value = WRONG.into());
    let rows = [
        (V1, &wrong, ["exec: process returned 5. error: ClientSecretCredential: ", "AADSTS7000215"]),
        (
            "apiVersion: client.authentication.k8s.io/v1alpha1\n",
            &variables(&emulator, Source::Entra),
            [
                "exec: process returned 2. error: the variable KUBERNETES_EXEC_INFO asks for apiVersion ",
                "put one of them for `apiVersion` below `exec:` in the kubeconfig",
            ],
        ),
    ];
    for (version, variables, parts) in rows {
        cluster.write_kubeconfig("application", |users| users.replace(V1, version));
        emulator.clear_requests();
        let output = cluster.python(variables, "1");
        let told = text(&output.stderr);
        assert!(output.status.code() == Some(1) && output.stdout.is_empty(), "{}", said(&output));
        assert!(parts.iter().all(|part| told.contains(part)), "{told}");
        assert!(!told.contains(WRONG) && !told.contains(WEB_CLIENT_SECRET), "a secret is shown");
        // This client goes on without a token.
        assert!(told.contains("401 Unauthorized"), "{told}");
        assert_eq!(cluster.requests(), [format!("401 {PODS} 0")]);
        let asked = u64::from(version == V1);
        assert_eq!(emulator.request_count(Source::Entra), asked, "a version is refused before anybody is asked");
    }
}

fn variables(emulator: &Emulator, source: Source) -> Vec<(String, OsString)> {
    emulator.variables(source).into_iter().map(|(name, value)| (name, value.into())).collect()
}

const AKS_SCOPE: &str = "6dae42f8-4368-4678-94ff-3960e28e3630/.default";
const WRONG: &str = "canary-wrong~secret.of_an_application";
