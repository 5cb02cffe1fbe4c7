//! What a URL says about where a request goes. Strict: what could be read in two ways is refused.

use std::{borrow::Cow, net::Ipv6Addr};

use identity_core::http::{TransportError, TransportErrorKind};

/// The parts of an absolute `http` or `https` URL.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Target<'a> {
    /// Whether it is `https`.
    pub(crate) secure: bool,
    /// The host's name or address, without brackets.
    pub(crate) host: &'a str,
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
        let (scheme, rest) = url.split_once(':').unwrap_or_default();
        let rest = rest.strip_prefix("//").ok_or("the URL is not absolute")?;
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
        let host = if let Some(inner) = bracketed.strip_prefix('[') {
            let host = inner.strip_suffix(']').unwrap_or_default();
            if host.parse::<Ipv6Addr>().is_err() {
                return Err("the URL has brackets around what is no IPv6 address");
            }
            host
        } else {
            let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
            if bracketed.is_empty() || !bracketed.bytes().all(fits) {
                return Err("the URL has no host, or one with a character that no host has");
            }
            bracketed
        };
        Ok(Self {
            secure,
            host,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart() {
        for (url, secure, host, port, authority, path) in [
            ("http://localhost", false, "localhost", 80, "localhost", "/"),
            ("HTTP://LocalHost:80/a", false, "LocalHost", 80, "LocalHost", "/a"),
            ("http://localhost:443", false, "localhost", 443, "localhost:443", "/"),
            ("https://localhost:443/x?y=1&z=%2F", true, "localhost", 443, "localhost", "/x?y=1&z=%2F"),
            ("https://10.0.0.1:2377?a=/b?c:d", true, "10.0.0.1", 2377, "10.0.0.1:2377", "/?a=/b?c:d"),
            ("http://[::1]:8080/@:]", false, "::1", 8080, "[::1]:8080", "/@:]"),
            ("http://[fe80::1]", false, "fe80::1", 80, "[fe80::1]", "/"),
            ("http://a_b-c.example.:65535//x", false, "a_b-c.example.", 65535, "a_b-c.example.:65535", "//x"),
        ] {
            let expected = Target { secure, host, port, authority, path: path.into() };
            assert_eq!(Target::parse(url).unwrap(), expected, "{url}");
        }
    }

    #[test]
    fn anything_else_is_refused_without_being_repeated() {
        for url in [
            "",
            "localhost",
            "/path",
            "//localhost/",
            "ftp://localhost/canary",
            "file:///canary",
            "http:/localhost",
            "http:localhost",
            " http://localhost",
            "http://localhost/canary x",
            "http://localhost/canary\r\nx: y",
            "http://localhost/\0",
            "http://localhost/\u{e4}",
            "http://localhost\\@evil.example/canary",
            "http://user:canary@localhost/",
            "http://canary@localhost",
            "http://localhost/#canary",
            "http://",
            "http:///canary",
            "http://:80/",
            "http://?canary",
            "http://localhost:/",
            "http://localhost:0/",
            "http://localhost:65536/",
            "http://localhost:+80/",
            "http://localhost:-1/",
            "http://localhost:80a/",
            "http://localhost:80:80/",
            "http://local%68ost/",
            "http://a,b/",
            "http://[::1/",
            "http://[]/",
            "http://[::1]x/",
            "http://[::1]x:80/",
            "http://[127.0.0.1]/",
            "http://[fe80::1%25eth0]/",
            "http://[localhost]/",
            "http://x[::1]/",
            "http://::1/",
            "http://[[::1]]/",
        ] {
            let error = Target::parse(url).expect_err(url);
            assert_eq!(error.kind(), TransportErrorKind::Refused, "{url}");
            assert!(!error.to_string().contains("canary"), "{url}: {error}");
        }
    }
}
