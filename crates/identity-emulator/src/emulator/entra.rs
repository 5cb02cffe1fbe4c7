//! What only Entra and the issuers that it trusts have.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde_json::json;

use crate::directory::{
    App, CERTIFICATE_CLIENT_ID, FEDERATED_CLIENT_ID, KUBERNETES_ISSUER, KUBERNETES_SUBJECT, SERVICE_CONNECTION_ID,
    WEB_CLIENT_ID, WEB_CLIENT_SECRET,
};
use crate::emulator::Emulator;
use crate::entra::{BINDING_AUDIENCE, EXCHANGE_AUDIENCE};
use crate::files;
use crate::lock;
use crate::source::Source;
use crate::text::epoch_seconds;
use crate::token::{TEST_CERTIFICATE_PEM, TEST_KEY_PEM};

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

    /// Writes [`ca_pem`](Self::ca_pem) to a file of the caller's.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn write_ca(&self, path: impl AsRef<Path>) -> io::Result<()> {
        fs::write(path, self.ca_pem())
    }

    /// Makes a new CA and new certificates for Entra's listeners and writes [`ca_path`](Self::ca_path) anew; connections
    /// that are open stay as they are.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn rotate_ca(&self) -> io::Result<()> {
        self.shared.authority.rotate()?;
        self.shared.files.write(CA, &self.ca_pem())
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
        self.shared.binding.rotate()?;
        self.shared.files.write(BINDING_CA, &self.identity_binding_ca_pem())
    }

    /// The file with the certificate and the key of [`CERTIFICATE_CLIENT_ID`], as PEM.
    #[must_use]
    pub fn client_certificate_path(&self) -> PathBuf {
        self.shared.files.path(CLIENT)
    }

    /// The environment variables of a program that signs in to Entra with a certificate.
    #[must_use]
    pub fn certificate_variables(&self) -> Vec<(String, String)> {
        let mut pairs = self.authority_variables(Source::Entra, CERTIFICATE_CLIENT_ID);
        pairs.push(("AZURE_CLIENT_CERTIFICATE_PATH", self.client_certificate_path().display().to_string()));
        pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
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
        lock(&self.shared.settings).skew_secs = seconds.clamp(-MAX_SKEW_SECS, MAX_SKEW_SECS);
    }

    /// A token of a service account, such as `system:serviceaccount:default:workload`, as a Kubernetes cluster signs it.
    ///
    /// Its issuer is [`KUBERNETES_ISSUER`].
    ///
    /// # Errors
    ///
    /// If there is no randomness.
    pub fn kubernetes_token(&self, subject: &str, audience: &str, lifetime: Duration) -> io::Result<String> {
        let now = epoch_seconds(SystemTime::now());
        let expires = now.saturating_add(i64::try_from(lifetime.as_secs()).unwrap_or(i64::MAX));
        let mut parts = subject.rsplit(':');
        let (name, namespace) = (parts.next(), parts.next());
        let signer = &self.shared.signer;
        let header = json!({ "alg": "RS256", "kid": signer.key_id() });
        signer.sign_jwt(
            &header,
            &json!({
                "aud": [audience],
                "exp": expires,
                "iat": now,
                "iss": KUBERNETES_ISSUER,
                "jti": signer.random_guid()?,
                "kubernetes.io": { "namespace": namespace, "serviceaccount": { "name": name } },
                "nbf": now,
                "sub": subject,
            }),
        )
    }

    /// Writes a new [`kubernetes_token`](Self::kubernetes_token) below `directory` as a kubelet does, and gives the path at
    /// which a pod reads it. Call it again to rotate the token.
    ///
    /// A link, `azure-identity-token`, leads through another, `..data`, to a directory that is exchanged at one
    /// stroke. Where there are no such links (Windows), it is a plain file.
    ///
    /// # Errors
    ///
    /// What the system says, with the path.
    pub fn project_kubernetes_token(
        &self,
        directory: impl AsRef<Path>,
        subject: &str,
        audience: &str,
        lifetime: Duration,
    ) -> io::Result<PathBuf> {
        let token = self.kubernetes_token(subject, audience, lifetime)?;
        files::project(directory.as_ref(), TOKEN, &token, &self.shared.signer.random_hex::<8>()?)
    }

    /// Writes the files that clients read.
    pub(crate) fn write_files(&self) -> io::Result<()> {
        let files = &self.shared.files;
        files.write(CA, &self.ca_pem())?;
        files.write(CLIENT, &format!("{TEST_CERTIFICATE_PEM}{TEST_KEY_PEM}"))?;
        for (directory, audience) in [(POD, EXCHANGE_AUDIENCE), (BINDING_POD, BINDING_AUDIENCE)] {
            self.project_kubernetes_token(files.path(directory), KUBERNETES_SUBJECT, audience, FILE_LIFETIME)?;
        }
        files.write(BINDING_CA, &self.identity_binding_ca_pem())
    }

    /// The variables for the sources that lead to Entra.
    pub(super) fn entra_variables(&self, source: Source) -> Vec<(&'static str, String)> {
        let secrets = &self.shared.secrets;
        let file = |directory: &str| self.shared.files.path(directory).join(TOKEN).display().to_string();
        let (authority, client_id) = match source {
            Source::Entra => (Source::Entra, WEB_CLIENT_ID),
            Source::WorkloadIdentity => (Source::WorkloadIdentity, FEDERATED_CLIENT_ID),
            _ => (Source::Entra, FEDERATED_CLIENT_ID),
        };
        let mut pairs = self.authority_variables(authority, client_id);
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
                ("AZURESUBSCRIPTION_CLIENT_ID", client_id.to_owned()),
                ("AZURESUBSCRIPTION_SERVICE_CONNECTION_ID", SERVICE_CONNECTION_ID.to_owned()),
            ]),
            Source::GithubActions => pairs.extend([
                ("ACTIONS_ID_TOKEN_REQUEST_URL", format!("{}?api-version=2.0", self.endpoint(source))),
                ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", secrets.github_actions.clone()),
            ]),
            _ => pairs.push(("AZURE_CLIENT_SECRET", WEB_CLIENT_SECRET.to_owned())),
        }
        pairs
    }

    fn authority_variables(&self, source: Source, client_id: &str) -> Vec<(&'static str, String)> {
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

/// The only server name that the proxy of AKS identity bindings answers to.
pub(crate) const BINDING_NAME: &str = "identity-binding.emulator.example";
const CA: &str = "ca.pem";
const CLIENT: &str = "client.pem";
const POD: &str = "azure-identity";
const BINDING_POD: &str = "identity-binding";
const BINDING_CA: &str = "identity-binding-ca.pem";
const TOKEN: &str = "azure-identity-token";
/// How long the tokens in files live: as long as AKS allows.
const FILE_LIFETIME: Duration = Duration::from_secs(86_400);
/// As far as Entra's clock may be wrong: 100 years.
const MAX_SKEW_SECS: i64 = 3_155_760_000;
