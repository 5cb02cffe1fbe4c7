//! One managed-identity token, printed: the program whose size and cold start are measured.

#![expect(clippy::print_stdout, reason = "a program that prints a token")]

use std::error::Error;
use std::time::UNIX_EPOCH;

use identity::{ManagedIdentityCredential, TokenCredential};

fn main() -> Result<(), Box<dyn Error>> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let credential = ManagedIdentityCredential::builder().build()?;
        let token = credential.get_token(&["https://storage.azure.com/.default"], None).await?;
        println!("{} {}", token.secret(), token.expires_on().duration_since(UNIX_EPOCH)?.as_secs());
        Ok(())
    })
}
