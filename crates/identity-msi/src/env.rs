//! The environment variables that choose a source, spelt as they are set.
//!
//! Source: azure-identity 1.27.0, `_constants.py`; the last four from its `_credentials/azure_arc.py` and from
//! `@azure/identity` 4.14.1, `managedIdentityCredential`.

pub(crate) const IDENTITY_ENDPOINT: &str = "IDENTITY_ENDPOINT";
pub(crate) const IDENTITY_HEADER: &str = "IDENTITY_HEADER";
pub(crate) const IDENTITY_SERVER_THUMBPRINT: &str = "IDENTITY_SERVER_THUMBPRINT";
pub(crate) const IMDS_ENDPOINT: &str = "IMDS_ENDPOINT";
pub(crate) const MSI_ENDPOINT: &str = "MSI_ENDPOINT";
pub(crate) const MSI_SECRET: &str = "MSI_SECRET";
pub(crate) const AZURE_AUTHORITY_HOST: &str = "AZURE_AUTHORITY_HOST";
pub(crate) const AZURE_TENANT_ID: &str = "AZURE_TENANT_ID";
pub(crate) const AZURE_FEDERATED_TOKEN_FILE: &str = "AZURE_FEDERATED_TOKEN_FILE";
pub(crate) const AZURE_POD_IDENTITY_AUTHORITY_HOST: &str = "AZURE_POD_IDENTITY_AUTHORITY_HOST";
pub(crate) const DEFAULT_IDENTITY_CLIENT_ID: &str = "DEFAULT_IDENTITY_CLIENT_ID";
/// Where programs are installed on Windows.
pub(crate) const PROGRAM_FILES: &str = "ProgramFiles";
/// Where programs keep data of the machine on Windows.
pub(crate) const PROGRAM_DATA: &str = "ProgramData";
