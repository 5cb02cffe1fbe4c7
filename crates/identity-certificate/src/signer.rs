use std::fmt;

use identity_core::{BoxFuture, Result};
use ring::{
    error::Unspecified,
    rand::SystemRandom,
    signature::{self, KeyPair as _, RsaEncoding, RsaKeyPair, UnparsedPublicKey},
};

use crate::load::invalid;

/// Signs with a private key that this process need not have: one in a hardware module, or in a vault.
///
/// The key is an RSA key of any size from 2048 to 4096 bits, the one of the certificate that is given with the signer.
pub trait Signer: fmt::Debug + Send + Sync {
    /// Signs `message`, which is not hashed yet. Called for each new assertion: about once in nine minutes for each token
    /// endpoint, and not again while another call for the same endpoint is under way.
    ///
    /// # Errors
    ///
    /// Whatever prevents it; the error reaches the caller of `get_token` as it is, and a chain decides by its kind.
    fn sign<'a>(&'a self, algorithm: SigningAlgorithm, message: &'a [u8]) -> BoxFuture<'a, Result<Vec<u8>>>;
}

/// How an assertion is signed; the names are those of JSON Web Algorithms (RFC 7518, section 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SigningAlgorithm {
    /// RSASSA-PSS with SHA-256, MGF1 with SHA-256, and a salt of 32 bytes: what Entra ID gets.
    Ps256,
    /// RSASSA-PKCS1-v1_5 with SHA-256: what AD FS gets.
    Rs256,
}

impl SigningAlgorithm {
    /// The algorithm's name in the header of a JSON Web Token.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ps256 => "PS256",
            Self::Rs256 => "RS256",
        }
    }
}

/// A private key in this process.
pub(crate) struct PrivateKey(RsaKeyPair);

impl PrivateKey {
    /// Takes an `RSAPrivateKey` of a size that was found good.
    pub(crate) fn new(der: &[u8]) -> Result<Self> {
        let key = RsaKeyPair::from_der(der).map(Self).map_err(|error| {
            invalid(format!(
                "its private key is not usable ({error}); expected an RSA key of 2048, 3072 or 4096 bits, of two primes, \
                 whose public exponent is at least 65537"
            ))
        })?;
        // Whether the numbers belong together ring finds out when it signs, here without need of randomness.
        key.signature(&signature::RSA_PKCS1_SHA256, &[])
            .map_err(|_| invalid("its private key is damaged: its numbers do not belong together"))?;
        Ok(key)
    }

    /// The `RSAPublicKey`.
    pub(crate) fn public_key(&self) -> &[u8] {
        self.0.public_key().as_ref()
    }

    /// Signs; the error says no more.
    fn signature(&self, padding: &'static dyn RsaEncoding, message: &[u8]) -> Result<Vec<u8>, Unspecified> {
        let mut bytes = vec![0; self.0.public().modulus_len()];
        self.0.sign(padding, &SystemRandom::new(), message, &mut bytes)?;
        Ok(bytes)
    }
}

impl Signer for PrivateKey {
    fn sign<'a>(&'a self, algorithm: SigningAlgorithm, message: &'a [u8]) -> BoxFuture<'a, Result<Vec<u8>>> {
        let padding: &'static dyn RsaEncoding = match algorithm {
            SigningAlgorithm::Ps256 => &signature::RSA_PSS_SHA256,
            SigningAlgorithm::Rs256 => &signature::RSA_PKCS1_SHA256,
        };
        // The key has signed before: the system's randomness is all that can fail.
        let result =
            self.signature(padding, message).map_err(|_| invalid("signing failed: the system gives no randomness"));
        Box::pin(std::future::ready(result))
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(***)")
    }
}

/// Checks what a [`Signer`] of others gave.
pub(crate) fn verify(public_key: &[u8], algorithm: SigningAlgorithm, message: &[u8], bytes: &[u8]) -> Result<()> {
    if !(1..=MAX_SIGNATURE).contains(&bytes.len()) {
        let message = format!("the signer gave a signature of {} bytes; expected 1 to {MAX_SIGNATURE}", bytes.len());
        return Err(invalid(message));
    }
    let parameters: &'static dyn signature::VerificationAlgorithm = match algorithm {
        SigningAlgorithm::Ps256 => &signature::RSA_PSS_2048_8192_SHA256,
        SigningAlgorithm::Rs256 => &signature::RSA_PKCS1_2048_8192_SHA256,
    };
    // The error says nothing but no.
    UnparsedPublicKey::new(parameters, public_key).verify(message, bytes).map_err(|_| {
        invalid(format!(
            "the signer's signature is not one of the certificate's key with {}; \
             check that key and certificate belong together, and that the message itself is signed, not its hash",
            algorithm.as_str()
        ))
    })
}

/// The bytes of a signature by an RSA key of 4096 bits.
const MAX_SIGNATURE: usize = 512;
