//! What a chain logs. A program of its own: tracing asks whichever thread comes first whether a line is wanted, so every
//! thread of this one listens.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test says so by failing")]

use std::{
    fmt::{Debug, Write as _},
    sync::{Arc, Mutex},
};

use identity_chain::ChainedTokenCredential;
use identity_core::{
    AccessToken, CallContext, Error, ErrorKind, TokenCredential, TokenFuture, TokenRequestOptions,
    fakes::{FakeClock, Sim},
};
use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span,
};

/// Has a token, or is not available.
#[derive(Debug)]
struct Fake(&'static str, bool);

impl TokenCredential for Fake {
    fn get_token<'a>(&'a self, _: &'a [&'a str], _: Option<&'a TokenRequestOptions>) -> TokenFuture<'a> {
        TokenFuture::ready(match self.1 {
            true => Ok(AccessToken::new("canary", std::time::SystemTime::UNIX_EPOCH)),
            false => Err(Error::new(ErrorKind::CredentialUnavailable, format!("{} says no", self.0))),
        })
    }
    fn name(&self) -> &'static str {
        self.0
    }
}

fn call(credential: &dyn TokenCredential, options: Option<&TokenRequestOptions>) -> Result<AccessToken, Error> {
    Sim::new(&FakeClock::default()).run(credential.get_token(&["https://storage.azure.com/.default"], options))
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Subscriber for Log {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn event(&self, event: &Event<'_>) {
        let mut line = Line(event.metadata().level().to_string());
        event.record(&mut line);
        self.0.lock().unwrap().push(line.0);
    }
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, " {}={value:?}", field.name()).unwrap();
    }
}

/// The lines that are logged meanwhile.
fn logged(work: impl FnOnce()) -> Vec<String> {
    let log = Log::default();
    tracing::subscriber::with_default(log.clone(), work);
    log.0.lock().unwrap().clone()
}

#[test]
fn a_winner_is_told_once_and_who_had_no_token_before_it() {
    let chain =
        ChainedTokenCredential::new(vec![Arc::new(Fake("First", false)), Arc::new(Fake("Second", true))]).unwrap();
    let lines = logged(|| {
        call(&chain, None).unwrap();
        call(&chain, None).unwrap();
    });
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].starts_with("DEBUG") && lines[0].contains("\"First\"") && lines[0].contains("First says no"));
    assert!(lines[1].starts_with("INFO") && lines[1].contains("credential=\"Second\""), "{lines:?}");
    assert!(!lines.concat().contains("canary"), "no token");
}

#[test]
fn exhaustion_is_a_warning_except_within_another_chain() {
    let chain = ChainedTokenCredential::new(vec![Arc::new(Fake("Gone", false))]).unwrap();
    let warnings = |context| {
        let options = TokenRequestOptions::new().with_context(context);
        let lines = logged(|| drop(call(&chain, Some(&options)).unwrap_err()));
        lines.into_iter().filter(|line| line.starts_with("WARN")).collect::<Vec<_>>()
    };
    let lines = warnings(CallContext::Alone);
    assert!(lines.len() == 1 && lines[0].contains("Gone: Gone says no"), "{lines:?}");
    assert!(warnings(CallContext::Chain).is_empty());
    assert!(warnings(CallContext::DefaultChain).is_empty());
}
