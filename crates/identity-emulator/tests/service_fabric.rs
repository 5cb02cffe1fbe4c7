//! Service Fabric answers over TLS and keeps its tokens until a client says that they are no good.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test says so by failing"
)]

mod common;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use common::{Response, STORAGE, builder, request, variable};
use identity_emulator::{Answer, Emulator, SYSTEM_CLIENT_ID, Source};
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

/// Asks over TLS and trusts the given certificate alone.
fn ask(emulator: &Emulator, bytes: &[u8]) -> Response {
    let certificate = CertificateDer::from_pem_slice(emulator.service_fabric_certificate().as_bytes()).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let client = ClientConnection::new(Arc::new(config), name).unwrap();
    let socket = TcpStream::connect(emulator.address(Source::ServiceFabric)).unwrap();
    let mut stream = StreamOwned::new(client, socket);
    stream.write_all(bytes).unwrap();
    let mut answer = Vec::new();
    // The end may come without TLS's own goodbye.
    let _ = stream.read_to_end(&mut answer);
    Response::parse(&answer)
}

fn get(emulator: &Emulator, query: &str, secret: Option<&str>) -> Response {
    let target = format!("/metadata/identity/oauth2/token?{query}");
    let headers: Vec<(&str, &str)> = secret.iter().map(|secret| ("Secret", *secret)).collect();
    ask(emulator, &request("GET", &target, &headers, ""))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

#[test]
fn the_thumbprint_is_that_of_the_certificate() {
    for emulator in
        [builder().start_in_background().unwrap(), builder().rsa_certificate().start_in_background().unwrap()]
    {
        let certificate = CertificateDer::from_pem_slice(emulator.service_fabric_certificate().as_bytes()).unwrap();
        let thumbprint = hex(digest(&SHA1_FOR_LEGACY_USE_ONLY, &certificate).as_ref());
        assert_eq!(emulator.service_fabric_thumbprint(), thumbprint);
        assert_eq!(variable(&emulator, Source::ServiceFabric, "IDENTITY_SERVER_THUMBPRINT"), thumbprint);
        let secret = variable(&emulator, Source::ServiceFabric, "IDENTITY_HEADER");
        let answer = get(&emulator, &format!("api-version=2019-07-01-preview&{STORAGE}"), Some(&secret));
        assert_eq!(answer.claims()["appid"], SYSTEM_CLIENT_ID);
        assert!(answer.json()["expires_on"].is_i64(), "{answer:?}");
    }
}

#[test]
fn service_fabric_is_strict() {
    let emulator = builder().service_fabric_secret("hush").start_in_background().unwrap();
    let good = format!("api-version=2019-07-01-preview&{STORAGE}");
    let preview = "api-version=2019-07-01-preview";
    for (query, secret, status, code) in [
        (good.as_str(), None, 400, "SecretHeaderNotFound"),
        (&good, Some("guess"), 404, "ManagedIdentityNotFound"),
        (STORAGE, Some("hush"), 400, "InvalidApiVersion"),
        (preview, Some("hush"), 400, "ArgumentNullOrEmpty"),
        (&format!("{preview}&resource=https://unknown.example"), Some("hush"), 400, "invalid_resource"),
        (&format!("{good}&token_sha256_to_refresh=abc"), Some("hush"), 400, "InvalidArgument"),
    ] {
        let answer = get(&emulator, query, secret);
        assert_eq!((answer.status, &answer.json()["error"]["code"]), (status, &code.into()), "{query}");
    }
}

#[test]
fn the_same_token_comes_until_it_is_unwanted() {
    let emulator = builder().service_fabric_secret("hush").start_in_background().unwrap();
    let token = |more: &str| {
        let query = format!("api-version=2019-07-01-preview&{STORAGE}{more}");
        get(&emulator, &query, Some("hush")).json()["access_token"].as_str().unwrap().to_owned()
    };
    let first = token("");
    assert_eq!(token(""), first);
    let hash = hex(digest(&SHA256, first.as_bytes()).as_ref());
    assert_eq!(token(&format!("&token_sha256_to_refresh={}", "0".repeat(64))), first);
    let second = token(&format!("&token_sha256_to_refresh={hash}"));
    assert_ne!(second, first);
    assert_eq!(token(""), second);
    emulator.faults().next(Source::ServiceFabric, Answer::real().with_lifetime_secs(60));
    assert_ne!(token(""), second, "a token that is made to order is not kept");
    assert_eq!(token(""), second);
}

#[test]
fn plain_http_gets_no_answer() {
    let emulator = builder().start_in_background().unwrap();
    let bytes = request("GET", "/", &[], "");
    let answer = common::exchange(emulator.address(Source::ServiceFabric), &bytes);
    assert!(!answer.unwrap_or_default().starts_with(b"HTTP"));
    assert_eq!(emulator.request_count(None), 0);
}

#[test]
fn a_stall_comes_before_the_handshake() {
    let emulator = builder().start_in_background().unwrap();
    let reads = |stall: bool| {
        if stall {
            emulator.faults().next(Source::ServiceFabric, Answer::stall());
        }
        let mut stream = TcpStream::connect(emulator.address(Source::ServiceFabric)).unwrap();
        stream.write_all(&request("GET", "/", &[], "")).unwrap();
        stream.set_read_timeout(Some(std::time::Duration::from_millis(200))).unwrap();
        stream.read(&mut [0])
    };
    assert_eq!(reads(false).unwrap(), 1, "an alert, because this is no handshake");
    reads(true).unwrap_err();
}
