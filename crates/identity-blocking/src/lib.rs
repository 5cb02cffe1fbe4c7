//! Credentials without async, for programs that have no runtime and for threads that may wait.
//!
//! [`BlockingCredential`] makes any credential one that is called and answers. It is safe to call from any thread.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use identity_blocking::BlockingCredential;
//! use identity_msi::ManagedIdentityCredential;
//! # use std::{collections::HashMap, ffi::OsString, io, path::{Path, PathBuf}, sync::Arc};
//! # use identity_core::{Env, Links};
//! # use identity_emulator::{Emulator, Source};
//! # #[derive(Debug)]
//! # struct Variables(HashMap<String, String>);
//! # impl Env for Variables {
//! #     fn var_os(&self, name: &str) -> Option<OsString> {
//! #         self.0.get(name).map(OsString::from)
//! #     }
//! #     fn read(&self, _: &Path, _: usize, _: Links) -> io::Result<Vec<u8>> {
//! #         Err(io::ErrorKind::NotFound.into())
//! #     }
//! #     fn is_file(&self, _: &Path) -> bool {
//! #         false
//! #     }
//! #     fn canonicalize(&self, _: &Path) -> io::Result<PathBuf> {
//! #         Err(io::ErrorKind::NotFound.into())
//! #     }
//! # }
//! # let emulator = Emulator::builder().start_in_background()?;
//! # let variables = Variables(emulator.variables(Source::AppService).into_iter().collect());
//! # let platform = identity_tokio::platform().with_env(Arc::new(variables));
//!
//! # /*
//! let credential = BlockingCredential::new(ManagedIdentityCredential::builder().build()?);
//! # */
//! # let credential = BlockingCredential::new(ManagedIdentityCredential::builder().build_with(&platform)?);
//! let token = credential.get_token(&["https://storage.azure.com/.default"], None)?;
//! assert!(token.authorization().starts_with("Bearer "));
//! # Ok(())
//! # }
//! ```
//!
//! # Threads
//!
//! - A remembered token is given on the caller's own thread: no other one wakes up for it.
//! - The first call starts one thread, `identity-blocking`, for the whole process and for all credentials. It drives one tokio
//!   runtime, on which requests, refreshes and timers run, sleeps when nothing is under way, and does not keep the
//!   process from ending. To resolve names it has helpers, which end when they have had nothing to do for 10 seconds.
//! - However many threads need the same token, one request is sent, as among asynchronous callers. A blocking and an
//!   asynchronous caller who both find nothing remembered send one each, since they have different runtimes.
//!
//! # Inside a tokio runtime
//!
//! A remembered token is given everywhere. To wait for another one would stop whatever else the runtime does, so that while
//! tokio polls on the thread (in `block_on`, `#[tokio::main]`, a task) the call fails with
//! [`InvalidArgument`](identity_core::ErrorKind::InvalidArgument), before anything is sent: await the credential itself.
//! It works in `spawn_blocking`, in `block_in_place`, and where a runtime is merely entered. Code that has opted out of tokio's
//! budget by `tokio::task::coop::unconstrained` is not recognised: it stops its runtime for as long as it waits, and gets
//! its token, since that comes from the thread above.
//!
//! # Fork
//!
//! A process that forks has that thread in the parent only. In a child that goes on without `exec`, remembered tokens are given
//! and everything else fails with [`InvalidArgument`](identity_core::ErrorKind::InvalidArgument), unless the first call
//! comes after the fork.
//!
//! # Features
//!
//! None.
//!
//! # Security
//!
//! Of tokens this crate sees nothing but that there is one, and it logs nothing. Its errors name no scope, tenant or secret.
#![forbid(unsafe_code)]
#![expect(clippy::disallowed_methods, reason = "what waits for time on a thread is on neither side of the seams")]

mod bell;
mod credential;
mod driver;
mod polled;

pub use self::credential::BlockingCredential;
