//! What tests of users' credentials share: a machine that exists only here.

use std::collections::BTreeMap;

use identity_core::{
    Platform,
    http::{Request, TransportError},
};

use super::*;

pub(crate) const GRAPH: &str = "https://graph.microsoft.com/User.Read";
pub(crate) const VAULT: &str = "https://vault.azure.net/.default";

pub(crate) struct World {
    pub(crate) clock: FakeClock,
    pub(crate) transport: FakeTransport,
    pub(crate) platform: Platform,
    pub(crate) sim: Sim,
}

pub(crate) type Answer = std::result::Result<Response, TransportError>;

#[cfg(any(feature = "authorization-code", feature = "on-behalf-of"))]
impl World {
    pub(crate) fn new(answer: impl Fn(usize, &BTreeMap<String, String>) -> Answer + Send + Sync + 'static) -> Self {
        let next = std::sync::atomic::AtomicUsize::new(0);
        let number = move || next.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        Self::slow(Duration::ZERO, move |request| answer(number(), &form(request)))
    }

    pub(crate) fn forms(&self) -> Vec<BTreeMap<String, String>> {
        self.transport.requests().iter().map(form).collect()
    }

    pub(crate) fn grants(&self) -> Vec<String> {
        let short = |form: BTreeMap<String, String>| form["grant_type"].rsplit(':').next().unwrap().to_owned();
        self.forms().into_iter().map(short).collect()
    }
}

impl World {
    pub(crate) fn slow(latency: Duration, answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        let clock = FakeClock::default();
        let transport = FakeTransport::slow(&clock, latency, answer);
        let platform = platform(&clock, &transport, &FakeEnv::default());
        Self { sim: Sim::new(&clock), clock, transport, platform }
    }

    pub(crate) fn get(&self, credential: &dyn TokenCredential, scope: &str) -> Result<AccessToken> {
        self.sim.run(async { credential.get_token(&[scope], None).await })
    }
}

pub(crate) fn form(request: &Request) -> BTreeMap<String, String> {
    let decode = |text: &str| {
        let mut bytes = Vec::new();
        let mut rest = text.as_bytes();
        while let [first, tail @ ..] = rest {
            rest = tail;
            if let (b'%', [high, low, tail @ ..]) = (first, rest) {
                bytes.push(u8::from_str_radix(std::str::from_utf8(&[*high, *low]).unwrap(), 16).unwrap());
                rest = tail;
            } else {
                bytes.push(*first);
            }
        }
        String::from_utf8(bytes).unwrap()
    };
    let body = request.body.as_ref().unwrap().expose();
    body.split('&').map(|pair| pair.split_once('=').unwrap()).map(|(n, v)| (decode(n), decode(v))).collect()
}

pub(crate) fn gives(token: &str) -> Answer {
    Ok(json(200, &format!(r#"{{"token_type":"Bearer","expires_in":3599,"access_token":"{token}"}}"#)))
}

pub(crate) fn gives_both(token: &str, refresh: &str) -> Answer {
    let body = format!(r#"{{"expires_in":3599,"access_token":"{token}","refresh_token":"{refresh}"}}"#);
    Ok(json(200, &body))
}

pub(crate) fn refuses(error: &str, more: &str) -> Answer {
    Ok(json(400, &format!(r#"{{"error":"{error}"{more}}}"#)))
}
