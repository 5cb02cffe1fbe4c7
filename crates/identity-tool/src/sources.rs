//! Where a managed identity was looked for, for a person who wonders why none was found.

use std::fmt::Write as _;

use identity::Env;

use crate::screen::Paint;

/// What says that a source is there: its name, and the variables that must all be set.
///
/// The same order as the credential's own; see the documentation of `identity-msi`.
const SOURCES: [(&str, &[&str]); 6] = [
    ("Service Fabric", &["IDENTITY_ENDPOINT", "IDENTITY_HEADER", "IDENTITY_SERVER_THUMBPRINT"]),
    ("App Service", &["IDENTITY_ENDPOINT", "IDENTITY_HEADER"]),
    ("Azure Arc", &["IDENTITY_ENDPOINT", "IMDS_ENDPOINT"]),
    ("Azure ML", &["MSI_ENDPOINT", "MSI_SECRET"]),
    ("Cloud Shell", &["MSI_ENDPOINT"]),
    ("token exchange", &["AZURE_FEDERATED_TOKEN_FILE", "AZURE_AUTHORITY_HOST", "AZURE_TENANT_ID"]),
];

/// One line for each source: which of its variables are set, never with what; and who was asked.
pub(crate) fn explain(env: &dyn Env, asked: &str, paint: Paint) -> String {
    let is_set = |name: &&&str| env.var_os(name).is_some_and(|value| !value.is_empty());
    let is_moved = is_set(&&"AZURE_POD_IDENTITY_AUTHORITY_HOST");
    let mut out = format!("{}\n", paint.bold("where a managed identity was looked for"));
    for (name, variables) in SOURCES {
        let (set, unset): (Vec<&&str>, Vec<&&str>) = variables.iter().partition(is_set);
        let list = |names: &[&&str]| names.iter().map(|name| **name).collect::<Vec<_>>().join(", ");
        let what = match (name == asked, set.is_empty(), unset.is_empty()) {
            (true, _, _) => "asked: the first lines have its answer".to_owned(),
            (false, _, true) => {
                format!("passed over: another source comes first, though {} set", are(&list(&set), set.len()))
            }
            (false, true, _) => format!("not here: {} not set", are(&list(&unset), unset.len())),
            (false, false, _) => {
                format!("not here: {} set, but {} not", are(&list(&set), set.len()), are(&list(&unset), unset.len()))
            }
        };
        // The credential looks for the agent before it turns to IMDS at its own address.
        let agent =
            if name == "Azure Arc" && asked == "IMDS" && !is_moved { ", and no agent is installed" } else { "" };
        let _ = writeln!(out, "  {name:15} {what}{agent}");
    }
    let imds = match (asked, is_moved) {
        ("IMDS", false) => "asked, since nothing above names another: the first lines have its answer",
        ("IMDS", true) => "asked where AZURE_POD_IDENTITY_AUTHORITY_HOST says: the first lines have its answer",
        _ => "not asked: the variables name something else",
    };
    let _ = writeln!(out, "  {:15} {imds}", "IMDS");
    out
}

fn are(list: &str, count: usize) -> String {
    format!("{list} {}", if count == 1 { "is" } else { "are" })
}

#[cfg(test)]
mod tests {
    use std::{
        ffi::OsString,
        io,
        path::{Path, PathBuf},
    };

    use identity::Links;

    use super::*;

    #[derive(Debug)]
    struct Set(&'static [&'static str]);

    impl Env for Set {
        fn var_os(&self, name: &str) -> Option<OsString> {
            self.0.contains(&name).then(|| "canary".into())
        }
        fn read(&self, _: &Path, _: usize, _: Links) -> io::Result<Vec<u8>> {
            Err(io::ErrorKind::NotFound.into())
        }
        fn is_file(&self, _: &Path) -> bool {
            false
        }
        fn canonicalize(&self, _: &Path) -> io::Result<PathBuf> {
            Err(io::ErrorKind::NotFound.into())
        }
    }

    #[test]
    fn each_source_has_a_line_that_says_why_not() {
        let text = explain(&Set(&[]), "IMDS", Paint::NONE);
        assert_eq!(text.matches("not here: ").count(), 6);
        assert!(text.contains("Azure Arc       not here: IDENTITY_ENDPOINT, IMDS_ENDPOINT are not set, and no agent"));
        assert!(
            text.ends_with(
                "IMDS            asked, since nothing above names another: the first lines have its answer\n"
            )
        );

        let text = explain(&Set(&["IDENTITY_ENDPOINT"]), "none", Paint::NONE);
        assert!(text.contains("App Service     not here: IDENTITY_ENDPOINT is set, but IDENTITY_HEADER is not"));
        assert!(text.contains("IMDS            not asked"));

        let text = explain(&Set(&["MSI_ENDPOINT", "MSI_SECRET"]), "Azure ML", Paint::NONE);
        assert!(text.contains("Azure ML        asked"));
        assert!(text.contains("Cloud Shell     passed over"));
        assert!(!text.contains("canary"));
    }
}
