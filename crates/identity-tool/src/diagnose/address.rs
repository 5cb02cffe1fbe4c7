//! What may be shown of a URL: scheme, host and port.

/// `https://host:port` of a URL, in lower case and without user, path and query; `None` if it is none. Where `scheme` is
/// given, a URL may lack its own.
pub(super) fn origin(text: &str, scheme: Option<&str>) -> Option<String> {
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme, rest)) => (scheme.to_ascii_lowercase(), rest),
        None => (scheme?.to_owned(), text),
    };
    // A password may have what ends a host, but no host has the sign that ends a password.
    let rest = rest.rsplit_once('@').map_or(rest, |(_, rest)| rest);
    let place = rest.split(['/', '?', '#']).next()?.to_ascii_lowercase();
    let is_known = matches!(scheme.as_str(), "http" | "https" | "socks4" | "socks4a" | "socks5" | "socks5h");
    (is_known && is_place(&place)).then(|| format!("{scheme}://{place}"))
}

/// Whether it is a host and perhaps a port.
fn is_place(place: &str) -> bool {
    let (host, port) = match place.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((host, port)) => (host, port),
            None => return false,
        },
        None => place.find(':').map_or((place, ""), |at| place.split_at(at)),
    };
    let is_version_6 = place.starts_with('[');
    let is_host = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_') || (is_version_6 && b == b':');
    let is_port = |text: &str| text.strip_prefix(':').is_some_and(|digits| digits.parse::<u16>().is_ok());
    (1..=253).contains(&host.len()) && host.bytes().all(is_host) && (port.is_empty() || is_port(port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_user_password_path_or_query_is_shown() {
        for (text, expected) in [
            ("http://127.0.0.1:41741/msi/token?x=canary", Some("http://127.0.0.1:41741")),
            ("https://user:canary@Proxy.example:8080/", Some("https://proxy.example:8080")),
            ("http://user:can/ary@proxy", Some("http://proxy")),
            ("http://user:c@nary@proxy", Some("http://proxy")),
            ("http://user:c?@/#nary@proxy:1#x", Some("http://proxy:1")),
            ("user:canary@proxy:3128", Some("http://proxy:3128")),
            ("socks5h://proxy:1080", Some("socks5h://proxy:1080")),
            ("http://[::1]:80/", Some("http://[::1]:80")),
            ("http://user:canary", None),
            ("canary://host", None),
            ("http://", None),
            ("http://a b", None),
            ("http://[::1", None),
            ("http://host:99999", None),
            ("http://canary~1", None),
        ] {
            assert_eq!(origin(text, Some("http")).as_deref(), expected, "{text}");
        }
        assert_eq!(origin("login.microsoftonline.com", None), None);
    }
}
