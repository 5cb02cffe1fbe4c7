//! When assertions are signed, with which key, and what becomes of a key file that changes. Over fakes.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test ends when it is not so"
)]

mod fakes;
mod logs;

use std::{
    io::ErrorKind,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use identity_certificate::{CertificateCredential, ClientCertificate};
use identity_core::{
    Clock as _, Env, Error, Links, TokenCredential as _,
    fakes::{FakeEnv, FakeTransport, Sim, join_all, json},
    text,
};
use identity_emulator::{TEST_CERTIFICATE_PEM, TEST_KEY_PEM};
use identity_oauth::{ClientAuthentication as _, ProofRequest};

use fakes::*;

#[test]
fn an_assertion_is_signed_once_for_each_purpose_and_used_until_a_minute_is_left() {
    let clock = clock();
    let vault = Vault::new(&clock, None);
    let certificate = in_vault(&clock, &vault);
    Sim::new(&clock).run(async {
        let start = clock.now().wall;
        let after = |seconds| start + Duration::from_secs(seconds);
        let first = prove(&certificate, &request(ENDPOINT, start)).await.unwrap();
        for seconds in [0, 1, 300, 540] {
            assert_eq!(prove(&certificate, &request(ENDPOINT, after(seconds))).await.unwrap(), first);
        }
        assert_eq!(vault.count(), 1);
        // A clock that was set back: five minutes are what the assertion is dated back.
        assert_eq!(prove(&certificate, &request(ENDPOINT, start - Duration::from_secs(300))).await.unwrap(), first);
        let second = prove(&certificate, &request(ENDPOINT, after(541))).await.unwrap();
        assert!(second != first && vault.count() == 2);
        prove(&certificate, &request(ENDPOINT, start - Duration::from_secs(301))).await.unwrap();
        assert_eq!(vault.count(), 3);

        for (endpoint, client, tenant) in
            [("https://other/token", "C", "T"), (ENDPOINT, "D", "T"), (ENDPOINT, "C", "adfs")]
        {
            for _ in 0..2 {
                prove(&certificate, &ProofRequest::new(endpoint, client, tenant, start)).await.unwrap();
            }
        }
        assert_eq!(vault.count(), 6);
    });
}

#[test]
fn renewing_signs_always() {
    let clock = clock();
    let vault = Vault::new(&clock, None);
    let certificate = in_vault(&clock, &vault);
    Sim::new(&clock).run(async {
        let mut wanted = request(ENDPOINT, clock.now().wall);
        let first = prove(&certificate, &wanted).await.unwrap();
        wanted.renew = true;
        let second = prove(&certificate, &wanted).await.unwrap();
        let third = prove(&certificate, &wanted).await.unwrap();
        assert!(first != second && second != third && vault.count() == 3);
        wanted.renew = false;
        assert_eq!(prove(&certificate, &wanted).await.unwrap(), third);
    });
}

#[test]
fn a_thousand_first_callers_make_one_signature() {
    let clock = clock();
    let vault = Vault::new(&clock, None);
    let certificate = in_vault(&clock, &vault);
    Sim::new(&clock).run(async {
        let now = clock.now().wall;
        let wanted = request(ENDPOINT, now);
        let all = join_all((0..1000).map(|_| prove(&certificate, &wanted))).await;
        assert!(all.iter().all(|assertion| assertion.as_ref().unwrap() == all[0].as_ref().unwrap()));
        assert_eq!(vault.count(), 1);
    });
}

#[test]
fn a_thousand_tokens_in_an_assertions_life_take_one_signature() {
    let clock = clock();
    let vault = Vault::new(&clock, None);
    let transport = FakeTransport::new(&clock, |_| Ok(json(200, r#"{"access_token":"t","expires_in":3600}"#)));
    let platform = platform(&clock, Arc::new(FakeEnv::default())).with_transport(Arc::new(transport.clone()));
    let builder = CertificateCredential::builder("T", "C").signer(TEST_CERTIFICATE_PEM, Arc::<Vault>::clone(&vault));
    let credential = builder.build_with(&platform).unwrap();
    let sim = Sim::new(&clock);
    let get = |number: usize| sim.run(credential.get_token(&[&format!("https://{number}.example/.default")], None));
    for number in 0..1000 {
        get(number).unwrap();
        clock.advance(Duration::from_millis(500));
    }
    assert_eq!((transport.count(), vault.count()), (1000, 1));
    clock.advance(Duration::from_secs(60));
    get(1000).unwrap();
    assert_eq!((transport.count(), vault.count()), (1001, 2));
}

#[test]
fn when_the_caller_that_signs_goes_away_another_one_signs() {
    let clock = clock();
    let vault = Vault::new(&clock, None);
    let certificate = in_vault(&clock, &vault);
    Sim::new(&clock).run(async {
        let now = clock.now().wall;
        let wanted = request(ENDPOINT, now);
        let mut leader = Some(Box::pin(prove(&certificate, &wanted)));
        let mut follower = Box::pin(prove(&certificate, &wanted));
        let assertion = std::future::poll_fn(|context| {
            if let Some(future) = &mut leader {
                assert!(future.as_mut().poll(context).is_pending());
                assert!(follower.as_mut().poll(context).is_pending());
                leader = None;
            }
            follower.as_mut().poll(context)
        })
        .await;
        assert!(assertion.is_ok() && vault.count() == 2);
    });
}

#[test]
fn only_so_many_assertions_are_remembered() {
    let clock = clock();
    let vault = Vault::new(&clock, None);
    let certificate = in_vault(&clock, &vault);
    Sim::new(&clock).run(async {
        let now = clock.now().wall;
        for number in 0..100 {
            let now = now + Duration::from_secs(number);
            prove(&certificate, &request(&format!("https://host/{number}/token"), now)).await.unwrap();
        }
        for (number, expected) in [(99, 100), (84, 100), (83, 101)] {
            prove(&certificate, &request(&format!("https://host/{number}/token"), now + Duration::from_secs(100)))
                .await
                .unwrap();
            assert_eq!(vault.count(), expected, "{number}");
        }
    });
}

#[test]
fn what_is_being_signed_is_not_forgotten_for_others() {
    let clock = clock();
    let vault = Vault::new(&clock, None);
    let certificate = in_vault(&clock, &vault);
    let endpoints: Vec<_> = (0..17).map(|number| format!("https://host/{number}/token")).collect();
    Sim::new(&clock).run(async {
        let now = clock.now().wall;
        let get = async |number: usize| prove(&certificate, &request(&endpoints[number], now)).await.unwrap();
        for number in 0..15 {
            get(number).await;
        }
        // The first 15 are remembered, which leaves room for one.
        let last = join_all([15, 16, 15, 16].map(get)).await;
        assert!(last[0] == last[2] && last[1] == last[3] && vault.count() == 17);
    });
}

#[test]
fn what_a_signer_gives_is_checked_and_what_it_says_is_passed_on() {
    let clock = clock();
    let refused = Error::new(identity_core::ErrorKind::CredentialUnavailable, "the vault is closed");
    for (answer, expected) in [
        (Ok(vec![]), "a signature of 0 bytes; expected 1 to 512"),
        (Ok(vec![0; 513]), "a signature of 513 bytes; expected 1 to 512"),
        (Ok(vec![1; 256]), "is not one of the certificate's key with PS256"),
        (Err(refused), "the vault is closed"),
    ] {
        let vault = Vault::new(&clock, Some(answer));
        let certificate = in_vault(&clock, &vault);
        let error = Sim::new(&clock).run(async {
            let now = clock.now().wall;
            prove(&certificate, &request(ENDPOINT, now)).await.unwrap_err()
        });
        assert!(error.to_string().contains(expected), "{error}");
        assert_eq!(error.is_unavailable(), expected.contains("vault"));
    }
}

#[test]
fn the_certificate_of_a_signer_is_checked() {
    let clock = clock();
    for (certificates, expected) in [
        ("", "holds no certificate"),
        (TEST_KEY_PEM, "holds no certificate"),
        ("-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----", "one of its certificates is damaged"),
    ] {
        let builder = ClientCertificate::builder().signer(certificates, Vault::new(&clock, None));
        let error = builder.build_with(&platform(&clock, Arc::new(FakeEnv::default()))).unwrap_err().to_string();
        assert!(error.starts_with("the signer's certificates: ") && error.contains(expected), "{error}");
    }
}

/// A file that every user may read.
#[derive(Debug)]
struct Open(FakeEnv);

impl Env for Open {
    fn var_os(&self, name: &str) -> Option<std::ffi::OsString> {
        self.0.var_os(name)
    }

    fn read(&self, path: &Path, limit: usize, links: Links) -> std::io::Result<Vec<u8>> {
        self.0.read(path, limit, links)
    }

    fn is_file(&self, path: &Path) -> bool {
        self.0.is_file(path)
    }

    fn is_world_readable(&self, _: &Path) -> bool {
        true
    }

    fn canonicalize(&self, path: &Path) -> std::io::Result<PathBuf> {
        self.0.canonicalize(path)
    }
}

#[test]
fn a_key_that_every_user_may_read_is_warned_of_once() {
    let clock = clock();
    let env = FakeEnv::default();
    env.file(PATH, Ok(&both()));
    let lines = logs::capture(|| {
        let builder = ClientCertificate::builder().certificate_path(PATH);
        let certificate = builder.build_with(&platform(&clock, Arc::new(Open(env)))).unwrap();
        Sim::new(&clock).run(async {
            for seconds in [0, 1_000, 2_000] {
                let now = clock.now().wall + Duration::from_secs(seconds);
                prove(&certificate, &request(ENDPOINT, now)).await.unwrap();
            }
        });
    });
    assert_eq!(lines.iter().filter(|line| line.contains("every user of this machine")).count(), 1, "{lines:?}");
    assert!(lines.iter().all(|line| !line.contains("MII")));
}

#[test]
fn a_file_that_changes_is_read_again_and_a_bad_one_is_not_taken() {
    let clock = clock();
    let env = FakeEnv::default();
    let good = both();
    env.file(PATH, Ok(&good));
    let certificate = {
        let builder = ClientCertificate::builder().certificate_path(PATH);
        builder.build_with(&platform(&clock, Arc::new(env.clone()))).unwrap()
    };
    let prove = || {
        let now = clock.now().wall;
        Sim::new(&clock).run(prove(&certificate, &request(ENDPOINT, now))).unwrap()
    };
    let generation = certificate.generation();
    let first = prove();
    assert_eq!(prove(), first);

    for (bad, expected) in [
        (Err(ErrorKind::NotFound), 1),
        // Still unreadable.
        (Err(ErrorKind::PermissionDenied), 0),
        (Ok(&b""[..]), 1),
        (Ok(&good[..100]), 1),
        (Ok(TEST_KEY_PEM.as_bytes()), 1),
        (Err(ErrorKind::NotFound), 1),
    ] {
        env.file(PATH, bad);
        let lines = logs::capture(|| {
            for _ in 0..3 {
                assert_eq!(prove(), first);
            }
        });
        let warnings =
            lines.iter().filter(|line| line.contains("the last one serves on") && line.contains(PATH)).count();
        assert_eq!(warnings, expected, "{bad:?} {lines:?}");
        assert_ne!(certificate.generation(), generation);
    }

    // The same key in a new file: what was signed before is not used any more.
    let renewed = [b"renewed\n", &good[..]].concat();
    env.file(PATH, Ok(&renewed));
    let second = prove();
    assert_ne!(second, first);
    assert_eq!(prove(), second);
    let renewed_generation = certificate.generation();
    assert_ne!(renewed_generation, generation);
    env.file(PATH, Ok(&good));
    assert_eq!(certificate.generation(), generation);
}

#[test]
fn a_refusal_holds_until_the_file_changes() {
    let clock = clock();
    let env = FakeEnv::default();
    env.file(PATH, Ok(&both()));
    let count = AtomicUsize::new(0);
    let transport = FakeTransport::new(&clock, move |_| {
        Ok(match count.fetch_add(1, Ordering::Relaxed) {
            0 | 1 => json(401, r#"{"error":"invalid_client","error_description":"AADSTS700027: not known."}"#),
            _ => json(200, r#"{"access_token":"t","expires_in":3600}"#),
        })
    });
    let platform = platform(&clock, Arc::new(env.clone())).with_transport(Arc::new(transport.clone()));
    let credential = CertificateCredential::builder("T", "C").certificate_path(PATH).build_with(&platform).unwrap();
    let sim = Sim::new(&clock);
    let get = || {
        let result = sim.run(credential.get_token(&["https://vault.azure.net/.default"], None));
        (result.map_err(|error| error.entra_codes().to_vec()).map(|token| token.secret().to_owned()), transport.count())
    };
    let assertions = || {
        let bodies = transport.requests().into_iter().map(|request| request.body.unwrap().expose().to_owned());
        bodies.map(|body| body.split_once("client_assertion=").unwrap().1.to_owned()).collect::<Vec<_>>()
    };
    let refused = || Err(vec![700_027]);
    for _ in 0..3 {
        assert_eq!(get(), (refused(), 1));
    }
    // Written again, but no other.
    env.file(PATH, Ok(&both()));
    clock.advance(Duration::from_secs(30));
    assert_eq!(get(), (refused(), 1));
    for (number, content) in [(2, [b"renewed\n", &both()[..]].concat()), (3, both())] {
        env.file(PATH, Ok(&content));
        let expected = if number == 2 { refused() } else { Ok("t".to_owned()) };
        for _ in 0..3 {
            assert_eq!(get(), (expected.clone(), number));
        }
        let all = assertions();
        assert!(all[..number - 1].iter().all(|assertion| *assertion != all[number - 1]), "{number}");
    }
}

#[test]
fn the_credential_posts_its_assertion_and_no_secret() {
    let clock = clock();
    let transport = FakeTransport::new(&clock, |_| Ok(json(200, r#"{"access_token":"t","expires_in":3600}"#)));
    let platform = platform(&clock, Arc::new(FakeEnv::default())).with_transport(Arc::new(transport.clone()));
    let builder = CertificateCredential::builder("T", "C").certificate_data(both());
    let credential = builder.send_certificate_chain().build_with(&platform).unwrap();
    let token = Sim::new(&clock).run(credential.get_token(&["https://vault.azure.net/.default"], None)).unwrap();
    assert_eq!((token.secret(), credential.name()), ("t", "CertificateCredential"));
    let requests = transport.requests();
    let body = requests[0].body.as_ref().unwrap().expose();
    assert!(body.contains("client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer"));
    let assertion = body.split('&').find_map(|pair| pair.strip_prefix("client_assertion=")).unwrap();
    let parts: Vec<serde_json::Value> = assertion
        .split('.')
        .take(2)
        .map(|part| serde_json::from_slice(&text::base64url_decode(part).unwrap()).unwrap())
        .collect();
    let certificate: String = TEST_CERTIFICATE_PEM
        .lines()
        .skip_while(|line| !line.starts_with("-----BEGIN"))
        .filter(|line| !line.starts_with('-'))
        .collect();
    assert_eq!((&parts[0]["alg"], &parts[0]["x5c"]), (&"PS256".into(), &serde_json::json!([certificate])));
    assert_eq!(parts[1]["aud"], ENDPOINT);
}

#[test]
fn errors_of_a_builder_name_the_credential() {
    let clock = clock();
    let platform = platform(&clock, Arc::new(FakeEnv::default()));
    let error = CertificateCredential::builder("T", "C").certificate_path("/none").build_with(&platform).unwrap_err();
    assert_eq!(error.credential(), "CertificateCredential");
    assert!(error.to_string().starts_with("the certificate file /none: it cannot be read: "), "{error}");
    let error = CertificateCredential::builder("T/", "C").certificate_data(both()).build_with(&platform).unwrap_err();
    assert_eq!(error.kind(), identity_core::ErrorKind::InvalidArgument);
}
