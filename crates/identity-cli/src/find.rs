//! Where a tool is, and what it may be run with.

use std::{
    env::split_paths,
    path::{Path, PathBuf},
};

use identity_core::{Env, Error, ErrorKind, Result, check, process::Processes};

use crate::options::invalid;

/// The first of `names` that is on the `PATH`, each looked for in all of it.
///
/// Only absolute directories count: what lies in the working directory, which an archive or a repository of somebody else may
/// have filled, is never run.
pub(crate) fn program(env: &dyn Env, processes: &dyn Processes, names: &[&str]) -> Option<PathBuf> {
    let path = env.var_os(PATH)?;
    let directories: Vec<PathBuf> = split_paths(&path).filter(|directory| directory.is_absolute()).collect();
    let candidates = names.iter().flat_map(|name| directories.iter().map(move |directory| directory.join(name)));
    candidates.into_iter().find(|candidate| processes.is_executable(candidate))
}

/// Where a tool runs: not in the working directory, for some of them look there for what to run.
///
/// Source: azure-identity 1.27.0, `_credentials/azure_cli.py` (`get_safe_working_dir`).
pub(crate) fn working_directory(env: &dyn Env) -> Result<PathBuf> {
    if !cfg!(windows) {
        return Ok("/bin".into());
    }
    let root = env.text(SYSTEM_ROOT)?.map(PathBuf::from).filter(|root| root.is_absolute());
    root.ok_or_else(|| {
        Error::new(
            ErrorKind::CredentialUnavailable,
            format!("{SYSTEM_ROOT} is not set or names no directory, so there is no safe place to run a tool in"),
        )
    })
}

/// The directory that belongs to the user, if it is known.
pub(crate) fn home(env: &dyn Env) -> Option<PathBuf> {
    directory(env, if cfg!(windows) { "USERPROFILE" } else { "HOME" })
}

/// The directory that a variable names, if it does.
pub(crate) fn directory(env: &dyn Env, variable: &str) -> Option<PathBuf> {
    env.var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// What has become of the files of a tool, in one number: another one when one of them has changed.
pub(crate) fn stamps(processes: &dyn Processes, files: &[PathBuf]) -> u64 {
    let stamp = |file: &Path| processes.stamp(file).map_or(0, |stamp| stamp | 1);
    files.iter().fold(0, |all, file| all.rotate_left(21) ^ stamp(file))
}

/// Checks the scopes before one of them becomes an argument.
///
/// Source: azure-identity 1.27.0, `_internal/utils.py` (`validate_scope`).
pub(crate) fn scopes(scopes: &[&str]) -> Result<()> {
    check::scopes(scopes)?;
    let is_good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b':' | b'/');
    match scopes.iter().find(|scope| !scope.bytes().all(is_good)) {
        None => Ok(()),
        Some(scope) => Err(invalid(format!(
            "the scope {scope:?} cannot be handed to a tool; only letters, digits and _ - . : / of ASCII may be in it"
        ))),
    }
}

const PATH: &str = "PATH";
const SYSTEM_ROOT: &str = "SYSTEMROOT";

#[cfg(test)]
mod tests {
    use std::{collections::HashMap, ffi::OsString};

    use identity_core::{BoxFuture, fakes::FakeEnv, process};

    use super::*;

    /// Files that may be run, and what has become of others.
    #[derive(Debug, Default)]
    struct Files(Vec<&'static str>, HashMap<PathBuf, u64>);

    impl Processes for Files {
        fn is_executable(&self, path: &Path) -> bool {
            self.0.iter().any(|file| Path::new(file) == path)
        }

        fn stamp(&self, path: &Path) -> Option<u64> {
            self.1.get(path).copied()
        }

        fn run(&self, _: process::Command) -> BoxFuture<'_, Result<process::Output, process::ProcessError>> {
            unreachable!("nothing is run to find something")
        }
    }

    #[cfg(unix)]
    fn find(path: &str, files: &[&'static str], names: &[&str]) -> Option<PathBuf> {
        program(&FakeEnv::new(&[("PATH", path)]), &Files(files.to_vec(), HashMap::new()), names)
    }

    #[cfg(unix)]
    #[test]
    fn only_absolute_directories_of_the_path_are_looked_into() {
        for (path, files, expected) in [
            ("/usr/bin:/opt/az", &["/opt/az/az"][..], Some("/opt/az/az")),
            ("/a:/b", &["/a/az", "/b/az"], Some("/a/az")),
            (".:/b", &["./az", "az", "/b/az"], Some("/b/az")),
            (":/b", &["az", "/b/az"], Some("/b/az")),
            ("/b:", &["az"], None),
            ("bin:../bin:~/bin:./x", &["bin/az", "../bin/az", "~/bin/az", "./x/az"], None),
            ("", &["az", "/az"], None),
            ("/a", &["/a/az.cmd"], None),
        ] {
            assert_eq!(find(path, files, &["az"]), expected.map(PathBuf::from), "{path}");
        }
        assert_eq!(program(&FakeEnv::default(), &Files(vec!["az"], HashMap::new()), &["az"]), None);
    }

    #[cfg(unix)]
    #[test]
    fn a_better_name_wins_over_an_earlier_directory() {
        let names = ["az.cmd", "az.exe"];
        assert_eq!(find("/a:/b", &["/a/az.exe", "/b/az.cmd"], &names), Some("/b/az.cmd".into()));
        assert_eq!(find("/a:/b", &["/a/az.exe"], &names), Some("/a/az.exe".into()));
    }

    #[test]
    fn a_change_of_any_file_changes_the_number() {
        let files = ["a", "b", "c"].map(PathBuf::from);
        let number = |stamps: &[(&str, u64)]| {
            let known = stamps.iter().map(|(file, stamp)| (PathBuf::from(file), *stamp)).collect();
            self::stamps(&Files(Vec::new(), known), &files)
        };
        let all = [
            number(&[]),
            number(&[("a", 1)]),
            number(&[("b", 1)]),
            number(&[("c", 1)]),
            number(&[("a", 3)]),
            number(&[("a", 1), ("b", 1)]),
        ];
        for (i, one) in all.iter().enumerate() {
            assert!(all[i + 1..].iter().all(|other| one != other), "{all:?}");
        }
    }

    #[test]
    fn scopes_that_a_shell_could_understand_are_refused() {
        for scope in
            ["https://vault.azure.net/.default", "https://vault.azure.net//.default", "User.Read", "api://a_b-c/x"]
        {
            scopes(&[scope]).unwrap();
        }
        for scope in
            ["--help", "-x", "a b", "a?b", "a~b", "a=b", "a#b", "a,b", "a*", "a@b", "a+b", "a&b", "a%b", "ａ", ""]
        {
            assert_eq!(scopes(&[scope]).unwrap_err().kind(), ErrorKind::InvalidArgument, "{scope}");
        }
    }

    #[test]
    fn a_variable_may_name_any_directory() {
        let env = FakeEnv::default();
        assert_eq!(directory(&env, "D"), None);
        env.set("D", "");
        assert_eq!(directory(&env, "D"), None);
        env.set("D", OsString::from("/x y"));
        assert_eq!(directory(&env, "D"), Some("/x y".into()));
    }
}
