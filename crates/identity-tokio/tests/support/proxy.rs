//! A proxy that does what it should.

use std::{
    io,
    net::TcpStream,
    sync::{Arc, Mutex},
};

use super::{Server, read_request, write};

/// A proxy that writes down what it is asked.
pub(crate) struct Tunnels {
    pub(crate) server: Server,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Tunnels {
    pub(crate) fn new() -> Self {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&asked);
        let server = Server::new(move |mut stream| {
            let head = read_request(&mut stream);
            let Some(target) = head.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next()) else { return };
            // Names are the proxy's to resolve.
            let target = target.replace("only.the.proxy.knows", "localhost");
            seen.lock().unwrap().push(head.clone());
            let Ok(to) = TcpStream::connect(target.replace("localhost", "127.0.0.1")) else { return };
            write(&mut stream, b"HTTP/1.1 200 Connection established\r\nx: y\r\n\r\n");
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
