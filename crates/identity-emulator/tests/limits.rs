//! Hostile clients and careless callers: refused, bounded, survived, and no secret is printed.
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
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use common::{Response, builder, control, exchange, imds, imds_request, request, send, variable};
use identity_emulator::{Answer, Emulator, Identity, Source};

#[test]
fn hostile_bytes_are_refused_and_the_next_client_is_served() {
    let emulator = builder().start_in_background().unwrap();
    let address = emulator.address(Source::Imds);
    let long = "x".repeat(100_000);
    let many: String = (0..5_000).map(|number| format!("X-{number}: 1\r\n")).collect();
    for bytes in [
        b"\x16\x03\x01\x02\x00\x01\x00".to_vec(),
        b"\0\0\0\0\r\n\r\n".to_vec(),
        b"GET / HTTP/9.9\r\n\r\n".to_vec(),
        b"GET  / HTTP/1.1\r\n\r\n".to_vec(),
        format!("GET /{long} HTTP/1.1\r\n\r\n").into_bytes(),
        format!("GET / HTTP/1.1\r\nX: {long}\r\n\r\n").into_bytes(),
        format!("GET / HTTP/1.1\r\n{many}\r\n").into_bytes(),
        b"POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello".to_vec(),
        b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n".to_vec(),
    ] {
        let answer = exchange(address, &bytes).unwrap_or_default();
        assert!(
            answer.is_empty() || Response::parse(&answer).status >= 400,
            "{:?}",
            String::from_utf8_lossy(&bytes[..20.min(bytes.len())])
        );
        assert_eq!(imds(&emulator).status, 200);
    }
}

#[test]
fn a_body_that_is_too_long_is_refused() {
    let emulator = builder().start_in_background().unwrap();
    let body = "x".repeat(65_537);
    let answer = send(emulator.address(Source::CloudShell), "POST", "/oauth2/token", &[], &body);
    assert_eq!(answer.status, 413);
    assert!(emulator.requests()[0].body().is_empty());
    assert_eq!(send(emulator.address(Source::CloudShell), "POST", "/oauth2/token", &[], &body[1..]).status, 400);
    let order = format!("{{\"always\":{{\"body\":\"{body}\"}}}}");
    assert_eq!(control(&emulator, "POST", "/__emulator/faults", &order).status, 413);
}

#[test]
fn a_resource_that_no_scope_can_name_is_refused() {
    for resource in ["", " ", "api://a b", "api://\u{e4}", "api://a\n"] {
        let error = Emulator::builder().allow_resource(resource).start_in_background().unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput, "{resource:?}");
    }
}

#[test]
fn a_request_for_a_proxy_is_refused() {
    let emulator = builder().start_in_background().unwrap();
    let target =
        "http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https://vault.azure.net";
    let answer = send(emulator.address(Source::Imds), "GET", target, &[("Metadata", "true")], "");
    assert_eq!((answer.status, emulator.requests()[0].status()), (400, Some(400)));
}

#[test]
fn idle_connections_starve_nobody() {
    let emulator = builder().start_in_background().unwrap();
    let mut idle: Vec<TcpStream> =
        (0..200).map(|_| TcpStream::connect(emulator.address(Source::Imds)).unwrap()).collect();
    for stream in &mut idle {
        stream.write_all(b"GET /half").unwrap();
    }
    assert_eq!(imds(&emulator).status, 200);
}

#[test]
fn a_connection_serves_several_requests() {
    let emulator = builder().start_in_background().unwrap();
    let bytes = String::from_utf8(imds_request()).unwrap().replace("Connection: close\r\n", "");
    let mut stream = TcpStream::connect(emulator.address(Source::Imds)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    for _ in 0..3 {
        stream.write_all(bytes.as_bytes()).unwrap();
        let mut buffer = vec![0; 10_000];
        let mut len = 0;
        while !buffer[..len].ends_with(b"}") {
            let read = stream.read(&mut buffer[len..]).unwrap();
            assert!(read > 0, "the connection was closed");
            len += read;
        }
        assert_eq!(Response::parse(&buffer[..len]).status, 200);
    }
    assert_eq!((emulator.request_count(None), emulator.connections(Source::Imds).accepted), (3, 1));
    emulator.faults().next(Source::Imds, Answer::refuse());
    stream.write_all(bytes.as_bytes()).unwrap();
    assert_eq!(stream.read(&mut [0]).unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
    assert_eq!((emulator.request_count(None), emulator.requests()[3].status()), (4, None));
}

#[test]
fn dropping_it_closes_everything() {
    let emulator = builder().start_in_background().unwrap();
    emulator.faults().always(None, Answer::silence());
    let address = emulator.address(Source::Imds);
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(&imds_request()).unwrap();
    drop(emulator);
    assert!(matches!(stream.read(&mut [0]), Ok(0) | Err(_)));
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn a_fixed_port_can_be_taken_again_at_once() {
    // Between the two, anyone on this machine may be given the port: a few tries, each with a port of its own.
    let again = (0..5).any(|_| {
        let first = builder().start_in_background().unwrap();
        let port = first.address(Source::AppService).port();
        imds(&first);
        let taken = builder().port(Source::AppService, port).start_in_background().unwrap_err();
        assert_eq!(taken.kind(), std::io::ErrorKind::AddrInUse);
        assert!(taken.to_string().contains(&port.to_string()), "{taken}");
        drop(first);
        let second = builder().port(Source::AppService, port).start_in_background();
        second.is_ok_and(|second| second.address(Source::AppService).port() == port)
    });
    assert!(again);
}

#[test]
fn only_local_addresses_can_be_bound() {
    for address in ["0.0.0.0:0", "192.0.2.1:0", "169.254.169.253:0", "[::]:0"] {
        let address: SocketAddr = address.parse().unwrap();
        let error = Emulator::builder().imds_address(address).start_in_background().unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput, "{address}");
    }
    let other: SocketAddr = "127.0.0.2:0".parse().unwrap();
    if cfg!(target_os = "linux") {
        let emulator = builder().imds_address(other).start_in_background().unwrap();
        assert_eq!(emulator.address(Source::Imds).ip(), other.ip());
    }
}

#[test]
fn settings_that_cannot_work_are_refused() {
    for builder in [
        Emulator::builder().tenant_id(""),
        Emulator::builder().tenant_id("a/b"),
        Emulator::builder().identity_header(""),
        Emulator::builder().service_fabric_secret("a\r\nb"),
        Emulator::builder().azure_ml_secret("a b"),
        Emulator::builder().user_assigned([Identity::new("", "b", "c")]),
        Emulator::builder().user_assigned([Identity::new("a", "b", "c\n")]),
    ] {
        let error = builder.start_in_background().unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    }
}

#[test]
fn pages_in_a_browser_cannot_steer_it() {
    let emulator = builder().start_in_background().unwrap();
    let address = emulator.control_origin().strip_prefix("http://").unwrap().parse().unwrap();
    let post = |headers: &str, body: &str| {
        let bytes = format!(
            "POST /__emulator/faults HTTP/1.1\r\n{headers}Connection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        Response::parse(&exchange(address, bytes.as_bytes()).unwrap()).status
    };
    let body = r#"{"always":{"status":500}}"#;
    assert_eq!(post("Host: evil.example\r\nContent-Type: application/json\r\n", body), 403);
    assert_eq!(post("Content-Type: application/json\r\n", body), 403);
    assert_eq!(post("Host: localhost\r\nContent-Type: text/plain\r\n", body), 415);
    assert_eq!(post("Host: localhost\r\n", body), 415);
    assert_eq!(imds(&emulator).status, 200, "nothing was changed");
    assert_eq!(post("Host: localhost:1\r\nContent-Type: application/json; charset=utf-8\r\n", body), 204);
    assert_eq!(imds(&emulator).status, 500);
    assert_eq!(send(address, "GET", "/__emulator/nothing", &[], "").status, 404);
    assert_eq!(send(address, "PUT", "/__emulator/requests", &[], "").status, 404);
}

#[test]
fn debug_prints_no_secret() {
    let emulator = builder().start_in_background().unwrap();
    let secrets = [
        variable(&emulator, Source::AppService, "IDENTITY_HEADER"),
        variable(&emulator, Source::ServiceFabric, "IDENTITY_HEADER"),
        variable(&emulator, Source::AzureMl, "MSI_SECRET"),
    ];
    let bytes = request("GET", "/msi/token", &[("secret", &secrets[2])], "");
    exchange(emulator.address(Source::AzureMl), &bytes).unwrap();
    assert_eq!(emulator.requests()[0].header("Secret"), Some(secrets[2].as_str()), "it is recorded");
    let builder = builder().identity_header(&secrets[0]);
    let printed = format!("{emulator:?} {:?} {builder:?} {:?}", emulator.requests(), emulator.faults());
    for secret in secrets {
        assert!(secret.len() == 64 && !printed.contains(&secret), "{printed}");
    }
}

#[test]
fn two_emulators_share_no_secret() {
    let (one, two) = (builder().start_in_background().unwrap(), builder().start_in_background().unwrap());
    for (source, name) in [
        (Source::AppService, "IDENTITY_HEADER"),
        (Source::ServiceFabric, "IDENTITY_HEADER"),
        (Source::AzureMl, "MSI_SECRET"),
    ] {
        assert_ne!(variable(&one, source, name), variable(&two, source, name));
    }
    assert_ne!(one.service_fabric_thumbprint(), two.service_fabric_thumbprint());
}

#[test]
fn orders_cannot_fill_the_memory() {
    let emulator = builder().start_in_background().unwrap();
    let order = |body: &str| control(&emulator, "POST", "/__emulator/faults", body).status;
    let deep = r#"{"source":"imds","times":9999,"script":[{"deep":4294967295}]}"#;
    assert_eq!(order(deep), 204);
    assert_eq!(order(deep), 400, "no more than 10,000 are queued");
    assert!(imds(&emulator).body.len() < 2_100_000);
    emulator.faults().clear();

    let headers = (0..1_000).map(|number| format!("[\"X-{number}\",\"1\"]")).collect::<Vec<_>>().join(",");
    assert_eq!(order(&format!(r#"{{"always":{{"headers":[{headers}]}}}}"#)), 204);
    assert!(imds(&emulator).head.lines().count() > 1_000);
    emulator.faults().always(None, Answer::real().with_header("X-Long", "y".repeat(1 << 20)));
    assert_eq!(imds(&emulator).header("x-long").unwrap().len(), 1 << 20);
    emulator.faults().always(None, Answer::real().with_header("Bad Name", "a\r\nInjected: b"));
    assert_eq!(imds(&emulator).header("injected"), Some("b"), "what is ordered is sent");
}

#[test]
fn outside_of_tokio_there_is_an_error_and_no_panic() {
    let mut start = std::pin::pin!(builder().start());
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let std::task::Poll::Ready(result) = start.as_mut().poll(&mut context) else { panic!("it waits") };
    assert_eq!(result.unwrap_err().kind(), std::io::ErrorKind::Other);
}
