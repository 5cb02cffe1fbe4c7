//! Nothing of a key, or of what was signed with it, stays in this process' memory. A program of its own, with a key of its
//! own, so that nobody else has the key.
#![cfg(target_os = "linux")]
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a test ends when it is not so, and works with real files"
)]

#[path = "openssl/support.rs"]
mod support;

use std::{
    fs::{self, File},
    os::unix::fs::FileExt as _,
    process::Command,
};

use identity_certificate::ClientCertificate;
use identity_core::fakes::{FakeClock, Sim};
use identity_oauth::{ClientAuthentication as _, Proof, ProofRequest};

use support::*;

/// Bytes to look for, changed so that they are not found where they are kept.
struct Pattern(&'static str, Vec<u8>);

impl Pattern {
    fn new(name: &'static str, bytes: impl IntoIterator<Item = u8>) -> Self {
        Self(name, bytes.into_iter().map(|byte| byte ^ MASK).collect())
    }

    fn is_at(&self, window: &[u8]) -> bool {
        window.iter().zip(&self.1).all(|(byte, kept)| byte ^ MASK == *kept)
    }
}

const MASK: u8 = 0xa5;

/// How often the patterns stand in what this process may write to.
fn found(patterns: &[Pattern]) -> Vec<(&'static str, usize)> {
    let memory = File::open("/proc/self/mem").unwrap();
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let mut found: Vec<_> = patterns.iter().map(|pattern| (pattern.0, 0)).collect();
    for line in maps.lines().filter(|line| line.split(' ').nth(1).is_some_and(|rights| rights.starts_with("rw"))) {
        let (from, to) = line.split(' ').next().unwrap().split_once('-').unwrap();
        let [from, to] = [from, to].map(|address| u64::from_str_radix(address, 16).unwrap());
        let mut bytes = vec![0; usize::try_from(to - from).unwrap()];
        // What is read is looked through, changed, and thereby not found in its own turn.
        let Ok(len) = memory.read_at(&mut bytes, from) else { continue };
        bytes.truncate(len);
        for ((_, count), pattern) in found.iter_mut().zip(patterns) {
            *count += bytes.windows(pattern.1.len()).filter(|window| pattern.is_at(window)).count();
        }
        bytes.fill(0);
    }
    found
}

/// Bytes of a file that another program prints in digits, so that they are never here as they are.
fn digits(shop: &Workshop, arguments: &[&str]) -> Vec<u8> {
    let output =
        Command::new("od").args(["-An", "-v", "-tx1"]).args(arguments).current_dir(shop.path("")).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.split_ascii_whitespace().map(|digits| u8::from_str_radix(digits, 16).unwrap() ^ MASK).collect()
}

fn sign(certificate: &ClientCertificate) -> Vec<Pattern> {
    let request = ProofRequest::new(ENDPOINT, CLIENT, "TENANT", now());
    let Ok(Proof::Assertion(assertion)) = Sim::new(&FakeClock::default()).run(certificate.prove(&request)) else {
        panic!("no assertion")
    };
    let text = assertion.expose();
    let (header, rest) = text.split_once('.').unwrap();
    let (claims, signature) = rest.split_once('.').unwrap();
    let mut raw = identity_core::text::base64url_decode(signature).unwrap();
    raw.iter_mut().for_each(|byte| *byte ^= MASK);
    let input = [&header[header.len() - 20..], ".", &claims[..20]];
    // Not from their beginning: who frees memory writes there.
    vec![
        Pattern::new("signature", signature.bytes().skip(100)),
        Pattern("signature, decoded", raw[100..].to_vec()),
        // Header and claims on their own say nothing that is secret.
        Pattern::new("what is signed", input.into_iter().flat_map(str::bytes)),
    ]
}

#[test]
fn nothing_stays_in_memory() {
    let Some(shop) = Workshop::open() else { return };
    // The private exponent, of which ring keeps nothing, goes from byte 280 on to 536.
    shop.run("genrsa -out own.key 2048");
    shop.run("req -x509 -new -key own.key -subj /CN=own -days 9 -out own.pem");
    shop.run("rsa -in own.key -traditional -outform der -out own.der");
    shop.run("pkcs8 -topk8 -nocrypt -in own.key -out own8.pem");
    shop.write("text", b"M\xfcller: \xff\xff\xff\n");
    let exponent = |name, at: usize| {
        let kept = digits(&shop, &["-j", &at.to_string(), "-N", "40", "own.der"]);
        Pattern(name, kept)
    };
    let mut kinds = vec![("PEM", vec!["text", "own8.pem", "own.pem"])];
    if cfg!(feature = "pkcs12") {
        shop.run("pkcs12 -export -inkey own.key -in own.pem -passout pass:x -keypbe NONE -certpbe NONE -out open.pfx");
        kinds.push(("PKCS#12", vec!["open.pfx"]));
        shop.run("pkcs12 -export -inkey own.key -in own.pem -passout pass:x -out store.pfx");
        kinds.push(("encrypted PKCS#12", vec!["store.pfx"]));
    }
    for (kind, names) in kinds {
        // Files are put together by another program.
        let command = format!("cat {} > FILE", names.join(" "));
        assert!(Command::new("sh").args(["-c", &command]).current_dir(shop.path("")).status().unwrap().success());
        let mut patterns = vec![exponent("d", 300)];
        for at in ["200", "500", "900", "1300"] {
            patterns.push(Pattern("PEM", digits(&shop, &["-j", at, "-N", "50", "own8.pem"])));
        }
        let platform = platform(&clock());
        {
            let builder = ClientCertificate::builder().certificate_path(shop.path("FILE")).password("x");
            let certificate = builder.build_with(&platform).unwrap();
            patterns.extend(sign(&certificate));
        }
        let all = found(&patterns);
        assert!(all.iter().all(|(_, count)| *count == 0), "{kind}: {all:?}");
    }
    // What is not wiped is found, perhaps more than once: what is read of the memory lies in it.
    let shown = fs::read(shop.path("own.der")).unwrap();
    assert!(found(&[exponent("d", 300)])[0].1 > 0, "{}", shown.len());
}
