//! What an answer of the token endpoint means.

use std::time::Duration;

use identity_cache::Fetched;
use identity_core::{
    Error,
    ErrorKind::{AuthenticationFailed, AuthenticationRequired, Protocol, Transport},
    Moment, Result, Secret,
    answer::{self, Body, Fields},
    check,
    http::Response,
    json,
    redact::{brief, excerpt},
    retry::{Answer, Verdict},
    text,
};
use tracing::{debug, warn};

use crate::{advice::advice, grant::Granted};

/// What an answer is judged by besides itself.
pub(crate) struct Circumstances<'a> {
    pub(crate) origin: &'a str,
    pub(crate) request_id: &'a str,
    pub(crate) scopes: &'a [String],
    pub(crate) wants_all_scopes: bool,
    /// Whether the token is a person's.
    pub(crate) is_user: bool,
    /// What was sent and must not be shown.
    pub(crate) hidden: Vec<&'a str>,
    /// How many seconds ago the assertion that was sent expired, by this machine's clock.
    pub(crate) assertion_expired: Option<u64>,
    pub(crate) now: Moment,
}

/// Whether an answer is worth another request.
pub(crate) fn verdict(response: &Response) -> Verdict {
    match response.status() {
        // What ends in a brace is not read for this: a flat answer that was cut does not.
        200 if !response.body().ends_with(b"}") && matches!(parse(response), Body::Cut) => Verdict::Retry,
        408 | 429 | 500.. => Verdict::Retry,
        400..500 => match parse(response) {
            Body::Cut if response.is_json() => Verdict::Retry,
            body if body.text("error").is_some_and(|error| PASSING.contains(&error.as_str())) => Verdict::Retry,
            _ => Verdict::Final,
        },
        _ => Verdict::Final,
    }
}

/// A token, or what the answer means.
pub(crate) fn judge(answer: &Answer, circumstances: &Circumstances<'_>) -> Result<Granted> {
    let Circumstances { origin, hidden, .. } = circumstances;
    let response = &answer.response;
    let status = response.status();
    let body = parse(response);
    if let (200, Body::Object(fields)) = (status, &body) {
        let sent_at = response.sent_at().unwrap_or(circumstances.now);
        // An error beside a token makes the token worthless.
        if fields.raw("error").is_none_or(|error| error == "null")
            && let Some(token) =
                answer::token(fields, response, sent_at.wall).map_err(|error| error.with_context(origin))?
        {
            tell(token.secret.expose(), circumstances.request_id);
            let answer::Token { secret, life, refresh_in } = token;
            let fetched = Fetched { secret, life, refresh_in, sent_at, origin: "" };
            let fetched = check_scopes(fields, circumstances).map(|()| fetched);
            let refresh_token = fields.string("refresh_token").ok().flatten().map(Secret::new);
            let refresh_token = refresh_token.filter(|token| circumstances.is_user && check::is_token(token.expose()));
            return Ok(Granted { fetched, refresh_token });
        }
    }
    let mut said = body.failure();
    let is_oauth = body.text("error").is_some();
    let is_passing = body.text("error").is_some_and(|error| PASSING.contains(&error.as_str()));
    let mut codes = text::entra_codes(&said);
    for code in body.numbers("error_codes") {
        if !codes.contains(&code) {
            codes.push(code);
        }
    }
    let (kind, why) = match (status, &body) {
        (408 | 429 | 500.., _) => (Transport, "it is in trouble or too busy; try again later"),
        (400..500, _) if is_passing => (Transport, "it is in trouble or too busy; try again later"),
        (200, Body::Cut) => (Transport, "the answer is cut short"),
        (400..500, Body::Cut) if response.is_json() => (Transport, "the answer is cut short"),
        (_, Body::Deep) => (Protocol, "the JSON of the answer nests too deeply"),
        (400..500, Body::Object(_)) if is_oauth => (AuthenticationFailed, "it refuses the request"),
        (200, Body::Object(_)) if is_oauth => (Protocol, "the answer is an error that calls itself a success"),
        (200, Body::Object(_)) => (Protocol, "the answer has no access_token"),
        _ => (
            Protocol,
            "the answer is none of a token endpoint; check the authority, and whether a proxy or a sign-in page is in the way",
        ),
    };
    let needs_person = circumstances.is_user
        && kind == AuthenticationFailed
        && (body.text("error").is_some_and(|error| INTERACTION.contains(&error.as_str()))
            || body.text("claims").is_some_and(|claims| !claims.is_empty())
            || needs_person(&codes));
    let (kind, why) = if needs_person {
        (AuthenticationRequired, "the person has to sign in again, and answer what is asked of them there")
    } else {
        (kind, why)
    };
    let why =
        if matches!(kind, AuthenticationFailed | AuthenticationRequired) { advice(&codes).unwrap_or(why) } else { why };
    let mut message = format!("{origin} answered HTTP {status}");
    if let (Body::Other | Body::Cut, media) = (&body, response.header("content-type").unwrap_or("no content type")) {
        message.extend([" with ", &brief(media, hidden)]);
    }
    message.extend([": ", why]);
    if let Some(seconds) = circumstances.assertion_expired.filter(|_| kind == AuthenticationFailed) {
        message.push_str(&format!(" (the assertion expired {seconds} s ago by this machine's clock)"));
    }
    if answer.attempts > 1 {
        message.push_str(&format!(" ({} attempts)", answer.attempts));
    }
    // In JSON that is shown as it is written, an escaped secret would not be found.
    if said.is_empty() && status != 200 && matches!(body, Body::Other) {
        said = String::from_utf8_lossy(response.body()).into_owned();
        if matches!(said.trim_ascii_start().bytes().next(), Some(b'{' | b'[' | b'"'))
            && said.bytes().any(|b| b == b'\\')
        {
            said.clear();
        }
    }
    let shown = excerpt(said.as_bytes(), hidden);
    if !shown.is_empty() {
        message.extend(["; it said: ", &shown]);
    }
    let id = |name| body.text(name).filter(|id| !id.is_empty()).map(|id| brief(&id, hidden));
    let correlation = id("correlation_id").unwrap_or_else(|| circumstances.request_id.to_owned());
    let header = response.header("x-ms-request-id").map(|id| brief(id, hidden));
    let mut error =
        Error::new(kind, message).with_http_status(status).with_ids(Some(correlation), id("trace_id").or(header));
    let forbidden = codes.contains(&LOOP).then_some(LOOP_PAUSE);
    if let Some(wait) = answer.retry_after.or(forbidden) {
        error = error.with_retry_after(wait);
    }
    let claims = body.text("claims").filter(|claims| !claims.is_empty() && is_oauth);
    if claims.is_some() || needs_person {
        let scopes: Vec<&str> = circumstances.scopes.iter().map(String::as_str).collect();
        error = error.with_scopes(&scopes, claims.as_deref());
    }
    Err(error.with_entra_codes(codes))
}

/// Whether one of the codes says that a person can mend the refusal by signing in.
#[must_use]
pub fn needs_person(codes: &[u32]) -> bool {
    codes.iter().any(|code| INTERACTION_CODES.contains(code))
}

/// Whether a refusal is one of what was presented, and not of the application, of what was asked for, or of what the person
/// has to do for that.
pub(crate) fn is_of_grant(response: &Response, error: &Error) -> bool {
    let is_invalid = (400..500).contains(&response.status()) && parse(response).text("error").as_deref() == Some(GRANT);
    let has = |is_it: fn(u32) -> bool| error.entra_codes().iter().any(|code| is_it(*code));
    match error.kind() {
        AuthenticationFailed => is_invalid && !has(is_of_resource),
        AuthenticationRequired => has(is_end_of_session),
        _ => false,
    }
}

/// Compares what was granted with what was asked for, where the service tells.
fn check_scopes<const N: usize>(fields: &Fields<'_, N>, circumstances: &Circumstances<'_>) -> Result<()> {
    let Ok(Some(granted)) = fields.text("scope") else { return Ok(()) };
    // A scope may come back without its resource; those of sign-in itself do not come back at all.
    let name = |scope: &str| scope.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
    let granted: Vec<String> = granted.split_ascii_whitespace().map(name).collect();
    let is_missing = |scope: &&String| {
        let name = name(scope);
        !matches!(name.as_str(), ".default" | "openid" | "profile" | "offline_access") && !granted.contains(&name)
    };
    let missing: Vec<&String> = circumstances.scopes.iter().filter(is_missing).collect();
    if missing.is_empty() {
        return Ok(());
    }
    if !circumstances.wants_all_scopes {
        warn!(?missing, "the service granted less than was asked for");
        return Ok(());
    }
    Err(Error::new(
        AuthenticationFailed,
        format!("{} granted a token without the scopes {missing:?}, and all were required", circumstances.origin),
    ))
}

/// Says who the token is for, for those who look for it in the log.
///
/// Source: azure-core 1.41.0 logs the same, `azure-identity` `_internal/decorators.py`.
fn tell(token: &str, request_id: &str) {
    if !tracing::enabled!(tracing::Level::DEBUG) {
        return;
    }
    let payload = token.split('.').nth(1).and_then(text::base64url_decode).unwrap_or_default();
    let [mut appid, mut tid, mut oid] = [const { None }; 3];
    let _ = json::members(&payload, &mut |name, value| {
        let place = match name {
            "appid" | "azp" => &mut appid,
            "tid" => &mut tid,
            "oid" => &mut oid,
            _ => return,
        };
        *place = json::unescape(value).map(|text| brief(&text, &[]));
    });
    debug!(request_id, appid, tid, oid, "the service gave a token");
}

fn parse(response: &Response) -> Body<'_, { NAMES.len() }> {
    Body::parse(&NAMES, response.body(), response.is_json())
}

/// Every field that is read.
const NAMES: [&str; 15] = [
    "access_token",
    "claims",
    "code",
    "correlation_id",
    "error",
    "error_codes",
    "error_description",
    "expires_in",
    "expires_on",
    "message",
    "refresh_in",
    "refresh_token",
    "scope",
    "token_type",
    "trace_id",
];

/// Errors that say that the service is to be asked again.
///
/// Source: RFC 6749, section 4.1.2.1, which Entra ID uses at the token endpoint as well.
const PASSING: [&str; 2] = ["temporarily_unavailable", "server_error"];

/// Errors that a person can mend by signing in.
///
/// Source: OpenID Connect Core 1.0, section 3.1.2.6; <https://learn.microsoft.com/entra/identity-platform/v2-oauth2-on-behalf-of-flow>.
const INTERACTION: [&str; 3] = ["interaction_required", "login_required", "consent_required"];
/// The same, where the error is `invalid_grant`: more proof, consent, a new password, a sign-in that has become too old.
///
/// Source: <https://learn.microsoft.com/entra/identity-platform/reference-error-codes>.
const INTERACTION_CODES: [u32; 14] =
    [50055, 50072, 50074, 50076, 50078, 50079, 50132, 50133, 50158, 50173, 65001, 70043, 70044, 700_082];

/// The error of a grant that is refused, and of much else.
///
/// Source: RFC 6749, section 5.2.
const GRANT: &str = "invalid_grant";

/// Whether `invalid_grant` is about what was asked for: the client asks in a loop, the person is not known in the tenant or not
/// assigned to the application, or a policy forbids it.
///
/// Source: <https://learn.microsoft.com/entra/identity-platform/reference-error-codes>.
fn is_of_resource(code: u32) -> bool {
    matches!(code, LOOP | 50_020 | 50_034 | 50_105 | 90_072 | 53_000..=53_011 | 530_031..=530_039)
}

/// Of [`INTERACTION_CODES`], those by which a sign-in has come to its end: it was revoked, or has become too old.
///
/// Source: the same.
fn is_end_of_session(code: u32) -> bool {
    matches!(code, 50_132 | 50_133 | 50_173 | 70_043 | 70_044 | 700_082)
}

/// `AADSTS50196`: the service detected a client that asks in a loop.
pub(crate) const LOOP: u32 = 50_196;
/// How long such a client is kept from asking. Source: our choice.
pub(crate) const LOOP_PAUSE: Duration = Duration::from_secs(300);
