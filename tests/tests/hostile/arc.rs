//! Azure Arc with real files: what the agent may name, and what somebody may have put there.
#![cfg(target_os = "linux")]

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use identity_core::ErrorKind;
use identity_emulator::{Answer, Emulator, Source::AzureArc};
use identity_msi::ManagedIdentityCredential;
use identity_tests::{Logs, find_secret, platform_of, shown, skip};

use crate::{get, runtime};

/// Where the agent keeps its keys; no other directory is ever looked into.
const KEYS: &str = "/var/opt/azcmagent/tokens";
const KEY: &str = "KEY-on-a-real-disk";

#[test]
fn keys_of_the_agent_are_read_and_nothing_else_is() {
    let Some(place) = Place::new() else {
        return skip("Azure Arc with real files", &format!("{KEYS} cannot be written; run as root"));
    };
    Logs::of_process();
    let emulator = Emulator::builder().start_in_background().unwrap();
    let platform = platform_of(&emulator, AzureArc);
    let credential = || ManagedIdentityCredential::builder().build_with(&platform).unwrap();
    let runtime = runtime();

    let token = runtime.block_on(get(&credential())).unwrap();
    assert_eq!((emulator.request_count(AzureArc), token.origin()), (2, "Azure Arc"));

    let outside = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}.key", place.name("outside")));
    fs::write(&outside, KEY).unwrap();
    let file = |name: &str, content: &str| {
        fs::write(place.path(name), content).unwrap();
        place.path(name)
    };
    let link = |name: &str, target: PathBuf| {
        symlink(target, place.path(name)).unwrap();
        place.path(name)
    };
    let fifo = place.path("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    fs::create_dir(place.path("folder")).unwrap();
    let rows = [
        ("a file elsewhere", outside.clone()),
        ("a link to elsewhere", link("link", outside.clone())),
        ("a link to a key", link("inner", file("good", KEY))),
        ("a link to nothing", link("dangling", place.path("gone"))),
        ("a link to a device", link("zero", "/dev/zero".into())),
        ("a pipe", fifo),
        ("a directory", place.path("folder")),
        ("4,097 bytes", file("large", &KEY.repeat(4097 / KEY.len() + 1))),
        ("no bytes", file("empty", "")),
        ("two lines", file("lines", &format!("{KEY}\r\nx: {KEY}"))),
        ("no text", file("nul", &format!("{KEY}\0"))),
        ("no file", place.path("missing")),
        ("a way around", format!("{KEYS}/../tokens/{}.key", place.name("good")).into()),
        ("a device", "/dev/zero".into()),
    ];
    for (what, path) in rows {
        emulator.clear_requests();
        let challenge = Answer::status(401).with_header("WWW-Authenticate", format!("Basic realm={}", path.display()));
        emulator.faults().always(AzureArc, challenge);
        let start = Instant::now();
        let error = runtime.block_on(get(&credential())).unwrap_err();
        assert!(start.elapsed().as_millis() < 1000, "{what}: {:?}", start.elapsed());
        assert_eq!(error.kind(), ErrorKind::Protocol, "{what}: {error}");
        assert_eq!(emulator.request_count(AzureArc), 1, "{what}: nothing is sent after the challenge");
        assert_eq!(find_secret(&shown(&error), [KEY]), None, "{what}: {error}");
    }
    assert_eq!(find_secret(&Logs::of_process().text(), [KEY]), None);
    fs::remove_file(outside).unwrap();
}

/// Names in the agent's directory that nobody else uses; they go with this value.
struct Place(String);

impl Place {
    /// `None` where this user may not write there.
    fn new() -> Option<Self> {
        fs::create_dir_all(KEYS).ok()?;
        let place = Self(format!("identity-tests-{}", std::process::id()));
        fs::write(place.path("probe"), "").ok()?;
        Some(place)
    }

    fn name(&self, name: &str) -> String {
        format!("{}-{name}", self.0)
    }

    fn path(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("{KEYS}/{}.key", self.name(name)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        for entry in fs::read_dir(KEYS).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(&self.0) {
                let path = entry.path();
                let _ = if path.is_dir() && !path.is_symlink() { fs::remove_dir(path) } else { fs::remove_file(path) };
            }
        }
    }
}
