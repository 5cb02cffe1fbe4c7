//! Other issuers of tokens, and their keys.

use std::io;

use serde::Deserialize;

use crate::directory::file::without_values;
use crate::text::decode_base64;

/// An issuer that the emulator does not play, and the keys that verify its tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Issuer {
    pub(crate) issuer: String,
    pub(crate) keys: Vec<RsaKey>,
    /// The key set as it was given.
    pub(crate) jwks: String,
}

/// An RSA key, big-endian.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RsaKey {
    pub(crate) id: String,
    pub(crate) modulus: Vec<u8>,
    pub(crate) exponent: Vec<u8>,
}

impl Issuer {
    /// Reads a JWKS (RFC 7517); keys that are not RSA ones are left out.
    pub(crate) fn parse(issuer: &str, jwks: &str) -> io::Result<Self> {
        let invalid = |what: String| io::Error::new(io::ErrorKind::InvalidInput, format!("issuer {issuer}: {what}"));
        let set: KeySet = serde_json::from_str(jwks).map_err(|error| invalid(without_values(&error.to_string())))?;
        let mut keys = Vec::new();
        for key in set.keys.into_iter().filter(|key| key.kty == "RSA") {
            let part = |text: Option<String>| text.as_deref().and_then(decode_base64).filter(|bytes| !bytes.is_empty());
            let (Some(id), Some(modulus), Some(exponent)) = (key.kid, part(key.n), part(key.e)) else {
                return Err(invalid("an RSA key needs kid, n and e".to_owned()));
            };
            keys.push(RsaKey { id, modulus, exponent });
        }
        if keys.is_empty() {
            return Err(invalid("the key set has no RSA key".to_owned()));
        }
        Ok(Self { issuer: issuer.to_owned(), keys, jwks: jwks.to_owned() })
    }
}

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<JsonKey>,
}

#[derive(Deserialize)]
struct JsonKey {
    kty: String,
    kid: Option<String>,
    n: Option<String>,
    e: Option<String>,
}
