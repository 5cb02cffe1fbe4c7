//! Software that no one here wrote, as it comes from its registry: official SDKs, the Azure CLI, an OpenID provider, Azurite,
//! kubectl.
//!
//! `cargo xtask real` installs it and says where it is: `REAL_PYTHON` is an interpreter with the packages of
//! `real/python`, `REAL_AZ` the program of the Azure CLI, `REAL_KUBERNETES` an interpreter with the packages of `real/kubernetes` and
//! kubectl beside it, `REAL_NODE_MODULES` the directory that `npm ci` filled from `real/js`.
#![expect(clippy::disallowed_methods, reason = "starts programs and waits for them")]
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test ends when it is not so"
)]

#[cfg(unix)]
mod az;
mod azurite;
#[cfg(target_os = "linux")]
mod default;
mod entra;
mod installed;
#[cfg(unix)]
mod kubernetes;
#[cfg(target_os = "linux")]
mod network;
mod oidc;
mod oidc_users;
#[cfg(target_os = "linux")]
mod passwords;
mod pki;
mod process;
#[cfg(unix)]
mod proxies;
mod sdks;
