//! Where a password may be sent, and in which language.

use identity_core::check;

/// An endpoint of a federation server that takes a name and a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Endpoint {
    /// It [`is_fit`].
    pub(super) url: String,
    pub(super) version: WsTrust,
}

/// The version of WS-Trust that an endpoint speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WsTrust {
    /// The standard of OASIS.
    V13,
    /// What came before it, of February 2005.
    V2005,
}

impl WsTrust {
    const ALL: [Self; 2] = [Self::V13, Self::V2005];

    pub(super) fn of_action(action: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|version| version.action() == action)
    }

    /// The version of an endpoint of AD FS, by the path that it always has.
    ///
    /// Source: msal 1.39.0, `wstrust_request.py`.
    pub(super) fn of_url(url: &str) -> Option<Self> {
        let url = url.to_ascii_lowercase();
        let has = |part| identity_core::text::find(&url, part).is_some();
        match (has("/trust/13/usernamemixed"), has("/trust/2005/usernamemixed")) {
            (true, false) => Some(Self::V13),
            (false, true) => Some(Self::V2005),
            _ => None,
        }
    }

    /// What a token is asked for by, in the header `soapaction` and in the message.
    pub(super) fn action(self) -> &'static str {
        match self {
            Self::V13 => "http://docs.oasis-open.org/ws-sx/ws-trust/200512/RST/Issue",
            Self::V2005 => "http://schemas.xmlsoap.org/ws/2005/02/trust/RST/Issue",
        }
    }

    pub(super) fn namespace(self) -> &'static str {
        match self {
            Self::V13 => "http://docs.oasis-open.org/ws-sx/ws-trust/200512",
            Self::V2005 => "http://schemas.xmlsoap.org/ws/2005/02/trust",
        }
    }

    /// Whoever has the token may use it.
    pub(super) fn key_type(self) -> &'static str {
        match self {
            Self::V13 => "http://docs.oasis-open.org/ws-sx/ws-trust/200512/Bearer",
            Self::V2005 => "http://schemas.xmlsoap.org/ws/2005/05/identity/NoProofKey",
        }
    }

    /// A token is to be issued.
    pub(super) fn request_type(self) -> &'static str {
        match self {
            Self::V13 => "http://docs.oasis-open.org/ws-sx/ws-trust/200512/Issue",
            Self::V2005 => "http://schemas.xmlsoap.org/ws/2005/02/trust/Issue",
        }
    }
}

/// Whether a URL that a server named may be asked: `https`, a host, perhaps a port, a path and a query, of visible ASCII, and
/// 2,048 bytes at most. Not with a user, a fragment or a backslash, by which two readers could see two hosts in it.
pub(super) fn is_fit(url: &str) -> bool {
    let Some((scheme, rest)) = url.split_at_checked("https://".len()) else { return false };
    let end = rest.bytes().position(|b| matches!(b, b'/' | b'?')).unwrap_or(rest.len());
    let (authority, path) = rest.split_at_checked(end).unwrap_or_default();
    // Of an address in brackets the colon after the bracket counts.
    let colon =
        authority.bytes().rposition(|b| matches!(b, b':' | b']')).filter(|at| authority.get(*at..=*at) == Some(":"));
    let (host, port) = authority.split_at_checked(colon.unwrap_or(authority.len())).unwrap_or_default();
    let is_port = |port: &str| {
        let digits = port.strip_prefix(':').unwrap_or("443");
        digits.bytes().all(|b| b.is_ascii_digit()) && digits.parse::<u16>().is_ok_and(|port| port > 0)
    };
    url.len() <= URL_LIMIT
        && scheme.eq_ignore_ascii_case("https://")
        && check::is_host(host)
        && is_port(port)
        && path.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'\\' | b'#' | b'"' | b'<' | b'>' | b'`'))
}

/// The longest URL that is taken from an answer, in bytes. Source: our choice.
const URL_LIMIT: usize = 2_048;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_https_urls_are_fit() {
        for url in [
            "https://sts.contoso.com/adfs/services/trust/mex",
            "HTTPS://sts.contoso.com:8443/a?b=c&d=%20",
            "https://sts.contoso.com",
            "https://10.0.0.1/",
            "https://[::1]:443/",
            "https://[::1]",
            "https://sts.contoso.com?a:b",
        ] {
            assert!(is_fit(url), "{url}");
        }
        for url in [
            "",
            "https://",
            "https:///x",
            "http://sts.contoso.com/",
            "https//sts.contoso.com/",
            "ftp://sts.contoso.com/",
            "//sts.contoso.com/",
            "sts.contoso.com",
            " https://sts.contoso.com/",
            "https://user@sts.contoso.com/",
            "https://user:password@sts.contoso.com/",
            "https://sts.contoso.com#x",
            "https://sts.contoso.com/#x",
            "https://sts.contoso.com\\@evil.example/",
            "https://sts.contoso.com/\\x",
            "https://sts.contoso.com:/",
            "https://sts.contoso.com:0/",
            "https://sts.contoso.com:+1/",
            "https://sts.contoso.com:65536/",
            "https://sts.contoso.com:1:2/",
            "https://sts..com/",
            "https://sts.contoso.com./",
            "https://[::1/",
            "https://[::1]x/",
            "https://sts.contoso.com/a b",
            "https://sts.contoso.com/\r\nx: y",
            "https://sts.contoso.com/\u{e4}",
            "https://st\u{455}.contoso.com/",
        ] {
            assert!(!is_fit(url), "{url}");
        }
        let long = |len: usize| format!("https://sts.contoso.com/{}", "x".repeat(len - 24));
        assert!(is_fit(&long(URL_LIMIT)) && !is_fit(&long(URL_LIMIT + 1)));
    }

    #[test]
    fn the_version_is_told_by_the_action_or_by_the_path_of_ad_fs() {
        for version in WsTrust::ALL {
            assert_eq!(WsTrust::of_action(version.action()), Some(version));
        }
        assert_eq!(WsTrust::of_action("http://docs.oasis-open.org/ws-sx/ws-trust/200512/RST/Renew"), None);
        for (path, expected) in [
            ("/adfs/services/trust/13/usernamemixed", Some(WsTrust::V13)),
            ("/adfs/services/trust/2005/UserNameMixed/", Some(WsTrust::V2005)),
            ("/adfs/services/trust/13/windowstransport", None),
            ("/idp/sts.wst", None),
            ("/trust/13/usernamemixed?/trust/2005/usernamemixed", None),
        ] {
            assert_eq!(WsTrust::of_url(&format!("https://sts.contoso.com{path}")), expected, "{path}");
        }
    }
}
