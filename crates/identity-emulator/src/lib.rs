//! A strict local stand-in for the metadata endpoints of Azure.
//!
//! It gives out tokens as IMDS, App Service, Azure Arc, Service Fabric, Azure ML and Cloud Shell do, and refuses
//! what they refuse. Its tokens are signed, and a published key set verifies them. It records every request,
//! and it can be told to be slow, to fail or to lie. Clients of any language find it by the environment variables
//! that they look at anyway.
//!
//! ```
//! use identity_emulator::{Answer, Emulator, Source};
//!
//! # fn main() -> std::io::Result<()> {
//! let emulator = Emulator::builder().start_in_background()?;
//! for (name, value) in emulator.variables(Source::AppService) {
//!     // Set these for the program under test.
//!     assert!(name.starts_with("IDENTITY_") && !value.is_empty());
//! }
//! emulator.faults().times(Source::AppService, 2, Answer::status(503));
//! // Run the program, then look at what it asked.
//! assert_eq!(emulator.request_count(Source::AppService), 0);
//! # Ok(())
//! # }
//! ```
//!
//! # Control from other languages
//!
//! [`Emulator::control_origin`] answers:
//!
//! | request | what it does |
//! |---|---|
//! | `GET /{tenant}/.well-known/openid-configuration` | discovery document |
//! | `GET /{tenant}/discovery/v2.0/keys` | key set |
//! | `GET`, `DELETE /__emulator/requests` | what was asked; forget it |
//! | `POST /__emulator/faults` | `{"source": "imds", "script": [ANSWER, ..], "times": 3}` or `{"always": ANSWER}`; without `source`, for all |
//! | `DELETE /__emulator/faults` | only real answers from now on |
//! | `GET /__emulator/service-fabric` | `certificate` (PEM) and `thumbprint` of Service Fabric |
//! | `POST /__emulator/release` | lets held requests go on |
//!
//! ANSWER is an object; every field is optional: `status`, `headers` (a list of pairs), `body`, `raw`, `connection`
//! (`"refuse"`, `"stall"` or `"silence"`), `delay_ms`, `hold`, `drip` (`{"bytes": 1, "every_ms": 1000, "head": false}`),
//! `cut_after`, `reset_after`, `gzip`, `giant`, `deep`, `date_skew_secs`, `lifetime_secs`, `refresh_in_secs`,
//! `expires_on` and `expires_in` (the names of [`ExpiryFormat`] in kebab case), `fields` (an object) and `omit` (a list of names).
//! [`Answer`] says what each does.
//!
//! # Security
//!
//! It listens on loopback addresses only (and at 169.254.169.254 when told to, for network namespaces). Its
//! signing key is public: nothing real may ever trust it. Recorded requests contain the secrets that clients sent.
#![expect(clippy::disallowed_methods, reason = "a server of its own, which shares no seam with the code that it tests")]

mod answer;
mod builder;
mod control;
mod directory;
mod emulator;
mod endpoints;
mod entra;
mod faults;
mod files;
mod gzip;
mod identity;
mod io;
mod jwt;
mod record;
mod reply;
mod resource;
mod server;
mod shared;
mod source;
mod text;
mod tls;
mod token;
mod wire;
mod x509;

use std::sync::{Mutex, MutexGuard, PoisonError};

pub use answer::{Answer, ExpiryFormat};
pub use builder::Builder;
pub use directory::{
    App, CERTIFICATE_CLIENT_ID, DISABLED_CLIENT_ID, EXPIRED_CLIENT_ID, EXPIRED_CLIENT_SECRET, FEDERATED_CLIENT_ID,
    GITHUB_ISSUER, GITHUB_SUBJECT, KUBERNETES_ISSUER, KUBERNETES_SUBJECT, OTHER_TENANT_DOMAIN, OTHER_TENANT_ID,
    PIPELINES_ISSUER, PIPELINES_SUBJECT, SERVICE_CONNECTION_ID, TENANT_DOMAIN, Tenant, WEB_CLIENT_ID,
    WEB_CLIENT_SECRET,
};
pub use emulator::Emulator;
pub use faults::Faults;
pub use identity::{
    BLUE_CLIENT_ID, BLUE_OBJECT_ID, BLUE_RESOURCE_ID, GREEN_CLIENT_ID, GREEN_OBJECT_ID, GREEN_RESOURCE_ID, Identity,
    SUBSCRIPTION_ID, SYSTEM_CLIENT_ID, SYSTEM_OBJECT_ID, TENANT_ID,
};
pub use record::Request;
pub use shared::Connections;
pub use source::{Source, UnknownSource};
pub use token::{TEST_CERTIFICATE_PEM, TEST_KEY_PEM};

/// Locks, whatever happened to those who held the lock before: all data here is whole between two statements.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
