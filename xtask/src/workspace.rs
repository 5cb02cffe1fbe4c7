//! What cargo knows about the workspace.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::Result;
use crate::budgets::Budgets;
use crate::shell::Cmd;

/// The packages of the workspace, where they lie and what they may cost.
pub(crate) struct Workspace {
    pub(crate) root: PathBuf,
    pub(crate) target: PathBuf,
    /// The libraries and the command, the automation and the tests: everything that is ours, by name.
    pub(crate) members: Vec<Package>,
    pub(crate) budgets: Budgets,
}

/// One package of ours.
#[derive(Deserialize)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) id: String,
    pub(crate) manifest_path: PathBuf,
    pub(crate) features: BTreeMap<String, Vec<String>>,
    /// What a native library is called that the package links to, if any.
    pub(crate) links: Option<String>,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    kind: Vec<String>,
    src_path: PathBuf,
}

#[derive(Deserialize)]
pub(crate) struct Metadata {
    pub(crate) packages: Vec<Package>,
    workspace_members: Vec<String>,
    workspace_root: PathBuf,
    target_directory: PathBuf,
}

impl Workspace {
    pub(crate) fn load() -> Result<Self> {
        let metadata = Metadata::read(&["--no-deps"])?;
        let budgets = Budgets::read(&metadata.workspace_root.join("xtask/budgets.toml"))?;
        let mut members: Vec<Package> =
            metadata.packages.into_iter().filter(|package| metadata.workspace_members.contains(&package.id)).collect();
        members.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Self { root: metadata.workspace_root, target: metadata.target_directory, members, budgets })
    }

    /// The packages under crates/: what users get.
    pub(crate) fn shipped(&self) -> impl Iterator<Item = &Package> {
        self.members.iter().filter(|package| package.manifest_path.starts_with(self.root.join("crates")))
    }

    /// The manifest of the workspace of other people's libraries.
    pub(crate) fn peers_manifest(&self) -> PathBuf {
        self.root.join("tests/peers/Cargo.toml")
    }

    /// Builds one of our programs by itself, so that no other package's features reach it; where it is then.
    pub(crate) fn build(&self, package: &str, profile: &str) -> Result<PathBuf> {
        Cmd::cargo(&["build", "--locked", "--package", package, "--profile", profile]).run()?;
        Ok(self.target.join(folder(profile)).join(package))
    }

    /// The same for a program of tests/peers, which has its own target folder.
    pub(crate) fn build_peer(&self, package: &str, profile: &str) -> Result<PathBuf> {
        let target = self.target.join("peers");
        Cmd::cargo(&["build", "--locked", "--package", package, "--profile", profile, "--manifest-path"])
            .arg(self.peers_manifest())
            .env("CARGO_TARGET_DIR", &target)
            .run()?;
        Ok(target.join(folder(profile)).join(package))
    }

    /// A path as it is written from the root.
    pub(crate) fn relative(&self, path: &Path) -> String {
        path.strip_prefix(&self.root).unwrap_or(path).display().to_string()
    }
}

impl Package {
    /// The root files of its libraries and programs.
    pub(crate) fn roots(&self) -> impl Iterator<Item = &Path> {
        let ships = |kind: &String| ["lib", "bin", "proc-macro"].contains(&kind.as_str());
        self.targets.iter().filter(move |target| target.kind.iter().any(ships)).map(|target| target.src_path.as_path())
    }
}

impl Metadata {
    /// `cargo metadata` with more arguments.
    pub(crate) fn read(arguments: &[&str]) -> Result<Self> {
        let output = Cmd::cargo(&["metadata", "--format-version", "1"]).args(arguments).run()?;
        serde_json::from_str(&output.stdout).map_err(|error| format!("cargo metadata: {error}"))
    }
}

/// Where cargo puts what a profile builds.
fn folder(profile: &str) -> &str {
    if profile == "dev" { "debug" } else { profile }
}
