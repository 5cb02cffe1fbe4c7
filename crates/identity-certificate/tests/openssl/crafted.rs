//! PKCS#12, and a key, that no command here writes: built by hand, with what OpenSSL derives.

use crate::support::*;

const DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01];
const ENCRYPTED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x06];
const X509_CERTIFICATE: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x16, 0x01];
const BAG: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x0c, 0x0a, 0x01];
const PBE_TRIPLE_DES: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x0c, 0x01, 0x03];
const PBMAC1: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0e];
const PBES2: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0d];
const AES_256_CBC: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x2a];
const PBKDF2: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0c];
const HMAC: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x02];
const SHA1: &[u8] = &[0x2b, 0x0e, 0x03, 0x02, 0x1a];
const SHA2: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02];

const SALT: &str = "0102030405060708";

fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let len = content.len();
    let head = if len < 0x80 { vec![tag, len as u8] } else { vec![tag, 0x82, (len >> 8) as u8, len as u8] };
    [head, content].concat()
}

fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    element(0x30, parts)
}

fn string(content: &[u8]) -> Vec<u8> {
    element(0x04, &[content])
}

fn oid(name: &[u8]) -> Vec<u8> {
    element(0x06, &[name])
}

fn number(value: u16) -> Vec<u8> {
    element(0x02, &[&[0], &value.to_be_bytes()])
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<char> = text.chars().filter(char::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(&pair.iter().collect::<String>(), 16).unwrap()).collect()
}

/// What OpenSSL derives.
fn derive(shop: &Workshop, options: &str) -> Vec<u8> {
    hex(&shop.run(&format!("kdf {options}")))
}

/// What OpenSSL authenticates with that key.
fn hmac(shop: &Workshop, hash: &str, key: &[u8], message: &[u8]) -> Vec<u8> {
    shop.write("message", message);
    let key = identity_core::text::hex(key);
    let printed = shop.run(&format!("dgst -{hash} -mac HMAC -macopt hexkey:{key} message"));
    hex(printed.rsplit_once("= ").unwrap().1)
}

/// The bag of that kind.
fn bag(kind: u8, value: &[u8]) -> Vec<u8> {
    sequence(&[&oid(&[BAG, &[kind]].concat()), &element(0xa0, &[value])])
}

fn key_bag(shop: &Workshop) -> Vec<u8> {
    shop.run("pkcs8 -topk8 -nocrypt -in key.pem -outform der -out key.der");
    bag(1, &shop.read("key.der"))
}

fn certificate_bag(shop: &Workshop) -> Vec<u8> {
    shop.run("x509 -in cert.pem -outform der -out cert.der");
    let wrapped = element(0xa0, &[&string(&shop.read("cert.der"))]);
    bag(3, &sequence(&[&oid(X509_CERTIFICATE), &wrapped]))
}

fn content_info(kind: &[u8], content: &[u8]) -> Vec<u8> {
    sequence(&[&oid(kind), &element(0xa0, &[content])])
}

/// What the integrity check covers: the bags in one part that is not encrypted.
fn safe(bags: &[&[u8]]) -> Vec<u8> {
    sequence(&[&content_info(DATA, &string(&sequence(bags)))])
}

/// A whole file, with or without an integrity check.
fn store(shop: &Workshop, safe: &[u8], check: &[u8]) -> std::path::PathBuf {
    let file = sequence(&[&number(3), &content_info(DATA, &string(safe)), check]);
    shop.write("store.pfx", &file)
}

fn both(shop: &Workshop) -> Vec<u8> {
    safe(&[&key_bag(shop), &certificate_bag(shop)])
}

/// `MacData` as of old, with the key that was derived for it.
fn old_check(hash: &[u8], mac: &[u8]) -> Vec<u8> {
    let info = sequence(&[&sequence(&[&oid(hash), &[5, 0]]), &string(mac)]);
    sequence(&[&info, &string(&hex(SALT)), &number(2048)])
}

#[test]
fn bags_in_bags_are_read_and_not_for_ever() {
    let Some(shop) = Workshop::open() else { return };
    for depth in 0..7 {
        let nest = |inner: Vec<u8>| (0..depth).fold(inner, |inner, _| bag(6, &sequence(&[&inner])));
        let path = store(&shop, &safe(&[&nest(key_bag(&shop)), &nest(certificate_bag(&shop))]), &[]);
        let result = from_file(&path);
        if depth < 5 {
            assert!(shop.verifies(&assertion(&result.unwrap(), "TENANT", now()), "pub.pem"));
        } else {
            assert!(refusal(result).contains("it is not built as the standard (PKCS#12) says"));
        }
    }
}

#[test]
fn several_keys_are_refused() {
    let Some(shop) = Workshop::open() else { return };
    let (key, certificate) = (key_bag(&shop), certificate_bag(&shop));
    for bags in [[&key, &certificate, &key], [&key, &key, &certificate]] {
        let path = store(&shop, &safe(&bags.map(Vec::as_slice)), &[]);
        assert!(refusal(from_file(&path)).contains("several private keys"));
    }
}

#[test]
fn an_integrity_check_that_fails_is_believed() {
    let Some(shop) = Workshop::open() else { return };
    let safe = both(&shop);
    let derived = "-keylen 32 -kdfopt digest:SHA256 -kdfopt hexpass:00780000 -kdfopt iter:2048 -kdfopt id:3";
    let key = derive(&shop, &format!("{derived} -kdfopt hexsalt:{SALT} PKCS12KDF"));
    let hash = [SHA2, &[1]].concat();
    let mut mac = hmac(&shop, "sha256", &key, &safe);
    with_password(&store(&shop, &safe, &old_check(&hash, &mac)), "x").unwrap();
    mac[31] ^= 1;
    let message = refusal(with_password(&store(&shop, &safe, &old_check(&hash, &mac)), "x"));
    assert!(message.ends_with("the password is wrong, or it is damaged"), "{message}");
    let cut = old_check(&hash, &mac[..31]);
    assert!(refusal(with_password(&store(&shop, &safe, &cut), "x")).contains("the password is wrong"));
}

#[test]
fn an_empty_password_may_have_been_taken_for_none() {
    let Some(shop) = Workshop::open() else { return };
    let derived = |len, id, password| {
        let options = format!("-keylen {len} -kdfopt digest:SHA1 -kdfopt iter:2048 -kdfopt id:{id}");
        derive(&shop, &format!("{options} -kdfopt hexpass:{password} -kdfopt hexsalt:{SALT} PKCS12KDF"))
    };
    let (key, certificate) = (key_bag(&shop), certificate_bag(&shop));
    for password in ["", "0000"] {
        let (secret, vector) = (derived(24, 1, password), derived(8, 2, password));
        let [secret, vector] = [secret, vector].map(|bytes| identity_core::text::hex(&bytes));
        shop.run(&format!("enc -des-ede3-cbc -K {secret} -iv {vector} -in key.der -out key.enc"));
        let scheme = sequence(&[&oid(PBE_TRIPLE_DES), &sequence(&[&string(&hex(SALT)), &number(2048)])]);
        let encrypted = bag(2, &sequence(&[&scheme, &string(&shop.read("key.enc"))]));
        for bags in [[&key, &certificate], [&encrypted, &certificate]] {
            let safe = safe(&bags.map(Vec::as_slice));
            let mac = hmac(&shop, "sha1", &derived(20, 3, password), &safe);
            let path = store(&shop, &safe, &old_check(SHA1, &mac));
            from_file(&path).unwrap_or_else(|error| panic!("{password:?}: {error}"));
            with_password(&path, "").unwrap();
            refusal(with_password(&path, "x"));
        }
    }
}

/// `MacData` of RFC 9579: the parameters of PBKDF2 after its salt, and the number of the hash that authenticates.
fn new_check(parameters: &[&[u8]], hash: u8, mac: &[u8]) -> Vec<u8> {
    let parameters = sequence(&[&string(&hex(SALT)), &parameters.concat()]);
    let derivation = sequence(&[&oid(PBKDF2), &parameters]);
    let scheme = sequence(&[&oid(&[HMAC, &[hash]].concat()), &[5, 0]]);
    let algorithm = sequence(&[&oid(PBMAC1), &sequence(&[&derivation, &scheme])]);
    // The salt and the count of old are there, and not used.
    sequence(&[&sequence(&[&algorithm, &string(mac)]), &string(b"NOT USED"), &number(1)])
}

#[test]
fn integrity_is_checked_by_pbmac1() {
    let Some(shop) = Workshop::open() else { return };
    let safe = both(&shop);
    let prf = |hash: u8| sequence(&[&oid(&[HMAC, &[hash]].concat()), &[5, 0]]);
    let derived = |name: &str, len: u16, password: &str| {
        let options = format!("-keylen {len} -kdfopt digest:{name} -kdfopt pass:{password} -kdfopt hexsalt:{SALT}");
        derive(&shop, &format!("{options} -kdfopt iter:2048 -kdfopt pkcs5:1 PBKDF2"))
    };
    let hashes = [(7, "sha1"), (9, "sha256"), (10, "sha384"), (11, "sha512")];
    for ((number_of_prf, prf_name), (hash, name)) in hashes.into_iter().zip(hashes.into_iter().cycle().skip(1)) {
        for len in [20, 32, 64, 100] {
            let mac = hmac(&shop, name, &derived(prf_name, len, "pässword"), &safe);
            let parameters = [&number(2048)[..], &element(2, &[&[len as u8]]), &prf(number_of_prf)];
            let path = store(&shop, &safe, &new_check(&parameters, hash, &mac));
            let certificate = with_password(&path, "pässword").unwrap_or_else(|error| panic!("{name} {len}: {error}"));
            assert!(shop.verifies(&assertion(&certificate, "TENANT", now()), "pub.pem"));
            assert!(refusal(with_password(&path, "wrong")).ends_with("the password is wrong, or it is damaged"));
            assert!(refusal(from_file(&path)).contains("no password was given"));
        }
    }
    let (count, len, prf) = (number(2048), element(2, &[&[32]]), prf(9));
    let mac = hmac(&shop, "sha256", &derived("sha256", 32, "x"), &safe);
    with_password(&store(&shop, &safe, &new_check(&[&count, &len, &prf], 9, &mac)), "x").unwrap();
    let short = hmac(&shop, "sha256", &derived("sha256", 19, "x"), &safe);
    for (parameters, hash, mac, expected) in [
        // RFC 9579, appendices A.4 and A.6: another count, and no length; OpenSSL's tests: a short one, a long mac.
        (&[&number(2049), &len, &prf][..], 9, &mac[..], "the password is wrong, or it is damaged"),
        (&[&count, &prf], 9, &mac, "its encryption is not described as the standard says"),
        (&[&count, &element(2, &[&[19]]), &prf], 9, &short, "its encryption is not described as the standard says"),
        (&[&count, &len, &prf], 9, &[&mac[..], &[0]].concat(), "the password is wrong, or it is damaged"),
        (&[&count, &len, &prf], 8, &mac, "it uses an integrity check by a hash other than SHA-1, SHA-256"),
        (&[&element(2, &[&[0x3b, 0x9a, 0xca, 0x00]]), &len, &prf], 9, &mac, "more than 2000000 rounds"),
    ] {
        let parameters: Vec<&[u8]> = parameters.iter().map(|parameter| parameter.as_slice()).collect();
        let message = refusal(with_password(&store(&shop, &safe, &new_check(&parameters, hash, mac)), "x"));
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn hashes_of_integrity_checks_that_are_not_read_are_named() {
    let Some(shop) = Workshop::open() else { return };
    for (hash, expected) in [
        ("SHA224", "it uses an integrity check by SHA-224, which"),
        ("SHA512-256", "it uses an integrity check by a hash"),
    ] {
        shop.run(&format!("pkcs12 -export -inkey key.pem -in cert.pem -passout pass:x -macalg {hash} -out store.pfx"));
        let message = refusal(with_password(&shop.path("store.pfx"), "x"));
        assert!(message.contains(expected) && !message.contains("encrypted with"), "{message}");
    }
}

#[test]
fn what_is_no_store_with_a_password_is_called_what_it_is() {
    let Some(shop) = Workshop::open() else { return };
    let kind = |last: u8| [&DATA[..8], &[last]].concat();
    let outer = |last| sequence(&[&number(3), &content_info(&kind(last), &string(&both(&shop)))]);
    let inner = |last| {
        let safe = sequence(&[&content_info(&kind(last), &string(&sequence(&[&key_bag(&shop)])))]);
        sequence(&[&number(3), &content_info(DATA, &string(&safe))])
    };
    let not_pkcs12 = "it is damaged: it is not built as the standard (PKCS#12) says";
    for (file, expected) in [
        (outer(2), "it uses a signature instead of a password"),
        (outer(3), not_pkcs12),
        (inner(3), "it uses a public key instead of a password"),
        (inner(5), not_pkcs12),
        (sequence(&[&number(3)]), not_pkcs12),
        (sequence(&[&number(3), &content_info(DATA, &string(&[0x30, 5]))]), not_pkcs12),
        (
            sequence(&[&number(3), &content_info(DATA, &string(&sequence(&[&content_info(ENCRYPTED_DATA, &[])])))]),
            not_pkcs12,
        ),
    ] {
        let message = refusal(from_file(&shop.write("store.pfx", &file)));
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn the_length_of_a_key_that_a_file_says_must_be_the_ciphers() {
    let Some(shop) = Workshop::open() else { return };
    shop.run("pkcs8 -topk8 -nocrypt -in key.pem -outform der -out key.der");
    let options = format!("-keylen 32 -kdfopt digest:SHA1 -kdfopt pass:x -kdfopt hexsalt:{SALT} -kdfopt iter:2048");
    let key = identity_core::text::hex(&derive(&shop, &format!("{options} -kdfopt pkcs5:1 PBKDF2")));
    let vector = SALT.repeat(2);
    shop.run(&format!("enc -aes-256-cbc -K {key} -iv {vector} -in key.der -out key.enc"));
    for (len, is_good) in [(&[][..], true), (&[2, 1, 32], true), (&[2, 1, 16], false), (&[2, 2, 0, 32], false)] {
        let derivation = sequence(&[&oid(PBKDF2), &sequence(&[&string(&hex(SALT)), &number(2048), len])]);
        let cipher = sequence(&[&oid(AES_256_CBC), &string(&hex(&vector))]);
        let scheme = sequence(&[&oid(PBES2), &sequence(&[&derivation, &cipher])]);
        let der = sequence(&[&scheme, &string(&shop.read("key.enc"))]);
        let body = identity_core::text::base64(&der);
        let pem = format!("-----BEGIN ENCRYPTED PRIVATE KEY-----\n{body}\n-----END ENCRYPTED PRIVATE KEY-----\n");
        shop.write("secret.pem", pem.as_bytes());
        let result = with_password(&shop.join(&["secret.pem", "cert.pem"], "both.pem"), "x");
        if is_good {
            assert!(shop.verifies(&assertion(&result.unwrap(), "TENANT", now()), "pub.pem"));
        } else {
            assert!(refusal(result).contains("its encryption is not described as the standard says"), "{len:?}");
        }
    }
}
