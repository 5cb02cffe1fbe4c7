use std::{fmt, sync::Arc};

use identity_core::{
    BoxFuture, Error, ErrorKind, Platform, Result, Secret, TokenCredential, TokenFuture, TokenRequestOptions, check,
    http::{Method, Request},
};
use identity_oauth::{AppClient, Client, ClientAuthentication, ClientOptions, Proof, ProofRequest};

use crate::{
    env::{OIDC_REQUEST_URI, fingerprint},
    issuer::{Issuer, Service},
    url,
};

/// Exchanges the token that Azure Pipelines gives to a job for tokens of Entra ID, by a service connection with workload
/// identity federation.
///
/// Clones share one cache. The job's token is asked for once for each exchange, never for a remembered token.
///
/// Source: azure-identity 1.27.0, `_credentials/azure_pipelines.py`.
#[derive(Clone)]
pub struct AzurePipelinesCredential(Arc<AppClient>);

impl AzurePipelinesCredential {
    /// Starts a credential for the application `client_id` in the tenant `tenant_id`, by the service connection with the
    /// resource id `service_connection_id`. `system_access_token` is the job's own token, which a step has to map:
    /// `env: SYSTEM_ACCESSTOKEN: $(System.AccessToken)`.
    #[must_use]
    pub fn builder(
        tenant_id: impl Into<String>,
        client_id: impl Into<String>,
        service_connection_id: impl Into<String>,
        system_access_token: impl Into<Secret>,
    ) -> AzurePipelinesCredentialBuilder {
        AzurePipelinesCredentialBuilder {
            tenant_id: tenant_id.into(),
            client_id: client_id.into(),
            service_connection_id: service_connection_id.into(),
            system_access_token: system_access_token.into(),
            options: ClientOptions::default(),
        }
    }
}

impl TokenCredential for AzurePipelinesCredential {
    /// Gets a token for the application itself. Entra ID takes one resource at a time, as `{resource}/.default`.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::CredentialUnavailable`] without the variable `SYSTEM_OIDCREQUESTURI`, which only jobs have.
    /// - [`ErrorKind::InvalidArgument`] if that is no `https` URL; for scopes, claims or a tenant that are none, a tenant
    ///   that is not allowed, an authority that is not known, outside a runtime, and if a proxy or TLS setting cannot work.
    /// - [`ErrorKind::AuthenticationFailed`] if Azure Pipelines or Entra ID refuses; the message says which, and what to do.
    /// - [`ErrorKind::Transport`] if no answer came, or none but "later".
    /// - [`ErrorKind::Protocol`] for an answer that is none, is too large (1 MiB), or is a redirect of Entra ID; one of
    ///   Azure Pipelines leads to a page to sign in, and is a refusal.
    fn get_token<'a>(&'a self, scopes: &'a [&'a str], options: Option<&'a TokenRequestOptions>) -> TokenFuture<'a> {
        self.0.get(scopes, options)
    }

    fn name(&self) -> &'static str {
        NAME
    }
}

impl fmt::Debug for AzurePipelinesCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple(NAME).field(&self.0).finish()
    }
}

/// Builds an [`AzurePipelinesCredential`].
#[derive(Clone, Debug)]
pub struct AzurePipelinesCredentialBuilder {
    tenant_id: String,
    client_id: String,
    service_connection_id: String,
    system_access_token: Secret,
    options: ClientOptions,
}

impl AzurePipelinesCredentialBuilder {
    identity_oauth::client_options!();

    /// Builds the credential for this process: its variables, HTTP by hyper, TLS by rustls, time and tasks by tokio.
    ///
    /// # Errors
    ///
    /// As [`build_with`](Self::build_with).
    #[cfg(feature = "tokio")]
    pub fn build(self) -> Result<AzurePipelinesCredential> {
        self.build_with(&identity_tokio::platform())
    }

    /// Builds the credential for `platform`. Reads variables; touches no network.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidArgument`] for ids or a token that are empty or malformed, an authority or region that is none,
    /// a failure memory of more than 60 seconds, a cache for no token, a variable that is malformed, and if the platform's
    /// transport cannot speak `https`.
    pub fn build_with(self, platform: &Platform) -> Result<AzurePipelinesCredential> {
        self.assemble(platform).map_err(|error| error.with_credential(NAME))
    }

    fn assemble(self, platform: &Platform) -> Result<AzurePipelinesCredential> {
        check::id("service connection id", &self.service_connection_id)?;
        if !check::is_token(self.system_access_token.expose()) {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                "the system access token is empty or has a character that no token has; map it into the step: env: SYSTEM_ACCESSTOKEN: $(System.AccessToken)",
            ));
        }
        let job = Job {
            issuer: Issuer::new(platform, &SERVICE, &self.service_connection_id),
            service_connection_id: self.service_connection_id,
            system_access_token: self.system_access_token,
        };
        let client = Client::new(platform, &self.tenant_id, &self.client_id, Some(Arc::new(job)), self.options)?;
        Ok(AzurePipelinesCredential(Arc::new(AppClient::new(NAME, client))))
    }
}

/// Proves by the token that the job is given.
#[derive(Debug)]
struct Job {
    issuer: Issuer,
    service_connection_id: String,
    system_access_token: Secret,
}

impl Job {
    fn request(&self) -> Result<Request> {
        let Some(url) = self.issuer.platform.env().text(OIDC_REQUEST_URI)? else {
            return Err(Error::new(
                ErrorKind::CredentialUnavailable,
                format!(
                    "{OIDC_REQUEST_URI} is not set: this is no job of Azure Pipelines; its agent sets the variable"
                ),
            ));
        };
        url::check(OIDC_REQUEST_URI, &url)?;
        let query = [("api-version", "7.1"), ("serviceConnectionId", self.service_connection_id.as_str())];
        let url = url::with_query(OIDC_REQUEST_URI, &url::trim_path(&url), &query)?;
        let authorization = ["Bearer ", self.system_access_token.expose()].concat();
        let mut request = Request::new(Method::Post, url)
            .header("accept", "application/json")
            .header("content-type", "application/json")
            .header("authorization", authorization)
            // A refusal, please, and not the way to a page to sign in.
            .header("x-tfs-fedauthredirect", "Suppress");
        request.body = Some("".into());
        Ok(request)
    }
}

impl ClientAuthentication for Job {
    fn prove<'a>(&'a self, wanted: &'a ProofRequest<'a>) -> BoxFuture<'a, Result<Proof>> {
        Box::pin(async move {
            let request = self.request()?;
            self.issuer.ask(request, &self.system_access_token, wanted.patience).await.map(Proof::Assertion)
        })
    }

    fn check(&self) -> Result<()> {
        self.request().map(|_| ())
    }

    fn generation(&self) -> u64 {
        let url = self.issuer.platform.env().var_os(OIDC_REQUEST_URI).unwrap_or_default();
        fingerprint(url.as_encoded_bytes())
    }
}

static SERVICE: Service = Service {
    name: "Azure Pipelines",
    field: "oidcToken",
    on_refusal: "it does not take the system access token; pass that of this job, $(System.AccessToken), and let the pipeline use the service connection",
    on_absence: "it knows no such service connection; check the id, and that the pipeline may use it",
};

/// The credential's name in logs, errors and tokens.
const NAME: &str = "AzurePipelinesCredential";
