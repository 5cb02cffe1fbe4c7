//! Which roots are trusted, and the TLS settings that follow: made when first needed, kept while the roots stay the same.

use std::{
    fmt, fs,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use identity_core::{
    Env as _, Error, ErrorKind, Links,
    http::{ServerTrust, TransportError, TransportErrorKind},
};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use tokio::time::Instant;

use super::pinned;
use crate::{
    env::ProcessEnv,
    transport::{Result, refused},
};

/// The roots that servers are trusted by, before those that a CA file adds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Roots {
    /// The system's: on Linux those of `SSL_CERT_FILE` and `SSL_CERT_DIR`, else of the distribution's usual places; on
    /// Windows and macOS the system's stores. Needs the feature `tls-native-roots`. This is the default.
    #[default]
    System,
    /// Mozilla's, as of when this program was built. Needs the feature `tls-webpki-roots`.
    Webpki,
    /// None: only what [`ca_pem`](crate::TransportOptions::ca_pem) and [`ca_file`](crate::TransportOptions::ca_file) add.
    None,
}

/// Where further roots come from.
#[derive(Clone)]
pub(crate) enum Authority {
    Pem(String),
    File(PathBuf),
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // Who hands in the wrong text, such as a key, should not find it in the log.
            Self::Pem(text) => write!(f, "Pem({} bytes)", text.len()),
            Self::File(path) => write!(f, "File({path:?})"),
        }
    }
}

/// The trust of one transport.
pub(crate) struct Trust {
    roots: Roots,
    authorities: Vec<Authority>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    current: Option<Current>,
    /// The exclusive roots that were used last, the latest at the end.
    only: Vec<(Arc<str>, Arc<ClientConfig>)>,
}

struct Current {
    store: Arc<RootCertStore>,
    config: Arc<ClientConfig>,
    /// What the CA files looked like when they were read.
    stamps: Vec<Option<Stamp>>,
    loaded: Instant,
}

/// What tells a file from what it was before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    len: u64,
    inode: u64,
}

impl Trust {
    /// The trust in roots alone.
    pub(crate) fn of(roots: Roots) -> Self {
        Self { roots, authorities: Vec::new(), known: Mutex::default() }
    }

    /// Reads every CA file once, so that what is wrong with one is known at once.
    pub(crate) fn new(roots: Roots, authorities: Vec<Authority>) -> std::result::Result<Self, Error> {
        let trust = Self { authorities, ..Self::of(roots) };
        let mut store = RootCertStore::empty();
        trust.add_authorities(&mut store).map_err(|why| Error::new(ErrorKind::InvalidArgument, why))?;
        if roots == Roots::None && store.is_empty() {
            let why = "Roots::None without a CA trusts nobody: add one with ca_pem or ca_file";
            return Err(Error::new(ErrorKind::InvalidArgument, why));
        }
        Ok(trust)
    }

    /// Whether the roots that were asked for are built in.
    pub(crate) fn check(&self) -> Result<()> {
        match self.roots {
            Roots::System if cfg!(not(feature = "tls-native-roots")) => Err(refused(
                "https needs the system's roots, which are not built in: turn on the feature `tls-native-roots`, or turn on `tls-webpki-roots` and ask for Roots::Webpki",
            )),
            Roots::Webpki if cfg!(not(feature = "tls-webpki-roots")) => Err(refused(
                "https needs Roots::Webpki, which are not built in: turn on the feature `tls-webpki-roots`, or turn on `tls-native-roots` for the system's",
            )),
            _ => Ok(()),
        }
    }

    /// The settings for a request. The same trust gives the same settings, by pointer.
    pub(crate) fn config(&self, trust: &ServerTrust) -> Result<Arc<ClientConfig>> {
        match trust {
            ServerTrust::OnlyRoots(pem) => self.only(pem),
            ServerTrust::PinnedSha1(thumbprint) => pinned::config(*thumbprint).map(Arc::new).map_err(unusable),
            ServerTrust::Roots => self.current(),
            _ => Err(refused("this version knows no such trust in a server")),
        }
    }

    /// The settings after the system's roots and the CA files have been read again; `None` if they are what `failed` had,
    /// or were read just before, or if the request has roots of its own.
    pub(crate) fn renewed(&self, trust: &ServerTrust, failed: &Arc<ClientConfig>) -> Option<Arc<ClientConfig>> {
        if *trust != ServerTrust::Roots {
            return None;
        }
        let mut known = self.lock();
        let current = known.current.as_mut()?;
        if !Arc::ptr_eq(&current.config, failed) {
            // Another request came first.
            return Some(Arc::clone(&current.config));
        }
        if current.loaded.elapsed() < RELOAD_AT_MOST_EVERY {
            return None;
        }
        self.reload(current);
        Some(Arc::clone(&current.config)).filter(|config| !Arc::ptr_eq(config, failed))
    }

    fn current(&self) -> Result<Arc<ClientConfig>> {
        let mut known = self.lock();
        match &mut known.current {
            Some(current) => {
                if current.stamps != self.stamps() {
                    self.reload(current);
                }
                Ok(Arc::clone(&current.config))
            }
            none => {
                self.check()?;
                let (stamps, store) = (self.stamps(), Arc::new(self.load()?));
                let config = config(Arc::clone(&store))?;
                Ok(Arc::clone(&none.insert(Current { store, config, stamps, loaded: Instant::now() }).config))
            }
        }
    }

    /// Takes the roots as they are now. Roots that cannot be read leave things as they were: they may be half written.
    fn reload(&self, current: &mut Current) {
        current.stamps = self.stamps();
        current.loaded = Instant::now();
        match self.load().and_then(|store| {
            let store = Arc::new(store);
            Ok((Arc::clone(&store), config(store)?))
        }) {
            Ok((store, _)) if store.roots == current.store.roots => {}
            Ok((store, config)) => (current.store, current.config) = (store, config),
            Err(error) => tracing::warn!(%error, "the roots have changed, but stay as they were"),
        }
    }

    fn load(&self) -> Result<RootCertStore> {
        let mut store = RootCertStore::empty();
        match self.roots {
            #[cfg(feature = "tls-native-roots")]
            Roots::System => add_system(&mut store, self.authorities.is_empty())?,
            #[cfg(feature = "tls-webpki-roots")]
            Roots::Webpki => store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
            _ => {}
        }
        self.add_authorities(&mut store).map_err(refused)?;
        Ok(store)
    }

    fn add_authorities(&self, store: &mut RootCertStore) -> std::result::Result<(), String> {
        for authority in &self.authorities {
            match authority {
                Authority::Pem(pem) => {
                    add_pem(store, pem.as_bytes()).map_err(|why| format!("the CA's PEM text {why}"))?
                }
                Authority::File(path) => {
                    let content = ProcessEnv.read(path, CA_FILE_LIMIT, Links::Follow);
                    content
                        .map_err(|error| error.to_string())
                        .and_then(|pem| add_pem(store, &pem))
                        .map_err(|why| format!("the CA file {}: {why}", path.display()))?;
                }
            }
        }
        Ok(())
    }

    fn stamps(&self) -> Vec<Option<Stamp>> {
        let files = self.authorities.iter().filter_map(|authority| match authority {
            Authority::File(path) => Some(path),
            Authority::Pem(_) => None,
        });
        files.map(|path| fs::metadata(path).ok().map(|facts| Stamp::of(&facts))).collect()
    }

    fn only(&self, pem: &Arc<str>) -> Result<Arc<ClientConfig>> {
        let mut known = self.lock();
        if let Some(at) = known.only.iter().position(|(text, _)| Arc::ptr_eq(text, pem) || text == pem) {
            let entry = known.only.remove(at);
            let config = Arc::clone(&entry.1);
            known.only.push(entry);
            return Ok(config);
        }
        let mut store = RootCertStore::empty();
        add_pem(&mut store, pem.as_bytes()).map_err(|why| refused(format!("the exclusive roots: {why}")))?;
        let config = config(Arc::new(store))?;
        if known.only.len() >= MAX_EXCLUSIVE {
            known.only.remove(0);
        }
        known.only.push((Arc::clone(pem), Arc::clone(&config)));
        Ok(config)
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { roots, authorities, known: _ } = self;
        f.debug_struct("Trust").field("roots", roots).field("authorities", authorities).finish_non_exhaustive()
    }
}

impl Stamp {
    fn of(facts: &fs::Metadata) -> Self {
        #[cfg(unix)]
        let inode = std::os::unix::fs::MetadataExt::ino(facts);
        #[cfg(not(unix))]
        let inode = 0;
        Self { modified: facts.modified().ok(), len: facts.len(), inode }
    }
}

fn config(store: Arc<RootCertStore>) -> Result<Arc<ClientConfig>> {
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .with_root_certificates(store)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

fn unusable(error: rustls::Error) -> TransportError {
    TransportError::new(TransportErrorKind::Tls, format!("TLS cannot be set up: {error}"))
}

/// Adds the certificates of a PEM text: at least one, and each of them usable, so that no typing error goes unnoticed.
fn add_pem(store: &mut RootCertStore, pem: &[u8]) -> std::result::Result<(), String> {
    let before = store.len();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        // What a broken text looks like inside is not shown: it may be a key in the wrong place.
        let certificate = certificate.map_err(|_| "is not well-formed PEM")?;
        store.add(certificate).map_err(|error| format!("has a certificate that cannot be read: {error}"))?;
    }
    if store.len() == before {
        return Err("has no certificate (-----BEGIN CERTIFICATE-----)".to_owned());
    }
    Ok(())
}

/// Adds the system's roots; those that cannot be read are left out, as everybody does.
#[cfg(feature = "tls-native-roots")]
fn add_system(store: &mut RootCertStore, alone: bool) -> Result<()> {
    let found = rustls_native_certs::load_native_certs();
    store.add_parsable_certificates(found.certs);
    if !store.is_empty() || !alone {
        return Ok(());
    }
    let named = |name| Some(format!("{name}={}", ProcessEnv.var_os(name)?.display()));
    let places = match (named("SSL_CERT_FILE"), named("SSL_CERT_DIR")) {
        (None, None) => "the system's usual places".to_owned(),
        (Some(one), None) | (None, Some(one)) => one,
        (Some(file), Some(folder)) => format!("{file} and {folder}"),
    };
    let why = found.errors.first().map_or_else(String::new, |error| format!(" ({error})"));
    Err(refused(format!(
        "no root certificate was found in {places}{why}: install the system's package of root certificates, point SSL_CERT_FILE at a file of them, add a CA file, or, in a scratch container, use Roots::Webpki (feature `tls-webpki-roots`)"
    )))
}

/// The longest CA file, in bytes. The system's own bundles have a quarter of it.
pub(crate) const CA_FILE_LIMIT: usize = 1024 * 1024;

/// How many exclusive roots are remembered. A cluster has one, and two while it changes them.
const MAX_EXCLUSIVE: usize = 8;

/// How soon after roots were read an unknown issuer has them read again; reading the system's takes milliseconds.
const RELOAD_AT_MOST_EVERY: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use std::fs::File;

    use rcgen::{CertificateParams, KeyPair};
    use tokio::time::advance;

    use super::*;

    fn pem(name: &str) -> String {
        let certificate =
            CertificateParams::new(vec![name.to_owned()]).unwrap().self_signed(&KeyPair::generate().unwrap());
        let text = identity_core::text::base64(certificate.unwrap().der());
        format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
    }

    #[tokio::test(start_paused = true)]
    async fn an_unknown_issuer_has_a_file_read_again_that_does_not_look_changed() {
        let path = std::env::temp_dir().join(format!("identity-tokio-{}.pem", std::process::id()));
        let (one, two) = (pem("one"), pem("two"));
        let write = |text: &str| {
            fs::write(&path, format!("{text:2000}")).unwrap();
            File::options().write(true).open(&path).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
        };
        write(&one);
        let trust = Trust::new(Roots::None, vec![Authority::File(path.clone())]).unwrap();
        let first = trust.config(&ServerTrust::Roots).unwrap();
        write(&two);
        assert!(Arc::ptr_eq(&first, &trust.config(&ServerTrust::Roots).unwrap()));
        assert!(trust.renewed(&ServerTrust::Roots, &first).is_none(), "it was read just before");
        advance(RELOAD_AT_MOST_EVERY).await;
        let second = trust.renewed(&ServerTrust::Roots, &first).unwrap();
        assert!(!Arc::ptr_eq(&first, &second));
        assert!(Arc::ptr_eq(&second, &trust.config(&ServerTrust::Roots).unwrap()));
        // Who still had the old settings gets the new ones without another look.
        assert!(Arc::ptr_eq(&second, &trust.renewed(&ServerTrust::Roots, &first).unwrap()));
        advance(RELOAD_AT_MOST_EVERY).await;
        assert!(trust.renewed(&ServerTrust::Roots, &second).is_none(), "nothing has changed");
        fs::remove_file(path).unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn exclusive_roots_are_never_replaced_by_others() {
        let trust = Trust::new(Roots::None, vec![Authority::Pem(pem("one"))]).unwrap();
        trust.config(&ServerTrust::Roots).unwrap();
        let texts: Vec<Arc<str>> = (0..2 * MAX_EXCLUSIVE).map(|_| pem("two").into()).collect();
        advance(RELOAD_AT_MOST_EVERY).await;
        let exclusive = ServerTrust::OnlyRoots(Arc::clone(&texts[0]));
        let first = trust.config(&exclusive).unwrap();
        assert!(trust.renewed(&exclusive, &first).is_none());
        for text in &texts {
            trust.config(&ServerTrust::OnlyRoots(Arc::clone(text))).unwrap();
        }
        assert_eq!(trust.lock().only.len(), MAX_EXCLUSIVE);
        // Also when they have been forgotten meanwhile.
        assert!(trust.renewed(&exclusive, &first).is_none());
    }

    #[test]
    fn the_same_trust_is_the_same_settings() {
        let trust = Trust::new(Roots::None, vec![Authority::Pem(pem("one"))]).unwrap();
        let two = pem("two");
        let [one, same] = [(); 2].map(|()| trust.config(&ServerTrust::Roots).unwrap());
        let [only, equal] = [(); 2].map(|()| trust.config(&ServerTrust::OnlyRoots(two.as_str().into())).unwrap());
        assert!(Arc::ptr_eq(&one, &same) && Arc::ptr_eq(&only, &equal) && !Arc::ptr_eq(&one, &only));
    }
}
