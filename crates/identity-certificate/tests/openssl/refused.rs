//! What is refused, and what is said then.

use std::{sync::Arc, time::Duration};

use identity_certificate::{ClientCertificate, Signer, SigningAlgorithm};
use identity_core::{BoxFuture, Result};

use crate::support::*;

#[test]
fn exactly_one_certificate_must_be_given() {
    let none = refusal(build(ClientCertificate::builder()));
    assert!(none.contains("no certificate was given"), "{none}");
    let both = refusal(build(ClientCertificate::builder().certificate_path("/x").certificate_data("x")));
    assert!(both.contains("more than one certificate was given"), "{both}");
}

#[test]
fn files_that_cannot_be_read_are_named_with_the_reason() {
    let Some(shop) = Workshop::open() else { return };
    let directory = shop.path("directory");
    std::fs::create_dir(&directory).unwrap();
    let huge = shop.write("huge.pem", &vec![b'x'; 256 * 1024 + 1]);
    let sparse = shop.path("sparse.pem");
    std::fs::File::create(&sparse).unwrap().set_len(1 << 30).unwrap();
    #[cfg_attr(not(unix), expect(unused_mut, reason = "pipes have a path on Unix only"))]
    let mut rows = vec![
        (shop.path("missing.pem"), "(os error 2)"),
        (directory, "is a directory"),
        (huge, "has more than 262144 bytes"),
        (sparse, "has more than 262144 bytes"),
        (shop.write("empty.pem", b""), "it is empty"),
        (shop.write("blank.pem", b" \r\n\n"), "it is empty"),
        (shop.write("bom.pem", &[&[0xef, 0xbb, 0xbf], &shop.read("key.pem")[..]].concat()), "byte order mark"),
        (shop.write("utf16le.pem", &utf16(&shop, true, u16::to_le_bytes)), "UTF-16"),
        (shop.write("utf16be.pem", &utf16(&shop, true, u16::to_be_bytes)), "UTF-16"),
        (shop.write("plain16.pem", &utf16(&shop, false, u16::to_le_bytes)), "UTF-16"),
        (shop.write("garbage.pem", &[0x5a; 4000]), "neither PEM nor PKCS#12"),
        (shop.write("zeros.pem", &[0; 4000]), "neither PEM nor PKCS#12"),
    ];
    #[cfg(unix)]
    {
        let pipe = shop.path("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        rows.push((pipe, "is a named pipe"));
        rows.push(("/dev/zero".into(), "is a device"));
    }
    for (path, expected) in rows {
        let result = timed(Duration::from_millis(100), "a refusal", || from_file(&path));
        let message = refusal(result);
        assert!(message.contains(expected) && message.contains(path.to_str().unwrap()), "{message}");
    }
}

fn utf16(shop: &Workshop, with_mark: bool, encode: fn(u16) -> [u8; 2]) -> Vec<u8> {
    let text = String::from_utf8(shop.read("key.pem")).unwrap();
    let mark = with_mark.then_some(0xfeff);
    mark.into_iter().chain(text.encode_utf16()).flat_map(encode).collect()
}

#[test]
fn what_is_missing_or_of_another_pair_is_named() {
    let Some(shop) = Workshop::open() else { return };
    shop.authority("other");
    shop.run("x509 -in cert.pem -outform der -out cert.der");
    shop.run("pkcs8 -topk8 -nocrypt -in key.pem -outform der -out key.der");
    for (names, expected) in [
        (&["cert.pem"][..], "holds no private key"),
        (&["key.pem"], "holds no certificate"),
        (&["pub.pem"], "holds no private key"),
        (&["key.pem", "other.pem"], "belongs to none of its certificates"),
        (&["key.pem", "other.key", "cert.pem"], "several private keys"),
        (&["cert.der"], "is binary (DER) and no PKCS#12"),
        (&["key.der"], "is binary (DER) and no PKCS#12"),
    ] {
        let message = refusal(from_data(std::fs::read(shop.join(names, "both.pem")).unwrap()));
        assert!(message.contains(expected), "{names:?}: {message}");
        assert!(message.starts_with("the certificate data: "), "{message}");
    }
}

#[test]
fn keys_that_are_no_rsa_keys_of_a_usable_size_are_refused() {
    let Some(shop) = Workshop::open() else { return };
    shop.run("ecparam -genkey -name prime256v1 -noout -out ec.key");
    shop.run("pkcs8 -topk8 -nocrypt -in ec.key -out ec8.key");
    shop.run("genpkey -algorithm ed25519 -out ed25519.key");
    shop.run("genpkey -algorithm ed448 -out ed448.key");
    shop.run("genpkey -algorithm RSA-PSS -pkeyopt rsa_keygen_bits:2048 -out pss.key");
    shop.run("genrsa -out small.key 1024");
    shop.run("genrsa -primes 5 -out large.key 8192");
    for (name, expected) in [
        ("ec", "is an elliptic-curve key; Entra ID takes RSA keys"),
        ("ec8", "is an elliptic-curve key; Entra ID takes RSA keys"),
        ("ed25519", "is an Ed25519 or Ed448 key"),
        ("ed448", "is an Ed25519 or Ed448 key"),
        ("pss", "is an RSA key for PSS only"),
        ("small", "has 1024 bits, which is too weak"),
        ("large", "has 8192 bits, more than can be used"),
    ] {
        shop.run(&format!("req -x509 -new -key {name}.key -subj /CN=x -days 9 -out {name}.pem"));
        let path = shop.join(&[&format!("{name}.key"), &format!("{name}.pem")], "both.pem");
        let message = refusal(timed(Duration::from_millis(100), name, || from_file(&path)));
        assert!(message.contains(expected), "{name}: {message}");
    }
    for bits in [3072, 4096] {
        shop.run(&format!("genrsa -out good.key {bits}"));
        shop.run("req -x509 -new -key good.key -subj /CN=x -days 9 -out good.pem");
        shop.run("rsa -in good.key -pubout -out good.pub");
        let certificate = from_file(&shop.join(&["good.key", "good.pem"], "both.pem")).unwrap();
        for tenant in ["TENANT", "adfs"] {
            assert!(shop.verifies(&assertion(&certificate, tenant, now()), "good.pub"), "{bits}");
        }
    }
}

/// A key that nobody asks: credentials are built without it.
#[derive(Debug)]
struct Unasked;

impl Signer for Unasked {
    fn sign<'a>(&'a self, _: SigningAlgorithm, _: &'a [u8]) -> BoxFuture<'a, Result<Vec<u8>>> {
        panic!("a credential is built without a signature")
    }
}

/// A credential whose key is elsewhere, built that many seconds from now.
fn elsewhere(certificates: &[u8], seconds: i64) -> Result<ClientCertificate> {
    let clock = clock();
    clock.jump_wall(seconds);
    let builder = ClientCertificate::builder().signer(certificates, Arc::new(Unasked));
    timed(AT_ONCE, "a signer's certificate", || builder.build_with(&platform(&clock)))
}

#[test]
fn the_bounds_of_rsa_keys_are_exact_for_files_and_for_signers() {
    let Some(shop) = Workshop::open() else { return };
    // More primes for large keys: they are found sooner, and what they are is judged by their size alone.
    for (bits, primes, expected) in [
        (2040, 2, Some("has 2040 bits, which is too weak")),
        (2047, 2, Some("has 2047 bits, which is too weak")),
        (2048, 2, None),
        (4097, 4, Some("has 4097 bits, more than can be used")),
        (4104, 4, Some("has 4104 bits, more than can be used")),
    ] {
        shop.run(&format!("genrsa -primes {primes} -out x.key {bits}"));
        shop.run("req -x509 -new -key x.key -subj /CN=x -days 9 -out x.pem");
        let path = shop.join(&["x.key", "x.pem"], "both.pem");
        let file = timed(AT_ONCE, "a file", || from_file(&path));
        for result in [file, elsewhere(&shop.read("x.pem"), 0)] {
            match expected {
                None => assert!(result.is_ok(), "{bits}: {result:?}"),
                Some(expected) => assert!(refusal(result).contains(expected), "{bits}"),
            }
        }
    }
    shop.run("genrsa -primes 4 -out x.key 4096");
    shop.run("req -x509 -new -key x.key -subj /CN=x -days 9 -out x.pem");
    elsewhere(&shop.read("x.pem"), 0).unwrap();
}

#[test]
fn the_certificate_of_a_signer_is_judged_like_one_in_a_file() {
    let Some(shop) = Workshop::open() else { return };
    shop.run("ecparam -genkey -name prime256v1 -noout -out ec.key");
    shop.run("genpkey -algorithm ed25519 -out ed25519.key");
    shop.run("genpkey -algorithm RSA-PSS -pkeyopt rsa_keygen_bits:2048 -out pss.key");
    shop.run("genrsa -out small.key 1024");
    shop.run("genrsa -primes 5 -out large.key 8192");
    for name in ["ec", "ed25519", "pss", "small", "large"] {
        shop.run(&format!("req -x509 -new -key {name}.key -subj /CN=x -days 9 -out {name}.pem"));
    }
    for (names, seconds, expected) in [
        (&["ec.pem"][..], 0, "is an elliptic-curve key; Entra ID takes RSA keys"),
        (&["ed25519.pem"], 0, "is an Ed25519 or Ed448 key"),
        (&["pss.pem"], 0, "is an RSA key for PSS only"),
        (&["small.pem"], 0, "has 1024 bits, which is too weak"),
        (&["large.pem"], 0, "has 8192 bits, more than can be used"),
        (&["cert.pem"], 86_400 * 366, "expired 24 hours ago"),
        (&["cert.pem"], -86_400 * 61 / 2, "becomes valid in 30 days"),
        // The first one is the key's.
        (&["ec.pem", "cert.pem"], 0, "is an elliptic-curve key"),
        (&["small.pem", "cert.pem"], 0, "has 1024 bits"),
    ] {
        let message = refusal(elsewhere(&std::fs::read(shop.join(names, "all.pem")).unwrap(), seconds));
        assert!(message.starts_with("the signer's certificates: ") && message.contains(expected), "{message}");
    }
    for names in [&["cert.pem"][..], &["cert.pem", "ec.pem", "small.pem"], &["key.pem", "cert.pem"]] {
        elsewhere(&std::fs::read(shop.join(names, "all.pem")).unwrap(), 0).unwrap();
    }
}

#[test]
fn what_needs_no_password_is_refused_at_once() {
    let Some(shop) = Workshop::open() else { return };
    shop.authority("other");
    shop.run("rsa -in key.pem -traditional -aes256 -passout pass:x -out old.key");
    for (names, seconds, expected) in [
        (&["cert.pem"][..], 0, "holds no private key"),
        (&["key.pem"], 0, "holds no certificate"),
        (&["key.pem", "other.pem"], 0, "belongs to none of its certificates"),
        (&["other.key", "cert.pem"], 0, "belongs to none of its certificates"),
        (&["key.pem", "cert.pem"], 86_400 * 366, "expired 24 hours ago"),
        (&["old.key", "cert.pem"], 0, "in OpenSSL's old form"),
    ] {
        let path = shop.join(names, "both.pem");
        let clock = clock();
        clock.jump_wall(seconds);
        for password in ["", "x", "wrong"] {
            let builder = ClientCertificate::builder().certificate_path(&path).password(password);
            let result = timed(AT_ONCE, "a refusal", || builder.build_with(&platform(&clock)));
            assert!(refusal(result).contains(expected), "{names:?} {password}");
        }
    }
}

#[test]
fn certificates_outside_of_their_time_are_refused() {
    let Some(shop) = Workshop::open() else { return };
    let path = shop.join(&["key.pem", "cert.pem"], "both.pem");
    for (seconds, expected) in [
        (0, None),
        (-240, None),
        (-400, Some("becomes valid in less than 2 hours")),
        (-86_400 * 61 / 2, Some("becomes valid in 30 days")),
        (86_400 * 364, None),
        (86_400 * 366, Some("expired 24 hours ago")),
        (86_400 * 3650, Some("expired 3285 days ago")),
    ] {
        let clock = clock();
        clock.jump_wall(seconds);
        let result = ClientCertificate::builder().certificate_path(&path).build_with(&platform(&clock));
        match expected {
            None => assert!(result.is_ok(), "{seconds}: {result:?}"),
            Some(expected) => assert!(refusal(result).contains(expected), "{seconds}"),
        }
    }
}

#[cfg(not(feature = "pkcs12"))]
#[test]
fn a_build_without_pkcs12_names_the_feature() {
    let Some(shop) = Workshop::open() else { return };
    shop.run("pkcs12 -export -inkey key.pem -in cert.pem -passout pass:x -out store.pfx");
    let message = refusal(from_file(&shop.path("store.pfx")));
    assert!(message.contains("turn on the feature certificate-pkcs12"), "{message}");
}

#[test]
fn a_file_that_is_cut_is_refused() {
    let Some(shop) = Workshop::open() else { return };
    let whole = std::fs::read(shop.join(&["key.pem", "cert.pem"], "both.pem")).unwrap();
    for len in (0..whole.len() - 2).step_by(7) {
        refusal(from_data(&whole[..len]));
    }
}

/// What may be taken by everything that derives no key from a password.
const AT_ONCE: Duration = Duration::from_millis(100);
