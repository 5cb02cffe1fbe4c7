//! Errors as Entra words them.

use serde_json::{Map, Value, json};

use crate::endpoints::Refusal;
use crate::record::Request;
use crate::shared::Shared;
use crate::text::{Calendar, epoch_seconds};

/// What Entra's errors have and others do not.
#[derive(Debug, Default)]
pub(crate) struct Detail {
    pub(crate) code: Option<u32>,
    pub(crate) suberror: Option<&'static str>,
    pub(crate) claims: Option<String>,
    /// Headers of the answer; other services use this too.
    pub(crate) headers: Vec<(String, String)>,
}

/// The refusal with that code; the status and the class of an error follow from the code.
pub(crate) fn known(code: u32, text: impl Into<String>) -> Refusal {
    let (status, error, suberror) = class(code);
    let mut refusal = Refusal::new(status, error, text);
    refusal.detail = Box::new(Detail { code: Some(code), suberror, ..Detail::default() });
    refusal
}

/// The refusal with that code and a text that fits any request.
pub(crate) fn canned(code: u32) -> Refusal {
    let text =
        TEXTS.iter().find(|(known, _)| *known == code).map_or("The emulator was told to answer so.", |row| row.1);
    let mut refusal = known(code, text);
    if code == 53003 || code == 50076 {
        refusal.detail.claims = Some(policy_claims());
    }
    refusal
}

/// The claims that a client has to hand back after a policy stopped it.
fn policy_claims() -> String {
    json!({ "access_token": { "capolids": { "essential": true, "values": ["7e57ab1e-0000-4000-8000-0000000000ca"] } } })
        .to_string()
}

/// The body of an error, in the shape of Entra, or of AD FS below its path.
pub(crate) fn body(shared: &Shared, request: &Request, refusal: &Refusal) -> Value {
    if request.path.starts_with("/adfs/") {
        let text = match refusal.code {
            "invalid_client" => format!("MSIS9622: Client authentication failed. {}", refusal.message),
            "unsupported_grant_type" => format!("MSIS9611: {}", refusal.message),
            _ => format!("MSIS9605: {}", refusal.message),
        };
        return json!({ "error": refusal.code, "error_description": text });
    }
    let now = Calendar::from_epoch(epoch_seconds(shared.now(request.source))).entra_timestamp();
    let trace = &request.trace_id;
    let correlation = request.correlation_id();
    let mut body = Map::new();
    body.insert("error".to_owned(), refusal.code.into());
    let text = match refusal.detail.code {
        Some(code) => format!(
            "AADSTS{code}: {} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {now}",
            refusal.message
        ),
        None => refusal.message.clone(),
    };
    body.insert("error_description".to_owned(), text.into());
    body.insert("error_codes".to_owned(), refusal.detail.code.into_iter().collect());
    body.insert("timestamp".to_owned(), now.into());
    body.insert("trace_id".to_owned(), trace.clone().into());
    body.insert("correlation_id".to_owned(), correlation.into());
    if let Some(code) = refusal.detail.code {
        let host = request.header("host").unwrap_or("localhost");
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

/// The status, the OAuth error and the suberror that come with a code.
///
/// Source: "Microsoft Entra authentication and authorization error codes", learn.microsoft.com, and error bodies in
/// public bug reports.
fn class(code: u32) -> (u16, &'static str, Option<&'static str>) {
    match code {
        50012
        | 50027
        | 700_021
        | 700_024
        | 700_025
        | 700_027
        | 700_030
        | 700_211..=700_213
        | 5_002_738
        | 7_000_215
        | 7_000_218
        | 7_000_222 => (401, "invalid_client", None),
        700_016 | 7_000_112 => (400, "unauthorized_client", None),
        70003 => (400, "unsupported_grant_type", None),
        28000 | 70011 | 1_002_012 => (400, "invalid_scope", None),
        500_011 => (400, "invalid_resource", None),
        50049 => (400, "invalid_instance", None),
        53003 => (400, "invalid_grant", Some("message_only")),
        65001 => (400, "invalid_grant", Some("consent_required")),
        50173 => (400, "invalid_grant", Some("bad_token")),
        50076 | 50079 => (400, "interaction_required", Some("basic_action")),
        50196 | 70000 | 70008 | 70043 | 500_133 | 50126 | 50034 | 501_051 | 700_082 => (400, "invalid_grant", None),
        90033 => (503, "temporarily_unavailable", None),
        90055 => (429, "temporarily_unavailable", None),
        50000 | 90000 => (500, "server_error", None),
        _ => (400, "invalid_request", None),
    }
}

/// What canned answers say.
const TEXTS: &[(u32, &str)] = &[
    (50012, "The audience claim of the client assertion does not match the realm issuer."),
    (50027, "JWT token is invalid or malformed."),
    (
        50076,
        "Due to a configuration change made by your administrator, or because you moved to a new location, you must use multi-factor authentication to access the resource.",
    ),
    (50196, "The server terminated an operation because it encountered a client request loop."),
    (53003, "Access has been blocked by Conditional Access policies. The access policy does not allow token issuance."),
    (
        65001,
        "The user or administrator has not consented to use the application. Send an interactive authorization request for this user and resource.",
    ),
    (70011, "The provided value for the input parameter 'scope' is not valid."),
    (
        90002,
        "Tenant not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud.",
    ),
    (90033, "A transient error has occurred. Please try again."),
    (90055, "The server has terminated the request because there are too many of them."),
    (500_011, "The resource principal was not found in the tenant."),
    (700_016, "Application was not found in the directory."),
    (700_024, "Client assertion is not within its valid time range."),
    (700_027, "Client assertion failed signature validation."),
    (700_211, "No matching federated identity record found for presented assertion issuer."),
    (700_212, "No matching federated identity record found for presented assertion audience."),
    (700_213, "No matching federated identity record found for presented assertion subject."),
    (7_000_112, "Application is disabled."),
    (
        7_000_215,
        "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID.",
    ),
    (7_000_218, "The request body must contain the following parameter: 'client_assertion' or 'client_secret'."),
    (7_000_222, "The provided client secret keys are expired."),
];
