//! The variables that choose or prove an identity, or lead to the service: those that are set, and never a secret.

use std::ffi::OsString;

use identity::Env;

use super::{
    address,
    report::{Shown, Variable},
};

/// What a variable holds, and so what may be shown of it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A GUID.
    Guid,
    /// A GUID, or a domain name.
    Tenant,
    /// Several of them, or `*`.
    Tenants,
    /// A word of letters and digits.
    Word,
    /// The same, with blanks around it that do not count.
    LooseWord,
    Url,
    /// A host, or a URL.
    Host,
    Proxy,
    Hosts,
    Path,
    Secret,
}

/// Every variable that is set, in the order of [`VARIABLES`].
pub(super) fn all(env: &dyn Env) -> Vec<Variable> {
    VARIABLES.iter().filter_map(|(name, kind)| Some(look(name, *kind, env.var_os(name)?))).collect()
}

fn look(name: &'static str, kind: Kind, value: OsString) -> Variable {
    if value.is_empty() {
        return Variable { name, shown: Shown::Empty, warnings: Vec::new() };
    }
    let Ok(value) = value.into_string() else {
        let warning = "it is not valid Unicode, and is refused wherever it is needed".to_owned();
        return Variable { name, shown: Shown::Hidden(0), warnings: vec![warning] };
    };
    let mut warnings = Vec::new();
    let inner = value.trim();
    if inner.is_empty() {
        warnings.push("it has nothing but blanks or line ends".to_owned());
    } else if inner.len() != value.len() && kind != Kind::LooseWord {
        warnings.push("there are blanks or line ends around it, which are part of the value".to_owned());
    }
    let is_quoted = |quote| inner.len() > 1 && inner.starts_with(quote) && inner.ends_with(quote);
    if is_quoted('"') || is_quoted('\'') {
        warnings.push("there are quotes around it, which are part of the value".to_owned());
    }
    let shown = match show(kind, inner) {
        Some(text) => Shown::Value(text),
        None => Shown::Hidden(value.chars().count()),
    };
    if matches!(shown, Shown::Hidden(_)) && warnings.is_empty() {
        warnings.extend(expected(kind).map(|what| format!("it is no {what}, and so is not shown")));
    }
    if NOT_READ.contains(&name) {
        warnings.push(
            "other programs read it, and nobody here: programs call `ca_file`, this one takes --ca-file".to_owned(),
        );
    }
    Variable { name, shown, warnings }
}

/// What is shown of a value; `None` if it is a secret, or may be one that is in the wrong place.
fn show(kind: Kind, value: &str) -> Option<String> {
    let is_word = |more: &str| {
        value.len() <= 64 && value.bytes().all(|b| b.is_ascii_alphanumeric() || more.as_bytes().contains(&b))
    };
    let is_good = match kind {
        Kind::Guid => is_guid(value),
        Kind::Tenant => is_tenant(value),
        Kind::Tenants => value.split(';').all(|tenant| matches!(tenant.trim(), "" | "*") || is_tenant(tenant.trim())),
        Kind::Word | Kind::LooseWord => is_word("-"),
        Kind::Hosts => {
            let is_host = |b: u8| b.is_ascii_alphanumeric() || b".,:*-_/[] ".contains(&b);
            value.len() <= 1024 && value.bytes().all(is_host)
        }
        Kind::Path => value.len() <= 1024 && value.contains(['/', '\\']) && !value.chars().any(char::is_control),
        Kind::Url => return address::origin(value, None),
        Kind::Host => return address::origin(value, Some("https")),
        Kind::Proxy => return address::origin(value, Some("http")),
        Kind::Secret => false,
    };
    is_good.then(|| value.to_owned())
}

const fn expected(kind: Kind) -> Option<&'static str> {
    Some(match kind {
        Kind::Guid => "GUID",
        Kind::Tenant => "GUID or domain name",
        Kind::Tenants => "list of tenants with semicolons between them",
        Kind::Word | Kind::LooseWord => "word of letters and digits",
        Kind::Url => "URL with http:// or https://",
        Kind::Host | Kind::Proxy => "host or URL",
        Kind::Hosts => "list of hosts with commas between them",
        Kind::Path => "path, which has a slash",
        Kind::Secret => return None,
    })
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

/// Bundles of roots that Python, curl and Node read.
const NOT_READ: [&str; 3] = ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"];

/// All that the chain and its connections read, in the order in which they matter to it.
const VARIABLES: [(&str, Kind); 35] = [
    ("AZURE_TOKEN_CREDENTIALS", Kind::LooseWord),
    ("AZURE_TENANT_ID", Kind::Tenant),
    ("AZURE_CLIENT_ID", Kind::Guid),
    ("AZURE_CLIENT_SECRET", Kind::Secret),
    ("AZURE_CLIENT_CERTIFICATE_PATH", Kind::Path),
    ("AZURE_CLIENT_CERTIFICATE_PASSWORD", Kind::Secret),
    ("AZURE_CLIENT_SEND_CERTIFICATE_CHAIN", Kind::Word),
    // Of a person.
    ("AZURE_USERNAME", Kind::Secret),
    ("AZURE_PASSWORD", Kind::Secret),
    ("AZURE_FEDERATED_TOKEN_FILE", Kind::Path),
    ("AZURE_AUTHORITY_HOST", Kind::Host),
    ("AZURE_REGIONAL_AUTHORITY_NAME", Kind::Word),
    ("AZURE_ADDITIONALLY_ALLOWED_TENANTS", Kind::Tenants),
    ("AZURE_IDENTITY_DISABLE_MULTITENANTAUTH", Kind::Word),
    ("IDENTITY_ENDPOINT", Kind::Url),
    ("IDENTITY_HEADER", Kind::Secret),
    ("IDENTITY_SERVER_THUMBPRINT", Kind::Word),
    ("IMDS_ENDPOINT", Kind::Url),
    ("MSI_ENDPOINT", Kind::Url),
    ("MSI_SECRET", Kind::Secret),
    ("DEFAULT_IDENTITY_CLIENT_ID", Kind::Guid),
    ("AZURE_POD_IDENTITY_AUTHORITY_HOST", Kind::Url),
    ("AZURE_CONFIG_DIR", Kind::Path),
    ("AZD_CONFIG_DIR", Kind::Path),
    ("https_proxy", Kind::Proxy),
    ("HTTPS_PROXY", Kind::Proxy),
    ("all_proxy", Kind::Proxy),
    ("ALL_PROXY", Kind::Proxy),
    ("no_proxy", Kind::Hosts),
    ("NO_PROXY", Kind::Hosts),
    ("SSL_CERT_FILE", Kind::Path),
    ("SSL_CERT_DIR", Kind::Path),
    (NOT_READ[0], Kind::Path),
    (NOT_READ[1], Kind::Path),
    (NOT_READ[2], Kind::Path),
];

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::overlay::Overlay;

    fn one(name: &str, value: &str) -> Variable {
        let variables = vec![(name.to_owned(), value.to_owned())];
        let mut all = all(&Overlay::new(variables, Arc::clone(identity::platform().env())));
        assert_eq!(all.len(), 1, "{name}");
        all.remove(0)
    }

    const GUID: &str = "7e57ab1e-0000-4000-8000-0000000000C0";

    #[test]
    fn what_is_no_secret_is_shown() {
        for (name, value, expected) in [
            ("AZURE_TENANT_ID", GUID, GUID),
            ("AZURE_TENANT_ID", "contoso.onmicrosoft.com", "contoso.onmicrosoft.com"),
            ("AZURE_TENANT_ID", "organizations", "organizations"),
            ("AZURE_CLIENT_ID", GUID, GUID),
            ("AZURE_TOKEN_CREDENTIALS", " Prod\n", "Prod"),
            ("AZURE_AUTHORITY_HOST", "login.microsoftonline.us", "https://login.microsoftonline.us"),
            ("IDENTITY_ENDPOINT", "http://127.0.0.1:4/msi/token?canary", "http://127.0.0.1:4"),
            ("HTTPS_PROXY", "http://user:canary@proxy:8080", "http://proxy:8080"),
            ("NO_PROXY", ".example, 10.0.0.0/8", ".example, 10.0.0.0/8"),
            ("AZURE_FEDERATED_TOKEN_FILE", "/var/run/token", "/var/run/token"),
            ("AZURE_ADDITIONALLY_ALLOWED_TENANTS", "*", "*"),
        ] {
            let found = one(name, value);
            assert_eq!((found.shown, found.warnings), (Shown::Value(expected.to_owned()), vec![]), "{name}={value}");
        }
    }

    #[test]
    fn a_secret_is_counted_also_where_it_does_not_belong() {
        for (name, is_odd) in [
            ("AZURE_CLIENT_SECRET", false),
            ("AZURE_CLIENT_CERTIFICATE_PASSWORD", false),
            ("AZURE_PASSWORD", false),
            ("AZURE_USERNAME", false),
            ("IDENTITY_HEADER", false),
            ("MSI_SECRET", false),
            ("AZURE_TENANT_ID", true),
            ("AZURE_CLIENT_ID", true),
            ("AZURE_TOKEN_CREDENTIALS", true),
            ("AZURE_FEDERATED_TOKEN_FILE", true),
            ("AZURE_AUTHORITY_HOST", true),
            ("HTTPS_PROXY", true),
            ("NO_PROXY", true),
        ] {
            let found = one(name, "abc8Q~CanaryCanary");
            assert_eq!((found.shown, found.warnings.is_empty()), (Shown::Hidden(18), !is_odd), "{name}");
        }
        let found = one("AZURE_TENANT_ID", "eyJhbGciOiJub25lIn0.eyJhdWQiOiJ4In0.c2ln");
        assert_eq!(found.shown, Shown::Hidden(40));
    }

    #[test]
    fn blanks_and_quotes_that_came_along_are_told() {
        for (name, value, part) in [
            ("AZURE_CLIENT_SECRET", "s\n", "blanks or line ends around it"),
            ("AZURE_CLIENT_SECRET", " s", "blanks or line ends around it"),
            ("AZURE_CLIENT_SECRET", "\"s\"", "quotes around it"),
            ("AZURE_CLIENT_ID", "'x'", "quotes around it"),
            ("AZURE_TENANT_ID", "\u{a0}", "nothing but blanks"),
        ] {
            let found = one(name, value);
            assert!(found.warnings.len() == 1 && found.warnings[0].contains(part), "{value:?}: {found:?}");
        }
        assert_eq!(one("AZURE_TENANT_ID", "").shown, Shown::Empty);
    }

    #[test]
    fn a_bundle_of_roots_that_nobody_reads_is_told() {
        let found = one("REQUESTS_CA_BUNDLE", "/etc/corp.pem");
        assert!(found.warnings.len() == 1 && found.warnings[0].contains("--ca-file"), "{found:?}");
    }

    #[cfg(unix)]
    #[test]
    fn what_is_no_text_is_told_and_not_shown() {
        use std::os::unix::ffi::OsStringExt as _;

        let found = look("AZURE_TENANT_ID", Kind::Tenant, OsString::from_vec(vec![b'c', 0xff]));
        assert!(found.shown == Shown::Hidden(0) && found.warnings[0].contains("Unicode"), "{found:?}");
    }
}
