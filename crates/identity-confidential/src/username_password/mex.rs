//! Which endpoint of a federation server takes a name and a password, by the document that describes the server.

use std::collections::{HashMap, HashSet};

use roxmltree::{Document, Node};

use super::endpoint::{Endpoint, WsTrust, is_fit};

/// The endpoint to ask, and how: one for WS-Trust 1.3 if there is one, else one for WS-Trust of February 2005. `None` if no
/// endpoint takes a name and a password over `https`.
///
/// A *policy* says what a request must hold, a *binding* names the policy and the action that it is for, a *port* names the
/// binding and the address.
///
/// Source: msal 1.39.0, `mex.py`.
pub(super) fn choose(document: &Document<'_>) -> Option<Endpoint> {
    let all = || document.descendants().filter(Node::is_element);
    let policies: HashSet<&str> = all()
        .filter(|node| node.has_tag_name((POLICY, "Policy")))
        .filter_map(|policy| policy.attribute((UTILITY, "Id")).filter(|_| takes_password(policy)))
        .collect();
    let bindings: HashMap<&str, WsTrust> = all()
        .filter(|node| node.has_tag_name((WSDL, "binding")))
        .filter_map(|binding| Some((binding.attribute("name")?, version(binding, &policies)?)))
        .collect();
    let endpoints = || {
        let ports = all().filter(|node| {
            node.has_tag_name((WSDL, "port")) && node.parent().is_some_and(|node| node.has_tag_name((WSDL, "service")))
        });
        ports.filter_map(|port| {
            let binding = port.attribute("binding")?;
            let version = *bindings.get(binding.split_once(':').map_or(binding, |(_, name)| name))?;
            let reference = child(port, ADDRESSING, "EndpointReference")?;
            let url = child(reference, ADDRESSING, "Address")?.text()?.trim();
            is_fit(url).then(|| Endpoint { url: url.to_owned(), version })
        })
    };
    endpoints().find(|endpoint| endpoint.version == WsTrust::V13).or_else(|| endpoints().next())
}

/// Whether a policy asks for TLS and for a token of name and password, and for nothing beside it.
fn takes_password(policy: Node<'_, '_>) -> bool {
    children(policy, POLICY, "ExactlyOne").flat_map(|one| children(one, POLICY, "All")).any(|all| {
        KINDS.iter().any(|(namespace, tokens)| {
            child(all, namespace, "TransportBinding").is_some()
                && children(all, namespace, tokens)
                    .flat_map(|node| children(node, POLICY, "Policy"))
                    .flat_map(|node| children(node, namespace, "UsernameToken"))
                    .flat_map(|node| children(node, POLICY, "Policy"))
                    .any(|node| child(node, namespace, "WssUsernameToken10").is_some())
        })
    })
}

/// The version of the action of a binding to SOAP over HTTP with one of these policies.
fn version(binding: Node<'_, '_>, policies: &HashSet<&str>) -> Option<WsTrust> {
    let mut references = children(binding, POLICY, "PolicyReference").filter_map(|node| node.attribute("URI"));
    references.find(|uri| uri.strip_prefix('#').is_some_and(|id| policies.contains(id)))?;
    child(binding, SOAP, "binding").filter(|node| node.attribute("transport") == Some(HTTP))?;
    children(binding, WSDL, "operation")
        .flat_map(|node| children(node, SOAP, "operation"))
        .find_map(|node| WsTrust::of_action(node.attribute("soapAction")?))
}

/// The elements in `node` of that name.
pub(super) fn children<'a, 'input>(
    node: Node<'a, 'input>,
    namespace: &'a str,
    name: &'a str,
) -> impl Iterator<Item = Node<'a, 'input>> {
    node.children().filter(move |node| node.has_tag_name((namespace, name)))
}

pub(super) fn child<'a, 'input>(node: Node<'a, 'input>, namespace: &str, name: &str) -> Option<Node<'a, 'input>> {
    node.children().find(|node| node.has_tag_name((namespace, name)))
}

/// The version of WS-SecurityPolicy, and what it calls tokens that the server reads beside the message.
const KINDS: [(&str, &str); 2] = [
    ("http://docs.oasis-open.org/ws-sx/ws-securitypolicy/200702", "SignedEncryptedSupportingTokens"),
    ("http://schemas.xmlsoap.org/ws/2005/07/securitypolicy", "SignedSupportingTokens"),
];
const WSDL: &str = "http://schemas.xmlsoap.org/wsdl/";
const SOAP: &str = "http://schemas.xmlsoap.org/wsdl/soap12/";
const HTTP: &str = "http://schemas.xmlsoap.org/soap/http";
const POLICY: &str = "http://schemas.xmlsoap.org/ws/2004/09/policy";
const UTILITY: &str = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd";
const ADDRESSING: &str = "http://www.w3.org/2005/08/addressing";
