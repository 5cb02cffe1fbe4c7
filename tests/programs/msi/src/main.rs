//! One managed-identity token, printed: the program whose size and cold start are measured.

#![expect(clippy::print_stdout, reason = "a program that prints a token")]

use std::error::Error;
use std::time::UNIX_EPOCH;

use identity::{ManagedIdentityCredential, TokenCredential};

fn main() -> Result<(), Box<dyn Error>> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let credential = ManagedIdentityCredential::builder().build()?;
        let token = credential.get_token(&["https://storage.azure.com/.default"], None).await?;
        let expires_on = token.expires_on().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
        println!("{} {expires_on}", token.secret());
        Ok(())
    })
}
