//! The claims that a request asks for.

use identity_core::json;

/// The claims parameter: what the caller passes on, and for callers that handle challenges the capability that says so.
/// `None` if there is nothing to say. `claims` passed [`check::claims`](identity_core::check::claims).
///
/// Source: msal 1.39.0, `application.py` (`_merge_claims_challenge_and_capabilities`).
pub(crate) fn merge(claims: Option<&str>, cae: bool) -> Option<String> {
    match (claims, cae) {
        (claims, false) => claims.map(str::to_owned),
        (None, true) => Some(set("{}", "access_token", &set("{}", "xms_cc", CAPABILITIES))),
        (Some(claims), true) => {
            let mut inner = "{}";
            let _ = json::members(claims.as_bytes(), &mut |name, value| {
                // Of two members of one name the last counts.
                if is(name, "access_token") {
                    inner = if value.starts_with('{') { value } else { "{}" };
                }
            });
            Some(set(claims, "access_token", &set(inner, "xms_cc", CAPABILITIES)))
        }
    }
}

/// The object with one member set; the others stay as they are written.
fn set(object: &str, name: &str, value: &str) -> String {
    let mut out = String::from("{");
    let _ = json::members(object.as_bytes(), &mut |other, kept| {
        if !is(other, name) {
            out.extend(["\"", other, "\":", kept, ","]);
        }
    });
    out.extend(["\"", name, "\":", value, "}"]);
    out
}

/// Whether a name is the one meant, however it is escaped.
fn is(raw: &str, name: &str) -> bool {
    json::unescape(&["\"", raw, "\""].concat()).is_some_and(|text| text == name)
}

/// Handles claims challenges. Source: <https://learn.microsoft.com/entra/identity-platform/claims-challenge>.
const CAPABILITIES: &str = r#"{"values":["CP1"]}"#;

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn claims_and_the_capability_are_merged() {
        let capable = json!({"values": ["CP1"]});
        for (claims, cae, expected) in [
            (None, false, None),
            (Some(r#"{"a":1}"#), false, Some(json!({"a": 1}))),
            (None, true, Some(json!({"access_token": {"xms_cc": capable}}))),
            (Some("{}"), true, Some(json!({"access_token": {"xms_cc": capable}}))),
            (
                Some(r#" {"access_token" : {"nbf":{"essential":true, "value":"1,}\""}} , "id_token":{"x":[1,{}]}}"#),
                true,
                Some(json!({
                    "access_token": {"nbf": {"essential": true, "value": "1,}\""}, "xms_cc": capable},
                    "id_token": {"x": [1, {}]},
                })),
            ),
            (
                Some(r#"{"access_token":{"xms_cc":{"values":["other"]},"\u0078ms_cc":1}}"#),
                true,
                Some(json!({"access_token": {"xms_cc": capable}})),
            ),
            (
                Some(r#"{"\u0061ccess_token":{"nbf":1}}"#),
                true,
                Some(json!({"access_token": {"nbf": 1, "xms_cc": capable}})),
            ),
            (
                Some(r#"{"access_token":{"nbf":1},"access_token":null}"#),
                true,
                Some(json!({"access_token": {"xms_cc": capable}})),
            ),
            (Some(r#"{"access_token":null}"#), true, Some(json!({"access_token": {"xms_cc": capable}}))),
        ] {
            let merged = merge(claims, cae).map(|text| serde_json::from_str::<Value>(&text).unwrap());
            assert_eq!(merged, expected, "{claims:?}");
        }
    }

    #[test]
    fn what_is_passed_on_alone_is_not_touched() {
        let text = "{ \"a\" : 1 }";
        assert_eq!(merge(Some(text), false).as_deref(), Some(text));
    }
}
