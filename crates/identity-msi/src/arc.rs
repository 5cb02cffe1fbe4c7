//! Azure Arc: where its agent is, and the file that proves that the caller may read what the agent's group may read.
//!
//! Source: <https://learn.microsoft.com/azure/azure-arc/servers/managed-identity-authentication>; azure-identity 1.27.0,
//! `_credentials/azure_arc.py`. Unlike Python, which rewrites a path that is not in the agent's directory, we refuse it.

use std::{io, path::Path};

use identity_core::{Env, Error, ErrorKind, Links, Result, Secret, check, http::Response};

use crate::env::{PROGRAM_DATA, PROGRAM_FILES};

/// The key file's content, for the header that answers the challenge.
///
/// Touches the disk: the file is opened once, and only if its path is one that the agent writes to.
///
/// # Errors
///
/// - `Protocol` for a challenge that is none, a path elsewhere, and a file that no agent writes.
/// - `CredentialUnavailable` if this user may not read the file, or Arc does not exist on this system.
pub(crate) fn key(env: &dyn Env, os: &str, challenge: &Response) -> Result<Secret> {
    let path = realm(challenge).ok_or_else(|| {
        protocol("the agent asked for no key file; expected one header WWW-Authenticate: Basic realm=<path>")
    })?;
    let Some(directory) = directory(env, os)? else {
        return Err(Error::new(
            ErrorKind::CredentialUnavailable,
            "Azure Arc has an agent for Linux and Windows only; unset IMDS_ENDPOINT and IDENTITY_ENDPOINT",
        ));
    };
    let name = file_name(os, path, &directory).ok_or_else(|| {
        // The path is not shown: it comes from whoever answers at the endpoint.
        protocol(&format!(
            "the agent named a key file that is not one of {directory}, or does not end in .key; it was not opened"
        ))
    })?;
    let resolved = |path: &str| env.canonicalize(Path::new(path)).map_err(|error| unreadable(path, error));
    let (file, directory) = (resolved(path)?, resolved(&directory)?);
    if file != directory.join(name) {
        return Err(protocol(&format!("the key file {path} is a symbolic link; it was not opened")));
    }
    let content = env.read(&file, KEY_LIMIT, Links::Refuse).map_err(|error| unreadable(path, error))?;
    // What is not even text becomes empty, which is no key either.
    let content = Secret::new(String::from_utf8(content).unwrap_or_default());
    let key = content.expose();
    let key = key.strip_suffix('\n').map_or(key, |line| line.strip_suffix('\r').unwrap_or(line));
    if !check::is_header_value(key) {
        return Err(protocol(&format!(
            "the key file {path} is empty or has a line break or another character that no key has"
        )));
    }
    Ok(Secret::new(["Basic ", key].concat()))
}

/// The program whose presence says that this machine is connected; `None` where there is no agent for the system.
pub(crate) fn agent(env: &dyn Env) -> Result<Option<String>> {
    agent_on(std::env::consts::OS, env)
}

fn agent_on(os: &str, env: &dyn Env) -> Result<Option<String>> {
    Ok(match os {
        "linux" => Some("/opt/azcmagent/bin/himds".to_owned()),
        "windows" => env.text(PROGRAM_FILES)?.map(|root| root + r"\AzureConnectedMachineAgent\himds.exe"),
        _ => None,
    })
}

fn directory(env: &dyn Env, os: &str) -> Result<Option<String>> {
    match os {
        "linux" => Ok(Some("/var/opt/azcmagent/tokens".to_owned())),
        "windows" => match env.text(PROGRAM_DATA)? {
            Some(root) => Ok(Some(root + r"\AzureConnectedMachineAgent\Tokens")),
            None => Err(Error::new(
                ErrorKind::InvalidArgument,
                format!("{PROGRAM_DATA} is not set; the keys of the Azure Arc agent are in a directory below it"),
            )),
        },
        _ => Ok(None),
    }
}

/// The path in the only challenge.
fn realm(response: &Response) -> Option<&str> {
    let mut challenges = response.headers("www-authenticate");
    let challenge = challenges.next().filter(|_| challenges.next().is_none())?;
    let (scheme, parameter) = challenge.trim().split_once(' ')?;
    let (name, value) = parameter.trim_start().split_once('=')?;
    if !scheme.eq_ignore_ascii_case("basic") || !name.eq_ignore_ascii_case("realm") {
        return None;
    }
    Some(value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value))
}

/// The file's name, if the path is that of a key directly in the directory.
fn file_name<'a>(os: &str, path: &'a str, directory: &str) -> Option<&'a str> {
    let separator = if os == "windows" { '\\' } else { '/' };
    let (head, name) = path.rsplit_once(separator)?;
    let same = if os == "windows" { head.eq_ignore_ascii_case(directory) } else { head == directory };
    let stem = name.strip_suffix(".key").filter(|_| same)?;
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    (!stem.is_empty() && stem.bytes().all(plain)).then_some(name)
}

fn unreadable(path: &str, error: io::Error) -> Error {
    let (kind, hint) = match error.kind() {
        io::ErrorKind::PermissionDenied => (
            ErrorKind::CredentialUnavailable,
            "; add this user to the group himds (Windows: Hybrid agent extension applications)",
        ),
        _ => (ErrorKind::Protocol, ""),
    };
    Error::new(kind, format!("the agent's key file {path} cannot be read{hint}")).with_source(error)
}

fn protocol(message: &str) -> Error {
    Error::new(ErrorKind::Protocol, message)
}

/// Where the agent listens unless a variable says otherwise.
///
/// Source: azidentity 1.14 (Go), `managed_identity_client.go`.
pub(crate) const AGENT_ORIGIN: &str = "http://127.0.0.1:40342";
/// Bytes; the largest key that is read.
const KEY_LIMIT: usize = 4096;

#[cfg(test)]
mod tests;
