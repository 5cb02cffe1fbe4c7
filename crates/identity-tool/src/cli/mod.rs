//! The command line.

use clap::{Parser, Subcommand};

mod chain;
mod diagnose;
mod emulator;
mod explain;
mod flags;
mod help;
mod names;
mod refused;
mod token;
mod values;

pub(crate) use self::{
    chain::{ChainArgs, flag_name},
    diagnose::{DEFAULT_SCOPE, DiagnoseArgs, DiagnoseOutput},
    emulator::{EmulatorArgs, EmulatorOutput, Stand},
    explain::ExplainArgs,
    flags::parse,
    names::{Credential, Output, RootsName},
    token::{TokenArgs, TokenEmulatorArgs, TransportArgs},
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
    Diagnose(Box<DiagnoseArgs>),
    Emulator(Box<EmulatorArgs>),
    Explain(ExplainArgs),
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_commands_of_the_page_on_troubleshooting_are_ours() {
        let page = include_str!("../../../../docs/TROUBLESHOOTING.md");
        let mut count = 0;
        for block in page.split("\n```").skip(1).step_by(2) {
            for command in block.lines().filter(|line| line.starts_with("identity ")) {
                count += 1;
                let words = command.split(' ').map(OsString::from);
                assert!(parse(words).is_ok(), "{command}");
            }
        }
        assert!(count >= 3, "{count}");
    }
}
