use std::{fmt, path::PathBuf, sync::Arc};

use identity_cache::{Ask, Fetched};
use identity_core::{Error, ErrorKind, Platform, Result, TokenCredential, TokenFuture, TokenRequestOptions};
use identity_oauth::{AppClient, Client, ClientOptions, Grant};

use crate::{
    binding::Binding,
    env::{self, Needs},
    file::TokenFile,
};

/// Exchanges the token that a Kubernetes cluster puts into a file for tokens of Entra ID.
///
/// Clones share one cache. The file is read for each exchange, never for a remembered token, so that a rotated token is
/// used at once. If Entra ID finds the token outside of its time, the file is read once more.
///
/// Source: azure-identity 1.27.0, `_credentials/workload_identity.py`.
#[derive(Clone)]
pub struct WorkloadIdentityCredential(Arc<AppClient>);

impl WorkloadIdentityCredential {
    /// Starts a credential for what the variables `AZURE_TENANT_ID`, `AZURE_CLIENT_ID` and `AZURE_FEDERATED_TOKEN_FILE`
    /// name, as the webhook of AKS workload identity sets them.
    #[must_use]
    pub fn builder() -> WorkloadIdentityCredentialBuilder {
        WorkloadIdentityCredentialBuilder::default()
    }
}

impl TokenCredential for WorkloadIdentityCredential {
    /// Gets a token for the application itself. Entra ID takes one resource at a time, as `{resource}/.default`.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::CredentialUnavailable`] if the token file is empty.
    /// - [`ErrorKind::InvalidArgument`] if the token file cannot be read or holds no token, naming its path and the
    ///   system's reason; for scopes, claims or a tenant that are none, a tenant that is not allowed, an
    ///   authority that is not known, outside a runtime, and if a proxy or TLS setting cannot work.
    /// - [`ErrorKind::AuthenticationFailed`] if the service refuses: [`Error::entra_codes`] says why, the message what to
    ///   do. It is remembered for as long as the file stays as it is, 60 seconds at most, or for as long as the service
    ///   forbids to ask.
    /// - [`ErrorKind::Transport`] if no answer came within 45 s, or none but "later".
    /// - [`ErrorKind::Protocol`] for an answer that is none, is too large (1 MiB), or is a redirect.
    fn get_token<'a>(&'a self, scopes: &'a [&'a str], options: Option<&'a TokenRequestOptions>) -> TokenFuture<'a> {
        self.0.get(scopes, options)
    }

    fn name(&self) -> &'static str {
        NAME
    }
}

impl fmt::Debug for WorkloadIdentityCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple(NAME).field(&self.0).finish()
    }
}

/// Builds a [`WorkloadIdentityCredential`].
#[derive(Clone, Debug, Default)]
pub struct WorkloadIdentityCredentialBuilder {
    tenant_id: Option<String>,
    client_id: Option<String>,
    token_file_path: Option<PathBuf>,
    uses_proxy: bool,
    options: ClientOptions,
}

impl WorkloadIdentityCredentialBuilder {
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

    /// Sets the file with the token to exchange; the default is the variable `AZURE_FEDERATED_TOKEN_FILE`.
    ///
    /// It need not exist yet when the credential is built.
    #[must_use]
    pub fn token_file_path(mut self, path: impl Into<PathBuf>) -> Self {
        self.token_file_path = Some(path.into());
        self
    }

    /// Sends token requests through the proxy of AKS identity bindings, if the variables name one.
    ///
    /// `AZURE_KUBERNETES_TOKEN_PROXY` is its `https` URL, `AZURE_KUBERNETES_SNI_NAME` the name that its certificate has,
    /// `AZURE_KUBERNETES_CA_FILE` or `AZURE_KUBERNETES_CA_DATA` the only roots that it is trusted by, in PEM. The file is
    /// read again before each attempt, and if the proxy is not trusted; while it is empty, unreadable or holds what is no
    /// certificate, what it held before counts. The proxy is asked directly, never through another one, and answers for the authority: that is not looked
    /// up, and regions do not count. Without these variables requests go to Entra ID. What `ManagedIdentityCredential`
    /// builds for itself never uses the proxy.
    ///
    /// Source: <https://learn.microsoft.com/azure/aks/identity-bindings-concepts>.
    #[must_use]
    pub fn enable_azure_proxy(mut self) -> Self {
        self.uses_proxy = true;
        self
    }

    identity_oauth::client_options!();

    /// Builds the credential for this process: its variables, HTTP by hyper, TLS by rustls, time and tasks by tokio.
    ///
    /// # Errors
    ///
    /// As [`build_with`](Self::build_with).
    #[cfg(feature = "tokio")]
    pub fn build(self) -> Result<WorkloadIdentityCredential> {
        self.build_with(&identity_tokio::platform())
    }

    /// Builds the credential for `platform`. Reads variables, and the roots of the proxy; touches no network.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidArgument`] if tenant, client or file are neither set nor named by their variables, or are
    /// malformed; for an authority or region that is none, a failure memory of more than 60 seconds, a cache for no token,
    /// a variable that is malformed, variables of the proxy that do not fit together, a CA file that cannot be read; and if
    /// the platform's transport cannot speak `https`.
    pub fn build_with(self, platform: &Platform) -> Result<WorkloadIdentityCredential> {
        self.client(platform)
            .map(|client| WorkloadIdentityCredential(Arc::new(AppClient::new(NAME, client))))
            .map_err(|error| error.with_credential(NAME))
    }

    fn client(self, platform: &Platform) -> Result<Client> {
        let mut needs = Needs::new(platform.env().as_ref());
        let tenant_id = needs.text(self.tenant_id, "tenant_id", env::TENANT_ID)?;
        let client_id = needs.text(self.client_id, "client_id", env::CLIENT_ID)?;
        let path = match self.token_file_path {
            Some(path) => path,
            None => needs.text(None, "token_file_path", env::FEDERATED_TOKEN_FILE)?.into(),
        };
        needs.check(SETUP)?;
        if path.as_os_str().is_empty() {
            return Err(Error::new(ErrorKind::InvalidArgument, "the path of the token file is empty; name the file"));
        }
        let proof = Arc::new(TokenFile::new(platform, path));
        let client = Client::new(platform, &tenant_id, &client_id, Some(proof), self.options)?;
        let binding = if self.uses_proxy { Binding::from_variables(platform)? } else { None };
        Ok(match binding {
            Some(binding) => client.with_route(Arc::new(binding)),
            None => client,
        })
    }
}

/// The exchange of a platform's token as one of the sources of managed identity, for `identity-msi`.
#[derive(Debug)]
pub struct TokenExchange(Client);

impl TokenExchange {
    /// The exchange that a credential of `builder` would make.
    ///
    /// # Errors
    ///
    /// As [`WorkloadIdentityCredentialBuilder::build_with`].
    pub fn new(builder: WorkloadIdentityCredentialBuilder, platform: &Platform) -> Result<Self> {
        builder.client(platform).map(Self)
    }

    /// Whose tokens it gets.
    #[must_use]
    pub fn client_id(&self) -> &str {
        self.0.client_id()
    }

    /// Changes when the token file changes, which it reads.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.0.generation()
    }

    /// Asks for a token in the application's own tenant.
    ///
    /// # Errors
    ///
    /// As `get_token` of [`WorkloadIdentityCredential`].
    ///
    /// # Cancellation
    ///
    /// Dropping the future closes the connection.
    pub async fn token(&self, ask: &Ask) -> Result<Fetched> {
        self.0.request(&Grant::client_credentials(), ask).await?.fetched
    }
}

/// The credential's name in logs, errors and tokens.
const NAME: &str = "WorkloadIdentityCredential";

/// Source: <https://azure.github.io/azure-workload-identity/docs/installation/mutating-admission-webhook.html>.
const SETUP: &str = "set it, or let the webhook of Azure Workload Identity do so: the service account needs the annotation azure.workload.identity/client-id and the pod the label azure.workload.identity/use, see https://aka.ms/azsdk/python/identity/workloadidentitycredential/troubleshoot";
