//! The challenge of Azure Arc: a file that only this machine can read, good for one request.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test says so by failing"
)]
#![cfg(unix)]

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use common::{Response, STORAGE, builder, directory, send};
use identity_emulator::{BLUE_CLIENT_ID, BLUE_OBJECT_ID, BLUE_RESOURCE_ID, Emulator, SYSTEM_CLIENT_ID, Source};

fn ask(emulator: &Emulator, more: &str, key: Option<&str>) -> Response {
    let target = format!("/metadata/identity/oauth2/token?api-version=2020-06-01&{STORAGE}{more}");
    let authorization = key.map(|key| format!("Basic {key}"));
    let mut headers = vec![("Metadata", "true")];
    headers.extend(authorization.as_deref().map(|value| ("Authorization", value)));
    send(emulator.address(Source::AzureArc), "GET", &target, &headers, "")
}

fn challenge(emulator: &Emulator) -> PathBuf {
    let response = ask(emulator, "", None);
    assert_eq!(response.status, 401);
    response.header("www-authenticate").unwrap().strip_prefix("Basic realm=").unwrap().into()
}

#[test]
fn a_key_is_good_for_one_request() {
    let directory = directory();
    let emulator = Emulator::builder().arc_directory(&directory).start_in_background().unwrap();
    let file = challenge(&emulator);
    assert_eq!((file.parent(), file.extension().unwrap().to_str()), (Some(directory.as_path()), Some("key")));
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let key = fs::read_to_string(&file).unwrap();

    let other = challenge(&emulator);
    assert_ne!(fs::read_to_string(&other).unwrap(), key);

    let answer = ask(&emulator, "", Some(&key));
    assert_eq!(answer.claims()["appid"], SYSTEM_CLIENT_ID);
    assert!(!file.exists() && other.exists());
    let again = ask(&emulator, "", Some(&key));
    assert_eq!(again.status, 401, "a second use gets a new challenge");
    assert!(again.header("www-authenticate").is_some());

    drop(emulator);
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 0, "no challenge file is left behind");
}

#[test]
fn the_directory_is_tried_out_on_demand_and_nothing_stays_there() {
    let directory = directory();
    let emulator = Emulator::builder().arc_directory(&directory).start_in_background().unwrap();
    emulator.check_arc_directory().unwrap();
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 0);
    let below_a_file = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml/tokens");
    let emulator = Emulator::builder().arc_directory(below_a_file).start_in_background().unwrap();
    assert!(emulator.check_arc_directory().unwrap_err().to_string().contains(below_a_file));
}

#[test]
fn a_selector_is_confirmed_unless_the_agent_is_old() {
    for old in [false, true] {
        let builder = if old { builder().old_arc_agent() } else { builder() };
        let emulator = builder.start_in_background().unwrap();
        for (name, value) in
            [("client_id", BLUE_CLIENT_ID), ("object_id", BLUE_OBJECT_ID), ("msi_res_id", BLUE_RESOURCE_ID)]
        {
            let key = fs::read_to_string(challenge(&emulator)).unwrap();
            let answer = ask(&emulator, &format!("&{name}={value}"), Some(&key));
            let (client_id, confirmed) =
                if old { (SYSTEM_CLIENT_ID, serde_json::Value::Null) } else { (BLUE_CLIENT_ID, value.into()) };
            assert_eq!(answer.claims()["appid"], client_id, "{name}");
            assert_eq!(answer.json()[name], confirmed, "{name}");
        }
    }
}

#[test]
fn a_directory_that_cannot_be_written_is_named() {
    // A file where the directory should be stops root, too.
    let file = directory();
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, "").unwrap();
    let emulator = Emulator::builder().arc_directory(file.join("tokens")).start_in_background().unwrap();
    let answer = ask(&emulator, "", None);
    assert_eq!(answer.status, 500);
    assert!(answer.text().contains(&file.display().to_string()), "{answer:?}");
}

#[test]
fn unanswered_challenges_do_not_pile_up() {
    let directory = directory();
    let emulator = Emulator::builder().arc_directory(&directory).start_in_background().unwrap();
    let first = fs::read_to_string(challenge(&emulator)).unwrap();
    for _ in 0..1_024 {
        challenge(&emulator);
    }
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 1_024);
    assert_eq!(ask(&emulator, "", Some(&first)).status, 401, "the oldest is forgotten");
}
