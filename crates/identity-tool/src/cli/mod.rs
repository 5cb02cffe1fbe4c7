//! The command line.

use clap::{Parser, Subcommand};

mod emulator;
mod flags;
mod help;
mod names;
mod refused;
mod token;
mod values;

pub(crate) use self::{
    emulator::{EmulatorArgs, EmulatorOutput, Stand},
    flags::parse,
    names::{Credential, Output, RootsName},
    token::{TokenArgs, TransportArgs},
};

/// Gets tokens for Microsoft Entra ID as a program would, and says why not
#[derive(Debug, Parser)]
#[command(name = "identity", version, after_help = help::EXAMPLES, max_term_width = 120)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Token(Box<TokenArgs>),
    Emulator(Box<EmulatorArgs>),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}
