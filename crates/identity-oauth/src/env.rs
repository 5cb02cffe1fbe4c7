//! The variables that every credential of a token endpoint reads.

/// The default authority.
pub(crate) const AUTHORITY_HOST: &str = "AZURE_AUTHORITY_HOST";
/// Tenants besides the credential's own, separated by semicolons.
pub(crate) const ADDITIONALLY_ALLOWED_TENANTS: &str = "AZURE_ADDITIONALLY_ALLOWED_TENANTS";
/// Any value pins the credential's own tenant.
pub(crate) const DISABLE_MULTITENANT_AUTH: &str = "AZURE_IDENTITY_DISABLE_MULTITENANTAUTH";
/// The region whose endpoint is asked, or `tryautodetect`.
pub(crate) const REGIONAL_AUTHORITY_NAME: &str = "AZURE_REGIONAL_AUTHORITY_NAME";
/// The same, if the former is not set.
pub(crate) const FORCE_REGION: &str = "MSAL_FORCE_REGION";
/// Where the machine runs, if the platform says so.
pub(crate) const REGION_NAME: &str = "REGION_NAME";
