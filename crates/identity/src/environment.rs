//! The application that the variables describe.

use std::{fmt, sync::Arc};

use identity_certificate::CertificateCredential;
use identity_confidential::ClientSecretCredential;
#[expect(deprecated, reason = "it is what these variables ask for")]
use identity_confidential::UsernamePasswordCredential;
use identity_core::{
    CallContext, Env, Error, ErrorKind, Platform, Result, Secret, TokenCredential, TokenFuture, TokenRequestOptions,
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
    /// - Those of the credential that was chosen, whose name is in the message. What a person would have to do first is
    ///   [`ErrorKind::AuthenticationFailed`] in a chain: this identity was meant, and nobody is there to do it.
    fn get_token<'a>(&'a self, scopes: &'a [&'a str], options: Option<&'a TokenRequestOptions>) -> TokenFuture<'a> {
        let chosen = match &self.0.chosen {
            Ok(chosen) => chosen,
            Err(error) => return TokenFuture::ready(Err(error.clone())),
        };
        let judged = move |error| in_context(of(chosen.name(), error), options);
        match chosen.get_token(scopes, options).try_ready() {
            Ok(Ok(token)) => TokenFuture::ready(Ok(token)),
            Ok(Err(error)) => TokenFuture::ready(Err(judged(error))),
            Err(future) => TokenFuture::pending(async move { future.await.map_err(judged) }),
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

/// What was attempted and failed stops a chain, also where a person could help: another identity would hide it.
#[cold]
fn in_context(error: Error, options: Option<&TokenRequestOptions>) -> Error {
    let is_alone = options.is_none_or(|options| options.context() == CallContext::Alone);
    match error.kind() {
        ErrorKind::AuthenticationRequired if !is_alone => error.with_kind(ErrorKind::AuthenticationFailed),
        _ => error,
    }
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
        let Some(set) = SETS.into_iter().find(|set| set.iter().all(|name| is_set(env, name))) else {
            return Ok(Err(lacking(env, self.is_expected)));
        };
        // What no set needs may be meant for others, and is not read.
        let text = |name| env.text(name).map(Option::unwrap_or_default);
        let secret = |name| text(name).map(Secret::new);
        let (client, options) = (text(CLIENT_ID)?, self.options);
        Ok(Ok(match set.last().copied().unwrap_or_default() {
            CLIENT_SECRET => {
                let builder = ClientSecretCredential::builder(text(TENANT_ID)?, client, secret(CLIENT_SECRET)?);
                Arc::new(builder.with_options(options).build_with(platform)?)
            }
            CERTIFICATE_PATH => {
                let mut builder = CertificateCredential::builder(text(TENANT_ID)?, client)
                    .with_options(options)
                    .certificate_path(text(CERTIFICATE_PATH)?);
                if is_set(env, CERTIFICATE_PASSWORD) {
                    builder = builder.password(secret(CERTIFICATE_PASSWORD)?);
                }
                if is_on(env, SEND_CERTIFICATE_CHAIN)? {
                    builder = builder.send_certificate_chain();
                }
                Arc::new(builder.build_with(platform)?)
            }
            _ => {
                #[expect(deprecated, reason = "it is what these variables ask for")]
                let mut builder = UsernamePasswordCredential::builder(client, text(USERNAME)?, secret(PASSWORD)?);
                if is_set(env, TENANT_ID) {
                    builder = builder.tenant_id(text(TENANT_ID)?);
                }
                Arc::new(builder.with_options(options).build_with(platform)?)
            }
        }))
    }
}

/// What to say where no set is complete, which depends on how near one is.
fn lacking(env: &dyn Env, is_expected: bool) -> Error {
    let unavailable = |message: String| Error::new(ErrorKind::CredentialUnavailable, message).with_credential(NAME);
    let mut set: Vec<&'static str> = SETS.into_iter().flatten().filter(|name| is_set(env, name)).collect();
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
    // Of those that lack one, one of which something is there that is in no other comes first.
    let lacks = |set: [&'static str; 3]| set.into_iter().filter(|name| !is_set(env, name)).collect::<Vec<_>>();
    let near = SETS.into_iter().filter(|set| lacks(*set).len() == 1);
    let is_special = |set: &[&str; 3]| set.iter().any(|name| !COMMON.contains(name) && is_set(env, name));
    let missing = near.clone().find(is_special).or_else(|| near.clone().next()).and_then(|set| lacks(set).pop());
    let shown = set.join(", ");
    let error = unavailable(format!("{shown} set, but no set of variables is complete; {WHAT_TO_SET}"));
    // In a pod of Kubernetes tenant and client belong to workload identity.
    match missing.filter(|_| !is_set(env, FEDERATED_TOKEN_FILE)) {
        Some(CLIENT_SECRET) if !is_set(env, CERTIFICATE_PATH) => {
            error.with_steps(vec![format!("set {CLIENT_SECRET} or {CERTIFICATE_PATH}, too: {NAME} has {shown}")])
        }
        Some(missing) => error.with_steps(vec![format!("set {missing}, too: {NAME} has {shown}")]),
        None => error,
    }
}

/// An empty variable is not.
fn is_set(env: &dyn Env, name: &str) -> bool {
    env.var_os(name).is_some_and(|value| !value.is_empty())
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

/// The sets in their order; the last of each is what proves who it is, or who somebody is.
const SETS: [[&str; 3]; 3] =
    [[TENANT_ID, CLIENT_ID, CLIENT_SECRET], [TENANT_ID, CLIENT_ID, CERTIFICATE_PATH], [CLIENT_ID, USERNAME, PASSWORD]];

/// In several sets.
const COMMON: [&str; 2] = [TENANT_ID, CLIENT_ID];

const WHAT_TO_SET: &str =
    "it takes AZURE_TENANT_ID and AZURE_CLIENT_ID with AZURE_CLIENT_SECRET or AZURE_CLIENT_CERTIFICATE_PATH";

/// Facts that the compiler checks.
const _: () = {
    const fn credential<T: Clone + fmt::Debug + TokenCredential + 'static>() {}
    credential::<EnvironmentCredential>();
    assert!(size_of::<EnvironmentCredential>() == size_of::<usize>());
};
