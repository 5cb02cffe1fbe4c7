//! Variables that only one credential sees.

use std::{
    collections::HashMap,
    ffi::OsString,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use identity_core::{Env, Links, Platform};
use identity_emulator::{Emulator, Source};
use identity_tokio::{Roots, TransportOptions};

/// These variables and no others, and the files of the machine.
#[derive(Debug)]
pub struct Variables {
    variables: HashMap<String, String>,
    files: Arc<dyn Env>,
}

impl Variables {
    /// The variables; a later one replaces an earlier one of its name.
    pub fn new(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        Self { variables: variables.into_iter().collect(), files: Arc::clone(identity_tokio::platform().env()) }
    }
}

impl Env for Variables {
    fn var_os(&self, name: &str) -> Option<OsString> {
        self.variables.get(name).map(OsString::from)
    }

    fn read(&self, path: &Path, limit: usize, links: Links) -> io::Result<Vec<u8>> {
        self.files.read(path, limit, links)
    }

    fn is_file(&self, path: &Path) -> bool {
        self.files.is_file(path)
    }

    fn canonicalize(&self, path: &Path) -> io::Result<PathBuf> {
        self.files.canonicalize(path)
    }
}

/// The platform of a process that runs where the emulator stands in for that source, and trusts its CA alone.
///
/// # Panics
///
/// If the emulator's CA is none.
#[must_use]
#[expect(clippy::expect_used, reason = "the end of a test")]
pub fn platform_of(emulator: &Emulator, source: Source) -> Platform {
    let variables = Arc::new(Variables::new(emulator.variables(source)));
    // Gates of its own: tests must not meet each other's closed ones.
    let options = TransportOptions::new().roots(Roots::None).ca_pem(emulator.ca_pem()).no_proxy();
    options.platform().expect("the emulator's CA is one").with_env(variables)
}
