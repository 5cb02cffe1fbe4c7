//! One token by a client secret, printed: the program whose size and cold start are measured.

#![expect(clippy::print_stdout, reason = "a program that prints a token")]
#![expect(clippy::disallowed_methods, reason = "a program reads its variables")]

use std::env::var;
use std::error::Error;
use std::time::UNIX_EPOCH;

use identity::{ClientSecretCredential, TokenCredential};

fn main() -> Result<(), Box<dyn Error>> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let (tenant, client) = (var("AZURE_TENANT_ID")?, var("AZURE_CLIENT_ID")?);
        let builder = ClientSecretCredential::builder(tenant, client, var("AZURE_CLIENT_SECRET")?);
        // What it is measured against asks nobody about its authority, either.
        let credential = builder.disable_instance_discovery().build()?;
        let token = credential.get_token(&["https://storage.azure.com/.default"], None).await?;
        let expires_on = token.expires_on().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
        println!("{} {expires_on}", token.secret());
        Ok(())
    })
}
