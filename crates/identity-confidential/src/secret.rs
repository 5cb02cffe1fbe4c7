use std::{fmt, sync::Arc};

use identity_core::{Error, ErrorKind, Platform, Result, Secret, TokenCredential, TokenFuture, TokenRequestOptions};
use identity_oauth::{AppClient, Client, ClientOptions, ClientSecret};

/// Gets tokens for an application that proves who it is by a secret.
///
/// Clones share one cache. A secret is valid for two years at most and travels with every request: prefer a managed
/// identity, a federated credential or a certificate where one can be had.
#[derive(Clone)]
pub struct ClientSecretCredential(Arc<AppClient>);

impl ClientSecretCredential {
    /// Starts a credential for the application `client_id` in the tenant `tenant_id` (a GUID or a domain name; `adfs` for
    /// AD FS), with the value of one of its secrets.
    #[must_use]
    pub fn builder(
        tenant_id: impl Into<String>,
        client_id: impl Into<String>,
        client_secret: impl Into<Secret>,
    ) -> ClientSecretCredentialBuilder {
        ClientSecretCredentialBuilder {
            tenant_id: tenant_id.into(),
            client_id: client_id.into(),
            client_secret: client_secret.into(),
            options: ClientOptions::default(),
        }
    }
}

impl TokenCredential for ClientSecretCredential {
    /// Gets a token for the application itself. Entra ID takes one resource at a time, as `{resource}/.default`.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::InvalidArgument`] for scopes, claims or a tenant that are none, a tenant that is not allowed, an
    ///   authority that is not known, outside a runtime, and if a proxy or TLS setting cannot work.
    /// - [`ErrorKind::AuthenticationFailed`] if the service refuses: [`Error::entra_codes`] says why, the message what to
    ///   do.
    /// - [`ErrorKind::Transport`] if no answer came within 45 s, or none but "later".
    /// - [`ErrorKind::Protocol`] for an answer that is none, is too large (1 MiB), or is a redirect.
    fn get_token<'a>(&'a self, scopes: &'a [&'a str], options: Option<&'a TokenRequestOptions>) -> TokenFuture<'a> {
        self.0.get(scopes, options)
    }

    fn name(&self) -> &'static str {
        NAME
    }
}

impl fmt::Debug for ClientSecretCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple(NAME).field(&self.0).finish()
    }
}

/// Builds a [`ClientSecretCredential`].
#[derive(Clone, Debug)]
pub struct ClientSecretCredentialBuilder {
    tenant_id: String,
    client_id: String,
    client_secret: Secret,
    options: ClientOptions,
}

impl ClientSecretCredentialBuilder {
    identity_oauth::client_options!();

    /// Builds the credential for this process: its variables, HTTP by hyper, TLS by rustls, time and tasks by tokio.
    ///
    /// # Errors
    ///
    /// As [`build_with`](Self::build_with).
    #[cfg(feature = "tokio")]
    pub fn build(self) -> Result<ClientSecretCredential> {
        self.build_with(&identity_tokio::platform())
    }

    /// Builds the credential for `platform`. Reads variables; touches no network.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidArgument`] for a tenant id or client id that is empty or malformed, an empty secret, an authority or
    /// region that is none, a failure memory of more than 60 seconds, a cache for no token, a variable that is malformed,
    /// and if the platform's transport cannot speak `https`.
    pub fn build_with(self, platform: &Platform) -> Result<ClientSecretCredential> {
        self.assemble(platform).map_err(|error| error.with_credential(NAME))
    }

    fn assemble(self, platform: &Platform) -> Result<ClientSecretCredential> {
        if self.client_secret.expose().is_empty() {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                "the client secret is empty; give the value of one of the application's secrets",
            ));
        }
        let secret = Arc::new(ClientSecret::new(self.client_secret));
        let client = Client::new(platform, &self.tenant_id, &self.client_id, Some(secret), self.options)?;
        Ok(ClientSecretCredential(Arc::new(AppClient::new(NAME, client))))
    }
}

/// The credential's name in logs, errors and tokens.
const NAME: &str = "ClientSecretCredential";
