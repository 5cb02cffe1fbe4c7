//! The emulator and the programs of an environment, and both SDKs in it.

use std::{
    collections::BTreeMap,
    env, fs,
    io::{BufRead as _, BufReader, Write as _},
    net::SocketAddr,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::{SystemTime, UNIX_EPOCH},
};

use identity_core::text::{base64url, base64url_decode};
use identity_emulator::{
    Answer, App, BLUE_CLIENT_ID, Emulator, GREEN_CLIENT_ID, PUBLIC_CLIENT_ID, Source, USER_NAME, USER_PASSWORD,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    Outcome, ours,
    row::{Row, Run},
};
use crate::{
    installed::{folder, run, scripts, text},
    network::INSIDE,
    pki::Application,
};

/// What an SDK came to, and what it said about it.
#[derive(Debug)]
pub(super) struct Sdk {
    pub(super) outcome: Outcome,
    pub(super) why: String,
}

/// A line of either SDK.
#[derive(Deserialize)]
struct Line {
    #[serde(flatten)]
    outcome: Outcome,
    token: Option<String>,
    why: String,
}

/// What all environments share.
pub(super) struct World {
    folder: PathBuf,
    application: Application,
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Python, which goes from one environment to the next.
pub(super) struct Python {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Python {
    pub(super) fn start(program: &Path) -> Self {
        let mut command = Command::new(program);
        command.arg(scripts().join("python/default.py")).env("PYTHONDONTWRITEBYTECODE", "1");
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let input = child.stdin.take().expect("it was asked for");
        let output = BufReader::new(child.stdout.take().expect("it was asked for"));
        Self { child, input, output }
    }

    fn choose(&mut self, given: &Value) -> Sdk {
        writeln!(self.input, "{given}").unwrap();
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        sdk(&line)
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether challenge files can be where Azure Arc has them.
pub(super) fn can_play_arc() -> bool {
    Emulator::builder().start_in_background().unwrap().check_arc_directory().is_ok()
}

impl World {
    pub(super) fn new() -> Self {
        let folder = folder("default-chains");
        let application = Application::make(&folder, "own");
        Self { folder, application }
    }

    /// What Python's chain comes to in an environment, and what ours does.
    pub(super) fn outcomes(&self, row: &Row, python: &mut Python) -> (Sdk, Sdk) {
        let emulator = self.emulator(row);
        let place = self.folder.join(&row.name);
        fs::create_dir_all(place.join("home")).unwrap();
        for program in &row.tools.programs {
            let name = Path::new(program).file_name().unwrap().to_str().unwrap();
            let play = row.tools.runs.iter().find(|run| run.program == *program);
            let file = place.join(name);
            fs::write(&file, script(name, play)).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        }
        let given = json!({ "variables": self.variables(row, &emulator, &place), "options": self.options(row) });
        (python.choose(&given), choose_ours(&given))
    }

    fn emulator(&self, row: &Row) -> Emulator {
        let certificate = fs::read_to_string(&self.application.certificate).unwrap();
        let mut builder = Emulator::builder().app(App::new(CERTIFIED).certificate_pem(certificate));
        if row.has_imds() {
            builder = builder.imds_address(SocketAddr::from(([169, 254, 169, 254], 80)));
        }
        if row.has("imds-without-identity") {
            builder = builder.no_system_identity();
        }
        if row.has_password() {
            builder = builder.port(Source::Entra, 443);
        }
        let emulator = builder.start_in_background().unwrap();
        for (source, status) in &row.real.faults {
            let answer = Answer::status(*status).with_body(r#"{"statusCode":0,"message":"by order"}"#);
            emulator.faults().always(source_of(source), answer);
        }
        emulator
    }

    /// All variables of an environment.
    fn variables(&self, row: &Row, emulator: &Emulator, place: &Path) -> BTreeMap<String, String> {
        let mut variables = row.variables.clone();
        let mut known = BTreeMap::new();
        for source in row.real.sources.iter().filter(|name| !name.starts_with("imds")) {
            for (name, value) in emulator.variables(source_of(source)) {
                // It goes without saying, and MSAL would not take it for that of the host.
                let value = value.strip_suffix(":443").map_or(value.clone(), str::to_owned);
                known.entry(name).or_insert(value);
            }
        }
        for (name, value) in &mut variables {
            if let Some(real) = known.get(name).filter(|_| !value.is_empty()) {
                value.clone_from(real);
            }
        }
        if let Some(authority) = known.remove(AUTHORITY).filter(|_| !row.real.no_authority) {
            variables.entry(AUTHORITY.to_owned()).or_insert(authority);
        }
        variables.extend(row.real.variables.iter().map(|(name, value)| (name.clone(), self.known(value))));
        let trust = emulator.variables(Source::Entra).into_iter();
        variables.extend(trust.filter(|(name, _)| ["REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"].contains(&name.as_str())));
        variables.insert("PATH".to_owned(), place.display().to_string());
        variables.insert("HOME".to_owned(), place.join("home").display().to_string());
        variables
    }

    fn options(&self, row: &Row) -> Map<String, Value> {
        let mut options = row.options.clone();
        let known = |value: &Value| value.as_str().map_or_else(|| value.clone(), |text| self.known(text).into());
        options.extend(row.real.options.iter().map(|(name, value)| (name.clone(), known(value))));
        options
    }

    /// What a name in braces stands for.
    fn known(&self, value: &str) -> String {
        match value {
            "{blue}" => BLUE_CLIENT_ID.to_owned(),
            "{green}" => GREEN_CLIENT_ID.to_owned(),
            "{certified}" => CERTIFIED.to_owned(),
            "{certificate}" => self.application.pem.display().to_string(),
            "{public}" => PUBLIC_CLIENT_ID.to_owned(),
            "{user}" => USER_NAME.to_owned(),
            "{password}" => USER_PASSWORD.to_owned(),
            "{nobody}" => NOBODY.to_owned(),
            plain => {
                assert!(!plain.starts_with('{'), "{plain} stands for nothing");
                plain.to_owned()
            }
        }
    }
}

/// Ours, in a process of its own, as theirs.
fn choose_ours(given: &Value) -> Sdk {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", "default::ours::choose", "--ignored", "--nocapture"]).env_clear();
    let variables: BTreeMap<String, String> = serde_json::from_value(given["variables"].clone()).unwrap();
    // The last one tells the test that it is meant; no credential reads it.
    command.envs(variables).env(INSIDE, "1");
    let output = run(&mut command, &format!("{}\n", given["options"]));
    let printed = text(&output.stdout);
    // The harness begins the line.
    let line = printed.lines().find_map(|line| line.split_once(ours::MARK));
    let (_, line) = line.unwrap_or_else(|| panic!("{printed}{}", text(&output.stderr)));
    sdk(line)
}

fn sdk(line: &str) -> Sdk {
    let line: Line = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line:?}"));
    let identity = line.token.as_deref().and_then(identity);
    Sdk { outcome: Outcome { identity, ..line.outcome }, why: line.why }
}

/// The application and the account of a token.
fn identity(token: &str) -> Option<String> {
    let claims: Value = serde_json::from_slice(&token.split('.').nth(1).and_then(base64url_decode)?).ok()?;
    let (application, account) = (claims["appid"].as_str()?, claims["oid"].as_str()?);
    Some(format!("application {application}, account {account}"))
}

/// A program that does what a tool does in the case: what it printed of a token is one here that is good for an hour.
fn script(name: &str, play: Option<&Run>) -> String {
    let printed = |run: &Run| run.json.as_ref().map_or_else(|| run.stdout.clone(), Value::to_string);
    let stdout = match play {
        Some(run) if !printed(run).contains("token-SECRET") => printed(run),
        _ => answer(name),
    };
    let quoted = |text: &str| format!("'{}'", text.replace('\'', r"'\''"));
    let mut script = "#!/bin/sh\n".to_owned();
    if let Some(run) = play.filter(|run| run.takes_secs >= 10.0) {
        script += &format!("exec /bin/sleep {}\n", run.takes_secs);
    }
    let (stderr, code) = play.map_or(("", 0), |run| (run.stderr.as_str(), run.code));
    script += &format!("printf %s {}\nprintf %s {} >&2\nexit {code}\n", quoted(&stdout), quoted(stderr));
    script
}

/// What a tool prints whose user is signed in; each has a user of its own.
fn answer(name: &str) -> String {
    let expires_on = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() + 3600;
    let claims = json!({
        "appid": format!("7e57ab1e-0000-4000-8000-{:0>12}", name.len()),
        "oid": format!("7e57ab1e-0000-4000-9000-{:0>12}", name.len()),
        "exp": expires_on,
    });
    let part = |value: Value| base64url(value.to_string().as_bytes());
    let token = format!("{}.{}.{}", part(json!({"alg": "none"})), part(claims), "c2lnbmF0dXJl");
    match name {
        "az" => json!({"accessToken": token, "expires_on": expires_on, "tokenType": "Bearer"}).to_string(),
        "azd" => json!({"token": token, "expiresOn": "2099-01-01T00:00:00Z"}).to_string(),
        "pwsh" => format!("\nazsdk%{token}%{expires_on}\n\n"),
        other => panic!("no tool is called {other}"),
    }
}

fn source_of(name: &str) -> Source {
    let name = if name == "pod-identity" { "imds" } else { name };
    name.parse().unwrap_or_else(|_| panic!("no source is called {name}"))
}

/// The application that is registered with its certificate.
const CERTIFIED: &str = "7e57ab1e-0000-4000-8000-00000000ce01";
/// An application that is not registered.
const NOBODY: &str = "7e57ab1e-0000-4000-8000-00000000dead";
const AUTHORITY: &str = "AZURE_AUTHORITY_HOST";
