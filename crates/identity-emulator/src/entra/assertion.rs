//! Client assertions: signed by an application's own certificate, or by an issuer that it trusts.

use serde_json::Value;

use crate::directory::{App, Directory, Tenant};
use crate::endpoints::Refusal;
use crate::entra::{discovery, federation, known};
use crate::jwt::{Jwt, Key};
use crate::record::Request;
use crate::shared::Shared;
use crate::source::Source;
use crate::text::{Calendar, decode_base64, epoch_seconds, hex};
use crate::x509::Certificate;

/// What an assertion is checked against.
pub(crate) struct Check<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) request: &'a Request,
    pub(crate) directory: &'a Directory,
    pub(crate) tenant: &'a Tenant,
    pub(crate) app: &'a App,
    pub(crate) is_adfs: bool,
}

impl Check<'_> {
    pub(crate) fn assertion(&self, text: &str) -> Result<(), Refusal> {
        let jwt = Jwt::parse(text).ok_or_else(malformed)?;
        let settings = self.shared.settings();
        if jwt.is_padded && settings.refuse_padding {
            return Err(malformed());
        }
        let issuer = jwt.claim("iss").ok_or_else(malformed)?;
        if self.request.source != Source::IdentityBinding && issuer.eq_ignore_ascii_case(&self.app.client_id) {
            self.own(&jwt)
        } else {
            federation::check(self, &jwt)
        }
    }

    /// An assertion that the application has signed itself.
    fn own(&self, jwt: &Jwt) -> Result<(), Refusal> {
        if !jwt.claim("sub").is_some_and(|sub| sub.eq_ignore_ascii_case(&self.app.client_id)) {
            return Err(known(700_021, "Client assertion application identifier doesn't match 'client_id' parameter."));
        }
        let algorithm = jwt.header("alg").unwrap_or_default();
        // AD FS knows no PSS.
        let algorithms: &[&str] = if self.is_adfs { &["RS256"] } else { &["RS256", "PS256"] };
        if !algorithms.contains(&algorithm) {
            return Err(unsupported(algorithm, algorithms));
        }
        if !jwt.header("typ").is_some_and(|kind| kind.eq_ignore_ascii_case("JWT")) {
            return Err(malformed());
        }
        let now = epoch_seconds(self.shared.now(self.request.source));
        let certificate = self.certificate(jwt, now)?;
        let Some(key) = certificate.rsa_key() else {
            return Err(self.bad_signature("The key was found, but is no RSA key.", &hex(&certificate.sha1())));
        };
        if !jwt.is_signed_by(&Key::Der(key)) {
            let reason = "The key was found, but use of the key to verify the signature failed.";
            return Err(self.bad_signature(reason, &hex(&certificate.sha1())));
        }
        if !certificate.is_valid_at(now) {
            return Err(self.bad_signature("The key used is expired.", &hex(&certificate.sha1())));
        }
        self.times(jwt, MAX_LIFETIME_SECS)?;
        self.audience(jwt)?;
        match jwt.claim("jti") {
            Some(id) if !id.is_empty() => self.shared.seen(id, self.app).map_err(|()| {
                known(
                    50012,
                    "The client assertion was used before, and this authority was told to accept each only once.",
                )
            }),
            _ => Err(known(50027, "JWT token is invalid or malformed. The claim 'jti' is missing.")),
        }
    }

    /// The certificate that the header names: a registered one, or one that a trusted CA has issued.
    fn certificate(&self, jwt: &Jwt, now: i64) -> Result<Certificate, Refusal> {
        let thumbprint = |name: &str| jwt.header(name).map(|text| decode_base64(text).unwrap_or_default());
        let (sha1, sha256) = (thumbprint("x5t"), thumbprint("x5t#S256"));
        let named = sha1.clone().or_else(|| sha256.clone());
        let Some(named) = named.filter(|_| !self.is_adfs || sha1.is_some()) else {
            return Err(self.bad_signature("The key was not found.", "none given"));
        };
        let is_named = |certificate: &Certificate| {
            sha1.as_ref().is_none_or(|sha1| *sha1 == certificate.sha1())
                && sha256.as_ref().is_none_or(|sha256| *sha256 == certificate.sha256())
        };
        let chain = self.chain(jwt)?;
        if chain.first().is_some_and(|first| !is_named(first)) {
            return Err(
                self.bad_signature("The key does not belong to the first certificate of the chain.", &hex(&named))
            );
        }
        let registered = self.app.certificates.iter().filter_map(|pem| Certificate::from_pem(pem)).find(is_named);
        if let Some(registered) = registered {
            return Ok(registered);
        }
        if self.app.subject_names.is_empty() || chain.is_empty() {
            return Err(self.bad_signature("The key was not found.", &hex(&named)));
        }
        self.issued(chain, now)
    }

    /// The certificates of `x5c`, the signing one first.
    fn chain(&self, jwt: &Jwt) -> Result<Vec<Certificate>, Refusal> {
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

    /// The first certificate, if its name is registered and the CA that was named for it has issued it.
    fn issued(&self, chain: Vec<Certificate>, now: i64) -> Result<Certificate, Refusal> {
        let links = chain.windows(2).all(|two| match two {
            [lower, upper] => lower.is_signed_by(upper) && upper.is_valid_at(now),
            _ => false,
        });
        let names = chain.first().map(Certificate::common_names).unwrap_or_default();
        let trusted = self.app.subject_names.iter().any(|(name, ca)| {
            names.contains(name)
                && Certificate::from_pem(ca)
                    .is_some_and(|ca| chain.last().is_some_and(|last| last.der() == ca.der() || last.is_signed_by(&ca)))
        });
        match chain.into_iter().next() {
            Some(first) if links && trusted => Ok(first),
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

    /// The time that the assertion allows, give or take five minutes; it may not be longer than `limit` seconds.
    pub(crate) fn times(&self, jwt: &Jwt, limit: i64) -> Result<(), Refusal> {
        let now = epoch_seconds(self.shared.now(self.request.source));
        let Some(expires) = jwt.time("exp") else { return Err(malformed()) };
        let begins = jwt.time("nbf").or_else(|| jwt.time("iat"));
        let from = begins.unwrap_or(now);
        let is_now = from.saturating_sub(SKEW_SECS) <= now && now < expires.saturating_add(SKEW_SECS);
        if is_now && expires.saturating_sub(from) <= limit {
            return Ok(());
        }
        let date = |seconds: i64| Calendar::from_epoch(seconds.clamp(0, 253_402_300_799)).entra_timestamp();
        Err(known(
            700_024,
            format!(
                "Client assertion is not within its valid time range. Current time: {}, assertion valid from {}, expiry time of \
                 assertion {}. Review the documentation at https://learn.microsoft.com/entra/identity-platform/certificate-credentials .",
                date(now),
                date(from),
                date(expires)
            ),
        ))
    }

    /// The audience: the token endpoint that got the request, under any of its names, or the issuer of its tokens.
    fn audience(&self, jwt: &Jwt) -> Result<(), Refusal> {
        let audience = jwt.claim("aud").unwrap_or_default();
        let (host, path) = audience.strip_prefix("https://").and_then(|rest| rest.split_once('/')).unwrap_or_default();
        let (realm, rest) = path.split_once('/').unwrap_or((path, ""));
        let is_tenant = if self.is_adfs { realm == "adfs" } else { self.tenant.is_called(realm) };
        let own = self.request.header("host").unwrap_or_default();
        let is_here = match rest {
            "oauth2/v2.0/token" | "v2.0" => !self.is_adfs && discovery::is_same_authority(self.shared, own, host),
            "oauth2/token" | "oauth2/token/" => discovery::is_same_authority(self.shared, own, host),
            "" => host == "sts.windows.net" && !self.is_adfs,
            _ => false,
        };
        if is_tenant && is_here {
            return Ok(());
        }
        Err(known(
            50012,
            format!("The audience claim of the client assertion, '{audience}', doesn't match the realm issuer."),
        ))
    }

    pub(crate) fn bad_signature(&self, reason: &str, thumbprint: &str) -> Refusal {
        known(
            700_027,
            format!(
                "The certificate with identifier used to sign the client assertion is not registered on application. [Reason - {reason}, \
                 Thumbprint of key used by client: '{thumbprint}', Configured keys: {}, client id '{}'].",
                self.app.certificates.len(),
                self.app.client_id
            ),
        )
    }
}

pub(crate) fn malformed() -> Refusal {
    known(50027, "JWT token is invalid or malformed.")
}

pub(crate) fn unsupported(algorithm: &str, supported: &[&str]) -> Refusal {
    let supported = supported.join(", ");
    known(
        5_002_738,
        format!(
            "Invalid JWT token. '{algorithm}' is not a supported signature algorithm. Supported signing algorithms are: '{supported}'"
        ),
    )
}

/// How wrong the clocks may be, in seconds.
const SKEW_SECS: i64 = 300;
/// How long an assertion may be valid, in seconds: a day.
///
/// Our choice: Entra documents no limit, and asks for five to ten minutes.
const MAX_LIFETIME_SECS: i64 = 86_400;
/// How many certificates a chain may have.
const MAX_CHAIN: usize = 10;
