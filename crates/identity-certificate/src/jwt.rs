//! The JSON Web Token that is signed (RFC 7515, RFC 7523).

use identity_core::{Random, text};

use crate::{key::CertifiedKey, signer::SigningAlgorithm};

/// What an assertion says.
pub(crate) struct Claims<'a> {
    pub(crate) audience: &'a str,
    pub(crate) client_id: &'a str,
    /// In seconds since the Unix epoch.
    pub(crate) now: i64,
}

impl Claims<'_> {
    /// When the assertion begins to be valid: before it is made, for a service whose clock is behind.
    pub(crate) fn not_before(&self) -> i64 {
        self.now.saturating_sub(BACKDATED)
    }

    /// When the assertion ends to be valid.
    pub(crate) fn expires(&self) -> i64 {
        self.now.saturating_add(LIFETIME)
    }

    /// What is signed: header and claims.
    pub(crate) fn signing_input(
        &self,
        key: &CertifiedKey,
        certificate: usize,
        algorithm: SigningAlgorithm,
        with_chain: bool,
        random: &dyn Random,
    ) -> String {
        let (name, thumbprint) = key.thumbprint(certificate, algorithm);
        let mut header = Object::default();
        header.text("alg", algorithm.as_str()).text("typ", "JWT").text(name, &thumbprint);
        if with_chain {
            let chain = key.chain(certificate);
            let chain: Vec<_> = chain.iter().map(|certificate| quote(&text::base64(&certificate.der))).collect();
            header.member("x5c", &["[", &chain.join(","), "]"].concat());
        }
        let mut claims = Object::default();
        claims
            .text("aud", self.audience)
            .text("iss", self.client_id)
            .text("sub", self.client_id)
            .text("jti", &text::uuid(random))
            .member("iat", &self.now.to_string())
            .member("nbf", &self.not_before().to_string())
            .member("exp", &self.expires().to_string());
        [header.encode(), claims.encode()].join(".")
    }
}

/// A JSON object that grows. Ten lines; the general writer brings three crates and 20 KB, and is what the tests read with.
#[derive(Default)]
struct Object(String);

impl Object {
    fn text(&mut self, name: &str, value: &str) -> &mut Self {
        self.member(name, &quote(value))
    }

    fn member(&mut self, name: &str, value: &str) -> &mut Self {
        let separator = if self.0.is_empty() { "{" } else { "," };
        self.0.extend([separator, &quote(name), ":", value]);
        self
    }

    fn encode(&self) -> String {
        text::base64url([&self.0, "}"].concat().as_bytes())
    }
}

/// A JSON string (RFC 8259, section 7).
fn quote(value: &str) -> String {
    let mut out = String::with_capacity(value.len() + 2);
    out.push('"');
    for c in value.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\0'..' ' => out.extend(["\\u00", &text::hex(&[c as u8])]),
            _ => out.push(c),
        }
    }
    out.push('"');
    out
}

/// How long an assertion is valid, in seconds. Source: msal 1.39.0, `oauth2cli/assertion.py`.
const LIFETIME: i64 = 600;
/// How long before it is made an assertion begins to be valid, in seconds. Source: our choice, for clocks that differ.
const BACKDATED: i64 = 300;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_quoted_as_json_wants_them() {
        let all: String =
            (0..0x300).filter_map(char::from_u32).chain(['\u{2028}', '\u{1f600}', '\u{10ffff}']).collect();
        assert_eq!(serde_json::from_str::<String>(&quote(&all)).unwrap(), all);
        assert_eq!(quote("a\"b\\c\n"), r#""a\"b\\c\u000a""#);
    }

    #[test]
    fn objects_are_json() {
        let mut object = Object::default();
        object.text("a\"", "\u{1}").member("b", "[1]");
        let json = text::base64url_decode(&object.encode()).unwrap();
        assert_eq!(
            serde_json::from_slice::<serde_json::Value>(&json).unwrap(),
            serde_json::json!({"a\"": "\u{1}", "b": [1]})
        );
    }
}
