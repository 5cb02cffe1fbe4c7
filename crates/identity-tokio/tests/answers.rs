//! What servers may answer, and what becomes of it. A row is an answer.

#![expect(clippy::disallowed_methods, reason = "the servers live on threads of their own")]

mod support;

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use identity_core::http::{Method, Request, TransportErrorKind};

use self::support::{Server, quick, read_request, send, write};

#[tokio::test]
async fn whole_answers_are_read() {
    for (answer, status, body) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}", 200, "{}"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}trailing", 200, "{}"),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\n{\r\n1;x=y\r\n}\r\n0\r\nx: y\r\n\r\n", 200, "{}"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n0\r\n\r\n", 200, ""),
        ("HTTP/1.1 200\r\n\r\nuntil the end", 200, "until the end"),
        ("HTTP/1.0 200 OK\r\n\r\nold", 200, "old"),
        ("HTTP/1.1 204 No Content\r\n\r\n", 204, ""),
        ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\nlate", 200, "late"),
        ("HTTP/1.1 200 OK\r\ncontent-encoding: identity\r\ncontent-length: 1\r\n\r\nx", 200, "x"),
        ("HTTP/1.1 400 Bad Request\r\ncontent-length: 3\r\n\r\nbad", 400, "bad"),
        ("HTTP/1.1 503 \r\nretry-after: 3\r\ncontent-length: 0\r\n\r\n", 503, ""),
        ("HTTP/1.1 599 Strange\r\ncontent-length: 1\r\n\r\nx", 599, "x"),
    ] {
        let answer = send(Server::answering(answer).get()).await.unwrap_or_else(|error| panic!("{answer}: {error}"));
        assert_eq!((answer.status(), answer.body()), (status, body.as_bytes()));
    }
}

#[tokio::test]
async fn what_breaks_the_rules_is_malformed() {
    let header_of = |bytes: usize| format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "x".repeat(bytes)).into_bytes();
    let headers = |count: usize| format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: y\r\n".repeat(count)).into_bytes();
    let mut rows: Vec<Vec<u8>> = [
        "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 2\r\n\r\n{}",
        "HTTP/1.1 500 No\r\nContent-Encoding: deflate\r\ncontent-length: 2\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\ncontent-encoding: identity\r\ncontent-encoding: br\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\nx",
        "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 2\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{} ",
        "HTTP/1.1 200 OK\r\ncontent-length: -2\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999999\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\ncontent-length: 0x2\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\n{}\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}{}\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nx: a\r\n folded\r\n\r\n",
        "HTTP/1.1 200 OK\r\nx: a\0b\r\n\r\n",
        "HTTP/1.1 200 OK\r\nx y: z\r\n\r\n",
        "HTTP/1.1 200 OK\r\nx : z\r\n\r\n",
        "HTTP/1.1 200 OK\r\n: z\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 abc\r\n\r\n",
        "HTTP/1.1 099 Low\r\n\r\n",
        "HTTP/2.0 200 OK\r\n\r\n",
        "HTTP/0.9 200 OK\r\n\r\n",
        "<html>HTTP/0.9 has no header</html>\r\n",
        "SSH-2.0-OpenSSH_9.6\r\n",
        "\0\0\0\0\0\0\0\0\r\n\r\n",
    ]
    .map(|row| row.as_bytes().to_vec())
    .to_vec();
    rows.extend([header_of(1024 * 1024), header_of(70 * 1024), headers(1000), headers(101)]);
    for row in rows {
        let shown = String::from_utf8_lossy(&row[..row.len().min(80)]).into_owned();
        let error = send(Server::answering(row).get()).await.expect_err(&shown);
        assert_eq!(error.kind(), TransportErrorKind::Malformed, "{shown}: {error}");
        assert!(error.to_string().len() < 200, "{error}");
    }
}

#[tokio::test]
async fn headers_up_to_the_limits_pass() {
    let answer = format!("HTTP/1.1 200 OK\r\n{}content-length: 0\r\n\r\n", "x: y\r\n".repeat(99));
    assert_eq!(send(Server::answering(answer).get()).await.unwrap().headers("x").count(), 99);
    let answer = format!("HTTP/1.1 200 OK\r\nx: {}\r\ncontent-length: 0\r\n\r\n", "x".repeat(60 * 1024));
    assert_eq!(send(Server::answering(answer).get()).await.unwrap().header("x").unwrap().len(), 60 * 1024);
}

#[tokio::test]
async fn answers_that_stop_short_are_closed() {
    for answer in [
        "",
        "HTTP/1.1 200",
        "HTTP/1.1 200 OK\r\ncontent-",
        "HTTP/1.1 100 Continue\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n{}",
        "HTTP/1.1 400 No\r\ncontent-length: 3\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n",
    ] {
        let error = send(Server::answering(answer).get()).await.expect_err(answer);
        assert_eq!(error.kind(), TransportErrorKind::Closed, "{answer}: {error}");
    }
}

#[tokio::test]
async fn a_reset_at_any_time_is_closed() {
    for answer in ["", "HTTP/1.1 2", "HTTP/1.1 200 OK\r\ncontent-length: 300\r\n\r\n{}"] {
        let server = Server::new(move |mut stream| {
            let mut some = [0; 10];
            std::io::Read::read_exact(&mut stream, &mut some).unwrap();
            write(&mut stream, answer.as_bytes());
            // What is left unread makes the system reset the connection.
        });
        let error = send(server.get()).await.expect_err(answer);
        assert_eq!(error.kind(), TransportErrorKind::Closed, "{answer}: {error}");
    }
}

#[tokio::test]
async fn redirects_are_handed_back() {
    let target = Server::answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    for status in [300, 301, 302, 303, 307, 308] {
        let location = target.url();
        let server = Server::answering(format!(
            "HTTP/1.1 {status} Elsewhere\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n"
        ));
        let answer = send(server.get()).await.unwrap();
        assert_eq!((answer.status(), answer.header("location")), (status, Some(&*location)));
        assert_eq!(server.connections(), 1);
    }
    assert_eq!(target.connections(), 0);
}

#[tokio::test]
async fn headers_keep_their_order_and_lose_what_is_no_text() {
    let answer = b"HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm=a\r\nx: \xff\r\ny: \xc3\xa4\r\nwww-authenticate:  b  \r\ncontent-length: 0\r\n\r\n";
    let answer = send(Server::answering(*answer).get()).await.unwrap();
    assert_eq!(answer.headers("www-authenticate").collect::<Vec<_>>(), ["Basic realm=a", "b"]);
    assert_eq!((answer.header("x"), answer.header("y")), (None, Some("\u{e4}")));
}

/// Writes the head and then chunks until the client has enough; counts what was written of the body.
fn flood(head: &'static str, total: usize, chunked: bool) -> (Server, Arc<AtomicUsize>) {
    let sent = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&sent);
    let server = Server::new(move |mut stream| {
        read_request(&mut stream);
        write(&mut stream, head.as_bytes());
        let chunk = if chunked { [&b"10000\r\n"[..], &[b'x'; 0x10000], b"\r\n"].concat() } else { vec![b'x'; 0x10000] };
        while count.load(Ordering::SeqCst) < total {
            let written = write(&mut stream, &chunk);
            count.fetch_add(written, Ordering::SeqCst);
            if written < chunk.len() {
                return;
            }
        }
    });
    (server, sent)
}

/// What the system's buffers on both sides may take beside what was asked for.
const SOCKET_BUFFERS: usize = 16 * 1024 * 1024;

#[tokio::test]
async fn a_huge_answer_is_left_at_the_limit() {
    let total = 400 * 1024 * 1024;
    for (head, chunked) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 419430400\r\n\r\n", false),
        ("HTTP/1.1 200 OK\r\n\r\n", false),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", true),
    ] {
        let (server, sent) = flood(head, total, chunked);
        let error = send(server.get()).await.expect_err(head);
        assert_eq!(error.kind(), TransportErrorKind::TooLarge, "{head}: {error}");
        assert!(error.to_string().contains("262144"), "{error}");
        assert!(sent.load(Ordering::SeqCst) < SOCKET_BUFFERS, "{head}: {} bytes", sent.load(Ordering::SeqCst));
    }
}

#[tokio::test]
async fn an_announced_size_is_not_waited_for() {
    let server = Server::holding("HTTP/1.1 200 OK\r\ncontent-length: 262145\r\n\r\n");
    assert_eq!(send(server.get()).await.unwrap_err().kind(), TransportErrorKind::TooLarge);
}

#[tokio::test]
async fn a_huge_error_page_keeps_its_status() {
    for (head, chunked) in [
        ("HTTP/1.1 500 No\r\ncontent-length: 52428800\r\n\r\n", false),
        ("HTTP/1.1 302 No\r\n\r\n", false),
        ("HTTP/1.1 404 No\r\ntransfer-encoding: chunked\r\n\r\n", true),
    ] {
        let (server, sent) = flood(head, 50 * 1024 * 1024, chunked);
        let answer = send(server.get()).await.expect(head);
        assert_eq!((answer.status() / 100 != 2, answer.body().len()), (true, 256 * 1024));
        assert!(sent.load(Ordering::SeqCst) < SOCKET_BUFFERS);
    }
}

#[tokio::test]
async fn the_limit_itself_is_allowed() {
    for (size, fits) in [(1000, true), (1001, false)] {
        for head in [format!("HTTP/1.1 200 OK\r\ncontent-length: {size}\r\n\r\n"), "HTTP/1.1 200 OK\r\n\r\n".to_owned()]
        {
            let mut request = Server::answering(head + &"x".repeat(size)).get();
            request.body_limit = 1000;
            assert_eq!(send(request).await.map(|answer| answer.body().len()).ok(), fits.then_some(size));
        }
    }
    let mut request = Server::answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").get();
    request.body_limit = 0;
    send(request).await.unwrap();
}

#[tokio::test]
async fn a_length_that_lies_reserves_nothing() {
    // The largest length that hyper takes for one.
    let server = Server::answering("HTTP/1.1 500 No\r\ncontent-length: 18446744073709551613\r\n\r\nx");
    let mut request = server.get();
    request.body_limit = 100;
    assert_eq!(send(request).await.unwrap_err().kind(), TransportErrorKind::Closed);
}

#[tokio::test]
async fn a_post_is_answered_before_it_is_read() {
    let server = Server::answering("HTTP/1.1 413 No\r\ncontent-length: 0\r\n\r\n");
    let mut request = quick(Request::new(Method::Post, server.url()));
    request.body = Some("x".repeat(100_000).into());
    assert_eq!(send(request).await.unwrap().status(), 413);
}
