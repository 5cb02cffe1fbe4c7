//! Signed access tokens and the published key that verifies them.

use std::io;
use std::time::SystemTime;

use ring::digest;
use ring::rand::{SecureRandom, SystemRandom};
use serde_json::{Map, Value, json};

use crate::identity::Identity;
use crate::signing::SigningKeys;
use crate::text::{base64_url, epoch_seconds, guid, hex};

/// The public test key, an RSA one of 2048 bits, PKCS#8.
///
/// It signs all tokens until the key is [rolled](crate::Emulator::roll_signing_key), and is the key of [`CERTIFICATE_CLIENT_ID`](crate::CERTIFICATE_CLIENT_ID).
/// Anybody can read it: nothing real may trust it.
pub const TEST_KEY_PEM: &str = include_str!("../keys/PUBLIC-TEST-KEY.pem");
/// The self-signed certificate of [`TEST_KEY_PEM`].
pub const TEST_CERTIFICATE_PEM: &str = include_str!("../keys/PUBLIC-TEST-KEY.crt.pem");
/// The common name in [`TEST_CERTIFICATE_PEM`].
pub(crate) const KEY_NAME: &str = "identity-emulator PUBLIC TEST KEY do not trust";

/// Signs tokens as one tenant.
pub(crate) struct Signer {
    pub(crate) keys: SigningKeys,
    tenant_id: String,
    random: SystemRandom,
}

impl Signer {
    pub(crate) fn new(tenant_id: &str) -> io::Result<Self> {
        Ok(Self { keys: SigningKeys::new()?, tenant_id: tenant_id.to_owned(), random: SystemRandom::new() })
    }

    pub(crate) fn tenant_id(&self) -> &str {
        &self.tenant_id
    }

    pub(crate) fn random_guid(&self) -> io::Result<String> {
        Ok(guid(self.random_bytes()?))
    }

    /// Random bytes as hexadecimal digits, two per byte.
    pub(crate) fn random_hex<const N: usize>(&self) -> io::Result<String> {
        Ok(hex(&self.random_bytes::<N>()?))
    }

    /// The id that Entra gives to a token: 16 random bytes.
    fn unique_token_id(&self) -> io::Result<String> {
        Ok(base64_url(&self.random_bytes::<16>()?))
    }

    pub(crate) fn random_bytes<const N: usize>(&self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.random.fill(&mut bytes).map_err(|_| io::Error::other("no randomness from the system"))?;
        Ok(bytes)
    }

    /// A version 1.0 token as Entra gives to managed identities, valid until `expires`.
    ///
    /// Like Entra's, it says that it was issued five minutes before it was asked for.
    pub(crate) fn sign(
        &self,
        identity: &Identity,
        resource: &str,
        now: SystemTime,
        expires: i64,
    ) -> io::Result<String> {
        let issued = epoch_seconds(now).saturating_sub(300).min(expires.saturating_sub(1));
        let issuer = self.issuer();
        self.sign_claims(&json!({
            "aud": resource,
            "iss": issuer,
            "iat": issued,
            "nbf": issued,
            "exp": expires,
            "aio": self.random_hex::<16>()?,
            "appid": identity.client_id(),
            "appidacr": "2",
            "idp": issuer,
            "idtyp": "app",
            "oid": identity.object_id(),
            "sub": identity.object_id(),
            "tid": self.tenant_id,
            "uti": self.unique_token_id()?,
            "ver": "1.0",
            "xms_mirid": identity.resource_id(),
        }))
    }

    /// The token of an answer, valid from its time until `expires`.
    ///
    /// Like Entra's, it says that it was issued five minutes before it was asked for.
    pub(crate) fn sign_issue(&self, claims: &Map<String, Value>, now: i64, expires: i64) -> io::Result<String> {
        let issued = now.saturating_sub(300).min(expires.saturating_sub(1));
        let mut claims = claims.clone();
        for (name, time) in [("iat", issued), ("nbf", issued), ("exp", expires)] {
            claims.insert(name.to_owned(), time.into());
        }
        if !claims.contains_key("jti") {
            claims.insert("uti".to_owned(), self.unique_token_id()?.into());
        }
        self.sign_claims(&Value::Object(claims))
    }

    /// A token with exactly these claims.
    pub(crate) fn sign_claims(&self, claims: &Value) -> io::Result<String> {
        self.sign_jwt(|id| json!({ "typ": "JWT", "alg": "RS256", "x5t": id, "kid": id }), claims)
    }

    /// A token with these claims, and the header for the id of the key that signs.
    pub(crate) fn sign_jwt(&self, header: fn(&str) -> Value, claims: &Value) -> io::Result<String> {
        let key = self.keys.active();
        key.sign(&self.random, &header(&key.id), claims)
    }

    /// The key set, as at `/{tenant}/discovery/v2.0/keys`, of that issuer and at that time.
    pub(crate) fn key_set(&self, issuer: &str, now: i64) -> Value {
        json!({ "keys": self.keys.published(now).map(|key| key.published(issuer)).collect::<Vec<_>>() })
    }

    /// The discovery document, as at `/{tenant}/.well-known/openid-configuration`.
    ///
    /// `origin` is where the emulator serves it, such as `http://127.0.0.1:4000`.
    pub(crate) fn discovery(&self, origin: &str) -> Value {
        json!({
            "issuer": self.issuer(),
            "jwks_uri": format!("{origin}/{}/discovery/v2.0/keys", self.tenant_id),
            "id_token_signing_alg_values_supported": ["RS256"],
            "subject_types_supported": ["pairwise"],
        })
    }

    /// The issuer of its tokens of version 1.0.
    pub(crate) fn issuer(&self) -> String {
        format!("https://sts.windows.net/{}/", self.tenant_id)
    }
}

/// SHA-256 as hexadecimal digits.
pub(crate) fn sha256_hex(text: &str) -> String {
    hex(digest::digest(&digest::SHA256, text.as_bytes()).as_ref())
}
