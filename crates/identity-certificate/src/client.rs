use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError},
};

use identity_core::{
    BoxFuture, Error, ErrorKind, Links, Platform, Result, Secret, expiry::unix_seconds, redact, text::base64url,
};
use identity_oauth::{ClientAuthentication, Proof, ProofRequest};
use ring::digest::{SHA256, digest};
use tracing::{info, warn};
use zeroize::Zeroizing;

use crate::{
    assertions::{Assertions, Made, Purpose},
    jwt::Claims,
    key::CertifiedKey,
    load::{self, invalid},
    signer::{Signer, SigningAlgorithm},
};

/// Proves who an application is by a certificate, to every credential that takes a [`ClientAuthentication`].
///
/// Clones share the key and what was signed with it.
#[derive(Clone)]
pub struct ClientCertificate(Arc<Inner>);

struct Inner {
    platform: Platform,
    file: Option<File>,
    sends_chain: bool,
    key: Mutex<Current>,
    /// Held by the one that makes a key of a changed file.
    loading: Mutex<()>,
    assertions: Assertions,
}

struct File {
    path: PathBuf,
    password: Option<Secret>,
}

struct Current {
    key: Arc<CertifiedKey>,
    /// How many there were before.
    number: u64,
    /// The hash of the content that the key is of.
    hash: u64,
    /// The content that was refused last, so that each is complained of once.
    refused: Option<Refused>,
}

struct Refused {
    hash: u64,
    /// The key, if nothing is wrong with it but the time.
    key: Option<Arc<CertifiedKey>>,
}

impl ClientCertificate {
    /// Starts a client certificate: a file, bytes, or a [`Signer`] must be given.
    #[must_use]
    pub fn builder() -> ClientCertificateBuilder {
        ClientCertificateBuilder::default()
    }
}

impl ClientAuthentication for ClientCertificate {
    /// Signs an assertion, or takes one that was signed for the same endpoint and is good for another minute. Reads the
    /// file, to see whether it has changed.
    fn prove<'a>(&'a self, request: &'a ProofRequest<'a>) -> BoxFuture<'a, Result<Proof>> {
        Box::pin(async move { self.0.prove(request).await.map(Proof::Assertion) })
    }

    fn generation(&self) -> u64 {
        let file = self.0.file.as_ref();
        file.map_or(0, |file| file.read(&self.0.platform).map_or(0, |content| hash(&content)))
    }
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCertificate")
            .field("path", &self.0.file.as_ref().map(|file| &file.path))
            .field("key", &self.0.current().key)
            .finish_non_exhaustive()
    }
}

impl Inner {
    async fn prove(&self, request: &ProofRequest<'_>) -> Result<Secret> {
        let now = unix_seconds(request.now)
            .ok_or_else(|| invalid("this machine's clock is before 1970; set it, so that an assertion can be dated"))?;
        self.reload(now);
        let (key, number) = {
            let current = self.current();
            (Arc::clone(&current.key), current.number)
        };
        let certificate = key.certificate(now);
        let algorithm = if request.is_adfs { SigningAlgorithm::Rs256 } else { SigningAlgorithm::Ps256 };
        let purpose = Purpose {
            endpoint: request.token_endpoint.to_owned(),
            client_id: request.client_id.to_owned(),
            algorithm,
            key: number,
            certificate,
        };
        let make = async {
            let claims = Claims { audience: request.token_endpoint, client_id: request.client_id, now };
            let random = self.platform.random();
            let input = claims.signing_input(&key, certificate, algorithm, self.sends_chain, random.as_ref());
            let input = Zeroizing::new(input);
            let signature = Zeroizing::new(key.sign(algorithm, input.as_bytes()).await?);
            let signature = Zeroizing::new(base64url(&signature));
            let assertion = Secret::new([input.as_str(), ".", &signature].concat());
            Ok(Made { assertion, not_before: claims.not_before(), expires: claims.expires() })
        };
        self.assertions.get(purpose, now, request.renew, make).await
    }

    /// Takes the file's new content, if there is any and it is good. A file that is being replaced may be cut, or gone: the
    /// key that is there serves on.
    fn reload(&self, now: i64) {
        let Some(file) = &self.file else { return };
        let before = self.current().hash;
        let content = file.read(&self.platform);
        let found = content.as_ref().map_or(0, |content| hash(content));
        if found == before {
            self.current().refused = None;
            return;
        }
        // To decrypt a key may take two seconds: the others sign with the last one meanwhile.
        let _loading = match self.loading.try_lock() {
            Err(TryLockError::WouldBlock) => return,
            loading => loading,
        };
        let known = {
            let current = self.current();
            if current.hash != before {
                // What somebody else took is newer than what was read here.
                return;
            }
            match &current.refused {
                Some(refused) if refused.hash == found => match &refused.key {
                    Some(key) if key.check(now).is_ok() => Some(Arc::clone(key)),
                    _ => return,
                },
                _ => None,
            }
        };
        let key = match known {
            Some(key) => Ok(key),
            None => content.and_then(|content| key_of(&content, file.password.as_ref())).map(Arc::new),
        };
        let (key, error) = match key {
            Ok(key) => (Some(Arc::clone(&key)), key.check(now).err()),
            Err(error) => (None, Some(error)),
        };
        {
            let mut current = self.current();
            match (key, &error) {
                (Some(key), None) => {
                    *current = Current { key, number: current.number + 1, hash: found, refused: None };
                }
                (key, _) => current.refused = Some(Refused { hash: found, key }),
            }
        }
        let path = file.path.display();
        match error {
            None => info!(%path, "the certificate has changed"),
            Some(error) => {
                warn!(%path, %error, "the certificate has changed and cannot be used; the last one serves on");
            }
        }
    }

    fn current(&self) -> MutexGuard<'_, Current> {
        self.key.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl File {
    fn read(&self, platform: &Platform) -> Result<Zeroizing<Vec<u8>>> {
        platform.env().read(&self.path, MAX_FILE, Links::Follow).map(Zeroizing::new).map_err(|error| {
            let message = format!("it cannot be read: {error}");
            Error::new(ErrorKind::InvalidArgument, message).with_source(error)
        })
    }
}

/// Builds a [`ClientCertificate`].
#[derive(Clone, Default)]
pub struct ClientCertificateBuilder {
    path: Option<PathBuf>,
    data: Option<Zeroizing<Vec<u8>>>,
    signer: Option<(Vec<u8>, Arc<dyn Signer>)>,
    password: Option<Secret>,
    sends_chain: bool,
}

impl ClientCertificateBuilder {
    /// Takes certificate and private key from a file, which may hold what [`certificate_data`](Self::certificate_data) says.
    ///
    /// It is read when the credential is built, at most 256 KiB of it. It is read again for each token request, and a new
    /// content is used at once; one that is missing or malformed leaves the last good one in use, with a warning in the log.
    /// So does one that is not valid yet, until it is.
    #[must_use]
    pub fn certificate_path(mut self, path: impl Into<PathBuf>) -> Self {
        self.path = Some(path.into());
        self
    }

    /// Takes certificate and private key from bytes: the content of a PEM file, or of a PKCS#12 file (`.pfx`) with the
    /// feature `pkcs12`. At most 256 KiB.
    ///
    /// PEM holds one RSA key as PKCS#8 or PKCS#1, encrypted PKCS#8 with the feature `encrypted`, and certificates, in any
    /// order. Its lines may have been joined, as variables do it. Base64 of any of this is taken too, which is how a key
    /// vault gives PKCS#12.
    ///
    /// The key has 2048, 3072 or 4096 bits, two primes, and a public exponent of at least 65537. Its certificate is found by
    /// the key; of several the one is used that is valid for longest, and another one when that has expired.
    #[must_use]
    pub fn certificate_data(mut self, data: impl Into<Vec<u8>>) -> Self {
        self.data = Some(Zeroizing::new(data.into()));
        self
    }

    /// Signs with a key that is elsewhere, such as in a hardware module or a vault. `certificates` is PEM; the first
    /// certificate is the key's, others may follow: of the same key, or its issuers. The key may have any size from 2048 to
    /// 4096 bits.
    #[must_use]
    pub fn signer(mut self, certificates: impl Into<Vec<u8>>, signer: Arc<dyn Signer>) -> Self {
        self.signer = Some((certificates.into(), signer));
        self
    }

    /// Sets the password of an encrypted key or PKCS#12 file. One that is not needed is not looked at.
    #[must_use]
    pub fn password(mut self, password: impl Into<Secret>) -> Self {
        self.password = Some(password.into());
        self
    }

    /// Sends all certificates with each assertion, as applications need that are registered by subject name and issuer.
    ///
    /// The one that is used comes first, its issuers follow in their order, then whatever else the file holds but for other
    /// certificates of the same key.
    #[must_use]
    pub fn send_certificate_chain(mut self) -> Self {
        self.sends_chain = true;
        self
    }

    /// Reads the file, if one was given, and checks key and certificate.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidArgument`] unless exactly one of path, data and signer was given; for a file that cannot be read
    /// or is no regular file; for a key or certificate that is missing, malformed, encrypted in a way or with a password that
    /// does not fit, no RSA key of 2048 to 4096 bits, not of the same pair, expired or not valid yet.
    pub fn build_with(self, platform: &Platform) -> Result<ClientCertificate> {
        let now = unix_seconds(platform.clock().now().wall);
        let finish = |key: Result<CertifiedKey>, name: &str| {
            match key {
                Ok(key) => now.map_or(Ok(()), |now| key.check(now)).map(|()| Arc::new(key)),
                Err(error) => Err(error),
            }
            .map_err(|error| error.with_context(name))
        };
        let password = self.password;
        let (key, hash, file) = match (self.path, self.data, self.signer) {
            (Some(path), None, None) => {
                let name = format!("the certificate file {}", redact::path(&path));
                let file = File { path, password };
                let content = file.read(platform);
                let hash = content.as_ref().map_or(0, |content| hash(content));
                let key = content.and_then(|content| key_of(&content, file.password.as_ref()));
                let key = finish(key, &name)?;
                warn_if_readable(platform, &file.path);
                (key, hash, Some(file))
            }
            (None, Some(data), None) => (finish(key_of(&data, password.as_ref()), "the certificate data")?, 0, None),
            (None, None, Some((certificates, signer))) => {
                let certificates = load::read_certificates(&certificates);
                let key = certificates.and_then(|certificates| CertifiedKey::elsewhere(&certificates, signer));
                (finish(key, "the signer's certificates")?, 0, None)
            }
            (None, None, None) => {
                return Err(invalid("no certificate was given; expected a path, data, or a signer"));
            }
            _ => {
                return Err(invalid("more than one certificate was given; expected one of path, data, and signer"));
            }
        };
        Ok(ClientCertificate(Arc::new(Inner {
            platform: platform.clone(),
            file,
            sends_chain: self.sends_chain,
            key: Mutex::new(Current { key, number: 0, hash, refused: None }),
            loading: Mutex::default(),
            assertions: Assertions::default(),
        })))
    }
}

impl fmt::Debug for ClientCertificateBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCertificateBuilder")
            .field("path", &self.path)
            .field("signer", &self.signer.as_ref().map(|(_, signer)| signer))
            .field("sends_chain", &self.sends_chain)
            .finish_non_exhaustive()
    }
}

fn key_of(content: &[u8], password: Option<&Secret>) -> Result<CertifiedKey> {
    if content.len() > MAX_FILE {
        return Err(invalid(format!("it has more than {MAX_FILE} bytes")));
    }
    CertifiedKey::new(load::read(content, password)?)
}

fn warn_if_readable(platform: &Platform, path: &Path) {
    if platform.env().is_world_readable(path) {
        let path = path.display();
        warn!(%path, "every user of this machine can read the private key; take the right away: chmod 600");
    }
}

/// Tells one content from another; not 0, which stands for none.
fn hash(content: &[u8]) -> u64 {
    digest(&SHA256, content).as_ref().iter().take(8).fold(0, |hash, byte| hash << 8 | u64::from(*byte)).max(1)
}

/// The most that is read of a file, in bytes. Source: our choice; a key with ten certificates has 20 KB.
const MAX_FILE: usize = 256 * 1024;
