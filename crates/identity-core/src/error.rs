use std::{
    error::Error as StdError,
    fmt::{self, Write as _},
    sync::Arc,
    time::Duration,
};

/// Why there is no token.
///
/// One pointer wide and cheap to clone: one failure is handed to every caller that waited for it. Decide by
/// [`kind`](Self::kind) and the accessors; the message is for people and may change in any release. `Display` prints
/// this level only, the cause is in [`source`](StdError::source).
#[derive(Clone)]
pub struct Error(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    message: String,
    credential: &'static str,
    http_status: Option<u16>,
    entra_codes: Vec<u32>,
    correlation_id: Option<String>,
    trace_id: Option<String>,
    retry_after: Option<Duration>,
    scopes: Vec<String>,
    claims: Option<String>,
    attempts: Vec<Error>,
    steps: Vec<String>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

/// A place in the page on troubleshooting. Here alone is said where that page is.
macro_rules! page {
    ($anchor:literal) => {
        concat!("docs/TROUBLESHOOTING.md#", $anchor)
    };
}

/// What a caller can do about an [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The caller or the configuration is wrong. Nothing was sent; trying again will not help.
    InvalidArgument,
    /// This credential has nothing to work with here, say no managed identity or no tool. A chain tries the next one.
    CredentialUnavailable,
    /// A person must sign in or answer a challenge; [`Error::scopes`] and [`Error::claims`] say for what.
    /// A chain tries the next one.
    AuthenticationRequired,
    /// The service understood the request and refused it. Trying again will not help until something is changed.
    AuthenticationFailed,
    /// No answer worth having came, after retries. Trying again later may help; [`Error::retry_after`] may say when.
    Transport,
    /// An answer came that breaks the rules of the protocol or a limit of this library.
    Protocol,
}

impl ErrorKind {
    /// Every kind that this version knows, in the order of their exit codes in the command `identity`.
    pub const ALL: &'static [Self] = &[
        Self::InvalidArgument,
        Self::CredentialUnavailable,
        Self::AuthenticationRequired,
        Self::AuthenticationFailed,
        Self::Transport,
        Self::Protocol,
    ];

    /// The kind's name, as `Debug` prints it; stable, for logs and machine-readable output.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidArgument => "InvalidArgument",
            Self::CredentialUnavailable => "CredentialUnavailable",
            Self::AuthenticationRequired => "AuthenticationRequired",
            Self::AuthenticationFailed => "AuthenticationFailed",
            Self::Transport => "Transport",
            Self::Protocol => "Protocol",
        }
    }

    /// Where the page on troubleshooting tells of this kind: what it means, what a program should do, and messages with
    /// their causes. A path in the repository with an anchor, such as `docs/TROUBLESHOOTING.md#transport`; the umbrella
    /// crate shows the page in its documentation, as the module `troubleshooting`.
    ///
    /// Anchors are stable: the name in kebab case. What stands before them will change once the page has a public address.
    #[must_use]
    pub const fn help(self) -> &'static str {
        match self {
            Self::InvalidArgument => page!("invalid-argument"),
            Self::CredentialUnavailable => page!("credential-unavailable"),
            Self::AuthenticationRequired => page!("authentication-required"),
            Self::AuthenticationFailed => page!("authentication-failed"),
            Self::Transport => page!("transport"),
            Self::Protocol => page!("protocol"),
        }
    }
}

impl Error {
    /// Makes an error. `message` starts in lower case, has no full stop at its end, and says what to do.
    #[cold]
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Arc::new(Inner {
            kind,
            message: message.into(),
            credential: "",
            http_status: None,
            entra_codes: Vec::new(),
            correlation_id: None,
            trace_id: None,
            retry_after: None,
            scopes: Vec::new(),
            claims: None,
            attempts: Vec::new(),
            steps: Vec::new(),
            source: None,
        }))
    }

    /// Puts `context` and a colon before the message.
    #[must_use]
    pub fn with_context(self, context: &str) -> Self {
        self.edit(|inner| inner.message = format!("{context}: {}", inner.message))
    }

    /// Replaces the message, for a wrapper that has more to tell; every other fact stays.
    #[must_use]
    pub fn with_message(self, message: impl Into<String>) -> Self {
        self.edit(|inner| inner.message = message.into())
    }

    /// Names the credential that failed.
    #[must_use]
    pub fn with_credential(self, name: &'static str) -> Self {
        self.edit(|inner| inner.credential = name)
    }

    /// Changes the kind, for a wrapper that judges a failure differently.
    #[must_use]
    pub fn with_kind(self, kind: ErrorKind) -> Self {
        self.edit(|inner| inner.kind = kind)
    }

    /// Adds the HTTP status of the last answer.
    #[must_use]
    pub fn with_http_status(self, status: u16) -> Self {
        self.edit(|inner| inner.http_status = Some(status))
    }

    /// Adds the numbers of the service's error codes.
    #[must_use]
    pub fn with_entra_codes(self, codes: Vec<u32>) -> Self {
        self.edit(|inner| inner.entra_codes = codes)
    }

    /// Adds the ids under which the service's support finds the request.
    #[must_use]
    pub fn with_ids(self, correlation_id: Option<String>, trace_id: Option<String>) -> Self {
        self.edit(|inner| (inner.correlation_id, inner.trace_id) = (correlation_id, trace_id))
    }

    /// Adds how long to wait before another try.
    #[must_use]
    pub fn with_retry_after(self, wait: Duration) -> Self {
        self.edit(|inner| inner.retry_after = Some(wait))
    }

    /// Adds what a person must sign in for.
    #[must_use]
    pub fn with_scopes(self, scopes: &[&str], claims: Option<&str>) -> Self {
        self.edit(|inner| {
            inner.scopes = scopes.iter().map(ToString::to_string).collect();
            inner.claims = claims.map(str::to_owned);
        })
    }

    /// Adds the errors of the credentials that were tried, in their order.
    #[must_use]
    pub fn with_attempts(self, attempts: Vec<Error>) -> Self {
        self.edit(|inner| inner.attempts = attempts)
    }

    /// Adds what to do next, the likeliest first. A credential has one step at most, such as ``run `az login` ``, where it is there
    /// and lacks just that; the message says it, too. A chain has all of them.
    #[must_use]
    pub fn with_steps(self, steps: Vec<String>) -> Self {
        self.edit(|inner| inner.steps = steps)
    }

    /// Adds the cause.
    #[must_use]
    pub fn with_source(self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.edit(|inner| inner.source = Some(Arc::new(source)))
    }

    /// What the caller can do about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The name of the credential that failed; empty if the error is of no credential.
    #[must_use]
    pub fn credential(&self) -> &'static str {
        self.0.credential
    }

    /// The status of the last HTTP answer, if one came.
    #[must_use]
    pub fn http_status(&self) -> Option<u16> {
        self.0.http_status
    }

    /// The numbers of Entra's error codes (`7000215` for `AADSTS7000215`), in the service's order.
    #[must_use]
    pub fn entra_codes(&self) -> &[u32] {
        &self.0.entra_codes
    }

    /// The id under which the service's support finds the request.
    #[must_use]
    pub fn correlation_id(&self) -> Option<&str> {
        self.0.correlation_id.as_deref()
    }

    /// The service's own id of the failure.
    #[must_use]
    pub fn trace_id(&self) -> Option<&str> {
        self.0.trace_id.as_deref()
    }

    /// How long the service, or a gate of this library, asks to wait. At most one hour.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// For [`ErrorKind::AuthenticationRequired`]: the scopes to sign in for.
    #[must_use]
    pub fn scopes(&self) -> &[String] {
        &self.0.scopes
    }

    /// For [`ErrorKind::AuthenticationRequired`]: the claims to present when signing in.
    #[must_use]
    pub fn claims(&self) -> Option<&str> {
        self.0.claims.as_deref()
    }

    /// For the error of a chain: what each credential said, in the order in which they were tried.
    #[must_use]
    pub fn attempts(&self) -> &[Error] {
        &self.0.attempts
    }

    /// What to do next, the likeliest first: commands to run, variables to set. Empty where nothing is likely to help.
    #[must_use]
    pub fn steps(&self) -> &[String] {
        &self.0.steps
    }

    /// Whether a chain tries its next credential after this error.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        matches!(self.0.kind, ErrorKind::CredentialUnavailable | ErrorKind::AuthenticationRequired)
    }

    #[cold]
    fn edit(mut self, change: impl FnOnce(&mut Inner)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }
}

impl fmt::Display for Error {
    /// Writes the message. Control characters other than line feeds are escaped, whatever their origin.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.message.chars() {
            if c == '\n' || !crate::redact::is_dangerous(c) {
                f.write_char(c)?;
            } else {
                write!(f, "{}", c.escape_unicode())?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    /// Writes what a failed `unwrap` or a `main` that returns an error should show: kind, credential, message, the facts
    /// that there are, the causes, and where to read on. On one line but for what the message itself breaks.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.0;
        f.write_str(inner.kind.as_str())?;
        if !inner.credential.is_empty() {
            write!(f, " of {}", inner.credential)?;
        }
        write!(f, ": {self}")?;
        if let Some(status) = inner.http_status {
            write!(f, "; HTTP status {status}")?;
        }
        for code in &inner.entra_codes {
            write!(f, "; AADSTS{code}")?;
        }
        if let Some(id) = &inner.correlation_id {
            write!(f, "; correlation id {id}")?;
        }
        if let Some(wait) = inner.retry_after {
            write!(f, "; retry after {} s", wait.as_secs())?;
        }
        let mut cause = StdError::source(self);
        while let Some(error) = cause {
            write!(f, "; caused by: {error}")?;
            cause = error.source();
        }
        // A chain's message ends with a list.
        f.write_str(if inner.attempts.is_empty() { "; see " } else { "\nsee " })?;
        f.write_str(inner.kind.help())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fact_is_read_back() {
        let error = Error::new(ErrorKind::AuthenticationFailed, "no")
            .with_context("managed identity")
            .with_credential("X")
            .with_http_status(401)
            .with_entra_codes(vec![7_000_215])
            .with_ids(Some("c".into()), Some("t".into()))
            .with_retry_after(Duration::from_secs(3))
            .with_scopes(&["s"], Some("{}"))
            .with_steps(vec!["run it".into()])
            .with_source(fmt::Error);
        let copy = error.clone();
        assert_eq!(copy.to_string(), "managed identity: no");
        assert_eq!(copy.clone().with_message("never").to_string(), "never");
        assert_eq!(
            (copy.kind(), copy.credential(), copy.http_status()),
            (ErrorKind::AuthenticationFailed, "X", Some(401))
        );
        assert_eq!(
            (copy.entra_codes(), copy.correlation_id(), copy.trace_id()),
            (&[7_000_215][..], Some("c"), Some("t"))
        );
        assert_eq!(
            (copy.retry_after(), copy.scopes(), copy.claims()),
            (Some(Duration::from_secs(3)), &["s".to_owned()][..], Some("{}"))
        );
        assert!(copy.source().is_some() && copy.steps() == ["run it"]);
    }

    #[test]
    fn every_kind_is_listed_once_and_in_its_order() {
        let (_, declared) = include_str!("error.rs").split_once("pub enum ErrorKind {\n").unwrap();
        let (declared, _) = declared.split_once("\n}").unwrap();
        let names: Vec<&str> = declared.lines().filter_map(|line| line.trim().strip_suffix(',')).collect();
        let listed: Vec<&str> = ErrorKind::ALL.iter().map(|kind| kind.as_str()).collect();
        assert_eq!(names, listed);
    }

    #[test]
    fn debug_ends_with_where_to_read_on_and_display_does_not() {
        for kind in ErrorKind::ALL {
            let error = Error::new(*kind, "no").with_source(fmt::Error);
            let expected = format!("{}: no; caused by: {}; see {}", kind.as_str(), fmt::Error, kind.help());
            assert_eq!(format!("{error:?}"), expected);
            assert_eq!(error.to_string(), "no");
        }
        assert_eq!(ErrorKind::CredentialUnavailable.help(), "docs/TROUBLESHOOTING.md#credential-unavailable");
    }

    #[test]
    fn display_escapes_what_could_steer_a_terminal() {
        let error = Error::new(ErrorKind::Protocol, "a\u{1b}[31m\u{202e}b\nc\0");
        assert_eq!(error.to_string(), "a\\u{1b}[31m\\u{202e}b\nc\\u{0}");
    }
}
