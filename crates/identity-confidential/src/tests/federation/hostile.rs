//! Servers and networks that mean harm, or are broken.

use super::*;

#[test]
fn no_url_that_could_lead_elsewhere_is_followed() {
    for url in [
        "http://sts.contoso.com/adfs/services/trust/13/usernamemixed",
        "https://user:CANARY@sts.contoso.com/adfs/services/trust/13/usernamemixed",
        "https://sts.contoso.com/adfs/services/trust/13/usernamemixed#CANARY",
        "https://login.microsoftonline.com\\\\@sts.contoso.com/adfs/services/trust/13/usernamemixed",
        "ftp://sts.contoso.com/adfs/services/trust/13/usernamemixed",
        "file:///adfs/services/trust/13/usernamemixed",
        "//sts.contoso.com/adfs/services/trust/13/usernamemixed",
        "https:///adfs/services/trust/13/usernamemixed",
        "https://sts.contoso.com/\\r\\nx: CANARY/trust/13/usernamemixed",
        "javascript:CANARY",
    ] {
        for realm in [with_active(url), realm(&format!(r#""federation_metadata_url":"{url}","#))] {
            let world = federated(realm, |_| xml(200, mex(&both())));
            let error = fails(&world);
            assert_eq!(error.kind(), ErrorKind::Protocol, "{url}: {error}");
            assert_eq!(sent(&world), ["realm"], "{url}");
        }
    }
    for url in ["http://sts.contoso.com/x", "https://user@sts.contoso.com/x", "https://sts.contoso.com\\@x/"] {
        let world = federated(with_mex(), move |_| xml(200, mex(&endpoint(Version::V13, url))));
        assert_eq!(fails(&world).kind(), ErrorKind::AuthenticationFailed);
        assert_eq!(sent(&world), ["realm", "mex"], "{url}");
    }
}

#[test]
fn an_audience_that_could_be_anything_is_none() {
    for audience in ["urn:\\u0000".to_owned(), "urn:\\u001b".to_owned(), "x".repeat(2_049)] {
        let world =
            federated(with_mex().replace("urn:federation:MicrosoftOnline", &audience), |_| xml(200, mex(&both())));
        assert_eq!(fails(&world).kind(), ErrorKind::Protocol);
        assert_eq!(sent(&world), ["realm"]);
    }
}

#[test]
fn no_redirect_is_followed() {
    let redirect = |to: &str| Ok(Response::new(307, vec![("location".to_owned(), to.to_owned())], Vec::new()));
    let world = federated(with_mex(), move |_| redirect("https://evil.example/mex"));
    assert_eq!((fails(&world).kind(), sent(&world).len()), (ErrorKind::Protocol, 2));
    let world = signing(move || redirect("https://evil.example/sts"));
    let error = fails(&world);
    assert_eq!((error.kind(), error.http_status(), sent(&world).len()), (ErrorKind::Protocol, Some(307), 3));
    assert!(world.transport.requests().iter().all(|request| !request.url.contains("evil")));
}

/// Bodies that are no XML that is read, what is said of each, and whether another try is worth it.
fn bodies() -> Vec<(Vec<u8>, &'static str, bool)> {
    let deep = |depth: usize| format!("{}{}", "<a>".repeat(depth), "</a>".repeat(depth));
    let laughs = r#"<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]><x>&b;</x>"#;
    let utf16: Vec<u8> = "\u{feff}<x/>".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let attributes: String = (0..10_000).map(|number| format!(" a{number}=\"\"")).collect();
    let namespaces: String = (0..60).map(|number| format!(" xmlns:n{number}=\"{number}\"")).collect();
    vec![
        (b"".to_vec(), "cut short", true),
        (b" \r\n".to_vec(), "cut short", true),
        (b"<s:Envelope xmlns:s='http://www.w3.org/2003/05/soap-enve".to_vec(), "cut short", true),
        (b"<a><b>text".to_vec(), "cut short", true),
        (b"<a><!".to_vec(), "cut short", true),
        (b"<a><![CDA".to_vec(), "cut short", true),
        (b"no XML at all".to_vec(), "no element", false),
        (br#"{"error":"x"}"#.to_vec(), "no element", false),
        (b"<a><b></a>".to_vec(), "left open", false),
        (b"<a></b>".to_vec(), "not well-formed", false),
        (b"<a/><b/>".to_vec(), "not well-formed", false),
        (b"<a b=c/>".to_vec(), "not well-formed", false),
        (b"<a>&nbsp;</a>".to_vec(), "not well-formed", false),
        (b"<a>\x01</a>".to_vec(), "not well-formed", false),
        (b"<a>\0</a>".to_vec(), "not UTF-8", false),
        (b"<\0a\0/\0>\0".to_vec(), "not UTF-8", false),
        (b"<a>\xc3".to_vec(), "cut short", true),
        (b"<a>\xff</a>".to_vec(), "not UTF-8", false),
        (utf16, "not UTF-8", false),
        (
            b"<!DOCTYPE html><html><head><meta charset=utf-8></head><body>Sign in<br></body></html>".to_vec(),
            "document type",
            false,
        ),
        (b"<html><head><meta charset=\"utf-8\"></head><body>Sign in<br></body></html>\n".to_vec(), "left open", false),
        (laughs.into(), "document type", false),
        (b"<x/><!DOCTYPE x>".to_vec(), "document type", false),
        (b"<x><!ENTITY a 'b'></x>".to_vec(), "document type", false),
        (b"<!DOCTYPE x SYSTEM 'file:///etc/passwd'><x/>".to_vec(), "document type", false),
        (deep(65).into(), "too deeply", false),
        (deep(10_000).into(), "too deeply", false),
        ("<a>".repeat(300_000).into(), "too deeply", false),
        ("<a b='>'>".repeat(100_000).into(), "too deeply", false),
        (format!("<a><![CDATA[</a></a>]]>{}", deep(64)).into(), "too deeply", false),
        (format!("<a{attributes}/>").into(), "more elements", false),
        (format!("<a{namespaces}><b{}/></a>", namespaces.replace(":n", ":m")).into(), "more elements", false),
        (format!("<a{namespaces}>{}</a>", "<b xmlns:c='d'/>".repeat(2_000)).into(), "more elements", false),
        (format!("<a>{}</a>", "<b/>".repeat(200_000)).into(), "more elements", false),
    ]
}

#[test]
fn what_is_no_description_is_refused_before_it_is_parsed() {
    for (body, words, is_cut) in bodies() {
        let start = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
        let world = federated(with_mex(), move |_| xml(200, body.clone()));
        let error = fails(&world);
        let kind = if is_cut { ErrorKind::Transport } else { ErrorKind::Protocol };
        assert_eq!(error.kind(), kind, "{start}: {error}");
        assert!(error.to_string().contains(words), "{start}: {error}");
        assert_eq!(sent(&world).len(), if is_cut { 5 } else { 2 }, "{start}");
    }
}

#[test]
fn what_is_no_answer_is_refused_before_it_is_parsed() {
    for (body, words, is_cut) in bodies() {
        let start = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
        let world = signing(move || xml(200, body.clone()));
        let error = fails(&world);
        let kind = if is_cut { ErrorKind::Transport } else { ErrorKind::Protocol };
        assert_eq!(error.kind(), kind, "{start}: {error}");
        assert!(error.to_string().contains(words), "{start}: {error}");
        assert_eq!(sent(&world).len(), if is_cut { 6 } else { 3 }, "{start}");
    }
}

#[test]
fn sixty_four_levels_are_read() {
    let nest = |depth: usize| format!("{}x{}", "<d>".repeat(depth), "</d>".repeat(depth));
    let answer = move |depth| answer_13("urn:oasis:names:tc:SAML:2.0:assertion", &nest(depth));
    // Five levels are the answer's own.
    let world = signing(move || xml(200, answer(59)));
    world.get(&build(&world), GRAPH).unwrap();
    let world = signing(move || xml(200, answer(60)));
    assert_eq!(fails(&world).kind(), ErrorKind::Protocol);
}

#[test]
fn a_small_stack_is_enough_for_any_nesting() {
    let check = || {
        let open = "<s:a xmlns:s='urn:x'>".repeat(10_000);
        let closed = format!("{open}{}", "</s:a>".repeat(10_000));
        for body in [open, closed, mex(&both())] {
            let is_fine = body.starts_with("<?xml");
            let parsed = crate::username_password::parses(body.as_bytes());
            assert_eq!(parsed, is_fine);
        }
    };
    std::thread::Builder::new().stack_size(64 * 1024).spawn(check).unwrap().join().unwrap();
    let flow = || {
        let deep = format!("<a>{}", "<b>".repeat(10_000));
        for is_description in [true, false] {
            let deep = deep.clone();
            let world = federated(with_mex(), move |request| match (request.method, is_description) {
                (Method::Get, false) => xml(200, mex(&both())),
                _ => xml(200, deep.clone()),
            });
            assert_eq!(fails(&world).kind(), ErrorKind::Protocol);
        }
    };
    std::thread::Builder::new().stack_size(64 * 1024).spawn(flow).unwrap().join().unwrap();
}

#[test]
fn an_answer_without_a_token_or_with_another_is_none() {
    const SAML: &str = "urn:oasis:names:tc:SAML:2.0:assertion";
    let whole = answer_13(SAML, &saml2());
    let with = |part: &str, instead: &str| {
        assert!(whole.contains(part), "{part}");
        whole.replace(part, instead)
    };
    for (body, words) in [
        (answer_13(SAML, ""), "no token"),
        (answer_13(SAML, "eyJ0ZXh0"), "no token"),
        (answer_13(SAML, &(saml2() + &saml2())), "no token"),
        (with("trust:RequestedSecurityToken", "trust:RequestedProofToken"), "no token"),
        (with("http://www.w3.org/2003/05/soap-envelope", "urn:other"), "no token"),
        (with("http://docs.oasis-open.org/ws-sx/ws-trust/200512\"", "urn:other\""), "no token"),
        (with("s:Body", "s:Other"), "no token"),
        ("<x/>".to_owned(), "no token"),
        (answer_13("", &saml2()), "does not say of which type"),
        (with("trust:TokenType", "trust:Other"), "does not say of which type"),
        (
            answer_13("urn:ietf:params:oauth:token-type:jwt", &saml2()),
            "of the type urn:ietf:params:oauth:token-type:jwt",
        ),
        (answer_13("urn:oasis:names:tc:SAML:3.0:assertion", &saml2()), "none of SAML"),
        (mex(&both()), "no token"),
    ] {
        let world = signing(move || xml(200, body.clone()));
        let error = fails(&world);
        assert_eq!((error.kind(), error.http_status()), (ErrorKind::Protocol, Some(200)), "{error}");
        assert!(error.to_string().contains(words), "{words}: {error}");
        assert_eq!(sent(&world), ["realm", "mex", "sts"], "{words}");
    }
}

#[test]
fn other_trouble_of_a_server_is_what_it_would_be_of_any() {
    use ErrorKind::{AuthenticationFailed, InvalidArgument, Protocol, Transport};
    use TransportErrorKind::{Closed, Connect, Dns, Malformed, Refused, Timeout, Tls, TooLarge};
    let lost = |kind| Err(TransportError::new(kind, "trouble"));
    for at in [1, 2] {
        for (kind, expected, count) in [
            (Connect, Transport, 4),
            (Closed, Transport, 4),
            (Timeout, Transport, 4),
            (Dns, Transport, 2),
            (Tls, Transport, 1),
            (Malformed, Protocol, 1),
            (TooLarge, Protocol, 1),
            (Refused, InvalidArgument, 1),
        ] {
            let world = federated(with_mex(), move |request| match (request.method, at) {
                (Method::Get, 2) => xml(200, mex(&both())),
                _ => lost(kind),
            });
            let error = fails(&world);
            assert_eq!((error.kind(), sent(&world).len()), (expected, at + count), "{kind:?}: {error}");
            let said = error.to_string();
            assert!(said.contains("the federation server") && said.contains("https://sts.contoso.com"), "{said}");
        }
        for (status, expected, count) in [
            (400, Protocol, 1),
            (401, if at == 1 { Protocol } else { AuthenticationFailed }, 1),
            (403, Protocol, 1),
            (404, Protocol, 1),
            (204, Protocol, 1),
            (408, Transport, 4),
            (429, Transport, 4),
            (500, Transport, 4),
            (503, Transport, 4),
        ] {
            for body in ["", "<html>CANARY</html>", "<html><br>CANARY", "nonsense"] {
                let world = federated(with_mex(), move |request| match (request.method, at) {
                    (Method::Get, 2) => xml(200, mex(&both())),
                    _ => xml(status, body),
                });
                let error = fails(&world);
                let told = (error.kind(), error.http_status(), sent(&world).len());
                assert_eq!(told, (expected, Some(status), at + count), "{error}");
            }
        }
    }
}

/// The same verdict as the parser's alone, on texts that were documents before something happened to them.
#[test]
fn the_pass_over_the_bytes_refuses_no_document_and_misses_no_depth() {
    const ALPHABET: &[u8] = b"<>/!?-[]'\"= \n&;:axmlns\xc3\xa9";
    let seeds = [
        mex(&endpoint(Version::V13, V13)),
        answer_13("urn:x", &saml2()),
        answer_2005("urn:x", "<a b='>' c=\"'\"><!-- <d> --><![CDATA[<e>]]><?f <g>?></a>"),
        fault("a", "b"),
        format!("{}{}", "<a>".repeat(62), "</a>".repeat(62)),
    ];
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 33) as usize % below
    };
    let (mut accepted, mut refused) = (0, 0);
    for round in 0..5_000 {
        let mut text = seeds[round % seeds.len()].clone().into_bytes();
        for _ in 0..random(5) {
            let at = random(text.len().max(1));
            match random(4) {
                0 if random(4) == 0 => text.truncate(at),
                1 if at < text.len() => text[at] = ALPHABET[random(ALPHABET.len())],
                2 if at < text.len() => drop(text.remove(at)),
                3 => drop(text.splice(at..at, *b"<a><b/>")),
                _ => text.insert(at.min(text.len()), ALPHABET[random(ALPHABET.len())]),
            }
        }
        let is_read = crate::username_password::parses(&text);
        let alone = std::str::from_utf8(&text).ok().and_then(|text| Document::parse(text).ok());
        let depth = alone.as_ref().map(|document| {
            let nodes = document.descendants().filter(roxmltree::Node::is_element);
            nodes.map(|node| node.ancestors().filter(roxmltree::Node::is_element).count()).max().unwrap_or(0)
        });
        assert_eq!(is_read, depth.is_some_and(|depth| depth <= 64), "{}", String::from_utf8_lossy(&text));
        *if is_read { &mut accepted } else { &mut refused } += 1;
    }
    assert!(accepted > 500 && refused > 500, "{accepted} {refused}");
}
