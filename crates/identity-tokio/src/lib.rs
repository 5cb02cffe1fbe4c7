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
//!   256 in all, for 60 seconds; where there is no room, the one that has waited longest goes. One is used again only for
//!   the same scheme, host, port, server name, trust, reach and way (direct or by proxy), on the same runtime, in the same
//!   process, and only if the answer before it was read whole. If it has died meanwhile, a new one is opened and the caller
//!   does not notice, unless the request was already written.
//! - No task is spawned. Names (feature `dns`) are resolved by the system on a thread that tokio starts for it; nothing else
//!   starts one. Idle connections are looked at when the next `https` request comes; until then they stay open, or
//!   half-closed by the server. Dropping a request closes its connection.
//!
//! # What is promised of a program that is run
//!
//! With the feature `process`, for credentials of tools; see `identity_core::process`.
//!
//! - No shell. Standard input is empty, both outputs are read all the time and bounded: 1 MiB and 64 KiB. The program inherits
//!   the variables of this process, but for those that its command hides, and none of its handles.
//! - It leads a process group (Unix) or is in a job from its start (Windows). When its time is over the group is asked to end
//!   (SIGTERM) and killed half a second later; when the future is dropped, or too much is written, it is killed at once. What a
//!   program leaves running that has ended well is left alone on Unix, unless it holds the outputs open; on Windows the job ends
//!   as a whole.
//! - Four of one platform run at a time; the others wait, first come first served. A turn that belongs to a runtime that nobody
//!   drives ends with the program's time, so that other runtimes go on.
//! - tokio's handler for SIGCHLD is installed with the first program, so that the system keeps ended children also in a process
//!   that was told to ignore them. A host that collects children by `wait` for any of them takes their ends away, and the
//!   program counts as killed.
//!
//! # Containers without a system (`FROM scratch`)
//!
//! There are no root certificates in such an image, and the first `https` request says so. Copy a bundle into the image, as
//! `/etc/ssl/certs/ca-certificates.crt` or as the file that `SSL_CERT_FILE` names, or compile Mozilla's roots in with the
//! feature `tls-webpki-roots` and ask for them. They are as old as the build: rebuild when they change.
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
//! With the feature `tls` alone there are no roots, but `Roots::System` is still the
//! default: every request that states no trust of its own is refused, and names the features, until `.roots(Roots::None)`
//! says that the roots that are added by `ca_file` or `ca_pem` are all.
//!
//! # Corporate networks
//!
//! - With the feature `proxy`, `https` goes through the proxy of `https_proxy`, `HTTPS_PROXY`, `all_proxy` or `ALL_PROXY`
//!   (the first that is set and not empty), except for hosts in `no_proxy` or `NO_PROXY`. They are read once, when the
//!   platform is made. Without the feature, a request that would need the proxy fails and names the feature. Metadata
//!   endpoints are never asked through a proxy.
//! - A proxy is `http://host:port` or, if it is spoken to in TLS, `https://host:port`. SOCKS is refused. There is no
//!   automatic configuration: no PAC file, no WPAD, no settings of Windows or macOS.
//! - User name and password stand in the URL, percent-encoded (`@` is `%40`, `/` is `%2F`), and are sent by Basic
//!   authentication. NTLM, Negotiate (Kerberos) and Digest are not spoken; a relay on the machine that speaks them can be
//!   the proxy. A proxy that wants more than it got fails the request with
//!   [`ErrorKind::InvalidArgument`](identity_core::ErrorKind::InvalidArgument) and "the proxy http://host:port: HTTP 407:
//!   it wants a user name and password", or that it does not accept them.
//! - `NO_PROXY` is read as curl reads it, separated by commas or blanks: `example.com` (and all below it, as
//!   `.example.com`), `10.1.2.3`, `10.0.0.0/8`, `fd00::/8`, or `*` alone for all. Other patterns (`*.example.com`,
//!   `10.*`), entries with a port (`example.com:443`), addresses in brackets and lists with `;` match nothing.
//! - A proxy that opens TLS signs with a root of its own. If the system's roots do not have it, add it by `ca_file`, which
//!   is read again when it changes. `SSL_CERT_FILE` and `SSL_CERT_DIR` **replace** the system's roots, on every platform: a
//!   file that has only the proxy's root shuts out what does not go through the proxy.
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
//! Requests, programs and sleeps need a tokio runtime with its I/O and time drivers
//! ([`enable_all`](tokio::runtime::Builder::enable_all), which `#[tokio::main]` calls). tokio panics in the task that
//! uses a driver that was left out.
//!
//! A runtime that is dropped, as by the end of `#[tokio::main]`, waits for names that are being resolved, although nobody
//! asks for them any more: up to half a minute where no DNS server answers. A program that wants to end without waiting
//! makes its runtime itself and calls [`shutdown_background`](tokio::runtime::Runtime::shutdown_background).
//!
//! # Features
//!
//! - `dns`: hosts that are names, resolved by the system. Without it hosts are addresses or `localhost`, as every
//!   metadata endpoint of Azure is; 25 KB less, since no thread has to wait for an answer.
//! - `tls`: `https` URLs, by rustls with the ring provider, TLS 1.2 and 1.3; `TransportOptions` and `Roots`. It has no roots:
//!   servers are trusted by a pinned certificate, by roots that the request states, or by `ca_pem` and `ca_file`. Brings
//!   `dns`. 10 crates, 963 KB.
//! - `tls-native-roots`: the system's roots, which are the default. 2 crates, 26 KB.
//! - `tls-webpki-roots`: Mozilla's roots, when asked for. 1 crate, 76 KB.
//! - `proxy`: proxies for `https`. 12 KB.
//! - `process`: programs, which credentials of developer tools run.
//!
//! # Security
//!
//! Header values, bodies and read buffers that this crate owns are wiped on drop; hyper's and rustls' own buffers are not.
//! One event per attempt is logged, at debug level: method, URL without its query, status or error, milliseconds. A warning
//! says that a server or proxy could not be trusted, that the system has no roots beside those that were added, or that
//! roots have changed and cannot be read. User name and password of a proxy are in no event, error or `Debug`.
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
#[cfg(feature = "process")]
mod process;
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
    let platform = Platform::new(
        Arc::new(transport),
        Arc::new(runtime::TokioClock),
        Arc::new(runtime::StdRandom),
        Arc::new(env::ProcessEnv),
        Arc::new(runtime::TokioRuntime),
    );
    #[cfg(feature = "process")]
    let platform = platform.with_processes(Arc::new(process::TokioProcesses::default()));
    platform
}
