//! No public type shows the secret that it holds: each is made with one and printed in every way.
//!
//! The list of types is compared with the sources, so that a new one cannot be forgotten.
#![expect(clippy::disallowed_methods, reason = "the sources are read from the disk")]
#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test ends when it is not so")]
#![expect(deprecated, reason = "what is deprecated keeps its secrets as well")]

use std::{
    collections::BTreeSet,
    fmt::Debug,
    fs,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use identity::{DefaultAzureCredential, EnvironmentCredential, get_bearer_token_provider};
use identity_blocking::BlockingCredential;
use identity_cache::{Ask, CacheOptions, Fetch, Fetched, Lookup, TokenCache};
use identity_certificate::{CertificateCredential, ClientCertificate};
use identity_chain::ChainedTokenCredential;
use identity_cli::{AzureCliCredential, AzureDeveloperCliCredential, AzurePowerShellCredential};
use identity_confidential::{
    AuthorizationCodeCredential, ClientAssertionCredential, ClientSecretCredential, OnBehalfOfClient,
    OnBehalfOfCredential, TokenAssertion, UsernamePasswordCredential,
};
use identity_core::{
    AccessToken, BoxFuture, CallContext, Clock as _, Error, Platform, Result, Secret, TokenCredential, TokenFuture,
    answer::{self, Body},
    fakes::{FakeClock, FakeEnv, FakeProcesses, FakeTransport, Sim, json, platform},
    http::{Method, Request, Response, TransportError},
    process::Output,
    redact, retry,
};
use identity_emulator::{App, Emulator, Source, TEST_CERTIFICATE_PEM, TEST_KEY_PEM, User};
use identity_msi::ManagedIdentityCredential;
use identity_oauth::{AppClient, Client, ClientOptions, ClientSecret, Grant, Proof, RefreshTokens};
use identity_tests::{Logs, find_secret, shown};
use identity_tokio::TransportOptions;
use identity_workload::{AzurePipelinesCredential, GithubActionsCredential, TokenExchange, WorkloadIdentityCredential};

const CANARY: &str = "CANARY-9c1f";
const SCOPE: &str = "https://storage.azure.com/.default";

/// Each public type with a secret in it, printed.
fn printed() -> Vec<(&'static str, String)> {
    let given =
        ["access_token", "oidcToken", "refresh_token", "value"].map(|name| format!(r#""{name}":"{CANARY}""#)).join(",");
    let world = World::new(200, &format!(r#"{{{given},"expires_in":"3600"}}"#));
    let gives_canary = |credential: &dyn TokenCredential| {
        assert_eq!(world.sim.run(credential.get_token(&[SCOPE], None)).unwrap().secret(), CANARY);
    };
    let mut all = Vec::new();
    let mut show = |name, value: &dyn Debug| all.push((name, format!("{value:?}\n{value:#?}")));

    let secret = Secret::new(CANARY);
    show("core::Secret", &[Some(secret.clone())]);
    let token = AccessToken::new(CANARY, SystemTime::UNIX_EPOCH);
    show("core::AccessToken", &(Ok::<_, Error>(token.clone()), vec![token.clone()]));
    show("core::TokenFuture", &TokenFuture::ready(Ok(token.clone())));
    let mut request = Request::new(Method::Post, "http://127.0.0.1/").header("authorization", CANARY);
    request.body = Some(CANARY.into());
    show("core::Request", &request);
    let response = || Response::new(200, vec![("x".into(), CANARY.into())], CANARY.into());
    show("core::Response", &response());
    show("core::Answer", &retry::Answer { response: response(), exhausted: false, retry_after: None, attempts: 1 });
    show("core::Platform", &world.platform);

    const NAMES: [&str; 2] = ["access_token", "expires_in"];
    let (object, answered) = (format!(r#"{{"access_token":"{CANARY}","expires_in":1}}"#), response());
    let body = Body::parse(&NAMES, object.as_bytes(), true);
    show("core::Body", &body);
    if let Body::Object(fields) = &body {
        show("core::Fields", fields);
        show("core::Token", &answer::token(fields, &answered, SystemTime::UNIX_EPOCH));
    }

    let moment = clock().now();
    let fetched =
        Fetched { secret: secret.clone(), life: Duration::from_secs(1), refresh_in: None, sent_at: moment, origin: "" };
    show("cache::Fetched", &fetched);
    let ask = Ask {
        scopes: vec![],
        tenant: String::new(),
        subject: String::new(),
        cae: false,
        claims: None,
        context: CallContext::Alone,
        evidence: Some(CANARY.into()),
        current: Some(token),
    };
    show("cache::Ask", &ask);
    let cache = TokenCache::new(&world.platform, Arc::new(Gives), CacheOptions::default());
    assert_eq!(world.sim.run(cache.get(&[SCOPE], "", "", None)).unwrap().secret(), CANARY);
    show("cache::TokenCache", &cache);

    show("oauth::Proof", &[Proof::Secret(CANARY.into()), Proof::Assertion(CANARY.into())]);
    let secret = Arc::new(ClientSecret::new(CANARY));
    show("oauth::ClientSecret", &secret);
    let client = || Client::new(&world.platform, "tenant", "client", Some(secret.clone()), ClientOptions::default());
    show("oauth::Client", &client());
    let (code, asked) = (Secret::new(CANARY), ask.clone());
    let grant = Grant::authorization_code(&code, "https://app.example", Some(&code));
    show("oauth::Grant", &[&grant, &Grant::on_behalf_of(&code), &Grant::refresh_token(&code)]);
    let granted = world.sim.run(async { client().unwrap().request(&grant, &asked).await }).unwrap();
    assert!(granted.refresh_token.is_some());
    show("oauth::Granted", &granted);
    let tokens = RefreshTokens::new(1);
    tokens.put("key", CANARY.into());
    show("oauth::RefreshTokens", &tokens);
    let client = AppClient::new("Test", client().unwrap());
    assert_eq!(world.sim.run(client.get(&[SCOPE], None)).unwrap().secret(), CANARY);
    show("oauth::AppClient", &client);

    let builder = ClientSecretCredential::builder("tenant", "client", CANARY);
    show("confidential::ClientSecretCredentialBuilder", &builder);
    let credential = builder.build_with(&world.platform).unwrap();
    gives_canary(&credential);
    show("confidential::ClientSecretCredential", &credential);
    let gives = || TokenAssertion::new(Arc::new(credential.clone()));
    show("confidential::TokenAssertion", &gives());
    let builder = ClientAssertionCredential::builder("tenant", "client", gives());
    show("confidential::ClientAssertionCredentialBuilder", &builder);
    let credential = builder.build_with(&world.platform).unwrap();
    gives_canary(&credential);
    show("confidential::ClientAssertionCredential", &credential);

    let builder = OnBehalfOfClient::builder("tenant", "client").client_secret(CANARY);
    show("confidential::OnBehalfOfClientBuilder", &builder);
    let client = builder.build_with(&world.platform).unwrap();
    let credential = client.credential(CANARY).unwrap();
    gives_canary(&credential);
    show("confidential::OnBehalfOfClient", &client);
    show("confidential::OnBehalfOfCredential", &credential);
    let builder = OnBehalfOfCredential::builder("tenant", "client", CANARY).client_secret(CANARY);
    show("confidential::OnBehalfOfCredentialBuilder", &builder);
    let builder = UsernamePasswordCredential::builder("client", "ada@contoso.example", CANARY).tenant_id("adfs");
    show("confidential::UsernamePasswordCredentialBuilder", &builder);
    let credential = builder.build_with(&world.platform).unwrap();
    gives_canary(&credential);
    show("confidential::UsernamePasswordCredential", &credential);
    let builder = AuthorizationCodeCredential::builder("tenant", "client", CANARY, "https://app.example");
    show("confidential::AuthorizationCodeCredentialBuilder", &builder.clone().client_secret(CANARY));
    let credential = builder.build_with(&world.platform).unwrap();
    gives_canary(&credential);
    show("confidential::AuthorizationCodeCredential", &credential);

    let builder =
        ClientCertificate::builder().certificate_data([TEST_KEY_PEM, TEST_CERTIFICATE_PEM].concat()).password(CANARY);
    show("certificate::ClientCertificateBuilder", &builder);
    show("certificate::ClientCertificate", &builder.build_with(&world.platform).unwrap());
    let builder = CertificateCredential::builder("tenant", "client")
        .certificate_data([TEST_KEY_PEM, TEST_CERTIFICATE_PEM].concat())
        .password(CANARY);
    show("certificate::CertificateCredentialBuilder", &builder);
    let credential = builder.build_with(&world.platform).unwrap();
    gives_canary(&credential);
    show("certificate::CertificateCredential", &credential);

    show("workload::WorkloadIdentityCredentialBuilder", &WorkloadIdentityCredential::builder());
    let credential = WorkloadIdentityCredential::builder().build_with(&world.platform).unwrap();
    gives_canary(&credential);
    show("workload::WorkloadIdentityCredential", &credential);
    show(
        "workload::TokenExchange",
        &TokenExchange::new(WorkloadIdentityCredential::builder(), &world.platform).unwrap(),
    );
    let builder = AzurePipelinesCredential::builder("tenant", "client", "connection", CANARY);
    show("workload::AzurePipelinesCredentialBuilder", &builder);
    let credential = builder.build_with(&world.platform).unwrap();
    gives_canary(&credential);
    show("workload::AzurePipelinesCredential", &credential);
    show("workload::GithubActionsCredentialBuilder", &GithubActionsCredential::builder());
    let credential = GithubActionsCredential::builder().build_with(&world.platform).unwrap();
    gives_canary(&credential);
    show("workload::GithubActionsCredential", &credential);

    show("core::Output", &output());
    show("cli::AzureCliCredentialBuilder", &AzureCliCredential::builder());
    let credential = AzureCliCredential::builder().build_with(&world.platform).unwrap();
    gives_canary(&credential);
    show("cli::AzureCliCredential", &credential);
    show("cli::AzureDeveloperCliCredentialBuilder", &AzureDeveloperCliCredential::builder());
    let credential = AzureDeveloperCliCredential::builder().build_with(&world.platform).unwrap();
    gives_canary(&credential);
    show("cli::AzureDeveloperCliCredential", &credential);
    show("cli::AzurePowerShellCredentialBuilder", &AzurePowerShellCredential::builder());
    let credential = AzurePowerShellCredential::builder().build_with(&world.platform).unwrap();
    gives_canary(&credential);
    show("cli::AzurePowerShellCredential", &credential);

    let url = format!("http://{CANARY}:{CANARY}@127.0.0.1:3128");
    show("tokio::TransportOptions", &TransportOptions::new().ca_pem(CANARY).proxy(url));

    show("msi::ManagedIdentityCredentialBuilder", &ManagedIdentityCredential::builder());
    let credential = ManagedIdentityCredential::builder().build_with(&world.platform).unwrap();
    gives_canary(&credential);
    show("msi::ManagedIdentityCredential", &credential);
    let links = || vec![Arc::new(credential.clone()) as _];
    show("chain::ChainedTokenCredentialBuilder", &ChainedTokenCredential::builder(links()));
    let chain = ChainedTokenCredential::new(links()).unwrap();
    gives_canary(&chain);
    show("chain::ChainedTokenCredential", &chain);
    show("blocking::BlockingCredential", &BlockingCredential::new(chain));

    let builder = EnvironmentCredential::builder().authority(format!("https://ada:{CANARY}@contoso.example"));
    show("identity::EnvironmentCredentialBuilder", &builder);
    let credential = EnvironmentCredential::builder().build_with(&world.platform).unwrap();
    assert_eq!(credential.chosen(), Some("ClientSecretCredential"));
    gives_canary(&credential);
    show("identity::EnvironmentCredential", &credential);
    let builder = DefaultAzureCredential::builder().authority(format!("https://ada:{CANARY}@contoso.example"));
    show("identity::DefaultAzureCredentialBuilder", &builder);
    let credential = DefaultAzureCredential::builder().build_with(&world.platform).unwrap();
    gives_canary(&credential);
    show("identity::DefaultAzureCredential", &credential);
    let provider = get_bearer_token_provider(Arc::new(credential), [SCOPE]);
    assert_eq!(world.sim.run(provider.token()).unwrap().secret(), CANARY);
    show("identity::BearerTokenProvider", &provider);

    let builder = || Emulator::builder().identity_header(CANARY).service_fabric_secret(CANARY).azure_ml_secret(CANARY);
    let app = || App::new("7e57ab1e-0000-4000-8000-00000000ca00").secret(CANARY);
    let user = || User::new("ada@contoso.example", CANARY);
    show("emulator::App", &app());
    show("emulator::User", &user());
    let builder = || builder().app(app()).user(user());
    show("emulator::Builder", &builder());
    let emulator = builder().start_in_background().unwrap();
    ask_emulator(&emulator);
    assert_eq!(emulator.requests()[0].header("x-identity-header"), Some(CANARY));
    show("emulator::Request", &emulator.requests());
    show("emulator::Emulator", &emulator);
    show("emulator::Faults", emulator.faults());
    all
}

#[test]
fn no_public_type_shows_the_secret_in_it() {
    let (all, logs) = Logs::of(printed);
    // The first line of the key that is no header.
    let key = TEST_KEY_PEM.lines().skip_while(|line| !line.starts_with("-----BEGIN")).nth(1).unwrap();
    for (name, text) in &all {
        assert_eq!(find_secret(text, [CANARY, key]), None, "{name}: {text}");
    }
    assert_eq!(find_secret(&logs, [CANARY, key]), None, "{logs}");
    // A type that prints nothing about itself would pass as well, and help nobody.
    for (name, text) in &all {
        assert!(text.len() >= 6, "{name}: {text}");
    }
}

#[test]
fn errors_do_not_repeat_what_a_server_repeats() {
    let jwt = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJDQU5BUlkifQ.c2lnbmF0dXJl";
    let percent = CANARY.replace('-', "%2D");
    for (status, body) in [
        (400, format!(r#"{{"error":"x","error_description":"you sent {CANARY}"}}"#)),
        (400, format!(r#"{{"error":{{"code":"{CANARY}","message":"{jwt}"}}}}"#)),
        (401, format!("<html>{CANARY} {jwt}</html>")),
        (403, format!(r#"{{"message":"{percent}"}}"#)),
        (403, format!(r#"{{"message":"no","correlation_id":"{CANARY}"}}"#)),
        (500, CANARY.repeat(300)),
        (200, format!(r#"{{"access_token":"{CANARY}"}}"#)),
        (200, format!(r#"{{"access_token":"{CANARY}","expires_in":"{CANARY}"}}"#)),
        (200, format!(r#"{{"access_token":"{CANARY} {CANARY}","expires_in":"3600"}}"#)),
        (200, format!(r#"{{"access_token":"{CANARY}","expires_in":"3600","token_type":"{CANARY}"}}"#)),
        (200, format!(r#"{{"access_token":"{CANARY}","expires_in":"3600","#)),
        (200, format!("{CANARY}{jwt}")),
        (302, format!(r#"{{"access_token":"{CANARY}"}}"#)),
    ] {
        for build in BUILDERS {
            let world = World::new(status, &body);
            let (error, logs) = Logs::of(|| {
                let credential = build(&world.platform).unwrap();
                world.sim.run(credential.get_token(&[SCOPE], None)).unwrap_err()
            });
            let text = shown(&error) + &format!("{:?}{:?}", error.correlation_id(), error.trace_id());
            assert_eq!(find_secret(&text, [CANARY, jwt]), None, "{status} {body}: {text}");
            assert_eq!(find_secret(&logs, [CANARY, jwt]), None, "{status} {body}: {logs}");
        }
    }
}

type Build = fn(&Platform) -> Result<Arc<dyn TokenCredential>>;

/// Credentials that each show the canary to a server in a way of their own.
const BUILDERS: [Build; 8] = [
    |platform| Ok(Arc::new(DefaultAzureCredential::builder().build_with(platform)?)),
    |platform| Ok(Arc::new(ManagedIdentityCredential::builder().build_with(platform)?)),
    |platform| Ok(Arc::new(ClientSecretCredential::builder("tenant", "client", CANARY).build_with(platform)?)),
    |platform| Ok(Arc::new(WorkloadIdentityCredential::builder().build_with(platform)?)),
    |platform| {
        let builder = AzurePipelinesCredential::builder("tenant", "client", "connection", CANARY);
        Ok(Arc::new(builder.build_with(platform)?))
    },
    |platform| Ok(Arc::new(GithubActionsCredential::builder().build_with(platform)?)),
    |platform| {
        let client = OnBehalfOfClient::builder("tenant", "client").client_secret("no-canary").build_with(platform)?;
        Ok(Arc::new(client.credential(CANARY)?))
    },
    |platform| {
        let builder = AuthorizationCodeCredential::builder("tenant", "client", CANARY, "https://app.example");
        Ok(Arc::new(builder.build_with(platform)?))
    },
];

#[test]
fn excerpts_hide_secrets_across_their_own_cut() {
    let text = ["x".repeat(redact::EXCERPT_LIMIT - 4), CANARY.to_owned()].concat();
    let shown = redact::excerpt(text.as_bytes(), &[CANARY]);
    assert!(!shown.contains("CANA"), "{shown}");
}

/// Types that can hold no secret, and why not.
const NO_SECRET: &[(&str, &str)] = &[
    ("cache::CacheOptions", "numbers"),
    ("cache::Lookup", "scopes, a tenant, claims of a challenge, and a hash"),
    ("certificate::SigningAlgorithm", "names"),
    ("confidential::AssertionRequest", "a URL and ids"),
    ("core::CallContext", "names"),
    ("core::Command", "arguments that every user of the machine can read"),
    ("core::Error", "looked at with every text of a server, in a test of its own"),
    ("core::ErrorKind", "names"),
    ("core::Gate", "counts and the last error"),
    ("core::Gates", "origins and client ids"),
    ("core::Links", "names"),
    ("core::Malformed", "names"),
    ("core::Method", "names"),
    ("core::ProcessError", "errors of the system"),
    ("core::Proxy", "names"),
    ("core::Moment", "times"),
    ("core::Reach", "names"),
    ("core::RetryPolicy", "numbers"),
    ("core::RuntimeId", "a number"),
    ("core::ServerTrust", "the digest of a certificate, or public roots"),
    ("core::TokenRequestOptions", "claims of a challenge, a tenant"),
    ("core::TransportError", "text of the transport, which knows no secret"),
    ("core::TransportErrorKind", "names"),
    ("core::Turn", "nothing"),
    ("core::Turns", "nothing"),
    ("core::UpgradePolicy", "numbers"),
    ("core::Verdict", "names"),
    ("core::WrongType", "nothing"),
    ("emulator::Answer", "what a test wrote itself"),
    ("emulator::Connections", "counts"),
    ("emulator::ExpiryFormat", "names"),
    ("emulator::Identity", "ids"),
    ("emulator::ServerCertificate", "names"),
    ("emulator::Source", "names"),
    ("emulator::Subscription", "ids and names"),
    ("emulator::Tenant", "ids and names"),
    ("emulator::UnknownSource", "nothing"),
    ("emulator::UserFlow", "nothing"),
    ("identity::ChainLink", "names"),
    ("oauth::AzureAuthorityHosts", "names"),
    ("oauth::ClientOptions", "an authority, tenants, numbers"),
    ("oauth::Federation", "URLs of a server"),
    ("oauth::ProofRequest", "a URL, ids and a time"),
    ("oauth::Realm", "URLs of a server"),
    ("oauth::SamlVersion", "names"),
    ("oauth::Tenants", "ids and names"),
    ("tokio::Roots", "names"),
];

#[test]
fn every_public_type_is_printed_here_or_holds_no_secret() {
    let printed: BTreeSet<String> = printed().into_iter().map(|(name, _)| name.to_owned()).collect();
    let listed: BTreeSet<String> = NO_SECRET.iter().map(|(name, _)| (*name).to_owned()).collect();
    let public = public_types();
    assert!(public.len() > 30, "the sources were not found: {public:?}");
    let known: BTreeSet<String> = printed.union(&listed).cloned().collect();
    assert_eq!(known, public, "left: printed or listed here; right: public");
    assert_eq!(printed.intersection(&listed).count(), 0, "{printed:?}");
}

/// `crate::Type` of everything that libraries declare `pub` at the top of a file.
fn public_types() -> BTreeSet<String> {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates");
    let mut types = BTreeSet::new();
    for entry in fs::read_dir(crates).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.join("src/lib.rs").exists() {
            let name = name.strip_prefix("identity-").unwrap_or(&name);
            collect(&path.join("src"), name, &mut types);
        }
    }
    types
}

fn collect(folder: &Path, name: &str, types: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && path.file_name().unwrap() != "fakes" {
            collect(&path, name, types);
        } else if path.file_stem().unwrap() != "fakes" {
            for line in fs::read_to_string(&path).unwrap().lines() {
                let rest = line.strip_prefix("pub struct ").or_else(|| line.strip_prefix("pub enum "));
                let end = |c: char| !c.is_ascii_alphanumeric();
                types.extend(rest.and_then(|rest| rest.split(end).next()).map(|found| format!("{name}::{found}")));
            }
        }
    }
}

/// A day in 2027, when the certificate of the test key is valid.
fn clock() -> FakeClock {
    let clock = FakeClock::default();
    clock.jump_wall(400 * 86_400);
    clock
}

/// What each of the tools would print, all at once, with the canary as its token.
fn output() -> Output {
    let text = format!(
        r#"azsdk%{CANARY}%4070908800
{{"accessToken":"{CANARY}","expires_on":4070908800,"token":"{CANARY}","expiresOn":"2099-01-01T00:00:00Z"}}"#
    );
    Output::new(Some(0), text.into(), CANARY.into())
}

struct World {
    platform: Platform,
    sim: Sim,
}

impl World {
    /// App Service, where every secret is the canary and every request gets this answer; a pod and a job, too.
    fn new(status: u16, body: &str) -> Self {
        let (clock, body) = (clock(), body.to_owned());
        let answer = move |_: &Request| -> Result<Response, TransportError> {
            if status == 302 {
                let location = format!("http://evil.example/{CANARY}?x={CANARY}");
                return Ok(Response::new(status, vec![("location".into(), location)], body.clone().into_bytes()));
            }
            Ok(json(status, &body))
        };
        let env = FakeEnv::new(&[
            ("IDENTITY_ENDPOINT", "http://127.0.0.1:1/"),
            ("IDENTITY_HEADER", CANARY),
            ("AZURE_TENANT_ID", "tenant"),
            ("AZURE_CLIENT_ID", "client"),
            ("AZURE_CLIENT_SECRET", CANARY),
            ("AZURE_FEDERATED_TOKEN_FILE", "/token"),
            ("SYSTEM_OIDCREQUESTURI", "https://dev.azure.example/token"),
            ("ACTIONS_ID_TOKEN_REQUEST_URL", "https://actions.example/token"),
            ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", CANARY),
            ("PATH", "/tools"),
        ]);
        env.file("/token", Ok(CANARY.as_bytes()));
        let tools = ["/tools/az", "/tools/azd", "/tools/pwsh"];
        let processes = FakeProcesses::new(&clock, &tools, Duration::ZERO, |_| Ok(output()));
        let platform = platform(&clock, &FakeTransport::new(&clock, answer), &env);
        let platform = platform.with_processes(Arc::new(processes));
        Self { platform, sim: Sim::new(&clock) }
    }
}

/// One request to the emulator's App Service that shows the secret.
fn ask_emulator(emulator: &Emulator) {
    let platform = identity_tests::platform_of(emulator, Source::AppService);
    let credential = ManagedIdentityCredential::builder().build_with(&platform).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let token = runtime.block_on(credential.get_token(&[SCOPE], None)).unwrap();
    assert!(token.secret().starts_with("eyJ"));
}

/// Gives the canary as a token.
#[derive(Debug)]
struct Gives;

impl Fetch for Gives {
    fn name(&self) -> &'static str {
        "Gives"
    }

    fn check(&self, _: &Lookup<'_>) -> Result<()> {
        Ok(())
    }

    fn fetch(self: Arc<Self>, _: Ask) -> BoxFuture<'static, Result<Fetched>> {
        let sent_at = clock().now();
        let life = Duration::from_secs(3600);
        Box::pin(async move { Ok(Fetched { secret: CANARY.into(), life, refresh_in: None, sent_at, origin: "" }) })
    }
}
