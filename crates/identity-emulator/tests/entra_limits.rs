//! Hostile requests to Entra are refused, and neither stop nor slow it.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a test says so by failing"
)]

mod common;

use std::io::{Read, Write};
use std::net::{Ipv6Addr, SocketAddr, TcpListener, TcpStream};

use common::{Response, builder, exchange_tls, form, jwt, now, refusal, request, send_tls, token, token_request};
use identity_emulator::{
    App, CERTIFICATE_CLIENT_ID, Emulator, FEDERATED_CLIENT_ID, Source, TENANT_ID, Tenant, WEB_CLIENT_ID,
    WEB_CLIENT_SECRET,
};
use serde_json::json;

const FORM: [(&str, &str); 1] = [("Content-Type", "application/x-www-form-urlencoded")];

fn good() -> [(&'static str, &'static str); 4] {
    [
        ("client_id", WEB_CLIENT_ID),
        ("client_secret", WEB_CLIENT_SECRET),
        ("grant_type", "client_credentials"),
        ("scope", "https://storage.azure.com/.default"),
    ]
}

fn post(emulator: &Emulator, body: &str) -> Response {
    let bytes = request("POST", &format!("/{TENANT_ID}/oauth2/v2.0/token"), &FORM, body);
    Response::parse(&send_tls(emulator, Source::Entra, &bytes).unwrap())
}

#[test]
fn long_and_deep_bodies_are_refused() {
    let emulator = builder().start_in_background().unwrap();
    let body = form(&good());
    assert_eq!(post(&emulator, &format!("{body}&x={}", "a".repeat(64 * 1024))).status, 413);
    assert_eq!(post(&emulator, &format!("{body}&x={}", "a".repeat(60 * 1024))).status, 200);
    let deep = format!("{{\"access_token\":{}{}}}", "[".repeat(20_000), "]".repeat(20_000));
    let mut fields = good().to_vec();
    fields.push(("claims", &deep));
    assert_eq!(token(&emulator, TENANT_ID, &fields).status, 413, "escaped, it is too long");
    let deep = deep.replace(&"[".repeat(19_000), "").replace(&"]".repeat(19_000), "");
    fields.pop();
    fields.push(("claims", &deep));
    assert_eq!(refusal(&token(&emulator, TENANT_ID, &fields)), (400, 90_100));
    let many: String = (0..3_000).map(|number| format!("&p{number}=1")).collect();
    assert_eq!(post(&emulator, &format!("{body}{many}")).status, 200);
}

#[test]
fn damaged_assertions_never_pass_and_never_stop_it() {
    let emulator = builder().start_in_background().unwrap();
    let header = json!({ "alg": "RS256", "typ": "JWT", "x5t": "1z-fCFWGKBSUQvyxwQGmGy1UZzg" });
    let claims = json!({ "iss": CERTIFICATE_CLIENT_ID, "sub": CERTIFICATE_CLIENT_ID, "aud": emulator.endpoint(Source::Entra),
        "exp": now() + 600, "jti": "1" });
    let assertion = jwt(&header, &claims);
    let ask = |assertion: &str| {
        let fields = [
            ("client_id", CERTIFICATE_CLIENT_ID),
            ("client_assertion", assertion),
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
            ("grant_type", "client_credentials"),
            ("scope", "https://storage.azure.com/.default"),
        ];
        token(&emulator, TENANT_ID, &fields).status
    };
    assert_eq!(ask(&assertion), 200);
    for place in (0..assertion.len() - 1).step_by(7) {
        let mut damaged: Vec<u8> = assertion.bytes().collect();
        damaged[place] = if damaged[place] == b'A' { b'z' } else { b'A' };
        let damaged = String::from_utf8(damaged).unwrap();
        assert!([400, 401].contains(&ask(&damaged)), "{place}");
        assert!([400, 401].contains(&ask(&assertion[..place])), "{place}");
    }
    assert_eq!(ask(&assertion), 200);
}

#[test]
fn what_is_no_tls_gets_no_answer() {
    let emulator = builder().start_in_background().unwrap();
    for source in [Source::Entra, Source::WorkloadIdentity, Source::IdentityBinding, Source::AzurePipelines] {
        let mut stream = TcpStream::connect(emulator.address(source)).unwrap();
        stream.write_all(&token_request(TENANT_ID, &good())).unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        assert!(!String::from_utf8_lossy(&answer).contains("HTTP/"), "{source}");
        assert_eq!(emulator.request_count(source), 0);
    }
    assert_eq!(token(&emulator, TENANT_ID, &good()).status, 200);
}

#[test]
fn localhost_is_both_addresses() {
    let emulator = builder().start_in_background().unwrap();
    let port = emulator.address(Source::Entra).port();
    let address = SocketAddr::from((Ipv6Addr::LOCALHOST, port));
    if let Err(error) = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)) {
        eprintln!("skipped: this machine has no IPv6: {error}");
        return;
    }
    for name in ["localhost", "::1"] {
        let bytes = token_request(TENANT_ID, &good());
        let answer = exchange_tls(address, name, &emulator.ca_pem(), &bytes).unwrap();
        assert_eq!(Response::parse(&answer).status, 200);
    }
}

#[test]
fn more_names_can_be_on_the_certificate_and_more_tenants_in_the_directory() {
    let tenant = "0fedcba9-0000-4000-8000-000000000009";
    let emulator = builder()
        .dns_name("login.microsoftonline.com")
        .dns_name("westus2.localhost")
        .tenant(Tenant::new(tenant).domain("third.example"))
        .app(App::new(FEDERATED_CLIENT_ID).secret("s").tenant("third.example"))
        .start_in_background()
        .unwrap();
    let mut fields = good();
    (fields[0].1, fields[1].1) = (FEDERATED_CLIENT_ID, "s");
    let bytes = token_request("third.example", &fields);
    let address = emulator.address(Source::Entra);
    let answer = exchange_tls(address, "login.microsoftonline.com", &emulator.ca_pem(), &bytes).unwrap();
    assert_eq!(Response::parse(&answer).claims()["tid"], tenant);
    // A region is the same authority.
    let asked = String::from_utf8(bytes.clone()).unwrap();
    let asked = asked.replace("Host: 127.0.0.1", &format!("Host: westus2.localhost:{}", address.port()));
    let answer = exchange_tls(address, "westus2.localhost", &emulator.ca_pem(), asked.as_bytes()).unwrap();
    assert_eq!(Response::parse(&answer).status, 200);
    for wrong in ["", "a b", "localhost:1", "*.localhost", "https://x"] {
        builder().dns_name(wrong).start_in_background().unwrap_err();
    }
    let other = exchange_tls(address, "login.other.example", &emulator.ca_pem(), &bytes);
    assert!(other.is_err());
    let recorded = &emulator.requests()[0];
    assert_eq!(recorded.form_value("client_id").as_deref(), Some(FEDERATED_CLIENT_ID));
    assert_eq!(recorded.trace_id().len(), 36);
}
