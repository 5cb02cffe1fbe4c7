//! Credentials of tools, with what the tools print.
#![expect(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "a test ends when it is not so")]

mod rows;
mod transcripts;
