//! One conversation on one connection: what is sent, and what is read.

use std::{
    convert::Infallible,
    error::Error as _,
    future::poll_fn,
    io,
    mem::take,
    pin::{Pin, pin},
    sync::atomic::{AtomicU8, Ordering},
    task::{Context, Poll},
};

use hyper::{
    StatusCode, Uri,
    body::{Body, Bytes, Frame, Incoming, SizeHint},
    client::conn::http1::{Builder, Connection, SendRequest},
    header::{
        ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, HOST, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING,
        USER_AGENT,
    },
};
use identity_core::{
    Secret, check,
    http::{Method, Request, Response, TransportError, TransportErrorKind},
};
use zeroize::Zeroizing;

use crate::{
    stream::{Io, Stream},
    target::Target,
    transport::{DONE, READING, Result, refused},
};

/// A request as hyper sends it.
pub(crate) type Message = hyper::Request<Payload>;

/// An open connection that speaks HTTP.
pub(crate) struct Live {
    sender: SendRequest<Payload>,
    /// Does the work while it is polled; `None` once it has ended.
    connection: Option<Connection<Io, Payload>>,
}

/// Why there is no whole answer, and the request if nothing of it was written.
#[cfg(feature = "tls")]
pub(crate) struct Broken {
    pub(crate) error: TransportError,
    pub(crate) unsent: Option<Message>,
}

#[cfg(feature = "tls")]
impl From<TransportError> for Broken {
    fn from(error: TransportError) -> Self {
        Self { error, unsent: None }
    }
}

#[cfg(not(feature = "tls"))]
pub(crate) type Broken = TransportError;

impl Live {
    pub(crate) async fn new(stream: Stream) -> Result<Self> {
        match Builder::new().max_buf_size(HEADER_LIMIT).handshake(Io(stream)).await {
            Ok((sender, connection)) => Ok(Self { sender, connection: Some(connection) }),
            Err(error) => Err(failed(error)),
        }
    }

    /// Sends the message and reads its answer. The phase is [`DONE`] if that was all of the answer.
    pub(crate) async fn converse(
        &mut self,
        message: Message,
        limit: usize,
        phase: &AtomicU8,
    ) -> std::result::Result<Response, Broken> {
        let Self { sender, connection } = self;
        let mut answer = pin!(async {
            #[cfg(feature = "tls")]
            let answer = sender
                .try_send_request(message)
                .await
                .map_err(|mut error| Broken { unsent: error.take_message(), error: failed(error.into_error()) })?;
            #[cfg(not(feature = "tls"))]
            let answer = sender.send_request(message).await.map_err(failed)?;
            let answer = read(answer, limit, phase).await;
            #[cfg(feature = "tls")]
            let answer = answer.map_err(Broken::from);
            answer
        });
        // The connection does the work and the answer waits for it. It lives here, not in a task: it dies with the
        // future.
        poll_fn(|cx| {
            if let Poll::Ready(result) = answer.as_mut().poll(cx) {
                return Poll::Ready(result);
            }
            if connection.as_mut().is_some_and(|connection| Pin::new(connection).poll(cx).is_ready()) {
                // What went wrong was told to the answer, which was woken by it.
                *connection = None;
            }
            Poll::Pending
        })
        .await
    }

    /// Whether the connection can take another request: it is open, and nothing is under way or was left unread.
    #[cfg(feature = "tls")]
    pub(crate) async fn is_idle(&mut self) -> bool {
        poll_fn(|cx| {
            if self.connection.as_mut().is_none_or(|connection| Pin::new(connection).poll(cx).is_ready()) {
                self.connection = None;
            }
            Poll::Ready(self.connection.is_some() && self.sender.is_ready())
        })
        .await
    }
}

/// The request as hyper sends it: what it states, `host`, `user-agent`, `accept-encoding: identity`, and `content-length`
/// with a body.
pub(crate) fn message(request: &mut Request, target: &Target<'_>) -> Result<Message> {
    let mut message = hyper::Request::new(Payload(None));
    *message.uri_mut() = Uri::try_from(&*target.path).map_err(|error| refused(format!("the URL's path: {error}")))?;
    let headers = message.headers_mut();
    let host = HeaderValue::from_str(target.authority).map_err(|error| refused(error.to_string()))?;
    headers.insert(HOST, host);
    headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
    // Without it any encoding would be welcome (RFC 9110, section 12.5.3).
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
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

/// Reads the answer up to the limit. Headers whose value is not UTF-8 are left out, for nothing here has a use for them.
async fn read(answer: hyper::Response<Incoming>, limit: usize, phase: &AtomicU8) -> Result<Response> {
    phase.store(READING, Ordering::Relaxed);
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
    loop {
        let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await else {
            phase.store(DONE, Ordering::Relaxed);
            break;
        };
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
pub(crate) fn failed(error: hyper::Error) -> TransportError {
    let cause = error.source();
    #[cfg(feature = "tls")]
    if let Some(reason) = cause.and_then(|cause| cause.downcast_ref::<io::Error>()).and_then(crate::tls::reason) {
        // With TLS 1.3 a server may object after what the client takes for the end of the handshake.
        return TransportError::new(TransportErrorKind::Tls, crate::tls::explain(reason, "the server", None));
    }
    let io = cause.and_then(|cause| cause.downcast_ref::<io::Error>()).map(io::Error::kind);
    let broken = error.is_parse() || matches!(io, Some(io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput));
    let kind = if broken { TransportErrorKind::Malformed } else { TransportErrorKind::Closed };
    let message = match cause {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    };
    TransportError::new(kind, message)
}

/// A body that is sent in one piece.
pub(crate) struct Payload(Option<Bytes>);

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
pub(crate) const AGENT: &str = concat!("identity-rust/", env!("CARGO_PKG_VERSION"));

/// The longest header of an answer, in bytes. hyper itself reads no more than 100 lines of it.
const HEADER_LIMIT: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_marked_sensitive() {
        let url = "https://login.example/token";
        let mut request = Request::new(Method::Post, url).header("authorization", "canary").header("x", "canary");
        request.body = Some("secret=canary".into());
        let message = message(&mut request, &Target::parse(url).unwrap()).unwrap();
        for name in ["authorization", "x"] {
            assert!(message.headers()[name].is_sensitive(), "{name}");
        }
        assert!(!format!("{:?}", message.headers()).contains("canary"));
    }
}
