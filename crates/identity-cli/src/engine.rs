//! From "a token is wanted" to a run of a tool, and what its end means.

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use identity_cache::{Ask, Fetch, Fetched, Lookup, TokenCache};
use identity_core::{
    AccessToken, BoxFuture, CallContext, Error, ErrorKind, Platform, Result, Secret, TokenFuture, TokenRequestOptions,
    check, expiry,
    process::{Command, Output, ProcessError, Processes},
    retry::jitter,
    text,
};
use identity_oauth::{Tenants, advice, needs_person};
use tracing::debug;

use crate::{
    find,
    options::{Options, invalid},
    said,
};

/// What one tool is like.
pub(crate) trait Tool: fmt::Debug + Send + Sync + 'static {
    /// The credential's name.
    fn credential(&self) -> &'static str;

    /// What people call the tool.
    fn name(&self) -> &'static str;

    /// Its programs, the best first.
    fn programs(&self) -> &'static [&'static str];

    /// What to do where none of them is.
    fn how_to_install(&self) -> &'static str;

    /// The files that change when somebody else signs in.
    fn files(&self, platform: &Platform) -> Vec<PathBuf>;

    /// Judges what is wanted before anything is started.
    fn check(&self, wanted: &Wanted<'_>) -> Result<()>;

    /// The arguments, and the variables that it gets besides.
    fn command(&self, wanted: &Wanted<'_>) -> (Vec<String>, Vec<(&'static str, String)>);

    /// What a person types to see what the tool does.
    fn by_hand(&self, wanted: &Wanted<'_>) -> String;

    /// What the end of a run means.
    fn read(&self, output: &Output, wanted: &Wanted<'_>, hidden: &[&str]) -> Result<Token, Failure>;
}

/// What is wanted of a tool.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) scopes: &'a [&'a str],
    /// Empty for the one that the tool is signed in to.
    pub(crate) tenant: &'a str,
    pub(crate) claims: Option<&'a str>,
}

/// A token as a tool printed it.
pub(crate) struct Token {
    pub(crate) secret: Secret,
    /// In seconds since the Unix epoch.
    pub(crate) expires_on: i64,
}

/// Why a run brought no token.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) error: Error,
    /// Whether another run may do better: the tool came in its own way.
    pub(crate) may_pass: bool,
}

/// A run that failed, and what the tool says about it.
pub(crate) struct Told<'a> {
    pub(crate) tool: &'a dyn Tool,
    pub(crate) code: Option<i32>,
    pub(crate) said: &'a str,
    pub(crate) wanted: &'a Wanted<'a>,
    pub(crate) hidden: &'a [&'a str],
    pub(crate) may_pass: bool,
}

impl Told<'_> {
    /// What it means for every tool: that it was killed, or what Entra ID says. `login` is how a person signs in again for
    /// just what is wanted.
    pub(crate) fn usual(&self, login: &str) -> Option<Failure> {
        if self.code.is_none() {
            return Some(self.means(ErrorKind::Transport, "it was killed; try again"));
        }
        let codes = text::entra_codes(self.said);
        // Of a person's refresh token, this one says that it is too old.
        let is_for_person = needs_person(&codes) || codes.contains(&70_008);
        match codes.as_slice() {
            [] => None,
            // The service has trouble, or is asked too often.
            [code @ (90_012 | 90_033 | 90_055), ..] => {
                Some(self.means(ErrorKind::Transport, advice(&[*code]).unwrap_or("try again later")))
            }
            _ if is_for_person => {
                let advice = advice(&codes).unwrap_or("the person has to sign in again");
                Some(self.means(ErrorKind::AuthenticationRequired, &format!("{advice}; run `{login}`")))
            }
            _ => {
                let advice = advice(&codes).unwrap_or("Entra ID refuses the request");
                Some(self.means(ErrorKind::AuthenticationFailed, advice))
            }
        }
    }

    /// It means this, and `why` says what to do.
    pub(crate) fn means(&self, kind: ErrorKind, why: &str) -> Failure {
        let mut message = self.tool.name().to_owned();
        match self.code {
            Some(0) => message.extend([" cannot be used: ", why]),
            Some(code) => message.push_str(&format!(" failed with exit code {code}: {why}")),
            None => message.extend([" failed: ", why]),
        }
        let shown = said::shown(self.said, self.hidden);
        if !shown.is_empty() {
            message.extend(["; it said: ", &shown]);
        }
        let mut error = Error::new(kind, message).with_entra_codes(text::entra_codes(self.said));
        if kind == ErrorKind::AuthenticationRequired || self.wanted.claims.is_some() {
            error = error.with_scopes(self.wanted.scopes, self.wanted.claims);
        }
        // The tool is there: what it lacks is nearer than what is not here at all.
        let step = match kind {
            ErrorKind::AuthenticationRequired => last_step(why),
            _ => [self.tool.name(), ": ", &last_step(why)].concat(),
        };
        error = error.with_steps(vec![step]);
        Failure { error, may_pass: self.may_pass }
    }

    /// It means that nobody is signed in, as `message` says, or not for anything in particular.
    pub(crate) fn means_signed_out(&self, message: &str) -> Failure {
        let said = SignedOut(said::shown(self.said, self.hidden));
        let error =
            Error::new(ErrorKind::AuthenticationFailed, message).with_steps(vec![last_step(message)]).with_source(said);
        Failure { error, may_pass: self.may_pass }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { error, may_pass: false }
    }
}

/// A tool and what is remembered of it.
pub(crate) struct Cli {
    cache: Option<TokenCache>,
    runner: Arc<Runner>,
}

impl Cli {
    pub(crate) fn new(tool: Arc<dyn Tool>, platform: &Platform, options: &Options) -> Result<Self> {
        let processes = platform.processes().ok_or_else(|| {
            invalid(
                "this platform runs no programs; turn on the feature `process` of identity-tokio, or give it processes",
            )
        })?;
        let runner = Arc::new(Runner {
            files: tool.files(platform),
            tool,
            tenants: options.tenants(platform.env().as_ref())?,
            timeout: options.timeout()?,
            processes: Arc::clone(processes),
            platform: platform.clone(),
        });
        let fetch = || Arc::clone(&runner) as Arc<dyn Fetch>;
        let cache = options.cache()?.map(|cache| TokenCache::new(platform, fetch(), cache));
        Ok(Self { cache, runner })
    }

    #[inline]
    pub(crate) fn get<'a>(
        &'a self,
        scopes: &'a [&'a str],
        options: Option<&'a TokenRequestOptions>,
    ) -> TokenFuture<'a> {
        match (options, &self.cache) {
            (None, Some(cache)) => cache.get(scopes, "", "", None),
            _ => self.get_with(scopes, options),
        }
    }

    /// With options, or without a cache.
    #[inline(never)]
    fn get_with<'a>(&'a self, scopes: &'a [&'a str], options: Option<&'a TokenRequestOptions>) -> TokenFuture<'a> {
        let requested = options.and_then(TokenRequestOptions::tenant_id);
        let tenant = match requested.map_or(Ok(""), |requested| self.runner.tenants.resolve(requested)) {
            Ok(tenant) => tenant,
            Err(error) => return TokenFuture::ready(Err(error.with_credential(self.runner.name()))),
        };
        let future = match &self.cache {
            Some(cache) => cache.get_for(scopes, tenant, "", None, options),
            None => self.run(scopes, tenant, options),
        };
        // What is remembered of a failure is what it is; what it means depends on who asks.
        match options.map_or(CallContext::Alone, TokenRequestOptions::context) {
            CallContext::Alone => future,
            context => match future.try_ready() {
                Ok(result) => TokenFuture::ready(result.map_err(|error| in_context(error, context))),
                Err(future) => {
                    TokenFuture::pending(async move { future.await.map_err(|error| in_context(error, context)) })
                }
            },
        }
    }

    /// A token that nobody remembers.
    #[cold]
    fn run<'a>(
        &'a self,
        scopes: &'a [&'a str],
        tenant: &'a str,
        options: Option<&'a TokenRequestOptions>,
    ) -> TokenFuture<'a> {
        let name = self.runner.name();
        TokenFuture::pending(async move {
            let claims = options.and_then(TokenRequestOptions::claims);
            let fetched = self.runner.token(Wanted { scopes, tenant, claims }).await;
            let fetched = fetched.map_err(|error| error.with_credential(name))?;
            let expires_on = fetched.sent_at.plus(fetched.life).wall;
            Ok(AccessToken::new(fetched.secret.expose(), expires_on).with_credential(name, ""))
        })
    }
}

impl fmt::Debug for Cli {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct(self.runner.name())
            .field("tenant_id", &self.runner.tenants.own())
            .field("tool", &self.runner.tool)
            .field("process_timeout", &self.runner.timeout)
            .field("cache", &self.cache.is_some())
            .finish()
    }
}

/// Runs a tool.
struct Runner {
    tool: Arc<dyn Tool>,
    tenants: Tenants,
    timeout: Duration,
    files: Vec<PathBuf>,
    processes: Arc<dyn Processes>,
    platform: Platform,
}

impl Runner {
    fn wanted<'a>(&'a self, scopes: &'a [&'a str], tenant: &'a str, claims: Option<&'a str>) -> Wanted<'a> {
        let tenant = if tenant.is_empty() { self.tenants.own() } else { tenant };
        Wanted { scopes, tenant, claims }
    }

    fn judge(&self, wanted: &Wanted<'_>) -> Result<()> {
        if let Some(claims) = wanted.claims {
            check::claims(claims)?;
            // Nobody is told to sign in again to what is not there.
            self.program()?;
        }
        self.tool.check(wanted)
    }

    fn program(&self) -> Result<PathBuf> {
        let tool = self.tool.as_ref();
        let found = find::program(self.platform.env().as_ref(), self.processes.as_ref(), tool.programs());
        found.ok_or_else(|| unavailable(format!("{} is not on the PATH; {}", tool.name(), tool.how_to_install())))
    }

    /// A token by one run, or by two if the first came in its own way.
    async fn token(&self, wanted: Wanted<'_>) -> Result<Fetched> {
        let wanted = self.wanted(wanted.scopes, wanted.tenant, wanted.claims);
        self.judge(&wanted)?;
        let result = match self.attempt(&wanted).await {
            Err(failure) if failure.may_pass => {
                debug!(credential = self.name(), error = %failure.error, "the tool is run once more");
                let pause = PAUSE + jitter(self.platform.random().as_ref(), PAUSE * 4);
                self.platform.clock().sleep(pause).await;
                self.attempt(&wanted).await
            }
            other => other,
        };
        result.map_err(|failure| failure.error)
    }

    async fn attempt(&self, wanted: &Wanted<'_>) -> Result<Fetched, Failure> {
        let env = self.platform.env().as_ref();
        let tool = self.tool.as_ref();
        if self.platform.runtime().current().is_none() {
            return Err(invalid("there is no tokio runtime to run a tool in; call this from inside a runtime").into());
        }
        let program = self.program()?;
        let (args, variables) = tool.command(wanted);
        let directory = find::working_directory(env)?;
        debug!(credential = self.name(), program = %program.display(), ?args, "a tool is run");
        let shown = program.display().to_string();
        let command = Command { program, args, variables, hidden: &SECRETS, directory, timeout: self.timeout };
        let sent_at = self.platform.clock().now();
        let output = self.processes.run(command).await.map_err(|error| self.no_output(error, &shown, wanted))?;
        let secrets: Vec<Secret> =
            SECRETS.iter().filter_map(|name| env.text(name).ok().flatten()).map(Secret::new).collect();
        let hidden: Vec<&str> = secrets.iter().map(Secret::expose).collect();
        debug!(credential = self.name(), code = output.code(), "the tool has ended");
        let Token { secret, expires_on } = tool.read(&output, wanted, &hidden)?;
        if !check::is_token(secret.expose()) {
            return Err(protocol(format!("{} printed a token that is none", tool.name())).into());
        }
        let life = expiry::life(None, Some(expires_on), None, sent_at.wall).ok_or_else(|| {
            protocol(format!(
                "{} printed a token that has expired already; compare this machine's clock with the right time",
                tool.name()
            ))
        })?;
        Ok(Fetched { secret, life, refresh_in: None, sent_at, origin: "" })
    }

    /// What it means that there is no whole output.
    fn no_output(&self, error: ProcessError, program: &str, wanted: &Wanted<'_>) -> Error {
        let (name, by_hand) = (self.tool.name(), self.tool.by_hand(wanted));
        let (kind, message) = match &error {
            ProcessError::NotStarted(cause) if cause.kind() == std::io::ErrorKind::InvalidInput => {
                (ErrorKind::InvalidArgument, format!("{program} cannot be given these arguments"))
            }
            ProcessError::NotStarted(_) => (
                ErrorKind::CredentialUnavailable,
                format!(
                    "{program} is there and cannot be started; run `{by_hand}` to see why, and install {name} again"
                ),
            ),
            ProcessError::TimedOut => (
                ErrorKind::Transport,
                format!(
                    "{name} was not done within {:?} and was ended; run `{by_hand}` to see what it waits for, or give it more time by process_timeout",
                    self.timeout
                ),
            ),
            ProcessError::TooMuch(_) => (
                ErrorKind::Protocol,
                format!("{name} wrote more than any answer has and was ended; run `{by_hand}` to see what it says"),
            ),
            _ => {
                (ErrorKind::Transport, format!("{name} was lost while it ran; run `{by_hand}` to see whether it works"))
            }
        };
        let step = last_step(&message);
        Error::new(kind, message).with_steps(vec![step]).with_source(error)
    }
}

impl fmt::Debug for Runner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.tool.fmt(f)
    }
}

impl Fetch for Runner {
    fn name(&self) -> &'static str {
        self.tool.credential()
    }

    /// A tool that is not there is looked for each time, so that it is found when it is installed.
    fn check(&self, lookup: &Lookup<'_>) -> Result<()> {
        self.judge(&self.wanted(lookup.scopes, lookup.tenant, lookup.claims))?;
        self.program().map(|_| ())
    }

    /// A run has a time of its own; most of this is the wait for a turn, of thousands of scopes say.
    fn limit(&self) -> Duration {
        QUEUE_LIMIT
    }

    fn generation(&self) -> u64 {
        find::stamps(self.processes.as_ref(), &self.files)
    }

    fn recheck(&self) -> Option<Duration> {
        Some(RECHECK)
    }

    fn fetch(self: Arc<Self>, ask: Ask) -> BoxFuture<'static, Result<Fetched>> {
        Box::pin(async move {
            let scopes: Vec<&str> = ask.scopes.iter().map(String::as_str).collect();
            let wanted = Wanted { scopes: &scopes, tenant: &ask.tenant, claims: ask.claims.as_deref() };
            self.token(wanted).await
        })
    }
}

/// What a failure is for a caller: a chain goes on where nobody is signed in, and the default chain whatever has befallen a
/// tool, for it is there on every developer's machine, whether it is meant or not.
fn in_context(error: Error, context: CallContext) -> Error {
    let is_signed_out = || std::error::Error::source(&error).is_some_and(|source| source.is::<SignedOut>());
    let goes_on = match context {
        CallContext::Alone => false,
        CallContext::DefaultChain => error.kind() != ErrorKind::InvalidArgument,
        _ => is_signed_out(),
    };
    if goes_on && !error.is_unavailable() { error.with_kind(ErrorKind::CredentialUnavailable) } else { error }
}

/// What to do, which is how our messages end.
fn last_step(message: &str) -> String {
    message.rsplit_once("; ").map_or(message, |(_, step)| step).to_owned()
}

/// Nobody is signed in; what the tool says of it.
#[derive(Debug)]
struct SignedOut(String);

impl fmt::Display for SignedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for SignedOut {}

#[cold]
pub(crate) fn unavailable(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::CredentialUnavailable, message)
}

#[cold]
pub(crate) fn protocol(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Protocol, message)
}

/// Variables of this process that hold secrets, of which no tool reads any.
const SECRETS: [&str; 3] = ["AZURE_CLIENT_SECRET", "AZURE_CLIENT_CERTIFICATE_PASSWORD", "AZURE_PASSWORD"];
/// Before a second run, and up to five times as long.
///
/// Source: our choice; a tool that writes its cache is done in less.
const PAUSE: Duration = Duration::from_millis(100);
/// How long a request may wait for its turn. Source: our choice; a thousand runs of `az`, four at a time, take 125 s.
const QUEUE_LIMIT: Duration = Duration::from_secs(900);
/// How soon it is noticed that somebody else has signed in. Source: our choice.
const RECHECK: Duration = Duration::from_secs(1);
