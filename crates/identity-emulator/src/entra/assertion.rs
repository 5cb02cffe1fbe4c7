//! Client assertions: signed by an application's own certificate, or by an issuer that it trusts.

use std::time::{Duration, UNIX_EPOCH};

use crate::directory::{App, Directory, Tenant};
use crate::endpoints::Refusal;
use crate::entra::form::missing_field;
use crate::entra::{discovery, federation, known};
use crate::jwt::{ALGORITHMS, Jwt, Key};
use crate::record::Request;
use crate::shared::Shared;
use crate::source::Source;
use crate::text::{epoch_seconds, hex, ticks};
use crate::token::sha256_hex;

/// What an assertion is checked against.
pub(crate) struct Check<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) request: &'a Request,
    pub(crate) directory: &'a Directory,
    pub(crate) tenant: &'a Tenant,
    /// The group of tenants that the request addresses.
    pub(crate) group: Option<&'a str>,
    pub(crate) app: &'a App,
    pub(crate) is_adfs: bool,
}

impl Check<'_> {
    pub(crate) fn assertion(&self, text: &str) -> Result<(), Refusal> {
        // RFC 7515, section 4.1.1: there is no signed token without an algorithm.
        let jwt = Jwt::parse(text).filter(|jwt| jwt.header("alg").is_some()).ok_or_else(malformed)?;
        if jwt.is_padded && self.shared.settings().refuse_padding {
            return Err(malformed());
        }
        for name in ["iss", "aud"] {
            if !jwt.claims.contains_key(name) {
                return Err(missing_field(name));
            }
        }
        let issuer = jwt.claim("iss").ok_or_else(malformed)?;
        if self.request.source != Source::IdentityBinding && issuer.eq_ignore_ascii_case(&self.app.client_id) {
            self.own(&jwt)?;
        } else {
            federation::check(self, &jwt)?;
        }
        // Without an id, the whole of it is one.
        let id = jwt.claim("jti").filter(|id| !id.is_empty()).map_or_else(|| sha256_hex(text), str::to_owned);
        self.shared.seen(issuer, &id, self.app).map_err(|()| {
            let text = "The client assertion was used before, and this authority was told to accept each only once.";
            known(50012, text)
        })
    }

    /// An assertion that the application has signed itself.
    fn own(&self, jwt: &Jwt) -> Result<(), Refusal> {
        if !jwt.claim("sub").is_some_and(|sub| sub.eq_ignore_ascii_case(&self.app.client_id)) {
            return Err(known(700_021, "Client assertion application identifier doesn't match 'client_id' parameter."));
        }
        // AD FS knows no PSS.
        check_header(jwt, if self.is_adfs { &["RS256"] } else { &ALGORITHMS })?;
        if jwt.header("typ").is_none() {
            return Err(wrong_type());
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
        if jwt.claim("jti").is_none_or(str::is_empty) {
            return Err(known(50027, "JWT token is invalid or malformed. The claim 'jti' is missing."));
        }
        Ok(())
    }

    /// The time that the assertion allows, give or take five minutes; it may not be longer than `limit` seconds.
    ///
    /// A time that is missing is the beginning of 1970.
    pub(crate) fn times(&self, jwt: &Jwt, limit: i64) -> Result<(), Refusal> {
        let time = |name: &str| jwt.time(name).map_err(|_| malformed());
        let (expires, begins, issued) = (time("exp")?.unwrap_or(0), time("nbf")?, time("iat")?);
        let clock = self.shared.now(self.request.source);
        let now = epoch_seconds(clock);
        let from = begins.unwrap_or(0);
        let is_now = from.saturating_sub(SKEW_SECS) <= now && now < expires.saturating_add(SKEW_SECS);
        if is_now && from <= expires && expires.saturating_sub(begins.or(issued).unwrap_or(now)) <= limit {
            return Ok(());
        }
        // The year stays one of four digits.
        let date = |seconds: i64| {
            let since = Duration::from_secs(u64::try_from(seconds).unwrap_or(0).min(253_402_300_799));
            ticks(UNIX_EPOCH.checked_add(since).unwrap_or(UNIX_EPOCH))
        };
        Err(known(
            700_024,
            format!(
                "Client assertion is not within its valid time range. Current time: {}, assertion valid from {}, expiry time of \
                 assertion {}. Review the documentation at https://learn.microsoft.com/entra/identity-platform/certificate-credentials .",
                ticks(clock),
                date(from),
                date(expires)
            ),
        ))
    }

    /// The audience: the token endpoint that got the request, under any of its names, or the issuer of its tokens.
    fn audience(&self, jwt: &Jwt) -> Result<(), Refusal> {
        let audience = jwt.claim("aud").ok_or_else(malformed)?;
        let (host, path) = audience.strip_prefix("https://").and_then(|rest| rest.split_once('/')).unwrap_or_default();
        let (realm, rest) = path.split_once('/').unwrap_or((path, ""));
        let is_tenant =
            if self.is_adfs { realm == "adfs" } else { self.tenant.is_called(realm) || self.group == Some(realm) };
        let own = discovery::own_host(self.shared, self.request);
        let is_here = match rest {
            "oauth2/v2.0/token" | "v2.0" => !self.is_adfs && discovery::is_same_authority(self.shared, own, host),
            "oauth2/token" | "oauth2/token/" => discovery::is_same_authority(self.shared, own, host),
            "" => host.eq_ignore_ascii_case("sts.windows.net") && !self.is_adfs,
            _ => false,
        };
        if is_tenant && is_here {
            return Ok(());
        }
        let text = "Client assertion audience claim does not match Realm issuer. Review the documentation at \
                    https://learn.microsoft.com/entra/identity-platform/certificate-credentials .";
        Err(known(700_023, text))
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

/// Refuses algorithms that are not listed, and types that are there and no JWT.
pub(crate) fn check_header(jwt: &Jwt, algorithms: &[&str]) -> Result<(), Refusal> {
    let algorithm = jwt.header("alg").unwrap_or_default();
    if !algorithms.contains(&algorithm) {
        let text = format!(
            "Invalid JWT token. '{algorithm}' is not a supported signature algorithm. Supported signing algorithms are: '{}'",
            algorithms.join(",")
        );
        return Err(known(5_002_738, text));
    }
    match jwt.header.get("typ") {
        Some(kind) if !kind.as_str().is_some_and(|kind| TYPES.iter().any(|known| known.eq_ignore_ascii_case(kind))) => {
            Err(wrong_type())
        }
        _ => Ok(()),
    }
}

fn wrong_type() -> Refusal {
    known(5_002_727, format!("Invalid JWT header type specified. Allowed types: '{}'.", TYPES.join("','")))
}

pub(crate) fn malformed() -> Refusal {
    known(50027, "JWT token is invalid or malformed.")
}

/// What the header may say that an assertion is.
const TYPES: [&str; 2] = ["JWT", "http://openid.net/specs/jwt/1.0"];
/// How wrong the clocks may be, in seconds.
const SKEW_SECS: i64 = 300;
/// How long an assertion may be valid, in seconds: a day.
///
/// Our choice: Entra documents no limit, and asks for five to ten minutes.
const MAX_LIFETIME_SECS: i64 = 86_400;
