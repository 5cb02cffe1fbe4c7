//! One token by a client secret, printed: the official crate.

use std::env::var;
use std::error::Error;

use azure_core::credentials::TokenCredential;
use azure_identity::ClientSecretCredential;

fn main() -> Result<(), Box<dyn Error>> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let (tenant, client) = (var("AZURE_TENANT_ID")?, var("AZURE_CLIENT_ID")?);
        let credential = ClientSecretCredential::new(&tenant, client, var("AZURE_CLIENT_SECRET")?.into(), None)?;
        let token = credential.get_token(&["https://storage.azure.com/.default"], None).await?;
        println!("{} {}", token.token.secret(), token.expires_on.unix_timestamp());
        Ok(())
    })
}
