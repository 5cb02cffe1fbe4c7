//! What may be shown of a URL: scheme, host and port.

use std::net::Ipv6Addr;

/// `https://host:port` of a URL, in lower case and without user, path and query; `None` if it is none, or may be something
/// else. Where `scheme` is given, a URL may lack its own.
pub(super) fn origin(text: &str, scheme: Option<&str>) -> Option<String> {
    let (scheme, rest, has_scheme) = match text.split_once("://") {
        Some((scheme, rest)) => (scheme.to_ascii_lowercase(), rest, true),
        None => (scheme?.to_owned(), text, false),
    };
    let (user, rest) = rest.rsplit_once('@').unwrap_or(("", rest));
    // Nobody can tell where such a password ends and the host begins.
    if user.contains(ENDS) {
        return None;
    }
    let place = rest.split(ENDS).next()?;
    let is_known = matches!(scheme.as_str(), "http" | "https" | "socks4" | "socks4a" | "socks5" | "socks5h");
    let is_place = if has_scheme { is_place(place) } else { is_place_without_scheme(place) };
    (is_known && is_place).then(|| format!("{scheme}://{}", place.to_ascii_lowercase()))
}

/// User and password of a URL.
pub(super) fn user(text: &str) -> Option<&str> {
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    rest.rsplit_once('@').map(|(user, _)| user)
}

/// Whether it is a host and perhaps a port, and no word that may be a secret: it has a dot, or is this machine.
pub(super) fn is_place_without_scheme(place: &str) -> bool {
    let host = place.split(':').next().unwrap_or_default();
    let is_sure = place.starts_with('[') || host.eq_ignore_ascii_case("localhost") || host.contains('.');
    // As a JSON Web Token begins.
    is_sure && !place.starts_with("eyJ") && is_place(place)
}

/// Whether it is a host and perhaps a port.
fn is_place(place: &str) -> bool {
    let is_port = |text: &str| text.strip_prefix(':').is_some_and(|digits| digits.parse::<u16>().is_ok());
    let (is_host, port) = match place.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((host, port)) => (host.parse::<Ipv6Addr>().is_ok(), port),
            None => return false,
        },
        None => {
            let (host, port) = place.find(':').map_or((place, ""), |at| place.split_at(at));
            (is_host(host), port)
        }
    };
    is_host && (port.is_empty() || is_port(port))
}

/// Whether it is a name that a host can have.
pub(super) fn is_host(host: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    // The root may be there.
    host.len() <= 253 && host.strip_suffix('.').unwrap_or(host).split('.').all(is_label)
}

/// What ends user and host.
const ENDS: [char; 3] = ['/', '?', '#'];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_user_password_path_or_query_is_shown() {
        for (text, expected) in [
            ("http://127.0.0.1:41741/msi/token?x=canary", Some("http://127.0.0.1:41741")),
            ("https://user:canary@Proxy.example:8080/", Some("https://proxy.example:8080")),
            ("http://user:c@nary@proxy", Some("http://proxy")),
            ("user:canary@proxy.example:3128", Some("http://proxy.example:3128")),
            ("localhost:3128", Some("http://localhost:3128")),
            ("10.0.0.1", Some("http://10.0.0.1")),
            ("[::1]:80", Some("http://[::1]:80")),
            ("proxy.example./", Some("http://proxy.example.")),
            ("socks5h://proxy:1080", Some("socks5h://proxy:1080")),
            ("http://[::1]:80/", Some("http://[::1]:80")),
            // Where the host begins is not known.
            ("http://user:can/ary@proxy", None),
            ("http://user:c?@/#nary@proxy:1#x", None),
            ("http://canary/x@y", None),
            ("http://canary#@y", None),
            // A word alone may be a secret.
            ("canary", None),
            ("canary:3128", None),
            ("user:canary@proxy:3128", None),
            ("eyJh.canary.x", None),
            ("http://user:canary", None),
            ("canary://host", None),
            ("http://", None),
            ("http://a b", None),
            ("http://a..b", None),
            ("http://-a", None),
            ("http://[::1", None),
            ("http://[canary]", None),
            ("http://host:99999", None),
            ("http://canary~1", None),
        ] {
            assert_eq!(origin(text, Some("http")).as_deref(), expected, "{text}");
        }
        assert_eq!(origin("login.microsoftonline.com", None), None);
    }

    #[test]
    fn the_user_is_all_before_the_last_sign() {
        assert_eq!(user("http://a:b@c@host/"), Some("a:b@c"));
        assert_eq!((user("a@host"), user("http://host")), (Some("a"), None));
    }
}
