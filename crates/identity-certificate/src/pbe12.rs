//! The password scheme of PKCS#12 itself (RFC 7292, appendices B and C): old ciphers, and a key derivation of its own that
//! the integrity check uses to this day.

use des::{TdesEde2, TdesEde3};
use rc2::Rc2;
use ring::digest;
use zeroize::Zeroizing;

use crate::{
    der::{OCTET_STRING, Reader},
    pbe::{Derivation, Password, Refusal, Work, cbc, cbc_with, rounds},
};

/// A scheme that derives with SHA-1.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Scheme {
    TripleDes,
    DoubleDes,
    /// With so many bytes of key.
    Rc2(usize),
}

impl Scheme {
    pub(crate) fn of(name: &[u8]) -> Option<Self> {
        // 1.2.840.113549.1.12.1.x; 1 and 2 are RC4.
        Some(match name.strip_prefix(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x0c, 0x01])? {
            [3] => Self::TripleDes,
            [4] => Self::DoubleDes,
            [5] => Self::Rc2(16),
            [6] => Self::Rc2(5),
            _ => return None,
        })
    }

    pub(crate) fn decrypt(
        self,
        parameters: &mut Reader<'_>,
        data: &[u8],
        password: Password<'_>,
        work: &mut Work,
    ) -> Result<Zeroizing<Vec<u8>>, Refusal> {
        let mut parameters = parameters.sequence().ok_or(Refusal::Malformed)?;
        let salt = parameters.optional(OCTET_STRING).ok_or(Refusal::Malformed)?;
        let rounds = rounds(&mut parameters)?;
        let password = bmp(password);
        let mut key = Zeroizing::new(vec![
            0;
            match self {
                Self::TripleDes => 24,
                Self::DoubleDes => 16,
                Self::Rc2(len) => len,
            }
        ]);
        let mut vector = [0; 8];
        derive(&digest::SHA1_FOR_LEGACY_USE_ONLY, Use::Key, &password, salt, rounds, &mut key, work)?;
        derive(&digest::SHA1_FOR_LEGACY_USE_ONLY, Use::Vector, &password, salt, rounds, &mut vector, work)?;
        match self {
            Self::TripleDes => cbc::<TdesEde3>(&key, &vector, data),
            Self::DoubleDes => cbc::<TdesEde2>(&key, &vector, data),
            Self::Rc2(len) => cbc_with(&Rc2::new_with_eff_key_len(&key, len * 8), &vector, data),
        }
    }
}

/// What derived bytes are used for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Use {
    Key = 1,
    Vector = 2,
    Integrity = 3,
}

/// A password as PKCS#12 takes it: UTF-16, big-endian, with a zero at its end; nothing if it is none.
pub(crate) fn bmp(password: Password<'_>) -> Zeroizing<Vec<u8>> {
    if password.is_none {
        return Zeroizing::default();
    }
    // As large as it can become, so that no part of it stays behind in a buffer that was too small.
    let mut bytes = Zeroizing::new(Vec::with_capacity(password.text.len() * 2 + 2));
    password.text.encode_utf16().chain([0]).for_each(|unit| bytes.extend(unit.to_be_bytes()));
    bytes
}

/// Fills `out` (RFC 7292, appendix B.2).
pub(crate) fn derive(
    hash: &'static digest::Algorithm,
    use_: Use,
    password: &[u8],
    salt: &[u8],
    rounds: u32,
    out: &mut [u8],
    work: &mut Work,
) -> Result<(), Refusal> {
    let block = hash.block_len();
    let rounds = work.take(Derivation::Pkcs12, rounds, out.len().div_ceil(hash.output_len()))?.get();
    let fill = |bytes: &[u8]| bytes.len().div_ceil(block) * block;
    // Both repeated to a multiple of the hash's block.
    let mut input = Zeroizing::new(Vec::with_capacity(fill(salt) + fill(password)));
    for part in [salt, password] {
        input.extend(part.iter().cycle().take(fill(part)));
    }
    for chunk in out.chunks_mut(hash.output_len()) {
        let mut context = digest::Context::new(hash);
        context.update(&vec![use_ as u8; block]);
        context.update(&input);
        let mut hashed = context.finish();
        for _ in 1..rounds {
            hashed = digest::digest(hash, hashed.as_ref());
        }
        chunk.iter_mut().zip(hashed.as_ref()).for_each(|(to, from)| *to = *from);
        for part in input.chunks_mut(block) {
            // Adds the hash, repeated, and one.
            let mask = hashed.as_ref().iter().cycle().take(block).collect::<Vec<_>>();
            part.iter_mut().zip(mask).rev().fold(1u16, |carry, (byte, mask)| {
                let sum = u16::from(*byte) + u16::from(*mask) + carry;
                *byte = sum as u8;
                sum >> 8
            });
        }
    }
    Ok(())
}
