//! One token by a workload identity, printed: the program whose size is measured.

#![expect(clippy::print_stdout, reason = "a program that prints a token")]

use std::error::Error;
use std::time::UNIX_EPOCH;

use identity::{TokenCredential, WorkloadIdentityCredential};

fn main() -> Result<(), Box<dyn Error>> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        // What it is measured against asks nobody about its authority, either.
        let credential = WorkloadIdentityCredential::builder().disable_instance_discovery().build()?;
        let token = credential.get_token(&["https://storage.azure.com/.default"], None).await?;
        let expires_on = token.expires_on().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
        println!("{} {expires_on}", token.secret());
        Ok(())
    })
}
