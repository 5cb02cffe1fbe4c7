use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use identity_core::{
    AccessToken, CallContext, Error, ErrorKind, Result, TokenCredential, TokenFuture, TokenRequestOptions,
};
use tracing::{debug, info, warn};

use crate::report;

/// Tries credentials in their order until one has a token, and stays with that one.
///
/// The chain moves on from a credential only if that is unavailable or needs a person
/// ([`Error::is_unavailable`]). Any other failure stops it: to try another identity would hide what went wrong.
///
/// The credential that answers first is remembered: all later calls go straight to it, and its failures are returned
/// as they are, so that a blip never changes the program's identity.
/// [`retry_sources`](ChainedTokenCredentialBuilder::retry_sources) opts out. Calls that run at the same time before
/// that each go through the chain, and all end with the same credential; what one of them may have got from another is
/// dropped.
///
/// Until a winner is known, credentials are called with [`CallContext::Chain`], or what an outer chain set if that is
/// stronger. The winner is called with the caller's own options, unchanged, and its future is returned as it is: then
/// the chain costs one atomic load.
///
/// ```
/// # use std::sync::Arc;
/// # use identity_core::{Result, TokenCredential};
/// # async fn example(first: Arc<dyn TokenCredential>, second: Arc<dyn TokenCredential>) -> Result<()> {
/// use identity_chain::ChainedTokenCredential;
///
/// let credential = ChainedTokenCredential::new(vec![first, second])?;
/// let token = credential.get_token(&["https://storage.azure.com/.default"], None).await?;
/// println!("{} got the token", token.credential());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct ChainedTokenCredential(Arc<Inner>);

struct Inner {
    name: &'static str,
    context: CallContext,
    retry_sources: bool,
    credentials: Vec<Arc<dyn TokenCredential>>,
    /// Whom each is about, and the step.
    steps: Vec<(&'static str, String)>,
    /// The index of the credential that answered first; never set with `retry_sources`.
    winner: OnceLock<usize>,
}

impl ChainedTokenCredential {
    /// A chain that remembers the credential that answered first.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidArgument`] if `credentials` is empty.
    pub fn new(credentials: Vec<Arc<dyn TokenCredential>>) -> Result<Self> {
        Self::builder(credentials).build()
    }

    /// Sets up a chain.
    #[must_use]
    pub fn builder(credentials: Vec<Arc<dyn TokenCredential>>) -> ChainedTokenCredentialBuilder {
        ChainedTokenCredentialBuilder {
            name: "ChainedTokenCredential",
            context: CallContext::Chain,
            retry_sources: false,
            credentials,
            steps: Vec::new(),
        }
    }

    /// The context in which its credentials are called until one has answered.
    #[must_use]
    pub fn context(&self) -> CallContext {
        self.0.context
    }

    /// The credential that answered first and answers since; `None` before that, and with
    /// [`retry_sources`](ChainedTokenCredentialBuilder::retry_sources).
    #[must_use]
    pub fn winner(&self) -> Option<&Arc<dyn TokenCredential>> {
        self.0.credentials.get(*self.0.winner.get()?)
    }
}

impl TokenCredential for ChainedTokenCredential {
    /// Gets a token from the first credential that has one, or from the one that answered before.
    ///
    /// # Errors
    ///
    /// - A failure that stops the chain: its kind and facts, with a message that lists what was tried, in
    ///   [`Error::attempts`] too.
    /// - [`ErrorKind::AuthenticationRequired`] if none had a token and one needs a person: with that one's scopes and
    ///   claims, and the attempts.
    /// - [`ErrorKind::CredentialUnavailable`] if none was available, with the attempts; a chain around this one moves on.
    /// - Once a credential has answered: that credential's failures, unchanged.
    ///
    /// # Cancellation
    ///
    /// Dropping the future drops that of the credential which is being asked; nothing is remembered.
    #[inline]
    fn get_token<'a>(&'a self, scopes: &'a [&'a str], options: Option<&'a TokenRequestOptions>) -> TokenFuture<'a> {
        match self.0.winner() {
            Some(winner) => winner.get_token(scopes, options),
            None => TokenFuture::pending(self.0.walk(scopes, options)),
        }
    }

    fn name(&self) -> &'static str {
        self.0.name
    }
}

impl fmt::Debug for ChainedTokenCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct(self.0.name)
            .field("credentials", &self.0.credentials)
            .field("winner", &self.0.winner().map(|winner| winner.name()))
            .finish()
    }
}

/// Sets up a [`ChainedTokenCredential`].
#[derive(Debug)]
pub struct ChainedTokenCredentialBuilder {
    name: &'static str,
    context: CallContext,
    retry_sources: bool,
    credentials: Vec<Arc<dyn TokenCredential>>,
    /// Whom each is about, and the step.
    steps: Vec<(&'static str, String)>,
}

impl ChainedTokenCredentialBuilder {
    /// Makes every call start at the first credential again, instead of staying with the one that answered first.
    ///
    /// The program's identity can then change from call to call, as credentials come and go.
    #[must_use]
    pub fn retry_sources(mut self) -> Self {
        self.retry_sources = true;
        self
    }

    /// Makes it a default chain: it goes by `name`, and calls its credentials with [`CallContext::DefaultChain`].
    #[must_use]
    pub fn default_chain(mut self, name: &'static str) -> Self {
        (self.name, self.context) = (name, CallContext::DefaultChain);
        self
    }

    /// Sets the context that its credentials are called with, unless an outer chain's is stronger. The default is
    /// [`CallContext::Chain`].
    #[must_use]
    pub fn context(mut self, context: CallContext) -> Self {
        self.context = context;
        self
    }

    /// Adds steps that help where none of the credentials is available, the likeliest first. They are told behind those that
    /// the failures themselves name ([`Error::steps`]).
    ///
    /// Each has the name of the credential that it would make available, or none: where that credential names a step itself it is
    /// there already, and this one is left out.
    #[must_use]
    pub fn steps(mut self, steps: impl IntoIterator<Item = (&'static str, String)>) -> Self {
        self.steps.extend(steps);
        self
    }

    /// Makes the chain. Asks no credential for anything.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidArgument`] if there is no credential.
    pub fn build(self) -> Result<ChainedTokenCredential> {
        let Self { name, context, retry_sources, credentials, steps } = self;
        if credentials.is_empty() {
            let message = "a chain of no credentials can get no token; put at least one in";
            return Err(Error::new(ErrorKind::InvalidArgument, message).with_credential(name));
        }
        let inner = Inner { name, context, retry_sources, credentials, steps, winner: OnceLock::new() };
        Ok(ChainedTokenCredential(Arc::new(inner)))
    }
}

impl Inner {
    #[inline]
    fn winner(&self) -> Option<&dyn TokenCredential> {
        self.credentials.get(*self.winner.get()?).map(AsRef::as_ref)
    }

    async fn walk(&self, scopes: &[&str], options: Option<&TokenRequestOptions>) -> Result<AccessToken> {
        let outer = options.map(TokenRequestOptions::context).unwrap_or_default();
        let context = if strength(outer) > strength(self.context) { outer } else { self.context };
        let own = options.cloned().unwrap_or_default().with_context(context);
        let mut attempts = Vec::new();
        for (index, credential) in self.credentials.iter().enumerate() {
            let result = credential.get_token(scopes, Some(&own)).await;
            if result.is_ok() && (self.retry_sources || self.winner.set(index).is_ok()) {
                info!(chain = self.name, credential = credential.name(), "token acquired");
                return result;
            }
            // Another call was faster: one chain answers with one identity, so what it found counts for this one.
            match self.winner.get() {
                Some(&winner) if winner == index => return result,
                Some(_) => break,
                None => {}
            }
            let Err(error) = result else { continue };
            let error = if error.credential().is_empty() { error.with_credential(credential.name()) } else { error };
            let goes_on = error.is_unavailable();
            debug!(chain = self.name, credential = credential.name(), kind = error.kind().as_str(), %error, "no token");
            attempts.push((credential.name(), error));
            if !goes_on {
                break;
            }
        }
        if let Some(winner) = self.winner() {
            return winner.get_token(scopes, options).await;
        }
        let error = report::failure(self.name, attempts, self.credentials.len(), &self.steps);
        if outer == CallContext::Alone {
            warn!(chain = self.name, kind = error.kind().as_str(), "{error}");
        }
        Err(error)
    }
}

/// How ready a context makes credentials to step aside.
fn strength(context: CallContext) -> u8 {
    match context {
        CallContext::Alone => 0,
        CallContext::DefaultChain => 2,
        _ => 1,
    }
}

/// Facts that the compiler checks.
const _: () = {
    const fn credential<T: Clone + fmt::Debug + TokenCredential + 'static>() {}
    credential::<ChainedTokenCredential>();
    assert!(size_of::<ChainedTokenCredential>() == size_of::<usize>());
};
