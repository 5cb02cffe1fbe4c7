//! What people have, beside the files of tools: text that went through variables, keys that are damaged, other forms.

use identity_certificate::ClientCertificate;

use crate::support::*;

/// Key and certificate, as one text.
fn pem(shop: &Workshop) -> String {
    String::from_utf8(std::fs::read(shop.join(&["key.pem", "cert.pem"], "both.pem")).unwrap()).unwrap()
}

fn base64(bytes: &[u8]) -> String {
    identity_core::text::base64(bytes)
}

#[test]
fn text_that_lost_its_lines_is_read() {
    let Some(shop) = Workshop::open() else { return };
    let text = pem(&shop);
    for (what, changed) in [
        ("CR", text.replace('\n', "\r")),
        ("CR LF", text.replace('\n', "\r\n")),
        ("one line", text.replace('\n', " ")),
        ("one word", text.replace('\n', "")),
        ("escaped", text.replace('\n', "\\n")),
        ("escaped CR LF", text.replace('\n', "\\r\\n")),
        ("in quotes", format!("KEY=\"{}\"", text.replace('\n', "\\n"))),
        ("indented", text.replace('\n', "\n    ")),
        ("base64", base64(text.as_bytes())),
        ("base64 in lines", format!("{}\n", base64(text.as_bytes())).replace('L', "L\n")),
    ] {
        let certificate = from_data(changed).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert!(shop.verifies(&assertion(&certificate, "TENANT", now()), "pub.pem"), "{what}");
    }
}

#[test]
fn text_in_no_encoding_between_blocks_does_no_harm() {
    let Some(shop) = Workshop::open() else { return };
    let bytes = [b"subject=M\xfcller: GmbH\n", pem(&shop).as_bytes(), b"\xff: \xfe"].concat();
    from_data(bytes).unwrap();
}

#[test]
fn what_a_key_vault_gives_is_read() {
    let Some(shop) = Workshop::open() else { return };
    shop.run("pkcs12 -export -inkey key.pem -in cert.pem -passout pass: -out store.pfx");
    let text = base64(&shop.read("store.pfx"));
    for text in [text.clone(), format!("{text}\n"), text.replace('M', "M\r\n")] {
        let result = from_data(text);
        if cfg!(feature = "pkcs12") {
            assert!(shop.verifies(&assertion(&result.unwrap(), "TENANT", now()), "pub.pem"));
        } else {
            assert!(refusal(result).contains("turn on the feature certificate-pkcs12"));
        }
    }
    for (text, expected) in [("AAAA", "neither PEM nor PKCS#12"), ("MAA=", "is binary (DER) and no PKCS#12")] {
        assert!(refusal(from_data(text)).contains(expected), "{text}");
    }
}

#[test]
fn a_certificate_in_the_form_of_openssl_alone_is_read_and_sent_without_what_follows_it() {
    let Some(shop) = Workshop::open() else { return };
    shop.run("x509 -in cert.pem -trustout -addtrust clientAuth -setalias x -out trusted.pem");
    assert!(shop.read("trusted.pem").starts_with(b"-----BEGIN TRUSTED CERTIFICATE-----"));
    let path = shop.join(&["key.pem", "trusted.pem"], "both.pem");
    let builder = ClientCertificate::builder().certificate_path(path).send_certificate_chain();
    let (header, _) = decoded(&assertion(&build(builder).unwrap(), "TENANT", now()));
    assert_eq!(header["x5c"], serde_json::json!([shop.der("cert")]));
}

#[test]
fn data_of_256_kib_are_read_and_not_one_byte_more() {
    let Some(shop) = Workshop::open() else { return };
    let mut bytes = pem(&shop).into_bytes();
    bytes.resize(256 * 1024, b'\n');
    from_data(&bytes[..]).unwrap();
    from_file(&shop.write("large.pem", &bytes)).unwrap();
    bytes.push(b'\n');
    assert!(refusal(from_data(&bytes[..])).ends_with("it has more than 262144 bytes"));
    assert!(refusal(from_file(&shop.write("large.pem", &bytes))).contains("has more than 262144 bytes"));
}

/// Where the numbers of an `RSAPrivateKey` stand: the ends of version, modulus, exponent, d, p, q, dP, dQ and qInv.
fn ends(der: &[u8]) -> Vec<usize> {
    let mut at = 4;
    let mut ends = Vec::new();
    while at < der.len() {
        let (header, len) = match der[at + 1] {
            0x81 => (3, usize::from(der[at + 2])),
            0x82 => (4, usize::from(der[at + 2]) << 8 | usize::from(der[at + 3])),
            len => (2, usize::from(len)),
        };
        at += header + len;
        ends.push(at);
    }
    ends
}

#[test]
fn a_key_with_one_wrong_bit_is_refused_when_it_is_read() {
    let Some(shop) = Workshop::open() else { return };
    shop.run("rsa -in key.pem -traditional -outform der -out key.der");
    let der = shop.read("key.der");
    let ends = ends(&der);
    assert_eq!(ends.len(), 9);
    let read = |der: &[u8]| {
        let pem = format!("-----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----\n", base64(der));
        shop.write("changed.pem", pem.as_bytes());
        from_file(&shop.join(&["changed.pem", "cert.pem"], "both.pem"))
    };
    read(&der).unwrap();
    for (number, name) in [(4, "p"), (5, "q"), (6, "dP"), (7, "dQ"), (8, "qInv")] {
        for bit in 0..16 {
            let mut changed = der.clone();
            changed[ends[number] - 1 - bit / 8] ^= 1 << (bit % 8);
            let message = refusal(read(&changed));
            let expected = ["its numbers do not belong together", "its private key is not usable"];
            assert!(expected.iter().any(|expected| message.contains(expected)), "{name}: {message}");
            if name.starts_with('d') && bit > 0 {
                assert!(
                    message.ends_with("its private key is damaged: its numbers do not belong together"),
                    "{message}"
                );
            }
        }
    }
    // d itself is not used.
    let mut changed = der.clone();
    changed[ends[3] - 1] ^= 2;
    assert!(shop.verifies(&assertion(&read(&changed).unwrap(), "TENANT", now()), "pub.pem"));
}

#[test]
fn a_damaged_key_does_not_replace_a_good_one() {
    let Some(shop) = Workshop::open() else { return };
    let path = shop.join(&["pkcs1.pem", "cert.pem"], "both.pem");
    let certificate = from_file(&path).unwrap();
    shop.run("rsa -in key.pem -traditional -outform der -out key.der");
    let mut der = shop.read("key.der");
    let at = ends(&der)[6] - 1;
    der[at] ^= 4;
    let pem = format!("-----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----\n", base64(&der));
    shop.write("changed.pem", pem.as_bytes());
    shop.join(&["changed.pem", "cert.pem"], "both.pem");
    assert!(shop.verifies(&assertion(&certificate, "TENANT", now()), "pub.pem"));
}

#[test]
fn another_pair_in_the_file_replaces_the_first() {
    let Some(shop) = Workshop::open() else { return };
    shop.authority("other");
    shop.run("rsa -in other.key -pubout -out other.pub");
    let path = shop.join(&["key.pem", "cert.pem"], "both.pem");
    let certificate = build(ClientCertificate::builder().certificate_path(&path).send_certificate_chain()).unwrap();
    for (names, public, own) in
        [(["key.pem", "cert.pem"], "pub.pem", "cert"), (["other.pem", "other.key"], "other.pub", "other")]
    {
        shop.join(&names, "both.pem");
        let assertion = assertion(&certificate, "TENANT", now());
        assert!(shop.verifies(&assertion, public), "{own}");
        assert_eq!(decoded(&assertion).0["x5c"], serde_json::json!([shop.der(own)]));
    }
}

#[test]
fn keys_that_cannot_sign_here_are_told_what_is_expected() {
    let Some(shop) = Workshop::open() else { return };
    for (command, expected) in [
        (
            "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -pkeyopt rsa_keygen_pubexp:3 -out odd.key",
            "at least 65537",
        ),
        ("genrsa -out odd.key 2056", "of 2048, 3072 or 4096 bits"),
        ("genrsa -primes 3 -out odd.key 2048", "of two primes"),
    ] {
        shop.run(command);
        shop.run("req -x509 -new -key odd.key -subj /CN=odd -days 9 -out odd.pem");
        let message = refusal(from_file(&shop.join(&["odd.key", "odd.pem"], "both.pem")));
        assert!(message.contains("its private key is not usable") && message.contains(expected), "{message}");
    }
}

#[test]
fn of_two_issuers_with_one_name_the_one_whose_key_it_was_comes_next() {
    let Some(shop) = Workshop::open() else { return };
    for name in ["first", "second"] {
        shop.run(&format!("genrsa -out {name}.key 2048"));
        shop.run(&format!("req -x509 -new -key {name}.key -subj /CN=same -days 365 -out {name}.pem"));
    }
    shop.write(
        "extensions",
        b"subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\nbasicConstraints=critical,CA:FALSE\n",
    );
    shop.run("req -new -key key.pem -subj /CN=own -out own.csr");
    for (issuer, other) in [("first", "second"), ("second", "first")] {
        let rest = "-days 365 -set_serial 7 -extfile extensions";
        shop.run(&format!("x509 -req -in own.csr -CA {issuer}.pem -CAkey {issuer}.key {rest} -out own.pem"));
        for order in
            [["key.pem", "own.pem", "first.pem", "second.pem"], ["second.pem", "first.pem", "own.pem", "key.pem"]]
        {
            let builder = ClientCertificate::builder().certificate_path(shop.join(&order, "both.pem"));
            let certificate = build(builder.send_certificate_chain()).unwrap();
            let (header, _) = decoded(&assertion(&certificate, "TENANT", now()));
            let expected = ["own", issuer, other].map(|name| shop.der(name));
            assert_eq!(header["x5c"], serde_json::json!(expected), "{order:?}");
        }
    }
}
