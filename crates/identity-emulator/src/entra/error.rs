//! Errors as Entra words them.

use serde_json::{Map, Value, json};

use crate::arm;
use crate::endpoints::Refusal;
use crate::entra::claims::policy_claims;
use crate::entra::codes::{self, BUSY};
use crate::entra::discovery::own_host;
use crate::record::Request;
use crate::shared::Shared;
use crate::source::Source;
use crate::text::{Calendar, epoch_seconds};

/// What Entra's errors have and others do not.
#[derive(Debug, Default)]
pub(crate) struct Detail {
    pub(crate) code: Option<u32>,
    pub(crate) suberror: Option<&'static str>,
    pub(crate) claims: Option<String>,
    /// The whole body, in place of JSON.
    pub(crate) plain: Option<&'static str>,
    /// Headers of the answer; other services use this too.
    pub(crate) headers: Vec<(String, String)>,
}

/// The refusal with that code; the status and the class of an error follow from the code.
pub(crate) fn known(code: u32, text: impl Into<String>) -> Refusal {
    let Some(row) = codes::find(code) else {
        return Refusal::new(
            501,
            "unknown_code",
            format!("The emulator does not know how Entra answers with AADSTS{code}: say it by a status and a body"),
        );
    };
    let mut refusal = Refusal::new(row.status, row.error, text);
    refusal.detail = Box::new(Detail { code: Some(code), suberror: row.suberror, ..Detail::default() });
    refusal
}

/// The refusal with that code and a text that fits any request.
pub(crate) fn canned(code: u32) -> Refusal {
    let mut refusal = known(code, codes::find(code).map_or("", |row| row.text));
    match code {
        50076 | 53003 => refusal.detail.claims = Some(policy_claims()),
        90055 => refusal.detail.headers.push(("Retry-After".to_owned(), WAIT_SECS.to_owned())),
        _ => {}
    }
    refusal
}

/// The refusal of an application that asks for the same token again and again: no JSON, and no code.
///
/// Source: AzureAD/microsoft-authentication-library-for-dotnet, issue 2855.
pub(crate) fn too_many_requests() -> Refusal {
    let mut refusal = Refusal::new(429, BUSY, TOO_MANY);
    refusal.detail.plain = Some(TOO_MANY);
    refusal.detail.headers.push(("Retry-After".to_owned(), WAIT_SECS.to_owned()));
    refusal
}

/// The refusal of what the real service does and the emulator does not.
pub(crate) fn not_played(what: &str) -> Refusal {
    Refusal::new(501, "not_emulated", format!("The emulator does not play {what} yet"))
}

/// The body of an error, in the shape of Entra, or of AD FS or Azure Resource Manager at their paths.
pub(crate) fn body(shared: &Shared, request: &Request, refusal: &Refusal) -> Value {
    if request.path.starts_with("/adfs/") {
        let text = match refusal.code {
            "invalid_client" => format!("MSIS9622: Client authentication failed. {}", refusal.message),
            "unsupported_grant_type" => format!("MSIS9611: {}", refusal.message),
            _ => format!("MSIS9605: {}", refusal.message),
        };
        return json!({ "error": refusal.code, "error_description": text });
    }
    if request.source == Source::Entra && arm::is_at(&request.path) {
        return arm::body(refusal);
    }
    let now = Calendar::from_epoch(epoch_seconds(shared.now(request.source))).entra_timestamp();
    let trace = &request.trace_id;
    let correlation = request.correlation_id();
    let mut body = Map::new();
    body.insert("error".to_owned(), refusal.code.into());
    body.insert("error_description".to_owned(), described(shared, request, refusal).into());
    body.insert("error_codes".to_owned(), refusal.detail.code.into_iter().collect());
    body.insert("timestamp".to_owned(), now.into());
    body.insert("trace_id".to_owned(), trace.clone().into());
    body.insert("correlation_id".to_owned(), correlation.into());
    if let Some(code) = refusal.detail.code {
        let host = own_host(shared, request);
        body.insert("error_uri".to_owned(), format!("https://{host}/error?code={code}").into());
    }
    if let Some(suberror) = refusal.detail.suberror {
        body.insert("suberror".to_owned(), suberror.into());
    }
    if let Some(claims) = &refusal.detail.claims {
        body.insert("claims".to_owned(), claims.clone().into());
    }
    Value::Object(body)
}

/// What is said of a refusal, with what finds it in a log.
pub(crate) fn described(shared: &Shared, request: &Request, refusal: &Refusal) -> String {
    let Some(code) = refusal.detail.code else { return refusal.message.clone() };
    let now = Calendar::from_epoch(epoch_seconds(shared.now(request.source))).entra_timestamp();
    let (message, trace, correlation) = (&refusal.message, &request.trace_id, request.correlation_id());
    format!("AADSTS{code}: {message} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {now}")
}

/// How long a client has to wait that asks too often, in seconds.
pub(crate) const WAIT_SECS: &str = "60";
const TOO_MANY: &str = "Too Many Requests";
