//! Entra's token service.

mod adfs;
mod assertion;
mod authorize;
mod certificate;
mod claims;
mod client;
mod client_credentials;
mod code;
mod codes;
mod delegated;
mod discovery;
mod error;
mod federation;
mod form;
mod grants;
mod on_behalf_of;
mod page;
mod password;
mod person;
mod refresh;
mod scope;
mod soap;
mod tenant;
mod user_token;
mod xml;

use serde_json::{Map, Value};

pub(crate) use code::{Ask, CODE_LIFETIME_SECS};
pub(crate) use delegated::Wanted;
pub(crate) use discovery::own_host;
pub(crate) use error::{Detail, body, canned};
use error::{known, not_played};
pub(crate) use federation::{BINDING_AUDIENCE, EXCHANGE_AUDIENCE};
pub(crate) use grants::{Grants, State, is_opaque};
pub(crate) use page::{Page, headers as page_headers};
pub(crate) use tenant::Realm;
pub(crate) use user_token::Delegation;

use crate::arm;
use crate::endpoints::{Outcome, Refusal};
use crate::record::Request;
use crate::shared::Shared;
use crate::source::Source;
use form::Form;
use soap::Trust;

/// A token that may be issued, by Entra or by an issuer that it trusts.
pub(crate) struct Issue {
    /// The claims, without `iat`, `nbf` and `exp`.
    pub(crate) claims: Map<String, Value>,
    /// The name of the field that has the token.
    pub(crate) token_field: &'static str,
    /// The claims of an ID token, likewise.
    pub(crate) id_token: Option<Map<String, Value>>,
    /// The other fields of the answer, without times.
    pub(crate) fields: Map<String, Value>,
    pub(crate) lifetime_secs: i64,
}

/// Answers a request to one of Entra's listeners.
pub(crate) fn decide(shared: &Shared, request: &Request) -> Result<Outcome<'static>, Refusal> {
    let directory = shared.directory.now().map_err(|_| Refusal::new(500, "server_error", BROKEN))?;
    if request.source == Source::Entra && arm::is_at(&request.path) {
        return arm::decide(shared, request, &directory);
    }
    let path = match request.source {
        Source::IdentityBinding => request.path.strip_prefix(request.source.token_path()).unwrap_or_default(),
        _ => &request.path,
    };
    let path = path.strip_prefix('/').unwrap_or_default();
    let (realm, rest) = path.split_once('/').unwrap_or((path, ""));
    if request.source == Source::IdentityBinding && rest != "oauth2/v2.0/token" {
        return Err(Refusal::new(404, "not_found", "The proxy serves token requests only"));
    }
    match rest {
        "oauth2/v2.0/token" if realm != "adfs" => token(shared, request, &Realm::find(&directory, realm)?),
        "oauth2/token" | "oauth2/token/" if realm == "adfs" => token(shared, request, &Realm::find(&directory, realm)?),
        "oauth2/v2.0/authorize" if realm != "adfs" => {
            authorize::authorize(shared, request, &Realm::find(&directory, realm)?)
        }
        adfs::MEX if realm == "adfs" => adfs::mex(shared, request),
        adfs::TRUST_13 if realm == "adfs" => adfs::trust(shared, request, &directory, Trust::V13),
        adfs::TRUST_2005 if realm == "adfs" => adfs::trust(shared, request, &directory, Trust::V2005),
        _ if realm == "common" && user_of(rest).is_some() => {
            adfs::user_realm(shared, request, &directory, user_of(rest).unwrap_or_default())
        }
        "discovery/instance" if realm == "common" => discovery::instance(shared, request),
        "v2.0/.well-known/openid-configuration" | ".well-known/openid-configuration" => {
            let realm = Realm::find(&directory, realm).map_err(|mut refusal| {
                // 2026-11: the token endpoint calls the same thing an invalid request.
                refusal.code = "invalid_tenant";
                refusal
            })?;
            discovery::configuration(shared, request, &realm, rest.starts_with("v2.0"))
        }
        "discovery/v2.0/keys" | "discovery/keys" => {
            discovery::keys(shared, request, &Realm::find(&directory, realm)?, rest.contains("v2.0"))
        }
        _ if LATER.contains(&rest) => {
            Realm::find(&directory, realm)?;
            Err(not_played(&format!("{rest} of Entra")))
        }
        _ => Err(Refusal::new(404, "not_found", format!("There is nothing at {}", request.path))),
    }
}

/// The token endpoint: one file for each grant.
fn token(shared: &Shared, request: &Request, realm: &Realm<'_>) -> Result<Outcome<'static>, Refusal> {
    let form = Form::of(request)?;
    let grant = form.required("grant_type")?;
    let issue = match grant {
        "client_credentials" => client_credentials::issue(shared, request, realm, &form)?,
        "authorization_code" if !realm.is_adfs => code::issue(shared, request, realm, &form)?,
        "refresh_token" if !realm.is_adfs => refresh::issue(shared, request, realm, &form)?,
        "password" if !realm.is_adfs => password::issue(shared, request, realm, &form)?,
        SAML_1 if !realm.is_adfs => password::issue_for_assertion(shared, request, realm, &form, false)?,
        SAML_2 if !realm.is_adfs => password::issue_for_assertion(shared, request, realm, &form, true)?,
        ON_BEHALF_OF if !realm.is_adfs => on_behalf_of::issue(shared, request, realm, &form)?,
        other if GRANTS.contains(&other) => return Err(not_played(&format!("the grant '{other}'"))),
        other => {
            let text = format!("The app requested an unsupported grant type '{other}'.");
            return Err(known(70003, text));
        }
    };
    Ok(Outcome::Issue(Box::new(issue)))
}

/// The user in the path of a realm, which MSAL for Go begins with `UserRealm`.
fn user_of(rest: &str) -> Option<&str> {
    let (begin, name) = rest.split_at_checked(USER_REALM.len())?;
    begin.eq_ignore_ascii_case(USER_REALM).then_some(name)
}

/// True if it is known how Entra answers with that code.
pub(crate) fn knows_code(code: u32) -> bool {
    codes::find(code).is_some()
}

/// Before the name of a user.
const USER_REALM: &str = "userrealm/";
/// Endpoints that Entra has.
const LATER: [&str; 7] = [
    "oauth2/authorize",
    "oauth2/devicecode",
    "oauth2/logout",
    "oauth2/token",
    "oauth2/v2.0/devicecode",
    "oauth2/v2.0/logout",
    "saml2",
];
/// Grants that Entra has, or AD FS.
const GRANTS: [&str; 8] = [
    "authorization_code",
    "device_code",
    "password",
    "refresh_token",
    ON_BEHALF_OF,
    "urn:ietf:params:oauth:grant-type:device_code",
    SAML_1,
    SAML_2,
];
const SAML_1: &str = "urn:ietf:params:oauth:grant-type:saml1_1-bearer";
const SAML_2: &str = "urn:ietf:params:oauth:grant-type:saml2-bearer";
const ON_BEHALF_OF: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/// What clients are told, who are not to see what is in the file.
const BROKEN: &str = "The directory file of the emulator is broken; see what the emulator says of it";
