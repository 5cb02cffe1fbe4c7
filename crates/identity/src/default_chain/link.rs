//! The places of the default chain, and which of them a variable or the program wants.

use std::fmt;

use identity_core::{Env, Error, ErrorKind, Result};

/// A place in the chain of `DefaultAzureCredential`, in the order in which they are tried.
///
/// Source: azure-identity 1.27.0, `_credentials/default.py`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ChainLink {
    /// `EnvironmentCredential`: an application that variables describe. Feature `environment`.
    Environment,
    /// `WorkloadIdentityCredential`: a token that Kubernetes put into a file. Feature `workload`.
    WorkloadIdentity,
    /// `ManagedIdentityCredential`: the identity of the machine or service. Feature `msi`.
    ManagedIdentity,
    /// `SharedTokenCacheCredential`: who signed in to another tool of Microsoft. Not in this version.
    SharedTokenCache,
    /// `VisualStudioCodeCredential`: who is signed in to the editor. Not in this version.
    VisualStudioCode,
    /// `AzureCliCredential`: who is signed in to `az`. Feature `cli`.
    AzureCli,
    /// `AzurePowerShellCredential`: who is signed in to Azure PowerShell. Feature `cli`.
    AzurePowerShell,
    /// `AzureDeveloperCliCredential`: who is signed in to `azd`. Feature `cli`.
    AzureDeveloperCli,
    /// `InteractiveBrowserCredential`: a person at the browser; only when it is included. Not in this version.
    InteractiveBrowser,
    /// The broker of the operating system. Not in this version.
    Broker,
}

impl ChainLink {
    /// All of them, in their order.
    pub const ALL: &'static [Self] = &[
        Self::Environment,
        Self::WorkloadIdentity,
        Self::ManagedIdentity,
        Self::SharedTokenCache,
        Self::VisualStudioCode,
        Self::AzureCli,
        Self::AzurePowerShell,
        Self::AzureDeveloperCli,
        Self::InteractiveBrowser,
        Self::Broker,
    ];

    /// The name of the credential in this place.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Environment => "EnvironmentCredential",
            Self::WorkloadIdentity => "WorkloadIdentityCredential",
            Self::ManagedIdentity => "ManagedIdentityCredential",
            Self::SharedTokenCache => "SharedTokenCacheCredential",
            Self::VisualStudioCode => "VisualStudioCodeCredential",
            Self::AzureCli => "AzureCliCredential",
            Self::AzurePowerShell => "AzurePowerShellCredential",
            Self::AzureDeveloperCli => "AzureDeveloperCliCredential",
            Self::InteractiveBrowser => "InteractiveBrowserCredential",
            Self::Broker => "BrokerCredential",
        }
    }

    /// Whether this version has a credential for it. Where it has none, the chain says so in that place.
    #[must_use]
    pub const fn is_in_this_version(self) -> bool {
        !matches!(self, Self::SharedTokenCache | Self::VisualStudioCode | Self::InteractiveBrowser | Self::Broker)
    }

    /// Whether it is for services that were deployed, not for developers.
    pub(super) const fn is_deployed(self) -> bool {
        matches!(self, Self::Environment | Self::WorkloadIdentity | Self::ManagedIdentity)
    }

    /// Whether [`VARIABLE`] can name it.
    const fn has_name_of_its_own(self) -> bool {
        !matches!(self, Self::SharedTokenCache | Self::Broker)
    }
}

impl fmt::Display for ChainLink {
    /// Writes [`name`](ChainLink::name).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What the variable asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// It is not set.
    Nothing,
    /// Those for developers.
    Dev,
    /// Those for services.
    Prod,
    /// This one and no other.
    Only(ChainLink),
}

impl Wish {
    /// Reads the variable; letters of either case and blanks around it do not count.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidArgument`] if it holds anything else than what it may, with the list of that.
    pub(super) fn read(env: &dyn Env) -> Result<Self> {
        let value = env.text(VARIABLE)?.unwrap_or_default();
        let value = value.trim();
        let named = |link: &ChainLink| link.has_name_of_its_own() && link.name().eq_ignore_ascii_case(value);
        match value {
            "" => Ok(Self::Nothing),
            dev if dev.eq_ignore_ascii_case("dev") => Ok(Self::Dev),
            prod if prod.eq_ignore_ascii_case("prod") => Ok(Self::Prod),
            _ => ChainLink::ALL.iter().copied().find(named).map(Self::Only).ok_or_else(|| {
                let names = ChainLink::ALL.iter().copied().filter(|link| link.has_name_of_its_own());
                let names: Vec<&str> = names.map(ChainLink::name).collect();
                let message = format!(
                    "{VARIABLE} has a value that names nothing; expected dev, prod, or one of {}",
                    names.join(", ")
                );
                Error::new(ErrorKind::InvalidArgument, message)
            }),
        }
    }

    /// Why the chain leaves `link` out; `None` if it does not.
    pub(super) fn excludes(self, link: ChainLink) -> Option<String> {
        let is_in = match self {
            Self::Nothing if link == ChainLink::InteractiveBrowser => {
                return Some("it is only tried when the program includes it".to_owned());
            }
            Self::Nothing => true,
            Self::Dev => !link.is_deployed() && link != ChainLink::InteractiveBrowser,
            Self::Prod => link.is_deployed(),
            Self::Only(only) => link == only,
        };
        (!is_in).then(|| format!("{VARIABLE} is {}", self.text()))
    }

    const fn text(self) -> &'static str {
        match self {
            Self::Nothing => "",
            Self::Dev => "dev",
            Self::Prod => "prod",
            Self::Only(link) => link.name(),
        }
    }
}

/// The variable by which whoever runs the program says which credentials it may use.
///
/// Source: azure-identity 1.27.0, `_constants.py` and `_internal/utils.py`.
pub(super) const VARIABLE: &str = "AZURE_TOKEN_CREDENTIALS";

#[cfg(test)]
mod tests {
    use identity_core::fakes::FakeEnv;

    use super::*;

    #[test]
    fn the_variable_is_read_whatever_its_letters_and_blanks() {
        for (value, expected) in [
            ("", Wish::Nothing),
            ("  ", Wish::Nothing),
            (" Dev ", Wish::Dev),
            ("PROD\n", Wish::Prod),
            ("EnvironmentCredential", Wish::Only(ChainLink::Environment)),
            ("workloadidentitycredential", Wish::Only(ChainLink::WorkloadIdentity)),
            ("MANAGEDIDENTITYCREDENTIAL", Wish::Only(ChainLink::ManagedIdentity)),
            ("visualstudiocodecredential", Wish::Only(ChainLink::VisualStudioCode)),
            (" azureclicredential", Wish::Only(ChainLink::AzureCli)),
            ("azuredeveloperclicredential", Wish::Only(ChainLink::AzureDeveloperCli)),
            ("AzurePowershellCredential", Wish::Only(ChainLink::AzurePowerShell)),
            ("interactivebrowsercredential", Wish::Only(ChainLink::InteractiveBrowser)),
        ] {
            assert_eq!(Wish::read(&FakeEnv::new(&[(VARIABLE, value)])).unwrap(), expected, "{value:?}");
        }
        for value in ["sharedtokencachecredential", "brokercredential", "azurecli", "dev,prod", "dev prod", "canary"] {
            let error = Wish::read(&FakeEnv::new(&[(VARIABLE, value)])).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{value:?}");
            assert!(error.to_string().contains("expected dev, prod, or one of EnvironmentCredential, "), "{error}");
            assert!(!error.to_string().contains("canary"));
        }
    }

    #[test]
    fn dev_and_prod_share_no_place_and_leave_none_but_the_browser() {
        for &link in ChainLink::ALL {
            let (dev, prod) = (Wish::Dev.excludes(link).is_none(), Wish::Prod.excludes(link).is_none());
            assert_eq!(dev != prod, link != ChainLink::InteractiveBrowser, "{link}");
            assert_eq!(Wish::Nothing.excludes(link).is_none(), link != ChainLink::InteractiveBrowser, "{link}");
            for &only in ChainLink::ALL {
                assert_eq!(Wish::Only(only).excludes(link).is_none(), link == only, "{link}");
            }
        }
    }
}
