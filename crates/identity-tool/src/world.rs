//! What a run asks: the real world, or an emulator in this process.

use std::{io, sync::Arc};

use identity::{Platform, Result, Roots, TransportOptions};
use identity_emulator::{Emulator, Source, UserFlow};

use crate::{
    cli::{Credential, RootsName, TokenArgs, TransportArgs},
    emulator,
    overlay::Overlay,
};

/// The emulator of one run, and what leads to it.
pub(crate) struct World {
    /// It runs, and its files are there, as long as this is held.
    emulator: Option<Emulator>,
}

impl World {
    /// The real world, or an emulator that was started.
    pub(crate) async fn new(args: &TokenArgs) -> io::Result<Self> {
        if !args.emulator.emulator {
            return Ok(Self { emulator: None });
        }
        let emulator = Emulator::builder().start().await?;
        if asks_managed_identity(args) {
            emulator::check(&emulator, Some(metadata(args)))?;
        }
        Ok(Self { emulator: Some(emulator) })
    }

    /// What the credential sees.
    ///
    /// # Errors
    ///
    /// As [`TransportOptions::platform`].
    pub(crate) fn platform(&self, args: &TokenArgs) -> Result<Platform> {
        let transport = &args.transport;
        let Some(emulator) = &self.emulator else {
            let is_default = transport.ca_file.is_empty()
                && transport.roots.is_none()
                && transport.proxy.is_none()
                && !transport.no_proxy;
            return if is_default {
                Ok(identity::platform())
            } else {
                with(TransportOptions::new(), transport).platform()
            };
        };
        let options = TransportOptions::new().roots(Roots::None).ca_pem(emulator.ca_pem()).no_proxy();
        let platform = with(options, transport).platform()?;
        let overlay = Overlay::new(variables(emulator, args), Arc::clone(platform.env()));
        Ok(platform.with_env(Arc::new(overlay)))
    }
}

fn with(mut options: TransportOptions, args: &TransportArgs) -> TransportOptions {
    match args.roots {
        Some(RootsName::System) => options = options.roots(Roots::System),
        Some(RootsName::Webpki) => options = options.roots(Roots::Webpki),
        None => {}
    }
    for file in &args.ca_file {
        options = options.ca_file(file);
    }
    if let Some(url) = &args.proxy {
        options = options.proxy(url.as_str());
    }
    if args.no_proxy {
        options = options.no_proxy();
    }
    options
}

/// The variables of the emulator that lead this credential to it.
fn variables(emulator: &Emulator, args: &TokenArgs) -> Vec<(String, String)> {
    match args.credential {
        Credential::Default | Credential::ManagedIdentity => emulator.variables(metadata(args)),
        Credential::ClientSecret => emulator.variables(Source::Entra),
        Credential::Certificate => emulator.certificate_variables(),
        Credential::ClientAssertion => {
            let mut variables = emulator.variables(Source::WorkloadIdentity);
            if asks_managed_identity(args) {
                // It would take the file for an identity of its own.
                variables.retain(|(name, _)| name != "AZURE_FEDERATED_TOKEN_FILE");
                variables.extend(emulator.variables(metadata(args)));
            }
            variables
        }
        Credential::WorkloadIdentity if args.proof.enable_azure_proxy => emulator.variables(Source::IdentityBinding),
        Credential::WorkloadIdentity => emulator.variables(Source::WorkloadIdentity),
        Credential::AzurePipelines => emulator.variables(Source::AzurePipelines),
        Credential::GithubActions => emulator.variables(Source::GithubActions),
        Credential::OnBehalfOf => emulator.user_variables(UserFlow::OnBehalfOf),
        Credential::AuthorizationCode => emulator.user_variables(UserFlow::AuthorizationCode),
        Credential::UsernamePassword => emulator.user_variables(UserFlow::UsernamePassword),
        // Refused with --emulator.
        Credential::AzureCli | Credential::AzureDeveloperCli | Credential::AzurePowerShell => Vec::new(),
    }
}

fn asks_managed_identity(args: &TokenArgs) -> bool {
    matches!(args.credential, Credential::Default | Credential::ManagedIdentity) || args.proof.assertion_from.is_some()
}

/// What stands in for the source of a managed identity.
fn metadata(args: &TokenArgs) -> Source {
    args.emulator.emulator_source.unwrap_or(Source::AppService)
}
