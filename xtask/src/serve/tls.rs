//! TLS for the measured exchange: a certificate of a CA of its own, trusted beside the system's roots.
//!
//! Reading the system's roots is most of what a first token costs, so programs get a bundle as they would find it: the
//! system's, and the CA behind it.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::{env, fs, process};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::Result;

/// What a server proves itself with, and the file that makes programs believe it; the file goes with the value.
pub(super) struct Tls {
    config: Arc<ServerConfig>,
    bundle: PathBuf,
}

impl Tls {
    pub(super) fn new() -> Result<Self> {
        let (config, ca) = issue().map_err(|error| format!("a certificate: {error}"))?;
        let system = SYSTEM_BUNDLES.into_iter().find_map(|path| fs::read_to_string(path).ok());
        let mut roots = system.ok_or("no bundle of the system's roots: install the package ca-certificates")?;
        roots.push_str(&ca);
        let number = BUNDLES.fetch_add(1, Ordering::Relaxed);
        let bundle = env::temp_dir().join(format!("xtask-roots-{}-{number}.pem", process::id()));
        fs::write(&bundle, roots).map_err(|error| format!("{}: {error}", bundle.display()))?;
        Ok(Self { config: Arc::new(config), bundle })
    }

    /// The system's roots and the CA, as PEM.
    pub(super) fn bundle(&self) -> &Path {
        &self.bundle
    }

    /// The server's side of a connection; the handshake happens with the first byte that is read.
    pub(super) fn accept(&self, stream: TcpStream) -> Option<StreamOwned<ServerConnection, TcpStream>> {
        Some(StreamOwned::new(ServerConnection::new(Arc::clone(&self.config)).ok()?, stream))
    }
}

impl Drop for Tls {
    fn drop(&mut self) {
        // What is left in the folder for temporary files is the system's to clean.
        let _ = fs::remove_file(&self.bundle);
    }
}

/// A server's settings for 127.0.0.1, and the CA that signed for it, as PEM.
fn issue() -> std::result::Result<(ServerConfig, String), Box<dyn std::error::Error>> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "CA of a measurement");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
    let key = KeyPair::generate()?;
    let certificate = CertificateParams::new(vec!["127.0.0.1".to_owned()])?.signed_by(&key, &ca)?;
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)?;
    Ok((config, ca.pem()))
}

/// Where distributions keep all roots in one file.
const SYSTEM_BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

static BUNDLES: AtomicU64 = AtomicU64::new(0);
