//! What a service tells its caller when a person has to do something first.

use identity_core::{Error, ErrorKind, text};

/// The value of the header `WWW-Authenticate` by which a service that acts for its users passes on, with HTTP 401, that one
/// of them is needed. `None` for errors that no user can mend.
///
/// | the service refused | `Bearer` and | what the caller does |
/// |---|---|---|
/// | with claims | `error="insufficient_claims"`, `claims` in base64 | sends the user to sign in with these claims, and calls again |
/// | without claims | `error="interaction_required"` | sends the user to sign in, and calls again |
/// | the user's own token: it is too old, or none for this service | `error="invalid_token"` | gets a new one, and calls again |
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
/// Source: <https://learn.microsoft.com/entra/identity-platform/claims-challenge>; RFC 6750, section 3.1, for the last.
#[must_use]
pub fn www_authenticate(error: &Error) -> Option<String> {
    match error.kind() {
        ErrorKind::AuthenticationRequired => {}
        ErrorKind::AuthenticationFailed if error.entra_codes().iter().any(|code| USER_TOKEN.contains(code)) => {
            return Some("Bearer error=\"invalid_token\"".to_owned());
        }
        _ => return None,
    }
    Some(match error.claims() {
        // Base64 has no character that a quoted text may not have.
        Some(claims) => {
            ["Bearer error=\"insufficient_claims\", claims=\"", &text::base64(claims.as_bytes()), "\""].concat()
        }
        None => "Bearer error=\"interaction_required\"".to_owned(),
    })
}

/// Codes of a user's token that cannot be exchanged: its signature or issuer, its audience, its time.
///
/// An application's own assertion has other codes. Source:
/// <https://learn.microsoft.com/entra/identity-platform/reference-error-codes>.
const USER_TOKEN: [u32; 3] = [50013, 500_131, 500_133];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_person_can_mend_is_a_challenge() {
        for kind in [ErrorKind::AuthenticationFailed, ErrorKind::Transport, ErrorKind::CredentialUnavailable] {
            let error = Error::new(kind, "no").with_scopes(&["a"], Some("{}"));
            assert_eq!(www_authenticate(&error), None);
        }
        let secret = Error::new(ErrorKind::AuthenticationFailed, "no").with_entra_codes(vec![7_000_222]);
        assert_eq!(www_authenticate(&secret), None);
        let expired = Error::new(ErrorKind::AuthenticationFailed, "no").with_entra_codes(vec![500_133]);
        assert_eq!(www_authenticate(&expired).as_deref(), Some("Bearer error=\"invalid_token\""));
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
