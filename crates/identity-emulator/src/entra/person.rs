//! Who signs in, and whether that may be.

use crate::directory::{App, Tenant, User};
use crate::endpoints::Refusal;
use crate::entra::claims::policy_claims;
use crate::entra::known;
use crate::entra::tenant::Realm;

/// The person of that object id.
pub(crate) fn known_user<'a>(realm: &Realm<'a>, object_id: &str, tenant: &Tenant) -> Result<&'a User, Refusal> {
    realm.directory.user_of(object_id).ok_or_else(|| no_account(object_id, &tenant.id))
}

/// The tenant at which the person signs in: home, which a request may not name otherwise.
pub(crate) fn tenant_of<'a>(realm: &Realm<'a>, user: &User, app: &App) -> Result<&'a Tenant, Refusal> {
    let Some(home) = realm.directory.home_of(user) else { return Err(no_account(&user.name, &realm.name)) };
    match realm.tenant {
        Some(tenant) if tenant.id != home.id => Err(known(
            50020,
            format!(
                "User account '{}' from identity provider 'https://sts.windows.net/{}/' does not exist in tenant '{}' and cannot access the \
                 application '{}'({}) in that tenant. The account needs to be added as an external user in the tenant first. Sign out and \
                 sign in again with a different Azure Active Directory user account.",
                user.name, home.id, tenant.id, app.client_id, app.name
            ),
        )),
        _ => Ok(home),
    }
}

/// Refuses an account that an administrator has disabled.
pub(crate) fn check_account(user: &User) -> Result<(), Refusal> {
    if user.disabled { Err(known(50057, "The user account is disabled.")) } else { Ok(()) }
}

/// Refuses somebody of whom a policy demands a second factor that was not there.
///
/// `is_challenge` says that the client is told which claims to bring.
pub(crate) fn check_factors(user: &User, mfa: bool, resource: &str, is_challenge: bool) -> Result<(), Refusal> {
    if !user.mfa || mfa {
        return Ok(());
    }
    let text = format!(
        "Due to a configuration change made by your administrator, or because you moved to a new location, you must use multi-factor \
         authentication to access '{resource}'."
    );
    let mut refusal = known(50076, text);
    if is_challenge {
        refusal.detail.claims = Some(policy_claims());
    } else {
        // Source: answers to refresh tokens in microsoftgraph/microsoft-graph-docs-contrib, issue 6306.
        refusal.code = "invalid_grant";
    }
    Err(refusal)
}

pub(crate) fn no_account(name: &str, tenant: &str) -> Refusal {
    known(
        50034,
        format!(
            "The user account {name} does not exist in the {tenant} directory. To sign into this application, the account must be added to \
             the directory."
        ),
    )
}
