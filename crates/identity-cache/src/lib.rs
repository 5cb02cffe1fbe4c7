//! Remembers tokens: one request per key, and nobody waits while a usable token exists.
//!
//! A credential supplies "how to ask" ([`Fetch`]) and says what changes its token ([`Lookup`]); [`TokenCache`] decides
//! when to ask, shares the answer, success or failure, and keeps what is still good. The rules are in
//! docs/ARCHITECTURE.md and docs/adr/0004-token-cache.md.
//!
//! # Features
//!
//! - `recheck`: [`Fetch::recheck`], by which tokens are dropped when the credential has become another. 1.2 KB.
//!
//! # Security
//!
//! Tokens live in memory only and are wiped when the last holder drops them. The cache drops a token when it is
//! replaced or evicted, or the cache itself is dropped.
#![forbid(unsafe_code)]

mod cache;
mod entry;
mod fetch;
mod flight;
mod front;
mod key;
mod landing;
mod pilot;
mod recheck;
mod state;
mod sync;

#[cfg(test)]
#[cfg(identity_model)]
mod model;
#[cfg(test)]
#[cfg(not(identity_model))]
mod tests;

pub use self::{
    cache::{CacheOptions, TokenCache},
    fetch::{Ask, Fetch, Fetched},
    key::Lookup,
};
