//! A signer and a platform that are none, with time that a test turns.
#![allow(dead_code, reason = "not every program of tests needs all of it")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use identity_certificate::{ClientCertificate, Signer, SigningAlgorithm};
use identity_core::{
    BoxFuture, Clock as _, Env, Platform, Result,
    fakes::{FakeClock, FakeEnv, FakeTransport, FixedRandom, SimRuntime, json},
    text,
};
use identity_emulator::{TEST_CERTIFICATE_PEM, TEST_KEY_PEM};
use identity_oauth::{ClientAuthentication as _, Proof, ProofRequest};
use ring::{
    rand::SystemRandom,
    rsa::KeyPair,
    signature::{RSA_PKCS1_SHA256, RSA_PSS_SHA256},
};

pub(crate) const ENDPOINT: &str = "https://login.microsoftonline.com/T/oauth2/v2.0/token";
pub(crate) const PATH: &str = "/keys/app.pem";

/// Signs with the public test key, elsewhere: counts, and takes its time.
#[derive(Debug)]
pub(crate) struct Vault {
    key: KeyPair,
    clock: FakeClock,
    count: AtomicUsize,
    answer: Option<Result<Vec<u8>>>,
}

impl Vault {
    pub(crate) fn new(clock: &FakeClock, answer: Option<Result<Vec<u8>>>) -> Arc<Self> {
        let key = KeyPair::from_pkcs8(&der(TEST_KEY_PEM)).unwrap();
        Arc::new(Self { key, clock: clock.clone(), count: AtomicUsize::new(0), answer })
    }

    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }
}

impl Signer for Vault {
    fn sign<'a>(&'a self, algorithm: SigningAlgorithm, message: &'a [u8]) -> BoxFuture<'a, Result<Vec<u8>>> {
        self.count.fetch_add(1, Ordering::Relaxed);
        Box::pin(async move {
            self.clock.sleep(Duration::from_secs(1)).await;
            if let Some(answer) = &self.answer {
                return answer.clone();
            }
            let mut bytes = vec![0; self.key.public().modulus_len()];
            let random = SystemRandom::new();
            match algorithm {
                SigningAlgorithm::Ps256 => self.key.sign(&RSA_PSS_SHA256, &random, message, &mut bytes).unwrap(),
                _ => self.key.sign(&RSA_PKCS1_SHA256, &random, message, &mut bytes).unwrap(),
            }
            Ok(bytes)
        })
    }
}

/// The content of the first block.
pub(crate) fn der(pem: &str) -> Vec<u8> {
    let lines = pem.lines().skip_while(|line| !line.starts_with("-----BEGIN")).skip(1);
    let body: String = lines.take_while(|line| !line.starts_with('-')).collect();
    text::base64url_decode(body.trim_end_matches('=').replace('+', "-").replace('/', "_").as_str()).unwrap()
}

/// A clock in 2027, when the test key's certificate is valid.
pub(crate) fn clock() -> FakeClock {
    let clock = FakeClock::default();
    clock.jump_wall(400 * 86_400);
    clock
}

pub(crate) fn platform(clock: &FakeClock, env: Arc<dyn Env>) -> Platform {
    let transport = FakeTransport::new(clock, |_| Ok(json(200, r#"{"access_token":"t","expires_in":3600}"#)));
    let random = Arc::new(FixedRandom(0));
    Platform::new(Arc::new(transport), Arc::new(clock.clone()), random, env, Arc::new(SimRuntime))
}

pub(crate) fn both() -> Vec<u8> {
    [TEST_KEY_PEM, TEST_CERTIFICATE_PEM].concat().into_bytes()
}

pub(crate) fn in_vault(clock: &FakeClock, vault: &Arc<Vault>) -> ClientCertificate {
    let signer = Arc::clone(vault) as Arc<dyn Signer>;
    let builder = ClientCertificate::builder().signer(TEST_CERTIFICATE_PEM, signer);
    builder.build_with(&platform(clock, Arc::new(FakeEnv::default()))).unwrap()
}

pub(crate) async fn prove(certificate: &ClientCertificate, request: &ProofRequest<'_>) -> Result<String> {
    match certificate.prove(request).await? {
        Proof::Assertion(assertion) => Ok(assertion.expose().to_owned()),
        other => panic!("{other:?}"),
    }
}

pub(crate) fn request(endpoint: &str, now: SystemTime) -> ProofRequest<'_> {
    ProofRequest::new(endpoint, "C", "T", now)
}
