//! The grant of programs that act for themselves.

use serde_json::{Map, Value};

use crate::endpoints::Refusal;
use crate::entra::client::Client;
use crate::entra::error::{canned, policy_claims};
use crate::entra::form::Form;
use crate::entra::tenant::Realm;
use crate::entra::{Issue, known, scope};
use crate::record::Request;
use crate::shared::Shared;

pub(crate) fn issue(shared: &Shared, request: &Request, realm: &Realm<'_>, form: &Form) -> Result<Issue, Refusal> {
    let Some(tenant) = realm.tenant else { return Err(no_tenant(&realm.name, form)) };
    let app = Client::named(realm, tenant, request, form)?;
    if form.optional("resource").is_some() && !realm.is_adfs {
        return Err(known(901_002, "The 'resource' request parameter is not supported."));
    }
    let scope = form.required("scope")?;
    let resource = scope::app_only_resource(scope)?;
    let capabilities = capabilities(form.optional("claims"))?;
    let client = Client::authenticated(shared, app, tenant, realm, request, form)?;
    if !shared.may_ask(format!("{} {} {scope}", tenant.id, app.client_id)) {
        return Err(canned(50196));
    }
    if !knows(shared, realm, &client, resource) {
        return Err(known(
            500_011,
            format!(
                "The resource principal named {resource} was not found in the tenant named {}. This can happen if the application \
                 has not been installed by the administrator of the tenant or consented to by any user in the tenant. You might have \
                 sent your authentication request to the wrong tenant.",
                tenant.id
            ),
        ));
    }
    if !app.consented {
        return Err(known(
            65001,
            format!(
                "The user or administrator has not consented to use the application with ID '{}' named '{}'. Send an interactive \
                 authorization request for this user and resource.",
                app.client_id, app.name
            ),
        ));
    }
    if app.blocked {
        let text =
            "Access has been blocked by Conditional Access policies. The access policy does not allow token issuance.";
        let mut refusal = known(53003, text);
        refusal.detail.claims = Some(policy_claims());
        return Err(refusal);
    }
    let mut claims = app_claims(&client, resource);
    if realm.is_adfs {
        let host = request.header("host").unwrap_or("localhost");
        claims.insert("iss".to_owned(), format!("https://{host}/adfs/services/trust").into());
    }
    if !capabilities.is_empty() {
        claims.insert("xms_cc".to_owned(), capabilities.into());
    }
    let mut fields = Map::new();
    fields.insert("token_type".to_owned(), "Bearer".into());
    // No `client_info`, even if it is asked for: an application has no account.
    Ok(Issue { claims, token_field: "access_token", fields, lifetime_secs: shared.settings().lifetime_secs })
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

fn knows(shared: &Shared, realm: &Realm<'_>, client: &Client<'_>, resource: &str) -> bool {
    let allowed = &client.app.resources;
    let bare = |text: &str| text.strip_suffix('/').unwrap_or(text).to_ascii_lowercase();
    let is_in = |list: &[String]| list.iter().any(|known| bare(known) == bare(resource));
    if allowed.is_empty() {
        shared.resources.knows(resource) || is_in(&realm.directory.resources)
    } else {
        is_in(allowed)
    }
}

/// The client capabilities in the `claims` parameter, which has to be an object of objects.
fn capabilities(claims: Option<&str>) -> Result<Vec<Value>, Refusal> {
    let Some(text) = claims else { return Ok(Vec::new()) };
    let malformed = || known(90100, "The parameter 'claims' is empty or not valid: it must be a JSON object.");
    let Ok(Value::Object(claims)) = serde_json::from_str(text) else { return Err(malformed()) };
    let Some(of_token) = claims.get("access_token") else { return Ok(Vec::new()) };
    let Value::Object(of_token) = of_token else { return Err(malformed()) };
    let values = of_token.get("xms_cc").map(|asked| asked.get("values").and_then(Value::as_array));
    match values {
        None => Ok(Vec::new()),
        Some(None) => Err(malformed()),
        Some(Some(values)) => {
            let known_value = |value: &&Value| value.as_str().is_some_and(|text| text.eq_ignore_ascii_case("cp1"));
            Ok(values.iter().filter(known_value).map(|_| "CP1".into()).take(1).collect())
        }
    }
}

/// An application signs in at a tenant of its own, not at a group of them.
fn no_tenant(name: &str, form: &Form) -> Refusal {
    let client_id = form.optional("client_id").unwrap_or_default();
    if name == "consumers" {
        let text = format!(
            "Application '{client_id}' is configured for use by Azure Active Directory users only. Please do not use the /consumers \
             endpoint to serve this request."
        );
        return known(9_002_332, text);
    }
    let text = format!(
        "Application '{client_id}' is not configured as a multi-tenant application. Usage of the /{name} endpoint is not supported for \
         such apps created after '10/15/2018'. Use a tenant-specific endpoint or configure the application to be multi-tenant."
    );
    known(50194, text)
}
