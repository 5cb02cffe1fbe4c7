//! Signed tokens of others: read and verified.

use ring::signature::{
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RsaPublicKeyComponents, UnparsedPublicKey,
};
use serde_json::{Map, Value};

use crate::text::decode_base64;

/// A signed token, taken apart and not yet verified.
pub(crate) struct Jwt {
    pub(crate) header: Map<String, Value>,
    pub(crate) claims: Map<String, Value>,
    /// True if a part is padded, which JWTs are not.
    pub(crate) is_padded: bool,
    signed: String,
    signature: Vec<u8>,
}

/// A key that may have signed it.
pub(crate) enum Key<'a> {
    /// An RSA key as PKCS#1 has it.
    Der(&'a [u8]),
    /// The modulus and the exponent of an RSA key.
    Parts(&'a [u8], &'a [u8]),
}

/// A claim that should be a time is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotANumber;

impl Jwt {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (signed, signature) = text.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let is_url_alphabet = |byte: u8| byte.is_ascii_alphanumeric() || b"-_=.".contains(&byte);
        if claims.contains('.') || !text.bytes().all(is_url_alphabet) {
            return None;
        }
        let object = |part: &str| match serde_json::from_slice(&decode_base64(part)?).ok()? {
            Value::Object(object) => Some(object),
            _ => None,
        };
        Some(Self {
            header: object(header)?,
            claims: object(claims)?,
            is_padded: text.contains('='),
            signed: signed.to_owned(),
            signature: decode_base64(signature)?,
        })
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.header.get(name)?.as_str()
    }

    pub(crate) fn claim(&self, name: &str) -> Option<&str> {
        self.claims.get(name)?.as_str()
    }

    /// A time in whole seconds, if it is there; fractions, which MSAL for Python sends, are cut off.
    ///
    /// # Errors
    ///
    /// It is no number.
    pub(crate) fn time(&self, name: &str) -> Result<Option<i64>, NotANumber> {
        let Some(value) = self.claims.get(name) else { return Ok(None) };
        #[expect(clippy::cast_possible_truncation, reason = "a cast of a float saturates")]
        value.as_i64().or_else(|| value.as_f64().map(|seconds| seconds as i64)).map(Some).ok_or(NotANumber)
    }

    /// The audience, if it is one.
    pub(crate) fn audience(&self) -> Option<&str> {
        match self.claims.get("aud")? {
            Value::String(audience) => Some(audience),
            Value::Array(audiences) => match audiences.as_slice() {
                [Value::String(audience)] => Some(audience),
                _ => None,
            },
            _ => None,
        }
    }

    /// True if the key verifies the signature by the algorithm that the header names.
    pub(crate) fn is_signed_by(&self, key: &Key<'_>) -> bool {
        let parameters = match self.header("alg") {
            Some("RS256") => &RSA_PKCS1_2048_8192_SHA256,
            Some("RS384") => &RSA_PKCS1_2048_8192_SHA384,
            Some("RS512") => &RSA_PKCS1_2048_8192_SHA512,
            Some("PS256") => &RSA_PSS_2048_8192_SHA256,
            Some("PS384") => &RSA_PSS_2048_8192_SHA384,
            Some("PS512") => &RSA_PSS_2048_8192_SHA512,
            _ => return false,
        };
        let signed = self.signed.as_bytes();
        match key {
            Key::Der(der) => UnparsedPublicKey::new(parameters, der).verify(signed, &self.signature).is_ok(),
            Key::Parts(n, e) => RsaPublicKeyComponents { n, e }.verify(parameters, signed, &self.signature).is_ok(),
        }
    }
}

/// The algorithms that Entra verifies.
///
/// Source: the text of AADSTS5002738 as it was recorded, and AzureAD/microsoft-identity-web, issue 3467.
pub(crate) const ALGORITHMS: [&str; 6] = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"];
