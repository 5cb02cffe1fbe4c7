//! Servers that say what a test wants, byte by byte, on threads of their own.

#![allow(dead_code, unused_imports, reason = "each test file uses a part")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test ends when it is not so")]

mod log;
pub(crate) mod proxy;
#[cfg(feature = "tls")]
pub(crate) mod tls;

use std::{
    io::{ErrorKind, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use identity_core::http::{Method, Request, Response, TransportError};

pub(crate) use self::log::Log;

/// A server on a port of its own; it counts connections.
pub(crate) struct Server {
    pub(crate) port: u16,
    connections: Arc<AtomicUsize>,
}

impl Server {
    /// Gives every connection to `handler`, on a new thread.
    pub(crate) fn new(handler: impl Fn(TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        let handler = Arc::new(handler);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                count.fetch_add(1, Ordering::SeqCst);
                let handler = Arc::clone(&handler);
                thread::spawn(move || handler(stream));
            }
        });
        Self { port, connections }
    }

    /// Reads a request, writes `answer`, closes.
    pub(crate) fn answering(answer: impl Into<Vec<u8>>) -> Self {
        let answer = answer.into();
        Self::new(move |mut stream| {
            read_request(&mut stream);
            write(&mut stream, &answer);
            finish(&stream);
        })
    }

    /// Reads a request, writes `answer`, and keeps the connection open until the client closes it.
    pub(crate) fn holding(answer: impl Into<Vec<u8>>) -> Self {
        let answer = answer.into();
        Self::new(move |mut stream| {
            read_request(&mut stream);
            write(&mut stream, &answer);
            wait_for_close(&mut stream);
        })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub(crate) fn get(&self) -> Request {
        quick(Request::new(Method::Get, self.url()))
    }
}

/// The request with less patience than anybody has in production.
pub(crate) fn quick(mut request: Request) -> Request {
    request.timeout = Duration::from_secs(5);
    request.body_limit = 256 * 1024;
    request
}

/// Lets so much time go by, on a runtime of one thread.
pub(crate) async fn later(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

pub(crate) async fn send(request: Request) -> Result<Response, TransportError> {
    identity_tokio::platform().transport().send(request).await
}

/// A whole request as text; empty if the client went away first.
pub(crate) fn read_request(stream: &mut impl Read) -> String {
    let mut bytes = Vec::new();
    let mut byte = [0];
    while !bytes.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => bytes.push(byte[0]),
            _ => return String::new(),
        }
    }
    let head = String::from_utf8(bytes).unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or(0, |n| n.parse().unwrap());
    let mut body = vec![0; length];
    if stream.read_exact(&mut body).is_err() {
        return String::new();
    }
    head + std::str::from_utf8(&body).unwrap()
}

/// Writes as much as the client takes, and says how much that was.
pub(crate) fn write(stream: &mut TcpStream, bytes: &[u8]) -> usize {
    stream.set_write_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut done = 0;
    while done < bytes.len() {
        match stream.write(&bytes[done..]) {
            Ok(count) => done += count,
            Err(_) => break,
        }
    }
    done
}

/// Closes so that what was written arrives.
pub(crate) fn finish(stream: &TcpStream) {
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let mut stream = stream;
    let mut rest = [0; 1024];
    while matches!(stream.read(&mut rest), Ok(1..)) {}
}

/// How long it took the client to close the connection.
pub(crate) fn wait_for_close(stream: &mut TcpStream) -> Duration {
    let start = Instant::now();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut rest = [0; 1024];
    loop {
        match stream.read(&mut rest) {
            Ok(0) => return start.elapsed(),
            Err(error) if error.kind() != ErrorKind::WouldBlock => return start.elapsed(),
            Err(_) => panic!("the client never closed"),
            Ok(_) => {}
        }
    }
}
