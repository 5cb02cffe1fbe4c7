//! Credentials of applications whose identity somebody else vouches for: a Kubernetes cluster, Azure Pipelines, GitHub
//! Actions. What these issue is exchanged for a token of Entra ID; there is no secret to keep.
//!
//! ```no_run
//! # #[cfg(feature = "tokio")]
//! # async fn example() -> identity_core::Result<()> {
//! use identity_core::TokenCredential as _;
//! use identity_workload::WorkloadIdentityCredential;
//!
//! // In a pod that AKS workload identity prepared: everything comes from its variables.
//! let credential = WorkloadIdentityCredential::builder().build()?;
//! let token = credential.get_token(&["https://storage.azure.com/.default"], None).await?;
//! # Ok(())
//! # }
//! ```
//!
//! The application, or the user-assigned identity, needs a federated credential that names issuer, subject and audience of
//! the token that is exchanged.
//!
//! # Features
//!
//! - `tokio`: `build()` on the builders, for programs on tokio; brings TLS (rustls with ring).
//!
//! # Security
//!
//! Tokens of other issuers, and what is shown to get them, are sent over `https` only, are wiped when dropped, and occur in
//! no message, no `Debug` and no log. Token files are read anew for each exchange: 64 KiB at most, never a pipe or a device.
#![forbid(unsafe_code)]

mod binding;
mod env;
mod file;
mod github;
mod issuer;
mod pipelines;
mod url;
mod workload;

#[cfg(test)]
mod tests;

pub use self::{
    github::{GithubActionsCredential, GithubActionsCredentialBuilder},
    pipelines::{AzurePipelinesCredential, AzurePipelinesCredentialBuilder},
    workload::{TokenExchange, WorkloadIdentityCredential, WorkloadIdentityCredentialBuilder},
};

/// Facts that the compiler checks.
const _: () = {
    const fn credential<T: identity_core::TokenCredential + Clone + 'static>() {}
    credential::<AzurePipelinesCredential>();
    credential::<GithubActionsCredential>();
    credential::<WorkloadIdentityCredential>();
    assert!(size_of::<AzurePipelinesCredential>() == size_of::<usize>());
    assert!(size_of::<GithubActionsCredential>() == size_of::<usize>());
    assert!(size_of::<WorkloadIdentityCredential>() == size_of::<usize>());
};
