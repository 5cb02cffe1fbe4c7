//! The application that the variables describe.

use std::{fmt, sync::Arc};

use identity_certificate::CertificateCredential;
use identity_confidential::ClientSecretCredential;
#[expect(deprecated, reason = "it is what these variables ask for")]
use identity_confidential::UsernamePasswordCredential;
use identity_core::{
    Env, Error, ErrorKind, Platform, Result, Secret, TokenCredential, TokenFuture, TokenRequestOptions,
};
use identity_oauth::ClientOptions;
use tracing::{info, warn};

/// Gets tokens for the application, or the person, that the environment variables describe.
///
/// The first set of variables that is complete decides, when the credential is built:
///
/// | variables | credential |
/// |---|---|
/// | `AZURE_TENANT_ID`, `AZURE_CLIENT_ID`, `AZURE_CLIENT_SECRET` | [`ClientSecretCredential`] |
/// | `AZURE_TENANT_ID`, `AZURE_CLIENT_ID`, `AZURE_CLIENT_CERTIFICATE_PATH`; and `AZURE_CLIENT_CERTIFICATE_PASSWORD`, `AZURE_CLIENT_SEND_CERTIFICATE_CHAIN` (`1` or `true`) | [`CertificateCredential`] |
/// | `AZURE_CLIENT_ID`, `AZURE_USERNAME`, `AZURE_PASSWORD`; and `AZURE_TENANT_ID` | `UsernamePasswordCredential`, deprecated |
///
/// An empty variable is not set. `AZURE_AUTHORITY_HOST`, `AZURE_REGIONAL_AUTHORITY_NAME` and
/// `AZURE_ADDITIONALLY_ALLOWED_TENANTS` are read by all three. Clones share one cache.
///
/// Source: azure-identity 1.27.0, `_credentials/environment.py`.
#[derive(Clone)]
pub struct EnvironmentCredential(Arc<Inner>);

struct Inner {
    /// What the variables describe, else what they lack.
    chosen: Result<Arc<dyn TokenCredential>>,
}

impl EnvironmentCredential {
    /// The credential of this process's variables.
    ///
    /// # Errors
    ///
    /// As [`EnvironmentCredentialBuilder::build_with`].
    pub fn new() -> Result<Self> {
        Self::builder().build()
    }

    /// Starts a credential; all that it needs is in variables.
    #[must_use]
    pub fn builder() -> EnvironmentCredentialBuilder {
        EnvironmentCredentialBuilder::default()
    }

    /// The name of the credential that the variables describe; `None` if they describe none.
    #[must_use]
    pub fn chosen(&self) -> Option<&'static str> {
        self.0.chosen.as_ref().ok().map(|chosen| chosen.name())
    }
}

impl TokenCredential for EnvironmentCredential {
    /// Gets a token as the credential that was chosen.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::CredentialUnavailable`] if no set of variables is complete; the message says which of them are set.
    /// - Those of the credential that was chosen, whose name is in the message.
    fn get_token<'a>(&'a self, scopes: &'a [&'a str], options: Option<&'a TokenRequestOptions>) -> TokenFuture<'a> {
        let chosen = match &self.0.chosen {
            Ok(chosen) => chosen,
            Err(error) => return TokenFuture::ready(Err(error.clone())),
        };
        match chosen.get_token(scopes, options).try_ready() {
            Ok(Ok(token)) => TokenFuture::ready(Ok(token)),
            Ok(Err(error)) => TokenFuture::ready(Err(of(chosen.name(), error))),
            Err(future) => TokenFuture::pending(async { future.await.map_err(|error| of(chosen.name(), error)) }),
        }
    }

    fn name(&self) -> &'static str {
        NAME
    }
}

impl fmt::Debug for EnvironmentCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple(NAME).field(&self.0.chosen.as_ref().ok()).finish()
    }
}

/// The failure of what was chosen, as one of this credential.
#[cold]
fn of(name: &str, error: Error) -> Error {
    error.with_context(name).with_credential(NAME)
}

/// Builds an [`EnvironmentCredential`].
#[derive(Clone, Debug, Default)]
pub struct EnvironmentCredentialBuilder {
    options: ClientOptions,
    is_expected: bool,
}

impl EnvironmentCredentialBuilder {
    identity_oauth::client_options!();

    /// Within the default chain nobody has to have set anything.
    #[cfg(feature = "default-chain-bare")]
    pub(crate) fn in_default_chain(mut self) -> Self {
        self.is_expected = true;
        self
    }

    /// Builds the credential for this process: its variables, HTTP by hyper, TLS by rustls, time and tasks by tokio.
    ///
    /// # Errors
    ///
    /// As [`build_with`](Self::build_with).
    pub fn build(self) -> Result<EnvironmentCredential> {
        self.build_with(&identity_tokio::platform())
    }

    /// Builds the credential for `platform`. Reads variables, and the certificate file; touches no network.
    ///
    /// Variables that describe nothing are no error here: then [`get_token`](TokenCredential::get_token) says so.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidArgument`] if a set of variables is complete and its credential cannot be built: a tenant or
    /// client id that is malformed, a certificate file that cannot be read, an authority or region that is none, a variable
    /// that is not Unicode, an option as its setter says, and if the platform's transport cannot speak `https`.
    pub fn build_with(self, platform: &Platform) -> Result<EnvironmentCredential> {
        let chosen = match self.choose(platform) {
            Ok(Ok(chosen)) => {
                info!(credential = NAME, chosen = chosen.name(), "the environment is configured");
                Ok(chosen)
            }
            Ok(Err(lacking)) => Err(lacking),
            Err(error) if error.credential().is_empty() => return Err(error.with_credential(NAME)),
            Err(error) => return Err(of(error.credential(), error)),
        };
        Ok(EnvironmentCredential(Arc::new(Inner { chosen })))
    }

    /// The inner result is what callers are told if no set is complete.
    fn choose(self, platform: &Platform) -> Result<Result<Arc<dyn TokenCredential>>> {
        let env = platform.env().as_ref();
        let (tenant, client) = (env.text(TENANT_ID)?, env.text(CLIENT_ID)?);
        let options = self.options;
        if let (Some(tenant), Some(client), Some(secret)) = (&tenant, &client, env.text(CLIENT_SECRET)?) {
            let builder = ClientSecretCredential::builder(tenant, client, Secret::new(secret)).with_options(options);
            return Ok(Ok(Arc::new(builder.build_with(platform)?)));
        }
        if let (Some(tenant), Some(client), Some(path)) = (&tenant, &client, env.text(CERTIFICATE_PATH)?) {
            let builder = CertificateCredential::builder(tenant, client).with_options(options).certificate_path(path);
            let builder = match env.text(CERTIFICATE_PASSWORD)? {
                Some(password) => builder.password(Secret::new(password)),
                None => builder,
            };
            let builder = if is_on(env, SEND_CERTIFICATE_CHAIN)? { builder.send_certificate_chain() } else { builder };
            return Ok(Ok(Arc::new(builder.build_with(platform)?)));
        }
        if let (Some(client), Some(username), Some(password)) = (&client, env.text(USERNAME)?, env.text(PASSWORD)?) {
            #[expect(deprecated, reason = "it is what these variables ask for")]
            let builder =
                UsernamePasswordCredential::builder(client, username, Secret::new(password)).with_options(options);
            let builder = match tenant {
                Some(tenant) => builder.tenant_id(tenant),
                None => builder,
            };
            return Ok(Ok(Arc::new(builder.build_with(platform)?)));
        }
        Ok(Err(lacking(env, self.is_expected)))
    }
}

/// What to say where no set is complete, which depends on how near one is.
fn lacking(env: &dyn Env, is_expected: bool) -> Error {
    let is_set = |name: &&&'static str| env.var_os(name).is_some_and(|value| !value.is_empty());
    let unavailable = |message: String| Error::new(ErrorKind::CredentialUnavailable, message).with_credential(NAME);
    let all = SETS.iter().flat_map(|set| set.iter());
    let mut set: Vec<&'static str> = all.filter(is_set).copied().collect();
    set.sort_unstable();
    set.dedup();
    if set.is_empty() {
        info!(credential = NAME, "the environment is not configured");
        return unavailable(format!("none of its variables is set; {WHAT_TO_SET}"));
    }
    if is_expected {
        info!(credential = NAME, ?set, "the environment is configured incompletely");
    } else {
        warn!(credential = NAME, ?set, "the environment is configured incompletely");
    }
    // The first of those that lack least.
    let lacks = |variables: &[&'static str]| -> Vec<&'static str> {
        variables.iter().filter(|name| !is_set(name)).copied().collect()
    };
    let nearest = SETS.iter().map(|set| lacks(set)).min_by_key(Vec::len).unwrap_or_default();
    // In a pod of Kubernetes these two belong to workload identity.
    let is_pod = is_set(&&FEDERATED_TOKEN_FILE);
    let set = set.join(", ");
    let error = unavailable(format!("{set} set, but no set of variables is complete; {WHAT_TO_SET}"));
    match nearest.as_slice() {
        _ if is_pod => error,
        // Two of three: somebody meant it.
        [SECRET_OR_CERTIFICATE] => error
            .with_advice(format!("set {CLIENT_SECRET} or {CERTIFICATE_PATH} as well, for of {NAME} there is {set}")),
        [missing] => error.with_advice(format!("set {missing} as well, for of {NAME} there is {set}")),
        _ => error,
    }
}

/// Whether a variable turns something on. Source: azidentity (Go) and @azure/identity (JavaScript), which agree.
fn is_on(env: &dyn Env, name: &str) -> Result<bool> {
    Ok(env.text(name)?.is_some_and(|value| value == "1" || value.eq_ignore_ascii_case("true")))
}

const NAME: &str = "EnvironmentCredential";
const TENANT_ID: &str = "AZURE_TENANT_ID";
const CLIENT_ID: &str = "AZURE_CLIENT_ID";
const CLIENT_SECRET: &str = "AZURE_CLIENT_SECRET";
const CERTIFICATE_PATH: &str = "AZURE_CLIENT_CERTIFICATE_PATH";
const CERTIFICATE_PASSWORD: &str = "AZURE_CLIENT_CERTIFICATE_PASSWORD";
const SEND_CERTIFICATE_CHAIN: &str = "AZURE_CLIENT_SEND_CERTIFICATE_CHAIN";
const USERNAME: &str = "AZURE_USERNAME";
const PASSWORD: &str = "AZURE_PASSWORD";
const FEDERATED_TOKEN_FILE: &str = "AZURE_FEDERATED_TOKEN_FILE";
/// Of two sets that both lack the proof alone, the first stands for both.
const SECRET_OR_CERTIFICATE: &str = CLIENT_SECRET;

/// The sets in their order.
const SETS: [&[&str]; 3] = [
    &[TENANT_ID, CLIENT_ID, CLIENT_SECRET],
    &[TENANT_ID, CLIENT_ID, CERTIFICATE_PATH],
    &[CLIENT_ID, USERNAME, PASSWORD],
];

const WHAT_TO_SET: &str =
    "it takes AZURE_TENANT_ID and AZURE_CLIENT_ID with AZURE_CLIENT_SECRET or AZURE_CLIENT_CERTIFICATE_PATH";

/// Facts that the compiler checks.
const _: () = {
    const fn credential<T: Clone + fmt::Debug + TokenCredential + 'static>() {}
    credential::<EnvironmentCredential>();
    assert!(size_of::<EnvironmentCredential>() == size_of::<usize>());
};
