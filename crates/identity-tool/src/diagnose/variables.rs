//! The variables that choose or prove an identity, or lead to the service: those that are set, and never a secret.

use std::ffi::OsString;

use identity::Env;

use super::{
    kinds::{self, Kind},
    report::{LONGEST_VALUE, Shown, Variable, cut},
};

/// Every variable that is set, in the order of [`VARIABLES`].
pub(super) fn all(env: &dyn Env) -> Vec<Variable> {
    VARIABLES.iter().filter_map(|(name, kind)| Some(look(name, *kind, env.var_os(name)?))).collect()
}

fn look(name: &'static str, kind: Kind, value: OsString) -> Variable {
    if value.is_empty() {
        return Variable { name, shown: Shown::Empty, warnings: Vec::new(), note: note(name) };
    }
    let Ok(value) = value.into_string() else {
        let warning = "it is not valid Unicode, and is refused wherever it is needed".to_owned();
        return Variable { name, shown: Shown::Hidden(0), warnings: vec![warning], note: note(name) };
    };
    let mut warnings = Vec::new();
    let inner = value.trim();
    if inner.is_empty() {
        warnings.push("it has nothing but blanks or line ends".to_owned());
    } else if inner.len() != value.len() && kind != Kind::Chain {
        warnings.push("there are blanks or line ends around it, which are part of the value".to_owned());
    }
    let is_quoted = |quote| inner.len() > 1 && inner.starts_with(quote) && inner.ends_with(quote);
    if is_quoted('"') || is_quoted('\'') {
        warnings.push("there are quotes around it, which are part of the value".to_owned());
    }
    let shown = match kinds::show(kind, inner) {
        Some(text) => Shown::Value(cut(&text, LONGEST_VALUE)),
        None => Shown::Hidden(value.chars().count()),
    };
    if matches!(shown, Shown::Hidden(_)) && warnings.is_empty() {
        warnings.extend(kinds::warning(kind).map(str::to_owned));
    }
    Variable { name, shown, warnings, note: note(name) }
}

/// Whose a variable is that the credentials do not read.
fn note(name: &str) -> Option<&'static str> {
    match name {
        "REQUESTS_CA_BUNDLE" | "CURL_CA_BUNDLE" => Some(
            "az and other tools in Python read it; the credentials of this library do not, but take `ca_file`, and this program --ca-file",
        ),
        "NODE_EXTRA_CA_CERTS" => Some(
            "tools in Node read it; the credentials of this library do not, but take `ca_file`, and this program --ca-file",
        ),
        _ => None,
    }
}

/// All that the chain and its connections read, in the order in which they matter to it.
pub(super) const VARIABLES: [(&str, Kind); 37] = [
    ("AZURE_TOKEN_CREDENTIALS", Kind::Chain),
    ("AZURE_TENANT_ID", Kind::Tenant),
    ("AZURE_CLIENT_ID", Kind::Guid),
    ("AZURE_CLIENT_SECRET", Kind::Secret),
    ("AZURE_CLIENT_CERTIFICATE_PATH", Kind::Path),
    ("AZURE_CLIENT_CERTIFICATE_PASSWORD", Kind::Secret),
    ("AZURE_CLIENT_SEND_CERTIFICATE_CHAIN", Kind::Flag),
    // Of a person.
    ("AZURE_USERNAME", Kind::Secret),
    ("AZURE_PASSWORD", Kind::Secret),
    ("AZURE_FEDERATED_TOKEN_FILE", Kind::Path),
    ("AZURE_AUTHORITY_HOST", Kind::Host),
    ("AZURE_REGIONAL_AUTHORITY_NAME", Kind::Region),
    ("MSAL_FORCE_REGION", Kind::Region),
    // Where those ask for the machine's own.
    ("REGION_NAME", Kind::Region),
    ("AZURE_ADDITIONALLY_ALLOWED_TENANTS", Kind::Tenants),
    ("AZURE_IDENTITY_DISABLE_MULTITENANTAUTH", Kind::Flag),
    ("IDENTITY_ENDPOINT", Kind::Url),
    ("IDENTITY_HEADER", Kind::Secret),
    ("IDENTITY_SERVER_THUMBPRINT", Kind::Thumbprint),
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
    ("SSL_CERT_DIR", Kind::Paths),
    ("REQUESTS_CA_BUNDLE", Kind::Path),
    ("CURL_CA_BUNDLE", Kind::Path),
    ("NODE_EXTRA_CA_CERTS", Kind::Path),
];

#[cfg(test)]
mod tests {
    use std::{fs, path::Path, sync::Arc};

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
            ("AZURE_REGIONAL_AUTHORITY_NAME", "westus2", "westus2"),
            ("MSAL_FORCE_REGION", "tryautodetect", "tryautodetect"),
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
            ("AZURE_REGIONAL_AUTHORITY_NAME", true),
            ("AZURE_CLIENT_SEND_CERTIFICATE_CHAIN", true),
            ("IDENTITY_SERVER_THUMBPRINT", true),
            ("SSL_CERT_DIR", true),
        ] {
            let found = one(name, "abc8Q~CanaryCanary");
            assert_eq!((found.shown, found.warnings.is_empty()), (Shown::Hidden(18), !is_odd), "{name}");
        }
        let found = one("AZURE_TENANT_ID", "eyJhbGciOiJub25lIn0.eyJhdWQiOiJ4In0.c2ln");
        assert_eq!(found.shown, Shown::Hidden(40));
        // A word is none of the chain's.
        let found = one("AZURE_TOKEN_CREDENTIALS", "hunter2");
        assert_eq!(
            (found.shown, found.warnings[0].as_str()),
            (Shown::Hidden(7), "it is none of the values it may have")
        );
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
    fn a_bundle_of_roots_that_only_tools_read_is_told_and_is_no_mistake() {
        let found = one("REQUESTS_CA_BUNDLE", "/etc/corp.pem");
        assert!(found.warnings.is_empty() && found.note.is_some_and(|note| note.contains("--ca-file")), "{found:?}");
    }

    #[cfg(unix)]
    #[test]
    fn what_is_no_text_is_told_and_not_shown() {
        use std::os::unix::ffi::OsStringExt as _;

        let found = look("AZURE_TENANT_ID", Kind::Tenant, OsString::from_vec(vec![b'c', 0xff]));
        assert!(found.shown == Shown::Hidden(0) && found.warnings[0].contains("Unicode"), "{found:?}");
    }

    /// Every name that a credential's source has in quotes, but for those of tests and of what the chain does not read.
    #[test]
    fn no_variable_of_a_credential_is_missing() {
        let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let mut found = std::collections::BTreeSet::new();
        let mut folders = Vec::new();
        for folder in fs::read_dir(crates).unwrap().map(|entry| entry.unwrap().path()) {
            let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
            if !matches!(name.as_str(), "identity-emulator" | "identity-tool") && folder.join("src").is_dir() {
                folders.push(folder.join("src"));
            }
        }
        while let Some(folder) = folders.pop() {
            for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
                let name = path.file_name().unwrap().to_str().unwrap();
                if path.is_dir() && !matches!(name, "tests" | "fakes") {
                    folders.push(path);
                } else if name.ends_with(".rs") && name != "tests.rs" {
                    let text = fs::read_to_string(&path).unwrap();
                    let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default().to_owned();
                    found.extend(code.split('"').filter(|word| is_variable(word)).map(str::to_owned));
                }
            }
        }
        assert!(found.len() > 20, "{found:?}");
        for name in found.iter().filter(|name| !ELSEWHERE.contains(&name.as_str())) {
            assert!(VARIABLES.iter().any(|(known, _)| known == name), "{name}");
        }
        for name in ELSEWHERE {
            assert!(found.contains(name), "{name} is nowhere");
        }
    }

    fn is_variable(word: &str) -> bool {
        ["AZURE_", "AZD_", "MSAL_", "IDENTITY_", "IMDS_", "MSI_", "DEFAULT_IDENTITY_", "SSL_CERT_"]
            .iter()
            .any(|start| word.starts_with(start) && word.len() > start.len())
            && word.bytes().all(|b| b.is_ascii_uppercase() || b == b'_')
    }

    /// Set for the tools that are run, or read by a credential that the chain has only where a program says so.
    const ELSEWHERE: [&str; 7] = [
        "AZURE_CORE_NO_COLOR",
        "AZURE_IDENTITY_POWERSHELL_RESOURCE",
        "AZURE_IDENTITY_POWERSHELL_TENANT_ID",
        "AZURE_KUBERNETES_CA_DATA",
        "AZURE_KUBERNETES_CA_FILE",
        "AZURE_KUBERNETES_SNI_NAME",
        "AZURE_KUBERNETES_TOKEN_PROXY",
    ];
}
