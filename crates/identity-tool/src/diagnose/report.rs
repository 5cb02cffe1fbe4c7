//! What a diagnosis has found, without a secret in it. Text and JSON are made from this and from nothing else.

use std::{
    path::PathBuf,
    time::{Duration, SystemTime},
};

use identity::{ChainLink, Error};

#[derive(Debug)]
pub(super) struct Report {
    /// Of this program.
    pub(super) version: &'static str,
    pub(super) os: &'static str,
    pub(super) arch: &'static str,
    pub(super) time: SystemTime,
    pub(super) scope: String,
    pub(super) is_emulated: bool,
    /// Where this seems to run, and what says so.
    pub(super) places: Vec<Place>,
    /// Whether a variable that names nothing keeps the chain from being built; the links are those without it.
    pub(super) is_refused: bool,
    pub(super) links: Vec<Link>,
    pub(super) outcome: Outcome,
    pub(super) variables: Vec<Variable>,
    pub(super) files: Vec<FileFacts>,
    pub(super) endpoint: Option<Endpoint>,
    /// `None` where this world has no programs.
    pub(super) tools: Option<Vec<Tool>>,
    pub(super) network: Network,
}

/// A place that programs run in, and the variable or file that says so.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) name: &'static str,
    pub(super) sign: &'static str,
}

#[derive(Debug)]
pub(super) struct Link {
    pub(super) link: ChainLink,
    pub(super) state: State,
    /// `None` if it was not asked.
    pub(super) took: Option<Duration>,
}

#[derive(Debug)]
pub(super) enum State {
    Token(Box<TokenFacts>),
    /// The chain goes on.
    Unavailable(Error),
    /// It is there and fails.
    Stops(Error),
    /// It cannot even be built, and the chain with it.
    Broken(Error),
    LeftOut(String),
    NotInVersion(Error),
}

impl State {
    /// Its name in JSON: a promise to scripts.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Token(_) => "token",
            Self::Unavailable(_) => "unavailable",
            Self::Stops(_) => "stops_the_chain",
            Self::Broken(_) => "cannot_be_built",
            Self::LeftOut(_) => "left_out",
            Self::NotInVersion(_) => "not_in_this_version",
        }
    }

    /// Whether the chain has its result here.
    pub(super) const fn is_the_end(&self) -> bool {
        matches!(self, Self::Token(_) | Self::Stops(_) | Self::Broken(_))
    }

    /// The same with another error.
    pub(super) fn map(self, change: impl FnOnce(&Error) -> Error) -> Self {
        match self {
            Self::Unavailable(error) => Self::Unavailable(change(&error)),
            Self::Stops(error) => Self::Stops(change(&error)),
            Self::Broken(error) => Self::Broken(change(&error)),
            Self::NotInVersion(error) => Self::NotInVersion(change(&error)),
            Self::Token(_) | Self::LeftOut(_) => self,
        }
    }

    pub(super) const fn error(&self) -> Option<&Error> {
        match self {
            Self::Unavailable(error) | Self::Stops(error) | Self::Broken(error) | Self::NotInVersion(error) => {
                Some(error)
            }
            Self::Token(_) | Self::LeftOut(_) => None,
        }
    }
}

/// What a token says of itself; the token is not kept.
#[derive(Debug)]
pub(super) struct TokenFacts {
    pub(super) credential: &'static str,
    pub(super) origin: &'static str,
    pub(super) expires_on: SystemTime,
    pub(super) audience: Option<String>,
    pub(super) user: Option<String>,
    pub(super) client_id: Option<String>,
    pub(super) object_id: Option<String>,
    pub(super) resource_id: Option<String>,
    pub(super) tenant_id: Option<String>,
}

#[derive(Debug)]
pub(super) enum Outcome {
    Wins(ChainLink),
    /// What `DefaultAzureCredential` says.
    Fails(Error),
}

/// A variable that is set.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Variable {
    pub(super) name: &'static str,
    /// What may be shown of its value.
    pub(super) shown: Shown,
    pub(super) warnings: Vec<String>,
    /// What is no mistake, and may be a misunderstanding.
    pub(super) note: Option<&'static str>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Shown {
    /// Set, and counts as not set.
    Empty,
    Value(String),
    /// This many characters that are not shown; 0 if nobody can count them.
    Hidden(usize),
}

/// A file that a variable names.
#[derive(Debug)]
pub(super) struct FileFacts {
    pub(super) variable: &'static str,
    pub(super) path: String,
    /// Why it cannot be read.
    pub(super) trouble: Option<String>,
    pub(super) bytes: Option<u64>,
    pub(super) modified: Option<SystemTime>,
    /// Of a token that is in it, not verified.
    pub(super) token: Option<FileToken>,
    pub(super) warnings: Vec<String>,
}

#[derive(Debug)]
pub(super) struct FileToken {
    pub(super) issuer: Option<String>,
    pub(super) subject: Option<String>,
    pub(super) audience: Option<String>,
    pub(super) expires_on: Option<SystemTime>,
}

/// Where a managed identity would come from.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) source: &'static str,
    /// Scheme, host and port, if it is known.
    pub(super) origin: Option<String>,
}

#[derive(Debug)]
pub(super) struct Tool {
    pub(super) name: &'static str,
    /// `None` if it is not on the path.
    pub(super) program: Option<PathBuf>,
    /// Its version, or why there is none.
    pub(super) version: Result<String, String>,
}

#[derive(Debug)]
pub(super) struct Network {
    /// `https://` and a host; or why there is none.
    pub(super) authority: Result<String, String>,
    /// Scheme, host and port of the proxy to it, if there is one; or what is wrong with it.
    pub(super) proxy: Result<Option<String>, String>,
    /// How many roots servers are trusted by; or why none.
    pub(super) roots: Result<usize, String>,
    /// What the authority answered; or why it did not.
    pub(super) answer: Result<Reached, String>,
}

#[derive(Debug)]
pub(super) struct Reached {
    pub(super) status: u16,
    pub(super) took: Duration,
    /// How many seconds this machine's clock is ahead of the authority's; negative if it is behind.
    pub(super) clock_ahead: Option<i64>,
}

impl Report {
    /// The index of the link that the chain ends at.
    pub(super) fn end(&self) -> Option<usize> {
        if self.is_refused {
            return None;
        }
        let broken = self.links.iter().position(|link| matches!(link.state, State::Broken(_)));
        broken.or_else(|| self.links.iter().position(|link| link.state.is_the_end()))
    }

    /// Whether the chain would ask this link. One that cannot be built keeps it from asking any.
    pub(super) fn is_reached(&self, index: usize) -> bool {
        match self.end() {
            Some(end) if self.links.get(end).is_some_and(|link| matches!(link.state, State::Broken(_))) => index == end,
            Some(end) => index <= end,
            None => !self.is_refused,
        }
    }

    /// Everything that deserves a second look.
    pub(super) fn warnings(&self) -> Vec<String> {
        let mut all = Vec::new();
        for variable in &self.variables {
            all.extend(variable.warnings.iter().map(|warning| format!("{}: {warning}", variable.name)));
            // Who has a token is in no need of it.
            if matches!(self.outcome, Outcome::Fails(_)) {
                all.extend(variable.note.map(|note| format!("{}: {note}", variable.name)));
            }
        }
        for file in &self.files {
            all.extend(file.warnings.iter().map(|warning| format!("{}: {warning}", file.variable)));
        }
        all.extend(self.network.clock_warning());
        all
    }
}

impl Network {
    pub(super) fn clock_warning(&self) -> Option<String> {
        let ahead = self.answer.as_ref().ok()?.clock_ahead?;
        if ahead.unsigned_abs() > CLOCK_ABSURD_SECS {
            return Some(
                "the time that the authority told is years away: its clock is wrong, or somebody else answered"
                    .to_owned(),
            );
        }
        let off = crate::when::length(Duration::from_secs(ahead.unsigned_abs()));
        let side = if ahead > 0 { "ahead of" } else { "behind" };
        (ahead.unsigned_abs() > CLOCK_TOLERANCE_SECS).then(|| {
            format!("this machine's clock is {off} {side} the authority's; set it right, for tokens and assertions have times")
        })
    }
}

/// More is refused by Entra ID, in assertions for example.
///
/// Source: "Microsoft identity platform application authentication certificate credentials" (learn.microsoft.com): five minutes.
const CLOCK_TOLERANCE_SECS: u64 = 300;
/// No machine's clock is ten years off while its certificates are valid. Source: our choice.
const CLOCK_ABSURD_SECS: u64 = 10 * 365 * 24 * 60 * 60;

/// A text from outside, cut where it is longer than this many characters.
pub(super) fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((at, _)) => format!("{} ...", text.get(..at).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// The most characters of a claim, a path or a value that are shown. Source: our choice.
pub(super) const LONGEST_VALUE: usize = 256;
/// The most characters of a message that are shown; services and tools say a lot. Source: our choice.
pub(super) const LONGEST: usize = 480;
