//! What a run asks: the real world, or an emulator in this process.

use std::{io, sync::Arc};

use identity::{Platform, Result, Roots, TransportOptions};
use identity_emulator::{Emulator, Source, UserFlow};

use crate::{
    cli::{Credential, RootsName, TokenArgs, TokenEmulatorArgs, TransportArgs},
    emulator,
    overlay::Overlay,
};

/// The emulator of one run, and what leads to it.
pub(crate) struct World {
    /// It runs, and its files are there, as long as this is held.
    emulator: Option<Emulator>,
}

impl World {
    /// The real world, or an emulator that was started. `source` stands in for where a managed identity is asked, if one is.
    pub(crate) async fn new(args: &TokenEmulatorArgs, source: Option<Source>) -> io::Result<Self> {
        if !args.emulator {
            return Ok(Self { emulator: None });
        }
        let emulator = Emulator::builder().start().await?;
        if source.is_some() {
            emulator::check(&emulator, source)?;
        }
        Ok(Self { emulator: Some(emulator) })
    }

    /// The world of `identity token`.
    pub(crate) async fn of(args: &TokenArgs) -> io::Result<Self> {
        Self::new(&args.emulator, asks_managed_identity(args).then(|| metadata(&args.emulator))).await
    }

    /// How `https` is spoken.
    pub(crate) fn options(&self, transport: &TransportArgs) -> TransportOptions {
        let options = TransportOptions::new();
        let options = match &self.emulator {
            None => options,
            Some(emulator) => options.roots(Roots::None).ca_pem(emulator.ca_pem()).no_proxy(),
        };
        with(options, transport)
    }

    /// What a credential sees; of the emulator's variables these.
    ///
    /// # Errors
    ///
    /// As [`TransportOptions::platform`].
    pub(crate) fn platform(
        &self,
        transport: &TransportArgs,
        variables: impl FnOnce(&Emulator) -> Vec<(String, String)>,
    ) -> Result<Platform> {
        let Some(emulator) = &self.emulator else {
            let is_default = transport.ca_file.is_empty()
                && transport.roots.is_none()
                && transport.proxy.is_none()
                && !transport.no_proxy;
            return if is_default { Ok(identity::platform()) } else { self.options(transport).platform() };
        };
        let real = self.options(transport).platform()?;
        let overlay = Overlay::new(variables(emulator), Arc::clone(real.env()));
        // Without its programs: whoever is signed in to one is somebody of the real world.
        let (transport, clock) = (Arc::clone(real.transport()), Arc::clone(real.clock()));
        let (random, runtime) = (Arc::clone(real.random()), Arc::clone(real.runtime()));
        Ok(Platform::new(transport, clock, random, Arc::new(overlay), runtime))
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
pub(crate) fn variables(emulator: &Emulator, args: &TokenArgs) -> Vec<(String, String)> {
    match args.credential {
        Credential::Default | Credential::ManagedIdentity => emulator.variables(metadata(&args.emulator)),
        Credential::Environment | Credential::ClientSecret => emulator.variables(Source::Entra),
        Credential::Certificate => emulator.certificate_variables(),
        Credential::ClientAssertion => {
            let mut variables = emulator.variables(Source::WorkloadIdentity);
            if asks_managed_identity(args) {
                // It would take the file for an identity of its own.
                variables.retain(|(name, _)| name != "AZURE_FEDERATED_TOKEN_FILE");
                variables.extend(emulator.variables(metadata(&args.emulator)));
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
pub(crate) fn metadata(args: &TokenEmulatorArgs) -> Source {
    args.emulator_source.unwrap_or(Source::AppService)
}
