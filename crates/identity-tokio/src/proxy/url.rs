//! What the URL of a proxy says.

use std::fmt;

use identity_core::{Secret, text::base64};
use zeroize::Zeroizing;

use crate::target::Target;

/// A proxy that tunnels.
pub(crate) struct Proxy {
    pub(crate) secure: bool,
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Scheme, host and port, for messages.
    pub(crate) origin: String,
    /// The value of `proxy-authorization`.
    pub(crate) authorization: Option<Secret>,
}

impl Proxy {
    /// Reads `[http[s]://][user:password@]host[:port][/]`. No message repeats it, for it may hold a password.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
        let scheme = scheme.to_ascii_lowercase();
        if scheme.starts_with("socks") {
            return Err("SOCKS proxies are not supported; set one that speaks HTTP (http://host:port)".to_owned());
        }
        if scheme != "http" && scheme != "https" {
            return Err("the URL of a proxy starts with http:// or https://".to_owned());
        }
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (user, place) = match rest.rsplit_once('@') {
            Some((user, place)) => (Some(user), place),
            None => (None, rest),
        };
        if user.is_some_and(|user| user.contains(['/', '?', '#'])) {
            return Err(
                "the URL of a proxy has / ? or # before its last @; in a user name or password write %2F, %3F or %23"
                    .to_owned(),
            );
        }
        if place.contains(['/', '?', '#']) {
            return Err("the URL of a proxy has a path, query or fragment; expected http://host:port".to_owned());
        }
        let origin = format!("{scheme}://{place}");
        let target = Target::parse(&origin).map_err(|error| format!("{error} (of a proxy)"))?;
        let authorization = user.filter(|user| !user.is_empty() && *user != ":").map(basic).transpose()?;
        let (secure, host, port) = (target.secure, target.host.to_owned(), target.port);
        Ok(Self { secure, host, port, origin, authorization })
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy").field("origin", &self.origin).finish_non_exhaustive()
    }
}

/// The value of `proxy-authorization` for `user:password`, both percent-encoded.
///
/// Source: RFC 7617; a missing password is an empty one.
fn basic(user: &str) -> Result<Secret, String> {
    let (name, password) = user.split_once(':').unwrap_or((user, ""));
    let mut plain = Zeroizing::new(Vec::with_capacity(user.len() + 1));
    decode(name, &mut plain)?;
    if plain.contains(&b':') {
        return Err("the user name for a proxy has a colon".to_owned());
    }
    plain.push(b':');
    decode(password, &mut plain)?;
    if plain.iter().any(u8::is_ascii_control) {
        return Err("the user name or password for a proxy has a control character".to_owned());
    }
    let text = Zeroizing::new(base64(&plain));
    Ok(["Basic ", &text].concat().into())
}

fn decode(text: &str, to: &mut Vec<u8>) -> Result<(), String> {
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'%' {
            to.push(byte);
            continue;
        }
        let digit = |at: usize| char::from(*after.get(at)?).to_digit(16);
        let (Some(high), Some(low)) = (digit(0), digit(1)) else {
            return Err("the user name or password for a proxy has a % without two digits; write %25 for it".to_owned());
        };
        to.push((high * 16 + low) as u8);
        rest = after.get(2..).unwrap_or_default();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_proxies_are_taken_apart() {
        for (text, secure, host, port, authorization) in [
            ("http://proxy.example:3128", false, "proxy.example", 3128, None),
            ("http://proxy.example:3128/", false, "proxy.example", 3128, None),
            ("HTTP://proxy.example", false, "proxy.example", 80, None),
            ("proxy.example:8080", false, "proxy.example", 8080, None),
            ("proxy", false, "proxy", 80, None),
            ("https://proxy.example", true, "proxy.example", 443, None),
            ("http://[::1]:3128", false, "::1", 3128, None),
            ("http://user:pass@proxy:1", false, "proxy", 1, Some("Basic dXNlcjpwYXNz")),
            ("user:pass@proxy:1", false, "proxy", 1, Some("Basic dXNlcjpwYXNz")),
            ("http://user@proxy", false, "proxy", 80, Some("Basic dXNlcjo=")),
            ("http://:pass@proxy", false, "proxy", 80, Some("Basic OnBhc3M=")),
            ("http://us%40er:p%3Aa%25s%C3%A4s:@proxy", false, "proxy", 80, Some("Basic dXNAZXI6cDphJXPDpHM6")),
            ("http://a:b@c@proxy", false, "proxy", 80, Some("Basic YTpiQGM=")),
            ("http://@proxy", false, "proxy", 80, None),
            ("http://:@proxy", false, "proxy", 80, None),
        ] {
            let proxy = Proxy::parse(text).unwrap();
            assert_eq!((proxy.secure, &*proxy.host, proxy.port), (secure, host, port), "{text}");
            assert_eq!(proxy.authorization.as_ref().map(Secret::expose), authorization, "{text}");
            assert!(!proxy.origin.contains('@') && !format!("{proxy:?}").contains("Basic"), "{proxy:?}");
        }
    }

    #[test]
    fn what_is_no_proxy_is_refused_without_being_repeated() {
        for (text, word) in [
            ("", "host"),
            ("http://", "host"),
            ("socks5://canary", "SOCKS"),
            ("SOCKS5H://canary", "SOCKS"),
            ("socks4://canary", "SOCKS"),
            ("ftp://canary", "http://"),
            ("http://proxy/canary", "path"),
            ("http://proxy?canary", "path"),
            ("http://user:can/ary@proxy", "%2F"),
            ("http://user:can?ary@proxy", "%3F"),
            ("http://can#ary:pass@proxy", "%23"),
            // curl would take the first for the proxy.
            ("http://canary:3128/@proxy", "@"),
            ("http://canary?@proxy", "@"),
            ("http://user:can/ary@proxy#", "@"),
            ("http://user:can ary@pro xy", "space"),
            ("http://proxy:canary", "port"),
            ("http://proxy:0", "port"),
            ("http://user:canary%0d%0a@proxy", "control"),
            ("http://user:canary%@proxy", "%25"),
            ("http://user:canary%g0@proxy", "%25"),
            ("http://us%3Aer:canary@proxy", "colon"),
            ("http://canary\r\nx: y", "control"),
        ] {
            let error = Proxy::parse(text).expect_err(text);
            assert!(error.contains(word) && !error.contains("canary"), "{text}: {error}");
        }
    }
}
