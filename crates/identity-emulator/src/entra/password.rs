//! The grants of somebody who gives a program the password.

use crate::directory::User;
use crate::endpoints::Refusal;
use crate::entra::adfs::name_of;
use crate::entra::client::Client;
use crate::entra::delegated::Wanted;
use crate::entra::discovery::own_host;
use crate::entra::form::{Form, missing_field};
use crate::entra::person::{check_account, check_factors, no_account, tenant_of};
use crate::entra::tenant::Realm;
use crate::entra::user_token::Delegation;
use crate::entra::{Issue, claims, known};
use crate::lock;
use crate::record::Request;
use crate::shared::Shared;
use crate::text::{decode_base64, epoch_seconds};

pub(crate) fn issue(shared: &Shared, request: &Request, realm: &Realm<'_>, form: &Form) -> Result<Issue, Refusal> {
    let (name, password) = (form.required("username")?, form.required("password")?);
    by(shared, request, realm, form, |_| {
        let user = realm.directory.user(name).ok_or_else(|| no_account(name, &realm.name))?;
        check_account(user)?;
        check_password(user, password, !user.federated)?;
        Ok(user)
    })
}

/// The grant of somebody whom AD FS has given an assertion.
pub(crate) fn issue_for_assertion(
    shared: &Shared,
    request: &Request,
    realm: &Realm<'_>,
    form: &Form,
    is_version_2: bool,
) -> Result<Issue, Refusal> {
    let encoded = form.required("assertion")?;
    by(shared, request, realm, form, |now| {
        let invalid = |what: &str| known(50008, format!("Unable to verify token signature. {what}"));
        let text = decode_base64(encoded).and_then(|bytes| String::from_utf8(bytes).ok());
        let text = text.ok_or_else(|| invalid("The assertion is no text in base64."))?;
        // It is not signed: it is what it was when it was given, or it is none.
        let name = name_of(&text).ok_or_else(|| invalid("The assertion is no XML."))?;
        let found = lock(&shared.grants).assertions.get(&name).cloned();
        let found = found.ok_or_else(|| invalid("The federation server has not issued it."))?;
        if found.is_version_2 != is_version_2 {
            return Err(invalid("It is of another version than the grant."));
        }
        if now >= found.expires {
            return Err(invalid("It has expired."));
        }
        let user = realm.directory.user_of(&found.user).ok_or_else(|| no_account(&found.user, &realm.name))?;
        check_account(user)?;
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
