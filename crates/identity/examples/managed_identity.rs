//! The identity of this machine or service; with an argument, the user-assigned one of that client id.
//!
//! `cargo run -p identity --example managed_identity --features msi [CLIENT_ID]`
#![expect(clippy::print_stdout, reason = "an example that shows what it got")]

use std::{env, error::Error};

use identity::{ManagedIdentityCredential, TokenCredential};

fn main() -> Result<(), Box<dyn Error>> {
    let mut builder = ManagedIdentityCredential::builder();
    if let Some(client_id) = env::args().nth(1) {
        builder = builder.client_id(client_id);
    }
    let credential = builder.build()?;
    println!("asking {}", credential.source());

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let token = runtime.block_on(credential.get_token(&["https://management.azure.com/.default"], None))?;
    println!("got a token of {} characters until {:?}", token.secret().len(), token.expires_on());
    Ok(())
}
