//! PKCS#12.

use std::time::Duration;

use crate::support::*;

const PASSWORD: &str = "CANARY-\u{e4}\u{1f600}";

/// What OpenSSL can be told. The integrity check is counted by every option that counts: to have none comes last.
const FORMS: [&str; 10] = [
    "",
    "-legacy",
    "-legacy -keypbe PBE-SHA1-3DES -certpbe PBE-SHA1-3DES -macalg SHA1",
    "-legacy -keypbe PBE-SHA1-2DES -certpbe PBE-SHA1-RC2-128",
    "-keypbe AES-128-CBC -certpbe AES-192-CBC -macalg SHA384",
    "-macalg SHA512 -iter 20000",
    "-keypbe NONE -certpbe NONE",
    "-legacy -certpbe PBE-SHA1-RC2-40 -noiter",
    "-nomac",
    "-legacy -noiter -nomaciter -nomac",
];

fn export(shop: &Workshop, password: &str, options: &str) -> std::path::PathBuf {
    let rest = if options.is_empty() { String::new() } else { format!(" {options}") };
    shop.run(&format!("pkcs12 -export -inkey key.pem -in cert.pem -passout pass:{password} -out store.pfx{rest}"));
    shop.path("store.pfx")
}

#[test]
fn new_and_old_forms_are_read_with_and_without_a_password() {
    let Some(shop) = Workshop::open() else { return };
    for options in FORMS {
        for password in [PASSWORD, "ascii", ""] {
            let path = export(&shop, password, options);
            let certificate =
                with_password(&path, password).unwrap_or_else(|error| panic!("{options:?} {password:?}: {error}"));
            assert!(shop.verifies(&assertion(&certificate, "TENANT", now()), "pub.pem"), "{options} {password}");
            if password.is_empty() {
                from_file(&path).unwrap_or_else(|error| panic!("{options:?}: {error}"));
            }
        }
    }
}

#[test]
fn a_wrong_password_and_none_are_told_apart() {
    let Some(shop) = Workshop::open() else { return };
    for options in ["", "-legacy", "-iter 1 -nomac", "-legacy -certpbe PBE-SHA1-RC2-40 -noiter -nomac"] {
        let path = export(&shop, PASSWORD, options);
        let message = refusal(from_file(&path));
        assert!(message.contains("is encrypted and no password was given"), "{options}: {message}");
        for number in 0..300 {
            let message = refusal(with_password(&path, &format!("wrong-{number}")));
            assert!(message.contains("the password is wrong, or it is damaged"), "{options}: {message}");
            if !options.contains("-nomac") && number == 3 {
                break;
            }
        }
    }
}

#[test]
fn a_chain_is_sorted_whatever_its_order() {
    let Some(shop) = Workshop::open() else { return };
    shop.authority("root");
    shop.issue_authority("middle", "root");
    shop.issue("own", "middle");
    shop.join(&["root.pem", "middle.pem"], "others.pem");
    shop.run("pkcs12 -export -inkey own.key -in own.pem -certfile others.pem -passout pass:x -out store.pfx");
    let builder = identity_certificate::ClientCertificate::builder().certificate_path(shop.path("store.pfx"));
    let certificate = build(builder.password("x").send_certificate_chain()).unwrap();
    let (header, _) = decoded(&assertion(&certificate, "TENANT", now()));
    let expected: Vec<_> = ["own", "middle", "root"].map(|name| shop.der(name)).into();
    assert_eq!(header["x5c"], serde_json::json!(expected));
}

/// The same with no length said in advance, and long strings in two parts; `depth` counts the levels of strings that are
/// taken for elements themselves.
fn to_ber(bytes: &[u8], depth: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let (header, len) = match rest[1] {
            0x81 => (3, usize::from(rest[2])),
            0x82 => (4, usize::from(rest[2]) << 8 | usize::from(rest[3])),
            len => (2, usize::from(len)),
        };
        let content = &rest[header..header + len];
        let parts = |content: &[u8]| {
            let (one, two) = content.split_at(content.len() / 2);
            let part = |part: &[u8]| [&[0x04, 0x82, (part.len() >> 8) as u8, part.len() as u8], part].concat();
            [part(one), part(two), vec![0, 0]].concat()
        };
        match rest[0] {
            0x04 if len > 1000 && depth > 0 => {
                out.extend([vec![0x24, 0x80], parts(&to_ber(content, depth - 1))].concat())
            }
            0x04 if len > 1000 => out.extend([vec![0x24, 0x80], parts(content)].concat()),
            0x80 if len > 1000 => out.extend([vec![0xa0, 0x80], parts(content)].concat()),
            tag if tag & 0x20 != 0 => out.extend([vec![tag, 0x80], to_ber(content, depth), vec![0, 0]].concat()),
            _ => out.extend(&rest[..header + len]),
        }
        rest = &rest[header + len..];
    }
    out
}

#[test]
fn files_of_tools_that_say_no_lengths_are_read() {
    let Some(shop) = Workshop::open() else { return };
    // Inside the string that the integrity check covers nothing may be changed.
    for (options, depth) in [("", 0), ("-legacy", 0), ("-nomac", 1), ("-keypbe NONE -certpbe NONE -nomac", 1)] {
        let path = export(&shop, "x", options);
        let ber = to_ber(&shop.read("store.pfx"), depth);
        assert!(ber.starts_with(&[0x30, 0x80]));
        shop.write("store.pfx", &ber);
        shop.run("pkcs12 -in store.pfx -passin pass:x -nodes -legacy -out open.pem");
        let certificate = with_password(&path, "x").unwrap_or_else(|error| panic!("{options}: {error}"));
        assert!(shop.verifies(&assertion(&certificate, "TENANT", now()), "pub.pem"), "{options}");
    }
}

#[test]
fn what_is_missing_is_named() {
    let Some(shop) = Workshop::open() else { return };
    shop.run("pkcs12 -export -nokeys -in cert.pem -passout pass:x -out nokey.pfx");
    assert!(refusal(with_password(&shop.path("nokey.pfx"), "x")).contains("holds no private key"));
    shop.run("pkcs12 -export -nocerts -inkey key.pem -passout pass:x -out nocert.pfx");
    assert!(refusal(with_password(&shop.path("nocert.pfx"), "x")).contains("holds no certificate"));
    shop.run("ecparam -genkey -name prime256v1 -noout -out ec.key");
    shop.run("req -x509 -new -key ec.key -subj /CN=ec -days 9 -out ec.pem");
    shop.run("pkcs12 -export -inkey ec.key -in ec.pem -passout pass:x -out ec.pfx");
    assert!(refusal(with_password(&shop.path("ec.pfx"), "x")).contains("is an elliptic-curve key"));
    shop.run(
        "pkcs12 -export -inkey key.pem -in cert.pem -passout pass:x -legacy -keypbe PBE-SHA1-RC4-128 -out rc4.pfx",
    );
    let message = refusal(with_password(&shop.path("rc4.pfx"), "x"));
    assert!(message.contains("a scheme other than") && message.contains("openssl pkcs12 -in FILE"), "{message}");
}

#[test]
fn a_wrong_password_is_told_in_two_seconds() {
    let Some(shop) = Workshop::open() else { return };
    for options in ["", "-legacy", "-iter 20000", "-legacy -iter 20000", "-iter 20000 -nomac"] {
        let path = export(&shop, PASSWORD, options);
        let result = timed(Duration::from_secs(2), options, || with_password(&path, "wrong"));
        assert!(refusal(result).contains("the password is wrong, or it is damaged"), "{options}");
    }
}

#[test]
fn a_key_beside_the_certificate_of_another_is_refused_at_once() {
    let Some(shop) = Workshop::open() else { return };
    // Certificates of one length, so that one can take the other's place.
    shop.run("genrsa -out other.key 2048");
    for (key, certificate) in [("key.pem", "cert.pem"), ("other.key", "other.pem")] {
        shop.run(&format!("req -x509 -new -key {key} -subj /CN=leaf -days 9 -set_serial 7 -out {certificate}"));
        shop.run(&format!("x509 -in {certificate} -outform der -out {certificate}.der"));
    }
    let path = export(&shop, "", "-keypbe NONE -certpbe NONE -nomac");
    with_password(&path, "").unwrap();
    let (mut bytes, own, other) = (shop.read("store.pfx"), shop.read("cert.pem.der"), shop.read("other.pem.der"));
    assert_eq!(own.len(), other.len());
    let at = bytes.windows(own.len()).position(|window| window == own).unwrap();
    bytes[at..at + own.len()].copy_from_slice(&other);
    shop.write("store.pfx", &bytes);
    assert!(shop.run("pkcs12 -in store.pfx -passin pass: -nodes").contains("BEGIN CERTIFICATE"));
    let message = refusal(timed(Duration::from_millis(100), "a refusal", || with_password(&path, "")));
    assert!(message.contains("belongs to none of its certificates"), "{message}");
    // Both certificates are no mistake: the one that fits is taken.
    shop.run("pkcs12 -export -inkey key.pem -in cert.pem -certfile other.pem -passout pass:x -out store.pfx");
    with_password(&path, "x").unwrap();
}

/// The same with another number where `from` stands; `depth` counts the levels of strings that are looked into.
fn with_number(bytes: &[u8], from: &[u8], to: &[u8], depth: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let (header, len) = match rest[1] {
            0x81 => (3, usize::from(rest[2])),
            0x82 => (4, usize::from(rest[2]) << 8 | usize::from(rest[3])),
            len => (2, usize::from(len)),
        };
        let (tag, content) = (rest[0], &rest[header..header + len]);
        let content = match tag {
            0x02 if content == from => to.to_vec(),
            // Salts are shorter, and what is encrypted is no sequence.
            0x04 if len > 100 && depth > 0 && content.starts_with(&[0x30, 0x82]) => {
                with_number(content, from, to, depth - 1)
            }
            tag if tag & 0x20 != 0 => with_number(content, from, to, depth),
            _ => content.to_vec(),
        };
        out.push(tag);
        match content.len() {
            len @ ..0x80 => out.push(len as u8),
            len => out.extend([0x82, (len >> 8) as u8, len as u8]),
        }
        out.extend(content);
        rest = &rest[header + len..];
    }
    out
}

#[test]
fn a_thousand_million_rounds_are_refused_at_once_wherever_they_are_asked_for() {
    let Some(shop) = Workshop::open() else { return };
    // 0: the integrity check; 1: what is encrypted as a whole, certificates; 2: the key in its bag.
    for (options, depth) in [
        ("-iter 32769", 0),
        ("-legacy -iter 32769", 0),
        // To have no integrity check means to have open certificates, unless they are told of again.
        ("-iter 32769 -nomac -certpbe AES-256-CBC", 1),
        ("-legacy -iter 32769 -nomac -certpbe PBE-SHA1-RC2-40", 1),
        ("-iter 32769 -nomac", 2),
        ("-legacy -iter 32769 -nomac", 2),
    ] {
        let path = export(&shop, "x", options);
        let bytes = shop.read("store.pfx");
        let from = [0, 0x80, 1];
        // What changes nothing is read.
        shop.write("store.pfx", &with_number(&bytes, &from, &from, depth));
        with_password(&path, "x").unwrap();
        for to in [&1_000_000_000_i32.to_be_bytes()[..], &i32::MAX.to_be_bytes(), &i64::MAX.to_be_bytes(), &[127; 20]] {
            let changed = with_number(&bytes, &from, to, depth);
            assert!(changed != bytes, "{options}: no count of rounds was found");
            shop.write("store.pfx", &changed);
            let message = refusal(timed(Duration::from_millis(100), options, || with_password(&path, "x")));
            assert!(message.contains("more than 2000000 rounds"), "{options} {to:?}: {message}");
        }
    }
}

#[test]
fn a_count_of_rounds_that_would_take_for_ever_is_refused_at_once() {
    let Some(shop) = Workshop::open() else { return };
    // The counts are found by their value: those of the parts and that of the integrity check.
    let path = export(&shop, "x", "-legacy -iter 32769");
    let bytes = shop.read("store.pfx");
    let places: Vec<_> = (0..bytes.len() - 4).filter(|at| bytes[*at..at + 5] == [2, 3, 0, 0x80, 1]).collect();
    assert!(places.len() >= 2, "{places:?}");
    let mut refusals = 0;
    for at in places {
        let mut changed = bytes.clone();
        changed[at + 2] = 0x7f;
        shop.write("store.pfx", &changed);
        let result = timed(Duration::from_secs(2), "a refusal", || with_password(&path, "x"));
        let message = refusal(result);
        let is_work = message.contains("more than 2000000 rounds");
        // What the integrity check covers is refused by it, before its own count is believed.
        assert!(is_work || message.contains("the password is wrong"), "{message}");
        refusals += usize::from(is_work);
    }
    assert_eq!(refusals, 1);
    // Without an integrity check the counts of the parts are all that there is.
    let path = export(&shop, "x", "-legacy -iter 32769 -nomac");
    let bytes = shop.read("store.pfx");
    let places: Vec<_> = (0..bytes.len() - 4).filter(|at| bytes[*at..at + 5] == [2, 3, 0, 0x80, 1]).collect();
    let mut changed = bytes.clone();
    changed[places[0] + 2] = 0x7f;
    shop.write("store.pfx", &changed);
    let message = refusal(timed(Duration::from_millis(50), "a refusal", || with_password(&path, "x")));
    assert!(message.contains("more than 2000000 rounds"), "{message}");
}
