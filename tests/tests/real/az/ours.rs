//! Our credential and our command, over the real az.

use std::{
    process::{Command, Output},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use identity_cli::AzureCliCredential;
use identity_core::{
    BoxFuture, Platform, TokenCredential,
    process::{self, ProcessError, Processes},
};
use identity_emulator::{Answer, OTHER_TENANT_ID, Source, TENANT_ID, USER_NAME, USER_OBJECT_ID, WEB_CLIENT_ID};
use identity_tests::{Variables, skip};
use serde_json::{Value, json};

use super::{Session, VAULT};
use crate::installed::text;

const STORAGE: &str = "https://storage.azure.com/.default";

/// `identity token --credential azure-cli` with the variables of the session.
fn identity(session: &Session, more: &[&str]) -> Output {
    let program = identity_tests::command().expect("cargo xtask real builds it");
    let mut command = Command::new(program);
    command.args(["token", "--credential", "azure-cli", "--output", "json"]).args(more);
    session.forget_refusals();
    command.env_clear().envs(session.environment()).output().unwrap()
}

/// There is no token: this exit code, this kind, and these words in the message.
fn refuses(session: &Session, more: &[&str], code: i32, kind: &str, words: &[&str]) {
    let output = identity(session, more);
    let told = text(&output.stderr);
    assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(code), ""), "{more:?}: {told}");
    let error: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(error["kind"], kind, "{told}");
    let message = error["message"].as_str().unwrap();
    assert!(words.iter().all(|word| message.contains(word)), "{words:?} in {message}");
}

/// The claims of the token that our command got, which the emulator's key set verifies.
fn claims(session: &Session, more: &[&str], audience: &str, tenant: &str) -> Value {
    let output = identity(session, more);
    assert!(output.status.success() && output.stderr.is_empty(), "{}", text(&output.stderr));
    let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(printed["credential"], "AzureCliCredential");
    let claims = session.claims(&json!({ "accessToken": printed["token"] }), audience, tenant);
    assert!((printed["expires_on"].as_i64().unwrap() - claims["exp"].as_i64().unwrap()).abs() <= 30, "{printed}");
    claims
}

#[test]
#[ignore = "needs installed components: cargo xtask real"]
fn our_command_gets_what_az_has() {
    let Some(session) = Session::start("ours") else { return };
    if identity_tests::command().is_none() {
        return skip("our command over az", "the program identity is not built; cargo build -p identity-tool");
    }
    let vault = ["--scope", VAULT];
    refuses(
        &session,
        &vault,
        5,
        "AuthenticationFailed",
        &["nobody is signed in to the Azure CLI (az); run `az login`"],
    );

    session.login_service_principal();
    let token = claims(&session, &vault, "https://vault.azure.net", TENANT_ID);
    assert_eq!((&token["appid"], &token["idtyp"]), (&WEB_CLIENT_ID.into(), &"app".into()));
    claims(&session, &["--scope", STORAGE, "--tenant-id", TENANT_ID], "https://storage.azure.com", TENANT_ID);
    let second = super::SECOND_SUBSCRIPTION_NAME;
    claims(&session, &["--scope", VAULT, "--subscription", second], "https://vault.azure.net", TENANT_ID);
    let unknown = "0fedcba9-0000-4000-8000-0000000000ff";
    let rows: [(&[&str], i32, &str, &[&str]); 6] = [
        (
            &["--subscription", unknown],
            5,
            "AuthenticationFailed",
            &["no such subscription; `az account list --all`", unknown],
        ),
        (&["--subscription", "No Such"], 5, "AuthenticationFailed", &["no such subscription"]),
        (&["--tenant-id", unknown], 5, "AuthenticationFailed", &["the tenant does not exist", unknown]),
        (&["--tenant-id", unknown, "--subscription", second], 2, "InvalidArgument", &["`az` takes one of them"]),
        (&["--subscription", "x\" & calc"], 2, "InvalidArgument", &["`az account list` shows it"]),
        (&["--claims", "{\"a\":1}"], 3, "CredentialUnavailable", &["az login --claims-challenge eyJhIjoxfQ== --scope"]),
    ];
    for (more, code, kind, words) in rows {
        refuses(&session, &[&vault, more].concat(), code, kind, words);
    }
    let nobody = ["--scope", "https://nobody.example/.default"];
    refuses(&session, &nobody, 5, "AuthenticationFailed", &["the resource of the scope is not known", "AADSTS500011"]);
    session.logout();
    refuses(&session, &vault, 5, "AuthenticationFailed", &["run `az login`"]);
}

#[test]
#[ignore = "needs installed components: cargo xtask real"]
fn our_command_says_how_a_person_signs_in_again() {
    let Some(session) = Session::start("ours-people") else { return };
    if identity_tests::command().is_none() {
        return skip("our command over az", "the program identity is not built; cargo build -p identity-tool");
    }
    session.login_user(USER_NAME);
    let token = claims(&session, &["--scope", VAULT], "https://vault.azure.net", TENANT_ID);
    assert_eq!((&token["oid"], &token["upn"]), (&USER_OBJECT_ID.into(), &USER_NAME.into()));
    let emulator = session.emulator();
    let storage = ["--scope", STORAGE];
    let again = "run `az login --scope https://storage.azure.com/.default`";
    let other = ["--scope", STORAGE, "--tenant-id", OTHER_TENANT_ID];
    refuses(&session, &other, 5, "AuthenticationFailed", &["AADSTS50020"]);

    emulator.faults().always(Source::Entra, Answer::entra_error(90055).at("/token"));
    refuses(&session, &storage, 6, "Transport", &["asked too often; try again later"]);
    let busy = Answer::status(429).with_header("Content-Type", "text/plain").with_body("Too Many Requests");
    emulator.faults().always(Source::Entra, busy.at("/token"));
    refuses(&session, &storage, 6, "Transport", &["try again"]);
    emulator.faults().always(Source::Entra, Answer::refuse());
    refuses(&session, &storage, 6, "Transport", &["it cannot reach Entra ID"]);
    emulator.faults().clear();

    session.require_mfa();
    refuses(&session, &storage, 4, "AuthenticationRequired", &["more proof is needed", again, "AADSTS50076"]);
    let own = ["--scope", STORAGE, "--tenant-id", TENANT_ID];
    let to_tenant = format!("run `az login --tenant {TENANT_ID} --scope {STORAGE}`");
    refuses(&session, &own, 4, "AuthenticationRequired", &[&to_tenant]);
    session.expire_refresh_tokens();
    refuses(&session, &storage, 4, "AuthenticationRequired", &[again, "AADSTS700082"]);
    // The command that is recommended helps.
    assert!(session.try_login_user(USER_NAME, &storage).status.success(), "{}", session.diary());
    let token = claims(&session, &storage, "https://storage.azure.com", TENANT_ID);
    assert_eq!(token["amr"], json!(["pwd", "mfa"]));
}

/// Programs that get the session's variables, counted.
#[derive(Debug)]
struct Counted {
    inner: Arc<dyn Processes>,
    variables: Vec<(&'static str, String)>,
    runs: AtomicUsize,
}

impl Processes for Counted {
    fn is_executable(&self, path: &std::path::Path) -> bool {
        self.inner.is_executable(path)
    }

    fn stamp(&self, path: &std::path::Path) -> Option<u64> {
        self.inner.stamp(path)
    }

    fn run(&self, mut command: process::Command) -> BoxFuture<'_, Result<process::Output, ProcessError>> {
        self.runs.fetch_add(1, SeqCst);
        command.variables.extend(self.variables.iter().cloned());
        self.inner.run(command)
    }
}

/// The platform of a program that has the session's variables.
fn platform(session: &Session) -> (Platform, Arc<Counted>) {
    let variables: Vec<(String, String)> =
        session.environment().into_iter().map(|(name, value)| (name, value.into_string().unwrap())).collect();
    let inner = identity_tokio::platform();
    let leaked = variables.iter().map(|(name, value)| (&*String::leak(name.clone()), value.clone()));
    let counted = Arc::new(Counted {
        inner: Arc::clone(inner.processes().unwrap()),
        variables: leaked.collect(),
        runs: AtomicUsize::new(0),
    });
    let platform = inner.with_env(Arc::new(Variables::new(variables))).with_processes(Arc::clone(&counted) as _);
    (platform, counted)
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

#[test]
#[ignore = "needs installed components: cargo xtask real"]
fn a_thousand_callers_start_az_once_and_another_sign_in_is_noticed() {
    let Some(session) = Session::start("ours-callers") else { return };
    let (platform, counted) = platform(&session);
    let credential = AzureCliCredential::builder().build_with(&platform).unwrap();
    let runtime = runtime();
    let get = || runtime.block_on(credential.get_token(&[VAULT], None));
    let tell = |message: &str| message.contains("nobody is signed in");
    assert!(get().is_err_and(|error| tell(&error.to_string())));
    assert!(get().is_err_and(|error| tell(&error.to_string())), "remembered");
    assert_eq!(counted.runs.load(SeqCst), 1);

    // Somebody signs in: what was refused before is forgotten at once.
    session.login_service_principal();
    let tokens = runtime.block_on(async {
        let calls: Vec<_> = (0..1000)
            .map(|_| {
                let credential = credential.clone();
                tokio::spawn(async move { credential.get_token(&[VAULT], None).await.unwrap() })
            })
            .collect();
        let mut tokens = Vec::new();
        for call in calls {
            tokens.push(call.await.unwrap());
        }
        tokens
    });
    assert!(tokens.iter().all(|token| token.secret() == tokens[0].secret()));
    assert_eq!(counted.runs.load(SeqCst), 2);
    for _ in 0..1000 {
        get().unwrap();
    }
    assert_eq!(counted.runs.load(SeqCst), 2);

    // Somebody else signs in while the program runs.
    session.login_user(USER_NAME);
    std::thread::sleep(Duration::from_millis(1100));
    let token = get().unwrap();
    assert_ne!(token.secret(), tokens[0].secret());
    let found = session.claims(&json!({ "accessToken": token.secret() }), "https://vault.azure.net", TENANT_ID);
    assert_eq!((&found["upn"], counted.runs.load(SeqCst)), (&USER_NAME.into(), 3));
    session.logout();
    std::thread::sleep(Duration::from_millis(1100));
    // Nobody is signed in any more, and what was remembered of them is gone.
    assert!(get().is_err_and(|error| tell(&error.to_string())));
}

#[test]
#[ignore = "needs installed components: cargo xtask real"]
fn what_it_costs_on_top_of_az_is_little() {
    let Some(session) = Session::start("ours-time") else { return };
    session.login_service_principal();
    let (platform, counted) = platform(&session);
    let credential = AzureCliCredential::builder().no_cache().build_with(&platform).unwrap();
    let runtime = runtime();
    let by_hand = || drop(session.token(&["--scope", VAULT]));
    let ours = || drop(runtime.block_on(credential.get_token(&[VAULT], None)).unwrap());
    let time = |run: &dyn Fn()| {
        let start = Instant::now();
        run();
        start.elapsed()
    };
    by_hand();
    ours();
    // In turn, so that whatever else the machine does befalls both.
    let mut times: Vec<(Duration, Duration)> = (0..9).map(|_| (time(&by_hand), time(&ours))).collect();
    times.sort_by_key(|(by_hand, _)| *by_hand);
    let median_by_hand = times[4].0;
    times.sort_by_key(|(_, ours)| *ours);
    let median_ours = times[4].1;
    let ratio = median_ours.as_secs_f64() / median_by_hand.as_secs_f64();
    println!("az by hand {median_by_hand:.0?}, by the credential {median_ours:.0?}: {ratio:.2}x (medians of 9)");
    assert_eq!(counted.runs.load(SeqCst), 10);
    assert!(ratio < 1.5, "{times:?}");
}
