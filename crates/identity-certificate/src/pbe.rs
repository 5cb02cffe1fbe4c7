//! Decryption with a password: PBES2 (RFC 8018), and the older scheme of PKCS#12 with the feature `pkcs12`.

use std::num::NonZeroU32;

use aes::{
    Aes128, Aes192, Aes256,
    cipher::{Block, BlockCipherDecrypt, KeyInit},
};
use des::TdesEde3;
use identity_core::Error;
use ring::pbkdf2;
use zeroize::Zeroizing;

use crate::{
    der::{INTEGER, OCTET_STRING, OID, Reader, SEQUENCE},
    load::invalid,
};

/// Why something stays encrypted.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It does not decrypt: the password is another one, or the content is damaged.
    Password,
    /// How it is encrypted is not said as the standard has it.
    Malformed,
    /// It is no PKCS#12 file.
    #[cfg(feature = "pkcs12")]
    Structure,
    /// It asks for more work than anybody should do for it.
    Work,
    /// It uses what is not read here.
    Unsupported(&'static str),
}

impl Refusal {
    /// What to tell the user; `advice` is the command that makes a file that is read.
    pub(crate) fn explain(self, has_password: bool, advice: &str) -> Error {
        invalid(match self {
            Self::Password if has_password => "the password is wrong, or it is damaged".to_owned(),
            Self::Password => "it is encrypted and no password was given; set it with password(..)".to_owned(),
            Self::Malformed => "it is damaged: its encryption is not described as the standard says".to_owned(),
            #[cfg(feature = "pkcs12")]
            Self::Structure => "it is damaged: it is not built as the standard (PKCS#12) says".to_owned(),
            Self::Work => format!(
                "it asks for more than {MAX_WORK} rounds of hashing, which takes too long; encrypt it with fewer: {advice}"
            ),
            Self::Unsupported(what) => format!("it uses {what}, which is not read; convert it: {advice}"),
        })
    }
}

/// How much hashing may still be done for a file, which says itself how much it wants.
#[derive(Debug)]
pub(crate) struct Work(u64);

/// What derives a key in rounds, and what one of them costs.
///
/// PBKDF2 hashes twice in a round, the derivation of PKCS#12 once. Source: measured, 2026-11; 0.42 to 0.50 by the hash.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Derivation {
    Pbkdf2 = 21,
    #[cfg(feature = "pkcs12")]
    Pkcs12 = 10,
}

impl Default for Work {
    fn default() -> Self {
        Self(u64::from(MAX_WORK) * Derivation::Pbkdf2 as u64)
    }
}

impl Work {
    /// Takes the rounds for `blocks` blocks of derived bytes; nothing was done yet if there are not enough.
    pub(crate) fn take(&mut self, kind: Derivation, rounds: u32, blocks: usize) -> Result<NonZeroU32, Refusal> {
        let wanted = (u64::from(rounds) * kind as u64).checked_mul(blocks as u64);
        self.0 = wanted.and_then(|wanted| self.0.checked_sub(wanted)).ok_or(Refusal::Work)?;
        NonZeroU32::new(rounds).ok_or(Refusal::Malformed)
    }
}

/// A password, and whether it is none: PKCS#12 makes a difference between that and an empty one.
#[derive(Clone, Copy)]
pub(crate) struct Password<'a> {
    pub(crate) text: &'a str,
    #[cfg(feature = "pkcs12")]
    pub(crate) is_none: bool,
}

impl<'a> Password<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self {
            text,
            #[cfg(feature = "pkcs12")]
            is_none: false,
        }
    }
}

/// An `AlgorithmIdentifier`: its name, and its parameters, whatever they are.
pub(crate) type Algorithm<'a> = (&'a [u8], Reader<'a>);

/// Reads an [`Algorithm`].
pub(crate) fn algorithm<'a>(reader: &mut Reader<'a>) -> Option<Algorithm<'a>> {
    let mut algorithm = reader.sequence()?;
    Some((algorithm.optional(OID)?, algorithm))
}

/// Decrypts what is one sequence, by what an `AlgorithmIdentifier` says.
pub(crate) fn decrypt(
    scheme: Algorithm<'_>,
    data: &[u8],
    password: Password<'_>,
    work: &mut Work,
) -> Result<Zeroizing<Vec<u8>>, Refusal> {
    let plain = decrypt_any(scheme, data, password, work)?;
    // One wrong password in 256 leaves a padding that could be one.
    if plain.first() == Some(&SEQUENCE) && is_whole(&plain) { Ok(plain) } else { Err(Refusal::Password) }
}

/// Whether this is one element, said in advance how long or not.
fn is_whole(bytes: &[u8]) -> bool {
    let mut reader = Reader::new(bytes);
    bytes.get(1) == Some(&0x80) || reader.any().is_some() && reader.is_empty()
}

fn decrypt_any(
    scheme: Algorithm<'_>,
    data: &[u8],
    password: Password<'_>,
    work: &mut Work,
) -> Result<Zeroizing<Vec<u8>>, Refusal> {
    let (name, mut parameters) = scheme;
    if name == PBES2 {
        let mut parameters = parameters.sequence().ok_or(Refusal::Malformed)?;
        let derivation = algorithm(&mut parameters).ok_or(Refusal::Malformed)?;
        let (cipher, mut parameters) = algorithm(&mut parameters).ok_or(Refusal::Malformed)?;
        let key_len = match cipher {
            AES_128_CBC => 16,
            AES_192_CBC | DES_EDE3_CBC => 24,
            AES_256_CBC => 32,
            _ => return Err(Refusal::Unsupported("a cipher other than AES-CBC and 3DES-CBC")),
        };
        let key = pbkdf2(derivation, password.text.as_bytes(), Some(key_len), work)?;
        let vector = parameters.optional(OCTET_STRING).ok_or(Refusal::Malformed)?;
        return match cipher {
            AES_128_CBC => cbc::<Aes128>(&key, vector, data),
            AES_192_CBC => cbc::<Aes192>(&key, vector, data),
            AES_256_CBC => cbc::<Aes256>(&key, vector, data),
            _ => cbc::<TdesEde3>(&key, vector, data),
        };
    }
    #[cfg(feature = "pkcs12")]
    if let Some(kind) = crate::pbe12::Scheme::of(name) {
        return kind.decrypt(&mut parameters, data, password, work);
    }
    let _ = &mut parameters;
    Err(Refusal::Unsupported(UNKNOWN_SCHEME))
}

/// Derives a key by PBKDF2 (RFC 8018, appendix A.2), which is so long, or without that as long as it is said to be.
pub(crate) fn pbkdf2(
    derivation: Algorithm<'_>,
    password: &[u8],
    len: Option<usize>,
    work: &mut Work,
) -> Result<Zeroizing<Vec<u8>>, Refusal> {
    let (name, mut parameters) = derivation;
    if name != PBKDF2 {
        return Err(Refusal::Unsupported(if name == SCRYPT { "scrypt" } else { "a key derivation other than PBKDF2" }));
    }
    let mut parameters = parameters.sequence().ok_or(Refusal::Malformed)?;
    let salt = parameters.optional(OCTET_STRING).ok_or(Refusal::Malformed)?;
    let rounds = rounds(&mut parameters)?;
    let said = match parameters.optional(INTEGER) {
        Some([len]) => Some(usize::from(*len)),
        Some(_) => return Err(Refusal::Malformed),
        None => None,
    };
    // RFC 8018: the cipher's key length, if it is there at all. RFC 9579: it must be there, and not be short.
    let len = match (len, said) {
        (Some(len), None) => len,
        (Some(len), Some(said)) if len == said => len,
        (None, Some(said @ 20..=0x7f)) => said,
        _ => return Err(Refusal::Malformed),
    };
    let function = match parameters.optional(SEQUENCE) {
        Some(function) => Reader::new(function).optional(OID).ok_or(Refusal::Malformed)?,
        None => HMAC_SHA1,
    };
    let (function, size) = match function {
        HMAC_SHA1 => (pbkdf2::PBKDF2_HMAC_SHA1, 20),
        HMAC_SHA256 => (pbkdf2::PBKDF2_HMAC_SHA256, 32),
        HMAC_SHA384 => (pbkdf2::PBKDF2_HMAC_SHA384, 48),
        HMAC_SHA512 => (pbkdf2::PBKDF2_HMAC_SHA512, 64),
        _ => return Err(Refusal::Unsupported("PBKDF2 with a hash other than SHA-1, SHA-256, SHA-384 and SHA-512")),
    };
    let rounds = work.take(Derivation::Pbkdf2, rounds, len.div_ceil(size))?;
    let mut key = Zeroizing::new(vec![0; len]);
    pbkdf2::derive(function, rounds, salt, password, &mut key);
    Ok(key)
}

/// A count of rounds. One that is larger than any number here asks for too much work, and is not damaged.
pub(crate) fn rounds(reader: &mut Reader<'_>) -> Result<u32, Refusal> {
    let mut ahead = *reader;
    let rounds = reader.number();
    rounds.ok_or_else(|| match ahead.optional(INTEGER) {
        Some([0..0x80, _, _, _, ..]) => Refusal::Work,
        _ => Refusal::Malformed,
    })
}

/// Decrypts in CBC mode and takes the padding off (RFC 8018, section 6.1.1).
pub(crate) fn cbc<C: KeyInit + BlockCipherDecrypt>(
    key: &[u8],
    vector: &[u8],
    data: &[u8],
) -> Result<Zeroizing<Vec<u8>>, Refusal> {
    let cipher = C::new_from_slice(key).map_err(|_| Refusal::Malformed)?; // the error says no more
    cbc_with(&cipher, vector, data)
}

/// As [`cbc`], with a cipher that has its key.
pub(crate) fn cbc_with<C: BlockCipherDecrypt>(
    cipher: &C,
    vector: &[u8],
    data: &[u8],
) -> Result<Zeroizing<Vec<u8>>, Refusal> {
    let size = Block::<C>::default().len();
    if vector.len() != size || data.is_empty() || !data.len().is_multiple_of(size) {
        return Err(Refusal::Malformed);
    }
    let mut plain = Zeroizing::new(data.to_vec());
    let mut before = vector;
    for (block, encrypted) in plain.chunks_exact_mut(size).zip(data.chunks_exact(size)) {
        let block: &mut Block<C> = block.try_into().map_err(|_| Refusal::Malformed)?; // never: the chunks are that long
        cipher.decrypt_block(block);
        block.iter_mut().zip(before).for_each(|(byte, mask)| *byte ^= mask);
        before = encrypted;
    }
    let padding = usize::from(plain.last().copied().unwrap_or_default());
    let len = plain.len().checked_sub(padding).filter(|_| (1..=size).contains(&padding)).ok_or(Refusal::Password)?;
    if plain.get(len..).unwrap_or_default().iter().any(|byte| usize::from(*byte) != padding) {
        return Err(Refusal::Password);
    }
    // What stands behind the new end is wiped with the rest.
    plain.truncate(len);
    Ok(plain)
}

/// The most rounds of PBKDF2 for one file, all of its parts together.
///
/// Source: our choice. Tools write 1 to 600,000 for each part, of which old PKCS#12 has up to seven and derives them more
/// cheaply. So many take 0.5 to 1.7 s by the hash, measured 2026-11.
pub(crate) const MAX_WORK: u32 = 2_000_000;

const UNKNOWN_SCHEME: &str = if cfg!(feature = "pkcs12") {
    "a scheme other than PBES2 and those of PKCS#12 for encryption"
} else {
    "a scheme other than PBES2 for encryption"
};

/// `1.2.840.113549.1.5.12`
pub(crate) const PBKDF2: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0c];
/// `1.2.840.113549.1.5.13`
const PBES2: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0d];
/// `1.3.6.1.4.1.11591.4.11`
const SCRYPT: &[u8] = &[0x2b, 0x06, 0x01, 0x04, 0x01, 0xda, 0x47, 0x04, 0x0b];
/// `1.2.840.113549.2.7`
pub(crate) const HMAC_SHA1: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x02, 0x07];
/// `1.2.840.113549.2.9`
pub(crate) const HMAC_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x02, 0x09];
/// `1.2.840.113549.2.10`
pub(crate) const HMAC_SHA384: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x02, 0x0a];
/// `1.2.840.113549.2.11`
pub(crate) const HMAC_SHA512: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x02, 0x0b];
/// `1.2.840.113549.3.7`
const DES_EDE3_CBC: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x03, 0x07];
/// `2.16.840.1.101.3.4.1.2`
const AES_128_CBC: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x02];
/// `2.16.840.1.101.3.4.1.22`
const AES_192_CBC: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x16];
/// `2.16.840.1.101.3.4.1.42`
const AES_256_CBC: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x2a];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_are_counted_over_all_parts_before_any_is_done() {
        let mut work = Work::default();
        let mut take = |rounds, blocks| work.take(Derivation::Pbkdf2, rounds, blocks);
        assert_eq!(take(MAX_WORK / 2, 1), Ok(NonZeroU32::new(MAX_WORK / 2).unwrap()));
        assert_eq!(take(MAX_WORK / 2 + 1, 1), Err(Refusal::Work));
        assert_eq!(take(MAX_WORK / 4, 2), Ok(NonZeroU32::new(MAX_WORK / 4).unwrap()));
        assert_eq!(take(1, 1), Err(Refusal::Work));
        for blocks in [2, usize::MAX] {
            assert_eq!(Work::default().take(Derivation::Pbkdf2, u32::MAX, blocks), Err(Refusal::Work));
        }
        assert_eq!(Work::default().take(Derivation::Pbkdf2, 0, 1), Err(Refusal::Malformed));
    }

    #[cfg(feature = "pkcs12")]
    #[test]
    fn what_openssl_writes_with_600_000_rounds_is_read() {
        const ROUNDS: u32 = 600_000;
        let mut work = Work::default();
        // The integrity check; keys of 24 bytes and vectors of 8, by SHA-1, for the certificates and for the key.
        for blocks in [1, 2, 1, 2, 1] {
            work.take(Derivation::Pkcs12, ROUNDS, blocks).unwrap();
        }
        assert_eq!(work.take(Derivation::Pkcs12, 1, 1), Err(Refusal::Work));
        // As it is done today, with SHA-256.
        let mut work = Work::default();
        for kind in [Derivation::Pkcs12, Derivation::Pbkdf2, Derivation::Pbkdf2] {
            work.take(kind, ROUNDS, 1).unwrap();
        }
    }

    #[test]
    fn counts_of_rounds_that_no_number_holds_are_too_much_work() {
        for (bytes, expected) in [
            (&[2, 2, 8, 0][..], Ok(2048)),
            (&[2, 9, 0x7f, 1, 1, 1, 1, 1, 1, 1, 1], Err(Refusal::Work)),
            (&[2, 1, 0x80], Err(Refusal::Malformed)),
            (&[2, 5, 0x80, 0, 0, 0, 0], Err(Refusal::Malformed)),
            (&[4, 1, 1], Err(Refusal::Malformed)),
            (&[], Err(Refusal::Malformed)),
        ] {
            assert_eq!(rounds(&mut Reader::new(bytes)), expected, "{bytes:?}");
        }
    }
}
