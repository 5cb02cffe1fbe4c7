//! What programs that sign people in ask of Azure Resource Manager: endpoints, tenants and subscriptions.
//!
//! It is at Entra's origin, as nobody else is there whom its paths could be meant for.

mod bearer;

use serde_json::{Value, json};

use crate::directory::{Directory, Subscription, Tenant};
use crate::endpoints::{Outcome, Refusal};
use crate::entra::own_host;
use crate::record::Request;
use crate::shared::Shared;
use crate::text::decode_form;

/// True for a path of Azure Resource Manager, which is read in either case.
pub(crate) fn is_at(path: &str) -> bool {
    let mut parts = parts(path);
    match parts.next() {
        Some(first) if is(first, "metadata") => parts.next().is_some_and(|second| is(second, "endpoints")),
        Some(first) => is(first, "subscriptions") || is(first, "tenants"),
        None => false,
    }
}

/// Answers a request to such a path.
pub(crate) fn decide(shared: &Shared, request: &Request, directory: &Directory) -> Result<Outcome<'static>, Refusal> {
    let parts: Vec<&str> = parts(&request.path).collect();
    match *parts.as_slice() {
        [first, _] if is(first, "metadata") => {
            get(request)?;
            api_version(request, &["2022-09-01"])?;
            Ok(Outcome::Json(endpoints(own_host(shared, request))))
        }
        [first] if is(first, "tenants") => {
            let tenant = caller(shared, request, directory, None)?;
            Ok(list([tenant_document(tenant)]))
        }
        [_] => {
            let tenant = caller(shared, request, directory, None)?;
            Ok(list(directory.subscriptions_of(tenant).map(|one| subscription_document(one, tenant))))
        }
        [first, id] if is(first, "subscriptions") => {
            let found = directory.subscriptions.iter().find(|one| is(&one.id, id));
            let owner = found.and_then(|one| directory.owner_of(one));
            let tenant = caller(shared, request, directory, owner)?;
            let none =
                || Refusal::new(404, "SubscriptionNotFound", format!("The subscription '{id}' could not be found."));
            found.map(|one| Outcome::Json(subscription_document(one, tenant))).ok_or_else(none)
        }
        _ => {
            caller(shared, request, directory, None)?;
            let text = format!("The emulator does not play {} of Azure Resource Manager", request.path);
            Err(Refusal::new(501, "NotEmulated", text))
        }
    }
}

/// The body of an error, in the shape of Azure Resource Manager.
pub(crate) fn body(refusal: &Refusal) -> Value {
    json!({ "error": { "code": refusal.code, "message": refusal.message } })
}

/// The tenant of the token that a decent request brings, which has to be that of the subscription that it names.
fn caller<'a>(
    shared: &Shared,
    request: &Request,
    directory: &'a Directory,
    owner: Option<&Tenant>,
) -> Result<&'a Tenant, Refusal> {
    get(request)?;
    // Our choice of an order: a stranger does not learn what is supported.
    let tenant = bearer::tenant(shared, request, directory, owner)?;
    api_version(request, VERSIONS)?;
    Ok(tenant)
}

fn get(request: &Request) -> Result<(), Refusal> {
    if request.method == "GET" {
        return Ok(());
    }
    let text = format!("The requested resource does not support http method '{}'.", request.method);
    Err(Refusal::new(405, "MethodNotAllowed", text))
}

/// Refuses a request that does not name one of these versions.
fn api_version(request: &Request, supported: &[&str]) -> Result<(), Refusal> {
    let named = decode_form(&request.raw_query).unwrap_or_default();
    let mut named = named.iter().filter(|(name, _)| is(name, "api-version")).map(|(_, version)| version.as_str());
    match (named.next(), named.next()) {
        (Some(version), None) if supported.contains(&version) => Ok(()),
        (None, _) | (Some(""), None) => Err(Refusal::new(
            400,
            "MissingApiVersionParameter",
            "The api-version query parameter (?api-version=) is required for all requests.",
        )),
        (Some(version), _) => {
            let supported = supported.join(",");
            let text = format!("The api-version '{version}' is invalid. The supported versions are '{supported}'.");
            Err(Refusal::new(400, "InvalidApiVersionParameter", text))
        }
    }
}

/// What `az cloud register` learns of a cloud. There are no hosts of other services, for nothing here plays them.
fn endpoints(host: &str) -> Value {
    let origin = format!("https://{host}");
    json!({
        "name": "IdentityEmulator",
        "portal": origin,
        "resourceManager": origin,
        "authentication": {
            "loginEndpoint": origin,
            "audiences": ["https://management.core.windows.net/", "https://management.azure.com/"],
            "tenant": "common",
            "identityProvider": "AAD",
        },
        "graph": "https://graph.windows.net/",
        "graphAudience": "https://graph.windows.net/",
        "microsoftGraphResourceId": "https://graph.microsoft.com/",
        "batch": "https://batch.core.windows.net/",
        "activeDirectoryDataLake": "https://datalake.azure.net/",
        "ossrdbmsResourceId": "https://ossrdbms-aad.database.windows.net",
        "attestationResourceId": "https://attest.azure.net",
        "logAnalyticsResourceId": "https://api.loganalytics.io",
        "synapseAnalyticsResourceId": "https://dev.azuresynapse.net",
        "suffixes": {},
    })
}

fn tenant_document(tenant: &Tenant) -> Value {
    let domain = tenant.domains.first().unwrap_or(&tenant.id);
    json!({
        "id": format!("/tenants/{}", tenant.id),
        "tenantId": tenant.id,
        "countryCode": "ZZ",
        "displayName": domain,
        "defaultDomain": domain,
        "domains": tenant.domains,
        "tenantCategory": "Home",
        "tenantType": "AAD",
    })
}

fn subscription_document(subscription: &Subscription, tenant: &Tenant) -> Value {
    let Subscription { id, name, .. } = subscription;
    json!({
        "id": format!("/subscriptions/{id}"),
        "subscriptionId": id,
        "tenantId": tenant.id,
        "displayName": name,
        "state": "Enabled",
        "authorizationSource": "RoleBased",
        "managedByTenants": [],
        "subscriptionPolicies": {
            "locationPlacementId": "Public_2014-09-01",
            "quotaId": "PayAsYouGo_2014-09-01",
            "spendingLimit": "Off",
        },
    })
}

fn list(entries: impl IntoIterator<Item = Value>) -> Outcome<'static> {
    let entries: Vec<Value> = entries.into_iter().collect();
    Outcome::Json(json!({ "count": { "type": "Total", "value": entries.len() }, "value": entries }))
}

fn parts(path: &str) -> impl Iterator<Item = &str> {
    let path = path.strip_prefix('/').unwrap_or(path);
    path.strip_suffix('/').unwrap_or(path).split('/')
}

fn is(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
}

/// Those of subscriptions and tenants whose answers have the shape of the ones here.
///
/// Source: "Subscriptions - List" and "Tenants - List", learn.microsoft.com/rest/api/resources.
const VERSIONS: &[&str] = &["2019-06-01", "2019-11-01", "2020-01-01", "2021-01-01", "2022-12-01"];
