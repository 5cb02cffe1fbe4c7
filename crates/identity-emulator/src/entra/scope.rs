//! What a token is asked for.

use crate::directory::{App, Tenant, plain};
use crate::endpoints::Refusal;
use crate::entra::delegated::OPENID;
use crate::entra::known;
use crate::entra::tenant::Realm;
use crate::shared::Shared;

/// The resource of an app-only scope: one word that ends with `/.default`.
///
/// Words of OpenID Connect say nothing here: MSAL for Java (1.23) adds them to every scope, in any order.
pub(crate) fn app_only_resource(scope: &str) -> Result<&str, Refusal> {
    if !is_scope(scope) {
        return Err(invalid(scope));
    }
    let mut words = scope.split(' ').filter(|word| !word.is_empty() && !OPENID.contains(word));
    let (word, more) = (words.next(), words.next());
    if more.is_some() {
        return Err(invalid(scope));
    }
    match word.and_then(|word| word.strip_suffix("/.default")) {
        Some(resource) if !resource.is_empty() => Ok(resource),
        _ => Err(known(
            1_002_012,
            format!(
                "The provided value for scope {scope} is not valid. Client credential flows must have a scope value with /.default \
                 suffixed to the resource identifier (application ID URI)."
            ),
        )),
    }
}

/// Refuses a resource that the tenant does not know, or that the application may not ask for.
///
/// Every application is a resource, too: by its client id, and as `api://` with it.
pub(crate) fn check_resource(
    shared: &Shared,
    realm: &Realm<'_>,
    tenant: &Tenant,
    app: &App,
    resource: &str,
) -> Result<(), Refusal> {
    let asked = plain(resource);
    let is_in = |list: &[String]| list.iter().any(|known| plain(known) == asked);
    let is_known = if app.resources.is_empty() {
        shared.resources.knows(resource)
            || is_in(&realm.directory.resources)
            || resource_app(realm, tenant, resource).is_some()
    } else {
        is_in(&app.resources)
    };
    if is_known {
        return Ok(());
    }
    Err(known(
        500_011,
        format!(
            "The resource principal named {resource} was not found in the tenant named {}. This can happen if the application has not \
             been installed by the administrator of the tenant or consented to by any user in the tenant. You might have sent your \
             authentication request to the wrong tenant.",
            tenant.id
        ),
    ))
}

/// The application that is the resource, if one is.
pub(crate) fn resource_app<'a>(realm: &Realm<'a>, tenant: &Tenant, resource: &str) -> Option<&'a App> {
    realm.directory.app(&plain(resource), tenant)
}

/// True for what a scope may consist of (RFC 6749, section 3.3).
pub(crate) fn is_scope(text: &str) -> bool {
    text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic() && !b"\"\\".contains(&byte))
}

pub(crate) fn invalid(scope: &str) -> Refusal {
    known(
        70011,
        format!(
            "The provided request must include a 'scope' input parameter. The provided value for the input parameter 'scope' is not valid. \
             The scope {scope} is not valid."
        ),
    )
}
