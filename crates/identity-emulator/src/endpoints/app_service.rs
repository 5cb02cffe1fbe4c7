//! App Service, Functions and Container Apps.

use super::{Grant, Outcome, Parameters, Refusal, sole_header};
use crate::identity::IdKind;
use crate::record::Request;
use crate::shared::Shared;

/// Source: "How to use managed identities for App Service and Azure Functions", REST endpoint reference.
const VERSIONS: &[&str] = &["2019-08-01"];
const SELECTORS: &[(&str, IdKind)] = &[
    ("client_id", IdKind::Client),
    ("object_id", IdKind::Object),
    ("principal_id", IdKind::Object),
    ("mi_res_id", IdKind::Resource),
];
const NOT_FOUND: &str =
    "No User Assigned or Delegated Managed Identity found for specified ClientId/ResourceId/PrincipalId.";

pub(super) fn decide<'a>(shared: &'a Shared, request: &Request) -> Result<Outcome<'a>, Refusal> {
    let parameters = Parameters::of_token_request(request)?;
    if sole_header(request, "x-identity-header") != Some(&shared.secrets.identity_header) {
        return Err(Refusal::new(401, "unauthorized", "X-IDENTITY-HEADER is missing or wrong"));
    }
    parameters.api_version(VERSIONS)?;
    let resource = parameters.resource(shared)?;
    let (identity, _) = parameters.identity(shared, SELECTORS, NOT_FOUND)?;
    Ok(Outcome::Token(Grant {
        identity,
        resource,
        // App Service writes it in capitals.
        named: vec![("client_id", identity.client_id().to_uppercase())],
        unwanted: None,
    }))
}
