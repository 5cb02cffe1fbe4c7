//! The seams of `identity-core` in production: HTTP/1.1 on hyper, timers and tasks on tokio, the process's variables and
//! files.
//!
//! [`platform()`] is the platform of the process, which credentials take by default. `TransportOptions` makes another one,
//! with other roots or another proxy. Take a platform yourself to replace one part:
//!
//! ```
//! # use std::sync::Arc;
//! # use identity_core::{Env, Platform};
//! fn with_other_variables(env: Arc<dyn Env>) -> Platform {
//!     identity_tokio::platform().with_env(env)
//! }
//! ```
//!
//! # What is promised of an HTTP request
//!
//! - Never a redirect. No compression is asked for, and a compressed answer is refused.
//! - A name is resolved once (`localhost` is always loopback), every address is judged, and exactly those addresses are
//!   connected to: families in turn, the next one after 250 ms or when one fails, the first connection wins.
//! - The header of an answer has at most 64 KiB and 100 lines; its body is read up to the request's limit.
//! - Resolving, connecting, the proxy and the TLS handshake share one deadline; the whole exchange has another.
//! - Plain HTTP has one connection per request, never a proxy. `https` keeps connections: up to 64 idle ones per host and
//!   256 in all, for 60 seconds. One is used again only for the same scheme, host, port, server name, trust, reach and
//!   way (direct or by proxy), on the same runtime, in the same process, and only if the answer before it was read whole.
//!   If it has died meanwhile, a new one is opened and the caller does not notice, unless the request was already written.
//! - No task is spawned and no thread started. Idle connections are looked at when the next `https` request comes; until
//!   then they stay open, or half-closed by the server. Dropping a request closes its connection.
//!
//! # Containers without a system (`FROM scratch`)
//!
//! There are no root certificates in such an image, and the first `https` request says so. Either copy a bundle into the
//! image and set `SSL_CERT_FILE`, or compile Mozilla's roots in with the feature `tls-webpki-roots` and ask for them. They
//! are as old as the build: rebuild when they change.
//!
//! ```no_run
//! # #[cfg(feature = "tls")]
//! # fn main() -> identity_core::Result<()> {
//! use identity_tokio::{Roots, TransportOptions};
//!
//! let platform = TransportOptions::new().roots(Roots::Webpki).platform()?;
//! # let _ = platform; Ok(()) }
//! # #[cfg(not(feature = "tls"))]
//! # fn main() {}
//! ```
//!
//! # Corporate networks
//!
//! - With the feature `proxy`, `https` goes through the proxy of `https_proxy`, `HTTPS_PROXY`, `all_proxy` or `ALL_PROXY`
//!   (the first that is set and not empty), except for hosts in `no_proxy` or `NO_PROXY`, which is read as curl reads it.
//!   They are read once, when the platform is made. Without the feature, a request that would need the proxy fails and
//!   names the feature. Metadata endpoints are never asked through a proxy.
//! - A proxy that opens TLS signs with a root of its own. If the system's roots do not have it, add it by `ca_file`; it adds
//!   to the roots. The file is read again when it changes.
//!
//! ```no_run
//! # #[cfg(feature = "proxy")]
//! # fn main() -> identity_core::Result<()> {
//! use identity_tokio::TransportOptions;
//!
//! let platform = TransportOptions::new()
//!     .proxy("http://proxy.corp.example:3128")
//!     .proxy_exceptions("corp.example,10.0.0.0/8")
//!     .ca_file("/etc/corp/root.pem")
//!     .platform()?;
//! # let _ = platform; Ok(()) }
//! # #[cfg(not(feature = "proxy"))]
//! # fn main() {}
//! ```
//!
//! # Runtime
//!
//! Requests and sleeps need a tokio runtime with its I/O and time drivers
//! ([`enable_all`](tokio::runtime::Builder::enable_all), which `#[tokio::main]` calls). tokio panics in the task that
//! uses a driver that was left out.
//!
//! # Features
//!
//! - `dns`: hosts that are names, resolved by the system. Without it hosts are addresses or `localhost`, as every
//!   metadata endpoint of Azure is; 25 KB less, since no thread has to wait for an answer.
//! - `tls`: `https` URLs, by rustls with the ring provider, TLS 1.2 and 1.3; `TransportOptions` and `Roots`. It has no roots:
//!   servers are trusted by a pinned certificate, by roots that the request states, or by `ca_pem` and `ca_file`. Brings
//!   `dns`. 10 crates, 963 KB.
//! - `tls-native-roots`: the system's roots, which are the default. 2 crates, 23 KB.
//! - `tls-webpki-roots`: Mozilla's roots, when asked for. 1 crate, 76 KB.
//! - `proxy`: proxies for `https`. 10 KB.
//!
//! # Security
//!
//! Header values, bodies and read buffers that this crate owns are wiped on drop; hyper's and rustls' own buffers are not.
//! One event per attempt is logged, at debug level: method, URL without its query, status or error, milliseconds. User
//! name and password of a proxy are in no event, error or `Debug`.
//!
//! There is no way to turn the verification of certificates off. Revocation is not asked about. TLS sessions are resumed
//! with servers that are trusted by roots, never with those that are trusted by a pin.
#![forbid(unsafe_code)]
#![expect(clippy::disallowed_methods, reason = "this crate is what stands behind the seams")]

use std::sync::{Arc, OnceLock};

use identity_core::Platform;

mod connect;
mod env;
mod http1;
#[cfg(feature = "tls")]
mod https;
#[cfg(feature = "tls")]
mod options;
#[cfg(feature = "tls")]
mod pool;
#[cfg(feature = "tls")]
mod proxy;
mod runtime;
mod stream;
mod target;
#[cfg(feature = "tls")]
mod tls;
mod transport;

#[cfg(feature = "tls")]
pub use self::{options::TransportOptions, tls::trust::Roots};

/// The platform of this process: one for all credentials, so that they share the limits and gates of the endpoints they
/// call.
///
/// Making it starts no task and touches no file and no network. With the feature `tls` the first call reads the variables of
/// a proxy; the system's roots are read by the first `https` request.
#[must_use]
pub fn platform() -> Platform {
    static PLATFORM: OnceLock<Platform> = OnceLock::new();
    PLATFORM.get_or_init(default_platform).clone()
}

#[cfg(feature = "tls")]
fn default_platform() -> Platform {
    platform_with(transport::HyperTransport { https: https::Https::default() })
}

#[cfg(not(feature = "tls"))]
fn default_platform() -> Platform {
    platform_with(transport::HyperTransport {})
}

fn platform_with(transport: transport::HyperTransport) -> Platform {
    Platform::new(
        Arc::new(transport),
        Arc::new(runtime::TokioClock),
        Arc::new(runtime::StdRandom),
        Arc::new(env::ProcessEnv),
        Arc::new(runtime::TokioRuntime),
    )
}
