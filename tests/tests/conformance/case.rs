//! The files of a case, as data.

use std::{collections::BTreeMap, fs, path::Path};

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

/// A folder, read.
#[derive(Clone, Debug)]
pub(crate) struct Folder {
    pub(crate) case: Case,
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) replies: Vec<Reply>,
    pub(crate) files: BTreeMap<String, Vec<u8>>,
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
    /// What `source()` says.
    pub(crate) chosen: Option<String>,
    #[serde(default)]
    pub(crate) calls: Vec<Call>,
    /// Everything that was sent, in its order.
    #[serde(default)]
    pub(crate) requests: Vec<Asked>,
    /// The files that were opened, in their order.
    #[serde(default)]
    pub(crate) reads: Vec<String>,
    /// Symbolic links: path to target.
    #[serde(default)]
    pub(crate) links: BTreeMap<String, String>,
    /// Files that cannot be opened, and why: `permission-denied`, `invalid-input` (no regular file).
    #[serde(default)]
    pub(crate) unreadable: BTreeMap<String, String>,
    /// More secrets than the variables, files and answers tell by themselves.
    #[serde(default)]
    pub(crate) secrets: Vec<String>,
    /// Fragments of the log.
    #[serde(default)]
    pub(crate) logs: Vec<String>,
    /// What every draw of a random number gives, between 0 (included) and 1.
    #[serde(default)]
    pub(crate) random: f64,
}

/// Which credential, and its options by the names of their setters.
#[derive(Clone, Debug, Default, Deserialize)]
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
}

/// One call of `get_token`, or several at once.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Call {
    /// When, in seconds from the start; at once after the call before if absent.
    pub(crate) at_secs: Option<f64>,
    #[serde(default = "storage")]
    pub(crate) scopes: Vec<String>,
    pub(crate) claims: Option<String>,
    pub(crate) tenant_id: Option<String>,
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
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Token {
    pub(crate) secret: String,
    /// Seconds from the start.
    pub(crate) expires_at_secs: f64,
    /// Seconds from the start; not looked at if absent.
    pub(crate) refresh_at_secs: Option<f64>,
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
        Ok(Self {
            case,
            env: optional(&folder.join("env.json"))?,
            replies: optional(&folder.join("http.json"))?,
            files,
        })
    }

    /// What must show nowhere: secrets of variables, keys in files, tokens in answers.
    pub(crate) fn secrets(&self) -> Vec<String> {
        let variables = self.env.iter().filter(|(name, _)| SECRET_VARIABLES.contains(&name.as_str()));
        let variables = variables.map(|(_, value)| value.clone());
        let keys = self.files.values().map(|content| String::from_utf8_lossy(content).into_owned());
        let tokens = self.replies.iter().filter_map(|reply| reply.json.as_ref()?.get("access_token")?.as_str());
        let told = self.case.credential.client_secret.iter().chain(&self.case.credential.assertions).cloned();
        let all = variables.chain(keys).chain(tokens.map(str::to_owned)).chain(told);
        let all = all.chain(self.case.secrets.iter().cloned()).filter(|secret| !secret.starts_with("error:"));
        all.map(|secret| secret.trim().to_owned()).filter(|secret| secret.len() >= 4).collect()
    }
}

/// Variables that hold a secret.
const SECRET_VARIABLES: [&str; 4] =
    ["IDENTITY_HEADER", "MSI_SECRET", "SYSTEM_ACCESSTOKEN", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"];

fn collect(folder: &Path, path: String, files: &mut BTreeMap<String, Vec<u8>>) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let path = format!("{path}/{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            collect(&entry.path(), path, files)?;
        } else {
            files.insert(path, fs::read(entry.path()).map_err(failed)?);
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

fn at_once() -> Vec<f64> {
    vec![0.0]
}
