//! The files of a case, as data.

use std::{collections::BTreeMap, fs, path::Path};

use identity_emulator::{TEST_CERTIFICATE_PEM, TEST_KEY_PEM};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use crate::tools::{Ran, Tools};

/// A folder, read.
#[derive(Clone, Debug)]
pub(crate) struct Folder {
    pub(crate) case: Case,
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) replies: Vec<Reply>,
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    pub(crate) tools: Tools,
}

/// `case.json`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    /// Where the expectation comes from.
    pub(crate) source: String,
    /// What the builder is told.
    #[serde(default)]
    pub(crate) credential: Builder,
    /// The failure of `build`; none if it succeeds.
    pub(crate) build: Option<Failure>,
    /// What `source()` says, or of an environment what `chosen()` says.
    pub(crate) chosen: Option<String>,
    /// The places of a default chain that nobody is in, and a fragment of why; not looked at if absent.
    pub(crate) left_out: Option<BTreeMap<String, String>>,
    #[serde(default)]
    pub(crate) calls: Vec<Call>,
    /// The tools that were run, in their order.
    #[serde(default)]
    pub(crate) runs: Vec<Ran>,
    /// Everything that was sent, in its order.
    #[serde(default)]
    pub(crate) requests: Vec<Asked>,
    /// The files that were opened, in their order.
    #[serde(default)]
    pub(crate) reads: Vec<String>,
    /// Whether only the first time counts that a file is opened: one that proves an identity is looked at often.
    #[serde(default)]
    pub(crate) rereads: bool,
    /// Symbolic links: path to target.
    #[serde(default)]
    pub(crate) links: BTreeMap<String, String>,
    /// Files that cannot be opened, and why: `permission-denied`, `invalid-input` (no regular file).
    #[serde(default)]
    pub(crate) unreadable: BTreeMap<String, String>,
    /// Files of so many bytes, by their path.
    #[serde(default)]
    pub(crate) filled: BTreeMap<String, usize>,
    /// More secrets than the variables, files and answers tell by themselves.
    #[serde(default)]
    pub(crate) secrets: Vec<String>,
    /// Fragments of the log.
    #[serde(default)]
    pub(crate) logs: Vec<String>,
    /// What every draw of a random number gives, between 0 (included) and 1.
    #[serde(default)]
    pub(crate) random: f64,
    /// The days from 2026-01-01 to the start, for what has to be valid by then.
    #[serde(default)]
    pub(crate) start_day: u32,
    /// The same with real software, which the tests of that read.
    #[serde(rename = "real")]
    pub(crate) _real: Option<Value>,
}

/// Which credential, and its options by the names of their setters.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Builder {
    /// `managed-identity` if absent.
    pub(crate) name: Option<String>,
    pub(crate) tenant_id: Option<String>,
    pub(crate) client_secret: Option<String>,
    /// What the callback gives, one after the other; the last one stays. One that starts with `error:` is a failure.
    pub(crate) assertions: Vec<String>,
    pub(crate) authority: Option<String>,
    pub(crate) additionally_allowed_tenants: Vec<String>,
    pub(crate) disable_instance_discovery: bool,
    pub(crate) region: Option<String>,
    pub(crate) failure_memory_secs: Option<u64>,
    pub(crate) cache_capacity: Option<usize>,
    pub(crate) require_granted_scopes: bool,
    pub(crate) client_id: Option<String>,
    pub(crate) object_id: Option<String>,
    pub(crate) resource_id: Option<String>,
    pub(crate) allow_remote_endpoint: bool,
    pub(crate) certificate_path: Option<String>,
    /// The file below `fs/` that holds it.
    pub(crate) certificate_data: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) send_certificate_chain: bool,
    pub(crate) token_file_path: Option<String>,
    pub(crate) enable_azure_proxy: bool,
    pub(crate) service_connection_id: Option<String>,
    pub(crate) system_access_token: Option<String>,
    pub(crate) audience: Option<String>,
    /// The token of the user; of `on-behalf-of-client` each call has one of its own.
    pub(crate) user_assertion: Option<String>,
    pub(crate) code: Option<String>,
    pub(crate) redirect_uri: Option<String>,
    pub(crate) code_verifier: Option<String>,
    pub(crate) username: Option<String>,
    /// Places of a default chain, by the names of their credentials.
    pub(crate) exclude: Vec<String>,
    pub(crate) include: Vec<String>,
    pub(crate) managed_identity_client_id: Option<String>,
    pub(crate) system_assigned_managed_identity: bool,
    pub(crate) workload_identity_client_id: Option<String>,
    pub(crate) workload_identity_tenant_id: Option<String>,
    pub(crate) process_timeout_secs: Option<f64>,
    pub(crate) require_envvar: bool,
    pub(crate) retry_sources: bool,
}

/// Files that become others: path to text, or to nothing if the file goes.
pub(crate) type Files = BTreeMap<String, Option<String>>;

/// One call of `get_token`, or several at once.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Call {
    /// When, in seconds from the start; at once after the call before if absent.
    pub(crate) at_secs: Option<f64>,
    /// What has happened to files by then.
    #[serde(default)]
    pub(crate) files: Files,
    /// What has happened to variables by then; an empty one is not set.
    #[serde(default)]
    pub(crate) variables: BTreeMap<String, String>,
    /// Whether it opens any file; not looked at if absent.
    pub(crate) opens_files: Option<bool>,
    #[serde(default = "storage")]
    pub(crate) scopes: Vec<String>,
    pub(crate) claims: Option<String>,
    pub(crate) tenant_id: Option<String>,
    /// The token of the user that is acted for, where the credential is for many of them.
    pub(crate) user_assertion: Option<String>,
    #[serde(default)]
    pub(crate) cae: bool,
    /// Whether a chain calls.
    #[serde(default)]
    pub(crate) in_chain: bool,
    #[serde(default = "one")]
    pub(crate) callers: usize,
    /// How long it takes, in seconds.
    #[serde(default)]
    pub(crate) takes_secs: f64,
    pub(crate) token: Option<Token>,
    pub(crate) failure: Option<Failure>,
    /// Who a default chain stays with from then on.
    pub(crate) winner: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Token {
    pub(crate) secret: String,
    /// Seconds from the start.
    pub(crate) expires_at_secs: f64,
    /// Seconds from the start; not looked at if absent.
    pub(crate) refresh_at_secs: Option<f64>,
    /// The name of the credential that got it; not looked at if absent.
    pub(crate) credential: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Failure {
    pub(crate) kind: String,
    /// Fragments of the message and of those of its causes.
    pub(crate) says: Vec<String>,
    pub(crate) http_status: Option<u16>,
    pub(crate) retry_after_secs: Option<f64>,
    #[serde(default)]
    pub(crate) entra_codes: Vec<u32>,
    /// Not looked at if absent.
    pub(crate) correlation_id: Option<String>,
    /// Not looked at if absent.
    pub(crate) trace_id: Option<String>,
    /// The claims that the service demands.
    pub(crate) claims: Option<String>,
    /// What a person is to be asked for.
    #[serde(default)]
    pub(crate) scopes: Vec<String>,
    /// What `www_authenticate` makes of it, empty for none; not looked at if absent.
    pub(crate) www_authenticate: Option<String>,
    /// Which credentials a chain tried, in their order, and the kind of each failure.
    #[serde(default)]
    pub(crate) attempts: Vec<(String, String)>,
}

/// A request as it must have been sent.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asked {
    /// When, in seconds from the start; one request for each.
    #[serde(default = "at_once")]
    pub(crate) at_secs: Vec<f64>,
    #[serde(default = "get")]
    pub(crate) method: String,
    pub(crate) url: String,
    /// All of them; `*` for any value.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Option<String>,
    /// The body as a form, in any order; `*` for any value.
    pub(crate) form: Option<BTreeMap<String, String>>,
    /// The body as XML: what each element without children holds, by the names on the way to it; `*` for any value.
    pub(crate) xml: Option<BTreeMap<String, String>>,
    /// Whether the request may go through a proxy; those that carry a form may, the others may not, if absent.
    pub(crate) proxy: Option<bool>,
    /// The only roots that it trusts.
    pub(crate) roots: Option<String>,
    /// The server's name for TLS, if it is not the URL's host.
    pub(crate) server_name: Option<String>,
}

/// One row of `http.json`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Reply {
    #[serde(default = "ok")]
    pub(crate) status: u16,
    #[serde(default)]
    pub(crate) headers: Vec<(String, String)>,
    /// The body, and a content type that says so.
    pub(crate) json: Option<Value>,
    /// The body.
    pub(crate) text: Option<String>,
    /// The file beside `http.json` that holds it.
    pub(crate) file: Option<String>,
    /// A text and how often it stands where the body has `{filling}`.
    pub(crate) filling: Option<(String, usize)>,
    /// What goes wrong instead: a kind of `TransportErrorKind` in kebab case.
    pub(crate) fault: Option<String>,
    /// How long the answer takes, in seconds.
    #[serde(default)]
    pub(crate) after_secs: f64,
    /// How many requests are answered so.
    #[serde(default = "one")]
    pub(crate) times: usize,
    /// What happens to files when it comes.
    #[serde(default)]
    pub(crate) files: Files,
}

impl Folder {
    pub(crate) fn load(folder: &Path) -> Result<Self, String> {
        let mut files = BTreeMap::new();
        let root = folder.join("fs");
        if root.is_dir() {
            collect(&root, String::new(), &mut files)?;
        }
        let case: Case = read(&folder.join("case.json"))?;
        if case.source.is_empty() {
            return Err("says not where its expectation comes from".to_owned());
        }
        let mut replies: Vec<Reply> = optional(&folder.join("http.json"))?;
        for reply in &mut replies {
            if let Some(name) = &reply.file {
                let text = fs::read_to_string(folder.join(name)).map_err(|error| format!("{name}: {error}"))?;
                reply.text = Some(text);
            }
        }
        let (env, tools) = (optional(&folder.join("env.json"))?, optional(&folder.join("processes.json"))?);
        Ok(Self { case, env, replies, files, tools })
    }

    /// What must show nowhere: secrets of variables and options, what is in files, tokens in answers and of tools.
    pub(crate) fn secrets(&self) -> Vec<String> {
        let Builder { client_secret, assertions, password, system_access_token, .. } = &self.case.credential;
        let Builder { user_assertion, code, code_verifier, .. } = &self.case.credential;
        let told = [client_secret, password, system_access_token, user_assertion, code, code_verifier];
        let users = self.case.calls.iter().filter_map(|call| call.user_assertion.as_ref());
        let told = told.into_iter().flatten().chain(assertions).chain(users).cloned();
        let variables = self.case.calls.iter().flat_map(|call| &call.variables).chain(&self.env);
        let variables = variables.filter(|(name, _)| SECRET_VARIABLES.contains(&name.as_str()));
        let later = self.case.calls.iter().map(|call| &call.files).chain(self.replies.iter().map(|reply| &reply.files));
        let later = later.flat_map(BTreeMap::values).flatten().map(|text| with_test_key(text));
        let now = self.files.values().map(|content| String::from_utf8_lossy(content).into_owned());
        let files = now.chain(later).flat_map(|text| {
            let lines = key_lines(&text);
            lines.into_iter().chain([text.trim_start_matches('\u{feff}').to_owned()])
        });
        let given = self.replies.iter().filter_map(|reply| reply.json.as_ref());
        let tokens = given.flat_map(|json| TOKEN_FIELDS.iter().filter_map(|name| json.get(name)?.as_str()));
        let all = told.chain(variables.map(|(_, value)| value.clone())).chain(files).chain(tokens.map(str::to_owned));
        let all = all
            .chain(self.tools.secrets())
            .chain(self.case.secrets.iter().cloned())
            .filter(|secret| !secret.starts_with("error:"));
        all.map(|secret| secret.trim().to_owned()).filter(|secret| secret.len() >= 4).collect()
    }
}

/// The lines of private keys in PEM.
fn key_lines(text: &str) -> Vec<String> {
    let mut is_key = false;
    let is_inner = |line: &&str| {
        let is_mark = line.starts_with("-----");
        if is_mark {
            is_key = line.contains("BEGIN") && line.contains("PRIVATE KEY");
        }
        is_key && !is_mark
    };
    // Headers of the old encrypted form have colons.
    text.lines().map(str::trim).filter(is_inner).filter(|line| !line.contains(':')).map(str::to_owned).collect()
}

/// The text with what stands in for the emulator's test key and certificate in its place. Both are public.
pub(crate) fn with_test_key(text: &str) -> String {
    text.replace("{TEST_KEY_PEM}", TEST_KEY_PEM).replace("{TEST_CERTIFICATE_PEM}", TEST_CERTIFICATE_PEM)
}

/// Variables that hold a secret.
const SECRET_VARIABLES: [&str; 7] = [
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
    "AZURE_CLIENT_CERTIFICATE_PASSWORD",
    "AZURE_CLIENT_SECRET",
    "AZURE_PASSWORD",
    "IDENTITY_HEADER",
    "MSI_SECRET",
    "SYSTEM_ACCESSTOKEN",
];
/// Fields of answers that hold a token.
const TOKEN_FIELDS: [&str; 4] = ["access_token", "oidcToken", "refresh_token", "value"];

fn collect(folder: &Path, path: String, files: &mut BTreeMap<String, Vec<u8>>) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let path = format!("{path}/{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            collect(&entry.path(), path, files)?;
        } else {
            let content = fs::read(entry.path()).map_err(failed)?;
            let content = String::from_utf8(content).map(|text| with_test_key(&text).into_bytes());
            files.insert(path, content.unwrap_or_else(|error| error.into_bytes()));
        }
    }
    Ok(())
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<T, String> {
    let text = fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    serde_json::from_slice(&text).map_err(|error| format!("{}: {error}", path.display()))
}

fn optional<T: DeserializeOwned + Default>(path: &Path) -> Result<T, String> {
    if path.exists() { read(path) } else { Ok(T::default()) }
}

fn storage() -> Vec<String> {
    vec!["https://storage.azure.com/.default".to_owned()]
}

fn one() -> usize {
    1
}

fn ok() -> u16 {
    200
}

fn get() -> String {
    "GET".to_owned()
}

pub(crate) fn at_once() -> Vec<f64> {
    vec![0.0]
}
