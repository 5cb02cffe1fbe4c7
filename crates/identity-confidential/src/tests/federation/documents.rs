//! What federation servers send, in the structure that AD FS has.

#[derive(Clone, Copy)]
pub(super) enum Version {
    V13,
    V2005,
}

pub(super) const ADDRESSING: &str = "http://www.w3.org/2005/08/addressing";

impl Version {
    /// The name of an endpoint's kind.
    fn contract(self) -> &'static str {
        match self {
            Self::V13 => "IWSTrust13Async",
            Self::V2005 => "IWSTrustFeb2005Async",
        }
    }

    fn action(self) -> &'static str {
        match self {
            Self::V13 => "http://docs.oasis-open.org/ws-sx/ws-trust/200512/RST/Issue",
            Self::V2005 => "http://schemas.xmlsoap.org/ws/2005/02/trust/RST/Issue",
        }
    }

    fn policy(self) -> (&'static str, &'static str) {
        match self {
            Self::V13 => {
                ("http://docs.oasis-open.org/ws-sx/ws-securitypolicy/200702", "SignedEncryptedSupportingTokens")
            }
            Self::V2005 => ("http://schemas.xmlsoap.org/ws/2005/07/securitypolicy", "SignedSupportingTokens"),
        }
    }
}

/// A description of a server with these endpoints: policies, bindings and ports, which stand in this order in real ones.
pub(super) fn mex(endpoints: &str) -> String {
    let mut parts = [String::new(), String::new(), String::new()];
    for endpoint in endpoints.split('\u{1}').filter(|endpoint| !endpoint.is_empty()) {
        for (all, part) in parts.iter_mut().zip(endpoint.split('\u{2}')) {
            all.push_str(part);
        }
    }
    let [policies, bindings, ports] = parts;
    format!(
        r#"<?xml version="1.0" encoding="utf-8"?>
<wsx:Metadata xmlns:wsx="http://schemas.xmlsoap.org/ws/2004/09/mex"><wsx:MetadataSection xmlns="" Dialect="http://schemas.xmlsoap.org/wsdl/">
<wsdl:definitions name="SecurityTokenService" targetNamespace="http://schemas.microsoft.com/ws/2008/06/identity/securitytokenservice"
    xmlns:wsdl="http://schemas.xmlsoap.org/wsdl/" xmlns:wsa10="{ADDRESSING}" xmlns:xsd="http://www.w3.org/2001/XMLSchema"
    xmlns:tns="http://schemas.microsoft.com/ws/2008/06/identity/securitytokenservice"
    xmlns:soap12="http://schemas.xmlsoap.org/wsdl/soap12/" xmlns:wsp="http://schemas.xmlsoap.org/ws/2004/09/policy"
    xmlns:wsu="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd">
  {policies}
  <wsdl:types><xsd:schema targetNamespace="urn:schemas/Imports"><xsd:import namespace="urn:x"/></xsd:schema></wsdl:types>
  <wsdl:message name="Trust_IssueAsync_InputMessage"><wsdl:part name="request" element="tns:RequestSecurityToken"/></wsdl:message>
  {bindings}
  <wsdl:service name="SecurityTokenService">
    {ports}
  </wsdl:service>
</wsdl:definitions>
</wsx:MetadataSection></wsx:Metadata>
"#
    )
}

/// An endpoint that takes a name and a password.
pub(super) fn endpoint(version: Version, url: &str) -> String {
    let (namespace, tokens) = version.policy();
    let policy = format!(
        r#"<sp:{tokens} xmlns:sp="{namespace}"><wsp:Policy>
        <sp:UsernameToken sp:IncludeToken="urn:AlwaysToRecipient"><wsp:Policy><sp:WssUsernameToken10/></wsp:Policy></sp:UsernameToken>
      </wsp:Policy></sp:{tokens}>
      <sp:EndorsingSupportingTokens xmlns:sp="{namespace}"><wsp:Policy><sp:KeyValueToken wsp:Optional="true"/></wsp:Policy></sp:EndorsingSupportingTokens>"#
    );
    any("UserNameWSTrustBinding", version, url, &policy)
}

/// An endpoint for machines of the domain.
pub(super) fn windows(version: Version, url: &str) -> String {
    let policy = r#"<http:NegotiateAuthentication xmlns:http="http://schemas.microsoft.com/ws/06/2004/policy/http"/>"#;
    any("CustomBinding", version, url, policy)
}

/// The parts of an endpoint, apart; see [`mex`].
fn any(name: &str, version: Version, url: &str, policy: &str) -> String {
    let (contract, action, (namespace, _)) = (version.contract(), version.action(), version.policy());
    // Names are told apart by the address.
    let name = format!("{name}_{contract}{}", url.len());
    format!(
        "\u{1}\
  <wsp:Policy wsu:Id=\"{name}_policy\">
    <wsp:ExactlyOne><wsp:All>
      <sp:TransportBinding xmlns:sp=\"{namespace}\"><wsp:Policy>
        <sp:TransportToken><wsp:Policy><sp:HttpsToken/></wsp:Policy></sp:TransportToken>
        <sp:AlgorithmSuite><wsp:Policy><sp:Basic256/></wsp:Policy></sp:AlgorithmSuite>
        <sp:Layout><wsp:Policy><sp:Strict/></wsp:Policy></sp:Layout><sp:IncludeTimestamp/>
      </wsp:Policy></sp:TransportBinding>
      {policy}
    </wsp:All></wsp:ExactlyOne>
  </wsp:Policy>\u{2}
  <wsdl:binding name=\"{name}\" type=\"tns:{contract}\">
    <wsp:PolicyReference URI=\"#{name}_policy\"/>
    <soap12:binding transport=\"http://schemas.xmlsoap.org/soap/http\"/>
    <wsdl:operation name=\"TrustIssueAsync\">
      <soap12:operation soapAction=\"{action}\" style=\"document\"/>
      <wsdl:input><soap12:body use=\"literal\"/></wsdl:input>
    </wsdl:operation>
  </wsdl:binding>\u{2}
    <wsdl:port name=\"{name}\" binding=\"tns:{name}\">
      <soap12:address location=\"{url}\"/>
      <wsa10:EndpointReference><wsa10:Address>{url}</wsa10:Address></wsa10:EndpointReference>
    </wsdl:port>"
    )
}

/// The answer with a token in the envelope of WS-Trust 1.3.
pub(super) fn answer_13(kind: &str, token: &str) -> String {
    format!(
        r#"<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:a="{ADDRESSING}">
  <s:Header><a:Action s:mustUnderstand="1">http://docs.oasis-open.org/ws-sx/ws-trust/200512/RSTRC/IssueFinal</a:Action></s:Header>
  <s:Body>
    <trust:RequestSecurityTokenResponseCollection xmlns:trust="http://docs.oasis-open.org/ws-sx/ws-trust/200512">
      <trust:RequestSecurityTokenResponse>
        <trust:Lifetime><Created>2026-01-01T00:00:00.000Z</Created></trust:Lifetime>
        <trust:RequestedSecurityToken>{token}</trust:RequestedSecurityToken>
        <trust:TokenType>{kind}</trust:TokenType>
        <trust:RequestType>http://docs.oasis-open.org/ws-sx/ws-trust/200512/Issue</trust:RequestType>
      </trust:RequestSecurityTokenResponse>
    </trust:RequestSecurityTokenResponseCollection>
  </s:Body>
</s:Envelope>"#
    )
}

/// The same of WS-Trust of 2005.
pub(super) fn answer_2005(kind: &str, token: &str) -> String {
    format!(
        r#"<?xml version="1.0"?><s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Header/><s:Body>
    <t:RequestSecurityTokenResponse xmlns:t="http://schemas.xmlsoap.org/ws/2005/02/trust">
      <t:RequestedSecurityToken>{token}</t:RequestedSecurityToken><t:TokenType>{kind}</t:TokenType>
    </t:RequestSecurityTokenResponse></s:Body></s:Envelope>"#
    )
}

pub(super) fn fault(code: &str, reason: &str) -> String {
    let escape = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;");
    format!(
        r#"<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body><s:Fault>
    <s:Code><s:Value>s:Sender</s:Value><s:Subcode><s:Value>{}</s:Value></s:Subcode></s:Code>
    <s:Reason><s:Text xml:lang="en-US"> {} </s:Text></s:Reason></s:Fault></s:Body></s:Envelope>"#,
        escape(code),
        escape(reason)
    )
}

pub(super) fn saml1() -> String {
    r#"<saml:Assertion MajorVersion="1" MinorVersion="1" AssertionID="_CANARY" xmlns:saml="urn:oasis:names:tc:SAML:1.0:assertion"><saml:Conditions NotBefore="2026-01-01T00:00:00.000Z"/></saml:Assertion>"#
        .to_owned()
}

pub(super) fn saml2() -> String {
    r#"<Assertion ID="_CANARY" Version="2.0" xmlns="urn:oasis:names:tc:SAML:2.0:assertion"><Issuer>http://sts.contoso.com/adfs/services/trust</Issuer></Assertion>"#
        .to_owned()
}
