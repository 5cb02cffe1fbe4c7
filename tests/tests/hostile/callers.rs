//! Thousands of callers, callers that go away, and runtimes that end.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use identity_core::{AccessToken, Error, ErrorKind, Result, TokenCredential};
use identity_emulator::{
    Answer, Emulator,
    Source::{self, AppService, Entra},
};
use identity_msi::ManagedIdentityCredential;
use identity_tests::platform_of;
use tokio::task::JoinSet;

use crate::{SCOPE, get, runtime, table::credential};

const CALLERS: usize = 10_000;

/// Callers who all wait when the first answer comes; what each got.
async fn crowd(emulator: &Emulator, source: Source, credential: &Arc<dyn TokenCredential>) -> Vec<Result<AccessToken>> {
    let arrived = Arc::new(AtomicUsize::new(0));
    let mut tasks = JoinSet::new();
    for _ in 0..CALLERS {
        let (credential, arrived) = (Arc::clone(credential), Arc::clone(&arrived));
        tasks.spawn(async move {
            arrived.fetch_add(1, SeqCst);
            credential.get_token(&[SCOPE], None).await
        });
    }
    emulator.wait_until(|emulator| emulator.request_count(source) > 0).await;
    while arrived.load(SeqCst) < CALLERS {
        tokio::task::yield_now().await;
    }
    emulator.faults().release();
    tasks.join_all().await
}

#[test]
fn ten_thousand_callers_make_one_request_and_all_have_its_token() {
    for source in [AppService, Entra] {
        let emulator = Emulator::builder().start_in_background().unwrap();
        emulator.faults().always(source, Answer::real().held());
        let credential = credential(source, &platform_of(&emulator, source));
        let start = Instant::now();
        let results = runtime().block_on(crowd(&emulator, source, &credential));
        println!("{source}: {CALLERS} callers in {:?}", start.elapsed());
        let first = results[0].as_ref().unwrap().secret();
        assert_eq!(results.len(), CALLERS);
        assert!(results.iter().all(|result| result.as_ref().is_ok_and(|token| token.secret() == first)));
        assert_eq!((emulator.request_count(source), emulator.connections(source).accepted), (1, 1), "{source}");
    }
}

#[test]
fn ten_thousand_callers_make_one_request_and_all_have_its_error() {
    for (source, answer, status) in
        [(AppService, Answer::status(400), 400), (Entra, Answer::entra_error(7_000_215), 401)]
    {
        let emulator = Emulator::builder().start_in_background().unwrap();
        emulator.faults().always(source, answer.held());
        let credential = credential(source, &platform_of(&emulator, source));
        let runtime = runtime();
        let results = runtime.block_on(crowd(&emulator, source, &credential));
        let errors: Vec<&Error> = results.iter().filter_map(|result| result.as_ref().err()).collect();
        assert_eq!(errors.len(), CALLERS);
        let told = |error: &Error| {
            format!("{:?} {error} {:?} {:?}", error.kind(), error.http_status(), error.correlation_id())
        };
        let first = told(errors[0]);
        assert_eq!((errors[0].kind(), errors[0].http_status()), (ErrorKind::AuthenticationFailed, Some(status)));
        assert!(errors.iter().all(|error| told(error) == first), "{first}");
        // Who comes later is told the same, without a request.
        assert_eq!(told(&runtime.block_on(credential.get_token(&[SCOPE], None)).unwrap_err()), first);
        assert_eq!((emulator.request_count(source), emulator.connections(source).accepted), (1, 1), "{source}");
    }
}

#[test]
fn callers_that_all_go_away_close_the_connection() {
    // At Entra once more on a connection that was kept from an earlier request.
    for (source, kept) in [(AppService, 0), (Entra, 0), (Entra, 1)] {
        let emulator = Emulator::builder().start_in_background().unwrap();
        let credential = credential(source, &platform_of(&emulator, source));
        runtime().block_on(async {
            if kept > 0 {
                credential.get_token(&["https://vault.azure.net/.default"], None).await.unwrap();
            }
            emulator.faults().always(source, Answer::silence());
            let mut tasks = JoinSet::new();
            for _ in 0..100 {
                let credential = Arc::clone(&credential);
                tasks.spawn(async move { credential.get_token(&[SCOPE], None).await });
            }
            emulator.wait_until(|emulator| emulator.request_count(source) == kept + 1).await;
            assert_eq!((emulator.connections(source).open, emulator.connections(source).accepted), (1, 1), "{source}");
            tasks.shutdown().await;
            let start = Instant::now();
            emulator.wait_until(|emulator| emulator.connections(source).open == 0).await;
            assert!(start.elapsed().as_secs_f64() < 1.0, "{source}: {:?}", start.elapsed());
            // And it works for those who come next.
            emulator.faults().clear();
            credential.get_token(&[SCOPE], None).await.unwrap();
        });
        assert_eq!(emulator.request_count(source), kept + 2, "{source}");
    }
}

#[test]
fn a_runtime_that_ends_takes_its_request_along_and_nothing_else() {
    let emulator = Emulator::builder().start_in_background().unwrap();
    emulator.faults().next(AppService, Answer::silence());
    let credential = ManagedIdentityCredential::builder().build_with(&platform_of(&emulator, AppService)).unwrap();
    let first = runtime();
    let asking = credential.clone();
    first.spawn(async move { get(&asking).await });
    first.block_on(emulator.wait_until(|emulator| emulator.request_count(AppService) == 1));
    first.shutdown_background();
    let token = runtime().block_on(get(&credential)).unwrap();
    // What is remembered serves every runtime, and none.
    assert_eq!(runtime().block_on(get(&credential)).unwrap().secret(), token.secret());
    let future = credential.get_token(&[SCOPE], None);
    assert_eq!(future.try_ready().ok().unwrap().unwrap().secret(), token.secret());
    assert_eq!(emulator.request_count(AppService), 2);
}

#[test]
fn many_scopes_are_asked_for_eight_at_a_time() {
    let emulator = Emulator::builder().allow_any_resource().start_in_background().unwrap();
    let credential = ManagedIdentityCredential::builder().build_with(&platform_of(&emulator, AppService)).unwrap();
    emulator.faults().always(AppService, Answer::real().held());
    runtime().block_on(async {
        let mut tasks = JoinSet::new();
        for number in 0..200 {
            let credential = credential.clone();
            tasks.spawn(
                async move { credential.get_token(&[&format!("https://r{number}.example/.default")], None).await },
            );
        }
        emulator.wait_until(|emulator| emulator.connections(AppService).in_flight == 8).await;
        let ninth = emulator.wait_until(|emulator| emulator.connections(AppService).in_flight > 8);
        assert!(tokio::time::timeout(Duration::from_millis(100), ninth).await.is_err(), "a ninth request came");
        emulator.faults().always(AppService, Answer::real());
        emulator.faults().release();
        assert!(tasks.join_all().await.iter().all(Result::is_ok));
    });
    assert_eq!(emulator.connections(AppService).most_in_flight, 8);
    assert_eq!(emulator.request_count(AppService), 200);
}
