//! The system's roots, in processes whose variables say where they are.

#![expect(clippy::disallowed_methods, reason = "the servers live on threads of their own, a child has variables")]
#![expect(clippy::unwrap_used, reason = "a test ends when it is not so")]

mod support;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use identity_core::http::{Method, Request};
use identity_tokio::TransportOptions;

use self::support::{
    quick,
    tls::{Authority, TlsServer, send_by},
};

const CHILD_TARGET: &str = "IDENTITY_TOKIO_TEST_TARGET";
const CHILD_CA: &str = "IDENTITY_TOKIO_TEST_CA";
const CHILD_NEXT: &str = "IDENTITY_TOKIO_TEST_NEXT";

/// Not a test by itself: what the next ones run in a process with other variables.
#[tokio::test]
async fn child_sends_one_request() {
    let Ok(url) = env::var(CHILD_TARGET) else { return };
    let platform = match env::var(CHILD_CA) {
        Ok(pem) => TransportOptions::new().ca_pem(pem).platform().unwrap(),
        Err(_) => identity_tokio::platform(),
    };
    platform.transport().check_https().unwrap();
    match send_by(&platform, quick(Request::new(Method::Get, url))).await {
        Ok(answer) => println!("status {}", answer.status()),
        Err(error) => println!("{:?}: {error}", error.kind()),
    }
}

/// Not a test by itself: roots that change in a process that runs.
#[tokio::test]
async fn child_sees_its_roots_change() {
    let (Ok(url), Some(next)) = (env::var(CHILD_TARGET), env::var_os(CHILD_NEXT)) else { return };
    let file = env::var_os("SSL_CERT_FILE").unwrap();
    let platform = identity_tokio::platform();
    let ask = async |when: &str| match send_by(&platform, quick(Request::new(Method::Get, &*url))).await {
        Ok(answer) => println!("{when}: status {}", answer.status()),
        Err(error) => println!("{when}: {:?}: {error}", error.kind()),
    };
    ask("before").await;
    // Roots are read again only so often.
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(60)).await;
    tokio::time::resume();
    ask("unchanged").await;
    fs::rename(next, file).unwrap();
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(60)).await;
    tokio::time::resume();
    ask("changed").await;
    ask("again").await;
}

/// What a process with these variables says of a request.
fn child(url: &str, variables: &[(&str, &Path)]) -> String {
    run("child_sends_one_request", url, variables)
}

fn run(what: &str, url: &str, variables: &[(&str, &Path)]) -> String {
    let mut child = Command::new(env::current_exe().unwrap());
    child.args(["--exact", what, "--nocapture"]).env(CHILD_TARGET, url);
    child.env_remove("SSL_CERT_FILE").env_remove("SSL_CERT_DIR");
    let output = child.envs(variables.iter().copied()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn place(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-{name}", std::process::id()))
}

#[test]
fn the_variables_of_openssl_say_where_the_roots_are() {
    let authority = Authority::new("ours");
    let server = TlsServer::plain(authority.sign(&["localhost"], |_| {}).config());
    let (file, folder) = (place("roots.pem"), place("roots"));
    fs::create_dir_all(&folder).unwrap();
    fs::write(&file, authority.pem()).unwrap();
    fs::write(folder.join("root.pem"), authority.pem()).unwrap();
    for variables in [
        &[("SSL_CERT_FILE", &*file)][..],
        &[("SSL_CERT_DIR", &folder)],
        &[("SSL_CERT_FILE", Path::new("/missing")), ("SSL_CERT_DIR", &folder)],
        &[("SSL_CERT_FILE", Path::new("/missing")), (CHILD_CA, Path::new(&authority.pem()))],
    ] {
        let said = child(&server.url(), variables);
        assert!(said.contains("status 200"), "{variables:?}: {said}");
    }
    let said = child(&server.url(), &[("SSL_CERT_FILE", &place("other.pem"))]);
    assert!(said.contains("Refused"), "{said}");
    fs::remove_dir_all(folder).unwrap();
    fs::remove_file(file).unwrap();
}

#[test]
fn roots_that_change_are_read_again_when_an_issuer_is_unknown() {
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let server = TlsServer::plain(new.sign(&["localhost"], |_| {}).config());
    let (file, next) = (place("changing.pem"), place("changing.next"));
    fs::write(&file, old.pem()).unwrap();
    fs::write(&next, old.pem() + &new.pem()).unwrap();
    let variables = [("SSL_CERT_FILE", &*file), (CHILD_NEXT, &next)];
    let said = run("child_sees_its_roots_change", &server.url(), &variables);
    for word in ["before: Tls: ", "unchanged: Tls: ", "unknown issuer", "changed: status 200", "again: status 200"] {
        assert!(said.contains(word), "{word}: {said}");
    }
    // Two that were refused, one more unless the change was seen before, and the one that is kept.
    assert!((3..=4).contains(&server.server.connections()), "{}: {said}", server.server.connections());
    assert_eq!((server.handshakes(), server.requests()), (1, 2), "{said}");
    fs::remove_file(file).unwrap();
}

#[test]
fn a_system_without_roots_says_where_they_were_looked_for_and_what_helps() {
    let authority = Authority::new("ours");
    let server = TlsServer::plain(authority.sign(&["localhost"], |_| {}).config());
    let (empty, missing) = (place("empty"), place("missing.pem"));
    fs::create_dir_all(&empty).unwrap();
    let said = child(&server.url(), &[("SSL_CERT_FILE", &missing), ("SSL_CERT_DIR", &empty)]);
    for word in [
        "Refused",
        &format!("SSL_CERT_FILE={}", missing.display()),
        &format!("SSL_CERT_DIR={}", empty.display()),
        "os error 2",
        "Roots::Webpki",
        "`tls-webpki-roots`",
        "CA file",
    ] {
        assert!(said.contains(word), "{word}: {said}");
    }
    assert_eq!(server.server.connections(), 0);
    fs::remove_dir_all(empty).unwrap();
}
