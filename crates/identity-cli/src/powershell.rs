use std::{fmt, path::PathBuf, sync::Arc};

use identity_core::{
    ErrorKind, Platform, Result, Secret, TokenCredential, TokenFuture, TokenRequestOptions, check, date::parse_seconds,
    process::Output, text,
};

use crate::{
    clixml,
    engine::{Cli, Failure, Token, Told, Tool, Wanted, protocol, unavailable},
    find,
    options::{Options, options},
    said,
};

/// Gets tokens of whoever is signed in to Azure PowerShell (`Connect-AzAccount`), a person or an application.
///
/// Runs `pwsh`, on Windows else `powershell`, with a script that is always the same, and that calls `Get-AzAccessToken`; no
/// profile is loaded. Clones share one cache; see the [crate's documentation](crate) for how programs are found, run and
/// ended, and how another sign-in is noticed. For development: a service should have an identity of its own.
///
/// Needs the module Az.Accounts 2.2.0 or later, and that contexts are saved (`Enable-AzContextAutosave`, the default).
#[derive(Clone)]
pub struct AzurePowerShellCredential(Arc<Cli>);

impl AzurePowerShellCredential {
    /// Starts a credential for the account that Azure PowerShell is signed in to.
    #[must_use]
    pub fn builder() -> AzurePowerShellCredentialBuilder {
        AzurePowerShellCredentialBuilder::default()
    }
}

impl TokenCredential for AzurePowerShellCredential {
    /// Gets a token for the resource of the one scope that is given.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::InvalidArgument`] for none or several scopes, one with other characters than letters, digits and
    ///   `_-.:/`, claims or a tenant that are none, a tenant that is not allowed, and outside a runtime. Nothing was started.
    /// - [`ErrorKind::CredentialUnavailable`] if PowerShell is not on the `PATH` or cannot be started, the module is missing, a
    ///   policy of the machine forbids the script, or it fails for a reason that is not known; and for claims: the message
    ///   says which `Connect-AzAccount` answers them. In a chain of credentials also if nobody is signed in, and in
    ///   `DefaultAzureCredential` for all that follows.
    /// - [`ErrorKind::AuthenticationRequired`] if Entra ID wants more of the person who is signed in.
    /// - [`ErrorKind::AuthenticationFailed`] if nobody is signed in, or Entra ID refuses.
    /// - [`ErrorKind::Transport`] if PowerShell was not done in time or was killed.
    /// - [`ErrorKind::Protocol`] if what it prints is no token, or more than 1 MiB.
    fn get_token<'a>(&'a self, scopes: &'a [&'a str], options: Option<&'a TokenRequestOptions>) -> TokenFuture<'a> {
        self.0.get(scopes, options)
    }

    fn name(&self) -> &'static str {
        NAME
    }
}

impl fmt::Debug for AzurePowerShellCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Builds an [`AzurePowerShellCredential`].
#[derive(Clone, Debug, Default)]
pub struct AzurePowerShellCredentialBuilder {
    options: Options,
}

impl AzurePowerShellCredentialBuilder {
    options!();

    /// Builds the credential for this process: its variables and programs, time and tasks by tokio.
    ///
    /// # Errors
    ///
    /// As [`build_with`](Self::build_with).
    #[cfg(feature = "tokio")]
    pub fn build(self) -> Result<AzurePowerShellCredential> {
        self.build_with(&identity_tokio::platform())
    }

    /// Builds the credential for `platform`. Reads variables; starts nothing.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidArgument`] for a tenant that is none, a process timeout of nothing or more than 90 seconds, a failure
    /// memory of more than 60 seconds, a variable that is malformed, and if the platform runs no programs.
    pub fn build_with(self, platform: &Platform) -> Result<AzurePowerShellCredential> {
        let cli = Cli::new(Arc::new(AzurePowerShell), platform, &self.options);
        Ok(AzurePowerShellCredential(Arc::new(cli.map_err(|error| error.with_credential(NAME))?)))
    }
}

/// The tool.
#[derive(Debug)]
struct AzurePowerShell;

impl Tool for AzurePowerShell {
    fn credential(&self) -> &'static str {
        NAME
    }

    fn name(&self) -> &'static str {
        "Azure PowerShell"
    }

    fn programs(&self) -> &'static [&'static str] {
        if cfg!(windows) { &["pwsh.exe", "powershell.exe"] } else { &["pwsh"] }
    }

    fn how_to_install(&self) -> &'static str {
        "install PowerShell and the module Az.Accounts, https://aka.ms/azps tells how, and sign in by `Connect-AzAccount`"
    }

    fn files(&self, platform: &Platform) -> Vec<PathBuf> {
        let home = find::home(platform.env().as_ref());
        home.map_or_else(Vec::new, |home| FILES.iter().map(|file| home.join(FOLDER).join(file)).collect())
    }

    fn check(&self, wanted: &Wanted<'_>) -> Result<()> {
        if let Some(claims) = wanted.claims {
            let mut login = format!("Connect-AzAccount -ClaimsChallenge {}", text::base64(claims.as_bytes()));
            add_tenant(&mut login, wanted);
            let message = format!(
                "the resource wants more proof than Azure PowerShell can give by itself; run `{login}` with Az.Accounts 5.2.0 or later, and try again"
            );
            let step = format!("run `{login}`");
            return Err(unavailable(message).with_scopes(wanted.scopes, Some(claims)).with_steps(vec![step]));
        }
        find::scopes(wanted.scopes)?;
        check::resource(wanted.scopes).map(|_| ())
    }

    fn command(&self, wanted: &Wanted<'_>) -> (Vec<String>, Vec<(&'static str, String)>) {
        let script: Vec<u8> = SCRIPT.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let mut args: Vec<String> =
            ["-NoProfile", "-NonInteractive", "-OutputFormat", "Text", "-EncodedCommand"].map(str::to_owned).into();
        args.push(text::base64(&script));
        let variables = vec![
            ("NO_COLOR", "true".to_owned()),
            (RESOURCE, resource(wanted).to_owned()),
            (TENANT, wanted.tenant.to_owned()),
        ];
        (args, variables)
    }

    fn by_hand(&self, wanted: &Wanted<'_>) -> String {
        let tenant = if wanted.tenant.is_empty() { String::new() } else { format!(" -TenantId {}", wanted.tenant) };
        format!("Get-AzAccessToken -ResourceUrl {}{tenant}", resource(wanted))
    }

    fn read(&self, output: &Output, wanted: &Wanted<'_>, hidden: &[&str]) -> Result<Token, Failure> {
        let stdout = Secret::new(said::text(output.stdout()));
        if let Some((_, why)) = stdout.expose().split_once(NO_MODULE) {
            return Err(self.no_module(output, why, wanted, hidden));
        }
        if output.code() == Some(0) {
            return Ok(token(stdout.expose(), hidden)?);
        }
        Err(self.failure(output, stdout.expose(), wanted, hidden))
    }
}

impl AzurePowerShell {
    /// What it means that the module cannot be loaded, which the script says together with the reason.
    fn no_module(&self, output: &Output, why: &str, wanted: &Wanted<'_>, hidden: &[&str]) -> Failure {
        let words = clixml::words(why);
        let said = clixml::gist(&words);
        let told = Told { tool: self, code: output.code(), said, wanted, hidden, may_pass: false };
        let has = |marks: &[&str]| marks.iter().any(|mark| words.contains(mark));
        if has(&FORBIDDEN) {
            return told.means(ErrorKind::CredentialUnavailable, FORBIDDEN_WHY);
        }
        let why = "it has no module Az.Accounts of version 2.2.0 or later that can be loaded; run `Install-Module Az.Accounts` in PowerShell, and sign in by `Connect-AzAccount`";
        told.means(ErrorKind::CredentialUnavailable, why)
    }

    /// What a run that failed means: the first of these that fits.
    fn failure(&self, output: &Output, stdout: &str, wanted: &Wanted<'_>, hidden: &[&str]) -> Failure {
        use ErrorKind::{AuthenticationRequired, CredentialUnavailable};

        let words = clixml::words(&said::text(output.stderr()));
        let has = |marks: &[&str]| marks.iter().any(|mark| words.contains(mark) || stdout.contains(mark));
        let code = output.code();
        let told = Told { tool: self, code, said: clixml::gist(&words), wanted, hidden, may_pass: has(&RACES) };
        let mut login = "Connect-AzAccount".to_owned();
        add_tenant(&mut login, wanted);
        let again = format!("{login} -AuthScope {}", resource(wanted));
        let is_missing = ["'pwsh' is not recognized", "'powershell' is not recognized"];
        if matches!(code, Some(127 | 9009)) || is_missing.iter().any(|mark| words.starts_with(mark)) {
            let why = "a part of it is missing; install it again, https://aka.ms/powershell tells how";
            return told.means(CredentialUnavailable, why);
        }
        if let Some(failure) = told.usual(&again) {
            return failure;
        }
        if has(&["User interaction is required", "-ClaimsChallenge"]) {
            let why = format!("more proof is needed from the person who signs in; run `{again}`");
            return told.means(AuthenticationRequired, &why);
        }
        if has(&SIGNED_OUT) {
            return told.means_signed_out(&format!("nobody is signed in to {}; run `{login}`", self.name()));
        }
        if told.may_pass {
            return told
                .means(CredentialUnavailable, "another PowerShell was using the files that it needs; try again");
        }
        if has(&FORBIDDEN) {
            return told.means(CredentialUnavailable, FORBIDDEN_WHY);
        }
        if has(&["language mode", "ConstrainedLanguage"]) {
            let why = "a policy of this machine constrains its language too much; use another credential here";
            return told.means(CredentialUnavailable, why);
        }
        if has(&BROKEN) {
            let why =
                "its module Az.Accounts is too old for it or broken; run `Update-Module Az.Accounts` in PowerShell";
            return told.means(CredentialUnavailable, why);
        }
        told.means(CredentialUnavailable, &format!("run `{}` in PowerShell to see more", self.by_hand(wanted)))
    }
}

fn add_tenant(login: &mut String, wanted: &Wanted<'_>) {
    if !wanted.tenant.is_empty() {
        login.extend([" -Tenant ", wanted.tenant]);
    }
}

/// The resource of the only scope, which was checked.
fn resource<'a>(wanted: &Wanted<'a>) -> &'a str {
    check::resource(wanted.scopes).unwrap_or_default()
}

/// Reads the one line that the script prints, among others that modules may print.
fn token(stdout: &str, hidden: &[&str]) -> Result<Token> {
    let parts =
        stdout.split_whitespace().find_map(|word| word.strip_prefix(said::LINE)).and_then(|rest| rest.split_once('%'));
    let Some((secret, expires_on)) = parts else {
        return Err(protocol(format!(
            "Azure PowerShell printed something unexpected: there is no token{}",
            said::printed(stdout, hidden)
        )));
    };
    if secret == "System.Security.SecureString" {
        return Err(protocol(
            "Azure PowerShell printed the name of a token's type in place of the token; update the module Az.Accounts",
        ));
    }
    // Where it does not know, the year is 1.
    match parse_seconds(expires_on).filter(|expires_on| *expires_on > 0) {
        Some(expires_on) => Ok(Token { secret: Secret::new(secret), expires_on }),
        None => Err(protocol("Azure PowerShell does not say when its token expires; update the module Az.Accounts")),
    }
}

/// What is run. The names are those that the JavaScript library passes them by.
const SCRIPT: &str = include_str!("token.ps1");
/// Source: @azure/identity 4.14.1, `azurePowerShellCredential.ts`.
const RESOURCE: &str = "AZURE_IDENTITY_POWERSHELL_RESOURCE";
const TENANT: &str = "AZURE_IDENTITY_POWERSHELL_TENANT_ID";
/// What the script prints if there is no module.
const NO_MODULE: &str = "NO_AZ_ACCOUNT_MODULE";

/// Where contexts are saved, in the home directory.
const FOLDER: &str = ".Azure";
/// What changes when somebody else signs in, or another context is chosen.
///
/// Source: Azure/azure-powershell, `AzureSessionInitializer.cs`.
const FILES: [&str; 2] = ["AzureRmContext.json", "AzureRmContextSettings.json"];

/// What it says when nobody is signed in, or what it knew of the sign-in is lost.
///
/// Source: Azure/azure-powershell, `Resources.resx`, and Azure.Identity 1.15 (.NET).
const SIGNED_OUT: [&str; 7] = [
    "Run Connect-AzAccount to login",
    "No accounts were found in the cache",
    "No account matching the specified username",
    "Cannot retrieve access token",
    "The access token expiry UTC time",
    "Token acquisition failed for user",
    "Your Azure credentials have not been set up or have expired",
];

/// What it says when the module cannot be loaded, or has no such command.
const BROKEN: [&str; 4] = [
    "'Get-AzAccessToken' is not recognized",
    "The specified module 'Az.Accounts'",
    "Could not load file or assembly",
    "Assembly with same name is already loaded",
];

/// What it says when an execution policy is in the way, in two editions.
const FORBIDDEN: [&str; 3] =
    ["AuthorizationManager check failed", "running scripts is disabled on this system", "PSSecurityException"];

const FORBIDDEN_WHY: &str = "a policy of this machine forbids it to load the module; see `Get-ExecutionPolicy -List`, and allow signed scripts by `Set-ExecutionPolicy RemoteSigned -Scope CurrentUser` if that may be";

/// What it dies with when another PowerShell writes the files that it reads.
///
/// Source: <https://github.com/Azure/azure-powershell/issues/11125>, 19624, 25701.
const RACES: [&str; 3] =
    ["Could not acquire access to file", "because it is being used by another process", "AzurePowerShellConfigInit"];

/// The credential's name in logs, errors and tokens.
const NAME: &str = "AzurePowerShellCredential";
