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

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use identity_core::{
        fakes::{FakeClock, FakeEnv, FakeTransport, Sim, json, platform},
        http::Request,
        text,
    };
    use identity_emulator::{TEST_CERTIFICATE_PEM, TEST_KEY_PEM};

    use super::*;

    const APP: [(&str, &str); 2] = [(TENANT_ID, "contoso.com"), (CLIENT_ID, "11111111-2222-3333-4444-555555555555")];
    const PATH: &str = "/app.pem";

    /// What is sent for a token, of which there is none.
    fn sent(variables: &[(&str, &str)], builder: EnvironmentCredentialBuilder) -> Vec<Request> {
        let clock = FakeClock::default();
        // A day in 2027, when the certificate of the test key is valid.
        clock.jump_wall(400 * 86_400);
        let transport = FakeTransport::new(&clock, |request| {
            let realm = r#"{"account_type":"Managed","cloud_audience_urn":"urn:federation:MicrosoftOnline"}"#;
            Ok(if request.url.contains("userrealm") {
                json(200, realm)
            } else {
                json(400, r#"{"error":"invalid_client"}"#)
            })
        });
        let env = FakeEnv::new(variables);
        env.file(PATH, Ok([TEST_KEY_PEM, TEST_CERTIFICATE_PEM].concat().as_bytes()));
        let credential = builder.build_with(&platform(&clock, &transport, &env)).unwrap();
        let error =
            Sim::new(&clock).run(credential.get_token(&["https://vault.azure.net/.default"], None)).unwrap_err();
        assert_eq!(error.credential(), NAME);
        transport.requests()
    }

    #[test]
    fn options_reach_whichever_credential_it_is() {
        let sets: [&[(&str, &str)]; 3] =
            [&[(CLIENT_SECRET, "s")], &[(CERTIFICATE_PATH, PATH)], &[(USERNAME, "ada@contoso.com"), (PASSWORD, "p")]];
        for set in sets {
            let builder = EnvironmentCredential::builder().authority("login.microsoftonline.us");
            for request in sent(&[&APP, set].concat(), builder) {
                assert!(request.url.starts_with("https://login.microsoftonline.us/"), "{}", request.url);
            }
        }
    }

    #[test]
    fn the_chain_of_certificates_is_sent_if_its_variable_says_so() {
        for (value, expected) in
            [("1", true), ("true", true), ("TRUE", true), ("", false), ("0", false), ("yes", false)]
        {
            let variables = [&APP[..], &[(CERTIFICATE_PATH, PATH), (SEND_CERTIFICATE_CHAIN, value)]].concat();
            let requests = sent(&variables, EnvironmentCredential::builder());
            let body = requests.last().unwrap().body.as_ref().unwrap().expose().to_owned();
            let (_, assertion) = body.split_once("client_assertion=").unwrap();
            let header = text::base64url_decode(assertion.split('.').next().unwrap()).unwrap();
            assert_eq!(String::from_utf8(header).unwrap().contains("x5c"), expected, "{value}");
        }
    }

    #[test]
    fn the_step_names_what_is_missing_where_one_is() {
        let shown = |names: &[&str]| {
            let variables: Vec<(&str, &str)> = names.iter().map(|&name| (name, "canary")).collect();
            let error = lacking(&FakeEnv::new(&variables), false);
            assert!(!error.to_string().contains("canary"));
            error.steps().join("|")
        };
        for (names, expected) in [
            (&[][..], ""),
            (&[TENANT_ID], ""),
            (&[TENANT_ID, CLIENT_ID, FEDERATED_TOKEN_FILE], ""),
            (&[TENANT_ID, CLIENT_ID], "set AZURE_CLIENT_SECRET or AZURE_CLIENT_CERTIFICATE_PATH, too: "),
            (&[TENANT_ID, CLIENT_SECRET], "set AZURE_CLIENT_ID, too: "),
            (&[CLIENT_ID, CERTIFICATE_PATH], "set AZURE_TENANT_ID, too: "),
            (&[TENANT_ID, CLIENT_ID, USERNAME], "set AZURE_PASSWORD, too: "),
            (&[CLIENT_ID, PASSWORD], "set AZURE_USERNAME, too: "),
        ] {
            let step = shown(names);
            assert!(step.starts_with(expected) && step.is_empty() == expected.is_empty(), "{names:?}: {step}");
        }
    }

    #[test]
    fn what_no_set_needs_is_not_read() {
        let env = FakeEnv::new(&APP);
        // No Unicode on any system.
        env.set(PASSWORD, bad());
        let clock = FakeClock::default();
        let transport = FakeTransport::new(&clock, |_| Ok(json(500, "{}")));
        let built = |env: &FakeEnv| EnvironmentCredential::builder().build_with(&platform(&clock, &transport, env));
        assert_eq!(built(&env).unwrap().chosen(), None);
        env.set(USERNAME, "ada@contoso.com");
        let error = built(&env).unwrap_err();
        assert!(error.to_string().contains("AZURE_PASSWORD is not valid Unicode"), "{error}");
    }

    #[cfg(unix)]
    fn bad() -> std::ffi::OsString {
        std::os::unix::ffi::OsStringExt::from_vec(vec![0xff])
    }

    #[cfg(windows)]
    fn bad() -> std::ffi::OsString {
        std::os::windows::ffi::OsStringExt::from_wide(&[0xd800])
    }

    #[test]
    fn the_log_tells_whoever_asked_for_it_by_name_more_loudly() {
        let levels = Levels::default();
        tracing::subscriber::with_default(levels.clone(), || {
            let env = FakeEnv::new(&APP);
            lacking(&env, false);
            lacking(&env, true);
            lacking(&FakeEnv::new(&[]), false);
        });
        assert_eq!(*levels.0.lock().unwrap(), [tracing::Level::WARN, tracing::Level::INFO, tracing::Level::INFO]);
    }

    /// The levels of all events.
    #[derive(Clone, Default)]
    struct Levels(Arc<Mutex<Vec<tracing::Level>>>);

    impl tracing::Subscriber for Levels {
        fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
            true
        }
        fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
            tracing::span::Id::from_u64(1)
        }
        fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
        fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
        fn event(&self, event: &tracing::Event<'_>) {
            self.0.lock().unwrap().push(*event.metadata().level());
        }
        fn enter(&self, _: &tracing::span::Id) {}
        fn exit(&self, _: &tracing::span::Id) {}
    }
}
