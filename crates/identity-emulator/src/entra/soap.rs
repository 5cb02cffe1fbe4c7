//! The messages of WS-Trust, and the document that describes its endpoints.

use crate::entra::adfs::{TRUST_13, TRUST_2005};
use crate::entra::xml::escape;
use crate::x509::days_from_civil;

/// A version of WS-Trust.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trust {
    /// 1.3.
    V13,
    /// Of February 2005.
    V2005,
}

impl Trust {
    pub(crate) const fn namespace(self) -> &'static str {
        match self {
            Self::V13 => "http://docs.oasis-open.org/ws-sx/ws-trust/200512",
            Self::V2005 => "http://schemas.xmlsoap.org/ws/2005/02/trust",
        }
    }

    /// What a request for a token is called.
    pub(crate) const fn action(self) -> &'static str {
        match self {
            Self::V13 => "http://docs.oasis-open.org/ws-sx/ws-trust/200512/RST/Issue",
            Self::V2005 => "http://schemas.xmlsoap.org/ws/2005/02/trust/RST/Issue",
        }
    }

    /// The type of the request, and that of a key which proves nothing.
    pub(crate) const fn request_and_key(self) -> (&'static str, &'static str) {
        match self {
            Self::V13 => (
                "http://docs.oasis-open.org/ws-sx/ws-trust/200512/Issue",
                "http://docs.oasis-open.org/ws-sx/ws-trust/200512/Bearer",
            ),
            Self::V2005 => (
                "http://schemas.xmlsoap.org/ws/2005/02/trust/Issue",
                "http://schemas.xmlsoap.org/ws/2005/05/identity/NoProofKey",
            ),
        }
    }

    /// The answer with an assertion.
    pub(crate) fn response(
        self,
        relates_to: &str,
        from: &str,
        to: &str,
        audience: &str,
        kind: &str,
        assertion: &str,
    ) -> String {
        let space = self.namespace();
        let (request, key) = self.request_and_key();
        let (action, before, after) = match self {
            Self::V13 => (
                "http://docs.oasis-open.org/ws-sx/ws-trust/200512/RSTRC/IssueFinal",
                format!("<trust:RequestSecurityTokenResponseCollection xmlns:trust=\"{space}\">"),
                "</trust:RequestSecurityTokenResponseCollection>",
            ),
            Self::V2005 => ("http://schemas.xmlsoap.org/ws/2005/02/trust/RSTR/Issue", String::new(), ""),
        };
        let stamp = format!(
            "<wsu:Created xmlns:wsu=\"{UTILITY}\">{from}</wsu:Created><wsu:Expires xmlns:wsu=\"{UTILITY}\">{to}</wsu:Expires>"
        );
        let body = format!(
            "{before}<trust:RequestSecurityTokenResponse xmlns:trust=\"{space}\"><trust:Lifetime>{stamp}</trust:Lifetime>\
             <wsp:AppliesTo xmlns:wsp=\"{POLICY}\"><wsa:EndpointReference xmlns:wsa=\"{ADDRESSING}\"><wsa:Address>{audience}</wsa:Address>\
             </wsa:EndpointReference></wsp:AppliesTo><trust:RequestedSecurityToken>{assertion}</trust:RequestedSecurityToken>\
             <trust:TokenType>{kind}</trust:TokenType><trust:RequestType>{request}</trust:RequestType><trust:KeyType>{key}</trust:KeyType>\
             </trust:RequestSecurityTokenResponse>{after}"
        );
        envelope(action, relates_to, &body)
    }
}

/// Why there is no assertion.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The user is unknown, or the password wrong.
    Credentials,
    /// A time or a part of the security header is wrong.
    Security,
    /// The message is for another operation.
    Action(String),
    /// The message is for another endpoint.
    To(String),
    /// The assertion would be for somebody unknown.
    Scope,
    /// This header, of this namespace, has to be understood.
    Header(String, String),
    /// Something else is asked for.
    Request,
    /// The server cannot.
    Failed,
}

impl Fault {
    /// Source: what AD FS of Windows Server 2019 was seen to answer, in public bug reports.
    pub(crate) fn envelope(&self, relates_to: &str) -> String {
        let security = |name: &str| format!("<s:Value xmlns:a=\"{SECURITY}\">a:{name}</s:Value>");
        let addressing = |name: &str| format!("<s:Value>a:{name}</s:Value>");
        let trust = |name: &str| format!("<s:Value xmlns:a=\"{}\">a:{name}</s:Value>", Trust::V13.namespace());
        let (subcode, reason) = match self {
            Self::Header(name, namespace) => {
                let reason = format!(
                    "The header '{name}' from the namespace '{namespace}' was not understood by the recipient of this message, causing \
                     the message to not be processed."
                );
                return fault("MustUnderstand", "", &reason, relates_to);
            }
            Self::Credentials => (
                security("FailedAuthentication"),
                "ID3242: The security token could not be authenticated or authorized.".to_owned(),
            ),
            Self::Security => {
                (security("InvalidSecurity"), "An error occurred when verifying security for the message.".to_owned())
            }
            Self::Action(action) => (
                addressing("ActionNotSupported"),
                format!(
                    "The message with Action '{action}' cannot be processed at the receiver, due to a ContractFilter mismatch at the \
                     EndpointDispatcher."
                ),
            ),
            Self::To(to) => (
                addressing("DestinationUnreachable"),
                format!(
                    "The message with To '{to}' cannot be processed at the receiver, due to an AddressFilter mismatch at the \
                     EndpointDispatcher. Check that the sender and receiver's EndpointAddresses agree."
                ),
            ),
            Self::Scope => {
                (trust("InvalidScope"), "ID3082: The request scope is not valid or is unsupported.".to_owned())
            }
            Self::Request => (trust("InvalidRequest"), "ID3035: The request was not valid or is malformed.".to_owned()),
            Self::Failed => (trust("RequestFailed"), "MSIS3127: The specified request failed.".to_owned()),
        };
        fault("Sender", &format!("<s:Subcode>{subcode}</s:Subcode>"), &reason, relates_to)
    }
}

fn fault(code: &str, subcode: &str, reason: &str, relates_to: &str) -> String {
    let body = format!(
        "<s:Fault><s:Code><s:Value>s:{code}</s:Value>{subcode}</s:Code><s:Reason><s:Text xml:lang=\"en-US\">{}</s:Text></s:Reason></s:Fault>",
        escape(reason)
    );
    envelope("http://www.w3.org/2005/08/addressing/soap/fault", relates_to, &body)
}

fn envelope(action: &str, relates_to: &str, body: &str) -> String {
    let relates_to = match relates_to {
        "" => String::new(),
        id => format!("<a:RelatesTo>{}</a:RelatesTo>", escape(id)),
    };
    format!(
        "<s:Envelope xmlns:s=\"{ENVELOPE}\" xmlns:a=\"{ADDRESSING}\"><s:Header><a:Action s:mustUnderstand=\"1\">{action}</a:Action>\
         {relates_to}</s:Header><s:Body>{body}</s:Body></s:Envelope>"
    )
}

/// The endpoints for passwords, and two others that a client must not choose: for certificates, and over plain HTTP.
pub(crate) fn mex(host: &str) -> String {
    let supporting = |space: &str, element: &str, token: &str| {
        format!(
            "<sp:TransportBinding xmlns:sp=\"{space}\"><wsp:Policy><sp:TransportToken><wsp:Policy><sp:HttpsToken/></wsp:Policy>\
             </sp:TransportToken></wsp:Policy></sp:TransportBinding><sp:{element} xmlns:sp=\"{space}\"><wsp:Policy>{token}</wsp:Policy>\
             </sp:{element}>"
        )
    };
    let user = |name: &str| format!("<sp:UsernameToken><wsp:Policy><sp:{name}/></wsp:Policy></sp:UsernameToken>");
    let certificate = "<sp:X509Token><wsp:Policy><sp:WssX509V3Token10/></wsp:Policy></sp:X509Token>";
    let rows = [
        (
            "CertificateWSTrustBinding_IWSTrust13Async",
            supporting(POLICY_13, "EndorsingSupportingTokens", certificate),
            Trust::V13,
            format!("https://{host}/adfs/services/trust/13/certificatemixed"),
        ),
        (
            "UserNameWSTrustBinding_IWSTrustFeb2005Async",
            supporting(POLICY_2005, "SignedSupportingTokens", &user("WssUsernameToken10")),
            Trust::V2005,
            format!("https://{host}/adfs/{TRUST_2005}"),
        ),
        (
            "UserNameWSTrustBinding_IWSTrust13Async",
            supporting(POLICY_13, "SignedEncryptedSupportingTokens", &user("WssUsernameToken10")),
            Trust::V13,
            format!("https://{host}/adfs/{TRUST_13}"),
        ),
        (
            "UserNameWSTrustBinding_IWSTrust13Async1",
            supporting(POLICY_13, "SignedEncryptedSupportingTokens", &user("WssUsernameToken10")),
            Trust::V13,
            format!("http://{host}/adfs/{TRUST_13}"),
        ),
    ];
    let (mut policies, mut bindings, mut ports) = (String::new(), String::new(), String::new());
    for (name, policy, trust, address) in rows {
        let action = trust.action();
        let address = escape(&address);
        policies.push_str(&format!(
            "<wsp:Policy wsu:Id=\"{name}_policy\"><wsp:ExactlyOne><wsp:All>{policy}</wsp:All></wsp:ExactlyOne></wsp:Policy>"
        ));
        bindings.push_str(&format!(
            "<wsdl:binding name=\"{name}\" type=\"tns:IWSTrust\"><wsp:PolicyReference URI=\"#{name}_policy\"/>\
             <soap12:binding transport=\"http://schemas.xmlsoap.org/soap/http\"/><wsdl:operation name=\"Trust\">\
             <soap12:operation soapAction=\"{action}\" style=\"document\"/></wsdl:operation></wsdl:binding>"
        ));
        ports.push_str(&format!(
            "<wsdl:port name=\"{name}\" binding=\"tns:{name}\"><soap12:address location=\"{address}\"/><wsa10:EndpointReference>\
             <wsa10:Address>{address}</wsa10:Address></wsa10:EndpointReference></wsdl:port>"
        ));
    }
    format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><wsdl:definitions name=\"SecurityTokenService\" \
         targetNamespace=\"http://schemas.microsoft.com/ws/2008/06/identity/securitytokenservice\" \
         xmlns:wsdl=\"http://schemas.xmlsoap.org/wsdl/\" xmlns:wsp=\"{POLICY}\" xmlns:wsu=\"{UTILITY}\" \
         xmlns:soap12=\"http://schemas.xmlsoap.org/wsdl/soap12/\" xmlns:wsa10=\"{ADDRESSING}\" \
         xmlns:tns=\"http://schemas.microsoft.com/ws/2008/06/identity/securitytokenservice\">{policies}{bindings}\
         <wsdl:service name=\"SecurityTokenService\">{ports}</wsdl:service></wsdl:definitions>"
    )
}

/// Seconds since the Unix epoch for a time such as `2026-11-26T19:01:59.123Z`.
pub(crate) fn seconds(text: &str) -> Option<i64> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let numbers = |text: &str, separator: char, lengths: [usize; 3]| -> Option<[i64; 3]> {
        let mut parts = text.split(separator);
        let mut found = [0; 3];
        for (place, length) in found.iter_mut().zip(lengths) {
            let part = parts.next().filter(|part| part.len() == length && is_digits(part))?;
            *place = part.parse().ok()?;
        }
        parts.next().is_none().then_some(found)
    };
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let [hour, minute, second] = numbers(time, ':', [2, 2, 2])?;
    let is_right = (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second < 61
        && (1..=9).contains(&fraction.len())
        && is_digits(fraction);
    is_right.then(|| days_from_civil(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second)
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

pub(crate) const ENVELOPE: &str = "http://www.w3.org/2003/05/soap-envelope";
pub(crate) const ADDRESSING: &str = "http://www.w3.org/2005/08/addressing";
pub(crate) const SECURITY: &str = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd";
pub(crate) const UTILITY: &str = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd";
pub(crate) const POLICY: &str = "http://schemas.xmlsoap.org/ws/2004/09/policy";
const POLICY_13: &str = "http://docs.oasis-open.org/ws-sx/ws-securitypolicy/200702";
const POLICY_2005: &str = "http://schemas.xmlsoap.org/ws/2005/07/securitypolicy";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_one_form() {
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2026-11-23T05:39:05Z", Some(1_795_412_345)),
            ("2026-11-23T05:39:05.999Z", Some(1_795_412_345)),
            ("2026-11-23T05:39:05", None),
            ("2026-11-23T05:39:05+01:00", None),
            ("2026-11-23 05:39:05Z", None),
            ("2026-13-23T05:39:05Z", None),
            ("2026-1-23T05:39:05Z", None),
            ("2026-11-23T05:39Z", None),
            ("2026-11-23T05:39:05:00Z", None),
            ("-026-11-23T05:39:05Z", None),
            ("2026-11-23T05:39:05.Z", None),
            ("", None),
        ] {
            assert_eq!(seconds(text), expected, "{text}");
        }
    }
}
