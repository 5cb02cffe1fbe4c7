//! `budgets.toml`: what the programs may weigh and the calls may cost.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::Deserialize;

use crate::Result;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Budgets {
    /// Measured programs.
    pub(crate) program: Vec<Program>,
    pub(crate) counts: Counts,
    /// Files that may be longer than [`crate::tidy`] allows: path from the root to lines.
    pub(crate) long_files: BTreeMap<String, usize>,
}

/// One program of tests/programs.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Program {
    pub(crate) name: String,
    pub(crate) package: String,
    /// Stripped, profile `size`; inclusive.
    pub(crate) bytes: u64,
    /// Third-party packages, procedural macros included; inclusive.
    pub(crate) crates: usize,
    pub(crate) forbidden: Vec<String>,
    /// Whether a build may need a C compiler or link to a native library.
    pub(crate) c_compiler: bool,
    /// The least program with the same libraries, in tests/peers.
    pub(crate) floor: Option<String>,
    /// The official crate's program, in tests/peers.
    pub(crate) peer: Option<String>,
}

/// Exact counts, all inclusive.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Counts {
    pub(crate) cached_instructions: u64,
    pub(crate) cached_allocations: u64,
    /// The same of a credential of Entra.
    pub(crate) client_secret_cached_instructions: u64,
    pub(crate) client_secret_cached_allocations: u64,
    /// The same of a credential that runs a tool.
    pub(crate) azure_cli_cached_instructions: u64,
    pub(crate) azure_cli_cached_allocations: u64,
    /// The same of a managed identity, without async.
    pub(crate) default_cached_instructions: u64,
    pub(crate) default_cached_allocations: u64,
    pub(crate) default_client_secret_cached_instructions: u64,
    pub(crate) default_client_secret_cached_allocations: u64,
    pub(crate) blocking_cached_instructions: u64,
    pub(crate) blocking_cached_allocations: u64,
    /// Instructions of a cold process with one token, as a multiple of the floor's.
    pub(crate) cold_start_ratio: f64,
    /// The same of a process with a client secret, over TLS, with the system's roots.
    pub(crate) client_secret_cold_start_ratio: f64,
    /// Requests of that process, all of them to the token endpoint.
    pub(crate) client_secret_requests: u64,
    pub(crate) requests_healthy: u64,
    pub(crate) requests_refused: u64,
    pub(crate) requests_unavailable_once: u64,
}

impl Budgets {
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        toml::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))
    }
}
