//! The grants of somebody who gives a program the password.

use crate::directory::User;
use crate::endpoints::Refusal;
use crate::entra::client::Client;
use crate::entra::delegated::Wanted;
use crate::entra::discovery::own_host;
use crate::entra::form::{Form, missing_field};
use crate::entra::person::{check_account, check_factors, no_account, tenant_of};
use crate::entra::tenant::Realm;
use crate::entra::user_token::Delegation;
use crate::entra::{Issue, claims, known};
use crate::record::Request;
use crate::shared::Shared;
use crate::text::epoch_seconds;

pub(crate) fn issue(shared: &Shared, request: &Request, realm: &Realm<'_>, form: &Form) -> Result<Issue, Refusal> {
    let (name, password) = (form.required("username")?, form.required("password")?);
    by(shared, request, realm, form, |_| {
        let user = realm.directory.user(name).ok_or_else(|| no_account(name, &realm.name))?;
        check_account(user)?;
        check_password(user, password, !user.federated)?;
        Ok(user)
    })
}

/// Refuses a password that is wrong, or that `is_known` says is known elsewhere only; and one that has to be changed.
pub(crate) fn check_password(user: &User, password: &str, is_known: bool) -> Result<(), Refusal> {
    if !is_known || !user.has_password(password) {
        return Err(known(50126, "Error validating credentials due to invalid username or password."));
    }
    if user.must_change_password {
        return Err(known(50055, "The password is expired."));
    }
    Ok(())
}

/// Answers for the user who is found, after the client has been looked at.
pub(crate) fn by<'a>(
    shared: &Shared,
    request: &Request,
    realm: &Realm<'a>,
    form: &Form,
    find: impl FnOnce(i64) -> Result<&'a User, Refusal>,
) -> Result<Issue, Refusal> {
    if ["common", "consumers"].contains(&realm.name.as_str()) {
        return Err(known(
            9_001_023,
            "The grant type is not supported over the /common or /consumers endpoints. Please use the /organizations or tenant-specific \
             endpoint.",
        ));
    }
    let app = Client::named_anywhere(realm, request, form)?;
    let scope = form.optional("scope").ok_or_else(|| missing_field("scope"))?;
    let wanted = Wanted::parse(scope)?;
    let cae = !claims::capabilities(form.optional("claims"))?.is_empty();
    // Who has no tenant is nobody here, so it does not matter against which one the client proves itself.
    let Some(any) = realm.tenant.or(realm.directory.tenants.first()) else { return Err(no_account("", &realm.name)) };
    let client = Client::authenticated_or_public(shared, app, any, realm, request, form)?;
    let now = epoch_seconds(shared.now(request.source));
    let user = find(now)?;
    let tenant = tenant_of(realm, user, app).map_err(|_| no_account(&user.name, &realm.name))?;
    let app = Client::find(realm, tenant, &app.client_id)?;
    check_factors(user, false, &wanted.resource, false)?;
    client.admitted()?;
    let delegation = Delegation {
        shared,
        realm,
        host: own_host(shared, request),
        now,
        app,
        tenant,
        user,
        strength: client.strength,
        mfa: false,
        cae,
        nonce: None,
        wants_client_info: form.optional("client_info") == Some("1"),
        session: None,
        is_refreshed: false,
    };
    delegation.issue(&wanted, scope)
}
