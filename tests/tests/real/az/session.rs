//! An Azure CLI with a home of its own, and the emulator that is its cloud.

use std::{
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use identity_emulator::{
    Emulator, Subscription, TENANT_DOMAIN, USER_NAME, USER_OBJECT_ID, USER_PASSWORD, User, WEB_CLIENT_ID,
    WEB_CLIENT_SECRET,
};
use serde_json::Value;

use crate::installed::{folder, path, run, scripts, text};

/// An emulator, and an Azure CLI that knows it as its cloud and nobody else: its state is in a folder of the test, and what it
/// might ask of other machines goes to a proxy that is not there.
///
/// When it is dropped, no process that it started may be left.
pub(crate) struct Session {
    emulator: Emulator,
    az: PathBuf,
    python: PathBuf,
    folder: PathBuf,
}

impl Session {
    /// Registers the emulator as a cloud, as its documentation says; `None`, with a word of why, where there is no az.
    pub(crate) fn start(name: &str) -> Option<Self> {
        let az = path("REAL_AZ", "the Azure CLI")?;
        let python = path("REAL_PYTHON", "PyJWT")?;
        let second = Subscription::new(SECOND_SUBSCRIPTION_NAME).id(SECOND_SUBSCRIPTION).tenant(TENANT_DOMAIN);
        let emulator = Emulator::builder().subscription(second).start_in_background().unwrap();
        let folder = folder(name);
        // Those of an earlier process of the same number.
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        let session = Self { emulator, az, python, folder };
        let settings = ["core.instance_discovery=false", "core.collect_telemetry=no", "core.login_experience_v2=off"];
        session.does(&[&["config", "set", "--only-show-errors"], &settings[..]].concat());
        let authority = session.emulator.authority();
        session.does(&["cloud", "register", "--name", CLOUD, "--endpoint-resource-manager", &authority]);
        session.does(&["cloud", "set", "--name", CLOUD, "--only-show-errors"]);
        Some(session)
    }

    pub(crate) const fn emulator(&self) -> &Emulator {
        &self.emulator
    }

    /// Where az keeps who is signed in.
    pub(crate) fn config(&self) -> PathBuf {
        self.folder.join("azure")
    }

    /// All the variables of az, and of a program that starts it: nothing is taken from those of the test.
    ///
    /// The local time is not UTC, for az prints local times.
    pub(crate) fn environment(&self) -> Vec<(String, OsString)> {
        let beside = self.az.parent().expect("it is in a folder").to_owned();
        let others = env::var_os("PATH").unwrap_or_default();
        let path = env::join_paths([beside].into_iter().chain(env::split_paths(&others))).unwrap();
        let mut variables = vec![
            ("PATH", path),
            ("HOME", self.folder.clone().into()),
            ("TMPDIR", self.folder.clone().into()),
            ("AZURE_CONFIG_DIR", self.config().into()),
            ("REQUESTS_CA_BUNDLE", self.emulator.ca_path().into()),
            ("LANG", "C.UTF-8".into()),
            ("TZ", "IST-5:30".into()),
        ];
        for name in ["http_proxy", "https_proxy", "HTTPS_PROXY"] {
            variables.push((name, "http://127.0.0.1:1".into()));
        }
        for name in ["no_proxy", "NO_PROXY"] {
            variables.push((name, "localhost,127.0.0.1".into()));
        }
        variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// Runs az; what came of it, good or bad.
    pub(crate) fn az(&self, arguments: &[&str]) -> Output {
        self.run(arguments, &[])
    }

    /// The JSON that `az account get-access-token` prints, and not a word besides.
    pub(crate) fn token(&self, more: &[&str]) -> Value {
        serde_json::from_slice(&self.does(&[TOKEN, more].concat())).unwrap()
    }

    /// Az does it, and says nothing on standard error; its output.
    pub(crate) fn does(&self, arguments: &[&str]) -> Vec<u8> {
        let output = self.az(arguments);
        assert!(output.status.success() && output.stderr.is_empty(), "{arguments:?}: {}", said(&output));
        output.stdout
    }

    /// Az gives no token: exit code 1, nothing on standard output, and these words, in this order, on standard error.
    pub(crate) fn refuses_a_token(&self, more: &[&str], words: &[&str]) {
        self.refuses(&[TOKEN, more].concat(), words);
    }

    /// The same for any command.
    pub(crate) fn refuses(&self, arguments: &[&str], words: &[&str]) {
        self.forget_refusals();
        let output = self.az(arguments);
        let told = text(&output.stderr);
        assert!(output.status.code() == Some(1) && output.stdout.is_empty(), "{arguments:?}: {}", said(&output));
        let mut rest = told.as_str();
        for word in words {
            let found = rest.split_once(word);
            assert!(found.is_some(), "{arguments:?}: no {word:?} in its place in\n{told}");
            rest = found.unwrap_or_default().1;
        }
    }

    /// The emulator's application with a secret.
    pub(crate) fn login_service_principal(&self) {
        let tenant = self.emulator.tenant_id();
        let who = ["--username", WEB_CLIENT_ID, "--password", WEB_CLIENT_SECRET, "--tenant", tenant];
        self.does(&[&["login", "--service-principal"], &who[..]].concat());
    }

    /// One of the emulator's people, in a browser.
    pub(crate) fn login_user(&self, name: &str) {
        let output = self.try_login_user(name, &[]);
        let opened = "WARNING: A web browser has been opened at ";
        let as_expected = output.status.success() && text(&output.stderr).starts_with(opened);
        assert!(as_expected, "{}\n{}", said(&output), self.diary());
    }

    /// The same with more arguments, and whatever comes of it.
    pub(crate) fn try_login_user(&self, name: &str, more: &[&str]) -> Output {
        let script = scripts().join("python/browser.py");
        // With the last letter it is started in the background; what it prints is read to its end all the same.
        let browser = format!("'{}' '{}' %s &", self.python.display(), script.display());
        let variables = [
            ("BROWSER", browser),
            ("BROWSER_CA", self.emulator.ca_path().display().to_string()),
            ("BROWSER_USER", name.to_owned()),
            ("BROWSER_PASSWORD", USER_PASSWORD.to_owned()),
            ("BROWSER_DIARY", self.folder.join("diary.txt").display().to_string()),
        ];
        self.run(&[&["login"], more].concat(), &variables)
    }

    /// The pages that the browser saw.
    pub(crate) fn diary(&self) -> String {
        fs::read_to_string(self.folder.join("diary.txt")).unwrap_or_default()
    }

    pub(crate) fn logout(&self) {
        self.does(&["logout"]);
    }

    /// Lets the refresh tokens of everybody be too old.
    pub(crate) fn expire_refresh_tokens(&self) {
        self.emulator.expire_refresh_tokens(None).unwrap();
    }

    /// Lets a policy demand a second factor of [`USER_NAME`], who has signed in without one.
    pub(crate) fn require_mfa(&self) {
        let user = User::new(USER_NAME, USER_PASSWORD).object_id(USER_OBJECT_ID).display_name("Ada");
        self.emulator.put_user(user.mfa()).unwrap();
    }

    /// MSAL repeats a refusal for a while without asking again.
    pub(crate) fn forget_refusals(&self) {
        let _ = fs::remove_file(self.config().join("msal_http_cache.bin"));
    }

    /// The claims of a token that the emulator's key set verifies, for that audience and tenant, by PyJWT.
    pub(crate) fn claims(&self, token: &Value, audience: &str, tenant: &str) -> Value {
        let token = token["accessToken"].as_str().unwrap();
        let mut command = Command::new(&self.python);
        command.arg(scripts().join("python/claims.py")).args([&self.emulator.keys_url(), audience, tenant]);
        command.env_clear().env("PYTHONDONTWRITEBYTECODE", "1");
        let output = run(&mut command, token);
        assert!(output.status.success(), "{}", said(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn run(&self, arguments: &[&str], more: &[(&str, String)]) -> Output {
        let mut command = Command::new(&self.az);
        command.args(arguments).env_clear().envs(self.environment());
        command.envs(more.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().unwrap_or_else(|error| panic!("{}: {error}", self.az.display()));
        finished(child).unwrap_or_else(|| panic!("{arguments:?} takes too long\n{}", self.diary()))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let left = left_over(&self.config());
        let _ = fs::remove_dir_all(&self.folder);
        assert!(left.is_empty() || thread::panicking(), "still running: {left:?}");
    }
}

/// Waits for a program, which is stopped if it takes a minute.
fn finished(child: Child) -> Option<Output> {
    let id = child.id().to_string();
    let waiting = thread::spawn(move || child.wait_with_output());
    let start = Instant::now();
    while !waiting.is_finished() {
        if start.elapsed() > Duration::from_secs(60) {
            let _ = Command::new("kill").args(["-KILL", &id]).status();
            return None;
        }
        thread::sleep(Duration::from_millis(5));
    }
    Some(waiting.join().unwrap().unwrap())
}

/// The processes, of those that can be looked at, that have this folder in their variables; they get a moment to end.
fn left_over(config: &Path) -> Vec<String> {
    let mark = format!("AZURE_CONFIG_DIR={}", config.display());
    let start = Instant::now();
    loop {
        // Where there is no such file system, nobody is found.
        let processes = fs::read_dir("/proc").into_iter().flatten().flatten().map(|entry| entry.path());
        let has_mark = |process: &PathBuf| {
            let variables = fs::read(process.join("environ")).unwrap_or_default();
            variables.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
        };
        let command =
            |process: PathBuf| text(&fs::read(process.join("cmdline")).unwrap_or_default()).replace('\0', " ");
        let left: Vec<String> = processes.filter(has_mark).map(command).collect();
        if left.is_empty() || start.elapsed() > Duration::from_secs(5) {
            return left;
        }
        thread::sleep(Duration::from_millis(50));
    }
}

fn said(output: &Output) -> String {
    format!("{}\n{}{}", output.status, text(&output.stdout), text(&output.stderr))
}

const CLOUD: &str = "Emulated";
const TOKEN: &[&str] = &["account", "get-access-token", "--output", "json"];
/// How far the local time of az is ahead of UTC.
pub(super) const OFFSET_SECS: i64 = 19_800;
/// A scope beside the one that az signs in for.
pub(crate) const VAULT: &str = "https://vault.azure.net/.default";
/// A subscription of the home tenant, beside the built-in one.
pub(crate) const SECOND_SUBSCRIPTION: &str = "0fedcba9-0000-4000-8000-000000000011";
pub(crate) const SECOND_SUBSCRIPTION_NAME: &str = "A second one";
