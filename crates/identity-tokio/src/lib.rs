//! The seams of `identity-core` in production: HTTP/1.1 on hyper, timers and tasks on tokio, the process's variables and
//! files.
//!
//! [`platform()`] is the whole surface. Credentials take it by default; take it yourself to replace one part:
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
//! - One connection per request, closed after the answer or when the future is dropped. No task is spawned.
//! - Never a proxy, never a redirect. No compression is asked for, and a compressed answer is refused.
//! - A name is resolved once (`localhost` is always loopback), every address is judged, and exactly those addresses are
//!   connected to: families in turn, the next one after 250 ms or when one fails, the first connection wins.
//! - The header of an answer has at most 64 KiB and 100 lines; its body is read up to the request's limit.
//! - Resolving, connecting and the TLS handshake share one deadline; the whole exchange has another.
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
//! - `tls`: `https` URLs, by rustls with the ring provider. For now the server is trusted by the SHA-1 of its certificate
//!   only, as Service Fabric needs. Brings `dns`.
//!
//! # Security
//!
//! Header values, bodies and read buffers that this crate owns are wiped on drop; hyper's own buffers are not.
//! One event per attempt is logged, at debug level: method, URL without its query, status or error, milliseconds.
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
/// Making it starts no task and touches no file and no network.
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
