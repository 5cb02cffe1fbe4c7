//! From a decision and a plan to the bytes of an answer.

use std::io;
use std::time::SystemTime;

use serde_json::{Map, Value};

use crate::answer::{ExpiryFormat, Plan};
use crate::arm;
use crate::endpoints::{Grant, Outcome, Refusal, decide};
use crate::entra::{Issue, canned, page_headers};
use crate::gzip;
use crate::lock;
use crate::record::Request;
use crate::shared::Shared;
use crate::source::Source;
use crate::text::{Calendar, epoch_seconds};

/// An answer, ready to be sent.
#[derive(Debug, Default)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// Letters of a giant token that belong into the body at this place.
    pub(crate) filling: Option<Filling>,
    /// Bytes to send instead of everything else.
    pub(crate) raw: Option<Vec<u8>>,
}

/// So many letters that are not worth holding in memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Filling {
    pub(crate) at: usize,
    pub(crate) len: u64,
}

/// Works out the answer to a request.
pub(crate) fn reply(shared: &Shared, request: &Request, plan: &Plan) -> Reply {
    let mut reply = Reply::default();
    if let Some(raw) = &plan.raw {
        reply.raw = Some(with_token(shared, request, plan, raw));
    } else if let Some(code) = plan.entra_error {
        let refusal = canned(code);
        reply.status = plan.status.unwrap_or(refusal.status);
        reply.headers.extend(refusal.detail.headers.iter().cloned());
        reply.body = json_body(&refusal.body(shared, request));
    } else if let Some(status) = plan.status {
        reply.status = status;
        reply.body = match &plan.body {
            Some(body) => with_token(shared, request, plan, body),
            None => {
                let refusal = Refusal::new(status, "fault", "The emulator was told to answer so");
                json_body(&refusal.body(shared, request))
            }
        };
    } else {
        real(shared, request, plan, &mut reply);
    }
    if reply.raw.is_some() {
        return reply;
    }
    if reply.body.last() == Some(&b'}')
        && let Some(depth) = plan.deep
    {
        let depth = depth.min(MAX_DEPTH) as usize;
        reply.body.pop();
        reply.body.extend_from_slice(b",\"unknown\":");
        reply.body.resize(reply.body.len() + depth, b'[');
        reply.body.resize(reply.body.len() + depth, b']');
        reply.body.push(b'}');
    }
    if plan.gzip {
        reply.body = gzip::store(&reply.body);
        reply.headers.push(("Content-Encoding".to_owned(), "gzip".to_owned()));
    }
    if request.source.is_authority() {
        authority_headers(request, &mut reply);
    }
    let now = epoch_seconds(shared.now(request.source));
    if plan.date_skew_secs != 0 || (request.source.is_authority() && shared.settings().skew_secs != 0) {
        // The year stays one of four digits.
        let moved = now.saturating_add(plan.date_skew_secs).clamp(0, 253_402_300_799);
        reply.headers.push(("Date".to_owned(), Calendar::from_epoch(moved).http_date()));
    }
    if !has_header(&reply.headers, "content-type") {
        reply.headers.push(("Content-Type".to_owned(), JSON.to_owned()));
    }
    for (name, _) in &plan.headers {
        reply.headers.retain(|(other, _)| !other.eq_ignore_ascii_case(name));
    }
    reply.headers.extend(plan.headers.iter().cloned());
    reply
}

/// The answer of the service, its token bent as the plan says.
fn real(shared: &Shared, request: &Request, plan: &Plan, reply: &mut Reply) {
    reply.status = 200;
    match decide(shared, request) {
        outcome @ (Outcome::Token(_) | Outcome::Issue(_)) => match issued(shared, request, plan, &outcome) {
            Ok((body, token)) => {
                reply.body = match &plan.body {
                    Some(text) => text.replace("{token}", &token).into_bytes(),
                    None => body,
                };
                if let Some(len) = plan.giant {
                    let place = reply.body.windows(token.len()).position(|part| part == token.as_bytes());
                    reply.filling = place.map(|at| Filling { at, len: len.saturating_sub(token.len() as u64) });
                }
            }
            Err(error) => {
                let refusal = Refusal::new(500, "internal_error", error.to_string());
                reply.status = 500;
                reply.body = json_body(&refusal.body(shared, request));
            }
        },
        Outcome::Json(value) => reply.body = json_body(&value),
        Outcome::Text(text) => {
            reply.headers.push(plain_text());
            reply.body = text.into();
        }
        Outcome::Xml(status, text) => {
            reply.status = status;
            reply.headers.push(("Content-Type".to_owned(), "application/soap+xml; charset=utf-8".to_owned()));
            reply.body = text.into();
        }
        Outcome::Page(page) => {
            reply.status = page.status;
            reply.headers.extend(page_headers());
            reply.body = page.html.into();
        }
        Outcome::Redirect(location) => {
            reply.status = 302;
            reply.headers.extend(page_headers());
            reply.headers.push(("Location".to_owned(), location));
        }
        Outcome::Challenge(realm) => {
            reply.status = 401;
            reply.headers.push(("WWW-Authenticate".to_owned(), format!("Basic realm={realm}")));
            let refusal = Refusal::new(401, "unauthorized", "Answer the challenge with the content of the file");
            reply.body = json_body(&refusal.body(shared, request));
        }
        Outcome::Refusal(refusal) => {
            reply.status = refusal.status;
            reply.headers.extend(refusal.detail.headers.iter().cloned());
            reply.body = match refusal.detail.plain {
                Some(text) => {
                    reply.headers.push(plain_text());
                    text.into()
                }
                None => json_body(&refusal.body(shared, request)),
            };
        }
    }
}

/// The text with `{token}` replaced by a token for what was asked; by nothing if none is due.
fn with_token(shared: &Shared, request: &Request, plan: &Plan, text: &str) -> Vec<u8> {
    if !text.contains("{token}") {
        return text.into();
    }
    let token = issued(shared, request, plan, &decide(shared, request)).unwrap_or_default();
    text.replace("{token}", &token.1).into_bytes()
}

/// The JSON of a token answer, and the token in it; both are empty if none is due.
fn issued(shared: &Shared, request: &Request, plan: &Plan, outcome: &Outcome<'_>) -> io::Result<(Vec<u8>, String)> {
    match outcome {
        Outcome::Token(grant) => token_body(shared, request.source, plan, grant),
        Outcome::Issue(issue) => issue_body(shared, request.source, plan, issue),
        _ => Ok((Vec::new(), String::new())),
    }
}

/// What Entra sends with every answer.
fn authority_headers(request: &Request, reply: &mut Reply) {
    let is_for_one = arm::is_at(&request.path)
        || ["/token", "/token/", "/authorize", "/usernamemixed"].iter().any(|end| request.path.ends_with(end));
    let is_document = !is_for_one && (200..=299).contains(&reply.status);
    let caching = if is_document { "max-age=86400, private" } else { "no-store, no-cache" };
    reply.headers.push(("Cache-Control".to_owned(), caching.to_owned()));
    if !is_document {
        reply.headers.push(("Pragma".to_owned(), "no-cache".to_owned()));
    }
    reply.headers.push(("x-ms-request-id".to_owned(), request.trace_id.clone()));
    if request.header("return-client-request-id").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        reply.headers.push(("client-request-id".to_owned(), request.correlation_id().to_owned()));
    }
}

/// The JSON of an answer of Entra, or of an issuer that it trusts, and the token in it.
fn issue_body(shared: &Shared, source: Source, plan: &Plan, issue: &Issue) -> io::Result<(Vec<u8>, String)> {
    let settings = shared.settings();
    let now = epoch_seconds(shared.now(source));
    let lifetime = plan.lifetime_secs.unwrap_or(issue.lifetime_secs);
    let expires = now.saturating_add(lifetime);
    let token = shared.signer.sign_issue(&issue.claims, now, expires)?;
    let mut fields = issue.fields.clone();
    fields.insert(issue.token_field.to_owned(), token.clone().into());
    if let Some(claims) = &issue.id_token {
        fields.insert("id_token".to_owned(), shared.signer.sign_issue(claims, now, expires)?.into());
    }
    if source.is_authority() {
        let usual = if settings.expires_in_text { ExpiryFormat::Text } else { ExpiryFormat::Number };
        let expires_in = seconds_format(plan.expires_in.unwrap_or(usual));
        let half = (lifetime >= LONG_LIFETIME_SECS).then_some(lifetime / 2);
        let refresh_in = plan.refresh_in_secs.or(settings.refresh_in_secs).or(half);
        let times = [
            ("expires_in", expires_in, Some(lifetime)),
            ("ext_expires_in", usual, Some(lifetime)),
            ("expires_on", plan.expires_on.unwrap_or(ExpiryFormat::Absent), Some(expires)),
            ("refresh_in", usual, refresh_in),
        ];
        for (name, format, seconds) in times {
            if let Some(value) = seconds.and_then(|seconds| expiry(seconds, format)) {
                fields.insert(name.to_owned(), value);
            }
        }
    }
    Ok((json_body(&Value::Object(bent(fields, plan))), token))
}

/// The fields of a token answer as the plan wants them.
fn bent(mut fields: Map<String, Value>, plan: &Plan) -> Map<String, Value> {
    for (name, value) in &plan.fields {
        fields.insert(name.clone(), value.clone());
    }
    for name in &plan.omit {
        fields.remove(name);
    }
    fields
}

/// The forms that a number of seconds can have which is no point in time.
fn seconds_format(format: ExpiryFormat) -> ExpiryFormat {
    match format {
        ExpiryFormat::Absent | ExpiryFormat::Number | ExpiryFormat::Fraction => format,
        _ => ExpiryFormat::Text,
    }
}

/// The JSON of a token answer, and the token in it.
fn token_body(shared: &Shared, source: Source, plan: &Plan, grant: &Grant<'_>) -> io::Result<(Vec<u8>, String)> {
    let now = SystemTime::now();
    let now_secs = epoch_seconds(now);
    let lifetime = plan.lifetime_secs.unwrap_or(shared.lifetime_secs);
    let keeps = source == Source::ServiceFabric && plan.keeps_token();
    let kept = if keeps { lock(&shared.fabric_tokens).find(grant, now_secs) } else { None };
    let (token, expires) = match kept {
        Some(kept) => kept,
        None => {
            let expires = now_secs.saturating_add(lifetime);
            let token = shared.signer.sign(grant.identity, &grant.resource, now, expires)?;
            if keeps {
                lock(&shared.fabric_tokens).keep(grant, &token, expires);
            }
            (token, expires)
        }
    };
    let style = Style::of(source);
    let mut fields = Map::new();
    fields.insert("access_token".to_owned(), token.clone().into());
    for (name, value) in &grant.named {
        fields.insert((*name).to_owned(), value.clone().into());
    }
    let expires_in = seconds_format(plan.expires_in.unwrap_or(style.expires_in));
    let refresh_in =
        seconds_format(if style.expires_in == ExpiryFormat::Absent { style.expires_on } else { style.expires_in });
    let times = [
        ("expires_in", expires_in, Some(expires.saturating_sub(now_secs))),
        ("ext_expires_in", style.extended, Some(expires.saturating_sub(now_secs))),
        ("expires_on", plan.expires_on.unwrap_or(style.expires_on), Some(expires)),
        ("not_before", style.extended, Some(now_secs.saturating_sub(300))),
        ("refresh_in", refresh_in, plan.refresh_in_secs),
    ];
    for (name, format, seconds) in times {
        if let Some(value) = seconds.and_then(|seconds| expiry(seconds, format)) {
            fields.insert(name.to_owned(), value);
        }
    }
    fields.insert("resource".to_owned(), grant.resource.clone().into());
    fields.insert("token_type".to_owned(), "Bearer".into());
    Ok((json_body(&Value::Object(bent(fields, plan))), token))
}

/// How a source writes its times.
struct Style {
    expires_in: ExpiryFormat,
    expires_on: ExpiryFormat,
    /// The form of `ext_expires_in` and `not_before`.
    extended: ExpiryFormat,
}

impl Style {
    fn of(source: Source) -> Self {
        use ExpiryFormat::{Absent, Number, Text};
        let (expires_in, expires_on, extended) = match source {
            Source::Imds | Source::AzureArc | Source::CloudShell => (Text, Text, Text),
            Source::AppService | Source::AzureMl => (Absent, Text, Absent),
            Source::ServiceFabric => (Absent, Number, Absent),
            // They have no grants of a managed identity.
            _ => (Number, Absent, Number),
        };
        Self { expires_in, expires_on, extended }
    }
}

fn expiry(seconds: i64, format: ExpiryFormat) -> Option<Value> {
    let Calendar { year, month, day, hour, minute, second, .. } = Calendar::from_epoch(seconds);
    Some(match format {
        ExpiryFormat::Absent => return None,
        ExpiryFormat::Number => seconds.into(),
        ExpiryFormat::Text => seconds.to_string().into(),
        #[expect(clippy::cast_precision_loss, reason = "seconds of any real date fit")]
        ExpiryFormat::Fraction => (seconds as f64 + 0.75).into(),
        ExpiryFormat::UsDate => {
            format!("{month:02}/{day:02}/{year:04} {hour:02}:{minute:02}:{second:02} +00:00").into()
        }
        ExpiryFormat::UsDateAmPm => format!("{} +00:00", Calendar::from_epoch(seconds).us_date()).into(),
        ExpiryFormat::UsDateWithoutZone => {
            format!("{month:02}/{day:02}/{year:04} {hour:02}:{minute:02}:{second:02}").into()
        }
        ExpiryFormat::IsoWithSpace => format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}").into(),
        ExpiryFormat::Rfc3339 => format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z").into(),
    })
}

fn plain_text() -> (String, String) {
    ("Content-Type".to_owned(), "text/plain; charset=utf-8".to_owned())
}

pub(crate) fn json_body(value: &Value) -> Vec<u8> {
    value.to_string().into_bytes()
}

pub(crate) fn has_header(headers: &[(String, String)], name: &str) -> bool {
    headers.iter().any(|(other, _)| other.eq_ignore_ascii_case(name))
}

/// From this lifetime on Entra says when to refresh.
const LONG_LIFETIME_SECS: i64 = 7_200;

/// Arrays that a deep field nests at most.
const MAX_DEPTH: u32 = 1_000_000;

pub(crate) const JSON: &str = "application/json; charset=utf-8";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_expiry_format_is_as_documented() {
        use ExpiryFormat::*;
        for (format, expected) in [
            (Number, "1795412345"),
            (Text, "\"1795412345\""),
            (Fraction, "1795412345.75"),
            (UsDate, "\"11/23/2026 05:39:05 +00:00\""),
            (UsDateAmPm, "\"11/23/2026 5:39:05 AM +00:00\""),
            (UsDateWithoutZone, "\"11/23/2026 05:39:05\""),
            (IsoWithSpace, "\"2026-11-23 05:39:05\""),
            (Rfc3339, "\"2026-11-23T05:39:05Z\""),
        ] {
            assert_eq!(expiry(1_795_412_345, format).unwrap().to_string(), expected);
        }
        assert_eq!(expiry(0, Absent), None);
        assert_eq!(expiry(0, UsDateAmPm).unwrap(), "1/1/1970 12:00:00 AM +00:00");
        assert_eq!(expiry(43_200, UsDateAmPm).unwrap(), "1/1/1970 12:00:00 PM +00:00");
    }
}
