//! The server of federated users: what it is, where it is, and the assertions that it gives for passwords (WS-Trust).

use std::time::{Duration, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::directory::{Directory, User};
use crate::endpoints::{Outcome, Refusal};
use crate::entra::discovery::{CLOUD, get, is_same_authority, own_host};
use crate::entra::grants::Saml;
use crate::entra::known;
use crate::entra::soap::{self, Fault, Trust};
use crate::entra::xml::{self, Element, escape};
use crate::lock;
use crate::record::Request;
use crate::shared::Shared;
use crate::text::{decode_percent, epoch_seconds, ticks};
use crate::token::sha256_hex;

/// `GET /common/userrealm/{user}`: who knows the password of a user.
pub(crate) fn user_realm(
    shared: &Shared,
    request: &Request,
    directory: &Directory,
    name: &str,
) -> Result<Outcome<'static>, Refusal> {
    get(request)?;
    if request.query_value("api-version") != Some("1.0") {
        return Err(known(90100, "The api-version is missing or not supported."));
    }
    // In a path, a plus is a plus.
    let name =
        decode_percent(&name.replace('+', "%2B")).ok_or_else(|| known(90100, "The user name cannot be read."))?;
    let domain = name.rsplit_once('@').map_or("", |(_, domain)| domain).to_ascii_lowercase();
    let mut of_domain = directory
        .users
        .iter()
        .filter(|user| user.name.rsplit_once('@').is_some_and(|(_, other)| other.eq_ignore_ascii_case(&domain)));
    let user = directory.user(&name);
    let is_federated = user.map_or_else(|| of_domain.any(|user| user.federated), |user| user.federated);
    let is_known = user.is_some() || directory.tenant(&domain).is_some();
    let host = own_host(shared, request);
    let mut realm = json!({
        "ver": "1.0",
        "account_type": if is_federated { "Federated" } else if is_known { "Managed" } else { "Unknown" },
        "cloud_instance_name": CLOUD,
    });
    let more = match (is_federated, is_known) {
        (true, _) => json!({
            "domain_name": domain,
            "federation_protocol": "WSTrust",
            "federation_metadata_url": format!("https://{host}/adfs/{MEX}"),
            "federation_active_auth_url": format!("https://{host}/adfs/{TRUST_2005}"),
            "cloud_audience_urn": AUDIENCE,
        }),
        (false, true) => json!({ "domain_name": domain, "cloud_audience_urn": AUDIENCE }),
        (false, false) => json!({}),
    };
    if let (Value::Object(realm), Value::Object(more)) = (&mut realm, more) {
        realm.extend(more);
    }
    Ok(Outcome::Json(realm))
}

/// `GET /adfs/services/trust/mex`: the endpoints of the server.
pub(crate) fn mex(shared: &Shared, request: &Request) -> Result<Outcome<'static>, Refusal> {
    get(request)?;
    Ok(Outcome::Xml(200, soap::mex(own_host(shared, request))))
}

/// `POST /adfs/services/trust/{13,2005}/usernamemixed`: an assertion for a user and a password.
pub(crate) fn trust(
    shared: &Shared,
    request: &Request,
    directory: &Directory,
    trust: Trust,
) -> Result<Outcome<'static>, Refusal> {
    if request.method != "POST" {
        return Err(Refusal::new(405, "method_not_allowed", "The HTTP method is not allowed"));
    }
    let media_type = request.header("content-type").unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if !media_type.eq_ignore_ascii_case("application/soap+xml") {
        return Err(Refusal::new(415, "unsupported_media_type", "Send application/soap+xml"));
    }
    let envelope = std::str::from_utf8(&request.body).ok().and_then(xml::parse);
    let Some(envelope) = envelope.filter(|root| root.is(soap::ENVELOPE, "Envelope")) else {
        return Err(Refusal::new(400, "bad_request", "The message is no SOAP envelope"));
    };
    let message = Message { shared, request, trust, envelope: &envelope };
    Ok(match message.assertion(directory) {
        Ok(response) => Outcome::Xml(200, response),
        Err(fault) => Outcome::Xml(500, fault.envelope(message.id())),
    })
}

/// A request for an assertion.
struct Message<'a> {
    shared: &'a Shared,
    request: &'a Request,
    trust: Trust,
    envelope: &'a Element,
}

impl Message<'_> {
    fn header(&self, namespace: &str, name: &str) -> Option<&Element> {
        self.envelope.find(&[(soap::ENVELOPE, "Header"), (namespace, name)])
    }

    /// What the answer relates to: nothing, with clients that call it `messageID`, as MSAL for Go and for Java do.
    fn id(&self) -> &str {
        self.header(soap::ADDRESSING, "MessageID").map_or("", Element::text)
    }

    /// The answer, an assertion in it.
    fn assertion(&self, directory: &Directory) -> Result<String, Fault> {
        self.understood()?;
        self.addressed()?;
        let user = self.user(directory)?;
        let is_version_2 = self.asked()?;
        let now = epoch_seconds(self.shared.now(self.request.source));
        let expires = now.saturating_add(LIFETIME_SECS);
        let id = self.shared.signer.random_guid().map_err(|_| Fault::Failed)?;
        let issuer = format!("http://{}/adfs/services/trust", own_host(self.shared, self.request));
        let (from, to) = (time(now), time(expires));
        let name = escape(&user.name);
        let assertion = if is_version_2 {
            format!(
                "<Assertion ID=\"_{id}\" IssueInstant=\"{from}\" Version=\"2.0\" xmlns=\"{SAML_2}\"><Issuer>{issuer}</Issuer><Subject>\
                 <NameID Format=\"urn:oasis:names:tc:SAML:2.0:nameid-format:persistent\">{oid}</NameID><SubjectConfirmation \
                 Method=\"urn:oasis:names:tc:SAML:2.0:cm:bearer\"/></Subject><Conditions NotBefore=\"{from}\" NotOnOrAfter=\"{to}\">\
                 <AudienceRestriction><Audience>{AUDIENCE}</Audience></AudienceRestriction></Conditions><AttributeStatement>\
                 <Attribute Name=\"http://schemas.xmlsoap.org/claims/UPN\"><AttributeValue>{name}</AttributeValue></Attribute>\
                 </AttributeStatement></Assertion>",
                oid = user.object_id
            )
        } else {
            format!(
                "<saml:Assertion MajorVersion=\"1\" MinorVersion=\"1\" AssertionID=\"_{id}\" Issuer=\"{issuer}\" IssueInstant=\"{from}\" \
                 xmlns:saml=\"{SAML_1}\"><saml:Conditions NotBefore=\"{from}\" NotOnOrAfter=\"{to}\"><saml:AudienceRestrictionCondition>\
                 <saml:Audience>{AUDIENCE}</saml:Audience></saml:AudienceRestrictionCondition></saml:Conditions><saml:AttributeStatement>\
                 <saml:Subject><saml:NameIdentifier>{oid}</saml:NameIdentifier></saml:Subject><saml:Attribute AttributeName=\"UPN\" \
                 AttributeNamespace=\"http://schemas.xmlsoap.org/claims\"><saml:AttributeValue>{name}</saml:AttributeValue>\
                 </saml:Attribute></saml:AttributeStatement></saml:Assertion>",
                oid = user.object_id
            )
        };
        let kept = Saml { user: user.object_id.clone(), expires, is_version_2 };
        let name = name_of(&assertion).ok_or(Fault::Failed)?;
        lock(&self.shared.grants).assertions.put(name, kept);
        let kind = if is_version_2 { SAML_2 } else { SAML_1 };
        Ok(self.trust.response(self.id(), &from, &to, AUDIENCE, kind, &assertion))
    }

    /// Whether there is no header that a server must understand and this one does not (SOAP 1.2, part 1, section 5.2.3).
    fn understood(&self) -> Result<(), Fault> {
        let headers = self.envelope.child(soap::ENVELOPE, "Header").map_or(&[][..], |header| &header.children);
        let is_known = |header: &&Element| {
            header.namespace == soap::ADDRESSING
                || header.is(soap::SECURITY, "Security")
                || !matches!(header.attribute(soap::ENVELOPE, "mustUnderstand"), Some("1" | "true"))
        };
        match headers.iter().find(|header| !is_known(header)) {
            None => Ok(()),
            Some(header) => Err(Fault::Header(header.name.clone(), header.namespace.clone())),
        }
    }

    /// Whether it is for this endpoint.
    fn addressed(&self) -> Result<(), Fault> {
        let text = |name: &str| self.header(soap::ADDRESSING, name).map_or("", Element::text);
        let action = text("Action");
        let header = self.request.header("soapaction").map(|action| action.trim_matches('"'));
        if action != self.trust.action() || header.is_some_and(|header| header != action) {
            return Err(Fault::Action(action.to_owned()));
        }
        let own = own_host(self.shared, self.request);
        let (host, path) = text("To").strip_prefix("https://").and_then(|to| to.split_once('/')).unwrap_or_default();
        if !is_same_authority(self.shared, own, host) || self.request.path.strip_prefix('/') != Some(path) {
            return Err(Fault::To(text("To").to_owned()));
        }
        Ok(())
    }

    /// Who asks, if the password is right and the message is of now.
    fn user<'d>(&self, directory: &'d Directory) -> Result<&'d User, Fault> {
        let security = self.header(soap::SECURITY, "Security").ok_or(Fault::Security)?;
        let stamp = |name: &str| {
            let element = security.find(&[(soap::UTILITY, "Timestamp"), (soap::UTILITY, name)])?;
            soap::seconds(element.text())
        };
        let (created, expires) = stamp("Created").zip(stamp("Expires")).ok_or(Fault::Security)?;
        let now = epoch_seconds(self.shared.now(self.request.source));
        let is_stale = now >= expires.min(created.saturating_add(FRESH_SECS)).saturating_add(SKEW_SECS);
        if created >= expires || created.saturating_sub(SKEW_SECS) > now || is_stale {
            return Err(Fault::Security);
        }
        let part = |name: &str| security.find(&[(soap::SECURITY, "UsernameToken"), (soap::SECURITY, name)]);
        let (name, password) = part("Username").zip(part("Password")).ok_or(Fault::Security)?;
        let user = directory.user(name.text()).filter(|user| user.federated && !user.disabled);
        let is_right = |user: &&User| user.has_password(&password.content) && !user.must_change_password;
        user.filter(is_right).ok_or(Fault::Credentials)
    }

    /// Whether an assertion of version 2.0 is asked for; anything but one for Entra is refused.
    fn asked(&self) -> Result<bool, Fault> {
        let space = self.trust.namespace();
        let body = self.envelope.find(&[(soap::ENVELOPE, "Body"), (space, "RequestSecurityToken")]);
        let body = body.ok_or(Fault::Request)?;
        let text = |name: &str| body.child(space, name).map(Element::text);
        let audience = body.find(&[
            (soap::POLICY, "AppliesTo"),
            (soap::ADDRESSING, "EndpointReference"),
            (soap::ADDRESSING, "Address"),
        ]);
        if audience.map(Element::text) != Some(AUDIENCE) {
            return Err(Fault::Scope);
        }
        let (request, key) = self.trust.request_and_key();
        if text("RequestType") != Some(request) || text("KeyType") != Some(key) {
            return Err(Fault::Request);
        }
        match text("TokenType") {
            None | Some(SAML_1 | PROFILE_1) => Ok(false),
            Some(SAML_2 | PROFILE_2) => Ok(true),
            Some(_) => Err(Fault::Request),
        }
    }
}

/// By what an assertion is known again, however a client writes the XML; `None` if it is none.
pub(crate) fn name_of(assertion: &str) -> Option<String> {
    Some(sha256_hex(&xml::parse(assertion)?.canonical()))
}

fn time(seconds: i64) -> String {
    let since = Duration::from_secs(u64::try_from(seconds).unwrap_or(0).min(253_402_300_799));
    // Three digits of a second, as AD FS writes them.
    let text = ticks(UNIX_EPOCH.checked_add(since).unwrap_or(UNIX_EPOCH));
    text.replace(".0000000Z", ".000Z")
}

pub(crate) const MEX: &str = "services/trust/mex";
pub(crate) const TRUST_13: &str = "services/trust/13/usernamemixed";
pub(crate) const TRUST_2005: &str = "services/trust/2005/usernamemixed";
/// Entra, as AD FS knows it.
const AUDIENCE: &str = "urn:federation:MicrosoftOnline";
const SAML_1: &str = "urn:oasis:names:tc:SAML:1.0:assertion";
const SAML_2: &str = "urn:oasis:names:tc:SAML:2.0:assertion";
const PROFILE_1: &str = "http://docs.oasis-open.org/wss/oasis-wss-saml-token-profile-1.1#SAMLV1.1";
const PROFILE_2: &str = "http://docs.oasis-open.org/wss/oasis-wss-saml-token-profile-1.1#SAMLV2.0";
/// How long an assertion is good, in seconds: an hour, as AD FS has it.
const LIFETIME_SECS: i64 = 3_600;
/// How long a message is good whatever it says, in seconds.
///
/// Source: the default of WCF, on which AD FS is built (`LocalServiceSecuritySettings.TimestampValidityDuration`, learn.microsoft.com).
const FRESH_SECS: i64 = 300;
/// How wrong the clocks may be, in seconds.
const SKEW_SECS: i64 = 300;
