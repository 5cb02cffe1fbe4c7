//! What a token says about itself. Nothing is verified: that is for the resource that the token is for.

use identity_core::{json, text};
use serde_json::{Map, Value};

/// The claims of a signed JSON Web Token; `None` if the token is not one, for tokens need not be.
pub(crate) fn decode(token: &str) -> Option<Map<String, Value>> {
    let mut parts = token.split('.');
    let (_, payload, _, None) = (parts.next()?, parts.next()?, parts.next()?, parts.next()) else { return None };
    let payload = text::base64url_decode(payload)?;
    if !json::is_shallow(&payload) {
        return None;
    }
    serde_json::from_slice(&payload).ok()
}

/// A claim as text, if it is there.
pub(crate) fn text<'a>(claims: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    claims.get(name)?.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    // `printf '{"aud":"x","exp":1}' | basenc --base64url | tr -d =`
    const PAYLOAD: &str = "eyJhdWQiOiJ4IiwiZXhwIjoxfQ";

    #[test]
    fn the_middle_part_is_decoded() {
        let claims = decode(&format!("h.{PAYLOAD}.s")).unwrap();
        assert_eq!((text(&claims, "aud"), claims.get("exp")), (Some("x"), Some(&Value::from(1))));
        assert_eq!((text(&claims, "exp"), text(&claims, "sub")), (None, None));
    }

    #[test]
    fn other_tokens_have_no_claims() {
        let deep = "W1tbW1tbW1tbW1tbW1tbW1tbW1tbW1tbW1tbW1tbW1tbW1tb";
        for token in ["", "opaque", "a.b", "h.!.s", "h.W10.s", &format!("h.{deep}.s"), &format!("h.{PAYLOAD}.s.t")] {
            assert_eq!(decode(token), None, "{token}");
        }
    }
}
