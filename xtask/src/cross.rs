//! `cargo xtask cross`: other toolchains and targets, where the machine has them. Outside the gate.

mod windows;

use std::fs;

use crate::Result;
use crate::report::Report;
use crate::shell::Cmd;
use crate::workspace::Workspace;

/// What users build for. Only `check` runs, so that no foreign linker is needed.
const TARGETS: [&str; 5] = [
    "x86_64-unknown-linux-musl",
    "aarch64-unknown-linux-gnu",
    "x86_64-pc-windows-msvc",
    "x86_64-pc-windows-gnu",
    "aarch64-apple-darwin",
];

/// What `cargo xtask cross` was asked for.
#[derive(Default)]
pub(crate) struct Options {
    /// Build a standard library for Windows where there is none.
    windows: bool,
}

impl Options {
    pub(crate) fn parse(options: &[&str]) -> Result<Self> {
        match options {
            [] => Ok(Self::default()),
            ["--windows"] => Ok(Self { windows: true }),
            other => Err(format!("unexpected {}; see cargo xtask --help", other.join(" "))),
        }
    }
}

pub(crate) fn run(workspace: &Workspace, options: &Options, report: &mut Report) {
    report.section("other toolchains and targets");
    let list = |arguments: &[&str]| Cmd::new("rustup").args(arguments).run().map(|output| output.stdout);
    let (Ok(toolchains), Ok(targets)) = (list(&["toolchain", "list"]), list(&["target", "list", "--installed"])) else {
        report.note("absent: rustup");
        windows::run(workspace, report, false, options.windows);
        return;
    };
    match oldest(workspace) {
        Ok(version) => match toolchains.lines().find(|name| name.starts_with(&version)) {
            Some(name) => {
                let name = name.split_whitespace().next().unwrap_or(name);
                let check = Cmd::new("rustup")
                    .args(&["run", name, "cargo", "check", "--locked", "--workspace", "--all-features"])
                    .env("CARGO_TARGET_DIR", workspace.target.join("msrv"));
                report.command(&format!("Rust {version}"), &check);
            }
            None => report.note(&format!("absent: toolchain {version}, the oldest that is supported")),
        },
        Err(error) => {
            report.step("oldest supported Rust", "cargo xtask cross", || Err(error));
        }
    }
    for target in TARGETS {
        if targets.lines().any(|installed| installed == target) {
            let check =
                Cmd::cargo(&["check", "--locked", "--package", "identity", "--features", "msi", "--target", target]);
            report.command(target, &check);
        } else {
            report.note(&format!("absent: target {target}"));
        }
    }
    let from_rustup = targets.lines().any(|installed| installed == windows::TARGET);
    windows::run(workspace, report, from_rustup, options.windows);
}

/// The workspace's `rust-version`.
fn oldest(workspace: &Workspace) -> Result<String> {
    let text = fs::read_to_string(workspace.root.join("Cargo.toml")).map_err(|error| format!("Cargo.toml: {error}"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("rust-version = "));
    Ok(line.ok_or("Cargo.toml states no rust-version")?.trim_matches('"').to_owned())
}
