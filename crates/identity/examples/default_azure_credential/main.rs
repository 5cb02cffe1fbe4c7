//! Whoever this program is, here: the first example of the README, which has the same lines.
//!
//! `cargo run -p identity --example default_azure_credential --features default-chain`
#![expect(clippy::print_stdout, reason = "an example that shows what it got")]

#[cfg(test)]
mod tests;

// README
use identity::{DefaultAzureCredential, TokenCredential};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let credential = DefaultAzureCredential::new()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let token = runtime.block_on(credential.get_token(&["https://storage.azure.com/.default"], None))?;
    // For a request: its header `authorization` is token.authorization().
    println!("{} gave a token until {:?}", token.credential(), token.expires_on());
    Ok(())
}
