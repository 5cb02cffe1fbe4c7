//! The JSON of all sources: one flat object, of which only a few fields matter.

use identity_core::json::{self, Malformed};

/// What the body of an answer is.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "one at a time exists, on the stack, and is only borrowed")]
pub(crate) enum Body<'a> {
    /// An object.
    Object(Fields<'a>),
    /// The beginning of an object, or nothing where JSON was announced.
    Cut,
    /// Nests deeper than any parser should have to follow.
    Deep,
    /// Anything else.
    Other,
}

impl<'a> Body<'a> {
    /// Reads a body; `is_json` is what its header says about it.
    pub(crate) fn parse(body: &'a [u8], is_json: bool) -> Self {
        let (mut fields, mut is_double) = (Fields::default(), false);
        let result = json::members(body, &mut |name, value| {
            let known = NAMES.iter().zip(&mut fields.0).find(|(known, _)| **known == name);
            // Of two tokens, two readers could take different ones.
            is_double |= known.is_some_and(|(_, place)| place.replace(value).is_some());
        });
        match result {
            Ok(()) if !is_double => Self::Object(fields),
            Err(Malformed::Deep) => Self::Deep,
            Err(Malformed::Wrong) if !json::is_shallow(body) => Self::Deep,
            Err(Malformed::Cut) if is_json || !body.trim_ascii().is_empty() => Self::Cut,
            _ => Self::Other,
        }
    }

    /// The field's text; numbers as they are written. `None` if it is absent, null, or neither text nor number.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        match self {
            Self::Object(fields) => fields.text(name).ok().flatten(),
            _ => None,
        }
    }

    /// What an object says about a failure, field by field; empty if it says nothing, or is none.
    pub(crate) fn failure(&self) -> String {
        let mut said = String::new();
        if let Self::Object(fields) = self {
            let mut say = |text: Option<String>| {
                if let Some(text) = text.filter(|text| !text.is_empty()) {
                    said.push_str(if said.is_empty() { "" } else { ": " });
                    said.push_str(&text);
                }
            };
            for name in ["error", "code", "error_description", "message"] {
                match (fields.text(name), fields.raw(name)) {
                    // Service Fabric nests an object in `error`. No value is shown as it is written: escaped, a secret
                    // would not be found in it.
                    (Err(WrongType), Some(raw)) => {
                        let _ = json::members(raw.as_bytes(), &mut |name, value| {
                            if matches!(name, "code" | "message") {
                                say(json::unescape(value));
                            }
                        });
                    }
                    (text, _) => say(text.ok().flatten()),
                }
            }
        }
        said
    }
}

/// The fields of an object that matter, as they are written.
#[derive(Debug, Default)]
pub(crate) struct Fields<'a>([Option<&'a str>; NAMES.len()]);

/// The field is neither text nor a number.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct WrongType;

impl Fields<'_> {
    /// The field's text, if it is written as one.
    pub(crate) fn string(&self, name: &str) -> Result<Option<String>, WrongType> {
        match self.raw(name) {
            None | Some("null") => Ok(None),
            Some(raw) => json::unescape(raw).map(Some).ok_or(WrongType),
        }
    }

    /// The field's text; numbers as they are written. Null is the same as absent.
    pub(crate) fn text(&self, name: &str) -> Result<Option<String>, WrongType> {
        match self.raw(name) {
            None => Ok(None),
            Some(raw) if raw.starts_with(|c: char| c.is_ascii_digit() || c == '-') => Ok(Some(raw.to_owned())),
            Some(_) => self.string(name),
        }
    }

    fn raw(&self, name: &str) -> Option<&str> {
        let (_, value) = NAMES.iter().zip(&self.0).find(|(known, _)| **known == name)?;
        *value
    }
}

/// Every field that is read.
const NAMES: [&str; 14] = [
    "access_token",
    "client_id",
    "code",
    "correlation_id",
    "error",
    "error_description",
    "expires_in",
    "expires_on",
    "message",
    "mi_res_id",
    "msi_res_id",
    "object_id",
    "refresh_in",
    "token_type",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(body: &str) -> Body<'_> {
        Body::parse(body.as_bytes(), false)
    }

    #[test]
    fn fields_are_texts_or_numbers() {
        let Body::Object(fields) = parse(
            r#"{"access_token":"a\u002eb","expires_in":3599,"expires_on":"1e400","refresh_in":-1.5,"token_type":null,"message":[],"code":{},"x":{"y":[1]}}"#,
        ) else {
            panic!("not an object")
        };
        for (name, expected) in [
            ("access_token", Ok(Some("a.b"))),
            ("expires_in", Ok(Some("3599"))),
            ("expires_on", Ok(Some("1e400"))),
            ("refresh_in", Ok(Some("-1.5"))),
            ("token_type", Ok(None)),
            ("client_id", Ok(None)),
            ("message", Err(WrongType)),
            ("code", Err(WrongType)),
        ] {
            assert_eq!(fields.text(name), expected.map(|text| text.map(str::to_owned)), "{name}");
        }
    }

    #[test]
    fn bodies_are_told_apart() {
        let deep = format!(r#"{{"unknown":{}"#, "[".repeat(10_000));
        for (body, is_json, expected) in [
            (r#"{"a":1}"#, true, "Object"),
            (r#" {"a":1} "#, false, "Object"),
            ("", true, "Cut"),
            ("", false, "Other"),
            (r#"{"access_token":"ab"#, false, "Cut"),
            (r#"{"a":1"#, true, "Cut"),
            ("<html>", true, "Other"),
            ("<html>", false, "Other"),
            ("[]", true, "Other"),
            ("true", true, "Other"),
            (r#"{"a":1}x"#, true, "Other"),
            (r#"{"a":NaN}"#, true, "Other"),
            (r#"{"client_id":"1","client_id":"2"}"#, true, "Other"),
            (&deep, true, "Deep"),
        ] {
            let shown = format!("{:?}", Body::parse(body.as_bytes(), is_json));
            assert!(shown.starts_with(expected), "{body:.40}: {shown}");
        }
        assert!(matches!(Body::parse(b"{\"a\":\"\xff\"}", true), Body::Other));
    }

    #[test]
    fn a_failure_is_told_in_the_words_of_the_source() {
        for (body, expected) in [
            (
                r#"{"error":"invalid_request","error_description":"Identity not found"}"#,
                "invalid_request: Identity not found",
            ),
            (r#"{"statusCode":400,"message":"no"}"#, "no"),
            (r#"{"error":{"code":"X","message":"y"}}"#, "X: y"),
            (
                r#"{"error":{"correlationId":"1","code":"X","message":"\u0079\/z","details":[]},"message":"m"}"#,
                "X: y/z: m",
            ),
            (r#"{"error":{"code":7,"message":{"value":"y"}},"code":["X"],"message":true}"#, ""),
            ("{}", ""),
            ("<html>", ""),
        ] {
            assert_eq!(parse(body).failure(), expected, "{body}");
        }
    }

    /// 50 ms per 64 KiB is what is promised; a quadratic reader of 20,000 fields would take seconds.
    #[test]
    fn many_unknown_fields_are_read_in_linear_time() {
        let many: String = (0..20_000).map(|i| format!(r#""f{i}":{i},"#)).collect();
        assert!(matches!(parse(&format!(r#"{{{many}"code":"x"}}"#)), Body::Object(_)));
    }
}
