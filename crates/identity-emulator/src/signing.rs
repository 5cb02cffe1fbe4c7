//! The keys that sign tokens: one at a time, and the one before it for a while.

use std::io;
use std::sync::Mutex;

use ring::digest;
use ring::rand::SystemRandom;
use ring::rsa::{KeyPair, PublicKeyComponents};
use ring::signature::RSA_PKCS1_SHA256;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use serde_json::{Value, json};

use crate::lock;
use crate::text::{base64, base64_url};
use crate::token::{TEST_CERTIFICATE_PEM, TEST_KEY_PEM};

/// Fixed keys, for ring makes no RSA keys.
pub(crate) struct SigningKeys {
    keys: [SigningKey; 2],
    now: Mutex<Rolled>,
}

/// One key, and what is published of it.
pub(crate) struct SigningKey {
    pair: KeyPair,
    pub(crate) id: String,
    pub(crate) public: PublicKeyComponents<Vec<u8>>,
    certificate: String,
}

/// Which key signs.
#[derive(Clone, Copy, Default)]
struct Rolled {
    second: bool,
    /// Until when the other one is published, in seconds since the Unix epoch.
    both_until: Option<i64>,
}

impl SigningKeys {
    pub(crate) fn new() -> io::Result<Self> {
        let first = SigningKey::new(TEST_KEY_PEM, TEST_CERTIFICATE_PEM)?;
        let second = SigningKey::new(SECOND_KEY_PEM, SECOND_CERTIFICATE_PEM)?;
        Ok(Self { keys: [first, second], now: Mutex::default() })
    }

    /// Lets the other key sign from now on.
    pub(crate) fn roll(&self, now: i64) {
        let mut state = lock(&self.now);
        *state = Rolled { second: !state.second, both_until: Some(now.saturating_add(BOTH_SECS)) };
    }

    /// The key that signs.
    pub(crate) fn active(&self) -> &SigningKey {
        let [first, second] = &self.keys;
        if lock(&self.now).second { second } else { first }
    }

    /// The keys that verify tokens now, the one that signs first.
    pub(crate) fn published(&self, now: i64) -> impl Iterator<Item = &SigningKey> {
        let Rolled { second, both_until } = *lock(&self.now);
        let [one, two] = &self.keys;
        let (active, other) = if second { (two, one) } else { (one, two) };
        let other = both_until.is_some_and(|until| now < until).then_some(other);
        [Some(active), other].into_iter().flatten()
    }
}

impl SigningKey {
    fn new(key: &str, certificate: &str) -> io::Result<Self> {
        let pkcs8 = PrivatePkcs8KeyDer::from_pem_slice(key.as_bytes()).map_err(io::Error::other)?;
        let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).map_err(io::Error::other)?;
        let thumbprint = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &certificate);
        let pair = KeyPair::from_pkcs8(pkcs8.secret_pkcs8_der()).map_err(io::Error::other)?;
        Ok(Self {
            public: PublicKeyComponents::from(pair.public()),
            pair,
            id: base64_url(thumbprint.as_ref()),
            certificate: base64(&certificate),
        })
    }

    pub(crate) fn sign(&self, random: &SystemRandom, header: &Value, claims: &Value) -> io::Result<String> {
        let mut token = base64_url(header.to_string().as_bytes());
        token.push('.');
        token.push_str(&base64_url(claims.to_string().as_bytes()));
        let mut signature = vec![0; self.pair.public().modulus_len()];
        self.pair
            .sign(&RSA_PKCS1_SHA256, random, token.as_bytes(), &mut signature)
            .map_err(|_| io::Error::other("the test key does not sign"))?;
        token.push('.');
        token.push_str(&base64_url(&signature));
        Ok(token)
    }

    /// What a key set has of it.
    pub(crate) fn published(&self, issuer: &str) -> Value {
        json!({
            "kty": "RSA",
            "use": "sig",
            "kid": self.id,
            "x5t": self.id,
            "n": base64_url(&self.public.n),
            "e": base64_url(&self.public.e),
            "x5c": [self.certificate],
            "issuer": issuer,
        })
    }
}

const SECOND_KEY_PEM: &str = include_str!("../keys/PUBLIC-TEST-KEY-2.pem");
pub(crate) const SECOND_CERTIFICATE_PEM: &str = include_str!("../keys/PUBLIC-TEST-KEY-2.crt.pem");
/// How long both keys are published: as long as tokens of managed identities live, a day.
const BOTH_SECS: i64 = 86_400;
