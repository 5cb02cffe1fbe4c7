//! Real proxies carry our requests for tokens to Entra, and nothing else; what they log is all that they saw.

use std::{
    env,
    fmt::Write as _,
    fs::{self, Permissions},
    net::{TcpListener, TcpStream},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use identity_confidential::ClientSecretCredential;
use identity_core::{Error, ErrorKind, Platform, TokenCredential};
use identity_emulator::{Emulator, Source, TENANT_ID, WEB_CLIENT_ID, WEB_CLIENT_SECRET};
use identity_msi::ManagedIdentityCredential;
use identity_tests::{Variables, find_secret, shown, skip};
use identity_tokio::{Roots, TransportOptions};
use tokio::runtime::Runtime;

use crate::{
    installed::{run, text},
    pki,
    process::Process,
};

const STORAGE: &str = "https://storage.azure.com/.default";
const VAULT: &str = "https://vault.azure.net/.default";

/// Its signs have to be percent-encoded in a URL, and a colon ends a user name.
const PASSWORD: &str = "p@ss:w/rd %41";
const USER_INFO: &str = "user:p%40ss%3Aw%2Frd%20%2541@";

#[test]
#[ignore = "needs installed components: cargo xtask real"]
fn tinyproxy_carries_requests_for_tokens_and_no_others() {
    let Some(scene) = Scene::start("tinyproxy-open", |scene| tinyproxy(scene, None)) else { return };
    let platform = scene.platform(scene.options(""));

    // The second one on the connection that is kept.
    for scope in [STORAGE, VAULT] {
        scene.token(&scene.secret(&platform), scope).unwrap();
    }
    scene.carried(1);
    // Metadata endpoints are asked directly, whatever the proxy.
    let msi = platform.clone().with_env(Arc::new(Variables::new(scene.emulator.variables(Source::AppService))));
    scene.token(&ManagedIdentityCredential::builder().build_with(&msi).unwrap(), STORAGE).unwrap();
    assert_eq!(scene.emulator.request_count(Source::AppService), 1);
    scene.carried(1);
    for exceptions in ["localhost", "example.com, localhost", "*"] {
        let platform = scene.platform(scene.options("").proxy_exceptions(exceptions));
        scene.token(&scene.secret(&platform), STORAGE).unwrap();
    }
    scene.carried(1);
    scene.token(&scene.secret(&scene.platform(scene.options("").proxy_exceptions("example.com"))), STORAGE).unwrap();
    scene.carried(2);
    scene.end(6);
}

#[test]
#[ignore = "needs installed components: cargo xtask real"]
fn tinyproxy_wants_a_password() {
    // Its passwords have few signs.
    let Some(scene) = Scene::start("tinyproxy-basic", |scene| tinyproxy(scene, Some("user p-ss.word_1"))) else {
        return;
    };
    let right = "user:p%2Dss.word_1@";
    scene.token(&scene.secret(&scene.platform(scene.options(right))), STORAGE).unwrap();
    scene.carried(1);
    // It answers 401 to what it does not accept, and 407 where there is nothing.
    scene.refuses(&scene.platform(scene.options("user:wrong-password@")), "does not accept the user name and password");
    scene.refuses(&scene.platform(scene.options("")), "HTTP 407: it wants a user name and password");
    scene.carried(3);
    scene.end(1);
}

#[test]
#[ignore = "needs installed components: cargo xtask real"]
fn squid_wants_a_password_in_clear_and_by_tls() {
    let Some(scene) = Scene::start("squid", squid) else { return };
    let mut expected = 0;
    for secure in [false, true] {
        let options = |user_info: &str| if secure { scene.secure_options(user_info) } else { scene.options(user_info) };
        scene.token(&scene.secret(&scene.platform(options(USER_INFO))), STORAGE).unwrap();
        let wrong = options("user:wrong-password@");
        scene.refuses(&scene.platform(wrong), "HTTP 407: it does not accept the user name and password");
        scene.refuses(&scene.platform(options("")), "HTTP 407: it wants a user name and password");
        expected += 3;
        scene.carried(expected);
    }
    let log = fs::read_to_string(&scene.log).unwrap();
    let count = |part: &str| log.lines().filter(|line| line.contains(part)).count();
    assert_eq!((count("TCP_TUNNEL/200"), count("TCP_DENIED/407")), (2, 4), "{log}");
    scene.end(2);
}

/// Runs this test again as a process of its own, which has nothing but these variables.
#[test]
#[ignore = "needs installed components: cargo xtask real"]
fn processes_find_the_proxy_by_their_variables() {
    if let Ok(source) = env::var(CHILD) {
        return child(&source);
    }
    let Some(scene) = Scene::start("tinyproxy-variables", |scene| tinyproxy(scene, Some("user word"))) else { return };
    let proxy = |user_info: &str| scene.url("http", user_info, scene.port);
    let (right, wrong) = (proxy("user:word@"), proxy("user:wrong-password@"));
    let mut connects = 0;
    for (variables, outcome, more) in [
        (vec![("HTTPS_PROXY", &*right)], "token", 1),
        (vec![("https_proxy", &*right)], "token", 1),
        (vec![("ALL_PROXY", &*right)], "token", 1),
        (vec![("HTTPS_PROXY", &*wrong)], "InvalidArgument", 1),
        (vec![("HTTPS_PROXY", &*wrong), ("NO_PROXY", "localhost")], "token", 0),
        (vec![("HTTPS_PROXY", &*wrong), ("no_proxy", "*")], "token", 0),
        // It is for http alone.
        (vec![("HTTP_PROXY", &*wrong), ("http_proxy", &*wrong)], "token", 0),
    ] {
        connects += more;
        assert_eq!(scene.process(Source::Entra, &variables), outcome, "{variables:?}");
        scene.carried(connects);
    }
    let all = ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];
    for source in [Source::AppService, Source::Imds] {
        assert_eq!(scene.process(source, &all.map(|name| (name, &*right))), "token");
        assert_eq!(scene.emulator.request_count(source), 1);
    }
    scene.carried(connects);
    scene.end(6);
}

const CHILD: &str = "REAL_CHILD_SOURCE";

fn child(source: &str) {
    let platform = identity_tokio::platform();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let outcome = if source == Source::Entra.name() {
        let of = |name: &str| env::var(name).unwrap();
        let (tenant, client) = (of("AZURE_TENANT_ID"), of("AZURE_CLIENT_ID"));
        let builder = ClientSecretCredential::builder(tenant, client, of("AZURE_CLIENT_SECRET"));
        token(&runtime, &builder.disable_instance_discovery().build_with(&platform).unwrap(), STORAGE)
    } else {
        token(&runtime, &ManagedIdentityCredential::builder().build_with(&platform).unwrap(), STORAGE)
    };
    let outcome = outcome.map_or_else(|error| error.kind().as_str(), |()| "token");
    println!("outcome: {outcome}");
}

fn token(runtime: &Runtime, credential: &dyn TokenCredential, scope: &str) -> Result<(), Error> {
    runtime.block_on(credential.get_token(&[scope], None)).map(|token| assert!(!token.secret().is_empty()))
}

/// An emulator, and a proxy before it.
struct Scene {
    emulator: Emulator,
    folder: PathBuf,
    port: u16,
    /// Where the proxy speaks TLS, if it can.
    secure_port: u16,
    log: PathBuf,
    /// What a line of the log has that is about a request.
    mark: &'static str,
    /// One for all calls, or no connection would be kept.
    runtime: Runtime,
    _proxy: Option<Process>,
}

impl Scene {
    /// `command` writes the configuration and says how to start the proxy; `None`, with a word of why, if it cannot.
    fn start(name: &str, command: impl Fn(&mut Self) -> Option<Command>) -> Option<Self> {
        // Not below the target folder: as root, Squid makes itself a user who may not go there.
        let folder = env::temp_dir().join(format!("identity-tests-{name}-{}", std::process::id()));
        fs::create_dir(&folder).unwrap();
        fs::set_permissions(&folder, Permissions::from_mode(0o777)).unwrap();
        let emulator = Emulator::builder().start_in_background().unwrap();
        let log = folder.join("proxy.log");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (port, secure_port) = (free_port(), free_port());
        let mut scene = Self { emulator, folder, port, secure_port, log, mark: "", runtime, _proxy: None };
        let mut proxy = Process::start(&mut command(&mut scene)?);
        let start = Instant::now();
        while TcpStream::connect(("127.0.0.1", scene.port)).is_err() {
            assert!(start.elapsed() < PATIENCE, "{name} does not listen: {}", proxy.complaint());
            thread::sleep(Duration::from_millis(20));
        }
        scene._proxy = Some(proxy);
        Some(scene)
    }

    fn url(&self, scheme: &str, user_info: &str, port: u16) -> String {
        format!("{scheme}://{user_info}localhost:{port}")
    }

    /// By that proxy, with that user and password.
    fn options(&self, user_info: &str) -> TransportOptions {
        self.trusting().proxy(self.url("http", user_info, self.port))
    }

    fn secure_options(&self, user_info: &str) -> TransportOptions {
        let ca = fs::read_to_string(self.folder.join("ca.pem")).unwrap();
        self.trusting().ca_pem(ca).proxy(self.url("https", user_info, self.secure_port))
    }

    fn trusting(&self) -> TransportOptions {
        TransportOptions::new().roots(Roots::None).ca_pem(self.emulator.ca_pem())
    }

    fn platform(&self, options: TransportOptions) -> Platform {
        options.platform().unwrap().with_env(Arc::new(Variables::new([])))
    }

    fn secret(&self, platform: &Platform) -> ClientSecretCredential {
        let builder = ClientSecretCredential::builder(TENANT_ID, WEB_CLIENT_ID, WEB_CLIENT_SECRET);
        let builder = builder.authority(self.emulator.authority()).disable_instance_discovery();
        builder.build_with(platform).unwrap()
    }

    /// The proxy does not let us through, and the error says that without the password.
    fn refuses(&self, platform: &Platform, why: &str) {
        let error = self.token(&self.secret(platform), STORAGE).expect_err("the proxy refuses");
        let text = shown(&error);
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{text}");
        assert!(text.contains(why), "{text}");
        assert_eq!(find_secret(&text, ["wrong-password", PASSWORD, WEB_CLIENT_SECRET]), None, "{text}");
    }

    fn token(&self, credential: &dyn TokenCredential, scope: &str) -> Result<(), Error> {
        token(&self.runtime, credential, scope)
    }

    /// Compares what the proxy was asked with so many tunnels to the authority, and nothing else.
    fn carried(&self, tunnels: usize) {
        let authority = self.emulator.authority();
        let target = format!("CONNECT {} ", authority.trim_start_matches("https://"));
        let start = Instant::now();
        // Squid writes the line when the tunnel is closed.
        loop {
            let log = fs::read_to_string(&self.log).unwrap_or_default();
            // Without a request: how the start was waited for.
            let is_request =
                |line: &&str| line.contains(self.mark) && !line.contains("error:transaction-end-before-headers");
            let asked: Vec<&str> = log.lines().filter(is_request).collect();
            assert!(asked.len() <= tunnels && asked.iter().all(|line| line.contains(&target)), "{tunnels}: {asked:#?}");
            if asked.len() == tunnels {
                return;
            }
            assert!(start.elapsed() < PATIENCE, "{tunnels}: {log}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Runs a process of its own that gets a token; what it says of it.
    fn process(&self, source: Source, variables: &[(&str, &str)]) -> String {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["proxies::processes_find_the_proxy_by_their_variables", "--exact", "--ignored", "--nocapture"]);
        command.env_clear().envs(self.emulator.variables(source)).envs(variables.iter().copied());
        let output = run(command.env(CHILD, source.name()), "");
        let printed = text(&output.stdout);
        let outcome = printed.split_once("outcome: ").and_then(|(_, rest)| rest.split_ascii_whitespace().next());
        outcome.unwrap_or_else(|| panic!("{printed}{}", text(&output.stderr))).to_owned()
    }

    /// So many requests have reached the token endpoint.
    fn end(self, requests: u64) {
        assert_eq!(self.emulator.request_count(Source::Entra), requests);
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn tinyproxy(scene: &mut Scene, user: Option<&str>) -> Option<Command> {
    let program = program("tinyproxy", &["/usr/bin/tinyproxy"])?;
    scene.mark = "Request (file descriptor ";
    let mut text = format!(
        "Port {}\nListen 127.0.0.1\nTimeout 30\nMaxClients 20\nAllow 127.0.0.1\nLogLevel Connect\nLogFile \"{}\"\nConnectPort {}\n",
        scene.port,
        scene.log.display(),
        scene.emulator.address(Source::Entra).port(),
    );
    if let Some(user) = user {
        writeln!(text, "BasicAuth {user}").unwrap();
    }
    let file = scene.folder.join("tinyproxy.conf");
    fs::write(&file, text).unwrap();
    let mut command = Command::new(program);
    command.arg("-d").arg("-c").arg(file);
    Some(command)
}

fn squid(scene: &mut Scene) -> Option<Command> {
    let program = program("squid", &["/usr/sbin/squid"])?;
    scene.mark = " HIER_";
    pki::server(&scene.folder);
    let mut hash = Command::new("openssl");
    let hash = run(hash.args(["passwd", "-apr1", "-stdin"]), PASSWORD);
    let at = |name: &str| scene.folder.join(name).display().to_string();
    fs::write(at("users"), format!("user:{}\n", text(&hash.stdout).trim())).unwrap();
    let lines = [
        format!("http_port 127.0.0.1:{}", scene.port),
        format!(
            "https_port 127.0.0.1:{} tls-cert={} tls-key={}",
            scene.secure_port,
            at("server.pem"),
            at("server.key")
        ),
        format!("auth_param basic program {SQUID_USERS} {}", at("users")),
        "auth_param basic realm tests".to_owned(),
        "acl known proxy_auth REQUIRED".to_owned(),
        "http_access allow known".to_owned(),
        "http_access deny all".to_owned(),
        format!("access_log stdio:{}", at("proxy.log")),
        format!("cache_log {}", at("cache.log")),
        "cache deny all".to_owned(),
        "pid_filename none".to_owned(),
        "visible_hostname localhost".to_owned(),
        "shutdown_lifetime 0 seconds".to_owned(),
    ];
    fs::write(at("squid.conf"), lines.join("\n") + "\n").unwrap();
    let mut command = Command::new(program);
    // The name is that of its shared memory, which another Squid may have as well.
    let name = format!("identitytests{}", std::process::id());
    command.args(["-N", "-n", &name, "-f", &at("squid.conf")]);
    Some(command)
}

/// Where it is; `None`, with a word of why, if it is not installed.
fn program(name: &str, places: &[&str]) -> Option<PathBuf> {
    let found = places.iter().map(Path::new).find(|path| path.exists()).map(Path::to_owned);
    if found.is_none() {
        skip(name, &format!("not installed (Debian: {name})"));
    }
    found
}

/// Neither proxy chooses one itself.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

const PATIENCE: Duration = Duration::from_secs(20);
/// As Debian has it.
const SQUID_USERS: &str = "/usr/lib/squid/basic_ncsa_auth";
