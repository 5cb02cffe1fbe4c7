//! One token by the credential that is named, printed: a program that carries all of them, and whose size is measured.

#![expect(clippy::print_stdout, reason = "a program that prints a token")]
#![expect(clippy::disallowed_methods, reason = "a program reads its variables")]
#![expect(deprecated, reason = "what is deprecated counts as well")]

use std::{
    env::{args, var},
    error::Error,
    sync::Arc,
    time::UNIX_EPOCH,
};

use identity::{
    AuthorizationCodeCredential, AzureCliCredential, AzureDeveloperCliCredential, AzurePipelinesCredential,
    AzurePowerShellCredential, CertificateCredential, ChainedTokenCredential, ClientAssertionCredential,
    ClientSecretCredential, DefaultAzureCredential, EnvironmentCredential, GithubActionsCredential,
    ManagedIdentityCredential, OnBehalfOfClient, Roots, Secret, TokenAssertion, TokenCredential, TransportOptions,
    UsernamePasswordCredential, WorkloadIdentityCredential,
};

fn main() -> Result<(), Box<dyn Error>> {
    let name = args().nth(1).ok_or("usage: program-full NAME")?;
    let credential = credential(&name)?;
    let scopes = ["https://storage.azure.com/.default"];
    let token = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let token = token.block_on(credential.get_token(&scopes, None))?;
    let expires_on = token.expires_on().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    println!("{} {expires_on}", token.secret());
    Ok(())
}

fn credential(name: &str) -> Result<Arc<dyn TokenCredential>, Box<dyn Error>> {
    let of = |name: &str| var(name).unwrap_or_default();
    let (tenant, client) = (of("AZURE_TENANT_ID"), of("AZURE_CLIENT_ID"));
    let secret = || Secret::new(of("AZURE_CLIENT_SECRET"));
    // Roots that are compiled in, and a proxy, for whoever asks for them.
    let platform = match var("CA_FILE") {
        Ok(file) => TransportOptions::new().roots(Roots::Webpki).ca_file(file).proxy(of("PROXY")).platform()?,
        Err(_) => identity::platform(),
    };
    Ok(match name {
        "default" => Arc::new(DefaultAzureCredential::builder().build_with(&platform)?),
        "environment" => Arc::new(EnvironmentCredential::builder().build_with(&platform)?),
        "chain" => Arc::new(ChainedTokenCredential::new(vec![credential("msi")?, credential("az")?])?),
        "msi" => Arc::new(ManagedIdentityCredential::builder().build_with(&platform)?),
        "workload" => Arc::new(WorkloadIdentityCredential::builder().enable_azure_proxy().build_with(&platform)?),
        "github" => Arc::new(GithubActionsCredential::builder().build_with(&platform)?),
        "secret" => Arc::new(ClientSecretCredential::builder(tenant, client, secret()).build_with(&platform)?),
        "certificate" => {
            let builder = CertificateCredential::builder(tenant, client);
            Arc::new(builder.certificate_path(of("CERTIFICATE")).password(secret()).build_with(&platform)?)
        }
        "assertion" => {
            let assertion = TokenAssertion::new(credential("msi")?);
            Arc::new(ClientAssertionCredential::builder(tenant, client, assertion).build_with(&platform)?)
        }
        "pipelines" => {
            let builder = AzurePipelinesCredential::builder(tenant, client, of("CONNECTION"), secret());
            Arc::new(builder.build_with(&platform)?)
        }
        "user" => {
            let client = OnBehalfOfClient::builder(tenant, client).client_secret(secret()).build_with(&platform)?;
            Arc::new(client.credential(of("USER_TOKEN"))?)
        }
        "code" => {
            let builder = AuthorizationCodeCredential::builder(tenant, client, of("CODE"), of("REDIRECT_URI"));
            Arc::new(builder.client_secret(secret()).build_with(&platform)?)
        }
        "password" => {
            let builder = UsernamePasswordCredential::builder(client, of("USERNAME"), secret());
            Arc::new(builder.tenant_id(tenant).build_with(&platform)?)
        }
        "az" => Arc::new(AzureCliCredential::builder().build_with(&platform)?),
        "azd" => Arc::new(AzureDeveloperCliCredential::builder().build_with(&platform)?),
        "powershell" => Arc::new(AzurePowerShellCredential::builder().build_with(&platform)?),
        _ => return Err("no credential has this name".into()),
    })
}
