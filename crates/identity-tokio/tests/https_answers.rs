//! Answers over `https` that are too much, too slow, cut or lies: as over plain HTTP, and the connection is not kept.

#![expect(clippy::disallowed_methods, reason = "the servers live on threads of their own")]

mod support;

use std::{
    io::Write as _,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use identity_core::http::TransportErrorKind::{self, Closed, Malformed, Timeout, TooLarge};

use self::support::{
    read_request,
    tls::{Authority, OK, TlsServer, drain, send_by},
};

/// What a server does with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    /// Ends TLS, then the connection.
    End,
    /// Ends the connection only.
    Cut,
    /// Leaves both open.
    Hold,
    /// Sends a byte every 20 ms.
    Drip,
    /// Sends up to 400 MB.
    Flood,
}

#[tokio::test]
async fn answers_that_are_not_taken_do_not_leave_a_connection_behind() {
    let long = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "x".repeat(1024 * 1024));
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: y\r\n".repeat(1000));
    let rows: [(&str, Then, TransportErrorKind); 21] = [
        // B1
        ("HTTP/1.1 200 OK\r\ncontent-length: 419430400\r\n\r\n", Then::Flood, TooLarge),
        ("HTTP/1.1 200 OK\r\n\r\n", Then::Flood, TooLarge),
        // B2
        ("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 2\r\n\r\n{}", Then::Hold, Malformed),
        ("HTTP/1.1 400 No\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n", Then::Hold, Malformed),
        // B4
        ("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n", Then::Drip, Timeout),
        ("HTTP/1.1 500 No\r\n\r\n", Then::Drip, Timeout),
        ("HTTP/1.1 200 OK\r\nx: ", Then::Drip, Timeout),
        // B5
        ("", Then::Hold, Timeout),
        ("HTTP/1.1 200 OK\r\n", Then::Hold, Timeout),
        ("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n{}", Then::Hold, Timeout),
        // B6
        ("", Then::End, Closed),
        ("", Then::Cut, Closed),
        ("HTTP/1.1 200 OK\r\nx: y", Then::End, Closed),
        ("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n{}", Then::End, Closed),
        ("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n{}", Then::Cut, Closed),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n", Then::End, Closed),
        // Its end is not announced, and without the end of TLS anybody could have made it.
        ("HTTP/1.1 200 OK\r\n\r\n{\"access", Then::Cut, Closed),
        // B19
        (&long, Then::Hold, Malformed),
        (&many, Then::Hold, Malformed),
        ("HTTP/1.1 200 OK\r\nx: a\r\n folded\r\n\r\n", Then::Hold, Malformed),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 2\r\n\r\n0\r\n\r\n", Then::Hold, Malformed),
    ];
    let authority = Authority::new("ours");
    let platform = authority.platform();
    for (answer, then, kind) in rows {
        let shown = format!("{} {then:?}", answer.get(..80).unwrap_or(answer));
        let answer = answer.as_bytes().to_vec();
        let sent = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&sent);
        // The first and the third request of all are answered well.
        let turn = AtomicUsize::new(0);
        let server = TlsServer::new(authority.sign(&["localhost"], |_| {}).config(), move |mut tls| {
            while !read_request(&mut tls).is_empty() {
                if turn.fetch_add(1, Ordering::SeqCst) != 1 {
                    tls.write_all(OK.as_bytes()).unwrap();
                    continue;
                }
                let _ = tls.write_all(&answer);
                match then {
                    Then::End => {
                        tls.conn.send_close_notify();
                        let _ = tls.flush();
                    }
                    Then::Cut => {}
                    Then::Hold => drain(&mut tls),
                    Then::Drip => {
                        while tls.write_all(b"x").and_then(|()| tls.flush()).is_ok() {
                            std::thread::sleep(Duration::from_millis(20));
                        }
                    }
                    Then::Flood => {
                        let chunk = [b'x'; 0x10000];
                        while count.load(Ordering::SeqCst) < 400 * 1024 * 1024 && tls.write_all(&chunk).is_ok() {
                            count.fetch_add(chunk.len(), Ordering::SeqCst);
                        }
                    }
                }
                support::finish(&tls.sock);
                return;
            }
        });
        send_by(&platform, server.get()).await.unwrap();
        let mut request = server.get().header("authorization", "canary");
        request.timeout = Duration::from_millis(if kind == Timeout { 300 } else { 5000 });
        let error = send_by(&platform, request).await.expect_err(&shown);
        assert_eq!(error.kind(), kind, "{shown}: {error}");
        assert!(error.to_string().len() < 300 && !error.to_string().contains("canary"), "{error}");
        assert!(sent.load(Ordering::SeqCst) < 16 * 1024 * 1024, "{shown}: what the system buffers and no more");
        assert_eq!(server.handshakes(), 1, "{shown}: the first connection was used");
        send_by(&platform, server.get()).await.expect(&shown);
        assert_eq!(server.handshakes(), 2, "{shown}");
    }
}

#[tokio::test]
async fn a_huge_error_page_keeps_its_status_and_loses_its_connection() {
    let page = format!("HTTP/1.1 500 No\r\ncontent-length: 5000000\r\n\r\n{}", "x".repeat(5_000_000));
    let authority = Authority::new("ours");
    let config = authority.sign(&["localhost"], |_| {}).config();
    let server = TlsServer::answering(config, move |_, _| Some(page.clone().into_bytes()));
    let platform = authority.platform();
    for _ in 0..2 {
        let answer = send_by(&platform, server.get()).await.unwrap();
        assert_eq!((answer.status(), answer.body().len()), (500, 256 * 1024));
    }
    assert_eq!(server.handshakes(), 2);
}

#[tokio::test]
async fn an_answer_that_ends_with_tls_is_whole() {
    let authority = Authority::new("ours");
    let platform = authority.platform();
    let server = TlsServer::new(authority.sign(&["localhost"], |_| {}).config(), |mut tls| {
        read_request(&mut tls);
        tls.write_all(b"HTTP/1.1 200 OK\r\n\r\n{}").unwrap();
        tls.conn.send_close_notify();
        tls.flush().unwrap();
    });
    for _ in 0..2 {
        assert_eq!(send_by(&platform, server.get()).await.unwrap().body(), b"{}");
    }
    assert_eq!(server.handshakes(), 2);
}
