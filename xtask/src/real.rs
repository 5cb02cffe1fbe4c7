//! `cargo xtask real`: software that no one here wrote gets tokens from the emulator, or takes ours.
//!
//! Installs what the lock files in tests/real name into target/real, and again only when they change.

use std::fs;
use std::path::{Path, PathBuf};

use crate::Result;
use crate::report::Report;
use crate::shell::{Cmd, has, has_with};
use crate::test::{self, Runner};
use crate::workspace::Workspace;

pub(crate) fn run(workspace: &Workspace, report: &mut Report) {
    report.section("real components");
    let missing = [
        (!has_with("python3", &["-c", "import ensurepip, venv"])).then_some("python3 with venv (Debian: python3-venv)"),
        (!has("npm")).then_some("npm (Debian: npm)"),
    ];
    let missing: Vec<&str> = missing.into_iter().flatten().collect();
    if !missing.is_empty() {
        report.skip("real components", &format!("not installed: {}", missing.join(", ")));
        return;
    }
    let mut python = PathBuf::new();
    let mut az = PathBuf::new();
    let mut kubernetes = PathBuf::new();
    let mut modules = PathBuf::new();
    let installed = report.step("Python packages", "cargo xtask real", || {
        python = install_python(workspace)?;
        Ok(String::new())
    }) && report.step("Azure CLI", "cargo xtask real", || {
        az = install_az(workspace)?;
        Ok(String::new())
    }) && report.step("clients of Kubernetes", "cargo xtask real", || {
        kubernetes = install_kubernetes(workspace)?;
        Ok(String::new())
    }) && report.step("npm packages", "cargo xtask real", || {
        modules = install_npm(workspace)?;
        Ok(String::new())
    });
    if !installed {
        return;
    }
    if !report.command("the command identity", &Cmd::cargo(&["build", "--locked", "--package", "identity-tool"])) {
        return;
    }
    let mut tests = Runner::find().binary("real");
    for (name, path) in
        [("REAL_PYTHON", python), ("REAL_AZ", az), ("REAL_KUBERNETES", kubernetes), ("REAL_NODE_MODULES", modules)]
    {
        tests = tests.env(name, path);
    }
    for name in TRUST_VARIABLES {
        tests = tests.unset(name);
    }
    test::step(report, "official SDKs, Azure CLI, kubectl and Azurite", &tests);
}

/// Python with the official SDK, and the folder of node's modules with it, installed.
pub(crate) fn programs(workspace: &Workspace) -> Result<(PathBuf, PathBuf)> {
    if !has_with("python3", &["-c", "import ensurepip, venv"]) || !has("npm") {
        return Err("not installed: python3 with venv, or npm".to_owned());
    }
    Ok((install_python(workspace)?, install_npm(workspace)?))
}

fn install_python(workspace: &Workspace) -> Result<PathBuf> {
    Ok(environment(workspace, "python", &[])?.join("bin/python"))
}

/// The program `az`; half of its thousands of files are never loaded, so none is compiled ahead.
fn install_az(workspace: &Workspace) -> Result<PathBuf> {
    Ok(environment(workspace, "az", &["--no-compile"])?.join("bin/az"))
}

/// The interpreter that has the client for Python, with kubectl beside it.
fn install_kubernetes(workspace: &Workspace) -> Result<PathBuf> {
    let python = environment(workspace, "kubernetes", &[])?.join("bin/python");
    if !python.with_file_name("kubectl").exists() {
        Cmd::new(&python).arg(workspace.root.join("tests/real/kubernetes/kubectl.py")).run()?;
    }
    Ok(python)
}

/// A Python environment of its own with the packages of one lock file.
fn environment(workspace: &Workspace, name: &str, options: &[&str]) -> Result<PathBuf> {
    let lock = workspace.root.join("tests/real").join(name).join("requirements.txt");
    let folder = workspace.target.join("real").join(name);
    if !is_current(&[&lock], &folder)? {
        Cmd::new("python3").args(&["-m", "venv", "--clear"]).arg(&folder).run()?;
        Cmd::new(folder.join("bin/python"))
            .args(&["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"])
            .args(options)
            .args(&["--requirement"])
            .arg(&lock)
            .run()?;
        mark(&[&lock], &folder)?;
    }
    Ok(folder)
}

fn install_npm(workspace: &Workspace) -> Result<PathBuf> {
    let source = workspace.root.join("tests/real/js");
    let (manifest, lock) = (source.join("package.json"), source.join("package-lock.json"));
    let folder = workspace.target.join("real/js");
    if !is_current(&[&manifest, &lock], &folder)? {
        let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
        fs::create_dir_all(&folder).map_err(failed)?;
        fs::copy(&manifest, folder.join("package.json")).map_err(failed)?;
        fs::copy(&lock, folder.join("package-lock.json")).map_err(failed)?;
        Cmd::new("npm").args(&["ci", "--no-audit", "--no-fund", "--ignore-scripts"]).folder(&folder).run()?;
        mark(&[&manifest, &lock], &folder)?;
    }
    Ok(folder.join("node_modules"))
}

/// Whether the folder was filled from these very lock files.
fn is_current(locks: &[&Path], folder: &Path) -> Result<bool> {
    let wanted = read_all(locks)?;
    Ok(fs::read_to_string(folder.join(MARK)).is_ok_and(|installed| installed == wanted))
}

fn mark(locks: &[&Path], folder: &Path) -> Result<()> {
    fs::write(folder.join(MARK), read_all(locks)?).map_err(|error| format!("{}: {error}", folder.display()))
}

fn read_all(paths: &[&Path]) -> Result<String> {
    let read = |path: &&Path| fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()));
    paths.iter().map(read).collect()
}

/// A copy of the lock files, written when everything is installed.
const MARK: &str = "installed-from.txt";

/// A machine may set these for all programs; they would win over the trust that a test sets up.
const TRUST_VARIABLES: [&str; 5] =
    ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR", "NODE_EXTRA_CA_CERTS"];
