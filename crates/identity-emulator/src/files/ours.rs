//! Which files an emulator has written: only those may be replaced.

use std::fs;
use std::io;
use std::path::Path;

use crate::directory::KUBERNETES_ISSUER;
use crate::entra::is_opaque;
use crate::jwt::{Jwt, Key};
use crate::signing::SECOND_CERTIFICATE_PEM;
use crate::tls::CA_NAME;
use crate::token::{KEY_NAME, TEST_CERTIFICATE_PEM};
use crate::x509::Certificate;

/// What an emulator writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The certificate of one of its CAs.
    Ca,
    /// The certificate of the public test key, and the key.
    Client,
    /// A token of a user.
    UserToken,
    /// An authorization code.
    Code,
    /// A token of a service account.
    #[cfg_attr(unix, expect(dead_code, reason = "on Unix a token lies behind a link"))]
    Token,
}

/// Refuses a path at which something is that no emulator has written; an empty file is nobody's.
pub(crate) fn check(path: &Path, kind: Kind) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(super::about(path, &error)),
        Ok(data) if data.is_file() && data.len() <= MAX_LEN && is_ours(path, kind) => Ok(()),
        Ok(_) => Err(refusal(path)),
    }
}

pub(super) fn refusal(path: &Path) -> io::Error {
    let message =
        format!("{}: it is there already, and no emulator has made it; remove it or name another", path.display());
    io::Error::new(io::ErrorKind::AlreadyExists, message)
}

fn is_ours(path: &Path, kind: Kind) -> bool {
    let Ok(text) = fs::read_to_string(path) else { return false };
    let is_called = |name: &str| {
        Certificate::from_pem(&text).is_some_and(|found| found.common_names().iter().any(|one| one == name))
    };
    text.is_empty()
        || match kind {
            Kind::Ca => is_called(CA_NAME),
            Kind::Client => is_called(KEY_NAME),
            Kind::UserToken => Jwt::parse(&text).is_some_and(|jwt| is_signed_by_test_key(&jwt)),
            Kind::Code => is_opaque(&text),
            Kind::Token => Jwt::parse(&text).is_some_and(|jwt| jwt.claim("iss") == Some(KUBERNETES_ISSUER)),
        }
}

fn is_signed_by_test_key(jwt: &Jwt) -> bool {
    [TEST_CERTIFICATE_PEM, SECOND_CERTIFICATE_PEM].iter().any(|pem| {
        let certificate = Certificate::from_pem(pem);
        certificate.as_ref().and_then(Certificate::rsa_key).is_some_and(|key| jwt.is_signed_by(&Key::Der(key)))
    })
}

/// How long a file may be that an emulator has written, in bytes.
const MAX_LEN: u64 = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::TEST_KEY_PEM;

    #[test]
    fn only_files_of_an_emulator_may_be_replaced() {
        let path = std::env::temp_dir().join(format!("emulator-ours-{}.pem", std::process::id()));
        let client = format!("{TEST_CERTIFICATE_PEM}{TEST_KEY_PEM}");
        for (text, ca, key) in
            [("", true, true), (client.as_str(), false, true), ("PRIVATE KEY of somebody", false, false)]
        {
            fs::write(&path, text).unwrap();
            assert_eq!((check(&path, Kind::Ca).is_ok(), check(&path, Kind::Client).is_ok()), (ca, key), "{text:.20}");
        }
        fs::remove_file(&path).unwrap();
        assert!(check(&path, Kind::Ca).is_ok());
        assert!(check(&std::env::temp_dir(), Kind::Ca).is_err());
    }
}
