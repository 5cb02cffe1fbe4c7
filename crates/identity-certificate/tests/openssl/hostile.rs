//! Every prefix of every kind of file, and thousands of files with one byte changed: nothing panics, nothing takes long,
//! and nothing that was damaged shows a key.

use std::time::{Duration, Instant};

use identity_certificate::ClientCertificate;
use identity_core::Platform;

use crate::support::*;

/// Files of every kind that this build reads. Keys are derived in one round: what is tried is the reading.
fn fixtures(shop: &Workshop) -> Vec<(String, Vec<u8>)> {
    let mut all = vec![("pkcs8", vec!["key.pem", "cert.pem"]), ("pkcs1", vec!["cert.pem", "pkcs1.pem"])];
    if cfg!(feature = "encrypted") {
        shop.run("pkcs8 -topk8 -in key.pem -passout pass:x -v2 aes-256-cbc -iter 1 -out secret.pem");
        all.push(("encrypted", vec!["secret.pem", "cert.pem"]));
    }
    if cfg!(feature = "pkcs12") {
        for (name, options) in [
            ("new", "-iter 1"),
            ("old", "-legacy -certpbe PBE-SHA1-RC2-40 -iter 1"),
            ("unchecked", "-legacy -certpbe PBE-SHA1-RC2-40 -iter 1 -nomac"),
            ("open", "-keypbe NONE -certpbe NONE -nomac"),
        ] {
            shop.run(&format!("pkcs12 -export -inkey key.pem -in cert.pem -passout pass:x -out {name} {options}"));
            all.push((name, vec![name]));
        }
    }
    let read = |names: &[&str]| names.iter().flat_map(|name| shop.read(name)).collect();
    all.into_iter().map(|(name, names)| (name.to_owned(), read(&names))).collect()
}

/// Reads one, and says whether it was good.
fn try_one(platform: &Platform, what: &str, bytes: &[u8]) -> bool {
    let builder = ClientCertificate::builder().certificate_data(bytes).password("x");
    let start = Instant::now();
    let mut result = builder.clone().build_with(platform);
    // Ten times what a request may take. A machine that does much else stands still at times, but not twice.
    let limit = Duration::from_millis(500);
    if start.elapsed() > limit {
        result = timed(limit, what, || builder.build_with(platform));
    }
    match result {
        Ok(certificate) => {
            let shown = format!("{certificate:?}");
            assert!(shown.contains("PrivateKey(***)") && shown.len() < 200, "{shown}");
            // What was taken signs: a damaged key is found out when it is read.
            assertion(&certificate, "TENANT", now());
            true
        }
        Err(error) => {
            assert!(error.to_string().len() < 500, "{error}");
            false
        }
    }
}

#[test]
fn no_prefix_of_a_file_does_harm() {
    let Some(shop) = Workshop::open() else { return };
    let platform = platform(&clock());
    for (name, bytes) in fixtures(&shop) {
        assert!(try_one(&platform, &name, &bytes), "{name}");
        // The line end of PEM is not needed.
        for len in 0..bytes.len() - 1 {
            assert!(!try_one(&platform, &name, &bytes[..len]), "{name}: {len} of {}", bytes.len());
        }
    }
}

#[test]
fn no_changed_byte_of_a_file_does_harm() {
    let Some(shop) = Workshop::open() else { return };
    let platform = platform(&clock());
    for (name, bytes) in fixtures(&shop) {
        // Numbers that are the same in every run (xorshift).
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as usize
        };
        let mut refused = 0;
        for _ in 0..1_000 {
            let mut changed = bytes.clone();
            let at = next() % changed.len();
            changed[at] = next() as u8;
            let what = format!("{name} with byte {at} set to {}", changed[at]);
            refused += usize::from(!try_one(&platform, &what, &changed));
        }
        assert!(refused > 100, "{name}: {refused}");
    }
}

#[test]
fn large_files_of_nothing_but_beginnings_are_read_in_time() {
    let platform = platform(&clock());
    for (name, unit) in [
        ("blocks", &b"-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"[..]),
        ("begins", b"-----BEGIN CERTIFICATE-----\n"),
        ("begin", b"-----BEGIN "),
        ("lines", b"-----BEGIN A-----\n\n\n\n-----END B-----\n"),
        ("sequences", &[0x30, 0x80]),
        ("lengths", &[0x30, 0x84, 0x00, 0x03, 0xff, 0x00]),
        ("not UTF-8", b"-----BEGIN \xff\n"),
    ] {
        let bytes: Vec<u8> = unit.iter().copied().cycle().take(256 * 1024).collect();
        assert!(!try_one(&platform, name, &bytes));
    }
}
