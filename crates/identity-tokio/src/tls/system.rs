//! The system's roots, or those that `SSL_CERT_FILE` and `SSL_CERT_DIR` put in their place.

use std::{env::split_paths, fs, io, path::Path};

use identity_core::{Env as _, Links, redact};
use rustls::pki_types::{CertificateDer, pem::PemObject as _};

use crate::env::ProcessEnv;

/// What was found.
pub(super) struct Found {
    pub(super) certificates: Vec<CertificateDer<'static>>,
    /// The variables that said where to look; empty if none did.
    pub(super) variables: String,
    /// The first thing that went wrong.
    pub(super) trouble: Option<String>,
    /// How many more bytes may be read.
    room: usize,
}

/// Reads the roots. What cannot be read is left out, as everybody does.
///
/// The variables are those of OpenSSL: a file, and folders of files. Of what they name only regular files are read, and no
/// more than 8 MiB in all.
pub(super) fn read() -> Found {
    let mut found = Found { certificates: Vec::new(), variables: String::new(), trouble: None, room: ROOM };
    let set = |name| ProcessEnv.var_os(name).filter(|value| !value.is_empty());
    if let Some(file) = set(FILE) {
        found.variables = format!("{FILE}={}", redact::path(Path::new(&file)));
        found.read_file(Path::new(&file), false);
    }
    if let Some(folders) = set(FOLDERS) {
        let and = if found.variables.is_empty() { "" } else { " and " };
        found.variables += &format!("{and}{FOLDERS}={}", redact::path(Path::new(&folders)));
        for folder in split_paths(&folders) {
            found.read_folder(&folder);
        }
    }
    if found.variables.is_empty() {
        found.read_usual();
    }
    found
}

impl Found {
    fn read_usual(&mut self) {
        // The crate takes an empty variable for a path; here it is unset.
        if ProcessEnv.var_os(FILE).is_none() {
            let all = rustls_native_certs::load_native_certs();
            self.certificates = all.certs;
            self.trouble = all.errors.first().map(ToString::to_string);
            return;
        }
        for folder in USUAL {
            self.read_folder(Path::new(folder));
        }
    }

    /// Reads a file. Folders have copies of files, and links to them: what `may_be_known` is looked for first.
    fn read_file(&mut self, path: &Path, may_be_known: bool) {
        let pem = match ProcessEnv.read(path, self.room, Links::Follow) {
            Ok(pem) => pem,
            Err(error) => return self.note(path, &error),
        };
        self.room -= pem.len();
        // Parts that are not well-formed are left out, too.
        for certificate in CertificateDer::pem_slice_iter(&pem).flatten() {
            if !may_be_known || !self.certificates.contains(&certificate) {
                self.certificates.push(certificate);
            }
        }
    }

    fn read_folder(&mut self, folder: &Path) {
        match fs::read_dir(folder) {
            Ok(entries) => {
                for entry in entries.take(MAX_ENTRIES).flatten() {
                    self.read_file(&entry.path(), true);
                }
            }
            Err(error) => self.note(folder, &error),
        }
    }

    fn note(&mut self, path: &Path, error: &io::Error) {
        if self.trouble.is_none() {
            self.trouble = Some(format!("{}: {error}", redact::path(path)));
        }
    }
}

const FILE: &str = "SSL_CERT_FILE";
const FOLDERS: &str = "SSL_CERT_DIR";

/// Where Debian, SUSE and Alpine, and where Red Hat and Azure Linux have them.
///
/// Source: openssl-probe 0.2.2.
const USUAL: [&str; 2] = ["/etc/ssl/certs", "/etc/pki/tls/certs"];

/// The most bytes that are read of all files together. The folder of a distribution has a tenth of it, links included.
const ROOM: usize = 8 * 1024 * 1024;

/// The most entries of a folder that are looked at. A distribution has a tenth of it.
const MAX_ENTRIES: usize = 4096;
