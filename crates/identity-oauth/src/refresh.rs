//! Refresh tokens of many people, as many as there is room for.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use identity_core::Secret;

/// Remembers one refresh token for each person, tenant and kind of token. A refresh token serves every resource, so scopes
/// play no part.
///
/// Who was not looked for since room was last needed goes first.
pub struct RefreshTokens {
    capacity: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    kept: HashMap<Arc<str>, Kept>,
    /// In the order in which they are looked at when room is needed.
    queue: VecDeque<Arc<str>>,
}

struct Kept {
    token: Secret,
    is_used: bool,
}

impl RefreshTokens {
    /// Room for `capacity` of them, 1 at least.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self { capacity: capacity.max(1), state: Mutex::default() }
    }

    /// The key of a person: `subject` as in [`Ask::subject`](identity_cache::Ask::subject).
    #[must_use]
    pub fn key(subject: &str, tenant: &str, cae: bool) -> String {
        [if cae { "cae " } else { " " }, tenant, " ", subject].concat()
    }

    /// What is remembered under that key.
    pub fn get(&self, key: &str) -> Option<Secret> {
        let mut state = self.lock();
        let kept = state.kept.get_mut(key)?;
        kept.is_used = true;
        Some(kept.token.clone())
    }

    /// Remembers, in place of what was there.
    pub fn put(&self, key: &str, token: Secret) {
        let mut state = self.lock();
        if let Some(kept) = state.kept.get_mut(key) {
            kept.token = token;
            return;
        }
        while state.kept.len() >= self.capacity {
            let Some(oldest) = state.queue.pop_front() else { break };
            match state.kept.get_mut(&oldest) {
                Some(kept) if kept.is_used => {
                    kept.is_used = false;
                    state.queue.push_back(oldest);
                }
                _ => drop(state.kept.remove(&oldest)),
            }
        }
        let key: Arc<str> = key.into();
        state.kept.insert(Arc::clone(&key), Kept { token, is_used: false });
        state.queue.push_back(key);
    }

    /// Forgets `token`, unless it has been replaced meanwhile; says whether there is none now.
    pub fn remove(&self, key: &str, token: &Secret) -> bool {
        let mut state = self.lock();
        if state.kept.get(key).is_some_and(|kept| kept.token.expose() == token.expose()) {
            state.kept.remove(key);
            state.queue.retain(|known| **known != *key);
        }
        !state.kept.contains_key(key)
    }

    /// How many are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().kept.len()
    }

    /// Whether none is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Nothing that runs under the lock can panic, so a poisoned one is as good as any.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for RefreshTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RefreshTokens").field("capacity", &self.capacity).field("len", &self.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_persons_token_is_replaced_and_forgotten_by_its_value() {
        let tokens = RefreshTokens::new(2);
        tokens.put("ada", "first".into());
        tokens.put("ada", "second".into());
        assert!(!tokens.remove("ada", &"first".into()));
        assert_eq!(tokens.get("ada").unwrap().expose(), "second");
        assert!(tokens.remove("ada", &"second".into()));
        assert!(tokens.is_empty() && tokens.get("ada").is_none());
    }

    #[test]
    fn there_are_never_more_than_there_is_room_for_and_who_is_asked_for_stays() {
        let tokens = RefreshTokens::new(8);
        tokens.put("ada", "token".into());
        for number in 0..10_000 {
            assert!(tokens.get("ada").is_some(), "{number}");
            tokens.put(&format!("{number}"), "token".into());
            assert!(tokens.len() <= 8);
        }
        assert!(tokens.get("9999").is_some() && tokens.get("1").is_none());
        assert!(tokens.lock().queue.len() <= 8);
    }

    #[test]
    fn people_tenants_and_kinds_of_tokens_are_kept_apart() {
        let keys = [("a", "b", false), ("b", "a", false), ("a", "b", true), ("", "a b", false), ("a b", "", false)];
        let keys: Vec<String> =
            keys.iter().map(|(subject, tenant, cae)| RefreshTokens::key(subject, tenant, *cae)).collect();
        for (at, key) in keys.iter().enumerate() {
            assert_eq!(keys.iter().position(|other| other == key), Some(at), "{key}");
        }
    }

    #[test]
    fn debug_shows_no_token() {
        let tokens = RefreshTokens::new(2);
        tokens.put("ada", "CANARY".into());
        assert_eq!(format!("{tokens:?}"), "RefreshTokens { capacity: 2, len: 1 }");
    }
}
