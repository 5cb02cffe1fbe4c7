//! A private key and the certificates that go with it, checked.

use std::{fmt, sync::Arc};

use identity_core::{Result, text};
use ring::digest;

use crate::{
    load::{Contents, invalid, not_rsa},
    signer::{PrivateKey, Signer, SigningAlgorithm, verify},
    x509::{Algorithm, Certificate, private_rsa_bits, rsa_bits, sort_chain},
};

/// What signs assertions, and what is said about it in them.
pub(crate) struct CertifiedKey {
    signer: Arc<dyn Signer>,
    /// Whether signatures must be checked.
    is_elsewhere: bool,
    /// The key's certificates, one at least: one that was renewed for the same key may stand beside the old one.
    own: Vec<Certificate>,
    /// Their issuers, and what else there is.
    others: Vec<Certificate>,
}

impl CertifiedKey {
    /// Takes what a file holds.
    pub(crate) fn new(contents: Contents) -> Result<Self> {
        let Some(key) = contents.key else {
            return Err(invalid("it holds no private key; append it, as a block -----BEGIN PRIVATE KEY-----"));
        };
        let certificates = parse(&contents.certificates)?;
        check_size(private_rsa_bits(&key).ok_or_else(|| invalid("its private key is damaged: it is no RSA key"))?)?;
        let key = PrivateKey::new(&key)?;
        let (own, others): (Vec<_>, Vec<_>) =
            certificates.into_iter().partition(|certificate| certificate.public_key == key.public_key());
        if own.is_empty() {
            return Err(invalid(
                "its private key belongs to none of its certificates; put the key and the certificate of the same pair into it",
            ));
        }
        Ok(Self { signer: Arc::new(key), is_elsewhere: false, own, others })
    }

    /// Takes a key that is elsewhere. Its certificate comes first.
    pub(crate) fn elsewhere(certificates: &[Vec<u8>], signer: Arc<dyn Signer>) -> Result<Self> {
        let certificates = parse(certificates)?;
        let first = certificates.first().map(|first| first.public_key.clone()).unwrap_or_default();
        let (own, others): (Vec<_>, Vec<_>) =
            certificates.into_iter().partition(|certificate| certificate.public_key == first);
        if let Some(leaf) = own.iter().find(|leaf| leaf.algorithm != Algorithm::Rsa) {
            return Err(not_rsa(leaf.algorithm));
        }
        check_size(rsa_bits(&first).ok_or_else(|| invalid("its first certificate's key is damaged"))?)?;
        Ok(Self { signer, is_elsewhere: true, own, others })
    }

    /// Which of the key's certificates is used at a time: of those that are valid the one that is so for longest. If none
    /// is, one that will be comes before one that was.
    pub(crate) fn certificate(&self, now: i64) -> usize {
        let mut best = (false, i64::MIN, 0);
        for (at, one) in self.own.iter().enumerate() {
            best = best.max((one.not_before <= now && now <= one.not_after, one.not_after, at));
        }
        best.2
    }

    /// Refuses a key none of whose certificates is valid.
    pub(crate) fn check(&self, now: i64) -> Result<()> {
        let Some(certificate) = self.own.get(self.certificate(now)) else { return Ok(()) };
        if now > certificate.not_after {
            let ago = days(now.saturating_sub(certificate.not_after));
            return Err(invalid(format!("its certificate expired {ago} ago; renew it, and register the new one")));
        }
        if now.saturating_add(LEEWAY) < certificate.not_before {
            let wait = days(certificate.not_before.saturating_sub(now));
            return Err(invalid(format!("its certificate becomes valid in {wait}; check this machine's clock")));
        }
        Ok(())
    }

    pub(crate) async fn sign(&self, algorithm: SigningAlgorithm, message: &[u8]) -> Result<Vec<u8>> {
        let signature = self.signer.sign(algorithm, message).await?;
        if self.is_elsewhere
            && let Some(own) = self.own.first()
        {
            verify(&own.public_key, algorithm, message, &signature)?;
        }
        Ok(signature)
    }

    /// The header member that tells the service which certificate it is: its name and value.
    pub(crate) fn thumbprint(&self, certificate: usize, algorithm: SigningAlgorithm) -> (&'static str, String) {
        let (name, hash) = match algorithm {
            SigningAlgorithm::Ps256 => ("x5t#S256", &digest::SHA256),
            SigningAlgorithm::Rs256 => ("x5t", &digest::SHA1_FOR_LEGACY_USE_ONLY),
        };
        let der = self.own.get(certificate).map(|own| own.der.as_slice()).unwrap_or_default();
        (name, text::base64url(digest::digest(hash, der).as_ref()))
    }

    /// One of the key's certificates, then its issuers, then the others.
    pub(crate) fn chain(&self, certificate: usize) -> Vec<&Certificate> {
        self.own.get(certificate).map(|own| sort_chain(own, &self.others)).unwrap_or_default()
    }
}

impl fmt::Debug for CertifiedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, thumbprint) = self.thumbprint(self.certificate(i64::MIN), SigningAlgorithm::Ps256);
        f.debug_struct("CertifiedKey").field("signer", &self.signer).field(name, &thumbprint).finish()
    }
}

fn parse(certificates: &[Vec<u8>]) -> Result<Vec<Certificate>> {
    if certificates.is_empty() {
        return Err(invalid("it holds no certificate; append it, as a block -----BEGIN CERTIFICATE-----"));
    }
    let parse = |der: &Vec<u8>| Certificate::parse(der).ok_or_else(|| invalid("one of its certificates is damaged"));
    certificates.iter().map(parse).collect()
}

fn check_size(bits: usize) -> Result<()> {
    let advice = "make a new one of 2048, 3072 or 4096 bits";
    match bits {
        ..2048 => Err(invalid(format!("its RSA key has {bits} bits, which is too weak; {advice}"))),
        2048..=4096 => Ok(()),
        _ => Err(invalid(format!("its RSA key has {bits} bits, more than can be used; {advice}"))),
    }
}

fn days(seconds: i64) -> String {
    let (unit, name) = if seconds >= 172_800 { (86_400, "days") } else { (3_600, "hours") };
    if seconds < 7_200 { "less than 2 hours".to_owned() } else { format!("{} {name}", seconds / unit) }
}

/// A certificate that was made just now, by a machine whose clock is ahead of this one's, is taken. Source: our choice, as
/// much as assertions are dated back.
const LEEWAY: i64 = 300;
