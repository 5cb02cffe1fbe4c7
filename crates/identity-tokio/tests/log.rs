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

#[cfg(feature = "proxy")]
#[tokio::test]
async fn credentials_reach_the_proxy_and_nobody_else() {
    use identity_tokio::{Roots, TransportOptions};

    use self::support::{
        proxy::Tunnels,
        tls::{Authority, TlsServer, send_by},
    };

    let log = Log::default();
    let _guard = log.capture();
    let authority = Authority::new("ours");
    let server = TlsServer::plain(authority.sign(&["localhost"], |_| {}).config());
    let proxy = Tunnels::new();
    let by_proxy = || {
        let mut request = server.get();
        request.proxy = identity_core::http::Proxy::Configured;
        request
    };
    let url = format!("http://us%40er:canary@127.0.0.1:{}", proxy.server.port);
    let through = |url: &str| TransportOptions::new().roots(Roots::None).ca_pem(authority.pem()).proxy(url);
    let options = through(&url);
    assert!(!format!("{options:?} {options:#?}").contains("canary"));
    let platform = options.platform().unwrap();
    assert!(!format!("{platform:?} {platform:#?}").contains("canary"));
    send_by(&platform, by_proxy().header("authorization", "Bearer canary")).await.unwrap();
    let asked = proxy.asked();
    assert!(asked[0].contains(&format!("\r\nproxy-authorization: Basic {}\r\n", "dXNAZXI6Y2FuYXJ5")), "{asked:?}");
    assert!(!asked[0].contains("\r\nauthorization"), "{asked:?}");

    let refusing = Server::answering("HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n");
    let url = format!("http://us%40er:canary@127.0.0.1:{}", refusing.port);
    let error = send_by(&through(&url).platform().unwrap(), by_proxy()).await.unwrap_err();
    assert!(!error.to_string().contains("canary") && !error.to_string().contains("dXNAZXI6"), "{error}");
    let text = log.text();
    assert!(text.contains("https://localhost:") && text.contains("407"), "{text}");
    for secret in ["canary", "dXNAZXI6", "Y2FuYXJ5", "us%40er", "us@er"] {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
}
