//! Key files made by OpenSSL, and credentials made of them.
#![allow(dead_code, reason = "not every set of features needs all of it")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use identity_certificate::{ClientCertificate, ClientCertificateBuilder};
use identity_core::{
    Env, Error, Links, Platform, Result,
    fakes::{FakeClock, FakeEnv, FakeTransport, FixedRandom, Sim, SimRuntime, json},
};
use identity_oauth::{ClientAuthentication as _, Proof, ProofRequest};

pub(crate) const ENDPOINT: &str = "https://login.microsoftonline.com/TENANT/oauth2/v2.0/token";
pub(crate) const CLIENT: &str = "11111111-2222-3333-4444-555555555555";

/// A folder, and the pair of a 2048-bit key and its certificate that most tests start from.
pub(crate) struct Workshop {
    dir: PathBuf,
}

impl Workshop {
    /// `None`, said once, if there is no OpenSSL. With `CI=true` that is a failure.
    pub(crate) fn open() -> Option<Self> {
        static PAIR: OnceLock<bool> = OnceLock::new();
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("openssl-{}", std::process::id()));
        let pair = root.join("pair");
        let is_there = *PAIR.get_or_init(|| {
            if Command::new("openssl").arg("version").output().is_err() {
                assert!(std::env::var("CI").as_deref() != Ok("true"), "no openssl: install the package openssl");
                eprintln!("skipped: there is no command openssl");
                return false;
            }
            fs::create_dir_all(&pair).unwrap();
            for arguments in [
                "genrsa -out key.pem 2048",
                "req -x509 -new -key key.pem -subj /CN=leaf -days 365 -out cert.pem",
                "rsa -in key.pem -pubout -out pub.pem",
                "rsa -in key.pem -traditional -out pkcs1.pem",
            ] {
                openssl(&pair, arguments).unwrap();
            }
            true
        });
        if !is_there {
            return None;
        }
        let dir = root.join(NEXT.fetch_add(1, Ordering::Relaxed).to_string());
        fs::create_dir_all(&dir).unwrap();
        for name in ["key.pem", "cert.pem", "pub.pem", "pkcs1.pem"] {
            fs::copy(pair.join(name), dir.join(name)).unwrap();
        }
        Some(Self { dir })
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    pub(crate) fn write(&self, name: &str, content: &[u8]) -> PathBuf {
        fs::write(self.path(name), content).unwrap();
        self.path(name)
    }

    /// Puts files together.
    pub(crate) fn join(&self, names: &[&str], into: &str) -> PathBuf {
        self.write(into, &names.iter().flat_map(|name| self.read(name)).collect::<Vec<_>>())
    }

    pub(crate) fn try_run(&self, arguments: &str) -> Result<String, String> {
        openssl(&self.dir, arguments)
    }

    /// Runs OpenSSL with arguments that have no spaces.
    pub(crate) fn run(&self, arguments: &str) -> String {
        self.try_run(arguments).unwrap_or_else(|error| panic!("openssl {arguments}: {error}"))
    }

    /// Makes a certificate for `{name}.key`, issued by `issuer`, that issues none.
    pub(crate) fn issue(&self, name: &str, issuer: &str) {
        self.issue_with(name, issuer, "CA:FALSE");
    }

    /// Makes an authority that is issued by `issuer`.
    pub(crate) fn issue_authority(&self, name: &str, issuer: &str) {
        self.issue_with(name, issuer, "critical,CA:TRUE");
    }

    fn issue_with(&self, name: &str, issuer: &str, constraints: &str) {
        self.run(&format!("genrsa -out {name}.key 2048"));
        self.run(&format!("req -new -key {name}.key -subj /CN={name} -out {name}.csr"));
        self.write("extensions", format!("basicConstraints={constraints}\n").as_bytes());
        let rest = "-days 365 -set_serial 7 -extfile extensions";
        self.run(&format!("x509 -req -in {name}.csr -CA {issuer}.pem -CAkey {issuer}.key {rest} -out {name}.pem"));
    }

    /// Makes an authority that issued itself.
    pub(crate) fn authority(&self, name: &str) {
        self.run(&format!("genrsa -out {name}.key 2048"));
        self.run(&format!("req -x509 -new -key {name}.key -subj /CN={name} -days 365 -out {name}.pem"));
    }

    /// The certificate `{name}.pem` as `x5c` has it.
    pub(crate) fn der(&self, name: &str) -> String {
        self.run(&format!("x509 -in {name}.pem -outform der -out {name}.der"));
        identity_core::text::base64(&self.read(&format!("{name}.der")))
    }

    /// Whether OpenSSL takes the assertion's signature for one of the key of `public_key`.
    pub(crate) fn verifies(&self, assertion: &str, public_key: &str) -> bool {
        let (input, signature) = assertion.rsplit_once('.').unwrap();
        self.write("input", input.as_bytes());
        self.write("signature", &identity_core::text::base64url_decode(signature).unwrap());
        let header = identity_core::text::base64url_decode(assertion.split('.').next().unwrap()).unwrap();
        let algorithm = serde_json::from_slice::<serde_json::Value>(&header).unwrap()["alg"].clone();
        let padding = match algorithm.as_str().unwrap() {
            "PS256" => "-sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:32 -sigopt rsa_mgf1_md:sha256 ",
            _ => "-sigopt rsa_padding_mode:pkcs1 ",
        };
        self.try_run(&format!("dgst -sha256 -verify {public_key} {padding}-signature signature input")).is_ok()
    }
}

/// A credential's certificate from a file and a password.
pub(crate) fn with_password(path: &Path, password: &str) -> Result<ClientCertificate> {
    build(ClientCertificate::builder().certificate_path(path).password(password))
}

/// How long something takes that must not take long.
pub(crate) fn timed<T>(limit: Duration, what: &str, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = work();
    let took = start.elapsed();
    assert!(took < limit, "{what} took {took:?}");
    result
}

fn openssl(dir: &Path, arguments: &str) -> Result<String, String> {
    let mut command = Command::new("openssl");
    command.args(arguments.split(' ')).current_dir(dir).stdin(Stdio::null());
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

impl Drop for Workshop {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// Header and claims of an assertion.
pub(crate) fn decoded(assertion: &str) -> (serde_json::Value, serde_json::Value) {
    let mut parts = assertion.split('.').map(|part| identity_core::text::base64url_decode(part).unwrap());
    let mut json = || serde_json::from_slice(&parts.next().unwrap()).unwrap();
    (json(), json())
}

/// A fake clock that shows the time at which OpenSSL makes certificates.
pub(crate) fn clock() -> FakeClock {
    let clock = FakeClock::default();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    clock.jump_wall(now.as_secs() as i64 - FakeClock::START as i64);
    clock
}

/// A platform with this process' files and a fake clock.
pub(crate) fn platform(clock: &FakeClock) -> Platform {
    let transport = FakeTransport::new(clock, |_| Ok(json(200, r#"{"access_token":"t","expires_in":3600}"#)));
    fakes(clock, &transport, Arc::new(Files))
}

pub(crate) fn fakes(clock: &FakeClock, transport: &FakeTransport, env: Arc<dyn Env>) -> Platform {
    let transport = Arc::new(transport.clone());
    Platform::new(transport, Arc::new(clock.clone()), Arc::new(FixedRandom(0)), env, Arc::new(SimRuntime))
}

/// This process' files, and no variables.
#[derive(Debug)]
struct Files;

impl Env for Files {
    fn var_os(&self, _: &str) -> Option<std::ffi::OsString> {
        None
    }

    fn read(&self, path: &Path, limit: usize, links: Links) -> std::io::Result<Vec<u8>> {
        identity_tokio::platform().env().read(path, limit, links)
    }

    fn is_file(&self, path: &Path) -> bool {
        path.is_file()
    }

    fn is_world_readable(&self, path: &Path) -> bool {
        identity_tokio::platform().env().is_world_readable(path)
    }

    fn canonicalize(&self, path: &Path) -> std::io::Result<PathBuf> {
        FakeEnv::default().canonicalize(path)
    }
}

pub(crate) fn build(builder: ClientCertificateBuilder) -> Result<ClientCertificate> {
    builder.build_with(&platform(&clock()))
}

pub(crate) fn from_file(path: &Path) -> Result<ClientCertificate> {
    build(ClientCertificate::builder().certificate_path(path))
}

pub(crate) fn from_data(data: impl Into<Vec<u8>>) -> Result<ClientCertificate> {
    build(ClientCertificate::builder().certificate_data(data))
}

/// The message of a credential that must not be built.
pub(crate) fn refusal(result: Result<ClientCertificate>) -> String {
    let error: Error = result.expect_err("expected a refusal");
    assert_eq!(error.kind(), identity_core::ErrorKind::InvalidArgument, "{error}");
    error.to_string()
}

/// An assertion for Entra ID, or for AD FS with the tenant `adfs`.
pub(crate) fn assertion(certificate: &ClientCertificate, tenant: &str, now: SystemTime) -> String {
    let request = ProofRequest::new(ENDPOINT, CLIENT, tenant, now);
    let proof = Sim::new(&FakeClock::default()).run(certificate.prove(&request)).unwrap();
    let Proof::Assertion(assertion) = proof else { panic!("no assertion: {proof:?}") };
    assertion.expose().to_owned()
}

/// A time to sign at.
pub(crate) fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}
