//! Reading PKCS#12 (RFC 7292): `.pfx` and `.p12` files.

use identity_core::{Error, Secret};
use ring::{digest, hmac};
use zeroize::Zeroizing;

use crate::{
    ber::{join, to_der},
    der::{CONTEXT_0, CONTEXT_0_PRIMITIVE, OCTET_STRING, OID, Reader},
    load::{Contents, invalid, unwrap_pkcs8},
    pbe::{
        Algorithm, HMAC_SHA1, HMAC_SHA256, HMAC_SHA384, HMAC_SHA512, Password, Refusal, Work, algorithm, decrypt,
        pbkdf2, rounds,
    },
    pbe12::{Use, bmp, derive},
};

/// Takes a file apart that is known for one.
pub(crate) fn read(bytes: &[u8], password: Option<&Secret>) -> Result<Contents, Error> {
    let text = password.map_or("", Secret::expose);
    let mut file = File { password: Password::new(text), work: Work::default(), contents: Contents::default() };
    match file.read(bytes) {
        Ok(()) => Ok(file.contents),
        Err(Failure::Refused(refusal)) => Err(refusal.explain(!text.is_empty(), ADVICE)),
        Err(Failure::Key(error)) => Err(error),
    }
}

enum Failure {
    Refused(Refusal),
    Key(Error),
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

struct File<'a> {
    password: Password<'a>,
    work: Work,
    contents: Contents,
}

impl File<'_> {
    fn read(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let bytes = to_der(bytes).ok_or(Refusal::Structure)?;
        let mut file = Reader::new(&bytes).sequence().ok_or(Refusal::Structure)?;
        file.number().ok_or(Refusal::Structure)?;
        let (kind, content) = content_info(&mut file).ok_or(Refusal::Structure)?;
        if kind == SIGNED_DATA {
            return Err(Refusal::Unsupported("a signature instead of a password").into());
        }
        if kind != DATA {
            return Err(Refusal::Structure.into());
        }
        let safe = Reader::new(content).optional(OCTET_STRING).ok_or(Refusal::Structure)?;
        if let Some(mut integrity) = file.sequence() {
            self.check_integrity(&mut integrity, safe)?;
        }
        // What was hashed is as it was written.
        let safe = to_der(safe).ok_or(Refusal::Structure)?;
        let mut parts = Reader::new(&safe).sequence().ok_or(Refusal::Structure)?;
        while !parts.is_empty() {
            let (kind, content) = content_info(&mut parts).ok_or(Refusal::Structure)?;
            match kind {
                DATA => {
                    let bags = Reader::new(content).optional(OCTET_STRING).ok_or(Refusal::Structure)?;
                    self.read_bags(bags, 0)?;
                }
                ENCRYPTED_DATA => {
                    let (scheme, data) = encrypted_content(content).ok_or(Refusal::Structure)?;
                    let bags = decrypt(scheme, &data, self.password, &mut self.work)?;
                    self.read_bags(&bags, 0)?;
                }
                ENVELOPED_DATA => return Err(Refusal::Unsupported("a public key instead of a password").into()),
                _ => return Err(Refusal::Structure.into()),
            }
        }
        Ok(())
    }

    /// Checks `MacData`: with a wrong password nothing else need be tried.
    fn check_integrity(&mut self, reader: &mut Reader<'_>, safe: &[u8]) -> Result<(), Refusal> {
        let mut info = reader.sequence().ok_or(Refusal::Structure)?;
        let (name, mut parameters) = algorithm(&mut info).ok_or(Refusal::Structure)?;
        let expected = info.optional(OCTET_STRING).ok_or(Refusal::Structure)?;
        if name == PBMAC1 {
            // It has its salt and its rounds here (RFC 9579); those of old are there and mean nothing.
            let mut parameters = parameters.sequence().ok_or(Refusal::Structure)?;
            let derivation = algorithm(&mut parameters).ok_or(Refusal::Structure)?;
            let mac = match algorithm(&mut parameters).ok_or(Refusal::Structure)?.0 {
                HMAC_SHA1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
                HMAC_SHA256 => hmac::HMAC_SHA256,
                HMAC_SHA384 => hmac::HMAC_SHA384,
                HMAC_SHA512 => hmac::HMAC_SHA512,
                _ => return Err(Refusal::Unsupported(UNKNOWN_INTEGRITY)),
            };
            let key = pbkdf2(derivation, self.password.text.as_bytes(), None, &mut self.work)?;
            return verify(mac, &key, safe, expected);
        }
        let salt = reader.optional(OCTET_STRING).ok_or(Refusal::Structure)?;
        let rounds = if reader.is_empty() { 1 } else { rounds(reader)? };
        let (hash, mac) = match name {
            SHA1 => (&digest::SHA1_FOR_LEGACY_USE_ONLY, hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY),
            SHA256 => (&digest::SHA256, hmac::HMAC_SHA256),
            SHA384 => (&digest::SHA384, hmac::HMAC_SHA384),
            SHA512 => (&digest::SHA512, hmac::HMAC_SHA512),
            SHA224 => return Err(Refusal::Unsupported("an integrity check by SHA-224")),
            _ => return Err(Refusal::Unsupported(UNKNOWN_INTEGRITY)),
        };
        let mut verifies = |password: Password<'_>| {
            let mut key = Zeroizing::new(vec![0; hash.output_len()]);
            derive(hash, Use::Integrity, &bmp(password), salt, rounds, &mut key, &mut self.work)?;
            verify(mac, &key, safe, expected)
        };
        match verifies(self.password) {
            // Some tools take no password for no bytes, others for an empty text.
            Err(Refusal::Password) if self.password.text.is_empty() => {
                self.password.is_none = true;
                verifies(self.password)
            }
            result => result,
        }
    }

    fn read_bags(&mut self, bytes: &[u8], depth: usize) -> Result<(), Failure> {
        let bytes = to_der(bytes).ok_or(Refusal::Structure)?;
        let mut bags = Reader::new(&bytes).sequence().ok_or(Refusal::Structure)?;
        while !bags.is_empty() {
            let mut bag = bags.sequence().ok_or(Refusal::Structure)?;
            let kind = bag.optional(OID).and_then(|kind| kind.strip_prefix(BAG)).ok_or(Refusal::Structure)?;
            let value = bag.optional(CONTEXT_0).ok_or(Refusal::Structure)?;
            match kind {
                [1] => self.take_key(value)?,
                [2] => {
                    let mut info = Reader::new(value).sequence().ok_or(Refusal::Structure)?;
                    let scheme = algorithm(&mut info).ok_or(Refusal::Structure)?;
                    let data = info.optional(OCTET_STRING).ok_or(Refusal::Structure)?;
                    let key = decrypt(scheme, data, self.password, &mut self.work)?;
                    self.take_key(&key)?;
                }
                [3] => {
                    let mut certificate = Reader::new(value).sequence().ok_or(Refusal::Structure)?;
                    if certificate.optional(OID).ok_or(Refusal::Structure)? == X509_CERTIFICATE {
                        let wrapped = certificate.optional(CONTEXT_0).ok_or(Refusal::Structure)?;
                        let der = Reader::new(wrapped).optional(OCTET_STRING).ok_or(Refusal::Structure)?;
                        self.contents.certificates.push(der.to_vec());
                    }
                }
                [6] if depth < MAX_DEPTH => self.read_bags(value, depth + 1)?,
                [6] => return Err(Refusal::Structure.into()),
                // Revocation lists and other secrets.
                _ => {}
            }
        }
        Ok(())
    }

    fn take_key(&mut self, pkcs8: &[u8]) -> Result<(), Failure> {
        let key = unwrap_pkcs8(pkcs8).map_err(Failure::Key)?;
        if self.contents.key.replace(key).is_some() {
            return Err(Failure::Key(invalid("it holds several private keys; expected one")));
        }
        Ok(())
    }
}

fn verify(mac: hmac::Algorithm, key: &[u8], safe: &[u8], expected: &[u8]) -> Result<(), Refusal> {
    hmac::verify(&hmac::Key::new(mac, key), safe, expected).map_err(|_| Refusal::Password) // says no more
}

/// The kind of a `ContentInfo`, and what it holds.
fn content_info<'a>(reader: &mut Reader<'a>) -> Option<(&'a [u8], &'a [u8])> {
    let mut info = reader.sequence()?;
    Some((info.optional(OID)?, info.optional(CONTEXT_0)?))
}

/// Scheme and data of an `EncryptedData` (RFC 5652, section 8).
fn encrypted_content(bytes: &[u8]) -> Option<(Algorithm<'_>, Zeroizing<Vec<u8>>)> {
    let mut data = Reader::new(bytes).sequence()?;
    data.number()?;
    let mut info = data.sequence()?;
    info.optional(OID)?;
    let scheme = algorithm(&mut info)?;
    let data = match info.optional(CONTEXT_0_PRIMITIVE) {
        Some(whole) => Zeroizing::new(whole.to_vec()),
        None => join(info.optional(CONTEXT_0)?)?,
    };
    Some((scheme, data))
}

const ADVICE: &str = "openssl pkcs12 -in FILE -out NEW.pem (with -legacy for old files)";
const UNKNOWN_INTEGRITY: &str = "an integrity check by a hash other than SHA-1, SHA-256, SHA-384 and SHA-512";
/// How deep bags may lie in bags; tools write no such thing. Source: our choice.
const MAX_DEPTH: usize = 4;
/// `1.2.840.113549.1.7.1`
const DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01];
/// `1.2.840.113549.1.7.2`
const SIGNED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02];
/// `1.2.840.113549.1.7.3`
const ENVELOPED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x03];
/// `1.2.840.113549.1.7.6`
const ENCRYPTED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x06];
/// `1.2.840.113549.1.12.10.1`, before the number of the kind.
const BAG: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x0c, 0x0a, 0x01];
/// `1.2.840.113549.1.9.22.1`
const X509_CERTIFICATE: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x16, 0x01];
/// `1.2.840.113549.1.5.14`
const PBMAC1: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0e];
/// `1.3.14.3.2.26`
const SHA1: &[u8] = &[0x2b, 0x0e, 0x03, 0x02, 0x1a];
/// `2.16.840.1.101.3.4.2.4`
const SHA224: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x04];
/// `2.16.840.1.101.3.4.2.1`
const SHA256: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01];
/// `2.16.840.1.101.3.4.2.2`
const SHA384: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02];
/// `2.16.840.1.101.3.4.2.3`
const SHA512: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03];
