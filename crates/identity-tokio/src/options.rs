//! How to speak `https`, as one configuration.

use std::{path::PathBuf, time::Duration};

#[cfg(feature = "proxy")]
use identity_core::{Error, ErrorKind, Secret};
use identity_core::{Platform, Result};

#[cfg(feature = "proxy")]
use crate::proxy::Proxy;
use crate::{
    env::ProcessEnv,
    https::Https,
    pool::{IDLE_TIMEOUT, MAX_IDLE_PER_HOST, Pool},
    proxy::Proxies,
    tls::trust::{Authority, Roots, Trust},
    transport::HyperTransport,
};

/// How `https` is spoken: roots, proxy, kept connections. Makes a [`Platform`] of its own.
///
/// What is not set is as [`platform()`](crate::platform) has it. Credentials share connections, limits and gates if they
/// share the platform; make one and clone it.
///
/// What to do in [containers without a system](crate#containers-without-a-system-from-scratch) and in
/// [corporate networks](crate#corporate-networks) is told at the crate.
///
/// ```no_run
/// # fn main() -> Result<(), identity_core::Error> {
/// let platform = identity_tokio::TransportOptions::new()
///     .ca_file("/etc/company/root.pem")
///     .platform()?;
/// # let _ = platform; Ok(()) }
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct TransportOptions {
    roots: Roots,
    authorities: Vec<Authority>,
    proxies: Option<Chosen>,
    #[cfg(feature = "proxy")]
    exceptions: String,
    max_idle_per_host: usize,
    idle_timeout: Duration,
}

/// What was set in place of the environment's proxy.
#[derive(Clone, Debug)]
enum Chosen {
    None,
    #[cfg(feature = "proxy")]
    Url(Secret),
}

impl TransportOptions {
    /// The system's roots, the environment's proxy, up to 64 idle connections per host for 60 seconds.
    pub fn new() -> Self {
        Self {
            roots: Roots::System,
            authorities: Vec::new(),
            proxies: None,
            #[cfg(feature = "proxy")]
            exceptions: String::new(),
            max_idle_per_host: MAX_IDLE_PER_HOST,
            idle_timeout: IDLE_TIMEOUT,
        }
    }

    /// Sets the roots that servers are trusted by. The default is [`Roots::System`].
    ///
    /// Roots that are not built in fail every `https` request, and the credentials that need one when they are built,
    /// with [`ErrorKind::InvalidArgument`](identity_core::ErrorKind::InvalidArgument); the message names the feature.
    pub fn roots(mut self, roots: Roots) -> Self {
        self.roots = roots;
        self
    }

    /// Trusts the roots in this PEM text, too. May be called more than once.
    ///
    /// # Errors
    ///
    /// [`platform`](Self::platform) fails with
    /// [`ErrorKind::InvalidArgument`](identity_core::ErrorKind::InvalidArgument) if the text has no certificate, or one
    /// that cannot be read.
    pub fn ca_pem(mut self, pem: impl Into<String>) -> Self {
        self.authorities.push(Authority::Pem(pem.into()));
        self
    }

    /// Trusts the roots in this PEM file of at most 1 MiB, too. May be called more than once.
    ///
    /// The file is read by [`platform`](Self::platform) and again when it has changed (by time, size or inode), which
    /// requests look for once a second and whenever a server's issuer is unknown. A file that cannot be read then leaves the
    /// roots as they were and writes a warning to the log.
    ///
    /// # Errors
    ///
    /// [`platform`](Self::platform) fails with
    /// [`ErrorKind::InvalidArgument`](identity_core::ErrorKind::InvalidArgument) if the file is missing, is no regular
    /// file, is too large, has no certificate, or one that cannot be read.
    pub fn ca_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.authorities.push(Authority::File(path.into()));
        self
    }

    /// Sets how many idle connections per host are kept. The default is 64; 0 keeps none.
    ///
    /// All hosts together have at most 256. Only `https` connections are kept.
    pub fn max_idle_per_host(mut self, connections: usize) -> Self {
        self.max_idle_per_host = connections;
        self
    }

    /// Sets how long an idle connection is kept. The default is 60 seconds; zero keeps none.
    ///
    /// No task watches: a connection that has waited longer is closed by the next `https` request.
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.idle_timeout = timeout;
        self
    }

    /// Uses no proxy, whatever the environment says.
    pub fn no_proxy(mut self) -> Self {
        self.proxies = Some(Chosen::None);
        self
    }

    /// Sends `https` requests through this proxy, `http://[user:password@]host[:port]` or the same with `https`, by
    /// `CONNECT`. The default is the environment's proxy, which then is not looked at, nor is `NO_PROXY`.
    ///
    /// User name and password are percent-encoded, and sent by Basic authentication. The port is 80, or 443 for `https`, if there is none. An `https` proxy
    /// proves itself by the same roots as servers do. Metadata endpoints are never asked through a proxy.
    ///
    /// # Errors
    ///
    /// [`platform`](Self::platform) fails with
    /// [`ErrorKind::InvalidArgument`](identity_core::ErrorKind::InvalidArgument) if this is no such URL, or a SOCKS proxy.
    #[cfg(feature = "proxy")]
    pub fn proxy(mut self, url: impl Into<Secret>) -> Self {
        self.proxies = Some(Chosen::Url(url.into()));
        self
    }

    /// Sets the hosts that the proxy is not used for, as `NO_PROXY` lists them: names (and all below them), addresses and
    /// networks such as `10.0.0.0/8`, separated by commas; or `*` alone. The default is none.
    ///
    /// They hold for [`proxy`](Self::proxy); without it for the environment's proxy, on top of `NO_PROXY`.
    #[cfg(feature = "proxy")]
    pub fn proxy_exceptions(mut self, list: impl Into<String>) -> Self {
        self.exceptions = list.into();
        self
    }

    /// Makes the platform. Reads CA files and variables; touches no network and starts no task.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidArgument`](identity_core::ErrorKind::InvalidArgument) if a CA or the proxy that was set cannot
    /// be used. Proxy variables that cannot be used fail the requests that would use them, with the same kind.
    pub fn platform(self) -> Result<Platform> {
        let trust = Trust::new(self.roots, self.authorities)?;
        let proxies = match self.proxies {
            None => Proxies::from_env(&ProcessEnv),
            Some(Chosen::None) => Proxies::none(),
            #[cfg(feature = "proxy")]
            Some(Chosen::Url(url)) => {
                let proxy = Proxy::parse(url.expose()).map_err(|why| Error::new(ErrorKind::InvalidArgument, why))?;
                Proxies::new(proxy)
            }
        };
        #[cfg(feature = "proxy")]
        let proxies = proxies.except(self.exceptions);
        let https = Https { trust, proxies, pool: Pool::new(self.max_idle_per_host, self.idle_timeout) };
        Ok(crate::platform_with(HyperTransport { https }))
    }
}

impl Default for TransportOptions {
    fn default() -> Self {
        Self::new()
    }
}
