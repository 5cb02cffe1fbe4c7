//! What an attempt leaves in the log, and what it does not.

#![expect(clippy::disallowed_methods, reason = "the servers live on threads of their own")]
#![expect(clippy::unwrap_used, reason = "a test ends when it is not so")]

mod support;

use std::{
    io,
    sync::{Arc, Mutex},
};

use identity_core::http::{Method, Request};
use tracing_subscriber::{fmt::MakeWriter, util::SubscriberInitExt as _};

use self::support::{Server, quick, send};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn one_event_per_attempt_names_the_path_and_the_outcome_only() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_ansi(false);
    let _guard = subscriber.with_writer(log.clone()).finish().set_default();

    let server = Server::answering("HTTP/1.1 400 No\r\nx: canary\r\ncontent-length: 6\r\n\r\ncanary");
    let mut request = Request::new(Method::Post, format!("{}token?client_id=canary", server.url()));
    request = request.header("x-identity-header", "canary");
    request.body = Some("secret=canary".into());
    send(quick(request)).await.unwrap();
    send(quick(Request::new(Method::Get, "http://user:canary@localhost/path?canary"))).await.unwrap_err();
    send(quick(Request::new(Method::Get, "canary?canary"))).await.unwrap_err();

    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 3, "{text}");
    let port = server.port;
    for word in ["DEBUG", "POST", "status=400", "ms=", &format!("http://127.0.0.1:{port}/token")] {
        assert!(lines.first().unwrap().contains(word), "{word}: {text}");
    }
    assert!(lines.last().unwrap().contains("error=the URL is not absolute"), "{text}");
    assert!(!text.contains("canary"), "{text}");
}
