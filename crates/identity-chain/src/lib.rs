//! Combines credentials: the first one that has a token answers, now and later.
//!
//! ```
//! use std::sync::Arc;
//! use identity_chain::ChainedTokenCredential;
//! use identity_core::{Result, TokenCredential};
//!
//! /// On a build machine its own identity, on a laptop the developer's.
//! fn credential(machine: Arc<dyn TokenCredential>, developer: Arc<dyn TokenCredential>) -> Result<ChainedTokenCredential> {
//!     ChainedTokenCredential::new(vec![machine, developer])
//! }
//! ```
//!
//! # Features
//!
//! None.
//!
//! # Security
//!
//! A chain never changes its identity by itself: the credential that answered first answers for good, and its failures
//! are reported instead of being papered over by another identity. Of tokens it sees nothing but that there is one.
#![forbid(unsafe_code)]

mod chain;
mod report;

pub use self::chain::{ChainedTokenCredential, ChainedTokenCredentialBuilder};

#[cfg(test)]
mod tests;
