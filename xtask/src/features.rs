//! `cargo xtask features`: every crate compiles with every sensible set of its features.

use std::collections::{BTreeMap, BTreeSet};

use crate::report::Report;
use crate::shell::Cmd;
use crate::workspace::Workspace;

/// Features that change the transport, its trust or the cache: they are checked in pairs, too.
const PAIRED: [&str; 9] = [
    "cache-persistent",
    "msi-service-fabric",
    "persistent",
    "proxy",
    "service-fabric",
    "tls",
    "tls-native-roots",
    "tls-webpki-roots",
    "tokio",
];

pub(crate) fn run(workspace: &Workspace, report: &mut Report) {
    report.section("features");
    for package in workspace.shipped() {
        for set in sets(&package.features) {
            let list = set.join(",");
            let what = if set.is_empty() { "no features" } else { &list };
            // clippy, since it refuses what only warns: code that a missing feature leaves unused.
            let check = Cmd::cargo(&["clippy", "--locked", "--package", &package.name, "--no-default-features"])
                .args(&["--features", &list, "--", "-D", "warnings"]);
            report.command(&format!("{}: {what}", package.name), &check);
        }
    }
}

/// None, each alone, pairs, all; sets that turn on the same things are checked once.
fn sets(features: &BTreeMap<String, Vec<String>>) -> Vec<Vec<&str>> {
    // `__` marks switches for the tests of this workspace.
    let public: Vec<&str> = features.keys().map(String::as_str).filter(|name| !name.starts_with("__")).collect();
    let paired: Vec<&str> = public.iter().copied().filter(|name| PAIRED.contains(name)).collect();
    let mut all = vec![Vec::new()];
    all.extend(public.iter().map(|&name| vec![name]));
    for (index, &first) in paired.iter().enumerate() {
        all.extend(paired.iter().skip(index + 1).map(|&second| vec![first, second]));
    }
    all.push(public);
    let mut seen = BTreeSet::new();
    all.retain(|set| seen.insert(closure(features, set)));
    all
}

/// Everything that a set of features turns on.
fn closure<'a>(features: &'a BTreeMap<String, Vec<String>>, set: &[&'a str]) -> BTreeSet<&'a str> {
    let mut open: Vec<&str> = set.to_vec();
    let mut closed = BTreeSet::new();
    while let Some(name) = open.pop() {
        if closed.insert(name) {
            open.extend(features.get(name).into_iter().flatten().map(String::as_str));
        }
    }
    closed.remove("default");
    closed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn features(list: &[(&str, &[&str])]) -> BTreeMap<String, Vec<String>> {
        list.iter().map(|(name, on)| ((*name).to_owned(), on.iter().map(|&on| on.to_owned()).collect())).collect()
    }

    #[test]
    fn sets_that_turn_on_the_same_things_are_checked_once() {
        let features = features(&[
            ("default", &[]),
            ("full", &["msi", "tls"]),
            ("msi", &["dep:msi"]),
            ("tls", &["dep:rustls"]),
            ("__fakes", &[]),
        ]);
        let expected: Vec<Vec<&str>> = vec![vec![], vec!["full"], vec!["msi"], vec!["tls"]];
        assert_eq!(sets(&features), expected);
    }

    #[test]
    fn transport_features_are_paired() {
        let features = features(&[("other", &[]), ("tls", &[]), ("tokio", &[])]);
        assert!(sets(&features).contains(&vec!["tls", "tokio"]));
        assert!(!sets(&features).contains(&vec!["other", "tls"]));
    }
}
