use std::{fmt, sync::Arc};

use identity_core::{
    BoxFuture, Error, ErrorKind, Platform, Result, Secret, TokenCredential, TokenFuture, TokenRequestOptions, check,
    http::{Method, Request},
};
use identity_oauth::{AppClient, Client, ClientAuthentication, ClientOptions, Proof, ProofRequest};

use crate::{
    env::{CLIENT_ID, ID_TOKEN_REQUEST_TOKEN, ID_TOKEN_REQUEST_URL, Needs, TENANT_ID, fingerprint},
    issuer::{Issuer, Service},
    url,
};

/// Exchanges the token that GitHub Actions gives to a job for tokens of Entra ID.
///
/// The job needs the permission `id-token: write`. Clones share one cache. The job's token is asked for once for each
/// exchange, never for a remembered token, so that jobs may outlive it.
///
/// Source: <https://docs.github.com/actions/reference/security/oidc>.
#[derive(Clone)]
pub struct GithubActionsCredential(Arc<AppClient>);

impl GithubActionsCredential {
    /// Starts a credential for what the variables `AZURE_TENANT_ID` and `AZURE_CLIENT_ID` name, or the builder.
    #[must_use]
    pub fn builder() -> GithubActionsCredentialBuilder {
        GithubActionsCredentialBuilder::default()
    }
}

impl TokenCredential for GithubActionsCredential {
    /// Gets a token for the application itself. Entra ID takes one resource at a time, as `{resource}/.default`.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::CredentialUnavailable`] without the variables `ACTIONS_ID_TOKEN_REQUEST_URL` and
    ///   `ACTIONS_ID_TOKEN_REQUEST_TOKEN`, which only jobs with that permission have.
    /// - [`ErrorKind::InvalidArgument`] if the former is no `https` URL, or the latter no token; for scopes, claims or a
    ///   tenant that are none, a tenant that is not allowed, an authority that is not known, outside a runtime, and if a
    ///   proxy or TLS setting cannot work.
    /// - [`ErrorKind::AuthenticationFailed`] if GitHub or Entra ID refuses; the message says which, and what to do.
    /// - [`ErrorKind::Transport`] if no answer came, or none but "later".
    /// - [`ErrorKind::Protocol`] for an answer that is none, is too large (1 MiB), or is a redirect of Entra ID; one of
    ///   GitHub is a refusal.
    fn get_token<'a>(&'a self, scopes: &'a [&'a str], options: Option<&'a TokenRequestOptions>) -> TokenFuture<'a> {
        self.0.get(scopes, options)
    }

    fn name(&self) -> &'static str {
        NAME
    }
}

impl fmt::Debug for GithubActionsCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple(NAME).field(&self.0).finish()
    }
}

/// Builds a [`GithubActionsCredential`].
#[derive(Clone, Debug, Default)]
pub struct GithubActionsCredentialBuilder {
    tenant_id: Option<String>,
    client_id: Option<String>,
    audience: Option<String>,
    options: ClientOptions,
}

impl GithubActionsCredentialBuilder {
    /// Sets the tenant, a GUID or a domain name; the default is the variable `AZURE_TENANT_ID`.
    #[must_use]
    pub fn tenant_id(mut self, tenant_id: impl Into<String>) -> Self {
        self.tenant_id = Some(tenant_id.into());
        self
    }

    /// Sets the client id of the application or user-assigned identity; the default is the variable `AZURE_CLIENT_ID`.
    #[must_use]
    pub fn client_id(mut self, client_id: impl Into<String>) -> Self {
        self.client_id = Some(client_id.into());
        self
    }

    /// Sets whom the job's token is for, as the federated credential of the application names it. The default is
    /// `api://AzureADTokenExchange`.
    #[must_use]
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audience = Some(audience.into());
        self
    }

    identity_oauth::client_options!();

    /// Builds the credential for this process: its variables, HTTP by hyper, TLS by rustls, time and tasks by tokio.
    ///
    /// # Errors
    ///
    /// As [`build_with`](Self::build_with).
    #[cfg(feature = "tokio")]
    pub fn build(self) -> Result<GithubActionsCredential> {
        self.build_with(&identity_tokio::platform())
    }

    /// Builds the credential for `platform`. Reads variables; touches no network.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidArgument`] if tenant or client are neither set nor named by their variables, for ids that are
    /// malformed, an audience, authority or region that is none, a failure memory of more than 60 seconds, a cache for no
    /// token, a variable that is malformed, and if the platform's transport cannot speak `https`.
    pub fn build_with(self, platform: &Platform) -> Result<GithubActionsCredential> {
        self.assemble(platform).map_err(|error| error.with_credential(NAME))
    }

    fn assemble(self, platform: &Platform) -> Result<GithubActionsCredential> {
        let mut needs = Needs::new(platform.env().as_ref());
        let tenant_id = needs.text(self.tenant_id, "tenant_id", TENANT_ID)?;
        let client_id = needs.text(self.client_id, "client_id", CLIENT_ID)?;
        needs.check("set it, in the workflow as `env`")?;
        let audience = self.audience.unwrap_or_else(|| AUDIENCE.to_owned());
        if audience.len() > 512 || !check::is_token(&audience) {
            return Err(invalid(format!(
                "the audience is empty, too long or has a space; expected one such as {AUDIENCE}"
            )));
        }
        let job = Job { issuer: Issuer::new(platform, &SERVICE, &client_id), audience };
        let client = Client::new(platform, &tenant_id, &client_id, Some(Arc::new(job)), self.options)?;
        Ok(GithubActionsCredential(Arc::new(AppClient::new(NAME, client))))
    }
}

/// Proves by the token that the job is given.
#[derive(Debug)]
struct Job {
    issuer: Issuer,
    audience: String,
}

impl Job {
    /// The request, and the secret that it shows.
    fn request(&self) -> Result<(Request, Secret)> {
        let env = self.issuer.platform.env();
        let token = env.text(ID_TOKEN_REQUEST_TOKEN)?.map(Secret::new);
        let (Some(url), Some(token)) = (env.text(ID_TOKEN_REQUEST_URL)?, token) else {
            return Err(Error::new(
                ErrorKind::CredentialUnavailable,
                format!(
                    "{ID_TOKEN_REQUEST_URL} or {ID_TOKEN_REQUEST_TOKEN} is not set: this is no job of GitHub Actions, or it lacks the permission; add `permissions: id-token: write` to the workflow"
                ),
            ));
        };
        if !check::is_token(token.expose()) {
            return Err(invalid(format!("{ID_TOKEN_REQUEST_TOKEN} is no token; leave it as the job's runner sets it")));
        }
        url::check(ID_TOKEN_REQUEST_URL, &url)?;
        let url = url::with_query(ID_TOKEN_REQUEST_URL, &url, &[("audience", &self.audience)])?;
        let request = Request::new(Method::Get, url)
            .header("accept", "application/json; api-version=2.0")
            .header("authorization", ["bearer ", token.expose()].concat());
        Ok((request, token))
    }
}

impl ClientAuthentication for Job {
    fn prove<'a>(&'a self, wanted: &'a ProofRequest<'a>) -> BoxFuture<'a, Result<Proof>> {
        Box::pin(async move {
            let (request, token) = self.request()?;
            self.issuer.ask(request, &token, wanted.patience).await.map(Proof::Assertion)
        })
    }

    fn check(&self) -> Result<()> {
        self.request().map(|_| ())
    }

    fn generation(&self) -> u64 {
        let hash = |name| {
            let value = self.issuer.platform.env().text(name).ok().flatten().map(Secret::new);
            value.map_or(0, |value| fingerprint(value.expose().as_bytes()))
        };
        hash(ID_TOKEN_REQUEST_URL).rotate_left(1) ^ hash(ID_TOKEN_REQUEST_TOKEN)
    }
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidArgument, message)
}

static SERVICE: Service = Service {
    name: "GitHub Actions",
    field: "value",
    on_refusal: "it does not take the job's request token; give the job the permission id-token: write, and do not keep the token beyond the job",
    on_absence: "it knows no such job; leave ACTIONS_ID_TOKEN_REQUEST_URL as the runner sets it",
};

/// Whom tokens are for that Entra ID of the public cloud exchanges.
const AUDIENCE: &str = "api://AzureADTokenExchange";

/// The credential's name in logs, errors and tokens.
const NAME: &str = "GithubActionsCredential";
