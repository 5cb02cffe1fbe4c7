//! The rules of this workspace that no other tool checks. Each takes the tracked files and returns complaints.

use std::fs;

use toml::{Table, Value};

use crate::Result;
use crate::report::Report;
use crate::shell::Cmd;
use crate::workspace::Workspace;

/// A tracked text file: its path from the root, and what is in it.
struct File {
    path: String,
    text: String,
}

type Rule = fn(&Workspace, &[File]) -> Result<Vec<String>>;

const RULES: [(&str, Rule); 8] = [
    ("files have at most 800 lines", file_length),
    ("every package takes the workspace's lints", lints_inherited),
    ("versions of other people's crates stand in the root manifest only", versions_once),
    ("no dependency brings its default features", no_default_features),
    ("no path of somebody's machine", no_machine_paths),
    ("decision records that are linked exist", records_exist),
    ("crate roots say what they are", roots_documented),
    ("a thing to do has an issue", todos_have_issues),
];

/// Longer files need an entry in budgets.toml; from `WARN_LINES` on they are mentioned.
const MAX_LINES: usize = 800;
const WARN_LINES: usize = 500;

/// Where homes and checkouts lie elsewhere; this checkout and this home are told by the machine.
const MACHINE_PATHS: [&str; 3] = ["/Users/", "/builds/", "/tmp/target"];

/// This file and its tests spell what they forbid.
const THIS_FILE: &str = "xtask/src/tidy";

pub(crate) fn run(workspace: &Workspace, report: &mut Report) {
    let files = match tracked(workspace) {
        Ok(files) => files,
        Err(error) => {
            report.step("tracked files", "git ls-files", || Err(error));
            return;
        }
    };
    for (what, rule) in RULES {
        report.step(what, "cargo xtask lint", || {
            let complaints = rule(workspace, &files)?;
            if complaints.is_empty() { Ok(String::new()) } else { Err(complaints.join("\n")) }
        });
    }
    for file in files.iter().filter(|file| is_source(file) && lines(file) > WARN_LINES) {
        report.note(&format!("{} has {} lines: split it before it grows", file.path, lines(file)));
    }
}

/// What git tracks or would add, binary files aside.
fn tracked(workspace: &Workspace) -> Result<Vec<File>> {
    let listed = Cmd::new("git")
        .args(&["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .folder(&workspace.root)
        .run()?;
    let paths = listed.stdout.split('\0').filter(|path| !path.is_empty());
    // A deleted file is listed until the deletion is committed; a binary file has no text.
    let read =
        |path: &str| Some(File { path: path.to_owned(), text: fs::read_to_string(workspace.root.join(path)).ok()? });
    Ok(paths.filter_map(read).collect())
}

fn file_length(workspace: &Workspace, files: &[File]) -> Result<Vec<String>> {
    let allowed = |path: &str| workspace.budgets.long_files.get(path).copied().unwrap_or(MAX_LINES);
    let mut complaints: Vec<String> = files
        .iter()
        .filter(|file| is_source(file) && lines(file) > allowed(&file.path))
        .map(|file| format!("{}: {} lines, {} allowed", file.path, lines(file), allowed(&file.path)))
        .collect();
    let stale = workspace.budgets.long_files.keys().filter(|path| !files.iter().any(|file| file.path == **path));
    complaints.extend(stale.map(|path| format!("xtask/budgets.toml: {path} does not exist")));
    Ok(complaints)
}

fn lints_inherited(_: &Workspace, files: &[File]) -> Result<Vec<String>> {
    let mut complaints = Vec::new();
    for (file, manifest) in manifests(files)? {
        let inherits = manifest.get("lints").and_then(|lints| lints.get("workspace")).and_then(Value::as_bool);
        if manifest.contains_key("package") && inherits != Some(true) {
            complaints.push(format!("{}: [lints] workspace = true is missing", file.path));
        }
    }
    Ok(complaints)
}

fn versions_once(_: &Workspace, files: &[File]) -> Result<Vec<String>> {
    let mut complaints = Vec::new();
    for (file, manifest) in manifests(files)? {
        for (name, dependency) in dependencies(&manifest) {
            let inherits = dependency.get("workspace").and_then(Value::as_bool) == Some(true);
            if !inherits && dependency.get("path").is_none() {
                complaints.push(format!("{}: {name} states its own version; the root's manifest does that", file.path));
            }
        }
    }
    Ok(complaints)
}

fn no_default_features(_: &Workspace, files: &[File]) -> Result<Vec<String>> {
    let mut complaints = Vec::new();
    for (file, manifest) in manifests(files)? {
        let shared = manifest.get("workspace").and_then(|workspace| workspace.get("dependencies"));
        // The official crate is measured as its users get it.
        let ours = shared.and_then(Value::as_table).into_iter().flatten().filter(|_| !is_peer(file));
        for (name, dependency) in ours {
            if dependency.get("default-features").and_then(Value::as_bool) != Some(false) {
                complaints.push(format!("{}: {name} needs default-features = false", file.path));
            }
        }
    }
    Ok(complaints)
}

fn no_machine_paths(workspace: &Workspace, files: &[File]) -> Result<Vec<String>> {
    let root = format!("{}/", workspace.root.display());
    let home =
        std::env::var("HOME").ok().filter(|home| home.len() > 1).map(|home| format!("{}/", home.trim_end_matches('/')));
    let mut complaints = Vec::new();
    for file in files.iter().filter(|file| !file.path.starts_with(THIS_FILE)) {
        for (number, line) in (1..).zip(file.text.lines()) {
            let starts_path = |at: usize| {
                let before = line.get(..at).and_then(|text| text.chars().next_back());
                before.is_none_or(|c| !(c.is_ascii_alphanumeric() || "/._-*}".contains(c)))
            };
            let machine = MACHINE_PATHS.iter().copied().chain([root.as_str()]).chain(home.as_deref());
            let found = machine.flat_map(|path| line.match_indices(path)).any(|(at, _)| starts_path(at));
            if found {
                complaints.push(format!("{}:{number}: {}", file.path, line.trim()));
            }
        }
    }
    Ok(complaints)
}

fn records_exist(workspace: &Workspace, files: &[File]) -> Result<Vec<String>> {
    let mut complaints = Vec::new();
    for file in files {
        for (number, line) in (1..).zip(file.text.lines()) {
            let linked = words(line).filter_map(|word| word.split_once("adr/").map(|(_, name)| name));
            let linked = linked.filter(|name| name.starts_with(|c: char| c.is_ascii_digit()));
            for name in linked {
                let name = name.trim_end_matches('.');
                if !workspace.root.join("docs/adr").join(name).exists() {
                    complaints.push(format!("{}:{number}: docs/adr/{name} does not exist", file.path));
                }
            }
        }
    }
    Ok(complaints)
}

fn roots_documented(workspace: &Workspace, _: &[File]) -> Result<Vec<String>> {
    let mut complaints = Vec::new();
    for path in workspace.members.iter().flat_map(|package| package.roots()) {
        let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let first = text.lines().find_map(|line| line.strip_prefix("//!")).unwrap_or_default().trim();
        if first.is_empty() || first == "Stub." {
            complaints.push(format!("{}: no crate documentation", workspace.relative(path)));
        }
    }
    Ok(complaints)
}

fn todos_have_issues(_: &Workspace, files: &[File]) -> Result<Vec<String>> {
    let mut complaints = Vec::new();
    for file in files.iter().filter(|file| is_source(file) && !file.path.starts_with(THIS_FILE)) {
        for (number, line) in (1..).zip(file.text.lines()) {
            let open = words(line).any(|word| ["FIXME", "XXX", "TODO"].contains(&word));
            if open && !line.contains("TODO(#") {
                complaints.push(format!("{}:{number}: {}", file.path, line.trim()));
            }
        }
    }
    Ok(complaints)
}

/// Every manifest, read.
fn manifests(files: &[File]) -> Result<Vec<(&File, Table)>> {
    files
        .iter()
        .filter(|file| file.path.rsplit('/').next() == Some("Cargo.toml"))
        .map(|file| Ok((file, file.text.parse().map_err(|error| format!("{}: {error}", file.path))?)))
        .collect()
}

/// The dependencies of a package, of every kind and for every target.
fn dependencies(manifest: &Table) -> Vec<(&str, &Value)> {
    let targets = manifest.get("target").and_then(Value::as_table).into_iter().flatten();
    let tables = targets.filter_map(|(_, table)| table.as_table()).chain([manifest]);
    let kinds = ["dependencies", "dev-dependencies", "build-dependencies"];
    tables
        .flat_map(|table| kinds.iter().filter_map(|kind| table.get(*kind)))
        .filter_map(Value::as_table)
        .flatten()
        .map(|(name, value)| (name.as_str(), value))
        .collect()
}

fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c: char| !(c.is_ascii_alphanumeric() || "/._-".contains(c)))
}

fn is_source(file: &File) -> bool {
    [".rs", ".py", ".mjs", ".js", ".sh"].iter().any(|end| file.path.ends_with(end))
}

fn is_peer(file: &File) -> bool {
    file.path.starts_with("tests/peers/")
}

fn lines(file: &File) -> usize {
    file.text.lines().count()
}

#[cfg(test)]
mod tests;
