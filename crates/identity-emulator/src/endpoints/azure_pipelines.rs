//! The endpoint by which a job of Azure Pipelines gets a token of its service connection.

use serde_json::{Map, Value, json};

use super::{Outcome, Refusal, sole_header};
use crate::directory::{PIPELINES_ISSUER, PIPELINES_SUBJECT, SERVICE_CONNECTION_ID};
use crate::entra::{EXCHANGE_AUDIENCE, Issue};
use crate::record::Request;
use crate::shared::Shared;
use crate::text::decode_form;

/// Source: "Oidctoken - Create", Azure DevOps REST API 7.1; azure-identity 1.27.0, `_credentials/azure_pipelines.py`.
pub(super) fn decide<'a>(shared: &'a Shared, request: &Request) -> Result<Outcome<'a>, Refusal> {
    if request.path != request.source.token_path() {
        return Err(Refusal::new(404, "VssResourceNotFoundException", "There is no such resource."));
    }
    let token = sole_header(request, "authorization").and_then(|value| value.strip_prefix("Bearer "));
    if token != Some(shared.secrets.azure_pipelines.as_str()) {
        return Err(sign_in(request));
    }
    if request.method != "POST" {
        return Err(Refusal::new(405, "VssRequestMethodNotAllowedException", "The HTTP method is not allowed."));
    }
    if decode_form(&request.raw_query).is_none() {
        return Err(Refusal::new(400, "VssPropertyValidationException", "The query cannot be decoded."));
    }
    let version = request.query_value("api-version").unwrap_or_default();
    if version != "7.1" && !version.starts_with("7.1-preview") {
        let text = format!("The api-version '{version}' is missing or not supported; use 7.1.");
        return Err(Refusal::new(400, "VssVersionNotSpecifiedException", text));
    }
    let media_type = request.header("content-type").unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if media_type != "application/json" {
        return Err(Refusal::new(415, "VssUnsupportedMediaTypeException", "Send application/json."));
    }
    match request.query_value("serviceConnectionId") {
        Some(id) if id.eq_ignore_ascii_case(SERVICE_CONNECTION_ID) => {}
        Some(id) => {
            let text = format!("The service connection {id} was not found.");
            return Err(Refusal::new(404, "ServiceEndpointNotFoundException", text));
        }
        None => {
            let text = "The parameter serviceConnectionId is missing.";
            return Err(Refusal::new(400, "VssPropertyValidationException", text));
        }
    }
    let claims = json!({
        "iss": PIPELINES_ISSUER,
        "sub": PIPELINES_SUBJECT,
        "aud": EXCHANGE_AUDIENCE,
        "jti": request.trace_id,
        "org_id": PIPELINES_ISSUER.rsplit('/').next(),
        "prj_id": "7e57ab1e-0000-4000-8000-0000000000a1",
    });
    Ok(Outcome::Issue(Box::new(issue(claims, "oidcToken", Map::new(), 600))))
}

/// An answer that consists of a token.
pub(super) fn issue(claims: Value, token_field: &'static str, fields: Map<String, Value>, lifetime_secs: i64) -> Issue {
    let claims = if let Value::Object(claims) = claims { claims } else { Map::new() };
    Issue { claims, token_field, id_token: None, fields, lifetime_secs }
}

/// Whoever is not signed in goes to a page for people, unless they ask not to.
fn sign_in(request: &Request) -> Refusal {
    let text = "TF400813: The user is not authorized to access this resource.";
    let suppressed =
        request.header("x-tfs-fedauthredirect").is_some_and(|value| value.eq_ignore_ascii_case("suppress"));
    let (status, header) = if suppressed {
        (401, ("WWW-Authenticate", "Bearer authorization_uri=https://login.windows.net/common"))
    } else {
        (302, ("Location", "https://spsprodweu1.vssps.visualstudio.com/_signin?realm=dev.azure.com"))
    };
    let mut refusal = Refusal::new(status, "UnauthorizedRequestException", text);
    refusal.detail.headers.push((header.0.to_owned(), header.1.to_owned()));
    refusal
}
