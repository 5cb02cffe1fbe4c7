//! Tokens in a file that somebody else replaces while the program runs.

use std::{fmt, io, path::PathBuf};

use identity_core::{BoxFuture, Error, ErrorKind, Links, Platform, Result, Secret, check, redact};
use identity_oauth::{ClientAuthentication, Proof, ProofRequest};

use crate::env::fingerprint;

/// Proves by the token in a file, as it is at that time.
pub(crate) struct TokenFile {
    platform: Platform,
    path: PathBuf,
}

impl TokenFile {
    pub(crate) fn new(platform: &Platform, path: PathBuf) -> Self {
        Self { platform: platform.clone(), path }
    }

    fn token(&self) -> Result<Secret> {
        let path = redact::path(&self.path);
        let invalid = |problem: &str| {
            Error::new(ErrorKind::InvalidArgument, format!("the token file {path} {problem}; expected {EXPECTED}"))
        };
        let content =
            self.content().map_err(|error| invalid(&format!("cannot be read ({error})")).with_source(error))?;
        let token = content.expose().trim_ascii();
        if check::is_token(token) {
            return Ok(Secret::new(token));
        }
        if token.is_empty() {
            // Somebody is to put a token there, and has not yet.
            return Err(invalid("is empty").with_kind(ErrorKind::CredentialUnavailable));
        }
        Err(invalid(if token.starts_with('\u{feff}') {
            "begins with a byte order mark"
        } else {
            "has a space, a line break or another character that no token has"
        }))
    }

    /// The file's text, wiped when dropped.
    fn content(&self) -> io::Result<Secret> {
        let bytes = self.platform.env().read(&self.path, LIMIT, Links::Follow)?;
        // Text in UTF-16 that has no mark is UTF-8 as well, with zeros in it.
        let text = String::from_utf8(bytes);
        text.map(Secret::new).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "is not text in UTF-8"))
    }
}

impl ClientAuthentication for TokenFile {
    fn prove<'a>(&'a self, _: &'a ProofRequest<'a>) -> BoxFuture<'a, Result<Proof>> {
        // Whoever does not replace the file at one stroke may be met while it is empty, half written or not there.
        let token = self.token().or_else(|_| self.token());
        Box::pin(std::future::ready(token.map(Proof::Assertion)))
    }

    fn check(&self) -> Result<()> {
        self.token().or_else(|_| self.token()).map(|_| ())
    }

    fn generation(&self) -> u64 {
        self.content().map_or(0, |content| fingerprint(content.expose().as_bytes()))
    }
}

impl fmt::Debug for TokenFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TokenFile").field(&self.path).finish()
    }
}

const EXPECTED: &str = "the token that the platform issued, in at most 64 KiB of plain text, in the file that AZURE_FEDERATED_TOKEN_FILE or token_file_path() names";
/// Bytes. Source: our choice; a projected token has 1 to 2 KiB.
const LIMIT: usize = 64 * 1024;
