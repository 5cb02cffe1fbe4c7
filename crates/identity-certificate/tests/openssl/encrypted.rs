//! Encrypted PEM.

use std::time::Duration;

use crate::support::*;

const PASSWORD: &str = "CANARY-pässword";

fn encrypt(shop: &Workshop, options: &str) -> std::path::PathBuf {
    shop.run(&format!("pkcs8 -topk8 -in key.pem -passout pass:{PASSWORD} -out secret.pem {options}"));
    shop.join(&["secret.pem", "cert.pem"], "both.pem")
}

#[test]
fn every_cipher_and_hash_of_pbes2_is_read() {
    let Some(shop) = Workshop::open() else { return };
    for cipher in ["aes-128-cbc", "aes-192-cbc", "aes-256-cbc", "des3"] {
        for hash in ["hmacWithSHA1", "hmacWithSHA256", "hmacWithSHA384", "hmacWithSHA512"] {
            let path = encrypt(&shop, &format!("-v2 {cipher} -v2prf {hash}"));
            let certificate = with_password(&path, PASSWORD).unwrap_or_else(|error| panic!("{cipher} {hash}: {error}"));
            assert!(shop.verifies(&assertion(&certificate, "TENANT", now()), "pub.pem"), "{cipher} {hash}");
        }
    }
    // As a careful person has it; ten times as many are as good, and take a second without optimisation.
    let path = encrypt(&shop, "-v2 aes-256-cbc -iter 100000");
    with_password(&path, PASSWORD).unwrap();
}

#[test]
fn a_wrong_password_and_none_are_told_apart() {
    let Some(shop) = Workshop::open() else { return };
    let path = encrypt(&shop, "-v2 aes-256-cbc -iter 1");
    for result in [from_file(&path), with_password(&path, "")] {
        let message = refusal(result);
        assert!(message.contains("is encrypted and no password was given"), "{message}");
    }
    // More than 256, so that some leave a padding that could be one.
    for number in 0..1000 {
        let message = refusal(with_password(&path, &format!("wrong-{number}")));
        assert!(message.ends_with("the password is wrong, or it is damaged"), "{message}");
        assert!(message.contains(path.to_str().unwrap()) && !message.contains("wrong-"), "{message}");
    }
}

#[test]
fn a_wrong_password_is_told_in_two_seconds() {
    let Some(shop) = Workshop::open() else { return };
    for options in ["-v2 aes-256-cbc", "-v2 aes-256-cbc -iter 20000", "-v2 des3 -v2prf hmacWithSHA512 -iter 20000"] {
        let path = encrypt(&shop, options);
        let result = timed(Duration::from_secs(2), options, || with_password(&path, "wrong"));
        assert!(refusal(result).ends_with("the password is wrong, or it is damaged"), "{options}");
    }
    // Without one no key is derived.
    let path = encrypt(&shop, "-v2 aes-256-cbc -iter 100000");
    let result = timed(Duration::from_millis(100), "no password", || from_file(&path));
    assert!(refusal(result).contains("no password was given"));
}

#[test]
fn a_password_that_is_not_needed_does_no_harm() {
    let Some(shop) = Workshop::open() else { return };
    with_password(&shop.join(&["key.pem", "cert.pem"], "both.pem"), PASSWORD).unwrap();
}

#[test]
fn what_is_encrypted_otherwise_is_refused_with_the_command_that_converts_it() {
    let Some(shop) = Workshop::open() else { return };
    for (options, what) in [
        ("-scrypt", "scrypt"),
        ("-v2 camellia-256-cbc", "a cipher other than"),
        ("-v2prf hmacWithSHA224", "PBKDF2 with a hash"),
    ] {
        let message = refusal(with_password(&encrypt(&shop, options), PASSWORD));
        assert!(message.contains(what) && message.contains("openssl pkcs8 -topk8 -v2 aes-256-cbc"), "{message}");
    }
}

#[test]
fn a_count_of_rounds_that_would_take_for_ever_is_refused_at_once() {
    let Some(shop) = Workshop::open() else { return };
    let path = encrypt(&shop, "-v2 aes-256-cbc -iter 16909060");
    let der = {
        shop.run("asn1parse -in secret.pem -out secret.der -noout");
        shop.read("secret.der")
    };
    for rounds in
        [[0x01, 0x02, 0x03, 0x04], [0x3b, 0x9a, 0xca, 0x00], [0x7f, 0xff, 0xff, 0xff], [0x00, 0x1e, 0x84, 0x81]]
    {
        let at = der.windows(4).position(|window| window == [0x01, 0x02, 0x03, 0x04]).unwrap();
        let mut changed = der.clone();
        changed[at..at + 4].copy_from_slice(&rounds);
        let pem = format!(
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\n{}\n-----END ENCRYPTED PRIVATE KEY-----\n",
            identity_core::text::base64(&changed)
        );
        shop.write("changed.pem", pem.as_bytes());
        shop.join(&["changed.pem", "cert.pem"], "both.pem");
        let result = timed(Duration::from_millis(50), "a refusal", || with_password(&path, PASSWORD));
        let message = refusal(result);
        assert!(message.contains("more than 2000000 rounds"), "{message}");
    }
}

#[test]
fn neither_key_nor_password_is_shown() {
    let Some(shop) = Workshop::open() else { return };
    let path = encrypt(&shop, "-v2 aes-256-cbc -iter 1");
    let builder = identity_certificate::CertificateCredential::builder("TENANT", CLIENT)
        .certificate_path(&path)
        .password(PASSWORD)
        .send_certificate_chain();
    let shown = format!("{builder:?} {builder:#?}");
    let credential = builder.build_with(&platform(&clock())).unwrap();
    let certificate = with_password(&path, PASSWORD).unwrap();
    let data =
        identity_certificate::ClientCertificate::builder().certificate_data(shop.read("key.pem")).password(PASSWORD);
    let shown = format!("{shown} {credential:?} {credential:#?} {certificate:?} {certificate:#?} {data:?} {data:#?}");
    let key = String::from_utf8(shop.read("key.pem")).unwrap();
    assert!(!shown.contains("CANARY") && !shown.contains("pässword"));
    for line in key.lines().skip(1) {
        assert!(!shown.contains(line), "{line}");
    }
}
