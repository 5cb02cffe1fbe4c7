//! `cargo xtask test`: every test that this machine can run.

use crate::real;
use crate::report::Report;
use crate::shell::{Cmd, has_with};
use crate::workspace::Workspace;

pub(crate) fn run(workspace: &Workspace, report: &mut Report) {
    report.section("tests");
    let runner = Runner::find();
    report.command("unit and behaviour tests", &runner.everything());
    report.command("doctests", &Cmd::cargo(&["test", "--locked", "--doc", "--workspace", "--all-features"]));
    // Own flags mean an own folder: sharing one would rebuild everything twice a run.
    let model = runner
        .package("identity-cache")
        .arg("model")
        .env("RUSTFLAGS", "--cfg identity_model")
        .env("CARGO_TARGET_DIR", workspace.target.join("model"));
    report.command("model check of the cache", &model);
    real::run(workspace, report);
}

/// cargo-nextest where it is installed: it runs the binaries side by side.
pub(crate) enum Runner {
    Nextest,
    Cargo,
}

impl Runner {
    pub(crate) fn find() -> Self {
        if has_with("cargo", &["nextest", "--version"]) { Self::Nextest } else { Self::Cargo }
    }

    fn everything(&self) -> Cmd {
        match self {
            Self::Nextest => {
                Cmd::cargo(&["nextest", "run", "--locked", "--workspace", "--all-features", "--no-fail-fast"])
            }
            Self::Cargo => Cmd::cargo(&["test", "--locked", "--workspace", "--all-features", "--no-fail-fast"])
                .args(&["--lib", "--bins", "--tests", "--examples"]),
        }
    }

    fn package(&self, name: &str) -> Cmd {
        match self {
            Self::Nextest => Cmd::cargo(&["nextest", "run", "--locked", "--package", name]),
            Self::Cargo => Cmd::cargo(&["test", "--locked", "--package", name, "--lib", "--tests"]),
        }
    }

    /// One test binary of a package, ignored tests included.
    pub(crate) fn binary(&self, package: &str, binary: &str) -> Cmd {
        let command = self.package(package).args(&["--test", binary]);
        match self {
            Self::Nextest => command.args(&["--run-ignored", "all", "--no-fail-fast"]),
            Self::Cargo => command.args(&["--no-fail-fast", "--", "--include-ignored"]),
        }
    }
}
