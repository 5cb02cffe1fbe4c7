//! What an attempt leaves in the log, and what it does not.

#![expect(clippy::disallowed_methods, reason = "the servers live on threads of their own")]

mod support;

use identity_core::http::{Method, Request};

use self::support::{Log, Server, quick, send};

#[tokio::test]
async fn one_event_per_attempt_names_the_path_and_the_outcome_only() {
    let log = Log::default();
    let _guard = log.capture();

    let server = Server::answering("HTTP/1.1 400 No\r\nx: canary\r\ncontent-length: 6\r\n\r\ncanary");
    let mut request = Request::new(Method::Post, format!("{}token?client_id=canary", server.url()));
    request = request.header("x-identity-header", "canary");
    request.body = Some("secret=canary".into());
    send(quick(request)).await.unwrap();
    send(quick(Request::new(Method::Get, "http://user:canary@localhost/path?canary"))).await.unwrap_err();
    send(quick(Request::new(Method::Get, "canary?canary"))).await.unwrap_err();

    let text = log.text();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 3, "{text}");
    let port = server.port;
    for word in ["DEBUG", "POST", "status=400", "ms=", &format!("http://127.0.0.1:{port}/token")] {
        assert!(lines.first().unwrap().contains(word), "{word}: {text}");
    }
    assert!(lines.last().unwrap().contains("error=the URL is not absolute"), "{text}");
    assert!(!text.contains("canary"), "{text}");
}
