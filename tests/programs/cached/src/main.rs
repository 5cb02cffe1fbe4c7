//! `program-cached N`: one token, then N cached calls through a trait object.
//!
//! The difference between two lengths is what the calls cost: instructions, allocations.

use std::env;
use std::error::Error;
use std::hint::black_box;

use identity::{ManagedIdentityCredential, TokenCredential};

const SCOPE: &str = "https://storage.azure.com/.default";

fn main() -> Result<(), Box<dyn Error>> {
    let calls: u64 = env::args().nth(1).ok_or("usage: program-cached N")?.parse()?;
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let credential: Box<dyn TokenCredential> = Box::new(ManagedIdentityCredential::builder().build()?);
        let credential: &dyn TokenCredential = black_box(&*credential);
        credential.get_token(&[SCOPE], None).await?;
        for _ in 0..calls {
            black_box(credential.get_token(&[black_box(SCOPE)], None).await?);
        }
        Ok(())
    })
}
