//! The files of an emulator take the place of its own older ones, and of nobody else's.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test says so by failing"
)]

mod common;

use std::fs;
use std::io::ErrorKind;

use common::builder;

#[test]
fn files_of_an_earlier_emulator_are_replaced() {
    let directory = common::directory();
    let first = builder().files(&directory).start_in_background().unwrap();
    let old = first.ca_pem();
    drop(first);
    let second = builder().files(&directory).start_in_background().unwrap();
    assert_eq!(fs::read_to_string(directory.join("ca.pem")).unwrap(), second.ca_pem());
    assert_ne!(second.ca_pem(), old);
    let copy = directory.join("copy.pem");
    fs::write(&copy, "").unwrap();
    for _ in 0..2 {
        second.write_ca(&copy).unwrap();
        assert_eq!(fs::read_to_string(&copy).unwrap(), second.ca_pem());
        second.rotate_ca().unwrap();
    }
    let mut names: Vec<_> = fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(
        names,
        [
            "authorization-code",
            "azure-identity",
            "ca.pem",
            "client.pem",
            "copy.pem",
            "identity-binding",
            "identity-binding-ca.pem",
            "user-assertion"
        ]
    );
}

#[test]
fn files_of_somebody_else_stop_the_start_and_stay() {
    for name in ["ca.pem", "client.pem", "identity-binding-ca.pem", "user-assertion", "authorization-code"] {
        let directory = common::directory();
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join(name), "PRIVATE KEY of somebody").unwrap();
        let error = builder().files(&directory).start_in_background().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        assert!(error.to_string().contains(name), "{error}");
        assert_eq!(fs::read_to_string(directory.join(name)).unwrap(), "PRIVATE KEY of somebody");
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 1, "nothing else was written");
    }
    let emulator = builder().start_in_background().unwrap();
    let path = common::directory();
    fs::write(&path, "PRIVATE KEY of somebody").unwrap();
    for written in [emulator.write_ca(&path), emulator.write_directory(&path)] {
        let error = written.unwrap_err();
        assert!(
            error.kind() == ErrorKind::AlreadyExists && error.to_string().contains(path.to_str().unwrap()),
            "{error}"
        );
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), "PRIVATE KEY of somebody");
}

#[test]
#[cfg(unix)]
fn a_directory_that_somebody_linked_elsewhere_is_left_alone() {
    use std::os::unix::fs::symlink;

    let all = common::directory();
    let (directory, precious) = (all.join("mine"), all.join("precious"));
    for made in [&directory.join("azure-identity"), &precious] {
        fs::create_dir_all(made).unwrap();
    }
    fs::write(precious.join("work.txt"), "x").unwrap();
    symlink(&precious, directory.join("azure-identity/..data")).unwrap();
    let error = builder().files(&directory).start_in_background().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    assert_eq!(fs::read_to_string(precious.join("work.txt")).unwrap(), "x");
}

#[test]
#[cfg(unix)]
fn a_directory_is_written_for_its_owner_alone() {
    use std::os::unix::fs::{PermissionsExt, symlink};

    let emulator = builder().start_in_background().unwrap();
    let directory = common::directory();
    fs::create_dir_all(&directory).unwrap();
    let (path, victim) = (directory.join("directory.toml"), directory.join("victim"));
    fs::write(&victim, "victim").unwrap();
    symlink(&victim, directory.join("directory.toml.new")).unwrap();
    emulator.write_directory(&path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_to_string(&victim).unwrap(), "victim");
    fs::remove_file(&path).unwrap();
    symlink(&victim, &path).unwrap();
    emulator.write_directory(&path).unwrap_err();
    assert_eq!(fs::read_to_string(&victim).unwrap(), "victim");
}
