//! Worlds that differ from the real one in their variables: the emulator's, which has its own and no others, and the one
//! without a variable.

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

/// The world without one of its variables.
#[derive(Debug)]
pub(crate) struct Without {
    name: &'static str,
    env: Arc<dyn Env>,
}

impl Without {
    pub(crate) const fn new(name: &'static str, env: Arc<dyn Env>) -> Self {
        Self { name, env }
    }
}

impl Env for Without {
    fn var_os(&self, name: &str) -> Option<OsString> {
        (name != self.name).then(|| self.env.var_os(name)).flatten()
    }

    fn read(&self, path: &Path, limit: usize, links: Links) -> io::Result<Vec<u8>> {
        self.env.read(path, limit, links)
    }

    fn is_file(&self, path: &Path) -> bool {
        self.env.is_file(path)
    }

    fn is_world_readable(&self, path: &Path) -> bool {
        self.env.is_world_readable(path)
    }

    fn canonicalize(&self, path: &Path) -> io::Result<PathBuf> {
        self.env.canonicalize(path)
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
