//! The agent of an Azure Arc-enabled server.

use std::collections::VecDeque;
use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;

use super::{Grant, NOT_FOUND, Outcome, Parameters, Refusal, require_metadata_header, sole_header};
use crate::identity::IdKind;
use crate::lock;
use crate::record::Request;
use crate::shared::Shared;

/// Source: "Authenticate against Azure resources with Azure Arc-enabled servers" (2020-06-01); the
/// official Go and Rust SDKs ask with the other two.
const VERSIONS: &[&str] = &["2019-11-01", "2020-06-01", "2021-02-01"];
const SELECTORS: &[(&str, IdKind)] =
    &[("client_id", IdKind::Client), ("object_id", IdKind::Object), ("msi_res_id", IdKind::Resource)];

pub(super) fn decide<'a>(shared: &'a Shared, request: &Request) -> Result<Outcome<'a>, Refusal> {
    let parameters = Parameters::of_token_request(request)?;
    require_metadata_header(request)?;
    parameters.api_version(VERSIONS)?;
    let resource = parameters.resource(shared)?;
    let selectors = if shared.arc_ignores_selectors { &[] } else { SELECTORS };
    let (identity, selector) = parameters.identity(shared, selectors, NOT_FOUND)?;
    let answered = sole_header(request, "authorization")
        .and_then(|value| value.strip_prefix("Basic "))
        .is_some_and(|key| lock(&shared.challenges).redeem(key));
    if !answered {
        let key = shared.signer.random_hex::<32>();
        let name = shared.signer.random_hex::<16>();
        let realm = key.and_then(|key| lock(&shared.challenges).create(&name?, key));
        return realm.map(Outcome::Challenge).map_err(|error| {
            Refusal::new(500, "internal_error", format!("the challenge file cannot be written: {error}"))
        });
    }
    let named = match selector {
        Some(name @ "client_id") => vec![(name, identity.client_id().to_owned())],
        Some(name @ "object_id") => vec![(name, identity.object_id().to_owned())],
        Some(name) => vec![(name, identity.resource_id().to_owned())],
        None => Vec::new(),
    };
    Ok(Outcome::Token(Grant { identity, resource, named, unwanted: None }))
}

/// The keys that are good for one request each, and the files that hold them.
pub(crate) struct Challenges {
    directory: PathBuf,
    open: VecDeque<(String, PathBuf)>,
}

impl Challenges {
    pub(crate) fn new(directory: PathBuf) -> Self {
        Self { directory, open: VecDeque::new() }
    }

    /// Writes a key to a new file that only its owner may read, and gives the file's path.
    pub(crate) fn create(&mut self, name: &str, key: String) -> io::Result<String> {
        while self.open.len() >= MAX_OPEN {
            self.forget_oldest();
        }
        let in_directory =
            |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", self.directory.display()));
        fs::create_dir_all(&self.directory).map_err(in_directory)?;
        let path = self.directory.join(format!("{name}.key"));
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(&path).map_err(in_directory)?.write_all(key.as_bytes())?;
        let realm = path.display().to_string();
        self.open.push_back((key, path));
        Ok(realm)
    }

    /// True if the key is good; it is not good again.
    pub(crate) fn redeem(&mut self, key: &str) -> bool {
        let place = self.open.iter().position(|(good, _)| good == key);
        let Some((_, path)) = place.and_then(|place| self.open.remove(place)) else { return false };
        // A file that someone has removed already does no harm.
        let _ = fs::remove_file(path);
        true
    }

    fn forget_oldest(&mut self) {
        if let Some((_, path)) = self.open.pop_front() {
            let _ = fs::remove_file(path);
        }
    }
}

impl Drop for Challenges {
    fn drop(&mut self) {
        while !self.open.is_empty() {
            self.forget_oldest();
        }
    }
}

/// Unanswered challenges at most; the oldest goes for a new one.
const MAX_OPEN: usize = 1_024;
