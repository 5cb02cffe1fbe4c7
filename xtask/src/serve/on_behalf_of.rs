//! The token endpoint of Entra for a service that acts for its users, strict about the request.

use std::time::Duration;

use crate::Result;

use super::entra::{self, TENANT};
use super::http::Head;

/// The OpenID configuration, if that is what is asked for: MSAL asks before it asks for a token.
pub(super) fn document(head: &Head) -> Option<String> {
    let path = head.target("GET")?;
    if path != format!("/{TENANT}/v2.0/.well-known/openid-configuration") {
        return None;
    }
    let tenant = format!("https://{}/{TENANT}", head.header("host")?);
    Some(format!(
        r#"{{"issuer":"{tenant}/v2.0","authorization_endpoint":"{tenant}/oauth2/v2.0/authorize","token_endpoint":"{tenant}/oauth2/v2.0/token","jwks_uri":"{tenant}/discovery/v2.0/keys"}}"#
    ))
}

/// The token of the user, if the request is one that Entra would answer with a token.
pub(super) fn parse(head: &Head, body: &[u8]) -> Result<String> {
    let complain = |what: &str| format!("{what}: {}", head.first_line());
    let value = entra::of_the_application(head, body, "urn:ietf:params:oauth:grant-type:jwt-bearer")?;
    if value("requested_token_use").as_deref() != Some("on_behalf_of") {
        return Err(complain("no requested_token_use"));
    }
    let scopes = value("scope").unwrap_or_default();
    if !scopes.split(' ').any(|scope| scope == "https://graph.microsoft.com/.default") {
        return Err(complain("no scope"));
    }
    let assertion = value("assertion").unwrap_or_default();
    if assertion.split('.').count() == 3 { Ok(assertion) } else { Err(complain("no assertion")) }
}

/// The body that goes with a token.
pub(super) fn body(token: &str, lives: Duration) -> String {
    let seconds = lives.as_secs();
    format!(
        r#"{{"token_type":"Bearer","scope":"https://graph.microsoft.com/.default","expires_in":{seconds},"ext_expires_in":{seconds},"access_token":"{token}"}}"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_that_entra_refuses_is_a_complaint() {
        let head = format!(
            "POST /{TENANT}/oauth2/v2.0/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\n"
        );
        let body = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&client_id=4dd7e5a4-1ec4-4a1f-a6b1-4bd8a8b51c27&client_secret=vQs8Q~8yMeasured.Only_no-tenant-knows~it&assertion=a.b.c&requested_token_use=on_behalf_of&scope=https%3A%2F%2Fgraph.microsoft.com%2F.default+openid";
        let parse = |body: &str| parse(&Head(head.clone()), body.as_bytes());
        assert_eq!(parse(body), Ok("a.b.c".to_owned()));
        for (from, to) in [
            ("jwt-bearer", "jwt"),
            ("Measured", "Guessed"),
            ("a.b.c", "a.b"),
            ("on_behalf_of", "x"),
            ("graph", "grape"),
            ("assertion=", "assertion=a.b.c&assertion="),
        ] {
            assert!(parse(&body.replace(from, to)).is_err(), "{from} -> {to}");
        }
    }
}
