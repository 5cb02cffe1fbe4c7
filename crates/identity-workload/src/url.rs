//! URLs that come from variables: what they may be, and what is added to them.

use identity_core::{Error, ErrorKind, Result, check, text};

/// Checks that the value of `variable` is an `https` URL that leads nowhere else than it seems to.
///
/// The value is not shown: who puts a password into a URL shall not find it in a log.
pub(crate) fn check(variable: &str, url: &str) -> Result<()> {
    let (scheme, rest) = url.split_at_checked(SCHEME.len()).unwrap_or_default();
    let authority = rest.get(..end(rest, b"/?#")).unwrap_or_default();
    let problem = if !scheme.eq_ignore_ascii_case(SCHEME) {
        "is not an https URL"
    } else if url.bytes().any(|b| !b.is_ascii_graphic() || matches!(b, b'\\' | b'"' | b'<' | b'>')) {
        "has a space, a backslash or another character that no URL has"
    } else if has(url, b'#') {
        "has a fragment"
    } else if has(authority, b'@') {
        "has a user name or password"
    } else if !is_authority(authority) {
        "has no host, or a port that is none"
    } else {
        return Ok(());
    };
    Err(invalid(&[
        variable,
        " ",
        problem,
        "; set it as the platform gave it: an https URL without user, password and fragment",
    ]))
}

/// The URL with parameters added to its query. No parameter may be in it already.
pub(crate) fn with_query(variable: &str, url: &str, pairs: &[(&str, &str)]) -> Result<String> {
    let (path, query) = url.split_at_checked(end(url, b"?")).unwrap_or((url, ""));
    let query = query.get(1..).unwrap_or_default().trim_matches('&');
    for name in query.split('&').filter_map(|pair| pair.split('=').next()) {
        if pairs.iter().any(|(own, _)| name.eq_ignore_ascii_case(own)) {
            return Err(invalid(&[
                variable,
                " has a query with a parameter that is added to it; set it as the platform gave it",
            ]));
        }
    }
    let mark = if query.is_empty() { "" } else { "&" };
    Ok([path, "?", query, mark, &text::form(pairs)].concat())
}

/// The URL without slashes at the end of its path; what follows the path stays.
pub(crate) fn trim_path(url: &str) -> String {
    let (path, rest) = url.split_at_checked(end(url, b"?")).unwrap_or((url, ""));
    [path.trim_end_matches('/'), rest].concat()
}

/// Where the first of `marks` stands, else the text's end.
pub(crate) fn end(text: &str, marks: &[u8]) -> usize {
    text.bytes().position(|b| marks.contains(&b)).unwrap_or(text.len())
}

pub(crate) fn has(text: &str, byte: u8) -> bool {
    text.bytes().any(|b| b == byte)
}

/// A host, or an address in brackets, and perhaps a port.
fn is_authority(text: &str) -> bool {
    let after_brackets = text.bytes().rposition(|b| b == b']').unwrap_or(0);
    let colon = after_brackets + end(text.get(after_brackets..).unwrap_or_default(), b":");
    let (host, port) = text.split_at_checked(colon).unwrap_or_default();
    let is_port =
        |port: &str| port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0);
    check::is_host(host) && port.strip_prefix(':').is_none_or(is_port)
}

pub(crate) fn invalid(parts: &[&str]) -> Error {
    Error::new(ErrorKind::InvalidArgument, parts.concat())
}

const SCHEME: &str = "https://";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_urls_that_lead_where_they_seem_to_are_taken() {
        for (url, expected) in [
            ("https://proxy", ""),
            ("HTTPS://[::1]:8443/a%20b?c=d", ""),
            ("https://10.0.0.1:65535/", ""),
            ("", "https URL"),
            ("proxy", "https URL"),
            ("http://localhost/", "https URL"),
            ("https:/proxy", "https URL"),
            ("ftp://proxy/CANARY", "https URL"),
            ("https://", "no host"),
            ("https:///CANARY", "no host"),
            ("https://?CANARY", "no host"),
            ("https://:8443", "no host"),
            ("https://proxy:", "port"),
            ("https://proxy:0", "port"),
            ("https://proxy:65536", "port"),
            ("https://proxy:+80", "port"),
            ("https://user:CANARY@proxy/", "user name"),
            ("https://CANARY@proxy", "user name"),
            ("https://proxy/#CANARY", "fragment"),
            ("https://proxy\\@CANARY/", "backslash"),
            ("https://proxy/ CANARY", "space"),
            ("https://proxy/\r\nCANARY: 1", "character"),
            ("https://prоxy/", "character"),
            ("https://pro%2fxy/", "no host"),
            ("https://[proxy]", "no host"),
            ("https://a[b]c/", "no host"),
            ("https://[10.0.0.1]:6443", "no host"),
            ("https://[::1]x", "no host"),
            ("https://-proxy/", "no host"),
        ] {
            let result = check("VARIABLE", url);
            match expected {
                "" => result.expect(url),
                _ => {
                    let error = result.expect_err(url);
                    let message = error.to_string();
                    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
                    assert!(message.starts_with("VARIABLE ") && message.contains(expected), "{url}: {message}");
                    assert!(!message.contains("CANARY"), "{message}");
                }
            }
        }
    }

    #[test]
    fn parameters_are_added_to_a_query_or_make_one() {
        let pairs = [("a", "1 2"), ("b", "api://x")];
        for (url, expected) in [
            ("https://x/p", "https://x/p?a=1%202&b=api%3A%2F%2Fx"),
            ("https://x/p?", "https://x/p?a=1%202&b=api%3A%2F%2Fx"),
            ("https://x?c=d", "https://x?c=d&a=1%202&b=api%3A%2F%2Fx"),
            ("https://x/?c=/&", "https://x/?c=/&a=1%202&b=api%3A%2F%2Fx"),
        ] {
            assert_eq!(with_query("VARIABLE", url, &pairs).unwrap(), expected);
        }
        for url in ["https://x?a=1", "https://x?c&B=2", "https://x?A"] {
            assert!(with_query("VARIABLE", url, &pairs).unwrap_err().to_string().starts_with("VARIABLE"), "{url}");
        }
    }

    #[test]
    fn slashes_at_the_end_of_a_path_go() {
        for (url, expected) in
            [("https://x/p//", "https://x/p"), ("https://x/p/?q=/", "https://x/p?q=/"), ("https://x", "https://x")]
        {
            assert_eq!(trim_path(url), expected);
        }
    }
}
