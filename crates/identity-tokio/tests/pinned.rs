//! Servers that prove themselves by one known certificate, and those that do not.

#![expect(clippy::disallowed_methods, reason = "the servers live on threads of their own")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test ends when it is not so")]
#![expect(clippy::print_stdout, reason = "what is skipped is said")]

mod support;

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, mpsc::channel},
    time::{Duration, Instant},
};

use identity_core::http::{Method, Request, Response, ServerTrust, TransportError, TransportErrorKind};
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use rustls::{
    ServerConfig, ServerConnection, Stream, SupportedProtocolVersion,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer},
    version::{TLS12, TLS13},
};

use self::support::{Server, quick, send, wait_for_close, write};

/// A certificate for another name that nobody else signed and that ended long ago: none of it counts.
fn certificate() -> (CertificateDer<'static>, KeyPair, [u8; 20]) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["elsewhere.example".to_owned()]).unwrap();
    params.not_before = date_time_ymd(2001, 1, 1);
    params.not_after = date_time_ymd(2002, 1, 1);
    let der = params.self_signed(&key).unwrap().der().clone();
    let digest = ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, &der);
    (der, key, digest.as_ref().try_into().unwrap())
}

/// A TLS server that tells what it could read of a request, or why there was none, and answers it.
fn tls_server(
    version: &'static SupportedProtocolVersion,
) -> (Server, [u8; 20], std::sync::mpsc::Receiver<Result<String, String>>) {
    let (der, key, thumbprint) = certificate();
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![der], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
        .unwrap();
    let config = Arc::new(config);
    let (sender, receiver) = channel();
    let server = Server::new(move |mut stream| {
        let mut tls = ServerConnection::new(Arc::clone(&config)).unwrap();
        let mut tls = Stream::new(&mut tls, &mut stream);
        let mut request = Vec::new();
        let mut byte = [0];
        let result = loop {
            match tls.read(&mut byte) {
                Ok(1) => request.extend_from_slice(&byte),
                Ok(_) => break Err("closed".to_owned()),
                Err(error) => break Err(format!("{error}, after {} bytes", request.len())),
            }
            if request.ends_with(b"\r\n\r\n") {
                let _ = tls.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}");
                break Ok(String::from_utf8(request).unwrap());
            }
        };
        sender.send(result).unwrap();
        let _ = tls.read(&mut byte);
    });
    (server, thumbprint, receiver)
}

async fn ask(host: &str, port: u16, thumbprint: [u8; 20]) -> Result<Response, TransportError> {
    let mut request = Request::new(Method::Get, format!("https://{host}:{port}/token")).header("secret", "canary");
    request.trust = ServerTrust::PinnedSha1(thumbprint);
    send(quick(request)).await
}

#[tokio::test]
async fn the_pinned_certificate_is_trusted_whatever_else_it_says() {
    for version in [&TLS12, &TLS13] {
        let (server, thumbprint, requests) = tls_server(version);
        for host in ["localhost", "127.0.0.1", "[::ffff:127.0.0.1]"] {
            let answer = ask(host, server.port, thumbprint).await.unwrap();
            assert_eq!((answer.status(), answer.body()), (200, &b"{}"[..]));
            let request = requests.recv().unwrap().unwrap();
            assert!(request.contains("\r\nsecret: canary\r\n"), "{request}");
            assert!(request.contains(&format!("\r\nhost: {host}:{}\r\n", server.port)), "{request}");
        }
    }
}

#[tokio::test]
async fn another_certificate_gets_no_secret() {
    for version in [&TLS12, &TLS13] {
        let (server, thumbprint, requests) = tls_server(version);
        let mut other = thumbprint;
        other[19] ^= 1;
        let error = ask("localhost", server.port, other).await.unwrap_err();
        assert_eq!(error.kind(), TransportErrorKind::Tls, "{error}");
        for print in [thumbprint, other] {
            assert!(error.to_string().contains(&identity_core::text::hex(&print)), "{error}");
        }
        let seen = requests.recv().unwrap().unwrap_err();
        assert!(seen.contains("after 0 bytes"), "{seen}");
    }
}

#[tokio::test]
async fn servers_that_speak_something_else_fail_the_handshake() {
    // A server hello of TLS 1.1: TLS_RSA_WITH_AES_128_CBC_SHA, no session, no extensions.
    let mut hello = vec![0x16, 3, 2, 0, 42, 2, 0, 0, 38, 3, 2];
    hello.extend([7; 32]);
    hello.extend([0, 0, 0x2f, 0]);
    for (answer, kind) in [
        (&b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n"[..], TransportErrorKind::Tls),
        (&hello, TransportErrorKind::Tls),
        // protocol_version, as a server says that knows TLS 1.1 at best
        (&[0x15, 3, 1, 0, 2, 2, 70], TransportErrorKind::Tls),
        (b"", TransportErrorKind::Connect),
        (&hello[..20], TransportErrorKind::Connect),
    ] {
        let answer = answer.to_vec();
        let server = Server::new(move |mut stream: TcpStream| {
            let mut record = [0; 5];
            stream.read_exact(&mut record).unwrap();
            let mut rest = vec![0; usize::from(u16::from_be_bytes([record[3], record[4]]))];
            stream.read_exact(&mut rest).unwrap();
            write(&mut stream, &answer);
            let _ = stream.shutdown(std::net::Shutdown::Write);
            wait_for_close(&mut stream);
        });
        let error = ask("localhost", server.port, [0; 20]).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains("TLS handshake"), "{error}");
    }
}

#[tokio::test]
async fn a_stalled_handshake_counts_as_connecting() {
    let server = Server::new(|mut stream| {
        wait_for_close(&mut stream);
    });
    let mut request = quick(Request::new(Method::Get, format!("https://localhost:{}/", server.port)));
    request.trust = ServerTrust::PinnedSha1([0; 20]);
    request.connect_timeout = Duration::from_millis(200);
    let start = Instant::now();
    let error = send(request).await.unwrap_err();
    assert_eq!(error.kind(), TransportErrorKind::ConnectTimeout, "{error}");
    assert!(start.elapsed() < Duration::from_millis(1000));
}

#[tokio::test]
async fn an_answer_without_an_end_of_tls_is_cut_short() {
    // Without close_notify, an answer that ends with the connection may have been cut by anybody on the way.
    let (der, key, thumbprint) = certificate();
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![der], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
        .unwrap();
    let config = Arc::new(config);
    let server = Server::new(move |mut stream| {
        let mut tls = ServerConnection::new(Arc::clone(&config)).unwrap();
        let mut tls = Stream::new(&mut tls, &mut stream);
        let mut some = [0; 10];
        tls.read_exact(&mut some).unwrap();
        tls.write_all(b"HTTP/1.1 200 OK\r\n\r\n{\"access").unwrap();
        support::finish(&stream);
    });
    let error = ask("localhost", server.port, thumbprint).await.unwrap_err();
    assert_eq!(error.kind(), TransportErrorKind::Closed, "{error}");
}

/// OpenSSL as the server: software that shares nothing with ours.
struct OpenSsl {
    child: Child,
    port: u16,
    thumbprint: [u8; 20],
}

impl OpenSsl {
    /// `None` where there is no `openssl`; with `CI=true` that is a failure.
    fn start(name: &str, key: &[&str], arguments: &[&str]) -> Option<Self> {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&folder).unwrap();
        let mut request = Command::new("openssl");
        request.current_dir(&folder).args(["req", "-x509", "-nodes", "-days", "1", "-subj", "/CN=x"]);
        let output = match request.args(["-keyout", "key.pem", "-out", "cert.pem"]).args(key).output() {
            Ok(output) => output,
            Err(error) if std::env::var("CI").is_ok_and(|value| value == "true") => panic!("openssl: {error}"),
            Err(error) => {
                println!("skipped: openssl: {error}");
                return None;
            }
        };
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let mut print = Command::new("openssl");
        print.current_dir(&folder).args(["x509", "-in", "cert.pem", "-noout", "-fingerprint", "-sha1"]);
        let print = String::from_utf8(print.output().unwrap().stdout).unwrap();
        let bytes = print.trim().rsplit('=').next().unwrap().split(':').map(|hex| u8::from_str_radix(hex, 16).unwrap());
        let thumbprint = bytes.collect::<Vec<_>>().try_into().unwrap();
        let mut child = Command::new("openssl")
            .current_dir(&folder)
            .args(["s_server", "-accept", "127.0.0.1:0", "-key", "key.pem", "-cert", "cert.pem", "-www"])
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = lines.find_map(|line| line.unwrap().strip_prefix("ACCEPT 127.0.0.1:").map(str::to_owned)).unwrap();
        // Whoever closes the pipe ends the server.
        std::thread::spawn(move || lines.for_each(drop));
        Some(Self { child, port: line.trim().parse().unwrap(), thumbprint })
    }
}

impl Drop for OpenSsl {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn openssl_with_an_rsa_key_is_trusted() {
    for (name, version) in [("rsa-tls12", "-tls1_2"), ("rsa-tls13", "-tls1_3")] {
        let Some(server) = OpenSsl::start(name, &["-newkey", "rsa:2048"], &[version]) else { return };
        assert_eq!(ask("localhost", server.port, server.thumbprint).await.unwrap().status(), 200);
        assert_eq!(ask("localhost", server.port, [0; 20]).await.unwrap_err().kind(), TransportErrorKind::Tls);
    }
}

#[tokio::test]
async fn openssl_with_a_short_rsa_key_cannot_be_trusted_and_the_error_says_so() {
    for (name, version) in [("short-tls12", "-tls1_2"), ("short-tls13", "-tls1_3")] {
        let weak = [version, "-cipher", "DEFAULT@SECLEVEL=0"];
        let Some(server) = OpenSsl::start(name, &["-newkey", "rsa:1024"], &weak) else { return };
        let error = ask("localhost", server.port, server.thumbprint).await.unwrap_err();
        assert_eq!(error.kind(), TransportErrorKind::Tls, "{error}");
        assert!(error.to_string().contains("2048"), "{error}");
    }
}

#[tokio::test]
async fn openssl_with_tls_1_1_at_best_is_refused() {
    let old = ["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"];
    let Some(server) = OpenSsl::start("tls11", &["-newkey", "rsa:2048"], &old) else { return };
    let error = ask("localhost", server.port, server.thumbprint).await.unwrap_err();
    assert_eq!(error.kind(), TransportErrorKind::Tls, "{error}");
}
