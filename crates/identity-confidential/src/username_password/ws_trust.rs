//! The message that asks a federation server for a token, and its answer.

use identity_core::{Secret, date::civil};
use identity_oauth::SamlVersion;
use roxmltree::{Document, Node};

use super::{
    endpoint::{Endpoint, WsTrust},
    mex::{child, children},
};

/// A message that asks `endpoint` for a token for `audience`. `id` is its own, `now` in seconds since the Unix epoch.
///
/// Source: WS-Trust 1.3, section 4.1; Web Services Security UsernameToken Profile 1.0, section 3.1.
pub(super) fn request(
    endpoint: &Endpoint,
    username: &str,
    password: &Secret,
    audience: &str,
    id: &str,
    now: i64,
) -> Secret {
    let version = endpoint.version;
    let (username, password) = (escape(username), escape(password.expose()));
    let (to, audience) = (escape(&endpoint.url), escape(audience));
    // In one piece as large as all of them, so that nothing stays behind in a buffer that was too small.
    let text = [
        r#"<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:a="http://www.w3.org/2005/08/addressing">"#,
        r#"<s:Header><a:Action s:mustUnderstand="1">"#,
        version.action(),
        "</a:Action><a:MessageID>urn:uuid:",
        id,
        "</a:MessageID><a:ReplyTo><a:Address>http://www.w3.org/2005/08/addressing/anonymous</a:Address></a:ReplyTo>",
        r#"<a:To s:mustUnderstand="1">"#,
        to.expose(),
        r#"</a:To><o:Security s:mustUnderstand="1" xmlns:o="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd" "#,
        r#"xmlns:u="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd">"#,
        r#"<u:Timestamp u:Id="time"><u:Created>"#,
        &timestamp(now),
        "</u:Created><u:Expires>",
        &timestamp(now.saturating_add(LIFE)),
        r#"</u:Expires></u:Timestamp><o:UsernameToken u:Id="user"><o:Username>"#,
        username.expose(),
        "</o:Username><o:Password>",
        password.expose(),
        r#"</o:Password></o:UsernameToken></o:Security></s:Header><s:Body><t:RequestSecurityToken xmlns:t=""#,
        version.namespace(),
        r#""><p:AppliesTo xmlns:p="http://schemas.xmlsoap.org/ws/2004/09/policy"><a:EndpointReference><a:Address>"#,
        audience.expose(),
        "</a:Address></a:EndpointReference></p:AppliesTo><t:KeyType>",
        version.key_type(),
        "</t:KeyType><t:RequestType>",
        version.request_type(),
        "</t:RequestType></t:RequestSecurityToken></s:Body></s:Envelope>",
    ];
    text.concat().into()
}

/// What an answer holds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reply<'a> {
    /// A token, as it stands in the answer.
    Token(SamlVersion, &'a str),
    /// A token of a type that is none of SAML's, which the answer calls so.
    Unknown(&'a str),
    /// The server refuses, with these words.
    Fault(String),
    /// Neither.
    Nothing,
}

/// Reads an answer in either version of SOAP and of WS-Trust.
pub(super) fn read<'a>(document: &'a Document<'a>) -> Reply<'a> {
    let root = document.root_element();
    let Some(soap) = SOAP.into_iter().find(|namespace| root.has_tag_name((*namespace, "Envelope"))) else {
        return Reply::Nothing;
    };
    let Some(body) = child(root, soap, "Body") else { return Reply::Nothing };
    if let Some(fault) = child(body, soap, "Fault") {
        return Reply::Fault(words(fault, soap));
    }
    for namespace in [WsTrust::V13, WsTrust::V2005].map(WsTrust::namespace) {
        let collections = children(body, namespace, "RequestSecurityTokenResponseCollection");
        let responses = collections
            .flat_map(|node| children(node, namespace, "RequestSecurityTokenResponse"))
            .chain(children(body, namespace, "RequestSecurityTokenResponse"));
        if let Some((kind, token)) = responses.filter_map(|node| token(node, namespace)).next() {
            return match saml(kind) {
                Some(version) => Reply::Token(version, document.input_text().get(token.range()).unwrap_or_default()),
                None => Reply::Unknown(kind),
            };
        }
    }
    Reply::Nothing
}

/// The type of a token, and its element, which is alone where it stands.
fn token<'a, 'input>(response: Node<'a, 'input>, namespace: &str) -> Option<(&'a str, Node<'a, 'input>)> {
    let requested = child(response, namespace, "RequestedSecurityToken")?;
    let mut elements = requested.children().filter(Node::is_element);
    let (token, None) = (elements.next()?, elements.next()) else { return None };
    let kind = child(response, namespace, "TokenType").and_then(|node| node.text()).unwrap_or("");
    Some((kind.trim(), token))
}

/// Source: msal 1.39.0, `wstrust_response.py`.
fn saml(kind: &str) -> Option<SamlVersion> {
    match kind {
        "urn:oasis:names:tc:SAML:1.0:assertion"
        | "http://docs.oasis-open.org/wss/oasis-wss-saml-token-profile-1.1#SAMLV1.1" => Some(SamlVersion::V1_1),
        "urn:oasis:names:tc:SAML:2.0:assertion"
        | "http://docs.oasis-open.org/wss/oasis-wss-saml-token-profile-1.1#SAMLV2.0" => Some(SamlVersion::V2_0),
        _ => None,
    }
}

/// What a fault says: the subcode, which is for programs, and the reason, which is for people.
fn words(fault: Node<'_, '_>, soap: &str) -> String {
    let text = |node: Option<Node<'_, '_>>| node.and_then(|node| node.text()).unwrap_or("").trim().to_owned();
    let subcode = child(fault, soap, "Code").and_then(|node| child(node, soap, "Subcode"));
    let reason = child(fault, soap, "Reason").and_then(|node| child(node, soap, "Text"));
    let (code, reason) = if soap == SOAP_12 {
        (text(subcode.and_then(|node| child(node, soap, "Value"))), text(reason))
    } else {
        // Without a namespace, in version 1.1.
        let plain = |name| text(fault.children().find(|node| node.has_tag_name(name)));
        (plain("faultcode"), plain("faultstring"))
    };
    let separator = if code.is_empty() || reason.is_empty() { "" } else { ": " };
    [code.as_str(), separator, &reason].concat()
}

/// Whether XML can carry a text at all, in whatever form.
///
/// Source: Extensible Markup Language (XML) 1.0, section 2.2.
pub(super) fn is_carried(text: &str) -> bool {
    !text.chars().any(|c| (c < ' ' && !matches!(c, '\t' | '\n' | '\r')) || matches!(c, '\u{fffe}' | '\u{ffff}'))
}

/// A text as content of an element.
pub(super) fn escape(text: &str) -> Secret {
    // As large as it can become, so that no part of a secret stays behind in a buffer that was too small.
    let mut out = String::with_capacity(6 * text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            // A reader makes line feeds of them.
            '\r' => out.push_str("&#xD;"),
            c => out.push(c),
        }
    }
    out.into()
}

/// A time as XML writes it, in UTC.
///
/// Source: W3C XML Schema Part 2: Datatypes, section 3.2.7.
pub(super) fn timestamp(seconds: i64) -> String {
    // What no calendar of four digits shows is no time that a server would take.
    let seconds = seconds.clamp(0, LAST_SECOND);
    let (days, second) = (seconds / DAY, seconds % DAY);
    let since = |year: i64, month: i64| civil(year, month, 1, 0, 0, 0).unwrap_or(i64::MAX) / DAY;
    // Years are at least 365 days long, so this is the year or one of the next few.
    let mut year = 1970 + days / 366;
    while since(year + 1, 1) <= days {
        year += 1;
    }
    let month = (2..=12).take_while(|month| since(year, *month) <= days).last().unwrap_or(1);
    let day = days - since(year, month) + 1;
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", second / 3_600, second / 60 % 60, second % 60)
}

const SOAP_12: &str = "http://www.w3.org/2003/05/soap-envelope";
const SOAP: [&str; 2] = [SOAP_12, "http://schemas.xmlsoap.org/soap/envelope/"];
const DAY: i64 = 86_400;
/// 9999-12-31 23:59:59.
const LAST_SECOND: i64 = 253_402_300_799;
/// How long the message is good for, in seconds. Source: msal 1.39.0, `wstrust_request.py`.
const LIFE: i64 = 600;

#[cfg(test)]
mod tests {
    use super::*;

    // `date -u -d @SECONDS`.
    #[test]
    fn times_are_written_across_leap_years() {
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_767_225_600, "2026-01-01T00:00:00Z"),
            (1_835_481_599, "2028-02-29T23:59:59Z"),
            (4_107_542_399, "2100-02-28T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (253_402_300_799, "9999-12-31T23:59:59Z"),
            (i64::MAX, "9999-12-31T23:59:59Z"),
            (i64::MIN, "1970-01-01T00:00:00Z"),
        ] {
            assert_eq!(timestamp(seconds), expected, "{seconds}");
        }
        // One day of each week of 400 years: what is written is read back.
        for day in (0..146_097).step_by(7) {
            let text = timestamp(day * DAY);
            assert_eq!(identity_core::date::parse_time(&text), Some(day * DAY), "{text}");
        }
    }

    #[test]
    fn a_message_never_outgrows_its_buffer() {
        // Six bytes for one are the most.
        let text = "\"'&<>\r\u{10ffff}a";
        let escaped = escape(text);
        assert_eq!(escaped.expose(), "&quot;&apos;&amp;&lt;&gt;&#xD;\u{10ffff}a");
        assert!(escaped.expose().len() <= 6 * text.len());
        assert_eq!(escape(&"\"".repeat(100)).expose().len(), 600);
    }
}
