//! People whose passwords AD FS knows get an assertion there, and tokens for it.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test says so by failing"
)]

mod common;

use common::{Response, STORAGE_SCOPE, base64, builder, changed, document, outcome, padded, request, send_tls, token};
use identity_emulator::{
    Answer, DISABLED_USER_NAME, Emulator, FEDERATED_USER_NAME, PUBLIC_CLIENT_ID, Source, TENANT_ID, USER_NAME,
    USER_PASSWORD, User,
};

const V13: &str = "http://docs.oasis-open.org/ws-sx/ws-trust/200512";
const V2005: &str = "http://schemas.xmlsoap.org/ws/2005/02/trust";
const URN: &str = "urn:federation:MicrosoftOnline";

/// What a request for an assertion says.
#[derive(Clone)]
struct Ask {
    path: &'static str,
    space: &'static str,
    action: String,
    to: String,
    created: String,
    expires: String,
    user: String,
    password: String,
    audience: String,
    key: String,
    request: String,
    token: &'static str,
}

impl Ask {
    fn new(emulator: &Emulator, is_13: bool) -> Self {
        let (path, space, key) = if is_13 {
            ("/adfs/services/trust/13/usernamemixed", V13, format!("{V13}/Bearer"))
        } else {
            let key = "http://schemas.xmlsoap.org/ws/2005/05/identity/NoProofKey".to_owned();
            ("/adfs/services/trust/2005/usernamemixed", V2005, key)
        };
        Self {
            path,
            space,
            action: format!("{space}/RST/Issue"),
            to: format!("{}{path}", emulator.authority()),
            created: time(common::now()),
            expires: time(common::now() + 600),
            user: FEDERATED_USER_NAME.to_owned(),
            password: USER_PASSWORD.to_owned(),
            audience: URN.to_owned(),
            key,
            request: format!("{space}/Issue"),
            token: "",
        }
    }

    fn envelope(&self) -> String {
        let Self { space, action, to, created, expires, user, password, audience, key, request, token, .. } = self;
        let kind = if token.is_empty() { String::new() } else { format!("<t:TokenType>{token}</t:TokenType>") };
        format!(
            "<?xml version='1.0' encoding='utf-8'?>
            <s:Envelope xmlns:s='http://www.w3.org/2003/05/soap-envelope' xmlns:a='http://www.w3.org/2005/08/addressing'
              xmlns:u='http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd'>
            <s:Header><a:Action s:mustUnderstand='1'>{action}</a:Action><a:MessageID>urn:uuid:1</a:MessageID>
            <a:ReplyTo><a:Address>http://www.w3.org/2005/08/addressing/anonymous</a:Address></a:ReplyTo>
            <a:To s:mustUnderstand='1'>{to}</a:To>
            <o:Security s:mustUnderstand='1'
              xmlns:o='http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd'>
            <u:Timestamp u:Id='_0'><u:Created>{created}</u:Created><u:Expires>{expires}</u:Expires></u:Timestamp>
            <o:UsernameToken><o:Username>{user}</o:Username><o:Password>{password}</o:Password></o:UsernameToken>
            </o:Security></s:Header>
            <s:Body><t:RequestSecurityToken xmlns:t='{space}'>
            <p:AppliesTo xmlns:p='http://schemas.xmlsoap.org/ws/2004/09/policy'>
            <a:EndpointReference><a:Address>{audience}</a:Address></a:EndpointReference></p:AppliesTo>
            <t:KeyType>{key}</t:KeyType><t:RequestType>{request}</t:RequestType>{kind}
            </t:RequestSecurityToken></s:Body></s:Envelope>"
        )
    }

    fn send(&self, emulator: &Emulator) -> Response {
        self.send_text(emulator, &self.envelope())
    }

    fn send_text(&self, emulator: &Emulator, text: &str) -> Response {
        let headers = [("Content-Type", "application/soap+xml; charset=utf-8"), ("SOAPAction", &self.action)];
        post(emulator, self.path, &headers, text)
    }

    /// The assertion, in base64url.
    fn assertion(&self, emulator: &Emulator) -> String {
        let answer = self.send(emulator);
        assert_eq!(answer.status, 200, "{}", answer.text());
        base64(within(&answer.text(), "trust:RequestedSecurityToken").as_bytes(), true)
    }
}

fn post(emulator: &Emulator, path: &str, headers: &[(&str, &str)], text: &str) -> Response {
    let bytes = String::from_utf8(request("POST", path, headers, text)).unwrap();
    let bytes = bytes.replace("Host: 127.0.0.1", &emulator.authority().replace("https://", "Host: "));
    Response::parse(&send_tls(emulator, Source::Entra, bytes.as_bytes()).unwrap())
}

fn time(seconds: i64) -> String {
    // Whoever knows the civil calendar better may write it; a day of the test is a day.
    let days = seconds.div_euclid(86_400);
    let (mut year, mut day) = (1970, days);
    loop {
        let length = if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) { 366 } else { 365 };
        if day < length {
            break;
        }
        day -= length;
        year += 1;
    }
    let leap = i64::from(year % 4 == 0 && (year % 100 != 0 || year % 400 == 0));
    let mut month = 1;
    for length in [31, 28 + leap, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if day < length {
            break;
        }
        day -= length;
        month += 1;
    }
    let rest = seconds.rem_euclid(86_400);
    let (hour, minute, second) = (rest / 3_600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{:02}T{hour:02}:{minute:02}:{second:02}Z", day + 1)
}

/// What is between the tags of an element.
fn within(text: &str, name: &str) -> String {
    let (_, rest) = text.split_once(&format!("<{name}>")).unwrap_or_else(|| panic!("no {name} in {text}"));
    rest.split_once(&format!("</{name}>")).unwrap().0.to_owned()
}

/// The subcode and the reason of a fault.
fn fault(answer: &Response) -> (String, String) {
    assert_eq!(answer.status, 500, "{}", answer.text());
    let text = answer.text();
    let (_, subcode) = text.split_once("<s:Subcode>").unwrap();
    let (_, subcode) = subcode.split_once("a:").unwrap();
    let (_, reason) = text.split_once("xml:lang=\"en-US\">").unwrap();
    let end = |text: &str| text.split_once('<').unwrap().0.to_owned();
    (end(subcode.rsplit_once("\">a:").map_or(subcode, |(_, name)| name)), end(reason))
}

fn form(grant: &'static str) -> Vec<(&'static str, &'static str)> {
    vec![("client_id", PUBLIC_CLIENT_ID), ("grant_type", grant), ("scope", STORAGE_SCOPE)]
}

const SAML_1: &str = "urn:ietf:params:oauth:grant-type:saml1_1-bearer";
const SAML_2: &str = "urn:ietf:params:oauth:grant-type:saml2-bearer";

fn redeem(emulator: &Emulator, grant: &'static str, assertion: &str, changes: &[(&str, &str)]) -> Response {
    let with = changed(&form(grant), &[("assertion", assertion)]);
    token(emulator, "organizations", &changed(&with, changes))
}

#[test]
fn a_realm_says_who_knows_a_password() {
    let emulator = builder().start_in_background().unwrap();
    let authority = emulator.authority();
    let get = |name: &str, query: &str| {
        let target = format!("/common/userrealm/{name}?{query}");
        let bytes = String::from_utf8(request("GET", &target, &[], "")).unwrap();
        let bytes = bytes.replace("Host: 127.0.0.1", &authority.replace("https://", "Host: "));
        Response::parse(&send_tls(&emulator, Source::Entra, bytes.as_bytes()).unwrap())
    };
    let federated = get("katherine%40adfs.contoso.example", "api-version=1.0").json();
    for (name, value) in [
        ("ver", "1.0"),
        ("account_type", "Federated"),
        ("domain_name", "adfs.contoso.example"),
        ("federation_protocol", "WSTrust"),
        ("federation_metadata_url", &format!("{authority}/adfs/services/trust/mex")),
        ("federation_active_auth_url", &format!("{authority}/adfs/services/trust/2005/usernamemixed")),
        ("cloud_audience_urn", URN),
        ("cloud_instance_name", "microsoftonline.com"),
    ] {
        assert_eq!(federated[name], value, "{name}");
    }
    for (name, kind) in [
        (USER_NAME, "Managed"),
        ("ADA@contoso.example", "Managed"),
        ("nobody@contoso.example", "Managed"),
        ("nobody@adfs.contoso.example", "Federated"),
        ("a+b@adfs.contoso.example", "Federated"),
        ("nobody@unknown.example", "Unknown"),
        ("nobody", "Unknown"),
        ("", "Unknown"),
        ("%3Cscript%3E%22@x", "Unknown"),
    ] {
        let answer = get(name, "api-version=1.0");
        assert_eq!((answer.status, &answer.json()["account_type"]), (200, &kind.into()), "{name}");
        assert_eq!(answer.json().get("federation_metadata_url").is_some(), kind == "Federated");
    }
    // As MSAL for Go writes it.
    let capital = document(&emulator, &format!("/common/UserRealm/{FEDERATED_USER_NAME}?api-version=1.0"));
    assert_eq!(capital.json()["account_type"], "Federated");
    assert_eq!(outcome(&get(USER_NAME, "api-version=2.0")).2, 90_100);
    assert_eq!(outcome(&get("%zz", "api-version=1.0")).2, 90_100);
    assert_eq!(document(&emulator, &format!("/{TENANT_ID}/userrealm/{USER_NAME}?api-version=1.0")).status, 404);
}

#[test]
fn the_metadata_name_the_endpoints() {
    let emulator = builder().start_in_background().unwrap();
    let answer = document(&emulator, "/adfs/services/trust/mex");
    assert!(answer.status == 200 && answer.header("content-type").unwrap().starts_with("application/soap+xml"));
    let text = answer.text();
    for part in
        ["/adfs/services/trust/13/usernamemixed</wsa10:Address>", "WssUsernameToken10", "TransportBinding", "RST/Issue"]
    {
        assert!(text.contains(part), "{part}");
    }
    let put = post(&emulator, "/adfs/services/trust/mex", &[], "");
    assert_eq!(put.status, 405);
}

#[test]
fn an_assertion_gets_tokens() {
    let emulator = builder().start_in_background().unwrap();
    let (new, old) = (Ask::new(&emulator, true), Ask::new(&emulator, false));
    let second = Ask { token: "urn:oasis:names:tc:SAML:2.0:assertion", ..new.clone() };
    let profile =
        Ask { token: "http://docs.oasis-open.org/wss/oasis-wss-saml-token-profile-1.1#SAMLV2.0", ..old.clone() };
    for (ask, grant) in [(&new, SAML_1), (&old, SAML_1), (&second, SAML_2), (&profile, SAML_2)] {
        let answer = ask.send(&emulator);
        assert_eq!(answer.header("cache-control"), Some("no-store, no-cache"));
        let version = if grant == SAML_1 { "1.0" } else { "2.0" };
        assert_eq!(within(&answer.text(), "trust:TokenType"), format!("urn:oasis:names:tc:SAML:{version}:assertion"));
        assert_eq!(within(&answer.text(), "a:RelatesTo"), "urn:uuid:1");
        let assertion = ask.assertion(&emulator);
        let scope = format!("{STORAGE_SCOPE} openid profile offline_access");
        for assertion in [&assertion, &padded(&assertion)] {
            let answer = redeem(&emulator, grant, assertion, &[("scope", &scope), ("client_info", "1")]);
            assert_eq!(answer.claims()["upn"], FEDERATED_USER_NAME);
            for name in ["id_token", "refresh_token", "client_info"] {
                common::part(&answer, name);
            }
        }
        let other = if grant == SAML_1 { SAML_2 } else { SAML_1 };
        assert_eq!(outcome(&redeem(&emulator, other, &assertion, &[])), (400, "invalid_grant".to_owned(), 50_008));
    }
}

#[test]
fn only_what_the_server_has_given_is_an_assertion() {
    let emulator = builder().start_in_background().unwrap();
    let ask = Ask::new(&emulator, true);
    let good = ask.assertion(&emulator);
    let text = String::from_utf8(common::decode_base64_url(&good)).unwrap();
    let forged = base64(text.replace("katherine", "ada").as_bytes(), true);
    let shifted = base64(text.replace("</", " </").as_bytes(), true);
    for assertion in ["nonsense!", "AAAA", "_w", &forged, &shifted] {
        assert_eq!(outcome(&redeem(&emulator, SAML_1, assertion, &[])).2, 50_008, "{assertion}");
    }
    assert_eq!(outcome(&redeem(&emulator, SAML_1, "", &[])).2, 900_144);
    assert_eq!(outcome(&redeem(&emulator, SAML_1, &good, &[("scope", "-")])).2, 90_014);
    assert_eq!(outcome(&redeem(&emulator, SAML_1, &good, &[("client_secret", "x")])).2, 700_025);
    emulator.set_clock_skew_secs(3_601);
    assert_eq!(outcome(&redeem(&emulator, SAML_1, &good, &[])).2, 50_008, "an hour is over");
    emulator.set_clock_skew_secs(0);
    let user = || User::new(FEDERATED_USER_NAME, USER_PASSWORD).federated();
    emulator.put_user(user().mfa()).unwrap();
    assert_eq!(outcome(&redeem(&emulator, SAML_1, &good, &[])), (400, "invalid_grant".to_owned(), 50_076));
    emulator.put_user(user().disabled()).unwrap();
    assert_eq!(outcome(&redeem(&emulator, SAML_1, &good, &[])).2, 50_057);
}

#[test]
fn requests_for_assertions_are_refused_as_ad_fs_does() {
    let emulator =
        builder().user(User::new("odd@adfs.contoso.example", "a<&>'\"b").federated()).start_in_background().unwrap();
    let now = common::now();
    for is_13 in [true, false] {
        let good = Ask::new(&emulator, is_13);
        let other = Ask::new(&emulator, !is_13);
        for (ask, code) in [
            (Ask { password: "wrong".to_owned(), ..good.clone() }, "FailedAuthentication"),
            (Ask { user: "nobody@adfs.contoso.example".to_owned(), ..good.clone() }, "FailedAuthentication"),
            (Ask { user: USER_NAME.to_owned(), ..good.clone() }, "FailedAuthentication"),
            (Ask { user: DISABLED_USER_NAME.to_owned(), ..good.clone() }, "FailedAuthentication"),
            (Ask { created: time(now - 1_000), expires: time(now - 400), ..good.clone() }, "InvalidSecurity"),
            (Ask { created: time(now + 400), expires: time(now + 1_000), ..good.clone() }, "InvalidSecurity"),
            (Ask { created: time(now), expires: time(now), ..good.clone() }, "InvalidSecurity"),
            (Ask { created: time(now - 700), ..good.clone() }, "InvalidSecurity"),
            (Ask { created: "now".to_owned(), ..good.clone() }, "InvalidSecurity"),
            (Ask { action: other.action.clone(), ..good.clone() }, "ActionNotSupported"),
            (Ask { action: "<".replace('<', "&lt;x"), ..good.clone() }, "ActionNotSupported"),
            (Ask { to: other.to.clone(), ..good.clone() }, "DestinationUnreachable"),
            (Ask { to: format!("https://evil.example{}", good.path), ..good.clone() }, "DestinationUnreachable"),
            (Ask { to: good.to.replace("https", "http"), ..good.clone() }, "DestinationUnreachable"),
            (Ask { audience: "urn:other".to_owned(), ..good.clone() }, "InvalidScope"),
            (Ask { key: other.key.clone(), ..good.clone() }, "InvalidRequest"),
            (Ask { request: other.request.clone(), ..good.clone() }, "InvalidRequest"),
            (Ask { token: "urn:other", ..good.clone() }, "InvalidRequest"),
            (Ask { space: other.space, ..good.clone() }, "InvalidRequest"),
        ] {
            let answer = ask.send(&emulator);
            let (found, reason) = fault(&answer);
            assert_eq!(found, code, "{}", answer.text());
            assert!(!reason.is_empty() && !answer.text().contains(USER_PASSWORD));
        }
        let odd = Ask {
            user: "odd@adfs.contoso.example".to_owned(),
            password: "a&lt;&amp;&gt;&apos;&#34;b".to_owned(),
            ..good.clone()
        };
        assert_eq!(odd.send(&emulator).status, 200);
        let text = good.envelope();
        let cases = [
            (text.replace("u:Timestamp", "u:Other"), "InvalidSecurity"),
            (text.replace("o:Password", "o:Other"), "InvalidSecurity"),
            (text.replace("p:AppliesTo", "p:Other"), "InvalidScope"),
            (text.replace("<s:Body>", "<s:Body><x/>").replace("t:RequestSecurityToken", "t:Other"), "InvalidRequest"),
        ];
        for (text, code) in cases {
            assert_eq!(fault(&good.send_text(&emulator, &text)).0, code, "{text}");
        }
        // As MSAL for Go and for Java write it.
        let unnamed = good.send_text(&emulator, &text.replace("MessageID", "messageID"));
        assert!(unnamed.status == 200 && !unnamed.text().contains("RelatesTo"), "{}", unnamed.text());
        let header = [("Content-Type", "application/soap+xml"), ("SOAPAction", other.action.as_str())];
        assert_eq!(fault(&post(&emulator, good.path, &header, &text)).0, "ActionNotSupported");
    }
}

#[test]
fn a_password_counts_to_its_last_space() {
    let emulator =
        builder().user(User::new("odd@adfs.contoso.example", " a b ").federated()).start_in_background().unwrap();
    let good = Ask::new(&emulator, true);
    for password in [format!("{USER_PASSWORD} "), format!("\n{USER_PASSWORD}")] {
        assert_eq!(fault(&Ask { password, ..good.clone() }.send(&emulator)).0, "FailedAuthentication");
    }
    let odd = Ask { user: "odd@adfs.contoso.example".to_owned(), password: " a b ".to_owned(), ..good };
    assert_eq!(odd.send(&emulator).status, 200);
}

/// The same document with attributes in another order, other quotes and no empty tags, as MSAL for Java writes it anew.
fn rewritten(text: &str) -> String {
    let tags = text.split_inclusive('>').map(|part| {
        let Some((before, tag)) = part.split_once('<').filter(|(_, tag)| tag.contains("=\"")) else {
            return part.to_owned();
        };
        let inner = tag.trim_end_matches('>');
        let (inner, is_empty) = inner.strip_suffix('/').map_or((inner, false), |inner| (inner, true));
        let (name, attributes) = inner.split_once(' ').unwrap();
        let mut attributes: Vec<&str> = attributes.trim_end_matches('"').split("\" ").collect();
        attributes.sort_unstable_by_key(|attribute| (!attribute.starts_with("xmlns"), *attribute));
        let attributes: String =
            attributes.iter().map(|attribute| format!(" {}'", attribute.replace('"', "'"))).collect();
        format!("{before}<{name}{attributes}>{}", if is_empty { format!("</{name}>") } else { String::new() })
    });
    tags.collect()
}

#[test]
fn an_assertion_is_what_it_says_however_it_is_written() {
    let emulator = builder().start_in_background().unwrap();
    let first = Ask::new(&emulator, true);
    let second = Ask { token: "urn:oasis:names:tc:SAML:2.0:assertion", ..first.clone() };
    for (ask, grant) in [(first, SAML_1), (second, SAML_2)] {
        let given = String::from_utf8(common::decode_base64_url(&ask.assertion(&emulator))).unwrap();
        let again = rewritten(&given);
        assert_ne!(given, again);
        let answer = redeem(&emulator, grant, &base64(again.as_bytes(), true), &[]);
        assert_eq!(answer.status, 200, "{again}\n{answer:?}");
        for changed in [
            again.replace("katherine", "katherine "),
            again.replace("NotOnOrAfter='2", "NotOnOrAfter='3"),
            again.replace(" NotBefore=", " More='' NotBefore="),
            again.replace("urn:oasis:names:tc:SAML", "urn:other"),
        ] {
            assert_ne!(changed, again);
            let answer = redeem(&emulator, grant, &base64(changed.as_bytes(), true), &[]);
            assert_eq!(outcome(&answer).2, 50_008, "{changed}");
        }
    }
}

#[test]
fn a_header_that_must_be_understood_is_understood_or_the_message_refused() {
    let emulator = builder().start_in_background().unwrap();
    let ask = Ask::new(&emulator, true);
    let with = |flag: &str| {
        let header = format!("<x:Sequence xmlns:x='urn:x' {flag}>1</x:Sequence></s:Header>");
        ask.send_text(&emulator, &ask.envelope().replace("</s:Header>", &header))
    };
    for flag in ["", "s:mustUnderstand='0'", "s:mustUnderstand='false'", "mustUnderstand='1'"] {
        assert_eq!(with(flag).status, 200, "{flag}");
    }
    for flag in ["s:mustUnderstand='1'", "s:mustUnderstand='true'"] {
        let answer = with(flag);
        assert_eq!(answer.status, 500, "{flag}");
        assert!(answer.text().contains("<s:Code><s:Value>s:MustUnderstand</s:Value></s:Code>"), "{}", answer.text());
        assert!(answer.text().contains("&#39;Sequence&#39; from the namespace &#39;urn:x&#39;"), "{}", answer.text());
    }
}

#[test]
fn what_is_no_message_is_not_looked_at() {
    let emulator = builder().start_in_background().unwrap();
    let ask = Ask::new(&emulator, true);
    let text = ask.envelope();
    let bomb = "<!DOCTYPE a [<!ENTITY b \"bbbbbbbbbb\"><!ENTITY c \"&b;&b;&b;\">]>";
    for text in [
        String::new(),
        "nonsense".to_owned(),
        "<a/>".to_owned(),
        text.replace("</s:Envelope>", ""),
        text.replace("<?xml version='1.0' encoding='utf-8'?>", bomb),
        text.replace("http://www.w3.org/2003/05/soap-envelope", "http://schemas.xmlsoap.org/soap/envelope/"),
        format!("{}{}", "<a>".repeat(10_000), "</a>".repeat(4_000)),
    ] {
        assert_eq!(ask.send_text(&emulator, &text).status, 400, "{text:.100}");
    }
    assert_eq!(ask.send_text(&emulator, &format!("{text}{}", " ".repeat(70_000))).status, 413);
    assert_eq!(post(&emulator, ask.path, &[("Content-Type", "text/xml")], &text).status, 415);
    assert_eq!(document(&emulator, ask.path).status, 405);
    let evil = Ask { action: "&lt;/a:Action>&lt;x>".to_owned(), ..ask.clone() };
    let answer = evil.send_text(&emulator, &evil.envelope());
    assert!(!answer.text().contains("<x>"), "{}", answer.text());
    emulator.faults().next(Source::Entra, Answer::status(503));
    assert_eq!((ask.send(&emulator).status, ask.send(&emulator).status), (503, 200));
    let request = emulator.requests().pop().unwrap();
    assert!(!format!("{request:?}").contains(USER_PASSWORD));
}
