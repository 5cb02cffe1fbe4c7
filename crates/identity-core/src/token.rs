use std::{fmt, sync::Arc, time::SystemTime};

use crate::Secret;

/// A token that a resource accepts, with the times that matter.
///
/// One pointer wide and cheap to clone; every clone shares one buffer, which is wiped when the last clone is dropped.
/// `Debug` never shows the token.
#[derive(Clone)]
pub struct AccessToken(Arc<Inner>);

struct Inner {
    /// `"{token type} {token}"`, ready to be sent.
    authorization: Secret,
    type_len: usize,
    expires_on: SystemTime,
    refresh_on: Option<SystemTime>,
    credential: &'static str,
    origin: &'static str,
}

impl AccessToken {
    /// Makes a bearer token. For authors of credentials; users get theirs from
    /// [`get_token`](crate::TokenCredential::get_token).
    #[must_use]
    pub fn new(secret: &str, expires_on: SystemTime) -> Self {
        let mut authorization = String::with_capacity(BEARER.len() + 1 + secret.len());
        authorization.push_str(BEARER);
        authorization.push(' ');
        authorization.push_str(secret);
        Self(Arc::new(Inner {
            authorization: Secret::new(authorization),
            type_len: BEARER.len(),
            expires_on,
            refresh_on: None,
            credential: "",
            origin: "",
        }))
    }

    /// Says when the token should be replaced, if anything but the time of expiry decides that.
    #[must_use]
    pub fn with_refresh_on(self, refresh_on: Option<SystemTime>) -> Self {
        self.edit(|inner| inner.refresh_on = refresh_on)
    }

    /// Says who got the token: the credential's name and, where a credential has several, the source it came from.
    #[must_use]
    pub fn with_credential(self, credential: &'static str, origin: &'static str) -> Self {
        self.edit(|inner| (inner.credential, inner.origin) = (credential, origin))
    }

    /// The token text, as it goes behind `Bearer ` in a header.
    #[must_use]
    pub fn secret(&self) -> &str {
        self.0.authorization.expose().get(self.0.type_len + 1..).unwrap_or("")
    }

    /// How the token is presented; `"Bearer"`.
    #[must_use]
    pub fn token_type(&self) -> &str {
        self.0.authorization.expose().get(..self.0.type_len).unwrap_or("")
    }

    /// The whole value of an `Authorization` header, built once for all clones. It is a secret.
    ///
    /// Only visible ASCII and one space occur in tokens that come from a credential of this project, so making an
    /// HTTP header value of it cannot fail.
    #[must_use]
    pub fn authorization(&self) -> &str {
        self.0.authorization.expose()
    }

    /// When the resource stops accepting the token, by this machine's clock.
    #[must_use]
    pub fn expires_on(&self) -> SystemTime {
        self.0.expires_on
    }

    /// When the service, or the half-life rule for tokens of two hours and more, wants the token replaced.
    /// `None` where neither applies. A cache may replace it a little earlier.
    #[must_use]
    pub fn refresh_on(&self) -> Option<SystemTime> {
        self.0.refresh_on
    }

    /// The name of the credential that got the token, such as `"ManagedIdentityCredential"`; empty if not said.
    #[must_use]
    pub fn credential(&self) -> &'static str {
        self.0.credential
    }

    /// The source within that credential, such as `"App Service"`; empty if the credential has only one.
    #[must_use]
    pub fn origin(&self) -> &'static str {
        self.0.origin
    }

    fn edit(mut self, change: impl FnOnce(&mut Inner)) -> Self {
        if Arc::get_mut(&mut self.0).is_none() {
            self.0 = Arc::new(Inner { authorization: self.0.authorization.clone(), ..*self.0 });
        }
        if let Some(inner) = Arc::get_mut(&mut self.0) {
            change(inner);
        }
        self
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessToken")
            .field("secret", &format_args!("***"))
            .field("token_type", &self.token_type())
            .field("expires_on", &self.0.expires_on)
            .field("refresh_on", &self.0.refresh_on)
            .field("credential", &self.0.credential)
            .field("origin", &self.0.origin)
            .finish()
    }
}

const BEARER: &str = "Bearer";

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn parts_of_the_header_are_the_type_and_the_secret() {
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(5);
        let token = AccessToken::new("abc.def", at);
        assert_eq!(token.authorization(), "Bearer abc.def");
        assert_eq!((token.secret(), token.token_type()), ("abc.def", "Bearer"));
        assert_eq!(token.expires_on(), at);
    }

    #[test]
    fn changing_a_shared_token_leaves_the_other_clone_alone() {
        let token = AccessToken::new("abc", SystemTime::UNIX_EPOCH);
        let named = token.clone().with_credential("X", "y").with_refresh_on(Some(SystemTime::UNIX_EPOCH));
        assert_eq!((token.credential(), named.credential(), named.origin()), ("", "X", "y"));
        assert_eq!((token.refresh_on(), named.secret()), (None, "abc"));
    }

    #[test]
    fn debug_does_not_show_the_secret() {
        let token = AccessToken::new("canary", SystemTime::UNIX_EPOCH);
        assert!(!format!("{token:?} {token:#?}").contains("canary"));
    }
}
