//! The variables by which a platform tells a workload who it is; an empty one is not set.

use identity_core::{Env, Error, ErrorKind, Result};

/// The tenant.
pub(crate) const TENANT_ID: &str = "AZURE_TENANT_ID";
/// The application.
pub(crate) const CLIENT_ID: &str = "AZURE_CLIENT_ID";
/// The file with the token to exchange.
pub(crate) const FEDERATED_TOKEN_FILE: &str = "AZURE_FEDERATED_TOKEN_FILE";

/// Where the proxy of AKS identity bindings is.
pub(crate) const TOKEN_PROXY: &str = "AZURE_KUBERNETES_TOKEN_PROXY";
/// The name that its certificate has.
pub(crate) const SNI_NAME: &str = "AZURE_KUBERNETES_SNI_NAME";
/// The file with the roots that it is trusted by.
pub(crate) const CA_FILE: &str = "AZURE_KUBERNETES_CA_FILE";
/// The same, as text.
pub(crate) const CA_DATA: &str = "AZURE_KUBERNETES_CA_DATA";

/// Where a job of Azure Pipelines gets its token.
pub(crate) const OIDC_REQUEST_URI: &str = "SYSTEM_OIDCREQUESTURI";

/// Where a job of GitHub Actions gets its token.
pub(crate) const ID_TOKEN_REQUEST_URL: &str = "ACTIONS_ID_TOKEN_REQUEST_URL";
/// What it shows there.
pub(crate) const ID_TOKEN_REQUEST_TOKEN: &str = "ACTIONS_ID_TOKEN_REQUEST_TOKEN";

/// Collects what a credential needs from its builder, else from variables, and what is missing.
pub(crate) struct Needs<'a> {
    env: &'a dyn Env,
    missing: Vec<[&'static str; 2]>,
}

impl<'a> Needs<'a> {
    pub(crate) fn new(env: &'a dyn Env) -> Self {
        Self { env, missing: Vec::new() }
    }

    /// What was given to the builder's `setter`, else the variable's text.
    pub(crate) fn text(
        &mut self,
        given: Option<String>,
        setter: &'static str,
        variable: &'static str,
    ) -> Result<String> {
        if let Some(text) = given {
            return Ok(text);
        }
        let text = self.env.text(variable)?;
        if text.is_none() {
            self.missing.push([variable, setter]);
        }
        Ok(text.unwrap_or_default())
    }

    /// Refuses to go on if anything is missing; `advice` says who usually sets it.
    pub(crate) fn check(&self, advice: &str) -> Result<()> {
        let mut message = String::new();
        for [variable, setter] in &self.missing {
            let comma = if message.is_empty() { "" } else { ", " };
            message.extend([comma, "'", setter, "' (variable ", variable, ")"]);
        }
        if message.is_empty() {
            return Ok(());
        }
        message.extend([if self.missing.len() == 1 { " is" } else { " are" }, " missing; ", advice]);
        Err(Error::new(ErrorKind::InvalidArgument, message))
    }
}

/// Tells one content from another (FNV-1a), nothing more.
pub(crate) fn fingerprint(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}
