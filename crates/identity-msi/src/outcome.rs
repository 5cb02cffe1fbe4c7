//! What an answer that brings no token means: one table for all sources.

use identity_core::{
    ErrorKind::{self, AuthenticationFailed, CredentialUnavailable, Protocol, Transport},
    http::Response,
    retry::Verdict,
    text,
};

use crate::{
    source::Kind,
    wire::{self, Body},
};

/// What is known about an answer.
pub(crate) struct Facts<'a> {
    pub(crate) kind: Kind,
    pub(crate) status: u16,
    pub(crate) body: &'a Body<'a>,
    /// The body's text, for the few words that matter in it.
    pub(crate) text: &'a str,
    pub(crate) in_chain: bool,
    /// Whether one identity among several was asked for.
    pub(crate) has_id: bool,
    /// Whether this credential got a token from the same source before.
    pub(crate) had_token: bool,
}

impl Facts<'_> {
    /// What kind of failure it is, and what is wrong or what to do. First match wins.
    ///
    /// After a token the identity was there, so that its loss is a refusal and no reason for a chain to go on with
    /// another identity.
    ///
    /// Source: azure-identity 1.27.0, `_credentials/imds.py` and `_credentials/app_service.py`; where the synchronous
    /// and the asynchronous half differ, as azidentity 1.14 (Go).
    #[rustfmt::skip]
    pub(crate) fn judge(&self) -> (ErrorKind, &'static str) {
        let imds = self.kind == Kind::Imds;
        let says = |word| text::find(self.text, word).is_some();
        match (self.status, self.body) {
            // Another request may help: it was tried as often as the budget allows.
            (404, _) if imds && self.in_chain => (CredentialUnavailable, "there is no token service at its address"),
            (404, _) if imds => (Transport, "there is no token service at its address, or it is not ready yet"),
            (410, _) if imds => (Transport, "it is being upgraded; try again in a minute"),
            (408, _) => (Transport, "it was too slow"),
            (429, _) => (Transport, "it gets too many requests from this machine; try again later"),
            (500.., _) => (Transport, "it is in trouble; try again later"),
            (200, Body::Cut) => (Transport, "the answer is cut short"),
            // An answer that the real service does not give.
            (_, Body::Deep) => (Protocol, "the JSON of the answer nests too deeply"),
            (_, Body::Other) if imds => (CredentialUnavailable,
                "something else answers at its address, such as a proxy, a captive portal or Docker Desktop"),
            (403, _) if imds && says("unreachable") => (CredentialUnavailable, "the network of this machine has no IMDS"),
            // A refusal.
            (400, _) if imds && !self.had_token && !says("AADSTS") => (CredentialUnavailable, if self.has_id {
                "assign the identity to this resource, or correct the id that was given"
            } else {
                "assign a managed identity to this resource; if it has several, give the id of one"
            }),
            (401 | 403, _) if matches!(self.kind, Kind::AppService | Kind::ServiceFabric | Kind::AzureMl) => (
                AuthenticationFailed,
                "it refuses the caller; set IDENTITY_HEADER or MSI_SECRET as the platform gives it now, not of an earlier start"),
            (404 | 405 | 410, _) if matches!(self.kind, Kind::AppService | Kind::AzureMl | Kind::CloudShell) => (
                AuthenticationFailed, "the variable does not lead to a token service; set it as the platform gave it"),
            (401, _) if self.kind == Kind::AzureArc => (AuthenticationFailed,
                "the agent does not take the key of the file that it named; restart it, then see azcmagent show"),
            (400.., _) => (AuthenticationFailed, "correct the identity, its id or the scope"),
            // Other successes, and the errors that some servers send with 200.
            (_, Body::Other) => (Protocol, "something else answers there, such as a proxy or a sign-in page"),
            (200, _) => (Protocol, "the answer has no access_token"),
            _ => (Protocol, "expected HTTP 200 with a token"),
        }
    }
}

/// Whether an answer is worth another request.
///
/// Source: <https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token#retry-guidance>
/// for IMDS; the other sources document no 404 and 410 of passing nature, and Service Fabric's 404 is final.
pub(crate) fn verdict(kind: Kind, response: &Response) -> Verdict {
    match response.status() {
        // What ends in a brace is not read for this: a flat answer that was cut does not.
        200 if !response.body().ends_with(b"}")
            && matches!(wire::parse(response.body(), response.is_json()), Body::Cut) =>
        {
            Verdict::Retry
        }
        404 if kind == Kind::Imds => Verdict::Retry,
        410 if kind == Kind::Imds => Verdict::Upgrading,
        408 | 429 | 500.. => Verdict::Retry,
        _ => Verdict::Final,
    }
}

/// Whether the answer to a probe is one that IMDS gives.
pub(crate) fn proves_presence(response: &Response) -> bool {
    matches!(response.status(), 400 | 410 | 429 | 500..)
        && matches!(wire::parse(response.body(), response.is_json()), Body::Object(_))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: &str = r#"{"error":"invalid_request","error_description":"Identity not found"}"#;
    const ENTRA: &str = r#"{"error":"invalid_resource","error_description":"AADSTS500011: no such resource"}"#;
    const HTML: &str = "<html>Welcome</html>";
    const CUT: &str = r#"{"access_token":"ab"#;
    const EMPTY: &str = "{}";
    const DOCKER: &str =
        "connecting to 169.254.169.254:80: a socket operation was attempted to an unreachable network.";
    const DOCKER_JSON: &str = r#"{"error":"A socket operation was attempted to an unreachable host"}"#;

    #[test]
    fn every_answer_without_a_token_has_its_kind() {
        let deep = "[".repeat(100);
        // Status, body, kind of failure from IMDS alone, from IMDS in a chain, from IMDS after a token, elsewhere.
        let rows = [
            (400, NONE, [CredentialUnavailable, CredentialUnavailable, AuthenticationFailed, AuthenticationFailed]),
            (400, ENTRA, [AuthenticationFailed; 4]),
            (400, EMPTY, [CredentialUnavailable, CredentialUnavailable, AuthenticationFailed, AuthenticationFailed]),
            (400, HTML, [CredentialUnavailable, CredentialUnavailable, CredentialUnavailable, AuthenticationFailed]),
            (401, NONE, [AuthenticationFailed; 4]),
            (403, NONE, [AuthenticationFailed; 4]),
            (403, DOCKER, [CredentialUnavailable, CredentialUnavailable, CredentialUnavailable, AuthenticationFailed]),
            (
                403,
                DOCKER_JSON,
                [CredentialUnavailable, CredentialUnavailable, CredentialUnavailable, AuthenticationFailed],
            ),
            (404, NONE, [Transport, CredentialUnavailable, Transport, AuthenticationFailed]),
            (404, HTML, [Transport, CredentialUnavailable, Transport, AuthenticationFailed]),
            (405, NONE, [AuthenticationFailed; 4]),
            (408, NONE, [Transport; 4]),
            (410, NONE, [Transport, Transport, Transport, AuthenticationFailed]),
            (429, NONE, [Transport; 4]),
            (500, HTML, [Transport; 4]),
            (503, NONE, [Transport; 4]),
            (599, EMPTY, [Transport; 4]),
            (200, EMPTY, [Protocol; 4]),
            (200, NONE, [Protocol; 4]),
            (200, HTML, [CredentialUnavailable, CredentialUnavailable, CredentialUnavailable, Protocol]),
            (200, CUT, [Transport; 4]),
            (204, "", [CredentialUnavailable, CredentialUnavailable, CredentialUnavailable, Protocol]),
            (201, NONE, [Protocol; 4]),
            (200, &deep, [Protocol; 4]),
            (400, &deep, [Protocol; 4]),
        ];
        for (status, text, kinds) in rows {
            let body = wire::parse(text.as_bytes(), false);
            let facts = |kind, in_chain, had_token| Facts {
                kind,
                status,
                body: &body,
                text,
                in_chain,
                has_id: false,
                had_token,
            };
            let alone = facts(Kind::Imds, false, false).judge().0;
            let in_chain = facts(Kind::Imds, true, false).judge().0;
            let after = facts(Kind::Imds, false, true).judge().0;
            assert_eq!([alone, in_chain, after], kinds[..3], "IMDS {status} {text:.60}");
            for kind in [Kind::AppService, Kind::AzureArc, Kind::ServiceFabric, Kind::AzureMl, Kind::CloudShell] {
                let other = facts(kind, true, false).judge().0;
                assert_eq!(other, kinds[3], "{kind:?} {status} {text:.60}");
            }
        }
    }
}
