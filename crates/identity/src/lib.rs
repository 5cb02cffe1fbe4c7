//! Tokens of Microsoft Entra ID for Rust programs: one trait, one feature per way to get a token.
//!
//! ```toml
//! [dependencies]
//! identity = { version = "0.1", features = ["default-chain"] }
//! ```
//!
//! ```no_run
//! # #[cfg(feature = "default-chain")]
//! # async fn example() -> identity::Result<()> {
//! use identity::{DefaultAzureCredential, TokenCredential};
//!
//! let credential = DefaultAzureCredential::new()?;
//! let token = credential.get_token(&["https://storage.azure.com/.default"], None).await?;
//! assert!(token.authorization().starts_with("Bearer "));
//! # Ok(())
//! # }
//! ```
//!
//! Make a credential once and keep it: it remembers its tokens, refreshes them ahead of time, and asks once however many
//! callers wait. Clones are one pointer wide and share all of that. Libraries take `Arc<dyn TokenCredential>`.
//!
//! When there is no token, [`Error::kind`] says what can be done about it, and the message names what failed, what was
//! expected, and what to do. [`ErrorKind::help`] links to more: messages of each kind, their causes and remedies, which are
//! in [`troubleshooting`].
//!
//! # Without async
//!
//! The feature `blocking` makes of any credential one that is called and answers, from any thread:
//!
//! ```no_run
//! # #[cfg(all(feature = "blocking", feature = "msi"))]
//! # fn example() -> identity::Result<()> {
//! use identity::{ManagedIdentityCredential, blocking::BlockingCredential};
//!
//! let credential = BlockingCredential::new(ManagedIdentityCredential::builder().build()?);
//! let token = credential.get_token(&["https://storage.azure.com/.default"], None)?;
//! assert!(token.authorization().starts_with("Bearer "));
//! # Ok(())
//! # }
//! ```
//!
//! # Without a cloud
//!
//! The crate `identity-emulator` stands in for Azure, in a test as in this example:
//!
//! ```
//! # #[cfg(all(feature = "chain", feature = "msi"))]
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use std::{collections::HashMap, ffi::OsString, io, path::{Path, PathBuf}, sync::Arc};
//! use identity::{ChainedTokenCredential, Env, Links, ManagedIdentityCredential, TokenCredential};
//! use identity_emulator::{Emulator, Source};
//!
//! /// The variables of an emulator, seen by credentials that are told to use them, and by nobody else.
//! #[derive(Debug)]
//! struct Variables(HashMap<String, String>);
//!
//! impl Env for Variables {
//!     fn var_os(&self, name: &str) -> Option<OsString> {
//!         self.0.get(name).map(OsString::from)
//!     }
//!     fn read(&self, _: &Path, _: usize, _: Links) -> io::Result<Vec<u8>> {
//!         Err(io::ErrorKind::NotFound.into())
//!     }
//!     fn is_file(&self, _: &Path) -> bool {
//!         false
//!     }
//!     fn canonicalize(&self, _: &Path) -> io::Result<PathBuf> {
//!         Err(io::ErrorKind::NotFound.into())
//!     }
//! }
//!
//! let emulator = Emulator::builder().start_in_background()?;
//! let variables = Variables(emulator.variables(Source::AppService).into_iter().collect());
//! let platform = identity::platform().with_env(Arc::new(variables));
//!
//! let managed = ManagedIdentityCredential::builder().build_with(&platform)?;
//! let credential = ChainedTokenCredential::new(vec![Arc::new(managed)])?;
//!
//! let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
//! for _ in 0..3 {
//!     let token = runtime.block_on(credential.get_token(&["https://storage.azure.com/.default"], None))?;
//!     assert_eq!((token.credential(), token.origin()), ("ManagedIdentityCredential", "App Service"));
//! }
//! assert_eq!(emulator.request_count(Source::AppService), 1);
//! # Ok(())
//! # }
//! # #[cfg(not(all(feature = "chain", feature = "msi")))]
//! # fn main() {}
//! ```
//!
//! # Features
//!
//! None is on by default; each adds to what there is and changes nothing of it.
//!
//! | feature | what it adds | what it costs |
//! |---|---|---|
//! | `chain` | `ChainedTokenCredential`: the first credential that has a token | tracing |
//! | `msi` | `ManagedIdentityCredential`: IMDS, App Service, Functions, Container Apps, Azure Arc, Azure ML, Cloud Shell; with `workload` also token exchange; `platform()` | tokio, hyper, tracing; no TLS, no C |
//! | `dns` | endpoints that are names other than `localhost` | 25 KB; comes with everything that has TLS |
//! | `msi-service-fabric` | Service Fabric as a source of managed identity | rustls and ring, which build C and assembly |
//! | `client-secret` | `ClientSecretCredential` | rustls and ring: a whole program has 1.73 MB and 31 crates |
//! | `client-assertion` | `ClientAssertionCredential`, `TokenAssertion` | the same |
//! | `workload` | `WorkloadIdentityCredential` | the same |
//! | `pipelines` | `AzurePipelinesCredential`, `GithubActionsCredential` | the same |
//! | `certificate` | `CertificateCredential`, `Signer` | the same and 30 KB |
//! | `cli` | `AzureCliCredential`, `AzureDeveloperCliCredential`, `AzurePowerShellCredential` | a whole program has 0.76 MB and 24 crates; no TLS, no C |
//! | `on-behalf-of` | `OnBehalfOfClient`, `OnBehalfOfCredential`; brings `client-secret` and `client-assertion` | the same |
//! | `authorization-code` | `AuthorizationCodeCredential`; brings the same | the same |
//! | `username-password` | `UsernamePasswordCredential`, deprecated: it cannot do more than one factor | 97 KB, 2 crates |
//! | `certificate-encrypted` | private keys with a password | 31 KB, 9 crates |
//! | `certificate-pkcs12` | PKCS#12 files; brings `certificate-encrypted` | 18 KB, 1 crate |
//! | `blocking` | `blocking::BlockingCredential`: calls without async, for any credential | 20 KB, and one thread once it is called |
//! | `tls-native-roots` | `https` servers are trusted by the system's roots, or those of `SSL_CERT_FILE` and `SSL_CERT_DIR` in their place | 2 crates |
//! | `tls-webpki-roots` | Mozilla's roots, compiled in: `TransportOptions::new().roots(Roots::Webpki)` | 70 KB |
//! | `proxy` | proxies for Entra ID, by `HTTPS_PROXY` and `NO_PROXY` or by `TransportOptions`; Basic authentication only | 12 KB |
//! | `environment` | `EnvironmentCredential`; brings `client-secret`, `certificate-pkcs12` and `username-password` | |
//! | `default-chain` | `DefaultAzureCredential`, `ChainLink`; brings `chain`, `cli`, `environment`, `msi`, `workload`, `proxy` and `tls-native-roots` | a whole program has 2.2 MB and 48 crates |
//! | `default-chain-bare` | `DefaultAzureCredential` with no credential by itself: for few of them, turn their features on | |
//! | `full` | everything above | |
//!
//! Every credential of Entra ID speaks `https` and so needs roots to trust by: `tls-native-roots`, or `tls-webpki-roots` in
//! an image without any. Without one of them `build()` fails and says so. How to trust the CA of a company, go through a
//! proxy, or run in a scratch container is told at [`TransportOptions`].
//!
//! # Security
//!
//! Tokens, keys and identity headers are wiped from memory when dropped, but for the buffers that hyper owns, and occur in
//! no error, no `Debug` and no log. Secrets and assertions go over `https` only, to an authority that Microsoft knows or that
//! the program says it trusts. Metadata endpoints are called directly, never through a proxy, and only at local
//! addresses, unless `allow_remote_endpoint()` is called or, for Service Fabric, the certificate is the one that the
//! platform named. No redirect is followed and every answer is limited in size and time. Text that comes from a server is
//! cut, escaped and freed of secrets before it becomes part of an error. There is no `unsafe` code of ours.
#![forbid(unsafe_code)]

mod bearer;
#[cfg(feature = "default-chain-bare")]
mod default_chain;
#[cfg(feature = "environment")]
mod environment;

pub use self::bearer::{BearerTokenProvider, get_bearer_token_provider};
#[cfg(feature = "default-chain-bare")]
pub use self::default_chain::{ChainLink, DefaultAzureCredential, DefaultAzureCredentialBuilder};
#[cfg(feature = "environment")]
pub use self::environment::{EnvironmentCredential, EnvironmentCredentialBuilder};
pub use identity_core::{
    AccessToken, BoxFuture, CallContext, Clock, Env, Error, ErrorKind, Links, Moment, Platform, Random, Result,
    Runtime, RuntimeId, Secret, Task, TokenCredential, TokenFuture, TokenRequestOptions, http,
};

#[cfg(feature = "blocking")]
pub use identity_blocking as blocking;
#[cfg(feature = "certificate")]
pub use identity_certificate::{
    CertificateCredential, CertificateCredentialBuilder, ClientCertificate, ClientCertificateBuilder, Signer,
    SigningAlgorithm,
};
#[cfg(feature = "chain")]
pub use identity_chain::{ChainedTokenCredential, ChainedTokenCredentialBuilder};
#[cfg(feature = "cli")]
pub use identity_cli::{
    AzureCliCredential, AzureCliCredentialBuilder, AzureDeveloperCliCredential, AzureDeveloperCliCredentialBuilder,
    AzurePowerShellCredential, AzurePowerShellCredentialBuilder,
};
#[cfg(feature = "client-assertion")]
pub use identity_confidential::{
    Assertion, AssertionRequest, ClientAssertionCredential, ClientAssertionCredentialBuilder, TokenAssertion,
};
#[cfg(feature = "authorization-code")]
pub use identity_confidential::{AuthorizationCodeCredential, AuthorizationCodeCredentialBuilder};
#[cfg(feature = "client-secret")]
pub use identity_confidential::{ClientSecretCredential, ClientSecretCredentialBuilder};
#[cfg(feature = "on-behalf-of")]
pub use identity_confidential::{
    OnBehalfOfClient, OnBehalfOfClientBuilder, OnBehalfOfCredential, OnBehalfOfCredentialBuilder,
};
#[cfg(feature = "username-password")]
#[expect(deprecated, reason = "whoever uses it is told")]
pub use identity_confidential::{UsernamePasswordCredential, UsernamePasswordCredentialBuilder};
#[cfg(feature = "msi")]
pub use identity_msi::{ManagedIdentityCredential, ManagedIdentityCredentialBuilder};
#[cfg(any(
    feature = "certificate",
    feature = "client-assertion",
    feature = "client-secret",
    feature = "pipelines",
    feature = "workload"
))]
pub use identity_oauth::{AzureAuthorityHosts, ClientAuthentication, KnownAuthorities, www_authenticate};
#[cfg(any(
    feature = "certificate",
    feature = "cli",
    feature = "client-assertion",
    feature = "client-secret",
    feature = "default-chain-bare",
    feature = "msi",
    feature = "pipelines",
    feature = "proxy",
    feature = "tls-native-roots",
    feature = "tls-webpki-roots",
    feature = "workload"
))]
pub use identity_tokio::platform;
#[cfg(any(
    feature = "certificate",
    feature = "client-assertion",
    feature = "client-secret",
    feature = "pipelines",
    feature = "proxy",
    feature = "tls-native-roots",
    feature = "tls-webpki-roots",
    feature = "workload"
))]
pub use identity_tokio::{Roots, TransportOptions};
#[cfg(feature = "pipelines")]
pub use identity_workload::{
    AzurePipelinesCredential, AzurePipelinesCredentialBuilder, GithubActionsCredential, GithubActionsCredentialBuilder,
};
#[cfg(feature = "workload")]
pub use identity_workload::{WorkloadIdentityCredential, WorkloadIdentityCredentialBuilder};

// For rustdoc only: no program has it. Like the README it lies outside of this package, and has to be copied into one that is
// to be published.
#[cfg(doc)]
#[doc = include_str!("../../../docs/TROUBLESHOOTING.md")]
pub mod troubleshooting {}

/// Compiles the examples of the README with the tests.
#[cfg(all(doctest, feature = "full"))]
#[doc = include_str!("../../../README.md")]
struct Readme;
