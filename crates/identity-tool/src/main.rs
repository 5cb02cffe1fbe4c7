//! The command `identity`: gets a token as a program would, says why not, explains failures, and runs the emulator.
//!
//! A thin shell over the crate `identity`. `identity --help` shows what it can do.
//!
//! # Security
//!
//! No secret is taken from the command line or written to an error, and text that comes from servers and tokens is
//! escaped before it reaches a terminal. The token itself is printed only when asked for by `--output`.
#![forbid(unsafe_code)]
#![allow(rustdoc::bare_urls, reason = "the doc comments of options are their help, which shows URLs as they are typed")]
#![expect(clippy::disallowed_methods, reason = "a program: it reads the clock and the terminal's variables itself")]

use std::{
    ffi::OsString,
    io::{self, Write as _},
    process::ExitCode,
};

mod claims;
mod cli;
mod credentials;
mod diagnose;
mod emulator;
mod explain;
mod failure;
mod overlay;
mod screen;
mod sources;
mod token;
mod verbose;
mod when;
mod world;

fn main() -> ExitCode {
    let cli = match cli::parse(std::env::args_os()) {
        Ok(cli) => cli,
        Err(error) if error.use_stderr() && wants_json(std::env::args_os()) => {
            let error = identity::Error::new(identity::ErrorKind::InvalidArgument, error.to_string().trim());
            screen::tell(&(screen::escape_json(&failure::to_json(&error).to_string()) + "\n"));
            return failure::exit_code(error.kind());
        }
        Err(error) => error.exit(),
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return complain(&format!("cannot start: {error}")),
    };
    let done = runtime.block_on(async {
        match &cli.command {
            cli::Command::Token(args) => token::run(args).await,
            cli::Command::Diagnose(args) => diagnose::run(args).await,
            cli::Command::Emulator(args) => emulator::run(args).await,
            cli::Command::Explain(args) => explain::run(args),
        }
    });
    // A name that is still being resolved, for an answer that nobody waits for, does not hold the end up.
    runtime.shutdown_background();
    match done {
        Ok(code) => code,
        // Who reads us has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        // An address that the emulator does not take, say, or a directory file that is none.
        Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData) => {
            complain(&error.to_string());
            failure::exit_code(identity::ErrorKind::InvalidArgument)
        }
        Err(error) => complain(&error.to_string()),
    }
}

/// Whether a command line that cannot be read asks for JSON.
fn wants_json(arguments: impl Iterator<Item = OsString>) -> bool {
    let arguments: Vec<OsString> = arguments.collect();
    arguments.iter().any(|one| one == "-ojson" || one == "-o=json" || one == "--output=json")
        || arguments.windows(2).any(|two| matches!(two, [o, json] if (o == "-o" || o == "--output") && json == "json"))
}

/// For what has nothing to do with credentials: the system gives no port, or the disk is full.
fn complain(message: &str) -> ExitCode {
    // If even this cannot be written, the exit code still says it.
    let _ = writeln!(io::stderr(), "error: {}", screen::escape(message));
    ExitCode::FAILURE
}
