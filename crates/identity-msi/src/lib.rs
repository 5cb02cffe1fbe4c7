//! Managed identity: tokens for programs that run in Azure, without any secret of their own.
//!
//! ```no_run
//! # #[cfg(feature = "tokio")]
//! # async fn example() -> identity_core::Result<()> {
//! use identity_core::TokenCredential as _;
//! use identity_msi::ManagedIdentityCredential;
//!
//! let credential = ManagedIdentityCredential::builder().build()?;
//! let token = credential.get_token(&["https://storage.azure.com/.default"], None).await?;
//! println!("{} gave a token until {:?}", credential.source(), token.expires_on());
//! # Ok(())
//! # }
//! ```
//!
//! # Sources
//!
//! The first row of which all variables are set decides; an empty variable is not set.
//!
//! | variables | source | ids of user-assigned identities |
//! |---|---|---|
//! | `IDENTITY_ENDPOINT`, `IDENTITY_HEADER`, `IDENTITY_SERVER_THUMBPRINT` | Service Fabric | none |
//! | `IDENTITY_ENDPOINT`, `IDENTITY_HEADER` | App Service, Functions, Container Apps | client, object, resource |
//! | `IDENTITY_ENDPOINT`, `IMDS_ENDPOINT` | Azure Arc | client, object, resource |
//! | `IDENTITY_ENDPOINT` | none: every call fails as unavailable | |
//! | `MSI_ENDPOINT`, `MSI_SECRET` | Azure ML; without an id, that of `DEFAULT_IDENTITY_CLIENT_ID` | client |
//! | `MSI_ENDPOINT` | Cloud Shell | none |
//! | `AZURE_FEDERATED_TOKEN_FILE`, `AZURE_AUTHORITY_HOST`, `AZURE_TENANT_ID` | token exchange, which is workload identity: see the feature `workload`, without which every call fails and says so | client; without one, that of `AZURE_CLIENT_ID` |
//! | `AZURE_POD_IDENTITY_AUTHORITY_HOST` | IMDS, at that address | client, object, resource |
//! | none, and the Azure Arc agent is installed | Azure Arc | client, object, resource |
//! | none | IMDS | client, object, resource |
//!
//! In a chain of credentials, IMDS is first asked for a sign of life, for one second at most; the answer is remembered.
//! Not so with `AZURE_POD_IDENTITY_AUTHORITY_HOST`, which says that it is there.
//!
//! # Features
//!
//! - `tokio`: `ManagedIdentityCredentialBuilder::build`, for programs on tokio.
//! - `service-fabric`: Service Fabric, which needs TLS and SHA-256.
//! - `workload`: token exchange, which needs TLS and the token protocol of Entra ID (`identity-workload`). The proxy of AKS
//!   identity bindings is not used.
//!
//! # Security
//!
//! Endpoints are called directly, never through a proxy, and only at loopback and link-local addresses unless
//! [`allow_remote_endpoint`](ManagedIdentityCredentialBuilder::allow_remote_endpoint) is called or, for Service Fabric,
//! the server's certificate has the thumbprint that the platform gave. Token exchange goes to the authority over `https`,
//! and through a proxy if one is configured. Key files of Azure Arc are read from the agent's
//! own directory only, and no link is followed there. Identity headers, keys and tokens are wiped when dropped and occur
//! in no message, no `Debug` and no log.
#![forbid(unsafe_code)]

mod answer;
mod arc;
mod credential;
mod endpoint;
mod env;
mod exchange;
mod fetch;
mod outcome;
mod presence;
mod service_fabric;
mod source;
mod wire;

#[cfg(test)]
mod tests;

pub use self::credential::{ManagedIdentityCredential, ManagedIdentityCredentialBuilder};

/// The credential's name in logs, errors and tokens.
const NAME: &str = "ManagedIdentityCredential";

/// Facts that the compiler checks.
const _: () = {
    const fn credential<T: identity_core::TokenCredential + Clone + 'static>() {}
    credential::<ManagedIdentityCredential>();
    assert!(size_of::<ManagedIdentityCredential>() == size_of::<usize>());
};
