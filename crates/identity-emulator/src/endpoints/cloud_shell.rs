//! Azure Cloud Shell.

use super::{Grant, NOT_FOUND, Outcome, Parameters, Refusal, require_metadata_header, sole_header};
use crate::record::Request;
use crate::shared::Shared;
use crate::text::decode_form;

pub(super) fn decide<'a>(shared: &'a Shared, request: &Request) -> Result<Outcome<'a>, Refusal> {
    if request.path != request.source.token_path() {
        return Err(Refusal::new(404, "not_found", "Not found"));
    }
    if request.method != "POST" {
        return Err(Refusal::new(405, "method_not_allowed", "The HTTP method is not allowed"));
    }
    require_metadata_header(request)?;
    let media_type = sole_header(request, "content-type").unwrap_or_default();
    let media_type = media_type.split(';').next().unwrap_or_default().trim();
    if !media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Err(Refusal::invalid_request("The body must be a form"));
    }
    let form = std::str::from_utf8(&request.body)
        .ok()
        .and_then(decode_form)
        .ok_or_else(|| Refusal::invalid_request("The form cannot be decoded"))?;
    let parameters = Parameters(&form);
    let resource = parameters.resource(shared)?;
    // There is one identity, that of the person at the shell, and no way to ask for another.
    let (identity, _) = parameters.identity(shared, &[], NOT_FOUND)?;
    Ok(Outcome::Token(Grant { identity, resource, named: Vec::new(), unwanted: None }))
}
