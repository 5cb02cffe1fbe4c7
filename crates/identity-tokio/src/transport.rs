//! One request, one answer, in time.

use std::{
    sync::atomic::{AtomicU8, Ordering},
    time::Duration,
};

use identity_core::{
    BoxFuture,
    http::{Request, Response, ServerTrust, Transport, TransportError, TransportErrorKind},
};
use tokio::time::{Instant, timeout};

use crate::{
    connect::connect,
    http1::{Live, message},
    stream::plain,
    target::Target,
};
#[cfg(feature = "tls")]
use crate::{https::Https, proxy::Proxy};

pub(crate) type Result<T> = std::result::Result<T, TransportError>;

/// The proxy of a request, if it has one, or why it cannot have the one that it needs.
#[cfg(feature = "tls")]
pub(crate) type Via<'a> = &'a Result<Option<&'a Proxy>>;
#[cfg(not(feature = "tls"))]
type Via<'a> = ();

/// HTTP/1.1 by hyper. Plain HTTP has a connection per request; with TLS, connections are kept.
#[derive(Debug)]
pub(crate) struct HyperTransport {
    #[cfg(feature = "tls")]
    pub(crate) https: Https,
}

impl Transport for HyperTransport {
    fn send(&self, request: Request) -> BoxFuture<'_, Result<Response>> {
        Box::pin(self.attempt(request))
    }

    fn check_https(&self) -> Result<()> {
        #[cfg(feature = "tls")]
        return self.https.check();
        #[cfg(not(feature = "tls"))]
        Err(no_tls())
    }

    #[cfg(feature = "tls")]
    fn check_roots(&self, pem: &str) -> Result<()> {
        crate::tls::trust::check(pem.as_bytes())
    }
}

/// How far an exchange has come; tells what took too long.
pub(crate) const CONNECTING: u8 = 0;
pub(crate) const WAITING: u8 = 1;
pub(crate) const READING: u8 = 2;
pub(crate) const DONE: u8 = 3;
/// As [`WAITING`], on a connection that was idle before.
#[cfg(feature = "tls")]
pub(crate) const WAITING_AGAIN: u8 = 4;

impl HyperTransport {
    async fn attempt(&self, mut request: Request) -> Result<Response> {
        let start = Instant::now();
        let phase = AtomicU8::new(CONNECTING);
        let limit = request.timeout;
        let method = request.method.as_str();
        let url = request.url.clone();
        let target = Target::parse(&url);
        // What is no URL is not logged: it may hold a password where none belongs.
        let shown = target.is_ok().then(|| url.split('?').next());
        let result = match target {
            Ok(target) => {
                #[cfg(feature = "tls")]
                let via = &self.https.proxies.choose(&request, &target);
                #[cfg(not(feature = "tls"))]
                let via = ();
                match timeout(limit, self.exchange(&mut request, &target, via, &phase)).await {
                    Ok(result) => result,
                    Err(_) => Err(match phase.into_inner() {
                        CONNECTING => no_connection(via, limit),
                        #[cfg(feature = "tls")]
                        WAITING_AGAIN => {
                            self.https.pool.forget(target.host, target.port);
                            too_late(TransportErrorKind::Timeout, "no answer began", limit)
                        }
                        WAITING => too_late(TransportErrorKind::Timeout, "no answer began", limit),
                        _ => too_late(TransportErrorKind::Timeout, "the answer began but did not end", limit),
                    }),
                }
            }
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

    async fn exchange(
        &self,
        request: &mut Request,
        target: &Target<'_>,
        via: Via<'_>,
        phase: &AtomicU8,
    ) -> Result<Response> {
        let message = message(request, target)?;
        if target.secure {
            #[cfg(feature = "tls")]
            return self.https.exchange(message, request, target, via, phase).await;
            #[cfg(not(feature = "tls"))]
            return Err(no_tls());
        }
        if request.trust != ServerTrust::Roots || request.server_name.is_some() {
            return Err(refused("certificates need an https URL"));
        }
        // Plain HTTP: a connection of its own, and never a proxy.
        let stream = match timeout(request.connect_timeout, connect(target.host, target.port, request.reach)).await {
            Ok(stream) => plain(stream?),
            Err(_) => return Err(no_connection(via, request.connect_timeout)),
        };
        phase.store(WAITING, Ordering::Relaxed);
        let answer = Live::new(stream).await?.converse(message, request.body_limit, phase).await;
        #[cfg(feature = "tls")]
        let answer = answer.map_err(|broken| broken.error);
        answer
    }
}

#[cfg(not(feature = "tls"))]
fn no_tls() -> TransportError {
    refused(
        "https is not built in; set an http URL, or for Service Fabric turn on `msi-service-fabric` (`tls` of identity-tokio)",
    )
}

#[cfg_attr(not(feature = "proxy"), expect(unused_variables, reason = "nobody has one"))]
pub(crate) fn no_connection(via: Via<'_>, limit: Duration) -> TransportError {
    #[cfg(feature = "proxy")]
    if let Ok(Some(proxy)) = via {
        let what = format!("no connection through the proxy {}", proxy.origin);
        return too_late(TransportErrorKind::ConnectTimeout, &what, limit);
    }
    too_late(TransportErrorKind::ConnectTimeout, "no connection", limit)
}

pub(crate) fn too_late(kind: TransportErrorKind, what: &str, limit: Duration) -> TransportError {
    TransportError::new(kind, format!("{what} within {} ms", limit.as_millis() as u64))
}

pub(crate) fn refused(why: impl Into<String>) -> TransportError {
    TransportError::new(TransportErrorKind::Refused, why)
}
