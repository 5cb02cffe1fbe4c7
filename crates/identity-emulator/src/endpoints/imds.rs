//! The Instance Metadata Service.

use serde_json::json;

use super::{Grant, NOT_FOUND, Outcome, Parameters, Refusal, require_metadata_header};
use crate::identity::{IdKind, MACHINE_RESOURCE_ID, SUBSCRIPTION_ID};
use crate::record::Request;
use crate::shared::Shared;

/// Source: "How to use managed identities on an Azure VM to acquire an access token" (2018-02-01);
/// the official Rust SDK asks with 2019-08-01.
const TOKEN_VERSIONS: &[&str] = &["2018-02-01", "2019-08-01"];
/// Source: "Azure Instance Metadata Service", supported API versions; those that SDKs ask with.
const INSTANCE_VERSIONS: &[&str] =
    &["2019-08-01", "2019-11-01", "2020-06-01", "2020-09-01", "2021-01-01", "2021-02-01"];
const SELECTORS: &[(&str, IdKind)] =
    &[("client_id", IdKind::Client), ("object_id", IdKind::Object), ("msi_res_id", IdKind::Resource)];
const LOCATION: &str = "westeurope";

pub(super) fn decide<'a>(shared: &'a Shared, request: &Request) -> Result<Outcome<'a>, Refusal> {
    if let Some(rest) = request.path.strip_prefix("/metadata/instance/compute") {
        return instance(request, rest);
    }
    // 2026-11: the official JavaScript SDK (msal-node 7.2.1) ends the path with a slash.
    let path = request.path.strip_suffix('/').unwrap_or(&request.path);
    if path != request.source.token_path() {
        return Err(Refusal::new(404, "not_found", "Not found"));
    }
    let parameters = Parameters::of_get(request, &request.path)?;
    require_metadata_header(request)?;
    parameters.api_version(TOKEN_VERSIONS)?;
    let resource = parameters.resource(shared)?;
    let (identity, _) = parameters.identity(shared, SELECTORS, NOT_FOUND)?;
    Ok(Outcome::Token(Grant {
        identity,
        resource,
        named: vec![("client_id", identity.client_id().to_owned())],
        unwanted: None,
    }))
}

fn instance<'a>(request: &Request, rest: &str) -> Result<Outcome<'a>, Refusal> {
    let parameters = Parameters::of_get(request, &request.path)?;
    require_metadata_header(request)?;
    parameters.api_version(INSTANCE_VERSIONS)?;
    let text = parameters.optional("format")? == Some("text");
    match rest {
        "" | "/" if !text => Ok(Outcome::Json(json!({
            "azEnvironment": "AzurePublicCloud",
            "location": LOCATION,
            "name": "emulator",
            "osType": "Linux",
            "resourceGroupName": "emulator",
            "resourceId": MACHINE_RESOURCE_ID,
            "subscriptionId": SUBSCRIPTION_ID,
            "vmId": "7e57ab1e-0000-4000-8000-000000000003",
        }))),
        "/location" if text => Ok(Outcome::Text(LOCATION)),
        "" | "/" | "/location" => Err(Refusal::invalid_request("The format does not fit what is asked")),
        _ => Err(Refusal::new(404, "not_found", "Not found")),
    }
}
