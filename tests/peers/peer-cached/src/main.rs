//! `peer-cached N`: one token, then N cached calls.

use std::env;
use std::error::Error;
use std::sync::Arc;

use azure_core::credentials::TokenCredential;
use azure_identity::ManagedIdentityCredential;

const SCOPE: &str = "https://storage.azure.com/.default";

fn main() -> Result<(), Box<dyn Error>> {
    let calls: u64 = env::args().nth(1).ok_or("usage: peer-cached N")?.parse()?;
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let credential: Arc<dyn TokenCredential> = ManagedIdentityCredential::new(None)?;
        credential.get_token(&[SCOPE], None).await?;
        for _ in 0..calls {
            std::hint::black_box(credential.get_token(&[SCOPE], None).await?);
        }
        Ok(())
    })
}
