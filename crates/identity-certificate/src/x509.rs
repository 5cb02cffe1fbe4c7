//! What must be known of a certificate: whose key it has, who issued it, when it is valid (RFC 5280, section 4.1).

use identity_core::date::civil;

use crate::der::{BIT_STRING, BOOLEAN, CONTEXT_0, CONTEXT_0_PRIMITIVE, CONTEXT_3, INTEGER, OCTET_STRING, OID, Reader};

/// A certificate, taken apart.
#[derive(Clone, Debug)]
pub(crate) struct Certificate {
    pub(crate) der: Vec<u8>,
    issuer: Vec<u8>,
    subject: Vec<u8>,
    pub(crate) algorithm: Algorithm,
    /// The content of the public key's bit string: `RSAPublicKey` for an RSA key.
    pub(crate) public_key: Vec<u8>,
    /// In seconds since the Unix epoch.
    pub(crate) not_before: i64,
    /// In seconds since the Unix epoch; the last that is valid.
    pub(crate) not_after: i64,
}

impl Certificate {
    /// Takes DER apart; `None` if it is no certificate. What stands behind it is ignored: OpenSSL's own form says there what
    /// the certificate is trusted for.
    pub(crate) fn parse(der: &[u8]) -> Option<Self> {
        let whole = Reader::new(der).any()?.whole;
        let mut certificate = Reader::new(whole).sequence()?;
        let mut fields = certificate.sequence()?;
        fields.optional(CONTEXT_0); // version
        fields.optional(INTEGER)?; // serial number
        fields.sequence()?; // the issuer's algorithm
        let issuer = fields.any()?.whole;
        let mut validity = fields.sequence()?;
        let not_before = time(&mut validity)?;
        let not_after = time(&mut validity)?;
        let subject = fields.any()?.whole;
        let mut key = fields.sequence()?;
        let algorithm = Algorithm::parse(&mut key)?;
        // The first byte counts the bits that are not used.
        let public_key = key.optional(BIT_STRING)?.strip_prefix(&[0])?;
        certificate.sequence()?; // the algorithm, again
        certificate.optional(BIT_STRING)?;
        Some(Self {
            der: whole.to_vec(),
            issuer: issuer.to_vec(),
            subject: subject.to_vec(),
            algorithm,
            public_key: public_key.to_vec(),
            not_before,
            not_after,
        })
    }
}

impl Certificate {
    /// What the extension `2.5.29.{number}` calls a key.
    fn key_id(&self, number: u8) -> Option<&[u8]> {
        let mut fields = Reader::new(&self.der).sequence()?.sequence()?;
        let mut extensions = loop {
            let field = fields.any()?;
            if field.tag == CONTEXT_3 {
                break Reader::new(field.content).sequence()?;
            }
        };
        loop {
            let mut extension = extensions.sequence()?;
            if extension.optional(OID)? == [0x55, 0x1d, number] {
                extension.optional(BOOLEAN); // whether it is critical
                let mut id = Reader::new(extension.optional(OCTET_STRING)?);
                return match id.sequence() {
                    Some(mut issuer) => issuer.optional(CONTEXT_0_PRIMITIVE),
                    None => id.optional(OCTET_STRING),
                };
            }
        }
    }
}

/// What a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Algorithm {
    Rsa,
    RsaPss,
    EllipticCurve,
    Edwards,
    Other,
}

impl Algorithm {
    /// Reads an `AlgorithmIdentifier`.
    pub(crate) fn parse(reader: &mut Reader<'_>) -> Option<Self> {
        Some(match reader.sequence()?.optional(OID)? {
            RSA_ENCRYPTION => Self::Rsa,
            RSASSA_PSS => Self::RsaPss,
            EC_PUBLIC_KEY => Self::EllipticCurve,
            ED25519 | ED448 => Self::Edwards,
            _ => Self::Other,
        })
    }

    /// What a key of this kind is called.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Rsa => "an RSA key",
            Self::RsaPss => "an RSA key for PSS only",
            Self::EllipticCurve => "an elliptic-curve key",
            Self::Edwards => "an Ed25519 or Ed448 key",
            Self::Other => "a key of an unknown kind",
        }
    }
}

/// The bits of the modulus of an `RSAPublicKey`; `None` if it is none.
pub(crate) fn rsa_bits(public_key: &[u8]) -> Option<usize> {
    bits(Reader::new(public_key).sequence()?)
}

/// The bits of the modulus of an `RSAPrivateKey`; `None` if it is none.
pub(crate) fn private_rsa_bits(private_key: &[u8]) -> Option<usize> {
    let mut key = Reader::new(private_key).sequence()?;
    key.optional(INTEGER)?; // version
    bits(key)
}

fn bits(mut key: Reader<'_>) -> Option<usize> {
    let modulus = key.optional(INTEGER)?;
    let first = modulus.iter().position(|byte| *byte != 0)?;
    let leading = modulus.get(first)?.leading_zeros() as usize;
    Some((modulus.len() - first) * 8 - leading)
}

/// Puts the issuers of a certificate behind it, each after the one that it issued; the others stay in their order.
pub(crate) fn sort_chain<'a>(leaf: &'a Certificate, others: &'a [Certificate]) -> Vec<&'a Certificate> {
    let mut others: Vec<_> = others.iter().collect();
    let mut chain = vec![leaf];
    let mut last = leaf;
    while last.issuer != last.subject {
        // Issuers may share a name: one that was renewed with another key.
        let rank = |at: &usize| {
            let other = others.get(*at).filter(|other| other.subject == last.issuer)?;
            Some(other.key_id(SUBJECT_KEY_ID) == last.key_id(AUTHORITY_KEY_ID))
        };
        let Some(at) = (0..others.len()).rev().max_by_key(rank).filter(|at| rank(at).is_some()) else { break };
        last = others.remove(at);
        chain.push(last);
    }
    chain.append(&mut others);
    chain
}

/// `UTCTime` or `GeneralizedTime`, as seconds since the Unix epoch.
fn time(reader: &mut Reader<'_>) -> Option<i64> {
    let element = reader.any()?;
    let digits = element.content.strip_suffix(b"Z")?;
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let (year, rest) = digits.split_at_checked(match element.tag {
        0x17 => 2,
        0x18 => 4,
        _ => return None,
    })?;
    if rest.len() != 10 {
        return None;
    }
    let number = |digits: &[u8]| digits.iter().fold(0, |number, digit| number * 10 + i64::from(digit - b'0'));
    let year = match (number(year), element.tag) {
        (year @ 50.., 0x17) => year + 1900,
        (year, 0x17) => year + 2000,
        (year, _) => year,
    };
    let part = |at: usize| rest.get(at..at + 2).map(number);
    civil(year, part(0)?, part(2)?, part(4)?, part(6)?, part(8)?)
}

/// The last number of `subjectKeyIdentifier`.
const SUBJECT_KEY_ID: u8 = 14;
/// The last number of `authorityKeyIdentifier`.
const AUTHORITY_KEY_ID: u8 = 35;
/// `1.2.840.113549.1.1.1`
pub(crate) const RSA_ENCRYPTION: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
/// `1.2.840.113549.1.1.10`
const RSASSA_PSS: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0a];
/// `1.2.840.10045.2.1`
const EC_PUBLIC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
/// `1.3.101.112`
const ED25519: &[u8] = &[0x2b, 0x65, 0x70];
/// `1.3.101.113`
const ED448: &[u8] = &[0x2b, 0x65, 0x71];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_time_are_read() {
        for (tag, text, expected) in [
            (0x17, "700101000000Z", Some(0)),
            (0x17, "491231235959Z", Some(2_524_607_999)),
            (0x17, "500101000000Z", Some(-631_152_000)),
            (0x18, "19700101000001Z", Some(1)),
            (0x18, "99991231235959Z", Some(253_402_300_799)),
            (0x18, "700101000000Z", None),
            (0x17, "7001010000Z", None),
            (0x17, "701301000000Z", None),
            (0x17, "700101000000", None),
            (0x18, "19700101000001.5Z", None),
            (0x18, "1970010100000-Z", None),
            (0x19, "700101000000Z", None),
        ] {
            let mut der = vec![tag, text.len() as u8];
            der.extend(text.as_bytes());
            assert_eq!(time(&mut Reader::new(&der)), expected, "{text}");
        }
    }

    #[test]
    fn the_bits_of_a_modulus_are_counted() {
        for (modulus, expected) in
            [(&[0, 0x80, 0][..], Some(16)), (&[1], Some(1)), (&[0x7f, 0xff], Some(15)), (&[0], None), (&[], None)]
        {
            let mut der = vec![0x30, modulus.len() as u8 + 2, 2, modulus.len() as u8];
            der.extend(modulus);
            assert_eq!(rsa_bits(&der), expected);
        }
        assert_eq!(rsa_bits(&[]), None);
    }
}
