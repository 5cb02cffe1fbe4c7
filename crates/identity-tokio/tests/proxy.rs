//! `https` through a proxy, and what a proxy can do to it.

#![expect(
    clippy::disallowed_methods,
    reason = "servers and proxies live on threads of their own, a child has variables"
)]
#![expect(clippy::unwrap_used, reason = "a test ends when it is not so")]

mod support;

use std::{
    env,
    io::Read as _,
    process::Command,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use identity_core::{
    ErrorKind, Platform,
    http::{Method, Proxy, Reach, Request, TransportErrorKind},
};
use identity_tokio::{Roots, TransportOptions};

use self::support::{
    Server,
    proxy::{Tunnels, tunnels_over_tls},
    read_request,
    tls::{Authority, TlsServer, send_by},
    wait_for_close, write,
};

fn through(authority: &Authority, proxy: &str) -> Platform {
    let options = TransportOptions::new().roots(Roots::None).ca_pem(authority.pem());
    options.proxy(proxy).proxy_exceptions("direct.localhost,127.0.0.1").platform().unwrap()
}

fn by_proxy(server: &TlsServer) -> Request {
    let mut request = server.get();
    request.proxy = Proxy::Configured;
    request
}

fn https(authority: &Authority) -> TlsServer {
    TlsServer::plain(authority.sign(&["localhost", "127.0.0.1", "only.the.proxy.knows"], |_| {}).config())
}

#[tokio::test]
async fn a_tunnel_is_asked_for_once_and_kept() {
    let authority = Authority::new("ours");
    let (server, proxy) = (https(&authority), Tunnels::new());
    let platform = through(&authority, &format!("http://127.0.0.1:{}", proxy.server.port));
    for _ in 0..3 {
        let request = by_proxy(&server).header("authorization", "canary");
        assert_eq!(send_by(&platform, request).await.unwrap().status(), 200);
    }
    let target = format!("localhost:{}", server.server.port);
    let agent = format!("identity-rust/{}", env!("CARGO_PKG_VERSION"));
    let expected = format!("CONNECT {target} HTTP/1.1\r\nhost: {target}\r\nuser-agent: {agent}\r\n\r\n");
    assert_eq!(proxy.asked(), [expected]);
    assert_eq!((server.handshakes(), server.requests()), (1, 3));

    // A name that only the proxy can resolve.
    let mut request = by_proxy(&server);
    request.url = request.url.replace("localhost", "only.the.proxy.knows");
    send_by(&platform, request).await.unwrap();
    assert_eq!(proxy.asked().len(), 2);
}

#[tokio::test]
async fn a_proxy_is_not_asked_for_exceptions_local_requests_http_and_who_wants_none() {
    let authority = Authority::new("ours");
    let (server, proxy) = (https(&authority), Tunnels::new());
    let platform = through(&authority, &format!("http://127.0.0.1:{}", proxy.server.port));
    let plain = Server::answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    let (mut never, mut local, mut exception, mut http) =
        (by_proxy(&server), by_proxy(&server), by_proxy(&server), plain.get());
    never.proxy = Proxy::Never;
    local.reach = Reach::LocalOnly;
    exception.url = exception.url.replace("localhost", "127.0.0.1");
    http.proxy = Proxy::Configured;
    for request in [never, local, exception, http] {
        send_by(&platform, request).await.unwrap();
    }
    assert_eq!((proxy.server.connections(), plain.connections(), server.requests()), (0, 1, 3));
    // The connections that were kept are not used by one who wants the proxy.
    send_by(&platform, by_proxy(&server)).await.unwrap();
    assert_eq!((proxy.asked().len(), server.handshakes()), (1, 4));
    // Nor the other way around.
    send_by(&platform, server.get()).await.unwrap();
    assert_eq!((proxy.asked().len(), server.handshakes()), (1, 4));
}

#[tokio::test]
async fn a_proxy_may_itself_speak_tls() {
    let authority = Authority::new("ours");
    let server = https(&authority);
    let (proxy, asked) = tunnels_over_tls(&authority, server.server.port);
    let url = format!("https://user:pass@localhost:{}", proxy.server.port);
    let platform = through(&authority, &url);
    for _ in 0..2 {
        assert_eq!(send_by(&platform, by_proxy(&server)).await.unwrap().status(), 200);
    }
    assert_eq!(asked.lock().unwrap().len(), 1);
    assert!(asked.lock().unwrap()[0].contains("\r\nproxy-authorization: Basic dXNlcjpwYXNz\r\n"));

    // One that is not trusted learns nothing.
    let stranger = TlsServer::plain(Authority::new("theirs").sign(&["localhost"], |_| {}).config());
    let platform = through(&authority, &format!("https://user:canary@localhost:{}", stranger.server.port));
    let error = send_by(&platform, by_proxy(&server)).await.unwrap_err();
    assert_eq!((error.kind(), stranger.requests()), (TransportErrorKind::Tls, 0), "{error}");
    assert!(error.to_string().contains("the proxy https://localhost:"), "{error}");
}

#[tokio::test]
async fn proxies_that_refuse_or_break_are_told_apart() {
    let authority = Authority::new("ours");
    let server = https(&authority);
    let long = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "x".repeat(20_000));
    let waits = "HTTP/1.1 100 Continue\r\n\r\n".repeat(1000);
    for (answer, kind, word) in [
        ("HTTP/1.1 407 No\r\n\r\n", TransportErrorKind::Refused, "user name and password"),
        ("HTTP/1.0 401 No\r\n\r\n", TransportErrorKind::Refused, "user name and password"),
        ("HTTP/1.1 403 Forbidden\r\n\r\n", TransportErrorKind::Refused, "HTTP 403"),
        ("HTTP/1.1 405 No\r\n\r\n", TransportErrorKind::Refused, "HTTP 405"),
        ("HTTP/1.1 302 Login\r\nlocation: http://login/\r\n\r\n", TransportErrorKind::Refused, "HTTP 302"),
        ("HTTP/1.1 429 No\r\n\r\n", TransportErrorKind::Connect, "HTTP 429"),
        ("HTTP/1.0 502 Bad Gateway\r\ncontent-length: 5\r\n\r\nsorry", TransportErrorKind::Connect, "HTTP 502"),
        ("HTTP/1.1 504 No\r\n\r\n", TransportErrorKind::Connect, "HTTP 504"),
        // Garbage in place of the server's TLS, in another packet, in the same.
        ("HTTP/1.1 200 OK\r\n\r\n|garbage garbage garbage", TransportErrorKind::Tls, "TLS handshake"),
        ("HTTP/1.1 200 OK\r\n\r\ngarbage", TransportErrorKind::Tls, "before the TLS handshake"),
        ("HTTP/1.1 200 OK\r\n\r\njunk junk\r\n\r\n", TransportErrorKind::Tls, "before the TLS handshake"),
        ("HTTP/1.1 200 OK\n\njunk", TransportErrorKind::Tls, "before the TLS handshake"),
        ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\nx", TransportErrorKind::Tls, "before the TLS handshake"),
        ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 407 No\r\n\r\n", TransportErrorKind::Refused, "user name and password"),
        ("HTTP/1.1 101 Switching Protocols\r\n\r\n", TransportErrorKind::Refused, "HTTP 101"),
        ("HTTP/1.1 100 Continue\r\n\r\n", TransportErrorKind::Connect, "closed"),
        ("HTTP/1.1 100 Continue\r\n\r\nSSH", TransportErrorKind::Malformed, "not HTTP"),
        (&waits, TransportErrorKind::Malformed, "too long"),
        ("HTTP/1.0 502 Bad Gateway\n\n", TransportErrorKind::Connect, "HTTP 502"),
        ("HTTP/1.1 200 OK\r\n\r\n|", TransportErrorKind::Connect, "cut short"),
        ("", TransportErrorKind::Connect, "closed"),
        ("HTTP/1.1 200 OK\r\nx: y", TransportErrorKind::Connect, "closed"),
        ("HTTP/1.1 20x OK\r\n\r\n", TransportErrorKind::Malformed, "not HTTP"),
        ("HTTP/1.1 2000 OK\r\n\r\n", TransportErrorKind::Malformed, "not HTTP"),
        ("HTTP/1.1 099 OK\r\n\r\n", TransportErrorKind::Malformed, "not HTTP"),
        ("HTTP/1.1  200 OK\r\n\r\n", TransportErrorKind::Malformed, "not HTTP"),
        ("HTTP/1.1 200\tOK\r\n\r\n", TransportErrorKind::Malformed, "not HTTP"),
        ("\r\nHTTP/1.1 200 OK\r\n\r\n", TransportErrorKind::Malformed, "not HTTP"),
        ("HTTP/2.0 200 OK\r\n\r\n", TransportErrorKind::Malformed, "not HTTP"),
        ("SSH-2.0-OpenSSH_9.6\r\n", TransportErrorKind::Malformed, "not HTTP"),
        (&long, TransportErrorKind::Malformed, "too long"),
    ] {
        let parts: Vec<_> = answer.split('|').map(|part| part.as_bytes().to_vec()).collect();
        let proxy = Server::new(move |mut stream| {
            read_request(&mut stream);
            for (number, part) in parts.iter().enumerate() {
                if number > 0 {
                    // The client's first words of TLS.
                    stream.read_exact(&mut [0; 16]).unwrap();
                }
                write(&mut stream, part);
            }
            support::finish(&stream);
        });
        let platform = through(&authority, &format!("http://user:canary@127.0.0.1:{}", proxy.port));
        let shown = answer.get(..60).unwrap_or(answer);
        let error = send_by(&platform, by_proxy(&server)).await.expect_err(shown);
        assert_eq!(error.kind(), kind, "{shown}: {error}");
        let text = error.to_string();
        assert!(text.contains(word) && !text.contains("canary"), "{shown}: {text}");
        assert_eq!(proxy.connections(), 1, "{shown}");
    }
    assert_eq!(server.server.connections(), 0);
}

#[tokio::test]
async fn a_proxy_may_ask_for_patience_and_end_lines_as_it_likes() {
    let authority = Authority::new("ours");
    let server = https(&authority);
    for answer in [
        "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.0 200 OK\n\n",
        "HTTP/1.1 200 OK\nx: y\n\r\n",
        "HTTP/1.1 200\r\n\r\n",
        "HTTP/1.1 299 \r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\n|HTTP/1.1 102 Processing\nx: y\n\n|HTTP/1.1 200 O|K\r\n\r|\n",
    ] {
        let proxy = Tunnels::answering(answer);
        let platform = through(&authority, &format!("http://127.0.0.1:{}", proxy.server.port));
        let answered = send_by(&platform, by_proxy(&server)).await;
        assert_eq!(answered.unwrap_or_else(|error| panic!("{answer:?}: {error}")).status(), 200);
    }
}

#[tokio::test]
async fn an_address_of_version_6_has_brackets_for_the_proxy() {
    let authority = Authority::new("ours");
    let asked = Arc::new(Mutex::new(String::new()));
    let seen = Arc::clone(&asked);
    let proxy = Server::new(move |mut stream| {
        *seen.lock().unwrap() = read_request(&mut stream);
        write(&mut stream, b"HTTP/1.1 502 No\r\n\r\n");
        support::finish(&stream);
    });
    let platform = through(&authority, &format!("http://localhost:{}", proxy.port));
    for (url, place) in [("https://[2001:db8::1]/", "[2001:db8::1]:443"), ("https://[::2]:8443/", "[::2]:8443")] {
        let mut request = support::quick(Request::new(Method::Get, url));
        request.proxy = Proxy::Configured;
        assert_eq!(send_by(&platform, request).await.unwrap_err().kind(), TransportErrorKind::Connect);
        let asked = asked.lock().unwrap();
        assert!(asked.starts_with(&format!("CONNECT {place} HTTP/1.1\r\nhost: {place}\r\n")), "{asked}");
    }
}

#[tokio::test]
async fn a_proxy_that_speaks_plain_http_is_not_spoken_to_in_tls_and_told() {
    let authority = Authority::new("ours");
    let server = https(&authority);
    let proxy = Server::new(|mut stream| {
        stream.read_exact(&mut [0; 16]).unwrap();
        write(&mut stream, b"HTTP/1.1 400 Bad Request\r\n\r\n");
        support::finish(&stream);
    });
    let platform = through(&authority, &format!("https://user:canary@localhost:{}", proxy.port));
    let error = send_by(&platform, by_proxy(&server)).await.unwrap_err();
    let text = error.to_string();
    assert_eq!(error.kind(), TransportErrorKind::Tls, "{text}");
    assert!(text.starts_with("the proxy https://localhost:") && text.ends_with("write http://"), "{text}");
    assert!(!text.contains("canary"), "{text}");
}

#[tokio::test]
async fn a_proxy_that_is_not_there_is_named() {
    let authority = Authority::new("ours");
    let server = https(&authority);
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (url, kind) in [
        (format!("http://user:canary@{closed}"), TransportErrorKind::Connect),
        ("http://user:canary@proxy.invalid:3128".to_owned(), TransportErrorKind::Dns),
    ] {
        let error = send_by(&through(&authority, &url), by_proxy(&server)).await.unwrap_err();
        let origin = url.replace("user:canary@", "");
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().starts_with(&format!("the proxy {origin}: ")), "{error}");
    }
}

#[tokio::test]
async fn a_proxy_that_stalls_counts_as_connecting() {
    let authority = Authority::new("ours");
    let server = https(&authority);
    for answer in ["", "HTTP/1.1 200", "HTTP/1.1 200 OK\r\n\r\n"] {
        let proxy = Server::new(move |mut stream| {
            read_request(&mut stream);
            write(&mut stream, answer.as_bytes());
            wait_for_close(&mut stream);
        });
        let platform = through(&authority, &format!("http://user:canary@127.0.0.1:{}", proxy.port));
        for (connect, all) in [(200, 5000), (5000, 200)] {
            let mut request = by_proxy(&server);
            (request.connect_timeout, request.timeout) = (Duration::from_millis(connect), Duration::from_millis(all));
            let start = Instant::now();
            let error = send_by(&platform, request).await.unwrap_err();
            assert_eq!(error.kind(), TransportErrorKind::ConnectTimeout, "{error}");
            let text = format!("no connection through the proxy http://127.0.0.1:{} within 200 ms", proxy.port);
            assert_eq!(error.to_string(), text);
            assert!(start.elapsed() < Duration::from_millis(1500));
        }
    }
}

#[test]
fn a_proxy_that_cannot_be_used_is_told_when_the_platform_is_made() {
    for (url, word) in [
        ("socks5://user:canary@proxy", "SOCKS"),
        ("http://proxy/canary", "path"),
        ("ftp://proxy", "http"),
        ("http://user:can/ary@proxy", "%2F"),
        ("http://proxy.example:3128/@localhost:canary", "@"),
    ] {
        let error = TransportOptions::new().proxy(url).platform().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        assert!(error.to_string().contains(word) && !error.to_string().contains("canary"), "{error}");
    }
}

const CHILD_TARGET: &str = "IDENTITY_TOKIO_TEST_TARGET";
const CHILD_CA: &str = "IDENTITY_TOKIO_TEST_CA";
const CHILD_PROXY: &str = "IDENTITY_TESTS_PROXY";
const CHILD_EXCEPTIONS: &str = "IDENTITY_TOKIO_TEST_EXCEPTIONS";

/// Not a test by itself: what the next one runs in a process with other variables.
#[tokio::test]
async fn child_sends_by_the_environments_proxy() {
    let (Ok(url), Ok(pem)) = (env::var(CHILD_TARGET), env::var(CHILD_CA)) else { return };
    let mut options = TransportOptions::new().roots(Roots::None).ca_pem(pem);
    if let Ok(list) = env::var(CHILD_EXCEPTIONS) {
        options = options.proxy_exceptions(list);
    }
    // What is told of it is what is done, and has no password.
    let told = options.proxy_for("localhost").unwrap();
    assert_eq!(told, env::var(CHILD_PROXY).ok());
    let platform = options.platform().unwrap();
    let mut request = support::quick(Request::new(Method::Get, url));
    request.proxy = Proxy::Configured;
    assert_eq!(send_by(&platform, request).await.unwrap().status(), 200);
}

#[test]
fn the_environments_proxy_is_used_unless_it_says_otherwise() {
    let authority = Authority::new("ours");
    let server = https(&authority);
    for (name, value, exceptions, set, used) in [
        ("HTTPS_PROXY", "http://{}", "", None, 1),
        ("https_proxy", "{}", "other.example", None, 1),
        ("ALL_PROXY", "http://user:pass@{}/", "", None, 1),
        ("all_proxy", "http://{}", "localhost", None, 0),
        ("HTTPS_PROXY", "http://{}", "*", None, 0),
        ("HTTP_PROXY", "http://{}", "", None, 0),
        // The exceptions of a program come on top.
        ("HTTPS_PROXY", "http://{}", "", Some("localhost"), 0),
        ("HTTPS_PROXY", "http://{}", "other.example", Some("*"), 0),
        ("HTTPS_PROXY", "http://{}", "localhost", Some("other.example"), 0),
        ("HTTPS_PROXY", "http://{}", "other.example", Some("another.example"), 1),
        ("HTTPS_PROXY", "socks5://{}", "", Some("localhost"), 0),
    ] {
        let proxy = Tunnels::new();
        let mut child = Command::new(env::current_exe().unwrap());
        child.args(["--exact", "child_sends_by_the_environments_proxy"]);
        for name in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "no_proxy"] {
            child.env_remove(name);
        }
        if let Some(list) = set {
            child.env(CHILD_EXCEPTIONS, list);
        }
        if used == 1 {
            child.env(CHILD_PROXY, format!("http://127.0.0.1:{}", proxy.server.port));
        }
        child.env(CHILD_TARGET, server.url()).env(CHILD_CA, authority.pem()).env("NO_PROXY", exceptions);
        let output =
            child.env(name, value.replace("{}", &format!("127.0.0.1:{}", proxy.server.port))).output().unwrap();
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stdout));
        assert_eq!(proxy.server.connections(), used, "{name} {exceptions} {set:?}");
    }
    assert_eq!(server.requests(), 11);
}
