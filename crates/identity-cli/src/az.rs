use std::{fmt, path::PathBuf, sync::Arc};

use identity_core::{
    Error, ErrorKind, Platform, Result, Secret, TokenCredential, TokenFuture, TokenRequestOptions, answer::Body, check,
    date::parse_seconds, process::Output, text,
};

use crate::{
    engine::{Cli, Failure, Token, Told, Tool, Wanted, protocol, unavailable},
    find,
    options::{Options, invalid, options},
    said,
};

/// Gets tokens of whoever is signed in to the Azure CLI (`az`), a person or an application.
///
/// Runs `az account get-access-token`, which takes half a second and asks Entra ID when the CLI itself remembers no token.
/// Clones share one cache; see the [crate's documentation](crate) for how programs are found, run and ended, and how another
/// sign-in is noticed. For development: a service should have an identity of its own.
///
/// Needs Azure CLI 2.54 or later, which tells the time of expiry without regard to the time zone.
#[derive(Clone)]
pub struct AzureCliCredential(Arc<Cli>);

impl AzureCliCredential {
    /// Starts a credential for the account that the Azure CLI is signed in to.
    #[must_use]
    pub fn builder() -> AzureCliCredentialBuilder {
        AzureCliCredentialBuilder::default()
    }
}

impl TokenCredential for AzureCliCredential {
    /// Gets a token for the resource of the one scope that is given.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::InvalidArgument`] for none or several scopes, one with other characters than letters, digits and
    ///   `_-.:/`, claims or a tenant that are none, a tenant that is not allowed, a tenant where a subscription is set, and
    ///   outside a runtime. Nothing was started.
    /// - [`ErrorKind::CredentialUnavailable`] if `az` is not on the `PATH` or cannot be started, and for claims: the message
    ///   says which `az login` answers them. In a chain of credentials also if nobody is signed in, and in
    ///   `DefaultAzureCredential` for all that follows.
    /// - [`ErrorKind::AuthenticationRequired`] if Entra ID wants more of the person who is signed in.
    /// - [`ErrorKind::AuthenticationFailed`] if nobody is signed in, or `az` or Entra ID refuse.
    /// - [`ErrorKind::Transport`] if `az` was not done in time, was killed, or could not reach Entra ID.
    /// - [`ErrorKind::Protocol`] if what it prints is no token, a token without a time of expiry (`az` before 2.54), or
    ///   more than 1 MiB.
    fn get_token<'a>(&'a self, scopes: &'a [&'a str], options: Option<&'a TokenRequestOptions>) -> TokenFuture<'a> {
        self.0.get(scopes, options)
    }

    fn name(&self) -> &'static str {
        NAME
    }
}

impl fmt::Debug for AzureCliCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Builds an [`AzureCliCredential`].
#[derive(Clone, Debug, Default)]
pub struct AzureCliCredentialBuilder {
    subscription: Option<String>,
    options: Options,
}

impl AzureCliCredentialBuilder {
    /// Sets the subscription, by name or id, whose tenant and account the token is of. The default is the one that
    /// `az account set` chose.
    ///
    /// A name with other characters than letters, digits, blanks and `_-.` is not taken: give the id. `az` takes a
    /// subscription or a tenant, not both.
    #[must_use]
    pub fn subscription(mut self, subscription: impl Into<String>) -> Self {
        self.subscription = Some(subscription.into());
        self
    }

    options!();

    /// Builds the credential for this process: its variables and programs, time and tasks by tokio.
    ///
    /// # Errors
    ///
    /// As [`build_with`](Self::build_with).
    #[cfg(feature = "tokio")]
    pub fn build(self) -> Result<AzureCliCredential> {
        self.build_with(&identity_tokio::platform())
    }

    /// Builds the credential for `platform`. Reads variables; starts nothing.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidArgument`] for a tenant or subscription that is none, for both, a process timeout of nothing or more
    /// than 90 seconds, a failure memory of more than 60 seconds, a variable that is malformed, and if the platform runs no
    /// programs.
    pub fn build_with(self, platform: &Platform) -> Result<AzureCliCredential> {
        self.assemble(platform).map_err(|error| error.with_credential(NAME))
    }

    fn assemble(self, platform: &Platform) -> Result<AzureCliCredential> {
        if let Some(subscription) = &self.subscription {
            check_subscription(subscription)?;
            if self.options.tenant_id.is_some() {
                return Err(invalid(BOTH));
            }
        }
        let tool = Arc::new(AzureCli { subscription: self.subscription });
        Ok(AzureCliCredential(Arc::new(Cli::new(tool, platform, &self.options)?)))
    }
}

/// Source: azure-identity 1.27.0, `_internal/utils.py` (`validate_subscription`). What starts like an option is refused besides.
fn check_subscription(subscription: &str) -> Result<()> {
    let is_good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b' ');
    let is_long = subscription.len() > SUBSCRIPTION_LIMIT;
    if !subscription.trim().is_empty()
        && !is_long
        && !subscription.starts_with('-')
        && subscription.bytes().all(is_good)
    {
        return Ok(());
    }
    Err(invalid(
        "the subscription is empty, too long, or has a character other than letters, digits, blanks and _ - . of ASCII; give its id, as `az account list` shows it",
    ))
}

/// The tool.
#[derive(Debug)]
struct AzureCli {
    subscription: Option<String>,
}

impl Tool for AzureCli {
    fn credential(&self) -> &'static str {
        NAME
    }

    fn name(&self) -> &'static str {
        "the Azure CLI (az)"
    }

    fn programs(&self) -> &'static [&'static str] {
        if cfg!(windows) { &["az.cmd", "az.exe", "az.bat"] } else { &["az"] }
    }

    fn how_to_install(&self) -> &'static str {
        "install it, https://aka.ms/azure-cli tells how, and sign in by `az login`"
    }

    fn files(&self, platform: &Platform) -> Vec<PathBuf> {
        let env = platform.env().as_ref();
        profile(env).map_or_else(Vec::new, |folder| FILES.iter().map(|file| folder.join(file)).collect())
    }

    fn check(&self, wanted: &Wanted<'_>) -> Result<()> {
        if let Some(claims) = wanted.claims {
            let login = format!("az login --claims-challenge {}", text::base64(claims.as_bytes()));
            let login = with_target(&login, wanted);
            let message = format!(
                "the resource wants more proof than the Azure CLI can give by itself; run `{login}` with Azure CLI 2.76 or later, and try again"
            );
            let step = format!("run `{login}`");
            return Err(unavailable(message).with_scopes(wanted.scopes, Some(claims)).with_steps(vec![step]));
        }
        find::scopes(wanted.scopes)?;
        check::resource(wanted.scopes)?;
        if self.subscription.is_some() && !wanted.tenant.is_empty() { Err(invalid(BOTH)) } else { Ok(()) }
    }

    fn command(&self, wanted: &Wanted<'_>) -> (Vec<String>, Vec<(&'static str, String)>) {
        let mut args: Vec<String> =
            ["account", "get-access-token", "--output", "json", "--resource"].map(str::to_owned).into();
        args.push(resource(wanted).to_owned());
        if !wanted.tenant.is_empty() {
            args.extend(["--tenant".to_owned(), wanted.tenant.to_owned()]);
        }
        if let Some(subscription) = &self.subscription {
            args.extend(["--subscription".to_owned(), subscription.clone()]);
        }
        (args, vec![("AZURE_CORE_NO_COLOR", "true".to_owned())])
    }

    fn by_hand(&self, wanted: &Wanted<'_>) -> String {
        let mut command = format!("az account get-access-token --resource {}", resource(wanted));
        if !wanted.tenant.is_empty() {
            command.extend([" --tenant ", wanted.tenant]);
        }
        if let Some(subscription) = &self.subscription {
            command.extend([" --subscription \"", subscription, "\""]);
        }
        command
    }

    fn read(&self, output: &Output, wanted: &Wanted<'_>, hidden: &[&str]) -> Result<Token, Failure> {
        if output.code() == Some(0) { Ok(token(output, hidden)?) } else { Err(self.failure(output, wanted, hidden)) }
    }
}

impl AzureCli {
    /// What a run that failed means: the first of these that fits.
    fn failure(&self, output: &Output, wanted: &Wanted<'_>, hidden: &[&str]) -> Failure {
        use ErrorKind::{AuthenticationFailed, AuthenticationRequired, CredentialUnavailable, Protocol, Transport};

        let stderr = said::text(output.stderr());
        let has = |marks: &[&str]| marks.iter().any(|mark| stderr.contains(mark));
        let (said, code) = (reason(&stderr), output.code());
        let told = Told { tool: self, code, said: &said, wanted, hidden, may_pass: has(&RACES) };
        if code == Some(127) || stderr.starts_with("'az' is not recognized") {
            let why = "a part of it is missing; install it again, https://aka.ms/azure-cli tells how";
            return told.means(CredentialUnavailable, why);
        }
        if let Some(failure) = told.usual(&with_target("az login", wanted)) {
            return failure;
        }
        if has(&["ERROR: None"]) {
            // 2026-11, az 2.91: this is all that it says of HTTP 429.
            let why = "Entra ID refused without a reason, as it does when it is asked too often; try again later";
            return told.means(Transport, why);
        }
        if said.contains("Subscription '") {
            let why = "it knows no such subscription; `az account list --all` shows those it knows, and `az login` brings new ones";
            return told.means(AuthenticationFailed, why);
        }
        if has(&INTERACTION) {
            let why = format!("the person has to sign in again; run `{}`", with_target("az login", wanted));
            return told.means(AuthenticationRequired, &why);
        }
        if has(&["az login"]) {
            return told.means_signed_out(&format!("nobody is signed in to {}; run `{}`", self.name(), login(wanted)));
        }
        if has(&["az account set"]) {
            let message =
                format!("{} has no subscription chosen; run `az account set --subscription NAME`", self.name());
            return told.means_signed_out(&message);
        }
        if has(&["CERTIFICATE_VERIFY_FAILED", "SSLError"]) {
            let why = "it does not trust the certificate that it was shown; if a proxy opens TLS here, name the file with its CA in REQUESTS_CA_BUNDLE";
            return told.means(Transport, why);
        }
        if has(&UNREACHABLE) {
            return told.means(Transport, "it cannot reach Entra ID; check network and proxy");
        }
        if has(&["Unable to get authority configuration for"]) {
            let why = "the tenant does not exist, or not in this cloud; check the tenant id";
            return told.means(AuthenticationFailed, why);
        }
        if told.may_pass {
            let why = "another `az` was writing the files that it reads, or Entra ID sent it away; try again, and if it stays so, see who owns its files, and run `az account clear` and `az login`";
            return told.means(Transport, why);
        }
        if has(&["unrecognized arguments"]) {
            return told.means(Protocol, "it is too old for what it was asked; run `az upgrade`");
        }
        told.means(AuthenticationFailed, &format!("run `{}` to see more", self.by_hand(wanted)))
    }
}

/// How to sign in, to the tenant if one is wanted.
fn login(wanted: &Wanted<'_>) -> String {
    let tenant = if wanted.tenant.is_empty() { String::new() } else { format!(" --tenant {}", wanted.tenant) };
    format!("az login{tenant}")
}

/// A command of a sign-in with what it is for.
fn with_target(command: &str, wanted: &Wanted<'_>) -> String {
    let mut command = command.to_owned();
    if !wanted.tenant.is_empty() {
        command.extend([" --tenant ", wanted.tenant]);
    }
    // It is meant to be copied into a shell.
    if let Some(scope) = wanted.scopes.first().filter(|scope| find::scopes(&[scope]).is_ok()) {
        command.extend([" --scope ", scope]);
    }
    command
}

/// The resource of the only scope, which was checked.
fn resource<'a>(wanted: &Wanted<'a>) -> &'a str {
    check::resource(wanted.scopes).unwrap_or_default()
}

/// Reads the token that was printed.
fn token(output: &Output, hidden: &[&str]) -> Result<Token> {
    let stdout = Secret::new(said::text(output.stdout()));
    let body = said::object(stdout.expose()).unwrap_or_default();
    let Body::Object(fields) = Body::parse(&NAMES, body.as_bytes(), false) else {
        return Err(unexpected("it is no JSON object", stdout.expose(), hidden));
    };
    let Ok(Some(secret)) = fields.string("accessToken") else {
        return Err(unexpected("there is no accessToken", stdout.expose(), hidden));
    };
    let secret = Secret::new(secret);
    if fields.text("tokenType").ok().flatten().is_some_and(|kind| !kind.eq_ignore_ascii_case("bearer")) {
        return Err(unexpected("the tokenType is not Bearer, which was asked for", stdout.expose(), hidden));
    }
    // `expiresOn` is the time of day here, which two hours a year do not tell apart.
    match fields.text("expires_on").ok().flatten().as_deref().and_then(parse_seconds) {
        Some(expires_on) => Ok(Token { secret, expires_on }),
        None => Err(protocol(
            "the Azure CLI (az) does not say when its token expires, but by the time of day of this place; update it to 2.54.0 or later by `az upgrade`",
        )),
    }
}

fn unexpected(why: &str, stdout: &str, hidden: &[&str]) -> Error {
    protocol(format!(
        "the Azure CLI (az) printed something unexpected: {why}; run `az upgrade`, and check what other `az` the PATH may name{}",
        said::printed(stdout, hidden)
    ))
}

/// The lines that matter of what it says on its error output.
fn reason(stderr: &str) -> String {
    let is_noise = |line: &&str| line.is_empty() || TRIMMINGS.iter().any(|noise| line.contains(noise));
    let lines = || stderr.lines().map(str::trim_end).filter(|line| !is_noise(line));
    let errors: Vec<&str> = lines().filter_map(|line| line.strip_prefix("ERROR: ")).collect();
    if errors.is_empty() { lines().next_back().unwrap_or_default().to_owned() } else { errors.join(" ") }
}

/// The folder with the state of the Azure CLI.
pub(crate) fn profile(env: &dyn identity_core::Env) -> Option<PathBuf> {
    find::directory(env, "AZURE_CONFIG_DIR").or_else(|| Some(find::home(env)?.join(".azure")))
}

const NAMES: [&str; 4] = ["accessToken", "expiresOn", "expires_on", "tokenType"];

/// What changes on `az login`, `logout`, `account set` and `cloud set`, and not when a token is asked for.
///
/// Source: az 2.91.0, watched while it did each of these.
const FILES: [&str; 3] = [PROFILE, "clouds.config", "config"];
/// Who is signed in.
pub(crate) const PROFILE: &str = "azureProfile.json";

/// What it dies with when another `az` writes the files that it reads, or holds their locks.
///
/// Source: az 2.91.0 with files that were cut; <https://github.com/Azure/azure-cli/issues/30046>, 20749, 20273, 25485, 33746.
const RACES: [&str; 8] = [
    "does not exist in MSAL token cache",
    "ERROR: Could not retrieve credential from local cache",
    "JSONDecodeError",
    "JSON is invalid",
    ".lockfile",
    "portalocker",
    "Resource temporarily unavailable",
    "azureProfile.json. It will be overridden",
];

/// What it says when the broker of Windows, or its own library, wants the person, and names no code of Entra ID's.
///
/// Source: <https://github.com/Azure/azure-cli/issues/29881>.
const INTERACTION: [&str; 3] = ["Response_Status.Status_", "explicitly log in", "Interactive authentication is needed"];

/// What its HTTP library says when there is no connection. Source: requests 2.32 and urllib3 2.5, as az 2.91.0 shows them.
const UNREACHABLE: [&str; 4] = ["Max retries exceeded", "ConnectionError", "NewConnectionError", "Read timed out"];

/// Lines that say nothing.
const TRIMMINGS: [&str; 4] = [
    "The command failed with an unexpected error",
    "To check existing issues, please visit",
    "Run the command below to authenticate interactively",
    "Read more about the command in reference docs",
];

const BOTH: &str =
    "a subscription and a tenant were given; `az` takes one of them, and a subscription has its own tenant";
/// Azure's names of subscriptions have 64 characters. Source: <https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules>.
const SUBSCRIPTION_LIMIT: usize = 128;
/// The credential's name in logs, errors and tokens.
const NAME: &str = "AzureCliCredential";
