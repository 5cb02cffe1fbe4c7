//! What becomes of a key file that changes, and of a key with several certificates. Over fakes.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test ends when it is not so, and some need threads"
)]

mod fakes;
mod logs;

use std::{
    io::ErrorKind,
    path::{Path, PathBuf},
    pin::pin,
    sync::{Arc, Mutex, mpsc},
    task::{Context, Poll, Wake, Waker},
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use identity_certificate::ClientCertificate;
use identity_core::{
    Clock as _, Env, Links,
    fakes::{FakeClock, FakeEnv, Sim, join_all},
    text,
};
use identity_emulator::{TEST_CERTIFICATE_PEM, TEST_KEY_PEM};
use tracing::{Metadata, Subscriber, span};

use fakes::*;

/// First of March, April and May 2027, 0:00 UTC, in seconds since the Unix epoch.
const MARCH: i64 = 1_803_859_200;
const APRIL: i64 = 1_806_537_600;
const MAY: i64 = 1_809_129_600;

const HOUR: i64 = 3_600;

fn at(seconds: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds as u64)
}

fn clock_at(seconds: i64) -> FakeClock {
    let clock = FakeClock::default();
    clock.jump_wall(seconds - FakeClock::START as i64);
    clock
}

/// The test key's certificate with another time, from and to `MMDDHH` of 2027. Nobody checks who signed it.
fn certificate(from: &str, to: &str) -> String {
    let mut der = der(TEST_CERTIFICATE_PEM);
    for (head, text) in [(&[0x17, 0x0d][..], format!("27{from}0000Z")), (&[0x18, 0x0f], format!("2027{to}0000Z"))] {
        let head = der.windows(head.len()).position(|window| window == head).unwrap() + head.len();
        der[head..head + text.len()].copy_from_slice(text.as_bytes());
    }
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", text::base64(&der))
}

fn file(certificates: &[&str]) -> Vec<u8> {
    [TEST_KEY_PEM, &certificates.concat()].concat().into_bytes()
}

/// The thumbprint that an assertion names, as `thumbprint` has it.
fn named(assertion: &str) -> String {
    let header = text::base64url_decode(assertion.split('.').next().unwrap()).unwrap();
    let header: serde_json::Value = serde_json::from_slice(&header).unwrap();
    header["x5t#S256"].as_str().unwrap().to_owned()
}

fn thumbprint(certificate: &str) -> String {
    text::base64url(ring::digest::digest(&ring::digest::SHA256, &der(certificate)).as_ref())
}

fn from_file(clock: &FakeClock, env: impl Env + 'static) -> identity_core::Result<ClientCertificate> {
    let builder = ClientCertificate::builder().certificate_path(PATH).password("x");
    builder.build_with(&platform(clock, Arc::new(env)))
}

/// Waits on this thread, also where somebody waits already.
fn prove_at(certificate: &ClientCertificate, seconds: i64) -> String {
    struct Unpark(thread::Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    let request = request(ENDPOINT, at(seconds));
    let mut future = pin!(prove(certificate, &request));
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    loop {
        if let Poll::Ready(assertion) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return assertion.unwrap();
        }
        thread::park();
    }
}

#[test]
fn a_certificate_that_becomes_valid_is_taken_then() {
    let (old, new) = (certificate("010100", "040100"), certificate("030100", "050100"));
    let env = FakeEnv::default();
    env.file(PATH, Ok(&file(&[&old])));
    let start = MARCH - HOUR;
    let certificate = from_file(&clock_at(start), env.clone()).unwrap();
    env.file(PATH, Ok(&file(&[&new])));
    let lines = logs::capture(|| {
        for seconds in [0, 1, HOUR - 301] {
            assert_eq!(named(&prove_at(&certificate, start + seconds)), thumbprint(&old));
        }
    });
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("the last one serves on") && lines[0].contains("becomes valid in less than 2 hours"));
    let lines = logs::capture(|| {
        for seconds in [HOUR - 300, HOUR, 2 * HOUR] {
            assert_eq!(named(&prove_at(&certificate, start + seconds)), thumbprint(&new));
        }
    });
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("the certificate has changed"));
}

#[test]
fn a_certificate_that_a_wrong_clock_takes_for_expired_is_taken_when_the_clock_is_right() {
    let (old, new) = (certificate("010100", "060100"), certificate("030100", "040100"));
    let env = FakeEnv::default();
    env.file(PATH, Ok(&file(&[&old])));
    let certificate = from_file(&clock_at(MARCH), env.clone()).unwrap();
    env.file(PATH, Ok(&file(&[&new])));
    for (seconds, expected) in [(MAY, &old), (APRIL + 1, &old), (APRIL, &new), (MARCH, &new)] {
        assert_eq!(named(&prove_at(&certificate, seconds)), thumbprint(expected), "{seconds}");
    }
}

#[test]
fn what_is_refused_for_another_reason_is_not_tried_again() {
    let env = FakeEnv::default();
    let good = file(&[&certificate("010100", "060100")]);
    env.file(PATH, Ok(&good));
    let certificate = from_file(&clock_at(MARCH), env.clone()).unwrap();
    for bad in [Ok(&good[..1000]), Err(ErrorKind::NotFound)] {
        // Twice: a file that was good in between is complained of again.
        for _ in 0..2 {
            env.file(PATH, bad);
            let lines = logs::capture(|| {
                for seconds in [0, HOUR, 86_400 * 30] {
                    prove_at(&certificate, MARCH + seconds);
                }
            });
            assert_eq!(lines.iter().filter(|line| line.contains("the last one serves on")).count(), 1, "{lines:?}");
            env.file(PATH, Ok(&good));
            assert!(logs::capture(|| drop(prove_at(&certificate, MARCH))).is_empty());
        }
    }
}

#[test]
fn of_the_certificates_of_a_key_the_one_that_is_valid_for_longest_is_named() {
    let past = certificate("010100", "020100");
    let short = certificate("010100", "040100");
    let long = certificate("030100", "050100");
    let future = certificate("060100", "070100");
    for order in [[&past, &short, &long, &future], [&future, &long, &short, &past], [&short, &future, &past, &long]] {
        let certificates = order.map(String::as_str);
        let clock = clock_at(MARCH - HOUR);
        let vault = Vault::new(&clock, None);
        let platform = platform(&clock, Arc::new(FakeEnv::default()));
        let builder = ClientCertificate::builder();
        for certificate in [
            builder.clone().certificate_data(file(&certificates)).build_with(&platform).unwrap(),
            builder.signer(certificates.concat(), vault).build_with(&platform).unwrap(),
        ] {
            for (seconds, expected) in [
                (MARCH - HOUR, &short),
                (MARCH, &long),
                (APRIL, &long),
                (APRIL + 1, &long),
                (MAY, &long),
                // None is, and one that will be is the better choice; the service decides.
                (MAY + 1, &future),
                (MAY + 32 * 86_400, &future),
                (MAY + 365 * 86_400, &future),
            ] {
                let assertion = Sim::new(&clock).run(prove(&certificate, &request(ENDPOINT, at(seconds)))).unwrap();
                assert_eq!(named(&assertion), thumbprint(expected), "{seconds}");
            }
        }
    }
}

#[test]
fn what_is_signed_for_a_certificate_that_has_expired_meanwhile_is_not_used() {
    let (short, long) = (certificate("030100", "040100"), certificate("040100", "050100"));
    let clock = clock_at(APRIL - HOUR);
    let vault = Vault::new(&clock, None);
    let builder = ClientCertificate::builder().signer([short.as_str(), &long].concat(), vault.clone());
    let certificate = builder.build_with(&platform(&clock, Arc::new(FakeEnv::default()))).unwrap();
    let prove = async |seconds| named(&prove(&certificate, &request(ENDPOINT, at(seconds))).await.unwrap());
    Sim::new(&clock).run(async {
        assert_eq!(prove(APRIL - 100).await, thumbprint(&short));
        assert_eq!((prove(APRIL - 1).await, vault.count()), (thumbprint(&short), 1));
        // The first assertion is good for some minutes yet, but names what has expired.
        assert_eq!((prove(APRIL + 1).await, vault.count()), (thumbprint(&long), 2));
        // Both at a time, and the one that expires is asked for first.
        let all = join_all([APRIL - 1000, APRIL + 1000, APRIL + 1000].map(prove)).await;
        assert_eq!(all, [&short, &long, &long].map(|one| thumbprint(one)));
        assert_eq!(vault.count(), 4);
    });
}

#[test]
fn a_certificate_in_a_file_that_expires_gives_way_to_the_other_one() {
    let (short, long) = (certificate("030100", "040100"), certificate("040100", "050100"));
    let env = FakeEnv::default();
    env.file(PATH, Ok(&file(&[&short, &long])));
    let certificate = from_file(&clock_at(MARCH), env).unwrap();
    assert_eq!(named(&prove_at(&certificate, APRIL - 1)), thumbprint(&short));
    let lines = logs::capture(|| assert_eq!(named(&prove_at(&certificate, APRIL + 1)), thumbprint(&long)));
    assert!(lines.is_empty(), "{lines:?}");
}

/// Files that do something when they are read.
struct Watched<F>(FakeEnv, F);

impl<F> std::fmt::Debug for Watched<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Watched")
    }
}

impl<F: Fn() + Send + Sync> Env for Watched<F> {
    fn var_os(&self, name: &str) -> Option<std::ffi::OsString> {
        self.0.var_os(name)
    }

    fn read(&self, path: &Path, limit: usize, links: Links) -> std::io::Result<Vec<u8>> {
        let content = self.0.read(path, limit, links);
        (self.1)();
        content
    }

    fn is_file(&self, path: &Path) -> bool {
        self.0.is_file(path)
    }

    fn canonicalize(&self, path: &Path) -> std::io::Result<PathBuf> {
        self.0.canonicalize(path)
    }
}

#[test]
fn what_was_read_before_another_caller_took_newer_content_is_not_taken() {
    let all = ["0401", "0402", "0403"].map(|to| certificate("010100", &format!("{to}00")));
    let env = FakeEnv::default();
    env.file(PATH, Ok(&file(&[&all[0]])));
    let overtake = Arc::new(Mutex::new(None::<ClientCertificate>));
    let watched = {
        let (env, overtake, newest) = (env.clone(), Arc::clone(&overtake), all[2].clone());
        Watched(env.clone(), move || {
            let Some(certificate) = overtake.lock().unwrap().take() else { return };
            env.file(PATH, Ok(&file(&[&newest])));
            assert_eq!(named(&prove_at(&certificate, MARCH)), thumbprint(&newest));
        })
    };
    let certificate = from_file(&clock_at(MARCH), watched).unwrap();
    env.file(PATH, Ok(&file(&[&all[1]])));
    *overtake.lock().unwrap() = Some(certificate.clone());
    let lines = logs::capture(|| assert_eq!(named(&prove_at(&certificate, MARCH)), thumbprint(&all[2])));
    assert_eq!(lines.len(), 1, "{lines:?}");
}

/// Does something with each event.
struct Listener<F>(F);

impl<F: Fn() + 'static> Subscriber for Listener<F> {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, _: &tracing::Event<'_>) {
        (self.0)();
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

#[test]
fn who_listens_to_the_log_may_use_the_credential() {
    let env = FakeEnv::default();
    env.file(PATH, Ok(&both()));
    let certificate = from_file(&clock(), env.clone()).unwrap();
    let (events, seen) = mpsc::channel();
    let listener = {
        let certificate = certificate.clone();
        Listener(move || {
            let (certificate, (done, is_done)) = (certificate.clone(), mpsc::channel());
            thread::spawn(move || done.send(format!("{certificate:?} {}", prove_at(&certificate, MARCH)).len()));
            events.send(is_done.recv_timeout(Duration::from_secs(20)).is_ok()).unwrap();
        })
    };
    tracing::subscriber::with_default(listener, || {
        for content in [&[b"renewed\n", &both()[..]].concat()[..], b"bad"] {
            env.file(PATH, Ok(content));
            prove_at(&certificate, MARCH);
        }
    });
    assert_eq!(seen.try_iter().collect::<Vec<_>>(), [true, true]);
}

/// A file whose key is found after 20,000 rounds of PBKDF2, made by OpenSSL with the password `x`.
#[cfg(feature = "encrypted")]
fn slow() -> Option<Vec<u8>> {
    use std::{
        io::Write as _,
        process::{Command, Stdio},
    };

    let options = "pkcs8 -topk8 -v2 aes-256-cbc -v2prf hmacWithSHA1 -passout pass:x -iter 20000";
    let mut command = Command::new("openssl");
    let pipes = command.args(options.split(' ')).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = pipes.spawn().ok()?;
    child.stdin.take().unwrap().write_all(TEST_KEY_PEM.as_bytes()).unwrap();
    let key = child.wait_with_output().unwrap().stdout;
    Some([&key, TEST_CERTIFICATE_PEM.as_bytes()].concat())
}

#[cfg(feature = "encrypted")]
#[test]
fn while_one_caller_decrypts_a_new_key_the_others_sign_with_the_last() {
    let Some(slow) = slow() else { return };
    let old = file(&[&certificate("010100", "050100")]);
    let env = FakeEnv::default();
    env.file(PATH, Ok(&old));
    let certificate = from_file(&clock_at(MARCH), env.clone()).unwrap();
    env.file(PATH, Ok(&slow));
    let last = thread::scope(|scope| {
        let use_until_new = || {
            let assertions = std::iter::repeat_with(|| prove_at(&certificate, MARCH));
            assertions.take_while(|assertion| named(assertion) != thumbprint(TEST_CERTIFICATE_PEM)).count()
        };
        let callers = [(); 3].map(|()| scope.spawn(use_until_new));
        callers.into_iter().map(|caller| caller.join().unwrap()).sum::<usize>()
    });
    // Who has to wait gets the new one.
    assert!(last > 5, "{last} assertions of the last key");
}

#[test]
fn a_slow_signature_does_not_keep_other_endpoints_waiting() {
    let clock = clock();
    let vault = Vault::new(&clock, None);
    let certificate = in_vault(&clock, &vault);
    let endpoints: Vec<_> = (0..40).map(|number| format!("https://host/{number}/token")).collect();
    Sim::new(&clock).run(async {
        let now = clock.now().wall;
        let all = endpoints.iter().flat_map(|endpoint| {
            let certificate = &certificate;
            (0..25).map(move |_| async move { prove(certificate, &request(endpoint, now)).await.unwrap() })
        });
        let all = join_all(all).await;
        assert!(all.chunks(25).all(|same| same.iter().all(|assertion| *assertion == same[0])));
    });
    assert_eq!(clock.elapsed(), Duration::from_secs(1));
    assert_eq!(vault.count(), 40);
}

#[test]
fn those_who_wait_go_on_when_a_signature_fails() {
    let clock = clock();
    let refused = identity_core::Error::new(identity_core::ErrorKind::CredentialUnavailable, "the vault is closed");
    let vault = Vault::new(&clock, Some(Err(refused)));
    let certificate = in_vault(&clock, &vault);
    Sim::new(&clock).run(async {
        let wanted = request(ENDPOINT, clock.now().wall);
        let all = join_all((0..10).map(|_| prove(&certificate, &wanted))).await;
        assert!(all.iter().all(Result::is_err));
    });
    assert_eq!(vault.count(), 10);
}
