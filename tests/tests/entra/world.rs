//! An emulator, one runtime, and the search for secrets in what was logged.

use std::{
    env, fs,
    path::{Path, PathBuf},
    sync::{
        Mutex,
        atomic::{AtomicU32, Ordering},
    },
};

use identity_core::{
    AccessToken, Error, ErrorKind, Platform, TokenCredential, TokenRequestOptions, text::base64url_decode,
};
use identity_emulator::{Builder, Emulator, Request, Source};
use identity_tests::{Logs, find_secret, platform_of, shown};
use serde_json::Value;
use tokio::runtime::Runtime;

pub(crate) const STORAGE: &str = "https://storage.azure.com/.default";
pub(crate) const VAULT: &str = "https://vault.azure.net/.default";

pub(crate) struct World {
    pub(crate) emulator: Emulator,
    runtime: Runtime,
    logs: &'static Logs,
    tokens: Mutex<Vec<String>>,
    folder: PathBuf,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::of(Emulator::builder())
    }

    pub(crate) fn of(builder: Builder) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let logs = Logs::of_process();
        let name = format!("entra-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&folder).unwrap();
        let emulator = builder.start_in_background().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { emulator, runtime, logs, tokens: Mutex::default(), folder }
    }

    /// A folder of this test alone; it goes at its end.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn platform(&self, source: Source) -> Platform {
        platform_of(&self.emulator, source)
    }

    pub(crate) fn variable(&self, source: Source, name: &str) -> String {
        self.emulator.variables(source).into_iter().find(|(known, _)| known == name).unwrap().1
    }

    /// Gets a token; its claims.
    pub(crate) fn claims(&self, credential: &dyn TokenCredential, scope: &str) -> Value {
        self.try_claims(credential, scope, None).unwrap_or_else(|error| panic!("{}", shown(&error)))
    }

    pub(crate) fn claims_with(&self, credential: &dyn TokenCredential, options: TokenRequestOptions) -> Value {
        self.try_claims(credential, STORAGE, Some(&options)).unwrap_or_else(|error| panic!("{}", shown(&error)))
    }

    /// Fails to get a token, with that kind and that code (0: none).
    pub(crate) fn refusal(&self, credential: &dyn TokenCredential, kind: ErrorKind, code: u32) -> Error {
        self.refusal_of(credential, STORAGE, None, kind, code)
    }

    pub(crate) fn refusal_of(
        &self,
        credential: &dyn TokenCredential,
        scope: &str,
        options: Option<&TokenRequestOptions>,
        kind: ErrorKind,
        code: u32,
    ) -> Error {
        let error = self.try_claims(credential, scope, options).unwrap_err();
        let codes: &[u32] = if code == 0 { &[] } else { &[code] };
        let text = shown(&error);
        assert_eq!((error.kind(), error.entra_codes()), (kind, codes), "{text}");
        assert_eq!(error.credential(), credential.name());
        assert_eq!(find_secret(&text, self.sent().iter().map(String::as_str)), None, "{text}");
        error
    }

    /// All of them at once; the claims of each.
    pub(crate) fn all<C: TokenCredential + Clone + 'static>(
        &self,
        credentials: &[C],
        scope: &'static str,
    ) -> Vec<Result<Value, Error>> {
        let get = |credential: C| async move { credential.get_token(&[scope], None).await };
        let flights: Vec<_> = credentials.iter().map(|one| self.runtime.spawn(get(one.clone()))).collect();
        flights.into_iter().map(|flight| Ok(self.read(&self.runtime.block_on(flight).unwrap()?, scope))).collect()
    }

    fn try_claims(
        &self,
        credential: &dyn TokenCredential,
        scope: &str,
        options: Option<&TokenRequestOptions>,
    ) -> Result<Value, Error> {
        let token = self.runtime.block_on(credential.get_token(&[scope], options))?;
        assert_eq!(token.credential(), credential.name());
        Ok(self.read(&token, scope))
    }

    /// The claims of a token for that scope.
    fn read(&self, token: &AccessToken, scope: &str) -> Value {
        let payload = token.secret().split('.').nth(1).and_then(base64url_decode).unwrap();
        self.tokens.lock().unwrap().push(token.secret().to_owned());
        let claims: Value = serde_json::from_slice(&payload).unwrap();
        assert_eq!(claims["aud"], scope.trim_end_matches("/.default"));
        claims
    }

    /// The last request to that source.
    pub(crate) fn last(&self, source: Source) -> Request {
        self.emulator.requests().into_iter().rfind(|request| request.source() == source).unwrap()
    }

    pub(crate) fn count(&self, source: Source) -> u64 {
        self.emulator.request_count(source)
    }

    /// What was sent and must never be shown.
    fn sent(&self) -> Vec<String> {
        let secrets =
            ["client_secret", "client_assertion", "assertion", "code", "code_verifier", "password", "refresh_token"];
        let mut sent: Vec<String> = Vec::new();
        for request in self.emulator.requests() {
            sent.extend(secrets.iter().filter_map(|name| request.form_value(name)));
            // A word, "Bearer", comes before it.
            sent.extend(request.header("authorization").and_then(|value| value.split(' ').nth(1)).map(str::to_owned));
            sent.extend(request.header("x-identity-header").map(str::to_owned));
        }
        sent
    }

    /// So many requests came to each of these, none to others, and no secret is in the log.
    pub(crate) fn end(self, counts: &[(Source, u64)]) {
        assert!(self.logs.text().contains("the service gave a token"), "something is logged");
        self.end_without_token(counts);
    }

    /// The same where there was no token to log.
    pub(crate) fn end_without_token(self, counts: &[(Source, u64)]) {
        for source in Source::ALL {
            let wanted = counts.iter().find(|(known, _)| *known == source).map_or(0, |(_, count)| *count);
            assert_eq!(self.count(source), wanted, "{source}: {:#?}", self.emulator.requests());
        }
        let secrets = [self.sent(), self.tokens.lock().unwrap().clone()].concat();
        let text = self.logs.text();
        assert_eq!(find_secret(&text, secrets.iter().map(String::as_str)), None);
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}
