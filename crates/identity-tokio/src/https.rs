//! `https`: trust, the way there, and connections that are kept.

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering},
};

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
    },
    transport::{DONE, Result, WAITING, WAITING_AGAIN, no_connection, refused},
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
        phase: &AtomicU8,
    ) -> Result<Response> {
        let via = self.proxies.choose(request, target)?;
        let name = request.server_name.as_deref().unwrap_or(target.host);
        let name = ServerName::try_from(name.to_owned()).map_err(|error| refused(format!("{name}: {error}")))?;
        let mut key = Key {
            host: target.host.to_owned(),
            port: target.port,
            name,
            config: self.trust.config(&request.trust)?,
            reach: request.reach,
            proxied: via.is_some(),
        };
        // A connection that trusts by a pin is never kept: each proves the certificate anew.
        let keep = !matches!(request.trust, ServerTrust::PinnedSha1(_));
        loop {
            let reused = if keep { self.pool.take(&key).await } else { None };
            let is_reused = reused.is_some();
            let mut live = match reused {
                Some(live) => live,
                None => match timeout(request.connect_timeout, self.open(&mut key, via, &request.trust)).await {
                    Ok(stream) => Live::new(stream?).await?,
                    Err(_) => return Err(no_connection(request.connect_timeout)),
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
                    if is_reused {
                        self.pool.forget(target.host, target.port);
                    }
                    return Err(broken.error);
                }
            }
        }
    }

    /// Opens a secure connection. Where the issuer is unknown, the roots may have changed meanwhile: they are read again,
    /// and if that made a difference the key says so.
    async fn open(&self, key: &mut Key, via: Option<&Proxy>, trust: &ServerTrust) -> Result<Stream> {
        let failure = match self.open_with(key, via).await {
            Ok(stream) => return Ok(stream),
            Err(failure) => failure,
        };
        if failure.unknown_issuer
            && let Some(renewed) = self.trust.renewed(trust, &key.config)
        {
            key.config = renewed;
            return self.open_with(key, via).await.map_err(|failure| failure.error);
        }
        Err(failure.error)
    }

    async fn open_with(&self, key: &Key, via: Option<&Proxy>) -> std::result::Result<Stream, Failure> {
        let stream = match via {
            None => plain(connect(&key.host, key.port, key.reach).await?),
            #[cfg(feature = "proxy")]
            Some(proxy) => proxy.tunnel(&key.host, key.port, &self.trust).await?,
            #[cfg(not(feature = "proxy"))]
            Some(none) => match *none {},
        };
        secure(stream, key.name.clone(), Arc::clone(&key.config)).await
    }
}
