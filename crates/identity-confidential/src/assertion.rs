use std::{fmt, sync::Arc, time::SystemTime};

use identity_core::{
    BoxFuture, CallContext, Error, ErrorKind, Platform, Result, Secret, TokenCredential, TokenFuture,
    TokenRequestOptions, check,
};
use identity_oauth::{AppClient, Client, ClientAuthentication, ClientOptions, Proof, ProofRequest};

/// Gets the assertions of a [`ClientAssertionCredential`]: JSON Web Tokens that say who the application is.
///
/// Implemented for closures that return a future of a [`Secret`], and by [`TokenAssertion`].
pub trait Assertion: Send + Sync {
    /// Gets one assertion. Called once for each token request that reaches the network, not for its retries, and once
    /// more with [`renew`](AssertionRequest::renew) if the service finds the assertion outside of its time.
    ///
    /// # Errors
    ///
    /// Whatever prevents it; the error reaches the caller of `get_token` with its kind, by which a chain decides, and says
    /// that it was the assertion that could not be had. One that takes longer than what is left of the 45 s of a token
    /// request is not waited for.
    fn assertion<'a>(&'a self, request: &'a AssertionRequest<'a>) -> BoxFuture<'a, Result<Secret>>;
}

/// What an assertion is for.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct AssertionRequest<'a> {
    /// The URL that it will be sent to.
    pub token_endpoint: &'a str,
    /// The application that it speaks for.
    pub client_id: &'a str,
    /// The tenant whose token is asked for.
    pub tenant_id: &'a str,
    /// Now, by the service's clock where an answer showed that this machine's is wrong: for those who sign themselves.
    pub now: SystemTime,
    /// Whether the last one was refused as outside of its time: what is remembered is of no use, and the same one is not
    /// sent again.
    pub renew: bool,
    /// How patient the caller is.
    pub context: CallContext,
}

impl<F, R> Assertion for F
where
    F: Fn() -> R + Send + Sync,
    R: Future<Output = Result<Secret>> + Send + 'static,
{
    fn assertion<'a>(&'a self, _: &'a AssertionRequest<'a>) -> BoxFuture<'a, Result<Secret>> {
        Box::pin(self())
    }
}

/// Takes the tokens of another credential for assertions: a managed identity that speaks for an application, also one in
/// another tenant.
///
/// The application needs a federated credential that names the identity: issuer
/// `https://login.microsoftonline.com/{tenant}/v2.0`, subject the identity's object id, audience
/// `api://AzureADTokenExchange`, which is the scope below without its `/.default`.
///
/// Source: <https://learn.microsoft.com/entra/workload-id/workload-identity-federation-config-app-trust-managed-identity>.
#[derive(Clone, Debug)]
pub struct TokenAssertion {
    credential: Arc<dyn TokenCredential>,
    scope: String,
}

impl TokenAssertion {
    /// Asks `credential` for tokens of the public cloud's exchange, `api://AzureADTokenExchange/.default`.
    #[must_use]
    pub fn new(credential: Arc<dyn TokenCredential>) -> Self {
        Self { credential, scope: "api://AzureADTokenExchange/.default".to_owned() }
    }

    /// Asks for another scope, as other clouds have it: `api://AzureADTokenExchangeUSGov/.default`,
    /// `api://AzureADTokenExchangeChina/.default`.
    #[must_use]
    pub fn scope(mut self, scope: impl Into<String>) -> Self {
        self.scope = scope.into();
        self
    }
}

impl Assertion for TokenAssertion {
    /// Gets a token, as patiently as the caller is: a remembered one, unless that was refused.
    fn assertion<'a>(&'a self, request: &'a AssertionRequest<'a>) -> BoxFuture<'a, Result<Secret>> {
        Box::pin(async move {
            let mut options = TokenRequestOptions::new().with_context(request.context);
            if request.renew {
                // Claims, also none at all, are never answered from memory.
                options = options.with_claims("{}");
            }
            let token = self.credential.get_token(&[&self.scope], Some(&options)).await?;
            Ok(Secret::new(token.secret()))
        })
    }
}

/// Gets tokens for an application that proves who it is by assertions that the program gets.
///
/// Clones share one cache. The assertion is asked for once per token request, never for a remembered token.
#[derive(Clone)]
pub struct ClientAssertionCredential(Arc<AppClient>);

impl ClientAssertionCredential {
    /// Starts a credential for the application `client_id` in the tenant `tenant_id` (a GUID or a domain name).
    ///
    /// ```no_run
    /// # use identity_confidential::ClientAssertionCredential;
    /// # use identity_core::Secret;
    /// # fn example(platform: &identity_core::Platform) -> identity_core::Result<()> {
    /// let assertion = || async {
    ///     // From wherever the program gets it.
    ///     Ok(Secret::new("eyJ..."))
    /// };
    /// let credential = ClientAssertionCredential::builder("TENANT", "CLIENT", assertion).build_with(platform)?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn builder(
        tenant_id: impl Into<String>,
        client_id: impl Into<String>,
        assertion: impl Assertion + 'static,
    ) -> ClientAssertionCredentialBuilder {
        ClientAssertionCredentialBuilder {
            tenant_id: tenant_id.into(),
            client_id: client_id.into(),
            assertion: Arc::new(assertion),
            options: ClientOptions::default(),
        }
    }
}

impl TokenCredential for ClientAssertionCredential {
    /// Gets a token for the application itself. Entra ID takes one resource at a time, as `{resource}/.default`.
    ///
    /// # Errors
    ///
    /// What the [`Assertion`] says, with its kind, and [`ErrorKind::InvalidArgument`] if what it gives is no token; else as for
    /// [`ClientSecretCredential`](crate::ClientSecretCredential).
    fn get_token<'a>(&'a self, scopes: &'a [&'a str], options: Option<&'a TokenRequestOptions>) -> TokenFuture<'a> {
        self.0.get(scopes, options)
    }

    fn name(&self) -> &'static str {
        NAME
    }
}

impl fmt::Debug for ClientAssertionCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple(NAME).field(&self.0).finish()
    }
}

/// Builds a [`ClientAssertionCredential`].
#[derive(Clone)]
pub struct ClientAssertionCredentialBuilder {
    tenant_id: String,
    client_id: String,
    assertion: Arc<dyn Assertion>,
    options: ClientOptions,
}

impl ClientAssertionCredentialBuilder {
    identity_oauth::client_options!();

    /// Builds the credential for this process: its variables, HTTP by hyper, TLS by rustls, time and tasks by tokio.
    ///
    /// # Errors
    ///
    /// As [`build_with`](Self::build_with).
    #[cfg(feature = "tokio")]
    pub fn build(self) -> Result<ClientAssertionCredential> {
        self.build_with(&identity_tokio::platform())
    }

    /// Builds the credential for `platform`. Reads variables; touches no network and asks for no assertion.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidArgument`] for a tenant id or client id that is empty or malformed, an authority or region that
    /// is none, a failure memory of more than 60 seconds, a cache for no token, a variable that is malformed, and if the
    /// platform's transport cannot speak `https`.
    pub fn build_with(self, platform: &Platform) -> Result<ClientAssertionCredential> {
        let authentication = Arc::new(Callback(self.assertion));
        Client::new(platform, &self.tenant_id, &self.client_id, Some(authentication), self.options)
            .map(|client| ClientAssertionCredential(Arc::new(AppClient::new(NAME, client))))
            .map_err(|error| error.with_credential(NAME))
    }
}

impl fmt::Debug for ClientAssertionCredentialBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientAssertionCredentialBuilder")
            .field("tenant_id", &self.tenant_id)
            .field("client_id", &self.client_id)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// Proves by the assertions that the program gets.
pub(crate) struct Callback(pub(crate) Arc<dyn Assertion>);

impl ClientAuthentication for Callback {
    fn prove<'a>(&'a self, request: &'a ProofRequest<'a>) -> BoxFuture<'a, Result<Proof>> {
        Box::pin(async move {
            let request = AssertionRequest {
                token_endpoint: request.token_endpoint,
                client_id: request.client_id,
                tenant_id: request.tenant,
                now: request.now,
                renew: request.renew,
                context: request.context,
            };
            let assertion = self.0.assertion(&request).await.map_err(|error| match error.credential() {
                "" => error.with_context("the assertion"),
                name => {
                    let context = ["the assertion of ", name].concat();
                    error.with_context(&context)
                }
            })?;
            if !check::is_token(assertion.expose()) {
                let message = "the assertion is empty or has a character that no token has, such as a line break";
                return Err(Error::new(ErrorKind::InvalidArgument, message));
            }
            Ok(Proof::Assertion(assertion))
        })
    }
}

impl fmt::Debug for Callback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Callback")
    }
}

/// The credential's name in logs, errors and tokens.
const NAME: &str = "ClientAssertionCredential";
