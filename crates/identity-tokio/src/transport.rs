//! One request, one connection, one answer.

use std::{
    convert::Infallible,
    error::Error as _,
    future::poll_fn,
    io,
    mem::take,
    pin::{Pin, pin},
    sync::atomic::{AtomicU8, Ordering},
    task::{Context, Poll},
    time::Duration,
};

use hyper::{
    StatusCode, Uri,
    body::{Body, Bytes, Frame, Incoming, SizeHint},
    client::conn::http1::Builder,
    header::{
        CONTENT_ENCODING, CONTENT_LENGTH, HOST, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING, USER_AGENT,
    },
};
use identity_core::{
    BoxFuture, Secret, check,
    http::{Method, Request, Response, ServerTrust, Transport, TransportError, TransportErrorKind},
};
use tokio::time::{Instant, timeout};
use zeroize::Zeroizing;

use crate::{
    connect::connect,
    stream::{Io, Stream, plain},
    target::Target,
};

type Result<T> = std::result::Result<T, TransportError>;

/// HTTP/1.1 by hyper, on a connection per request.
#[derive(Debug)]
pub(crate) struct HyperTransport;

impl Transport for HyperTransport {
    fn send(&self, request: Request) -> BoxFuture<'_, Result<Response>> {
        Box::pin(attempt(request))
    }
}

/// How far an exchange has come; tells what took too long.
const CONNECTING: u8 = 0;
const WAITING: u8 = 1;
const READING: u8 = 2;

async fn attempt(mut request: Request) -> Result<Response> {
    let start = Instant::now();
    let phase = AtomicU8::new(CONNECTING);
    let limit = request.timeout;
    let method = request.method.as_str();
    let url = request.url.clone();
    let target = Target::parse(&url);
    // What is no URL is not logged: it may hold a password where none belongs.
    let shown = target.is_ok().then(|| url.split('?').next());
    let result = match target {
        Ok(target) => match timeout(limit, exchange(&mut request, &target, &phase)).await {
            Ok(result) => result,
            Err(_) => Err(match phase.into_inner() {
                CONNECTING => no_connection(limit),
                WAITING => too_late(TransportErrorKind::Timeout, "no answer began", limit),
                _ => too_late(TransportErrorKind::Timeout, "the answer began but did not end", limit),
            }),
        },
        Err(error) => Err(error),
    };
    tracing::debug!(
        method,
        url = shown,
        status = result.as_ref().ok().map(Response::status),
        error = result.as_ref().err().map(tracing::field::display),
        ms = start.elapsed().as_millis() as u64,
        "HTTP"
    );
    result
}

async fn exchange(request: &mut Request, target: &Target<'_>, phase: &AtomicU8) -> Result<Response> {
    let message = message(request, target)?;
    let stream = match timeout(request.connect_timeout, open(target, request)).await {
        Ok(stream) => stream?,
        Err(_) => return Err(no_connection(request.connect_timeout)),
    };
    phase.store(WAITING, Ordering::Relaxed);
    let handshake = Builder::new().max_buf_size(HEADER_LIMIT).handshake(Io(stream)).await;
    let (mut sender, connection) = handshake.map_err(failed)?;
    let mut answer = pin!(async {
        let answer = sender.send_request(message).await.map_err(failed)?;
        phase.store(READING, Ordering::Relaxed);
        read(answer, request.body_limit).await
    });
    // The connection does the work and the answer waits for it. It lives here, not in a task: it dies with the future.
    let mut connection = Some(connection);
    poll_fn(|cx| {
        if let Poll::Ready(result) = answer.as_mut().poll(cx) {
            return Poll::Ready(result);
        }
        if connection.as_mut().is_some_and(|connection| Pin::new(connection).poll(cx).is_ready()) {
            // What went wrong was told to the answer, which was woken by it.
            connection = None;
        }
        Poll::Pending
    })
    .await
}

/// Opens a connection that is as secure as the URL says.
async fn open(target: &Target<'_>, request: &Request) -> Result<Stream> {
    match (target.secure, &request.trust) {
        (false, ServerTrust::Roots) => Ok(plain(connect(target, request.reach).await?)),
        (false, _) => Err(refused("a pinned certificate needs an https URL")),
        #[cfg(feature = "tls")]
        (true, ServerTrust::PinnedSha1(thumbprint)) => {
            crate::tls::secure(connect(target, request.reach).await?, target, *thumbprint).await
        }
        #[cfg(feature = "tls")]
        (true, _) => Err(refused("https is for pinned certificates only, not for trust in a root; set an http URL")),
        #[cfg(not(feature = "tls"))]
        (true, _) => Err(refused(
            "https is not built in; set an http URL, or for Service Fabric turn on `msi-service-fabric` (`tls` of identity-tokio)",
        )),
    }
}

/// The request as hyper sends it: what it states, `host`, `user-agent`, and `content-length` with a body.
fn message(request: &mut Request, target: &Target<'_>) -> Result<hyper::Request<Payload>> {
    let mut message = hyper::Request::new(Payload(None));
    *message.uri_mut() = Uri::try_from(&*target.path).map_err(|error| refused(format!("the URL's path: {error}")))?;
    let headers = message.headers_mut();
    let host = HeaderValue::from_str(target.authority).map_err(|error| refused(error.to_string()))?;
    headers.insert(HOST, host);
    headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
    for (name, value) in take(&mut request.headers) {
        let well_formed = check::is_header_value(value.expose());
        let (Ok(key), Ok(mut value), true) = (
            HeaderName::from_bytes(name.as_bytes()),
            HeaderValue::from_maybe_shared(Bytes::from_owner(Owned(value))),
            well_formed,
        ) else {
            // The value may be a secret, so it is not shown.
            return Err(refused(format!(
                "the value for the header {name} is empty or has a character that no header has"
            )));
        };
        value.set_sensitive(true);
        headers.insert(key, value);
    }
    match request.method {
        Method::Get => {}
        Method::Post => {
            let body = request.body.take().map_or_else(Bytes::new, |body| Bytes::from_owner(Owned(body)));
            headers.insert(CONTENT_LENGTH, body.len().into());
            *message.method_mut() = hyper::Method::POST;
            *message.body_mut() = Payload(Some(body).filter(|body| !body.is_empty()));
        }
        other => return Err(refused(format!("the method {} is not built in", other.as_str()))),
    }
    Ok(message)
}

/// Reads the answer whole. Headers whose value is not UTF-8 are left out, for nothing here has a use for them.
async fn read(answer: hyper::Response<Incoming>, limit: usize) -> Result<Response> {
    let (head, mut body) = answer.into_parts();
    check_head(head.status, &head.headers)?;
    let too_large = || {
        let message = format!("the answer has more than {limit} bytes, which is the limit");
        TransportError::new(TransportErrorKind::TooLarge, message)
    };
    let announced = body.size_hint().exact().map_or(0, |length| usize::try_from(length).unwrap_or(usize::MAX));
    let is_success = head.status.is_success();
    if is_success && announced > limit {
        return Err(too_large());
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(announced.min(limit)));
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        // Trailers are of no use here.
        let Ok(data) = frame.map_err(failed)?.into_data() else { continue };
        let Some(all) = data.get(..limit - bytes.len()).filter(|part| part.len() < data.len()) else {
            append(&mut bytes, &data);
            continue;
        };
        if is_success {
            return Err(too_large());
        }
        append(&mut bytes, all);
        break;
    }
    let mut headers = Vec::new();
    for (name, value) in &head.headers {
        if let Ok(value) = str::from_utf8(value.as_bytes()) {
            headers.push((name.as_str().to_owned(), value.to_owned()));
        }
    }
    Ok(Response::new(head.status.as_u16(), headers, take(&mut *bytes)))
}

/// Refuses what hyper lets pass: compression, a body whose end could be read in two ways, another protocol.
fn check_head(status: StatusCode, headers: &HeaderMap) -> Result<()> {
    let other = |name, expected: &str| {
        headers
            .get_all(name)
            .iter()
            .any(|value: &HeaderValue| !value.as_bytes().eq_ignore_ascii_case(expected.as_bytes()))
    };
    let what = if other(CONTENT_ENCODING, "identity") || other(TRANSFER_ENCODING, "chunked") {
        "is compressed, which was not asked for"
    } else if headers.contains_key(TRANSFER_ENCODING) && headers.contains_key(CONTENT_LENGTH) {
        "has both a transfer-encoding and a content-length"
    } else if status == StatusCode::SWITCHING_PROTOCOLS {
        "switches to another protocol, which was not asked for"
    } else {
        return Ok(());
    };
    Err(TransportError::new(TransportErrorKind::Malformed, format!("the answer (HTTP {}) {what}", status.as_str())))
}

/// Appends without leaving copies of the bytes behind: a buffer that is outgrown is wiped.
fn append(bytes: &mut Zeroizing<Vec<u8>>, data: &[u8]) {
    if bytes.capacity() - bytes.len() < data.len() {
        let mut larger = Zeroizing::new(Vec::with_capacity((bytes.len() + data.len()).max(2 * bytes.capacity())));
        larger.extend_from_slice(bytes);
        *bytes = larger;
    }
    bytes.extend_from_slice(data);
}

/// What hyper's error means. Only an answer that breaks the rules is told from a connection that broke.
fn failed(error: hyper::Error) -> TransportError {
    let cause = error.source();
    let io = cause.and_then(|cause| cause.downcast_ref::<io::Error>()).map(io::Error::kind);
    let broken = error.is_parse() || matches!(io, Some(io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput));
    let kind = if broken { TransportErrorKind::Malformed } else { TransportErrorKind::Closed };
    let message = match cause {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    };
    TransportError::new(kind, message)
}

fn no_connection(limit: Duration) -> TransportError {
    too_late(TransportErrorKind::ConnectTimeout, "no connection", limit)
}

fn too_late(kind: TransportErrorKind, what: &str, limit: Duration) -> TransportError {
    TransportError::new(kind, format!("{what} within {} ms", limit.as_millis() as u64))
}

fn refused(why: impl Into<String>) -> TransportError {
    TransportError::new(TransportErrorKind::Refused, why)
}

/// A body that is sent in one piece.
struct Payload(Option<Bytes>);

impl Body for Payload {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<std::result::Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.as_ref().map_or(0, Bytes::len) as u64)
    }
}

/// A secret that hyper holds without a copy of it; wiped when hyper is done with it.
struct Owned(Secret);

impl AsRef<[u8]> for Owned {
    fn as_ref(&self) -> &[u8] {
        self.0.expose().as_bytes()
    }
}

/// Who we say we are.
const AGENT: &str = concat!("identity-rust/", env!("CARGO_PKG_VERSION"));

/// The longest header of an answer, in bytes. hyper itself reads no more than 100 lines of it.
const HEADER_LIMIT: usize = 64 * 1024;
