//! Signed access tokens and the published key that verifies them.

use std::io;
use std::time::SystemTime;

use ring::digest;
use ring::rand::{SecureRandom, SystemRandom};
use ring::rsa::{KeyPair, PublicKeyComponents};
use ring::signature::RSA_PKCS1_SHA256;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use serde_json::{Value, json};

use crate::entra::Issue;
use crate::identity::Identity;
use crate::text::{base64, base64_url, epoch_seconds, guid, hex};

/// The public test key, an RSA one of 2048 bits, PKCS#8.
///
/// It signs all tokens, and is the key of [`CERTIFICATE_CLIENT_ID`](crate::CERTIFICATE_CLIENT_ID).
/// Anybody can read it: nothing real may trust it.
pub const TEST_KEY_PEM: &str = include_str!("../keys/PUBLIC-TEST-KEY.pem");
/// The self-signed certificate of [`TEST_KEY_PEM`].
pub const TEST_CERTIFICATE_PEM: &str = include_str!("../keys/PUBLIC-TEST-KEY.crt.pem");
/// The common name in [`TEST_CERTIFICATE_PEM`].
pub(crate) const KEY_NAME: &str = "identity-emulator PUBLIC TEST KEY do not trust";

/// Signs tokens as one tenant.
pub(crate) struct Signer {
    key: KeyPair,
    key_id: String,
    certificate: String,
    tenant_id: String,
    random: SystemRandom,
}

impl Signer {
    pub(crate) fn new(tenant_id: &str) -> io::Result<Self> {
        let pkcs8 = PrivatePkcs8KeyDer::from_pem_slice(TEST_KEY_PEM.as_bytes()).map_err(io::Error::other)?;
        let certificate = CertificateDer::from_pem_slice(TEST_CERTIFICATE_PEM.as_bytes()).map_err(io::Error::other)?;
        let thumbprint = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &certificate);
        Ok(Self {
            key: KeyPair::from_pkcs8(pkcs8.secret_pkcs8_der()).map_err(io::Error::other)?,
            key_id: base64_url(thumbprint.as_ref()),
            certificate: base64(&certificate),
            tenant_id: tenant_id.to_owned(),
            random: SystemRandom::new(),
        })
    }

    pub(crate) fn tenant_id(&self) -> &str {
        &self.tenant_id
    }

    pub(crate) fn random_guid(&self) -> io::Result<String> {
        let mut bytes = [0; 16];
        self.random.fill(&mut bytes).map_err(|_| io::Error::other("no randomness from the system"))?;
        Ok(guid(bytes))
    }

    pub(crate) fn key_id(&self) -> &str {
        &self.key_id
    }

    /// The key that signs everything here, for checking its signatures.
    pub(crate) fn public_key(&self) -> PublicKeyComponents<Vec<u8>> {
        PublicKeyComponents::from(self.key.public())
    }

    /// Random bytes as hexadecimal digits, two per byte.
    pub(crate) fn random_hex<const N: usize>(&self) -> io::Result<String> {
        let mut bytes = [0; N];
        self.random.fill(&mut bytes).map_err(|_| io::Error::other("no randomness from the system"))?;
        Ok(hex(&bytes))
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
            "uti": self.random_hex::<16>()?,
            "ver": "1.0",
            "xms_mirid": identity.resource_id(),
        }))
    }

    /// The token of an answer, valid from its time until `expires`.
    ///
    /// Like Entra's, it says that it was issued five minutes before it was asked for.
    pub(crate) fn sign_issue(&self, issue: &Issue, now: i64, expires: i64) -> io::Result<String> {
        let issued = now.saturating_sub(300).min(expires.saturating_sub(1));
        let mut claims = issue.claims.clone();
        for (name, time) in [("iat", issued), ("nbf", issued), ("exp", expires)] {
            claims.insert(name.to_owned(), time.into());
        }
        if !claims.contains_key("jti") {
            claims.insert("uti".to_owned(), self.random_hex::<16>()?.into());
        }
        self.sign_claims(&Value::Object(claims))
    }

    /// A token with exactly these claims.
    pub(crate) fn sign_claims(&self, claims: &Value) -> io::Result<String> {
        let header = json!({ "typ": "JWT", "alg": "RS256", "x5t": self.key_id, "kid": self.key_id });
        self.sign_jwt(&header, claims)
    }

    pub(crate) fn sign_jwt(&self, header: &Value, claims: &Value) -> io::Result<String> {
        let mut token = base64_url(header.to_string().as_bytes());
        token.push('.');
        token.push_str(&base64_url(claims.to_string().as_bytes()));
        let mut signature = vec![0; self.key.public().modulus_len()];
        self.key
            .sign(&RSA_PKCS1_SHA256, &self.random, token.as_bytes(), &mut signature)
            .map_err(|_| io::Error::other("the test key does not sign"))?;
        token.push('.');
        token.push_str(&base64_url(&signature));
        Ok(token)
    }

    /// The key set, as at `/{tenant}/discovery/v2.0/keys`.
    pub(crate) fn key_set(&self, tenant_id: &str) -> Value {
        let public = self.public_key();
        json!({ "keys": [{
            "kty": "RSA",
            "use": "sig",
            "kid": self.key_id,
            "x5t": self.key_id,
            "n": base64_url(&public.n),
            "e": base64_url(&public.e),
            "x5c": [self.certificate],
            "issuer": format!("https://sts.windows.net/{tenant_id}/"),
        }]})
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

    fn issuer(&self) -> String {
        format!("https://sts.windows.net/{}/", self.tenant_id)
    }
}

/// SHA-256 as hexadecimal digits.
pub(crate) fn sha256_hex(text: &str) -> String {
    hex(digest::digest(&digest::SHA256, text.as_bytes()).as_ref())
}
