//! A real credential, sockets included, on threads and without async.
#![expect(clippy::unwrap_used, reason = "a test says so by failing")]

use std::{
    collections::HashMap,
    ffi::OsString,
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    thread,
};

use identity_blocking::BlockingCredential;
use identity_core::{Env, ErrorKind, Links};
use identity_emulator::{Answer, Emulator, Source::AppService};
use identity_msi::ManagedIdentityCredential;

const SCOPES: &[&str] = &["https://storage.azure.com/.default"];
const CALLERS: usize = 1_000;

#[derive(Debug)]
struct Variables(HashMap<String, String>);

impl Env for Variables {
    fn var_os(&self, name: &str) -> Option<OsString> {
        self.0.get(name).map(OsString::from)
    }
    fn read(&self, _: &Path, _: usize, _: Links) -> io::Result<Vec<u8>> {
        Err(io::ErrorKind::NotFound.into())
    }
    fn is_file(&self, _: &Path) -> bool {
        false
    }
    fn canonicalize(&self, _: &Path) -> io::Result<PathBuf> {
        Err(io::ErrorKind::NotFound.into())
    }
}

fn credential(emulator: &Emulator) -> BlockingCredential<ManagedIdentityCredential> {
    let variables = Variables(emulator.variables(AppService).into_iter().collect());
    let platform = identity_tokio::platform().with_env(Arc::new(variables));
    BlockingCredential::new(ManagedIdentityCredential::builder().build_with(&platform).unwrap())
}

#[test]
fn a_thousand_threads_make_one_request_and_all_have_its_token() {
    let emulator = Emulator::builder().start_in_background().unwrap();
    emulator.faults().always(AppService, Answer::real().held());
    let (credential, called) = (credential(&emulator), AtomicUsize::new(0));
    let tokens: Vec<_> = thread::scope(|scope| {
        let ask = || {
            called.fetch_add(1, SeqCst);
            credential.get_token(SCOPES, None)
        };
        let threads: Vec<_> = (0..CALLERS).map(|_| scope.spawn(ask)).collect();
        while called.load(SeqCst) < CALLERS || emulator.request_count(AppService) == 0 {
            thread::yield_now();
        }
        emulator.faults().release();
        threads.into_iter().map(|thread| thread.join().unwrap().unwrap()).collect()
    });
    let first = tokens[0].secret();
    assert!(tokens.iter().all(|token| token.secret() == first));
    assert_eq!((tokens.len(), tokens[0].origin()), (CALLERS, "App Service"));
    assert_eq!((emulator.request_count(AppService), emulator.connections(AppService).accepted), (1, 1));
}

#[test]
fn a_refusal_comes_as_it_is() {
    let emulator = Emulator::builder().start_in_background().unwrap();
    emulator.faults().always(AppService, Answer::status(403));
    let error = credential(&emulator).get_token(SCOPES, None).unwrap_err();
    assert_eq!((error.kind(), error.http_status()), (ErrorKind::AuthenticationFailed, Some(403)), "{error}");
    assert_eq!(error.credential(), "ManagedIdentityCredential");
}
