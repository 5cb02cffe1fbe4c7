//! Connections that are kept for the next request, and those that are not.

#![expect(clippy::disallowed_methods, reason = "the servers live on threads of their own")]
#![expect(clippy::unwrap_used, reason = "a test ends when it is not so")]

mod support;

use std::{
    io::Write as _,
    net::Shutdown,
    sync::{Arc, Mutex, mpsc::channel},
    time::Duration,
};

use identity_core::{
    Platform,
    http::{Method, Request, ServerTrust, TransportErrorKind},
};
use identity_tokio::{Roots, TransportOptions};
use rustls::HandshakeKind;

use self::support::{
    quick, read_request,
    tls::{Authority, OK, TlsServer, drain, send_by},
};

fn world(answer: impl Fn(usize, &str) -> Option<Vec<u8>> + Send + Sync + 'static) -> (TlsServer, Platform) {
    let authority = Authority::new("ours");
    let config = authority.sign(&["localhost", "127.0.0.1"], |_| {}).config();
    (TlsServer::answering(config, answer), authority.platform())
}

fn ok(_: usize, _: &str) -> Option<Vec<u8>> {
    Some(OK.as_bytes().to_vec())
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

#[tokio::test]
async fn a_connection_is_kept_whatever_the_form_and_status_of_a_whole_answer() {
    for (method, answer) in [
        (Method::Get, OK),
        (Method::Post, OK),
        (Method::Get, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n"),
        (Method::Get, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nx: y\r\n\r\n"),
        (Method::Post, "HTTP/1.1 400 No\r\ncontent-length: 2\r\n\r\n{}"),
        (Method::Post, "HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n"),
        (Method::Get, "HTTP/1.1 302 No\r\nlocation: /x\r\ncontent-length: 0\r\n\r\n"),
        (Method::Get, "HTTP/1.1 204 No\r\n\r\n"),
        (Method::Get, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"),
        (Method::Get, "HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 0\r\n\r\n"),
    ] {
        let (server, platform) = world(move |_, _| Some(answer.as_bytes().to_vec()));
        for _ in 0..3 {
            let mut request = quick(Request::new(method, server.url()));
            request.body = (method == Method::Post).then(|| "a=b".into());
            send_by(&platform, request).await.unwrap();
        }
        assert_eq!((server.handshakes(), server.requests()), (1, 3), "{answer}");
    }
}

#[tokio::test]
async fn a_connection_is_not_kept_when_its_end_is_announced_or_unsure() {
    let page = format!("HTTP/1.1 500 No\r\ncontent-length: 300000\r\n\r\n{}", "x".repeat(300_000));
    for answer in [
        "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nConnection: x, Close\r\ncontent-length: 2\r\n\r\n{}",
        "HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\n{}",
        // Another answer that nobody has asked for.
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\ncanary",
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}x",
        // Cut at the limit.
        &page,
    ] {
        let answer = answer.to_owned();
        let shown = answer.get(..90).unwrap_or(&answer).to_owned();
        let (server, platform) = world(move |_, _| Some(answer.clone().into_bytes()));
        for _ in 0..3 {
            let answer = send_by(&platform, server.get()).await.unwrap();
            assert!(!answer.body().ends_with(b"canary"), "{shown}");
        }
        assert_eq!((server.handshakes(), server.requests()), (3, 3), "{shown}");
    }
}

/// A server that answers one request per connection and then closes it, in this way, when it is told to; the second
/// function tells it, and returns when it has.
fn closing(authority: &Authority, how: How) -> (TlsServer, impl Fn()) {
    let (close, may_close) = channel();
    let (closed, was_closed) = channel();
    let (may_close, closed) = (Mutex::new(may_close), Mutex::new(closed));
    let server = TlsServer::new(authority.sign(&["localhost"], |_| {}).config(), move |mut tls| {
        if read_request(&mut tls).is_empty() {
            return;
        }
        tls.write_all(OK.as_bytes()).unwrap();
        may_close.lock().unwrap().recv().unwrap();
        if how != How::Cut {
            tls.conn.send_close_notify();
            tls.flush().unwrap();
        }
        tls.sock.shutdown(if how == How::Half { Shutdown::Write } else { Shutdown::Both }).unwrap();
        closed.lock().unwrap().send(()).unwrap();
        drain(&mut tls);
    });
    (server, move || {
        close.send(()).unwrap();
        was_closed.recv().unwrap();
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    Clean,
    /// In one direction only.
    Half,
    /// Without an end of TLS.
    Cut,
}

#[tokio::test]
async fn a_server_that_closes_idle_connections_is_not_noticed() {
    for how in [How::Clean, How::Half, How::Cut] {
        let authority = Authority::new("ours");
        let (server, close) = closing(&authority, how);
        let platform = authority.platform();
        for _ in 0..20 {
            let mut request = quick(Request::new(Method::Post, server.url()));
            request.body = Some("secret=canary".into());
            send_by(&platform, request).await.unwrap();
            // Nothing is polled meanwhile: the next request is the first to look.
            close();
        }
        assert_eq!(server.handshakes(), 20, "{how:?}");
    }
}

#[test]
fn what_arrived_while_no_runtime_ran_is_seen() {
    let runtimes =
        [runtime(), tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()];
    for (runtime, threads) in runtimes.into_iter().zip([false, true]) {
        let authority = Authority::new("ours");
        let (server, close) = closing(&authority, How::Clean);
        let platform = authority.platform();
        for _ in 0..20 {
            runtime.block_on(send_by(&platform, server.get())).unwrap();
            close();
            // The threads of a runtime that has some see it by themselves, as soon as they get to run.
            std::thread::sleep(Duration::from_millis(if threads { 20 } else { 0 }));
        }
        assert_eq!(server.handshakes(), 20);
    }
}

#[tokio::test]
async fn a_request_that_was_written_is_not_sent_twice() {
    // The second request of each connection is read and then dropped: whether it was carried out, nobody can say.
    let (server, platform) = world(|number, _| (number == 0).then(|| OK.as_bytes().to_vec()));
    send_by(&platform, server.get()).await.unwrap();
    let error = send_by(&platform, server.get()).await.unwrap_err();
    assert_eq!(error.kind(), TransportErrorKind::Closed, "{error}");
    assert_eq!((server.handshakes(), server.requests()), (1, 2));
    send_by(&platform, server.get()).await.unwrap();
    assert_eq!((server.handshakes(), server.requests()), (2, 3));
}

#[tokio::test]
async fn a_request_that_is_dropped_takes_its_connection_with_it() {
    let (asked, was_asked) = channel();
    let asked = Mutex::new(asked);
    let (server, platform) = world(move |number, _| {
        if number == 1 {
            asked.lock().unwrap().send(()).unwrap();
            std::thread::sleep(Duration::from_millis(300));
        }
        Some(format!("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n{number}").into_bytes())
    });
    assert_eq!(send_by(&platform, server.get()).await.unwrap().body(), b"0");
    let (other, request) = (platform.clone(), server.get());
    let work = tokio::spawn(async move { send_by(&other, request).await });
    tokio::task::spawn_blocking(move || was_asked.recv().unwrap()).await.unwrap();
    work.abort();
    assert!(work.await.unwrap_err().is_cancelled());
    assert_eq!(send_by(&platform, server.get()).await.unwrap().body(), b"0");
    assert_eq!(server.handshakes(), 2);
}

#[tokio::test]
async fn a_connection_that_ran_out_of_time_is_not_kept() {
    let (server, platform) = world(|number, _| {
        if number == 1 {
            std::thread::sleep(Duration::from_millis(500));
        }
        Some(format!("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n{number}").into_bytes())
    });
    send_by(&platform, server.get()).await.unwrap();
    let mut hurried = server.get();
    hurried.timeout = Duration::from_millis(100);
    let error = send_by(&platform, hurried).await.unwrap_err();
    assert_eq!(error.kind(), TransportErrorKind::Timeout, "{error}");
    assert_eq!(send_by(&platform, server.get()).await.unwrap().body(), b"0");
}

#[tokio::test]
async fn connections_that_have_died_silently_cost_one_attempt_and_not_one_each() {
    let barrier = std::sync::Barrier::new(3);
    let authority = Authority::new("ours");
    let (hang, may_go) = channel::<()>();
    let may_go = Mutex::new(may_go);
    let server = TlsServer::answering(authority.sign(&["localhost"], |_| {}).config(), move |number, request| {
        match (number, request.contains("GET /together")) {
            (0, true) => drop(barrier.wait()),
            (0, false) => {}
            // From now on nothing comes back on this connection.
            _ => drop(may_go.lock().unwrap().recv()),
        }
        ok(0, "")
    });
    let platform = authority.platform();
    let together = || {
        let mut request = server.get();
        request.url += "together";
        send_by(&platform, request)
    };
    let (one, two, three) = tokio::join!(together(), together(), together());
    assert!(one.is_ok() && two.is_ok() && three.is_ok());
    let mut request = server.get();
    request.timeout = Duration::from_millis(300);
    assert_eq!(send_by(&platform, request.clone()).await.unwrap_err().kind(), TransportErrorKind::Timeout);
    send_by(&platform, request).await.unwrap();
    assert_eq!(server.handshakes(), 4);
    drop(hang);
}

#[test]
fn a_connection_stays_with_its_runtime() {
    let (server, platform) = world(ok);
    let (one, two) = (runtime(), runtime());
    for round in 1..=3 {
        one.block_on(send_by(&platform, server.get())).unwrap();
        two.block_on(send_by(&platform, server.get())).unwrap();
        assert_eq!((server.handshakes(), server.requests()), (2, 2 * round));
    }
    drop(one);
    two.block_on(send_by(&platform, server.get())).unwrap();
    assert_eq!(server.handshakes(), 2);
    runtime().block_on(send_by(&platform, server.get())).unwrap();
    assert_eq!(server.handshakes(), 3);
}

#[test]
fn many_runtimes_at_once_share_a_platform_and_no_connection() {
    let (server, platform) = world(ok);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                runtime().block_on(async {
                    for _ in 0..50 {
                        send_by(&platform, server.get()).await.unwrap();
                    }
                });
            });
        }
    });
    assert_eq!((server.handshakes(), server.requests()), (8, 400));
}

#[test]
fn connections_of_runtimes_that_are_gone_make_room() {
    let (server, platform) = world(ok);
    for _ in 0..64 {
        runtime().block_on(send_by(&platform, server.get())).unwrap();
    }
    let one = runtime();
    for _ in 0..20 {
        one.block_on(send_by(&platform, server.get())).unwrap();
    }
    assert_eq!((server.handshakes(), server.requests()), (65, 84));
}

#[tokio::test]
async fn connections_of_trust_that_nobody_asks_for_make_room() {
    let authority = Authority::new("ours");
    let server = TlsServer::plain(authority.sign(&["localhost"], |_| {}).config());
    let platform = authority.platform();
    for number in 0..64 {
        let mut request = server.get();
        request.trust = ServerTrust::OnlyRoots(format!("# {number}\n{}", authority.pem()).into());
        send_by(&platform, request).await.unwrap();
    }
    for _ in 0..20 {
        send_by(&platform, server.get()).await.unwrap();
    }
    assert_eq!((server.handshakes(), server.requests()), (65, 84));
}

#[tokio::test]
async fn an_answer_that_began_and_broke_says_nothing_of_the_other_connections() {
    let barrier = std::sync::Barrier::new(4);
    let (server, platform) = world(move |_, request| {
        if request.contains("GET /together") {
            barrier.wait();
        }
        let answer =
            if request.contains("GET /large") { "HTTP/1.1 200 OK\r\ncontent-length: 999999999\r\n\r\n" } else { OK };
        Some(answer.as_bytes().to_vec())
    });
    let get = |path: &str| {
        let mut request = server.get();
        request.url += path;
        send_by(&platform, request)
    };
    let together = async || {
        let (one, two, three, four) = tokio::join!(get("together"), get("together"), get("together"), get("together"));
        assert!(one.is_ok() && two.is_ok() && three.is_ok() && four.is_ok());
        server.handshakes()
    };
    assert_eq!(together().await, 4);
    assert_eq!(get("large").await.unwrap_err().kind(), TransportErrorKind::TooLarge);
    // The one that it came on is gone.
    assert_eq!(together().await, 5);
}

#[tokio::test]
async fn other_trust_other_names_and_other_platforms_have_their_own_connections() {
    let authority = Authority::new("ours");
    let server = TlsServer::plain(authority.sign(&["localhost", "127.0.0.1", "alias.example"], |_| {}).config());
    let platform = authority.platform();
    let variants: [fn(&mut Request, &str); 5] = [
        |_, _| {},
        |request, pem| request.trust = ServerTrust::OnlyRoots(pem.into()),
        |request, _| request.server_name = Some("alias.example".into()),
        |request, _| request.url = request.url.replace("localhost", "127.0.0.1"),
        |request, _| request.reach = identity_core::http::Reach::LocalOnly,
    ];
    for _ in 0..3 {
        for change in variants {
            let mut request = server.get();
            change(&mut request, &authority.pem());
            send_by(&platform, request).await.unwrap();
        }
    }
    assert_eq!((server.handshakes(), server.requests()), (5, 15));
    send_by(&authority.platform(), server.get()).await.unwrap();
    assert_eq!(server.handshakes(), 6);
}

#[tokio::test]
async fn sessions_are_resumed_with_who_is_trusted_by_roots_and_never_with_who_is_pinned() {
    let authority = Authority::new("ours");
    let identity = authority.sign(&["localhost"], |_| {});
    let pin = identity.thumbprint();
    let (sender, kinds) = channel();
    let sender = Mutex::new(sender);
    let server = TlsServer::new(identity.config(), move |mut tls| {
        sender.lock().unwrap().send(tls.conn.handshake_kind().unwrap()).unwrap();
        read_request(&mut tls);
        tls.write_all(OK.as_bytes()).unwrap();
        drain(&mut tls);
    });
    let options = TransportOptions::new().roots(Roots::None).ca_pem(authority.pem()).max_idle_per_host(0);
    let platform = options.platform().unwrap();
    for (trust, expected) in [
        (ServerTrust::Roots, HandshakeKind::Resumed),
        (ServerTrust::OnlyRoots(authority.pem().into()), HandshakeKind::Resumed),
        (ServerTrust::PinnedSha1(pin), HandshakeKind::Full),
    ] {
        for expected in [HandshakeKind::Full, expected, expected] {
            let mut request = server.get();
            request.trust = trust.clone();
            send_by(&platform, request).await.unwrap();
            assert_eq!(kinds.recv().unwrap(), expected, "{trust:?}");
        }
    }
}

#[tokio::test]
async fn idle_connections_are_limited_in_number_and_time() {
    let authority = Authority::new("ours");
    let options = || TransportOptions::new().roots(Roots::None).ca_pem(authority.pem());
    for (platform, expected) in [
        (options().max_idle_per_host(0), 3),
        (options().idle_timeout(Duration::ZERO), 3),
        (options().max_idle_per_host(1), 1),
    ] {
        let server = TlsServer::plain(authority.sign(&["localhost"], |_| {}).config());
        let platform = platform.platform().unwrap();
        for _ in 0..3 {
            send_by(&platform, server.get()).await.unwrap();
        }
        assert_eq!(server.handshakes(), expected);
    }

    let server = TlsServer::plain(authority.sign(&["localhost"], |_| {}).config());
    let platform = options().idle_timeout(Duration::from_millis(100)).platform().unwrap();
    send_by(&platform, server.get()).await.unwrap();
    std::thread::sleep(Duration::from_millis(150));
    send_by(&platform, server.get()).await.unwrap();
    assert_eq!(server.handshakes(), 2);

    // Of two that were open at once, one is kept.
    let barrier = Arc::new(std::sync::Barrier::new(2));
    let (first, platform) = (Arc::clone(&barrier), options().max_idle_per_host(1).platform().unwrap());
    let server = TlsServer::answering(authority.sign(&["localhost"], |_| {}).config(), move |number, request| {
        if number == 0 && request.contains("GET /both") {
            first.wait();
        }
        ok(0, "")
    });
    let both = || {
        let mut request = server.get();
        request.url += "both";
        send_by(&platform, request)
    };
    let (one, two) = tokio::join!(both(), both());
    assert_eq!((one.unwrap().status(), two.unwrap().status()), (200, 200));
    send_by(&platform, server.get()).await.unwrap();
    assert_eq!(server.handshakes(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_requests_64_at_a_time_take_64_handshakes_at_most() {
    let (server, platform) = world(ok);
    let callers = (0..64).map(|caller| {
        let (platform, request) = (platform.clone(), server.get());
        tokio::spawn(async move {
            for _ in 0..(1000 / 64 + usize::from(caller < 1000 % 64)) {
                send_by(&platform, request.clone()).await.unwrap();
            }
        })
    });
    for caller in callers.collect::<Vec<_>>() {
        caller.await.unwrap();
    }
    assert_eq!(server.requests(), 1000);
    assert!(server.handshakes() <= 64, "{} handshakes", server.handshakes());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_mixed_requests_get_their_own_answers_over_kept_connections() {
    let (server, platform) = world(|_, request| {
        let header = |name: &str| request.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        let who = header("x-identity-header: ");
        let body = request.split_once("\r\n\r\n").unwrap().1;
        let answer = format!("{who}/{body}").repeat(if who.ends_with('7') { 500 } else { 1 });
        let status = if who.ends_with('3') { "400 No" } else { "200 OK" };
        let head = format!("HTTP/1.1 {status}\r\nx-for: {who}\r\n");
        let answer = match who.as_bytes().last() {
            Some(b'5') => format!("{head}connection: close\r\ncontent-length: {}\r\n\r\n{answer}", answer.len()),
            Some(b'1') => {
                format!("{head}transfer-encoding: chunked\r\n\r\n{:x}\r\n{answer}\r\n0\r\n\r\n", answer.len())
            }
            _ => format!("{head}content-length: {}\r\n\r\n{answer}", answer.len()),
        };
        Some(answer.into_bytes())
    });
    let url = server.url();
    let callers = (0..50).map(|caller| {
        let (url, platform) = (url.clone(), platform.clone());
        tokio::spawn(async move {
            for number in 0..200 {
                let who = format!("identity-{caller}-{number}");
                let mut request = quick(Request::new(Method::Post, url.clone()));
                request = request.header("x-identity-header", who.clone());
                request.body = Some(format!("user={who}").into());
                if number % 10 == 9 {
                    // Given up on at some point.
                    let _ = tokio::time::timeout(Duration::from_micros(number * 5), send_by(&platform, request)).await;
                    continue;
                }
                let answer = send_by(&platform, request).await.unwrap();
                assert_eq!(answer.status(), if number % 10 == 3 { 400 } else { 200 });
                assert_eq!(answer.header("x-for"), Some(&*who));
                let expected = format!("{who}/user={who}").repeat(if number % 10 == 7 { 500 } else { 1 });
                assert_eq!(answer.body(), expected.as_bytes());
            }
        })
    });
    for caller in callers.collect::<Vec<_>>() {
        caller.await.unwrap();
    }
    assert!(server.handshakes() < server.requests(), "{} handshakes", server.handshakes());
}
