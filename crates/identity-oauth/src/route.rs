//! Another way to the token endpoint.

use std::{fmt, sync::Arc};

use identity_core::{
    BoxFuture, Result,
    http::{Request, Response, Transport, TransportError, TransportErrorKind},
};

/// Leads requests to the token endpoint another way, such as through a gateway.
pub trait Route: fmt::Debug + Send + Sync {
    /// Changes where `request` goes and whom it trusts. Called for each attempt, and again for one that it has led; may
    /// read files.
    ///
    /// # Errors
    ///
    /// What prevents the request; nothing is sent.
    fn apply(&self, request: &mut Request) -> Result<()>;

    /// Says more about what went wrong on this way.
    fn explain(&self, error: TransportError) -> TransportError {
        error
    }
}

/// A transport whose requests are led another way.
#[derive(Debug)]
pub(crate) struct Routed {
    inner: Arc<dyn Transport>,
    route: Arc<dyn Route>,
}

impl Routed {
    pub(crate) fn new(inner: Arc<dyn Transport>, route: Arc<dyn Route>) -> Self {
        Self { inner, route }
    }

    fn lead(&self, request: &mut Request) -> Result<(), TransportError> {
        self.route.apply(request).map_err(|error| TransportError::new(TransportErrorKind::Refused, error.to_string()))
    }
}

impl Transport for Routed {
    /// Sends the request. If the other side is not trusted, and whom to trust has changed meanwhile, once more.
    fn send(&self, mut request: Request) -> BoxFuture<'_, Result<Response, TransportError>> {
        Box::pin(async move {
            self.lead(&mut request)?;
            let trust = request.trust.clone();
            let mut result = self.inner.send(request.clone()).await;
            if result.as_ref().is_err_and(|error| error.kind() == TransportErrorKind::Tls) {
                self.lead(&mut request)?;
                if request.trust != trust {
                    result = self.inner.send(request).await;
                }
            }
            result.map_err(|error| self.route.explain(error))
        })
    }

    fn check_https(&self) -> Result<(), TransportError> {
        self.inner.check_https()
    }
}
