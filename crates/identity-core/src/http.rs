//! One HTTP exchange, as this project needs it: who may be reached, for how long, how much is read.

use std::{fmt, sync::Arc, time::Duration};

use crate::{BoxFuture, Error, ErrorKind, Moment, Secret};

/// Sends one request and reads its answer whole. The seam behind which HTTP lives.
///
/// An implementation keeps every promise that the [`Request`] states: it resolves the name once and connects to an
/// address that it checked against [`reach`](Request::reach), uses a proxy only where [`proxy`](Request::proxy) allows it,
/// never follows a redirect, asks for no compression and refuses a compressed answer, reads no more than the limit, and is
/// done within the time.
///
/// # Cancellation
///
/// Dropping the future closes the connection.
pub trait Transport: fmt::Debug + Send + Sync {
    /// Sends `request` once; retries are the caller's.
    fn send(&self, request: Request) -> BoxFuture<'_, Result<Response, TransportError>>;

    /// Whether `https` to servers of trusted roots can be spoken at all; asked when a credential is built that needs it.
    ///
    /// # Errors
    ///
    /// [`TransportErrorKind::Refused`], saying what the build or the configuration lacks.
    fn check_https(&self) -> Result<(), TransportError> {
        Ok(())
    }

    /// Whether servers could be trusted by these roots alone, PEM text for [`ServerTrust::OnlyRoots`].
    ///
    /// # Errors
    ///
    /// [`TransportErrorKind::Refused`], saying what is wrong with the text.
    fn check_roots(&self, _pem: &str) -> Result<(), TransportError> {
        Ok(())
    }
}

/// How the request is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Method {
    /// `GET`, without a body.
    Get,
    /// `POST`; the body may be empty.
    Post,
}

impl Method {
    /// The method as it is written on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
        }
    }
}

/// Which addresses may be connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reach {
    /// Loopback, `169.254.0.0/16` and `fe80::/10` only. If a name resolves to several addresses, all must qualify,
    /// else nothing is sent.
    LocalOnly,
    /// Any address.
    Any,
}

/// Whether the request may go through a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Proxy {
    /// Never, whatever is configured: for metadata endpoints, which a proxy could only take for its own.
    Never,
    /// Through the proxy that the transport is configured with, by default that of the environment's variables.
    Configured,
}

/// How the server proves who it is, for an `https` URL.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServerTrust {
    /// By a certificate of a root that the transport trusts.
    Roots,
    /// By a certificate of one of these roots, in PEM, and of no other.
    OnlyRoots(Arc<str>),
    /// By a leaf certificate whose DER has this SHA-1 digest; names, dates and roots do not count.
    PinnedSha1([u8; 20]),
}

/// A request, with everything that its safety needs.
#[derive(Clone)]
pub struct Request {
    /// How it is sent.
    pub method: Method,
    /// Absolute URL, `http` or `https`. Its query may carry ids; it never carries a secret.
    pub url: String,
    /// Names in lower case, and values. All values are treated as sensitive: they are never logged.
    pub headers: Vec<(&'static str, Secret)>,
    /// The body of a `POST`.
    pub body: Option<Secret>,
    /// The longest that resolving the name, connecting and the TLS handshake may take together.
    pub connect_timeout: Duration,
    /// The longest that the whole exchange may take, connecting included.
    pub timeout: Duration,
    /// The most bytes of body that are read. One more is [`TransportErrorKind::TooLarge`] if the status is 2xx; any
    /// other answer is cut there, so that a huge error page does not hide its status.
    pub body_limit: usize,
    /// Which addresses may be connected to.
    pub reach: Reach,
    /// How the server proves who it is.
    pub trust: ServerTrust,
    /// The name that TLS asks for and that the server's certificate must have; `None` for the host in the URL.
    pub server_name: Option<Arc<str>>,
    /// Whether it may go through a proxy.
    pub proxy: Proxy,
}

impl Request {
    /// A request with this project's defaults: 5 s to connect, 15 s in all, 1 MiB of body, any address, no proxy.
    #[must_use]
    pub fn new(method: Method, url: impl Into<String>) -> Self {
        Self {
            method,
            url: url.into(),
            headers: Vec::new(),
            body: None,
            connect_timeout: Duration::from_secs(5),
            timeout: Duration::from_secs(15),
            body_limit: 1024 * 1024,
            reach: Reach::Any,
            trust: ServerTrust::Roots,
            server_name: None,
            proxy: Proxy::Never,
        }
    }

    /// Adds a header; `name` is in lower case.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<Secret>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The URL's scheme and authority, such as `http://169.254.169.254`: what errors and gates call the endpoint.
    #[must_use]
    pub fn origin(&self) -> &str {
        origin(&self.url)
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.headers.iter().map(|(name, _)| name).collect();
        f.debug_struct("Request")
            .field("method", &self.method.as_str())
            .field("url", &self.url)
            .field("headers", &names)
            .field("body", &self.body)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// An answer, read whole. The body is wiped on drop, for it may hold a token.
pub struct Response {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    /// When the request was begun; lives of tokens count from here.
    pub(crate) sent_at: Option<Moment>,
}

impl Response {
    /// An answer; header names are in lower case.
    #[must_use]
    pub fn new(status: u16, headers: Vec<(String, String)>, body: Vec<u8>) -> Self {
        Self { status, headers, body, sent_at: None }
    }

    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The first header of this name; `name` is in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// All headers of this name, in their order; `name` is in lower case.
    pub fn headers<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.headers.iter().filter(move |(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// The body's bytes.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// Whether the answer says that it is JSON, by its content type.
    #[must_use]
    pub fn is_json(&self) -> bool {
        self.header("content-type").is_some_and(|value| {
            let media = value.split(';').next().unwrap_or("").trim();
            media.eq_ignore_ascii_case("application/json") || media.to_ascii_lowercase().ends_with("+json")
        })
    }

    /// When the request that this answers was begun; `None` unless the retry loop of this crate sent it.
    #[must_use]
    pub fn sent_at(&self) -> Option<Moment> {
        self.sent_at
    }
}

impl Drop for Response {
    fn drop(&mut self) {
        crate::bytes::wipe(std::mem::take(&mut self.body));
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.status)
            .field("body_len", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// Why there is no whole answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransportError {
    kind: TransportErrorKind,
    message: String,
}

/// What went wrong in an exchange; decides whether it is worth another try.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TransportErrorKind {
    /// The request cannot be sent as it is: a URL or header that is none, an address that may not be reached,
    /// `https` in a build without TLS. Nothing was sent. Never retried.
    Refused,
    /// The name did not resolve. Retried once.
    Dns,
    /// No connection: refused, unreachable, ended before anything of the request was written. Retried.
    Connect,
    /// No connection within the time. Retried.
    ConnectTimeout,
    /// The TLS handshake failed. Final: another try meets the same certificate.
    Tls,
    /// The connection was closed before the answer was whole; the server may have acted on the request. Retried.
    Closed,
    /// No whole answer within the time. Retried.
    Timeout,
    /// The answer is not HTTP as we understand it, or is compressed. Final.
    Malformed,
    /// The answer is 2xx and larger than the limit. Final.
    TooLarge,
}

impl TransportError {
    /// Makes an error. `message` is in lower case, without a full stop, and holds nothing secret.
    #[cold]
    #[must_use]
    pub fn new(kind: TransportErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// What went wrong.
    #[must_use]
    pub fn kind(&self) -> TransportErrorKind {
        self.kind
    }
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for TransportError {}

impl From<TransportError> for Error {
    fn from(error: TransportError) -> Self {
        let kind = match error.kind {
            TransportErrorKind::Refused => ErrorKind::InvalidArgument,
            TransportErrorKind::Malformed | TransportErrorKind::TooLarge => ErrorKind::Protocol,
            _ => ErrorKind::Transport,
        };
        Error::new(kind, error.message)
    }
}

/// Scheme and authority of an absolute URL; the whole text if it is none.
pub(crate) fn origin(url: &str) -> &str {
    let start = crate::text::find(url, "://").map_or(0, |at| at + 3);
    let len = url
        .get(start..)
        .and_then(|rest| rest.bytes().position(|b| matches!(b, b'/' | b'?' | b'#')))
        .map_or(url.len(), |at| start + at);
    url.get(..len).unwrap_or(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origin_is_scheme_and_authority() {
        for (url, expected) in [
            ("http://169.254.169.254/metadata?x=1", "http://169.254.169.254"),
            ("https://[::1]:8443?x", "https://[::1]:8443"),
            ("http://localhost", "http://localhost"),
            ("nonsense", "nonsense"),
        ] {
            assert_eq!(origin(url), expected);
        }
    }

    #[test]
    fn debug_shows_no_header_value_and_no_body() {
        let mut request = Request::new(Method::Post, "http://localhost/").header("x-identity-header", "canary");
        request.body = Some("canary".into());
        let response = Response::new(200, vec![("x".into(), "canary".into())], b"canary".to_vec());
        assert!(!format!("{request:?} {request:#?} {response:?}").contains("canary"));
    }

    #[test]
    fn repeated_headers_are_all_seen() {
        let headers = [("a", "1"), ("b", "2"), ("a", "3")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        let response = Response::new(401, headers.to_vec(), Vec::new());
        assert_eq!(response.headers("a").collect::<Vec<_>>(), ["1", "3"]);
        assert_eq!((response.header("a"), response.headers("c").next()), (Some("1"), None));
    }

    #[test]
    fn json_is_told_by_the_content_type() {
        for (value, expected) in [
            ("application/json; charset=utf-8", true),
            ("Application/JSON", true),
            ("application/problem+json", true),
            ("text/html", false),
            ("text/json-ish", false),
        ] {
            let response = Response::new(200, vec![("content-type".into(), value.into())], Vec::new());
            assert_eq!(response.is_json(), expected, "{value}");
        }
        assert!(!Response::new(200, Vec::new(), b"{}".to_vec()).is_json());
    }
}
