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

use common::{
    Response, base64, builder, document, fields, form, outcome, padded, request, send_tls, token, token_request,
};
use identity_emulator::{
    Answer, App, DISABLED_CLIENT_ID, Emulator, OTHER_TENANT_DOMAIN, OTHER_TENANT_ID, ServerCertificate, Source,
    TENANT_DOMAIN, TENANT_ID, WEB_CLIENT_ID, WEB_CLIENT_SECRET,
};

fn refused(emulator: &Emulator, tenant: &str, changes: &[(&str, &str)]) -> (u16, String, u64) {
    outcome(&token(emulator, tenant, &fields(changes)))
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
    // Each part is escaped by itself: what separates parts of a form separates nothing here.
    assert_eq!(outcome(&ask(&basic(&format!("junk&{pair}")), &bare)).2, 700016);
    assert_eq!(outcome(&ask(&basic(&format!("{pair}&x")), &bare)).2, 7000215);
    assert_eq!(outcome(&ask(&basic(&format!("{pair}%zz")), &bare)).2, 90100);
    let escaped = pair.replace('~', "%7E");
    assert_eq!(ask(&basic(&escaped), &bare).claims()["appid"], WEB_CLIENT_ID);
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
    assert!(found["metadata"][0]["aliases"].as_array().unwrap().contains(&host.as_str().into()));
    let public = ask("1.1", "https://login.microsoftonline.com/common/oauth2/authorize").json();
    assert_eq!(public["metadata"][0]["preferred_network"], "login.microsoftonline.com");
    assert_eq!(public["metadata"][0]["preferred_cache"], "login.windows.net");
    let plain = ask("1.0", "https://login.other.example/common/oauth2/v2.0/authorize").json();
    assert!(plain.get("metadata").is_none() && plain["tenant_discovery_endpoint"].is_string());
    for host in
        ["login.microsoftonline.de", "login.sovcloud-identity.fr", "login.sovcloud-identity.sg", "LOGIN.Windows.net"]
    {
        let found = ask("1.1", &format!("https://{host}/common/oauth2/v2.0/authorize"));
        assert_eq!(found.status, 200, "{host}");
        let aliases = found.json()["metadata"].to_string();
        assert!(aliases.contains(&format!("\"{}\"", host.to_lowercase())), "{aliases}");
    }
    let region = ask("1.1", &format!("https://westus2.{host}/{TENANT_ID}/oauth2/v2.0/authorize")).json();
    assert!(
        region["metadata"][0]["aliases"].as_array().unwrap().contains(&format!("westus2.{host}").into()),
        "{region}"
    );
    for endpoint in
        ["https://evil.example/common/oauth2/v2.0/authorize", "http://login.microsoftonline.com/common/x", "x", ""]
    {
        let refused = ask("1.1", endpoint);
        assert_eq!((refused.status, refused.json()["error"].as_str()), (400, Some("invalid_instance")), "{endpoint}");
        assert_eq!(refused.header("cache-control"), Some("no-store, no-cache"), "no refusal is kept");
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
    assert_eq!(get(keys).json()["keys"][0]["issuer"], found["issuer"]);
    let old_keys = get(&format!("/{TENANT_ID}/discovery/keys")).json();
    assert_eq!(old_keys["keys"][0]["issuer"], format!("https://sts.windows.net/{TENANT_ID}/"));
    let consumers = get("/consumers/v2.0/.well-known/openid-configuration").json();
    assert_eq!(consumers["issuer"], format!("{authority}/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0"));
    assert_eq!(
        get("/common/discovery/v2.0/keys").json()["keys"][0]["issuer"],
        format!("{authority}/{{tenantid}}/v2.0")
    );
    let group = get("/organizations/v2.0/.well-known/openid-configuration").json();
    assert_eq!(group["issuer"], format!("{authority}/{{tenantid}}/v2.0"));
    assert_eq!(group["token_endpoint"], format!("{authority}/organizations/oauth2/v2.0/token"));
    let adfs = get("/adfs/.well-known/openid-configuration").json();
    assert_eq!(adfs["token_endpoint"], format!("{authority}/adfs/oauth2/token"));
    // What is advertised is there, even if it only says that it is not played.
    let old = get(&format!("/{TENANT_ID}/.well-known/openid-configuration")).json();
    for document in [&found, &group, &consumers, &adfs, &old] {
        for (name, url) in document.as_object().unwrap() {
            let path = url.as_str().and_then(|url| url.strip_prefix(&authority)).filter(|_| !name.contains("issuer"));
            assert!(path.is_none_or(|path| get(path).status != 404), "{name} {url}");
        }
    }
    let authorize = get(found["authorization_endpoint"].as_str().unwrap().strip_prefix(&authority).unwrap());
    assert!(authorize.status == 400 && authorize.text().contains("AADSTS900144"), "{}", authorize.text());
    assert_eq!(get(&format!("/{TENANT_ID}/oauth2/v2.0/devicecode")).status, 501);
    // Whatever the header says, a document names nobody else.
    let evil = document(&emulator, &format!("/{TENANT_ID}/v2.0/.well-known/openid-configuration")).text();
    assert!(evil.contains(&authority) && !evil.contains("//127.0.0.1/"), "{evil}");
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
