//! `identity emulator`.

use std::{io, net::SocketAddr, path::PathBuf, time::Duration};

use clap::{
    Args, ValueEnum,
    builder::{PossibleValuesParser, TypedValueParser},
};
use identity_emulator::{Emulator, Source, UserFlow};

use super::{
    help,
    values::{duration, seconds},
};

/// Run an emulator of Entra ID and of the metadata endpoints until Ctrl-C
#[derive(Debug, Args)]
#[command(after_help = help::EMULATOR)]
pub(crate) struct EmulatorArgs {
    /// Print the variables of this source alone, ready for a shell to evaluate
    #[arg(long, value_name = "SOURCE", value_parser = stands())]
    pub(crate) source: Option<Stand>,

    /// `text` for shells and people, `json` for scripts
    #[arg(long, short, value_name = "FORMAT", value_enum, default_value_t)]
    pub(crate) output: EmulatorOutput,

    /// Where that source listens on 127.0.0.1; 0 takes any free port
    #[arg(long, requires = "source", default_value_t = 0, help_heading = "Where it listens")]
    pub(crate) port: u16,

    /// Where the control interface listens on 127.0.0.1; 0 takes any free port
    #[arg(long, value_name = "PORT", default_value_t = 0, help_heading = "Where it listens")]
    pub(crate) control_port: u16,

    /// Where IMDS listens: a loopback address, or 169.254.169.254:80 in a network namespace
    #[arg(long, value_name = "ADDRESS:PORT", help_heading = "Where it listens")]
    pub(crate) imds_address: Option<SocketAddr>,

    /// What Entra ID knows: tenants, applications, users; read again when it changes
    #[arg(long, value_name = "FILE", help_heading = "Files")]
    pub(crate) directory: Option<PathBuf>,

    /// Write what Entra ID knows if nothing else is said to this new file, and end
    #[arg(long, value_name = "FILE", help_heading = "Files", exclusive = true)]
    pub(crate) write_directory: Option<PathBuf>,

    /// Write the certificate that https clients of Entra ID have to trust to this file, too
    ///
    /// Only a new file is written, or one with such a certificate. The certificate is made anew at each start. SSL_CERT_FILE, which is printed, names a file that goes at the end.
    #[arg(long, value_name = "FILE", help_heading = "Files")]
    pub(crate) ca_file: Option<PathBuf>,

    /// Put the files that clients read into this directory: certificates and tokens
    ///
    /// The default is a new directory that goes at the end. Files of somebody else are never replaced.
    #[arg(long, value_name = "DIRECTORY", help_heading = "Files")]
    pub(crate) files: Option<PathBuf>,

    /// Where Azure Arc writes its keys; the default is created and takes root
    ///
    /// Real clients look nowhere else: /var/opt/azcmagent/tokens.
    #[arg(long, value_name = "DIRECTORY", help_heading = "Files")]
    pub(crate) arc_directory: Option<PathBuf>,

    /// Put this name on the certificate of Entra ID, such as westus2.localhost for clients that ask in a region; may be
    /// given several times
    #[arg(long, value_name = "NAME", help_heading = "Where it listens")]
    pub(crate) dns_name: Vec<String>,

    /// Know this resource as well, such as api://my-app; may be given several times
    #[arg(long, value_name = "URI", help_heading = "Answers")]
    pub(crate) allow_resource: Vec<String>,

    /// How long tokens live; 24h for managed identities and 3599s for Entra ID if not given
    #[arg(long, value_name = "TIME", value_parser = seconds, help_heading = "Answers")]
    pub(crate) lifetime: Option<Duration>,

    /// Let Entra ID say after how many seconds to refresh; half of the lifetime of a long one if not given
    #[arg(long, value_name = "SECONDS", help_heading = "Answers")]
    pub(crate) refresh_in_secs: Option<u32>,

    /// Let Entra ID send expires_in as a string
    #[arg(long, help_heading = "Answers")]
    pub(crate) expires_in_as_text: bool,

    /// Refuse a client assertion, or a federated token, that was used before
    #[arg(long, help_heading = "Answers")]
    pub(crate) refuse_replayed_assertions: bool,

    /// Refuse a client assertion whose base64 is padded
    #[arg(long, help_heading = "Answers")]
    pub(crate) refuse_padded_assertions: bool,

    /// How long refresh tokens live; 90 days if not given
    #[arg(long, value_name = "TIME", value_parser = seconds, help_heading = "Answers")]
    pub(crate) refresh_token_lifetime: Option<Duration>,

    /// Accept each refresh token once
    #[arg(long, help_heading = "Answers")]
    pub(crate) single_use_refresh_tokens: bool,

    /// Let public clients redeem authorization codes without PKCE
    #[arg(long, help_heading = "Answers")]
    pub(crate) optional_pkce: bool,

    /// Let Entra ID refuse who asks for the same token more often within five minutes
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..), help_heading = "Answers")]
    pub(crate) loop_limit: Option<u32>,

    /// Wait so long before each answer
    #[arg(long, value_name = "TIME", value_parser = duration, help_heading = "Answers")]
    pub(crate) latency: Option<Duration>,

    /// Answer every request with this HTTP status
    #[arg(
        long,
        value_name = "STATUS",
        group = "fault",
        value_parser = clap::value_parser!(u16).range(200..=599),
        help_heading = "Answers"
    )]
    pub(crate) fail: Option<u16>,

    /// Answer every request with 429 and ask to wait so long
    #[arg(long, value_name = "TIME", group = "fault", value_parser = seconds, help_heading = "Answers")]
    pub(crate) throttle: Option<Duration>,

    /// Reset every connection
    #[arg(long, group = "fault", help_heading = "Answers")]
    pub(crate) refuse: bool,

    /// Read every request and never answer
    #[arg(long, group = "fault", conflicts_with = "latency", help_heading = "Answers")]
    pub(crate) silent: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum EmulatorOutput {
    #[default]
    Text,
    Json,
}

/// What a program is led to: a source, or Entra for an application with a certificate or for one that acts for a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stand {
    Source(Source),
    Certificate,
    User(UserFlow),
}

impl Stand {
    /// All of them, as they are told.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        Source::ALL.into_iter().flat_map(|source| {
            let more: &[Self] = if source == Source::Entra { &OF_ENTRA } else { &[] };
            [Self::Source(source)].into_iter().chain(more.iter().copied())
        })
    }

    /// The name on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Source(source) => source.name(),
            Self::Certificate => "certificate",
            Self::User(flow) => flow.name(),
        }
    }

    /// Who answers.
    pub(crate) fn source(self) -> Source {
        match self {
            Self::Source(source) => source,
            Self::Certificate | Self::User(_) => Source::Entra,
        }
    }

    /// Whether what Entra knows has an application that these variables can name.
    ///
    /// # Errors
    ///
    /// What it lacks.
    pub(crate) fn check(self, emulator: &Emulator) -> io::Result<()> {
        match self {
            Self::Source(source) => emulator.check_variables(source),
            Self::Certificate => emulator.check_certificate_variables(),
            Self::User(flow) => emulator.check_user_variables(flow),
        }
    }

    /// The variables that lead a program to it.
    pub(crate) fn variables(self, emulator: &Emulator) -> Vec<(String, String)> {
        match self {
            Self::Source(source) => emulator.variables(source),
            Self::Certificate => emulator.certificate_variables(),
            Self::User(flow) => emulator.user_variables(flow),
        }
    }
}

/// What is told after Entra's own.
const OF_ENTRA: [Stand; 4] = [
    Stand::Certificate,
    Stand::User(UserFlow::OnBehalfOf),
    Stand::User(UserFlow::AuthorizationCode),
    Stand::User(UserFlow::UsernamePassword),
];

fn stands() -> impl TypedValueParser<Value = Stand> {
    PossibleValuesParser::new(Stand::all().map(Stand::name))
        .try_map(|name| Stand::all().find(|stand| stand.name() == name).ok_or("no such source"))
}
