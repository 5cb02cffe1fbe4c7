//! What helps a person whose run ended without a token.

use std::fmt::Write as _;

use clap::CommandFactory as _;
use identity::{Env, Error, ErrorKind};

use crate::{
    cli::{Cli, Credential, Output, TokenArgs},
    credentials, failure,
    screen::{self, Paint},
    sources,
};

/// A managed identity that was asked for.
pub(super) struct Asked<'a> {
    /// The source that it would come from.
    pub(super) source: &'static str,
    pub(super) env: &'a dyn Env,
}

/// The error, and what helps to solve it.
pub(super) fn explain(args: &TokenArgs, error: &Error, asked: Option<&Asked<'_>>, paint: Paint) -> String {
    let mut out = failure::to_text(error, paint);
    let is_absent = error.kind() == ErrorKind::CredentialUnavailable;
    let is_silent = |asked: &Asked<'_>| error.kind() == ErrorKind::Transport && asked.source == "IMDS";
    // Of a chain it is one line of many.
    let is_wanted = args.credential != Credential::Default || args.verbose;
    if let Some(asked) = asked.filter(|asked| is_wanted && (is_absent || is_silent(asked))) {
        let _ = write!(out, "\n{}", sources::explain(asked.env, asked.source, paint));
    }
    if let Some((when, flag)) = flag(args, error) {
        let _ = writeln!(out, "\n{when}: {}", paint.bold(&format!("--{flag}")));
    }
    if args.emulator.emulator && error.http_status().is_some() {
        out.push_str("\nby the emulator, which knows nothing of the real world\n");
    }
    // A cluster takes nothing from an emulator, and its clients say all of this several times.
    let is_for_people = args.output != Output::Kubectl;
    if is_for_people
        && args.credential == Credential::Default
        && !args.emulator.emulator
        && !error.attempts().is_empty()
        && !error.to_string().contains("`identity diagnose`")
    {
        let scope = screen::escape(args.scope.first().map_or("", String::as_str));
        let what = paint.bold("to see what each of them found, also those that were not tried");
        let _ = writeln!(out, "\n{what}\n  identity diagnose --scope {scope}");
    }
    let could_be_emulated = is_for_people && !args.emulator.emulator && !args.credential.is_tool();
    if (is_absent || credentials::is_incomplete(error)) && could_be_emulated {
        let _ =
            write!(out, "\n{}\n  {}\n", paint.bold("to try it on a machine that has no identity"), with_emulator(args));
    }
    out
}

/// A flag that may help, and when it does.
fn flag(args: &TokenArgs, error: &Error) -> Option<(&'static str, String)> {
    let message = error.to_string();
    if let Some(flag) = flag_of_setter(&message) {
        return Some(("on this command line", flag));
    }
    if message.contains(UNCONFIRMED) {
        let when = "for an authority that you trust, such as an emulator's";
        return Some((when, "disable-instance-discovery".to_owned()));
    }
    let is_direct = args.credential == Credential::WorkloadIdentity && !args.proof.enable_azure_proxy;
    if is_direct && error.entra_codes().iter().any(|code| FOREIGN_TOKEN.contains(code)) {
        return Some(("for a pod with an AKS identity binding", "enable-azure-proxy".to_owned()));
    }
    None
}

/// The command that works anywhere.
fn with_emulator(args: &TokenArgs) -> String {
    let scope = screen::escape(args.scope.first().map_or("", String::as_str));
    match args.credential {
        Credential::Default => format!("identity token --emulator --scope {scope}"),
        other => format!("identity token --emulator --credential {} --scope {scope}", other.name()),
    }
}

/// The flag of a setter that a message of the library recommends, such as `disable_instance_discovery`.
fn flag_of_setter(message: &str) -> Option<String> {
    let command = Cli::command();
    let token = command.find_subcommand("token")?;
    let is_flag = |name: &str| token.get_arguments().any(|argument| argument.get_id() == name);
    // Names of one or two words are those of parameters, too.
    let words = message.split(|c: char| !c.is_ascii_lowercase() && c != '_');
    let mut setters = words.filter(|word| word.matches('_').count() >= 2);
    setters
        .find_map(|word| [word, word.trim_end_matches('s')].into_iter().find(|name| is_flag(name)))
        .map(|name| name.replace('_', "-"))
}

/// What the library says of an authority that it could not ask Microsoft about.
const UNCONFIRMED: &str = "it could not be found out whether";
/// What Entra ID says of issuers and audiences that no federated credential names.
const FOREIGN_TOKEN: [u32; 2] = [700_211, 700_212];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setter_that_is_recommended_is_told_as_a_flag() {
        for (message, expected) in [
            ("correct it, or call disable_instance_discovery()", Some("disable-instance-discovery")),
            ("allow_remote_endpoint()", Some("allow-remote-endpoint")),
            ("add it with additionally_allowed_tenants, or", Some("additionally-allowed-tenant")),
            ("the parameter client_id is missing", None),
            ("a_b_c() or disable_instance_discovery", Some("disable-instance-discovery")),
            ("___ é", None),
            ("no setter", None),
        ] {
            assert_eq!(flag_of_setter(message).as_deref(), expected, "{message}");
        }
    }
}
