//! A connection through a proxy.

use std::{future::poll_fn, io, pin::Pin};

use identity_core::http::{Reach, ServerTrust, TransportError, TransportErrorKind};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};
use zeroize::Zeroizing;

use super::Proxy;
use crate::{
    connect::connect,
    http1::AGENT,
    stream::{Stream, plain},
    tls::{Failure, secure, trust::Trust},
    transport::{Result, refused},
};

impl Proxy {
    /// Connects to a host through this proxy. The proxy learns host and port, nothing else.
    ///
    /// Source: RFC 9110, section 9.3.6.
    pub(crate) async fn tunnel(&self, host: &str, port: u16, trust: &Trust) -> std::result::Result<Stream, Failure> {
        let mut stream = self.reach(trust).await.map_err(|failure| {
            let hint = if failure.is_not_tls { "; does it speak plain HTTP? write http://" } else { "" };
            Failure { error: self.failed(failure.error.kind(), &format!("{}{hint}", failure.error)), ..failure }
        })?;
        let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        let mut head = Zeroizing::new(String::with_capacity(1024));
        for part in ["CONNECT ", &host, ":", &port.to_string(), " HTTP/1.1\r\nhost: ", &host, ":", &port.to_string()] {
            head.push_str(part);
        }
        head.push_str("\r\nuser-agent: ");
        head.push_str(AGENT);
        if let Some(value) = &self.authorization {
            // Reserved at once, so that no copy stays behind.
            head.reserve_exact(value.expose().len() + 64);
            head.push_str("\r\nproxy-authorization: ");
            head.push_str(value.expose());
        }
        head.push_str("\r\n\r\n");
        let closed = |error: io::Error| self.failed(TransportErrorKind::Connect, &error.to_string());
        write(&mut stream, head.as_bytes()).await.map_err(closed)?;
        let answer = read_answer(&mut stream).await.map_err(closed)?;
        self.judge(answer)?;
        Ok(stream)
    }

    async fn reach(&self, trust: &Trust) -> std::result::Result<Stream, Failure> {
        let stream = plain(connect(&self.host, self.port, Reach::Any).await?);
        if !self.secure {
            return Ok(stream);
        }
        let name = ServerName::try_from(self.host.clone()).map_err(|error| refused(error.to_string()))?;
        secure(stream, name, &trust.settings(&ServerTrust::Roots)?).await
    }

    /// Whether the tunnel is open, by the proxy's answer.
    fn judge(&self, answer: Answer) -> Result<()> {
        let (status, is_followed) = match answer {
            Answer::Status(status, is_followed) => (status, is_followed),
            Answer::Part => return Err(self.failed(TransportErrorKind::Malformed, "its header is too long")),
            Answer::Other => return Err(self.failed(TransportErrorKind::Malformed, "what it answered is not HTTP")),
        };
        match status {
            200..300 if !is_followed => Ok(()),
            // The server does not speak first.
            200..300 => Err(self.failed(TransportErrorKind::Tls, "it sent something before the TLS handshake")),
            // 2026-11: tinyproxy 1.11 says 401 to a wrong password.
            401 | 407 => {
                let what = match self.authorization {
                    Some(_) => {
                        "it does not accept the user name and password of its URL, or wants another way than Basic"
                    }
                    None => "it wants a user name and password; set them in its URL, http://user:password@host:port",
                };
                Err(self.failed(TransportErrorKind::Refused, &format!("HTTP {status}: {what}")))
            }
            408 | 425 | 429 | 500..600 => {
                Err(self.failed(TransportErrorKind::Connect, &format!("HTTP {status}: it cannot reach the server now")))
            }
            _ => {
                let what = format!(
                    "HTTP {status}: it does not let this host and port through; ask for it to be allowed, or list the host in NO_PROXY"
                );
                Err(self.failed(TransportErrorKind::Refused, &what))
            }
        }
    }

    fn failed(&self, kind: TransportErrorKind, what: &str) -> TransportError {
        TransportError::new(kind, format!("the proxy {}: {what}", self.origin))
    }
}

/// What a proxy has answered so far.
enum Answer {
    /// Not a whole head yet.
    Part,
    /// A status, and whether anything follows the head.
    Status(u16, bool),
    /// Something else than HTTP/1.
    Other,
}

impl Answer {
    fn of(mut bytes: &[u8]) -> Self {
        loop {
            if !bytes.starts_with(VERSION) && !VERSION.starts_with(bytes) {
                return Self::Other;
            }
            let Some((head, rest)) = head_end(bytes).and_then(|end| bytes.split_at_checked(end)) else {
                return Self::Part;
            };
            match status(head) {
                None => return Self::Other,
                // "Wait": all of these but the one that would end HTTP.
                Some(100 | 102..200) => bytes = rest,
                Some(status) => return Self::Status(status, !rest.is_empty()),
            }
        }
    }
}

fn status(head: &[u8]) -> Option<u16> {
    let rest = head.strip_prefix(VERSION)?;
    let (minor, rest) = rest.split_first()?;
    let (digits, rest) = rest.strip_prefix(b" ")?.split_at_checked(3)?;
    let is_end = matches!(rest.first(), Some(b' ' | b'\r' | b'\n'));
    if !minor.is_ascii_digit() || !is_end || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    str::from_utf8(digits).ok()?.parse().ok().filter(|status| *status >= 100)
}

/// Where a head ends: after an empty line. Lines may end without a carriage return.
///
/// Source: RFC 9112, section 2.2.
fn head_end(bytes: &[u8]) -> Option<usize> {
    let mut start = 0;
    loop {
        let line = bytes.get(start..)?;
        let len = line.iter().position(|&b| b == b'\n')? + 1;
        start += len;
        if matches!(line.get(..len), Some(b"\n" | b"\r\n")) {
            return Some(start);
        }
    }
}

async fn write(stream: &mut Stream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let count = poll_fn(|cx| Pin::new(&mut *stream).poll_write(cx, bytes)).await?;
        if count == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        bytes = bytes.get(count..).unwrap_or_default();
    }
    poll_fn(|cx| Pin::new(&mut *stream).poll_flush(cx)).await
}

/// Reads until it is known what the answer is, or it is longer than any.
async fn read_answer(stream: &mut Stream) -> io::Result<Answer> {
    let mut bytes = Vec::new();
    loop {
        let answer = Answer::of(&bytes);
        if !matches!(answer, Answer::Part) || bytes.len() >= HEAD_LIMIT {
            return Ok(answer);
        }
        let mut space = [0; 512];
        let mut part = ReadBuf::new(&mut space);
        poll_fn(|cx| Pin::new(&mut *stream).poll_read(cx, &mut part)).await?;
        if part.filled().is_empty() {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it closed the connection"));
        }
        bytes.extend_from_slice(part.filled());
    }
}

/// How every answer begins.
const VERSION: &[u8] = b"HTTP/1.";

/// The longest answer of a proxy, in bytes.
const HEAD_LIMIT: usize = 16 * 1024;
