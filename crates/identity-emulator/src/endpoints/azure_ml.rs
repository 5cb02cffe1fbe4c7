//! A compute instance of Azure Machine Learning.

use super::{Grant, NOT_FOUND, Outcome, Parameters, Refusal, sole_header};
use crate::identity::IdKind;
use crate::record::Request;
use crate::shared::Shared;

/// Source: azure-identity 1.27.0, `_credentials/azure_ml.py`; the service has no public reference.
const VERSIONS: &[&str] = &["2017-09-01"];
/// The service knows no other way to name an identity.
const SELECTORS: &[(&str, IdKind)] = &[("clientid", IdKind::Client)];

pub(super) fn decide<'a>(shared: &'a Shared, request: &Request) -> Result<Outcome<'a>, Refusal> {
    let parameters = Parameters::of_token_request(request)?;
    if sole_header(request, "secret") != Some(&shared.secrets.azure_ml) {
        return Err(Refusal::new(401, "unauthorized", "The secret header is missing or wrong"));
    }
    parameters.api_version(VERSIONS)?;
    let resource = parameters.resource(shared)?;
    let (identity, _) = parameters.identity(shared, SELECTORS, NOT_FOUND)?;
    Ok(Outcome::Token(Grant {
        identity,
        resource,
        named: vec![("client_id", identity.client_id().to_owned())],
        unwanted: None,
    }))
}
