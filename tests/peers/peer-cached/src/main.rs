//! `peer-cached msi|client-secret N`: one token, then N cached calls.

use std::env::{args, var};
use std::error::Error;
use std::sync::Arc;

use azure_core::credentials::TokenCredential;
use azure_identity::{ClientSecretCredential, ManagedIdentityCredential};

const SCOPE: &str = "https://storage.azure.com/.default";
const USAGE: &str = "usage: peer-cached msi|client-secret N";

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = args().skip(1);
    let credential: Arc<dyn TokenCredential> = match arguments.next().ok_or(USAGE)?.as_str() {
        "msi" => ManagedIdentityCredential::new(None)?,
        "client-secret" => {
            let (tenant, client) = (var("AZURE_TENANT_ID")?, var("AZURE_CLIENT_ID")?);
            ClientSecretCredential::new(&tenant, client, var("AZURE_CLIENT_SECRET")?.into(), None)?
        }
        _ => return Err(USAGE.into()),
    };
    let calls: u64 = arguments.next().ok_or(USAGE)?.parse()?;
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        credential.get_token(&[SCOPE], None).await?;
        for _ in 0..calls {
            std::hint::black_box(credential.get_token(&[SCOPE], None).await?);
        }
        Ok(())
    })
}
