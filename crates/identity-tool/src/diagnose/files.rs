//! The files that variables name.

use std::{
    fs,
    path::Path,
    time::{Duration, SystemTime},
};

use identity::{Env, Links};

use super::report::{FileFacts, FileToken};
use crate::{claims, when};

/// What there is to say of each file that a variable names.
pub(super) fn all(env: &dyn Env, now: SystemTime) -> Vec<FileFacts> {
    let named = |(variable, is_token): &(&'static str, bool)| {
        let path = env.text(variable).ok().flatten()?;
        // A value that is no path may be what belongs into the file.
        path.contains(['/', '\\']).then(|| look(env, variable, Path::new(&path), *is_token, now))
    };
    FILES.iter().filter_map(named).collect()
}

fn look(env: &dyn Env, variable: &'static str, path: &Path, is_token: bool, now: SystemTime) -> FileFacts {
    let mut facts = FileFacts {
        variable,
        path: path.display().to_string(),
        trouble: None,
        bytes: None,
        modified: None,
        token: None,
        warnings: Vec::new(),
    };
    match fs::metadata(path) {
        Ok(metadata) => (facts.bytes, facts.modified) = (Some(metadata.len()), metadata.modified().ok()),
        Err(error) => {
            facts.trouble = Some(error.to_string());
            return facts;
        }
    }
    let content = match env.read(path, LARGEST, Links::Follow) {
        Ok(content) => identity::Secret::new(String::from_utf8_lossy(&content).into_owned()),
        Err(error) => {
            facts.trouble = Some(error.to_string());
            return facts;
        }
    };
    if content.expose().is_empty() {
        facts.warnings.push("it is empty".to_owned());
    }
    if !is_token {
        if variable == CERTIFICATE && env.is_world_readable(path) {
            facts
                .warnings
                .push("every user of this machine can read it; `chmod 600` keeps the key to its owner".to_owned());
        }
        return facts;
    }
    match claims::decode(content.expose().trim()) {
        Some(claims) => {
            let text = |name| claims::text(&claims, name).map(str::to_owned);
            let audience = claims.get("aud").map(|audience| match audience {
                serde_json::Value::String(one) => one.clone(),
                several => several.to_string(),
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

/// The variables, and whether the file has a token.
const FILES: [(&str, bool); 3] = [(CERTIFICATE, false), ("AZURE_FEDERATED_TOKEN_FILE", true), ("SSL_CERT_FILE", false)];

/// The most that is read of a file, in bytes. Source: our choice; a bundle of all roots has a quarter of it.
const LARGEST: usize = 1024 * 1024;

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
        let mut all = all(&Overlay::new(variables, Arc::clone(identity::platform().env())), now);
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
        let variables = vec![("AZURE_FEDERATED_TOKEN_FILE".to_owned(), "eyJ.canary".to_owned())];
        let env = Overlay::new(variables, Arc::clone(identity::platform().env()));
        assert!(all(&env, SystemTime::UNIX_EPOCH).is_empty());
    }
}
