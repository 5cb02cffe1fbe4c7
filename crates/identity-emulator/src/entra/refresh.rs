//! The grant of a client that was there before.

use crate::endpoints::Refusal;
use crate::entra::client::Client;
use crate::entra::delegated::Wanted;
use crate::entra::discovery::own_host;
use crate::entra::form::Form;
use crate::entra::grants::{RefreshToken, Session, State, is_opaque};
use crate::entra::person::{check_account, check_factors, known_user, tenant_of};
use crate::entra::tenant::Realm;
use crate::entra::user_token::Delegation;
use crate::entra::{Issue, claims, known};
use crate::lock;
use crate::record::Request;
use crate::shared::Shared;
use crate::text::{Calendar, epoch_seconds};

pub(crate) fn issue(shared: &Shared, request: &Request, realm: &Realm<'_>, form: &Form) -> Result<Issue, Refusal> {
    let name = form.required("refresh_token")?;
    if !is_opaque(name) {
        return Err(malformed());
    }
    let app = Client::named_anywhere(realm, request, form)?;
    Client::check_origin(request)?;
    let cae = !claims::capabilities(form.optional("claims"))?.is_empty();
    let found = lock(&shared.grants).refresh_tokens.get(name).cloned();
    let Some(RefreshToken { session, cae: was_cae, expires, state }) = found else { return Err(unknown()) };
    let tenant = realm.tenant.or_else(|| realm.directory.tenant(&session.tenant)).ok_or_else(unknown)?;
    let app = Client::find(realm, tenant, &app.client_id)?;
    let client = Client::authenticated_or_public(shared, app, tenant, realm, request, form)?;
    if session.client_id != app.client_id {
        return Err(known(70000, "Provided grant is invalid or malformed. It was issued to another client."));
    }
    let now = epoch_seconds(shared.now(request.source));
    match state {
        State::Good if now < expires => {}
        State::Good | State::Expired => return Err(inactive(&session, now)),
        State::Revoked(since) => return Err(revoked(&session, since)),
        State::Used => return Err(used()),
    }
    // Our choice: official SDKs keep the two apart, and so does a cache that is right.
    if cae != was_cae {
        let text = "Provided grant is invalid or malformed. It was issued to a client with other capabilities.";
        return Err(known(70000, text));
    }
    let user = known_user(realm, &session.user, tenant)?;
    let tenant = tenant_of(realm, user, app)?;
    check_account(user)?;
    let scope = Wanted::named_or(form.optional("scope"), &session.scope)?;
    let wanted = Wanted::parse(&scope)?;
    check_factors(user, session.mfa, &wanted.resource, false)?;
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
        mfa: session.mfa,
        cae,
        nonce: None,
        wants_client_info: form.optional("client_info") == Some("1"),
        session: Some(session),
        is_refreshed: true,
    };
    let issue = delegation.issue(&wanted, &scope)?;
    if shared.settings().single_use_refresh_tokens {
        // Last, so that no refusal uses it up.
        let mut grants = lock(&shared.grants);
        match grants.refresh_tokens.get_mut(name).filter(|token| token.state == State::Good) {
            Some(token) => token.state = State::Used,
            None => return Err(used()),
        }
    }
    Ok(issue)
}

fn used() -> Refusal {
    let text = "The provided authorization code or refresh token has expired due to inactivity. Send a new interactive authorization \
                request for this user and resource.";
    known(70008, text)
}

/// What has not the form of a grant is refused before anything else is looked at.
pub(crate) fn malformed() -> Refusal {
    known(9_002_313, "Invalid request. Request is malformed or invalid.")
}

pub(crate) fn unknown() -> Refusal {
    known(70000, "Provided grant is invalid or malformed.")
}

/// The refusal of what somebody has revoked.
pub(crate) fn revoked(session: &Session, since: i64) -> Refusal {
    let date = |seconds: i64| Calendar::from_epoch(seconds).entra_timestamp().replace(' ', "T");
    known(
        50173,
        format!(
            "The provided grant has expired due to it being revoked, a fresh auth token is needed. The user might have changed or reset \
             their password. The grant was issued on '{}' and the TokensValidFrom date (before which tokens are not valid) for this user \
             is '{}'.",
            date(session.began),
            date(since)
        ),
    )
}

fn inactive(session: &Session, now: i64) -> Refusal {
    let issued = Calendar::from_epoch(session.began).entra_timestamp().replace(' ', "T");
    let days = now.saturating_sub(session.began) / 86_400;
    known(
        700_082,
        format!(
            "The refresh token has expired due to inactivity. The token was issued on {issued} and was inactive for {days}.00:00:00."
        ),
    )
}
