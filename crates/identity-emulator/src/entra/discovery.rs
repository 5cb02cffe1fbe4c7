//! The documents by which clients find endpoints and keys.

use serde_json::{Value, json};

use crate::endpoints::{Outcome, Refusal};
use crate::entra::known;
use crate::entra::tenant::Realm;
use crate::record::Request;
use crate::shared::Shared;
use crate::text::epoch_seconds;

/// The hosts of each cloud that lead to the same Entra.
///
/// Source: "National clouds", learn.microsoft.com, and the answer of the real endpoint as the official SDKs record it.
const CLOUDS: [&[&str]; 8] = [
    &["login.microsoftonline.com", "login.windows.net", "login.microsoft.com", "sts.windows.net"],
    &["login.partner.microsoftonline.cn", "login.chinacloudapi.cn"],
    &["login.microsoftonline.de"],
    &["login.microsoftonline.us", "login.usgovcloudapi.net"],
    &["login-us.microsoftonline.com"],
    &["login.sovcloud-identity.fr"],
    &["login.sovcloud-identity.de"],
    &["login.sovcloud-identity.sg"],
];

/// `GET /common/discovery/instance`: whether a host is one of Entra's, and which others are the same.
pub(crate) fn instance(shared: &Shared, request: &Request) -> Decision {
    get(request)?;
    let with_metadata = match request.query_value("api-version") {
        Some("1.0") => false,
        Some("1.1") => true,
        _ => return Err(known(90100, "The api-version is missing or not supported.")),
    };
    let endpoint = request.query_value("authorization_endpoint").unwrap_or_default();
    let (host, path) = endpoint.strip_prefix("https://").and_then(|rest| rest.split_once('/')).unwrap_or_default();
    let tenant = path.split('/').next().unwrap_or_default();
    let own = is_of(host, &shared.hosts);
    if tenant.is_empty() || !(own || CLOUDS.iter().any(|cloud| is_of(host, cloud))) {
        return Err(known(50049, "Unknown or invalid instance."));
    }
    let version = if path.ends_with("/oauth2/v2.0/authorize") { "/v2.0" } else { "" };
    let found = format!("https://{host}/{tenant}{version}/.well-known/openid-configuration");
    if !with_metadata {
        return Ok(Outcome::Json(json!({ "tenant_discovery_endpoint": found })));
    }
    let group = |first: &str, cache: &str, aliases: Value| json!({ "preferred_network": first, "preferred_cache": cache, "aliases": aliases });
    let own_group = own.then(|| {
        let more = (!has(&shared.hosts, host)).then(|| host.to_owned());
        group(host, host, shared.hosts.iter().cloned().chain(more).collect())
    });
    let clouds = CLOUDS.iter().map(|cloud| {
        let first = cloud.first().copied().unwrap_or_default();
        let cache = if cloud.contains(&"login.windows.net") { "login.windows.net" } else { first };
        group(first, cache, json!(cloud))
    });
    let metadata: Vec<Value> = own_group.into_iter().chain(clouds).collect();
    Ok(Outcome::Json(json!({ "tenant_discovery_endpoint": found, "api-version": "1.1", "metadata": metadata })))
}

/// The host that a request names, if Entra answers there; else the first at which it does.
pub(crate) fn own_host<'a>(shared: &'a Shared, request: &'a Request) -> &'a str {
    let known = |host: &&str| is_of(host, &shared.hosts) || CLOUDS.iter().any(|cloud| is_of(host, cloud));
    let first = || shared.hosts.first().map_or("localhost", String::as_str);
    request.header("host").filter(known).unwrap_or_else(first)
}

/// True if a host that a client names is the one that got its request, or another name of it: an alias, or the
/// global host of a regional one.
pub(crate) fn is_same_authority(shared: &Shared, own: &str, named: &str) -> bool {
    own.eq_ignore_ascii_case(named)
        || (is_of(own, &shared.hosts) && has(&shared.hosts, named))
        || CLOUDS.iter().any(|cloud| is_of(own, cloud) && has(cloud, named))
}

fn has(hosts: &[impl AsRef<str>], host: &str) -> bool {
    hosts.iter().any(|known| known.as_ref().eq_ignore_ascii_case(host))
}

/// True for one of these hosts, and for that of a region, such as `westus2`, of one.
fn is_of(host: &str, hosts: &[impl AsRef<str>]) -> bool {
    has(hosts, host) || host.split_once('.').is_some_and(|(region, global)| !region.is_empty() && has(hosts, global))
}

/// The OpenID configuration of a tenant: of what is played, and of where users would sign in, which clients insist on.
pub(crate) fn configuration(shared: &Shared, request: &Request, realm: &Realm<'_>, v2: bool) -> Decision {
    get(request)?;
    let host = own_host(shared, request);
    let base = format!("https://{host}/{}", realm.segment());
    let methods = ["client_secret_post", "private_key_jwt", "client_secret_basic"];
    let mut document = json!({
        "response_modes_supported": ["query", "fragment", "form_post"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "response_types_supported": ["code", "id_token", "code id_token", "id_token token"],
        "scopes_supported": ["openid", "profile", "email", "offline_access"],
        "token_endpoint_auth_methods_supported": methods,
    });
    let endpoints: Vec<(&str, Value)> = if realm.is_adfs {
        vec![
            ("issuer", base.clone().into()),
            ("access_token_issuer", format!("https://{host}/adfs/services/trust").into()),
            ("token_endpoint", format!("{base}/oauth2/token").into()),
            ("authorization_endpoint", format!("{base}/oauth2/authorize").into()),
            ("jwks_uri", format!("{base}/discovery/keys").into()),
        ]
    } else if v2 {
        vec![
            ("issuer", issuer(host, realm, v2).into()),
            ("cloud_instance_name", CLOUD.into()),
            ("token_endpoint", format!("{base}/oauth2/v2.0/token").into()),
            ("authorization_endpoint", format!("{base}/oauth2/v2.0/authorize").into()),
            ("jwks_uri", format!("{base}/discovery/v2.0/keys").into()),
        ]
    } else {
        vec![
            ("issuer", issuer(host, realm, v2).into()),
            ("cloud_instance_name", CLOUD.into()),
            ("jwks_uri", format!("{base}/discovery/keys").into()),
        ]
    };
    if let Value::Object(fields) = &mut document {
        fields.extend(endpoints.into_iter().map(|(name, value)| (name.to_owned(), value)));
    }
    Ok(Outcome::Json(document))
}

/// The key set of a tenant.
pub(crate) fn keys(shared: &Shared, request: &Request, realm: &Realm<'_>, v2: bool) -> Decision {
    get(request)?;
    let now = epoch_seconds(shared.now(request.source));
    Ok(Outcome::Json(shared.signer.key_set(&issuer(own_host(shared, request), realm, v2), now)))
}

/// The issuer of a tenant's tokens of that version: what `{tenantid}` stands for differs from token to token.
pub(crate) fn issuer(host: &str, realm: &Realm<'_>, v2: bool) -> String {
    let tenant = match realm.tenant {
        Some(tenant) => &tenant.id,
        None if realm.name == "consumers" => CONSUMERS,
        None => "{tenantid}",
    };
    if v2 { format!("https://{host}/{tenant}/v2.0") } else { format!("https://sts.windows.net/{tenant}/") }
}

pub(crate) fn get(request: &Request) -> Result<(), Refusal> {
    if request.method == "GET" {
        return Ok(());
    }
    Err(Refusal::new(405, "method_not_allowed", "The HTTP method is not allowed"))
}

type Decision = Result<Outcome<'static>, Refusal>;

/// The tenant of personal accounts.
///
/// Source: "OpenID Connect on the Microsoft identity platform", learn.microsoft.com.
const CONSUMERS: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";
pub(crate) const CLOUD: &str = "microsoftonline.com";
