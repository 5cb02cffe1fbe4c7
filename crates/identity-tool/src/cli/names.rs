//! Values of options that are names.

use clap::ValueEnum;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Credential {
    /// DefaultAzureCredential: the first that has a token of environment, workload-identity, managed-identity, azure-cli,
    /// azure-powershell and azure-developer-cli
    #[default]
    Default,
    /// The application, or the person, that the variables AZURE_TENANT_ID, AZURE_CLIENT_ID and so on describe
    Environment,
    /// The identity of the machine or platform that this runs on
    ManagedIdentity,
    /// An application with a secret
    ClientSecret,
    /// An application with a certificate
    #[value(alias = "client-certificate")]
    Certificate,
    /// An application with a token that somebody else signed
    ClientAssertion,
    /// An application that trusts the Kubernetes cluster, or other platform, that this runs on
    WorkloadIdentity,
    /// An application that trusts a service connection of Azure Pipelines
    AzurePipelines,
    /// An application that trusts a workflow of GitHub Actions
    GithubActions,
    /// A service on behalf of a user who called it with a token
    OnBehalfOf,
    /// A person who signed in to an application and came back with a code
    AuthorizationCode,
    /// A person by name and password (deprecated: no second factor)
    UsernamePassword,
    /// Whoever is signed in to the Azure CLI, `az`
    AzureCli,
    /// Whoever is signed in to the Azure Developer CLI, `azd`
    AzureDeveloperCli,
    /// Whoever is signed in to Azure PowerShell
    #[value(name = "azure-powershell")]
    AzurePowerShell,
}

impl Credential {
    /// The name on the command line.
    pub(crate) fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    /// Whether a program is run that knows who its user is, and nobody else is asked.
    pub(crate) fn is_tool(self) -> bool {
        matches!(self, Self::AzureCli | Self::AzureDeveloperCli | Self::AzurePowerShell)
    }

    /// Whether such a program may be run.
    pub(crate) fn may_run_tools(self) -> bool {
        self.is_tool() || self == Self::Default
    }
}

/// Whose token is the assertion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum AssertionFrom {
    /// The identity of the machine or platform that this runs on
    ManagedIdentity,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people: who, for what, until when, and the claims; not the token
    #[default]
    Text,
    /// One JSON object with the token, its times and its claims
    Json,
    /// The token alone
    Token,
    /// A header line, such as `curl -H @-` reads: `Authorization: Bearer ...`
    Header,
    /// What kubectl and other clients of Kubernetes read from an exec plugin: an ExecCredential
    Kubectl,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum RootsName {
    /// The system's
    System,
    /// Mozilla's, as of when this program was built
    Webpki,
}
