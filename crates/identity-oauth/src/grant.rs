//! What is presented in exchange for a token.

use std::sync::atomic::{AtomicBool, Ordering};

use identity_cache::Fetched;
use identity_core::{Result, Secret, check};

/// What is presented in exchange for a token.
#[derive(Debug)]
pub struct Grant<'a> {
    pub(crate) kind: &'static str,
    pub(crate) open: Vec<(&'static str, &'a str)>,
    pub(crate) secret: Vec<(&'static str, &'a Secret)>,
    /// Whether the token is a person's.
    pub(crate) is_user: bool,
    /// Whether it is good for one use.
    pub(crate) is_once: bool,
    /// See [`with_anchor`](Self::with_anchor).
    pub(crate) anchor: Option<String>,
    /// See [`is_spent`](Self::is_spent).
    pub(crate) spent: AtomicBool,
}

impl<'a> Grant<'a> {
    fn user(kind: &'static str) -> Self {
        let (open, secret) = (Vec::new(), Vec::new());
        Self { kind, open, secret, is_user: true, is_once: false, anchor: None, spent: AtomicBool::new(false) }
    }

    /// Nothing but the client's own proof: a token for the application itself.
    #[must_use]
    pub fn client_credentials() -> Self {
        Self { is_user: false, ..Self::user(CLIENT_CREDENTIALS) }
    }

    /// The token by which a person called this service, for one to call another service on their behalf.
    #[must_use]
    pub fn on_behalf_of(assertion: &'a Secret) -> Self {
        Self {
            open: vec![("requested_token_use", "on_behalf_of")],
            secret: vec![("assertion", assertion)],
            ..Self::user("urn:ietf:params:oauth:grant-type:jwt-bearer")
        }
    }

    /// The code that a person who signed in was sent back with, to `redirect_uri`. It is good for one use, so it is sent
    /// again only if it was not written.
    #[must_use]
    pub fn authorization_code(code: &'a Secret, redirect_uri: &'a str, verifier: Option<&'a Secret>) -> Self {
        let verifier = verifier.map(|verifier| ("code_verifier", verifier));
        Self {
            open: vec![("redirect_uri", redirect_uri)],
            secret: [("code", code)].into_iter().chain(verifier).collect(),
            is_once: true,
            ..Self::user("authorization_code")
        }
    }

    /// What an earlier answer held for later; see [`Granted::refresh_token`]. Sent again only if it was not written.
    #[must_use]
    pub fn refresh_token(token: &'a Secret) -> Self {
        Self { secret: vec![("refresh_token", token)], is_once: true, ..Self::user("refresh_token") }
    }

    /// A person's name and password.
    #[must_use]
    pub fn password(username: &'a str, password: &'a Secret) -> Self {
        Self { open: vec![("username", username)], secret: vec![("password", password)], ..Self::user("password") }
    }

    /// A person's SAML token that a federation server issued: `assertion` is its XML in base64url without padding.
    ///
    /// Source: RFC 7522, section 2.1; msal 1.39.0, `application.py`, for version 1.1.
    #[must_use]
    pub fn saml(version: SamlVersion, assertion: &'a Secret) -> Self {
        let kind = match version {
            SamlVersion::V1_1 => "urn:ietf:params:oauth:grant-type:saml1_1-bearer",
            SamlVersion::V2_0 => "urn:ietf:params:oauth:grant-type:saml2-bearer",
        };
        Self { secret: vec![("assertion", assertion)], ..Self::user(kind) }
    }

    /// Tells the service near whose data the request is best answered: `upn:` and a name, or `Oid:` and ids. What cannot
    /// stand in a header is not sent, for it is a hint.
    #[must_use]
    pub fn with_anchor(mut self, mailbox: String) -> Self {
        self.anchor = Some(mailbox).filter(|mailbox| check::is_header_value(mailbox));
        self
    }

    /// Whether a request with it found that the service takes it no more, for whatever is asked for by it. Other refusals say
    /// nothing about it: they are of the application, the resource, or something that the person has to do for that resource.
    #[must_use]
    pub fn is_spent(&self) -> bool {
        self.spent.load(Ordering::Relaxed)
    }
}

/// The version of a SAML token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SamlVersion {
    /// Also for 1.0, whose tokens have the same namespace.
    V1_1,
    /// 2.0.
    V2_0,
}

/// What the token endpoint gave.
#[derive(Debug)]
#[non_exhaustive]
pub struct Granted {
    /// The token; an error if it is for less than was asked for, and that was not to be.
    pub fetched: Result<Fetched>,
    /// What gets further tokens of the same person, of other resources as well, without them.
    pub refresh_token: Option<Secret>,
}

pub(crate) const CLIENT_CREDENTIALS: &str = "client_credentials";

/// The scopes as they are sent: those of a person with what identifies them and lets them be remembered.
///
/// Source: msal 1.39.0, `application.py` (`_decorate_scope`).
pub(crate) fn scope(scopes: &[String], is_user: bool) -> String {
    if !is_user {
        return scopes.join(" ");
    }
    let mut all = String::new();
    let mut last = "";
    // Sorted, each once. They are few, and a sort from std would be 4 KB.
    let more = || scopes.iter().map(String::as_str).chain(["offline_access", "openid", "profile"]);
    while let Some(next) = more().filter(|scope| *scope > last).min() {
        all.push_str(if last.is_empty() { "" } else { " " });
        all.push_str(next);
        last = next;
    }
    all
}
