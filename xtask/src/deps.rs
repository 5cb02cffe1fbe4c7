//! `cargo xtask deps`: what the measured programs bring with them.

use std::collections::BTreeSet;
use std::path::Path;

use crate::Result;
use crate::budgets::Program;
use crate::report::Report;
use crate::shell::Cmd;
use crate::workspace::{Metadata, Workspace};

/// Crates whose presence in a build means that a C compiler runs.
const C_BUILDERS: [&str; 5] = ["bindgen", "cc", "cmake", "pkg-config", "vcpkg"];

pub(crate) fn run(workspace: &Workspace, report: &mut Report) {
    report.section("dependencies");
    for program in &workspace.budgets.program {
        let what = format!("dependencies of {}", program.name);
        report.step(&what, "cargo xtask deps", || check(workspace, program));
    }
}

fn check(workspace: &Workspace, program: &Program) -> Result<String> {
    let manifest = workspace.root.join("Cargo.toml");
    let normal = third_party(&manifest, &program.package, "normal")?;
    let mut complaints = Vec::new();
    if normal.len() > program.crates {
        let list: Vec<String> = normal.iter().map(Crate::to_string).collect();
        complaints.push(format!("{} crates, {} allowed:\n  {}", normal.len(), program.crates, list.join("\n  ")));
    }
    let all = third_party(&manifest, &program.package, "normal,build")?;
    for forbidden in all.iter().filter(|found| program.forbidden.contains(&found.name)) {
        complaints.push(format!("{forbidden} is forbidden: cargo tree -p {} -i {forbidden}", program.package));
    }
    if !program.c_compiler {
        complaints.extend(native(&all)?);
    }
    if !complaints.is_empty() {
        return Err(complaints.join("\n"));
    }
    let floor = match &program.floor {
        Some(floor) => {
            let count = third_party(&workspace.peers_manifest(), floor, "normal")?.len();
            format!(", floor {count}")
        }
        None => String::new(),
    };
    Ok(format!("{} crates of {} allowed{floor}", normal.len(), program.crates))
}

/// Packages that need a C compiler or a native library.
fn native(crates: &BTreeSet<Crate>) -> Result<Vec<String>> {
    let metadata = Metadata::read(&["--filter-platform", TARGET])?;
    let mut complaints = Vec::new();
    for found in crates {
        if C_BUILDERS.contains(&found.name.as_str()) {
            complaints.push(format!("{found} builds C"));
        }
        let linked = metadata.packages.iter().find(|package| package.name == found.name && package.links.is_some());
        if let Some(links) = linked.and_then(|package| package.links.as_ref()) {
            complaints.push(format!("{found} links to {links}"));
        }
    }
    Ok(complaints)
}

/// A package of somebody else.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Crate {
    pub(crate) name: String,
    version: String,
}

impl std::fmt::Display for Crate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}@{}", self.name, self.version)
    }
}

/// The packages of others that a program is built from, procedural macros included.
pub(crate) fn third_party(manifest: &Path, package: &str, edges: &str) -> Result<BTreeSet<Crate>> {
    let tree = Cmd::cargo(&["tree", "--locked", "--package", package, "--edges", edges, "--target", TARGET])
        .args(&["--prefix", "none", "--format", "{p}", "--manifest-path"])
        .arg(manifest)
        .run()?;
    Ok(parse(&tree.stdout))
}

/// A line is `name vVERSION`, then `(proc-macro)`, a path in brackets for a package of ours, or `(*)` for a repeat.
fn parse(tree: &str) -> BTreeSet<Crate> {
    let mut found = BTreeSet::new();
    for line in tree.lines() {
        let mut words = line.split_whitespace();
        let (Some(name), Some(version)) = (words.next(), words.next()) else { continue };
        if words.any(|word| word.contains('/') || word.contains('\\')) {
            continue;
        }
        found.insert(Crate { name: name.to_owned(), version: version.trim_start_matches('v').to_owned() });
    }
    found
}

/// Where the numbers of budgets.toml are true.
const TARGET: &str = "x86_64-unknown-linux-gnu";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crates_of_ours_and_repeats_are_not_counted() {
        let tree =
            "program v0.1.0 (/somewhere/program)\nserde v1.0.1\nserde_derive v1.0.1 (proc-macro)\nserde v1.0.1 (*)\n";
        let names: Vec<String> = parse(tree).iter().map(Crate::to_string).collect();
        assert_eq!(names, ["serde@1.0.1", "serde_derive@1.0.1"]);
    }
}
