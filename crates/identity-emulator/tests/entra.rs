//! Entra gives tokens for client secrets, and refuses as the real service does.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test says so by failing"
)]

mod common;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, SystemTime};

use common::{Response, base64, builder, document, form, padded, request, send_tls, token, token_request};
use identity_emulator::{
    Answer, App, DISABLED_CLIENT_ID, EXPIRED_CLIENT_ID, EXPIRED_CLIENT_SECRET, Emulator, OTHER_TENANT_DOMAIN,
    OTHER_TENANT_ID, ServerCertificate, Source, TENANT_DOMAIN, TENANT_ID, WEB_CLIENT_ID, WEB_CLIENT_SECRET,
};

const STORAGE: &str = "https://storage.azure.com/.default";

fn fields<'a>(changes: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut fields = vec![
        ("client_id", WEB_CLIENT_ID),
        ("client_secret", WEB_CLIENT_SECRET),
        ("grant_type", "client_credentials"),
        ("scope", STORAGE),
    ];
    for (name, value) in changes {
        fields.retain(|(other, _)| other != name);
        if *value != "-" {
            fields.push((name, value));
        }
    }
    fields
}

fn refused(emulator: &Emulator, tenant: &str, changes: &[(&str, &str)]) -> (u16, String, u64) {
    outcome(&token(emulator, tenant, &fields(changes)))
}

fn outcome(answer: &Response) -> (u16, String, u64) {
    let body = answer.json();
    let code = body["error_codes"][0].as_u64().unwrap_or_default();
    let text = body["error_description"].as_str().unwrap_or_default();
    assert!(text.starts_with(&format!("AADSTS{code}: ")), "{body}");
    (answer.status, body["error"].as_str().unwrap_or_default().to_owned(), code)
}

#[test]
fn a_client_secret_gets_a_token() {
    let emulator = builder().start_in_background().unwrap();
    let answer = token(&emulator, TENANT_ID, &fields(&[("client_info", "1")]));
    assert_eq!(answer.status, 200, "{answer:?}");
    let body = answer.json();
    assert_eq!(body["token_type"], "Bearer");
    assert_eq!((&body["expires_in"], &body["ext_expires_in"]), (&3599.into(), &3599.into()));
    for absent in ["refresh_in", "client_info", "refresh_token", "expires_on", "resource"] {
        assert!(body.get(absent).is_none(), "{absent}");
    }
    let claims = answer.claims();
    for (name, value) in [
        ("aud", "https://storage.azure.com"),
        ("iss", &format!("https://sts.windows.net/{TENANT_ID}/")),
        ("tid", TENANT_ID),
        ("appid", WEB_CLIENT_ID),
        ("appidacr", "1"),
        ("idtyp", "app"),
        ("ver", "1.0"),
    ] {
        assert_eq!(claims[name], value, "{name}");
    }
    assert_eq!(claims["oid"], claims["sub"]);
    assert!(claims.get("xms_cc").is_none());
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    assert!(claims["exp"].as_u64().unwrap().abs_diff(now + 3599) <= 5, "{claims}");
    assert!(claims["nbf"].as_u64().unwrap() + 295 < now, "{claims}");
    assert_eq!(answer.header("cache-control"), Some("no-store, no-cache"));
    assert!(answer.header("x-ms-request-id").is_some() && answer.header("date").is_some());
}

#[test]
fn the_tenant_may_be_called_by_its_domain_and_is_its_id_in_tokens() {
    let emulator = builder().start_in_background().unwrap();
    for (tenant, id) in
        [(TENANT_DOMAIN, TENANT_ID), (OTHER_TENANT_DOMAIN, OTHER_TENANT_ID), (OTHER_TENANT_ID, OTHER_TENANT_ID)]
    {
        let claims = token(&emulator, tenant, &fields(&[])).claims();
        assert_eq!((&claims["tid"], &claims["iss"]), (&id.into(), &format!("https://sts.windows.net/{id}/").into()));
    }
}

#[test]
fn refusals_have_the_codes_of_entra() {
    let emulator = builder()
        .app(App::new("7e57ab1e-0000-4000-8000-00000000aa01").secret("s").without_consent())
        .app(App::new("7e57ab1e-0000-4000-8000-00000000aa02").secret("s").blocked_by_policy())
        .app(App::new("7e57ab1e-0000-4000-8000-00000000aa03").secret("s").only_resource("https://vault.azure.net"))
        .app(App::new("7e57ab1e-0000-4000-8000-00000000aa04").public_client())
        .start_in_background()
        .unwrap();
    let (consent, policy) = ("7e57ab1e-0000-4000-8000-00000000aa01", "7e57ab1e-0000-4000-8000-00000000aa02");
    let (narrow, public) = ("7e57ab1e-0000-4000-8000-00000000aa03", "7e57ab1e-0000-4000-8000-00000000aa04");
    let unknown = "7e57ab1e-0000-4000-8000-00000000ffff";
    let two = "https://vault.azure.net/.default https://storage.azure.com/.default";
    type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], u16, &'a str, u64);
    let cases: &[Case<'_>] = &[
        (TENANT_ID, &[("client_secret", "wrong")], 401, "invalid_client", 7000215),
        (TENANT_ID, &[("client_secret", "-")], 401, "invalid_client", 7000218),
        (TENANT_ID, &[("client_id", "-")], 400, "invalid_request", 900144),
        (TENANT_ID, &[("client_id", unknown)], 400, "unauthorized_client", 700016),
        (TENANT_ID, &[("client_id", DISABLED_CLIENT_ID)], 400, "unauthorized_client", 7000112),
        (
            TENANT_ID,
            &[("client_id", EXPIRED_CLIENT_ID), ("client_secret", EXPIRED_CLIENT_SECRET)],
            401,
            "invalid_client",
            7000222,
        ),
        (OTHER_TENANT_ID, &[("client_id", EXPIRED_CLIENT_ID)], 400, "unauthorized_client", 700016),
        (TENANT_ID, &[("client_id", public)], 401, "invalid_client", 700025),
        (TENANT_ID, &[("client_assertion", "a.b.c")], 400, "invalid_request", 90100),
        (TENANT_ID, &[("grant_type", "-")], 400, "invalid_request", 900144),
        (TENANT_ID, &[("grant_type", "magic")], 400, "unsupported_grant_type", 70003),
        (TENANT_ID, &[("scope", "-")], 400, "invalid_request", 900144),
        (TENANT_ID, &[("scope", "https://storage.azure.com")], 400, "invalid_scope", 1002012),
        (TENANT_ID, &[("scope", "/.default")], 400, "invalid_scope", 1002012),
        (TENANT_ID, &[("scope", "a\"b/.default")], 400, "invalid_scope", 70011),
        (TENANT_ID, &[("scope", two)], 400, "invalid_scope", 28000),
        (TENANT_ID, &[("scope", "https://nobody.example/.default")], 400, "invalid_resource", 500011),
        (TENANT_ID, &[("scope", "https://storage.azure.com///.default")], 400, "invalid_resource", 500011),
        (TENANT_ID, &[("client_id", narrow), ("client_secret", "s")], 400, "invalid_resource", 500011),
        (TENANT_ID, &[("resource", "https://storage.azure.com")], 400, "invalid_request", 901002),
        (TENANT_ID, &[("client_id", consent), ("client_secret", "s")], 400, "invalid_grant", 65001),
        (TENANT_ID, &[("client_id", policy), ("client_secret", "s")], 400, "invalid_grant", 53003),
        (TENANT_ID, &[("claims", "{")], 400, "invalid_request", 90100),
        (TENANT_ID, &[("claims", "[]")], 400, "invalid_request", 90100),
        (TENANT_ID, &[("claims", "{\"access_token\":1}")], 400, "invalid_request", 90100),
        ("common", &[], 400, "invalid_request", 50194),
        ("organizations", &[], 400, "invalid_request", 50194),
        ("consumers", &[], 400, "invalid_request", 9002332),
        ("nobody.example", &[], 400, "invalid_request", 90002),
        ("7e57ab1e-0000-4000-8000-00000000ffff", &[], 400, "invalid_request", 90002),
        ("nobody", &[], 400, "invalid_request", 900023),
        ("-.example", &[], 400, "invalid_request", 900023),
    ];
    for (tenant, changes, status, error, code) in cases {
        assert_eq!(refused(&emulator, tenant, changes), (*status, (*error).to_owned(), *code), "{tenant} {changes:?}");
    }
}

#[test]
fn every_application_is_a_resource() {
    let emulator = builder().start_in_background().unwrap();
    for resource in [DISABLED_CLIENT_ID.to_owned(), format!("api://{WEB_CLIENT_ID}")] {
        let answer = token(&emulator, TENANT_ID, &fields(&[("scope", &format!("{resource}/.default"))]));
        assert_eq!(answer.claims()["aud"], resource);
        assert_eq!(
            refused(&emulator, OTHER_TENANT_ID, &[("scope", &format!("{DISABLED_CLIENT_ID}/.default"))]).2,
            500011
        );
    }
}

#[test]
fn only_a_form_that_is_posted_once_is_read() {
    let emulator = builder().start_in_background().unwrap();
    let target = format!("/{TENANT_ID}/oauth2/v2.0/token");
    let good = form(&fields(&[]));
    let ask = |method: &str, media_type: &str, body: &str| {
        let bytes = request(method, &target, &[("Content-Type", media_type)], body);
        outcome(&Response::parse(&send_tls(&emulator, Source::Entra, &bytes).unwrap())).2
    };
    let media_type = "application/x-www-form-urlencoded";
    assert_eq!(ask("GET", media_type, &good), 900561);
    assert_eq!(ask("POST", "application/json", &good), 900144);
    assert_eq!(ask("POST", media_type, &format!("{good}&scope=x")), 9000411);
    assert_eq!(ask("POST", media_type, &format!("{good}&x=%zz")), 90100);
    assert_eq!(ask("POST", media_type, ""), 900144);
    let with_charset = [("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")];
    let bytes = request("POST", &target, &with_charset, &good);
    assert_eq!(Response::parse(&send_tls(&emulator, Source::Entra, &bytes).unwrap()).status, 200);
    let query = request("POST", &format!("{target}?{good}"), &[("Content-Type", media_type)], "");
    assert_eq!(outcome(&Response::parse(&send_tls(&emulator, Source::Entra, &query).unwrap())).2, 900144);
}

#[test]
fn errors_have_the_shape_of_entra() {
    let emulator = builder().start_in_background().unwrap();
    let id = "0fedcba9-0000-4000-8000-000000000001";
    let headers = [
        ("Content-Type", "application/x-www-form-urlencoded"),
        ("client-request-id", id),
        ("return-client-request-id", "true"),
    ];
    let body = form(&fields(&[("client_secret", "wrong")]));
    let bytes = request("POST", &format!("/{TENANT_ID}/oauth2/v2.0/token"), &headers, &body);
    let answer = Response::parse(&send_tls(&emulator, Source::Entra, &bytes).unwrap());
    let body = answer.json();
    assert_eq!(body["correlation_id"], id);
    assert_eq!(answer.header("client-request-id"), Some(id));
    assert_eq!(answer.header("x-ms-request-id"), body["trace_id"].as_str());
    let text = body["error_description"].as_str().unwrap();
    let stamp = body["timestamp"].as_str().unwrap();
    assert!(text.ends_with(&format!(" Correlation ID: {id} Timestamp: {stamp}")), "{text}");
    assert!(stamp.len() == 20 && stamp.ends_with('Z'), "{stamp}");
    assert!(body["error_uri"].as_str().unwrap().ends_with("/error?code=7000215"));
    assert_eq!(answer.header("cache-control"), Some("no-store, no-cache"));

    let canned = {
        emulator.faults().next(Source::Entra, Answer::entra_error(53003));
        token(&emulator, TENANT_ID, &fields(&[]))
    };
    assert_eq!(outcome(&canned), (400, "invalid_grant".to_owned(), 53003));
    let claims: serde_json::Value = serde_json::from_str(canned.json()["claims"].as_str().unwrap()).unwrap();
    assert!(claims["access_token"].is_object());
    emulator.faults().next(Source::Entra, Answer::entra_error(90033));
    assert_eq!(token(&emulator, TENANT_ID, &fields(&[])).status, 503);
    emulator.faults().next(Source::Entra, Answer::status(500));
    assert_eq!(token(&emulator, TENANT_ID, &fields(&[])).json()["error"], "fault");
}

#[test]
fn a_secret_may_come_in_a_header() {
    let emulator = builder().start_in_background().unwrap();
    // The secret holds no letter that would need an escape.
    let pair = format!("{WEB_CLIENT_ID}:{WEB_CLIENT_SECRET}");
    let basic = |pair: &str| format!("Basic {}", padded(&base64(pair.as_bytes(), false)));
    let ask = |authorization: &str, changes: &[(&str, &str)]| {
        let headers = [("Content-Type", "application/x-www-form-urlencoded"), ("Authorization", authorization)];
        let body = form(&fields(changes));
        let bytes = request("POST", &format!("/{TENANT_ID}/oauth2/v2.0/token"), &headers, &body);
        Response::parse(&send_tls(&emulator, Source::Entra, &bytes).unwrap())
    };
    let bare = [("client_secret", "-"), ("client_id", "-")];
    assert_eq!(ask(&basic(&pair), &bare).claims()["appid"], WEB_CLIENT_ID);
    assert_eq!(outcome(&ask(&basic(&format!("{WEB_CLIENT_ID}:no")), &bare)).2, 7000215);
    assert_eq!(outcome(&ask(&basic(&pair), &[])).2, 90100, "two secrets");
    assert_eq!(outcome(&ask("Basic !", &bare)).2, 90100);
    assert_eq!(outcome(&ask(&basic(&pair), &[("client_id", DISABLED_CLIENT_ID)])).2, 90100, "two ids");
}

#[test]
fn the_client_capability_comes_back_in_the_token() {
    let emulator = builder().start_in_background().unwrap();
    for value in ["CP1", "cp1"] {
        let claims = format!(r#"{{"access_token":{{"xms_cc":{{"values":["{value}"]}},"nbf":{{"essential":true}}}}}}"#);
        assert_eq!(token(&emulator, TENANT_ID, &fields(&[("claims", &claims)])).claims()["xms_cc"][0], "CP1");
    }
    let other = token(&emulator, TENANT_ID, &fields(&[("claims", r#"{"id_token":{}}"#)]));
    assert!(other.claims().get("xms_cc").is_none());
}

#[test]
fn times_and_forms_can_be_chosen() {
    let long = builder().entra_lifetime_secs(7_200).start_in_background().unwrap();
    assert_eq!(token(&long, TENANT_ID, &fields(&[])).json()["refresh_in"], 3_600);
    let emulator = builder()
        .entra_lifetime_secs(86_399)
        .refresh_in_secs(43_199)
        .expires_in_as_text()
        .start_in_background()
        .unwrap();
    let body = token(&emulator, TENANT_ID, &fields(&[])).json();
    assert_eq!((&body["expires_in"], &body["refresh_in"]), (&"86399".into(), &"43199".into()));
    emulator.faults().next(
        Source::Entra,
        Answer::real().with_lifetime_secs(-5).without_field("refresh_in").with_text_field("x", "y"),
    );
    let body = token(&emulator, TENANT_ID, &fields(&[])).json();
    assert_eq!((&body["expires_in"], body.get("refresh_in"), &body["x"]), (&"-5".into(), None, &"y".into()));
    emulator.faults().next(Source::Entra, Answer::real().with_giant_token(100_000));
    let giant = token(&emulator, TENANT_ID, &fields(&[])).json();
    assert_eq!(giant["access_token"].as_str().unwrap().len(), 100_000);
    emulator.faults().next(Source::Entra, Answer::real().with_body("[\"{token}\"]"));
    let bare = token(&emulator, TENANT_ID, &fields(&[])).json();
    assert_eq!(common::claims(bare[0].as_str().unwrap())["appid"], WEB_CLIENT_ID);
}

#[test]
fn the_clock_of_entra_can_be_wrong() {
    let emulator = builder().start_in_background().unwrap();
    emulator.set_clock_skew_secs(-7_200);
    let answer = token(&emulator, TENANT_ID, &fields(&[]));
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    assert!(answer.claims()["exp"].as_u64().unwrap().abs_diff(now + 3_599 - 7_200) <= 5);
    assert_eq!(answer.head.to_lowercase().matches("date: ").count(), 1);
    assert_eq!(answer.json()["expires_in"], 3_599);
    emulator.set_clock_skew_secs(0);
    assert!(token(&emulator, TENANT_ID, &fields(&[])).claims()["exp"].as_u64().unwrap().abs_diff(now + 3_599) <= 5);
}

#[test]
fn one_connection_serves_many_requests() {
    let emulator = builder().start_in_background().unwrap();
    let stream = TcpStream::connect(emulator.address(Source::Entra)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut stream = common::tls(stream, "localhost", &emulator.ca_pem());
    let asked = String::from_utf8(token_request(TENANT_ID, &fields(&[]))).unwrap().replace("Connection: close\r\n", "");
    for _ in 0..3 {
        stream.write_all(asked.as_bytes()).unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"}") {
            let mut buffer = [0; 4_096];
            let count = stream.read(&mut buffer).unwrap();
            assert!(count > 0, "the connection stays open");
            answer.extend_from_slice(&buffer[..count]);
        }
        assert_eq!(Response::parse(&answer).status, 200);
    }
    assert_eq!((emulator.connections(Source::Entra).accepted, emulator.request_count(Source::Entra)), (1, 3));
}

#[test]
fn instance_discovery_knows_the_clouds_and_itself() {
    let emulator = builder().dns_name("login.other.example").start_in_background().unwrap();
    let ask = |version: &str, endpoint: &str| {
        let query = form(&[("api-version", version), ("authorization_endpoint", endpoint)]);
        document(&emulator, &format!("/common/discovery/instance?{query}"))
    };
    let host = emulator.authority().strip_prefix("https://").unwrap().to_owned();
    let found = ask("1.1", &format!("https://{host}/{TENANT_ID}/oauth2/v2.0/authorize")).json();
    assert_eq!(
        found["tenant_discovery_endpoint"],
        format!("https://{host}/{TENANT_ID}/v2.0/.well-known/openid-configuration")
    );
    assert!(found["metadata"][0]["aliases"].as_array().unwrap().contains(&host.into()));
    let public = ask("1.1", "https://login.microsoftonline.com/common/oauth2/authorize").json();
    assert_eq!(public["metadata"][0]["preferred_network"], "login.microsoftonline.com");
    assert_eq!(public["metadata"][0]["preferred_cache"], "login.windows.net");
    let plain = ask("1.0", "https://login.other.example/common/oauth2/v2.0/authorize").json();
    assert!(plain.get("metadata").is_none() && plain["tenant_discovery_endpoint"].is_string());
    for endpoint in
        ["https://evil.example/common/oauth2/v2.0/authorize", "http://login.microsoftonline.com/common/x", "x", ""]
    {
        let refused = ask("1.1", endpoint);
        assert_eq!((refused.status, refused.json()["error"].as_str()), (400, Some("invalid_instance")), "{endpoint}");
    }
    assert_eq!(ask("2.0", "https://login.microsoftonline.com/common/x").status, 400);
}

#[test]
fn configuration_leads_to_the_token_endpoint_and_the_keys() {
    let emulator = builder().start_in_background().unwrap();
    let authority = emulator.authority();
    let host = authority.strip_prefix("https://").unwrap();
    let get = |target: &str| {
        let bytes = String::from_utf8(request("GET", target, &[], "")).unwrap();
        let bytes = bytes.replace("Host: 127.0.0.1", &format!("Host: {host}"));
        Response::parse(&send_tls(&emulator, Source::Entra, bytes.as_bytes()).unwrap())
    };
    let found = get(&format!("/{TENANT_DOMAIN}/v2.0/.well-known/openid-configuration")).json();
    assert_eq!(found["token_endpoint"], format!("{authority}/{TENANT_ID}/oauth2/v2.0/token"));
    assert_eq!(found["token_endpoint"], emulator.endpoint(Source::Entra));
    assert_eq!(found["issuer"], format!("{authority}/{TENANT_ID}/v2.0"));
    let keys = found["jwks_uri"].as_str().unwrap().strip_prefix(&authority).unwrap();
    assert_eq!(get(keys).json()["keys"][0]["kty"], "RSA");
    let group = get("/organizations/v2.0/.well-known/openid-configuration").json();
    assert_eq!(group["issuer"], format!("{authority}/{{tenantid}}/v2.0"));
    assert_eq!(group["token_endpoint"], format!("{authority}/organizations/oauth2/v2.0/token"));
    let adfs = get("/adfs/.well-known/openid-configuration").json();
    assert_eq!(adfs["token_endpoint"], format!("{authority}/adfs/oauth2/token"));
    let unknown = get("/nobody.example/v2.0/.well-known/openid-configuration");
    assert_eq!(outcome(&unknown), (400, "invalid_tenant".to_owned(), 90002));
    assert_eq!(get("/").status, 404);
}

#[test]
fn ad_fs_answers_at_its_own_path_and_in_its_own_words() {
    let emulator = builder().start_in_background().unwrap();
    let ask = |changes: &[(&str, &str)]| {
        let headers = [("Content-Type", "application/x-www-form-urlencoded")];
        let bytes = request("POST", "/adfs/oauth2/token", &headers, &form(&fields(changes)));
        Response::parse(&send_tls(&emulator, Source::Entra, &bytes).unwrap())
    };
    assert!(ask(&[]).claims()["iss"].as_str().unwrap().ends_with("/adfs/services/trust"));
    let refused = ask(&[("client_secret", "wrong")]);
    assert_eq!((refused.status, refused.json()["error"].as_str()), (401, Some("invalid_client")));
    assert!(refused.json()["error_description"].as_str().unwrap().starts_with("MSIS9622"));
    assert!(refused.json().get("error_codes").is_none());
    assert_eq!(token(&emulator, "adfs", &fields(&[])).status, 404, "AD FS has no v2.0");
}

#[test]
fn a_client_that_does_not_trust_the_ca_gets_nothing() {
    let emulator = builder().start_in_background().unwrap();
    let old = emulator.ca_pem();
    assert_eq!(std::fs::read_to_string(emulator.ca_path()).unwrap(), old);
    emulator.rotate_ca().unwrap();
    assert_ne!(emulator.ca_pem(), old);
    assert_eq!(std::fs::read_to_string(emulator.ca_path()).unwrap(), emulator.ca_pem());
    let bytes = token_request(TENANT_ID, &fields(&[]));
    common::exchange_tls(emulator.address(Source::Entra), "localhost", &old, &bytes).unwrap_err();
    assert_eq!(token(&emulator, TENANT_ID, &fields(&[])).status, 200);
    assert_eq!(emulator.request_count(Source::Entra), 1);
    let path = emulator.ca_path();
    drop(emulator);
    assert!(!path.exists(), "its files go with it");
}

#[test]
fn certificates_can_be_wrong_in_each_way() {
    let emulator = builder().start_in_background().unwrap();
    let bytes = token_request(TENANT_ID, &fields(&[]));
    for (certificate, reason) in [
        (ServerCertificate::Expired, "Expired"),
        (ServerCertificate::NotYetValid, "NotValidYet"),
        (ServerCertificate::OtherName, "NotValidForName"),
        (ServerCertificate::SelfSigned, "UnknownIssuer"),
    ] {
        emulator.show_certificate(certificate).unwrap();
        let error = format!("{:?}", send_tls(&emulator, Source::Entra, &bytes).unwrap_err());
        assert!(error.contains(reason), "{error}");
    }
    assert_eq!(emulator.request_count(None), 0);
    let order = |kind: &str| common::control(&emulator, "POST", "/__emulator/certificate", kind).status;
    assert_eq!(order(r#"{"kind":"expired"}"#), 204);
    send_tls(&emulator, Source::Entra, &bytes).unwrap_err();
    assert_eq!((order(r#"{"kind":"good"}"#), order(r#"{"kind":"x"}"#)), (204, 400));
    assert_eq!(token(&emulator, TENANT_ID, &fields(&[])).status, 200);
}

#[test]
fn files_for_clients_go_where_they_are_wanted_and_stay_there() {
    let directory = common::directory();
    let emulator = builder().files(&directory).start_in_background().unwrap();
    assert_eq!(emulator.ca_path(), directory.join("ca.pem"));
    let copy = directory.join("copy.pem");
    emulator.write_ca(&copy).unwrap();
    assert_eq!(std::fs::read_to_string(&copy).unwrap(), emulator.ca_pem());
    let variables = emulator.certificate_variables();
    let get = |name: &str| variables.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str());
    let pem = std::fs::read_to_string(get("AZURE_CLIENT_CERTIFICATE_PATH").unwrap()).unwrap();
    assert!(pem.contains("BEGIN CERTIFICATE") && pem.contains("BEGIN PRIVATE KEY"));
    assert_eq!(get("AZURE_CLIENT_SECRET"), None);
    assert_eq!(get("SSL_CERT_FILE"), emulator.ca_path().to_str());
    drop(emulator);
    assert!(directory.join("ca.pem").exists(), "the directory is not ours");
    #[cfg(unix)]
    builder().files("/dev/null/x").start_in_background().unwrap_err();
}

#[test]
fn a_refusal_of_entra_can_be_had_from_every_source() {
    let emulator = builder().start_in_background().unwrap();
    emulator.faults().next(Source::Imds, Answer::entra_error(500011));
    let answer = common::imds(&emulator);
    assert_eq!((answer.status, answer.json()["error"].as_str()), (400, Some("invalid_resource")));
    emulator.faults().next(Source::Entra, Answer::entra_error(1).with_header("Retry-After", "7"));
    let answer = token(&emulator, TENANT_ID, &fields(&[]));
    assert_eq!((outcome(&answer).2, answer.header("retry-after")), (1, Some("7")));
}

#[test]
fn applications_come_and_change_while_it_runs() {
    let emulator = builder().start_in_background().unwrap();
    let id = "7e57ab1e-0000-4000-8000-00000000aa09";
    let ask =
        |secret: &str| token(&emulator, TENANT_ID, &fields(&[("client_id", id), ("client_secret", secret)])).status;
    assert_eq!(ask("one"), 400);
    emulator.put_app(App::new(id).secret("one")).unwrap();
    assert_eq!((ask("one"), ask("two")), (200, 401));
    emulator.put_app(App::new(id).secret("two")).unwrap();
    assert_eq!((ask("one"), ask("two")), (401, 200));
    assert!(!format!("{emulator:?}{:?}", App::new(id).secret("hush")).contains("hush"));
    emulator.put_app(App::new("no-guid")).unwrap_err();
}
