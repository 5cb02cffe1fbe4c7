//! What stands in the chain where there is no credential.

use std::fmt;

use identity_core::{Error, ErrorKind, TokenCredential, TokenFuture, TokenRequestOptions};

use super::link::ChainLink;

/// Keeps the place of a credential that cannot be had, and says why.
pub(super) struct Absent {
    link: ChainLink,
    error: Error,
}

impl Absent {
    /// It has nothing to work with; the chain goes on.
    pub(super) fn unavailable(link: ChainLink, why: impl Into<String>) -> Self {
        Self { link, error: Error::new(ErrorKind::CredentialUnavailable, why).with_credential(link.name()) }
    }

    /// It could not be built.
    #[cfg(any(feature = "msi", feature = "workload"))]
    pub(super) fn failed(link: ChainLink, error: Error) -> Self {
        let step = format!("solve what the line of {link} says");
        let error = error.with_kind(ErrorKind::CredentialUnavailable).with_credential(link.name());
        Self { link, error: error.with_steps(vec![step]) }
    }

    /// This version does not have it.
    pub(super) fn not_yet(link: ChainLink) -> Self {
        let why = match link {
            ChainLink::SharedTokenCache => "reads no sign-ins of other tools",
            ChainLink::VisualStudioCode => "does not ask the editor",
            ChainLink::InteractiveBrowser => "opens no browser",
            _ => "does not ask the broker of the system",
        };
        Self::unavailable(link, format!("not available in this version, which {why}"))
    }

    /// This build does not have it. Where variables are made for it, the chain stops: what a build lacks must not change whose
    /// token it gets.
    #[cfg_attr(
        all(feature = "cli", feature = "environment", feature = "msi", feature = "workload"),
        expect(dead_code, reason = "this build has them all")
    )]
    pub(super) fn not_compiled_in(link: ChainLink, feature: &str, made_for_it: &[&str]) -> Self {
        if made_for_it.is_empty() {
            return Self::unavailable(link, format!("not compiled in: turn on the feature `{feature}`"));
        }
        let message = format!(
            "not compiled in, but {} set for it: turn on the feature `{feature}`, or exclude it",
            made_for_it.join(", ")
        );
        Self { link, error: Error::new(ErrorKind::InvalidArgument, message).with_credential(link.name()) }
    }
}

impl TokenCredential for Absent {
    fn get_token<'a>(&'a self, _: &'a [&'a str], _: Option<&'a TokenRequestOptions>) -> TokenFuture<'a> {
        TokenFuture::ready(Err(self.error.clone()))
    }

    fn name(&self) -> &'static str {
        self.link.name()
    }
}

impl fmt::Debug for Absent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (absent)", self.link)
    }
}
