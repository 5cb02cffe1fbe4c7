//! A web API acts on behalf of the user who has called it, and of nobody else.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test says so by failing"
)]

mod common;

use common::{
    CP1, Response, STORAGE_SCOPE, builder, changed, good_claims, jwt, now, outcome, part, rs256, token, verified, with,
};
use identity_emulator::{
    Answer, App, CERTIFICATE_CLIENT_ID, DISABLED_USER_NAME, Emulator, FEDERATED_CLIENT_ID, MFA_USER_NAME,
    OTHER_TENANT_DOMAIN, OTHER_TENANT_ID, OTHER_USER_NAME, PUBLIC_CLIENT_ID, Source, TENANT_ID, USER_NAME,
    USER_OBJECT_ID, User, WEB_CLIENT_ID, WEB_CLIENT_SECRET,
};
use serde_json::{Value, json};

const GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// What a user calls the web API with.
fn assertion(emulator: &Emulator, user: &str) -> String {
    emulator.user_token(PUBLIC_CLIENT_ID, &format!("api://{WEB_CLIENT_ID}/user_impersonation"), user).unwrap()
}

fn form(assertion: &str) -> Vec<(&str, &str)> {
    vec![
        ("client_id", WEB_CLIENT_ID),
        ("client_secret", WEB_CLIENT_SECRET),
        ("grant_type", GRANT),
        ("assertion", assertion),
        ("requested_token_use", "on_behalf_of"),
        ("scope", STORAGE_SCOPE),
    ]
}

fn ask(emulator: &Emulator, assertion: &str, changes: &[(&str, &str)]) -> Response {
    token(emulator, TENANT_ID, &changed(&form(assertion), changes))
}

#[test]
fn a_web_api_gets_a_token_of_the_user_who_called_it() {
    let emulator = builder().start_in_background().unwrap();
    let assertion = assertion(&emulator, USER_NAME);
    let answer = ask(&emulator, &assertion, &[]);
    assert_eq!(answer.status, 200, "{answer:?}");
    let claims = verified(&emulator, &part(&answer, "access_token"));
    for (name, value) in [
        ("aud", "https://storage.azure.com"),
        ("appid", WEB_CLIENT_ID),
        ("appidacr", "1"),
        ("oid", USER_OBJECT_ID),
        ("scp", "user_impersonation"),
        ("upn", USER_NAME),
        ("tid", TENANT_ID),
        ("name", "Ada"),
        ("idtyp", "user"),
        ("ver", "1.0"),
    ] {
        assert_eq!(claims[name], value, "{name}");
    }
    assert_eq!(claims["amr"], json!(["pwd"]));
    assert_ne!(claims["sub"], claims["oid"]);
    let body = answer.json();
    assert_eq!(body["scope"], "https://storage.azure.com/user_impersonation https://storage.azure.com/.default");
    assert_eq!((&body["token_type"], &body["expires_in"]), (&"Bearer".into(), &3599.into()));
    for absent in ["refresh_token", "id_token", "client_info"] {
        assert!(body.get(absent).is_none(), "{absent}");
    }
}

#[test]
fn what_is_asked_for_beside_it_comes_too() {
    let emulator = builder().start_in_background().unwrap();
    let assertion = assertion(&emulator, USER_NAME);
    let scope = format!("{STORAGE_SCOPE} openid profile offline_access");
    let answer = ask(&emulator, &assertion, &[("scope", &scope), ("client_info", "1"), ("claims", CP1)]);
    assert_eq!(answer.claims()["xms_cc"], json!(["CP1"]));
    let info = common::decode_base64_url(&part(&answer, "client_info"));
    assert_eq!(serde_json::from_slice::<Value>(&info).unwrap(), json!({ "uid": USER_OBJECT_ID, "utid": TENANT_ID }));
    let id = verified(&emulator, &part(&answer, "id_token"));
    assert_eq!((&id["aud"], &id["preferred_username"]), (&WEB_CLIENT_ID.into(), &USER_NAME.into()));
    assert_eq!((&id["oid"], &id["tid"], &id["ver"]), (&USER_OBJECT_ID.into(), &TENANT_ID.into(), &"2.0".into()));
    assert_eq!(id["iss"], format!("{}/{TENANT_ID}/v2.0", emulator.authority()));
    assert!(answer.json()["scope"].as_str().unwrap().ends_with("/.default openid profile"), "{answer:?}");
    let refresh = part(&answer, "refresh_token");
    let again = [
        ("client_id", WEB_CLIENT_ID),
        ("client_secret", WEB_CLIENT_SECRET),
        ("grant_type", "refresh_token"),
        ("refresh_token", &refresh),
        ("scope", "https://vault.azure.net/.default"),
        ("claims", CP1),
    ];
    let again = token(&emulator, TENANT_ID, &again);
    assert_eq!(
        (&again.claims()["aud"], &again.claims()["oid"]),
        (&"https://vault.azure.net".into(), &USER_OBJECT_ID.into())
    );
}

#[test]
fn a_certificate_and_a_federated_token_prove_the_web_api_too() {
    let emulator = builder().start_in_background().unwrap();
    let pod = common::variable(&emulator, Source::WorkloadIdentity, "AZURE_FEDERATED_TOKEN_FILE");
    let pod = std::fs::read_to_string(pod).unwrap();
    let signed = jwt(&rs256(), &good_claims(&emulator));
    for (client, proof) in [(CERTIFICATE_CLIENT_ID, &signed), (FEDERATED_CLIENT_ID, &pod)] {
        let scope = format!("{client}/.default");
        let called = emulator.user_token(PUBLIC_CLIENT_ID, &scope, USER_NAME).unwrap();
        let answer = ask(
            &emulator,
            &called,
            &[
                ("client_id", client),
                ("client_secret", "-"),
                ("client_assertion", proof),
                ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
            ],
        );
        assert_eq!(answer.claims()["appidacr"], "2", "{client}");
        assert_eq!(answer.claims()["oid"], USER_OBJECT_ID);
    }
}

#[test]
fn a_group_of_tenants_means_that_of_the_user() {
    let emulator = builder().start_in_background().unwrap();
    let ada = assertion(&emulator, USER_NAME);
    let edith = assertion(&emulator, OTHER_USER_NAME);
    let claims = token(&emulator, "organizations", &form(&edith)).claims();
    assert_eq!((&claims["tid"], &claims["upn"]), (&OTHER_TENANT_ID.into(), &OTHER_USER_NAME.into()));
    assert_eq!(token(&emulator, OTHER_TENANT_DOMAIN, &form(&edith)).status, 200);
    let foreign = token(&emulator, OTHER_TENANT_ID, &form(&ada));
    assert_eq!(outcome(&foreign), (400, "invalid_grant".to_owned(), 50013));
    let alone = changed(&form(&ada), &[("client_id", CERTIFICATE_CLIENT_ID)]);
    assert_eq!(outcome(&token(&emulator, "common", &alone)).2, 50194);
}

#[test]
fn tokens_of_version_2_are_taken_as_well() {
    let id = "7e57ab1e-0000-4000-8000-00000000aa01";
    let api = App::new(id).secret("s").access_token_version(2).scope("Files.Read").scope("Files.Write");
    let emulator = builder().app(api).start_in_background().unwrap();
    let called = emulator.user_token(PUBLIC_CLIENT_ID, &format!("api://{id}/files.read"), USER_NAME).unwrap();
    let claims = verified(&emulator, &called);
    assert_eq!((&claims["aud"], &claims["azp"]), (&id.into(), &PUBLIC_CLIENT_ID.into()));
    assert_eq!((&claims["azpacr"], &claims["scp"]), (&"0".into(), &"Files.Read".into()));
    assert_eq!((&claims["preferred_username"], &claims["ver"]), (&USER_NAME.into(), &"2.0".into()));
    assert!(claims.get("upn").is_none() && claims.get("appid").is_none(), "{claims}");
    let own = [("client_id", id), ("client_secret", "s")];
    assert_eq!(ask(&emulator, &called, &own).claims()["appid"], id);
    let every = emulator.user_token(PUBLIC_CLIENT_ID, &format!("{id}/.default"), USER_NAME).unwrap();
    assert_eq!(common::claims(&every)["scp"], "Files.Read Files.Write");
}

#[test]
fn requests_are_refused_as_the_real_service_does() {
    let emulator = builder()
        .app(App::new("7e57ab1e-0000-4000-8000-00000000aa02").secret("s").blocked_by_policy())
        .start_in_background()
        .unwrap();
    let good = assertion(&emulator, USER_NAME);
    let two = "https://vault.azure.net/.default https://storage.azure.com/.default";
    let mixed = "https://storage.azure.com/.default https://storage.azure.com/user_impersonation";
    type Case<'a> = (&'a [(&'a str, &'a str)], u16, &'a str, u64);
    let cases: &[Case<'_>] = &[
        (&[("assertion", "-")], 400, "invalid_request", 900_144),
        (&[("requested_token_use", "-")], 400, "invalid_request", 900_144),
        (&[("requested_token_use", "something")], 400, "invalid_request", 90_100),
        (&[("scope", "-")], 400, "invalid_request", 90_014),
        (&[("client_id", "-")], 400, "invalid_request", 900_144),
        (&[("client_secret", "-")], 401, "invalid_client", 7_000_218),
        (&[("client_secret", "wrong")], 401, "invalid_client", 7_000_215),
        (&[("client_id", PUBLIC_CLIENT_ID)], 401, "invalid_client", 700_025),
        (&[("client_id", PUBLIC_CLIENT_ID), ("client_secret", "-")], 401, "invalid_client", 7_000_218),
        (&[("client_id", "7e57ab1e-0000-4000-8000-00000000ffff")], 400, "unauthorized_client", 700_016),
        (&[("scope", two)], 400, "invalid_scope", 28_000),
        (&[("scope", mixed)], 400, "invalid_scope", 70_011),
        (&[("scope", "https://storage.azure.com")], 400, "invalid_scope", 70_011),
        (&[("scope", "a\"b/.default")], 400, "invalid_scope", 70_011),
        (&[("scope", "https://storage.azure.com/Files.Read")], 400, "invalid_grant", 65_001),
        (&[("scope", "https://unknown.example/.default")], 400, "invalid_resource", 500_011),
        (&[("scope", &format!("api://{WEB_CLIENT_ID}/.default"))], 400, "invalid_request", 90_009),
        (&[("claims", "[]")], 400, "invalid_request", 90_100),
        (&[("assertion", "nonsense")], 400, "invalid_request", 50_027),
    ];
    for (changes, status, error, code) in cases {
        let answer = ask(&emulator, &good, changes);
        assert_eq!(outcome(&answer), (*status, (*error).to_owned(), *code), "{changes:?}");
    }
    let consent = ask(&emulator, &good, &[("scope", "https://storage.azure.com/Files.Read")]).json();
    assert_eq!(consent["suberror"], "consent_required");
    let blocked = "7e57ab1e-0000-4000-8000-00000000aa02";
    let called = emulator.user_token(PUBLIC_CLIENT_ID, &format!("{blocked}/.default"), USER_NAME).unwrap();
    let answer = ask(&emulator, &called, &[("client_id", blocked), ("client_secret", "s")]);
    assert_eq!(outcome(&answer), (400, "invalid_grant".to_owned(), 53_003));
}

#[test]
fn only_a_good_token_of_a_user_for_this_application_is_an_assertion() {
    let emulator = builder().start_in_background().unwrap();
    let good = assertion(&emulator, USER_NAME);
    let header: Value = serde_json::from_slice(&common::decode_base64_url(good.split('.').next().unwrap())).unwrap();
    let claims = common::claims(&good);
    let forged = |name: &str, value: Value| jwt(&header, &with(claims.clone(), name, value));
    assert_eq!(ask(&emulator, &jwt(&header, &claims), &[]).status, 200, "the key is public");
    let app_only =
        token(&emulator, TENANT_ID, &common::fields(&[("scope", &format!("api://{WEB_CLIENT_ID}/.default"))]));
    let other = emulator.user_token(PUBLIC_CLIENT_ID, STORAGE_SCOPE, USER_NAME).unwrap();
    let (signed, _) = good.rsplit_once('.').unwrap();
    let unsigned = format!("{signed}.AAAA");
    let unknown = format!("https://sts.windows.net/{}/", "0fedcba9-0000-4000-8000-000000000001");
    let id_token = ask(&emulator, &good, &[("scope", &format!("{STORAGE_SCOPE} openid profile"))]);
    for (assertion, error, code) in [
        (app_only.json()["access_token"].as_str().unwrap().to_owned(), "unauthorized_client", 7_000_114),
        (other, "invalid_grant", 500_131),
        (forged("aud", CERTIFICATE_CLIENT_ID.into()), "invalid_grant", 500_131),
        (unsigned, "invalid_grant", 50_013),
        (jwt(&with(header.clone(), "kid", "other".into()), &claims), "invalid_grant", 50_013),
        (jwt(&with(header.clone(), "alg", "RS384".into()), &claims), "invalid_grant", 50_013),
        (jwt(&with(header.clone(), "alg", "none".into()), &claims), "invalid_grant", 50_013),
        (jwt(&with(header.clone(), "alg", Value::Null), &claims), "invalid_request", 50_027),
        (forged("iss", "https://evil.example/".into()), "invalid_grant", 50_013),
        (forged("iss", unknown.into()), "invalid_grant", 50_013),
        (forged("iss", format!("https://sts.windows.net/{OTHER_TENANT_ID}/").into()), "invalid_grant", 50_013),
        (forged("tid", OTHER_TENANT_ID.into()), "invalid_grant", 50_013),
        (forged("exp", (now() - 301).into()), "invalid_grant", 500_133),
        (forged("exp", Value::Null), "invalid_grant", 500_133),
        (forged("nbf", (now() + 400).into()), "invalid_grant", 500_133),
        (forged("exp", "soon".into()), "invalid_request", 50_027),
        (forged("oid", "7e57ab1e-0000-4000-8000-00000000ffff".into()), "invalid_grant", 50_034),
        (forged("scp", Value::Null), "invalid_grant", 50_013),
        (part(&id_token, "id_token"), "invalid_grant", 50_013),
        (assertion(&emulator, DISABLED_USER_NAME), "invalid_grant", 50_057),
        (assertion(&emulator, OTHER_USER_NAME), "invalid_grant", 50_013),
    ] {
        let answer = ask(&emulator, &assertion, &[]);
        assert_eq!(outcome(&answer), (400, error.to_owned(), code), "{}", common::claims_text(&assertion));
    }
    emulator.set_clock_skew_secs(4_000);
    assert_eq!(outcome(&ask(&emulator, &good, &[])).2, 500_133, "its clock is the one that counts");
}

#[test]
fn a_second_factor_is_demanded_and_claims_bring_it() {
    let emulator = builder().start_in_background().unwrap();
    let called = assertion(&emulator, MFA_USER_NAME);
    let refused = ask(&emulator, &called, &[]);
    assert_eq!(outcome(&refused), (400, "interaction_required".to_owned(), 50_076));
    let body = refused.json();
    assert_eq!(body["suberror"], "basic_action");
    let demanded = body["claims"].as_str().unwrap();
    let value: Value = serde_json::from_str(demanded).unwrap();
    assert_eq!(value["access_token"]["capolids"]["essential"], true);
    let answer = ask(&emulator, &called, &[("claims", demanded)]);
    assert_eq!(answer.claims()["amr"], json!(["pwd", "mfa"]));
    // As a client with capabilities sends them.
    let mut merged = value.clone();
    merged["access_token"]["xms_cc"] = json!({ "values": ["CP1"] });
    assert_eq!(ask(&emulator, &called, &[("claims", &merged.to_string())]).claims()["xms_cc"], json!(["CP1"]));
    assert_eq!(outcome(&ask(&emulator, &called, &[("claims", CP1)])).2, 50_076);
    // Somebody who has signed in with it needs no claims.
    let redirect = "http://localhost:1";
    let scope = format!("api://{WEB_CLIENT_ID}/.default");
    let code = emulator
        .authorization_code(PUBLIC_CLIENT_ID, redirect, &scope, MFA_USER_NAME, Some(common::CHALLENGE), None)
        .unwrap();
    let redeemed = token(
        &emulator,
        TENANT_ID,
        &[
            ("client_id", PUBLIC_CLIENT_ID),
            ("grant_type", "authorization_code"),
            ("code", &code),
            ("redirect_uri", redirect),
            ("code_verifier", common::VERIFIER),
            ("scope", &scope),
        ],
    );
    assert_eq!(ask(&emulator, &part(&redeemed, "access_token"), &[]).status, 200);
}

#[test]
fn consent_is_what_the_directory_says() {
    let id = "7e57ab1e-0000-4000-8000-00000000aa01";
    let app = || App::new(id).secret("s");
    let emulator = builder().app(app().without_consent()).start_in_background().unwrap();
    let called = emulator.user_token(PUBLIC_CLIENT_ID, &format!("{id}/.default"), USER_NAME).unwrap();
    let own =
        |scope: &'static str| ask(&emulator, &called, &[("client_id", id), ("client_secret", "s"), ("scope", scope)]);
    assert_eq!(outcome(&own(STORAGE_SCOPE)), (400, "invalid_grant".to_owned(), 65_001));
    assert_eq!(outcome(&own("openid profile")).2, 65_001, "somebody has to agree to that, too");
    let graph = "https://graph.microsoft.com";
    emulator.put_app(app().consent(graph, "User.Read").consent(graph, "Mail.Read")).unwrap();
    assert_eq!(own("https://graph.microsoft.com/.default").claims()["scp"], "User.Read Mail.Read");
    assert_eq!(own("User.Read").claims()["scp"], "User.Read");
    assert_eq!(own("user.read openid").json()["scope"], "user.read openid");
    for scope in ["Mail.Send", "https://graph.microsoft.com/Mail.Send", "Nonsense", STORAGE_SCOPE] {
        assert_eq!(outcome(&own(scope)).2, 65_001, "{scope}");
    }
    emulator.put_app(app().only_resource("https://vault.azure.net")).unwrap();
    assert_eq!(outcome(&own(STORAGE_SCOPE)).2, 500_011);
    assert_eq!(own("https://vault.azure.net/user_impersonation").status, 200);
}

#[test]
fn faults_and_loops_hold_for_users_too() {
    let emulator = builder().loop_limit(2).start_in_background().unwrap();
    let called = assertion(&emulator, USER_NAME);
    let busy = Answer::status(429).with_header("Retry-After", "7");
    emulator.faults().next(Source::Entra, busy);
    emulator.faults().next(Source::Entra, Answer::entra_error(50_013));
    let throttled = ask(&emulator, &called, &[]);
    assert_eq!((throttled.status, throttled.header("retry-after")), (429, Some("7")));
    assert_eq!(outcome(&ask(&emulator, &called, &[])).2, 50_013);
    for _ in 0..2 {
        assert_eq!(ask(&emulator, &called, &[]).status, 200);
    }
    assert_eq!(outcome(&ask(&emulator, &called, &[])), (400, "invalid_grant".to_owned(), 50_196));
    let request = emulator.requests().pop().unwrap();
    assert_eq!(request.form_value("assertion"), Some(called));
    assert!(!format!("{request:?}").contains("assertion"), "{request:?}");
}

#[test]
fn people_come_and_change_while_it_runs() {
    let emulator = builder().start_in_background().unwrap();
    let name = "zoe@contoso.example";
    assert!(emulator.user_token(PUBLIC_CLIENT_ID, STORAGE_SCOPE, name).unwrap_err().to_string().contains(name));
    emulator.put_user(User::new(name, "hush")).unwrap();
    let called = assertion(&emulator, name);
    assert_eq!(ask(&emulator, &called, &[]).claims()["name"], "zoe");
    emulator.put_user(User::new(name, "hush").disabled()).unwrap();
    assert_eq!(outcome(&ask(&emulator, &called, &[])).2, 50_057);
    assert!(!format!("{emulator:?}{:?}", User::new(name, "hush")).contains("hush"));
    emulator.put_user(User::new("a b", "x")).unwrap_err();
}

#[test]
fn other_languages_get_tokens_of_users_from_the_control_listener() {
    let emulator = builder().start_in_background().unwrap();
    let order =
        json!({ "client_id": PUBLIC_CLIENT_ID, "scope": format!("{WEB_CLIENT_ID}/.default"), "user": USER_NAME });
    let answer = common::control(&emulator, "POST", "/__emulator/user-token", &order.to_string());
    assert_eq!(ask(&emulator, &part(&answer, "access_token"), &[]).status, 200);
    let refused = common::control(
        &emulator,
        "POST",
        "/__emulator/user-token",
        &with(order, "scope", "https://unknown.example/.default".into()).to_string(),
    );
    assert!(refused.status == 400 && refused.text().contains("AADSTS500011"), "{refused:?}");
}
