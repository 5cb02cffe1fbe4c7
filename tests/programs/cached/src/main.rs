//! `program-cached msi|client-secret|blocking N`: one token, then N cached calls through a trait object.
//!
//! The difference between two lengths is what the calls cost: instructions, allocations.

#![expect(clippy::disallowed_methods, reason = "a program reads its variables")]

use std::env::{args, var};
use std::error::Error;
use std::hint::black_box;

use identity::blocking::BlockingCredential;
use identity::{ClientSecretCredential, ManagedIdentityCredential, TokenCredential};

const SCOPE: &str = "https://storage.azure.com/.default";
const USAGE: &str = "usage: program-cached msi|client-secret|blocking N";

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = args().skip(1);
    let which = arguments.next().ok_or(USAGE)?;
    let credential: Box<dyn TokenCredential> = match which.as_str() {
        "msi" | "blocking" => Box::new(ManagedIdentityCredential::builder().build()?),
        "client-secret" => {
            let (tenant, client) = (var("AZURE_TENANT_ID")?, var("AZURE_CLIENT_ID")?);
            let builder = ClientSecretCredential::builder(tenant, client, var("AZURE_CLIENT_SECRET")?);
            Box::new(builder.disable_instance_discovery().build()?)
        }
        _ => return Err(USAGE.into()),
    };
    let calls: u64 = arguments.next().ok_or(USAGE)?.parse()?;
    if which == "blocking" {
        return without_async(&BlockingCredential::new(credential), calls);
    }
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let credential: &dyn TokenCredential = black_box(&*credential);
        credential.get_token(&[SCOPE], None).await?;
        for _ in 0..calls {
            black_box(credential.get_token(&[black_box(SCOPE)], None).await?);
        }
        Ok(())
    })
}

/// The same of a managed identity on a thread without a runtime.
fn without_async(credential: &BlockingCredential<Box<dyn TokenCredential>>, calls: u64) -> Result<(), Box<dyn Error>> {
    let credential = black_box(credential);
    credential.get_token(&[SCOPE], None)?;
    for _ in 0..calls {
        black_box(credential.get_token(&[black_box(SCOPE)], None)?);
    }
    Ok(())
}
