//! What the workspace-wide tests share: captured logs, the search for secrets, the texts of the code, and
//! platforms with other variables.
//!
//! | test target | what it shows |
//! |---|---|
//! | `conformance` | each folder of `conformance/`: variables, files and answers come to exactly this, on a virtual clock |
//! | `canary` | no public type shows the secret that it holds |
//! | `hostile` | our transport against an emulator that lies, over real sockets; thousands of callers; proxies |
//! | `memory` | answers without end cost no memory |
//! | `namespace` | IMDS at its real address, where that address is ours alone |
//! | `tools` | what the tools of developers print, replayed, and how their processes end |
//! | `troubleshooting` | docs/TROUBLESHOOTING.md quotes messages that the code has, and is where errors say |
//! | `real` | software that no one here wrote; `cargo xtask real` installs it |
//! | `tools` | what the tools of developers print, and programs that stand in for them: how they are run, and how they end |
#![forbid(unsafe_code)]
#![expect(clippy::disallowed_methods, reason = "tests stand outside of the seams")]

use std::{fs::File, io::Write as _, path::PathBuf};

mod env;
mod leaks;
mod literals;
mod logs;

pub use env::{Variables, platform_of};
pub use leaks::{find_secret, shown};
pub use literals::literals;
pub use logs::Logs;

/// The built command `identity`, if it is built.
///
/// # Panics
///
/// If the running test has no path.
#[must_use]
#[expect(clippy::expect_used, reason = "the end of a test")]
pub fn command() -> Option<PathBuf> {
    let test = std::env::current_exe().expect("a test has a path");
    let path = test.parent()?.parent()?.join("identity");
    path.exists().then_some(path)
}

/// Says why a test cannot run here; fails where everything has to. `cargo xtask` collects what is said in the file that
/// `IDENTITY_TESTS_SKIPS` names, since runners hide what passing tests print.
///
/// # Panics
///
/// If `CI` is `true` in the environment, and if that file cannot be written.
#[expect(clippy::expect_used, clippy::print_stderr, reason = "the end of a test")]
pub fn skip(what: &str, reason: &str) {
    assert!(!is_ci(), "{what} cannot run: {reason}; CI=true allows no skip");
    let line = format!("{what}: {}\n", reason.trim().replace('\n', " "));
    eprint!("SKIPPED {line}");
    if let Some(path) = std::env::var_os("IDENTITY_TESTS_SKIPS") {
        let file = File::options().create(true).append(true).open(path);
        file.and_then(|mut file| file.write_all(line.as_bytes())).expect("the file of skips takes a line");
    }
}

fn is_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| value == "true" || value == "1")
}
