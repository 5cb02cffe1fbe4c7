//! The files that variables name.

use std::{
    fs, io,
    path::Path,
    time::{Duration, SystemTime},
};

use identity::{Env, Links, Secret};

use super::{
    blank::Blanks,
    kinds,
    report::{FileFacts, FileToken, LONGEST_VALUE, cut},
};
use crate::{claims, when};

/// What there is to say of each file that a variable names.
pub(super) fn all(env: &dyn Env, now: SystemTime, blanks: &Blanks) -> Vec<FileFacts> {
    let named = |(variable, limit): &(&'static str, usize)| {
        let path = env.text(variable).ok().flatten()?;
        // A value that is no path may be what belongs into the file.
        let mut facts = kinds::is_path(&path).then(|| look(env, variable, Path::new(&path), *limit, now))?;
        facts.trouble = facts.trouble.map(|trouble| blanks.apply(&trouble));
        Some(facts)
    };
    FILES.iter().filter_map(named).collect()
}

fn look(env: &dyn Env, variable: &'static str, path: &Path, limit: usize, now: SystemTime) -> FileFacts {
    let mut facts = FileFacts {
        variable,
        path: cut(&path.display().to_string(), LONGEST_VALUE),
        trouble: None,
        bytes: None,
        modified: None,
        token: None,
        warnings: Vec::new(),
    };
    let content = match env.read(path, limit, Links::Follow) {
        Ok(content) => {
            facts.bytes = u64::try_from(content.len()).ok();
            Secret::new(String::from_utf8(content).unwrap_or_default())
        }
        Err(error) => {
            facts.trouble = Some(if error.kind() == io::ErrorKind::FileTooLarge {
                format!("it has more than {limit} bytes, which is refused")
            } else {
                error.to_string()
            });
            return facts;
        }
    };
    facts.modified = fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
    if facts.bytes == Some(0) {
        facts.warnings.push("it is empty".to_owned());
    }
    if variable != TOKEN {
        if variable == CERTIFICATE && env.is_world_readable(path) {
            facts
                .warnings
                .push("every user of this machine can read it; `chmod 600` keeps the key to its owner".to_owned());
        }
        return facts;
    }
    match claims::decode(content.expose().trim()) {
        Some(claims) => {
            let text = |name| claims::text(&claims, name).map(|text| cut(text, LONGEST_VALUE));
            let audience = claims.get("aud").map(|audience| match audience {
                serde_json::Value::String(one) => cut(one, LONGEST_VALUE),
                several => cut(&several.to_string(), LONGEST_VALUE),
            });
            let seconds = claims.get("exp").and_then(serde_json::Value::as_u64).map(Duration::from_secs);
            let expires_on = seconds.and_then(|seconds| SystemTime::UNIX_EPOCH.checked_add(seconds));
            if let Some(passed) = expires_on.and_then(|time| now.duration_since(time).ok()) {
                let warning =
                    format!("the token in it expired {} ago; whoever writes it has stopped", when::length(passed));
                facts.warnings.push(warning);
            }
            facts.token = Some(FileToken { issuer: text("iss"), subject: text("sub"), audience, expires_on });
        }
        None => facts.warnings.push("what is in it is no JSON Web Token".to_owned()),
    }
    facts
}

const CERTIFICATE: &str = "AZURE_CLIENT_CERTIFICATE_PATH";

const TOKEN: &str = "AZURE_FEDERATED_TOKEN_FILE";

/// The variables, and the most bytes that are taken of their files.
///
/// Source: the limits of `identity-certificate`, `identity-workload` and `identity-tokio`.
const FILES: [(&str, usize); 3] = [(CERTIFICATE, 256 * 1024), (TOKEN, 64 * 1024), ("SSL_CERT_FILE", 8 * 1024 * 1024)];

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use identity_core::text::base64url;

    use super::*;
    use crate::overlay::Overlay;

    fn facts(variable: &str, content: Option<&str>) -> FileFacts {
        let id = format!("identity-diagnose-{}-{:?}", std::process::id(), std::thread::current().id());
        let path = std::env::temp_dir().join(id);
        if let Some(content) = content {
            fs::write(&path, content).unwrap();
        }
        let variables = vec![(variable.to_owned(), path.display().to_string())];
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(10_000);
        let env = Overlay::new(variables, Arc::clone(identity::platform().env()));
        let mut all = all(&env, now, &Blanks::default());
        if content.is_some() {
            fs::remove_file(path).unwrap();
        }
        assert_eq!(all.len(), 1);
        all.remove(0)
    }

    #[test]
    fn the_token_of_a_pod_is_described_and_not_kept() {
        let payload = r#"{"iss":"https://cluster","sub":"system:serviceaccount:a:b","aud":["api://x"],"exp":9000}"#;
        let found =
            facts("AZURE_FEDERATED_TOKEN_FILE", Some(&format!("e30.{}.canary\n", base64url(payload.as_bytes()))));
        let token = found.token.as_ref().unwrap();
        assert_eq!(
            (token.issuer.as_deref(), token.audience.as_deref()),
            (Some("https://cluster"), Some("[\"api://x\"]"))
        );
        assert_eq!(found.warnings, ["the token in it expired 16 min ago; whoever writes it has stopped"]);
        assert!(found.modified.is_some() && found.bytes.is_some() && !format!("{found:?}").contains("canary"));
    }

    #[test]
    fn a_file_that_is_missing_or_holds_something_else_is_told() {
        let found = facts("AZURE_FEDERATED_TOKEN_FILE", None);
        assert!(found.trouble.is_some() && found.bytes.is_none());
        let found = facts("AZURE_FEDERATED_TOKEN_FILE", Some("canary"));
        assert_eq!(found.warnings, ["what is in it is no JSON Web Token"]);
        assert!(!format!("{found:?}").contains("canary"));
        assert_eq!(facts("SSL_CERT_FILE", Some("")).warnings, ["it is empty"]);
    }

    #[test]
    fn what_is_no_path_is_not_opened_nor_shown() {
        let key = "-----BEGIN PRIVATE KEY-----\ncanary/canary+\n-----END PRIVATE KEY-----\n";
        for value in ["eyJ.canary", "canary/canary+==", key, "https://canary/x", &"/canary".repeat(200)] {
            let variables = FILES.iter().map(|(name, _)| (name.to_string(), value.to_owned())).collect();
            let env = Overlay::new(variables, Arc::clone(identity::platform().env()));
            assert!(all(&env, SystemTime::UNIX_EPOCH, &Blanks::default()).is_empty(), "{value}");
        }
    }

    #[test]
    fn a_file_is_as_long_as_its_credential_takes_it() {
        let found = facts(TOKEN, Some(&"x".repeat(65_536)));
        assert_eq!((found.bytes, found.trouble), (Some(65_536), None));
        let found = facts(TOKEN, Some(&"x".repeat(65_537)));
        assert_eq!(found.trouble.as_deref(), Some("it has more than 65536 bytes, which is refused"));
        assert_eq!(facts("SSL_CERT_FILE", Some(&"x".repeat(2_000_000))).bytes, Some(2_000_000));
    }
}
