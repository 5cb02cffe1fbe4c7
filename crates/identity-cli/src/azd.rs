use std::{fmt, path::PathBuf, sync::Arc};

use identity_core::{
    Error, ErrorKind, Platform, Result, Secret, TokenCredential, TokenFuture, TokenRequestOptions, answer::Body,
    date::parse_time, json, process::Output, text,
};

use crate::{
    az,
    engine::{Cli, Failure, Token, Told, Tool, Wanted, protocol},
    find,
    options::{Options, options},
    said,
};

/// Gets tokens of whoever is signed in to the Azure Developer CLI (`azd`), a person or an application.
///
/// Runs `azd auth token`. Clones share one cache; see the [crate's documentation](crate) for how programs are found, run and
/// ended, and how another sign-in is noticed. For development: a service should have an identity of its own.
///
/// Without a tenant `azd` takes the one of the subscription in `AZURE_SUBSCRIPTION_ID`, if that is set, else that of the account.
#[derive(Clone)]
pub struct AzureDeveloperCliCredential(Arc<Cli>);

impl AzureDeveloperCliCredential {
    /// Starts a credential for the account that the Azure Developer CLI is signed in to.
    #[must_use]
    pub fn builder() -> AzureDeveloperCliCredentialBuilder {
        AzureDeveloperCliCredentialBuilder::default()
    }
}

impl TokenCredential for AzureDeveloperCliCredential {
    /// Gets a token for the scopes. Claims are handed to `azd`, which keeps them for the next `azd auth login`.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::InvalidArgument`] for no scope, one with other characters than letters, digits and `_-.:/`, claims
    ///   or a tenant that are none, a tenant that is not allowed, and outside a runtime. Nothing was started.
    /// - [`ErrorKind::CredentialUnavailable`] if `azd` is not on the `PATH` or cannot be started, and for claims if it is older
    ///   than 1.18.1. In a chain of credentials also if nobody is signed in, and in `DefaultAzureCredential` for all that
    ///   follows.
    /// - [`ErrorKind::AuthenticationRequired`] if Entra ID wants more of the person who is signed in, or the sign-in has
    ///   expired.
    /// - [`ErrorKind::AuthenticationFailed`] if nobody is signed in, or `azd` or Entra ID refuse.
    /// - [`ErrorKind::Transport`] if `azd` was not done in time, was killed, or could not reach Entra ID.
    /// - [`ErrorKind::Protocol`] if what it prints is no token, or more than 1 MiB.
    fn get_token<'a>(&'a self, scopes: &'a [&'a str], options: Option<&'a TokenRequestOptions>) -> TokenFuture<'a> {
        self.0.get(scopes, options)
    }

    fn name(&self) -> &'static str {
        NAME
    }
}

impl fmt::Debug for AzureDeveloperCliCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Builds an [`AzureDeveloperCliCredential`].
#[derive(Clone, Debug, Default)]
pub struct AzureDeveloperCliCredentialBuilder {
    options: Options,
}

impl AzureDeveloperCliCredentialBuilder {
    options!();

    /// Builds the credential for this process: its variables and programs, time and tasks by tokio.
    ///
    /// # Errors
    ///
    /// As [`build_with`](Self::build_with).
    #[cfg(feature = "tokio")]
    pub fn build(self) -> Result<AzureDeveloperCliCredential> {
        self.build_with(&identity_tokio::platform())
    }

    /// Builds the credential for `platform`. Reads variables; starts nothing.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidArgument`] for a tenant that is none, a process timeout of nothing or more than 90 seconds, a failure
    /// memory of more than 60 seconds, a variable that is malformed, and if the platform runs no programs.
    pub fn build_with(self, platform: &Platform) -> Result<AzureDeveloperCliCredential> {
        let cli = Cli::new(Arc::new(AzureDeveloperCli), platform, &self.options);
        Ok(AzureDeveloperCliCredential(Arc::new(cli.map_err(|error| error.with_credential(NAME))?)))
    }
}

/// The tool.
#[derive(Debug)]
struct AzureDeveloperCli;

impl Tool for AzureDeveloperCli {
    fn credential(&self) -> &'static str {
        NAME
    }

    fn name(&self) -> &'static str {
        "the Azure Developer CLI (azd)"
    }

    fn programs(&self) -> &'static [&'static str] {
        if cfg!(windows) { &["azd.exe", "azd.cmd", "azd.bat"] } else { &["azd"] }
    }

    fn how_to_install(&self) -> &'static str {
        "install it, https://aka.ms/azd tells how, and sign in by `azd auth login`"
    }

    /// Its own files, and who is signed in to `az`: it may have been told to ask that.
    fn files(&self, platform: &Platform) -> Vec<PathBuf> {
        let env = platform.env().as_ref();
        let folder = find::directory(env, "AZD_CONFIG_DIR").or_else(|| Some(find::home(env)?.join(".azd")));
        let own = folder.iter().flat_map(|folder| FILES.map(|file| folder.join(file)));
        own.chain(az::profile(env).map(|folder| folder.join(az::PROFILE))).collect()
    }

    fn check(&self, wanted: &Wanted<'_>) -> Result<()> {
        find::scopes(wanted.scopes)
    }

    fn command(&self, wanted: &Wanted<'_>) -> (Vec<String>, Vec<(&'static str, String)>) {
        let mut args: Vec<String> = ["auth", "token", "--output", "json", "--no-prompt"].map(str::to_owned).into();
        for scope in wanted.scopes {
            args.extend(["--scope".to_owned(), (*scope).to_owned()]);
        }
        if !wanted.tenant.is_empty() {
            args.extend(["--tenant-id".to_owned(), wanted.tenant.to_owned()]);
        }
        if let Some(claims) = wanted.claims {
            args.extend(["--claims".to_owned(), text::base64(claims.as_bytes())]);
        }
        (args, vec![("NO_COLOR", "true".to_owned())])
    }

    fn by_hand(&self, wanted: &Wanted<'_>) -> String {
        with_target("azd auth token --output json", wanted)
    }

    fn read(&self, output: &Output, wanted: &Wanted<'_>, hidden: &[&str]) -> Result<Token, Failure> {
        if output.code() == Some(0) { Ok(token(output, hidden)?) } else { Err(self.failure(output, wanted, hidden)) }
    }
}

impl AzureDeveloperCli {
    /// What a run that failed means: the first of these that fits.
    fn failure(&self, output: &Output, wanted: &Wanted<'_>, hidden: &[&str]) -> Failure {
        use ErrorKind::{AuthenticationFailed, AuthenticationRequired, CredentialUnavailable, Transport};

        let (stdout, stderr) = (said::text(output.stdout()), said::text(output.stderr()));
        let said = reason(&stdout).or_else(|| reason(&stderr)).unwrap_or_else(|| stderr.clone());
        let has =
            |marks: &[&str]| marks.iter().any(|mark| [&stdout, &stderr, &said].iter().any(|text| text.contains(mark)));
        let told = Told { tool: self, code: output.code(), said: &said, wanted, hidden, may_pass: false };
        if output.code() == Some(127) || stderr.starts_with("'azd' is not recognized") {
            let why = "a part of it is missing; install it again, https://aka.ms/azd tells how";
            return told.means(CredentialUnavailable, why);
        }
        if has(&["unknown flag: --claims"]) {
            let why = "the resource wants more proof, which azd can ask for since 1.18.1; update it, and try again";
            return told.means(CredentialUnavailable, why);
        }
        if has(&["unknown command \"auth\"", "unknown flag: --"]) {
            return told.means(CredentialUnavailable, "it is too old for what it was asked; update it");
        }
        let again = with_target("azd auth login", wanted);
        if let Some(failure) = told.usual(&again) {
            return failure;
        }
        if has(&SIGNED_OUT) {
            return told.means_signed_out(&format!("nobody is signed in to {}; run `{}`", self.name(), login(wanted)));
        }
        if has(&["Please run 'az login'"]) {
            return told.means_signed_out(
                "nobody is signed in to the Azure CLI, whose account the Azure Developer CLI (azd) is told to take; run `az login`",
            );
        }
        if has(&["resolving the Azure Directory from"]) {
            let why = "it cannot tell the tenant of the subscription in AZURE_SUBSCRIPTION_ID; unset that variable, or choose the tenant by tenant_id";
            return told.means(AuthenticationFailed, why);
        }
        if has(&EXPIRED) {
            let why = format!("what it remembers of the sign-in is no longer good; run `{again}`");
            return told.means(AuthenticationRequired, &why);
        }
        if has(&UNREACHABLE) {
            return told
                .means(Transport, "it cannot reach Entra ID, or is sent away; check network and proxy, and try again");
        }
        told.means(AuthenticationFailed, &format!("run `{}` to see more", self.by_hand(wanted)))
    }
}

/// How to sign in, to the tenant if one is wanted.
fn login(wanted: &Wanted<'_>) -> String {
    let mut login = "azd auth login".to_owned();
    if !wanted.tenant.is_empty() {
        login.extend([" --tenant-id ", wanted.tenant]);
    }
    login
}

/// A command with what it is for.
fn with_target(command: &str, wanted: &Wanted<'_>) -> String {
    let mut command = command.to_owned();
    if !wanted.tenant.is_empty() {
        command.extend([" --tenant-id ", wanted.tenant]);
    }
    for scope in wanted.scopes {
        command.extend([" --scope ", scope]);
    }
    command
}

/// Reads the token that was printed.
fn token(output: &Output, hidden: &[&str]) -> Result<Token> {
    let stdout = Secret::new(said::text(output.stdout()));
    let body = said::object(stdout.expose()).unwrap_or_default();
    let Body::Object(fields) = Body::parse(&NAMES, body.as_bytes(), false) else {
        return Err(unexpected("it is no JSON object", stdout.expose(), hidden));
    };
    let Ok(Some(secret)) = fields.string("token") else {
        return Err(unexpected("there is no token", stdout.expose(), hidden));
    };
    let secret = Secret::new(secret);
    match fields.string("expiresOn").ok().flatten().as_deref().and_then(parse_time) {
        Some(expires_on) => Ok(Token { secret, expires_on }),
        None => Err(unexpected("expiresOn is no time", stdout.expose(), hidden)),
    }
}

fn unexpected(why: &str, stdout: &str, hidden: &[&str]) -> Error {
    protocol(format!(
        "the Azure Developer CLI (azd) printed something unexpected: {why}; update it, and check what other `azd` the PATH may name{}",
        said::printed(stdout, hidden)
    ))
}

/// What went wrong, from the JSON objects that it prints, one a line: the first `error`, else of the messages to the console the
/// first with a code of Entra ID's, else the first that calls itself an error, else the first that says anything. With `error`
/// goes its `suggestion`.
///
/// Source: Azure/azure-dev, `cli/azd/pkg/contracts`; versions before 1.23.7 have messages only.
fn reason(output: &str) -> Option<String> {
    let mut message: Option<(u8, String)> = None;
    for line in output.lines().map(str::trim).filter(|line| line.starts_with('{')) {
        let ([mut error, mut suggestion], mut data) = ([const { None }; 2], None);
        let result = json::members(line.as_bytes(), &mut |name, value| match name {
            "error" => error = json::unescape(value),
            "data" => data = Some(value),
            "suggestion" => suggestion = json::unescape(value),
            _ => {}
        });
        if result.is_err() {
            continue;
        }
        if let Some(error) = error.filter(|error| !error.trim().is_empty()) {
            let suggestion = suggestion.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
            return Some(
                suggestion.map_or_else(|| error.trim().to_owned(), |more| format!("{}; {more}", error.trim())),
            );
        }
        let mut said = None;
        if let Some(data) = data {
            // What it says before a fault in it is worth as much.
            let _ = json::members(data.as_bytes(), &mut |name, value| {
                if name == "message" {
                    said = json::unescape(value).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
                }
            });
        }
        if let Some(said) = said {
            let rank = if said.contains("AADSTS") { 2 } else { u8::from(said.starts_with("ERROR")) };
            if message.as_ref().is_none_or(|(best, _)| rank > *best) {
                message = Some((rank, said));
            }
        }
    }
    message.map(|(_, said)| said)
}

const NAMES: [&str; 2] = ["expiresOn", "token"];

/// What changes on `azd auth login` and `logout`, and when it is told whose account to take.
///
/// Source: Azure/azure-dev, `cli/azd/pkg/auth/manager.go`.
const FILES: [&str; 2] = ["auth.json", "config.json"];

/// What it says when nobody is signed in; the second until 0.4.
const SIGNED_OUT: [&str; 2] =
    ["not logged in, run `azd auth login` to login", "not logged in, run `azd login` to login"];

/// What it says, with and without a code, when a sign-in has become too old.
const EXPIRED: [&str; 4] = ["run `azd auth login", "reauthentication required", "login expired", "re-authenticate"];

/// What Go's HTTP client says when there is no connection, and Azure's library for Go when the service has trouble.
const UNREACHABLE: [&str; 9] = [
    "x509:",
    "proxyconnect",
    "dial tcp",
    "no such host",
    "connection refused",
    "context deadline exceeded",
    "TLS handshake timeout",
    "RESPONSE 429",
    "RESPONSE 50",
];

/// The credential's name in logs, errors and tokens.
const NAME: &str = "AzureDeveloperCliCredential";
