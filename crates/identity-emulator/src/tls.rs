//! The certificates of the listeners that speak TLS.

use std::io;
use std::sync::{Arc, Mutex};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use ring::digest;
use rustls::ServerConfig;
use rustls::crypto::ring::{default_provider, sign::any_ecdsa_type};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use serde::Deserialize;
use tokio_rustls::TlsAcceptor;

use crate::lock;
use crate::text::hex;
use crate::token::TEST_KEY_PEM;

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
        let der = PrivatePkcs8KeyDer::from_pem_slice(TEST_KEY_PEM.as_bytes()).map_err(io::Error::other)?;
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

/// Certificates of a CA that exists in memory only, ready to serve; they can be exchanged for others at any time.
pub(crate) struct Authority {
    names: Vec<String>,
    served: Arc<Served>,
}

/// What the listener shows, and the CA that clients have to trust for it.
struct Served {
    /// The only server name that is served; any if absent.
    only: Option<String>,
    now: Mutex<Shown>,
}

struct Shown {
    key: Arc<CertifiedKey>,
    ca: Arc<CertifiedIssuer<'static, KeyPair>>,
}

/// What is right or wrong with a certificate that a listener shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ServerCertificate {
    /// Nothing is wrong.
    #[default]
    Good,
    /// It was valid until the end of 2020.
    Expired,
    /// It will be valid from 2090 on.
    NotYetValid,
    /// It is for `other.emulator.example`.
    OtherName,
    /// It is signed by nobody but itself.
    SelfSigned,
}

impl Authority {
    /// A CA and a certificate of it for these names.
    pub(crate) fn new(names: Vec<String>, only: Option<String>) -> io::Result<Self> {
        let ca = Arc::new(new_ca()?);
        let key = issue(&names, &ca, ServerCertificate::Good)?;
        Ok(Self { names, served: Arc::new(Served { only, now: Mutex::new(Shown { key, ca }) }) })
    }

    /// Exchanges the CA and the certificate; connections that are open stay as they are.
    pub(crate) fn rotate(&self) -> io::Result<()> {
        let ca = Arc::new(new_ca()?);
        let key = issue(&self.names, &ca, ServerCertificate::Good)?;
        *lock(&self.served.now) = Shown { key, ca };
        Ok(())
    }

    /// Exchanges the certificate for another of the same CA.
    pub(crate) fn show(&self, certificate: ServerCertificate) -> io::Result<()> {
        let ca = Arc::clone(&lock(&self.served.now).ca);
        let key = issue(&self.names, &ca, certificate)?;
        lock(&self.served.now).key = key;
        Ok(())
    }

    /// The certificate of the CA of now.
    pub(crate) fn ca_pem(&self) -> String {
        lock(&self.served.now).ca.pem()
    }

    pub(crate) fn acceptor(&self) -> io::Result<TlsAcceptor> {
        let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&self.served) as Arc<dyn ResolvesServerCert>);
        // Whoever resumes a session does not look at the certificate of now.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

impl ResolvesServerCert for Served {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let wanted = self.only.as_deref().is_none_or(|only| hello.server_name() == Some(only));
        wanted.then(|| Arc::clone(&lock(&self.now).key))
    }
}

impl std::fmt::Debug for Served {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Served").field("only", &self.only).finish_non_exhaustive()
    }
}

/// The common name of every CA that is made here.
pub(crate) const CA_NAME: &str = "identity-emulator CA, for tests only";

fn new_ca() -> io::Result<CertifiedIssuer<'static, KeyPair>> {
    let mut params = CertificateParams::new(Vec::new()).map_err(io::Error::other)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.distinguished_name.push(DnType::CommonName, CA_NAME);
    let key = KeyPair::generate().map_err(io::Error::other)?;
    CertifiedIssuer::self_signed(params, key).map_err(io::Error::other)
}

fn issue(
    names: &[String],
    ca: &CertifiedIssuer<'static, KeyPair>,
    kind: ServerCertificate,
) -> io::Result<Arc<CertifiedKey>> {
    let other = ["other.emulator.example".to_owned()];
    let names = if kind == ServerCertificate::OtherName { &other } else { names };
    let mut params = CertificateParams::new(names).map_err(io::Error::other)?;
    params.distinguished_name.push(DnType::CommonName, "identity-emulator");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    match kind {
        ServerCertificate::Expired => params.not_after = rcgen::date_time_ymd(2021, 1, 1),
        ServerCertificate::NotYetValid => params.not_before = rcgen::date_time_ymd(2090, 1, 1),
        _ => {}
    }
    let key = KeyPair::generate().map_err(io::Error::other)?;
    let leaf = match kind {
        ServerCertificate::SelfSigned => params.self_signed(&key),
        _ => params.signed_by(&key, ca),
    };
    let der = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let key = any_ecdsa_type(&der).map_err(io::Error::other)?;
    Ok(Arc::new(CertifiedKey::new(vec![leaf.map_err(io::Error::other)?.der().clone()], key)))
}
