//! `cargo xtask ci`: everything that must be green before a change lands.

use std::path::PathBuf;

use crate::Result;
use crate::bench;
use crate::report::Report;
use crate::shell::{Cmd, has_with};
use crate::workspace::Workspace;
use crate::{deps, features, lint, size, test};

pub(crate) fn run(workspace: &Workspace, report: &mut Report) {
    test::run(workspace, report);
    lint::run(workspace, report);
    features::run(workspace, report);
    deps::run(workspace, report);
    size::run(workspace, report);
    bench::run(workspace, &bench::Options::counts(), report);
    deny(workspace, report);
}

/// Licences, bans and sources of every dependency: deny.toml.
pub(crate) fn deny(workspace: &Workspace, report: &mut Report) {
    report.section("cargo deny");
    let mut program = PathBuf::new();
    let found = report.step("cargo-deny", "cargo xtask deny", || {
        program = find(workspace)?;
        Ok(String::new())
    });
    if found {
        let check = Cmd::new(program)
            .args(&["--workspace", "--locked", "--all-features", "check", "bans", "licenses", "sources"])
            .folder(&workspace.root);
        report.command("bans, licences, sources", &check);
    }
}

/// The installed cargo-deny, or one of our own under target/tools: a minute and a half on two cores.
fn find(workspace: &Workspace) -> Result<PathBuf> {
    let root = workspace.target.join("tools");
    let own = root.join("bin/cargo-deny");
    for program in [PathBuf::from("cargo-deny"), own.clone()] {
        if has_with(&program.display().to_string(), &["--version"]) {
            return Ok(program);
        }
    }
    // It runs for a second: compiling fast matters more than fast code.
    Cmd::cargo(&["install", "--locked", "--quiet", "--version", "^0.20", "cargo-deny", "--root"])
        .arg(&root)
        .env("CARGO_TARGET_DIR", root.join("build"))
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1")
        .env("CARGO_PROFILE_RELEASE_LTO", "off")
        .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16")
        .run()?;
    Ok(own)
}
