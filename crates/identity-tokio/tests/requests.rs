//! What leaves for the server, when it does not, and for how long it is waited for.

#![expect(
    clippy::disallowed_methods,
    reason = "the servers live on threads of their own, the child has an environment"
)]
#![expect(clippy::unwrap_used, reason = "a test ends when it is not so")]

mod support;

use std::{
    env,
    io::Read,
    net::{SocketAddr, TcpListener, TcpStream},
    process::Command,
    sync::mpsc::channel,
    time::{Duration, Instant},
};

use identity_core::http::{Method, Reach, Request, ServerTrust, TransportErrorKind};

use self::support::{Server, quick, read_request, send, wait_for_close, write};

const EMPTY: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

#[tokio::test]
async fn a_request_holds_what_it_states_and_little_more() {
    let (sender, receiver) = channel();
    let server = Server::new(move |mut stream| {
        sender.send(read_request(&mut stream)).unwrap();
        write(&mut stream, EMPTY.as_bytes());
    });
    let encoding = "accept-encoding: identity\r\n";
    let agent = format!("user-agent: identity-rust/{}\r\n{encoding}", env!("CARGO_PKG_VERSION"));
    let port = server.port;

    let get =
        Request::new(Method::Get, format!("http://localhost:{port}/a%2Fb?c=d&e")).header("x-identity-header", "s p");
    send(quick(get)).await.unwrap();
    let expected =
        format!("GET /a%2Fb?c=d&e HTTP/1.1\r\nhost: localhost:{port}\r\n{agent}x-identity-header: s p\r\n\r\n");
    assert_eq!(receiver.recv().unwrap(), expected);

    let mut post = Request::new(Method::Post, format!("http://127.0.0.1:{port}?x"));
    post = post.header("content-type", "application/x-www-form-urlencoded").header("user-agent", "mine");
    post.body = Some("a=b&c=d".into());
    send(quick(post)).await.unwrap();
    let expected = format!(
        "POST /?x HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nuser-agent: mine\r\n{encoding}content-type: application/x-www-form-urlencoded\r\ncontent-length: 7\r\n\r\na=b&c=d"
    );
    assert_eq!(receiver.recv().unwrap(), expected);

    for body in [None, Some("".into())] {
        let mut post = Request::new(Method::Post, server.url());
        post.body = body;
        send(quick(post)).await.unwrap();
        assert!(receiver.recv().unwrap().ends_with("\r\ncontent-length: 0\r\n\r\n"));
    }
}

#[tokio::test]
async fn a_server_is_found_over_ipv6() {
    let Ok(listener) = TcpListener::bind("[::1]:0") else {
        println!("skipped: this machine has no IPv6");
        return;
    };
    let port = listener.local_addr().unwrap().port();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let request = read_request(&mut stream);
        write(&mut stream, EMPTY.as_bytes());
        request
    });
    let mut request = quick(Request::new(Method::Get, format!("http://[::1]:{port}/")));
    request.reach = Reach::LocalOnly;
    send(request).await.unwrap();
    assert!(server.join().unwrap().contains(&format!("\r\nhost: [::1]:{port}\r\n")));
}

#[tokio::test]
async fn what_cannot_be_sent_is_refused_before_a_connection() {
    let server = Server::answering(EMPTY);
    let url = server.url();
    let pinned = |url: &str| {
        let mut request = Request::new(Method::Get, url);
        request.trust = ServerTrust::PinnedSha1([0; 20]);
        request
    };
    let mut rows = vec![
        (pinned(&url), "https"),
        (Request::new(Method::Get, format!("{url}#x")), "fragment"),
        (Request::new(Method::Get, url.replace("//", "//canary@")), "user name"),
        (Request::new(Method::Get, url.replace("http", "ftp")), "http://"),
        (Request::new(Method::Get, format!("{url}a\r\nx: y")), "control"),
        (Request::new(Method::Get, format!("{url}{}", "x".repeat(70_000))), "path"),
        (Request::new(Method::Get, url.clone()).header("no name", "canary"), "no name"),
        (Request::new(Method::Get, url.clone()).header("", "canary"), "header"),
    ];
    let https = Request::new(Method::Get, url.replace("http", "https"));
    if cfg!(not(feature = "tls")) {
        rows.push((https, "`tls`"));
        rows.push((pinned(&url.replace("http", "https")), "msi-service-fabric"));
    } else if cfg!(not(feature = "tls-native-roots")) {
        rows.push((https.clone(), "`tls-native-roots`"));
        rows.push((https, "`tls-webpki-roots`"));
    }
    for value in ["", "canary\r\nx: y", "canary\n", "canary\0", " canary", "can\tary", "c\u{e4}nary"] {
        rows.push((Request::new(Method::Get, url.clone()).header("x-identity-header", value), "x-identity-header"));
    }
    for (request, word) in rows {
        let shown = format!("{request:?}");
        let error = send(quick(request)).await.expect_err(&shown);
        assert_eq!(error.kind(), TransportErrorKind::Refused, "{shown}: {error}");
        assert!(error.to_string().contains(word) && !error.to_string().contains("canary"), "{shown}: {error}");
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn only_local_addresses_are_reached_by_what_is_meant_for_them() {
    let server = Server::answering(EMPTY);
    for (host, allowed) in [
        ("127.0.0.1", true),
        ("localhost", true),
        // A short form of an address is for the resolver to read; without one it is a name.
        ("127.1", cfg!(feature = "dns")),
        ("[::ffff:127.0.0.1]", true),
        ("0.0.0.0", false),
        ("203.0.113.7", false),
        ("[2001:db8::1]", false),
        ("[::]", false),
        ("0", false),
    ] {
        let mut request = quick(Request::new(Method::Get, format!("http://{host}:{}/", server.port)));
        request.reach = Reach::LocalOnly;
        let result = send(request).await;
        let kind = result.as_ref().err().map(|error| error.kind());
        assert_eq!(kind, if allowed { None } else { Some(TransportErrorKind::Refused) }, "{host}: {result:?}");
    }
    assert_eq!(server.connections(), if cfg!(feature = "dns") { 4 } else { 3 });
}

#[tokio::test]
async fn names_that_do_not_resolve_and_ports_without_a_server_are_told_apart() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    // Without `dns` a name is refused, and the message says what is missing.
    let (name, word) = match cfg!(feature = "dns") {
        true => (TransportErrorKind::Dns, "does not resolve"),
        false => (TransportErrorKind::Refused, "turn on the feature dns"),
    };
    for (url, kind, word) in [
        (format!("http://localhost:{closed}/"), TransportErrorKind::Connect, "refused"),
        ("http://no-such-host.invalid/".to_owned(), name, word),
        ("http://1.2.3.4.5/".to_owned(), name, word),
        (format!("http://{}/", "a".repeat(300)), name, word),
    ] {
        let error = send(quick(Request::new(Method::Get, url.clone()))).await.expect_err(&url);
        assert_eq!(error.kind(), kind, "{url}: {error}");
        assert!(error.to_string().contains(word), "{url}: {error}");
    }
}

/// Sends with little patience, and says what came of it, and that it came in time.
async fn hurried(mut request: Request, connect: u64, all: u64) -> (TransportErrorKind, String) {
    request.connect_timeout = Duration::from_millis(connect);
    request.timeout = Duration::from_millis(all);
    let (start, limit) = (Instant::now(), connect.min(all).max(200));
    let error = send(request).await.unwrap_err();
    assert!(start.elapsed() >= Duration::from_millis(limit) && start.elapsed() < Duration::from_millis(limit + 2000));
    (error.kind(), error.to_string())
}

#[tokio::test]
async fn a_server_that_never_answers_is_waited_for_until_the_deadline() {
    let (kind, text) = hurried(Server::holding("").get(), 200, 200).await;
    assert_eq!((kind, &*text), (TransportErrorKind::Timeout, "no answer began within 200 ms"));
    let (kind, _) = hurried(Server::holding("HTTP/1.1 200 OK\r\nx: ").get(), 200, 200).await;
    assert_eq!(kind, TransportErrorKind::Timeout);
    // Answers that are none do not extend it.
    let server = Server::new(|mut stream| {
        // What comes before the request is no answer to it.
        read_request(&mut stream);
        while write(&mut stream, b"HTTP/1.1 100 Continue\r\n\r\n") > 0 {}
    });
    assert_eq!(hurried(server.get(), 200, 200).await.0, TransportErrorKind::Timeout);
}

#[tokio::test]
async fn a_dripping_body_is_waited_for_until_the_deadline() {
    for head in ["HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n", "HTTP/1.1 500 No\r\n\r\n"] {
        let server = Server::new(move |mut stream| {
            read_request(&mut stream);
            write(&mut stream, head.as_bytes());
            while write(&mut stream, b"x") > 0 {
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        let (kind, text) = hurried(server.get(), 300, 300).await;
        assert_eq!((kind, &*text), (TransportErrorKind::Timeout, "the answer began but did not end within 300 ms"));
    }
}

/// An address whose queue is full, so that the system lets further connections wait; whoever holds it keeps it so.
async fn black_hole() -> (SocketAddr, Vec<TcpStream>, tokio::net::TcpListener) {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let connect = || TcpStream::connect_timeout(&address, Duration::from_millis(100)).ok();
    (address, std::iter::from_fn(connect).collect(), listener)
}

#[tokio::test]
async fn a_black_hole_is_waited_for_until_the_connect_deadline() {
    let (address, _streams, _listener) = black_hole().await;
    for (connect, all) in [(200, 5000), (5000, 200)] {
        let (kind, text) = hurried(Request::new(Method::Get, format!("http://{address}/")), connect, all).await;
        assert_eq!((kind, &*text), (TransportErrorKind::ConnectTimeout, "no connection within 200 ms"));
    }
}

#[tokio::test]
async fn a_request_that_is_dropped_closes_its_connection() {
    for answer in ["", "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nx"] {
        let (sender, receiver) = channel();
        let (asked, seen) = channel();
        let server = Server::new(move |mut stream| {
            read_request(&mut stream);
            write(&mut stream, answer.as_bytes());
            asked.send(()).unwrap();
            sender.send(wait_for_close(&mut stream)).unwrap();
        });
        let work = tokio::spawn(send(server.get()));
        tokio::task::spawn_blocking(move || seen.recv().unwrap()).await.unwrap();
        work.abort();
        assert!(work.await.unwrap_err().is_cancelled());
        assert!(receiver.recv().unwrap() < Duration::from_secs(1));
    }
}

#[test]
fn one_platform_serves_several_runtimes_one_after_the_other_and_at_once() {
    let server = Server::answering(EMPTY);
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for _ in 0..2 {
        // Dropped after use; what it left behind must not be needed by the next one.
        runtime().block_on(send(server.get())).unwrap();
    }
    let (url, other) = (server.url(), server.url());
    let get = |url: String| runtime().block_on(send(quick(Request::new(Method::Get, url)))).unwrap().status();
    std::thread::scope(|scope| {
        let threads = [scope.spawn(|| get(url)), scope.spawn(|| get(other))];
        assert_eq!(threads.map(|thread| thread.join().unwrap()), [200, 200]);
    });
    let platform = identity_tokio::platform();
    assert!(std::sync::Arc::ptr_eq(platform.gates(), identity_tokio::platform().gates()));
}

const CHILD_TARGET: &str = "IDENTITY_TOKIO_TEST_TARGET";

/// Not a test by itself: what the next one runs in a process with other variables.
#[tokio::test]
async fn child_sends_one_request() {
    if let Ok(url) = env::var(CHILD_TARGET) {
        assert_eq!(send(quick(Request::new(Method::Get, url))).await.unwrap().status(), 200);
    }
}

#[test]
fn no_proxy_of_the_environment_sees_a_byte() {
    let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
    proxy.set_nonblocking(true).unwrap();
    let server = Server::answering(EMPTY);
    let mut child = Command::new(env::current_exe().unwrap());
    child
        .args(["--exact", "child_sends_one_request"])
        .env(CHILD_TARGET, server.url().replace("127.0.0.1", "localhost"));
    for name in
        ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "FTP_PROXY", "SOCKS_PROXY", "REQUEST_METHOD", "CGI_HTTP_PROXY"]
    {
        for name in [name.to_owned(), name.to_lowercase()] {
            child.env(name, format!("http://{}", proxy.local_addr().unwrap()));
        }
    }
    child.env_remove("NO_PROXY").env_remove("no_proxy");
    let output = child.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert_eq!(server.connections(), 1, "the child has sent its request");
    match proxy.accept() {
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock),
        Ok((mut stream, _)) => {
            let mut bytes = String::new();
            let _ = stream.read_to_string(&mut bytes);
            panic!("the proxy was asked: {bytes}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_mixed_requests_get_their_own_answers() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    if stream.read_buf(&mut head).await.unwrap_or(0) == 0 {
                        return; // a request that was dropped
                    }
                }
                let head = String::from_utf8(head).unwrap();
                let who = head.lines().find_map(|line| line.strip_prefix("x-identity-header: ")).unwrap();
                let body = who.repeat(if who.ends_with('7') { 2000 } else { 1 });
                let status = if who.ends_with('3') { "400 No" } else { "200 OK" };
                let answer =
                    format!("HTTP/1.1 {status}\r\nx-for: {who}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
                let _ = stream.write_all(answer.as_bytes()).await;
            });
        }
    });
    let callers = (0..50).map(|caller| {
        let url = url.clone();
        tokio::spawn(async move {
            for number in 0..200 {
                let who = format!("identity-{caller}-{number}");
                let request = quick(Request::new(Method::Get, url.clone())).header("x-identity-header", who.clone());
                if number % 10 == 9 {
                    // Given up on at some point.
                    let _ = tokio::time::timeout(Duration::from_micros(number * 5), send(request)).await;
                    continue;
                }
                let answer = send(request).await.unwrap();
                assert_eq!(answer.status(), if number % 10 == 3 { 400 } else { 200 });
                assert_eq!(answer.header("x-for"), Some(&*who));
                assert_eq!(answer.body(), who.repeat(if number % 10 == 7 { 2000 } else { 1 }).as_bytes());
            }
        })
    });
    for caller in callers.collect::<Vec<_>>() {
        caller.await.unwrap();
    }
}
