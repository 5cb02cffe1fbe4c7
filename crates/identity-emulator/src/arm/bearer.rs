//! The token of whoever asks Azure Resource Manager.

use crate::directory::{Directory, Tenant, plain};
use crate::endpoints::{Refusal, sole_header};
use crate::entra::own_host;
use crate::jwt::{Jwt, Key};
use crate::record::Request;
use crate::shared::Shared;
use crate::text::{Calendar, epoch_seconds};

/// The tenant of the token that the request brings: signed here, for this audience, and good now.
///
/// Whoever asks for a subscription is told whose token it takes, which clients find a tenant by.
pub(super) fn tenant<'a>(
    shared: &Shared,
    request: &Request,
    directory: &'a Directory,
    owner: Option<&Tenant>,
) -> Result<&'a Tenant, Refusal> {
    check(shared, request, directory, owner).map_err(|(code, text)| {
        let authority = authority(shared, request, owner);
        let challenge =
            format!("Bearer authorization_uri=\"{authority}\", error=\"invalid_token\", error_description=\"{text}\"");
        let mut refusal = Refusal::new(401, code, text);
        refusal.detail.headers.push(("WWW-Authenticate".to_owned(), challenge));
        refusal
    })
}

fn check<'a>(
    shared: &Shared,
    request: &Request,
    directory: &'a Directory,
    owner: Option<&Tenant>,
) -> Result<&'a Tenant, Wrong> {
    if request.header("authorization").is_none() {
        let text = "Authentication failed. The 'Authorization' header is missing.";
        return Err(("AuthenticationFailed", text.to_owned()));
    }
    let token = sole_header(request, "authorization").and_then(|value| value.split_once(' '));
    let token = token.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, token)| token.trim());
    let Some(token) = token else {
        let text = "Authentication failed. The 'Authorization' header is provided in an invalid format.";
        return Err(("AuthenticationFailedInvalidHeader", text.to_owned()));
    };
    let now = epoch_seconds(shared.now(request.source));
    let jwt = Jwt::parse(token).filter(|jwt| is_signed(shared, jwt, now)).ok_or_else(invalid)?;
    let time = |name: &str| jwt.time(name).ok().flatten().ok_or_else(invalid);
    let (begins, expires) = (time("nbf")?, time("exp")?);
    if now >= expires {
        let (expired, now) = (Calendar::from_epoch(expires).us_date(), Calendar::from_epoch(now).us_date());
        let text = format!("The access token expiry UTC time '{expired}' is earlier than current UTC time '{now}'.");
        return Err(("ExpiredAuthenticationToken", text));
    }
    if now < begins {
        return Err(invalid());
    }
    let audience = jwt.audience().unwrap_or_default();
    if !AUDIENCES.iter().any(|known| *known == plain(audience)) {
        let allowed: Vec<String> = AUDIENCES.iter().map(|known| format!("'{known}/','{known}'")).collect();
        let text = format!(
            "The access token has been obtained for wrong audience or resource '{audience}'. It should exactly match with one of the \
             allowed audiences {}.",
            allowed.join(",")
        );
        return Err(("InvalidAuthenticationTokenAudience", text));
    }
    let issuer = jwt.claim("iss").unwrap_or_default();
    let issued_by = directory.own_tenant(issuer, &shared.hosts).and_then(|name| directory.tenant(name));
    let issued_by = issued_by.filter(|tenant| jwt.claim("tid") == Some(tenant.id.as_str())).ok_or_else(invalid)?;
    if let Some(owner) = owner.filter(|owner| owner.id != issued_by.id) {
        let text = format!(
            "The access token is from the wrong issuer '{issuer}'. It must match the tenant 'https://sts.windows.net/{}/' associated with \
             this subscription. Please use the authority (URL) '{}' to get the token.",
            owner.id,
            authority(shared, request, Some(owner))
        );
        return Err(("InvalidAuthenticationTokenTenant", text));
    }
    Ok(issued_by)
}

fn is_signed(shared: &Shared, jwt: &Jwt, now: i64) -> bool {
    let key = shared.signer.keys.published(now).find(|key| jwt.header("kid") == Some(key.id.as_str()));
    jwt.header("alg") == Some("RS256")
        && key.is_some_and(|key| jwt.is_signed_by(&Key::Parts(&key.public.n, &key.public.e)))
}

/// The code and the text of a refusal.
type Wrong = (&'static str, String);

fn invalid() -> Wrong {
    ("InvalidAuthenticationToken", "The access token is invalid.".to_owned())
}

/// Where a token for it can be had.
fn authority(shared: &Shared, request: &Request, owner: Option<&Tenant>) -> String {
    format!("https://{}/{}", own_host(shared, request), owner.map_or("common", |tenant| &tenant.id))
}

/// By which Azure Resource Manager of the public cloud is known, without the slash that may follow.
const AUDIENCES: [&str; 2] = ["https://management.core.windows.net", "https://management.azure.com"];
