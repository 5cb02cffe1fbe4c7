//! Credentials of tools, with what the tools print: handed to them, and by programs that stand in for the tools.
#![expect(clippy::disallowed_methods, reason = "reads files, looks at processes, and waits for them in real time")]
#![expect(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test ends when it is not so")]

mod rows;
mod transcripts;

// They look for processes in /proc.
#[cfg(target_os = "linux")]
mod accounts;
#[cfg(target_os = "linux")]
mod arguments;
#[cfg(target_os = "linux")]
mod callers;
#[cfg(target_os = "linux")]
mod endings;
#[cfg(target_os = "linux")]
mod inherited;
#[cfg(target_os = "linux")]
mod replay;
#[cfg(target_os = "linux")]
mod sayings;
#[cfg(target_os = "linux")]
mod starts;
#[cfg(target_os = "linux")]
mod world;
