use std::{fmt, sync::Arc, time::Duration};

use identity_core::{AccessToken, BoxFuture, CallContext, Moment, Result, Secret};

use crate::{key::Lookup, state::FLIGHT_LIMIT};

/// How a credential gets a token when none is remembered.
pub trait Fetch: fmt::Debug + Send + Sync + 'static {
    /// The credential's name, for tokens, errors and logs.
    fn name(&self) -> &'static str;

    /// Judges what a caller asks for, before anything is sent. Called for every lookup that memory cannot answer.
    ///
    /// # Errors
    ///
    /// [`InvalidArgument`](identity_core::ErrorKind::InvalidArgument) for what can never be asked.
    fn check(&self, lookup: &Lookup<'_>) -> Result<()>;

    /// Changes whenever something changes that proves the identity, such as a file. A failure is not handed out again when
    /// it is another than before the failed request. May read files; called without any lock.
    fn generation(&self) -> u64 {
        0
    }

    /// How long a remembered token is served before [`generation`](Self::generation) is asked again; if it is another than
    /// before the request that brought the token, the token is dropped, however good it is. `None`, the default, where a token
    /// outlives what it was got with. Without the feature `recheck` this is not asked.
    fn recheck(&self) -> Option<Duration> {
        None
    }

    /// How long a request may take in all, the wait for others to be done included; 100 seconds by default, into which every
    /// budget of HTTP fits.
    fn limit(&self) -> Duration {
        FLIGHT_LIMIT
    }

    /// Whether a request goes on when nobody waits for it any more: it may use up what there is one of. Else it is ended.
    fn goes_on(&self) -> bool {
        false
    }

    /// Asks the service, with all the retries that are worth it.
    fn fetch(self: Arc<Self>, ask: Ask) -> BoxFuture<'static, Result<Fetched>>;
}

/// What to ask the service for: the owned form of a [`Lookup`].
#[derive(Clone, Debug)]
pub struct Ask {
    /// See [`Lookup::scopes`].
    pub scopes: Vec<String>,
    /// See [`Lookup::tenant`].
    pub tenant: String,
    /// See [`Lookup::subject`].
    pub subject: String,
    /// See [`Lookup::cae`].
    pub cae: bool,
    /// See [`Lookup::claims`].
    pub claims: Option<String>,
    /// See [`Lookup::context`].
    pub context: CallContext,
    /// See [`Lookup::evidence`].
    pub evidence: Option<Secret>,
    /// The token that is remembered under the same key, if any: what a refresh or an answer to a challenge replaces.
    pub current: Option<AccessToken>,
}

/// A token as the service gave it.
#[derive(Debug)]
pub struct Fetched {
    /// The token; it passed [`check::is_token`](identity_core::check::is_token).
    pub secret: Secret,
    /// How long it lives, counted from `sent_at`.
    pub life: Duration,
    /// When the service wants it refreshed, counted from `sent_at`.
    pub refresh_in: Option<Duration>,
    /// When the request was sent that brought it.
    pub sent_at: Moment,
    /// Which of the credential's sources it came from; empty if there is only one.
    pub origin: &'static str,
}
