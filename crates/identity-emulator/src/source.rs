//! The services that hand out tokens to a machine.

use std::fmt;
use std::str::FromStr;

/// A service that gives a program the token of the machine it runs on.
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
}

impl Source {
    /// Every source, in the order of the enum.
    pub const ALL: [Self; 6] =
        [Self::Imds, Self::AppService, Self::AzureArc, Self::ServiceFabric, Self::AzureMl, Self::CloudShell];

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
        }
    }

    /// The path at which the real service answers token requests.
    pub(crate) const fn token_path(self) -> &'static str {
        match self {
            Self::Imds | Self::AzureArc | Self::ServiceFabric => "/metadata/identity/oauth2/token",
            Self::AppService | Self::AzureMl => "/msi/token",
            Self::CloudShell => "/oauth2/token",
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
        }
        assert_eq!("IMDS".parse::<Source>(), Err(UnknownSource));
        assert!(UnknownSource.to_string().ends_with("cloud-shell"));
    }
}
