//! Another credential's tokens as assertions; what conformance cases cannot see.

use std::sync::{Arc, Mutex};

use identity_core::{
    AccessToken, CallContext, Error, ErrorKind, Result, Secret, TokenCredential, TokenFuture, TokenRequestOptions,
    fakes::{FakeClock, FakeEnv, FakeTransport, Sim, json, platform},
};

use crate::{ClientAssertionCredential, TokenAssertion};

const TOKEN: &str = r#"{"token_type":"Bearer","expires_in":3599,"access_token":"outer-token"}"#;

/// A managed identity, as far as anyone can tell.
#[derive(Debug, Default)]
struct Inner {
    asked: Mutex<Vec<(Vec<String>, CallContext)>>,
    fails: bool,
}

impl TokenCredential for Inner {
    fn get_token<'a>(&'a self, scopes: &'a [&'a str], options: Option<&'a TokenRequestOptions>) -> TokenFuture<'a> {
        let context = options.map_or(CallContext::Alone, TokenRequestOptions::context);
        self.asked.lock().unwrap().push((scopes.iter().map(ToString::to_string).collect(), context));
        TokenFuture::ready(if self.fails {
            Err(Error::new(ErrorKind::CredentialUnavailable, "no identity here").with_credential("Inner"))
        } else {
            Ok(AccessToken::new("inner-token", std::time::SystemTime::UNIX_EPOCH))
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
    assert!(error.is_unavailable() && error.to_string().contains("no identity here"));
    assert_eq!((error.credential(), transport.count()), ("ClientAssertionCredential", 0));
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
