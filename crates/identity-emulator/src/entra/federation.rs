//! Tokens of other issuers in place of an application's own credential.

use crate::directory::PLAYED;
use crate::endpoints::Refusal;
use crate::entra::assertion::{Check, check_header, malformed};
use crate::entra::known;
use crate::jwt::{ALGORITHMS, Jwt, Key};
use crate::source::Source;
use crate::text::epoch_seconds;

/// The audience that a token must have to be exchanged for one of Entra's.
pub(crate) const EXCHANGE_AUDIENCE: &str = "api://AzureADTokenExchange";
/// The same behind the proxy of AKS identity bindings.
pub(crate) const BINDING_AUDIENCE: &str = "api://AKSIdentityBinding";

pub(crate) fn check(check: &Check<'_>, jwt: &Jwt) -> Result<(), Refusal> {
    let issuer = jwt.claim("iss").unwrap_or_default();
    let subject = jwt.claim("sub").unwrap_or_default();
    let audience = jwt.audience().unwrap_or_default();
    check_header(jwt, &ALGORITHMS)?;
    let records = &check.app.federations;
    if records.is_empty() {
        return Err(known(
            70021,
            format!(
                "No matching federated identity record found for presented assertion. Assertion Issuer: '{issuer}'. Assertion Subject: \
                 '{subject}'. Assertion Audience: '{audience}'."
            ),
        ));
    }
    let no_match = |code: u32, part: &str, value: &str| {
        known(
            code,
            format!(
                "No matching federated identity record found for presented assertion {part} '{value}'. Please check your federated \
                 identity credential Subject, Audience and Issuer against the presented assertion. \
                 https://learn.microsoft.com/entra/workload-id/workload-identity-federation"
            ),
        )
    };
    let hosts = &check.shared.hosts;
    let own = check.directory.own_tenant(issuer, hosts);
    // Entra's own tokens have one issuer in version 1.0 and another in 2.0.
    let same_issuer =
        |wanted: &str| wanted == issuer || (own.is_some() && own == check.directory.own_tenant(wanted, hosts));
    let mut records: Vec<_> = records.iter().filter(|record| same_issuer(&record.issuer)).collect();
    if records.is_empty() {
        return Err(no_match(700_211, "issuer", issuer));
    }
    if check.request.source == Source::IdentityBinding {
        if audience != BINDING_AUDIENCE {
            return Err(no_match(700_212, "audience", audience));
        }
    } else {
        records.retain(|record| record.audience == audience);
        if records.is_empty() {
            return Err(no_match(700_212, "audience", audience));
        }
    }
    if !records.iter().any(|record| record.subject == subject) {
        return Err(no_match(700_213, "subject", subject));
    }
    signature(check, jwt, issuer)?;
    check.times(jwt, i64::MAX)
}

fn signature(check: &Check<'_>, jwt: &Jwt, issuer: &str) -> Result<(), Refusal> {
    let kid = jwt.header("kid").ok_or_else(malformed)?;
    let is_ours = PLAYED.contains(&issuer) || check.directory.own_tenant(issuer, &check.shared.hosts).is_some();
    let keys = check.directory.issuers.iter().filter(|known| known.issuer == issuer).flat_map(|known| &known.keys);
    let mut keys: Vec<(&str, Key<'_>)> =
        keys.map(|key| (key.id.as_str(), Key::Parts(&key.modulus, &key.exponent))).collect();
    if is_ours {
        let now = epoch_seconds(check.shared.now(check.request.source));
        let ours = check.shared.signer.keys.published(now);
        keys.extend(ours.map(|key| (key.id.as_str(), Key::Parts(&key.public.n, &key.public.e))));
    }
    let Some((_, key)) = keys.iter().find(|(id, _)| *id == kid) else {
        return Err(check.bad_signature("The key was not found.", kid));
    };
    if jwt.is_signed_by(key) {
        return Ok(());
    }
    Err(check.bad_signature("The key was found, but use of the key to verify the signature failed.", kid))
}
