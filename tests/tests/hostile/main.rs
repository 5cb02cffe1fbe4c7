//! Our transport and our credential against an emulator that is slow, broken or lies, over real sockets; thousands of
//! callers at once; proxies that want to be asked.
#![expect(clippy::disallowed_methods, reason = "tests stand outside of the seams")]
#![expect(clippy::unwrap_used, reason = "a test ends when it is not so")]

mod answers;
mod arc;
mod bytes;
mod callers;
mod entra;
mod fast;
mod proxies;
mod table;

use identity_core::{AccessToken, Result, TokenCredential as _};
use identity_msi::ManagedIdentityCredential;

const SCOPE: &str = "https://storage.azure.com/.default";

async fn get(credential: &ManagedIdentityCredential) -> Result<AccessToken> {
    credential.get_token(&[SCOPE], None).await
}

/// A runtime as servers have it.
fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}
