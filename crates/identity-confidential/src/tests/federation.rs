//! People whose password a server of their organisation checks, over fakes of every seam.

use std::sync::atomic::{AtomicUsize, Ordering};

use identity_core::{
    fakes::join_all,
    http::{Method, Proxy, Request, TransportError, TransportErrorKind},
    text,
};
use roxmltree::Document;

use self::documents::*;
use super::{
    log::Log,
    username_password::{PASSWORD, USER, build, header, sent},
    users::*,
    *,
};

mod documents;
mod hostile;

const MEX: &str = "https://sts.contoso.com/adfs/services/trust/mex";
const V13: &str = "https://sts.contoso.com/adfs/services/trust/13/usernamemixed";
const V2005: &str = "https://sts.contoso.com/adfs/services/trust/2005/usernamemixed";

/// What the authority says of people of a federation; `urls` are members of the object.
fn realm(urls: &str) -> String {
    format!(
        r#"{{"ver":"1.0","account_type":"Federated","domain_name":"contoso.com","federation_protocol":"WSTrust",{urls}
        "cloud_instance_name":"microsoftonline.com","cloud_audience_urn":"urn:federation:MicrosoftOnline"}}"#
    )
}

fn with_mex() -> String {
    realm(&format!(r#""federation_metadata_url":"{MEX}","federation_active_auth_url":"{V2005}","#))
}

fn with_active(url: &str) -> String {
    realm(&format!(r#""federation_active_auth_url":"{url}","#))
}

fn xml(status: u16, body: impl Into<Vec<u8>>) -> Answer {
    let headers = vec![("content-type".to_owned(), "application/soap+xml; charset=utf-8".to_owned())];
    Ok(Response::new(status, headers, body.into()))
}

/// A world whose people are of a federation: what the authority says of them, and what the server answers. The token endpoint
/// gives a token.
fn federated(realm: String, server: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> World {
    World::slow(Duration::ZERO, move |request| match request.origin() {
        "https://login.microsoftonline.com" if request.method == Method::Get => Ok(json(200, &realm)),
        "https://login.microsoftonline.com" => gives("CANARY-token"),
        _ => server(request),
    })
}

/// The same with a description of both versions, and this answer to whoever asks for a token.
fn signing(answer: impl Fn() -> Answer + Send + Sync + 'static) -> World {
    federated(with_mex(), move |request| match request.method {
        Method::Get => xml(200, mex(&both())),
        _ => answer(),
    })
}

fn both() -> String {
    endpoint(Version::V2005, V2005) + &endpoint(Version::V13, V13)
}

fn fails(world: &World) -> Error {
    let error = world.get(&build(world), GRAPH).unwrap_err();
    assert_eq!(error.credential(), "UsernamePasswordCredential");
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains("CANARY") && shown.len() < 8_192, "{shown}");
    error
}

/// The text of the only element of that name.
fn text<'a>(document: &'a Document<'_>, name: &str) -> &'a str {
    let mut found = document.descendants().filter(|node| node.is_element() && node.tag_name().name() == name);
    let (node, None) = (found.next().unwrap_or_else(|| panic!("no {name}")), found.next()) else {
        panic!("two {name}")
    };
    node.text().unwrap_or("")
}

#[test]
fn the_server_of_an_organisation_is_asked_in_ws_trust_1_3() {
    let token = saml2();
    let answer = answer_13("urn:oasis:names:tc:SAML:2.0:assertion", &token);
    let world = signing(move || xml(200, answer.clone()));
    let credential = build(&world);
    assert_eq!(world.get(&credential, GRAPH).unwrap().secret(), "CANARY-token");
    assert_eq!(sent(&world), ["realm", "mex", "sts", "saml2-bearer"]);
    let requests = world.transport.requests();
    let [_, description, asked, exchange] = &requests[..] else { panic!("{requests:?}") };
    assert_eq!((description.url.as_str(), description.method), (MEX, Method::Get));
    let names: Vec<_> = asked.headers.iter().map(|(name, value)| (*name, value.expose())).collect();
    let action = "http://docs.oasis-open.org/ws-sx/ws-trust/200512/RST/Issue";
    assert_eq!((asked.url.as_str(), asked.method), (V13, Method::Post));
    assert_eq!(names, [("content-type", "application/soap+xml; charset=utf-8"), ("soapaction", action)]);
    for request in &requests {
        let limits = (request.connect_timeout.as_secs(), request.timeout.as_secs(), request.body_limit);
        assert_eq!((limits, request.proxy), ((5, 15, 1024 * 1024), Proxy::Configured));
    }
    let body = asked.body.as_ref().unwrap().expose();
    let message = Document::parse(body).unwrap();
    for (name, expected) in [
        ("Action", action),
        ("To", V13),
        ("Created", "2026-01-01T00:00:00Z"),
        ("Expires", "2026-01-01T00:10:00Z"),
        ("Username", USER),
        ("Password", PASSWORD),
        ("KeyType", "http://docs.oasis-open.org/ws-sx/ws-trust/200512/Bearer"),
        ("RequestType", "http://docs.oasis-open.org/ws-sx/ws-trust/200512/Issue"),
        ("MessageID", "urn:uuid:00000000-0000-4000-8000-000000000000"),
    ] {
        assert_eq!(text(&message, name), expected, "{name}");
    }
    assert!(body.contains("<o:Password>CANARY-pass &lt;&amp;&gt;&quot;&apos; word</o:Password>"));
    let addresses: Vec<_> = message.descendants().filter(|node| node.has_tag_name((ADDRESSING, "Address"))).collect();
    let addresses: Vec<_> = addresses.iter().map(|node| node.text().unwrap()).collect();
    assert_eq!(addresses, ["http://www.w3.org/2005/08/addressing/anonymous", "urn:federation:MicrosoftOnline"]);
    let names = |name: &str| message.descendants().find(|node| node.tag_name().name() == name).unwrap();
    for (name, namespace) in [
        ("Envelope", "http://www.w3.org/2003/05/soap-envelope"),
        ("Body", "http://www.w3.org/2003/05/soap-envelope"),
        ("Security", "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"),
        ("UsernameToken", "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"),
        ("Timestamp", "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"),
        ("RequestSecurityToken", "http://docs.oasis-open.org/ws-sx/ws-trust/200512"),
        ("KeyType", "http://docs.oasis-open.org/ws-sx/ws-trust/200512"),
        ("AppliesTo", "http://schemas.xmlsoap.org/ws/2004/09/policy"),
    ] {
        assert_eq!(names(name).tag_name().namespace(), Some(namespace), "{name}");
    }
    assert_eq!(exchange.url, "https://login.microsoftonline.com/organizations/oauth2/v2.0/token");
    assert_eq!(header(exchange, "x-anchormailbox"), None);
    let assertion = text::base64url(token.as_bytes());
    let expected = [
        ("assertion", assertion.as_str()),
        ("client_id", "client"),
        ("client_info", "1"),
        ("grant_type", "urn:ietf:params:oauth:grant-type:saml2-bearer"),
        ("scope", "https://graph.microsoft.com/User.Read offline_access openid profile"),
    ];
    assert_eq!(form(exchange), expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
}

#[test]
fn and_in_ws_trust_of_2005_where_there_is_nothing_newer() {
    let token = saml1();
    let answer = answer_2005("urn:oasis:names:tc:SAML:1.0:assertion", &token);
    let world = federated(with_mex(), move |request| match request.method {
        Method::Get => xml(200, mex(&endpoint(Version::V2005, V2005))),
        _ => xml(200, answer.clone()),
    });
    world.get(&build(&world), GRAPH).unwrap();
    assert_eq!(sent(&world), ["realm", "mex", "sts", "saml1_1-bearer"]);
    let requests = world.transport.requests();
    let action = "http://schemas.xmlsoap.org/ws/2005/02/trust/RST/Issue";
    assert_eq!((requests[2].url.as_str(), header(&requests[2], "soapaction")), (V2005, Some(action)));
    let message = Document::parse(requests[2].body.as_ref().unwrap().expose()).unwrap();
    for (name, expected) in [
        ("Action", action),
        ("To", V2005),
        ("KeyType", "http://schemas.xmlsoap.org/ws/2005/05/identity/NoProofKey"),
        ("RequestType", "http://schemas.xmlsoap.org/ws/2005/02/trust/Issue"),
    ] {
        assert_eq!(text(&message, name), expected, "{name}");
    }
    let request = message.descendants().find(|node| node.tag_name().name() == "RequestSecurityToken").unwrap();
    assert_eq!(request.tag_name().namespace(), Some("http://schemas.xmlsoap.org/ws/2005/02/trust"));
    assert_eq!(form(&requests[3])["assertion"], text::base64url(token.as_bytes()));
}

#[test]
fn the_newer_version_is_chosen_wherever_it_stands() {
    let other = endpoint(Version::V13, "https://other.contoso.com/trust");
    let plain = V13.replace("https", "http");
    for (endpoints, expected) in [
        (endpoint(Version::V13, V13) + &endpoint(Version::V2005, V2005), V13),
        (endpoint(Version::V2005, V2005) + &endpoint(Version::V13, V13), V13),
        (endpoint(Version::V13, V13) + &other, V13),
        (other.clone() + &endpoint(Version::V13, V13), "https://other.contoso.com/trust"),
        // What may not be asked is passed over.
        (endpoint(Version::V13, &plain) + &endpoint(Version::V2005, V2005), V2005),
        (endpoint(Version::V13, "https://user@sts.contoso.com/x") + &other, "https://other.contoso.com/trust"),
        (endpoint(Version::V13, "https://sts.contoso.com/#x") + &endpoint(Version::V2005, V2005), V2005),
        (windows(Version::V13, "https://sts.contoso.com/windows") + &endpoint(Version::V2005, V2005), V2005),
        (endpoint(Version::V13, &format!("\n  {V13}\t")), V13),
    ] {
        let world = federated(with_mex(), move |request| match request.method {
            Method::Get => xml(200, mex(&endpoints)),
            _ => xml(200, answer_13("urn:oasis:names:tc:SAML:2.0:assertion", &saml2())),
        });
        world.get(&build(&world), GRAPH).unwrap();
        assert_eq!(world.transport.requests()[2].url, expected);
    }
}

#[test]
fn an_endpoint_that_asks_for_something_else_is_none() {
    let whole = mex(&endpoint(Version::V13, V13));
    for (part, instead) in [
        ("<sp:WssUsernameToken10/>", ""),
        ("sp:UsernameToken", "sp:X509Token"),
        ("SignedEncryptedSupportingTokens", "EndorsingSupportingTokens"),
        // The name of the other version of the policy's language.
        ("SignedEncryptedSupportingTokens", "SignedSupportingTokens"),
        ("sp:TransportBinding", "sp:AsymmetricBinding"),
        ("http://docs.oasis-open.org/ws-sx/ws-securitypolicy/200702", "urn:other"),
        ("http://schemas.xmlsoap.org/soap/http", "http://schemas.microsoft.com/soap/tcp"),
        ("200512/RST/Issue", "200512/RST/Renew"),
        ("wsu:Id=\"UserName", "wsu:Id=\"Other"),
        ("URI=\"#UserName", "URI=\"UserName"),
        ("binding=\"tns:UserName", "binding=\"tns:Other"),
        ("http://schemas.xmlsoap.org/wsdl/soap12/", "http://schemas.xmlsoap.org/wsdl/soap/"),
        ("wsa10:Address", "wsa10:Metadata"),
    ] {
        assert!(whole.contains(part), "{part}");
        let document = whole.replace(part, instead);
        let world = federated(with_mex(), move |_| xml(200, document.clone()));
        let error = fails(&world);
        assert_eq!(
            (error.kind(), error.http_status()),
            (ErrorKind::AuthenticationFailed, Some(200)),
            "{part}: {error}"
        );
        assert!(error.to_string().contains("no endpoint that takes a user name and a password"), "{error}");
        assert_eq!(sent(&world), ["realm", "mex"], "{part}");
    }
}

#[test]
fn without_a_description_the_endpoint_of_the_authority_is_asked() {
    for (url, action) in [
        (V13.to_owned(), "http://docs.oasis-open.org/ws-sx/ws-trust/200512/RST/Issue"),
        (V2005.to_owned(), "http://schemas.xmlsoap.org/ws/2005/02/trust/RST/Issue"),
        (V2005.to_uppercase().replace("HTTPS", "https"), "http://schemas.xmlsoap.org/ws/2005/02/trust/RST/Issue"),
    ] {
        let world = federated(with_active(&url), |_| {
            xml(200, answer_2005("http://docs.oasis-open.org/wss/oasis-wss-saml-token-profile-1.1#SAMLV1.1", &saml1()))
        });
        world.get(&build(&world), GRAPH).unwrap();
        assert_eq!(sent(&world), ["realm", "sts", "saml1_1-bearer"]);
        let request = &world.transport.requests()[1];
        assert_eq!((request.url.as_str(), header(request, "soapaction")), (url.as_str(), Some(action)));
    }
    for (realm, words) in [
        (realm(""), "does not say where"),
        (realm(r#""federation_metadata_url":"","federation_active_auth_url":null,"#), "does not say where"),
        (with_active("https://sts.contoso.com/idp/sts.wst"), "version of WS-Trust"),
    ] {
        let world = federated(realm, |_| xml(200, ""));
        let error = fails(&world);
        assert_eq!(error.kind(), ErrorKind::AuthenticationFailed, "{error}");
        assert!(error.to_string().contains(words), "{error}");
        assert_eq!(sent(&world), ["realm"]);
    }
}

#[test]
fn the_audience_is_the_one_of_the_cloud() {
    let realm = with_mex().replace("urn:federation:MicrosoftOnline", "urn:federation:<cloud>&");
    let world = federated(realm, |request| match request.method {
        Method::Get => xml(200, mex(&both())),
        _ => xml(200, answer_13("urn:oasis:names:tc:SAML:2.0:assertion", &saml2())),
    });
    world.get(&build(&world), GRAPH).unwrap();
    let requests = world.transport.requests();
    assert!(
        requests[2]
            .body
            .as_ref()
            .unwrap()
            .expose()
            .contains("<a:Address>urn:federation:&lt;cloud&gt;&amp;</a:Address>")
    );
}

#[test]
fn a_token_is_handed_on_to_the_byte() {
    // Whatever a writer of XML could change: quotes, white space, line ends, entities, empty elements, comments, CDATA.
    let token = "<a:Assertion\r\n\tz='1'  b=\"&#x41;&quot;\" xmlns:a='urn:x' ><!-- c --><a:E></a:E><a:F/>\u{e9}&amp;\
                 <![CDATA[<]]>\r\n</a:Assertion >";
    for (kind, grant) in [
        ("urn:oasis:names:tc:SAML:1.0:assertion", "saml1_1-bearer"),
        ("http://docs.oasis-open.org/wss/oasis-wss-saml-token-profile-1.1#SAMLV1.1", "saml1_1-bearer"),
        ("urn:oasis:names:tc:SAML:2.0:assertion", "saml2-bearer"),
        (" http://docs.oasis-open.org/wss/oasis-wss-saml-token-profile-1.1#SAMLV2.0\n", "saml2-bearer"),
    ] {
        for answer in [
            answer_13(kind, &format!("\n {token}\t")),
            answer_2005(kind, token),
            format!("\u{feff}{}", answer_13(kind, token)),
        ] {
            let world = signing(move || xml(200, answer.clone()));
            world.get(&build(&world), GRAPH).unwrap();
            assert_eq!(sent(&world)[3], grant);
            let form = form(&world.transport.requests()[3]);
            assert_eq!(text::base64url_decode(&form["assertion"]).unwrap(), token.as_bytes(), "{kind}");
        }
    }
}

#[test]
fn what_the_server_refuses_is_told_in_its_words_and_asked_once() {
    let (code, reason) = ("a:FailedAuthentication", "ID3242: the token could not be <authenticated>.");
    let fault = fault(code, reason);
    let old = "<s:Envelope xmlns:s='http://schemas.xmlsoap.org/soap/envelope/'><s:Body><s:Fault>\
         <faultcode>a:FailedAuthentication</faultcode><faultstring>ID3242: the token could not be &lt;authenticated&gt;.\
         </faultstring></s:Fault></s:Body></s:Envelope>";
    for (status, body) in [(500, fault.clone()), (400, fault.clone()), (200, fault), (500, old.to_owned())] {
        let world = signing(move || xml(status, body.clone()));
        let credential = build(&world);
        for scope in [GRAPH, VAULT, GRAPH] {
            let error = world.get(&credential, scope).unwrap_err();
            assert_eq!((error.kind(), error.http_status()), (ErrorKind::AuthenticationFailed, Some(status)), "{error}");
            let said = error.to_string();
            assert!(
                said.contains("https://sts.contoso.com") && said.ends_with(&format!("it said: {code}: {reason}")),
                "{said}"
            );
        }
        // Nor is it tried for another scope: some servers lock people out.
        assert_eq!(sent(&world), ["realm", "mex", "sts"]);
        world.clock.advance(Duration::from_secs(61));
        world.get(&credential, VAULT).unwrap_err();
        assert_eq!(sent(&world).len(), 6);
    }
    let empty =
        "<s:Envelope xmlns:s='http://www.w3.org/2003/05/soap-envelope'><s:Body><s:Fault/></s:Body></s:Envelope>";
    let world = signing(move || xml(500, empty));
    assert_eq!(fails(&world).kind(), ErrorKind::AuthenticationFailed);
}

#[test]
fn a_server_that_repeats_the_password_is_not_quoted() {
    let once = "CANARY-pass &lt;&amp;&gt;&quot;&apos; word";
    let twice = once.replace('&', "&amp;");
    let form = "CANARY-pass%20%3C%26%3E%22%27%20word";
    for reason in [once, &twice, form] {
        let body = fault("a:X", "REASON").replace("REASON", reason);
        let world = signing(move || xml(500, body.clone()));
        let error = fails(&world);
        assert!(error.to_string().ends_with("it said: a:X: ***"), "{error}");
    }
    // Where it would be the type of a token, or stands in a page.
    let world = signing(move || xml(200, answer_13(once, &saml2())));
    assert!(fails(&world).to_string().ends_with("of the type ***"));
    let world = signing(move || xml(502, format!("<html><p>{once}<br></html>")));
    assert_eq!(fails(&world).kind(), ErrorKind::Transport);
}

#[test]
fn a_password_that_xml_cannot_carry_is_sent_to_no_server_and_others_arrive() {
    let ok = || signing(|| xml(200, answer_13("urn:oasis:names:tc:SAML:2.0:assertion", &saml2())));
    let get = |world: &World, password: &str| {
        #[expect(deprecated, reason = "it is what is tested")]
        let builder = crate::UsernamePasswordCredential::builder("client", "<ada&'\">@contoso.com", password);
        world.get(&builder.build_with(&world.platform).unwrap(), GRAPH)
    };
    for password in ["CANARY\0", "CANARY\u{1b}", "CANARY\u{ffff}"] {
        let world = ok();
        let error = get(&world, password).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
        assert!(!error.to_string().contains("CANARY"), "{error}");
        assert_eq!(sent(&world), ["realm"]);
    }
    for password in ["]]>", "</o:Password>", " a\tb\r\nc\rd ", "\u{10ffff}\u{7f}\u{e9}", "&amp;", "<!--", "%"] {
        let world = ok();
        get(&world, password).unwrap();
        let request = &world.transport.requests()[2];
        let message = Document::parse(request.body.as_ref().unwrap().expose()).unwrap();
        assert_eq!((text(&message, "Password"), text(&message, "Username")), (password, "<ada&'\">@contoso.com"));
    }
}

#[test]
fn what_the_authority_says_of_the_servers_token_is_the_answer() {
    let say = |body: &'static str| {
        World::slow(Duration::ZERO, move |request| match (request.origin(), request.method) {
            ("https://login.microsoftonline.com", Method::Get) => Ok(json(200, &with_mex())),
            ("https://login.microsoftonline.com", _) => Ok(json(400, body)),
            (_, Method::Get) => xml(200, mex(&both())),
            _ => xml(200, answer_13("urn:oasis:names:tc:SAML:2.0:assertion", &saml2())),
        })
    };
    for (body, kind) in [
        (
            r#"{"error":"invalid_grant","error_description":"AADSTS50008: the token is invalid"}"#,
            ErrorKind::AuthenticationFailed,
        ),
        (r#"{"error":"invalid_grant","error_description":"AADSTS50076: more"}"#, ErrorKind::AuthenticationRequired),
    ] {
        let world = say(body);
        assert_eq!(fails(&world).kind(), kind);
        assert_eq!(sent(&world), ["realm", "mex", "sts", "saml2-bearer"]);
    }
}

#[test]
fn all_four_requests_share_45_seconds() {
    let clock = FakeClock::default();
    let (time, next) = (clock.clone(), AtomicUsize::new(0));
    let transport = FakeTransport::with_handler(&clock, move |request| {
        let number = next.fetch_add(1, Ordering::SeqCst);
        let sleep = identity_core::Clock::sleep(&time, request.timeout.min(Duration::from_secs(14)));
        Box::pin(async move {
            sleep.await;
            match number {
                0 => Ok(json(200, &with_mex())),
                1 => xml(200, mex(&both())),
                2 => xml(200, answer_13("urn:oasis:names:tc:SAML:2.0:assertion", &saml2())),
                _ => Err(TransportError::new(TransportErrorKind::Timeout, "late")),
            }
        })
    });
    let platform = platform(&clock, &transport, &FakeEnv::default());
    let world = World { sim: Sim::new(&clock), clock, transport, platform };
    assert_eq!(fails(&world).kind(), ErrorKind::Transport);
    assert_eq!((world.clock.elapsed().as_secs(), world.transport.count()), (45, 4));
}

#[test]
fn a_server_that_asks_for_a_pause_gets_it() {
    let pause = || Ok(Response::new(429, vec![("retry-after".into(), "120".into())], Vec::new()));
    let world = signing(pause);
    let credential = build(&world);
    for (at, scope) in [GRAPH, VAULT, "https://storage.azure.com/.default"].into_iter().enumerate() {
        let error = world.get(&credential, scope).unwrap_err();
        assert_eq!((error.kind(), error.retry_after().unwrap().as_secs()), (ErrorKind::Transport, 120), "{at} {error}");
    }
    // Nobody else asks the server for anything, while the authority still says where it is.
    assert_eq!(sent(&world), ["realm", "mex", "sts", "realm", "realm"]);
}

#[test]
fn a_password_that_is_refused_without_a_fault_is_not_tried_again_for_other_scopes() {
    let world = signing(|| xml(401, "<html>no</html>"));
    let credential = build(&world);
    for number in 0..16 {
        let error = world.get(&credential, &format!("https://{number}.example/.default")).unwrap_err();
        assert_eq!((error.kind(), error.http_status()), (ErrorKind::AuthenticationFailed, Some(401)), "{error}");
        assert!(error.to_string().contains("check user name and password"), "{error}");
    }
    assert_eq!(sent(&world), ["realm", "mex", "sts"]);
}

#[test]
fn no_log_has_a_password_or_a_token() {
    let lines = Log::of(|| {
        let number = AtomicUsize::new(0);
        let world = signing(move || match number.fetch_add(1, Ordering::SeqCst) {
            0 => xml(200, answer_13("urn:oasis:names:tc:SAML:2.0:assertion", &saml2())),
            1 => xml(503, "CANARY"),
            _ => xml(500, fault("CANARY", PASSWORD)),
        });
        let credential = build(&world);
        let scopes = [GRAPH, VAULT];
        let results = world
            .sim
            .run(join_all(scopes.each_ref().map(|scope| credential.get_token(std::slice::from_ref(scope), None))));
        assert!(results[0].is_ok() && results[1].is_err());
    });
    assert!(lines.len() > 3 && !lines.iter().any(|line| line.contains("CANARY-")), "{lines:#?}");
}
