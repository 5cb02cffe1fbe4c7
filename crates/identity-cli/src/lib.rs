//! Credentials of the tools that developers are signed in with.
#![forbid(unsafe_code)]

mod az;
mod azd;
mod clixml;
mod engine;
mod find;
mod options;
mod powershell;
mod said;

#[cfg(test)]
mod tests;

pub use self::{
    az::{AzureCliCredential, AzureCliCredentialBuilder},
    azd::{AzureDeveloperCliCredential, AzureDeveloperCliCredentialBuilder},
    powershell::{AzurePowerShellCredential, AzurePowerShellCredentialBuilder},
};
