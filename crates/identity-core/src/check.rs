//! What callers and configuration may hand in. Everything here is judged before anything is sent.

use crate::{Error, ErrorKind, Result};

/// The most scopes of one request.
pub const SCOPE_COUNT_LIMIT: usize = 16;
/// The longest scope, in bytes.
pub const SCOPE_LIMIT: usize = 512;
/// The longest claims text, in bytes.
pub const CLAIMS_LIMIT: usize = 16 * 1024;

/// Checks the scopes of a request.
///
/// # Errors
///
/// [`ErrorKind::InvalidArgument`] if there is none, more than [`SCOPE_COUNT_LIMIT`], one that is empty or longer than
/// [`SCOPE_LIMIT`], or one with a character that no scope has: anything but visible ASCII, quotes, backslashes and what
/// shells give a meaning, or a hyphen at its beginning.
pub fn scopes(scopes: &[&str]) -> Result<()> {
    if scopes.is_empty() {
        return Err(invalid("no scope was given; pass one such as https://storage.azure.com/.default".into()));
    }
    if scopes.len() > SCOPE_COUNT_LIMIT {
        return Err(invalid(format!("{} scopes were given; at most {SCOPE_COUNT_LIMIT} are allowed", scopes.len())));
    }
    for scope in scopes {
        if scope.is_empty() || scope.len() > SCOPE_LIMIT {
            return Err(invalid(format!("a scope has {} bytes; 1 to {SCOPE_LIMIT} are allowed", scope.len())));
        }
        let bad = |b| {
            !u8::is_ascii_graphic(&b)
                || matches!(
                    b,
                    b'"' | b'\''
                        | b'\\'
                        | b'`'
                        | b'&'
                        | b'|'
                        | b';'
                        | b'$'
                        | b'('
                        | b')'
                        | b'^'
                        | b'%'
                        | b'!'
                        | b'<'
                        | b'>'
                )
        };
        if scope.starts_with('-') || scope.bytes().any(bad) {
            return Err(invalid(format!(
                "the scope {scope:?} has a character that no scope has; expected one such as https://storage.azure.com/.default"
            )));
        }
    }
    Ok(())
}

/// The resource of the only scope: the scope without one trailing `/.default`.
///
/// # Errors
///
/// [`ErrorKind::InvalidArgument`] as for [`scopes()`], or if there is more than one scope.
///
/// Source: azure-identity 1.27.0, `_internal/__init__.py` (`_scopes_to_resource`).
pub fn resource<'a>(all: &[&'a str]) -> Result<&'a str> {
    scopes(all)?;
    match all {
        [scope] => match scope.strip_suffix("/.default").unwrap_or(scope) {
            "" => Err(invalid("the scope /.default names no resource".into())),
            resource => Ok(resource),
        },
        _ => Err(invalid(format!("{} scopes were given; this credential takes exactly one", all.len()))),
    }
}

/// Checks a tenant: a GUID, a domain name, or a word such as `organizations`.
///
/// # Errors
///
/// [`ErrorKind::InvalidArgument`] unless it is 1 to 253 letters, digits, hyphens and dots of ASCII, starts with a letter
/// or digit, and has no dot at its end nor two in a row.
pub fn tenant_id(tenant: &str) -> Result<()> {
    let well_formed = tenant.len() <= 253
        && tenant.starts_with(|c: char| c.is_ascii_alphanumeric())
        && tenant.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.'))
        && !tenant.ends_with('.')
        && crate::text::find(tenant, "..").is_none();
    if well_formed {
        return Ok(());
    }
    Err(invalid(format!(
        "{} is not a tenant id; expected a GUID or a domain name, see https://learn.microsoft.com/partner-center/find-ids-and-domain-names",
        named(tenant)
    )))
}

/// Checks the id of an application or identity: 1 to 128 letters, digits, hyphens, dots and underscores of ASCII.
///
/// # Errors
///
/// [`ErrorKind::InvalidArgument`], calling the value `what`.
pub fn id(what: &str, id: &str) -> Result<()> {
    if (1..=128).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'))
    {
        return Ok(());
    }
    Err(invalid(format!("{} is not a {what}; expected a GUID", named(id))))
}

/// Checks a claims text: a JSON object of at most [`CLAIMS_LIMIT`] bytes, no deeper than
/// [`json::DEPTH_LIMIT`](crate::json::DEPTH_LIMIT).
///
/// # Errors
///
/// [`ErrorKind::InvalidArgument`].
pub fn claims(claims: &str) -> Result<()> {
    if claims.len() > CLAIMS_LIMIT {
        return Err(invalid(format!("the claims have {} bytes; at most {CLAIMS_LIMIT} are allowed", claims.len())));
    }
    crate::json::members(claims.as_bytes(), &mut |_, _| {}).map_err(|_| {
        invalid("the claims are not a JSON object; pass the text of the challenge, decoded from base64".into())
    })
}

/// Whether text can be the value of an HTTP header that this project sends: visible ASCII and inner spaces.
#[must_use]
pub fn is_header_value(text: &str) -> bool {
    !text.is_empty() && text.trim().len() == text.len() && text.bytes().all(|b| b == b' ' || b.is_ascii_graphic())
}

/// Whether text can be an access token: visible ASCII without spaces.
#[must_use]
pub fn is_token(text: &str) -> bool {
    !text.is_empty() && crate::bytes::are_graphic(text.as_bytes())
}

/// What was given for an id, for a message: quoted, unless a secret may have been put in its place. Those of Entra have a tilde,
/// keys are in base64, tokens are long.
fn named(value: &str) -> String {
    let is_odd = |b: u8| matches!(b, b'~' | b'+' | b'=');
    if value.len() > 64 || value.bytes().any(is_odd) {
        return format!("what was given ({} characters)", value.chars().count());
    }
    quoted(value)
}

/// A value for a message: escaped, and cut after 64 characters.
fn quoted(value: &str) -> String {
    let head: String = value.chars().take(64).collect();
    let more = if head.len() < value.len() { "..." } else { "" };
    format!("{head:?}{more}")
}

#[cold]
fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidArgument, message)
}

/// Whether a text is the host of a URL: a name, an IPv4 address, or an IPv6 address in brackets. Without a dot at its end.
#[must_use]
pub fn is_host(text: &str) -> bool {
    if let Some(inner) = text.strip_prefix('[') {
        return inner.strip_suffix(']').is_some_and(|address| address.parse::<std::net::Ipv6Addr>().is_ok());
    }
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    let is_label = |label: &str| {
        (1..=63).contains(&label.len()) && label.bytes().all(fits) && !label.starts_with('-') && !label.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_in_the_place_of_an_id_is_not_shown() {
        for odd in ["abc8Q~canary", "canary+/==", &["canary", &"x".repeat(64)].concat(), "a=canary"] {
            let odd = &[odd, " "].concat();
            for error in [tenant_id(odd).unwrap_err(), id("client id", odd).unwrap_err()] {
                let text = error.to_string();
                assert!(!text.contains("canary") && text.contains("what was given ("), "{text}");
            }
        }
        // What is mistyped is shown.
        assert!(tenant_id("contoso.com ").unwrap_err().to_string().starts_with("\"contoso.com \" is not a tenant id"));
    }

    #[test]
    fn ordinary_scopes_pass() {
        for scope in [
            "https://storage.azure.com/.default",
            "https://vault.azure.net//.default",
            "api://11111111-1111-1111-1111-111111111111/.default",
            "User.Read",
            "https://x.example/a_b~c?d=e#f+g,h*i@j",
        ] {
            scopes(&[scope]).unwrap();
        }
    }

    #[test]
    fn other_scopes_are_invalid_arguments() {
        let long = "x".repeat(64 * 1024);
        for scope in [
            "",
            "--help",
            "-x",
            "a b",
            "a\"b",
            "a'b",
            "a&b",
            "a|b",
            "a;b",
            "a$b",
            "a(b",
            "a)b",
            "a^b",
            "a%b",
            "a!b",
            "a\nb",
            "a\\b",
            "a`b",
            "a<b",
            "a>b",
            "https://vаult.azure.net/.default",
            "ｈttps://x",
            "a\0b",
            &long,
        ] {
            let error = scopes(&[scope]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{scope}");
            assert!(error.to_string().len() < 1024);
        }
        assert!(scopes(&[]).is_err());
        assert!(scopes(&["a"; 1000]).is_err());
    }

    #[test]
    fn one_default_suffix_is_stripped() {
        assert_eq!(resource(&["https://vault.azure.net//.default"]).unwrap(), "https://vault.azure.net/");
        assert_eq!(resource(&["https://vault.azure.net/.default"]).unwrap(), "https://vault.azure.net");
        assert_eq!(resource(&["https://x/.default/.default"]).unwrap(), "https://x/.default");
        assert_eq!(resource(&["https://x"]).unwrap(), "https://x");
        assert!(resource(&["a", "b"]).is_err());
        assert!(resource(&["/.default"]).is_err());
    }

    #[test]
    fn tenants_are_guids_domains_or_words() {
        for tenant in ["organizations", "contoso.onmicrosoft.com", "72f988bf-86f1-41af-91ab-2d7cd011db47"] {
            tenant_id(tenant).unwrap();
        }
        let long = "a".repeat(300);
        for tenant in [
            "",
            "../../evil.example/x",
            "a/b",
            "a?b",
            "a#b",
            "a%2fb",
            "a@b",
            "a\0",
            "..",
            ".a",
            "a.",
            "a..b",
            "-",
            "--debug",
            "tеnant",
            &long,
        ] {
            assert_eq!(tenant_id(tenant).unwrap_err().kind(), ErrorKind::InvalidArgument, "{tenant}");
        }
    }

    #[test]
    fn ids_have_no_characters_with_a_meaning() {
        id("client id", "11111111-1111-1111-1111-111111111111").unwrap();
        for bad in ["", "a\"b", "a\r\nb", "a&b", "a b", "ä", &"a".repeat(129)] {
            assert_eq!(id("client id", bad).unwrap_err().kind(), ErrorKind::InvalidArgument, "{bad}");
        }
    }

    #[test]
    fn claims_are_small_shallow_objects() {
        claims(r#" {"access_token":{}}"#).unwrap();
        let (large, deep) =
            (format!("{{\"a\":\"{}\"}}", "x".repeat(200_000)), format!("{{\"a\":{}", "[".repeat(10_000)));
        for bad in ["", "[]", "true", "nonsense", "{", "{\"a\":}", "{} {}", &large, &deep] {
            assert_eq!(claims(bad).unwrap_err().kind(), ErrorKind::InvalidArgument);
        }
    }

    #[test]
    fn header_values_and_tokens_are_visible_ascii() {
        assert!(is_header_value("a b") && is_token("a.b-c_d~e+f/g="));
        for bad in ["", " a", "a ", "a\r\nb", "a\tb", "ä", "a\0"] {
            assert!(!is_header_value(bad), "{bad:?}");
        }
        for bad in ["", "a b", "a\r", "a\n", "ä"] {
            assert!(!is_token(bad), "{bad:?}");
        }
    }

    #[test]
    fn hosts_are_names_and_addresses() {
        for good in ["localhost", "a.b", "10.0.0.1", "[::1]", "a_b-c.example", &"a".repeat(63)] {
            assert!(is_host(good), "{good}");
        }
        for bad in [
            "",
            ".",
            "a.",
            ".a",
            "a..b",
            "-a",
            "a-",
            "a b",
            "a:1",
            "[a]",
            "[10.0.0.1]",
            "[::1]x",
            "[::1",
            "::1",
            "a[b]c",
            "\u{430}",
            &"a".repeat(64),
            &["a"; 128].join("."),
        ] {
            assert!(!is_host(bad), "{bad}");
        }
    }
}
