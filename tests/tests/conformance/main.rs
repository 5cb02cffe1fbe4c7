//! Each folder of `conformance/` is a case: variables, files and answers, and what they come to.
//!
//! `case.json` holds the calls and everything that is expected, `env.json` the variables, `http.json` the answers in
//! their order, `fs/` the files, from the root; what an answer names as its `file` lies beside it. `processes.json` says which
//! tools there are and what their runs come to. See [`case`] and [`tools`] for the fields. Each case runs on a virtual clock with its
//! log captured, and fails if a secret of its variables, options, files, requests and answers shows anywhere, or if an
//! error says too much.
#![expect(clippy::disallowed_methods, reason = "the folders are read from the disk")]
#![expect(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test ends when it is not so")]

mod bodies;
mod build;
mod build_default;
mod build_users;
mod case;
mod run;
mod self_test;
mod self_test_chain;
mod tools;
mod world;

use std::{fs, path::PathBuf};

use case::Folder;

#[test]
fn every_case_comes_to_what_it_says() {
    let mut folders: Vec<PathBuf> = fs::read_dir(root()).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    let mut failures = Vec::new();
    for folder in &folders {
        let name = folder.file_name().unwrap().to_string_lossy();
        let result = Folder::load(folder).and_then(|folder| run::run(&folder));
        failures.extend(result.err().map(|problem| format!("{name}: {problem}")));
    }
    assert!(folders.len() >= LEAST, "only {} cases were found", folders.len());
    assert!(failures.is_empty(), "{} of {} cases:\n{}", failures.len(), folders.len(), failures.join("\n"));
    println!("{} cases", folders.len());
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("conformance")
}

/// How many cases there were when this was last looked at: none gets lost unseen.
const LEAST: usize = 1018;
