//! Which applications the variables name: those that get a token with what the emulator hands out.

use std::io;
use std::time::SystemTime;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::directory::{
    App, CERTIFICATE_CLIENT_ID, Directory, FEDERATED_CLIENT_ID, GITHUB_ISSUER, GITHUB_SUBJECT, KUBERNETES_ISSUER,
    KUBERNETES_SUBJECT, PIPELINES_ISSUER, PIPELINES_SUBJECT, WEB_CLIENT_ID,
};
use crate::emulator::Emulator;
use crate::entra::EXCHANGE_AUDIENCE;
use crate::source::Source;
use crate::text::epoch_seconds;
use crate::token::TEST_CERTIFICATE_PEM;
use crate::x509::Certificate;

/// By what a program proves to be an application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    Secret,
    Certificate,
    /// A token of that source.
    Token(Source),
}

impl Emulator {
    /// Whether the directory has an application that gets tokens with what [`variables`](Self::variables) says of this source.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::InvalidInput`] if it has none, with what it lacks; the variables are none, then.
    pub fn check_variables(&self, source: Source) -> io::Result<()> {
        match Proof::of(source) {
            Some(proof) => self.check_proof(proof),
            None => Ok(()),
        }
    }

    /// The same for [`certificate_variables`](Self::certificate_variables).
    ///
    /// # Errors
    ///
    /// As for [`check_variables`](Self::check_variables).
    pub fn check_certificate_variables(&self) -> io::Result<()> {
        self.check_proof(Proof::Certificate)
    }

    fn check_proof(&self, proof: Proof) -> io::Result<()> {
        if self.app_for(proof).is_some() {
            return Ok(());
        }
        let needs = match proof {
            Proof::Secret => "a client secret that has not expired".to_owned(),
            Proof::Certificate => "the public test certificate of the emulator, which has no other key".to_owned(),
            Proof::Token(source) => {
                let (issuer, subject) = record(source);
                format!("a federated credential for issuer {issuer}, subject {subject}, audience {EXCHANGE_AUDIENCE}")
            }
        };
        let home = self.tenant_id();
        let message = format!("the directory has no application of the home tenant {home}, enabled, with {needs}");
        Err(io::Error::new(io::ErrorKind::InvalidInput, message))
    }

    /// The application, if there is one, and its secret, if that is the proof.
    pub(super) fn app_for(&self, proof: Proof) -> Option<(String, String)> {
        let directory = self.shared.directory.last_good();
        let now = self.shared.now(Source::Entra);
        let fits = |app: &&App| is_usable(&directory, app) && proof.is_of(app, now);
        let preferred = directory.apps.iter().filter(|app| app.client_id == proof.preferred()).find(fits);
        let app = preferred.or_else(|| directory.apps.iter().find(fits))?;
        Some((app.client_id.clone(), app.good_secret(now).unwrap_or_default().to_owned()))
    }
}

impl Proof {
    pub(super) const fn of(source: Source) -> Option<Self> {
        match source {
            Source::Entra => Some(Self::Secret),
            Source::WorkloadIdentity | Source::IdentityBinding | Source::AzurePipelines | Source::GithubActions => {
                Some(Self::Token(source))
            }
            _ => None,
        }
    }

    /// The application of the built-in directory that is made for it.
    const fn preferred(self) -> &'static str {
        match self {
            Self::Secret => WEB_CLIENT_ID,
            Self::Certificate => CERTIFICATE_CLIENT_ID,
            Self::Token(_) => FEDERATED_CLIENT_ID,
        }
    }

    fn is_of(self, app: &App, now: SystemTime) -> bool {
        match self {
            Self::Secret => app.good_secret(now).is_some(),
            Self::Certificate => has_test_certificate(app, now),
            Self::Token(source) => {
                let (issuer, subject) = record(source);
                // The proxy of identity bindings has an audience of its own.
                let any_audience = source == Source::IdentityBinding;
                app.federations.iter().any(|record| {
                    record.issuer == issuer
                        && record.subject == subject
                        && (any_audience || record.audience == EXCHANGE_AUDIENCE)
                })
            }
        }
    }
}

/// True for an application that gets tokens in the home tenant.
fn is_usable(directory: &Directory, app: &App) -> bool {
    let at_home = directory.tenants.first().is_some_and(|home| directory.app(&app.client_id, home).is_some());
    at_home && !app.disabled && !app.blocked && !app.public
}

fn has_test_certificate(app: &App, now: SystemTime) -> bool {
    let Ok(test) = CertificateDer::from_pem_slice(TEST_CERTIFICATE_PEM.as_bytes()) else { return false };
    let certificates = app.certificates.iter().filter_map(|pem| Certificate::from_pem(pem));
    certificates.into_iter().any(|one| one.der() == test.as_ref() && one.is_valid_at(epoch_seconds(now)))
}

/// The issuer and the subject of the tokens that a source hands out.
const fn record(source: Source) -> (&'static str, &'static str) {
    match source {
        Source::AzurePipelines => (PIPELINES_ISSUER, PIPELINES_SUBJECT),
        Source::GithubActions => (GITHUB_ISSUER, GITHUB_SUBJECT),
        _ => (KUBERNETES_ISSUER, KUBERNETES_SUBJECT),
    }
}
