//! A process that may open no more files: the driver cannot start, and does once it can.
#![cfg(target_os = "linux")]
#![expect(clippy::disallowed_methods, reason = "files and a process of the test")]

use std::{env, error::Error as _, fs::File, process::Command};

use identity_core::ErrorKind;

use crate::support::{Counted, SCOPES};

mod support;

const INSIDE: &str = "IDENTITY_BLOCKING_INSIDE";

#[test]
fn a_driver_that_cannot_start_is_an_error_and_the_next_call_tries_again() {
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -n 64 && exec \"$@\"", "sh"]).arg(env::current_exe().unwrap());
    command.args(["--exact", "inside::full", "--ignored", "--nocapture"]);
    let output = command.env(INSIDE, "1").output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

/// What runs in a process of its own.
mod inside {
    use super::*;

    #[test]
    #[ignore = "only another test starts it, where 64 files are the limit"]
    fn full() {
        if env::var_os(INSIDE).is_none() {
            return;
        }
        let credential = Counted::new();
        let mut files = Vec::new();
        while let Ok(file) = File::open("/dev/null") {
            files.push(file);
        }
        for _ in 0..2 {
            let error = credential.get_token(SCOPES, None).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Transport, "{error}");
            assert!(error.to_string().contains("could not be started"), "{error}");
            assert!(error.source().is_some(), "the system's reason");
        }
        assert_eq!(credential.inner().asked(), 0);
        drop(files);
        assert_eq!(credential.get_token(SCOPES, None).unwrap().secret(), "token-1");
    }
}
