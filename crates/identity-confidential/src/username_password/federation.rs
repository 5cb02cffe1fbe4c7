//! A token of the server of a person's organisation.

use std::time::Duration;

use identity_core::{
    Error,
    ErrorKind::{self, AuthenticationFailed, InvalidArgument, Protocol, Transport},
    Result, Secret,
    expiry::unix_seconds,
    http::{Method, Proxy, Request, Response},
    redact::{brief, excerpt},
    retry::{Answer, Verdict},
    text,
};
use identity_oauth::{Client, Federation, SamlVersion};

use super::{
    endpoint::{Endpoint, WsTrust, is_fit},
    mex,
    ws_trust::{self, Reply},
    xml::{self, Flaw},
};

/// Who signs in.
pub(super) struct Person<'a> {
    pub(super) username: &'a str,
    pub(super) password: &'a Secret,
}

/// A SAML token of the person, in base64url without padding.
pub(super) async fn sign_in(
    client: &Client,
    federation: &Federation,
    person: &Person<'_>,
    left: &(dyn Fn() -> Duration + Sync),
) -> Result<(SamlVersion, Secret)> {
    let Person { username, password } = *person;
    if !ws_trust::is_carried(password.expose()) {
        let message = "the password has a character that XML cannot carry, by which the server of the person's \
             organisation is asked; nothing was sent to it";
        return Err(Error::new(InvalidArgument, message));
    }
    if !ws_trust::is_carried(&federation.audience) || federation.audience.len() > AUDIENCE_LIMIT {
        let message = "the authority says that the token of the person's organisation is to be for somebody that is none; \
             expected a URN of 2,048 bytes at most";
        return Err(Error::new(Protocol, message));
    }
    let endpoint = match &federation.metadata_url {
        Some(url) => Box::pin(discover(client, url, left())).await?,
        None => fallback(federation)?,
    };
    let platform = client.platform();
    let id = text::uuid(platform.random().as_ref());
    let now = unix_seconds(platform.clock().now().wall).unwrap_or(0);
    let mut request = Request::new(Method::Post, endpoint.url.as_str())
        .header("content-type", "application/soap+xml; charset=utf-8")
        .header("soapaction", endpoint.version.action());
    request.body = Some(ws_trust::request(&endpoint, username, password, &federation.audience, &id, now));
    request.proxy = Proxy::Configured;
    let answer = client.send(&request, &verdict, left()).await.map_err(of_server)?;
    // The server may give it back as it was sent.
    let escaped = ws_trust::escape(password.expose());
    judge(&answer, request.origin(), &[password.expose(), escaped.expose()])
}

/// The endpoint that the server's description names.
async fn discover(client: &Client, url: &str, budget: Duration) -> Result<Endpoint> {
    if !is_fit(url) {
        return Err(unfit("describes its endpoints"));
    }
    let mut request =
        Request::new(Method::Get, url).header("accept", "application/xml, text/xml, application/soap+xml");
    request.proxy = Proxy::Configured;
    let answer = client.send(&request, &verdict, budget).await.map_err(of_server)?;
    let fail = |kind, why: &str| Err(failure(&answer, request.origin(), kind, why, "", &[]));
    match (answer.response.status(), xml::parse(answer.response.body())) {
        (200, Ok(document)) => match mex::choose(&document) {
            Some(endpoint) => Ok(endpoint),
            None => fail(
                AuthenticationFailed,
                "it describes no endpoint that takes a user name and a password over https; have them enabled there, or \
                 let people sign in another way",
            ),
        },
        (200, Err(flaw)) => {
            let kind = if flaw == Flaw::Cut { Transport } else { Protocol };
            fail(kind, &["it cannot be read how it takes passwords: ", &brief(&flaw.why(), &[])].concat())
        }
        (status, _) => fail(kind_of(status), "it does not say how it takes passwords"),
    }
}

/// The endpoint that the authority knows itself.
fn fallback(federation: &Federation) -> Result<Endpoint> {
    let Some(url) = federation.active_auth_url.as_deref() else {
        let message = "the password is checked by a server of the person's organisation, and the authority does not say \
             where it takes one; let people sign in another way";
        return Err(Error::new(AuthenticationFailed, message));
    };
    if !is_fit(url) {
        return Err(unfit("takes passwords"));
    }
    let Some(version) = WsTrust::of_url(url) else {
        let message = "the authority names an endpoint of the person's organisation, but neither a description of it nor a \
             path that tells its version of WS-Trust; let people sign in another way";
        return Err(Error::new(AuthenticationFailed, message));
    };
    Ok(Endpoint { url: url.to_owned(), version })
}

/// Whether an answer is worth another request. A fault is not, whatever its status: it may be one of a wrong password, and
/// some of those in a row lock a person out.
fn verdict(response: &Response) -> Verdict {
    let is_fault =
        || xml::parse(response.body()).is_ok_and(|answer| matches!(ws_trust::read(&answer), Reply::Fault(_)));
    match response.status() {
        200 if xml::is_cut(response.body()) => Verdict::Retry,
        408 | 429 => Verdict::Retry,
        500.. if !is_fault() => Verdict::Retry,
        _ => Verdict::Final,
    }
}

/// The token of an answer, or what the answer means.
fn judge(answer: &Answer, origin: &str, hidden: &[&str]) -> Result<(SamlVersion, Secret)> {
    let status = answer.response.status();
    let fail = |kind, why: &str, said: &str| Err(failure(answer, origin, kind, why, said, hidden));
    let none = || match status {
        // Whatever else it says, it is not sent the same password again and again.
        401 => fail(AuthenticationFailed, REFUSES, ""),
        _ => fail(kind_of(status), "the answer is none of a federation server", ""),
    };
    let document = match xml::parse(answer.response.body()) {
        Ok(document) => document,
        Err(Flaw::Cut) if status == 200 => return fail(Transport, "the answer is cut short", ""),
        Err(flaw) if status == 200 => {
            let why = brief(&flaw.why(), hidden);
            return fail(Protocol, &["the answer cannot be read: ", &why].concat(), "");
        }
        Err(_) => return none(),
    };
    match (status, ws_trust::read(&document)) {
        (_, Reply::Fault(said)) => fail(AuthenticationFailed, REFUSES, &said),
        (200, Reply::Token(version, token)) => Ok((version, text::base64url(token.as_bytes()).into())),
        (200, Reply::Unknown("")) => fail(Protocol, "the answer has a token and does not say of which type", ""),
        (200, Reply::Unknown(kind)) => {
            let kind = brief(kind, hidden);
            fail(
                Protocol,
                &["the answer has a token that is none of SAML 1.1 or 2.0, but of the type ", &kind].concat(),
                "",
            )
        }
        (200, Reply::Nothing) => fail(Protocol, "the answer has no token", ""),
        _ => none(),
    }
}

/// What a status alone means.
fn kind_of(status: u16) -> ErrorKind {
    if matches!(status, 408 | 429 | 500..) { Transport } else { Protocol }
}

fn failure(answer: &Answer, origin: &str, kind: ErrorKind, why: &str, said: &str, hidden: &[&str]) -> Error {
    let response = &answer.response;
    let status = response.status();
    let mut message = format!("the federation server {origin} answered HTTP {status}");
    if kind == Protocol || kind == Transport {
        // What is no XML is not shown: there are too many ways to escape a password in a page.
        let media = response.header("content-type").unwrap_or("no content type");
        message.extend([" with ", &brief(media, hidden)]);
    }
    message.extend([": ", why]);
    let shown = excerpt(said.as_bytes(), hidden);
    if !shown.is_empty() {
        message.extend(["; it said: ", &shown]);
    }
    let error = Error::new(kind, message).with_http_status(status).with_entra_codes(text::entra_codes(&shown));
    match answer.retry_after {
        Some(wait) => error.with_retry_after(wait),
        None => error,
    }
}

fn of_server(error: Error) -> Error {
    error.with_context("the federation server of the person's organisation")
}

fn unfit(does: &str) -> Error {
    // The URL is not repeated: it may hold anything.
    let message = format!(
        "the URL by which the authority says where the server of the person's organisation {does} is none that a password \
         may follow; expected https, without a user and a fragment"
    );
    Error::new(Protocol, message)
}

const REFUSES: &str = "it refuses the sign-in; check user name and password, and the server's log";
/// The longest name of whom a token is for, in bytes. Source: our choice.
const AUDIENCE_LIMIT: usize = 2_048;
