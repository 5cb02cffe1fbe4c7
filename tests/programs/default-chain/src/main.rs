//! The smallest useful program with the whole default chain: one token, printed. Its size and crates are measured.

#![expect(clippy::print_stdout, reason = "a program that prints a token")]

use std::{error::Error, time::UNIX_EPOCH};

use identity::{DefaultAzureCredential, TokenCredential};

fn main() -> Result<(), Box<dyn Error>> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let credential = DefaultAzureCredential::builder().build()?;
        let token = credential.get_token(&["https://storage.azure.com/.default"], None).await?;
        let expires_on = token.expires_on().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
        println!("{} {expires_on}", token.secret());
        Ok(())
    })
}
