//! The answers of token services: one flat JSON object, of which only a few fields matter.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use crate::{
    Error, ErrorKind, Result, Secret, check,
    date::{parse_http_date, parse_seconds, parse_time},
    expiry,
    http::Response,
    json::{self, Malformed},
};

/// What the body of an answer is.
#[derive(Debug)]
pub enum Body<'a, const N: usize> {
    /// An object.
    Object(Fields<'a, N>),
    /// The beginning of an object, or nothing where JSON was announced.
    Cut,
    /// Nests deeper than any parser should have to follow.
    Deep,
    /// Anything else.
    Other,
}

impl<'a, const N: usize> Body<'a, N> {
    /// Reads the fields called `names` of a body; `is_json` is what its header says about it.
    #[must_use]
    pub fn parse(names: &'static [&'static str; N], body: &'a [u8], is_json: bool) -> Self {
        let (mut fields, mut is_double) = (Fields { names, values: [None; N] }, false);
        let result = json::members(body, &mut |name, value| {
            let known = names.iter().zip(&mut fields.values).find(|(known, _)| **known == name);
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
    #[must_use]
    pub fn text(&self, name: &str) -> Option<String> {
        match self {
            Self::Object(fields) => fields.text(name).ok().flatten(),
            _ => None,
        }
    }

    /// The numbers of the field's array, as far as they are whole ones; at most 16.
    pub fn numbers(&self, name: &str) -> impl Iterator<Item = u32> + use<'a, N> {
        let raw = if let Self::Object(fields) = self { fields.raw(name) } else { None };
        let inner = raw.and_then(|raw| raw.strip_prefix('[')?.strip_suffix(']')).unwrap_or_default();
        inner.split(',').filter_map(|number| number.trim_ascii().parse().ok()).take(16)
    }

    /// What an object says about a failure, field by field; empty if it says nothing, or is none.
    #[must_use]
    pub fn failure(&self) -> String {
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
pub struct Fields<'a, const N: usize> {
    names: &'static [&'static str; N],
    values: [Option<&'a str>; N],
}

/// Tells which fields are there; one may be a token.
impl<const N: usize> fmt::Debug for Fields<'_, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let there = self.names.iter().zip(&self.values).filter(|(_, value)| value.is_some());
        f.debug_set().entries(there.map(|(name, _)| name)).finish()
    }
}

/// The field is neither text nor a number.
#[derive(Debug, PartialEq, Eq)]
pub struct WrongType;

impl<'a, const N: usize> Fields<'a, N> {
    /// The field's text, if it is written as one.
    ///
    /// # Errors
    ///
    /// [`WrongType`] if it is there and neither a text nor null.
    pub fn string(&self, name: &str) -> Result<Option<String>, WrongType> {
        match self.raw(name) {
            None | Some("null") => Ok(None),
            Some(raw) => json::unescape(raw).map(Some).ok_or(WrongType),
        }
    }

    /// The field's text; numbers as they are written. Null is the same as absent.
    ///
    /// # Errors
    ///
    /// [`WrongType`] if it is something else.
    pub fn text(&self, name: &str) -> Result<Option<String>, WrongType> {
        match self.raw(name) {
            None => Ok(None),
            Some(raw) if raw.starts_with(|c: char| c.is_ascii_digit() || c == '-') => Ok(Some(raw.to_owned())),
            Some(_) => self.string(name),
        }
    }

    /// The field's value as it is written.
    #[must_use]
    pub fn raw(&self, name: &str) -> Option<&'a str> {
        let (_, value) = self.names.iter().zip(&self.values).find(|(known, _)| **known == name)?;
        *value
    }
}

/// A token with its times, counted from when it was asked for.
#[derive(Debug)]
pub struct Token {
    /// The access token.
    pub secret: Secret,
    /// How long it lives.
    pub life: Duration,
    /// When the service wants it refreshed.
    pub refresh_in: Option<Duration>,
}

/// Reads the token of an answer that was asked for at `wall`, from the fields `access_token`, `token_type`, `expires_in`,
/// `expires_on` and `refresh_in`; `None` if there is none.
///
/// # Errors
///
/// [`ErrorKind::Protocol`] if what is there breaks a rule. No message repeats anything of the answer, for it may be the
/// token.
pub fn token<const N: usize>(fields: &Fields<'_, N>, response: &Response, wall: SystemTime) -> Result<Option<Token>> {
    let Some(secret) = fields.string("access_token").map_err(|WrongType| wrong("access_token"))? else {
        return Ok(None);
    };
    let secret = Secret::new(secret);
    if !check::is_token(secret.expose()) {
        return Err(protocol("the access_token is empty or has a character that no token has"));
    }
    let token_type = fields.text("token_type").map_err(|WrongType| wrong("token_type"))?;
    if token_type.is_some_and(|kind| !kind.eq_ignore_ascii_case("bearer")) {
        return Err(protocol("the token_type is not Bearer, which was asked for"));
    }
    // One time that can be read is enough: a good token is not thrown away for the form of another.
    let number = |name: &str, parse: fn(&str) -> Option<i64>| parse(&fields.text(name).ok()??);
    let (expires_in, expires_on) = (number("expires_in", parse_seconds), number("expires_on", parse_time));
    let date = response.header("date").and_then(parse_http_date);
    let life = expiry::life(expires_in, expires_on, date, wall).ok_or_else(|| {
        protocol("neither expires_in nor expires_on tells a time in the future; check the clocks of both sides")
    })?;
    let refresh_in = number("refresh_in", parse_seconds).and_then(|seconds| u64::try_from(seconds).ok());
    Ok(Some(Token { secret, life, refresh_in: refresh_in.map(Duration::from_secs) }))
}

fn wrong(name: &str) -> Error {
    protocol(&format!("{name} cannot be read"))
}

fn protocol(message: &str) -> Error {
    Error::new(ErrorKind::Protocol, message)
}

#[cfg(test)]
mod tests {
    use super::*;

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

    fn parse(body: &str) -> Body<'_, 14> {
        Body::parse(&NAMES, body.as_bytes(), false)
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
            let shown = format!("{:?}", Body::parse(&NAMES, body.as_bytes(), is_json));
            assert!(shown.starts_with(expected), "{body:.40}: {shown}");
        }
        assert!(matches!(Body::parse(&NAMES, b"{\"a\":\"\xff\"}", true), Body::Other));
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
