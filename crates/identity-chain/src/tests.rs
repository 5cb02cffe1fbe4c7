//! Chains of scripted credentials.

mod fakes;

use std::{sync::Arc, time::Duration};

use identity_core::{
    CallContext, Error, ErrorKind, TokenCredential, TokenRequestOptions,
    fakes::{FakeClock, Sim, join_all},
};

use self::fakes::{Fake, Say};
use crate::ChainedTokenCredential;

const SCOPES: &[&str] = &["https://storage.azure.com/.default"];

fn chain(members: &[&Arc<Fake>]) -> ChainedTokenCredential {
    ChainedTokenCredential::new(boxed(members)).unwrap()
}

fn boxed(members: &[&Arc<Fake>]) -> Vec<Arc<dyn TokenCredential>> {
    members.iter().map(|&member| Arc::clone(member) as Arc<dyn TokenCredential>).collect()
}

/// Calls once; the token's text, or the error.
fn call(credential: &dyn TokenCredential, options: Option<&TokenRequestOptions>) -> Result<String, Error> {
    let sim = Sim::new(&FakeClock::default());
    sim.run(credential.get_token(SCOPES, options)).map(|token| token.secret().to_owned())
}

#[test]
fn the_chain_moves_on_only_from_what_is_unavailable_or_needs_a_person() {
    use ErrorKind::*;
    use Say::{Fail, Token};
    // What each credential says; the kind of the failure if there is one; how many calls each got.
    let rows: &[(&[Say], Option<ErrorKind>, &[usize])] = &[
        (&[Token, Token], None, &[1, 0]),
        (&[Fail(CredentialUnavailable), Token], None, &[1, 1]),
        (&[Fail(AuthenticationRequired), Token], None, &[1, 1]),
        (&[Fail(AuthenticationFailed), Token], Some(AuthenticationFailed), &[1, 0]),
        (&[Fail(InvalidArgument), Token], Some(InvalidArgument), &[1, 0]),
        (&[Fail(Transport), Token], Some(Transport), &[1, 0]),
        (&[Fail(Protocol), Token], Some(Protocol), &[1, 0]),
        (&[Fail(CredentialUnavailable), Fail(Transport), Token], Some(Transport), &[1, 1, 0]),
        (&[Fail(CredentialUnavailable), Fail(CredentialUnavailable)], Some(CredentialUnavailable), &[1, 1]),
        (&[Fail(CredentialUnavailable), Fail(AuthenticationRequired)], Some(AuthenticationRequired), &[1, 1]),
        (&[Fail(AuthenticationRequired), Fail(CredentialUnavailable)], Some(AuthenticationRequired), &[1, 1]),
        (&[Fail(AuthenticationRequired), Fail(Protocol)], Some(Protocol), &[1, 1]),
    ];
    for (says, failure, calls) in rows {
        let names = ["First", "Second", "Third"];
        let members: Vec<_> = says.iter().zip(names).map(|(say, name)| Fake::new(name, &[*say])).collect();
        let result = call(&chain(&members.iter().collect::<Vec<_>>()), None);
        assert_eq!(result.as_ref().err().map(Error::kind), *failure, "{says:?}");
        assert_eq!(members.iter().map(|member| member.calls()).collect::<Vec<_>>(), *calls, "{says:?}");
        if let Err(error) = result {
            let tried = calls.iter().sum::<usize>();
            let named: Vec<_> = error.attempts().iter().map(Error::credential).collect();
            assert_eq!(named, names[..tried], "{says:?}");
        }
    }
}

#[test]
fn no_credentials_are_an_invalid_argument() {
    let error = ChainedTokenCredential::new(Vec::new()).unwrap_err();
    assert_eq!((error.kind(), error.credential()), (ErrorKind::InvalidArgument, "ChainedTokenCredential"));
}

#[test]
fn the_winner_answers_for_good_even_when_it_fails() {
    use Say::{Fail, Token};
    for failure in [ErrorKind::CredentialUnavailable, ErrorKind::AuthenticationRequired, ErrorKind::Transport] {
        let first = Fake::new("First", &[Fail(ErrorKind::CredentialUnavailable), Token]);
        let second = Fake::new("Second", &[Token, Fail(failure), Token]);
        let third = Fake::new("Third", &[Token]);
        let chain = chain(&[&first, &second, &third]);
        assert_eq!(call(&chain, None).unwrap(), "Second 1");
        let error = call(&chain.clone(), None).unwrap_err();
        assert_eq!((error.kind(), error.attempts().len()), (failure, 0), "unchanged");
        assert_eq!(error.to_string(), "Second says no");
        assert_eq!(call(&chain, None).unwrap(), "Second 3");
        assert_eq!((first.calls(), second.calls(), third.calls()), (1, 3, 0));
    }
}

#[test]
fn with_retry_sources_every_call_starts_at_the_first() {
    use Say::{Fail, Token};
    let gone = Fail(ErrorKind::CredentialUnavailable);
    let first = Fake::new("First", &[gone, Token, gone]);
    let second = Fake::new("Second", &[Token, gone]);
    let chain = ChainedTokenCredential::builder(boxed(&[&first, &second])).retry_sources().build().unwrap();
    assert_eq!(call(&chain, None).unwrap(), "Second 1");
    assert_eq!(call(&chain, None).unwrap(), "First 2");
    assert_eq!(call(&chain, None).unwrap_err().attempts().len(), 2);
}

#[test]
fn a_failed_walk_is_not_remembered() {
    let only = Fake::new("Only", &[Say::Fail(ErrorKind::Transport), Say::Token]);
    let chain = chain(&[&only]);
    assert!(call(&chain, None).is_err());
    assert_eq!(call(&chain, None).unwrap(), "Only 2");
}

#[test]
fn a_known_winner_costs_neither_a_box_nor_other_options() {
    let only = Fake::new("Only", &[Say::Token]);
    let chain = chain(&[&only]);
    let options = TokenRequestOptions::new().with_claims("{}").with_tenant_id("t").enable_cae();
    assert!(chain.get_token(SCOPES, None).try_ready().is_err(), "the first call has to walk");
    call(&chain, Some(&options)).unwrap();
    assert!(chain.get_token(SCOPES, Some(&options)).try_ready().is_ok(), "the winner's own future, ready");
    assert!(chain.get_token(SCOPES, None).try_ready().is_ok());
    let seen = only.seen();
    assert_eq!(seen[0], (CallContext::Chain, Some("{}".into()), Some("t".into()), true));
    assert_eq!(seen[1], (CallContext::Alone, Some("{}".into()), Some("t".into()), true));
    assert_eq!(seen[2], (CallContext::Alone, None, None, false));
}

#[test]
fn the_stronger_context_reaches_the_credentials() {
    use CallContext::{Alone, Chain, DefaultChain};
    for (is_default, outer, expected) in [
        (false, Alone, Chain),
        (false, Chain, Chain),
        (false, DefaultChain, DefaultChain),
        (true, Alone, DefaultChain),
        (true, Chain, DefaultChain),
        (true, DefaultChain, DefaultChain),
    ] {
        let only = Fake::new("Only", &[Say::Fail(ErrorKind::CredentialUnavailable)]);
        let builder = ChainedTokenCredential::builder(boxed(&[&only]));
        let builder = if is_default { builder.default_chain("DefaultAzureCredential") } else { builder };
        let chain = builder.build().unwrap();
        let options = TokenRequestOptions::new().with_context(outer);
        let error = call(&chain, Some(&options)).unwrap_err();
        assert_eq!(only.seen()[0].0, expected);
        assert_eq!(chain.name(), if is_default { "DefaultAzureCredential" } else { "ChainedTokenCredential" });
        assert!(error.to_string().starts_with(chain.name()) && error.credential() == chain.name());
    }
}

#[test]
fn an_outer_chain_moves_on_from_an_exhausted_one_and_shows_its_lines() {
    let gone = Say::Fail(ErrorKind::CredentialUnavailable);
    let (inner, outer) = (Fake::new("Inner", &[gone]), Fake::new("Outer", &[gone, Say::Token]));
    let inner_chain: Arc<dyn TokenCredential> = Arc::new(chain(&[&inner]));
    let chain = ChainedTokenCredential::new(vec![inner_chain, Arc::clone(&outer) as _]).unwrap();
    let error = call(&chain, None).unwrap_err();
    assert_eq!(
        error.to_string(),
        "ChainedTokenCredential failed to retrieve a token from the included credentials\n\
         ChainedTokenCredential: ChainedTokenCredential failed to retrieve a token from the included credentials\n  \
         Inner: Inner says no\n  \
         make one of them available as its line says, or add a credential that is\n\
         Outer: Outer says no\n\
         make one of them available as its line says, or add a credential that is"
    );
    assert_eq!(error.attempts()[0].attempts()[0].credential(), "Inner");
    assert_eq!(call(&chain, None).unwrap(), "Outer 2");
}

#[test]
fn a_failure_that_stops_the_chain_keeps_its_facts_and_says_what_was_tried() {
    let first = Fake::new("First", &[Say::Fail(ErrorKind::CredentialUnavailable)]);
    let second = Fake::new("Second", &[Say::Facts]);
    let third = Fake::new("Third", &[Say::Token]);
    let error = call(&chain(&[&first, &second, &third]), None).unwrap_err();
    assert_eq!((error.kind(), error.credential()), (ErrorKind::AuthenticationFailed, "Second"));
    assert_eq!((error.http_status(), error.entra_codes()), (Some(401), &[7_000_215][..]));
    assert_eq!((error.correlation_id(), error.trace_id()), (Some("correlation"), Some("trace")));
    assert_eq!(error.retry_after(), Some(Duration::from_secs(9)));
    assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "the cause");
    assert_eq!(
        error.to_string(),
        "ChainedTokenCredential failed to retrieve a token from the included credentials\n\
         First: First says no\n\
         Second: refused\n\
         solve what the line of Second says; 1 after it not tried, for another identity must not hide a failure"
    );
}

#[test]
fn what_a_person_must_do_is_handed_on() {
    let first = Fake::new("First", &[Say::Person]);
    let second = Fake::new("Second", &[Say::Fail(ErrorKind::CredentialUnavailable)]);
    let error = call(&chain(&[&first, &second]), None).unwrap_err();
    assert_eq!((error.kind(), error.credential()), (ErrorKind::AuthenticationRequired, "First"));
    assert_eq!((error.scopes(), error.claims()), (&["scope".to_owned()][..], Some("{\"a\":1}")));
    assert!(error.to_string().ends_with("\nsign in as the line of First says"));
}

#[test]
fn calls_at_the_same_time_end_with_one_identity() {
    // The first credential answers one call late and turns the others away at once: the second wins meanwhile.
    let clock = FakeClock::default();
    let slow = Duration::from_secs(2);
    let gone = Say::Fail(ErrorKind::CredentialUnavailable);
    for late in [Say::Token, gone, Say::Fail(ErrorKind::Transport)] {
        let first = Fake::slow("First", &clock, &[(slow, late), (Duration::ZERO, gone), (Duration::ZERO, gone)]);
        let second = Fake::slow("Second", &clock, &[(Duration::from_secs(1), Say::Token)]);
        let chain = chain(&[&first, &second]);
        let results = Sim::new(&clock).run(join_all((0..3).map(|_| chain.get_token(SCOPES, None))));
        for result in results {
            assert!(result.unwrap().secret().starts_with("Second"), "{late:?}");
        }
        assert_eq!((first.calls(), second.calls()), (3, 3));
        assert_eq!(second.seen()[2].0, CallContext::Alone, "a known winner gets the caller's own options");
    }
}

#[test]
fn a_winner_found_meanwhile_is_not_fallen_through() {
    let clock = FakeClock::default();
    let gone = Say::Fail(ErrorKind::CredentialUnavailable);
    let first = Fake::slow("First", &clock, &[(Duration::from_secs(1), Say::Token), (Duration::from_secs(2), gone)]);
    let second = Fake::slow("Second", &clock, &[(Duration::ZERO, Say::Token)]);
    let chain = chain(&[&first, &second]);
    let results = Sim::new(&clock).run(join_all((0..2).map(|_| chain.get_token(SCOPES, None))));
    assert_eq!(results[0].as_ref().unwrap().secret(), "First 1");
    assert_eq!(results[1].as_ref().unwrap_err().to_string(), "First says no");
    assert_eq!((first.calls(), second.calls()), (2, 0));
}

#[test]
fn nobody_else_is_asked_once_a_winner_is_known() {
    let clock = FakeClock::default();
    let gone = Say::Fail(ErrorKind::CredentialUnavailable);
    let first = Fake::slow(
        "First",
        &clock,
        &[(Duration::from_secs(1), Say::Token), (Duration::ZERO, gone), (Duration::ZERO, Say::Token)],
    );
    let middle = Fake::slow("Middle", &clock, &[(Duration::from_secs(2), gone)]);
    let last = Fake::slow("Last", &clock, &[(Duration::ZERO, Say::Token)]);
    let chain = chain(&[&first, &middle, &last]);
    let results = Sim::new(&clock).run(join_all((0..2).map(|_| chain.get_token(SCOPES, None))));
    let secrets: Vec<_> = results.iter().map(|result| result.as_ref().unwrap().secret()).collect();
    assert_eq!(secrets, ["First 1", "First 3"]);
    assert_eq!((first.calls(), middle.calls(), last.calls()), (3, 1, 0));
}

#[test]
fn a_call_that_goes_away_decides_nothing() {
    let clock = FakeClock::default();
    let first = Fake::slow("First", &clock, &[(Duration::from_secs(1), Say::Token)]);
    let chain = chain(&[&first]);
    let mut call = Box::pin(chain.get_token(SCOPES, None));
    let waker = std::task::Waker::noop();
    assert!(call.as_mut().poll(&mut std::task::Context::from_waker(waker)).is_pending());
    drop(call);
    assert!(format!("{chain:?}").contains("winner: None"));
    assert_eq!(Sim::new(&clock).run(chain.get_token(SCOPES, None)).unwrap().secret(), "First 2");
    assert!(format!("{chain:?}").contains("winner: Some(\"First\")"));
}

#[test]
fn what_a_person_can_do_comes_first_and_nothing_is_told_twice() {
    let error =
        |kind, steps: &[&str]| Error::new(kind, "no").with_steps(steps.iter().map(ToString::to_string).collect());
    let unavailable = ErrorKind::CredentialUnavailable;
    let attempts = vec![
        ("First", error(unavailable, &[])),
        ("Second", error(unavailable, &["run it"])),
        ("Third", error(unavailable, &["run it"])),
        ("Fourth", error(ErrorKind::AuthenticationRequired, &[]).with_scopes(&["s"], Some("{}"))),
    ];
    let others = [("First", "get it".to_owned()), ("Second", "install it".to_owned()), ("", "ask".to_owned())];
    let failed = crate::report::failure("Chain", attempts.clone(), 4, &others);
    assert_eq!(failed.steps(), ["sign in as the line of Fourth says", "run it", "get it", "ask"]);
    assert!(
        failed.to_string().ends_with("first:\n1. sign in as the line of Fourth says\n2. run it\n3. get it\n4. ask")
    );
    // A challenge to one that is not available goes on to whoever can answer it.
    let challenged = vec![("First", error(unavailable, &[]).with_scopes(&["s"], Some("{}")))];
    let failed = crate::report::failure("Chain", challenged, 1, &[]);
    assert_eq!((failed.kind(), failed.claims(), failed.scopes()), (unavailable, Some("{}"), &["s".to_owned()][..]));
    let wrong = vec![("First", error(ErrorKind::InvalidArgument, &["no"]))];
    let failed = crate::report::failure("Chain", wrong, 3, &others);
    assert_eq!(failed.steps(), ["correct what the line of First says; 2 after it not tried"]);
}
