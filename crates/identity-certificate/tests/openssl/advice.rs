//! The commands that messages advise work, and give a file that is read.

use identity_certificate::ClientCertificate;

use crate::support::*;

/// Does what a message advises for the file `FILE`, whose password is `x`; the new one's is `y`. Returns what it gives.
fn follow(shop: &Workshop, message: &str) -> String {
    let (_, advice) = message.split_once(": openssl ").unwrap();
    let (command, rest) = advice.split_at(advice.find([',', '(']).unwrap_or(advice.len()));
    // Options that the message has for old files.
    let (_, options) = rest.split_once("(with ").unwrap_or_default();
    let (options, _) = options.split_once(" for old files)").unwrap_or_default();
    let mut command = format!("{} -passin pass:x {options}", command.trim_end());
    if !["-nocrypt", "-nodes"].iter().any(|option| command.contains(option)) {
        command += " -passout pass:y";
    }
    shop.run(&command.replace("  ", " "));
    let mut new = String::from_utf8(shop.read("NEW.pem")).unwrap();
    if rest.contains("append the certificates") {
        let file = String::from_utf8(shop.read("FILE")).unwrap();
        let certificates = file.split_inclusive("-----END CERTIFICATE-----\n").map(|part| {
            let at = part.find("-----BEGIN CERTIFICATE").unwrap_or(part.len());
            &part[at..]
        });
        new.extend(certificates);
    }
    new
}

/// Whether the new file signs, with the same chain.
fn check(shop: &Workshop, new: &str, public_key: &str, chain: &[&str]) {
    let builder = ClientCertificate::builder().certificate_data(new).password("y").send_certificate_chain();
    let assertion = assertion(&build(builder).unwrap(), "TENANT", now());
    assert!(shop.verifies(&assertion, public_key));
    let expected: Vec<_> = chain.iter().map(|name| shop.der(name)).collect();
    assert_eq!(decoded(&assertion).0["x5c"], serde_json::json!(expected));
    let is_open = new.contains("-----BEGIN PRIVATE KEY-----");
    assert!(is_open != cfg!(feature = "encrypted"), "{new}");
}

/// A chain of three, the files `own.key`, `own.pem`, `middle.pem` and `root.pem`.
fn chain(shop: &Workshop) {
    shop.authority("root");
    shop.issue_authority("middle", "root");
    shop.issue("own", "middle");
    shop.run("rsa -in own.key -pubout -out own.pub");
}

fn refused(shop: &Workshop) -> String {
    refusal(build(ClientCertificate::builder().certificate_path(shop.path("FILE")).password("x")))
}

#[test]
fn the_old_encryption_of_openssl_is_converted() {
    let Some(shop) = Workshop::open() else { return };
    chain(&shop);
    shop.run("rsa -in own.key -traditional -aes256 -passout pass:x -out old.key");
    for order in [["old.key", "own.pem", "middle.pem", "root.pem"], ["own.pem", "middle.pem", "root.pem", "old.key"]] {
        shop.join(&order, "FILE");
        let message = refused(&shop);
        assert!(message.contains("in OpenSSL's old form (Proc-Type: 4,ENCRYPTED), which is not read"), "{message}");
        check(&shop, &follow(&shop, &message), "own.pub", &["own", "middle", "root"]);
    }
}

#[test]
fn keys_that_are_encrypted_in_other_ways_are_converted() {
    let Some(shop) = Workshop::open() else { return };
    let mut rows = vec![
        ("-scrypt", "it uses scrypt, which is not read"),
        ("-v2 camellia-256-cbc", "it uses a cipher other than AES-CBC and 3DES-CBC, which is not read"),
        ("-v1 PBE-MD5-DES", "it uses a scheme other than PBES2"),
    ];
    if cfg!(not(feature = "encrypted")) {
        rows = vec![("-v2 aes-256-cbc", "turn on the feature certificate-encrypted")];
    }
    for (options, expected) in rows {
        let legacy = if options.contains("DES") { " -provider legacy -provider default" } else { "" };
        shop.run(&format!("pkcs8 -topk8 -in key.pem -passout pass:x -out secret.pem {options}{legacy}"));
        shop.join(&["secret.pem", "cert.pem"], "FILE");
        let message = refused(&shop);
        assert!(message.contains(expected), "{message}");
        check(&shop, &follow(&shop, &message), "pub.pem", &["cert"]);
    }
}

#[test]
fn stores_that_are_not_read_are_converted() {
    let Some(shop) = Workshop::open() else { return };
    chain(&shop);
    shop.join(&["middle.pem", "root.pem"], "others.pem");
    let mut rows = vec![
        ("-legacy -keypbe PBE-SHA1-RC4-128", "it uses a scheme other than PBES2 and those of PKCS#12 for encryption"),
        ("-macalg SHA224", "it uses an integrity check by SHA-224"),
    ];
    if cfg!(not(feature = "pkcs12")) {
        rows = vec![("-macalg SHA256", "turn on the feature certificate-pkcs12")];
    }
    for (options, expected) in rows {
        let rest = "-certfile others.pem -passout pass:x -out FILE";
        shop.run(&format!("pkcs12 -export -inkey own.key -in own.pem {rest} {options}"));
        let message = refused(&shop);
        assert!(message.contains(expected), "{message}");
        check(&shop, &follow(&shop, &message), "own.pub", &["own", "middle", "root"]);
    }
}
