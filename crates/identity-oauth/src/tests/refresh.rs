//! What becomes of a remembered token when the next one cannot be had.

use std::sync::atomic::AtomicBool;

use identity_core::{
    Clock as _,
    fakes::FixedRandom,
    http::TransportErrorKind::{self, Closed, Connect, ConnectTimeout, Dns, Malformed, Timeout, Tls, TooLarge},
};

use super::*;

/// What goes wrong with each request of a refresh.
#[derive(Clone, Copy, Debug)]
enum Fault {
    /// No answer, and how many seconds of the attempt that takes.
    No(TransportErrorKind, u64),
    Json(u16, &'static str),
    Header(u16, &'static str, &'static str),
    Page(u16),
}
use Fault::{Header, Json, No, Page};

impl Fault {
    fn answer(self) -> Result<Response, TransportError> {
        let reply = |status, name: &str, value: &str, body: &str| {
            Ok(Response::new(status, vec![(name.to_owned(), value.to_owned())], body.into()))
        };
        match self {
            No(kind, _) => Err(TransportError::new(kind, "trouble")),
            Json(status, body) => Ok(json(status, body)),
            Header(status, name, value) => reply(status, name, value, ""),
            Page(status) => reply(status, "content-type", "text/html", "<html>{}</html>"),
        }
    }
}

/// The waits between the attempts of a flight are 0.4, 0.8 and 1.6 s, that between two refreshes is 30 s: the middle of
/// what may be drawn.
const MIDDLE: FixedRandom = FixedRandom(1 << 63);

const LONG: &str = r#"{"token_type":"Bearer","expires_in":86399,"access_token":"CANARY-token"}"#;

#[test]
fn a_token_survives_any_trouble_of_its_refresh() {
    // The fault, how many requests a refresh then makes, and how many seconds no other one follows.
    for (fault, requests, quiet) in [
        (No(Connect, 0), 4, 30),
        (No(ConnectTimeout, 5), 4, 30),
        (No(Closed, 0), 4, 30),
        (No(Closed, 5), 4, 30),
        (No(Timeout, 15), 3, 30),
        (No(Dns, 0), 2, 30),
        (No(Dns, 5), 2, 30),
        (No(Tls, 0), 1, 30),
        (No(Malformed, 0), 1, 30),
        (No(TooLarge, 0), 1, 30),
        (Json(408, "{}"), 4, 30),
        (Json(500, "{}"), 4, 30),
        (Json(502, "{}"), 4, 30),
        (Json(503, "{}"), 4, 30),
        (Json(504, "{}"), 4, 30),
        (Page(502), 4, 30),
        (Json(400, r#"{"error":"temporarily_unavailable"}"#), 4, 30),
        (Json(429, "{}"), 4, 30),
        (Header(429, "retry-after", "3"), 4, 30),
        (Header(503, "retry-after", "3"), 4, 30),
        (Header(429, "retry-after", "120"), 1, 120),
        (Header(503, "retry-after", "120"), 1, 120),
        (Json(200, r#"{"token_type":"Bearer","expires_in":3599,"acc"#), 4, 30),
        (Json(200, ""), 4, 30),
        (Page(200), 1, 30),
        (Json(200, r#"{"error":"invalid_client"}"#), 1, 30),
        (Json(200, r#"{"access_token":"t","expires_in":0}"#), 1, 30),
        (Header(302, "location", "https://elsewhere.example/"), 1, 30),
        (Page(404), 1, 30),
        (Json(401, r#"{"error":"invalid_client","error_description":"AADSTS7000215: no."}"#), 1, 30),
        (Json(400, r#"{"error":"unauthorized_client","error_description":"AADSTS700016: no."}"#), 1, 30),
        (Json(400, r#"{"error":"invalid_grant","error_description":"AADSTS65001: no."}"#), 1, 30),
        (Json(400, r#"{"error":"invalid_request","error_description":"AADSTS50196: a loop."}"#), 1, 300),
        (Json(401, OUTSIDE), 2, 30),
    ] {
        let clock = FakeClock::default();
        let (is_troubled, count) = (Arc::new(AtomicBool::new(false)), AtomicUsize::new(0));
        let (trouble, time) = (Arc::clone(&is_troubled), clock.clone());
        let transport = FakeTransport::with_handler(&clock, move |request| {
            let number = count.fetch_add(1, Ordering::SeqCst);
            let answer = match trouble.load(Ordering::SeqCst) {
                true => fault.answer(),
                false => Ok(json(200, &LONG.replace("CANARY", &number.to_string()))),
            };
            let took = if let (No(_, seconds), Err(_)) = (fault, &answer) { seconds } else { 0 };
            let sleep = time.sleep(request.timeout.min(Duration::from_secs(took)));
            Box::pin(async move {
                sleep.await;
                answer
            })
        });
        let mut world = World::with(&clock, transport);
        world.platform = world.platform.with_random(Arc::new(MIDDLE));
        let client = AppClient::new("Test", world.client(Arc::new(Signs::default())));
        let at_once = || {
            let token = world.sim.run(async { client.get(&[SCOPE], None).try_ready() }).ok();
            token.unwrap_or_else(|| panic!("{fault:?}: somebody waits")).unwrap().secret().to_owned()
        };
        let pass = |seconds| {
            world.sim.run(clock.sleep(Duration::from_secs(seconds)));
            world.sim.settle();
        };

        world.get(&client, SCOPE).unwrap();
        is_troubled.store(true, Ordering::SeqCst);
        clock.advance(Duration::from_secs(43_200));
        let started = clock.elapsed();
        assert_eq!(at_once(), "0-token", "{fault:?}");
        world.sim.settle();
        while world.sim.alive() > 0 {
            pass(1);
            assert_eq!(at_once(), "0-token", "{fault:?}");
        }
        assert!((clock.elapsed() - started).as_secs() <= 45, "{fault:?}: {:?}", world.transport.times());
        assert_eq!(world.transport.count(), 1 + requests, "{fault:?}: {:?}", world.transport.times());
        for _ in 0..quiet - 1 {
            pass(1);
            assert_eq!(at_once(), "0-token", "{fault:?}");
        }
        assert_eq!(world.transport.count(), 1 + requests, "{fault:?}: {:?}", world.transport.times());

        // When it is over, the next try brings a new one.
        is_troubled.store(false, Ordering::SeqCst);
        pass(2);
        assert_eq!(at_once(), "0-token", "{fault:?}");
        world.sim.settle();
        assert_eq!(at_once(), format!("{}-token", 1 + requests), "{fault:?}");
        assert_eq!(world.transport.count(), 2 + requests, "{fault:?}: {:?}", world.transport.times());
    }
}
