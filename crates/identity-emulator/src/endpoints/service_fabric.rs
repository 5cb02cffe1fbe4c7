//! The token service of a Service Fabric cluster.

use std::collections::HashMap;

use super::{Grant, Outcome, Parameters, Refusal, sole_header};
use crate::record::Request;
use crate::shared::Shared;
use crate::token::sha256_hex;

/// Source: "Leverage a Service Fabric application's managed identity to access Azure services".
const VERSIONS: &[&str] = &["2019-07-01-preview"];

pub(super) fn decide<'a>(shared: &'a Shared, request: &Request) -> Result<Outcome<'a>, Refusal> {
    let parameters = Parameters::of_token_request(request)?;
    match sole_header(request, "secret") {
        None => return Err(Refusal::new(400, "SecretHeaderNotFound", "Secret is not found in the request headers.")),
        Some(secret) if secret != shared.secrets.service_fabric => {
            return Err(Refusal::new(
                404,
                "ManagedIdentityNotFound",
                "Managed identity not found for the specified application host.",
            ));
        }
        Some(_) => {}
    }
    parameters.api_version(VERSIONS)?;
    let resource = parameters.resource(shared)?;
    let unwanted = parameters.optional("token_sha256_to_refresh")?;
    if unwanted.is_some_and(|hash| hash.len() != 64 || !hash.bytes().all(|byte| byte.is_ascii_hexdigit())) {
        return Err(Refusal::new(
            400,
            "InvalidArgument",
            "'token_sha256_to_refresh' is not a SHA-256 in hexadecimal digits.",
        ));
    }
    // The secret belongs to one application, whose identity the cluster's configuration names.
    let (identity, _) =
        parameters.identity(shared, &[], "Managed identity not found for the specified application host.")?;
    Ok(Outcome::Token(Grant { identity, resource, named: Vec::new(), unwanted: unwanted.map(str::to_ascii_lowercase) }))
}

/// The tokens that the cluster keeps: a client gets the same one again until it says that it is no good.
#[derive(Default)]
pub(crate) struct TokenStore(HashMap<String, (String, i64)>);

impl TokenStore {
    /// The kept token and its expiry, unless it is unwanted or has less than 30 minutes to live.
    pub(crate) fn find(&self, grant: &Grant<'_>, now: i64) -> Option<(String, i64)> {
        let (token, expires) = self.0.get(&grant.resource)?;
        let unwanted = grant.unwanted.as_ref().is_some_and(|hash| *hash == sha256_hex(token));
        (!unwanted && expires.saturating_sub(now) > 1_800).then(|| (token.clone(), *expires))
    }

    pub(crate) fn keep(&mut self, grant: &Grant<'_>, token: &str, expires: i64) {
        if self.0.len() < MAX_KEPT || self.0.contains_key(&grant.resource) {
            self.0.insert(grant.resource.clone(), (token.to_owned(), expires));
        }
    }
}

/// Kept tokens at most; further resources get a new token each time.
const MAX_KEPT: usize = 256;
