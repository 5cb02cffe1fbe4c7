//! The services that the emulator stands in for.

use std::fmt;
use std::str::FromStr;

/// A service that gives a program a token, or what it needs to get one.
///
/// Each has a listener of its own, so that faults, counts and connections of one never touch another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Source {
    /// The Instance Metadata Service of virtual machines and AKS nodes.
    Imds,
    /// App Service, Functions and Container Apps (api-version 2019-08-01).
    AppService,
    /// The agent of an Azure Arc-enabled server, with its challenge file.
    AzureArc,
    /// The token service of a Service Fabric cluster, over HTTPS with a self-signed certificate.
    ServiceFabric,
    /// A compute instance of Azure Machine Learning (api-version 2017-09-01).
    AzureMl,
    /// Azure Cloud Shell.
    CloudShell,
    /// Entra's token service, over HTTPS: `login.microsoftonline.com`, and AD FS below `/adfs`.
    Entra,
    /// Entra's token service again, as a pod with a projected service account token finds it.
    WorkloadIdentity,
    /// The proxy of AKS identity bindings, over HTTPS with a CA and a server name of its own.
    IdentityBinding,
    /// The endpoint of Azure Pipelines that gives a job its OIDC token, over HTTPS.
    AzurePipelines,
    /// The endpoint of GitHub Actions that gives a job its OIDC token, over HTTPS.
    GithubActions,
}

impl Source {
    /// Every source, in the order of the enum.
    pub const ALL: [Self; 11] = [
        Self::Imds,
        Self::AppService,
        Self::AzureArc,
        Self::ServiceFabric,
        Self::AzureMl,
        Self::CloudShell,
        Self::Entra,
        Self::WorkloadIdentity,
        Self::IdentityBinding,
        Self::AzurePipelines,
        Self::GithubActions,
    ];

    /// The name used in the control interface and on command lines, such as `app-service`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Imds => "imds",
            Self::AppService => "app-service",
            Self::AzureArc => "azure-arc",
            Self::ServiceFabric => "service-fabric",
            Self::AzureMl => "azure-ml",
            Self::CloudShell => "cloud-shell",
            Self::Entra => "entra",
            Self::WorkloadIdentity => "workload-identity",
            Self::IdentityBinding => "identity-binding",
            Self::AzurePipelines => "azure-pipelines",
            Self::GithubActions => "github-actions",
        }
    }

    /// True if it gives a program the token of the machine that it runs on: a managed identity.
    #[must_use]
    pub const fn is_managed_identity(self) -> bool {
        self.row() < Self::Entra.row()
    }

    /// True if clients reach it over TLS.
    pub(crate) const fn is_tls(self) -> bool {
        matches!(self, Self::ServiceFabric) || self.has_authority_certificate() || matches!(self, Self::IdentityBinding)
    }

    /// True if its certificate is of the CA that [`ca_pem`](crate::Emulator::ca_pem) gives.
    pub(crate) const fn has_authority_certificate(self) -> bool {
        matches!(self, Self::Entra | Self::WorkloadIdentity | Self::AzurePipelines | Self::GithubActions)
    }

    /// True if Entra answers, directly or behind a proxy.
    pub(crate) const fn is_authority(self) -> bool {
        matches!(self, Self::Entra | Self::WorkloadIdentity | Self::IdentityBinding)
    }

    /// The path at which the real service answers token requests; Entra's begins with the tenant.
    pub(crate) const fn token_path(self) -> &'static str {
        match self {
            Self::Imds | Self::AzureArc | Self::ServiceFabric => "/metadata/identity/oauth2/token",
            Self::AppService | Self::AzureMl => "/msi/token",
            Self::CloudShell => "/oauth2/token",
            Self::Entra | Self::WorkloadIdentity => "/oauth2/v2.0/token",
            Self::IdentityBinding => "/proxies/identity-binding",
            Self::AzurePipelines => {
                "/contoso/7e57ab1e-0000-4000-8000-0000000000a1/_apis/distributedtask/hubs/build/plans/7e57ab1e-0000-4000-8000-0000000000a2/jobs/7e57ab1e-0000-4000-8000-0000000000a3/oidctoken"
            }
            Self::GithubActions => {
                "/emulator/idtoken/7e57ab1e-0000-4000-8000-0000000000b1/7e57ab1e-0000-4000-8000-0000000000b2"
            }
        }
    }

    /// The place of this source in tables with one row per source.
    pub(crate) const fn row(self) -> usize {
        match self {
            Self::Imds => 0,
            Self::AppService => 1,
            Self::AzureArc => 2,
            Self::ServiceFabric => 3,
            Self::AzureMl => 4,
            Self::CloudShell => 5,
            Self::Entra => 6,
            Self::WorkloadIdentity => 7,
            Self::IdentityBinding => 8,
            Self::AzurePipelines => 9,
            Self::GithubActions => 10,
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Source {
    type Err = UnknownSource;

    /// Reads the form that [`name`](Self::name) gives.
    fn from_str(text: &str) -> Result<Self, UnknownSource> {
        Self::ALL.into_iter().find(|source| source.name() == text).ok_or(UnknownSource)
    }
}

/// The text names no [`Source`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnknownSource;

impl fmt::Display for UnknownSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("unknown source; expected one of")?;
        for source in Source::ALL {
            write!(f, " {source}")?;
        }
        Ok(())
    }
}

impl std::error::Error for UnknownSource {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_rows_are_one_to_one() {
        for (row, source) in Source::ALL.into_iter().enumerate() {
            assert_eq!(source.row(), row);
            assert_eq!(source.name().parse(), Ok(source));
            assert_eq!(source.is_managed_identity(), row < 6);
        }
        assert_eq!("IMDS".parse::<Source>(), Err(UnknownSource));
        assert!(UnknownSource.to_string().ends_with("github-actions"));
    }
}
