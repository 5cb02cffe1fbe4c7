//! One token by a workload identity, printed: the official crate.

use std::error::Error;

use azure_core::credentials::TokenCredential;
use azure_identity::WorkloadIdentityCredential;

fn main() -> Result<(), Box<dyn Error>> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let credential = WorkloadIdentityCredential::new(None)?;
        let token = credential.get_token(&["https://storage.azure.com/.default"], None).await?;
        println!("{} {}", token.token.secret(), token.expires_on.unix_timestamp());
        Ok(())
    })
}
