//! The endpoint by which a job of GitHub Actions gets its token.

use serde_json::json;

use super::azure_pipelines::issue;
use super::{Outcome, Refusal, sole_header};
use crate::directory::{GITHUB_ISSUER, GITHUB_SUBJECT};
use crate::record::Request;
use crate::shared::Shared;
use crate::text::decode_form;

/// Source: "OpenID Connect reference", docs.github.com, and the toolkit package `@actions/core`.
pub(super) fn decide<'a>(shared: &'a Shared, request: &Request) -> Result<Outcome<'a>, Refusal> {
    if request.path != request.source.token_path() {
        return Err(Refusal::new(404, "not_found", "Not found"));
    }
    let token = sole_header(request, "authorization")
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    if token.is_none_or(|(_, token)| token != shared.secrets.github_actions) {
        return Err(Refusal::new(401, "unauthorized", "Access token is invalid or expired"));
    }
    if request.method != "GET" {
        return Err(Refusal::new(405, "method_not_allowed", "The HTTP method is not allowed"));
    }
    if decode_form(&request.raw_query).is_none() || request.query_value("api-version") != Some("2.0") {
        let text = "The query must be that of ACTIONS_ID_TOKEN_REQUEST_URL, with an audience added";
        return Err(Refusal::new(400, "bad_request", text));
    }
    let audience = request.query_value("audience").unwrap_or("https://github.com/contoso");
    let claims = json!({
        "iss": GITHUB_ISSUER,
        "sub": GITHUB_SUBJECT,
        "aud": audience,
        "jti": request.trace_id,
        "ref": "refs/heads/main",
        "repository": "contoso/emulator",
        "repository_owner": "contoso",
        "event_name": "push",
    });
    let mut issue = issue(claims, "value", serde_json::Map::new(), 300);
    // The real one says how long the token is; nobody is known to read it.
    issue.fields.insert("count".to_owned(), 1.into());
    Ok(Outcome::Issue(Box::new(issue)))
}
