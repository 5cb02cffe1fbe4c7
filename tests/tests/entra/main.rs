//! Every way to sign in to Entra ID as an application, by our credentials, over TLS and real sockets.
#![expect(clippy::disallowed_methods, reason = "waits and reads files outside of the seams")]
#![expect(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "a test ends when it is not so")]

mod certificates;
mod issuers;
mod machines;
mod secrets;
mod users;
mod world;
