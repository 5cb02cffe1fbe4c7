//! How to speak `https`, as one configuration.

use std::{path::PathBuf, time::Duration};

#[cfg(feature = "proxy")]
use identity_core::{
    Error, ErrorKind, Secret,
    http::{Method, Proxy as Wish, Request},
};
use identity_core::{Platform, Result};

use crate::{
    env::ProcessEnv,
    https::Https,
    pool::{IDLE_TIMEOUT, MAX_IDLE_PER_HOST, Pool},
    proxy::Proxies,
    tls::trust::{Authority, Roots, Trust},
    transport::HyperTransport,
};
#[cfg(feature = "proxy")]
use crate::{proxy::Proxy, target::Target};

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
        let (max_idle_per_host, idle_timeout) = (self.max_idle_per_host, self.idle_timeout);
        let (trust, proxies) = self.parts()?;
        let https = Https { trust, proxies, pool: Pool::new(max_idle_per_host, idle_timeout) };
        Ok(crate::platform_with(HyperTransport { https }))
    }

    /// The proxy that requests to `host` would go through: scheme, host and port, without user and password; `None` if they go
    /// to it directly. For reports and diagnosis: reads CA files and variables, touches no network.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidArgument`](identity_core::ErrorKind::InvalidArgument) if `host` is none, as
    /// [`platform`](Self::platform), and if the proxy of the environment's variables cannot be used.
    #[cfg(feature = "proxy")]
    pub fn proxy_for(&self, host: &str) -> Result<Option<String>> {
        let (_, proxies) = self.clone().parts()?;
        if host.contains(['/', '?', '#', '@']) {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                format!("{host:?} is no host; expected a name or an address"),
            ));
        }
        let url = format!("https://{host}/");
        let mut request = Request::new(Method::Get, &url);
        request.proxy = Wish::Configured;
        let proxy = proxies.choose(&request, &Target::parse(&url)?)?;
        Ok(proxy.map(|proxy| proxy.origin.clone()))
    }

    /// How many roots servers would be trusted by. For reports and diagnosis: reads the system's roots, CA files and variables.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidArgument`](identity_core::ErrorKind::InvalidArgument) if there is none, saying where they were looked
    /// for, and as [`platform`](Self::platform).
    pub fn count_roots(&self) -> Result<usize> {
        let (trust, _) = self.clone().parts()?;
        Ok(trust.count()?)
    }

    fn parts(self) -> Result<(Trust, Proxies)> {
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
        Ok((trust, proxies))
    }
}

impl Default for TransportOptions {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::trust::tests::pem;

    #[test]
    fn roots_are_counted_as_they_are_trusted() {
        let none = TransportOptions::new().roots(Roots::None);
        assert!(none.count_roots().unwrap_err().to_string().contains("trusts nobody"));
        let two = none.ca_pem(pem("one")).ca_pem(pem("two"));
        assert_eq!(two.count_roots().unwrap(), 2);
        // The options are as good as before.
        two.platform().unwrap();
    }

    #[cfg(feature = "proxy")]
    #[test]
    fn the_proxy_to_a_host_is_told_without_its_password() {
        let options = TransportOptions::new().proxy("http://user:canary@proxy.example:8080").proxy_exceptions("direct");
        for (host, expected) in [
            ("login.example", Some("http://proxy.example:8080")),
            ("[::1]", Some("http://proxy.example:8080")),
            ("a.direct", None),
        ] {
            assert_eq!(options.proxy_for(host).unwrap().as_deref(), expected, "{host}");
        }
        for host in ["", "a b", "user@host", "a/b"] {
            assert_eq!(options.proxy_for(host).unwrap_err().kind(), ErrorKind::InvalidArgument, "{host}");
        }
        assert_eq!(TransportOptions::new().no_proxy().proxy_for("login.example").unwrap(), None);
    }
}
