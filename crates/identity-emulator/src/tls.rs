//! The certificate of the Service Fabric endpoint.

use std::io;
use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair};
use ring::digest;
use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::TlsAcceptor;

use crate::text::hex;
use crate::token::KEY_PEM;

/// A self-signed certificate, ready to serve.
pub(crate) struct SelfSigned {
    pub(crate) acceptor: TlsAcceptor,
    /// The SHA-1 of the certificate, in capital hexadecimal digits.
    pub(crate) thumbprint: String,
    pub(crate) pem: String,
}

/// Makes a certificate for loopback.
///
/// The key is a fresh one of P-256, or the public RSA test key: ring makes no RSA keys.
pub(crate) fn self_signed(rsa: bool) -> io::Result<SelfSigned> {
    let key = if rsa {
        let der = PrivatePkcs8KeyDer::from_pem_slice(KEY_PEM.as_bytes()).map_err(io::Error::other)?;
        KeyPair::try_from(&der).map_err(io::Error::other)?
    } else {
        KeyPair::generate().map_err(io::Error::other)?
    };
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let params = CertificateParams::new(names).map_err(io::Error::other)?;
    let certificate = params.self_signed(&key).map_err(io::Error::other)?;
    let thumbprint = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, certificate.der());
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .map_err(io::Error::other)?;
    Ok(SelfSigned {
        acceptor: TlsAcceptor::from(Arc::new(config)),
        thumbprint: hex(thumbprint.as_ref()).to_uppercase(),
        pem: certificate.pem(),
    })
}
