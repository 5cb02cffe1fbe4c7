//! The grant of programs that act for themselves.

use serde_json::{Map, Value};

use crate::endpoints::Refusal;
use crate::entra::client::{Client, no_tenant};
use crate::entra::discovery::{issuer, own_host};
use crate::entra::error::too_many_requests;
use crate::entra::form::{Form, missing_field};
use crate::entra::tenant::Realm;
use crate::entra::{Issue, claims, known, scope};
use crate::record::Request;
use crate::shared::Shared;

pub(crate) fn issue(shared: &Shared, request: &Request, realm: &Realm<'_>, form: &Form) -> Result<Issue, Refusal> {
    // An application signs in at a tenant of its own, not at a group of them.
    let Some(tenant) = realm.tenant else {
        return Err(no_tenant(&realm.name, form.optional("client_id").unwrap_or_default()));
    };
    let app = Client::named(realm, tenant, request, form)?;
    if form.optional("resource").is_some() && !realm.is_adfs {
        return Err(known(901_002, "The 'resource' request parameter is not supported."));
    }
    let scope = form.optional("scope").ok_or_else(|| missing_field("scope"))?;
    let resource = scope::app_only_resource(scope)?;
    let capabilities = claims::capabilities(form.optional("claims"))?;
    let client = Client::authenticated(shared, app, tenant, realm, request, form)?;
    if !shared.may_ask(format!("{} {} {resource}", tenant.id, app.client_id)) {
        return Err(too_many_requests());
    }
    scope::check_resource(shared, realm, tenant, app, resource)?;
    client.admitted()?;
    let host = own_host(shared, request);
    let audience = scope::resource_app(realm, tenant, resource).filter(|app| app.token_version == 2 && !realm.is_adfs);
    let mut claims = match audience {
        Some(audience) => app_claims_2(&client, &audience.client_id, &issuer(host, realm, true)),
        None => app_claims(&client, resource),
    };
    if realm.is_adfs {
        claims.insert("iss".to_owned(), format!("https://{host}/adfs/services/trust").into());
    }
    let roles = app.roles_at(resource);
    if !roles.is_empty() {
        claims.insert("roles".to_owned(), roles.into());
    }
    if !capabilities.is_empty() {
        claims.insert("xms_cc".to_owned(), capabilities.into());
    }
    let mut fields = Map::new();
    fields.insert("token_type".to_owned(), "Bearer".into());
    // No `client_info`, even if it is asked for: an application has no account.
    let lifetime_secs = shared.settings().lifetime_secs;
    Ok(Issue { claims, token_field: "access_token", id_token: None, fields, lifetime_secs })
}

/// The claims of an app-only token, version 1.0.
fn app_claims(client: &Client<'_>, resource: &str) -> Map<String, Value> {
    let issuer = format!("https://sts.windows.net/{}/", client.tenant.id);
    let pairs = [
        ("aud", resource),
        ("iss", &issuer),
        ("idp", &issuer),
        ("appid", &client.app.client_id),
        ("appidacr", client.strength),
        ("idtyp", "app"),
        ("oid", &client.app.object_id),
        ("sub", &client.app.object_id),
        ("tid", &client.tenant.id),
        ("ver", "1.0"),
    ];
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect()
}

/// The claims of an app-only token, version 2.0.
fn app_claims_2(client: &Client<'_>, audience: &str, issuer: &str) -> Map<String, Value> {
    let pairs = [
        ("aud", audience),
        ("iss", issuer),
        ("azp", &client.app.client_id),
        ("azpacr", client.strength),
        ("oid", &client.app.object_id),
        ("sub", &client.app.object_id),
        ("tid", &client.tenant.id),
        ("ver", "2.0"),
    ];
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect()
}
