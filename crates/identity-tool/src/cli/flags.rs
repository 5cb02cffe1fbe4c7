//! Which options go with which credential.

use std::ffi::OsString;

use clap::{
    ArgMatches, Command as Clap, CommandFactory as _, Error, FromArgMatches as _, error::ErrorKind, parser::ValueSource,
};

use super::{Cli, Command, Credential, TokenArgs};

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
    if let Command::Token(args) = &cli.command
        && let Some((kind, message)) = misuse(args, &given)
    {
        return Err(about_token(&mut command, kind, message));
    }
    Ok(cli)
}

/// The error with the usage of `identity token`.
fn about_token(command: &mut Clap, kind: ErrorKind, message: String) -> Error {
    command.build();
    match command.find_subcommand_mut(TOKEN) {
        Some(token) => token.error(kind, message),
        None => command.error(kind, message),
    }
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
        let message = format!("{flag} is refused, for every user of this machine can read command lines; {advice}");
        return Some((ErrorKind::UnknownArgument, message));
    }
    let url = args.transport.proxy.as_deref().unwrap_or_default();
    if url.contains('@') {
        let message = "--proxy takes no password, for every user of this machine can read command lines; \
             set the variable HTTPS_PROXY to the whole URL";
        return Some((ErrorKind::ValueValidation, message.to_owned()));
    }
    let own = args.credential;
    for name in given {
        let takers = TAKEN_BY.iter().find(|(names, _)| names.contains(name)).map_or(&[][..], |(_, takers)| *takers);
        if !takers.contains(&own) {
            return Some((ErrorKind::ArgumentConflict, foreign(name, takers, own)));
        }
    }
    if args.emulator.emulator && own.is_tool() {
        let message = format!(
            "--emulator has no stand-in for the tool of {}; run `identity emulator`, and sign the tool in there",
            own.name()
        );
        return Some((ErrorKind::ArgumentConflict, message));
    }
    let asks_managed_identity = MANAGED.contains(&own) || args.proof.assertion_from.is_some();
    if args.emulator.emulator_source.is_some() && !asks_managed_identity {
        let message = "--emulator-source does nothing here; with client-assertion it goes with --assertion-from";
        return Some((ErrorKind::ArgumentConflict, message.to_owned()));
    }
    None
}

/// What to say of an option that is for other credentials.
fn foreign(name: &str, takers: &[Credential], own: Credential) -> String {
    let takers: Vec<String> =
        takers.iter().filter(|taker| **taker != Credential::Default).map(|taker| taker.name()).collect();
    let list = match takers.as_slice() {
        [only] => only.clone(),
        [rest @ .., last] => format!("{} or {last}", rest.join(", ")),
        [] => String::new(),
    };
    format!("--{name} does nothing for {}; it goes with --credential {list}", own.name())
}

const TOKEN: &str = "token";

/// Every option of `identity token` that not all credentials take, and those that do.
const TAKEN_BY: [(&[&str], &[Credential]); 17] = [
    (&["client-id", "disable-instance-discovery", "ca-file", "roots", "proxy", "no-proxy"], NOT_TOOLS),
    (&["tenant-id", "additionally-allowed-tenant"], NOT_MANAGED),
    (&["subscription"], &[Credential::AzureCli]),
    (&["process-timeout", "no-cache"], TOOLS),
    (&["object-id", "resource-id"], MANAGED),
    (&["allow-remote-endpoint", "emulator-source"], MANAGED_OR_ASSERTION),
    (&["authority", "region", "require-granted-scopes", "cache-capacity", "max-in-flight"], ENTRA),
    (&["client-secret-file"], &[Credential::ClientSecret, Credential::OnBehalfOf, Credential::AuthorizationCode]),
    (
        &["certificate-path", "certificate-password-file", "send-certificate-chain"],
        &[Credential::Certificate, Credential::OnBehalfOf, Credential::AuthorizationCode],
    ),
    (&["assertion-file"], &[Credential::ClientAssertion, Credential::OnBehalfOf, Credential::AuthorizationCode]),
    (&["user-assertion-file"], &[Credential::OnBehalfOf]),
    (&["username", "password-file"], &[Credential::UsernamePassword]),
    (&["code-file", "redirect-uri", "code-verifier-file"], &[Credential::AuthorizationCode]),
    (
        &["assertion-from", "assertion-scope", "assertion-client-id", "assertion-object-id", "assertion-resource-id"],
        &[Credential::ClientAssertion],
    ),
    (&["token-file-path", "enable-azure-proxy"], &[Credential::WorkloadIdentity]),
    (&["service-connection-id", "system-access-token-file"], &[Credential::AzurePipelines]),
    (&["audience"], &[Credential::GithubActions]),
];

/// Those that ask a metadata endpoint.
const MANAGED: &[Credential] = &[Credential::Default, Credential::ManagedIdentity];
const MANAGED_OR_ASSERTION: &[Credential] =
    &[Credential::Default, Credential::ManagedIdentity, Credential::ClientAssertion];
/// Those that run a program.
const TOOLS: &[Credential] = &[Credential::AzureCli, Credential::AzureDeveloperCli, Credential::AzurePowerShell];
/// Those that ask Entra ID.
const ENTRA: &[Credential] = &[
    Credential::ClientSecret,
    Credential::Certificate,
    Credential::ClientAssertion,
    Credential::WorkloadIdentity,
    Credential::AzurePipelines,
    Credential::GithubActions,
    Credential::OnBehalfOf,
    Credential::AuthorizationCode,
    Credential::UsernamePassword,
];

/// Those that run no program.
const NOT_TOOLS: &[Credential] = &[
    Credential::Default,
    Credential::ManagedIdentity,
    Credential::ClientSecret,
    Credential::Certificate,
    Credential::ClientAssertion,
    Credential::WorkloadIdentity,
    Credential::AzurePipelines,
    Credential::GithubActions,
    Credential::OnBehalfOf,
    Credential::AuthorizationCode,
    Credential::UsernamePassword,
];
/// Those that ask no metadata endpoint.
const NOT_MANAGED: &[Credential] = &[
    Credential::ClientSecret,
    Credential::Certificate,
    Credential::ClientAssertion,
    Credential::WorkloadIdentity,
    Credential::AzurePipelines,
    Credential::GithubActions,
    Credential::OnBehalfOf,
    Credential::AuthorizationCode,
    Credential::UsernamePassword,
    Credential::AzureCli,
    Credential::AzureDeveloperCli,
    Credential::AzurePowerShell,
];

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;

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

    #[test]
    fn every_credential_asks_metadata_or_entra_or_a_tool() {
        for credential in Credential::value_variants() {
            let asked = [MANAGED, ENTRA, TOOLS].iter().filter(|list| list.contains(credential)).count();
            assert_eq!(asked, 1, "{credential:?}");
            assert_eq!(credential.is_tool(), TOOLS.contains(credential), "{credential:?}");
            assert_eq!(credential.is_tool(), !NOT_TOOLS.contains(credential), "{credential:?}");
            assert_eq!(MANAGED.contains(credential), !NOT_MANAGED.contains(credential), "{credential:?}");
        }
    }
}
