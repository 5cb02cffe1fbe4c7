//! `https`: trust, the way there, and connections that are kept.

use std::sync::atomic::{AtomicU8, Ordering};

use identity_core::http::{Request, Response, ServerTrust, TransportError, TransportErrorKind};
use rustls::pki_types::ServerName;
use tokio::time::timeout;

use crate::{
    connect::connect,
    env::ProcessEnv,
    http1::{Broken, Live, Message},
    pool::{IDLE_TIMEOUT, Key, MAX_IDLE_PER_HOST, Pool},
    proxy::{Proxies, Proxy},
    stream::{Stream, plain},
    target::Target,
    tls::{
        Failure, secure,
        trust::{Roots, Trust},
        warn,
    },
    transport::{CONNECTING, DONE, Result, Via, WAITING, WAITING_AGAIN, no_connection, refused},
};

/// What a transport keeps for `https`.
#[derive(Debug)]
pub(crate) struct Https {
    pub(crate) trust: Trust,
    pub(crate) proxies: Proxies,
    pub(crate) pool: Pool,
}

impl Default for Https {
    fn default() -> Self {
        Self {
            trust: Trust::of(Roots::System),
            proxies: Proxies::from_env(&ProcessEnv),
            pool: Pool::new(MAX_IDLE_PER_HOST, IDLE_TIMEOUT),
        }
    }
}

impl Https {
    pub(crate) fn check(&self) -> Result<()> {
        self.trust.check()
    }

    pub(crate) async fn exchange(
        &self,
        mut message: Message,
        request: &Request,
        target: &Target<'_>,
        via: Via<'_>,
        phase: &AtomicU8,
    ) -> Result<Response> {
        let proxy = via.clone()?;
        let name = request.server_name.as_deref().unwrap_or(target.host);
        let name = ServerName::try_from(name.to_owned()).map_err(|error| refused(format!("{name}: {error}")))?;
        let mut key = Key {
            host: target.host.to_owned(),
            port: target.port,
            name,
            settings: self.trust.settings(&request.trust)?,
            reach: request.reach,
            proxied: proxy.is_some(),
        };
        // A connection that trusts by a pin is never kept: each proves the certificate anew.
        let keep = !matches!(request.trust, ServerTrust::PinnedSha1(_));
        loop {
            phase.store(CONNECTING, Ordering::Relaxed);
            let reused = if keep { self.pool.take(&key).await } else { None };
            let is_reused = reused.is_some();
            let mut live = match reused {
                Some(live) => live,
                None => match timeout(request.connect_timeout, self.open(&mut key, proxy, &request.trust)).await {
                    Ok(stream) => Live::new(stream.inspect_err(tell)?).await?,
                    Err(_) => return Err(no_connection(via, request.connect_timeout)),
                },
            };
            phase.store(if is_reused { WAITING_AGAIN } else { WAITING }, Ordering::Relaxed);
            match live.converse(message, request.body_limit, phase).await {
                Ok(answer) => {
                    if keep && phase.load(Ordering::Relaxed) == DONE {
                        self.pool.put(key, live).await;
                    }
                    return Ok(answer);
                }
                // It died while it waited, and nothing was written: as if it had never been there.
                Err(Broken { unsent: Some(unsent), .. }) if is_reused => message = unsent,
                Err(Broken { unsent: Some(_), error }) => {
                    let why = format!("the connection ended before the request was written: {error}");
                    return Err(TransportError::new(TransportErrorKind::Connect, why));
                }
                Err(broken) => {
                    if phase.load(Ordering::Relaxed) == WAITING_AGAIN {
                        self.pool.forget(target.host, target.port);
                    }
                    return Err(broken.error);
                }
            }
        }
    }

    /// Opens a secure connection. Where the issuer of a server, or of a proxy, is unknown, the roots may have changed
    /// meanwhile: they are read again, and if that made a difference the key says so.
    async fn open(&self, key: &mut Key, via: Option<&Proxy>, trust: &ServerTrust) -> Result<Stream> {
        let failure = match self.open_with(key, via).await {
            Ok(stream) => return Ok(stream),
            Err(failure) => failure,
        };
        let Some(renewed) = failure.stale.and_then(|stale| self.trust.renewed(&stale)) else {
            return Err(failure.error);
        };
        if *trust == ServerTrust::Roots {
            key.settings = renewed;
        }
        self.open_with(key, via).await.map_err(|failure| failure.error)
    }

    async fn open_with(&self, key: &Key, via: Option<&Proxy>) -> std::result::Result<Stream, Failure> {
        let stream = match via {
            None => plain(connect(&key.host, key.port, key.reach).await?),
            #[cfg(feature = "proxy")]
            Some(proxy) => proxy.tunnel(&key.host, key.port, &self.trust).await?,
            #[cfg(not(feature = "proxy"))]
            Some(none) => match *none {},
        };
        secure(stream, key.name.clone(), &key.settings).await
    }
}

/// Says that a server could not be trusted also where a remembered token serves on, and nobody gets the error.
fn tell(error: &TransportError) {
    if error.kind() == TransportErrorKind::Tls {
        warn(error, "no secure connection");
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        pin::Pin,
        task::{Context, Poll},
        time::Duration,
    };

    use identity_core::http::Method;
    use tokio::{
        io::{AsyncRead, AsyncWrite, ReadBuf},
        net::TcpListener,
    };

    use super::*;
    use crate::{
        http1::message,
        stream::Stream,
        tls::trust::{Authority, tests::pem},
    };

    /// A connection that its other side ends after it was looked at so often.
    struct Ends(u32);

    impl AsyncRead for Ends {
        fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            if self.0 == 0 {
                return Poll::Ready(Ok(()));
            }
            self.0 -= 1;
            cx.waker().wake_by_ref();
            Poll::Pending
        }
    }

    impl AsyncWrite for Ends {
        fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
            panic!("nothing is written to it");
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn where_a_kept_connection_turns_out_to_have_ended_the_next_one_is_being_opened() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://127.0.0.1:{}/", listener.local_addr().unwrap().port());
        let mut request = Request::new(Method::Get, &url);
        let https = Https {
            trust: Trust::new(Roots::None, vec![Authority::Pem(pem("ours"))]).unwrap(),
            proxies: Proxies::none(),
            pool: Pool::new(MAX_IDLE_PER_HOST, IDLE_TIMEOUT),
        };
        let target = Target::parse(&url).unwrap();
        let key = Key {
            host: target.host.to_owned(),
            port: target.port,
            name: ServerName::try_from(target.host.to_owned()).unwrap(),
            settings: https.trust.settings(&request.trust).unwrap(),
            reach: request.reach,
            proxied: false,
        };
        // It is looked at when it is put in, and when it is taken out.
        let stream: Stream = Box::new(Ends(2));
        https.pool.put(key.clone(), Live::new(stream).await.unwrap()).await;
        let phase = AtomicU8::new(CONNECTING);
        let message = message(&mut request, &target).unwrap();
        let exchange = https.exchange(message, &request, &target, &Ok(None), &phase);
        let (_, accepted) = tokio::join!(timeout(Duration::from_millis(200), exchange), listener.accept());
        accepted.unwrap();
        assert_eq!(phase.into_inner(), CONNECTING);
        assert!(https.pool.take(&key).await.is_none());
    }
}
