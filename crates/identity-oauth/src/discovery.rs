//! Whether an authority that is none of Microsoft's hosts is one at all.

use std::sync::{Mutex, PoisonError};

use identity_core::{
    Error, ErrorKind, Platform, Result,
    answer::Body,
    gate::Gate,
    http::{Method, Proxy, Request, Response},
    redact::excerpt,
    retry::{self, RetryPolicy, Verdict},
    text,
};

use crate::authority::Authority;

/// Asks once; what was found out holds as long as the credential lives. That nobody could be asked is not remembered.
#[derive(Debug, Default)]
pub(crate) struct Discovery(Mutex<Option<Result<()>>>);

impl Discovery {
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
    ) -> Result<()> {
        let found = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(found) = found {
            return found;
        }
        let result = ask(platform, gate, authority, tenant).await;
        if result.as_ref().err().is_none_or(|error| error.kind() == ErrorKind::InvalidArgument) {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(result.clone());
        }
        result
    }
}

/// Source: msal 1.39.0, `authority.py` (`_instance_discovery`).
async fn ask(platform: &Platform, gate: &Gate, authority: &Authority, tenant: &str) -> Result<()> {
    let endpoint = [authority.url(), "/", tenant, "/oauth2/v2.0/authorize"].concat();
    let query = text::form(&[("api-version", "1.0"), ("authorization_endpoint", &endpoint)]);
    let url = [ORIGIN, "/common/discovery/instance?", &query].concat();
    let mut request = Request::new(Method::Get, url).header("accept", "application/json");
    request.proxy = Proxy::Configured;
    let judge = |response: &Response| match response.status() {
        408 | 429 | 500.. => Verdict::Retry,
        _ => Verdict::Final,
    };
    let answer = retry::send(platform, gate, &RetryPolicy::ENTRA, &request, &judge).await.map_err(|error| {
        error.with_context(&format!("it could not be found out whether {} is an authority", authority.host()))
    })?;
    let response = &answer.response;
    let body = Body::parse(&NAMES, response.body(), response.is_json());
    let error = body.text("error");
    let kind = match (&error, response.status()) {
        (None, 200) if body.text("tenant_discovery_endpoint").is_some() => return Ok(()),
        (Some(error), _) if error == "invalid_instance" => {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                format!(
                    "{} is not an authority that Microsoft knows, so nothing was sent to it; correct it, or if you trust this host call disable_instance_discovery()",
                    authority.host()
                ),
            ));
        }
        (_, status) if answer.exhausted || status == 429 || status >= 500 => ErrorKind::Transport,
        (Some(_), _) => ErrorKind::AuthenticationFailed,
        _ => ErrorKind::Protocol,
    };
    let said = excerpt(body.failure().as_bytes(), &[]);
    let message = format!(
        "it could not be found out whether {} is an authority: {ORIGIN} answered HTTP {}{}{said}",
        authority.host(),
        response.status(),
        if said.is_empty() { "" } else { ": " }
    );
    Err(Error::new(kind, message).with_http_status(response.status()).with_entra_codes(text::entra_codes(&said)))
}

pub(crate) const ORIGIN: &str = "https://login.microsoftonline.com";

const NAMES: [&str; 5] = ["code", "error", "error_description", "message", "tenant_discovery_endpoint"];
