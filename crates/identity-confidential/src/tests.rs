//! Another credential's tokens as assertions; what conformance cases cannot see.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use identity_core::{
    AccessToken, BoxFuture, CallContext, Error, ErrorKind, Result, Secret, TokenCredential, TokenFuture,
    TokenRequestOptions,
    fakes::{FakeClock, FakeEnv, FakeTransport, Sim, json, platform},
    http::Response,
};

#[cfg(feature = "authorization-code")]
mod authorization_code;
#[cfg(feature = "username-password")]
mod federation;
#[cfg(feature = "username-password")]
mod log;
#[cfg(feature = "on-behalf-of")]
mod on_behalf_of;
#[cfg(feature = "username-password")]
mod username_password;
#[cfg(any(feature = "authorization-code", feature = "on-behalf-of", feature = "username-password"))]
mod users;

use crate::{Assertion, AssertionRequest, ClientAssertionCredential, TokenAssertion};

const TOKEN: &str = r#"{"token_type":"Bearer","expires_in":3599,"access_token":"outer-token"}"#;

/// A managed identity, as far as anyone can tell.
#[derive(Debug, Default)]
struct Inner {
    asked: Mutex<Vec<(Vec<String>, CallContext)>>,
    claims: Mutex<Vec<Option<String>>>,
    fails: bool,
}

impl TokenCredential for Inner {
    fn get_token<'a>(&'a self, scopes: &'a [&'a str], options: Option<&'a TokenRequestOptions>) -> TokenFuture<'a> {
        let context = options.map_or(CallContext::Alone, TokenRequestOptions::context);
        self.claims.lock().unwrap().push(options.and_then(TokenRequestOptions::claims).map(str::to_owned));
        self.asked.lock().unwrap().push((scopes.iter().map(ToString::to_string).collect(), context));
        TokenFuture::ready(if self.fails {
            Err(Error::new(ErrorKind::CredentialUnavailable, "no identity here").with_credential("Inner"))
        } else {
            let number = self.asked.lock().unwrap().len();
            let text = if number == 1 { "inner-token".to_owned() } else { format!("inner-token-{number}") };
            Ok(AccessToken::new(&text, SystemTime::UNIX_EPOCH))
        })
    }

    fn name(&self) -> &'static str {
        "Inner"
    }
}

fn get(assertion: TokenAssertion, context: CallContext) -> (Result<AccessToken>, FakeTransport) {
    let clock = FakeClock::default();
    let transport = FakeTransport::new(&clock, |_| Ok(json(200, TOKEN)));
    let platform = platform(&clock, &transport, &FakeEnv::default());
    let credential = ClientAssertionCredential::builder("tenant", "client", assertion).build_with(&platform).unwrap();
    let options = TokenRequestOptions::new().with_context(context);
    let result = Sim::new(&clock).run(credential.get_token(&["a/.default"], Some(&options)));
    (result, transport)
}

#[test]
fn the_token_of_a_credential_is_the_assertion_of_another() {
    let inner = Arc::new(Inner::default());
    let (token, transport) = get(TokenAssertion::new(Arc::<Inner>::clone(&inner)), CallContext::Chain);
    assert_eq!(token.unwrap().secret(), "outer-token");
    let body = transport.requests()[0].body.clone().unwrap();
    assert!(body.expose().contains("client_assertion=inner-token"));
    // A chain that asks the outer one wants the inner one to be quick as well.
    let expected = (vec!["api://AzureADTokenExchange/.default".to_owned()], CallContext::Chain);
    assert_eq!(*inner.asked.lock().unwrap(), [expected]);
}

#[test]
fn other_clouds_have_another_scope() {
    let inner = Arc::new(Inner::default());
    let assertion = TokenAssertion::new(Arc::<Inner>::clone(&inner)).scope("api://AzureADTokenExchangeChina/.default");
    get(assertion, CallContext::Alone).0.unwrap();
    let expected = (vec!["api://AzureADTokenExchangeChina/.default".to_owned()], CallContext::Alone);
    assert_eq!(*inner.asked.lock().unwrap(), [expected]);
}

#[test]
fn without_an_identity_the_credential_is_unavailable_and_nothing_is_sent() {
    let (result, transport) =
        get(TokenAssertion::new(Arc::new(Inner { fails: true, ..Inner::default() })), CallContext::Chain);
    let error = result.unwrap_err();
    assert!(error.is_unavailable());
    assert_eq!(error.to_string(), "the assertion of Inner: no identity here");
    assert_eq!((error.credential(), transport.count()), ("ClientAssertionCredential", 0));
}

#[test]
fn a_token_that_is_outside_of_its_time_is_not_taken_from_memory_again() {
    const OUTSIDE: &str = r#"{"error":"invalid_client","error_description":"AADSTS700024: outside."}"#;
    let clock = FakeClock::default();
    let transport = FakeTransport::new(&clock, |request| {
        let is_new = request.body.as_ref().unwrap().expose().contains("client_assertion=inner-token-2");
        Ok(if is_new { json(200, TOKEN) } else { json(401, OUTSIDE) })
    });
    let platform = platform(&clock, &transport, &FakeEnv::default());
    let inner = Arc::new(Inner::default());
    let assertion = TokenAssertion::new(Arc::<Inner>::clone(&inner));
    let credential = ClientAssertionCredential::builder("tenant", "client", assertion).build_with(&platform).unwrap();
    Sim::new(&clock).run(credential.get_token(&["a/.default"], None)).unwrap();
    // Which no cache answers.
    assert_eq!(*inner.claims.lock().unwrap(), [None, Some("{}".to_owned())]);
    assert_eq!(transport.count(), 2);
}

/// Keeps what it was told of the time.
struct Signs(Arc<Mutex<Vec<SystemTime>>>);

impl Assertion for Signs {
    fn assertion<'a>(&'a self, request: &'a AssertionRequest<'a>) -> BoxFuture<'a, Result<Secret>> {
        let mut times = self.0.lock().unwrap();
        times.push(request.now);
        Box::pin(std::future::ready(Ok(Secret::new(format!("signed-{}", times.len())))))
    }
}

#[test]
fn whoever_signs_is_told_the_time_of_the_service() {
    let clock = FakeClock::default();
    let transport = FakeTransport::new(&clock, |request| {
        if request.body.as_ref().unwrap().expose().contains("signed-2") {
            return Ok(json(200, TOKEN));
        }
        let headers = [("content-type", "application/json"), ("date", "Thu, 01 Jan 2026 01:00:00 GMT")];
        let body = r#"{"error":"invalid_client","error_description":"AADSTS700024: outside."}"#;
        Ok(Response::new(401, headers.map(|(name, value)| (name.into(), value.into())).to_vec(), body.into()))
    });
    let platform = platform(&clock, &transport, &FakeEnv::default());
    let times = Arc::new(Mutex::default());
    let builder = ClientAssertionCredential::builder("tenant", "client", Signs(Arc::clone(&times)));
    Sim::new(&clock).run(builder.build_with(&platform).unwrap().get_token(&["a"], None)).unwrap();
    let start = SystemTime::UNIX_EPOCH + Duration::from_secs(FakeClock::START);
    assert_eq!(*times.lock().unwrap(), [start, start + Duration::from_secs(3_600)]);
}

#[test]
fn a_closure_that_gives_an_assertion_is_enough() {
    let clock = FakeClock::default();
    let transport = FakeTransport::new(&clock, |_| Ok(json(200, TOKEN)));
    let platform = platform(&clock, &transport, &FakeEnv::default());
    let builder = ClientAssertionCredential::builder("tenant", "client", || async { Ok(Secret::new("CANARY")) });
    let shown = format!("{builder:?}");
    let credential = builder.build_with(&platform).unwrap();
    assert_eq!(Sim::new(&clock).run(credential.get_token(&["a"], None)).unwrap().secret(), "outer-token");
    assert!(!format!("{shown}{credential:?}").contains("CANARY"));
}
