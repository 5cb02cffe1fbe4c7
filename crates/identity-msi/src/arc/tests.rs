//! What depends on the operating system, for those that the tests do not run on.

use std::{ffi::OsString, path::PathBuf};

use identity_core::fakes::FakeEnv;

use super::*;

const WINDOWS: &str = r"C:\ProgramData\AzureConnectedMachineAgent\Tokens";

fn asks_for(path: &str) -> Response {
    Response::new(401, vec![("www-authenticate".into(), format!("Basic realm={path}"))], Vec::new())
}

#[test]
fn windows_has_its_own_directory() {
    let env = FakeEnv::new(&[("ProgramData", r"C:\ProgramData")]);
    let name = "7e57.key";
    for (head, opened) in [
        (WINDOWS.to_owned(), true),
        (WINDOWS.to_lowercase(), true),
        (r"C:\ProgramData\AzureConnectedMachineAgent\Tokens\..\Tokens".to_owned(), false),
        (r"\\server\share\AzureConnectedMachineAgent\Tokens".to_owned(), false),
        (r"\\?\C:\ProgramData\AzureConnectedMachineAgent\Tokens".to_owned(), false),
        (WINDOWS.replace('\\', "/"), false),
        ("/var/opt/azcmagent/tokens".to_owned(), false),
        (r"D:\ProgramData\AzureConnectedMachineAgent\Tokens".to_owned(), false),
    ] {
        let path = format!(r"{head}\{name}");
        assert_eq!(file_name("windows", &path, WINDOWS), opened.then_some(name), "{path}");
        if !opened {
            assert_eq!(key(&env, "windows", &asks_for(&path)).unwrap_err().kind(), ErrorKind::Protocol);
        }
    }
    for bad in ["x.key:stream", "x.key ", "CON.KEY", "a b.key", ".key", "x.key."] {
        assert_eq!(file_name("windows", &format!(r"{WINDOWS}\{bad}"), WINDOWS), None, "{bad}");
    }
    assert!(env.reads().is_empty());
}

#[test]
fn windows_needs_the_variable_of_its_directory() {
    let error = key(&FakeEnv::default(), "windows", &asks_for("x")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert!(error.to_string().contains("ProgramData"), "{error}");
}

#[test]
fn other_systems_have_no_agent() {
    let env = FakeEnv::default();
    let error = key(&env, "macos", &asks_for("/var/opt/azcmagent/tokens/x.key")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CredentialUnavailable);
    assert!(env.reads().is_empty());
}

#[test]
fn the_agents_program_is_where_its_installer_puts_it() {
    let env = FakeEnv::new(&[("ProgramFiles", r"C:\Program Files")]);
    for (os, expected) in [
        ("linux", Some("/opt/azcmagent/bin/himds")),
        ("windows", Some(r"C:\Program Files\AzureConnectedMachineAgent\himds.exe")),
        ("macos", None),
    ] {
        assert_eq!(agent_on(os, &env).unwrap().as_deref(), expected);
    }
    assert_eq!(agent_on("windows", &FakeEnv::default()).unwrap(), None);
}

/// Sees no link when it looks, but one when it opens: somebody was quicker.
#[derive(Debug)]
struct Swapped(FakeEnv);

impl Env for Swapped {
    fn var_os(&self, name: &str) -> Option<OsString> {
        self.0.var_os(name)
    }
    fn read(&self, path: &Path, limit: usize, links: Links) -> io::Result<Vec<u8>> {
        self.0.read(path, limit, links)
    }
    fn is_file(&self, path: &Path) -> bool {
        self.0.is_file(path)
    }
    fn canonicalize(&self, path: &Path) -> io::Result<PathBuf> {
        Ok(path.to_owned())
    }
}

#[test]
fn a_link_that_appears_between_looking_and_opening_is_not_followed() {
    let env = FakeEnv::default();
    env.file("/etc/shadow", Ok(b"CANARY"));
    env.link("/var/opt/azcmagent/tokens/x.key", "/etc/shadow");
    let error = key(&Swapped(env), "linux", &asks_for("/var/opt/azcmagent/tokens/x.key")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
}
