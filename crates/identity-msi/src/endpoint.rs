//! Which endpoint this process asks, and the requests that it sends there.

use std::{path::Path, time::Duration};

use identity_core::{
    Env, Error, ErrorKind, Platform, Result, Secret,
    http::{Method, Reach, Request, ServerTrust},
    text,
};

use crate::{
    arc,
    env::{AZURE_POD_IDENTITY_AUTHORITY_HOST, DEFAULT_IDENTITY_CLIENT_ID},
    exchange::{self, Exchange},
    source::{AZURE_ARC, CHOICES, Choice, IMDS, IdKind, Kind, NO_SOURCE, Source, TOKEN_EXCHANGE, VARIABLES},
};

/// An identity that was chosen among several.
#[derive(Clone, Debug)]
pub(crate) struct UserAssigned {
    pub(crate) kind: IdKind,
    pub(crate) value: String,
}

/// An endpoint that was chosen, with everything that a request there needs.
pub(crate) struct Endpoint {
    pub(crate) source: &'static Source,
    /// The variable with its URL, or what else says where it is; for messages.
    pub(crate) named_by: &'static str,
    url: String,
    pub(crate) secret: Option<Secret>,
    pub(crate) id: Option<UserAssigned>,
    reach: Reach,
    trust: ServerTrust,
    /// Whether it must be found out first, in a chain, that somebody is there.
    pub(crate) is_probed: bool,
}

/// What is asked for tokens.
pub(crate) enum Target {
    Endpoint(Endpoint),
    Exchange(Exchange),
}

/// What the variables and files come to.
pub(crate) struct Selection {
    /// The source's name.
    pub(crate) name: &'static str,
    /// Where to ask; else what every caller is told.
    pub(crate) target: Result<Target>,
    /// Variables of other sources that are set as well.
    pub(crate) unused: Vec<&'static str>,
}

/// Chooses by variables first, then by files.
///
/// # Errors
///
/// [`ErrorKind::InvalidArgument`] naming the variable, or the id that the source does not take.
pub(crate) fn select(
    platform: &Platform,
    id: Option<UserAssigned>,
    allow_remote: bool,
    authority: &exchange::Authority,
) -> Result<Selection> {
    let env = platform.env().as_ref();
    let mut unused: Vec<&'static str> = VARIABLES.to_vec();
    unused.retain(|name| env.var_os(name).is_some_and(|value| !value.is_empty()));
    let is_excluded = |choice: &Choice| authority.is_excluded && matches!(choice, Choice::TokenExchange);
    let row = CHOICES
        .iter()
        .find(|(variables, choice)| variables.iter().all(|name| unused.contains(name)) && !is_excluded(choice));
    match row {
        Some((used, _)) => unused.retain(|name| !used.contains(name)),
        // It says where IMDS is.
        None => unused.retain(|name| *name != AZURE_POD_IDENTITY_AUTHORITY_HOST),
    }
    let (name, target) = match row {
        Some((_, Choice::Incomplete)) => (NO_SOURCE, Err(Error::new(ErrorKind::CredentialUnavailable, INCOMPLETE))),
        Some((_, Choice::TokenExchange)) => {
            (TOKEN_EXCHANGE, exchange::choose(platform, id.as_ref(), authority)?.map(Target::Exchange))
        }
        Some((variables, Choice::Ask(source))) => {
            let variable = variables.first().copied().unwrap_or_default();
            check_id(source, variable, id.as_ref())?;
            (source.name, from_variables(env, source, variable, id, allow_remote)?.map(Target::Endpoint))
        }
        None => {
            let endpoint = without_variables(env, id, allow_remote)?;
            (endpoint.source.name, Ok(Target::Endpoint(endpoint)))
        }
    };
    Ok(Selection { name, target, unused })
}

/// The inner result is what callers are told if this build lacks what the source needs.
fn from_variables(
    env: &dyn Env,
    source: &'static Source,
    variable: &'static str,
    id: Option<UserAssigned>,
    allow_remote: bool,
) -> Result<Result<Endpoint>> {
    let url = env.text(variable)?.unwrap_or_default();
    check_url(variable, &url, source)?;
    let mut endpoint = Endpoint::new(source, variable, url, id, allow_remote);
    if source.kind == Kind::ServiceFabric {
        match crate::service_fabric::trust(env, &endpoint.url)? {
            Some(trust) => (endpoint.trust, endpoint.reach) = (trust, Reach::Any),
            None => return Ok(Err(Error::new(ErrorKind::InvalidArgument, SERVICE_FABRIC_LACKING))),
        }
    }
    if let Some((_, variable)) = source.secret {
        let secret = Secret::new(env.text(variable)?.unwrap_or_default());
        if !identity_core::check::is_header_value(secret.expose()) {
            return Err(invalid(format!(
                "{variable} has a line break or another character that no header may have; set it as the platform gave it"
            )));
        }
        endpoint.secret = Some(secret);
    }
    if source.kind == Kind::AzureMl
        && endpoint.id.is_none()
        && let Some(value) = env.text(DEFAULT_IDENTITY_CLIENT_ID)?
    {
        identity_core::check::id("client id", &value)
            .map_err(|error| error.with_context(DEFAULT_IDENTITY_CLIENT_ID))?;
        endpoint.id = Some(UserAssigned { kind: IdKind::Client, value });
    }
    Ok(Ok(endpoint))
}

/// The Azure Arc agent if it is installed, else IMDS; a variable may say that IMDS is elsewhere.
fn without_variables(env: &dyn Env, id: Option<UserAssigned>, allow_remote: bool) -> Result<Endpoint> {
    const PATH: &str = "/metadata/identity/oauth2/token";
    let variable = AZURE_POD_IDENTITY_AUTHORITY_HOST;
    if let Some(host) = env.text(variable)? {
        check_url(variable, &host, &IMDS)?;
        if has(&host, b'?') {
            return Err(invalid(format!("{variable} has a query; expected a URL such as http://127.0.0.1:2579")));
        }
        let url = [host.trim_matches('/'), PATH].concat();
        return Ok(Endpoint::new(&IMDS, variable, url, id, allow_remote));
    }
    if let Some(agent) = arc::agent(env)?
        && env.is_file(Path::new(&agent))
    {
        return Ok(Endpoint::new(&AZURE_ARC, "its installed agent", arc::AGENT_ORIGIN.to_owned() + PATH, id, false));
    }
    let mut endpoint =
        Endpoint::new(&IMDS, "no variable names another source", IMDS_ORIGIN.to_owned() + PATH, id, false);
    endpoint.is_probed = true;
    Ok(endpoint)
}

impl Endpoint {
    fn new(
        source: &'static Source,
        named_by: &'static str,
        url: String,
        id: Option<UserAssigned>,
        allow_remote: bool,
    ) -> Self {
        let reach = if allow_remote { Reach::Any } else { Reach::LocalOnly };
        Self { source, named_by, url, secret: None, id, reach, trust: ServerTrust::Roots, is_probed: false }
    }

    /// Scheme, host and port: what its gate is named after.
    pub(crate) fn origin(&self) -> String {
        Request::new(Method::Get, self.url.as_str()).origin().to_owned()
    }

    /// The user-assigned id as it goes over the wire; empty for the identity of the machine.
    pub(crate) fn client(&self) -> &str {
        self.id.as_ref().map_or("", |id| &id.value)
    }

    /// The source, and who named it; for messages.
    pub(crate) fn name(&self) -> String {
        [self.source.name, " (", self.named_by, ")"].concat()
    }

    /// Whether its address can be a reason to call it not.
    pub(crate) fn is_plain_and_local(&self) -> bool {
        self.reach == Reach::LocalOnly && after_scheme(&self.url, "http://").is_some()
    }

    /// A request for a token; `more` are parameters that few requests have.
    pub(crate) fn request(&self, resource: &str, more: &[(&str, &str)], request_id: &str) -> Request {
        let mut pairs = Vec::with_capacity(4);
        if !self.source.api_version.is_empty() {
            pairs.push(("api-version", self.source.api_version));
        }
        pairs.push(("resource", resource));
        if let Some(id) = &self.id
            && let Some(name) = id.kind.parameter(self.source)
        {
            pairs.push((name, &id.value));
        }
        pairs.extend_from_slice(more);
        let parameters = text::form(&pairs);
        let mut request = if self.source.kind == Kind::CloudShell {
            let mut request = Request::new(Method::Post, self.url.as_str());
            request.body = Some(parameters.into());
            request.header("content-type", "application/x-www-form-urlencoded")
        } else {
            let mark = if has(&self.url, b'?') { "&" } else { "?" };
            Request::new(Method::Get, [&self.url, mark, &parameters].concat())
        };
        if self.source.metadata {
            request = request.header("metadata", "true");
        }
        if let (Some((name, _)), Some(secret)) = (self.source.secret, &self.secret) {
            request = request.header(name, secret.clone());
        }
        request = request.header("x-ms-client-request-id", request_id);
        request.connect_timeout = CONNECT_TIMEOUT;
        request.timeout = ATTEMPT_TIMEOUT;
        request.body_limit = BODY_LIMIT;
        request.reach = self.reach;
        request.trust = self.trust.clone();
        request
    }

    /// The same request, as it only asks whether anyone is there: without the header without which IMDS gives nothing.
    pub(crate) fn probe(&self, resource: &str) -> Request {
        let mut request = self.request(resource, &[], "");
        request.headers.clear();
        (request.connect_timeout, request.timeout) = (PROBE_TIMEOUT, PROBE_TIMEOUT);
        request
    }
}

fn check_id(source: &Source, variable: &str, id: Option<&UserAssigned>) -> Result<()> {
    match id {
        Some(id) if id.kind.parameter(source).is_none() => Err(takes_no(id, source.name, variable)),
        _ => Ok(()),
    }
}

/// What whoever gave an id to the builder is told that the source does not take.
pub(crate) fn takes_no(id: &UserAssigned, source: &str, variable: &str) -> Error {
    invalid(format!(
        "{source} takes no {}, which was given to the builder: remove it, or unset {variable} if this is not {source}",
        id.kind.name()
    ))
}

/// Judges what can be told without a name server. Which addresses may be reached is for the transport, which sees them.
/// The value is not shown: who puts a password into a URL shall not find it in a log.
fn check_url(variable: &str, url: &str, source: &Source) -> Result<()> {
    let rest = after_scheme(url, "http://").or_else(|| after_scheme(url, "https://")).unwrap_or_default();
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let problem = if url.bytes().any(|b| !b.is_ascii_graphic() || matches!(b, b'\\' | b'#')) {
        "has a fragment, a backslash, a space or another character that no URL has"
    } else if authority.is_empty() {
        "is not an absolute http or https URL"
    } else if has(authority, b'@') {
        "has a user name or password"
    } else if has_bad_port(authority) {
        "has a port that is none"
    } else if names_a_parameter(url, source) {
        "has a query with a parameter that is added to it"
    } else {
        return Ok(());
    };
    Err(invalid(format!(
        "{variable} {problem}; set it to the endpoint's URL as the platform gave it, such as http://127.0.0.1:41741/msi/token"
    )))
}

/// What follows the scheme, if it is this one, in letters of either case.
pub(crate) fn after_scheme<'a>(url: &'a str, scheme: &str) -> Option<&'a str> {
    let (start, rest) = url.split_at_checked(scheme.len())?;
    start.eq_ignore_ascii_case(scheme).then_some(rest)
}

/// Whether what follows the host, or the brackets of its address, is no port.
fn has_bad_port(authority: &str) -> bool {
    const BAD: u32 = 65_536;
    let mut port = None;
    for b in authority.bytes() {
        port = match (b, port) {
            // What was before is an address.
            (b']', _) | (_, None) if b != b':' => None,
            (b':', None) => Some(0),
            (b'0'..=b'9', Some(number)) => Some((number * 10 + u32::from(b - b'0')).min(BAD)),
            _ => Some(BAD),
        };
    }
    port.is_some_and(|port| port == 0 || port == BAD)
}

/// `str::contains` would bring a search for any text.
fn has(text: &str, byte: u8) -> bool {
    text.bytes().any(|b| b == byte)
}

fn names_a_parameter(url: &str, source: &Source) -> bool {
    let (_, query) = url.split_once('?').unwrap_or_default();
    query.split('&').filter_map(|pair| pair.split('=').next()).any(|name| {
        ["api-version", "resource"]
            .iter()
            .chain(&source.ids)
            .any(|own| !own.is_empty() && name.eq_ignore_ascii_case(own))
    })
}

pub(crate) fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidArgument, message)
}

const INCOMPLETE: &str = "no managed identity endpoint found: IDENTITY_ENDPOINT is set without IDENTITY_HEADER (App Service) or IMDS_ENDPOINT (Azure Arc); set the one that belongs to it, or unset IDENTITY_ENDPOINT to use IMDS";
const SERVICE_FABRIC_LACKING: &str = "IDENTITY_SERVER_THUMBPRINT asks for Service Fabric, which this build lacks: turn on the feature `msi-service-fabric` (`service-fabric` of identity-msi)";

/// Source: the IMDS reference, "Access Azure Instance Metadata Service": the address is the same on every machine.
const IMDS_ORIGIN: &str = "http://169.254.169.254";
/// Source: azure-identity 1.27.0, `_credentials/imds.py` (IMDS retry policy), for connecting; our choice for the rest.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);
/// Source: azure-identity 1.27.0, `_credentials/imds.py`, which limits connecting so; as azidentity (Go), we limit all.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);
/// Bytes. Source: our choice; real answers have a few thousand.
const BODY_LIMIT: usize = 256 * 1024;
