//! Credentials of tools, with what the tools print.
#![expect(clippy::disallowed_methods, reason = "reads the transcripts")]
#![expect(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test ends when it is not so")]

mod rows;
mod transcripts;
