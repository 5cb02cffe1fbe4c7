//! The user-assigned identity of the first argument if this machine has it, else the machine's own; and what to do with
//! the failure if there is neither.
//!
//! `cargo run -p identity --example chain --features chain,msi CLIENT_ID`
#![expect(clippy::print_stdout, reason = "an example that shows what it got")]

use std::{env, error::Error, sync::Arc};

use identity::{ChainedTokenCredential, ErrorKind, ManagedIdentityCredential, TokenCredential};

fn main() -> Result<(), Box<dyn Error>> {
    let client_id = env::args().nth(1).ok_or("give a client id")?;
    let preferred = ManagedIdentityCredential::builder().client_id(client_id).build()?;
    let fallback = ManagedIdentityCredential::builder().build()?;
    let credential = ChainedTokenCredential::new(vec![Arc::new(preferred), Arc::new(fallback)])?;

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match runtime.block_on(credential.get_token(&["https://storage.azure.com/.default"], None)) {
        Ok(token) => println!("{} got a token from {}", token.credential(), token.origin()),
        // Nothing here has an identity: a program that can do without would go on.
        Err(error) if error.kind() == ErrorKind::CredentialUnavailable => println!("going on without: {error}"),
        Err(error) => return Err(error.into()),
    }
    Ok(())
}
