//! A proxy that does what it should.

use std::{
    io::{self, Read as _, Write as _},
    net::TcpStream,
    sync::{Arc, Mutex},
    time::Duration,
};

#[cfg(feature = "tls")]
use super::tls::{Authority, TlsServer};
use super::{Server, read_request, write};

/// A proxy that writes down what it is asked.
pub(crate) struct Tunnels {
    pub(crate) server: Server,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Tunnels {
    pub(crate) fn new() -> Self {
        Self::answering("HTTP/1.1 200 Connection established\r\nx: y\r\n\r\n")
    }

    /// Answers with these words, a moment after each `|`.
    pub(crate) fn answering(answer: &'static str) -> Self {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&asked);
        let server = Server::new(move |mut stream| {
            let head = read_request(&mut stream);
            let Some(target) = head.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next()) else { return };
            // Names are the proxy's to resolve.
            let target = target.replace("only.the.proxy.knows", "localhost");
            seen.lock().unwrap().push(head.clone());
            let Ok(to) = TcpStream::connect(target.replace("localhost", "127.0.0.1")) else { return };
            stream.set_nodelay(true).unwrap();
            for (number, part) in answer.split('|').enumerate() {
                if number > 0 {
                    std::thread::sleep(Duration::from_millis(10));
                }
                write(&mut stream, part.as_bytes());
            }
            pump(stream, to);
        });
        Self { server, asked }
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

/// Carries bytes both ways until both sides have closed.
fn pump(one: TcpStream, two: TcpStream) {
    let (mut one_read, mut two_write) = (one.try_clone().unwrap(), two.try_clone().unwrap());
    let back = std::thread::spawn(move || {
        let (mut one, mut two) = (one, two);
        let _ = io::copy(&mut two, &mut one);
        let _ = one.shutdown(std::net::Shutdown::Write);
    });
    let _ = io::copy(&mut one_read, &mut two_write);
    let _ = two_write.shutdown(std::net::Shutdown::Write);
    back.join().unwrap();
}

/// A proxy that is spoken to in TLS and leads to this port; with what it is asked.
#[cfg(feature = "tls")]
pub(crate) fn tunnels_over_tls(authority: &Authority, port: u16) -> (TlsServer, Arc<Mutex<Vec<String>>>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&asked);
    let server = TlsServer::new(authority.sign(&["localhost"], |_| {}).config(), move |mut tls| {
        seen.lock().unwrap().push(read_request(&mut tls));
        tls.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
        tls.flush().unwrap();
        let mut to = TcpStream::connect(("127.0.0.1", port)).unwrap();
        // One thread for both directions, for both are one TLS connection.
        tls.sock.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
        to.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
        let mut some = [0; 4096];
        loop {
            for forward in [true, false] {
                let count = if forward { tls.read(&mut some) } else { to.read(&mut some) };
                match count {
                    Ok(0) => return,
                    Ok(count) if forward => to.write_all(&some[..count]).unwrap(),
                    Ok(count) => tls.write_all(&some[..count]).and_then(|()| tls.flush()).unwrap(),
                    Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {}
                    Err(_) => return,
                }
            }
        }
    });
    (server, asked)
}
