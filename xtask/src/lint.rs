//! `cargo xtask lint`: what tools can say about the code.

use crate::report::Report;
use crate::shell::Cmd;
use crate::tidy;
use crate::workspace::Workspace;

pub(crate) fn run(workspace: &Workspace, report: &mut Report) {
    report.section("lint");
    report.command("rustfmt", &Cmd::cargo(&["fmt", "--all", "--check"]));
    let peers = Cmd::cargo(&["fmt", "--all", "--check", "--manifest-path"]).arg(workspace.peers_manifest());
    report.command("rustfmt of tests/peers", &peers);
    for package in &workspace.members {
        report.command(&format!("clippy {}", package.name), &clippy(&package.name, &[]));
        if !package.features.is_empty() {
            let what = format!("clippy {} (all features)", package.name);
            report.command(&what, &clippy(&package.name, &["--all-features"]));
        }
    }
    for package in workspace.shipped() {
        let doc = Cmd::cargo(&["doc", "--locked", "--no-deps", "--all-features", "--package", &package.name])
            .env("RUSTDOCFLAGS", "-D warnings");
        report.command(&format!("rustdoc {}", package.name), &doc);
    }
    tidy::run(workspace, report);
}

/// One package at a time: a workspace-wide run unifies features and hides gaps.
fn clippy(package: &str, features: &[&str]) -> Cmd {
    Cmd::cargo(&["clippy", "--locked", "--all-targets", "--package", package])
        .args(features)
        .args(&["--", "-D", "warnings"])
}
