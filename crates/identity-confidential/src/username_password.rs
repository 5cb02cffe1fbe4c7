#![expect(deprecated, reason = "what is defined here is deprecated as a whole")]

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use identity_cache::{Ask, Fetch, Fetched, Lookup};
use identity_core::{
    BoxFuture, Error, ErrorKind, Moment, Platform, Result, Secret, TokenCredential, TokenFuture, TokenRequestOptions,
    check,
    gate::{Turns, timeout},
    retry::RetryPolicy,
};
use identity_oauth::{AppClient, Client, ClientOptions, Grant, Granted, Realm, RefreshTokens};
use tracing::warn;

use self::federation::Person;

mod endpoint;
mod federation;
mod mex;
mod ws_trust;
mod xml;

/// Gets tokens for a person whose name and password the program knows.
///
/// Microsoft advises against it and calls it deprecated: it cannot answer a request for a second factor, which Entra ID makes
/// of more and more people, and a program that knows a password can lose it. Let people sign in interactively, and give
/// programs an identity of their own. It works for accounts of an organisation, without a second factor, in an application
/// that allows public client flows.
///
/// The first call signs in with the password; what comes with its token gets further ones, also of other resources, and the
/// password is used again when that is refused. One request is under way at a time. Clones share all of that.
///
/// # Security
///
/// The password is sent to the authority, or, if the authority says that the person's organisation checks it, to a server of
/// that organisation. Where that server is, is taken from the authority's answer, or from a document at a URL in that answer;
/// each of these came over `https`, and only `https` URLs without a user and a fragment are followed, and no redirect. So the
/// authority, and for a federated domain whoever runs its federation server, decides where the password goes: choose an
/// authority that you trust, and do not [disable discovery](UsernamePasswordCredentialBuilder::disable_instance_discovery) for
/// one that you do not.
///
/// XML of such a server is read only if it is shallow, declares no document type and is no larger than 1 MiB. Password and
/// tokens occur in no message, no `Debug` and no log, and are wiped when dropped but for copies that hyper and the XML parser
/// make. The name is part of the URL by which the authority is asked who checks the password; transports log that at debug
/// level.
///
/// A name and password that were found to be wrong are not tried again for as long as a refusal is
/// [remembered](UsernamePasswordCredentialBuilder::failure_memory), whatever the scopes, so that a program does not lock a
/// person out.
///
/// Source: azure-identity 1.27.0, `_credentials/user_password.py`; msal 1.39.0, `application.py`;
/// <https://learn.microsoft.com/entra/identity-platform/v2-oauth-ropc>.
#[deprecated(note = "sign-in by password knows no multi-factor authentication; let people sign in interactively")]
#[derive(Clone)]
pub struct UsernamePasswordCredential(Arc<AppClient>);

impl UsernamePasswordCredential {
    /// Starts a credential of the person `username` (`ada@contoso.com`), who signs in to the application `client_id`.
    ///
    /// ```no_run
    /// # #![allow(deprecated)]
    /// # fn example(platform: &identity_core::Platform, password: String) -> identity_core::Result<()> {
    /// use identity_confidential::UsernamePasswordCredential;
    ///
    /// let credential = UsernamePasswordCredential::builder("CLIENT", "ada@contoso.com", password)
    ///     .tenant_id("TENANT")
    ///     .build_with(platform)?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn builder(
        client_id: impl Into<String>,
        username: impl Into<String>,
        password: impl Into<Secret>,
    ) -> UsernamePasswordCredentialBuilder {
        UsernamePasswordCredentialBuilder {
            tenant_id: ORGANIZATIONS.to_owned(),
            client_id: client_id.into(),
            username: username.into(),
            password: password.into(),
            options: ClientOptions::default(),
        }
    }
}

impl TokenCredential for UsernamePasswordCredential {
    /// Gets a token of the person. `openid`, `profile` and `offline_access` are asked for as well.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::InvalidArgument`] for scopes, claims or a tenant that are none, a tenant that is not allowed, an
    ///   authority that is not known, outside a runtime, if a proxy or TLS setting cannot work, and for a password that XML
    ///   cannot carry if a federation server checks it.
    /// - [`ErrorKind::AuthenticationRequired`] if the person has to do something first, such as answer for a second factor:
    ///   [`Error::scopes`] and [`Error::claims`] are what to ask them for. No call to this credential can do it for them.
    /// - [`ErrorKind::AuthenticationFailed`] if the service refuses: [`Error::entra_codes`] says why, the message what to do;
    ///   and if the federation server refuses, or takes no passwords.
    /// - [`ErrorKind::Transport`] if there was no token within 45 s, or no answer but "later".
    /// - [`ErrorKind::Protocol`] for an answer that is none, is too large (1 MiB), or is a redirect, and for a federation
    ///   server at a URL that a password may not follow.
    fn get_token<'a>(&'a self, scopes: &'a [&'a str], options: Option<&'a TokenRequestOptions>) -> TokenFuture<'a> {
        self.0.get(scopes, options)
    }

    fn name(&self) -> &'static str {
        NAME
    }
}

impl fmt::Debug for UsernamePasswordCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple(NAME).field(&self.0).finish()
    }
}

/// Builds a [`UsernamePasswordCredential`].
#[deprecated(note = "sign-in by password knows no multi-factor authentication; let people sign in interactively")]
#[derive(Clone)]
pub struct UsernamePasswordCredentialBuilder {
    tenant_id: String,
    client_id: String,
    username: String,
    password: Secret,
    options: ClientOptions,
}

impl UsernamePasswordCredentialBuilder {
    /// Sets the tenant of the person (a GUID or a domain name; `adfs` for AD FS). The default is `organizations`, by which
    /// the service finds it by the name; tokens of any tenant may then be asked for.
    #[must_use]
    pub fn tenant_id(mut self, tenant_id: impl Into<String>) -> Self {
        self.tenant_id = tenant_id.into();
        self
    }

    identity_oauth::client_options!();

    /// Builds the credential for this process: its variables, HTTP by hyper, TLS by rustls, time and tasks by tokio.
    ///
    /// # Errors
    ///
    /// As [`build_with`](Self::build_with).
    #[cfg(feature = "tokio")]
    pub fn build(self) -> Result<UsernamePasswordCredential> {
        self.build_with(&identity_tokio::platform())
    }

    /// Builds the credential for `platform`, and logs a warning that it is deprecated. Reads variables; touches no network.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidArgument`] for a tenant id or client id that is empty or malformed, a user name that is empty, longer
    /// than 1,024 bytes, `.` or `..`, or has a control character, an empty password, an authority or region that is none, a
    /// failure memory of more than 60 seconds, a cache for no token, a variable that is malformed, and if the platform's
    /// transport cannot speak `https`.
    pub fn build_with(self, platform: &Platform) -> Result<UsernamePasswordCredential> {
        let credential = self.assemble(platform).map_err(|error| error.with_credential(NAME))?;
        warn!(
            credential = NAME,
            "sign-in by password is deprecated: it knows no multi-factor authentication; let people sign in interactively"
        );
        Ok(credential)
    }

    fn assemble(self, platform: &Platform) -> Result<UsernamePasswordCredential> {
        let invalid = |message: &str| Err(Error::new(ErrorKind::InvalidArgument, message));
        let username = &self.username;
        if username.is_empty() || username.len() > USERNAME_LIMIT {
            return invalid("the user name is empty or longer than 1,024 bytes; expected one such as ada@contoso.com");
        }
        // The last is what XML cannot carry, and dots alone would be a step up in a URL.
        if username.chars().any(char::is_control)
            || matches!(username.as_str(), "." | "..")
            || !ws_trust::is_carried(username)
        {
            return invalid(
                "the user name is a dot or two, or has a control character; expected one such as ada@contoso.com",
            );
        }
        if self.password.expose().is_empty() {
            return invalid("the password is empty; give the person's password");
        }
        let client = Arc::new(Client::new(platform, &self.tenant_id, &self.client_id, None, self.options)?);
        let refresh = RefreshTokens::new(client.cache_options().capacity);
        let sign_in = SignIn {
            client: Arc::clone(&client),
            username: self.username,
            password: self.password,
            turns: Turns::default(),
            refresh,
            refused: Mutex::default(),
        };
        Ok(UsernamePasswordCredential(Arc::new(AppClient::with_fetch(client, Arc::new(sign_in)))))
    }
}

/// Who signs in is not printed.
impl fmt::Debug for UsernamePasswordCredentialBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UsernamePasswordCredentialBuilder")
            .field("tenant_id", &self.tenant_id)
            .field("client_id", &self.client_id)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// Gets tokens when none is remembered.
struct SignIn {
    client: Arc<Client>,
    username: String,
    password: Secret,
    /// One sign-in at a time, so that the first one's refresh token serves those who waited.
    turns: Turns,
    refresh: RefreshTokens,
    /// Until when name and password are not tried again, and why.
    refused: Mutex<Option<(Moment, Error)>>,
}

impl SignIn {
    async fn token(&self, ask: Ask) -> Result<Fetched> {
        let clock = self.client.platform().clock().as_ref();
        let (start, budget) = (clock.now().monotonic, RetryPolicy::ENTRA.budget);
        let left = || budget.saturating_sub(clock.now().monotonic.saturating_duration_since(start));
        let Some(_turn) = timeout(clock, left(), self.turns.take()).await else {
            let seconds = budget.as_secs();
            let message = format!("nothing could be sent within {seconds} s: others of this credential are under way");
            return Err(Error::new(ErrorKind::Transport, message));
        };
        let key = RefreshTokens::key(&ask.subject, &ask.tenant, ask.cae);
        if let Some(token) = self.refresh.get(&key) {
            let grant = Grant::refresh_token(&token);
            let result = self.request(&grant, &ask, left()).await;
            if grant.is_spent() {
                self.refresh.remove(&key, &token);
            }
            match result {
                Ok(granted) => return self.keep(&key, granted),
                // The service asks for a pause, which is for all that this client asks.
                Err(error) if error.retry_after().is_some() => return Err(error),
                Err(_) => {}
            }
        }
        if let Some((until, error)) = self.refused.lock().unwrap_or_else(PoisonError::into_inner).as_ref()
            && clock.now().is_before(until)
        {
            return Err(error.clone());
        }
        self.keep(&key, Box::pin(self.sign_in(&ask, &left)).await?)
    }

    /// With the password.
    async fn sign_in(&self, ask: &Ask, left: &(dyn Fn() -> Duration + Sync)) -> Result<Granted> {
        match self.client.realm(&self.username, ask, left()).await? {
            Realm::Federated(federation) => {
                let person = Person { username: &self.username, password: &self.password };
                let token = Box::pin(federation::sign_in(&self.client, &federation, &person, left)).await;
                let (version, token) = token.map_err(|error| self.take_note(error, |_| true))?;
                self.request(&Grant::saml(version, &token), ask, left()).await
            }
            _ => {
                let grant = Grant::password(&self.username, &self.password);
                let grant = grant.with_anchor(["upn:", &self.username].concat());
                let granted = self.request(&grant, ask, left()).await;
                granted.map_err(|error| {
                    self.take_note(error, |error| error.entra_codes().iter().any(|code| OF_ANY_SCOPE.contains(code)))
                })
            }
        }
    }

    /// In a place of its own, for several of them in one future take much of a small stack.
    fn request<'a>(&'a self, grant: &'a Grant<'a>, ask: &'a Ask, budget: Duration) -> BoxFuture<'a, Result<Granted>> {
        Box::pin(self.client.request_within(grant, ask, budget))
    }

    /// Remembers a refusal that any other sign-in with the same password would meet as well.
    fn take_note(&self, error: Error, is_of_any_scope: impl Fn(&Error) -> bool) -> Error {
        if error.kind() == ErrorKind::AuthenticationFailed && is_of_any_scope(&error) {
            let until = self.client.platform().clock().now().plus(self.client.cache_options().failure_memory);
            *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = Some((until, error.clone()));
        }
        error
    }

    fn keep(&self, key: &str, granted: Granted) -> Result<Fetched> {
        if let Some(token) = granted.refresh_token {
            self.refresh.put(key, token);
        }
        granted.fetched
    }
}

impl Fetch for SignIn {
    fn name(&self) -> &'static str {
        NAME
    }

    fn check(&self, lookup: &Lookup<'_>) -> Result<()> {
        check::scopes(lookup.scopes)?;
        lookup.claims.map_or(Ok(()), check::claims)
    }

    fn fetch(self: Arc<Self>, ask: Ask) -> BoxFuture<'static, Result<Fetched>> {
        Box::pin(async move { self.token(ask).await })
    }
}

impl fmt::Debug for SignIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SignIn")
    }
}

/// Whether XML would be read.
#[cfg(test)]
pub(crate) fn parses(text: &[u8]) -> bool {
    xml::parse(text).is_ok()
}

/// The credential's name in logs, errors and tokens.
const NAME: &str = "UsernamePasswordCredential";
/// The tenant of whoever signs in with an account of an organisation.
const ORGANIZATIONS: &str = "organizations";
/// The longest user name, in bytes. Source: our choice; Entra ID allows 113 characters.
const USERNAME_LIMIT: usize = 1_024;
/// Refusals of name and password themselves: the account is locked, has no password, is disabled, the password is wrong.
///
/// Source: <https://learn.microsoft.com/entra/identity-platform/reference-error-codes>.
const OF_ANY_SCOPE: [u32; 4] = [50_053, 50_056, 50_057, 50_126];
