//! The words that every credential of this project speaks.
//!
//! - What users meet: [`TokenCredential`], [`AccessToken`], [`TokenRequestOptions`], [`Error`] and [`ErrorKind`],
//!   [`Secret`].
//! - The seams through which the outside world enters: [`Platform`] with its [`Clock`], [`Random`], [`Env`] and
//!   [`Runtime`], [`http::Transport`] and [`process::Processes`].
//! - What every flow shares: [`retry`] with the [`gate`] it passes, [`answer`]s with [`expiry`] and [`date`] parsing, [`json`],
//!   [`redact`] for text of others, [`text`] encodings, [`check`] for what callers hand in.
//!
//! This crate does no I/O and knows no runtime; `identity-tokio` implements the seams.
//!
//! # Features
//!
//! None for users.
//!
//! # Security
//!
//! [`Secret`], [`AccessToken`] and the HTTP types wipe their buffers on drop and never show them in `Debug`. Text that
//! comes from a server passes [`redact::excerpt`] before it becomes part of an error.
#![forbid(unsafe_code)]

pub mod answer;
pub mod check;
pub mod date;
pub mod expiry;
pub mod gate;
pub mod http;
pub mod json;
pub mod process;
pub mod redact;
pub mod retry;
pub mod text;

#[cfg(any(test, feature = "__fakes"))]
#[doc(hidden)]
pub mod fakes;

mod bytes;
mod credential;
mod error;
mod options;
mod platform;
mod secret;
mod slots;
mod token;

pub use self::{
    credential::{BoxFuture, TokenCredential, TokenFuture},
    error::{Error, ErrorKind},
    options::{CallContext, TokenRequestOptions},
    platform::{Clock, Env, Links, Moment, Platform, Random, Runtime, RuntimeId, Task},
    secret::Secret,
    token::AccessToken,
};

/// The result of anything that can fail in this project.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Facts that the compiler checks: what is promised about the types that everything else is made of.
const _: () = {
    const fn send_sync<T: ?Sized + Send + Sync>() {}
    send_sync::<dyn TokenCredential>();
    send_sync::<AccessToken>();
    send_sync::<Error>();
    send_sync::<Platform>();
    const fn send<T: Send>() {}
    send::<TokenFuture<'static>>();
    assert!(size_of::<AccessToken>() == size_of::<usize>());
    assert!(size_of::<Error>() == size_of::<usize>());
    assert!(size_of::<Result<AccessToken>>() == 2 * size_of::<usize>());
    assert!(size_of::<Platform>() == size_of::<usize>());
    assert!(size_of::<TokenFuture<'static>>() == 3 * size_of::<usize>());
};
