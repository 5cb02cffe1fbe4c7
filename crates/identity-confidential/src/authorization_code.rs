use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use identity_cache::{Ask, Fetch, Fetched, Lookup};
use identity_core::{
    BoxFuture, Error, ErrorKind, Platform, Result, Secret, TokenCredential, TokenFuture, TokenRequestOptions, check,
    gate::{Turns, timeout},
    retry::RetryPolicy,
};
use identity_oauth::{AppClient, Client, ClientAuthentication, ClientOptions, ClientSecret, Grant, Granted};

use crate::assertion::{Assertion, Callback};

/// Gets tokens for the person who signed in to an application and was sent back with an authorization code.
///
/// The first call redeems the code, which is good for one use; what comes with it gets further tokens, also of other
/// resources, for as long as the service lets it. Clones share all of that.
///
/// Source: azure-identity 1.27.0, `_credentials/authorization_code.py`;
/// <https://learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow>.
#[derive(Clone)]
pub struct AuthorizationCodeCredential(Arc<AppClient>);

impl AuthorizationCodeCredential {
    /// Starts a credential for the application `client_id` in the tenant `tenant_id`: `authorization_code` is what came back
    /// to `redirect_uri`, which must be the same as in the request to sign in.
    ///
    /// ```no_run
    /// # fn example(platform: &identity_core::Platform, code: String, secret: String) -> identity_core::Result<()> {
    /// use identity_confidential::AuthorizationCodeCredential;
    ///
    /// let credential =
    ///     AuthorizationCodeCredential::builder("TENANT", "CLIENT", code, "https://app.example/signed-in")
    ///         .client_secret(secret)
    ///         .build_with(platform)?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn builder(
        tenant_id: impl Into<String>,
        client_id: impl Into<String>,
        authorization_code: impl Into<Secret>,
        redirect_uri: impl Into<String>,
    ) -> AuthorizationCodeCredentialBuilder {
        AuthorizationCodeCredentialBuilder {
            tenant_id: tenant_id.into(),
            client_id: client_id.into(),
            code: authorization_code.into(),
            redirect_uri: redirect_uri.into(),
            verifier: None,
            proofs: Vec::new(),
            has_empty_secret: false,
            options: ClientOptions::default(),
        }
    }
}

impl TokenCredential for AuthorizationCodeCredential {
    /// Gets a token of the person. `openid`, `profile` and `offline_access` are asked for as well.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::InvalidArgument`] for scopes, claims or a tenant that are none, a tenant that is not allowed, an
    ///   authority that is not known, outside a runtime, and if a proxy or TLS setting cannot work.
    /// - [`ErrorKind::AuthenticationRequired`] if the person has to sign in again: the code is used up and nothing else is
    ///   left, or the service asks for more. [`Error::scopes`] and [`Error::claims`] are what to ask them for.
    /// - [`ErrorKind::AuthenticationFailed`] if the service refuses: [`Error::entra_codes`] says why, the message what to do.
    ///   A code that is refused is kept, for the reason may lie elsewhere.
    /// - [`ErrorKind::Transport`] if no answer came within 45 s, or none but "later". A code that was sent is not sent again
    ///   in the same call.
    /// - [`ErrorKind::Protocol`] for an answer that is none, is too large (1 MiB), or is a redirect.
    ///
    /// # Cancellation
    ///
    /// Dropping the future is safe while a clone of the credential is kept: the request goes on, so that neither the code nor
    /// what comes with it is lost. With the last clone it is ended, and with the runtime.
    fn get_token<'a>(&'a self, scopes: &'a [&'a str], options: Option<&'a TokenRequestOptions>) -> TokenFuture<'a> {
        self.0.get(scopes, options)
    }

    fn name(&self) -> &'static str {
        NAME
    }
}

impl fmt::Debug for AuthorizationCodeCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple(NAME).field(&self.0).finish()
    }
}

/// Builds an [`AuthorizationCodeCredential`].
#[derive(Clone)]
pub struct AuthorizationCodeCredentialBuilder {
    tenant_id: String,
    client_id: String,
    code: Secret,
    redirect_uri: String,
    verifier: Option<Secret>,
    proofs: Vec<Arc<dyn ClientAuthentication>>,
    has_empty_secret: bool,
    options: ClientOptions,
}

impl AuthorizationCodeCredentialBuilder {
    /// Gives the verifier of the challenge that was sent with the request to sign in (PKCE).
    ///
    /// Source: RFC 7636.
    #[must_use]
    pub fn code_verifier(mut self, verifier: impl Into<Secret>) -> Self {
        self.verifier = Some(verifier.into());
        self
    }

    /// Proves who the application is by a secret. Without any proof it is a public client.
    #[must_use]
    pub fn client_secret(mut self, client_secret: impl Into<Secret>) -> Self {
        let secret = client_secret.into();
        self.has_empty_secret |= secret.expose().is_empty();
        self.client_authentication(Arc::new(ClientSecret::new(secret)))
    }

    /// Proves who the application is by assertions that the program gets.
    #[must_use]
    pub fn client_assertion(self, assertion: impl Assertion + 'static) -> Self {
        self.client_authentication(Arc::new(Callback(Arc::new(assertion))))
    }

    /// Proves who the application is in another way: by the `ClientCertificate` of `identity-certificate`, for one.
    #[must_use]
    pub fn client_authentication(mut self, proof: Arc<dyn ClientAuthentication>) -> Self {
        self.proofs.push(proof);
        self
    }

    identity_oauth::client_options!();

    /// Builds the credential for this process: its variables, HTTP by hyper, TLS by rustls, time and tasks by tokio.
    ///
    /// # Errors
    ///
    /// As [`build_with`](Self::build_with).
    #[cfg(feature = "tokio")]
    pub fn build(self) -> Result<AuthorizationCodeCredential> {
        self.build_with(&identity_tokio::platform())
    }

    /// Builds the credential for `platform`. Reads variables; touches no network.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidArgument`] for a tenant id or client id that is empty or malformed, an empty code, redirect URI or
    /// secret, a verifier that is none, several proofs of who the application is, an authority or region that is none, a failure
    /// memory of more than 60 seconds, a cache for no token, a variable that is malformed, and if the platform's transport
    /// cannot speak `https`.
    pub fn build_with(self, platform: &Platform) -> Result<AuthorizationCodeCredential> {
        self.assemble(platform).map_err(|error| error.with_credential(NAME))
    }

    fn assemble(mut self, platform: &Platform) -> Result<AuthorizationCodeCredential> {
        let invalid = |message: &str| Err(Error::new(ErrorKind::InvalidArgument, message));
        if self.code.expose().is_empty() {
            return invalid(
                "the authorization code is empty; pass the parameter `code` that the person came back with",
            );
        }
        if self.redirect_uri.is_empty() {
            return invalid("the redirect URI is empty; pass the one that the person was sent back to");
        }
        if self.has_empty_secret {
            return invalid("the client secret is empty; give the value of one of the application's secrets, or none");
        }
        let is_verifier = |text: &str| {
            let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~');
            (43..=128).contains(&text.len()) && text.bytes().all(fits)
        };
        if self.verifier.as_ref().is_some_and(|verifier| !is_verifier(verifier.expose())) {
            return invalid("the code verifier is none; expected 43 to 128 letters, digits, and - . _ ~");
        }
        let proof = self.proofs.pop();
        if !self.proofs.is_empty() {
            return invalid(
                "several proofs of who the application is were given; expected one, or none of a public client",
            );
        }
        let client = Arc::new(Client::new(platform, &self.tenant_id, &self.client_id, proof, self.options)?);
        let redeem = Redeem {
            client: Arc::clone(&client),
            redirect_uri: self.redirect_uri,
            verifier: self.verifier,
            turns: Turns::default(),
            left: Mutex::new(Left { code: Some(self.code), refresh_token: None }),
        };
        Ok(AuthorizationCodeCredential(Arc::new(AppClient::with_fetch(client, Arc::new(redeem)))))
    }
}

/// Neither the code nor a proof is printed.
impl fmt::Debug for AuthorizationCodeCredentialBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthorizationCodeCredentialBuilder")
            .field("tenant_id", &self.tenant_id)
            .field("client_id", &self.client_id)
            .field("redirect_uri", &self.redirect_uri)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// Gets tokens when none is remembered.
struct Redeem {
    client: Arc<Client>,
    redirect_uri: String,
    verifier: Option<Secret>,
    /// One request at a time: a code is good for one, and many services let a refresh token be used once.
    turns: Turns,
    left: Mutex<Left>,
}

/// What a token can still be had for.
struct Left {
    code: Option<Secret>,
    refresh_token: Option<Secret>,
}

impl Redeem {
    async fn token(&self, ask: Ask) -> Result<Fetched> {
        let clock = self.client.platform().clock().as_ref();
        let (start, budget) = (clock.now().monotonic, RetryPolicy::ENTRA.budget);
        let left = || budget.saturating_sub(clock.now().monotonic.saturating_duration_since(start));
        let Some(_turn) = timeout(clock, left(), self.turns.take()).await else {
            let seconds = budget.as_secs();
            let message = format!("nothing could be sent within {seconds} s: others of this credential are under way");
            return Err(Error::new(ErrorKind::Transport, message));
        };
        let (code, refresh_token) = {
            let left = self.left();
            (left.code.clone(), left.refresh_token.clone())
        };
        if let Some(token) = refresh_token {
            let grant = Grant::refresh_token(&token);
            return match self.client.request_within(&grant, &ask, left()).await {
                Ok(granted) => self.keep(granted),
                Err(error) if grant.is_spent() => {
                    self.left().refresh_token = None;
                    let (scopes, claims) = (scopes(&ask), error.claims().map(str::to_owned));
                    Err(error.with_kind(ErrorKind::AuthenticationRequired).with_scopes(&scopes, claims.as_deref()))
                }
                Err(error) => Err(error),
            };
        }
        let Some(code) = code else {
            let message = "the authorization code is used up, and neither a token nor a refresh token is left; have the \
                 person sign in again";
            let error = Error::new(ErrorKind::AuthenticationRequired, message);
            return Err(error.with_scopes(&scopes(&ask), ask.claims.as_deref()));
        };
        let grant = Grant::authorization_code(&code, &self.redirect_uri, self.verifier.as_ref());
        let granted = self.client.request_within(&grant, &ask, left()).await?;
        self.left().code = None;
        self.keep(granted)
    }

    fn keep(&self, granted: Granted) -> Result<Fetched> {
        if let Some(token) = granted.refresh_token {
            self.left().refresh_token = Some(token);
        }
        granted.fetched
    }

    /// Nothing that runs under the lock can panic, so a poisoned one is as good as any.
    fn left(&self) -> MutexGuard<'_, Left> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Fetch for Redeem {
    fn name(&self) -> &'static str {
        NAME
    }

    fn check(&self, lookup: &Lookup<'_>) -> Result<()> {
        check::scopes(lookup.scopes)?;
        lookup.claims.map_or(Ok(()), check::claims)
    }

    fn generation(&self) -> u64 {
        self.client.generation()
    }

    /// A code that was sent may be redeemed, and what comes in its place is good for one use with many services.
    fn goes_on(&self) -> bool {
        true
    }

    fn fetch(self: Arc<Self>, ask: Ask) -> BoxFuture<'static, Result<Fetched>> {
        Box::pin(async move { self.token(ask).await })
    }
}

impl fmt::Debug for Redeem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Redeem")
    }
}

fn scopes(ask: &Ask) -> Vec<&str> {
    ask.scopes.iter().map(String::as_str).collect()
}

/// The credential's name in logs, errors and tokens.
const NAME: &str = "AuthorizationCodeCredential";
