//! The emulator's world: its variables and no others.

use std::{
    collections::HashMap,
    ffi::OsString,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use identity::{Env, Links};

/// Variables that exist for the credentials of this process only. Of the real ones, none shows through: the emulator
/// must not be asked with somebody's real secret, nor a real endpoint with the emulator's.
#[derive(Debug)]
pub(crate) struct Overlay {
    variables: HashMap<String, String>,
    files: Arc<dyn Env>,
}

impl Overlay {
    pub(crate) fn new(variables: Vec<(String, String)>, files: Arc<dyn Env>) -> Self {
        Self { variables: variables.into_iter().collect(), files }
    }
}

impl Env for Overlay {
    fn var_os(&self, name: &str) -> Option<OsString> {
        self.variables.get(name).map(OsString::from)
    }

    fn read(&self, path: &Path, limit: usize, links: Links) -> io::Result<Vec<u8>> {
        self.files.read(path, limit, links)
    }

    /// Never: an agent that is installed here has nothing to say in the emulator's world.
    fn is_file(&self, _: &Path) -> bool {
        false
    }

    fn canonicalize(&self, path: &Path) -> io::Result<PathBuf> {
        self.files.canonicalize(path)
    }
}
