//! From "a token is wanted" to the token endpoint's answer.

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::Duration,
};

use identity_cache::{Ask, CacheOptions};
use identity_core::{
    Clock, Error, ErrorKind, Platform, Result, TokenRequestOptions,
    date::parse_http_date,
    expiry::unix_seconds,
    gate::{self, Gate},
    http::{Method, Proxy, Request, Response},
    retry::{self, Answer, RetryPolicy, Verdict},
    text,
};

use crate::{
    auth::{ClientAuthentication, Proof, ProofRequest},
    authority::{Authority, check_ids, is_adfs},
    claims,
    discovery::{self, Discovery},
    grant::{self, Grant, Granted},
    options::ClientOptions,
    outcome::{self, Circumstances},
    region::Region,
    route::{Route, Routed},
    tenant::Tenants,
};

/// An application at a token endpoint.
pub struct Client {
    platform: Platform,
    authority: Authority,
    region: Region,
    tenants: Tenants,
    client_id: String,
    authentication: Option<Arc<dyn ClientAuthentication>>,
    /// The route, and the platform whose transport takes it.
    route: Option<(Arc<dyn Route>, Platform)>,
    /// `None` if the authority is taken for one as it is.
    discovery: Option<Discovery>,
    /// Whether the authority answered that it tells nobody where passwords are checked.
    pub(crate) has_no_realms: AtomicBool,
    options: ClientOptions,
    cache: CacheOptions,
    /// By the origin that they lead to: the authority, its regional endpoint, the discovery service.
    gates: Mutex<Vec<(String, Gate)>>,
    /// How many seconds the service's clock was ahead of this machine's when it last mattered.
    skew: AtomicI64,
}

impl Client {
    /// Makes a client. Reads variables; touches no network.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidArgument`] for a tenant, client id, authority, region, list of tenants or time that is none, and
    /// if the platform's transport cannot speak `https`.
    pub fn new(
        platform: &Platform,
        tenant_id: &str,
        client_id: &str,
        authentication: Option<Arc<dyn ClientAuthentication>>,
        options: ClientOptions,
    ) -> Result<Self> {
        check_ids(tenant_id, client_id)?;
        let env = platform.env().as_ref();
        let authority = Authority::choose(options.authority.as_deref(), env)?;
        let region = if is_adfs(tenant_id) { Region::None } else { Region::choose(options.region.as_deref(), env)? };
        let is_trusted = options.is_discovery_disabled || is_adfs(tenant_id) || authority.is_known();
        let cache = options.cache()?;
        if options.in_flight == Some(0) {
            return Err(invalid("no request was allowed to be under way; expected at least 1".to_owned()));
        }
        platform.transport().check_https()?;
        Ok(Self {
            tenants: Tenants::new(tenant_id, options.allowed_tenants.clone(), env)?,
            platform: platform.clone(),
            authority,
            region,
            client_id: client_id.to_owned(),
            authentication,
            route: None,
            discovery: (!is_trusted).then(Discovery::default),
            has_no_realms: AtomicBool::default(),
            options,
            cache,
            gates: Mutex::default(),
            skew: AtomicI64::default(),
        })
    }

    /// Leads token requests another way. What stands there answers for the authority, which is not asked about.
    #[must_use]
    pub fn with_route(mut self, route: Arc<dyn Route>) -> Self {
        self.discovery = None;
        self.region = Region::None;
        let transport = Routed::new(Arc::clone(self.platform.transport()), Arc::clone(&route));
        self.route = Some((route, self.platform.with_transport(Arc::new(transport))));
        self
    }

    /// The platform it was made with.
    #[must_use]
    pub fn platform(&self) -> &Platform {
        &self.platform
    }

    /// The application.
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// The limits of a cache for this client's tokens.
    #[must_use]
    pub fn cache_options(&self) -> CacheOptions {
        self.cache
    }

    /// See [`ClientAuthentication::generation`].
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.authentication.as_ref().map_or(0, |authentication| authentication.generation())
    }

    /// The tenant that a request is for: empty for the client's own.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidArgument`] for a tenant that is none, or not allowed.
    pub fn tenant<'a>(&self, options: Option<&'a TokenRequestOptions>) -> Result<&'a str> {
        options.and_then(TokenRequestOptions::tenant_id).map_or(Ok(""), |requested| self.tenants.resolve(requested))
    }

    /// Asks the token endpoint, with all the retries that are worth it. `ask.tenant` came from [`tenant`](Self::tenant).
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::InvalidArgument`] if the authority is not known, and for what the transport cannot send.
    /// - [`ErrorKind::AuthenticationFailed`] if the service refuses, with its codes and ids.
    /// - [`ErrorKind::Transport`] if no answer came, or none but "later", after retries.
    /// - [`ErrorKind::Protocol`] for an answer that is none, too large, or a redirect.
    /// - Whatever the client authentication and the route say.
    /// - [`ErrorKind::AuthenticationRequired`] if a person has to do something before there can be a token for them:
    ///   [`Error::claims`] is what they are to be asked for, [`Error::scopes`] what for.
    pub async fn request(&self, grant: &Grant<'_>, ask: &Ask) -> Result<Granted> {
        self.request_within(grant, ask, RetryPolicy::ENTRA.budget).await
    }

    /// The same within `budget`, for flows that ask more than once.
    ///
    /// # Errors
    ///
    /// As [`request`](Self::request).
    pub async fn request_within(&self, grant: &Grant<'_>, ask: &Ask, budget: Duration) -> Result<Granted> {
        let tenant = self.tenant_of(ask);
        let clock = self.platform.clock().as_ref();
        let left = remaining(clock, budget);
        if let (true, Some(authentication)) =
            (self.discovery.is_some() || self.region.is_detected(), &self.authentication)
        {
            // Nobody is asked where to ask for a client that has nothing to show there.
            authentication.check()?;
        }
        self.confirm(tenant, &left).await?;
        // Only applications' own tokens come from regions. Source: msal 1.39.0, `application.py`.
        let region = if grant.is_user { None } else { self.region.find(&self.platform).await };
        let regional = region.map(|region| self.authority.in_region(&region));
        let endpoint = regional.as_ref().unwrap_or(&self.authority).token_endpoint(tenant);
        let request_id = text::uuid(self.platform.random().as_ref());
        let claims = claims::merge(ask.claims.as_deref(), ask.cae);
        let scope = grant::scope(&ask.scopes, grant.is_user);
        let mut retries = RetryPolicy::ENTRA.retries;
        let mut refused: Option<(Proof, Error)> = None;
        loop {
            let mut request = Request::new(Method::Post, endpoint.as_str())
                .header("accept", "application/json")
                .header("content-type", "application/x-www-form-urlencoded")
                .header("client-request-id", request_id.as_str())
                .header("x-ms-lib-capability", "retry-after, h429");
            if let Some(mailbox) = &grant.anchor {
                request = request.header("x-anchormailbox", mailbox.as_str());
            }
            request.proxy = Proxy::Configured;
            let mut platform = &self.platform;
            if let Some((route, routed)) = &self.route {
                route.apply(&mut request)?;
                platform = routed;
            }
            let gate = self.gate(request.origin());
            // Whoever makes the proof is not asked for one that cannot be sent.
            gate.check(clock, left())?;
            let proof = match &self.authentication {
                Some(authentication) => {
                    let mut wanted = ProofRequest::new(
                        &endpoint,
                        &self.client_id,
                        tenant,
                        shift(clock.now().wall, self.skew.load(Ordering::Relaxed)),
                    );
                    (wanted.renew, wanted.context) = (refused.is_some(), ask.context);
                    wanted.patience = left();
                    let proof = gate::timeout(clock, left(), authentication.prove(&wanted)).await;
                    Some(proof.filter(|_| !left().is_zero()).ok_or_else(too_late)??)
                }
                None => None,
            };
            if let (Some((old, error)), Some(new)) = (&refused, &proof)
                && old.secret().expose() == new.secret().expose()
            {
                // The same again would be refused again.
                return Err(error.clone());
            }
            let mut form: Vec<(&str, &str)> = vec![
                ("client_id", &self.client_id),
                ("grant_type", grant.kind),
                ("scope", &scope),
                ("client_info", "1"),
            ];
            form.extend(claims.as_deref().map(|claims| ("claims", claims)));
            form.extend(&grant.open);
            form.extend(grant.secret.iter().map(|(name, value)| (*name, value.expose())));
            form.extend(proof.iter().flat_map(|proof| proof.parameters()));
            request.body = Some(text::form(&form).into());
            let policy = RetryPolicy { budget: left(), retries, once: grant.is_once, ..RetryPolicy::ENTRA };
            let answer = retry::send(platform, &gate, &policy, &request, &outcome::verdict)
                .await
                .map_err(|error| name_origin(error, request.origin()).with_ids(Some(request_id.clone()), None))?;
            let now = clock.now();
            let hidden = grant.secret.iter().map(|(_, value)| value.expose());
            let hidden = hidden.chain(proof.iter().map(|proof| proof.secret().expose()));
            let circumstances = Circumstances {
                origin: request.origin(),
                request_id: &request_id,
                scopes: &ask.scopes,
                wants_all_scopes: self.options.wants_all_scopes,
                is_user: grant.is_user,
                hidden: hidden.chain(ask.current.iter().map(|token| token.secret())).collect(),
                assertion_expired: proof.as_ref().and_then(|proof| proof.expires_on()).and_then(|expires| {
                    u64::try_from(unix_seconds(now.wall)?.checked_sub(expires)?).ok().filter(|seconds| *seconds > 0)
                }),
                now,
            };
            let error = match outcome::judge(&answer, &circumstances) {
                Ok(granted) => return Ok(granted),
                Err(error) => error,
            };
            if outcome::is_of_grant(&answer.response, &error) {
                grant.spent.store(true, Ordering::Relaxed);
            }
            // One person's loop is not everybody's.
            if error.entra_codes().contains(&outcome::LOOP) && !grant.is_user {
                gate.forbid(&now, &error, outcome::LOOP_PAUSE);
            }
            // Another try is worth it once, and within the same limits.
            retries = match retries.checked_sub(answer.attempts) {
                Some(retries) if refused.is_none() && error.entra_codes().contains(&OUTSIDE_OF_ITS_TIME) => retries,
                _ => return Err(error),
            };
            self.skew.store(server_is_ahead(&answer.response, unix_seconds(now.wall)), Ordering::Relaxed);
            refused = match proof {
                Some(proof @ Proof::Assertion(_)) => Some((proof, error)),
                _ => return Err(error),
            };
        }
    }

    /// Sends a request that the flow needs to a server that is not the authority, within `budget`: with the retries of the
    /// contract, and through a gate of this client.
    ///
    /// # Errors
    ///
    /// As [`retry::send`], with the server's name in the message.
    pub async fn send(
        &self,
        request: &Request,
        judge: &(dyn Fn(&Response) -> Verdict + Sync),
        budget: Duration,
    ) -> Result<Answer> {
        let policy = RetryPolicy { budget, ..RetryPolicy::ENTRA };
        let origin = request.origin();
        let answer = retry::send(&self.platform, &self.gate(origin), &policy, request, judge).await;
        answer.map_err(|error| name_origin(error, origin))
    }

    /// The tenant that is asked.
    pub(crate) fn tenant_of<'a>(&'a self, ask: &'a Ask) -> &'a str {
        if ask.tenant.is_empty() { self.tenants.own() } else { &ask.tenant }
    }

    /// Where tokens are asked for.
    pub(crate) fn authority(&self) -> &Authority {
        &self.authority
    }

    /// Finds out whether the authority is one, if that is not known.
    pub(crate) async fn confirm(&self, tenant: &str, left: impl Fn() -> Duration) -> Result<()> {
        let Some(discovery) = &self.discovery else { return Ok(()) };
        discovery.confirm(&self.platform, &self.gate(discovery::ORIGIN), &self.authority, tenant, left).await
    }

    fn gate(&self, origin: &str) -> Gate {
        let mut gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, gate)) = gates.iter().find(|(known, _)| known == origin) {
            return gate.clone();
        }
        // What was chosen is for the authority, not for whom all authorities are asked about.
        let limit = self.options.in_flight.filter(|_| origin != discovery::ORIGIN).unwrap_or(IN_FLIGHT);
        let gate = self.platform.gates().gate(origin, &self.client_id, limit);
        // Where an answer names the origins, there may be ever new ones.
        if gates.len() >= MOST_GATES {
            gates.remove(0);
        }
        gates.push((origin.to_owned(), gate.clone()));
        gate
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("authority", &self.authority.url())
            .field("tenant_id", &self.tenants.own())
            .field("client_id", &self.client_id)
            .finish_non_exhaustive()
    }
}

/// Says with whom something went wrong, where the error does not.
fn name_origin(error: Error, origin: &str) -> Error {
    if text::find(&error.to_string(), origin).is_some() { error } else { error.with_context(origin) }
}

/// How many seconds the service's clock is ahead of this machine's, by the answer's `Date`; 0 if it does not tell.
fn server_is_ahead(response: &Response, now: Option<i64>) -> i64 {
    let date = response.header("date").and_then(parse_http_date);
    date.zip(now).and_then(|(date, now)| date.checked_sub(now)).unwrap_or(0)
}

fn shift(time: std::time::SystemTime, seconds: i64) -> std::time::SystemTime {
    let by = Duration::from_secs(seconds.unsigned_abs());
    let shifted = if seconds < 0 { time.checked_sub(by) } else { time.checked_add(by) };
    shifted.unwrap_or(time)
}

/// How much of `budget` is left, by the clock that nobody sets, for the other one may be set right meanwhile.
pub(crate) fn remaining(clock: &dyn Clock, budget: Duration) -> impl Fn() -> Duration {
    let start = clock.now().monotonic;
    move || budget.saturating_sub(clock.now().monotonic.saturating_duration_since(start))
}

fn too_late() -> Error {
    let seconds = RetryPolicy::ENTRA.budget.as_secs();
    let message = format!("the proof of who the client is was not there within {seconds} s; nothing was sent");
    Error::new(ErrorKind::Transport, message)
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidArgument, message)
}

/// `AADSTS700024`: the client assertion is not within its valid time range.
const OUTSIDE_OF_ITS_TIME: u32 = 700_024;
/// The most requests under way to one authority. Source: our choice.
const IN_FLIGHT: usize = 64;
/// The most origins whose troubles are remembered. Source: our choice.
const MOST_GATES: usize = 16;
