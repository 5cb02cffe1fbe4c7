//! Services that act for their users, over fakes of every seam.

use std::sync::atomic::{AtomicUsize, Ordering};

use identity_core::{
    Clock as _,
    fakes::join_all,
    http::{TransportError, TransportErrorKind},
    text,
};

use super::{users::*, *};
use crate::{OnBehalfOfClient, OnBehalfOfClientBuilder, OnBehalfOfCredential};

impl World {
    fn client(&self) -> OnBehalfOfClient {
        builder().build_with(&self.platform).unwrap()
    }
}

fn builder() -> OnBehalfOfClientBuilder {
    OnBehalfOfClient::builder("tenant", "client").client_secret("CANARY-secret")
}

#[test]
fn the_token_of_a_user_is_exchanged_for_one_of_another_service() {
    let world = World::new(|_, _| gives("CANARY-token"));
    let credential = world.client().credential("CANARY-assertion").unwrap();
    let token = world.get(&credential, GRAPH).unwrap();
    assert_eq!((token.secret(), token.credential()), ("CANARY-token", "OnBehalfOfCredential"));
    let expected = [
        ("assertion", "CANARY-assertion"),
        ("client_id", "client"),
        ("client_info", "1"),
        ("client_secret", "CANARY-secret"),
        ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
        ("requested_token_use", "on_behalf_of"),
        ("scope", "https://graph.microsoft.com/User.Read offline_access openid profile"),
    ];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(world.forms(), [expected.into()]);
    assert_eq!(world.transport.requests()[0].url, "https://login.microsoftonline.com/tenant/oauth2/v2.0/token");
    // Another credential for the same token is the same user, and one of another builder is not.
    world.get(&world.client().credential("CANARY-assertion").unwrap(), GRAPH).unwrap();
    assert_eq!(world.transport.count(), 2);
    let shared = world.client();
    for _ in 0..3 {
        world.get(&shared.credential("CANARY-assertion").unwrap(), GRAPH).unwrap();
    }
    assert_eq!(world.transport.count(), 3);
    let shown = format!("{credential:?} {credential:#?} {shared:?} {:?}", builder());
    assert!(shown.contains("tenant") && !shown.contains("CANARY"), "{shown}");
}

#[test]
fn one_user_needs_no_client_of_its_own() {
    let world = World::new(|_, _| gives("token"));
    let builder = OnBehalfOfCredential::builder("tenant", "client", "CANARY-assertion").client_secret("CANARY-secret");
    let shown = format!("{builder:?}");
    let credential = builder.authority("login.microsoftonline.us").build_with(&world.platform).unwrap();
    for _ in 0..2 {
        world.get(&credential, GRAPH).unwrap();
    }
    assert_eq!(world.transport.requests()[0].url, "https://login.microsoftonline.us/tenant/oauth2/v2.0/token");
    assert_eq!(world.transport.count(), 1);
    assert!(!shown.contains("CANARY"), "{shown}");
}

#[test]
fn exactly_one_proof_of_the_application_and_a_token_of_the_user_are_needed() {
    let world = World::new(|_, _| gives("token"));
    let bare = || OnBehalfOfClient::builder("tenant", "client");
    let assertion = || async { Ok(Secret::new("assertion")) };
    for builder in
        [bare(), bare().client_secret(""), builder().client_secret("x"), builder().client_assertion(assertion)]
    {
        let error = builder.build_with(&world.platform).unwrap_err();
        assert_eq!((error.kind(), error.credential()), (ErrorKind::InvalidArgument, "OnBehalfOfCredential"));
        assert!(error.to_string().contains("proof") && !error.to_string().contains("CANARY"), "{error}");
    }
    bare().client_assertion(assertion).build_with(&world.platform).unwrap();
    for bad in ["", "CANARY token", "CANARY\r\n", "Bearer CANARY"] {
        let error = world.client().credential(bad).unwrap_err();
        assert_eq!((error.kind(), error.credential()), (ErrorKind::InvalidArgument, "OnBehalfOfCredential"));
        assert!(!error.to_string().contains("CANARY"), "{error}");
        let alone = OnBehalfOfCredential::builder("tenant", "client", bad).client_secret("secret");
        assert_eq!(alone.build_with(&world.platform).unwrap_err().kind(), ErrorKind::InvalidArgument);
    }
}

#[test]
fn a_refresh_token_gets_what_the_users_own_token_is_too_old_for() {
    let world = World::new(|_, form| match form["grant_type"].as_str() {
        "refresh_token" => gives_both("token-2", &format!("{}-next", form["refresh_token"])),
        _ => gives_both("token-1", "CANARY-refresh"),
    });
    let credential = world.client().credential("assertion").unwrap();
    assert_eq!(world.get(&credential, GRAPH).unwrap().secret(), "token-1");
    // Another resource: refresh tokens serve all of them.
    assert_eq!(world.get(&credential, VAULT).unwrap().secret(), "token-2");
    world.clock.advance(Duration::from_secs(3_600));
    assert_eq!(world.get(&credential, GRAPH).unwrap().secret(), "token-2");
    assert_eq!(world.grants(), ["jwt-bearer", "refresh_token", "refresh_token"]);
    let forms = world.forms();
    assert_eq!(forms[1]["refresh_token"], "CANARY-refresh");
    assert_eq!(forms[2]["refresh_token"], "CANARY-refresh-next");
    assert_eq!(forms[1]["client_secret"], "CANARY-secret");
    assert_eq!(forms[1]["scope"], "https://vault.azure.net/.default offline_access openid profile");
    assert!(!forms[1].contains_key("assertion") && !forms[1].contains_key("requested_token_use"));
}

#[test]
fn a_refresh_token_that_is_refused_is_forgotten_and_the_users_own_is_exchanged_again() {
    let world = World::new(|_, form| match form["grant_type"].as_str() {
        "refresh_token" => refuses("invalid_grant", r#","error_description":"AADSTS700082: CANARY-refresh""#),
        _ => gives_both("token", "CANARY-refresh"),
    });
    let credential = world.client().credential("assertion").unwrap();
    for scope in [GRAPH, VAULT, "https://storage.azure.com/.default"] {
        world.get(&credential, scope).unwrap();
    }
    let expected = ["jwt-bearer", "refresh_token", "jwt-bearer", "refresh_token", "jwt-bearer"];
    assert_eq!(world.grants(), expected);
}

#[test]
fn trouble_with_a_refresh_token_costs_one_request_and_a_pause_is_kept() {
    let lost = || Err(TransportError::new(TransportErrorKind::Closed, "closed"));
    let world = World::new(move |number, _| match number {
        0 => gives_both("token-1", "CANARY-refresh"),
        1 => lost(),
        _ => gives("token-2"),
    });
    let credential = world.client().credential("assertion").unwrap();
    world.get(&credential, GRAPH).unwrap();
    // It may have been written, and is not sent again.
    assert_eq!(world.get(&credential, VAULT).unwrap().secret(), "token-2");
    assert_eq!(world.grants(), ["jwt-bearer", "refresh_token", "jwt-bearer"]);

    let pause = || Ok(Response::new(429, vec![("retry-after".into(), "120".into())], Vec::new()));
    let world = World::new(move |number, _| if number == 0 { gives_both("token", "CANARY-refresh") } else { pause() });
    let client = world.client();
    world.get(&client.credential("assertion").unwrap(), GRAPH).unwrap();
    for user in ["assertion", "other", "third"] {
        let error = world.get(&client.credential(user).unwrap(), VAULT).unwrap_err();
        assert_eq!(
            (error.kind(), error.retry_after()),
            (ErrorKind::Transport, Some(Duration::from_secs(120))),
            "{error}"
        );
    }
    assert_eq!(world.transport.count(), 2);
}

#[test]
fn both_ways_share_45_seconds() {
    let clock = FakeClock::default();
    let (time, next) = (clock.clone(), AtomicUsize::new(0));
    let transport = FakeTransport::with_handler(&clock, move |request| {
        let is_first = next.fetch_add(1, Ordering::SeqCst) == 0;
        let sleep = time.sleep(if is_first { Duration::ZERO } else { request.timeout });
        Box::pin(async move {
            sleep.await;
            if is_first {
                gives_both("token", "refresh")
            } else {
                Err(TransportError::new(TransportErrorKind::Timeout, "late"))
            }
        })
    });
    let platform = platform(&clock, &transport, &FakeEnv::default());
    let world = World { sim: Sim::new(&clock), clock, transport, platform };
    let credential = world.client().credential("assertion").unwrap();
    world.get(&credential, GRAPH).unwrap();
    assert_eq!(world.get(&credential, VAULT).unwrap_err().kind(), ErrorKind::Transport);
    assert_eq!((world.clock.elapsed().as_secs(), world.grants()[1].as_str()), (45, "refresh_token"));
}

#[test]
fn what_a_user_has_to_answer_comes_with_all_that_asks_for_it_and_concerns_nobody_else() {
    let claims = r#"{\"access_token\":{\"capolids\":{\"essential\":true,\"values\":[\"c1\"]}}}"#;
    let more = format!(
        r#","error_description":"AADSTS50079: more proof","claims":"{claims}","correlation_id":"of-the-service""#
    );
    let world = World::new(move |_, form| match form["assertion"].as_str() {
        "ada" => refuses("interaction_required", &more),
        "bob" => refuses("invalid_grant", r#","error_description":"AADSTS65001: consent""#),
        "eve" => refuses("invalid_grant", r#","error_description":"AADSTS50013: signature""#),
        _ => gives("token"),
    });
    let client = world.client();
    let get = |user: &str| world.get(&client.credential(user).unwrap(), GRAPH);
    for _ in 0..3 {
        let error = get("ada").unwrap_err();
        assert_eq!((error.kind(), error.entra_codes()), (ErrorKind::AuthenticationRequired, &[50_079][..]), "{error}");
        let wanted = r#"{"access_token":{"capolids":{"essential":true,"values":["c1"]}}}"#;
        assert_eq!((error.claims(), error.scopes()), (Some(wanted), &[GRAPH.to_owned()][..]));
        assert_eq!((error.http_status(), error.correlation_id()), (Some(400), Some("of-the-service")));
        let error = get("bob").unwrap_err();
        assert_eq!((error.kind(), error.claims()), (ErrorKind::AuthenticationRequired, None), "{error}");
        assert_eq!(error.scopes(), [GRAPH]);
        let error = get("eve").unwrap_err();
        assert_eq!((error.kind(), error.entra_codes()), (ErrorKind::AuthenticationFailed, &[50_013][..]), "{error}");
        get("zoe").unwrap();
    }
    assert_eq!(world.transport.count(), 4, "refusals are remembered, each for its user");
    // Signed in anew, it is another token.
    get("ada-again").unwrap();
}

#[test]
fn a_loop_of_one_user_shuts_out_nobody_else() {
    let world = World::new(|_, form| match form["assertion"].as_str() {
        "ada" => refuses("invalid_grant", r#","error_description":"AADSTS50196: loop""#),
        _ => gives("token"),
    });
    let client = world.client();
    let error = world.get(&client.credential("ada").unwrap(), GRAPH).unwrap_err();
    assert_eq!(error.entra_codes(), [50_196]);
    world.get(&client.credential("bob").unwrap(), GRAPH).unwrap();
}

#[test]
fn a_thousand_users_are_a_thousand_exchanges_and_then_none() {
    let world = World::slow(Duration::from_millis(100), |request| gives(&format!("of-{}", form(request)["assertion"])));
    let client = world.client();
    for _ in 0..2 {
        let users: Vec<_> = (0..1_000).map(|user| client.credential(format!("user-{user}")).unwrap()).collect();
        let scopes = [GRAPH];
        let tokens = world.sim.run(join_all(users.iter().map(|user| user.get_token(&scopes, None))));
        for (user, token) in tokens.into_iter().enumerate() {
            assert_eq!(token.unwrap().secret(), format!("of-user-{user}"));
        }
    }
    assert_eq!((world.transport.count(), world.transport.most_active()), (1_000, 64));
}

#[test]
fn an_endpoint_that_throttles_is_not_asked_more_often_by_more_users() {
    let clock = FakeClock::default();
    let (time, next) = (clock.clone(), AtomicUsize::new(0));
    let transport = FakeTransport::slow(&clock, Duration::from_millis(50), move |_| {
        next.fetch_add(1, Ordering::SeqCst);
        if time.elapsed() < Duration::from_secs(6) {
            return Ok(Response::new(429, vec![("retry-after".into(), "2".into())], Vec::new()));
        }
        gives("token")
    });
    let platform = platform(&clock, &transport, &FakeEnv::default());
    let world = World { sim: Sim::new(&clock), clock, transport, platform };
    let client = world.client();
    let users: Vec<_> = (0..1_000).map(|user| client.credential(format!("user-{user}")).unwrap()).collect();
    let scopes = [GRAPH];
    let tokens = world.sim.run(join_all(users.iter().map(|user| user.get_token(&scopes, None))));
    assert!(tokens.iter().all(Result::is_ok));
    let times = world.transport.times();
    let throttled = times.iter().filter(|at| **at < 6.0).count();
    // Those that were under way when the first was told, and one for each time that it asked to wait.
    assert!(throttled <= 64 + 4, "{throttled} of {}", times.len());
    assert_eq!(times.len() - throttled, 1_000);
}

/// A xorshift generator: the same requests in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

#[test]
fn no_mix_of_users_tenants_scopes_and_claims_gives_a_token_of_another() {
    // The token says all that it was asked for with; a refresh token whose it is.
    let world = World::slow(Duration::from_millis(5), |request| {
        let form = form(request);
        let of = |name: &str| form.get(name).cloned().unwrap_or_default();
        let user =
            if of("grant_type") == "refresh_token" { of("refresh_token").replace("R-", "") } else { of("assertion") };
        let tenant = request.url.split('/').nth(3).unwrap().to_owned();
        let scope = of("scope").split(' ').next().unwrap().to_owned();
        let cae = of("claims").contains("CP1");
        let told = format!("{user}|{tenant}|{scope}|{cae}");
        gives_both(&text::base64url(told.as_bytes()), &format!("R-{user}"))
    });
    let clients = [
        builder().additionally_allowed_tenants(["*"]).cache_capacity(20).build_with(&world.platform).unwrap(),
        builder().additionally_allowed_tenants(["*"]).build_with(&world.platform).unwrap(),
    ];
    let mut dice = Dice(0x2545_f491_4f6c_dd1d);
    for _ in 0..60 {
        let wanted: Vec<_> = (0..50)
            .map(|_| {
                let user = format!("user-{}", dice.roll(12));
                let tenant = ["tenant", "other", "third"][dice.roll(3) as usize];
                let scope = ["a/.default", "b/.default"][dice.roll(2) as usize];
                let (cae, claims) = (dice.roll(2) == 1, dice.roll(8) == 0);
                let mut options = TokenRequestOptions::new().with_tenant_id(tenant);
                if cae {
                    options = options.enable_cae();
                }
                if claims {
                    options = options.with_claims(r#"{"access_token":{"nbf":{"value":"1"}}}"#);
                }
                let credential = clients[dice.roll(2) as usize].credential(user.as_str()).unwrap();
                (credential, [scope], options, format!("{user}|{tenant}|{scope}|{cae}"))
            })
            .collect();
        let calls = wanted.iter().map(|(credential, scopes, options, _)| credential.get_token(scopes, Some(options)));
        for ((.., expected), token) in wanted.iter().zip(world.sim.run(join_all(calls))) {
            assert_eq!(token.unwrap().secret(), text::base64url(expected.as_bytes()), "{expected}");
        }
        world.clock.advance(Duration::from_secs(dice.roll(2_000)));
    }
}

#[test]
fn what_is_refused_for_one_resource_leaves_the_refresh_token_to_the_others() {
    let expired = r#","error_description":"AADSTS500133: expired""#;
    for (error, more) in [
        ("interaction_required", r#","error_description":"AADSTS50079: more","claims":"{\"access_token\":{}}""#),
        ("invalid_grant", r#","error_description":"AADSTS65001: consent""#),
        ("invalid_grant", r#","error_description":"AADSTS53003: a policy""#),
        ("invalid_resource", r#","error_description":"AADSTS500011: none""#),
        ("invalid_client", r#","error_description":"AADSTS7000222: expired""#),
    ] {
        let world = World::new(move |number, form| match form["grant_type"].as_str() {
            _ if form["scope"].contains("vault") => refuses(error, more),
            "refresh_token" => gives("token"),
            _ if number == 0 => gives_both("token", "refresh"),
            _ => refuses("invalid_grant", expired),
        });
        let credential = world.client().credential("assertion").unwrap();
        world.get(&credential, GRAPH).unwrap();
        world.get(&credential, VAULT).unwrap_err();
        world.clock.advance(Duration::from_secs(3_600));
        let token = world.get(&credential, GRAPH);
        assert!(token.is_ok(), "{error}{more}: {token:?}");
    }
}

#[test]
fn what_a_user_has_to_answer_is_told_though_their_own_token_has_expired() {
    let claims = r#"{\"access_token\":{\"capolids\":{\"essential\":true,\"values\":[\"c1\"]}}}"#;
    let more = format!(r#","error_description":"AADSTS50079: more proof","claims":"{claims}""#);
    let world = World::new(move |number, form| match form["grant_type"].as_str() {
        "refresh_token" => refuses("interaction_required", &more),
        _ if number == 0 => gives_both("token", "refresh"),
        _ => refuses("invalid_grant", r#","error_description":"AADSTS500133: expired""#),
    });
    let credential = world.client().credential("assertion").unwrap();
    world.get(&credential, GRAPH).unwrap();
    let error = world.get(&credential, VAULT).unwrap_err();
    assert_eq!((error.kind(), error.entra_codes()), (ErrorKind::AuthenticationRequired, &[50_079][..]), "{error}");
    assert!(error.claims().is_some_and(|claims| claims.contains("capolids")));
}

#[test]
fn a_refresh_token_that_another_request_of_the_user_replaced_is_followed_by_the_new_one() {
    let valid = Mutex::new("refresh-0".to_owned());
    let clock = FakeClock::default();
    let (time, next) = (clock.clone(), AtomicUsize::new(0));
    let transport = FakeTransport::with_handler(&clock, move |request| {
        let number = next.fetch_add(1, Ordering::SeqCst);
        let form = form(&request);
        let mut valid = valid.lock().unwrap();
        // Good for one use each.
        let answer = match form.get("refresh_token") {
            None if number == 0 => gives_both("token", &valid),
            None => refuses("invalid_grant", r#","error_description":"AADSTS500133: expired""#),
            Some(token) if *token == *valid => {
                *valid = format!("refresh-{number}");
                gives_both("token", &valid)
            }
            Some(_) => refuses("invalid_grant", r#","error_description":"AADSTS70000: used""#),
        };
        let sleep = time.sleep(Duration::from_millis(100 * number as u64));
        Box::pin(async move {
            sleep.await;
            answer
        })
    });
    let platform = platform(&clock, &transport, &FakeEnv::default());
    let world = World { sim: Sim::new(&clock), clock, transport, platform };
    let credential = world.client().credential("assertion").unwrap();
    world.get(&credential, GRAPH).unwrap();
    let scopes = [VAULT, "https://storage.azure.com/.default"];
    let calls = scopes.each_ref().map(|scope| credential.get_token(std::slice::from_ref(scope), None));
    for token in world.sim.run(join_all(calls)) {
        token.unwrap();
    }
    assert_eq!(world.grants(), ["jwt-bearer", "refresh_token", "refresh_token", "refresh_token"]);
}

#[test]
fn trouble_with_a_refresh_token_is_not_taken_for_a_refusal_of_the_user() {
    let world = World::new(move |number, form| match form["grant_type"].as_str() {
        "refresh_token" if number == 1 => Ok(json(503, "{}")),
        "refresh_token" => gives("token-2"),
        _ if number == 0 => gives_both("token-1", "refresh"),
        _ => refuses("invalid_grant", r#","error_description":"AADSTS500133: expired""#),
    });
    let credential = world.client().credential("assertion").unwrap();
    world.get(&credential, GRAPH).unwrap();
    let error = world.get(&credential, VAULT).unwrap_err();
    assert_eq!((error.kind(), error.http_status()), (ErrorKind::Transport, Some(503)), "{error}");
    world.clock.advance(Duration::from_secs(2));
    assert_eq!(world.get(&credential, VAULT).unwrap().secret(), "token-2");
}

#[test]
fn a_short_pause_fails_nobody_who_has_a_refresh_token() {
    let clock = FakeClock::default();
    let time = clock.clone();
    let transport = FakeTransport::slow(&clock, Duration::from_millis(50), move |request| {
        let at = time.elapsed().as_secs();
        if (100..106).contains(&at) {
            return Ok(Response::new(429, vec![("retry-after".into(), "2".into())], Vec::new()));
        }
        gives_both("token", &format!("refresh-{}", form(request).contains_key("assertion")))
    });
    let platform = platform(&clock, &transport, &FakeEnv::default());
    let world = World { sim: Sim::new(&clock), clock, transport, platform };
    let client = world.client();
    let users: Vec<_> = (0..1_000).map(|user| client.credential(format!("user-{user}")).unwrap()).collect();
    let scopes = [GRAPH];
    world
        .sim
        .run(join_all(users.iter().map(|user| user.get_token(&scopes, None))))
        .into_iter()
        .for_each(|t| drop(t.unwrap()));
    world.clock.advance(Duration::from_secs(100) - world.clock.elapsed());
    let before = world.transport.count();
    let scopes = [VAULT];
    let tokens = world.sim.run(join_all(users.iter().map(|user| user.get_token(&scopes, None))));
    let failed = tokens.iter().filter(|token| token.is_err()).count();
    assert_eq!(failed, 0, "{:?}", tokens.iter().find(|token| token.is_err()));
    assert!(world.transport.count() - before <= 1_000 + 64 + 4, "{}", world.transport.count() - before);
}

#[test]
fn whoever_has_to_sign_in_again_is_told_so_by_every_code_that_says_it() {
    for code in
        [50_055, 50_072, 50_074, 50_076, 50_078, 50_079, 50_132, 50_133, 50_173, 65_001, 70_043, 70_044, 700_082]
    {
        let more = format!(r#","error_description":"AADSTS{code}: sign in","error_codes":[{code}]"#);
        let world = World::new(move |_, _| refuses("invalid_grant", &more));
        let error = world.get(&world.client().credential("assertion").unwrap(), GRAPH).unwrap_err();
        assert_eq!(
            (error.kind(), error.scopes()),
            (ErrorKind::AuthenticationRequired, &[GRAPH.to_owned()][..]),
            "{error}"
        );
    }
}
