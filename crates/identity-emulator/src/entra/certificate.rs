//! The certificate that an assertion was signed with: a registered one, or one that a trusted CA has issued.

use serde_json::Value;

use crate::endpoints::Refusal;
use crate::entra::assertion::{Check, malformed};
use crate::entra::{canned, known};
use crate::jwt::Jwt;
use crate::text::{decode_base64, hex};
use crate::x509::Certificate;

/// How the header of an assertion names a certificate.
struct Named {
    sha1: Option<Vec<u8>>,
    sha256: Option<Vec<u8>>,
    /// The SHA-1 in hexadecimal digits, where nothing else names one.
    key_id: Option<String>,
}

impl Named {
    fn of(jwt: &Jwt) -> Self {
        let thumbprint = |name: &str| jwt.header(name).map(|text| decode_base64(text).unwrap_or_default());
        let (sha1, sha256) = (thumbprint("x5t"), thumbprint("x5t#S256"));
        let alone = sha1.is_none() && sha256.is_none();
        Self { key_id: jwt.header("kid").filter(|_| alone).map(str::to_owned), sha1, sha256 }
    }

    fn is(&self, certificate: &Certificate) -> bool {
        self.sha1.as_ref().is_none_or(|sha1| *sha1 == certificate.sha1())
            && self.sha256.as_ref().is_none_or(|sha256| *sha256 == certificate.sha256())
            && self.key_id.as_ref().is_none_or(|id| id.eq_ignore_ascii_case(&hex(&certificate.sha1())))
    }

    fn text(&self) -> Option<String> {
        let thumbprint = self.sha1.as_ref().or(self.sha256.as_ref()).map(|bytes| hex(bytes));
        thumbprint.or_else(|| self.key_id.clone())
    }
}

impl Check<'_> {
    /// The certificate that the header names: a registered one, or one that a trusted CA has issued.
    pub(super) fn certificate(&self, jwt: &Jwt, now: i64) -> Result<Certificate, Refusal> {
        let named = Named::of(jwt);
        // AD FS knows certificates by their SHA-1 alone.
        let Some(text) = named.text().filter(|_| !self.is_adfs || named.sha1.is_some()) else {
            let text = "Invalid JWT token. No certificate SHA-1 thumbprint, certificate SHA-256 thumbprint, nor keyId specified in token \
                        header.";
            return Err(known(5_002_723, text));
        };
        let chain = chain(jwt)?;
        if chain.first().is_some_and(|first| !named.is(first)) {
            return Err(self.bad_signature("The key does not belong to the first certificate of the chain.", &text));
        }
        let mut registered = self.app.certificates.iter().filter_map(|pem| Certificate::from_pem(pem));
        if let Some(registered) = registered.find(|certificate| named.is(certificate)) {
            return Ok(registered);
        }
        if self.app.subject_names.is_empty() || chain.is_empty() {
            return Err(self.bad_signature("The key was not found.", &text));
        }
        self.issued(chain, now)
    }

    /// The first certificate, if its name is registered and the CA that was named for it has issued it.
    fn issued(&self, chain: Vec<Certificate>, now: i64) -> Result<Certificate, Refusal> {
        let names = chain.first().map(Certificate::common_names).unwrap_or_default();
        let trusted = self
            .app
            .subject_names
            .iter()
            .filter(|(name, _)| names.contains(name))
            .any(|(_, ca)| Certificate::from_pem(ca).is_some_and(|ca| leads_to(&chain, &ca, now)));
        match chain.into_iter().next() {
            Some(first) if trusted => Ok(first),
            Some(_) if names.is_empty() => Err(canned(700_030)),
            _ => Err(known(
                700_030,
                format!(
                    "Invalid certificate - subject name in certificate is not authorized. SubjectNames/SubjectAlternativeNames (up to 10) \
                     in token certificate are: {}.",
                    names.join(", ")
                ),
            )),
        }
    }
}

/// True if each certificate is signed by the next one and the last one by the CA, all of which may issue it and are valid; the
/// CA may be the last one itself.
///
/// The first one is not looked at: it only has to be issued.
fn leads_to(chain: &[Certificate], ca: &Certificate, now: i64) -> bool {
    let mut path: Vec<&Certificate> = chain.iter().collect();
    if path.len() == 1 || path.last().is_some_and(|last| last.der() != ca.der()) {
        path.push(ca);
    }
    let may_issue = path.iter().skip(1).enumerate().all(|(below, ca)| ca.may_issue(below) && ca.is_valid_at(now));
    may_issue && path.windows(2).all(|two| if let [lower, upper] = two { lower.is_signed_by(upper) } else { false })
}

/// The certificates of `x5c`, the signing one first.
fn chain(jwt: &Jwt) -> Result<Vec<Certificate>, Refusal> {
    let Some(chain) = jwt.header.get("x5c") else { return Ok(Vec::new()) };
    let decoded = chain.as_array().filter(|chain| (1..=MAX_CHAIN).contains(&chain.len())).and_then(|chain| {
        let decode = |text: &Value| {
            // RFC 7515, section 4.1.6: plain base64 here, not that of URLs.
            let text = text.as_str().filter(|text| !text.contains(['-', '_']))?;
            Certificate::from_der(&decode_base64(text)?)
        };
        chain.iter().map(decode).collect::<Option<Vec<Certificate>>>()
    });
    decoded.ok_or_else(malformed)
}

/// How many certificates a chain may have.
const MAX_CHAIN: usize = 10;
