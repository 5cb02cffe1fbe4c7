//! `identity explain`.

use clap::Args;

use crate::explain::{self, Section};

/// Print what a kind of failure means, what to do about it, and messages with their causes
#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// The kind, as an error names it, in any case: `transport`, `CredentialUnavailable`; or another topic. All are listed
    /// if none is given
    #[arg(value_name = "KIND", value_parser = section)]
    pub(crate) section: Option<Section>,
}

fn section(given: &str) -> Result<Section, String> {
    let names = || explain::sections().map(Section::name).collect::<Vec<_>>().join(", ");
    explain::find(given).ok_or_else(|| format!("expected one of {}", names()))
}
