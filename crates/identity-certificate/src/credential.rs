use std::{fmt, path::PathBuf, sync::Arc};

use identity_core::{Platform, Result, Secret, TokenCredential, TokenFuture, TokenRequestOptions};
use identity_oauth::{AppClient, Client, ClientOptions};

use crate::{
    client::{ClientCertificate, ClientCertificateBuilder},
    signer::Signer,
};

/// Gets tokens for an application that proves who it is by a certificate.
///
/// The private key never leaves the process: each token request carries a statement that it signs, valid for ten minutes.
/// Clones share one cache.
#[derive(Clone)]
pub struct CertificateCredential(Arc<AppClient>);

impl CertificateCredential {
    /// Starts a credential for the application `client_id` in the tenant `tenant_id` (a GUID or a domain name; `adfs` for
    /// AD FS). A certificate must be given: a file, bytes, or a [`Signer`].
    ///
    /// ```no_run
    /// # use identity_certificate::CertificateCredential;
    /// # fn example(platform: &identity_core::Platform) -> identity_core::Result<()> {
    /// let credential = CertificateCredential::builder("TENANT", "CLIENT")
    ///     .certificate_path("/etc/app/identity.pem")
    ///     .build_with(platform)?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn builder(tenant_id: impl Into<String>, client_id: impl Into<String>) -> CertificateCredentialBuilder {
        CertificateCredentialBuilder {
            tenant_id: tenant_id.into(),
            client_id: client_id.into(),
            certificate: ClientCertificate::builder(),
            options: ClientOptions::default(),
        }
    }
}

impl TokenCredential for CertificateCredential {
    /// Gets a token for the application itself. Entra ID takes one resource at a time, as `{resource}/.default`.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::InvalidArgument`](identity_core::ErrorKind::InvalidArgument) for scopes, claims or a tenant that are
    ///   none, a tenant that is not allowed, an authority that is not known, outside a runtime, if a proxy or TLS setting
    ///   cannot work, and if what a [`Signer`] gives is no signature of the certificate's key.
    /// - [`ErrorKind::AuthenticationFailed`](identity_core::ErrorKind::AuthenticationFailed) if the service refuses:
    ///   [`entra_codes`](identity_core::Error::entra_codes) says why, the message what to do.
    /// - [`ErrorKind::Transport`](identity_core::ErrorKind::Transport) if no answer came within 45 s, or none but "later".
    /// - [`ErrorKind::Protocol`](identity_core::ErrorKind::Protocol) for an answer that is none, is too large (1 MiB), or is
    ///   a redirect.
    /// - Whatever a [`Signer`] says.
    fn get_token<'a>(&'a self, scopes: &'a [&'a str], options: Option<&'a TokenRequestOptions>) -> TokenFuture<'a> {
        self.0.get(scopes, options)
    }

    fn name(&self) -> &'static str {
        NAME
    }
}

impl fmt::Debug for CertificateCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple(NAME).field(&self.0).finish()
    }
}

/// Builds a [`CertificateCredential`].
#[derive(Clone, Debug)]
pub struct CertificateCredentialBuilder {
    tenant_id: String,
    client_id: String,
    certificate: ClientCertificateBuilder,
    options: ClientOptions,
}

impl CertificateCredentialBuilder {
    identity_oauth::client_options!();

    /// Takes certificate and private key from a file; see [`ClientCertificateBuilder::certificate_path`].
    #[must_use]
    pub fn certificate_path(mut self, path: impl Into<PathBuf>) -> Self {
        self.certificate = self.certificate.certificate_path(path);
        self
    }

    /// Takes certificate and private key from bytes; see [`ClientCertificateBuilder::certificate_data`].
    #[must_use]
    pub fn certificate_data(mut self, data: impl Into<Vec<u8>>) -> Self {
        self.certificate = self.certificate.certificate_data(data);
        self
    }

    /// Signs with a key that is elsewhere; see [`ClientCertificateBuilder::signer`].
    #[must_use]
    pub fn signer(mut self, certificates: impl Into<Vec<u8>>, signer: Arc<dyn Signer>) -> Self {
        self.certificate = self.certificate.signer(certificates, signer);
        self
    }

    /// Sets the password of an encrypted key or PKCS#12 file. One that is not needed is not looked at.
    #[must_use]
    pub fn password(mut self, password: impl Into<Secret>) -> Self {
        self.certificate = self.certificate.password(password);
        self
    }

    /// Sends all certificates with each assertion; see [`ClientCertificateBuilder::send_certificate_chain`].
    #[must_use]
    pub fn send_certificate_chain(mut self) -> Self {
        self.certificate = self.certificate.send_certificate_chain();
        self
    }

    /// Builds the credential for this process: its variables, HTTP by hyper, TLS by rustls, time and tasks by tokio.
    ///
    /// # Errors
    ///
    /// As [`build_with`](Self::build_with).
    #[cfg(feature = "tokio")]
    pub fn build(self) -> Result<CertificateCredential> {
        self.build_with(&identity_tokio::platform())
    }

    /// Builds the credential for `platform`. Reads variables and the certificate file; touches no network.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidArgument`](identity_core::ErrorKind::InvalidArgument) for a tenant id or client id that is empty
    /// or malformed, an authority or region that is none, a failure memory of more than 60 seconds, a cache for no token, a
    /// variable that is malformed, if the platform's transport cannot speak `https`, and as
    /// [`ClientCertificateBuilder::build_with`].
    pub fn build_with(self, platform: &Platform) -> Result<CertificateCredential> {
        self.assemble(platform).map_err(|error| error.with_credential(NAME))
    }

    fn assemble(self, platform: &Platform) -> Result<CertificateCredential> {
        let certificate = Arc::new(self.certificate.build_with(platform)?);
        let client = Client::new(platform, &self.tenant_id, &self.client_id, Some(certificate), self.options)?;
        Ok(CertificateCredential(Arc::new(AppClient::new(NAME, client))))
    }
}

/// The credential's name in logs, errors and tokens.
const NAME: &str = "CertificateCredential";
