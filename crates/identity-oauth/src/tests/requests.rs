//! What is asked of whom, and within which limits.

use identity_core::http::{Proxy, Reach};

use super::*;

impl World {
    fn client_of(&self, tenant: &str, id: &str, options: ClientOptions) -> AppClient {
        let signs = Arc::new(Signs::default());
        AppClient::new("Test", Client::new(&self.platform, tenant, id, Some(signs), options).unwrap())
    }
}

fn at(authority: &str) -> ClientOptions {
    let mut options = ClientOptions::default();
    options.authority(authority.to_owned());
    options
}

#[test]
fn every_attempt_has_the_limits_of_the_contract() {
    let world = World::new(|request| match request.url.contains("/discovery/") {
        true => Ok(json(200, r#"{"tenant_discovery_endpoint":"https://login.example/x"}"#)),
        false => Ok(json(503, "{}")),
    });
    let client = world.client_of("tenant", "client", at("login.example"));
    assert_eq!(world.get(&client, SCOPE).unwrap_err().kind(), ErrorKind::Transport);
    let requests = world.transport.requests();
    assert_eq!(requests.len(), 1 + 4);
    for request in requests {
        let limits = (request.connect_timeout.as_secs(), request.timeout.as_secs(), request.body_limit);
        assert_eq!(limits, (5, 15, 1024 * 1024), "{request:?}");
        let way = (request.reach, request.proxy, request.trust, request.server_name);
        assert_eq!(way, (Reach::Any, Proxy::Configured, ServerTrust::Roots, None), "{}", request.url);
    }
}

#[test]
fn a_cloud_that_asks_for_a_pause_stops_its_own_client_and_nobody_else() {
    let world = World::new(|request| match request.origin() {
        "https://login.microsoftonline.com" => {
            Ok(Response::new(429, vec![("retry-after".to_owned(), "120".to_owned())], Vec::new()))
        }
        _ => Ok(json(200, TOKEN)),
    });
    let [global, other_tenant, other_client] = [("tenant", "client"), ("other", "client"), ("tenant", "another")]
        .map(|(tenant, id)| world.client_of(tenant, id, ClientOptions::default()));
    let paused = |client: &AppClient, scope| {
        let error = world.get(client, scope).unwrap_err();
        assert_eq!((error.kind(), error.http_status()), (ErrorKind::Transport, Some(429)), "{error}");
        (error.retry_after().unwrap().as_secs(), world.transport.count())
    };
    assert_eq!(paused(&global, SCOPE), (120, 1));
    world.get(&world.client_of("tenant", "client", at("login.microsoftonline.us")), SCOPE).unwrap();
    assert_eq!(world.transport.count(), 2);
    world.clock.advance(Duration::from_secs(20));
    // Another scope and another tenant are asked for at the same place.
    assert_eq!(paused(&global, SCOPE), (100, 2));
    assert_eq!(paused(&global, "https://storage.azure.com/.default"), (100, 2));
    assert_eq!(paused(&other_tenant, SCOPE), (100, 2));
    assert_eq!(paused(&other_client, SCOPE), (120, 3));
    world.clock.advance(Duration::from_secs(101));
    assert_eq!(paused(&global, SCOPE), (120, 4));
}

#[test]
fn the_answer_to_claims_replaces_the_token_of_that_tenant_and_of_no_other() {
    let count = AtomicUsize::new(0);
    let world = World::new(move |_| {
        let number = count.fetch_add(1, Ordering::SeqCst) + 1;
        Ok(json(200, &TOKEN.replace("CANARY", &number.to_string())))
    });
    let mut options = ClientOptions::default();
    options.additionally_allowed_tenants(vec!["other".to_owned()]);
    let client = world.client_of("tenant", "client", options);
    let claims = r#"{"access_token":{"nbf":{"essential":true,"value":"1600000000"}}}"#;
    let plain = TokenRequestOptions::new;
    let get = |options: TokenRequestOptions| {
        let token = world.sim.run(client.get(&[SCOPE], Some(&options))).unwrap();
        token.secret().trim_end_matches("-token").to_owned()
    };
    for (options, expected, what) in [
        (plain(), "1", "its own tenant"),
        (plain().with_tenant_id("other"), "2", "the other one"),
        (plain().with_tenant_id("other").with_claims(claims), "3", "a challenge there"),
        (plain().with_tenant_id("other"), "3", "the revoked token is gone"),
        (plain(), "1", "and no other one"),
        (plain().with_tenant_id("tenant").with_claims(claims), "4", "a challenge at its own, which is named"),
        (plain(), "4", "is one for it"),
        (plain().with_tenant_id("other"), "3", "only"),
        (plain().with_tenant_id("other").with_claims(claims), "5", "claims are never answered from memory"),
    ] {
        assert_eq!(get(options), expected, "{what}");
    }
    let asked: Vec<_> = (world.transport.requests().iter())
        .map(|request| {
            let tenant = request.url.split('/').nth(3).unwrap().to_owned();
            let body = request.body.as_ref().unwrap().expose().to_owned();
            (tenant, body.contains("&claims=%7B%22access_token%22%3A%7B%22nbf%22"))
        })
        .collect();
    let expected = [("tenant", false), ("other", false), ("other", true), ("tenant", true), ("other", true)];
    assert_eq!(asked, expected.map(|(tenant, has_claims)| (tenant.to_owned(), has_claims)));
}

#[test]
fn deep_json_is_refused_before_any_parser_sees_it_even_with_a_small_stack() {
    let nest = |open: &str, close: &str| {
        let deep = format!("{}1{}", open.repeat(10_000), close.repeat(10_000));
        format!(r#"{{"access_token":"a","expires_in":3600,"error":"invalid_client","unknown":{deep}}}"#)
    };
    let bodies = [nest("[", "]"), nest(r#"{"x":"#, "}"), "[".repeat(10_000), r#"{"error":"#.repeat(10_000)];
    let check = move || {
        for (body, status) in bodies.iter().flat_map(|body| [200, 400, 401].map(|status| (body.clone(), status))) {
            let start = format!("{status} {}", &body[..60]);
            let world = World::new(move |_| Ok(json(status, &body)));
            let client = world.client_of("tenant", "client", ClientOptions::default());
            let error = world.get(&client, SCOPE).unwrap_err();
            assert_eq!((error.kind(), world.transport.count()), (ErrorKind::Protocol, 1), "{start}: {error}");
            assert!(error.to_string().len() < 2048, "{error}");
        }
    };
    std::thread::Builder::new().stack_size(64 * 1024).spawn(check).unwrap().join().unwrap();
}
