//! Azure Resource Manager: what the Azure CLI asks of it when somebody signs in.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test says so by failing"
)]

mod common;

use common::{Response, builder, document, fields, jwt, now, request, rs256, send_tls, token, with};
use identity_emulator::{
    AZURE_CLI_CLIENT_ID, Answer, Emulator, OTHER_TENANT_DOMAIN, OTHER_TENANT_ID, OTHER_USER_NAME, SUBSCRIPTION_ID,
    SUBSCRIPTION_NAME, Source, Subscription, TENANT_DOMAIN, TENANT_ID, USER_NAME,
};
use serde_json::{Value, json};

const SCOPE: &str = "https://management.core.windows.net//.default";
const SECOND: &str = "0fedcba9-0000-4000-8000-000000000011";
const OTHERS: &str = "0fedcba9-0000-4000-8000-000000000012";
const VERSION: &str = "api-version=2022-12-01";

fn started() -> Emulator {
    builder()
        .subscription(Subscription::new("Second").id(SECOND).tenant(TENANT_DOMAIN))
        .subscription(Subscription::new("Of others").id(OTHERS).tenant(OTHER_TENANT_DOMAIN))
        .start_in_background()
        .unwrap()
}

fn ask(emulator: &Emulator, method: &str, target: &str, headers: &[(&str, &str)]) -> Response {
    let bytes = String::from_utf8(request(method, target, headers, "")).unwrap();
    let bytes = bytes.replace("Host: 127.0.0.1", &emulator.authority().replace("https://", "Host: "));
    Response::parse(&send_tls(emulator, Source::Entra, bytes.as_bytes()).unwrap())
}

fn get(emulator: &Emulator, target: &str, token: &str) -> Response {
    ask(emulator, "GET", target, &[("Authorization", &format!("Bearer {token}"))])
}

fn user(emulator: &Emulator, name: &str) -> String {
    emulator.user_token(AZURE_CLI_CLIENT_ID, SCOPE, name).unwrap()
}

fn app(emulator: &Emulator, tenant: &str) -> String {
    let answer = token(emulator, tenant, &fields(&[("scope", SCOPE)]));
    answer.json()["access_token"].as_str().unwrap().to_owned()
}

fn code(answer: &Response) -> (u16, String) {
    let body = answer.json();
    assert!(body["error"]["message"].as_str().is_some_and(|text| !text.is_empty()), "{body}");
    assert_eq!(answer.header("cache-control"), Some("no-store, no-cache"));
    (answer.status, body["error"]["code"].as_str().unwrap_or_default().to_owned())
}

fn names(answer: &Response, field: &str) -> Vec<String> {
    let body = answer.json();
    let entries = body["value"].as_array().unwrap_or_else(|| panic!("{body}"));
    assert_eq!(body["count"]["value"], entries.len());
    entries.iter().map(|entry| entry[field].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_cloud_is_known_by_its_resource_manager() {
    let emulator = started();
    let answer = ask(&emulator, "GET", "/metadata/endpoints?api-version=2022-09-01", &[]);
    assert_eq!(answer.status, 200);
    let body = answer.json();
    let origin = emulator.authority();
    assert_eq!(body["resourceManager"], origin);
    assert_eq!(body["authentication"]["loginEndpoint"], origin);
    assert_eq!(body["authentication"]["audiences"][0], "https://management.core.windows.net/");
    for (target, expected) in [
        ("/metadata/endpoints", "MissingApiVersionParameter"),
        ("/metadata/endpoints?api-version=", "MissingApiVersionParameter"),
        ("/metadata/endpoints?api-version=2015-01-01", "InvalidApiVersionParameter"),
        ("/metadata/endpoints?api-version=2022-09-01&api-version=2022-09-01", "InvalidApiVersionParameter"),
    ] {
        assert_eq!(code(&document(&emulator, target)), (400, expected.to_owned()), "{target}");
    }
    assert_eq!(code(&ask(&emulator, "DELETE", "/metadata/endpoints", &[])), (405, "MethodNotAllowed".to_owned()));
    // It is recorded like everything else.
    assert_eq!(emulator.requests().iter().filter(|one| one.path() == "/metadata/endpoints").count(), 6);
}

#[test]
fn everybody_sees_what_is_of_the_tenant_of_the_token() {
    let emulator = started();
    for (token, tenant, domain, ids) in [
        (user(&emulator, USER_NAME), TENANT_ID, TENANT_DOMAIN, &[SUBSCRIPTION_ID, SECOND][..]),
        (app(&emulator, TENANT_ID), TENANT_ID, TENANT_DOMAIN, &[SUBSCRIPTION_ID, SECOND]),
        (user(&emulator, OTHER_USER_NAME), OTHER_TENANT_ID, OTHER_TENANT_DOMAIN, &[OTHERS]),
        (app(&emulator, OTHER_TENANT_ID), OTHER_TENANT_ID, OTHER_TENANT_DOMAIN, &[OTHERS]),
    ] {
        let subscriptions = get(&emulator, &format!("/subscriptions?{VERSION}"), &token);
        assert_eq!(names(&subscriptions, "subscriptionId"), ids);
        assert!(names(&subscriptions, "tenantId").iter().all(|id| id == tenant));
        let tenants = get(&emulator, &format!("/tenants?{VERSION}"), &token);
        assert_eq!(names(&tenants, "tenantId"), [tenant]);
        assert_eq!(names(&tenants, "defaultDomain"), [domain]);
        let one = get(&emulator, &format!("/Subscriptions/{}?API-version=2022-12-01", ids[0].to_uppercase()), &token);
        assert_eq!((one.status, &one.json()["subscriptionId"]), (200, &json!(ids[0])));
    }
    let one = get(&emulator, &format!("/subscriptions/{SUBSCRIPTION_ID}?{VERSION}"), &user(&emulator, USER_NAME));
    assert_eq!((&one.json()["displayName"], &one.json()["state"]), (&json!(SUBSCRIPTION_NAME), &json!("Enabled")));
}

#[test]
fn only_a_good_token_for_the_resource_manager_is_accepted() {
    let emulator = started();
    let good = user(&emulator, USER_NAME);
    let claims = common::claims(&good);
    let signed = |claims: &Value| {
        let mut header = rs256();
        header["kid"] = header["x5t"].clone();
        jwt(&header, claims)
    };
    let changed = |name: &str, value: Value| signed(&with(claims.clone(), name, value));
    let target = format!("/subscriptions?{VERSION}");
    // What is refused below is so for the change alone.
    assert_eq!(get(&emulator, &target, &signed(&claims)).status, 200);
    assert_eq!(get(&emulator, &target, &changed("aud", json!("https://management.azure.com"))).status, 200);
    let vault = emulator.user_token(AZURE_CLI_CLIENT_ID, "https://vault.azure.net/.default", USER_NAME).unwrap();
    let (signed_part, signature) = good.rsplit_once('.').unwrap();
    let first = if signature.starts_with('A') { "B" } else { "A" };
    let forged = format!("{signed_part}.{first}{}", &signature[1..]);
    let other_key = jwt(&with(rs256(), "kid", json!("AAAA")), &claims);
    let not_rs256 = jwt(&with(with(rs256(), "kid", rs256()["x5t"].clone()), "alg", json!("RS384")), &claims);
    for (token, expected) in [
        (vault, "InvalidAuthenticationTokenAudience"),
        (changed("aud", json!("https://management.core.windows.net//")), "InvalidAuthenticationTokenAudience"),
        (changed("aud", Value::Null), "InvalidAuthenticationTokenAudience"),
        (changed("exp", json!(now() - 1)), "ExpiredAuthenticationToken"),
        (changed("exp", json!("soon")), "InvalidAuthenticationToken"),
        (changed("exp", Value::Null), "InvalidAuthenticationToken"),
        (changed("nbf", json!(now() + 600)), "InvalidAuthenticationToken"),
        (changed("iss", json!("https://sts.windows.net/evil.example/")), "InvalidAuthenticationToken"),
        (changed("iss", json!("https://evil.example/")), "InvalidAuthenticationToken"),
        (changed("tid", json!(OTHER_TENANT_ID)), "InvalidAuthenticationToken"),
        (forged, "InvalidAuthenticationToken"),
        (other_key, "InvalidAuthenticationToken"),
        (not_rs256, "InvalidAuthenticationToken"),
        ("opaque".to_owned(), "InvalidAuthenticationToken"),
    ] {
        let answer = get(&emulator, &target, &token);
        assert_eq!(code(&answer), (401, expected.to_owned()), "{token}");
        let challenge = answer.header("www-authenticate").unwrap();
        assert!(challenge.starts_with(&format!("Bearer authorization_uri=\"{}/common\"", emulator.authority())));
    }
    let bearer = format!("Bearer {good}");
    let headers = [("Authorization", bearer.as_str()), ("Authorization", bearer.as_str())];
    for (headers, expected) in [
        (&headers[..0], "AuthenticationFailed"),
        (&headers[..], "AuthenticationFailedInvalidHeader"),
        (&[("Authorization", good.as_str())], "AuthenticationFailedInvalidHeader"),
        (&[("Authorization", "Bearer ")], "AuthenticationFailedInvalidHeader"),
        (&[("Authorization", "Basic dTpw")], "AuthenticationFailedInvalidHeader"),
    ] {
        assert_eq!(code(&ask(&emulator, "GET", &target, headers)), (401, expected.to_owned()));
    }
    emulator.set_clock_skew_secs(7_200);
    assert_eq!(code(&get(&emulator, &target, &good)), (401, "ExpiredAuthenticationToken".to_owned()));
}

#[test]
fn a_stranger_learns_which_tenant_a_subscription_is_of() {
    let emulator = started();
    let others = format!("/subscriptions/{OTHERS}?{VERSION}");
    let owner = format!("Bearer authorization_uri=\"{}/{OTHER_TENANT_ID}\"", emulator.authority());
    let answer = document(&emulator, &others);
    assert_eq!(code(&answer), (401, "AuthenticationFailed".to_owned()));
    // That one has another name for the host: an address.
    assert!(answer.header("www-authenticate").unwrap().contains(&format!("/{OTHER_TENANT_ID}\"")));
    let answer = get(&emulator, &others, &user(&emulator, USER_NAME));
    assert_eq!(code(&answer), (401, "InvalidAuthenticationTokenTenant".to_owned()));
    assert!(answer.header("www-authenticate").unwrap().starts_with(&owner), "{}", answer.head);
    let unknown = format!("/subscriptions/0fedcba9-0000-4000-8000-0000000000ff?{VERSION}");
    let answer = get(&emulator, &unknown, &user(&emulator, USER_NAME));
    assert_eq!(code(&answer), (404, "SubscriptionNotFound".to_owned()));
}

#[test]
fn versions_and_methods_are_those_that_it_has() {
    let emulator = started();
    let token = user(&emulator, USER_NAME);
    let bearer = format!("Bearer {token}");
    for path in ["/subscriptions", "/tenants", &format!("/subscriptions/{SUBSCRIPTION_ID}")] {
        for (query, status, expected) in [
            ("", 400, "MissingApiVersionParameter"),
            ("?api-version=2016-06-01", 400, "InvalidApiVersionParameter"),
            ("?api-version=latest", 400, "InvalidApiVersionParameter"),
        ] {
            let answer = get(&emulator, &format!("{path}{query}"), &token);
            assert_eq!(code(&answer), (status, expected.to_owned()), "{path}{query}");
        }
        let answer = ask(&emulator, "POST", &format!("{path}?{VERSION}"), &[("Authorization", &bearer)]);
        assert_eq!(code(&answer), (405, "MethodNotAllowed".to_owned()));
        assert_eq!(code(&ask(&emulator, "GET", path, &[])), (401, "AuthenticationFailed".to_owned()), "{path}");
    }
    let below = format!("/subscriptions/{SUBSCRIPTION_ID}/resourceGroups?{VERSION}");
    assert_eq!(code(&get(&emulator, &below, &token)), (501, "NotEmulated".to_owned()));
    emulator.faults().next(Source::Entra, Answer::status(503));
    assert_eq!(code(&get(&emulator, &format!("/tenants?{VERSION}"), &token)), (503, "fault".to_owned()));
}
