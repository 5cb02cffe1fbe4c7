//! An authority, and servers that have its certificates.

use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use identity_core::{
    Platform,
    http::{Method, Request, Response, TransportError},
};
use identity_tokio::{Roots, TransportOptions};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::{
    ConfigBuilder, ServerConfig, ServerConnection, StreamOwned, SupportedProtocolVersion, WantsVerifier,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer},
    server::WantsServerCert,
};

use super::{Server, quick};

/// Signs certificates.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(crate) fn der(&self) -> CertificateDer<'static> {
        self.0.der().clone()
    }

    /// A certificate for this name that nobody else has signed.
    pub(crate) fn self_signed(name: &str) -> Identity {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap().self_signed(&key).unwrap();
        Identity { chain: vec![certificate.der().clone()], key: key.serialize_der() }
    }

    pub(crate) fn pem(&self) -> String {
        let text = identity_core::text::base64(self.0.der());
        let lines: Vec<_> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
        format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
    }

    /// A server certificate for these names, changed by `change`.
    pub(crate) fn sign(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Identity {
        let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let chain = vec![params.signed_by(&key, &self.0).unwrap().der().clone()];
        Identity { chain, key: key.serialize_der() }
    }

    /// A platform that trusts this authority only.
    pub(crate) fn platform(&self) -> Platform {
        TransportOptions::new().roots(Roots::None).ca_pem(self.pem()).platform().unwrap()
    }
}

/// What a server proves itself with.
pub(crate) struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: Vec<u8>,
}

impl Identity {
    /// The SHA-1 of the certificate.
    pub(crate) fn thumbprint(&self) -> [u8; 20] {
        let digest = ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, &self.chain[0]);
        digest.as_ref().try_into().unwrap()
    }

    pub(crate) fn config(self) -> Arc<ServerConfig> {
        self.config_for(rustls::DEFAULT_VERSIONS)
    }

    pub(crate) fn config_for(self, versions: &[&'static SupportedProtocolVersion]) -> Arc<ServerConfig> {
        self.build(versions, Clients::with_no_client_auth)
    }

    /// Asks for certificates of clients in this way.
    pub(crate) fn config_with(self, clients: impl FnOnce(Clients) -> Complete) -> Arc<ServerConfig> {
        self.build(rustls::DEFAULT_VERSIONS, clients)
    }

    fn build(
        self,
        versions: &[&'static SupportedProtocolVersion],
        clients: impl FnOnce(Clients) -> Complete,
    ) -> Arc<ServerConfig> {
        let builder = ServerConfig::builder_with_provider(Arc::new(default_provider()));
        let builder = clients(builder.with_protocol_versions(versions).unwrap());
        Arc::new(builder.with_single_cert(self.chain, PrivateKeyDer::Pkcs8(self.key.into())).unwrap())
    }
}

type Clients = ConfigBuilder<ServerConfig, WantsVerifier>;
type Complete = ConfigBuilder<ServerConfig, WantsServerCert>;

pub(crate) type Tls = StreamOwned<ServerConnection, TcpStream>;

/// A TLS server on `localhost`; it counts handshakes.
pub(crate) struct TlsServer {
    pub(crate) server: Server,
    handshakes: Arc<AtomicUsize>,
    requests: Arc<AtomicUsize>,
}

impl TlsServer {
    /// Gives every connection whose handshake has succeeded to `handler`.
    pub(crate) fn new(config: Arc<ServerConfig>, handler: impl Fn(Tls) + Send + Sync + 'static) -> Self {
        let handshakes = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&handshakes);
        let server = Server::new(move |stream| {
            if let Some(tls) = accept(stream, &config) {
                count.fetch_add(1, Ordering::SeqCst);
                handler(tls);
            }
        });
        Self { server, handshakes, requests: Arc::default() }
    }

    /// Answers each request of a connection by `answer`, which sees its number, from 0, and its text; closes when there is
    /// no answer.
    pub(crate) fn answering(
        config: Arc<ServerConfig>,
        answer: impl Fn(usize, &str) -> Option<Vec<u8>> + Send + Sync + 'static,
    ) -> Self {
        let requests = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&requests);
        let server = Self::new(config, move |mut tls| {
            for number in 0.. {
                let request = super::read_request(&mut tls);
                if request.is_empty() {
                    return;
                }
                count.fetch_add(1, Ordering::SeqCst);
                match answer(number, &request) {
                    Some(answer) if tls.write_all(&answer).and_then(|()| tls.flush()).is_ok() => {}
                    _ => break,
                }
            }
            tls.conn.send_close_notify();
            let _ = tls.flush();
            super::finish(&tls.sock);
        });
        Self { requests, ..server }
    }

    /// Answers everything with `{}`.
    pub(crate) fn plain(config: Arc<ServerConfig>) -> Self {
        Self::answering(config, |_, _| Some(OK.as_bytes().to_vec()))
    }

    pub(crate) fn handshakes(&self) -> usize {
        self.handshakes.load(Ordering::SeqCst)
    }

    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }

    pub(crate) fn url(&self) -> String {
        format!("https://localhost:{}/", self.server.port)
    }

    pub(crate) fn get(&self) -> Request {
        quick(Request::new(Method::Get, self.url()))
    }
}

fn accept(mut stream: TcpStream, config: &Arc<ServerConfig>) -> Option<Tls> {
    let mut tls = ServerConnection::new(Arc::clone(config)).unwrap();
    while tls.is_handshaking() {
        tls.complete_io(&mut stream).ok()?;
    }
    Some(StreamOwned::new(tls, stream))
}

pub(crate) async fn send_by(platform: &Platform, request: Request) -> Result<Response, TransportError> {
    platform.transport().send(request).await
}

/// Reads until the client closes.
pub(crate) fn drain(tls: &mut Tls) {
    let mut rest = [0; 1024];
    while matches!(tls.read(&mut rest), Ok(1..)) {}
}

pub(crate) const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
