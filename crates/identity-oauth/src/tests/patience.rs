//! Who is waited for, how long, and who is left in peace meanwhile.

use identity_core::{Clock as _, http::TransportErrorKind::Refused};

use super::*;

/// Takes its time over the first proof.
#[derive(Debug)]
struct Slow {
    clock: FakeClock,
    first: Duration,
    count: AtomicUsize,
}

impl Slow {
    fn new(world: &World, first: Duration) -> Arc<Self> {
        Arc::new(Self { clock: world.clock.clone(), first, count: AtomicUsize::new(0) })
    }
}

impl ClientAuthentication for Slow {
    fn prove<'a>(&'a self, _: &'a ProofRequest<'a>) -> BoxFuture<'a, Result<Proof>> {
        let number = self.count.fetch_add(1, Ordering::SeqCst);
        let takes = if number == 0 { self.first } else { Duration::ZERO };
        Box::pin(async move {
            self.clock.sleep(takes).await;
            Ok(Proof::Assertion(format!("assertion-{number}").into()))
        })
    }
}

const OTHER: &str = "https://storage.azure.com/.default";

#[test]
fn a_proof_that_does_not_come_costs_its_own_call_45_seconds_and_nobody_else_anything() {
    for takes in [46, 1_000_000] {
        let world = World::new(|_| Ok(json(200, TOKEN)));
        let slow = Slow::new(&world, Duration::from_secs(takes));
        let client = AppClient::new("Test", world.client(slow));
        let error = world.get(&client, SCOPE).unwrap_err();
        let told = (error.kind(), world.clock.elapsed().as_secs(), world.transport.count());
        assert_eq!(told, (ErrorKind::Transport, 45, 0), "{error}");
        assert!(error.to_string().contains("proof") && error.to_string().contains("45 s"), "{error}");
        assert_eq!(error.correlation_id(), None, "the service never saw it");
        // The endpoint did nothing wrong.
        world.get(&client, OTHER).unwrap();
    }
}

#[test]
fn a_request_that_is_cut_short_by_a_slow_proof_says_nothing_about_the_endpoint() {
    let clock = FakeClock::default();
    let transport = FakeTransport::slow(&clock, Duration::from_secs(5), |_| Ok(json(200, TOKEN)));
    let world = World::with(&clock, transport);
    let client = AppClient::new("Test", world.client(Slow::new(&world, Duration::from_secs(42))));
    let error = world.get(&client, SCOPE).unwrap_err();
    assert_eq!((error.kind(), clock.elapsed().as_secs(), world.transport.count()), (ErrorKind::Transport, 45, 1));
    world.get(&client, OTHER).unwrap();
}

#[test]
fn nobody_is_asked_for_a_proof_that_could_not_be_sent() {
    let world = World::new(|_| Ok(Response::new(429, vec![("retry-after".into(), "120".into())], Vec::new())));
    let slow = Slow::new(&world, Duration::ZERO);
    let client = AppClient::new("Test", world.client(Arc::<Slow>::clone(&slow)));
    assert_eq!(world.get(&client, SCOPE).unwrap_err().retry_after(), Some(Duration::from_secs(120)));
    for number in 0..19 {
        let error = world.get(&client, &format!("api://{number}/.default")).unwrap_err();
        assert_eq!((error.kind(), error.retry_after()), (ErrorKind::Transport, Some(Duration::from_secs(120))));
        assert_eq!(error.correlation_id(), None, "the service never saw it");
    }
    assert_eq!((slow.count.load(Ordering::SeqCst), world.transport.count()), (1, 1));
}

#[test]
fn a_clock_that_is_set_right_in_the_middle_takes_no_time_away() {
    let clock = FakeClock::default();
    let (time, next) = (clock.clone(), AtomicUsize::new(0));
    let transport = FakeTransport::new(&clock, move |request| {
        if next.fetch_add(1, Ordering::SeqCst) == 0 {
            time.jump_wall(3_600);
            return Ok(json(401, OUTSIDE));
        }
        assert_eq!(request.timeout.as_secs(), 15);
        Ok(json(200, TOKEN))
    });
    let world = World::with(&clock, transport);
    world.get(&AppClient::new("Test", world.client(Arc::new(Signs::default()))), SCOPE).unwrap();
    assert_eq!(world.transport.count(), 2);
}

#[test]
fn a_new_assertion_shares_the_four_attempts() {
    let trouble = (503, "{}", None);
    for (answers, expected) in [
        (vec![trouble, trouble, (401, OUTSIDE, None), trouble, (200, TOKEN, None)], 4),
        (vec![trouble, trouble, trouble, (401, OUTSIDE, None), (200, TOKEN, None)], 4),
        (vec![trouble, (401, OUTSIDE, None), trouble, (200, TOKEN, None)], 4),
    ] {
        let world = World::new(in_turn(answers));
        let _ = world.get(&AppClient::new("Test", world.client(Arc::new(Signs::default()))), SCOPE);
        assert_eq!(world.transport.count(), expected);
    }
}

#[test]
fn what_was_learnt_about_the_clock_is_used_for_the_next_assertion() {
    let good = Some("Thu, 01 Jan 2026 01:00:00 GMT");
    let world = World::new(in_turn(vec![(401, OUTSIDE, good), (200, TOKEN, good)]));
    let signs = Arc::new(Signs::default());
    let client = AppClient::new("Test", world.client(Arc::<Signs>::clone(&signs)));
    for scope in [SCOPE, OTHER] {
        world.get(&client, scope).unwrap();
    }
    assert_eq!(world.transport.count(), 3);
    let start = SystemTime::UNIX_EPOCH + Duration::from_secs(FakeClock::START);
    let times: Vec<u64> =
        signs.asked.lock().unwrap().iter().map(|(now, ..)| now.duration_since(start).unwrap().as_secs()).collect();
    assert_eq!(times, [0, 3_600, 3_600]);
}

/// Proves with the same text, always.
#[derive(Debug)]
struct Same(Proof);

impl ClientAuthentication for Same {
    fn prove<'a>(&'a self, _: &'a ProofRequest<'a>) -> BoxFuture<'a, Result<Proof>> {
        Box::pin(std::future::ready(Ok(self.0.clone())))
    }
}

#[test]
fn what_was_refused_is_not_sent_again_as_it_was() {
    for proof in [Proof::Secret("secret".into()), Proof::Assertion("assertion".into())] {
        let world = World::new(|_| Ok(json(401, OUTSIDE)));
        let client = AppClient::new("Test", world.client(Arc::new(Same(proof))));
        let error = world.get(&client, SCOPE).unwrap_err();
        assert_eq!((error.entra_codes(), world.transport.count()), (&[700_024][..], 1));
    }
}

#[test]
fn a_client_that_asks_in_a_loop_is_kept_from_it_for_five_minutes() {
    const LOOP: &str = r#"{"error":"invalid_grant","error_description":"AADSTS50196: loop."}"#;
    let world = World::new(in_turn(vec![(400, LOOP, None), (200, TOKEN, None)]));
    let client = AppClient::new("Test", world.client(Arc::new(Signs::default())));
    let again = AppClient::new("Again", world.client(Arc::new(Signs::default())));
    let options = TokenRequestOptions::new().with_claims(r#"{"access_token":{}}"#);
    let loops = |result: Result<String>, seconds| {
        let error = result.unwrap_err();
        assert_eq!((error.kind(), error.entra_codes()), (ErrorKind::AuthenticationFailed, &[50_196][..]), "{error}");
        assert_eq!(error.retry_after(), Some(Duration::from_secs(seconds)));
        assert_eq!(world.transport.count(), 1);
    };
    loops(world.get(&client, SCOPE), 300);
    world.clock.advance(Duration::from_secs(100));
    loops(world.get(&client, OTHER), 200);
    loops(world.get(&again, SCOPE), 200);
    let with_claims = world.sim.run(async { client.get(&[SCOPE], Some(&options)).await });
    loops(with_claims.map(|token| token.secret().to_owned()), 200);
    world.clock.advance(Duration::from_secs(201));
    world.get(&client, OTHER).unwrap();
}

/// A client of an authority that nobody knows, and an answer to the question about it.
fn unknown(answer: impl Fn(usize) -> Result<Response, TransportError> + Send + Sync + 'static) -> (World, AppClient) {
    let clock = FakeClock::default();
    let next = AtomicUsize::new(0);
    let transport = FakeTransport::slow(&clock, Duration::from_millis(10), move |request| {
        match request.url.contains("/common/discovery/instance") {
            true => answer(next.fetch_add(1, Ordering::SeqCst)),
            false => Ok(json(200, TOKEN)),
        }
    });
    let world = World::with(&clock, transport);
    let mut options = ClientOptions::default();
    options.authority("login.example:8443".to_owned());
    options.max_in_flight(1);
    let signs = Arc::new(Signs::default());
    let client = Client::new(&world.platform, "tenant", "client", Some(signs), options).unwrap();
    (world, AppClient::new("Test", client))
}

fn known(endpoint: &str) -> Result<Response, TransportError> {
    Ok(json(200, &format!(r#"{{"tenant_discovery_endpoint":"{endpoint}"}}"#)))
}

const GOOD: &str = "https://Login.example:8443/tenant/v2.0/.well-known/openid-configuration";

fn asked_about(world: &World) -> usize {
    world.transport.requests().iter().filter(|request| request.url.contains("/discovery/")).count()
}

#[test]
fn an_authority_is_asked_about_once_for_all_who_wait() {
    let (world, client) = unknown(|_| known(GOOD));
    let scopes: Vec<String> = (0..200).map(|number| format!("api://{number}/.default")).collect();
    let scopes: Vec<[&str; 1]> = scopes.iter().map(|scope| [scope.as_str()]).collect();
    let results = world.sim.run(join_all(scopes.iter().map(|scopes| client.get(scopes, None))));
    assert!(results.iter().all(Result::is_ok));
    assert_eq!((asked_about(&world), world.transport.count()), (1, 201));
}

#[test]
fn that_an_authority_could_not_be_asked_about_is_not_remembered() {
    let refused = || Err(TransportError::new(Refused, "the proxy wants a password"));
    let (world, client) = unknown(move |number| if number == 0 { refused() } else { known(GOOD) });
    assert_eq!(world.get(&client, SCOPE).unwrap_err().kind(), ErrorKind::InvalidArgument);
    world.get(&client, SCOPE).unwrap();

    let later = || Ok(Response::new(429, vec![("retry-after".into(), "120".into())], Vec::new()));
    let (world, client) = unknown(move |_| later());
    let error = world.get(&client, SCOPE).unwrap_err();
    assert_eq!((error.kind(), error.retry_after()), (ErrorKind::Transport, Some(Duration::from_secs(120))));
}

#[test]
fn an_authority_that_is_confirmed_by_another_endpoint_gets_no_secret() {
    for endpoint in [
        "",
        "x",
        "http://login.example:8443/tenant",
        "https://login.example/tenant",
        "https://login.example:84433/tenant",
        "https://login.example:8443@evil.example/tenant",
        "https://evil.example/login.example:8443/",
    ] {
        let (world, client) = unknown(move |_| known(endpoint));
        let error = world.get(&client, SCOPE).unwrap_err();
        assert_eq!((error.kind(), world.transport.count()), (ErrorKind::Protocol, 1), "{endpoint}: {error}");
    }
}

#[test]
fn the_question_about_an_authority_takes_time_of_the_same_45_seconds() {
    let clock = FakeClock::default();
    let transport = FakeTransport::slow(&clock, Duration::from_secs(60), |_| known(GOOD));
    let world = World::with(&clock, transport);
    let mut options = ClientOptions::default();
    options.authority("login.example".to_owned());
    options.region("tryautodetect".to_owned());
    let signs = Arc::new(Signs::default());
    let client = Client::new(&world.platform, "tenant", "client", Some(signs), options).unwrap();
    world.get(&AppClient::new("Test", client), SCOPE).unwrap_err();
    assert_eq!(clock.elapsed().as_secs(), 45);
    assert_eq!(asked_about(&world), world.transport.count());
}

#[test]
fn a_region_is_asked_for_once_and_kept_and_that_there_is_none_for_five_minutes() {
    let clock = FakeClock::default();
    let next = AtomicUsize::new(0);
    let transport = FakeTransport::slow(&clock, Duration::from_millis(10), move |request| {
        match (request.url.contains("169.254.169.254"), next.fetch_add(1, Ordering::SeqCst)) {
            (true, 0) => Ok(json(429, "{}")),
            (true, _) => Ok(json(200, r#"{"location":"westus2"}"#)),
            _ => Ok(json(200, TOKEN)),
        }
    });
    let world = World::with(&clock, transport);
    let mut options = ClientOptions::default();
    options.region("tryautodetect".to_owned());
    let signs = Arc::new(Signs::default());
    let client =
        AppClient::new("Test", Client::new(&world.platform, "tenant", "client", Some(signs), options).unwrap());
    let get = |from: usize| {
        let scopes: Vec<String> = (from..from + 50).map(|number| format!("api://{number}/.default")).collect();
        let scopes: Vec<[&str; 1]> = scopes.iter().map(|scope| [scope.as_str()]).collect();
        assert!(
            world.sim.run(join_all(scopes.iter().map(|scopes| client.get(scopes, None)))).iter().all(Result::is_ok)
        );
        let requests = world.transport.requests();
        let at = |host: &str| requests.iter().filter(|request| request.url.contains(host)).count();
        (at("169.254.169.254"), at("//login.microsoftonline.com"), at("//westus2.login.microsoft.com"))
    };
    assert_eq!(get(0), (1, 50, 0));
    assert_eq!(get(50), (1, 100, 0));
    clock.advance(Duration::from_secs(300));
    assert_eq!(get(100), (2, 100, 50));
    clock.advance(Duration::from_secs(300));
    assert_eq!(get(150), (2, 100, 100));
}

#[test]
fn a_region_that_is_none_is_told_by_the_name_of_what_chose_it() {
    for (chosen, variable, says) in [
        (Some("WestUS"), "", "the region is none"),
        (None, "AZURE_REGIONAL_AUTHORITY_NAME", "AZURE_REGIONAL_AUTHORITY_NAME is none"),
        (None, "MSAL_FORCE_REGION", "MSAL_FORCE_REGION is none"),
    ] {
        let env = FakeEnv::new(&[(variable, "WestUS")]);
        let error = crate::region::Region::choose(chosen, &env).unwrap_err();
        assert!(error.to_string().starts_with(says), "{error}");
    }
}

#[test]
fn a_tenant_is_the_same_in_any_case() {
    let world = World::new(|_| Ok(json(200, TOKEN)));
    let mut options = ClientOptions::default();
    options.additionally_allowed_tenants(vec!["*".to_owned()]);
    let signs = Arc::new(Signs::default());
    let client =
        AppClient::new("Test", Client::new(&world.platform, "tenant", "client", Some(signs), options).unwrap());
    for tenant in ["contoso.com", "Contoso.com", "CONTOSO.COM"] {
        let options = TokenRequestOptions::new().with_tenant_id(tenant);
        world.sim.run(client.get(&[SCOPE], Some(&options))).unwrap();
    }
    assert_eq!(world.transport.count(), 1);
}

#[test]
fn codes_are_read_from_their_list_as_well_and_a_refusal_that_is_cut_is_asked_for_again() {
    let listed = r#"{"error":"invalid_client","error_codes":[7000215, 1,"x",-1]}"#;
    let world = World::new(in_turn(vec![
        (401, r#"{"error":"invalid_client","error_description":"AADSTS7000"#, None),
        (401, listed, None),
    ]));
    let client = AppClient::new("Test", world.client(Arc::new(Signs::default())));
    let error = world.get(&client, SCOPE).unwrap_err();
    assert_eq!((error.kind(), error.entra_codes()), (ErrorKind::AuthenticationFailed, &[7_000_215, 1][..]));
    assert!(error.to_string().contains("secret is wrong"), "{error}");
    assert_eq!(world.transport.count(), 2);
}

#[test]
fn a_refusal_is_remembered_for_as_long_as_the_service_says() {
    let answer = |_: &Request| {
        let headers = vec![("retry-after".into(), "90".into()), ("content-type".into(), "application/json".into())];
        Ok(Response::new(400, headers, br#"{"error":"invalid_request"}"#.to_vec()))
    };
    let world = World::new(answer);
    let client = AppClient::new("Test", world.client(Arc::new(Signs::default())));
    assert_eq!(world.get(&client, SCOPE).unwrap_err().retry_after(), Some(Duration::from_secs(90)));
    world.clock.advance(Duration::from_secs(89));
    assert_eq!(world.get(&client, SCOPE).unwrap_err().retry_after(), Some(Duration::from_secs(1)));
    assert_eq!(world.transport.count(), 1);
}

#[test]
fn what_could_be_a_password_in_an_authority_is_not_shown() {
    let mut options = ClientOptions::default();
    options.authority("https://user:CANARY@login.example".to_owned());
    assert!(!format!("{options:?}").contains("CANARY"));
    options.authority("login.example".to_owned());
    assert!(format!("{options:?}").contains("login.example"));
}

#[test]
fn a_client_that_may_send_nothing_is_refused() {
    let world = World::new(|_| Ok(json(200, TOKEN)));
    let mut options = ClientOptions::default();
    options.max_in_flight(0);
    let error = Client::new(&world.platform, "tenant", "client", None, options).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
}
