//! The `claims` parameter.

use serde_json::{Value, json};

use crate::endpoints::Refusal;
use crate::entra::known;

/// The client capabilities in the `claims` parameter, which has to be an object of objects.
pub(crate) fn capabilities(claims: Option<&str>) -> Result<Vec<Value>, Refusal> {
    let Some(text) = claims else { return Ok(Vec::new()) };
    let malformed = || known(90100, "The parameter 'claims' is empty or not valid: it must be a JSON object.");
    let Ok(Value::Object(claims)) = serde_json::from_str(text) else { return Err(malformed()) };
    let Some(of_token) = claims.get("access_token") else { return Ok(Vec::new()) };
    let Value::Object(of_token) = of_token else { return Err(malformed()) };
    let values = of_token.get("xms_cc").map(|asked| asked.get("values").and_then(Value::as_array));
    match values {
        None => Ok(Vec::new()),
        Some(None) => Err(malformed()),
        Some(Some(values)) => {
            let known_value = |value: &&Value| value.as_str().is_some_and(|text| text.eq_ignore_ascii_case("cp1"));
            Ok(values.iter().filter(known_value).map(|_| "CP1".into()).take(1).collect())
        }
    }
}

/// The claims that a client has to hand back after a policy stopped it.
pub(crate) fn policy_claims() -> String {
    json!({ "access_token": { "capolids": { "essential": true, "values": [POLICY_ID] } } }).to_string()
}

/// True if the `claims` parameter hands back what [`policy_claims`] demands.
pub(crate) fn satisfy_policy(claims: Option<&str>) -> bool {
    let claims: Option<Value> = claims.and_then(|text| serde_json::from_str(text).ok());
    let values = claims.as_ref().and_then(|claims| claims.pointer("/access_token/capolids/values")?.as_array());
    values.is_some_and(|values| values.iter().any(|value| value == POLICY_ID))
}

/// The policy of Conditional Access that asks for a second factor.
const POLICY_ID: &str = "7e57ab1e-0000-4000-8000-0000000000ca";
