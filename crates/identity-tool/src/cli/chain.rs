//! What the default chain can be told.

use clap::{
    Args,
    builder::{PossibleValuesParser, TypedValueParser},
};
use identity::ChainLink;

/// Which credentials of the chain are tried, and as whom.
#[derive(Debug, Args)]
#[command(next_help_heading = "Only for the default chain")]
pub(crate) struct ChainArgs {
    /// Leave this credential out; may be given several times
    #[arg(long, value_name = "NAME", value_parser = links())]
    pub(crate) exclude: Vec<ChainLink>,

    /// Try this credential whatever AZURE_TOKEN_CREDENTIALS says; may be given several times
    #[arg(long, value_name = "NAME", value_parser = links())]
    pub(crate) include: Vec<ChainLink>,

    /// Refuse to go on unless AZURE_TOKEN_CREDENTIALS is set
    #[arg(long)]
    pub(crate) require_envvar: bool,

    /// The application of workload identity; if not given that of --client-id [env: AZURE_CLIENT_ID]
    #[arg(long, value_name = "ID")]
    pub(crate) workload_identity_client_id: Option<String>,

    /// The tenant of workload identity [env: AZURE_TENANT_ID]
    #[arg(long, value_name = "TENANT")]
    pub(crate) workload_identity_tenant_id: Option<String>,
}

impl ChainArgs {
    /// What is said both ways, by its name on the command line.
    pub(crate) fn contradiction(&self) -> Option<&'static str> {
        self.exclude.iter().find(|link| self.include.contains(link)).map(|link| flag_name(*link))
    }
}

/// The places of the chain, as they are written on a command line.
pub(crate) const fn flag_name(link: ChainLink) -> &'static str {
    match link {
        ChainLink::Environment => "environment",
        ChainLink::WorkloadIdentity => "workload-identity",
        ChainLink::ManagedIdentity => "managed-identity",
        ChainLink::SharedTokenCache => "shared-token-cache",
        ChainLink::VisualStudioCode => "visual-studio-code",
        ChainLink::AzureCli => "azure-cli",
        ChainLink::AzurePowerShell => "azure-powershell",
        ChainLink::AzureDeveloperCli => "azure-developer-cli",
        ChainLink::InteractiveBrowser => "interactive-browser",
        ChainLink::Broker => "broker",
        // Another place needs a name here, which the test below sees to.
        _ => "",
    }
}

fn links() -> impl TypedValueParser<Value = ChainLink> {
    PossibleValuesParser::new(ChainLink::ALL.iter().map(|link| flag_name(*link))).try_map(|name| {
        ChainLink::ALL.iter().copied().find(|link| flag_name(*link) == name).ok_or("no such credential")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_has_a_name_of_its_own() {
        for &link in ChainLink::ALL {
            let plain = link.name().trim_end_matches("Credential").to_ascii_lowercase();
            assert_eq!(flag_name(link).replace('-', ""), plain);
            assert_eq!(ChainLink::ALL.iter().filter(|other| flag_name(**other) == flag_name(link)).count(), 1);
        }
    }
}
