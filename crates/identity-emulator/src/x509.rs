//! Just enough of X.509 to check who signed what: read strictly, from bytes that anybody may have sent.

use ring::digest;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA384_ASN1, ECDSA_P384_SHA256_ASN1, ECDSA_P384_SHA384_ASN1,
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, UnparsedPublicKey,
    VerificationAlgorithm,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

/// A certificate, taken apart.
#[derive(Clone, Debug)]
pub(crate) struct Certificate {
    der: Vec<u8>,
    signed: Vec<u8>,
    algorithm: Vec<u8>,
    signature: Vec<u8>,
    issuer: Vec<u8>,
    subject: Vec<u8>,
    /// The content of the public key: for RSA, modulus and exponent as PKCS#1 has them.
    key: Vec<u8>,
    key_kind: KeyKind,
    ca: Option<Ca>,
    pub(crate) not_before: i64,
    pub(crate) not_after: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum KeyKind {
    Rsa,
    P256,
    P384,
    Other,
}

/// What a CA may issue.
#[derive(Clone, Copy, Debug)]
struct Ca {
    /// How many certificates of CAs may come below it; any number if absent.
    below: Option<usize>,
}

impl Certificate {
    /// The first certificate in a PEM text.
    pub(crate) fn from_pem(pem: &str) -> Option<Self> {
        Self::from_der(&CertificateDer::from_pem_slice(pem.as_bytes()).ok()?)
    }

    pub(crate) fn from_der(der: &[u8]) -> Option<Self> {
        let mut outer = Reader(der);
        let mut certificate = Reader(outer.take(SEQUENCE)?);
        let all = certificate.0;
        let tbs = certificate.take(SEQUENCE)?;
        let signed = all.get(..all.len() - certificate.0.len())?;
        let algorithm = Reader(certificate.take(SEQUENCE)?).take(OBJECT_IDENTIFIER)?;
        let signature = certificate.bits()?;
        let mut tbs = Reader(tbs);
        if tbs.0.first() == Some(&VERSION) {
            tbs.take(VERSION)?;
        }
        tbs.take(INTEGER)?;
        tbs.take(SEQUENCE)?;
        let issuer = tbs.take(SEQUENCE)?;
        let mut validity = Reader(tbs.take(SEQUENCE)?);
        let (not_before, not_after) = (validity.time()?, validity.time()?);
        let subject = tbs.take(SEQUENCE)?;
        let mut key = Reader(tbs.take(SEQUENCE)?);
        let key_kind = Reader(key.take(SEQUENCE)?).key_kind()?;
        let key = key.bits()?;
        let ca = tbs.ca()?;
        if !outer.0.is_empty() || !certificate.0.is_empty() {
            return None;
        }
        Some(Self {
            der: der.to_vec(),
            signed: signed.to_vec(),
            algorithm: algorithm.to_vec(),
            signature: signature.to_vec(),
            issuer: issuer.to_vec(),
            subject: subject.to_vec(),
            key: key.to_vec(),
            key_kind,
            ca,
            not_before,
            not_after,
        })
    }

    pub(crate) fn der(&self) -> &[u8] {
        &self.der
    }

    pub(crate) fn sha1(&self) -> Vec<u8> {
        digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &self.der).as_ref().to_vec()
    }

    pub(crate) fn sha256(&self) -> Vec<u8> {
        digest::digest(&digest::SHA256, &self.der).as_ref().to_vec()
    }

    /// The RSA key as PKCS#1 has it, if it is one.
    pub(crate) fn rsa_key(&self) -> Option<&[u8]> {
        (self.key_kind == KeyKind::Rsa).then_some(&self.key)
    }

    /// The common names of the subject.
    pub(crate) fn common_names(&self) -> Vec<String> {
        let mut names = Vec::new();
        let mut sets = Reader(&self.subject);
        while let Some(set) = sets.take(SET) {
            let mut pairs = Reader(set);
            while let Some(pair) = pairs.take(SEQUENCE) {
                let mut pair = Reader(pair);
                if pair.take(OBJECT_IDENTIFIER) == Some(COMMON_NAME)
                    && let Some((_, value)) = pair.any()
                {
                    names.push(String::from_utf8_lossy(value).into_owned());
                }
            }
        }
        names
    }

    pub(crate) fn is_valid_at(&self, now: i64) -> bool {
        (self.not_before..=self.not_after).contains(&now)
    }

    /// True if it is that of a CA, above so many others of CAs (RFC 5280, section 4.2.1.9).
    pub(crate) fn may_issue(&self, cas_below: usize) -> bool {
        self.ca.is_some_and(|ca| ca.below.is_none_or(|most| cas_below <= most))
    }

    /// True if `issuer` is named as the issuer, and its key verifies the signature.
    ///
    /// Whether that one may issue certificates is another question: see [`may_issue`](Self::may_issue).
    pub(crate) fn is_signed_by(&self, issuer: &Self) -> bool {
        let algorithm: &dyn VerificationAlgorithm = match (self.algorithm.as_slice(), issuer.key_kind) {
            (RSA_SHA256, KeyKind::Rsa) => &RSA_PKCS1_2048_8192_SHA256,
            (RSA_SHA384, KeyKind::Rsa) => &RSA_PKCS1_2048_8192_SHA384,
            (RSA_SHA512, KeyKind::Rsa) => &RSA_PKCS1_2048_8192_SHA512,
            (ECDSA_SHA256, KeyKind::P256) => &ECDSA_P256_SHA256_ASN1,
            (ECDSA_SHA384, KeyKind::P256) => &ECDSA_P256_SHA384_ASN1,
            (ECDSA_SHA256, KeyKind::P384) => &ECDSA_P384_SHA256_ASN1,
            (ECDSA_SHA384, KeyKind::P384) => &ECDSA_P384_SHA384_ASN1,
            _ => return false,
        };
        self.issuer == issuer.subject
            && UnparsedPublicKey::new(algorithm, &issuer.key).verify(&self.signed, &self.signature).is_ok()
    }
}

/// Reads DER: definite lengths in their shortest form.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn any(&mut self) -> Option<(u8, &'a [u8])> {
        let (&[tag, short], rest) = self.0.split_first_chunk()?;
        let (length, rest) = match short {
            0..=0x7f => (usize::from(short), rest),
            0x81..=0x83 => {
                let (digits, rest) = rest.split_at_checked(usize::from(short & 0x7f))?;
                let length = digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit));
                if digits.first() == Some(&0) || length < 0x80 {
                    return None;
                }
                (length, rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, content))
    }

    fn take(&mut self, tag: u8) -> Option<&'a [u8]> {
        let (found, content) = self.any()?;
        (found == tag).then_some(content)
    }

    /// A string of whole bytes.
    fn bits(&mut self) -> Option<&'a [u8]> {
        let (unused, bytes) = self.take(BIT_STRING)?.split_first()?;
        (*unused == 0).then_some(bytes)
    }

    fn key_kind(&mut self) -> Option<KeyKind> {
        Some(match self.take(OBJECT_IDENTIFIER)? {
            RSA => KeyKind::Rsa,
            EC => match self.any()? {
                (OBJECT_IDENTIFIER, P256) => KeyKind::P256,
                (OBJECT_IDENTIFIER, P384) => KeyKind::P384,
                _ => KeyKind::Other,
            },
            _ => KeyKind::Other,
        })
    }

    /// The basic constraints in what follows the key, if they are those of a CA; the outer `None` is for what cannot be read.
    fn ca(&mut self) -> Option<Option<Ca>> {
        let mut ca = None;
        while !self.0.is_empty() {
            let (EXTENSIONS, content) = self.any()? else { continue };
            let mut extensions = Reader(Reader(content).take(SEQUENCE)?);
            while !extensions.0.is_empty() {
                let mut extension = Reader(extensions.take(SEQUENCE)?);
                let kind = extension.take(OBJECT_IDENTIFIER)?;
                let (mut tag, mut value) = extension.any()?;
                if tag == BOOLEAN {
                    (tag, value) = extension.any()?;
                }
                if tag != OCTET_STRING {
                    return None;
                }
                if kind == BASIC_CONSTRAINTS {
                    ca = Reader(Reader(value).take(SEQUENCE)?).basic_constraints()?;
                }
            }
        }
        Some(ca)
    }

    fn basic_constraints(&mut self) -> Option<Option<Ca>> {
        if self.0.first() != Some(&BOOLEAN) || self.take(BOOLEAN)? != [0xff] {
            return Some(None);
        }
        let below = match self.0.is_empty() {
            true => None,
            false => match self.take(INTEGER)? {
                [below @ 0..=0x7f] => Some(usize::from(*below)),
                _ => return None,
            },
        };
        Some(Some(Ca { below }))
    }

    /// Seconds since the Unix epoch, of both forms that certificates have (RFC 5280, section 4.1.2.5).
    fn time(&mut self) -> Option<i64> {
        let (tag, text) = self.any()?;
        let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
        if !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let (year, rest) = match tag {
            UTC_TIME if text.len() == 12 => {
                let (year, rest) = text.split_at(2);
                let year: i64 = year.parse().ok()?;
                (if year < 50 { 2000 + year } else { 1900 + year }, rest)
            }
            GENERALIZED_TIME if text.len() == 14 => {
                let (year, rest) = text.split_at(4);
                (year.parse().ok()?, rest)
            }
            _ => return None,
        };
        let part = |place: usize| rest.get(2 * place..2 * place + 2)?.parse::<i64>().ok();
        let days = days_from_civil(year, part(0)?, part(1)?);
        Some(days * 86_400 + part(2)? * 3_600 + part(3)? * 60 + part(4)?)
    }
}

/// Days since 1970-01-01 of a date of ISO 8601.
pub(crate) fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    // Years begin in March here, so that the leap day is the last of its year.
    let year = if month <= 2 { year - 1 } else { year };
    let march_month = (month + 9).rem_euclid(12);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * march_month + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

const BOOLEAN: u8 = 0x01;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const OBJECT_IDENTIFIER: u8 = 0x06;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const VERSION: u8 = 0xa0;
const EXTENSIONS: u8 = 0xa3;
/// 1.2.840.113549.1.1.1.
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1];
/// 1.2.840.113549.1.1.11.
const RSA_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 11];
/// 1.2.840.113549.1.1.12.
const RSA_SHA384: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 12];
/// 1.2.840.113549.1.1.13.
const RSA_SHA512: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 13];
/// 1.2.840.10045.2.1.
const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
/// 1.2.840.10045.3.1.7.
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
/// 1.3.132.0.34.
const P384: &[u8] = &[0x2b, 0x81, 4, 0, 34];
/// 1.2.840.10045.4.3.2.
const ECDSA_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
/// 1.2.840.10045.4.3.3.
const ECDSA_SHA384: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 3];
/// 2.5.29.19.
const BASIC_CONSTRAINTS: &[u8] = &[0x55, 29, 19];
/// 2.5.4.3.
const COMMON_NAME: &[u8] = &[0x55, 4, 3];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::Calendar;
    use crate::token::TEST_CERTIFICATE_PEM;

    #[test]
    fn the_test_certificate_says_what_openssl_says() {
        let certificate = Certificate::from_pem(TEST_CERTIFICATE_PEM).unwrap();
        let date = |seconds| Calendar::from_epoch(seconds).http_date();
        assert_eq!(date(certificate.not_before), "Mon, 23 Nov 2026 05:40:26 GMT");
        assert_eq!(date(certificate.not_after), "Wed, 30 Oct 2126 05:40:26 GMT");
        assert_eq!(certificate.common_names(), ["identity-emulator PUBLIC TEST KEY do not trust"]);
        assert!(certificate.rsa_key().is_some() && certificate.is_signed_by(&certificate));
        assert!(certificate.is_valid_at(certificate.not_after) && !certificate.is_valid_at(certificate.not_after + 1));
    }

    #[test]
    fn bytes_that_are_cut_or_changed_never_panic_and_are_never_trusted() {
        let certificate = Certificate::from_pem(TEST_CERTIFICATE_PEM).unwrap();
        for end in 0..certificate.der.len() {
            assert!(Certificate::from_der(&certificate.der[..end]).is_none());
        }
        for place in 0..certificate.der.len() {
            let mut changed = certificate.der.clone();
            changed[place] ^= 1;
            let trusted = Certificate::from_der(&changed).is_some_and(|other| other.is_signed_by(&certificate));
            // The parameters of the outer algorithm are not looked at.
            assert!(!trusted || changed[place - 1] == 5 || changed[place] == 4, "{place}");
        }
    }

    #[test]
    fn basic_constraints_say_who_may_issue() {
        use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};

        for (is_ca, allowed) in [
            (IsCa::NoCa, [false; 3]),
            (IsCa::ExplicitNoCa, [false; 3]),
            (IsCa::Ca(BasicConstraints::Unconstrained), [true; 3]),
            (IsCa::Ca(BasicConstraints::Constrained(0)), [true, false, false]),
            (IsCa::Ca(BasicConstraints::Constrained(1)), [true, true, false]),
        ] {
            for algorithm in [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ECDSA_P384_SHA384] {
                let mut params = CertificateParams::new(vec!["name.example".to_owned()]).unwrap();
                params.is_ca = is_ca;
                let der = params.self_signed(&KeyPair::generate_for(algorithm).unwrap()).unwrap();
                let certificate = Certificate::from_der(der.der()).unwrap();
                assert_eq!([0, 1, 2].map(|below| certificate.may_issue(below)), allowed, "{is_ca:?}");
                assert!(certificate.is_signed_by(&certificate) && certificate.rsa_key().is_none());
            }
        }
    }

    #[test]
    fn days_are_counted_as_the_calendar_does() {
        for (date, days) in [((1970, 1, 1), 0), ((2000, 2, 29), 11_016), ((2000, 3, 1), 11_017), ((1969, 12, 31), -1)] {
            assert_eq!(days_from_civil(date.0, date.1, date.2), days);
        }
    }
}
