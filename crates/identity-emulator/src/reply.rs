//! From a decision and a plan to the bytes of an answer.

use std::io;
use std::time::SystemTime;

use serde_json::{Map, Value};

use crate::answer::{ExpiryFormat, Plan};
use crate::endpoints::{Grant, Outcome, Refusal, decide};
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
    } else if let Some(status) = plan.status {
        reply.status = status;
        reply.body = match &plan.body {
            Some(body) => with_token(shared, request, plan, body),
            None => {
                let refusal = Refusal::new(status, "fault", "The emulator was told to answer so");
                json_body(&refusal.body(request.source))
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
    if plan.date_skew_secs != 0 {
        let now = epoch_seconds(SystemTime::now());
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
        Outcome::Token(grant) => match token_body(shared, request.source, plan, &grant) {
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
                reply.body = json_body(&refusal.body(request.source));
            }
        },
        Outcome::Json(value) => reply.body = json_body(&value),
        Outcome::Text(text) => {
            reply.headers.push(("Content-Type".to_owned(), "text/plain; charset=utf-8".to_owned()));
            reply.body = text.into();
        }
        Outcome::Challenge(realm) => {
            reply.status = 401;
            reply.headers.push(("WWW-Authenticate".to_owned(), format!("Basic realm={realm}")));
            let refusal = Refusal::new(401, "unauthorized", "Answer the challenge with the content of the file");
            reply.body = json_body(&refusal.body(request.source));
        }
        Outcome::Refusal(refusal) => {
            reply.status = refusal.status;
            reply.body = json_body(&refusal.body(request.source));
        }
    }
}

/// The text with `{token}` replaced by a token for what was asked; by nothing if none is due.
fn with_token(shared: &Shared, request: &Request, plan: &Plan, text: &str) -> Vec<u8> {
    if !text.contains("{token}") {
        return text.into();
    }
    let token = match decide(shared, request) {
        Outcome::Token(grant) => token_body(shared, request.source, plan, &grant).ok(),
        _ => None,
    };
    text.replace("{token}", &token.unwrap_or_default().1).into_bytes()
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
    let seconds_format = |format| match format {
        ExpiryFormat::Absent | ExpiryFormat::Number | ExpiryFormat::Fraction => format,
        _ => ExpiryFormat::Text,
    };
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
    for (name, value) in &plan.fields {
        fields.insert(name.clone(), value.clone());
    }
    for name in &plan.omit {
        fields.remove(name);
    }
    Ok((json_body(&Value::Object(fields)), token))
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
        ExpiryFormat::UsDateAmPm => {
            let half = if hour < 12 { "AM" } else { "PM" };
            let hour = if hour % 12 == 0 { 12 } else { hour % 12 };
            format!("{month}/{day}/{year:04} {hour}:{minute:02}:{second:02} {half} +00:00").into()
        }
        ExpiryFormat::UsDateWithoutZone => {
            format!("{month:02}/{day:02}/{year:04} {hour:02}:{minute:02}:{second:02}").into()
        }
        ExpiryFormat::IsoWithSpace => format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}").into(),
        ExpiryFormat::Rfc3339 => format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z").into(),
    })
}

pub(crate) fn json_body(value: &Value) -> Vec<u8> {
    value.to_string().into_bytes()
}

pub(crate) fn has_header(headers: &[(String, String)], name: &str) -> bool {
    headers.iter().any(|(other, _)| other.eq_ignore_ascii_case(name))
}

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
