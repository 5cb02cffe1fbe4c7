//! Credentials of the tools that a developer is signed in with: the Azure CLI, the Azure Developer CLI, Azure PowerShell.
//!
//! ```no_run
//! # #[cfg(feature = "tokio")]
//! # async fn example() -> identity_core::Result<()> {
//! use identity_cli::AzureCliCredential;
//! use identity_core::TokenCredential as _;
//!
//! let credential = AzureCliCredential::builder().build()?;
//! let token = credential.get_token(&["https://storage.azure.com/.default"], None).await?;
//! # drop(token); Ok(())
//! # }
//! ```
//!
//! For development: a service should have an identity of its own.
//!
//! | credential | what is run | signed in by |
//! |---|---|---|
//! | [`AzureCliCredential`] | `az account get-access-token --output json --resource R [--tenant T] [--subscription S]` | `az login` |
//! | [`AzureDeveloperCliCredential`] | `azd auth token --output json --no-prompt --scope S.. [--tenant-id T] [--claims C]` | `azd auth login` |
//! | [`AzurePowerShellCredential`] | `pwsh -NoProfile -NonInteractive -OutputFormat Text -EncodedCommand ..`, on Windows else `powershell` | `Connect-AzAccount` |
//!
//! Source: azure-identity 1.27.0, `_credentials/azure_cli.py`, `azd_cli.py`, `azure_powershell.py`; where this crate does
//! otherwise, docs/adr/0011-tools.md says why.
//!
//! # How a tool is found and run
//!
//! - It is looked for in the directories of the variable `PATH`, for each call anew: in absolute ones only, never in the
//!   working directory. On Windows as `az.cmd`, `az.exe` or `az.bat` and the like; no other extension is tried.
//! - No shell is involved. Arguments are checked before anything is started: of scopes only letters, digits and `_-.:/` are
//!   taken, of tenants those and no colon and slash, of subscriptions letters, digits, blanks and `_-.`.
//! - It runs in `/bin`, on Windows in the directory of `SYSTEMROOT`. It reads end of file, inherits no handle, and has the
//!   variables of this process but for `AZURE_CLIENT_SECRET`, `AZURE_CLIENT_CERTIFICATE_PASSWORD` and `AZURE_PASSWORD`, which
//!   none of the tools reads. It is asked to print no colours.
//! - Up to four run at a time, whoever wants them; others wait, the first first.
//! - After its time (10 s, see `process_timeout`) it is asked to end, and killed half a second later; when nobody waits for it
//!   any more it is killed at once. On Unix with its process group, on Windows with its job: everything that it started, but
//!   what has left the group on purpose. 1 MiB of output and 64 KiB of complaints are read; one that writes more is killed.
//! - A tool that says that another run of it was in its way, as `az` does when two of them write one file, is run once more
//!   after 100 to 500 ms.
//!
//! # What is remembered
//!
//! Tokens, until five minutes before they expire, as for every credential of this project: one run for each tenant and set of
//! scopes however many callers wait, whether it succeeds or fails. A refusal is remembered for a minute. All of it is
//! forgotten when somebody signs in or out, or chooses another account, subscription or cloud: the files in which the tool
//! keeps that are looked at once a second while tokens are asked for.
//!
//! | tool | files | in |
//! |---|---|---|
//! | `az` | `azureProfile.json`, `clouds.config`, `config` | `AZURE_CONFIG_DIR`, else `~/.azure` |
//! | `azd` | `auth.json`, `config.json`, and `azureProfile.json` of `az` | `AZD_CONFIG_DIR`, else `~/.azd` |
//! | Azure PowerShell | `AzureRmContext.json`, `AzureRmContextSettings.json` | `~/.Azure` |
//!
//! Without a home directory, and where a tool keeps its sign-in elsewhere, nothing is noticed until the token expires. Give the
//! two variables absolute paths: a tool reads relative ones from the directory that it runs in.
//!
//! `no_cache()` turns it off.
//!
//! # Features
//!
//! - `tokio`: the default platform, so that `build()` exists.
//!
//! # Security
//!
//! What a tool prints is hostile: bounded, searched for tokens and secrets before it is shown, and freed of what could steer a
//! terminal. Which program `az` is, is decided by the variable `PATH`; what it does, by `AZURE_CONFIG_DIR`, `LD_PRELOAD` and
//! the like: whoever sets this process's variables chooses its identity. No secret becomes an argument or a variable.
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
