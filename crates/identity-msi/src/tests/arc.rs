//! Azure Arc, through the credential: the challenge, its file, and the echo of the identity.

use std::{io, path::PathBuf};

use identity_core::ErrorKind;

use super::*;

const DIRECTORY: &str = if cfg!(windows) { WINDOWS } else { LINUX };
const KEY: &str = if cfg!(windows) { WINDOWS_KEY } else { LINUX_KEY };
/// A key where another system has it.
const FOREIGN: &str = if cfg!(windows) { LINUX_KEY } else { WINDOWS_KEY };
const LINUX: &str = "/var/opt/azcmagent/tokens";
const LINUX_KEY: &str = "/var/opt/azcmagent/tokens/7e57.key";
const WINDOWS: &str = r"C:\ProgramData\AzureConnectedMachineAgent\Tokens";
const WINDOWS_KEY: &str = r"C:\ProgramData\AzureConnectedMachineAgent\Tokens\7e57.key";
const ARC: &[(&str, &str)] = &[super::ARC[0], super::ARC[1], ("ProgramData", r"C:\ProgramData")];

fn challenge(value: &str) -> Response {
    Response::new(401, vec![("www-authenticate".into(), value.into())], Vec::new())
}

/// An agent that asks for the file and then says what `answer` says.
fn agent(answer: &'static str) -> World {
    let world =
        World::new(ARC, move |request| match request.headers.iter().find(|(name, _)| *name == "authorization") {
            None => Ok(challenge(&format!("Basic realm={KEY}"))),
            Some((_, value)) if value.expose() == "Basic CANARY-key" => reply(200, answer),
            Some(_) => Ok(challenge(&format!("Basic realm={KEY}"))),
        });
    world.env.file(KEY, Ok(b"CANARY-key"));
    world
}

fn fails(world: &World) -> Error {
    world.get(&world.credential()).unwrap_err()
}

#[test]
fn the_content_of_the_file_is_the_answer_to_the_challenge() {
    for content in ["CANARY-key", "CANARY-key\n", "CANARY-key\r\n"] {
        let world = agent(TOKEN);
        world.env.file(KEY, Ok(content.as_bytes()));
        let token = world.get(&world.credential()).unwrap();
        assert_eq!((token.origin(), world.transport.count()), ("Azure Arc", 2));
        let requests = world.transport.requests();
        assert_eq!(requests[0].url, requests[1].url);
        let names = |request: &Request| request.headers.iter().map(|(name, _)| *name).collect::<Vec<_>>();
        assert_eq!(names(&requests[0]), ["metadata", "x-ms-client-request-id"]);
        assert_eq!(names(&requests[1]), ["metadata", "x-ms-client-request-id", "authorization"]);
        assert_eq!(requests[1].headers[2].1.expose(), "Basic CANARY-key");
        assert_eq!(world.env.reads(), [PathBuf::from(KEY)], "opened once");
    }
}

#[test]
fn challenges_in_every_correct_spelling_are_understood() {
    for value in [
        format!("Basic realm={KEY}"),
        format!("basic Realm={KEY}"),
        format!("BASIC  realm=\"{KEY}\""),
        format!(" Basic realm={KEY} "),
    ] {
        let world = World::new(ARC, move |request| match request.headers.len() {
            2 => Ok(challenge(&value)),
            _ => reply(200, TOKEN),
        });
        world.env.file(KEY, Ok(b"k"));
        world.get(&world.credential()).unwrap();
    }
}

#[test]
fn an_answer_without_a_challenge_is_taken_as_it_is() {
    for (status, body, kind) in [
        (200, TOKEN, None),
        (400, "{}", Some(ErrorKind::AuthenticationFailed)),
        (403, "{}", Some(ErrorKind::AuthenticationFailed)),
        (404, "{}", Some(ErrorKind::AuthenticationFailed)),
        (500, "{}", Some(ErrorKind::Transport)),
        (302, "", Some(ErrorKind::Protocol)),
    ] {
        let world = World::replies(ARC, Box::leak(Box::new([(status, body)])));
        let result = world.get(&world.credential());
        assert_eq!(result.err().map(|error| error.kind()), kind, "{status}");
        assert!(world.env.reads().is_empty());
    }
}

#[test]
fn challenges_for_other_files_are_refused_and_nothing_is_opened() {
    let long = format!("Basic realm={DIRECTORY}/{}", "x".repeat(10_000));
    let foreign = format!("Basic realm={FOREIGN}");
    for value in [
        "",
        "Basic",
        "Basic realm",
        "Basic realm=",
        "Negotiate",
        "Bearer realm=/var/opt/azcmagent/tokens/x.key",
        "Basic charset=/var/opt/azcmagent/tokens/x.key",
        "Basic /var/opt/azcmagent/tokens/x.key",
        "Basic realm=/etc/shadow",
        "Basic realm=/etc/CANARY.key",
        "Basic realm=x.key",
        "Basic realm=./x.key",
        "Basic realm=tokens/x.key",
        "Basic realm=/var/opt/azcmagent/tokens",
        "Basic realm=/var/opt/azcmagent/tokens/",
        "Basic realm=/var/opt/azcmagent/tokens/.key",
        "Basic realm=/var/opt/azcmagent/tokens/x",
        "Basic realm=/var/opt/azcmagent/tokens/x.KEY",
        "Basic realm=/var/opt/azcmagent/tokens/x.key.txt",
        "Basic realm=/var/opt/azcmagent/tokens/x.key\0",
        "Basic realm=/var/opt/azcmagent/tokens/x.key, Basic realm=/etc/y.key",
        "Basic realm=/var/opt/azcmagent/tokens/x.key\", y=\"z",
        "Basic realm=/var/opt/azcmagent/tokens/../tokens/x.key",
        "Basic realm=/var/opt/azcmagent/tokens/../../../../etc/x.key",
        "Basic realm=/var/opt/azcmagent/tokens/sub/x.key",
        "Basic realm=/var/opt/azcmagent/tokens/./x.key",
        "Basic realm=/var/opt/azcmagent/tokens//x.key",
        "Basic realm=//var/opt/azcmagent/tokens/x.key",
        "Basic realm=/VAR/opt/azcmagent/tokens/x.key",
        "Basic realm=/var/opt/azcmagent/tokens2/x.key",
        "Basic realm=/var/opt/azcmagent/tokens\\x.key",
        &foreign,
        "Basic realm=/var/opt/azcmagent/tokens/x%2fy.key",
        "Basic realm=file:///var/opt/azcmagent/tokens/x.key",
        "Basic realm='/var/opt/azcmagent/tokens/x.key'",
        &long,
    ] {
        let value = value.to_owned();
        let header = value.clone();
        let world = World::new(ARC, move |_| Ok(challenge(&header)));
        let error = fails(&world);
        assert_eq!((error.kind(), world.transport.count()), (ErrorKind::Protocol, 1), "{value:.80}");
        assert!(world.env.reads().is_empty(), "{value:.80}");
        assert!(
            error.to_string().starts_with("Azure Arc (IDENTITY_ENDPOINT): ") && !shown(&error).contains("CANARY"),
            "{error}"
        );
    }
    // No challenge at all, and one too many.
    for values in [vec![], vec![format!("Basic realm={KEY}"); 2]] {
        let world = World::new(ARC, move |_| {
            Ok(Response::new(
                401,
                values.iter().map(|value| ("www-authenticate".into(), value.clone())).collect(),
                Vec::new(),
            ))
        });
        assert_eq!(fails(&world).kind(), ErrorKind::Protocol);
        assert!(world.env.reads().is_empty());
    }
}

#[test]
fn symbolic_links_are_not_followed() {
    let world = agent(TOKEN);
    world.env.link(KEY, "/etc/shadow");
    let error = fails(&world);
    assert_eq!((error.kind(), world.transport.count()), (ErrorKind::Protocol, 1));
    assert!(world.env.reads().is_empty() && error.to_string().contains("symbolic link"), "{error}");
    // Another key of the same directory is another file all the same.
    let world = agent(TOKEN);
    world.env.link(KEY, "/var/opt/azcmagent/tokens/other.key");
    assert_eq!(fails(&world).kind(), ErrorKind::Protocol);
    assert!(world.env.reads().is_empty());
    // Whoever owns /var/opt may keep the directory elsewhere.
    let world = agent(TOKEN);
    world.env.link(DIRECTORY, "/data/tokens");
    world.env.link(KEY, "/data/tokens/7e57.key");
    world.env.file("/data/tokens/7e57.key", Ok(b"CANARY-key"));
    world.get(&world.credential()).unwrap();
    assert_eq!(world.env.reads(), [PathBuf::from("/data/tokens/7e57.key")]);
}

#[test]
fn files_that_no_agent_writes_are_refused() {
    let (limit, large) = (vec![b'k'; 4096], vec![b'k'; 4097]);
    for content in [
        &b""[..],
        b"\n",
        b"\r\n",
        b"CANARY\n\n",
        b"CANARY\r\nx: y",
        b"CANARY\rx",
        b"CANARY\0",
        b"CANARY\xff",
        b" CANARY",
        &large,
    ] {
        let world = agent(TOKEN);
        world.env.file(KEY, Ok(content));
        let error = fails(&world);
        assert_eq!((error.kind(), world.transport.count()), (ErrorKind::Protocol, 1), "{content:.20?}");
        assert!(error.to_string().contains(KEY) && !shown(&error).contains("CANARY"), "{error}");
    }
    let world = agent(TOKEN);
    world.env.file(KEY, Ok(&limit));
    fails(&world);
    assert_eq!(world.transport.requests()[1].headers[2].1.expose().len(), 4096 + "Basic ".len());
}

#[test]
fn files_that_cannot_be_read_say_why() {
    for (reason, kind, word) in [
        (io::ErrorKind::PermissionDenied, ErrorKind::CredentialUnavailable, "himds"),
        (io::ErrorKind::NotFound, ErrorKind::Protocol, KEY),
        (io::ErrorKind::InvalidInput, ErrorKind::Protocol, KEY),
        (io::ErrorKind::IsADirectory, ErrorKind::Protocol, KEY),
    ] {
        let world = agent(TOKEN);
        world.env.file(KEY, Err(reason));
        let error = fails(&world);
        assert_eq!((error.kind(), world.transport.count()), (kind, 1));
        assert!(error.to_string().contains(word), "{error}");
        assert!(std::error::Error::source(&error).is_some(), "the system's reason is the source");
    }
}

#[test]
fn a_second_challenge_ends_it() {
    let world = agent(TOKEN);
    world.env.file(KEY, Ok(b"CANARY-other"));
    let error = fails(&world);
    assert_eq!((error.kind(), error.http_status()), (ErrorKind::AuthenticationFailed, Some(401)));
    assert_eq!((world.transport.count(), world.env.reads().len()), (2, 1));
}

#[test]
fn a_key_that_was_spent_on_a_lost_answer_is_replaced_once() {
    let next = AtomicUsize::new(0);
    // Challenge, trouble with the key, the key is spent and a new one asked for, token.
    let world = World::new(ARC, move |_| match next.fetch_add(1, Ordering::Relaxed) {
        1 => reply(500, "{}"),
        3 => reply(200, TOKEN),
        _ => Ok(challenge(&format!("Basic realm={KEY}"))),
    });
    world.env.file(KEY, Ok(b"k"));
    world.get(&world.credential()).unwrap();
    assert_eq!((world.transport.count(), world.env.reads().len()), (4, 2));
    // An agent that refuses every key is not asked for ever.
    let next = AtomicUsize::new(0);
    let world = World::new(ARC, move |request| match (next.fetch_add(1, Ordering::Relaxed), request.headers.len()) {
        (1 | 3, 3) => reply(500, "{}"),
        _ => Ok(challenge(&format!("Basic realm={KEY}"))),
    });
    world.env.file(KEY, Ok(b"k"));
    assert_eq!(fails(&world).kind(), ErrorKind::AuthenticationFailed);
    assert_eq!((world.transport.count(), world.env.reads().len()), (5, 2));
}

#[test]
fn both_halves_share_one_budget() {
    let clock = FakeClock::default();
    let transport =
        FakeTransport::slow(&clock, std::time::Duration::from_secs(9), |request| match request.headers.len() {
            2 => Ok(challenge(&format!("Basic realm={KEY}"))),
            _ => reply(500, "{}"),
        });
    let world = World::with_transport(ARC, clock, transport);
    world.env.file(KEY, Ok(b"k"));
    assert_eq!(fails(&world).kind(), ErrorKind::Transport);
    assert!(world.clock.elapsed().as_secs() <= 45, "{:?}", world.clock.elapsed());
}

#[test]
fn the_agent_must_confirm_a_user_assigned_identity() {
    let new = ManagedIdentityCredential::builder;
    let with = |field: &str, value: &str| format!(r#"{{"access_token":"a","expires_in":3600,"{field}":"{value}"}}"#);
    for (builder, body, ok) in [
        (new(), TOKEN.to_owned(), true),
        (new().client_id(CLIENT), TOKEN.to_owned(), false),
        (new().client_id(CLIENT), with("client_id", CLIENT), true),
        (new().client_id(CLIENT), with("client_id", OBJECT), false),
        (new().client_id(CLIENT), with("client_id", ""), false),
        (new().client_id(CLIENT), with("object_id", CLIENT), false),
        (new().object_id(OBJECT), with("object_id", OBJECT), true),
        (new().object_id(OBJECT), with("client_id", OBJECT), false),
        (new().resource_id(RESOURCE), with("msi_res_id", &RESOURCE.to_lowercase()), true),
        (new().resource_id(RESOURCE), with("mi_res_id", RESOURCE), true),
        (new().resource_id(RESOURCE), with("mi_res_id", "/subscriptions/x"), false),
        (new().resource_id(RESOURCE), TOKEN.to_owned(), false),
    ] {
        let world = agent(Box::leak(body.clone().into_boxed_str()));
        let result = world.get(&world.build(builder).unwrap());
        assert_eq!(result.err().map(|error| error.kind()), (!ok).then_some(ErrorKind::AuthenticationFailed), "{body}");
    }
}

#[test]
fn the_key_is_in_no_error_debug_or_log() {
    let world = World::new(ARC, |request| match request.headers.get(2) {
        None => Ok(challenge(&format!("Basic realm={KEY}"))),
        Some((_, value)) => {
            reply(400, &format!(r#"{{"error":"no","message":"{} and {}"}}"#, value.expose(), &value.expose()[6..]))
        }
    });
    world.env.file(KEY, Ok(b"CANARY-key"));
    let mut text = String::new();
    let logged = log::Log::of(|| {
        let credential = world.credential();
        let error = world.get(&credential).unwrap_err();
        text = format!("{} {credential:?}", shown(&error));
    });
    assert!(text.contains("Basic *** and ***") && !text.contains("CANARY"), "{text}");
    assert!(!logged.iter().any(|line| line.contains("CANARY")));
}
