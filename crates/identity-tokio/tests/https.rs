//! Who is trusted over `https`, and what is said of those who are not.

#![expect(clippy::disallowed_methods, reason = "the servers live on threads of their own")]

mod support;

use std::{
    fs,
    io::{Read as _, Write as _},
    path::PathBuf,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use identity_core::{
    ErrorKind,
    http::{Method, Reach, Request, ServerTrust, TransportErrorKind},
};
use identity_tokio::{Roots, TransportOptions};
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, date_time_ymd};
use rustls::{RootCertStore, crypto::ring::default_provider, server::WebPkiClientVerifier, version::TLS12};

use self::support::{
    Server, later, quick,
    tls::{Authority, OK, TlsServer, send_by},
    wait_for_close, write,
};

#[tokio::test]
async fn a_certificate_of_a_trusted_root_is_accepted() {
    let authority = Authority::new("ours");
    let server = TlsServer::plain(authority.sign(&["localhost", "127.0.0.1"], |_| {}).config());
    for host in ["localhost", "127.0.0.1", "LOCALHOST"] {
        let mut request = server.get();
        request.url = request.url.replace("localhost", host);
        let answer = send_by(&authority.platform(), request).await.unwrap();
        assert_eq!((answer.status(), answer.body()), (200, &b"{}"[..]));
    }
}

#[tokio::test]
async fn certificates_that_are_not_accepted_are_told_apart_and_get_no_second_connection() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let expired = |params: &mut CertificateParams| {
        params.not_before = date_time_ymd(2001, 1, 1);
        params.not_after = date_time_ymd(2002, 1, 1);
    };
    let early = |params: &mut CertificateParams| {
        params.not_before = date_time_ymd(3000, 1, 1);
        params.not_after = date_time_ymd(3001, 1, 1);
    };
    let for_clients =
        |params: &mut CertificateParams| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    for (identity, words) in [
        (theirs.sign(&["localhost"], |_| {}), &["unknown issuer", "corporate proxy", "CA file"][..]),
        (Authority::self_signed("localhost"), &["localhost"]),
        (ours.sign(&["localhost"], expired), &["has expired", "local clock is ahead"]),
        (ours.sign(&["localhost"], early), &["not valid yet", "local clock"]),
        (ours.sign(&["elsewhere.example"], |_| {}), &["another name than localhost", "elsewhere.example"]),
        (ours.sign(&["*.localhost"], |_| {}), &["another name than localhost"]),
        (ours.sign(&["localhost"], for_clients), &["not accepted"]),
    ] {
        let server = TlsServer::plain(identity.config());
        let request = server.get().header("authorization", "canary");
        let error = send_by(&ours.platform(), request).await.unwrap_err();
        assert_eq!(error.kind(), TransportErrorKind::Tls, "{error}");
        for word in words {
            assert!(error.to_string().contains(word), "{word}: {error}");
        }
        assert_eq!((server.server.connections(), server.requests()), (1, 0), "{error}");
    }
}

#[tokio::test]
async fn another_key_under_the_name_of_a_root_is_no_matter_of_the_servers_key() {
    let [known, other] = [(); 2].map(|()| Authority::new("the same name"));
    let server = TlsServer::plain(other.sign(&["localhost"], |_| {}).config());
    let error = send_by(&known.platform(), server.get()).await.unwrap_err();
    let text = error.to_string();
    assert_eq!(error.kind(), TransportErrorKind::Tls, "{text}");
    assert!(text.contains("a key other than that of the root") && text.contains("CA file"), "{text}");
    assert!(!text.contains("RSA") && !text.contains("pinned"), "{text}");
}

#[tokio::test]
async fn what_helps_against_an_unknown_issuer_depends_on_whose_roots_are_trusted() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let server = TlsServer::plain(theirs.sign(&["localhost"], |_| {}).config());
    let mut exclusive = server.get();
    exclusive.trust = ServerTrust::OnlyRoots(ours.pem().into());
    let mut rows = vec![(Roots::None, server.get(), true), (Roots::None, exclusive, false)];
    if cfg!(feature = "tls-webpki-roots") {
        rows.push((Roots::Webpki, server.get(), true));
    }
    for (roots, request, by_file) in rows {
        let platform = TransportOptions::new().roots(roots).ca_pem(ours.pem()).platform().unwrap();
        let text = send_by(&platform, request).await.unwrap_err().to_string();
        assert!(text.contains("unknown issuer"), "{text}");
        assert_eq!(text.contains("by a CA file"), by_file, "{text}");
        assert!(!text.contains("SSL_CERT") && !text.contains("system"), "{text}");
    }
}

#[tokio::test]
async fn of_many_names_a_few_are_shown() {
    let authority = Authority::new("ours");
    let names: Vec<String> = (0..1500).map(|number| format!("x{number}.{}.example", "y".repeat(20))).collect();
    let long = format!("{}.example", ["z".repeat(60).as_str(); 3].join("."));
    for (names, word) in [
        (names.iter().map(String::as_str).collect(), "its names (1500): "),
        (vec!["elsewhere.example"], "its names (1): "),
        (vec![&*long; 6], "its names (6): "),
    ] {
        let server = TlsServer::plain(authority.sign(&names, |_| {}).config());
        let error = send_by(&authority.platform(), server.get()).await.unwrap_err();
        let text = error.to_string();
        assert!(text.contains(word) && text.contains(names[0]), "{text}");
        assert!(text.len() <= 1024, "{}", text.len());
    }
}

#[tokio::test]
async fn servers_that_speak_something_else_fail_the_handshake() {
    // A server hello of TLS 1.1: TLS_RSA_WITH_AES_128_CBC_SHA, no session, no extensions.
    let mut hello = vec![0x16, 3, 2, 0, 42, 2, 0, 0, 38, 3, 2];
    hello.extend([7; 32]);
    hello.extend([0, 0, 0x2f, 0]);
    let platform = Authority::new("ours").platform();
    for (answer, kind, word) in [
        (&b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n"[..], TransportErrorKind::Tls, "TLS handshake"),
        (&hello, TransportErrorKind::Tls, "TLS 1.2 or 1.3"),
        // protocol_version, as a server says that knows TLS 1.1 at best; handshake_failure; unrecognized_name
        (&[0x15, 3, 1, 0, 2, 2, 70], TransportErrorKind::Tls, "TLS 1.2 or 1.3"),
        (&[0x15, 3, 3, 0, 2, 2, 40], TransportErrorKind::Tls, "refused it"),
        (&[0x15, 3, 3, 0, 2, 2, 112], TransportErrorKind::Tls, "refused it"),
        (b"", TransportErrorKind::Connect, "cut short"),
        (&hello[..20], TransportErrorKind::Connect, "cut short"),
    ] {
        let answer = answer.to_vec();
        let server = Server::new(move |mut stream| {
            let mut record = [0; 5];
            stream.read_exact(&mut record).unwrap();
            let mut rest = vec![0; usize::from(u16::from_be_bytes([record[3], record[4]]))];
            stream.read_exact(&mut rest).unwrap();
            write(&mut stream, &answer);
            let _ = stream.shutdown(std::net::Shutdown::Write);
            wait_for_close(&mut stream);
        });
        let url = format!("https://localhost:{}/", server.port);
        let error = send_by(&platform, quick(Request::new(Method::Get, url))).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(word), "{word}: {error}");
        assert_eq!(server.connections(), 1);
    }
}

#[tokio::test]
async fn tls_1_2_is_spoken() {
    let authority = Authority::new("ours");
    let server = TlsServer::plain(authority.sign(&["localhost"], |_| {}).config_for(&[&TLS12]));
    for _ in 0..2 {
        assert_eq!(send_by(&authority.platform(), server.get()).await.unwrap().status(), 200);
    }
}

#[tokio::test]
async fn a_server_that_objects_after_the_handshake_is_a_failure_of_tls() {
    let authority = Authority::new("ours");
    let mut roots = RootCertStore::empty();
    roots.add(authority.der()).unwrap();
    let provider = Arc::new(default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
    let server = TlsServer::plain(
        authority.sign(&["localhost"], |_| {}).config_with(|builder| builder.with_client_cert_verifier(verifier)),
    );
    let error = send_by(&authority.platform(), server.get()).await.unwrap_err();
    // Whether the alert or the closed connection is seen first is the system's choice.
    assert!(matches!(error.kind(), TransportErrorKind::Tls | TransportErrorKind::Closed), "{error}");
}

#[tokio::test]
async fn a_stalled_handshake_counts_as_connecting() {
    let server = Server::new(|mut stream| {
        wait_for_close(&mut stream);
    });
    let platform = Authority::new("ours").platform();
    for (connect, all) in [(200, 5000), (5000, 200)] {
        let mut request = quick(Request::new(Method::Get, format!("https://localhost:{}/", server.port)));
        request.connect_timeout = Duration::from_millis(connect);
        request.timeout = Duration::from_millis(all);
        let start = Instant::now();
        let error = send_by(&platform, request).await.unwrap_err();
        assert_eq!(error.kind(), TransportErrorKind::ConnectTimeout, "{error}");
        assert!(start.elapsed() < Duration::from_millis(1500));
    }
}

#[tokio::test]
async fn exclusive_roots_shut_out_those_of_the_platform() {
    let (ours, cluster) = (Authority::new("ours"), Authority::new("cluster"));
    let public = TlsServer::plain(ours.sign(&["localhost"], |_| {}).config());
    let inner = TlsServer::plain(cluster.sign(&["localhost"], |_| {}).config());
    let platform = ours.platform();
    let exclusive = |server: &TlsServer, authority: &Authority| {
        let mut request = server.get();
        request.trust = ServerTrust::OnlyRoots(authority.pem().into());
        send_by(&platform, request)
    };
    for _ in 0..2 {
        exclusive(&inner, &cluster).await.unwrap();
        send_by(&platform, public.get()).await.unwrap();
        for result in [exclusive(&public, &cluster).await, send_by(&platform, inner.get()).await] {
            assert_eq!(result.unwrap_err().kind(), TransportErrorKind::Tls);
        }
    }
    assert_eq!((inner.requests(), public.requests()), (2, 2));
    assert_eq!((inner.handshakes(), public.handshakes()), (1, 1));
}

#[tokio::test]
async fn exclusive_roots_are_exchanged_while_running() {
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let platform = Authority::new("ours").platform();
    let server = TlsServer::plain(new.sign(&["localhost"], |_| {}).config());
    let with = |pem: String| {
        let mut request = server.get();
        request.trust = ServerTrust::OnlyRoots(pem.into());
        send_by(&platform, request)
    };
    assert_eq!(with(old.pem()).await.unwrap_err().kind(), TransportErrorKind::Tls);
    with(old.pem() + &new.pem()).await.unwrap();
    with(new.pem()).await.unwrap();
    // More of them than are remembered.
    for number in 0..20 {
        with(format!("# {number}\n{}", new.pem())).await.unwrap();
    }
    with(new.pem()).await.unwrap();
}

#[tokio::test]
async fn roots_that_are_none_are_refused_before_a_connection() {
    let authority = Authority::new("ours");
    let server = TlsServer::plain(authority.sign(&["localhost"], |_| {}).config());
    for pem in broken_pems(&authority) {
        let mut request = server.get();
        request.trust = ServerTrust::OnlyRoots(pem.clone().into());
        let error = send_by(&authority.platform(), request).await.unwrap_err();
        assert_eq!(error.kind(), TransportErrorKind::Refused, "{pem}: {error}");
        assert!(error.to_string().contains("exclusive roots"), "{error}");
    }
    assert_eq!(server.server.connections(), 0);
}

#[tokio::test]
async fn the_server_name_is_asked_for_and_verified_in_place_of_the_host() {
    let authority = Authority::new("ours");
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&asked);
    let config = authority.sign(&["inner.example"], |_| {}).config();
    let server = TlsServer::new(config, move |mut tls| {
        let name = tls.conn.server_name().map(str::to_owned);
        let request = support::read_request(&mut tls);
        seen.lock().unwrap().push((name, request.contains("\r\nhost: localhost:")));
        tls.write_all(OK.as_bytes()).unwrap();
    });
    let platform = authority.platform();
    let mut request = server.get();
    request.server_name = Some("inner.example".into());
    request.reach = Reach::LocalOnly;
    send_by(&platform, request.clone()).await.unwrap();
    assert_eq!(*asked.lock().unwrap(), [(Some("inner.example".to_owned()), true)]);
    request.server_name = None;
    assert_eq!(send_by(&platform, request.clone()).await.unwrap_err().kind(), TransportErrorKind::Tls);
    for name in ["", "in ner", "inner.example:443", "*.example"] {
        request.server_name = Some(name.into());
        let kind = send_by(&platform, request.clone()).await.unwrap_err().kind();
        assert_eq!(kind, TransportErrorKind::Refused, "{name}");
    }
    request.url = request.url.replace("https", "http");
    assert_eq!(send_by(&platform, request).await.unwrap_err().kind(), TransportErrorKind::Refused);
}

fn broken_pems(authority: &Authority) -> Vec<String> {
    let pem = authority.pem();
    let key = "-----BEGIN PRIVATE KEY-----\nY2FuYXJ5\n-----END PRIVATE KEY-----\n";
    vec![
        String::new(),
        "canary".to_owned(),
        key.to_owned(),
        pem.replace("-----END", "----END"),
        pem.replacen('M', "!", 1),
        "-----BEGIN CERTIFICATE-----\nY2FuYXJ5\n-----END CERTIFICATE-----\n".to_owned(),
        pem.clone() + "-----BEGIN CERTIFICATE-----\nY2FuYXJ5\n-----END CERTIFICATE-----\n",
    ]
}

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-{name}", std::process::id()))
}

#[test]
fn a_ca_that_is_none_is_told_when_the_platform_is_made() {
    let authority = Authority::new("ours");
    let file = path("broken.pem");
    let directory = path("directory.pem");
    fs::create_dir_all(&directory).unwrap();
    let large = path("large.pem");
    fs::write(&large, authority.pem() + &"#".repeat(1024 * 1024)).unwrap();
    #[cfg_attr(not(unix), expect(unused_mut, reason = "pipes have a path on Unix only"))]
    let mut rows = vec![(path("missing.pem"), "os error 2"), (directory, "directory"), (large, "1048576")];
    #[cfg(unix)]
    {
        let pipe = path("pipe.pem");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        rows.push((pipe, "named pipe"));
    }
    let start = Instant::now();
    for (path, word) in rows {
        let error = TransportOptions::new().ca_file(&path).platform().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        let text = error.to_string();
        assert!(text.contains(word) && text.contains(&path.display().to_string()), "{text}");
        let _ = fs::remove_file(path);
    }
    assert!(start.elapsed() < Duration::from_secs(1));
    for pem in broken_pems(&authority) {
        fs::write(&file, &pem).unwrap();
        for options in [TransportOptions::new().ca_file(&file), TransportOptions::new().ca_pem(&*pem)] {
            assert!(!format!("{options:?}").contains("Y2FuYXJ5"), "{options:?}");
            let error = options.platform().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{pem}");
            assert!(!error.to_string().contains("canary"), "{error}");
        }
    }
    fs::remove_file(file).unwrap();
    let error = TransportOptions::new().roots(Roots::None).platform().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
}

#[tokio::test]
async fn a_ca_file_that_changes_is_read_again() {
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let one = TlsServer::plain(old.sign(&["localhost"], |_| {}).config());
    let two = TlsServer::plain(new.sign(&["localhost"], |_| {}).config());
    let file = path("rotated.pem");
    let replace = |text: &str| {
        let next = path("rotated.next");
        fs::write(&next, text).unwrap();
        fs::rename(&next, &file).unwrap();
    };
    replace(&old.pem());
    let platform = TransportOptions::new().roots(Roots::None).ca_file(&file).platform().unwrap();
    let ok = async |server: &TlsServer| send_by(&platform, server.get()).await.is_ok();
    let second = Duration::from_secs(1);
    assert_eq!((ok(&one).await, ok(&two).await), (true, false));
    // A new root serves at once, whoever has looked just before.
    replace(&(old.pem() + &new.pem()));
    assert_eq!((ok(&one).await, ok(&two).await), (true, true));
    replace(&new.pem());
    later(second).await;
    // The connection to the first server was kept, but not for those who no longer trust it.
    assert_eq!((ok(&one).await, ok(&two).await), (false, true));
    for broken in ["", "half written"] {
        replace(broken);
        later(second).await;
        assert_eq!((ok(&one).await, ok(&two).await), (false, true));
    }
    fs::remove_file(&file).unwrap();
    later(second).await;
    assert_eq!((ok(&one).await, ok(&two).await), (false, true));
    replace(&old.pem());
    later(second).await;
    assert_eq!((ok(&one).await, ok(&two).await), (true, false));
    fs::remove_file(&file).unwrap();
}

#[tokio::test]
async fn a_ca_file_that_is_lost_before_the_first_request_serves_as_it_was() {
    let authority = Authority::new("ours");
    let server = TlsServer::plain(authority.sign(&["localhost"], |_| {}).config());
    let file = path("lost.pem");
    for broken in [Some("-----BEGIN CERTIFICATE-----\nhalf"), Some(""), None] {
        fs::write(&file, authority.pem()).unwrap();
        let platform = TransportOptions::new().roots(Roots::None).ca_file(&file).platform().unwrap();
        match broken {
            Some(text) => fs::write(&file, text).unwrap(),
            None => fs::remove_file(&file).unwrap(),
        }
        assert_eq!(send_by(&platform, server.get()).await.unwrap().status(), 200, "{broken:?}");
    }
}

#[cfg(not(feature = "tls-native-roots"))]
#[tokio::test]
async fn roots_that_are_not_built_in_are_refused_and_the_features_named() {
    let platform = TransportOptions::new().platform().unwrap();
    let check = platform.transport().check_https().unwrap_err();
    let send = send_by(&platform, Request::new(Method::Get, "https://localhost:1/")).await.unwrap_err();
    for error in [check, send] {
        assert_eq!(error.kind(), TransportErrorKind::Refused);
        let text = error.to_string();
        assert!(text.contains("`tls-native-roots`") && text.contains("`tls-webpki-roots`"), "{text}");
    }
    // Trust that is stated needs no roots.
    Authority::new("ours").platform().transport().check_https().unwrap();
}

#[cfg(not(feature = "tls-webpki-roots"))]
#[test]
fn webpki_roots_that_are_not_built_in_are_refused_and_the_features_named() {
    let platform = TransportOptions::new().roots(Roots::Webpki).platform().unwrap();
    let error = platform.transport().check_https().unwrap_err();
    assert_eq!(error.kind(), TransportErrorKind::Refused);
    let text = error.to_string();
    assert!(text.contains("`tls-native-roots`") && text.contains("`tls-webpki-roots`"), "{text}");
}

#[cfg(feature = "tls-webpki-roots")]
#[tokio::test]
async fn webpki_roots_trust_no_strangers_and_what_is_added() {
    let authority = Authority::new("ours");
    let server = TlsServer::plain(authority.sign(&["localhost"], |_| {}).config());
    let platform = TransportOptions::new().roots(Roots::Webpki).platform().unwrap();
    platform.transport().check_https().unwrap();
    assert_eq!(send_by(&platform, server.get()).await.unwrap_err().kind(), TransportErrorKind::Tls);
    let platform = TransportOptions::new().roots(Roots::Webpki).ca_pem(authority.pem()).platform().unwrap();
    send_by(&platform, server.get()).await.unwrap();
}
