//! How an application proves that it is the one it says it is.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use identity_core::{BoxFuture, CallContext, Result, Secret, json, retry::RetryPolicy, text};

/// Proves to a token endpoint who the client is.
///
/// Implemented by what has a secret, a certificate or the token of another issuer. A client without one (a public
/// client) has no `ClientAuthentication`.
pub trait ClientAuthentication: fmt::Debug + Send + Sync {
    /// Makes the proof for one request. Called once for each token request that reaches the network, not for its retries,
    /// and once more with [`ProofRequest::renew`] if the service finds the assertion outside of its time.
    ///
    /// # Errors
    ///
    /// Whatever prevents the proof; it becomes the token request's error as it is, and nothing is sent.
    fn prove<'a>(&'a self, request: &'a ProofRequest<'a>) -> BoxFuture<'a, Result<Proof>>;

    /// Whether a proof could be made at all, as far as that can be told without asking anybody. Called before others are
    /// asked about the authority or a region.
    ///
    /// # Errors
    ///
    /// As [`prove`](Self::prove) would.
    fn check(&self) -> Result<()> {
        Ok(())
    }

    /// Changes when a file changes that the proof is made of, so that a refusal is not remembered beyond that. May read
    /// files.
    fn generation(&self) -> u64 {
        0
    }
}

/// What a proof is for.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ProofRequest<'a> {
    /// The URL that the request is sent to, but for a [`Route`](crate::Route): the audience of an assertion that the client
    /// signs itself.
    pub token_endpoint: &'a str,
    /// The application.
    pub client_id: &'a str,
    /// The tenant whose token is asked for.
    pub tenant: &'a str,
    /// Whether the server is one of Active Directory Federation Services.
    pub is_adfs: bool,
    /// Now, by the service's clock where an answer showed that this machine's is wrong.
    pub now: SystemTime,
    /// Whether the last proof was refused as outside of its time: make a new one, of what is new.
    pub renew: bool,
    /// How patient the caller is, for proofs that have to be asked for.
    pub context: CallContext,
    /// How long a proof is waited for: what is left of the token request's 45 s.
    pub patience: Duration,
}

impl<'a> ProofRequest<'a> {
    /// The request of a proof for `client_id` at `token_endpoint`, as a test of an implementation makes it.
    #[must_use]
    pub fn new(token_endpoint: &'a str, client_id: &'a str, tenant: &'a str, now: SystemTime) -> Self {
        let is_adfs = crate::authority::is_adfs(tenant);
        Self {
            token_endpoint,
            client_id,
            tenant,
            is_adfs,
            now,
            renew: false,
            context: CallContext::Alone,
            patience: RetryPolicy::ENTRA.budget,
        }
    }
}

/// What proves who the client is.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Proof {
    /// A secret that both sides know.
    Secret(Secret),
    /// A signed statement, a JSON Web Token.
    Assertion(Secret),
}

impl Proof {
    pub(crate) fn secret(&self) -> &Secret {
        match self {
            Self::Secret(secret) | Self::Assertion(secret) => secret,
        }
    }

    /// The parameters of the form.
    pub(crate) fn parameters(&self) -> Vec<(&'static str, &str)> {
        match self {
            Self::Secret(secret) => vec![("client_secret", secret.expose())],
            Self::Assertion(assertion) => vec![
                ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
                ("client_assertion", assertion.expose()),
            ],
        }
    }

    /// When an assertion says that it expires, in seconds since the Unix epoch.
    pub(crate) fn expires_on(&self) -> Option<i64> {
        let Self::Assertion(assertion) = self else { return None };
        let payload = text::base64url_decode(assertion.expose().split('.').nth(1)?)?;
        let mut expires = None;
        json::members(&payload, &mut |name, value| {
            if name == "exp" {
                expires = value.parse::<f64>().ok();
            }
        })
        .ok()?;
        expires.filter(|seconds| (0.0..1e11).contains(seconds)).map(|seconds| seconds as i64)
    }
}

/// A secret that the application and Entra ID both know.
#[derive(Clone, Debug)]
pub struct ClientSecret(Secret);

impl ClientSecret {
    /// Takes the secret's value.
    pub fn new(secret: impl Into<Secret>) -> Self {
        Self(secret.into())
    }
}

impl ClientAuthentication for ClientSecret {
    fn prove<'a>(&'a self, _: &'a ProofRequest<'a>) -> BoxFuture<'a, Result<Proof>> {
        Box::pin(std::future::ready(Ok(Proof::Secret(self.0.clone()))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_proof_shows_itself() {
        let (secret, assertion) = (Proof::Secret("CANARY".into()), Proof::Assertion("CANARY".into()));
        let shown = format!("{secret:?} {assertion:#?} {:?}", ClientSecret::new("CANARY"));
        assert!(!shown.contains("CANARY"));
    }

    #[test]
    fn the_expiry_of_an_assertion_is_read_from_it() {
        // basenc --base64url of the payloads.
        for (payload, expected) in [
            ("eyJleHAiOjE3MDAwMDAwMDB9", Some(1_700_000_000)), // {"exp":1700000000}
            ("eyJleHAiOjE3MDAwMDAwMDAuNX0", Some(1_700_000_000)), // {"exp":1700000000.5}
            ("eyJleHAiOiIxNzAwMDAwMDAwIn0", None),             // {"exp":"1700000000"}
            ("eyJleHAiOjFlNDAwfQ", None),                      // {"exp":1e400}
            ("e30", None),
            ("!", None),
        ] {
            assert_eq!(Proof::Assertion(format!("h.{payload}.s").into()).expires_on(), expected, "{payload}");
        }
        assert_eq!(Proof::Assertion("opaque".into()).expires_on(), None);
        assert_eq!(Proof::Secret("h.eyJleHAiOjE3MDAwMDAwMDB9.s".into()).expires_on(), None);
    }
}
