//! Services that give a job a token of its own.

use std::{
    fmt,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use identity_core::{
    Error,
    ErrorKind::{self, AuthenticationFailed, Protocol, Transport},
    Platform, Result, Secret,
    answer::Body,
    check,
    gate::Gate,
    http::{Proxy, Request, Response},
    redact::{brief, excerpt},
    retry::{self, RetryPolicy, Verdict},
};

/// What is particular to a service.
#[derive(Debug)]
pub(crate) struct Service {
    /// What it is called in messages.
    pub(crate) name: &'static str,
    /// The field of its answer that holds the token.
    pub(crate) field: &'static str,
    /// What to do when it does not take what the job shows it.
    pub(crate) on_refusal: &'static str,
    /// What to do when it does not know what is asked for.
    pub(crate) on_absence: &'static str,
}

/// A service as one credential asks it.
pub(crate) struct Issuer {
    pub(crate) platform: Platform,
    service: &'static Service,
    /// Whose requests wait for each other.
    client: String,
    /// By the origin that it leads to. Kept, for what it knows goes with it.
    gate: Mutex<Option<(String, Gate)>>,
}

impl Issuer {
    pub(crate) fn new(platform: &Platform, service: &'static Service, client: &str) -> Self {
        Self { platform: platform.clone(), service, client: client.to_owned(), gate: Mutex::default() }
    }

    /// Asks for a token; `secret` is what `request` shows.
    /// It takes `patience` at most.
    pub(crate) async fn ask(&self, mut request: Request, secret: &Secret, patience: Duration) -> Result<Secret> {
        let service = self.service;
        request.proxy = Proxy::Configured;
        let gate = self.gate(request.origin());
        let policy = RetryPolicy { budget: BUDGET.min(patience), ..RetryPolicy::ENTRA };
        let answer = match retry::send(&self.platform, &gate, &policy, &request, &verdict).await {
            Ok(answer) => answer,
            // A page to sign in, instead of a refusal.
            Err(error) if matches!(error.http_status(), Some(300..400)) => {
                let message = [service.name, ": ", &error.to_string(), "; ", service.on_refusal].concat();
                return Err(error.with_kind(AuthenticationFailed).with_message(message));
            }
            Err(error) => return Err(error.with_context(service.name)),
        };
        let response = &answer.response;
        let status = response.status();
        let body = parse(response);
        let mut is_there = false;
        if let (200, Body::Object(fields)) = (status, &body) {
            let token = fields.string(service.field);
            is_there = !matches!(token, Ok(None));
            if let Ok(Some(token)) = token.map(|token| token.map(Secret::new))
                && check::is_token(token.expose())
            {
                return Ok(token);
            }
        }
        let (kind, why): (ErrorKind, &str) = match (status, &body) {
            (200, Body::Cut) => (Transport, "the answer is cut short"),
            (200, Body::Object(_)) if is_there => (Protocol, "what it gives is no token"),
            (200, Body::Object(_)) => (Protocol, "the answer has no token"),
            (200, _) => (Protocol, "the answer is none that it gives; a proxy or a sign-in page may be in the way"),
            (408 | 429 | 500.., _) => (Transport, "it is in trouble or too busy; try again later"),
            // Azure DevOps answers 203 with a page to sign in.
            (203 | 401 | 403, _) => (AuthenticationFailed, service.on_refusal),
            (404, _) => (AuthenticationFailed, service.on_absence),
            _ => (AuthenticationFailed, "it refuses the request"),
        };
        let hidden = [secret.expose()];
        let mut message = format!("{} answered HTTP {status}", service.name);
        if let (Body::Other | Body::Cut, media) = (&body, response.header("content-type").unwrap_or("no content type"))
        {
            message.extend([" with ", &brief(media, &hidden)]);
        }
        message.extend([": ", why]);
        // Of a page to sign in nothing is shown.
        let said = excerpt(body.failure().as_bytes(), &hidden);
        if status != 200 && !said.is_empty() {
            message.extend(["; it said: ", &said]);
        }
        for name in DIAGNOSTICS {
            if let Some(value) = response.header(name) {
                message.extend(["; ", name, ": ", &brief(value, &hidden)]);
            }
        }
        if answer.attempts > 1 {
            message.push_str(&format!(" ({} attempts)", answer.attempts));
        }
        let error = Error::new(kind, message).with_http_status(status);
        Err(match answer.retry_after {
            Some(wait) => error.with_retry_after(wait),
            None => error,
        })
    }

    fn gate(&self, origin: &str) -> Gate {
        let mut gate = self.gate.lock().unwrap_or_else(PoisonError::into_inner);
        match &*gate {
            Some((known, gate)) if known == origin => gate.clone(),
            _ => {
                let new = self.platform.gates().gate(origin, &self.client, IN_FLIGHT);
                gate.insert((origin.to_owned(), new)).1.clone()
            }
        }
    }
}

impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Issuer").field(&self.service.name).finish()
    }
}

/// Whether an answer is worth another request.
fn verdict(response: &Response) -> Verdict {
    match response.status() {
        408 | 429 | 500.. => Verdict::Retry,
        200 if matches!(parse(response), Body::Cut) => Verdict::Retry,
        _ => Verdict::Final,
    }
}

fn parse(response: &Response) -> Body<'_, { NAMES.len() }> {
    Body::parse(&NAMES, response.body(), response.is_json())
}

/// The fields that are read.
const NAMES: [&str; 6] = ["code", "error", "error_description", "message", "oidcToken", "value"];
/// What the support of these services asks for.
///
/// Source: azure-identity 1.27.0, `_credentials/azure_pipelines.py`, for the first two.
const DIAGNOSTICS: [&str; 3] = ["x-vss-e2eid", "x-msedge-ref", "x-github-request-id"];
/// What is left of the 45 s of a token request is for the exchange. Source: our choice.
const BUDGET: Duration = Duration::from_secs(30);
/// The most requests under way to one of them. Source: our choice.
const IN_FLIGHT: usize = 8;
