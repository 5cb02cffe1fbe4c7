//! The service, called over HTTP by users whom the emulator knows.

use identity::{AuthorizationCodeCredential, Platform, Roots, TransportOptions};
use identity_emulator::{
    Answer, Emulator, MFA_USER_NAME, PUBLIC_CLIENT_ID, Source, TENANT_ID, USER_NAME, WEB_CLIENT_ID, WEB_CLIENT_SECRET,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::*;

const REDIRECT_URI: &str = "http://localhost:8400";
// Source: RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// The scope that users ask for, to call this service.
fn own_scope() -> String {
    format!("api://{WEB_CLIENT_ID}/user_impersonation")
}

fn platform(emulator: &Emulator) -> Platform {
    TransportOptions::new().roots(Roots::None).ca_pem(emulator.ca_pem()).platform().unwrap()
}

/// Runs the service beside `calls`.
fn with_service<F: Future<Output = ()>>(emulator: &Emulator, calls: impl FnOnce(String) -> F) {
    let client = OnBehalfOfClient::builder(TENANT_ID, WEB_CLIENT_ID)
        .client_secret(WEB_CLIENT_SECRET)
        .authority(emulator.authority())
        .disable_instance_discovery()
        .build_with(&platform(emulator))
        .unwrap();
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let scope = "https://graph.microsoft.com/User.Read".to_owned();
        tokio::spawn(serve(listener, Service { client, scope }));
        calls(address).await;
    });
}

/// The status, the header `www-authenticate` or `retry-after`, and everything.
async fn call(address: &str, authorization: &str) -> (u16, Option<String>, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request =
        format!("GET / HTTP/1.1\r\nhost: {address}\r\nauthorization: {authorization}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let header = answer.lines().find_map(|line| {
        line.strip_prefix("www-authenticate: ").or(line.strip_prefix("retry-after: ")).map(str::to_owned)
    });
    (answer.split(' ').nth(1).unwrap().parse().unwrap(), header, answer)
}

#[test]
fn a_user_who_calls_is_served_and_remembered() {
    let emulator = Emulator::builder().start_in_background().unwrap();
    let token = emulator.user_token(PUBLIC_CLIENT_ID, &own_scope(), USER_NAME).unwrap();
    with_service(&emulator, async |address| {
        for _ in 0..2 {
            let (status, _, answer) = call(&address, &format!("bearer {token}")).await;
            assert!(status == 200 && answer.contains("can be called for you"), "{answer}");
        }
    });
    assert_eq!(emulator.request_count(Source::Entra), 1);
}

#[test]
fn who_has_no_token_or_none_that_is_one_is_asked_to_sign_in() {
    let emulator = Emulator::builder().start_in_background().unwrap();
    with_service(&emulator, async |address| {
        for (authorization, expected) in [
            ("Basic dXNlcjpwYXNzd29yZA==", "Bearer"),
            ("Bearer two words", "Bearer error=\"invalid_token\""),
            ("Bearer ", "Bearer"),
        ] {
            let (status, header, answer) = call(&address, authorization).await;
            assert_eq!((status, header.as_deref()), (401, Some(expected)), "{authorization}: {answer}");
        }
    });
    assert_eq!(emulator.request_count(Source::Entra), 0);
}

#[test]
fn who_has_to_prove_more_is_told_how_and_then_served() {
    let emulator = Emulator::builder().start_in_background().unwrap();
    let token = emulator.user_token(PUBLIC_CLIENT_ID, &own_scope(), MFA_USER_NAME).unwrap();
    with_service(&emulator, async |address| {
        let (status, header, answer) = call(&address, &format!("Bearer {token}")).await;
        let header = header.unwrap_or_default();
        let claims = header.strip_prefix("Bearer error=\"insufficient_claims\", claims=\"");
        assert!(status == 401 && claims.is_some_and(|claims| claims.len() > 20), "{answer}");

        // What the front end does with it: the person signs in, with the second factor.
        let code = emulator.authorization_code(
            PUBLIC_CLIENT_ID,
            REDIRECT_URI,
            &format!("{} openid offline_access profile", own_scope()),
            MFA_USER_NAME,
            Some(CHALLENGE),
            None,
        );
        let credential = AuthorizationCodeCredential::builder(TENANT_ID, PUBLIC_CLIENT_ID, code.unwrap(), REDIRECT_URI)
            .code_verifier(VERIFIER)
            .authority(emulator.authority())
            .disable_instance_discovery()
            .build_with(&platform(&emulator))
            .unwrap();
        let token = credential.get_token(&[&own_scope()], None).await.unwrap();
        let (status, _, answer) = call(&address, token.authorization()).await;
        assert_eq!(status, 200, "{answer}");
    });
}

#[test]
fn what_a_caller_cannot_mend_is_not_told_in_detail() {
    let emulator = Emulator::builder().start_in_background().unwrap();
    with_service(&emulator, async |address| {
        for (fault, expected, header) in [
            (Answer::entra_error(500_133), 401, Some("Bearer error=\"invalid_token\"")),
            (Answer::entra_error(65_001), 401, Some("Bearer error=\"interaction_required\"")),
            (Answer::entra_error(7_000_222), 500, None),
            (Answer::status(429).with_header("retry-after", "120"), 503, Some("120")),
        ] {
            emulator.faults().next(Source::Entra, fault);
            // Of each user anew: what a service refuses is remembered.
            let token = emulator.user_token(PUBLIC_CLIENT_ID, &own_scope(), USER_NAME).unwrap();
            let (status, told, answer) = call(&address, &format!("Bearer {token}")).await;
            assert_eq!((status, told.as_deref()), (expected, header), "{answer}");
            assert!(!answer.contains("AADSTS") && !answer.contains(WEB_CLIENT_ID), "{answer}");
        }
    });
}
