//! The command line.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::{
    Args, Parser, Subcommand, ValueEnum,
    builder::{PossibleValuesParser, TypedValueParser},
};
use identity_emulator::Source;

/// Gets tokens for Microsoft Entra ID as a program would, and says why not
#[derive(Debug, Parser)]
#[command(name = "identity", version, after_help = EXAMPLES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Token(TokenArgs),
    Emulator(EmulatorArgs),
}

/// Get a token and show who got it, for what and until when
#[derive(Debug, Args)]
#[command(after_help = TOKEN_EXAMPLES)]
pub(crate) struct TokenArgs {
    /// What the token is for, such as https://storage.azure.com/.default; some credentials take several
    #[arg(long, value_name = "SCOPE", required = true)]
    pub(crate) scope: Vec<String>,

    /// Which credential to ask; `default` is a chain, in this version of managed identity alone, without AZURE_CLIENT_ID
    #[arg(long, value_name = "NAME", value_enum, default_value_t)]
    pub(crate) credential: Credential,

    /// Use the user-assigned identity with this client id
    #[arg(long, value_name = "ID", group = "identity")]
    pub(crate) client_id: Option<String>,

    /// Use the user-assigned identity with this object (principal) id
    #[arg(long, value_name = "ID", group = "identity")]
    pub(crate) object_id: Option<String>,

    /// Use the user-assigned identity with this ARM resource id
    #[arg(long, value_name = "ID", group = "identity")]
    pub(crate) resource_id: Option<String>,

    /// Let the endpoint that a variable names be anywhere, not only at a local address
    #[arg(long)]
    pub(crate) allow_remote_endpoint: bool,

    /// How long a refusal is handed out again, 60s at most; a run asks once, so that this only tries out the value
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) failure_memory: Option<Duration>,

    /// Answer a challenge: the JSON text of its claims, decoded from base64
    #[arg(long, value_name = "JSON")]
    pub(crate) claims: Option<String>,

    /// Ask for a token for continuous access evaluation
    #[arg(long)]
    pub(crate) enable_cae: bool,

    /// Ask for a token of another tenant; managed identities ignore it
    #[arg(long, value_name = "TENANT")]
    pub(crate) request_tenant_id: Option<String>,

    /// What to print
    #[arg(long, short, value_name = "FORMAT", value_enum, default_value_t)]
    pub(crate) output: Output,

    /// Ask an emulator in this process instead of the real world; it needs no cloud
    #[arg(long)]
    pub(crate) emulator: bool,

    /// What the emulator stands in for; azure-arc writes to /var/opt/azcmagent/tokens, which takes root
    #[arg(long, value_name = "SOURCE", requires = "emulator", default_value = "app-service", value_parser = sources())]
    pub(crate) emulator_source: Source,

    /// Tell on standard error what is tried
    #[arg(long, short)]
    pub(crate) verbose: bool,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum Credential {
    #[default]
    Default,
    ManagedIdentity,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people: who, for what, until when, and the claims; not the token
    #[default]
    Text,
    /// One JSON object with the token, its times and its claims
    Json,
    /// The token alone
    Token,
    /// A header line, such as `curl -H @-` reads: `Authorization: Bearer ...`
    Header,
}

/// Run the emulator of the metadata endpoints until Ctrl-C
#[derive(Debug, Args)]
#[command(after_help = EMULATOR_EXAMPLES)]
pub(crate) struct EmulatorArgs {
    /// Print the variables of this source alone, ready for a shell to evaluate
    #[arg(long, value_name = "SOURCE", value_parser = sources())]
    pub(crate) source: Option<Source>,

    /// Where that source listens on 127.0.0.1; 0 takes any free port
    #[arg(long, requires = "source", default_value_t = 0)]
    pub(crate) port: u16,

    /// Where the control interface listens on 127.0.0.1; 0 takes any free port
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    pub(crate) control_port: u16,

    /// Where IMDS listens: a loopback address, or 169.254.169.254:80 in a network namespace
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) imds_address: Option<SocketAddr>,

    /// Where Azure Arc writes its keys; the default is created and takes root, but real clients look nowhere else:
    /// /var/opt/azcmagent/tokens
    #[arg(long, value_name = "DIRECTORY")]
    pub(crate) arc_directory: Option<PathBuf>,

    /// Know this resource as well, such as api://my-app; may be given several times
    #[arg(long, value_name = "URI")]
    pub(crate) allow_resource: Vec<String>,

    /// How long tokens live
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = seconds)]
    pub(crate) lifetime: Duration,

    /// Wait so long before each answer
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) latency: Option<Duration>,

    /// Answer every request with this HTTP status
    #[arg(long, value_name = "STATUS", group = "fault", value_parser = clap::value_parser!(u16).range(200..=599))]
    pub(crate) fail: Option<u16>,

    /// Answer every request with 429 and ask to wait so long
    #[arg(long, value_name = "TIME", group = "fault", value_parser = seconds)]
    pub(crate) throttle: Option<Duration>,

    /// Reset every connection
    #[arg(long, group = "fault")]
    pub(crate) refuse: bool,

    /// Read every request and never answer
    #[arg(long, group = "fault", conflicts_with = "latency")]
    pub(crate) silent: bool,

    /// `text` for shells and people, `json` for scripts
    #[arg(long, short, value_name = "FORMAT", value_enum, default_value_t)]
    pub(crate) output: EmulatorOutput,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum EmulatorOutput {
    #[default]
    Text,
    Json,
}

fn sources() -> impl TypedValueParser<Value = Source> {
    PossibleValuesParser::new(Source::ALL.map(Source::name)).try_map(|name| name.parse::<Source>())
}

/// A number and its unit: `250ms`, `2s`, `5m`, `24h`.
fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let millis: u64 = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err("expected a number and its unit: ms, s, m or h, such as 250ms or 2s".to_owned()),
    };
    let number: u64 = number.parse().map_err(|_| "expected a number before the unit, such as 2s".to_owned())?;
    let millis = number.checked_mul(millis).filter(|&millis| millis <= LONGEST_MS);
    millis.map(Duration::from_millis).ok_or_else(|| "at most 8760h, a year, is accepted".to_owned())
}

/// The same, for what is told in whole seconds.
fn seconds(text: &str) -> Result<Duration, String> {
    let time = duration(text)?;
    if time.is_zero() || time.subsec_nanos() != 0 {
        return Err("expected whole seconds, at least 1s".to_owned());
    }
    Ok(time)
}

/// A year, so that no sum of times overflows.
const LONGEST_MS: u64 = 8_760 * 3_600_000;

const EXAMPLES: &str = "\
Examples:
  identity token --scope https://storage.azure.com/.default
  identity token --scope https://storage.azure.com/.default --emulator
  identity emulator --source app-service";

const TOKEN_EXAMPLES: &str = "\
Examples:
  Try it with no cloud at hand:
    identity token --emulator --scope https://storage.azure.com/.default
  Which identity does this machine have?
    identity token --scope https://management.azure.com/.default
  Call a service:
    identity token -o header --scope https://vault.azure.net/.default | curl -H @- https://NAME.vault.azure.net/...
  Why is there no token?
    identity token --verbose --credential managed-identity --client-id ID --scope https://storage.azure.com/.default

Exit codes:
  0  there is a token
  1  the system failed: no output, no port
  2  the command line or the configuration is wrong; nothing was sent
  3  no credential is available here
  4  a person must sign in
  5  the service refused
  6  no usable answer came, after retries
  7  an answer broke the protocol

With `--output json` an error with one of the codes 2 to 7 is one JSON object on standard error: kind,
message, credential, entra_codes, correlation_id, attempts and more. With --verbose, lines of the log
come before it.";

const EMULATOR_EXAMPLES: &str = "\
Examples:
  In one terminal:
    identity emulator --source app-service > emulator.env
  In another, for a program in any language:
    . ./emulator.env && python my_program.py
  A service that is slow and fails:
    identity emulator --source imds --latency 2s --fail 503

All sources run; --source chooses whose variables are printed. Faults that change while it runs, and a
record of all requests, are at the control address.";

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn times_have_a_unit_and_an_end() {
        for (text, expected) in [
            ("250ms", Some(250)),
            ("2s", Some(2_000)),
            ("0s", Some(0)),
            ("5m", Some(300_000)),
            ("8760h", Some(LONGEST_MS)),
            ("8761h", None),
            ("18446744073709551615h", None),
            ("99999999999999999999s", None),
            ("2", None),
            ("s", None),
            ("", None),
            ("-2s", None),
            ("2 s", None),
            ("1.5s", None),
            ("2é", None),
        ] {
            assert_eq!(duration(text).ok(), expected.map(Duration::from_millis), "{text}");
        }
        for (text, expected) in [("1s", Some(1)), ("2000ms", Some(2)), ("0s", None), ("999ms", None), ("1001ms", None)]
        {
            assert_eq!(seconds(text).ok(), expected.map(Duration::from_secs), "{text}");
        }
    }
}
