//! What variables hold, and what may be shown of it: only what cannot be a secret that somebody put into the wrong place.

use std::{
    env,
    net::IpAddr,
    path::{Path, PathBuf},
};

use identity::ChainLink;

use super::address;

/// What a variable holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Which credentials the chain has. Blanks around it do not count.
    Chain,
    /// A GUID.
    Guid,
    /// A GUID, or a domain name.
    Tenant,
    /// Several of them, or `*`.
    Tenants,
    /// A region of Azure.
    Region,
    /// Yes or no.
    Flag,
    /// The digest of a certificate.
    Thumbprint,
    Url,
    /// A host, or a URL.
    Host,
    Proxy,
    /// Hosts that no proxy leads to.
    Hosts,
    Path,
    /// Several of them, as in `PATH`.
    Paths,
    Secret,
}

/// What is shown of a value; `None` if it is a secret, or may be one that is in the wrong place.
pub(super) fn show(kind: Kind, value: &str) -> Option<String> {
    let is_good = match kind {
        Kind::Chain => is_of_the_chain(value),
        Kind::Guid => is_guid(value),
        Kind::Tenant => is_tenant(value),
        Kind::Tenants => value.split(';').all(|tenant| matches!(tenant.trim(), "" | "*") || is_tenant(tenant.trim())),
        Kind::Region => value.len() <= 32 && value.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()),
        Kind::Flag => ["0", "1", "true", "false"].iter().any(|flag| value.eq_ignore_ascii_case(flag)),
        Kind::Thumbprint => matches!(value.len(), 40 | 64) && value.bytes().all(|b| b.is_ascii_hexdigit()),
        Kind::Hosts => value.len() <= 1024 && value.split(',').all(|entry| is_entry(entry.trim())),
        Kind::Path => is_path(value),
        Kind::Paths => paths(value).all(|path| path.to_str().is_some_and(|path| path.is_empty() || is_path(path))),
        Kind::Url => return address::origin(value, None),
        Kind::Host => return address::origin(value, Some("https")),
        Kind::Proxy => return address::origin(value, Some("http")),
        Kind::Secret => false,
    };
    is_good.then(|| value.to_owned())
}

/// Why a value is not shown, if that is odd.
pub(super) const fn warning(kind: Kind) -> Option<&'static str> {
    Some(match kind {
        Kind::Chain => "it is none of the values it may have",
        Kind::Guid => "it is no GUID, and so is not shown",
        Kind::Tenant => "it is no GUID or domain name, and so is not shown",
        Kind::Tenants => "it is no list of tenants with semicolons between them, and so is not shown",
        Kind::Region => "it is no region of lower-case letters and digits, such as westus2, and so is not shown",
        Kind::Flag => "it is none of true, false, 1 and 0, and so is not shown",
        Kind::Thumbprint => "it is no thumbprint of 40 or 64 hexadecimal digits, and so is not shown",
        Kind::Url => "it is no URL with http:// or https:// and a host, and so is not shown",
        Kind::Host | Kind::Proxy => "it is no URL, and no host with a dot in it, and so is not shown",
        Kind::Hosts => {
            "one of its entries is no address, network, `*` or host with a dot in it, and so it is not shown"
        }
        Kind::Path | Kind::Paths => "it is no path that begins at the root or leads to something, and so is not shown",
        Kind::Secret => return None,
    })
}

/// A path is short, and begins at the root or leads to something. A key or a secret does neither.
pub(super) fn is_path(value: &str) -> bool {
    let is_odd = value.len() > LONGEST_PATH
        || value.chars().any(char::is_control)
        || value.contains("-----BEGIN")
        || value.contains("://");
    let path = Path::new(value);
    !is_odd && value.contains(['/', '\\']) && (path.has_root() || path.is_absolute() || path.exists())
}

fn paths(value: &str) -> impl Iterator<Item = PathBuf> + '_ {
    env::split_paths(value)
}

/// The names that the chain's variable may have.
fn is_of_the_chain(value: &str) -> bool {
    let names = ChainLink::ALL.iter().map(|link| link.name());
    ["dev", "prod"].into_iter().chain(names).any(|name| value.eq_ignore_ascii_case(name))
}

fn is_guid(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12])
        && groups.iter().all(|group| group.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// A domain has a dot, and labels of letters, digits and hyphens, as no secret does that Entra ID makes.
fn is_tenant(text: &str) -> bool {
    let is_label =
        |label: &str| (1..=63).contains(&label.len()) && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let is_domain =
        text.len() <= 253 && text.contains('.') && text.split('.').all(is_label) && !text.starts_with("eyJ");
    is_guid(text) || is_domain || matches!(text, "common" | "organizations" | "consumers")
}

/// An entry of `NO_PROXY`: a host, an address or a network, or all.
fn is_entry(entry: &str) -> bool {
    let is_network = |(address, bits): (&str, &str)| {
        address.parse::<IpAddr>().is_ok_and(|address| {
            let most = if address.is_ipv4() { 32 } else { 128 };
            bits.parse::<u8>().is_ok_and(|bits| bits <= most)
        })
    };
    let host = entry.strip_prefix("*.").or_else(|| entry.strip_prefix('.'));
    matches!(entry, "" | "*")
        || entry.parse::<IpAddr>().is_ok()
        || entry.split_once('/').is_some_and(is_network)
        // A domain that begins with a dot may be one label, such as .svc in Kubernetes.
        || host.is_some_and(address::is_host)
        || address::is_place_without_scheme(entry)
}

/// The longest path that is shown or looked at, in bytes. Source: our choice.
const LONGEST_PATH: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_shows_what_it_may_hold_and_nothing_else() {
        let guid = "7e57ab1e-0000-4000-8000-0000000000C0";
        let here = env!("CARGO_MANIFEST_DIR");
        for (kind, good, bad) in [
            (Kind::Chain, &["dev", "PROD", "azureclicredential"][..], &["azurecli", "hunter2", ""][..]),
            (Kind::Guid, &[guid], &["7e57ab1e", "x"]),
            (Kind::Tenant, &[guid, "contoso.com", "organizations"], &["contoso", "eyJa.b.c", "a_b.c", "a..b"]),
            (Kind::Tenants, &["*", "contoso.com; x.org"], &["contoso.com,x.org"]),
            (Kind::Region, &["westus2", "tryautodetect"], &["West US", "WESTUS2", "a-b", &"a".repeat(33)]),
            (Kind::Flag, &["1", "0", "True", "FALSE"], &["yes", "hunter2", "2"]),
            (Kind::Thumbprint, &[&"a1".repeat(20), &"A1".repeat(32)], &["a1", &"g".repeat(40)]),
            (
                Kind::Hosts,
                &[
                    "*",
                    ".svc,localhost",
                    "a.example:8080, 10.0.0.0/8",
                    "::1,fd00::/8,[::1]:80,10.0.0.1:1",
                    "*.example.com,",
                ],
                &["hunter2", "a.example,hunter2", "10.0.0.0/33", "a b.example", "x/8", ".a~b", "a.b;c.d"],
            ),
            (
                Kind::Path,
                &["/var/run/token", here],
                &[
                    "MIIEvQ/IBADANB+gk=",
                    "a/b",
                    "token",
                    "/a\nb",
                    "/-----BEGIN KEY-----",
                    "http://a/b",
                    &"/a".repeat(600),
                ],
            ),
            (Kind::Paths, &["/etc/ssl/certs", here], &["MIIE/vQ", "a/b"]),
            (Kind::Secret, &[], &["", "x", guid]),
        ] {
            for value in good {
                assert_eq!(show(kind, value).as_deref(), Some(*value), "{kind:?}");
            }
            for value in bad {
                assert_eq!(show(kind, value), None, "{kind:?} {value}");
            }
        }
    }
}
