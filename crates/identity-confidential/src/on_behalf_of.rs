use std::{fmt, sync::Arc, time::Duration};

use identity_cache::{Ask, Fetch, Fetched, Lookup};
use identity_core::{
    BoxFuture, Error, ErrorKind, Platform, Result, Secret, TokenCredential, TokenFuture, TokenRequestOptions, check,
    retry::RetryPolicy, text,
};
use identity_oauth::{AppClient, Client, ClientAuthentication, ClientOptions, ClientSecret, Grant, RefreshTokens};
use ring::digest::{SHA256, digest};

use crate::assertion::{Assertion, Callback};

/// A service that calls other services on behalf of whoever calls it.
///
/// Make it once and keep it: [`credential`](Self::credential) makes a credential for each request of a user, cheaply, and all
/// of them share one connection pool, one proof of who the service is, and one bounded memory of tokens. Who is a user is
/// told by a hash of the token that they called with; that token itself is held by the credential, and by a request that is
/// under way. Clones share everything.
///
/// Validate the token before: Entra ID does when it exchanges it, but a remembered answer is given without asking.
///
/// ```no_run
/// # async fn example(platform: &identity_core::Platform, secret: String, token: String) -> identity_core::Result<()> {
/// use identity_confidential::OnBehalfOfClient;
/// use identity_core::TokenCredential as _;
///
/// let client = OnBehalfOfClient::builder("TENANT", "CLIENT").client_secret(secret).build_with(platform)?;
/// // For each request; `token` is what it came with.
/// let credential = client.credential(token)?;
/// let token = credential.get_token(&["https://graph.microsoft.com/.default"], None).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct OnBehalfOfClient(Arc<AppClient>);

impl OnBehalfOfClient {
    /// Starts a client for the application `client_id` in the tenant `tenant_id` (a GUID or a domain name). How it proves who
    /// it is must be told: a secret, assertions, or another [`ClientAuthentication`] such as a certificate.
    #[must_use]
    pub fn builder(tenant_id: impl Into<String>, client_id: impl Into<String>) -> OnBehalfOfClientBuilder {
        OnBehalfOfClientBuilder {
            tenant_id: tenant_id.into(),
            client_id: client_id.into(),
            proofs: Vec::new(),
            options: ClientOptions::default(),
        }
    }

    /// The credential of the user who called with this token: an access token for this application, without `Bearer`.
    ///
    /// Touches no network and remembers nothing.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidArgument`] if it is empty or has a character that no token has.
    pub fn credential(&self, user_assertion: impl Into<Secret>) -> Result<OnBehalfOfCredential> {
        let assertion = user_assertion.into();
        if !check::is_token(assertion.expose()) {
            let message = "the user's assertion is empty or has a character that no token has; pass the token of the \
                 request's header `authorization`, without `Bearer`";
            return Err(Error::new(ErrorKind::InvalidArgument, message).with_credential(NAME));
        }
        let subject = text::base64url(digest(&SHA256, assertion.expose().as_bytes()).as_ref());
        Ok(OnBehalfOfCredential(Arc::new(User { client: self.clone(), assertion, subject })))
    }
}

impl fmt::Debug for OnBehalfOfClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OnBehalfOfClient").field(&self.0).finish()
    }
}

/// Builds an [`OnBehalfOfClient`].
#[derive(Clone)]
pub struct OnBehalfOfClientBuilder {
    tenant_id: String,
    client_id: String,
    proofs: Vec<Arc<dyn ClientAuthentication>>,
    options: ClientOptions,
}

impl OnBehalfOfClientBuilder {
    /// Proves who the application is by a secret.
    #[must_use]
    pub fn client_secret(self, client_secret: impl Into<Secret>) -> Self {
        let secret = client_secret.into();
        // An empty one proves nothing, which is told when it is built.
        if secret.expose().is_empty() { self } else { self.client_authentication(Arc::new(ClientSecret::new(secret))) }
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

    /// Builds the client for this process: its variables, HTTP by hyper, TLS by rustls, time and tasks by tokio.
    ///
    /// # Errors
    ///
    /// As [`build_with`](Self::build_with).
    #[cfg(feature = "tokio")]
    pub fn build(self) -> Result<OnBehalfOfClient> {
        self.build_with(&identity_tokio::platform())
    }

    /// Builds the client for `platform`. Reads variables; touches no network. Unless
    /// [`cache_capacity`](Self::cache_capacity) says otherwise, 10,000 tokens are remembered, some 4 KB each.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidArgument`] unless exactly one proof was given, and not an empty secret; for a tenant id or client
    /// id that is empty or malformed, an authority or region that is none, a failure memory of more than 60 seconds, a cache
    /// for no token, a variable that is malformed, and if the platform's transport cannot speak `https`.
    pub fn build_with(self, platform: &Platform) -> Result<OnBehalfOfClient> {
        self.assemble(platform, CAPACITY).map_err(|error| error.with_credential(NAME))
    }

    fn assemble(self, platform: &Platform, capacity: usize) -> Result<OnBehalfOfClient> {
        let Ok([proof]) = <[_; 1]>::try_from(self.proofs) else {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                "no proof of who the application is was given, an empty one, or several; expected one of a client secret, \
                 client assertions and a client certificate",
            ));
        };
        let mut options = self.options;
        options.default_cache_capacity(capacity);
        let client = Arc::new(Client::new(platform, &self.tenant_id, &self.client_id, Some(proof), options)?);
        let refresh = RefreshTokens::new(client.cache_options().capacity);
        let exchange = Arc::new(Exchange { client: Arc::clone(&client), refresh });
        Ok(OnBehalfOfClient(Arc::new(AppClient::with_fetch(client, exchange))))
    }
}

/// A proof need not have a `Debug` that says anything, so none is printed.
impl fmt::Debug for OnBehalfOfClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnBehalfOfClientBuilder")
            .field("tenant_id", &self.tenant_id)
            .field("client_id", &self.client_id)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// Gets tokens by which a service calls another one on behalf of one of its users.
///
/// Made by an [`OnBehalfOfClient`], which is what a service should keep, or alone by [`builder`](Self::builder). The user's
/// token is exchanged once for each resource and remembered; while a refresh token is known, that gets new ones, also when
/// the user's own token has expired.
///
/// Source: azure-identity 1.27.0, `_credentials/on_behalf_of.py`;
/// <https://learn.microsoft.com/entra/identity-platform/v2-oauth2-on-behalf-of-flow>.
#[derive(Clone)]
pub struct OnBehalfOfCredential(Arc<User>);

struct User {
    client: OnBehalfOfClient,
    assertion: Secret,
    /// The hash of the assertion.
    subject: String,
}

impl OnBehalfOfCredential {
    /// Starts a credential of one user, who called with the token `user_assertion`, by the application `client_id` in the
    /// tenant `tenant_id`.
    #[must_use]
    pub fn builder(
        tenant_id: impl Into<String>,
        client_id: impl Into<String>,
        user_assertion: impl Into<Secret>,
    ) -> OnBehalfOfCredentialBuilder {
        OnBehalfOfCredentialBuilder {
            client: OnBehalfOfClient::builder(tenant_id, client_id),
            options: ClientOptions::default(),
            user_assertion: user_assertion.into(),
        }
    }
}

impl TokenCredential for OnBehalfOfCredential {
    /// Gets a token of the user for another service: scopes of one resource, such as
    /// `https://graph.microsoft.com/User.Read`, or `{resource}/.default`.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::InvalidArgument`] for scopes, claims or a tenant that are none, a tenant that is not allowed, an
    ///   authority that is not known, outside a runtime, and if a proxy or TLS setting cannot work.
    /// - [`ErrorKind::AuthenticationRequired`] if the user has to do something first: [`Error::claims`] is what to send them
    ///   to sign in with, [`Error::scopes`] what it is for. It is remembered for this user for 60 seconds.
    /// - [`ErrorKind::AuthenticationFailed`] if the service refuses: [`Error::entra_codes`] says why, the message what to do.
    /// - [`ErrorKind::Transport`] if no answer came within 45 s, or none but "later".
    /// - [`ErrorKind::Protocol`] for an answer that is none, is too large (1 MiB), or is a redirect.
    /// - What the application's proof says.
    fn get_token<'a>(&'a self, scopes: &'a [&'a str], options: Option<&'a TokenRequestOptions>) -> TokenFuture<'a> {
        let User { client, assertion, subject } = &*self.0;
        client.0.get_for(scopes, subject, assertion, options)
    }

    fn name(&self) -> &'static str {
        NAME
    }
}

impl fmt::Debug for OnBehalfOfCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple(NAME).field(&self.0.client.0).finish()
    }
}

/// Builds an [`OnBehalfOfCredential`] of one user.
#[derive(Clone, Debug)]
pub struct OnBehalfOfCredentialBuilder {
    /// All but the options.
    client: OnBehalfOfClientBuilder,
    options: ClientOptions,
    user_assertion: Secret,
}

impl OnBehalfOfCredentialBuilder {
    /// Proves who the application is by a secret.
    #[must_use]
    pub fn client_secret(mut self, client_secret: impl Into<Secret>) -> Self {
        self.client = self.client.client_secret(client_secret);
        self
    }

    /// Proves who the application is by assertions that the program gets.
    #[must_use]
    pub fn client_assertion(mut self, assertion: impl Assertion + 'static) -> Self {
        self.client = self.client.client_assertion(assertion);
        self
    }

    /// Proves who the application is in another way; see [`OnBehalfOfClientBuilder::client_authentication`].
    #[must_use]
    pub fn client_authentication(mut self, proof: Arc<dyn ClientAuthentication>) -> Self {
        self.client = self.client.client_authentication(proof);
        self
    }

    identity_oauth::client_options!();

    /// Builds the credential for this process: its variables, HTTP by hyper, TLS by rustls, time and tasks by tokio.
    ///
    /// # Errors
    ///
    /// As [`build_with`](Self::build_with).
    #[cfg(feature = "tokio")]
    pub fn build(self) -> Result<OnBehalfOfCredential> {
        self.build_with(&identity_tokio::platform())
    }

    /// Builds the credential for `platform`. Reads variables; touches no network.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidArgument`] as [`OnBehalfOfClientBuilder::build_with`] and [`OnBehalfOfClient::credential`].
    pub fn build_with(self, platform: &Platform) -> Result<OnBehalfOfCredential> {
        let client = OnBehalfOfClientBuilder { options: self.options, ..self.client };
        let client = client.assemble(platform, CAPACITY_OF_ONE).map_err(|error| error.with_credential(NAME))?;
        client.credential(self.user_assertion)
    }
}

/// Gets tokens when none is remembered.
#[derive(Debug)]
struct Exchange {
    client: Arc<Client>,
    refresh: RefreshTokens,
}

impl Exchange {
    async fn token(&self, ask: Ask) -> Result<Fetched> {
        let clock = self.client.platform().clock();
        let (start, budget) = (clock.now().monotonic, RetryPolicy::ENTRA.budget);
        let left = || budget.saturating_sub(clock.now().monotonic.saturating_duration_since(start));
        let key = RefreshTokens::key(&ask.subject, &ask.tenant, ask.cae);
        let mut first = None;
        while let Some(token) = self.refresh.get(&key) {
            let grant = Grant::refresh_token(&token);
            let error = match self.client.request_within(&grant, &ask, left()).await {
                Ok(granted) => return self.keep(&key, granted),
                // The service asks for a pause, which is for all that this client asks: what comes next waits for its end.
                Err(error) if error.retry_after().is_some_and(|wait| !is_short(&error, wait, left())) => {
                    return Err(error);
                }
                Err(error) => error,
            };
            if grant.is_spent() && !self.refresh.remove(&key, &token) {
                // Another request of the user was faster, and has the one that came in its place.
                continue;
            }
            first = Some(error).filter(|error| !grant.is_spent() || error.kind() == ErrorKind::AuthenticationRequired);
            break;
        }
        let assertion = ask.evidence.as_ref().ok_or_else(|| {
            Error::new(ErrorKind::InvalidArgument, "the user's assertion was not handed on with the request")
        })?;
        let granted = match self.client.request_within(&Grant::on_behalf_of(assertion), &ask, left()).await {
            Ok(granted) => granted,
            // It may have expired long ago, which says nothing while there is a refresh token, and is no reason to keep from
            // the user what they have to do.
            Err(error) => {
                let first = first.filter(|_| error.kind() == ErrorKind::AuthenticationFailed);
                return Err(first.unwrap_or(error));
            }
        };
        self.keep(&key, granted)
    }

    fn keep(&self, key: &str, granted: identity_oauth::Granted) -> Result<Fetched> {
        if let Some(token) = granted.refresh_token {
            self.refresh.put(key, token);
        }
        granted.fetched
    }
}

/// Whether the end of a pause can be waited for.
fn is_short(error: &Error, wait: Duration, left: Duration) -> bool {
    error.kind() == ErrorKind::Transport && wait < left
}

impl Fetch for Exchange {
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

    fn fetch(self: Arc<Self>, ask: Ask) -> BoxFuture<'static, Result<Fetched>> {
        Box::pin(async move { self.token(ask).await })
    }
}

/// The credential's name in logs, errors and tokens.
const NAME: &str = "OnBehalfOfCredential";
/// How many tokens a shared client remembers. Source: our choice: some 40 MB.
const CAPACITY: usize = 10_000;
/// The same for the credential of one user. Source: as every other credential.
const CAPACITY_OF_ONE: usize = 256;
