//! The automation of this workspace: `cargo xtask --help`.
//!
//! One module is one command; `report` prints, `shell` runs, `workspace` knows packages and budgets, `serve` is
//! the endpoint that the measured programs talk to.

#![expect(clippy::disallowed_methods, reason = "automation runs programs, reads files and measures real time")]
#![expect(clippy::print_stdout, reason = "a command line program")]

mod bench;
mod budgets;
mod ci;
mod cross;
mod deps;
mod features;
mod lint;
mod real;
mod report;
mod serve;
mod shell;
mod size;
mod test;
mod tidy;
mod workspace;

use std::env;
use std::process::ExitCode;

use report::Report;
use workspace::Workspace;

/// Failures are sentences for people; nothing here decides on their kind.
type Result<T, E = String> = std::result::Result<T, E>;

const HELP: &str = "\
cargo xtask COMMAND

  test       every test: workspace, doctests, the model check of the cache, real components
  real       only the real components: official SDKs in other languages, the Azure CLI, kubectl, Azurite
  lint       rustfmt, clippy per crate, rustdoc, the rules of tidy.rs
  features   every crate with no feature, each alone, pairs of transport and cache features, all
  deps       crate counts, forbidden crates, no C compiler: xtask/budgets.toml
  size       stripped sizes against budgets and floors
  bench      every number side by side with the official crate; builds it first (minutes)
             obo           only a service that acts for a thousand users, beside Python and JavaScript
             --counts      only our own exact counts, against xtask/budgets.toml
             --json FILE   writes the table as JSON, too
  deny       licences, bans and sources of every dependency: deny.toml (installs cargo-deny if there is none)
  ci         test, lint, features, deps, size, bench --counts, deny
  cross      checks with the other toolchains and targets that are installed, and tests under Wine
             --windows     builds the target for them from Debian's packages, if it is missing (minutes)

What a machine cannot run is printed as SKIPPED with the reason; with CI=true in the environment that is a failure.
Steps that fail print their output at once, and the command that repeats them at the end.
";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let Some((command, options)) = arguments.split_first() else {
        print!("{HELP}");
        return ExitCode::from(2);
    };
    if ["help", "--help", "-h"].contains(command) || options.contains(&"--help") || options.contains(&"-h") {
        print!("{HELP}");
        return ExitCode::SUCCESS;
    }
    let mut report = Report::new();
    match dispatch(command, options, &mut report) {
        Ok(()) => report.finish(),
        Err(error) => {
            println!("xtask {command}: {error}");
            ExitCode::from(2)
        }
    }
}

fn dispatch(command: &str, options: &[&str], report: &mut Report) -> Result<()> {
    if !["bench", "cross"].contains(&command) && !options.is_empty() {
        return Err(format!("unexpected {}; see cargo xtask --help", options.join(" ")));
    }
    let workspace = Workspace::load()?;
    match command {
        "test" => test::run(&workspace, report),
        "real" => real::run(&workspace, report),
        "lint" => lint::run(&workspace, report),
        "features" => features::run(&workspace, report),
        "deps" => deps::run(&workspace, report),
        "size" => size::run(&workspace, report),
        "bench" => bench::run(&workspace, &bench::Options::parse(options)?, report),
        "deny" => ci::deny(&workspace, report),
        "ci" => ci::run(&workspace, report),
        "cross" => cross::run(&workspace, &cross::Options::parse(options)?, report),
        other => return Err(format!("no command is called {other:?}; see cargo xtask --help")),
    }
    Ok(())
}
