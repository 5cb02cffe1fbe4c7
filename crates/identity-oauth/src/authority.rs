//! Who issues tokens: the clouds, their hosts, and the URLs at them.

use std::net::Ipv4Addr;

use identity_core::{Env, Error, ErrorKind, Result, check, text::find};

use crate::env;

/// The hosts of the authorities of Microsoft's clouds, for `authority(..)` on a builder.
///
/// Source: azure-identity 1.27.0, `_constants.py`.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct AzureAuthorityHosts;

impl AzureAuthorityHosts {
    /// The public cloud, which is the default.
    pub const AZURE_PUBLIC_CLOUD: &'static str = "login.microsoftonline.com";
    /// Azure Government, United States.
    pub const AZURE_GOVERNMENT: &'static str = "login.microsoftonline.us";
    /// Azure operated by 21Vianet, China.
    pub const AZURE_CHINA: &'static str = "login.chinacloudapi.cn";
}

/// The older name of [`AzureAuthorityHosts`].
pub type KnownAuthorities = AzureAuthorityHosts;

/// The host, and perhaps a path, of an authority: `https://login.microsoftonline.com`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Authority {
    /// Without a slash at its end.
    url: String,
}

impl Authority {
    /// The authority that was chosen, else that of `AZURE_AUTHORITY_HOST`, else the public cloud.
    pub(crate) fn choose(chosen: Option<&str>, env: &dyn Env) -> Result<Self> {
        if let Some(text) = chosen {
            return Self::parse(text, "the authority");
        }
        match env.text(env::AUTHORITY_HOST)? {
            Some(text) => Self::parse(&text, env::AUTHORITY_HOST),
            None => Self::parse(AzureAuthorityHosts::AZURE_PUBLIC_CLOUD, "the authority"),
        }
    }

    /// Reads a host, `host:port` or an `https` URL; `what` names it in errors, which do not repeat it.
    fn parse(text: &str, what: &str) -> Result<Self> {
        let bad = |why: &str| {
            let advice = "expected a host such as login.microsoftonline.com, or an https URL";
            Err(Error::new(ErrorKind::InvalidArgument, format!("{what} {why}; {advice}")))
        };
        let text = text.trim_matches(' ').trim_end_matches('/');
        let (scheme, rest) = match find(text, "://") {
            Some(at) => (text.get(..at), text.get(at + 3..).unwrap_or_default()),
            None => (None, text),
        };
        if scheme.is_some_and(|scheme| !scheme.eq_ignore_ascii_case("https")) {
            return bad("is not an https URL");
        }
        let (host, path) = rest.split_at(rest.bytes().position(|b| b == b'/').unwrap_or(rest.len()));
        if host.bytes().any(|b| b == b'@') {
            return bad("has a user name or password");
        }
        if rest.bytes().any(|b| matches!(b, b'?' | b'#')) {
            return bad("has a query or a fragment");
        }
        let fits_path = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'-' | b'.' | b'_' | b'~');
        let fits_host = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b':' | b'[' | b']');
        if host.is_empty() || !host.bytes().all(fits_host) || !path.bytes().all(fits_path) {
            return bad("is empty or has a character that no host or path has");
        }
        let dotted = host_name(host);
        if dotted.is_empty() || dotted.ends_with('.') || dotted.starts_with('.') || find(rest, "..").is_some() {
            return bad("has no host, or an empty part between dots");
        }
        if !check::is_host(dotted) {
            return bad("has a host that is none");
        }
        let port = host.get(dotted.len()..).unwrap_or_default().strip_prefix(':');
        if port.is_some_and(|port| !port.starts_with(|c: char| c.is_ascii_digit()) || port.parse::<u16>().is_err()) {
            return bad("has a port that is none");
        }
        Ok(Self { url: ["https://", &host.to_ascii_lowercase(), path].concat() })
    }

    /// Scheme, host, port and path, without a slash at the end.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Scheme, host and port.
    pub(crate) fn origin(&self) -> &str {
        let start = "https://".len();
        let rest = self.url.get(start..).unwrap_or_default();
        let end = rest.bytes().position(|b| b == b'/').unwrap_or(rest.len());
        self.url.get(..start + end).unwrap_or_default()
    }

    /// The host without its port.
    pub(crate) fn host(&self) -> &str {
        host_name(self.origin().get("https://".len()..).unwrap_or_default())
    }

    /// Whether the host needs nobody's word for it: one of Microsoft's, or one of a customer's own tenant there.
    pub(crate) fn is_known(&self) -> bool {
        let host = self.host();
        KNOWN_HOSTS.contains(&host) || OWN_HOSTS.iter().any(|suffix| host.ends_with(suffix))
    }

    /// Where tokens of `tenant` are asked for.
    ///
    /// Source for AD FS: `@azure/identity` 4.14.1, `identityTokenEndpoint.ts`.
    pub(crate) fn token_endpoint(&self, tenant: &str) -> String {
        let version = if is_adfs(tenant) { "/oauth2/token" } else { "/oauth2/v2.0/token" };
        [&self.url, "/", tenant, version].concat()
    }

    /// The authority of one region of this cloud. An address has none.
    ///
    /// Source: msal 1.39.0, `application.py` (`_get_regional_authority`).
    pub(crate) fn in_region(&self, region: &str) -> Self {
        let host = self.host();
        if host.starts_with('[') || host.parse::<Ipv4Addr>().is_ok() {
            return self.clone();
        }
        let rest = self.url.get("https://".len() + host.len()..).unwrap_or_default();
        let host = if PUBLIC_HOSTS.contains(&host) { "login.microsoft.com" } else { host };
        Self { url: ["https://", region, ".", host, rest].concat() }
    }
}

/// Whether the tenant stands for a server of Active Directory Federation Services.
pub(crate) fn is_adfs(tenant: &str) -> bool {
    tenant.eq_ignore_ascii_case("adfs")
}

/// The label of a host, as regions are.
///
/// Source: msal 1.39.0, `application.py`.
pub(crate) fn is_region(text: &str) -> bool {
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    (1..=63).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.bytes().all(|b| fits(b) || b == b'-')
        && text.bytes().last().is_some_and(fits)
}

/// Checks the ids that every credential of an application has.
pub(crate) fn check_ids(tenant: &str, client_id: &str) -> Result<()> {
    check::tenant_id(tenant)?;
    check::id("client id", client_id)
}

fn host_name(host: &str) -> &str {
    let after_brackets = host.bytes().rposition(|b| b == b']').unwrap_or(0);
    let colon = host.get(after_brackets..).and_then(|end| end.bytes().position(|b| b == b':'));
    colon.and_then(|at| host.get(..after_brackets + at)).unwrap_or(host)
}

/// Source: msal 1.39.0, `authority.py` (`WELL_KNOWN_AUTHORITY_HOSTS`).
const KNOWN_HOSTS: [&str; 13] = [
    "login.microsoftonline.com",
    "login.microsoft.com",
    "login.windows.net",
    "sts.windows.net",
    "login.chinacloudapi.cn",
    "login.partner.microsoftonline.cn",
    "login.microsoftonline.de",
    "login-us.microsoftonline.com",
    "login.microsoftonline.us",
    "login.usgovcloudapi.net",
    "login.sovcloud-identity.fr",
    "login.sovcloud-identity.de",
    "login.sovcloud-identity.sg",
];

/// The hosts that share the regional endpoints of the public cloud.
const PUBLIC_HOSTS: [&str; 4] =
    ["login.microsoftonline.com", "login.microsoft.com", "login.windows.net", "sts.windows.net"];

/// External tenants have hosts of their own below these, which only Microsoft can hand out.
///
/// Source: msal 1.39.0, `authority.py` (`_CIAM_DOMAIN_SUFFIX`, `WELL_KNOWN_B2C_HOSTS`).
const OWN_HOSTS: [&str; 5] = [".ciamlogin.com", ".b2clogin.com", ".b2clogin.cn", ".b2clogin.us", ".b2clogin.de"];

#[cfg(test)]
mod tests {
    use identity_core::fakes::FakeEnv;

    use super::*;

    fn parse(text: &str) -> Result<Authority> {
        Authority::parse(text, "the authority")
    }

    #[test]
    fn hosts_ports_and_urls_are_authorities() {
        for (text, url, host) in [
            ("login.microsoftonline.com", "https://login.microsoftonline.com", "login.microsoftonline.com"),
            (" Login.MicrosoftOnline.us/ ", "https://login.microsoftonline.us", "login.microsoftonline.us"),
            ("HTTPS://login.chinacloudapi.cn//", "https://login.chinacloudapi.cn", "login.chinacloudapi.cn"),
            ("localhost:8443", "https://localhost:8443", "localhost"),
            ("https://[::1]:8443/a/b/", "https://[::1]:8443/a/b", "[::1]"),
            ("https://sts.contoso.com/tenants-1", "https://sts.contoso.com/tenants-1", "sts.contoso.com"),
        ] {
            let authority = parse(text).unwrap();
            assert_eq!((authority.url(), authority.host()), (url, host), "{text}");
        }
    }

    #[test]
    fn what_could_lead_elsewhere_is_no_authority_and_is_not_repeated() {
        for text in [
            "",
            "/",
            "http://login.microsoftonline.com",
            "http://localhost:8080",
            "ftp://canary",
            "https://user:canary@login.microsoftonline.com",
            "canary@login.microsoftonline.com",
            "https://login.microsoftonline.com?canary",
            "https://login.microsoftonline.com#canary",
            "https://login.microsoftonline.com\\canary",
            "https://login.microsoftonline.com.",
            "https://.canary",
            "https://a..canary",
            "https://login.microsoftonline.com/../canary",
            "https://login.microsoftonline.com/a b",
            "https://lоgin.microsoftonline.com",
            "https://",
            "https:///canary",
            "https://:443",
            "https://a%2fcanary",
            "https://https://canary",
            "a]b",
            "-",
            "-canary.example",
            "[canary]",
            "[::1]canary.ciamlogin.com",
            "[::1",
        ] {
            let error = parse(text).expect_err(text);
            assert_eq!(error.kind(), ErrorKind::InvalidArgument);
            assert!(!error.to_string().contains("canary"), "{text}: {error}");
        }
    }

    #[test]
    fn the_argument_wins_over_the_variable_and_an_empty_one_is_not_set() {
        for (chosen, variable, expected) in [
            (None, "", "https://login.microsoftonline.com"),
            (None, "login.microsoftonline.us", "https://login.microsoftonline.us"),
            (Some("login.chinacloudapi.cn"), "login.microsoftonline.us", "https://login.chinacloudapi.cn"),
        ] {
            let env = FakeEnv::new(&[("AZURE_AUTHORITY_HOST", variable)]);
            assert_eq!(Authority::choose(chosen, &env).unwrap().url(), expected);
        }
        let env = FakeEnv::new(&[("AZURE_AUTHORITY_HOST", "http://x")]);
        assert!(Authority::choose(None, &env).unwrap_err().to_string().starts_with("AZURE_AUTHORITY_HOST"));
    }

    #[test]
    fn only_hosts_of_microsoft_are_known() {
        for (host, expected) in [
            ("login.microsoftonline.com", true),
            ("LOGIN.windows.net:443", true),
            ("login.sovcloud-identity.fr", true),
            ("contoso.ciamlogin.com", true),
            ("ciamlogin.com", false),
            ("evilciamlogin.com", false),
            ("login.microsoftonline.com.evil.example", false),
            ("sts.contoso.com", false),
            ("localhost", false),
        ] {
            assert_eq!(parse(host).unwrap().is_known(), expected, "{host}");
        }
    }

    #[test]
    fn endpoints_are_those_of_the_tenant_and_region() {
        let public = parse("login.windows.net").unwrap();
        assert_eq!(public.token_endpoint("t"), "https://login.windows.net/t/oauth2/v2.0/token");
        assert_eq!(public.token_endpoint("adfs"), "https://login.windows.net/adfs/oauth2/token");
        assert_eq!(public.in_region("westus2").url(), "https://westus2.login.microsoft.com");
        let local = parse("localhost:8443/x").unwrap();
        assert_eq!(local.in_region("r").url(), "https://r.localhost:8443/x");
        for address in ["https://[::1]:8443/x", "https://127.0.0.1"] {
            assert_eq!(parse(address).unwrap().in_region("r").url(), address);
        }
        let china = parse("login.partner.microsoftonline.cn").unwrap();
        assert_eq!(china.in_region("chinaeast2").url(), "https://chinaeast2.login.partner.microsoftonline.cn");
    }

    #[test]
    fn regions_are_labels_of_a_host() {
        for (text, expected) in [
            ("westus2", true),
            ("a", true),
            ("us-gov-1", true),
            ("", false),
            ("WestUS", false),
            ("east.us", false),
            ("eastus:443", false),
            ("../x", false),
            ("1east", false),
            ("east-", false),
            ("eаst", false),
        ] {
            assert_eq!(is_region(text), expected, "{text}");
        }
        assert!(is_region(&"a".repeat(63)) && !is_region(&"a".repeat(64)));
    }
}
