//! Servers that prove themselves by a certificate of a trusted root, and connections to them that are kept.

#![expect(clippy::disallowed_methods, reason = "the servers live on threads of their own")]

mod support;

use identity_core::http::TransportErrorKind;

use self::support::tls::{Authority, TlsServer, send_by};

#[tokio::test]
async fn a_certificate_of_a_trusted_root_is_accepted_and_the_connection_kept() {
    let authority = Authority::new("ours");
    let server = TlsServer::plain(authority.sign(&["localhost"], |_| {}).config());
    let platform = authority.platform();
    for _ in 0..10 {
        let answer = send_by(&platform, server.get()).await.unwrap();
        assert_eq!((answer.status(), answer.body()), (200, &b"{}"[..]));
    }
    assert_eq!((server.handshakes(), server.requests()), (1, 10));
}

#[tokio::test]
async fn a_certificate_of_another_root_is_not_accepted() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let server = TlsServer::plain(theirs.sign(&["localhost"], |_| {}).config());
    let error = send_by(&ours.platform(), server.get()).await.unwrap_err();
    assert_eq!(error.kind(), TransportErrorKind::Tls, "{error}");
    for word in ["unknown issuer", "localhost", "SSL_CERT_FILE", "CA file"] {
        assert!(error.to_string().contains(word), "{word}: {error}");
    }
    assert_eq!((server.server.connections(), server.requests()), (1, 0));
}
