//! What a URL says about where a request goes. Strict: what could be read in two ways is refused.

use std::{
    borrow::Cow,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use identity_core::http::{TransportError, TransportErrorKind};

/// The parts of an absolute `http` or `https` URL.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Target<'a> {
    /// Whether it is `https`.
    pub(crate) secure: bool,
    /// The host's name or address, without brackets.
    pub(crate) host: &'a str,
    /// The host's address, if the URL has one in place of a name.
    pub(crate) ip: Option<IpAddr>,
    pub(crate) port: u16,
    /// The value of the `host` header.
    pub(crate) authority: &'a str,
    /// Path and query, as the request line has them.
    pub(crate) path: Cow<'a, str>,
}

impl<'a> Target<'a> {
    /// Reads a URL. No message repeats it, for it may hold a password where none belongs.
    pub(crate) fn parse(url: &'a str) -> Result<Self, TransportError> {
        Self::split(url).map_err(|why| TransportError::new(TransportErrorKind::Refused, why))
    }

    fn split(url: &'a str) -> Result<Self, &'static str> {
        if url.bytes().any(|b| !b.is_ascii_graphic() || b == b'\\') {
            return Err("the URL has a space, a backslash, a control character or one outside ASCII");
        }
        if url.contains('#') {
            return Err("the URL has a fragment");
        }
        let (scheme, rest) = url.split_once("://").unwrap_or_default();
        let secure = scheme.eq_ignore_ascii_case("https");
        if !secure && !scheme.eq_ignore_ascii_case("http") {
            return Err("the URL starts neither with http:// nor with https://");
        }
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err("the URL has a user name or password");
        }
        // A colon outside brackets starts the port.
        let after_brackets = authority.rfind(']').map_or(0, |at| at + 1);
        let colon = authority.get(after_brackets..).and_then(|end| end.find(':')).map(|at| after_brackets + at);
        let (bracketed, port) = match colon {
            Some(at) => (authority.get(..at).unwrap_or_default(), authority.get(at + 1..)),
            None => (authority, None),
        };
        let default_port = if secure { 443 } else { 80 };
        let port = match port {
            Some(digits) => read_port(digits).ok_or("the URL has a port that is none")?,
            None => default_port,
        };
        let (host, ip) = if let Some(inner) = bracketed.strip_prefix('[') {
            let host = inner.strip_suffix(']').unwrap_or_default();
            let ip = host.parse::<Ipv6Addr>().map_err(|_| "the URL has brackets around what is no IPv6 address")?;
            (host, Some(IpAddr::V6(ip)))
        } else {
            if bracketed.is_empty()
                || !bracketed.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'))
            {
                return Err("the URL has no host, or one with a character that no host has");
            }
            (bracketed, bracketed.parse::<Ipv4Addr>().ok().map(IpAddr::V4))
        };
        Ok(Self {
            secure,
            host,
            ip,
            port,
            authority: if port == default_port { bracketed } else { authority },
            path: if path.starts_with('/') { path.into() } else { ["/", path].concat().into() },
        })
    }
}

fn read_port(digits: &str) -> Option<u16> {
    // Rust would also read "+80".
    if !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok().filter(|port| *port != 0)
}
