//! Where the password of a person is checked.

use std::{sync::atomic::Ordering, time::Duration};

use identity_cache::Ask;
use identity_core::{
    Error, ErrorKind, Result,
    answer::Body,
    http::{Method, Proxy, Request, Response},
    redact::excerpt,
    retry::Verdict,
    text,
};

use crate::{
    authority::is_adfs,
    client::{Client, remaining},
};

/// Who checks the password of a person.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Realm {
    /// The authority itself.
    Managed,
    /// A server of the person's organisation, which issues a SAML token that the authority takes.
    Federated(Federation),
}

/// How the server of an organisation is reached, as the authority says: it was asked over `https`, but the values are not
/// judged.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Federation {
    /// Where a document describes the server's endpoints (WS-MetadataExchange).
    pub metadata_url: Option<String>,
    /// The endpoint to ask where there is no such document.
    pub active_auth_url: Option<String>,
    /// Whom the token is to be for.
    pub audience: String,
}

impl Client {
    /// Asks the authority who checks the password of the person called `username`. AD FS does itself, and is not asked;
    /// neither is an authority again that once answered that there is no such service (HTTP 404).
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::InvalidArgument`] if the authority is not known, and for what the transport cannot send.
    /// - [`ErrorKind::AuthenticationFailed`] if the service refuses to say.
    /// - [`ErrorKind::Transport`] if no answer came within `budget`, or none but "later", after retries.
    /// - [`ErrorKind::Protocol`] for an answer that is none, too large, or a redirect.
    ///
    /// Source: msal 1.39.0, `authority.py` (`user_realm_discovery`), which does not escape the name.
    pub async fn realm(&self, username: &str, ask: &Ask, budget: Duration) -> Result<Realm> {
        let tenant = self.tenant_of(ask);
        if is_adfs(tenant) || self.has_no_realms.load(Ordering::Relaxed) {
            return Ok(Realm::Managed);
        }
        let clock = self.platform().clock().as_ref();
        let left = remaining(clock, budget);
        self.confirm(tenant, &left).await?;
        let request_id = text::uuid(self.platform().random().as_ref());
        let origin = self.authority().origin();
        let url = [origin, "/common/userrealm/", &text::percent_encode(username), "?api-version=1.0"].concat();
        let mut request = Request::new(Method::Get, url)
            .header("accept", "application/json")
            .header("client-request-id", request_id.as_str());
        request.proxy = Proxy::Configured;
        let judge = |response: &Response| match response.status() {
            200 if matches!(parse(response), Body::Cut) => Verdict::Retry,
            408 | 429 | 500.. => Verdict::Retry,
            _ => Verdict::Final,
        };
        let answer = self
            .send(&request, &judge, left())
            .await
            .map_err(|error| error.with_context(UNKNOWN).with_ids(Some(request_id.clone()), None))?;
        let (status, body) = (answer.response.status(), parse(&answer.response));
        let (kind, why) = match (status, &body) {
            (404, _) => {
                self.has_no_realms.store(true, Ordering::Relaxed);
                return Ok(Realm::Managed);
            }
            (200, Body::Object(_)) if body.text("error").is_none() => return Ok(read(&body)),
            (408 | 429 | 500.., _) | (200, Body::Cut) => (ErrorKind::Transport, ""),
            (400..500, Body::Object(_)) => (ErrorKind::AuthenticationFailed, ""),
            _ => (
                ErrorKind::Protocol,
                ", which is no answer to that; check the authority, and whether a proxy or a sign-in page is in the way",
            ),
        };
        let said = excerpt(body.failure().as_bytes(), &[]);
        let separator = if said.is_empty() { "" } else { "; it said: " };
        let message = format!("{UNKNOWN}: {origin} answered HTTP {status}{why}{separator}{said}");
        let error = Error::new(kind, message).with_http_status(status).with_ids(Some(request_id), None);
        let error = error.with_entra_codes(text::entra_codes(&said));
        Err(match answer.retry_after {
            Some(wait) => error.with_retry_after(wait),
            None => error,
        })
    }
}

fn read(body: &Body<'_, { NAMES.len() }>) -> Realm {
    let filled = |name| body.text(name).filter(|text| !text.is_empty());
    if !filled("account_type").is_some_and(|kind| kind.eq_ignore_ascii_case("federated")) {
        return Realm::Managed;
    }
    Realm::Federated(Federation {
        metadata_url: filled("federation_metadata_url"),
        active_auth_url: filled("federation_active_auth_url"),
        audience: filled("cloud_audience_urn").unwrap_or_else(|| AUDIENCE.to_owned()),
    })
}

fn parse(response: &Response) -> Body<'_, { NAMES.len() }> {
    Body::parse(&NAMES, response.body(), response.is_json())
}

/// Every field that is read.
const NAMES: [&str; 8] = [
    "account_type",
    "cloud_audience_urn",
    "code",
    "error",
    "error_description",
    "federation_active_auth_url",
    "federation_metadata_url",
    "message",
];

/// Source: msal 1.39.0, `application.py`.
const AUDIENCE: &str = "urn:federation:MicrosoftOnline";

const UNKNOWN: &str = "it could not be found out who checks the password";
