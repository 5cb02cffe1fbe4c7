//! `identity diagnose`.

use std::time::Duration;

use clap::{Args, ValueEnum};

use super::{
    chain::ChainArgs, help, refused::RefusedArgs, token::TokenEmulatorArgs, token::TransportArgs, values::duration,
};

/// Say which credential of DefaultAzureCredential wins here, why the others do not, and what was found
#[derive(Debug, Args)]
#[command(after_help = help::DIAGNOSE_SHORT, after_long_help = help::DIAGNOSE)]
pub(crate) struct DiagnoseArgs {
    /// What the token is for
    #[arg(long, value_name = "SCOPE", default_value = DEFAULT_SCOPE)]
    pub(crate) scope: String,

    /// What to print
    #[arg(long, short, value_name = "FORMAT", value_enum, default_value_t)]
    pub(crate) output: DiagnoseOutput,

    /// Tell on standard error what is tried
    #[arg(long, short)]
    pub(crate) verbose: bool,

    #[command(flatten)]
    pub(crate) chain: ChainArgs,
    #[command(flatten)]
    pub(crate) credentials: CredentialArgs,
    #[command(flatten)]
    pub(crate) transport: TransportArgs,
    #[command(flatten)]
    pub(crate) emulator: TokenEmulatorArgs,
    #[command(flatten)]
    pub(crate) refused: RefusedArgs,
}

/// What the credentials of the chain are told.
#[derive(Debug, Args)]
#[command(next_help_heading = "The credentials of the chain")]
pub(crate) struct CredentialArgs {
    /// Use the user-assigned managed identity of this application [env: AZURE_CLIENT_ID]
    #[arg(long, value_name = "ID", group = "identity")]
    pub(crate) client_id: Option<String>,

    /// Use the user-assigned managed identity with this object (principal) id
    #[arg(long, value_name = "ID", group = "identity")]
    pub(crate) object_id: Option<String>,

    /// Use the user-assigned managed identity with this ARM resource id
    #[arg(long, value_name = "ID", group = "identity")]
    pub(crate) resource_id: Option<String>,

    /// Let the endpoint of managed identity that a variable names be anywhere, not only at a local address
    #[arg(long)]
    pub(crate) allow_remote_endpoint: bool,

    /// Who issues the token, such as login.microsoftonline.us [env: AZURE_AUTHORITY_HOST]
    #[arg(long, value_name = "HOST|URL", conflicts_with = "emulator")]
    pub(crate) authority: Option<String>,

    /// Trust the authority without asking login.microsoftonline.com about it
    #[arg(long)]
    pub(crate) disable_instance_discovery: bool,

    /// How long one run of a tool may take, 90s at most; 10s if not given
    #[arg(long, value_name = "TIME", value_parser = duration, conflicts_with = "emulator")]
    pub(crate) process_timeout: Option<Duration>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum DiagnoseOutput {
    /// For people
    #[default]
    Text,
    /// One JSON object; --help lists its fields
    Json,
}

/// Whoever has no better one has a token for Azure itself.
pub(crate) const DEFAULT_SCOPE: &str = "https://management.azure.com/.default";
