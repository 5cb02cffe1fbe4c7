//! Environments, as the folders of the conformance cases describe them.

use std::{collections::BTreeMap, fs, path::Path};

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use super::Outcome;

/// A case that says how it looks for real.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) name: String,
    /// `env.json`.
    pub(super) variables: BTreeMap<String, String>,
    /// `processes.json`.
    pub(super) tools: Tools,
    pub(super) options: Map<String, Value>,
    pub(super) real: Real,
    /// What the case expects of our chain.
    pub(super) expected: Outcome,
}

/// How a case looks for real.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Real {
    /// The emulator's sources whose variables take the place of those that the case has; the first one that has it wins. `imds` is
    /// there at its real address, `pod-identity` at another one, `imds-without-identity` has no token.
    #[serde(default)]
    pub(super) sources: Vec<String>,
    /// Variables and options in place of the case's; `{blue}` and its like stand for what the emulator knows.
    #[serde(default)]
    pub(super) variables: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) options: Map<String, Value>,
    /// The status that a source always answers with.
    #[serde(default)]
    pub(super) faults: BTreeMap<String, u16>,
    /// Whether `AZURE_AUTHORITY_HOST` is not set although a source has it.
    #[serde(default)]
    pub(super) no_authority: bool,
    pub(super) differs: Option<Differs>,
}

/// In what Python differs, and why.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Differs {
    pub(super) why: String,
    pub(super) python: Listed,
}

/// What Python comes to, as far as it differs.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Listed {
    pub(super) built: Option<bool>,
    /// Empty for nobody.
    pub(super) winner: Option<String>,
    pub(super) attempts: Option<Vec<String>>,
    pub(super) stopped: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tools {
    pub(super) programs: Vec<String>,
    pub(super) runs: Vec<Run>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Run {
    pub(super) program: String,
    pub(super) code: i32,
    pub(super) stdout: String,
    pub(super) json: Option<Value>,
    pub(super) stderr: String,
    pub(super) takes_secs: f64,
}

/// What of `case.json` counts here.
#[derive(Deserialize)]
struct Case {
    #[serde(default)]
    credential: Map<String, Value>,
    build: Option<Value>,
    #[serde(default)]
    calls: Vec<Call>,
    real: Option<Real>,
}

#[derive(Deserialize)]
struct Call {
    winner: Option<String>,
    failure: Option<Failure>,
}

#[derive(Deserialize)]
struct Failure {
    kind: String,
    #[serde(default)]
    attempts: Vec<(String, String)>,
}

/// Every case that says how it looks for real, by name.
pub(super) fn all() -> Vec<Row> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance");
    let mut folders: Vec<_> = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    folders.iter().filter_map(|folder| load(folder)).collect()
}

fn load(folder: &Path) -> Option<Row> {
    let case: Case = read(&folder.join("case.json")).expect("each case has this file");
    let real = case.real?;
    let name = folder.file_name().unwrap().to_string_lossy().into_owned();
    let mut options = case.credential;
    assert_eq!(options.remove("name"), Some("default".into()), "{name}");
    let failure = case.calls.first().and_then(|call| call.failure.as_ref());
    let expected = Outcome {
        built: case.build.is_none(),
        winner: case.calls.first().and_then(|call| call.winner.clone()),
        identity: None,
        attempts: failure.iter().flat_map(|failure| &failure.attempts).map(|(name, _)| name.clone()).collect(),
        stopped: failure.is_some_and(|failure| {
            !["CredentialUnavailable", "AuthenticationRequired"].contains(&failure.kind.as_str())
        }),
    };
    let variables = read(&folder.join("env.json")).unwrap_or_default();
    let tools = read(&folder.join("processes.json")).unwrap_or_default();
    Some(Row { name, variables, tools, options, real, expected })
}

/// What a file holds, if there is one.
fn read<T: DeserializeOwned>(path: &Path) -> Option<T> {
    let bytes = fs::read(path).ok()?;
    Some(serde_json::from_slice(&bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
}

impl Row {
    pub(super) fn has(&self, source: &str) -> bool {
        self.real.sources.iter().any(|one| one == source)
    }

    pub(super) fn is_arc(&self) -> bool {
        self.has("azure-arc")
    }

    /// Whether it needs IMDS at its real address.
    pub(super) fn has_imds(&self) -> bool {
        self.has("imds") || self.has("imds-without-identity")
    }

    /// Whether somebody signs in with a password, for which MSAL asks at port 443.
    pub(super) fn has_password(&self) -> bool {
        self.variables.contains_key("AZURE_PASSWORD") && self.real.variables.contains_key("AZURE_PASSWORD")
    }

    /// Whether no other may run meanwhile.
    pub(super) fn is_alone(&self) -> bool {
        self.has_imds() || self.has_password()
    }
}

impl Listed {
    /// What Python must come to, if ours comes to that. Whose token another winner has is not listed.
    pub(super) fn over(&self, ours: &Outcome, theirs: &Outcome) -> Outcome {
        let winner =
            self.winner.clone().map_or_else(|| ours.winner.clone(), |name| Some(name).filter(|it| !it.is_empty()));
        Outcome {
            built: self.built.unwrap_or(ours.built),
            identity: if winner == ours.winner { ours.identity.clone() } else { theirs.identity.clone() },
            winner,
            attempts: self.attempts.clone().unwrap_or_else(|| ours.attempts.clone()),
            stopped: self.stopped.unwrap_or(ours.stopped),
        }
    }
}
