//! What clients of Kubernetes are told that run this program as an exec plugin: an ExecCredential.
//!
//! Source: Kubernetes documentation, "client-go credential plugins",
//! <https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins>.

use std::time::{Duration, SystemTime};

use identity::{AccessToken, Env, Error, ErrorKind, Result};
use identity_core::json;
use serde_json::Value;

use crate::when;

/// The version of the answer: a client takes none but the one that it asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ApiVersion(&'static str);

impl ApiVersion {
    pub(super) const V1: Self = Self("client.authentication.k8s.io/v1");
    /// The same object; all that clients from before 1.22 know.
    const V1_BETA_1: Self = Self("client.authentication.k8s.io/v1beta1");

    /// What the client asks for by a variable; the newest if there is none.
    ///
    /// The rest of that variable, such as the cluster, changes nothing: which token to get is for the options to say.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` if the variable is not what clients set, or asks for another version.
    pub(super) fn asked(env: &dyn Env) -> Result<Self> {
        let Some(text) = env.text(EXEC_INFO)? else { return Ok(Self::V1) };
        let wrong =
            |what: &str| Err(Error::new(ErrorKind::InvalidArgument, format!("the variable {EXEC_INFO} {what}")));
        if text.len() > LIMIT {
            let (length, advice) = (text.len(), "take provideClusterInfo out of the kubeconfig");
            return wrong(&format!("has {length} bytes, expected at most {LIMIT}; {advice}"));
        }
        if !json::is_shallow(text.as_bytes()) {
            return wrong(&format!("nests deeper than {} levels; {UNSET}", json::DEPTH_LIMIT));
        }
        let Ok(object) = serde_json::from_str::<Value>(&text) else {
            // The reason would quote the text, which may hold what a cluster keeps to itself.
            return wrong(&format!("is no JSON; {UNSET}"));
        };
        let member = |name| object.get(name).and_then(Value::as_str);
        if member("kind") != Some(KIND) {
            return wrong(&format!("is no object of kind {KIND}; {UNSET}"));
        }
        let Some(asked) = member("apiVersion") else { return wrong(&format!("has no apiVersion; {UNSET}")) };
        let found = [Self::V1, Self::V1_BETA_1].into_iter().find(|version| version.0 == asked);
        found.map_or_else(
            || {
                let shown: String = asked.chars().take(SHOWN).collect();
                let expected = format!("expected {}, or {} for kubectl before 1.22", Self::V1.0, Self::V1_BETA_1.0);
                let advice = "put one of them for `apiVersion` below `exec:` in the kubeconfig";
                wrong(&format!("asks for apiVersion {shown:?}, {expected}; {advice}"))
            },
            Ok,
        )
    }
}

/// The object that the client reads, at the time `now`.
pub(super) fn credential(version: ApiVersion, token: &AccessToken, now: SystemTime) -> Value {
    let mut status = serde_json::json!({ "token": token.secret() });
    // Without it a client keeps the token as long as it runs, or until it is refused.
    let until = when::rfc3339(when::seconds(usable_until(token.expires_on(), now)));
    if let (Some(until), Some(status)) = (until, status.as_object_mut()) {
        status.insert("expirationTimestamp".to_owned(), until.into());
    }
    serde_json::json!({ "apiVersion": version.0, "kind": KIND, "status": status })
}

/// Until when a client may keep the token: a little less than it lives.
///
/// client-go sends a token up to the very second that it is told, and does not repeat a request that was refused because
/// the token had expired on its way, or by the server's clock. kubelogin, Microsoft's plugin, tells the time of expiry itself.
/// Half of a short life is left, so that a client does not start us for each of its requests.
fn usable_until(expires_on: SystemTime, now: SystemTime) -> SystemTime {
    let left = expires_on.duration_since(now).unwrap_or_default();
    expires_on.checked_sub(EARLY.min(left / 2)).unwrap_or(expires_on)
}

/// Set by the client: an ExecCredential without a status.
const EXEC_INFO: &str = "KUBERNETES_EXEC_INFO";
const KIND: &str = "ExecCredential";
const UNSET: &str = "leave it to the client of Kubernetes, or unset it";
/// Bytes. Source: our choice; the certificates of a cluster may be in it, some KB each.
const LIMIT: usize = 1024 * 1024;
/// How many characters of a wrong version are shown.
const SHOWN: usize = 100;
/// Source: azure-identity 1.27.0, `_internal/aad_client_base.py`, which refreshes 300 s before expiry, as our own cache does.
const EARLY: Duration = Duration::from_secs(5 * 60);

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::overlay::Overlay;

    fn asked(info: &str) -> Result<ApiVersion> {
        let variables = vec![(EXEC_INFO.to_owned(), info.to_owned())];
        ApiVersion::asked(&Overlay::new(variables, Arc::clone(identity::platform().env())))
    }

    fn info(version: &str) -> String {
        json!({ "apiVersion": version, "kind": KIND, "spec": { "interactive": false } }).to_string()
    }

    #[test]
    fn the_version_is_the_one_that_is_asked_for() {
        assert_eq!(asked("").unwrap(), ApiVersion::V1, "an empty variable is none");
        assert_eq!(asked(&info("client.authentication.k8s.io/v1")).unwrap(), ApiVersion::V1);
        assert_eq!(asked(&info("client.authentication.k8s.io/v1beta1")).unwrap(), ApiVersion::V1_BETA_1);
    }

    #[test]
    fn what_no_client_sets_is_refused() {
        let long = |version: &str| json!({ "apiVersion": version, "kind": KIND, "x": "x".repeat(LIMIT) }).to_string();
        let deep = format!(r#"{{"kind":"ExecCredential","spec":{}{}}}"#, "[".repeat(99_999), "]".repeat(99_999));
        for (text, part) in [
            (long("client.authentication.k8s.io/v1"), "bytes, expected at most 1048576; take provideClusterInfo out"),
            (deep, "nests deeper than 32 levels"),
            ("canary".to_owned(), "is no JSON; leave it"),
            ("[]".to_owned(), "is no object of kind ExecCredential"),
            (r#"{"apiVersion":"client.authentication.k8s.io/v1","kind":"Config"}"#.to_owned(), "is no object of kind"),
            (r#"{"kind":"ExecCredential"}"#.to_owned(), "has no apiVersion"),
            (r#"{"kind":"ExecCredential","apiVersion":1}"#.to_owned(), "has no apiVersion"),
            (info("client.authentication.k8s.io/v1alpha1"), "put one of them for `apiVersion` below `exec:`"),
            (info("v1"), "asks for apiVersion \"v1\", expected client.authentication.k8s.io/v1, or client."),
            (info("\u{1b}[2J\n"), r#"apiVersion "\u{1b}[2J\n", expected"#),
        ] {
            let error = asked(&text).unwrap_err();
            let message = error.to_string();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument);
            assert!(message.starts_with("the variable KUBERNETES_EXEC_INFO ") && message.contains(part), "{message}");
            assert!(message.len() < 400 && !message.contains("canary"), "{message}");
        }
        assert!(asked(&info(&"v".repeat(1_000))).unwrap_err().to_string().len() < 400);
    }

    #[test]
    fn clients_come_back_before_the_token_expires_and_not_each_time() {
        let at = |seconds: u64| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        for (left, expected) in
            [(86_400, 86_100), (3_600, 3_300), (600, 300), (599, 299), (60, 30), (2, 1), (1, 0), (0, 0)]
        {
            let token = AccessToken::new("t", at(1_000_000 + left));
            let shown = credential(ApiVersion::V1, &token, at(1_000_000));
            let expected = when::rfc3339(1_000_000 + expected).unwrap();
            assert_eq!(shown["status"]["expirationTimestamp"], *expected, "{left}");
        }
        let expired = credential(ApiVersion::V1, &AccessToken::new("t", at(7_200)), at(1_000_000));
        assert_eq!(expired["status"]["expirationTimestamp"], "1970-01-01T02:00:00Z");
    }

    #[test]
    fn a_token_without_an_end_has_no_time() {
        let token = AccessToken::new("t", SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 40));
        let shown = credential(ApiVersion::V1_BETA_1, &token, SystemTime::UNIX_EPOCH);
        let expected =
            json!({ "apiVersion": "client.authentication.k8s.io/v1beta1", "kind": KIND, "status": { "token": "t" } });
        assert_eq!(shown, expected);
    }
}
