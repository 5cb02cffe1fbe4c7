//! Which options go with which credential.

use std::ffi::OsString;

use clap::{
    ArgMatches, Command as Clap, CommandFactory as _, Error, FromArgMatches as _, ValueEnum as _, error::ErrorKind,
    parser::ValueSource,
};

use super::{ChainArgs, Cli, Command, Credential, TokenArgs, TransportArgs};

/// Reads the command line.
///
/// # Errors
///
/// What clap says, and options that the credential does not take: what does nothing is a mistake.
pub(crate) fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Cli, Error> {
    let mut command = Cli::command();
    let mut matches = command.try_get_matches_from_mut(arguments)?;
    let given = matches.subcommand_matches(TOKEN).map(given).unwrap_or_default();
    let cli = Cli::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut command))?;
    let (name, misuse) = match &cli.command {
        Command::Token(args) => (TOKEN, misuse(args, &given)),
        Command::Diagnose(args) => {
            let refused = args.refused.first().map(|(flag, advice)| refuse(flag, of_variables(advice)));
            (DIAGNOSE, refused.or_else(|| of_proxy(&args.transport)).or_else(|| of_chain(&args.chain)))
        }
        Command::Emulator(_) | Command::Explain(_) => return Ok(cli),
    };
    match misuse {
        Some((kind, message)) => Err(about(name, &mut command, kind, message)),
        None => Ok(cli),
    }
}

/// The error with the usage of that subcommand.
fn about(name: &str, command: &mut Clap, kind: ErrorKind, message: String) -> Error {
    command.build();
    match command.find_subcommand_mut(name) {
        Some(subcommand) => subcommand.error(kind, message),
        None => command.error(kind, message),
    }
}

/// A secret on the command line.
fn refuse(flag: &str, advice: &str) -> (ErrorKind, String) {
    let message = format!("{flag} is refused, for every user of this machine can read command lines; {advice}");
    (ErrorKind::UnknownArgument, message)
}

/// The part of an advice that is of variables: the chain takes its secrets from nowhere else.
fn of_variables(advice: &'static str) -> &'static str {
    let variables = advice.split(", or give").next().filter(|advice| advice.starts_with("set "));
    variables.unwrap_or("no credential of the default chain takes it")
}

/// A password in the URL of a proxy.
fn of_proxy(args: &TransportArgs) -> Option<(ErrorKind, String)> {
    args.proxy.as_deref().filter(|url| url.contains('@')).map(|_| {
        let message = "--proxy takes no password, for every user of this machine can read command lines; \
             set the variable HTTPS_PROXY to the whole URL";
        (ErrorKind::ValueValidation, message.to_owned())
    })
}

/// A place that is both in the chain and not.
fn of_chain(args: &ChainArgs) -> Option<(ErrorKind, String)> {
    let link = args.contradiction()?;
    Some((ErrorKind::ArgumentConflict, format!("--exclude and --include both name {link}; give one of them")))
}

/// The options that stand on the command line.
fn given(matches: &ArgMatches) -> Vec<&'static str> {
    TAKEN_BY
        .iter()
        .flat_map(|(names, _)| names.iter().copied())
        .filter(|name| matches.value_source(&name.replace('-', "_")) == Some(ValueSource::CommandLine))
        .collect()
}

fn misuse(args: &TokenArgs, given: &[&'static str]) -> Option<(ErrorKind, String)> {
    if let Some((flag, advice)) = args.refused.first() {
        return Some(refuse(flag, advice));
    }
    if let Some(misuse) = of_proxy(&args.transport) {
        return Some(misuse);
    }
    let own = args.credential;
    for name in given {
        let takes = TAKEN_BY.iter().find(|(names, _)| names.contains(name)).map(|(_, takes)| *takes);
        if let Some(takes) = takes.filter(|takes| !takes(own)) {
            return Some((ErrorKind::ArgumentConflict, foreign(name, takes, own)));
        }
    }
    if let Some(misuse) = of_chain(&args.chain) {
        return Some(misuse);
    }
    if args.emulator.emulator && own == Credential::Default && given.contains(&"process-timeout") {
        let message = "--process-timeout does nothing with --emulator, whose world has no tools";
        return Some((ErrorKind::ArgumentConflict, message.to_owned()));
    }
    if args.emulator.emulator && own.is_tool() {
        let message = format!(
            "--emulator has no stand-in for the tool of {}; run `identity emulator`, and sign the tool in there",
            own.name()
        );
        return Some((ErrorKind::ArgumentConflict, message));
    }
    let asks_managed_identity = is_managed(own) || args.proof.assertion_from.is_some();
    if args.emulator.emulator_source.is_some() && !asks_managed_identity {
        let message = "--emulator-source does nothing here; with client-assertion it goes with --assertion-from";
        return Some((ErrorKind::ArgumentConflict, message.to_owned()));
    }
    None
}

/// What to say of an option that is for other credentials.
fn foreign(name: &str, takes: Takes, own: Credential) -> String {
    let mut takers: Vec<Credential> = Credential::value_variants().iter().copied().filter(|by| takes(*by)).collect();
    // Whoever has chosen one goes on with one.
    if takers.len() > 1 {
        takers.retain(|by| *by != Credential::Default);
    }
    let takers: Vec<String> = takers.into_iter().map(Credential::name).collect();
    let list = match takers.as_slice() {
        [only] => only.clone(),
        [rest @ .., last] => format!("{} or {last}", rest.join(", ")),
        [] => String::new(),
    };
    format!("--{name} does nothing for {}; it goes with --credential {list}", own.name())
}

const TOKEN: &str = "token";
const DIAGNOSE: &str = "diagnose";

/// Every option of `identity token` that not all credentials take, and whether one does.
#[rustfmt::skip]
const TAKEN_BY: [(&[&str], Takes); 22] = [
    (&["disable-instance-discovery", "ca-file", "roots", "proxy", "no-proxy"], |by| !by.is_tool()),
    (&["client-id"], |by| !by.is_tool() && by != Credential::Environment),
    (&["tenant-id"], |by| !is_managed(by) && by != Credential::Environment),
    (&["additionally-allowed-tenant"], |by| by != Credential::ManagedIdentity),
    (
        &["exclude", "include", "require-envvar", "workload-identity-client-id", "workload-identity-tenant-id"],
        |by| by == Credential::Default,
    ),
    (&["subscription"], |by| by == Credential::AzureCli),
    (&["process-timeout"], Credential::may_run_tools),
    (&["no-cache"], Credential::is_tool),
    (&["object-id", "resource-id"], is_managed),
    (&["allow-remote-endpoint", "emulator-source"], |by| is_managed(by) || by == Credential::ClientAssertion),
    (&["authority"], |by| asks_entra(by) || by == Credential::Default),
    (&["region", "require-granted-scopes", "cache-capacity", "max-in-flight"], asks_entra),
    (&["client-secret-file"], |by| by == Credential::ClientSecret || acts_for_users(by)),
    (
        &["certificate-path", "certificate-password-file", "send-certificate-chain"],
        |by| by == Credential::Certificate || acts_for_users(by),
    ),
    (&["assertion-file"], |by| by == Credential::ClientAssertion || acts_for_users(by)),
    (&["user-assertion-file"], |by| by == Credential::OnBehalfOf),
    (&["username", "password-file"], |by| by == Credential::UsernamePassword),
    (&["code-file", "redirect-uri", "code-verifier-file"], |by| by == Credential::AuthorizationCode),
    (
        &["assertion-from", "assertion-scope", "assertion-client-id", "assertion-object-id", "assertion-resource-id"],
        |by| by == Credential::ClientAssertion,
    ),
    (&["token-file-path", "enable-azure-proxy"], |by| by == Credential::WorkloadIdentity),
    (&["service-connection-id", "system-access-token-file"], |by| by == Credential::AzurePipelines),
    (&["audience"], |by| by == Credential::GithubActions),
];

type Takes = fn(Credential) -> bool;

/// Whether a metadata endpoint is asked.
fn is_managed(by: Credential) -> bool {
    matches!(by, Credential::Default | Credential::ManagedIdentity)
}

/// Whether Entra ID is asked, by us and nobody else.
fn asks_entra(by: Credential) -> bool {
    !is_managed(by) && !by.is_tool()
}

/// Whether it is a service that proves who it is, to act for somebody else.
fn acts_for_users(by: Credential) -> bool {
    matches!(by, Credential::OnBehalfOf | Credential::AuthorizationCode)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Taken by all credentials, or judged elsewhere.
    const COMMON: [&str; 11] = [
        "scope",
        "credential",
        "output",
        "verbose",
        "request-tenant-id",
        "claims",
        "enable-cae",
        "failure-memory",
        "emulator",
        "help",
        "version",
    ];

    #[test]
    fn every_option_is_common_or_says_who_takes_it() {
        let command = Cli::command();
        let token = command.find_subcommand(TOKEN).unwrap();
        let shown: Vec<&str> =
            token.get_arguments().filter(|arg| !arg.is_hide_set()).filter_map(|arg| arg.get_long()).collect();
        let listed: Vec<&str> = TAKEN_BY.iter().flat_map(|(names, _)| names.iter().copied()).collect();
        for name in &shown {
            assert_ne!(COMMON.contains(name), listed.contains(name), "{name}");
        }
        for name in listed {
            assert!(shown.contains(&name), "{name}");
        }
    }
}
