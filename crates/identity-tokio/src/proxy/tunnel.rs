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
    tls::{secure, trust::Trust},
    transport::{Result, refused},
};

impl Proxy {
    /// Connects to a host through this proxy. The proxy learns host and port, nothing else.
    ///
    /// Source: RFC 9110, section 9.3.6.
    pub(crate) async fn tunnel(&self, host: &str, port: u16, trust: &Trust) -> Result<Stream> {
        let mut stream = self.reach(trust).await.map_err(|error| self.failed(error.kind(), &error.to_string()))?;
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
        let answer = read_head(&mut stream).await.map_err(closed)?;
        self.judge(&answer)?;
        Ok(stream)
    }

    async fn reach(&self, trust: &Trust) -> Result<Stream> {
        let stream = plain(connect(&self.host, self.port, Reach::Any).await?);
        if !self.secure {
            return Ok(stream);
        }
        let name = ServerName::try_from(self.host.clone()).map_err(|error| refused(error.to_string()))?;
        let config = trust.config(&ServerTrust::Roots)?;
        secure(stream, name, config).await.map_err(|failure| failure.error)
    }

    /// Whether the tunnel is open, by the head of the proxy's answer.
    fn judge(&self, head: &[u8]) -> Result<()> {
        let Some(status) = status(head) else {
            let what = if head.len() >= HEAD_LIMIT { "its header is too long" } else { "what it answered is not HTTP" };
            return Err(self.failed(TransportErrorKind::Malformed, what));
        };
        match status {
            200..300 if head.ends_with(b"\r\n\r\n") => Ok(()),
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

/// The status of an answer of HTTP/1; `None` if it is none.
fn status(head: &[u8]) -> Option<u16> {
    let rest = head.strip_prefix(b"HTTP/1.")?;
    let (minor, rest) = rest.split_first()?;
    let (digits, rest) = rest.strip_prefix(b" ")?.split_at_checked(3)?;
    let is_end = matches!(rest.first(), Some(b' ' | b'\r'));
    if !minor.is_ascii_digit() || !is_end || !digits.iter().all(u8::is_ascii_digit) || !contains_end(head) {
        return None;
    }
    str::from_utf8(digits).ok()?.parse().ok().filter(|status| *status >= 200)
}

fn contains_end(head: &[u8]) -> bool {
    head.windows(4).any(|window| window == b"\r\n\r\n")
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

/// Reads until the header has ended, or is longer than any.
async fn read_head(stream: &mut Stream) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    while !contains_end(&head) && head.len() < HEAD_LIMIT {
        let mut space = [0; 512];
        let mut part = ReadBuf::new(&mut space);
        poll_fn(|cx| Pin::new(&mut *stream).poll_read(cx, &mut part)).await?;
        if part.filled().is_empty() {
            if head.is_empty() || b"HTTP/1.".starts_with(&head) || head.starts_with(b"HTTP/1.") {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it closed the connection"));
            }
            break;
        }
        head.extend_from_slice(part.filled());
    }
    Ok(head)
}

/// The longest header of a proxy's answer, in bytes.
const HEAD_LIMIT: usize = 16 * 1024;
