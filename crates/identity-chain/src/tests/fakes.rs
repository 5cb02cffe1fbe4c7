//! A credential that says what it is told to.

use std::{
    fmt,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use identity_core::{
    AccessToken, CallContext, Clock, Error, ErrorKind, TokenCredential, TokenFuture, TokenRequestOptions,
    fakes::FakeClock,
};

#[derive(Clone, Copy, Debug)]
pub(super) enum Say {
    /// A token whose text is the credential's name and the number of the call.
    Token,
    Fail(ErrorKind),
    /// A refusal with every fact that an error can carry.
    Facts,
    /// A person must sign in.
    Person,
}

type Seen = (CallContext, Option<String>, Option<String>, bool);

#[derive(Debug)]
pub(super) struct Fake {
    name: &'static str,
    clock: FakeClock,
    /// The last one holds for ever.
    script: Vec<(Duration, Say)>,
    seen: Mutex<Vec<Seen>>,
}

impl Fake {
    pub(super) fn new(name: &'static str, script: &[Say]) -> Arc<Self> {
        let script: Vec<_> = script.iter().map(|&say| (Duration::ZERO, say)).collect();
        Self::slow(name, &FakeClock::default(), &script)
    }

    pub(super) fn slow(name: &'static str, clock: &FakeClock, script: &[(Duration, Say)]) -> Arc<Self> {
        Arc::new(Self { name, clock: clock.clone(), script: script.to_vec(), seen: Mutex::default() })
    }

    pub(super) fn calls(&self) -> usize {
        self.seen.lock().unwrap().len()
    }

    /// What the options of each call said.
    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    fn result(&self, call: usize, say: Say) -> Result<AccessToken, Error> {
        match say {
            Say::Token => Ok(AccessToken::new(&format!("{} {call}", self.name), SystemTime::UNIX_EPOCH)),
            Say::Fail(kind) => Err(Error::new(kind, format!("{} says no", self.name))),
            Say::Facts => Err(Error::new(ErrorKind::AuthenticationFailed, "refused")
                .with_http_status(401)
                .with_entra_codes(vec![7_000_215])
                .with_ids(Some("correlation".into()), Some("trace".into()))
                .with_retry_after(Duration::from_secs(9))
                .with_source(Cause)),
            Say::Person => {
                Err(Error::new(ErrorKind::AuthenticationRequired, "sign in").with_scopes(&["scope"], Some("{\"a\":1}")))
            }
        }
    }
}

impl TokenCredential for Fake {
    fn get_token<'a>(&'a self, _: &'a [&'a str], options: Option<&'a TokenRequestOptions>) -> TokenFuture<'a> {
        let options = options.cloned().unwrap_or_default();
        let mut seen = self.seen.lock().unwrap();
        let (latency, say) = *self.script.get(seen.len()).or(self.script.last()).unwrap();
        seen.push((
            options.context(),
            options.claims().map(str::to_owned),
            options.tenant_id().map(str::to_owned),
            options.is_cae_enabled(),
        ));
        let result = self.result(seen.len(), say);
        if latency.is_zero() {
            return TokenFuture::ready(result);
        }
        TokenFuture::pending(async move {
            self.clock.sleep(latency).await;
            result
        })
    }

    fn name(&self) -> &'static str {
        self.name
    }
}

#[derive(Debug)]
struct Cause;

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the cause")
    }
}

impl std::error::Error for Cause {}
