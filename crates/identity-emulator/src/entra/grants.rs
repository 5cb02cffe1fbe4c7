//! What people have agreed to: authorization codes and refresh tokens, until they are used, expire or are revoked.

use std::collections::{HashMap, VecDeque};
use std::io;

use crate::text::base64_url;
use crate::token::Signer;

/// What is remembered of sign-ins. The oldest go when there are too many. It is never printed: the names are secrets.
#[derive(Default)]
pub(crate) struct Grants {
    pub(crate) codes: Kept<Code>,
    pub(crate) refresh_tokens: Kept<RefreshToken>,
    pub(crate) steps: Kept<Step>,
    /// By the SHA-256 of what the assertion says.
    pub(crate) assertions: Kept<Saml>,
}

/// Who has signed in, and to which application.
#[derive(Clone)]
pub(crate) struct Session {
    /// The object id of the user.
    pub(crate) user: String,
    pub(crate) client_id: String,
    /// The id of the tenant.
    pub(crate) tenant: String,
    /// As it was asked for.
    pub(crate) scope: String,
    /// True if there was a second factor.
    pub(crate) mfa: bool,
    /// What is revoked together: all that comes of one sign-in.
    pub(crate) family: String,
    /// In seconds since the Unix epoch.
    pub(crate) began: i64,
}

#[derive(Clone)]
pub(crate) struct Code {
    pub(crate) session: Session,
    pub(crate) redirect_uri: String,
    /// Of the method S256.
    pub(crate) challenge: Option<String>,
    pub(crate) nonce: Option<String>,
    /// `None` for a code that waits in a file.
    pub(crate) expires: Option<i64>,
    pub(crate) state: State,
}

#[derive(Clone)]
pub(crate) struct RefreshToken {
    pub(crate) session: Session,
    /// True if the client said that it can handle claims challenges.
    pub(crate) cae: bool,
    pub(crate) expires: i64,
    pub(crate) state: State,
}

/// A sign-in that lacks its second factor.
pub(crate) struct Step {
    /// The object id of the user.
    pub(crate) user: String,
    /// The SHA-256 of the request of the application.
    pub(crate) request: String,
    pub(crate) expires: i64,
}

/// An assertion that AD FS has given.
#[derive(Clone)]
pub(crate) struct Saml {
    /// The object id of the user.
    pub(crate) user: String,
    pub(crate) expires: i64,
    /// Of SAML 2.0, not 1.1.
    pub(crate) is_version_2: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Good,
    Used,
    /// Since this time.
    Revoked(i64),
    Expired,
}

impl Grants {
    /// Marks a code as used; false if it was that before, and then all that came of it is revoked.
    pub(crate) fn redeem(&mut self, name: &str, now: i64) -> bool {
        let Some(code) = self.codes.get_mut(name) else { return false };
        if code.state == State::Good {
            code.state = State::Used;
            return true;
        }
        let family = code.session.family.clone();
        for token in self.refresh_tokens.values().filter(|token| token.session.family == family) {
            token.state = State::Revoked(now);
        }
        false
    }

    /// Marks what the user with that object id, or everybody, has agreed to so far.
    pub(crate) fn end(&mut self, user: Option<&str>, state: State) {
        let is_theirs = |session: &Session| user.is_none_or(|user| session.user.eq_ignore_ascii_case(user));
        for token in self.refresh_tokens.values().filter(|token| is_theirs(&token.session)) {
            token.state = state;
        }
        for code in self.codes.values().filter(|code| is_theirs(&code.session) && code.state == State::Good) {
            code.state = state;
        }
    }
}

/// Entries by name, as many as memory is spent on.
pub(crate) struct Kept<T> {
    entries: HashMap<String, T>,
    /// The names, oldest first.
    order: VecDeque<String>,
    bytes: usize,
}

/// Something that takes memory for what a request says.
pub(crate) trait Weigh {
    /// Roughly how many bytes of memory it takes.
    fn weight(&self) -> usize;
}

impl Weigh for Session {
    fn weight(&self) -> usize {
        512 + self.scope.len()
    }
}

impl Weigh for Code {
    fn weight(&self) -> usize {
        let texts = [&self.challenge, &self.nonce];
        let texts: usize = texts.into_iter().flatten().map(String::len).sum();
        self.session.weight() + self.redirect_uri.len() + texts
    }
}

impl Weigh for RefreshToken {
    fn weight(&self) -> usize {
        self.session.weight()
    }
}

impl Weigh for Step {
    fn weight(&self) -> usize {
        512
    }
}

impl Weigh for Saml {
    fn weight(&self) -> usize {
        512
    }
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self { entries: HashMap::new(), order: VecDeque::new(), bytes: 0 }
    }
}

impl<T: Weigh> Kept<T> {
    pub(crate) fn put(&mut self, name: String, entry: T) {
        self.bytes += entry.weight();
        self.order.push_back(name.clone());
        self.entries.insert(name, entry);
        while self.order.len() > MAX_KEPT || self.bytes > MAX_BYTES {
            let Some(oldest) = self.order.pop_front() else { break };
            self.remove(&oldest);
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&T> {
        self.entries.get(name)
    }

    pub(crate) fn get_mut(&mut self, name: &str) -> Option<&mut T> {
        self.entries.get_mut(name)
    }

    pub(crate) fn take(&mut self, name: &str) -> Option<T> {
        let entry = self.remove(name)?;
        self.order.retain(|other| other != name);
        Some(entry)
    }

    fn remove(&mut self, name: &str) -> Option<T> {
        let entry = self.entries.remove(name)?;
        self.bytes -= entry.weight();
        Some(entry)
    }

    fn values(&mut self) -> impl Iterator<Item = &mut T> {
        self.entries.values_mut()
    }
}

/// A new name for a grant: nobody can guess it, and only Entra can read anything in it.
pub(crate) fn opaque(signer: &Signer) -> io::Result<String> {
    Ok(format!("{PREFIX}{}", base64_url(&signer.random_bytes::<RANDOM_LEN>()?)))
}

/// True for what could be the name of a grant.
pub(crate) fn is_opaque(name: &str) -> bool {
    name.strip_prefix(PREFIX).is_some_and(|rest| {
        rest.len() == RANDOM_LEN / 3 * 4
            && rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    })
}

/// How names of grants begin; the real ones with `0.A` or `1.A`.
const PREFIX: &str = "1.emulated-";
/// So many random bytes, a multiple of three.
const RANDOM_LEN: usize = 48;
/// How many codes, and how many refresh tokens, are remembered.
const MAX_KEPT: usize = 65_536;
/// How much memory the codes may take, and the refresh tokens, in bytes.
const MAX_BYTES: usize = 64 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    impl Weigh for usize {
        fn weight(&self) -> usize {
            8
        }
    }

    #[test]
    fn the_oldest_go_when_there_are_too_many() {
        let mut kept = Kept::default();
        for number in 0..=MAX_KEPT {
            kept.put(number.to_string(), number);
        }
        assert_eq!((kept.get("0"), kept.get("1")), (None, Some(&1)));
        assert_eq!(kept.entries.len(), MAX_KEPT);
    }

    #[test]
    fn the_oldest_go_when_they_are_too_large() {
        let text = "a".repeat(60_000);
        let mut kept = Kept::default();
        let session = |scope: String| Session {
            user: String::new(),
            client_id: String::new(),
            tenant: String::new(),
            scope,
            mfa: false,
            family: String::new(),
            began: 0,
        };
        for number in 0..1_200 {
            let token = RefreshToken { session: session(text.clone()), cae: false, expires: 0, state: State::Good };
            kept.put(number.to_string(), token);
        }
        assert!(kept.get("0").is_none() && kept.get("1199").is_some());
        let large: usize = kept.values().map(|token| token.session.scope.len()).sum();
        assert!((60_000_000..=64 * 1024 * 1024).contains(&large), "{large}");
        let left = kept.order.len();
        assert!(kept.take("1199").is_some() && kept.take("1199").is_none());
        assert_eq!((kept.order.len(), kept.entries.len()), (left - 1, left - 1));
    }

    #[test]
    fn names_have_a_form() {
        let name = opaque(&Signer::new("t").unwrap()).unwrap();
        assert!(is_opaque(&name) && !is_opaque(&format!("{name}A")) && !is_opaque(&name.replace('1', "0")));
        assert!(!is_opaque("") && !is_opaque(&name[..name.len() - 1]));
    }
}
