//! What a cluster and a machine hand to programs: tokens of service accounts and certificates, as files.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde_json::json;

use crate::directory::{KUBERNETES_ISSUER, KUBERNETES_SUBJECT};
use crate::entra::{BINDING_AUDIENCE, EXCHANGE_AUDIENCE};
use crate::files::{Kind, check};
use crate::lock;
use crate::shared::Shared;
use crate::source::Source;
use crate::text::epoch_seconds;
use crate::token::{TEST_CERTIFICATE_PEM, TEST_KEY_PEM};

impl Shared {
    pub(crate) fn kubernetes_token(&self, subject: &str, audience: &str, lifetime: Duration) -> io::Result<String> {
        let now = epoch_seconds(SystemTime::now());
        let expires = now.saturating_add(i64::try_from(lifetime.as_secs()).unwrap_or(i64::MAX));
        let mut parts = subject.rsplit(':');
        let (name, namespace) = (parts.next(), parts.next());
        self.signer.sign_jwt(
            |id| json!({ "alg": "RS256", "kid": id }),
            &json!({
                "aud": [audience],
                "exp": expires,
                "iat": now,
                "iss": KUBERNETES_ISSUER,
                "jti": self.signer.random_guid()?,
                "kubernetes.io": { "namespace": namespace, "serviceaccount": { "name": name } },
                "nbf": now,
                "sub": subject,
            }),
        )
    }

    pub(crate) fn project_kubernetes_token(
        &self,
        directory: &Path,
        subject: &str,
        audience: &str,
        lifetime: Duration,
    ) -> io::Result<PathBuf> {
        let token = self.kubernetes_token(subject, audience, lifetime)?;
        self.files.project(directory, TOKEN, &token, &self.signer.random_hex::<8>()?)
    }

    /// Writes all files that clients read, or none if one of somebody else is in the way.
    pub(crate) fn write_files(&self) -> io::Result<()> {
        let all = [
            (CA, Kind::Ca),
            (CLIENT, Kind::Client),
            (BINDING_CA, Kind::Ca),
            (USER_ASSERTION, Kind::UserToken),
            (CODE, Kind::Code),
        ];
        for (name, kind) in all {
            check(&self.files.path(name), kind)?;
        }
        self.rotate_tokens()?;
        self.write_file(CA, &self.authority.ca_pem(), Kind::Ca)?;
        self.write_file(CLIENT, &format!("{TEST_CERTIFICATE_PEM}{TEST_KEY_PEM}"), Kind::Client)?;
        self.write_file(BINDING_CA, &self.binding.ca_pem(), Kind::Ca)
    }

    pub(crate) fn write_file(&self, name: &str, content: &str, kind: Kind) -> io::Result<()> {
        self.files.write(name, content, kind, &self.signer.random_hex::<8>()?)
    }

    /// Writes new tokens of the service account and of a user.
    pub(crate) fn rotate_tokens(&self) -> io::Result<()> {
        for (directory, audience) in [(POD, EXCHANGE_AUDIENCE), (BINDING_POD, BINDING_AUDIENCE)] {
            let directory = self.files.path(directory);
            self.project_kubernetes_token(&directory, KUBERNETES_SUBJECT, audience, LIFETIME)?;
        }
        self.write_user_assertion()?;
        self.write_code()
    }

    /// Lets another key sign, and writes new tokens.
    pub(crate) fn roll_signing_key(&self) -> io::Result<()> {
        self.signer.keys.roll(epoch_seconds(self.now(Source::Entra)));
        self.rotate_tokens()
    }

    pub(crate) fn rotate_ca(&self) -> io::Result<()> {
        self.authority.rotate()?;
        self.write_file(CA, &self.authority.ca_pem(), Kind::Ca)
    }

    pub(crate) fn rotate_binding_ca(&self) -> io::Result<()> {
        self.binding.rotate()?;
        self.write_file(BINDING_CA, &self.binding.ca_pem(), Kind::Ca)
    }

    pub(crate) fn set_skew(&self, seconds: i64) {
        lock(&self.settings).skew_secs = seconds.clamp(-MAX_SKEW_SECS, MAX_SKEW_SECS);
    }
}

/// The only server name that the proxy of AKS identity bindings answers to.
pub(crate) const BINDING_NAME: &str = "identity-binding.emulator.example";
pub(crate) const CA: &str = "ca.pem";
pub(crate) const CLIENT: &str = "client.pem";
pub(crate) const POD: &str = "azure-identity";
pub(crate) const BINDING_POD: &str = "identity-binding";
pub(crate) const BINDING_CA: &str = "identity-binding-ca.pem";
pub(crate) const TOKEN: &str = "azure-identity-token";
pub(crate) const USER_ASSERTION: &str = "user-assertion";
pub(crate) const CODE: &str = "authorization-code";
/// How long the tokens in files live: as long as AKS allows.
pub(crate) const LIFETIME: Duration = Duration::from_secs(86_400);
/// As far as Entra's clock may be wrong: 100 years.
const MAX_SKEW_SECS: i64 = 3_155_760_000;
