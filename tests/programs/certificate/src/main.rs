//! One token by a certificate, printed: the program whose size is measured.

#![expect(clippy::print_stdout, reason = "a program that prints a token")]
#![expect(clippy::disallowed_methods, reason = "a program reads its variables")]

use std::env::{var, var_os};
use std::error::Error;
use std::time::UNIX_EPOCH;

use identity::{CertificateCredential, TokenCredential};

fn main() -> Result<(), Box<dyn Error>> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let path = var_os("AZURE_CLIENT_CERTIFICATE_PATH").ok_or("AZURE_CLIENT_CERTIFICATE_PATH is not set")?;
        let mut builder = CertificateCredential::builder(var("AZURE_TENANT_ID")?, var("AZURE_CLIENT_ID")?)
            .certificate_path(path)
            .disable_instance_discovery();
        if let Ok(password) = var("AZURE_CLIENT_CERTIFICATE_PASSWORD") {
            builder = builder.password(password);
        }
        let token = builder.build()?.get_token(&["https://storage.azure.com/.default"], None).await?;
        let expires_on = token.expires_on().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
        println!("{} {expires_on}", token.secret());
        Ok(())
    })
}
