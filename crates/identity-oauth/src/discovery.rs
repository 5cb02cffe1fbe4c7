//! Whether an authority that is none of Microsoft's hosts is one at all.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use identity_core::{
    Error, ErrorKind, Platform, Result,
    answer::Body,
    gate::{Gate, Turns},
    http::{Method, Proxy, Request, Response},
    redact::excerpt,
    retry::{self, RetryPolicy, Verdict},
    text,
};

use crate::authority::Authority;

/// Asks once, for all who wait; what was found out holds as long as the credential lives. That nobody could be asked is not
/// remembered.
#[derive(Debug, Default)]
pub(crate) struct Discovery {
    /// Whether the authority is known.
    found: Mutex<Option<bool>>,
    turns: Turns,
}

impl Discovery {
    /// Takes `budget` at most.
    ///
    /// # Errors
    ///
    /// - `InvalidArgument` if the authority is not known.
    /// - As [`retry::send`], and `Protocol`, if that could not be found out.
    pub(crate) async fn confirm(
        &self,
        platform: &Platform,
        gate: &Gate,
        authority: &Authority,
        tenant: &str,
        budget: impl Fn() -> Duration,
    ) -> Result<()> {
        let look = || *self.found.lock().unwrap_or_else(PoisonError::into_inner);
        let mut found = look();
        let _turn = if found.is_none() { Some(self.turns.take().await) } else { None };
        if found.is_none() {
            found = look();
        }
        let is_known = match found {
            Some(found) => found,
            None => {
                let is_known = ask(platform, gate, authority, tenant, budget()).await?;
                *self.found.lock().unwrap_or_else(PoisonError::into_inner) = Some(is_known);
                is_known
            }
        };
        if is_known {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::InvalidArgument,
            format!(
                "{} is not an authority that Microsoft knows, so nothing was sent to it; correct it, or if you trust this host call disable_instance_discovery()",
                authority.host()
            ),
        ))
    }
}

/// Whether the authority is known.
///
/// Source: msal 1.39.0, `authority.py` (`_instance_discovery`).
async fn ask(platform: &Platform, gate: &Gate, authority: &Authority, tenant: &str, budget: Duration) -> Result<bool> {
    let endpoint = [authority.url(), "/", tenant, "/oauth2/v2.0/authorize"].concat();
    let query = text::form(&[("api-version", "1.0"), ("authorization_endpoint", &endpoint)]);
    let url = [ORIGIN, "/common/discovery/instance?", &query].concat();
    let mut request = Request::new(Method::Get, url).header("accept", "application/json");
    request.proxy = Proxy::Configured;
    let judge = |response: &Response| match response.status() {
        408 | 429 | 500.. => Verdict::Retry,
        _ => Verdict::Final,
    };
    let policy = RetryPolicy { budget, ..RetryPolicy::ENTRA };
    let answer = retry::send(platform, gate, &policy, &request, &judge).await.map_err(|error| {
        error.with_context(&format!("it could not be found out whether {} is an authority", authority.host()))
    })?;
    let response = &answer.response;
    let body = Body::parse(&NAMES, response.body(), response.is_json());
    let error = body.text("error");
    let (kind, why) = match (&error, response.status(), body.text("tenant_discovery_endpoint")) {
        (None, 200, Some(endpoint)) if is_at(&endpoint, authority) => return Ok(true),
        (None, 200, Some(_)) => (ErrorKind::Protocol, ", which names an endpoint that is not there"),
        (Some(error), ..) if error == "invalid_instance" => return Ok(false),
        (_, status, _) if answer.exhausted || status == 429 || status >= 500 => (ErrorKind::Transport, ""),
        (Some(_), ..) => (ErrorKind::AuthenticationFailed, ""),
        _ => (ErrorKind::Protocol, ""),
    };
    let said = excerpt(body.failure().as_bytes(), &[]);
    let message = format!(
        "it could not be found out whether {} is an authority: {ORIGIN} answered HTTP {}{why}{}{said}",
        authority.host(),
        response.status(),
        if said.is_empty() { "" } else { ": " }
    );
    let error = Error::new(kind, message).with_http_status(response.status());
    let error = error.with_entra_codes(text::entra_codes(&said));
    Err(match answer.retry_after {
        Some(wait) => error.with_retry_after(wait),
        None => error,
    })
}

/// Whether a URL is one of the authority's own host and port.
fn is_at(url: &str, authority: &Authority) -> bool {
    let origin = authority.origin();
    let (start, rest) = url.split_at_checked(origin.len()).unwrap_or_default();
    start.eq_ignore_ascii_case(origin) && rest.starts_with('/')
}

pub(crate) const ORIGIN: &str = "https://login.microsoftonline.com";

const NAMES: [&str; 5] = ["code", "error", "error_description", "message", "tenant_discovery_endpoint"];
