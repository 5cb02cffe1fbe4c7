//! What conformance cases cannot see: the seams between the engine and a credential.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use identity_core::{
    BoxFuture, Error, ErrorKind, Platform, Result, TokenRequestOptions,
    fakes::{FakeClock, FakeEnv, FakeTransport, Sim, join_all, json, platform},
    http::{Request, Response, ServerTrust, TransportError},
};

use crate::{AppClient, Client, ClientAuthentication, ClientOptions, Proof, ProofRequest, Route};

mod damage;
mod patience;
mod realm;
mod refresh;
mod requests;

const SCOPE: &str = "https://vault.azure.net/.default";
const TOKEN: &str = r#"{"token_type":"Bearer","expires_in":3599,"access_token":"CANARY-token"}"#;
const OUTSIDE: &str =
    r#"{"error":"invalid_client","error_description":"AADSTS700024: not within its valid time range."}"#;

struct World {
    clock: FakeClock,
    transport: FakeTransport,
    platform: Platform,
    sim: Sim,
}

impl World {
    fn new(answer: impl Fn(&Request) -> Result<Response, TransportError> + Send + Sync + 'static) -> Self {
        let clock = FakeClock::default();
        Self::with(&clock, FakeTransport::new(&clock, answer))
    }

    fn with(clock: &FakeClock, transport: FakeTransport) -> Self {
        let platform = platform(clock, &transport, &FakeEnv::default());
        Self { sim: Sim::new(clock), clock: clock.clone(), transport, platform }
    }

    fn client(&self, authentication: Arc<dyn ClientAuthentication>) -> Client {
        Client::new(&self.platform, "tenant", "client", Some(authentication), ClientOptions::default()).unwrap()
    }

    fn get(&self, client: &AppClient, scope: &str) -> Result<String> {
        self.sim.run(async { client.get(&[scope], None).await }).map(|token| token.secret().to_owned())
    }
}

/// Proves with numbered assertions and keeps what it was asked.
#[derive(Debug, Default)]
struct Signs {
    asked: Mutex<Vec<(SystemTime, bool, String)>>,
    generation: AtomicU64,
}

impl ClientAuthentication for Signs {
    fn prove<'a>(&'a self, request: &'a ProofRequest<'a>) -> BoxFuture<'a, Result<Proof>> {
        let mut asked = self.asked.lock().unwrap();
        asked.push((request.now, request.renew, format!("{} {}", request.client_id, request.token_endpoint)));
        let assertion = format!("assertion-{}", asked.len());
        Box::pin(async move { Ok(Proof::Assertion(assertion.into())) })
    }

    fn generation(&self) -> u64 {
        self.generation.load(Ordering::SeqCst)
    }
}

/// Answers in turn; the last one stays.
fn in_turn(
    answers: Vec<(u16, &'static str, Option<&'static str>)>,
) -> impl Fn(&Request) -> Result<Response, TransportError> + Send + Sync + 'static {
    let next = AtomicUsize::new(0);
    move |_| {
        let (status, body, date) = answers[next.fetch_add(1, Ordering::SeqCst).min(answers.len() - 1)];
        let mut headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        headers.extend(date.map(|date| ("date".to_owned(), date.to_owned())));
        Ok(Response::new(status, headers, body.into()))
    }
}

#[test]
fn an_assertion_outside_of_its_time_is_made_again_by_the_clock_of_the_service() {
    // 2026-01-01 00:00:00 is where the fake clock starts; the service is ten minutes ahead.
    let world = World::new(in_turn(vec![(401, OUTSIDE, Some("Thu, 01 Jan 2026 00:10:00 GMT")), (200, TOKEN, None)]));
    let signs = Arc::new(Signs::default());
    let client = AppClient::new("Test", world.client(Arc::<Signs>::clone(&signs)));
    let start = SystemTime::UNIX_EPOCH + Duration::from_secs(FakeClock::START);
    assert_eq!(world.get(&client, SCOPE).unwrap(), "CANARY-token");
    let endpoint = "client https://login.microsoftonline.com/tenant/oauth2/v2.0/token".to_owned();
    let expected = [(start, false, endpoint.clone()), (start + Duration::from_secs(600), true, endpoint)];
    assert_eq!(*signs.asked.lock().unwrap(), expected);
    let bodies: Vec<bool> = (world.transport.requests().iter())
        .map(|request| request.body.as_ref().unwrap().expose().contains("client_assertion=assertion-2"))
        .collect();
    assert_eq!(bodies, [false, true]);
}

#[test]
fn a_refused_assertion_and_its_successor_share_one_budget() {
    let clock = FakeClock::default();
    let next = AtomicUsize::new(0);
    let time = clock.clone();
    let transport = FakeTransport::with_handler(&clock, move |request| {
        let first = next.fetch_add(1, Ordering::SeqCst) == 0;
        let wait = if first { Duration::from_secs(14) } else { request.timeout };
        let sleep = identity_core::Clock::sleep(&time, wait);
        Box::pin(async move {
            sleep.await;
            match first {
                true => Ok(json(401, OUTSIDE)),
                false => Err(TransportError::new(identity_core::http::TransportErrorKind::Timeout, "late")),
            }
        })
    });
    let world = World::with(&clock, transport);
    let client = AppClient::new("Test", world.client(Arc::new(Signs::default())));
    let error = world.get(&client, SCOPE).unwrap_err();
    assert_eq!((error.kind(), world.clock.elapsed().as_secs()), (ErrorKind::Transport, 45));
}

#[test]
fn a_refusal_is_forgotten_when_the_proof_is_made_of_something_else() {
    let refused = r#"{"error":"invalid_client","error_description":"AADSTS700027: no."}"#;
    let world = World::new(in_turn(vec![(401, refused, None), (200, TOKEN, None)]));
    let signs = Arc::new(Signs::default());
    let client = AppClient::new("Test", world.client(Arc::<Signs>::clone(&signs)));
    for _ in 0..3 {
        assert_eq!(world.get(&client, SCOPE).unwrap_err().entra_codes(), [700_027]);
    }
    assert_eq!(world.transport.count(), 1);
    signs.generation.store(1, Ordering::SeqCst);
    world.get(&client, SCOPE).unwrap();
}

/// Leads to a gateway, as long as there is one.
#[derive(Debug)]
struct Gateway(bool);

impl Route for Gateway {
    fn apply(&self, request: &mut Request) -> Result<()> {
        if !self.0 {
            return Err(Error::new(ErrorKind::InvalidArgument, "no gateway"));
        }
        request.url = request.url.replace("https://login.microsoftonline.com", "https://gateway.example/prefix");
        request.trust = ServerTrust::OnlyRoots("pem".into());
        Ok(())
    }
}

#[test]
fn a_route_leads_each_token_request_elsewhere_and_not_its_retries_again() {
    let next = AtomicUsize::new(0);
    let world = World::new(move |_| {
        let status = if next.fetch_add(1, Ordering::SeqCst) == 0 { 503 } else { 200 };
        Ok(json(status, TOKEN))
    });
    let signs = Arc::new(Signs::default());
    let client = world.client(Arc::<Signs>::clone(&signs)).with_route(Arc::new(Gateway(true)));
    world.get(&AppClient::new("Test", client), SCOPE).unwrap();
    let urls: Vec<String> = world.transport.requests().iter().map(|request| request.url.clone()).collect();
    assert_eq!(urls, ["https://gateway.example/prefix/tenant/oauth2/v2.0/token"; 2]);
    // The audience of an assertion stays the authority's endpoint.
    assert!(signs.asked.lock().unwrap()[0].2.contains("login.microsoftonline.com"));

    let client = world.client(signs).with_route(Arc::new(Gateway(false)));
    let error = world.get(&AppClient::new("Test", client), SCOPE).unwrap_err();
    assert_eq!((error.kind(), error.credential(), world.transport.count()), (ErrorKind::InvalidArgument, "Test", 2));
}

#[test]
fn at_most_64_requests_are_under_way_and_all_scopes_get_their_token() {
    let clock = FakeClock::default();
    let transport = FakeTransport::slow(&clock, Duration::from_millis(100), |_| Ok(json(200, TOKEN)));
    let world = World::with(&clock, transport);
    let client = AppClient::new("Test", world.client(Arc::new(Signs::default())));
    let scopes: Vec<String> = (0..200).map(|i| format!("api://{i}/.default")).collect();
    let scopes: Vec<[&str; 1]> = scopes.iter().map(|scope| [scope.as_str()]).collect();
    let results = world.sim.run(join_all(scopes.iter().map(|scopes| client.get(scopes, None))));
    assert!(results.iter().all(Result::is_ok));
    assert_eq!((world.transport.count(), world.transport.most_active()), (200, 64));
}

#[test]
fn a_tenant_that_is_not_allowed_is_told_in_the_name_of_the_credential() {
    let world = World::new(|_| Ok(json(200, TOKEN)));
    let client = AppClient::new("Test", world.client(Arc::new(Signs::default())));
    let options = TokenRequestOptions::new().with_tenant_id("other");
    let error = world.sim.run(client.get(&[SCOPE], Some(&options))).unwrap_err();
    assert_eq!((error.kind(), error.credential(), world.transport.count()), (ErrorKind::InvalidArgument, "Test", 0));
}

#[test]
fn debug_names_the_application_and_shows_no_secret() {
    let world = World::new(|_| Ok(json(200, TOKEN)));
    let client = world.client(Arc::new(crate::ClientSecret::new("CANARY")));
    let client = AppClient::new("Test", client);
    world.get(&client, SCOPE).unwrap();
    let shown = format!("{client:?} {client:#?}");
    assert!(
        shown.contains("tenant") && shown.contains("https://login.microsoftonline.com") && !shown.contains("CANARY")
    );
}
