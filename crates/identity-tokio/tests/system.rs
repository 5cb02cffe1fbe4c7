//! Roots of the system that change, are lost or are something else than files, in processes whose variables name them.

#![expect(clippy::disallowed_methods, reason = "the servers live on threads of their own, a child has variables")]
#![expect(clippy::unwrap_used, reason = "a test ends when it is not so")]

mod support;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use identity_core::{
    Platform,
    http::{Method, Proxy, Request},
};
use identity_tokio::TransportOptions;

use self::support::{
    Log, later,
    proxy::tunnels_over_tls,
    quick,
    tls::{Authority, TlsServer, send_by},
};

const STEPS: &str = "IDENTITY_TOKIO_TEST_STEPS";

/// Not a test by itself: takes the steps that the next ones write down, and says what it got.
#[tokio::test]
async fn child_takes_steps() {
    let Ok(steps) = env::var(STEPS) else { return };
    let log = Log::default();
    let _guard = log.capture();
    let mut platform = identity_tokio::platform();
    for step in steps.lines() {
        let words: Vec<_> = step.split(' ').collect();
        match words[..] {
            ["ask", url] => println!("got {}", ask(&platform, url).await),
            ["wait"] => later(Duration::from_secs(60)).await,
            ["copy", from, to] => drop(fs::copy(from, to).unwrap()),
            ["remove", path] => fs::remove_file(path).unwrap(),
            ["add", ca] => platform = TransportOptions::new().ca_file(ca).platform().unwrap(),
            ["through", proxy] => platform = TransportOptions::new().proxy(proxy).platform().unwrap(),
            _ => panic!("{step}"),
        }
    }
    println!("{}", log.text());
}

async fn ask(platform: &Platform, url: &str) -> String {
    let mut request = quick(Request::new(Method::Get, url));
    request.proxy = Proxy::Configured;
    match send_by(platform, request).await {
        Ok(answer) => format!("status {}", answer.status()),
        Err(error) => format!("{:?}: {error}", error.kind()),
    }
}

/// What a process with these variables got, and what it logged.
fn child(steps: &[String], variables: &[(&str, &Path)]) -> (Vec<String>, String) {
    let mut child = Command::new(env::current_exe().unwrap());
    child.args(["--exact", "child_takes_steps", "--nocapture"]).env(STEPS, steps.join("\n"));
    for name in ["SSL_CERT_FILE", "SSL_CERT_DIR", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        child.env_remove(name);
    }
    let mut child =
        child.envs(variables.iter().copied()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let start = Instant::now();
    while child.try_wait().unwrap().is_none() {
        let hangs = start.elapsed() > Duration::from_secs(20);
        if hangs {
            child.kill().unwrap();
        }
        assert!(!hangs, "{steps:?} {variables:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let got = text.lines().filter_map(|line| line.split_once("got ")).map(|(_, got)| got.to_owned());
    (got.collect(), text)
}

/// A folder that goes with the test.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-{name}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, content).unwrap();
        path
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn server(authority: &Authority) -> TlsServer {
    TlsServer::plain(authority.sign(&["localhost"], |_| {}).config())
}

#[test]
fn a_root_with_another_key_under_the_same_name_is_found() {
    for names in [["Root", "Another root"], ["Root", "Root"]] {
        let [old, new] = names.map(Authority::new);
        let server = server(&new);
        let place = Place::new("rekeyed");
        let (roots, next) = (place.file("roots.pem", &old.pem()), place.file("next.pem", &new.pem()));
        let ask = format!("ask {}", server.url());
        let copy = format!("copy {} {}", next.display(), roots.display());
        let steps = [ask.clone(), copy, "wait".to_owned(), ask.clone(), ask];
        let (got, text) = child(&steps, &[("SSL_CERT_FILE", &roots)]);
        assert!(got[0].starts_with("Tls: "), "{text}");
        assert!(got[0].contains("replaces the system's roots") && got[0].contains("SSL_CERT_FILE="), "{text}");
        assert_eq!(got[1..], ["status 200", "status 200"], "{text}");
        assert_eq!((server.server.connections(), server.handshakes()), (3, 1), "{text}");
    }
}

#[test]
fn a_proxy_whose_root_is_new_has_the_roots_read_again() {
    let [ours, theirs] = ["ours", "the proxy's"].map(Authority::new);
    let server = server(&ours);
    let (proxy, asked) = tunnels_over_tls(&theirs, server.server.port);
    let place = Place::new("new-proxy");
    let (roots, next) = (place.file("roots.pem", &ours.pem()), place.file("next.pem", &(ours.pem() + &theirs.pem())));
    let ask = format!("ask {}", server.url());
    let through = format!("through https://user:canary@localhost:{}", proxy.server.port);
    let copy = format!("copy {} {}", next.display(), roots.display());
    let steps = [through, ask.clone(), copy, "wait".to_owned(), ask.clone(), ask];
    let (got, text) = child(&steps, &[("SSL_CERT_FILE", &roots)]);
    assert!(got[0].starts_with("Tls: the proxy https://localhost:") && got[0].contains("unknown issuer"), "{text}");
    assert_eq!(got[1..], ["status 200", "status 200"], "{text}");
    assert_eq!((asked.lock().unwrap().len(), server.handshakes()), (1, 1), "{text}");
    assert!(!text.contains("canary"), "{text}");
}

#[test]
fn roots_of_the_system_that_are_lost_stay_in_force() {
    let [system, corporate, more] = ["system", "corporate", "more"].map(Authority::new);
    let (public, inner) = (server(&system), server(&more));
    let place = Place::new("lost");
    let roots = place.file("roots.pem", &system.pem());
    let (ca, next) = (place.file("ca.pem", &corporate.pem()), place.file("next.pem", &(corporate.pem() + &more.pem())));
    let steps = [
        format!("add {}", ca.display()),
        format!("ask {}", public.url()),
        format!("remove {}", roots.display()),
        // An unknown issuer, and a CA file that has changed.
        "wait".to_owned(),
        format!("ask {}", inner.url()),
        format!("copy {} {}", next.display(), ca.display()),
        "wait".to_owned(),
        format!("ask {}", inner.url()),
        format!("ask {}", public.url()),
    ];
    let (got, text) = child(&steps, &[("SSL_CERT_FILE", &roots)]);
    assert!(got[1].starts_with("Tls: ") && got[1].contains("unknown issuer"), "{text}");
    assert_eq!([&got[0], &got[2], &got[3]], ["status 200"; 3], "{text}");
    assert!(text.contains("WARN") && text.contains("cannot be read"), "{text}");
}

#[test]
fn a_system_without_roots_is_told_to_who_has_added_one() {
    let [corporate, public] = ["corporate", "public"].map(Authority::new);
    let (inner, outer) = (server(&corporate), server(&public));
    let place = Place::new("without");
    let ca = place.file("ca.pem", &corporate.pem());
    let steps = [format!("add {}", ca.display()), format!("ask {}", inner.url()), format!("ask {}", outer.url())];
    let (got, text) = child(&steps, &[("SSL_CERT_FILE", Path::new("/missing"))]);
    assert_eq!(got[0], "status 200", "{text}");
    for word in ["Tls: ", "unknown issuer", "no root certificate was found in SSL_CERT_FILE=/missing (", "os error 2"] {
        assert!(got[1].contains(word), "{word}: {text}");
    }
    let warning = text.lines().find(|line| line.contains("WARN") && line.contains("cannot be read"));
    assert!(warning.is_some_and(|line| line.contains("/missing")), "{text}");
}

#[test]
fn empty_variables_are_unset() {
    let server = server(&Authority::new("ours"));
    let ask = [format!("ask {}", server.url())];
    let empty = Path::new("");
    let (usual, _) = child(&ask, &[]);
    for variables in [
        &[("SSL_CERT_FILE", empty)][..],
        &[("SSL_CERT_DIR", empty)],
        &[("SSL_CERT_FILE", empty), ("SSL_CERT_DIR", empty)],
    ] {
        let (got, text) = child(&ask, variables);
        // The same kind of error: unknown where the system has roots, none at all where it has none.
        assert_eq!(got[0].get(..40), usual[0].get(..40), "{variables:?}: {text}");
        assert!(!got[0].contains("SSL_CERT_FILE="), "{variables:?}: {text}");
    }
    // One that is set is not disturbed by one that is empty.
    let authority = Authority::new("ours");
    let server = self::server(&authority);
    let place = Place::new("beside-empty");
    let roots = place.file("roots.pem", &authority.pem());
    let variables = [("SSL_CERT_FILE", &*roots), ("SSL_CERT_DIR", empty)];
    let (got, text) = child(&[format!("ask {}", server.url())], &variables);
    assert_eq!(got, ["status 200"], "{text}");
}

#[cfg(unix)]
#[test]
fn variables_that_name_pipes_devices_and_endless_files_cost_nothing() {
    let authority = Authority::new("ours");
    let server = server(&authority);
    let place = Place::new("no-files");
    let (pipe, folder) = (place.0.join("pipe"), place.0.join("folder"));
    fs::create_dir_all(folder.join("below")).unwrap();
    for path in [&pipe, &folder.join("pipe")] {
        assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
    }
    // Sparse; more than is read.
    let large = place.file("large.pem", &authority.pem());
    fs::File::options().write(true).open(&large).unwrap().set_len(1 << 33).unwrap();
    let ask = [format!("ask {}", server.url())];
    for (path, word) in
        [(&*pipe, "named pipe"), (Path::new("/dev/zero"), "device"), (&large, "8388608 bytes"), (&folder, "directory")]
    {
        let (got, text) = child(&ask, &[("SSL_CERT_FILE", path)]);
        assert!(got[0].starts_with("Refused: no root certificate was found in SSL_CERT_FILE="), "{text}");
        assert!(got[0].contains(word), "{word}: {text}");
        let (got, text) = child(&ask, &[("SSL_CERT_FILE", path), ("SSL_CERT_DIR", &folder)]);
        assert!(got[0].starts_with("Refused: "), "{text}");
    }

    // What is beside them serves: itself, a copy and a link.
    fs::write(folder.join("root.pem"), "no certificate\n".to_owned() + &authority.pem()).unwrap();
    fs::copy(folder.join("root.pem"), folder.join("copy.pem")).unwrap();
    std::os::unix::fs::symlink("root.pem", folder.join("link.0")).unwrap();
    std::os::unix::fs::symlink("missing.pem", folder.join("dangling.0")).unwrap();
    fs::write(folder.join("broken.pem"), "-----BEGIN CERTIFICATE-----\ncanary").unwrap();
    let two = env::join_paths([Path::new("/missing"), Path::new(""), &folder]).unwrap();
    for folders in [folder.as_os_str(), &two] {
        let (got, text) = child(&ask, &[("SSL_CERT_FILE", &pipe), ("SSL_CERT_DIR", Path::new(folders))]);
        assert_eq!(got, ["status 200"], "{text}");
    }
}
