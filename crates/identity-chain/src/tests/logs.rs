//! What a chain logs.

use std::{
    fmt::{Debug, Write as _},
    sync::{Arc, Mutex},
};

use identity_core::{CallContext, ErrorKind, TokenRequestOptions};
use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span,
};

use super::{
    boxed, call, chain,
    fakes::{Fake, Say},
};
use crate::ChainedTokenCredential;

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
    let first = Fake::new("First", &[Say::Fail(ErrorKind::CredentialUnavailable)]);
    let second = Fake::new("Second", &[Say::Token]);
    let chain = chain(&[&first, &second]);
    let lines = logged(|| {
        call(&chain, None).unwrap();
        call(&chain, None).unwrap();
    });
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].starts_with("DEBUG") && lines[0].contains("\"First\"") && lines[0].contains("First says no"));
    assert!(lines[1].starts_with("INFO") && lines[1].contains("credential=\"Second\""), "{lines:?}");
    assert!(!lines.concat().contains("Second 1"), "no token");
}

#[test]
fn exhaustion_is_a_warning_except_within_another_chain() {
    let gone = Fake::new("Gone", &[Say::Fail(ErrorKind::CredentialUnavailable)]);
    let chain = ChainedTokenCredential::new(boxed(&[&gone])).unwrap();
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
