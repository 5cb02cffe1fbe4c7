use identity_core::{CallContext, Secret};

use crate::front::SLOTS;

/// What a caller asks for. Everything that changes the token is here, except what is fixed for the whole cache
/// (authority, client, identity); looking up borrows it and builds no key.
#[derive(Clone, Copy, Debug)]
pub struct Lookup<'a> {
    /// The scopes; their order does not matter.
    pub scopes: &'a [&'a str],
    /// The tenant, after the rules for tenants were applied; empty for credentials without tenants.
    pub tenant: &'a str,
    /// Whose token it is, where one cache serves several users: a hash, never an assertion. Else empty.
    pub subject: &'a str,
    /// Whether the caller handles claims challenges; such tokens are kept apart.
    pub cae: bool,
    /// Claims from a challenge: never answered from memory, the answer replaces the remembered token.
    pub claims: Option<&'a str>,
    /// How patient the caller is; never part of the key.
    pub context: CallContext,
    /// What the subject is the hash of, where a request needs it; never part of the key.
    pub evidence: Option<&'a Secret>,
}

/// The owned form of a [`Lookup`]'s key part.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) hash: u64,
    pub(crate) slot: usize,
    pub(crate) scopes: Vec<String>,
    pub(crate) tenant: String,
    pub(crate) subject: String,
    pub(crate) cae: bool,
}

impl Key {
    pub(crate) fn new(lookup: &Lookup<'_>, hash: u64) -> Self {
        Self {
            hash,
            slot: slot(lookup.scopes, lookup.tenant, lookup.subject),
            scopes: lookup.scopes.iter().map(ToString::to_string).collect(),
            tenant: lookup.tenant.to_owned(),
            subject: lookup.subject.to_owned(),
            cae: lookup.cae,
        }
    }

    pub(crate) fn matches(&self, lookup: &Lookup<'_>) -> bool {
        self.is(lookup.scopes, lookup.tenant, lookup.subject, lookup.cae)
    }

    #[inline]
    pub(crate) fn is(&self, scopes: &[&str], tenant: &str, subject: &str, cae: bool) -> bool {
        self.cae == cae
            && self.tenant == tenant
            && self.subject == subject
            && match (self.scopes.as_slice(), scopes) {
                ([own], [asked]) => own == asked,
                (own, asked) => same_set(own, asked),
            }
    }
}

/// Whether both lists hold the same scopes, in whatever order.
#[cold]
fn same_set(own: &[String], asked: &[&str]) -> bool {
    own.len() == asked.len()
        && asked.iter().all(|scope| own.iter().any(|own| own == scope))
        && own.iter().all(|own| asked.contains(&own.as_str()))
}

/// The slot in which a hit looks for its key: by the length of the first scope and the part in which Azure's scopes
/// differ, behind `https://`, and by the beginnings of tenant and subject. Two keys may share a slot; then one of them is
/// found under the cache's lock.
#[inline]
pub(crate) fn slot(scopes: &[&str], tenant: &str, subject: &str) -> usize {
    let Some(scope) = scopes.first() else { return 0 };
    let mut bits = scope.len() as u64;
    if let Some(part) = scope.as_bytes().get(8..24) {
        let (words, _) = part.as_chunks::<8>();
        bits = words.iter().fold(bits, |bits, word| bits.rotate_left(29) ^ u64::from_le_bytes(*word));
    }
    for text in [tenant, subject] {
        if let Some(word) = text.as_bytes().first_chunk::<8>() {
            bits = bits.rotate_left(7) ^ u64::from_le_bytes(*word);
        }
    }
    (bits.wrapping_mul(SEED) >> (u64::BITS - SLOTS.ilog2())) as usize
}

/// A hash that does not depend on the order of the scopes. Fast, and no defence against anyone: where users choose
/// scopes, the bounds of the cache are.
#[inline]
pub(crate) fn hash(lookup: &Lookup<'_>) -> u64 {
    let scopes = match lookup.scopes {
        [scope] => mix(scope.as_bytes()),
        many => many.iter().fold(0u64, |sum, scope| sum.wrapping_add(mix(scope.as_bytes()))),
    };
    let mut hash = scopes ^ u64::from(lookup.cae);
    if !lookup.tenant.is_empty() || !lookup.subject.is_empty() {
        hash = hash.wrapping_mul(SEED) ^ mix(lookup.tenant.as_bytes()).rotate_left(17) ^ mix(lookup.subject.as_bytes());
    }
    hash
}

#[inline]
fn mix(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let step = |hash: u64, word: u64| (hash.rotate_left(5) ^ word).wrapping_mul(SEED);
    let hash = words.iter().fold(bytes.len() as u64, |hash, word| step(hash, u64::from_le_bytes(*word)));
    let last = match bytes.last_chunk::<8>() {
        Some(_) if rest.is_empty() => return hash,
        Some(last) => u64::from_le_bytes(*last),
        None => rest.iter().fold(0, |word, &byte| word << 8 | u64::from(byte)),
    };
    step(hash, last)
}

/// 2^64 divided by the golden ratio, as in Knuth, "The Art of Computer Programming", volume 3, section 6.4.
const SEED: u64 = 0x9e37_79b9_7f4a_7c15;

#[cfg(test)]
mod tests {
    use super::*;

    fn lookup<'a>(scopes: &'a [&'a str], tenant: &'a str, subject: &'a str, cae: bool) -> Lookup<'a> {
        Lookup { scopes, tenant, subject, cae, claims: None, context: CallContext::Alone, evidence: None }
    }

    #[test]
    fn the_order_of_scopes_does_not_matter() {
        let scopes: [&[&str]; 3] = [
            &["https://a/x", "https://b/y", "c"],
            &["https://b/y", "c", "https://a/x"],
            &["c", "https://b/y", "https://a/x"],
        ];
        for a in scopes {
            for b in scopes {
                let (a, b) = (lookup(a, "", "", false), lookup(b, "", "", false));
                assert_eq!(hash(&a), hash(&b));
                assert!(Key::new(&a, hash(&a)).matches(&b));
            }
        }
    }

    #[test]
    fn whatever_changes_the_token_makes_another_key() {
        let all = [
            lookup(&["a"], "", "", false),
            lookup(&["b"], "", "", false),
            lookup(&["a", "b"], "", "", false),
            lookup(&["ab"], "", "", false),
            lookup(&["a", "a"], "", "", false),
            lookup(&["https://vault.azure.net/.default"], "", "", false),
            lookup(&["https://vault.azure.net//.default"], "", "", false),
            lookup(&["a"], "t", "", false),
            lookup(&["a"], "", "t", false),
            lookup(&["a"], "t", "s", false),
            lookup(&["a"], "s", "t", false),
            lookup(&["a"], "", "", true),
        ];
        for (i, a) in all.iter().enumerate() {
            for (j, b) in all.iter().enumerate() {
                assert_eq!(Key::new(a, 0).matches(b), i == j, "{a:?} {b:?}");
                assert_eq!(hash(a) == hash(b), i == j, "{a:?} {b:?}");
            }
        }
    }

    #[test]
    fn similar_scopes_spread_over_the_slots() {
        let mut counts = [0u32; SLOTS];
        for i in 0..6400 {
            let scope = format!("https://account{i}.blob.core.windows.net/.default");
            counts[slot(&[&scope], "", "")] += 1;
        }
        assert!(counts.iter().all(|&count| (200..1600).contains(&count)), "{counts:?}");
    }

    #[test]
    fn users_and_tenants_spread_over_the_slots() {
        let mut counts = [0u32; SLOTS];
        for i in 0..6400u32 {
            let subject = format!("{:08x}", i.wrapping_mul(0x9e37_79b9));
            counts[slot(&["https://graph.microsoft.com/.default"], "", &subject)] += 1;
            counts[slot(&["https://graph.microsoft.com/.default"], &subject, "")] += 1;
        }
        assert!(counts.iter().all(|&count| (200..1600).contains(&count)), "{counts:?}");
    }
}
