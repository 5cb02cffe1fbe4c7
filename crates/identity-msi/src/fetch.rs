//! From "a token is wanted" to a token, or to the reason why there is none.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use identity_cache::{Ask, Fetch, Fetched, Lookup};
use identity_core::{
    BoxFuture, CallContext, Error, ErrorKind, Platform, Result, Secret, check,
    gate::Gate,
    http::{Request, Response},
    redact::{brief, excerpt},
    retry::{self, Answer, RetryPolicy},
    text,
};
use tracing::debug;

use crate::{
    answer, arc,
    endpoint::{Endpoint, Selection, Target},
    outcome::{self, Facts},
    presence::Presence,
    service_fabric,
    source::Kind,
    wire::{self, Body},
};

/// Asks the endpoint that was chosen.
pub(crate) struct ManagedIdentity {
    platform: Platform,
    /// Where to ask; else what every caller is told.
    target: Result<Target>,
    gate: Gate,
    presence: Presence,
    had_token: AtomicBool,
}

impl ManagedIdentity {
    pub(crate) fn new(platform: &Platform, selection: Selection) -> Self {
        let (origin, client) = match &selection.target {
            Ok(Target::Endpoint(endpoint)) => (endpoint.origin(), endpoint.client()),
            _ => (String::new(), ""),
        };
        Self {
            gate: platform.gates().gate(&origin, client, IN_FLIGHT),
            platform: platform.clone(),
            target: selection.target,
            presence: Presence::default(),
            had_token: AtomicBool::new(false),
        }
    }

    async fn token(&self, ask: Ask) -> Result<Fetched> {
        let endpoint = match self.target.as_ref().map_err(Clone::clone)? {
            Target::Endpoint(endpoint) => endpoint,
            #[cfg(feature = "workload")]
            Target::Exchange(exchange) => return exchange.token(ask).await,
            #[cfg(not(feature = "workload"))]
            Target::Exchange(never) => match *never {},
        };
        let scopes: Vec<&str> = ask.scopes.iter().map(String::as_str).collect();
        let resource = check::resource(&scopes)?;
        let in_chain = ask.context != CallContext::Alone;
        if endpoint.is_probed && in_chain {
            self.probe(endpoint, resource).await?;
        }
        let request_id = text::uuid(self.platform.random().as_ref());
        let unwanted = (ask.current.as_ref())
            .filter(|_| ask.claims.is_some() && endpoint.source.kind == Kind::ServiceFabric)
            .and_then(|token| service_fabric::hash(token.secret()));
        let mut more = Vec::new();
        if let Some(hash) = &unwanted {
            more.push(("token_sha256_to_refresh", hash.as_str()));
        }
        if ask.cae && endpoint.source.kind == Kind::ServiceFabric {
            more.push(("xms_cc", "CP1"));
        }
        let request = endpoint.request(resource, &more, &request_id);
        let mut key = None;
        let answer =
            (self.ask(endpoint, request, &mut key).await).map_err(|error| self.no_answer(error, endpoint, in_chain))?;
        let hidden = [
            endpoint.secret.as_ref().map(Secret::expose),
            key.as_ref().and_then(|key| key.expose().strip_prefix("Basic ")),
            ask.current.as_ref().map(|token| token.secret()),
        ];
        let hidden: Vec<&str> = hidden.into_iter().flatten().collect();
        self.judge(endpoint, &answer, in_chain, &hidden).map_err(|error| {
            let response = &answer.response;
            let clean = |id: String| brief(&id, &hidden);
            let correlation = wire::parse(response.body(), false).text("correlation_id").map_or(request_id, clean);
            let trace = response.header("x-ms-request-id").map(|id| clean(id.to_owned()));
            error.with_http_status(response.status()).with_ids(Some(correlation), trace)
        })
    }

    /// Finds out whether IMDS is there, for a caller that would rather try another credential than wait.
    async fn probe(&self, endpoint: &Endpoint, resource: &str) -> Result<()> {
        // One request of its own: no retries, and no gate, whose state says nothing about who is there.
        let probe = async {
            let why = match self.platform.transport().send(endpoint.probe(resource)).await {
                Ok(response) if outcome::proves_presence(&response) => return Ok(()),
                Ok(response) => format!("what answers there is not IMDS (HTTP {})", response.status()),
                Err(error) => error.to_string(),
            };
            debug!(origin = endpoint.origin(), why, "IMDS is absent");
            Err(why)
        };
        self.presence.find_out(self.platform.clock().as_ref(), probe).await.map_err(|why| {
            Error::new(
                ErrorKind::CredentialUnavailable,
                format!(
                    "no managed identity here: no variable names a source, and IMDS does not answer at {}: {why}",
                    endpoint.origin()
                ),
            )
        })
    }

    /// Sends the request. The agent of Azure Arc answers with the name of a file, and wants to see what is in it: that
    /// is asked for again, with `key`.
    async fn ask(&self, endpoint: &Endpoint, mut request: Request, key: &mut Option<Secret>) -> Result<Answer> {
        let (clock, kind) = (self.platform.clock(), endpoint.source.kind);
        let start = clock.now();
        let (mut policy, mut keys) = (RetryPolicy::METADATA, 0);
        loop {
            let judge = |response: &Response| outcome::verdict(kind, response);
            let answer = retry::send(&self.platform, &self.gate, &policy, &request, &judge).await?;
            // A key is good for one request. If the answer to that was lost, its retry is refused, and a new key is
            // worth one try.
            let may_ask_again = keys == 0 || keys == 1 && answer.attempts > 1;
            if kind != Kind::AzureArc || answer.response.status() != 401 || !may_ask_again {
                return Ok(answer);
            }
            let proof = arc::key(self.platform.env().as_ref(), std::env::consts::OS, &answer.response)?;
            request.headers.retain(|(name, _)| *name != AUTHORIZATION);
            request.headers.push((AUTHORIZATION, proof.clone()));
            (*key, keys) = (Some(proof), keys + 1);
            policy.budget = RetryPolicy::METADATA.budget.saturating_sub(clock.now().since(&start));
        }
    }

    /// A token, or what the answer means.
    // Apart from the future of `token`, which would be 1 KB of code larger with it.
    #[inline(never)]
    fn judge(&self, endpoint: &Endpoint, answer: &Answer, in_chain: bool, hidden: &[&str]) -> Result<Fetched> {
        let (source, response, name) = (endpoint.source, &answer.response, endpoint.name());
        let body = wire::parse(response.body(), response.is_json());
        let sent_at = response.sent_at().unwrap_or_else(|| self.platform.clock().now());
        if let (200, Body::Object(fields)) = (response.status(), &body)
            && let Some(token) =
                answer::token(fields, response, endpoint, sent_at.wall).map_err(|error| error.with_context(&name))?
        {
            self.presence.confirm();
            self.had_token.store(true, Ordering::Relaxed);
            let identity_core::answer::Token { secret, life, refresh_in } = token;
            return Ok(Fetched { secret, life, refresh_in, sent_at, origin: source.name });
        }
        if outcome::proves_presence(response) {
            self.presence.confirm();
        }
        let mut said = body.failure();
        // In JSON that is shown as it is written, an escaped secret would not be found.
        let mut is_shown = true;
        if said.is_empty() && response.status() != 200 {
            said = String::from_utf8_lossy(response.body()).into_owned();
            let is_json = matches!(said.trim_ascii_start().bytes().next(), Some(b'{' | b'[' | b'"'));
            is_shown = !is_json || said.bytes().all(|b| b != b'\\');
        }
        let facts = Facts {
            kind: source.kind,
            status: response.status(),
            body: &body,
            text: &said,
            in_chain,
            has_id: endpoint.id.is_some(),
            had_token: self.had_token.load(Ordering::Relaxed),
        };
        let (kind, advice) = facts.judge();
        let shown = if is_shown { excerpt(said.as_bytes(), hidden) } else { String::new() };
        let media = match (&body, response.header("content-type")) {
            (Body::Other, Some(media)) => [" with ", &brief(media, hidden)].concat(),
            _ => String::new(),
        };
        let mut message = format!("{name} answered HTTP {}{media}: {advice}", response.status());
        if answer.attempts > 1 {
            message.push_str(&format!(" ({} attempts)", answer.attempts));
        }
        if !shown.is_empty() {
            message.push_str("; it said: ");
            message.push_str(&shown);
        }
        let error = Error::new(kind, message).with_entra_codes(text::entra_codes(&said));
        Err(match answer.retry_after {
            Some(wait) => error.with_retry_after(wait),
            None => error,
        })
    }

    /// Says where nobody answered, and who said that somebody would.
    #[cold]
    #[inline(never)]
    fn no_answer(&self, error: Error, endpoint: &Endpoint, in_chain: bool) -> Error {
        // Nothing has ever shown that a metadata service exists here.
        let is_unproved = endpoint.source.kind == Kind::Imds && !self.presence.is_confirmed();
        let error = match error.kind() {
            ErrorKind::Transport if is_unproved && in_chain => error.with_kind(ErrorKind::CredentialUnavailable),
            ErrorKind::Protocol if is_unproved => {
                error.with_kind(ErrorKind::CredentialUnavailable).with_context("something else answers at its address")
            }
            ErrorKind::InvalidArgument if endpoint.is_plain_and_local() => {
                let problem = error.to_string();
                // What the build lacks, it says itself.
                if text::find(&problem, "feature").is_some() {
                    error
                } else {
                    let advice = " as the platform gave it, or call allow_remote_endpoint() on the builder";
                    error.with_message([&problem, "; set ", endpoint.named_by, advice].concat())
                }
            }
            _ => error,
        };
        error.with_context(&endpoint.name())
    }
}

impl Fetch for ManagedIdentity {
    fn name(&self) -> &'static str {
        crate::NAME
    }

    fn check(&self, lookup: &Lookup<'_>) -> Result<()> {
        check::resource(lookup.scopes)?;
        if let Some(claims) = lookup.claims {
            check::claims(claims)?;
        }
        self.target.as_ref().map(|_| ()).map_err(Clone::clone)
    }

    #[cfg(feature = "workload")]
    fn generation(&self) -> u64 {
        match &self.target {
            Ok(Target::Exchange(exchange)) => exchange.generation(),
            _ => 0,
        }
    }

    fn fetch(self: Arc<Self>, ask: Ask) -> BoxFuture<'static, Result<Fetched>> {
        Box::pin(async move { self.token(ask).await })
    }
}

/// Tells no more than the name: what there is to know, the credential's `Debug` shows.
impl fmt::Debug for ManagedIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ManagedIdentity")
    }
}

/// The header with the answer to a challenge.
const AUTHORIZATION: &str = "authorization";
/// The most requests under way to one metadata endpoint. Source: our choice; IMDS throttles at 20 a second.
const IN_FLIGHT: usize = 8;
