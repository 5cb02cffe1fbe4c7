//! The token file: when it is read, what may be in it, and what happens when it changes.

use std::{
    ffi::OsString,
    io,
    path::{Path, PathBuf},
    sync::Mutex,
    time::Duration,
};

use identity_core::Links;

use super::*;
use crate::WorkloadIdentityCredential;

const NAME: &str = "WorkloadIdentityCredential";
const OUTSIDE: &str = r#"{"error":"invalid_client","error_description":"AADSTS700024: outside of its time range."}"#;
const UNKNOWN: &str =
    r#"{"error":"invalid_client","error_description":"AADSTS70021: no matching federated identity."}"#;

fn credential(world: &World) -> WorkloadIdentityCredential {
    WorkloadIdentityCredential::builder().build_with(&world.platform).unwrap()
}

fn assertions(world: &World) -> Vec<String> {
    world.transport.requests().iter().map(assertion).collect()
}

#[test]
fn a_token_that_was_rotated_is_used_for_the_next_exchange() {
    let world = World::pod(&[(200, TOKEN)]);
    world.env.link(FILE, "/data/1");
    world.env.file("/data/1", Ok(b"first"));
    world.env.file("/data/2", Ok(b"second"));
    let credential = credential(&world);
    world.get(&credential).unwrap();
    world.env.link(FILE, "/data/2");
    world.get(&credential).unwrap();
    assert_eq!(assertions(&world), ["first"], "a remembered token needs no assertion");
    world.get_scope(&credential, "https://storage.azure.com/.default").unwrap();
    assert_eq!(assertions(&world), ["first", "second"]);
}

#[test]
fn white_space_around_the_token_goes() {
    for content in ["a.b.c", "a.b.c\n", "\r\n \ta.b.c \r\n\n"] {
        let world = World::pod(&[(200, TOKEN)]);
        world.env.file(FILE, Ok(content.as_bytes()));
        world.get(&credential(&world)).unwrap();
        assert_eq!(assertions(&world), ["a.b.c"]);
    }
}

#[test]
fn a_file_that_holds_no_token_is_named_and_nothing_is_sent() {
    let utf16: Vec<u8> = "CANARY".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let utf16_marked = [b"\xff\xfe", &utf16[..]].concat();
    let large = vec![b'a'; 64 * 1024 + 1];
    type Content<'a> = Result<&'a [u8], io::ErrorKind>;
    let rows: &[(Content<'_>, &str)] = &[
        (Ok(b""), "is empty"),
        (Ok(b" \r\n\t"), "is empty"),
        (Ok(b"\xef\xbb\xbfCANARY"), "byte order mark"),
        (Ok(&utf16), "character"),
        (Ok(&utf16_marked), "UTF-8"),
        (Ok(b"CANARY CANARY"), "space"),
        (Ok(b"CANARY\r\nHost: x"), "line break"),
        (Ok(b"CANARY\0"), "character"),
        (Ok("CANARY\u{202e}".as_bytes()), "character"),
        (Ok(&large), "file too large"),
        (Err(io::ErrorKind::NotFound), "entity not found"),
        (Err(io::ErrorKind::PermissionDenied), "permission denied"),
        (Err(io::ErrorKind::IsADirectory), "is a directory"),
        // What the platform says of pipes and devices.
        (Err(io::ErrorKind::InvalidInput), "invalid input"),
    ];
    for (content, says) in rows {
        let world = World::pod(&[(200, TOKEN)]);
        world.env.file(FILE, *content);
        let credential = credential(&world);
        let error = world.get(&credential).expect_err(says);
        // An empty one is yet to be written, by somebody else.
        let kind = if *says == "is empty" { ErrorKind::CredentialUnavailable } else { ErrorKind::InvalidArgument };
        refused(&error, kind, NAME, &[FILE, "AZURE_FEDERATED_TOKEN_FILE", says]);
        assert_eq!(world.transport.count(), 0);
        if !matches!(kind, ErrorKind::CredentialUnavailable) && content.is_err() {
            assert!(error.to_string().contains(says), "{error}");
        }
        // It recovers as soon as a token is there.
        world.env.file(FILE, Ok(b"good"));
        world.get(&credential).unwrap();
        assert_eq!(assertions(&world), ["good"]);
    }
    let world = World::pod(&[(200, TOKEN)]);
    world.env.file(FILE, Ok(&large[1..]));
    world.get(&credential(&world)).unwrap();
}

#[test]
fn a_file_may_appear_after_start_and_go_while_a_token_is_good() {
    let world = World::replies(POD, &[(200, TOKEN)]);
    let credential = credential(&world);
    assert!(world.get(&credential).is_err());
    world.env.file(FILE, Ok(b"late"));
    world.get(&credential).unwrap();
    world.env.file(FILE, Err(io::ErrorKind::NotFound));
    // In the middle of its life, and when a refresh is due but fails.
    world.get(&credential).unwrap();
    world.clock.advance(Duration::from_secs(3400));
    assert_eq!(world.get(&credential).unwrap().secret(), "CANARY-token");
    world.clock.advance(Duration::from_secs(300));
    refused(&world.get(&credential).unwrap_err(), ErrorKind::InvalidArgument, NAME, &[FILE]);
    world.env.file(FILE, Ok(b"back"));
    world.get(&credential).unwrap();
    assert_eq!(assertions(&world), ["late", "back"]);
}

#[test]
fn an_assertion_outside_of_its_time_is_read_anew_once() {
    for (replies, fails) in [(&[(401, OUTSIDE), (200, TOKEN)], false), (&[(401, OUTSIDE), (401, OUTSIDE)], true)] {
        let next = AtomicUsize::new(0);
        let env = FakeEnv::new(POD);
        env.file(FILE, Ok(b"old"));
        let files = env.clone();
        // The platform writes a new token while the old one is being refused.
        let world = World::new(&[], move |_| {
            files.file(FILE, Ok(b"new"));
            let (status, body) = replies[next.fetch_add(1, Ordering::SeqCst)];
            Ok(json(status, body))
        })
        .with_env(env);
        let result = world.get(&credential(&world));
        assert_eq!(assertions(&world), ["old", "new"]);
        match result {
            Ok(_) => assert!(!fails),
            Err(error) => assert!(fails && error.entra_codes() == [700_024], "{error}"),
        }
    }
}

#[test]
fn an_assertion_outside_of_its_time_that_stays_the_same_is_not_sent_again() {
    let world = World::pod(&[(401, OUTSIDE)]);
    assert_eq!(world.get(&credential(&world)).unwrap_err().entra_codes(), [700_024]);
    assert_eq!(world.transport.count(), 1);
}

#[test]
fn without_a_token_nobody_is_asked_about_the_authority() {
    let world = World::replies(&[POD, &[("AZURE_AUTHORITY_HOST", "sts.contoso.com")]].concat(), &[(200, TOKEN)]);
    world.env.file(FILE, Ok(b""));
    let builder = WorkloadIdentityCredential::builder().region("tryautodetect");
    let error = world.get(&builder.build_with(&world.platform).unwrap()).unwrap_err();
    refused(&error, ErrorKind::CredentialUnavailable, NAME, &["is empty"]);
    assert_eq!(world.transport.count(), 0);
}

#[test]
fn a_refusal_is_forgotten_when_the_file_changes() {
    let world = World::pod(&[(401, UNKNOWN), (401, UNKNOWN), (200, TOKEN)]);
    let credential = credential(&world);
    for _ in 0..3 {
        let error = world.get(&credential).unwrap_err();
        refused(&error, ErrorKind::AuthenticationFailed, NAME, &["federated credential"]);
    }
    assert_eq!(world.transport.count(), 1);
    world.env.file(FILE, Ok(b"another"));
    world.get(&credential).unwrap_err();
    world.get(&credential).unwrap_err();
    assert_eq!(world.transport.count(), 2);
    world.env.file(FILE, Err(io::ErrorKind::NotFound));
    refused(&world.get(&credential).unwrap_err(), ErrorKind::InvalidArgument, NAME, &[FILE]);
    world.env.file(FILE, Ok(b"third"));
    world.get(&credential).unwrap();
    assert_eq!(assertions(&world), ["CANARY-assertion", "another", "third"]);
}

/// Gives the contents in turn, for the token file; the last one stays.
#[derive(Debug)]
struct Changing(FakeEnv, Mutex<Vec<io::Result<&'static str>>>, AtomicUsize);

impl Env for Changing {
    fn var_os(&self, name: &str) -> Option<OsString> {
        self.0.var_os(name)
    }

    fn read(&self, _: &Path, _: usize, _: Links) -> io::Result<Vec<u8>> {
        self.2.fetch_add(1, Ordering::SeqCst);
        let mut contents = self.1.lock().unwrap();
        let content = if contents.len() > 1 { contents.remove(0) } else { Ok(*contents[0].as_ref().unwrap()) };
        content.map(|text| text.as_bytes().to_vec())
    }

    fn is_file(&self, _: &Path) -> bool {
        true
    }

    fn canonicalize(&self, path: &Path) -> io::Result<PathBuf> {
        Ok(path.to_owned())
    }
}

#[test]
fn a_file_that_is_being_replaced_is_read_once_more() {
    // The first read of an exchange finds out what the failure would be remembered by.
    for second in ["", "half \nwritten"] {
        let contents = vec![Ok("old"), Ok(second), Ok("new")];
        let env = Changing(FakeEnv::new(POD), Mutex::new(contents), AtomicUsize::new(0));
        let world = World::replies(&[], &[(200, TOKEN)]).with_env(env);
        world.get(&credential(&world)).unwrap();
        assert_eq!(assertions(&world), ["new"]);
    }
    for gone in [io::ErrorKind::NotFound, io::ErrorKind::PermissionDenied] {
        let contents = vec![Ok("old"), Err(gone.into()), Ok("new")];
        let env = Changing(FakeEnv::new(POD), Mutex::new(contents), AtomicUsize::new(0));
        let world = World::replies(&[], &[(200, TOKEN)]).with_env(env);
        world.get(&credential(&world)).unwrap();
        assert_eq!(assertions(&world), ["new"]);
    }
    // Not a third time.
    let contents = vec![Ok("old"), Ok(""), Ok(""), Ok("new")];
    let env = Changing(FakeEnv::new(POD), Mutex::new(contents), AtomicUsize::new(0));
    let world = World::replies(&[], &[(200, TOKEN)]).with_env(env);
    refused(&world.get(&credential(&world)).unwrap_err(), ErrorKind::CredentialUnavailable, NAME, &["is empty"]);
    assert_eq!(world.transport.count(), 0);
}
