//! Tests that need a network of their own: addresses and ports that are somebody else's, or nobody's, on this machine.

use std::{env, process::Command};

use identity_tests::skip;

use crate::installed::text;

/// Starts the test `inside`, which is ignored otherwise, in a network that `setup` makes, and says whether it was passed. That takes
/// root, or a system that lets users have namespaces; without it `what` is skipped.
pub(crate) fn pass_in_own(what: &str, setup: &str, inside: &str) -> bool {
    let unshare = |script: &str| {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--net", "sh", "-c", script, "sh"]);
        command.arg(env::current_exe().unwrap()).args(["--exact", inside, "--ignored", "--nocapture"]);
        command.env(INSIDE, inside).output()
    };
    let reason = match unshare(setup) {
        Ok(output) if output.status.success() => None,
        Ok(output) => Some(format!("no network of our own: {}", text(&output.stderr))),
        Err(error) => Some(format!("unshare: {error}")),
    };
    if let Some(reason) = reason {
        skip(what, &reason);
        return false;
    }
    let output = unshare(&format!("{setup} && exec \"$@\"")).unwrap();
    let said = text(&output.stdout) + &text(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
    true
}

/// Whether this is the test `inside`, in the network that was made for it.
pub(crate) fn is_inside(inside: &str) -> bool {
    env::var_os(INSIDE).is_some_and(|value| value == inside)
}

/// The variable that says so.
pub(crate) const INSIDE: &str = "IDENTITY_TESTS_INSIDE";
