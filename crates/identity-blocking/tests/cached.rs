//! What a remembered token does not need: other threads. A program of its own, so that nothing else wakes the driver.
#![cfg(target_os = "linux")]
#![expect(clippy::disallowed_methods, reason = "what the system says about threads is read from its files")]
#![expect(clippy::unwrap_used, reason = "a test says so by failing")]

use std::{
    fs,
    path::{Path, PathBuf},
    thread,
};

use identity_core::TokenCredential as _;

use crate::support::{Counted, SCOPES};

mod support;

/// The folders of all threads that are called as the driver is.
fn drivers() -> Vec<PathBuf> {
    let tasks = fs::read_dir("/proc/self/task").unwrap().map(|entry| entry.unwrap().path());
    // The system keeps 15 characters.
    let is_driver =
        |task: &PathBuf| fs::read_to_string(task.join("comm")).is_ok_and(|name| name.trim() == "identity-blocki");
    tasks.filter(is_driver).collect()
}

/// A line of what the system says about a thread.
fn status(task: &Path, name: &str) -> String {
    let text = fs::read_to_string(task.join("status")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim().to_owned()
}

/// How often a thread has come to the processor and gone, once it sleeps.
fn switches(task: &Path) -> (String, String) {
    let count = || (status(task, "voluntary_ctxt_switches:"), status(task, "nonvoluntary_ctxt_switches:"));
    loop {
        let before = count();
        let sleeps = || status(task, "State:").starts_with('S');
        if sleeps() {
            thread::yield_now();
            if sleeps() && count() == before {
                return before;
            }
        }
        thread::yield_now();
    }
}

#[test]
fn ten_thousand_remembered_tokens_wake_no_thread() {
    assert!(drivers().is_empty(), "nothing has been called");
    let credential = Counted::new();
    assert_eq!(credential.name(), credential.inner().name());
    assert!(drivers().is_empty(), "a credential alone starts no thread");

    credential.get_token(SCOPES, None).unwrap();
    let [driver] = &drivers()[..] else { panic!("{:?}", drivers()) };
    let before = switches(driver);
    for _ in 0..10_000 {
        assert_eq!(credential.get_token(SCOPES, None).unwrap().secret(), "token-1");
    }
    assert_eq!(switches(driver), before);

    // It can be seen: another request wakes the driver.
    credential.get_token(&["https://vault.azure.net/.default"], None).unwrap();
    assert_ne!(switches(driver), before);
    assert_eq!((drivers().len(), credential.inner().asked()), (1, 2));
}
