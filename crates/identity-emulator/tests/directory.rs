//! The directory file can be written, edited while the emulator runs, and repaired.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test says so by failing"
)]

mod common;

use std::fs;
use std::path::PathBuf;

use common::{builder, control, refusal, token, variable};
use identity_emulator::{App, Emulator, OTHER_TENANT_ID, Source, TENANT_ID, User, WEB_CLIENT_ID, WEB_CLIENT_SECRET};

const HOME: &str = "0fedcba9-0000-4000-8000-000000000001";
const CLIENT: &str = "0fedcba9-0000-4000-8000-000000000002";

fn status(emulator: &Emulator, tenant: &str, client_id: &str, secret: &str, scope: &str) -> (u16, u64) {
    let fields =
        [("client_id", client_id), ("client_secret", secret), ("grant_type", "client_credentials"), ("scope", scope)];
    refusal(&token(emulator, tenant, &fields))
}

fn file(text: &str) -> PathBuf {
    let directory = common::directory();
    fs::create_dir_all(&directory).unwrap();
    let path = directory.join("directory.toml");
    fs::write(&path, text).unwrap();
    path
}

fn text(secret: &str) -> String {
    format!(
        "resources = [\"api://mine\"]\n[[tenants]]\nid = \"{HOME}\"\ndomains = [\"home.example\"]\n\
         [[apps]]\nclient_id = \"{CLIENT}\"\nsecrets = [{{ value = \"{secret}\" }}]\n"
    )
}

#[test]
fn the_file_takes_the_place_of_what_is_built_in() {
    let path = file(&text("one"));
    let emulator = builder().directory(&path).start_in_background().unwrap();
    assert_eq!(emulator.tenant_id(), HOME);
    assert_eq!(common::imds(&emulator).claims()["tid"], HOME);
    assert_eq!(status(&emulator, "home.example", CLIENT, "one", "api://mine/.default"), (200, 0));
    assert_eq!(status(&emulator, TENANT_ID, CLIENT, "one", "api://mine/.default"), (400, 90_002));
    assert_eq!(status(&emulator, HOME, WEB_CLIENT_ID, WEB_CLIENT_SECRET, "api://mine/.default"), (400, 700_016));
    let get = |name: &str| variable(&emulator, Source::Entra, name);
    assert_eq!((get("AZURE_CLIENT_ID"), get("AZURE_CLIENT_SECRET")), (CLIENT.to_owned(), "one".to_owned()));
}

#[test]
fn edits_count_at_once_and_mistakes_are_named_until_they_are_repaired() {
    let path = file(&text("one"));
    let kept = "0fedcba9-0000-4000-8000-000000000003";
    let emulator = builder().directory(&path).start_in_background().unwrap();
    emulator.put_app(App::new(kept).secret("kept")).unwrap();
    let ask = |secret: &str| status(&emulator, HOME, CLIENT, secret, "https://vault.azure.net/.default").0;
    assert_eq!((ask("one"), ask("second")), (200, 401));
    fs::write(&path, text("second")).unwrap();
    assert_eq!((ask("one"), ask("second")), (401, 200));
    fs::write(&path, format!("{}nonsense = 1\n", text("second"))).unwrap();
    assert_eq!(ask("second"), 500);
    let error = emulator.directory_error().unwrap();
    assert!(error.contains("directory.toml: line 8: unknown field `nonsense`"), "{error}");
    assert_eq!(control(&emulator, "GET", "/__emulator/entra", "").json()["directory_error"], error);
    fs::remove_file(&path).unwrap();
    assert_eq!(ask("second"), 500);
    fs::write(&path, text("third")).unwrap();
    assert_eq!((emulator.directory_error(), ask("third")), (None, 200));
    assert_eq!(status(&emulator, HOME, kept, "kept", "https://vault.azure.net/.default").0, 200);
}

#[test]
fn a_bad_file_stops_the_start() {
    let error = builder().directory(file("[[tenants]]\nid = 1\n")).start_in_background().unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
    assert!(error.to_string().contains("directory.toml: line 2: "), "{error}");
    let error = builder().directory("/nowhere/at/all.toml").start_in_background().unwrap_err();
    assert!(error.to_string().starts_with("/nowhere/at/all.toml: "), "{error}");
}

#[test]
fn the_directory_of_now_is_a_start_for_ones_own() {
    let first = builder()
        .app(App::new(CLIENT).secret("x").tenant(OTHER_TENANT_ID))
        .user(User::new("grace@contoso.example", "secret"))
        .start_in_background()
        .unwrap();
    let path = common::directory().join("written.toml");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    first.write_directory(&path).unwrap();
    let second = builder().directory(&path).start_in_background().unwrap();
    let scope = "https://vault.azure.net/.default";
    assert_eq!(status(&second, TENANT_ID, WEB_CLIENT_ID, WEB_CLIENT_SECRET, scope).0, 200);
    assert_eq!(status(&second, OTHER_TENANT_ID, CLIENT, "x", scope).0, 200);
    assert!(fs::read_to_string(&path).unwrap().contains("grace@contoso.example"));
    assert!(!format!("{:?}", User::new("a", "hush")).contains("hush"));
}

#[test]
fn other_languages_steer_it_too() {
    let emulator = builder().start_in_background().unwrap();
    let scope = "https://vault.azure.net/.default";
    assert_eq!(control(&emulator, "POST", "/__emulator/clock", r#"{"skew_secs":-3600}"#).status, 204);
    let fields = [
        ("client_id", WEB_CLIENT_ID),
        ("client_secret", WEB_CLIENT_SECRET),
        ("grant_type", "client_credentials"),
        ("scope", scope),
    ];
    assert!(token(&emulator, TENANT_ID, &fields).claims()["exp"].as_i64().unwrap() < common::now() + 5);
    let facts = || control(&emulator, "GET", "/__emulator/entra", "").json();
    let before = facts();
    assert_eq!(before["authority"], emulator.authority());
    assert_eq!(before["ca"], emulator.ca_pem());
    for (what, name) in [("ca", "ca"), ("identity-binding-ca", "identity_binding_ca")] {
        let order = format!(r#"{{"what":"{what}"}}"#);
        assert_eq!(control(&emulator, "POST", "/__emulator/rotate", &order).status, 204);
        assert_ne!(facts()[name], before[name]);
    }
    let path = variable(&emulator, Source::WorkloadIdentity, "AZURE_FEDERATED_TOKEN_FILE");
    let old = fs::read_to_string(&path).unwrap();
    assert_eq!(control(&emulator, "POST", "/__emulator/rotate", r#"{"what":"tokens"}"#).status, 204);
    assert_ne!(fs::read_to_string(&path).unwrap(), old);
    assert_eq!(control(&emulator, "POST", "/__emulator/rotate", r#"{"what":"x"}"#).status, 400);
}
