//! Behaviour through the public API, over fakes of every seam.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use identity_core::{
    AccessToken, Env, Error, ErrorKind, Platform, Result, TokenCredential,
    fakes::{FakeClock, FakeEnv, FakeTransport, Sim, join_all, json, platform},
    http::{Request, Response, TransportError},
};

mod binding;
mod file;
mod github;
mod issuer;
mod pipelines;
mod workload;

const SCOPE: &str = "https://vault.azure.net/.default";
const TOKEN: &str = r#"{"token_type":"Bearer","expires_in":3599,"access_token":"CANARY-token"}"#;
const ENDPOINT: &str = "https://login.microsoftonline.com/tenant/oauth2/v2.0/token";
const FILE: &str = "/var/run/secrets/azure/tokens/azure-identity-token";

/// What the webhook sets in a pod.
const POD: &[(&str, &str)] =
    &[("AZURE_TENANT_ID", "tenant"), ("AZURE_CLIENT_ID", "client"), ("AZURE_FEDERATED_TOKEN_FILE", FILE)];

/// Status, headers and body.
type Reply = (u16, &'static [(&'static str, &'static str)], &'static str);

/// A machine that exists only here.
struct World {
    clock: FakeClock,
    env: FakeEnv,
    transport: FakeTransport,
    platform: Platform,
    sim: Sim,
}

impl World {
    fn new(
        vars: &[(&str, &str)],
        answer: impl Fn(&Request) -> Result<Response, TransportError> + Send + Sync + 'static,
    ) -> Self {
        let clock = FakeClock::default();
        let transport = FakeTransport::new(&clock, answer);
        let env = FakeEnv::new(vars);
        let platform = platform(&clock, &transport, &env);
        Self { sim: Sim::new(&clock), clock, env, transport, platform }
    }

    /// Answers in turn with status and JSON; the last one stays.
    fn replies(vars: &[(&str, &str)], replies: &'static [(u16, &'static str)]) -> Self {
        let next = AtomicUsize::new(0);
        Self::new(vars, move |_| {
            let (status, body) = replies[next.fetch_add(1, Ordering::SeqCst).min(replies.len() - 1)];
            Ok(json(status, body))
        })
    }

    /// A job whose platform answers in turn with status, header and body, the last one staying; Entra ID gives a token.
    fn job(vars: &[(&str, &str)], replies: &'static [Reply]) -> Self {
        let next = AtomicUsize::new(0);
        Self::new(vars, move |request| {
            if request.url == ENDPOINT {
                return Ok(json(200, TOKEN));
            }
            let (status, headers, body) = replies[next.fetch_add(1, Ordering::SeqCst).min(replies.len() - 1)];
            let mut headers: Vec<_> =
                headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            let media = if body.starts_with('<') { "text/html" } else { "application/json; charset=utf-8" };
            headers.push(("content-type".to_owned(), media.to_owned()));
            Ok(Response::new(status, headers, body.into()))
        })
    }

    /// A pod whose token file holds a token.
    fn pod(replies: &'static [(u16, &'static str)]) -> Self {
        let world = Self::replies(POD, replies);
        world.env.file(FILE, Ok(b"CANARY-assertion"));
        world
    }

    fn with_env(self, env: impl Env + 'static) -> Self {
        Self { platform: self.platform.with_env(Arc::new(env)), ..self }
    }

    fn get(&self, credential: &dyn TokenCredential) -> Result<AccessToken> {
        self.get_scope(credential, SCOPE)
    }

    fn get_scope(&self, credential: &dyn TokenCredential, scope: &str) -> Result<AccessToken> {
        self.sim.run(async { credential.get_token(&[scope], None).await })
    }

    fn urls(&self) -> Vec<String> {
        self.transport.requests().iter().map(|request| request.url.clone()).collect()
    }
}

/// The names and values of a request's form, decoded.
fn form(request: &Request) -> Vec<(String, String)> {
    let decode = |text: &str| {
        let mut bytes = Vec::new();
        let mut rest = text.as_bytes();
        while let [first, tail @ ..] = rest {
            let (byte, tail) = match (first, tail) {
                (b'%', [a, b, tail @ ..]) => {
                    (u8::from_str_radix(std::str::from_utf8(&[*a, *b]).unwrap(), 16).unwrap(), tail)
                }
                _ => (*first, tail),
            };
            bytes.push(byte);
            rest = tail;
        }
        String::from_utf8(bytes).unwrap()
    };
    let body = request.body.as_ref().unwrap().expose();
    let mut pairs: Vec<_> =
        body.split('&').map(|pair| pair.split_once('=').unwrap()).map(|(n, v)| (decode(n), decode(v))).collect();
    pairs.sort();
    pairs
}

/// The assertion that a request to Entra ID carries.
fn assertion(request: &Request) -> String {
    form(request).into_iter().find(|(name, _)| name == "client_assertion").map(|(_, value)| value).unwrap_or_default()
}

fn header<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    let mut all = request.headers.iter().filter(|(known, _)| *known == name).map(|(_, value)| value.expose());
    all.next().filter(|_| all.next().is_none())
}

/// Everything that an error can show.
fn shown(error: &Error) -> String {
    let mut text = format!("{error} {error:?} {error:#?}");
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(&format!(" {cause} {cause:?}"));
        source = cause.source();
    }
    text
}

fn refused(error: &Error, kind: ErrorKind, credential: &str, says: &[&str]) {
    let text = shown(error);
    assert_eq!((error.kind(), error.credential()), (kind, credential), "{text}");
    for word in says {
        assert!(text.contains(word), "no {word} in {text}");
    }
    assert!(!text.contains("CANARY"), "{text}");
}
