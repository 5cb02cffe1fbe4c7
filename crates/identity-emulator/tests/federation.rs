//! Tokens of other issuers are given out as their issuers do, and stand in for a credential of an application.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test says so by failing"
)]

mod common;

use std::time::Duration;

use common::{
    Response, assertion_fields, base64, builder, control, document, exchange_tls, form, jwt, now, refusal, request,
    send, send_tls, token, variable,
};
use identity_emulator::{
    App, BLUE_CLIENT_ID, BLUE_OBJECT_ID, Emulator, FEDERATED_CLIENT_ID, GITHUB_ISSUER, GITHUB_SUBJECT,
    KUBERNETES_ISSUER, KUBERNETES_SUBJECT, PIPELINES_ISSUER, PIPELINES_SUBJECT, SERVICE_CONNECTION_ID, Source,
    TENANT_ID, WEB_CLIENT_ID,
};
use serde_json::{Value, json};

const EXCHANGE: &str = "api://AzureADTokenExchange";
const HOUR: Duration = Duration::from_secs(3_600);

fn exchange(emulator: &Emulator, assertion: &str) -> Response {
    token(emulator, TENANT_ID, &assertion_fields(FEDERATED_CLIENT_ID, assertion))
}

#[test]
fn a_pod_exchanges_its_projected_token() {
    let emulator = builder().start_in_background().unwrap();
    let path = variable(&emulator, Source::WorkloadIdentity, "AZURE_FEDERATED_TOKEN_FILE");
    let assertion = std::fs::read_to_string(path).unwrap();
    let bytes = common::token_request(TENANT_ID, &assertion_fields(FEDERATED_CLIENT_ID, &assertion));
    let answer = Response::parse(&send_tls(&emulator, Source::WorkloadIdentity, &bytes).unwrap());
    assert_eq!(answer.claims()["appid"], FEDERATED_CLIENT_ID);
    assert_eq!(answer.claims()["appidacr"], "2");
    assert_eq!((emulator.request_count(Source::WorkloadIdentity), emulator.request_count(Source::Entra)), (1, 0));
    let claims = common::claims(&assertion);
    assert_eq!((&claims["iss"], &claims["aud"]), (&KUBERNETES_ISSUER.into(), &json!([EXCHANGE])));
    assert_eq!(claims["kubernetes.io"]["serviceaccount"]["name"], "workload");
}

#[test]
fn each_claim_must_match_a_record() {
    let emulator = builder().start_in_background().unwrap();
    let own = |subject: &str, audience: &str| emulator.kubernetes_token(subject, audience, HOUR).unwrap();
    let kid = common::decode_base64_url(own("x", "y").split('.').next().unwrap());
    let header: Value = serde_json::from_slice(&kid).unwrap();
    let of_other = |issuer: &str| {
        jwt(&header, &json!({ "iss": issuer, "sub": KUBERNETES_SUBJECT, "aud": EXCHANGE, "exp": now() + 60 }))
    };
    assert_eq!(refusal(&exchange(&emulator, &own(KUBERNETES_SUBJECT, EXCHANGE))), (200, 0));
    for (assertion, code) in [
        (own("system:serviceaccount:default:other", EXCHANGE), 700_213),
        (own(KUBERNETES_SUBJECT, "api://other"), 700_212),
        (own(KUBERNETES_SUBJECT, "api://AKSIdentityBinding"), 700_212),
        (of_other("https://evil.example"), 700_211),
        (of_other(KUBERNETES_ISSUER.strip_suffix('/').unwrap()), 700_211),
        (of_other(&format!("https://sts.windows.net/{TENANT_ID}/")), 700_213),
    ] {
        let answer = exchange(&emulator, &assertion);
        assert_eq!(refusal(&answer), (401, code), "{}", answer.text());
    }
    let none = token(&emulator, TENANT_ID, &assertion_fields(WEB_CLIENT_ID, &own(KUBERNETES_SUBJECT, EXCHANGE)));
    assert_eq!(refusal(&none), (400, 70_021));
}

#[test]
fn the_signature_and_the_time_of_a_federated_token_are_checked() {
    let emulator = builder().start_in_background().unwrap();
    let good = emulator.kubernetes_token(KUBERNETES_SUBJECT, EXCHANGE, HOUR).unwrap();
    let header: Value = serde_json::from_slice(&common::decode_base64_url(good.split('.').next().unwrap())).unwrap();
    let claims = json!({ "iss": KUBERNETES_ISSUER, "sub": KUBERNETES_SUBJECT, "aud": EXCHANGE, "exp": now() + 60, "nbf": now() });
    let change = |name: &str, value: Value| {
        let mut changed = claims.clone();
        changed[name] = value;
        changed
    };
    let (signed, _) = good.rsplit_once('.').unwrap();
    let kid = &header["kid"];
    for (assertion, status, code) in [
        (format!("{signed}.{}", base64(&[1; 256], true)), 401, 700_027),
        (jwt(&json!({ "alg": "RS256", "kid": "other" }), &claims), 401, 700_027),
        (jwt(&json!({ "alg": "RS256" }), &claims), 400, 50_027),
        (jwt(&json!({ "alg": "ES256", "kid": kid }), &claims), 401, 5_002_738),
        (jwt(&json!({ "alg": "RS256", "kid": kid, "typ": "at+jwt" }), &claims), 400, 5_002_727),
        (jwt(&header, &change("exp", (now() - 301).into())), 401, 700_024),
        (jwt(&header, &change("exp", "soon".into())), 400, 50_027),
        (jwt(&header, &change("nbf", (now() + 330).into())), 401, 700_024),
        (jwt(&header, &change("nbf", (now() + 250).into())), 401, 700_024),
        (jwt(&header, &change("nbf", "x".into())), 400, 50_027),
        (jwt(&header, &change("aud", json!([EXCHANGE, "other"]))), 401, 700_212),
    ] {
        assert_eq!(refusal(&exchange(&emulator, &assertion)), (status, code), "{assertion:.60}");
    }
    for header in [json!({ "alg": "RS256", "kid": kid, "typ": "JWT" }), json!({ "alg": "PS256", "kid": kid })] {
        assert_eq!(refusal(&exchange(&emulator, &jwt(&header, &claims))), (200, 0), "{header}");
    }
}

#[test]
fn a_federated_token_can_be_made_to_count_once() {
    let emulator = builder().refuse_replayed_assertions().start_in_background().unwrap();
    let own = || emulator.kubernetes_token(KUBERNETES_SUBJECT, EXCHANGE, HOUR).unwrap();
    let (first, second) = (own(), own());
    assert_eq!(refusal(&exchange(&emulator, &first)), (200, 0));
    assert_eq!(refusal(&exchange(&emulator, &first)), (401, 50_012));
    assert_eq!(refusal(&exchange(&emulator, &second)), (200, 0));
    // One that has no id is known by its content.
    let header: Value = serde_json::from_slice(&common::decode_base64_url(first.split('.').next().unwrap())).unwrap();
    let claims = json!({ "iss": KUBERNETES_ISSUER, "sub": KUBERNETES_SUBJECT, "aud": EXCHANGE, "exp": now() + 60 });
    let bare = jwt(&header, &claims);
    assert_eq!((refusal(&exchange(&emulator, &bare)), refusal(&exchange(&emulator, &bare))), ((200, 0), (401, 50_012)));
}

#[test]
fn a_managed_identity_stands_in_for_an_application() {
    let emulator = builder().start_in_background().unwrap();
    let query = format!("api-version=2018-02-01&resource={EXCHANGE}&client_id={BLUE_CLIENT_ID}");
    let target = format!("/metadata/identity/oauth2/token?{query}");
    let answer = send(emulator.address(Source::Imds), "GET", &target, &[("Metadata", "true")], "");
    assert_eq!(answer.claims()["sub"], BLUE_OBJECT_ID);
    let assertion = answer.json()["access_token"].as_str().unwrap().to_owned();
    assert_eq!(exchange(&emulator, &assertion).claims()["appid"], FEDERATED_CLIENT_ID);
}

#[test]
fn other_issuers_are_trusted_by_their_keys() {
    let home = builder().start_in_background().unwrap();
    let keys = document(&home, &format!("/{TENANT_ID}/discovery/v2.0/keys"));
    let id = "7e57ab1e-0000-4000-8000-00000000aa01";
    let emulator = builder()
        .issuer("https://issuer.example", keys.text())
        .app(App::new(id).federated("https://issuer.example", "someone", "aud"))
        .start_in_background()
        .unwrap();
    let kid = &keys.json()["keys"][0]["kid"];
    let claims = json!({ "iss": "https://issuer.example", "sub": "someone", "aud": "aud", "exp": now() + 60 });
    let ask = |kid: &Value| {
        let assertion = jwt(&json!({ "alg": "RS256", "kid": kid }), &claims);
        refusal(&token(&emulator, TENANT_ID, &assertion_fields(id, &assertion)))
    };
    assert_eq!((ask(kid), ask(&"other".into())), ((200, 0), (401, 700_027)));
    for broken in ["", "{}", r#"{"keys":[]}"#, r#"{"keys":[{"kty":"RSA"}]}"#] {
        builder().issuer("https://issuer.example", broken).start_in_background().unwrap_err();
    }
}

fn pipelines(emulator: &Emulator, change: impl Fn(&mut Vec<(String, String)>, &mut String)) -> Response {
    let bearer = variable(emulator, Source::AzurePipelines, "SYSTEM_ACCESSTOKEN");
    let uri = variable(emulator, Source::AzurePipelines, "SYSTEM_OIDCREQUESTURI");
    let path = uri.strip_prefix("https://").and_then(|rest| rest.find('/').map(|start| &rest[start..])).unwrap();
    let mut target = format!("{path}?api-version=7.1&serviceConnectionId={SERVICE_CONNECTION_ID}");
    let mut headers = vec![
        ("Content-Type".to_owned(), "application/json".to_owned()),
        ("Authorization".to_owned(), format!("Bearer {bearer}")),
        ("X-TFS-FedAuthRedirect".to_owned(), "Suppress".to_owned()),
        ("Content-Length".to_owned(), "0".to_owned()),
    ];
    change(&mut headers, &mut target);
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    Response::parse(&send_tls(emulator, Source::AzurePipelines, &request("POST", &target, &headers, "")).unwrap())
}

#[test]
fn a_job_of_azure_pipelines_gets_the_token_of_its_connection() {
    let emulator = builder().start_in_background().unwrap();
    let answer = pipelines(&emulator, |_, _| {});
    let assertion = answer.json()["oidcToken"].as_str().unwrap().to_owned();
    let claims = common::claims(&assertion);
    assert_eq!((&claims["iss"], &claims["sub"]), (&PIPELINES_ISSUER.into(), &PIPELINES_SUBJECT.into()));
    assert_eq!(exchange(&emulator, &assertion).status, 200);

    let without =
        |name: &'static str| pipelines(&emulator, move |headers, _| headers.retain(|(other, _)| other != name));
    assert_eq!(without("Authorization").status, 401);
    assert_eq!(without("Content-Type").status, 415);
    assert_eq!(without("X-TFS-FedAuthRedirect").status, 200);
    let page = pipelines(&emulator, |headers, _| headers.retain(|(name, _)| name == "Content-Type"));
    assert_eq!(page.status, 302);
    assert!(page.header("location").unwrap().starts_with("https://"));
    for (from, to, status) in [
        ("7.1", "5.0", 400),
        (SERVICE_CONNECTION_ID, WEB_CLIENT_ID, 404),
        ("serviceConnectionId", "other", 400),
        ("oidctoken", "other", 404),
    ] {
        assert_eq!(pipelines(&emulator, |_, target| *target = target.replace(from, to)).status, status, "{to}");
    }
}

#[test]
fn a_job_of_github_gets_a_token_for_the_audience_that_it_names() {
    let emulator = builder().start_in_background().unwrap();
    let url = variable(&emulator, Source::GithubActions, "ACTIONS_ID_TOKEN_REQUEST_URL");
    let bearer = variable(&emulator, Source::GithubActions, "ACTIONS_ID_TOKEN_REQUEST_TOKEN");
    let target = url.strip_prefix("https://").and_then(|rest| rest.find('/').map(|start| &rest[start..])).unwrap();
    let ask = |target: &str, authorization: &str| {
        let bytes = request("GET", target, &[("Authorization", authorization)], "");
        Response::parse(&send_tls(&emulator, Source::GithubActions, &bytes).unwrap())
    };
    let good = format!("bearer {bearer}");
    let answer = ask(&format!("{target}&audience=api%3A%2F%2FAzureADTokenExchange"), &good);
    let assertion = answer.json()["value"].as_str().unwrap().to_owned();
    let claims = common::claims(&assertion);
    assert_eq!((&claims["iss"], &claims["sub"]), (&GITHUB_ISSUER.into(), &GITHUB_SUBJECT.into()));
    assert_eq!(exchange(&emulator, &assertion).status, 200);
    let default = ask(target, &good).json()["value"].as_str().unwrap().to_owned();
    assert_eq!(refusal(&exchange(&emulator, &default)), (401, 700_212));
    assert_eq!(ask(target, "bearer wrong").status, 401);
    assert_eq!(ask(target, &format!("Basic {bearer}")).status, 401);
    assert_eq!(ask(target.split('?').next().unwrap(), &good).status, 400);
    assert_eq!(ask("/", &good).status, 404);
}

#[test]
fn the_proxy_of_identity_bindings_has_a_name_and_a_ca_of_its_own() {
    let emulator = builder().start_in_background().unwrap();
    let get = |name: &str| variable(&emulator, Source::IdentityBinding, name);
    let assertion = std::fs::read_to_string(get("AZURE_FEDERATED_TOKEN_FILE")).unwrap();
    let proxy = get("AZURE_KUBERNETES_TOKEN_PROXY");
    let prefix = proxy.strip_prefix("https://").and_then(|rest| rest.find('/').map(|start| &rest[start..])).unwrap();
    let name = get("AZURE_KUBERNETES_SNI_NAME");
    let ca = || std::fs::read_to_string(get("AZURE_KUBERNETES_CA_FILE")).unwrap();
    let headers = [("Content-Type", "application/x-www-form-urlencoded")];
    let ask = |path: &str, assertion: &str, name: &str, ca: &str| {
        let body = form(&assertion_fields(FEDERATED_CLIENT_ID, assertion));
        let bytes = request("POST", &format!("{path}/{TENANT_ID}/oauth2/v2.0/token"), &headers, &body);
        exchange_tls(emulator.address(Source::IdentityBinding), name, ca, &bytes)
    };
    let old = ca();
    let answer = Response::parse(&ask(prefix, &assertion, &name, &old).unwrap());
    assert_eq!(answer.claims()["appid"], FEDERATED_CLIENT_ID, "{answer:?}");
    assert_eq!(Response::parse(&ask("", &assertion, &name, &old).unwrap()).status, 404);
    let direct = emulator.kubernetes_token(KUBERNETES_SUBJECT, EXCHANGE, HOUR).unwrap();
    assert_eq!(refusal(&Response::parse(&ask(prefix, &direct, &name, &old).unwrap())), (401, 700_212));
    ask(prefix, &assertion, "localhost", &old).unwrap_err();
    ask(prefix, &assertion, &name, &emulator.ca_pem()).unwrap_err();

    let target = format!("{prefix}/{TENANT_ID}/v2.0/.well-known/openid-configuration");
    let bytes = request("GET", &target, &[], "");
    let discovery = exchange_tls(emulator.address(Source::IdentityBinding), &name, &old, &bytes).unwrap();
    assert_eq!(Response::parse(&discovery).status, 404, "it serves tokens only");
    let secret = form(&[
        ("client_id", WEB_CLIENT_ID),
        ("client_secret", identity_emulator::WEB_CLIENT_SECRET),
        ("grant_type", "client_credentials"),
        ("scope", "https://storage.azure.com/.default"),
    ]);
    let bytes = request("POST", &format!("{prefix}/{TENANT_ID}/oauth2/v2.0/token"), &headers, &secret);
    let refused = exchange_tls(emulator.address(Source::IdentityBinding), &name, &old, &bytes).unwrap();
    assert_eq!(refusal(&Response::parse(&refused)), (401, 7_000_216));

    emulator.rotate_identity_binding_ca().unwrap();
    ask(prefix, &assertion, &name, &old).unwrap_err();
    assert_eq!(Response::parse(&ask(prefix, &assertion, &name, &ca()).unwrap()).status, 200);
}

#[test]
#[cfg(unix)]
fn a_rotated_token_is_exchanged_at_one_stroke() {
    let emulator = builder().start_in_background().unwrap();
    let directory = common::directory();
    let write = || emulator.project_kubernetes_token(&directory, "a:b:c:d", "aud", HOUR).unwrap();
    let path = write();
    let first = std::fs::read_to_string(&path).unwrap();
    let payload = std::fs::read_link(directory.join("..data")).unwrap();
    assert_eq!(write(), path);
    let second = std::fs::read_to_string(&path).unwrap();
    assert_ne!(common::claims(&first)["jti"], common::claims(&second)["jti"]);
    assert_ne!(std::fs::read_link(directory.join("..data")).unwrap(), payload);
    assert!(!directory.join(payload).exists(), "the old one is gone");
    assert_eq!(std::fs::read_link(&path).unwrap().to_str(), Some("..data/azure-identity-token"));
    assert_eq!(common::claims(&second)["sub"], "a:b:c:d");
}

#[test]
fn every_source_of_tokens_can_fail() {
    use identity_emulator::Answer;

    let emulator = builder().start_in_background().unwrap();
    emulator.faults().always(Source::AzurePipelines, Answer::status(503));
    assert_eq!(pipelines(&emulator, |_, _| {}).status, 503);
    emulator.faults().always(Source::AzurePipelines, Answer::real().without_field("oidcToken"));
    assert!(pipelines(&emulator, |_, _| {}).json().get("oidcToken").is_none());
    emulator.faults().always(Source::AzurePipelines, Answer::real().with_lifetime_secs(-400));
    let stale = pipelines(&emulator, |_, _| {}).json()["oidcToken"].as_str().unwrap().to_owned();
    assert_eq!(refusal(&exchange(&emulator, &stale)), (401, 700_024));
    let order = r#"{"source":"entra","script":[{"entra_error":50196}]}"#;
    assert_eq!(control(&emulator, "POST", "/__emulator/faults", order).status, 204);
    assert_eq!(refusal(&exchange(&emulator, &stale)), (400, 50_196));
}
