//! What only Entra and the issuers that it trusts have.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::cluster::{BINDING_CA, BINDING_NAME, BINDING_POD, CA, CLIENT, POD, TOKEN};
use crate::directory::{App, SERVICE_CONNECTION_ID};
use crate::emulator::Emulator;
use crate::emulator::choice::Proof;
use crate::files;
use crate::source::Source;
use crate::tls::ServerCertificate;

impl Emulator {
    /// The origin of Entra's token service, such as `https://localhost:4000`.
    #[must_use]
    pub fn authority(&self) -> String {
        self.origin(Source::Entra)
    }

    /// The certificate of the CA, made at start, that clients of Entra's listeners have to trust, as PEM.
    #[must_use]
    pub fn ca_pem(&self) -> String {
        self.shared.authority.ca_pem()
    }

    /// The file that holds [`ca_pem`](Self::ca_pem); it goes when the emulator is dropped.
    #[must_use]
    pub fn ca_path(&self) -> PathBuf {
        self.shared.files.path(CA)
    }

    /// Writes [`ca_pem`](Self::ca_pem) to a file of the caller's: a new one, an empty one, or one that holds such a CA.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::AlreadyExists`] for any other file, and what the system says; with the path.
    pub fn write_ca(&self, path: impl AsRef<Path>) -> io::Result<()> {
        let version = self.shared.signer.random_hex::<8>()?;
        files::replace(path.as_ref(), &self.ca_pem(), files::Kind::Ca, &version)
    }

    /// Makes a new CA and new certificates for Entra's listeners and writes [`ca_path`](Self::ca_path) anew; connections
    /// that are open stay as they are.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn rotate_ca(&self) -> io::Result<()> {
        self.shared.rotate_ca()
    }

    /// Lets Entra's listeners show a certificate that is wrong in this way, or a good one again; the CA stays.
    ///
    /// # Errors
    ///
    /// If there is no randomness.
    pub fn show_certificate(&self, certificate: ServerCertificate) -> io::Result<()> {
        self.shared.authority.show(certificate)
    }

    /// Lets another key sign all tokens from now on, and writes those in files anew; there are two keys, and both are public.
    ///
    /// The key set has the old one, too, for a day of Entra's clock: see [`set_clock_skew_secs`](Self::set_clock_skew_secs).
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn roll_signing_key(&self) -> io::Result<()> {
        self.shared.roll_signing_key()
    }

    /// The CA of the proxy of AKS identity bindings, as PEM.
    #[must_use]
    pub fn identity_binding_ca_pem(&self) -> String {
        self.shared.binding.ca_pem()
    }

    /// Makes a new CA and a new certificate for the proxy of AKS identity bindings and writes the file that
    /// `AZURE_KUBERNETES_CA_FILE` names anew.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn rotate_identity_binding_ca(&self) -> io::Result<()> {
        self.shared.rotate_binding_ca()
    }

    /// The file with the certificate and the key of [`CERTIFICATE_CLIENT_ID`](crate::CERTIFICATE_CLIENT_ID), as PEM.
    #[must_use]
    pub fn client_certificate_path(&self) -> PathBuf {
        self.shared.files.path(CLIENT)
    }

    /// The environment variables of a program that signs in to Entra with a certificate; none if no application has it, see
    /// [`check_certificate_variables`](Self::check_certificate_variables).
    #[must_use]
    pub fn certificate_variables(&self) -> Vec<(String, String)> {
        let Some((client_id, _)) = self.app_for(Proof::Certificate) else { return Vec::new() };
        let mut pairs = self.authority_variables(Source::Entra, &client_id);
        pairs.push(("AZURE_CLIENT_CERTIFICATE_PATH", self.client_certificate_path().display().to_string()));
        pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// Writes the directory of now to a new file: a start for one's own, see [`Builder::directory`](crate::Builder::directory).
    ///
    /// It has secrets in it, and on Unix nobody but its owner may read it.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::AlreadyExists`] if anything is there, a link included, and what the system says; with the path.
    pub fn write_directory(&self, path: impl AsRef<Path>) -> io::Result<()> {
        let path = path.as_ref();
        let text = self.shared.directory.last_good().to_toml();
        files::create(path, &text, Some(0o600)).map_err(|error| files::about(path, &error))
    }

    /// What is wrong with the [directory file](crate::Builder::directory); Entra answers 500 until it is repaired.
    #[must_use]
    pub fn directory_error(&self) -> Option<String> {
        self.shared.directory.now().err()
    }

    /// Registers an application in Entra, or replaces the one of that client id, at once.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::InvalidInput`] if its ids or certificates cannot work.
    pub fn put_app(&self, app: App) -> io::Result<()> {
        self.shared.directory.put(app)
    }

    /// Sets how many seconds Entra's clock is ahead of that of this machine; negative for behind.
    ///
    /// It moves the `Date` header, the times in tokens and the times at which assertions are valid.
    pub fn set_clock_skew_secs(&self, seconds: i64) {
        self.shared.set_skew(seconds);
    }

    /// A token of a service account, such as `system:serviceaccount:default:workload`, as a Kubernetes cluster signs it.
    ///
    /// Its issuer is [`KUBERNETES_ISSUER`](crate::KUBERNETES_ISSUER).
    ///
    /// # Errors
    ///
    /// If there is no randomness.
    pub fn kubernetes_token(&self, subject: &str, audience: &str, lifetime: Duration) -> io::Result<String> {
        self.shared.kubernetes_token(subject, audience, lifetime)
    }

    /// Writes a new [`kubernetes_token`](Self::kubernetes_token) below `directory` as a kubelet does, and gives the path at
    /// which a pod reads it. Call it again to rotate the token.
    ///
    /// A link, `azure-identity-token`, leads through another, `..data`, to a directory that is exchanged at one
    /// stroke. Where there are no such links (Windows), it is a plain file.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::AlreadyExists`] if either is there and was not made so, and what the system says; with the path.
    pub fn project_kubernetes_token(
        &self,
        directory: impl AsRef<Path>,
        subject: &str,
        audience: &str,
        lifetime: Duration,
    ) -> io::Result<PathBuf> {
        self.shared.project_kubernetes_token(directory.as_ref(), subject, audience, lifetime)
    }

    /// The variables for the sources that lead to Entra; none if there is no application for them.
    pub(super) fn entra_variables(&self, source: Source) -> Vec<(&'static str, String)> {
        let secrets = &self.shared.secrets;
        let file = |directory: &str| self.shared.files.path(directory).join(TOKEN).display().to_string();
        let Some((client_id, secret)) = Proof::of(source).and_then(|proof| self.app_for(proof)) else {
            return Vec::new();
        };
        let authority = if source == Source::WorkloadIdentity { source } else { Source::Entra };
        let mut pairs = self.authority_variables(authority, &client_id);
        match source {
            Source::WorkloadIdentity => pairs.push(("AZURE_FEDERATED_TOKEN_FILE", file(POD))),
            Source::IdentityBinding => pairs.extend([
                ("AZURE_FEDERATED_TOKEN_FILE", file(BINDING_POD)),
                ("AZURE_KUBERNETES_TOKEN_PROXY", self.endpoint(source)),
                ("AZURE_KUBERNETES_SNI_NAME", BINDING_NAME.to_owned()),
                ("AZURE_KUBERNETES_CA_FILE", self.shared.files.path(BINDING_CA).display().to_string()),
            ]),
            Source::AzurePipelines => pairs.extend([
                ("SYSTEM_OIDCREQUESTURI", self.endpoint(source)),
                ("SYSTEM_ACCESSTOKEN", secrets.azure_pipelines.clone()),
                ("AZURESUBSCRIPTION_TENANT_ID", self.tenant_id().to_owned()),
                ("AZURESUBSCRIPTION_CLIENT_ID", client_id),
                ("AZURESUBSCRIPTION_SERVICE_CONNECTION_ID", SERVICE_CONNECTION_ID.to_owned()),
            ]),
            Source::GithubActions => pairs.extend([
                ("ACTIONS_ID_TOKEN_REQUEST_URL", format!("{}?api-version=2.0", self.endpoint(source))),
                ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", secrets.github_actions.clone()),
            ]),
            _ => pairs.push(("AZURE_CLIENT_SECRET", secret)),
        }
        pairs
    }

    pub(super) fn authority_variables(&self, source: Source, client_id: &str) -> Vec<(&'static str, String)> {
        let ca = self.ca_path().display().to_string();
        vec![
            ("AZURE_AUTHORITY_HOST", self.origin(source)),
            ("AZURE_TENANT_ID", self.tenant_id().to_owned()),
            ("AZURE_CLIENT_ID", client_id.to_owned()),
            ("SSL_CERT_FILE", ca.clone()),
            ("REQUESTS_CA_BUNDLE", ca.clone()),
            ("NODE_EXTRA_CA_CERTS", ca),
        ]
    }
}
