//! A server that is trusted by the digest of its certificate.

use std::{fmt, sync::Arc};

use identity_core::text::hex;
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, OtherError, SignatureScheme,
    client::{
        Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, ring::default_provider, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
};
/// A configuration that trusts the certificate with this thumbprint.
pub(crate) fn config(thumbprint: [u8; 20]) -> Result<ClientConfig, Error> {
    let provider = Arc::new(default_provider());
    let verifier = Arc::new(Pinned { thumbprint, provider: Arc::clone(&provider) });
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    // Every connection proves the certificate anew.
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// Accepts one certificate, whatever its names and dates are and whoever issued it, from a server that holds its key.
#[derive(Debug)]
struct Pinned {
    thumbprint: [u8; 20],
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let found = digest(&SHA1_FOR_LEGACY_USE_ONLY, end_entity);
        if found.as_ref() == self.thumbprint {
            return Ok(ServerCertVerified::assertion());
        }
        let mismatch = format!(
            "the server's certificate has the SHA-1 thumbprint {}, but {} was expected; nothing was sent",
            hex(found.as_ref()),
            hex(&self.thumbprint)
        );
        Err(Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(Mismatch(mismatch))))))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Our own text, carried through rustls.
#[derive(Debug)]
struct Mismatch(String);

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Mismatch {}
