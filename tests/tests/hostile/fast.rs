//! The real transport and clock, with all times divided by the same number.

use std::{sync::Arc, time::Duration};

use identity_core::{
    BoxFuture, Clock, Moment, Platform,
    http::{Request, Response, Transport, TransportError},
};

/// How much faster time passes: an attempt of 10 s takes half a second, the budget of 45 s a bit more than two.
pub(crate) const SPEED: u32 = 20;

/// `platform` with fast time; sockets, variables and tasks stay as they are.
pub(crate) fn fast(platform: &Platform) -> Platform {
    let start = platform.clock().now();
    Platform::new(
        Arc::new(FastTransport(Arc::clone(platform.transport()))),
        Arc::new(FastClock { inner: Arc::clone(platform.clock()), start }),
        Arc::clone(platform.random()),
        Arc::clone(platform.env()),
        Arc::clone(platform.runtime()),
    )
}

#[derive(Debug)]
struct FastClock {
    inner: Arc<dyn Clock>,
    start: Moment,
}

impl Clock for FastClock {
    fn now(&self) -> Moment {
        self.start.plus(self.inner.now().since(&self.start) * SPEED)
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        self.inner.sleep(duration / SPEED)
    }
}

#[derive(Debug)]
struct FastTransport(Arc<dyn Transport>);

impl Transport for FastTransport {
    fn send(&self, mut request: Request) -> BoxFuture<'_, Result<Response, TransportError>> {
        request.timeout /= SPEED;
        request.connect_timeout /= SPEED;
        self.0.send(request)
    }
}
