//! What a service tells its caller when a person has to do something first.

use identity_core::{Error, ErrorKind, text};

/// The value of the header `WWW-Authenticate` by which a service that acts for its users passes on, with HTTP 401, that one
/// of them has to sign in again: whoever called it sends them to sign in with the claims in it, and calls again with a new
/// token. `None` for errors that nobody can mend by signing in.
///
/// ```
/// use identity_core::{Error, ErrorKind};
///
/// let error = Error::new(ErrorKind::AuthenticationRequired, "more proof is needed");
/// let error = error.with_scopes(&["https://graph.microsoft.com/User.Read"], Some(r#"{"access_token":{}}"#));
/// let expected = r#"Bearer error="insufficient_claims", claims="eyJhY2Nlc3NfdG9rZW4iOnt9fQ==""#;
/// assert_eq!(identity_oauth::www_authenticate(&error).as_deref(), Some(expected));
/// ```
///
/// Source: <https://learn.microsoft.com/entra/identity-platform/claims-challenge>.
#[must_use]
pub fn www_authenticate(error: &Error) -> Option<String> {
    if error.kind() != ErrorKind::AuthenticationRequired {
        return None;
    }
    Some(match error.claims() {
        // Base64 has no character that a quoted text may not have.
        Some(claims) => {
            ["Bearer error=\"insufficient_claims\", claims=\"", &text::base64(claims.as_bytes()), "\""].concat()
        }
        None => "Bearer error=\"interaction_required\"".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_person_can_mend_is_a_challenge() {
        for kind in [ErrorKind::AuthenticationFailed, ErrorKind::Transport, ErrorKind::CredentialUnavailable] {
            let error = Error::new(kind, "no").with_scopes(&["a"], Some("{}"));
            assert_eq!(www_authenticate(&error), None);
        }
        let consent = Error::new(ErrorKind::AuthenticationRequired, "no");
        assert_eq!(www_authenticate(&consent).as_deref(), Some("Bearer error=\"interaction_required\""));
    }

    #[test]
    fn claims_of_a_server_cannot_leave_their_place() {
        let claims = "\"\r\nset-cookie: x\", error=\"";
        let error = Error::new(ErrorKind::AuthenticationRequired, "no").with_scopes(&["a"], Some(claims));
        let value = www_authenticate(&error).unwrap();
        assert!(value.bytes().all(|b| b.is_ascii_graphic() || b == b' '), "{value}");
        assert_eq!(value.bytes().filter(|b| *b == b'"').count(), 4);
    }
}
