//! Which roots are trusted, and the TLS settings that follow: made when first needed, kept while the roots stay the same.

use std::{
    fmt, fs,
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use identity_core::{
    Env as _, Error, ErrorKind, Links,
    http::{ServerTrust, TransportError, TransportErrorKind},
};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, TrustAnchor, pem::PemObject as _},
};
use tokio::time::Instant;

#[cfg(feature = "tls-native-roots")]
use super::system;
use super::{pinned, warn};
use crate::{
    env::ProcessEnv,
    transport::{Result, refused},
};

/// The roots that servers are trusted by, before those that a CA file adds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Roots {
    /// The system's: on Linux those of the distribution's usual places, on Windows and macOS those of the system's stores.
    /// Needs the feature `tls-native-roots`. This is the default.
    ///
    /// `SSL_CERT_FILE` (a PEM file) and `SSL_CERT_DIR` (folders of them), if set and not empty, **replace** these roots, on
    /// every platform. To add one, use [`ca_file`](crate::TransportOptions::ca_file).
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

/// What connections of one trust are secured with. The same trust has the same settings, by pointer.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) tls: Arc<ClientConfig>,
    /// Whether the roots are the transport's, and not those of a request.
    is_own: bool,
    /// What helps if an issuer is unknown; `None` where issuers do not count.
    pub(crate) help: Option<String>,
    is_retired: AtomicBool,
}

impl Settings {
    fn new(tls: Arc<ClientConfig>, is_own: bool, help: Option<String>) -> Arc<Self> {
        Arc::new(Self { tls, is_own, help, is_retired: AtomicBool::new(false) })
    }

    /// Whether nobody will ask for these settings again.
    pub(crate) fn is_retired(&self) -> bool {
        self.is_retired.load(Ordering::Relaxed)
    }

    pub(crate) fn retire(&self) {
        self.is_retired.store(true, Ordering::Relaxed);
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
    /// The roots of the CAs, as they could last be read.
    added: Vec<TrustAnchor<'static>>,
    /// What the CA files looked like then, and when that was looked at.
    stamps: Vec<Option<Stamp>>,
    looked: Option<Instant>,
    current: Option<Current>,
    /// The exclusive roots that were used last, the latest at the end.
    only: Vec<(Arc<str>, Arc<Settings>)>,
}

/// The roots before those of the CAs, and what is to be said of them where an issuer is unknown.
type Base = (Vec<TrustAnchor<'static>>, String);

struct Current {
    settings: Arc<Settings>,
    store: Arc<RootCertStore>,
    /// How many of the roots come before those of the CAs.
    base: usize,
    /// When those were read, and what is to be said of them.
    loaded: Instant,
    remark: String,
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

    /// Reads every CA file, so that what is wrong with one is known at once. What they hold now serves until they hold
    /// something else that can be read.
    pub(crate) fn new(roots: Roots, authorities: Vec<Authority>) -> std::result::Result<Self, Error> {
        let mut trust = Self { authorities, ..Self::of(roots) };
        let stamps = trust.stamps();
        let added = trust.added().map_err(|why| Error::new(ErrorKind::InvalidArgument, why))?;
        if roots == Roots::None && added.is_empty() {
            let why = "Roots::None without a CA trusts nobody: add one with ca_pem or ca_file";
            return Err(Error::new(ErrorKind::InvalidArgument, why));
        }
        trust.known = Mutex::new(Known { added, stamps, ..Known::default() });
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

    /// The settings for a request.
    pub(crate) fn settings(&self, trust: &ServerTrust) -> Result<Arc<Settings>> {
        match trust {
            ServerTrust::OnlyRoots(pem) => self.only(pem),
            ServerTrust::PinnedSha1(thumbprint) => {
                let tls = pinned::config(*thumbprint).map_err(unusable)?;
                Ok(Settings::new(Arc::new(tls), false, None))
            }
            ServerTrust::Roots => self.current(),
            _ => Err(refused("this version knows no such trust in a server")),
        }
    }

    /// The settings after the CA files, and the system's roots if that was not done just before, have been read again;
    /// `None` if they are what has failed, or if the request has roots of its own.
    pub(crate) fn renewed(&self, stale: &Arc<Settings>) -> Option<Arc<Settings>> {
        if !stale.is_own {
            return None;
        }
        let mut known = self.lock();
        let current = known.current.as_ref()?;
        // If these are others, another request came first.
        if Arc::ptr_eq(&current.settings, stale) {
            let is_due = current.loaded.elapsed() >= RELOAD_AT_MOST_EVERY;
            self.reload(&mut known, is_due);
        }
        let settings = &known.current.as_ref()?.settings;
        (!Arc::ptr_eq(settings, stale)).then(|| Arc::clone(settings))
    }

    /// How many roots there are.
    pub(crate) fn count(&self) -> Result<usize> {
        self.current()?;
        Ok(self.lock().current.as_ref().map_or(0, |current| current.store.roots.len()))
    }

    fn current(&self) -> Result<Arc<Settings>> {
        let mut known = self.lock();
        if !known.stamps.is_empty() && known.looked.is_none_or(|looked| looked.elapsed() >= LOOK_AT_MOST_EVERY) {
            self.reload(&mut known, false);
        }
        if let Some(current) = &known.current {
            return Ok(Arc::clone(&current.settings));
        }
        self.check()?;
        let base = match self.base() {
            Ok(base) => base,
            Err(lack) if known.added.is_empty() => {
                return Err(refused(format!(
                    "{lack}: install ca-certificates, point SSL_CERT_FILE at a file of roots, add a CA file, or use Roots::Webpki (feature `tls-webpki-roots`)"
                )));
            }
            Err(lack) => {
                warn(&lack, UNREADABLE);
                (Vec::new(), format!("; {lack}"))
            }
        };
        let current = Current::new(base, &known.added)?;
        Ok(Arc::clone(&known.current.insert(current).settings))
    }

    /// Takes the roots as they are now: those of CA files that look changed, or all of them and the base. Those that cannot
    /// be read stay as they were: they may be half written.
    fn reload(&self, known: &mut Known, all: bool) {
        let stamps = self.stamps();
        known.looked = Some(Instant::now());
        if !all && stamps == known.stamps {
            return;
        }
        known.stamps = stamps;
        match self.added() {
            Ok(added) => known.added = added,
            Err(error) => warn(&error, UNREADABLE),
        }
        let Some(current) = &mut known.current else { return };
        let old = &current.store.roots;
        let mut base = (old.get(..current.base).unwrap_or_default().to_vec(), current.remark.clone());
        if all {
            current.loaded = Instant::now();
            match self.base() {
                Ok(new) => base = new,
                Err(error) => warn(&error, UNREADABLE),
            }
        }
        match Current::new(base, &known.added) {
            Ok(new) if new.store.roots == *old => {}
            Ok(new) => {
                current.settings.retire();
                *current = Current { loaded: current.loaded, ..new };
            }
            Err(error) => warn(&error, UNREADABLE),
        }
    }

    /// The base as it is now; or why there is none.
    fn base(&self) -> std::result::Result<Base, String> {
        match self.roots {
            #[cfg(feature = "tls-native-roots")]
            Roots::System => {
                let found = system::read();
                let mut store = RootCertStore::empty();
                store.add_parsable_certificates(found.certificates);
                match (store.is_empty(), &*found.variables) {
                    (false, "") => Ok((store.roots, " or to the system's roots".to_owned())),
                    (false, variables) => Ok((store.roots, format!("; {variables} replaces the system's roots"))),
                    (true, variables) => {
                        let place = if variables.is_empty() { "the system's usual places" } else { variables };
                        let why = found.trouble.map_or_else(String::new, |trouble| format!(" ({trouble})"));
                        Err(format!("no root certificate was found in {place}{why}"))
                    }
                }
            }
            #[cfg(feature = "tls-webpki-roots")]
            Roots::Webpki => Ok((webpki_roots::TLS_SERVER_ROOTS.to_vec(), String::new())),
            _ => Ok((Vec::new(), String::new())),
        }
    }

    /// The roots of the CAs; or which of them cannot be read, and why.
    fn added(&self) -> std::result::Result<Vec<TrustAnchor<'static>>, String> {
        let mut store = RootCertStore::empty();
        for authority in &self.authorities {
            match authority {
                Authority::Pem(pem) => {
                    add_pem(&mut store, pem.as_bytes()).map_err(|why| format!("the CA's PEM text {why}"))?
                }
                Authority::File(path) => {
                    let content = ProcessEnv.read(path, CA_FILE_LIMIT, Links::Follow);
                    content
                        .map_err(|error| error.to_string())
                        .and_then(|pem| add_pem(&mut store, &pem))
                        .map_err(|why| format!("the CA file {}: {why}", path.display()))?;
                }
            }
        }
        Ok(store.roots)
    }

    fn stamps(&self) -> Vec<Option<Stamp>> {
        let files = self.authorities.iter().filter_map(|authority| match authority {
            Authority::File(path) => Some(path),
            Authority::Pem(_) => None,
        });
        files.map(|path| fs::metadata(path).ok().map(|facts| Stamp::of(&facts))).collect()
    }

    fn only(&self, pem: &Arc<str>) -> Result<Arc<Settings>> {
        let mut known = self.lock();
        if let Some(at) = known.only.iter().position(|(text, _)| Arc::ptr_eq(text, pem) || text == pem) {
            let entry = known.only.remove(at);
            let settings = Arc::clone(&entry.1);
            known.only.push(entry);
            return Ok(settings);
        }
        let mut store = RootCertStore::empty();
        add_pem(&mut store, pem.as_bytes()).map_err(|why| refused(format!("the exclusive roots: {why}")))?;
        let help = "the request trusts its own roots only";
        let settings = Settings::new(config(Arc::new(store))?, false, Some(help.to_owned()));
        if known.only.len() >= MAX_EXCLUSIVE {
            known.only.remove(0).1.retire();
        }
        known.only.push((Arc::clone(pem), Arc::clone(&settings)));
        Ok(settings)
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Current {
    fn new((mut roots, remark): Base, added: &[TrustAnchor<'static>]) -> Result<Self> {
        let base = roots.len();
        roots.extend_from_slice(added);
        let store = Arc::new(RootCertStore { roots });
        let help = format!("if a corporate proxy or a private authority signs it, add its root by a CA file{remark}");
        let settings = Settings::new(config(Arc::clone(&store))?, true, Some(help));
        Ok(Self { settings, store, base, loaded: Instant::now(), remark })
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

/// Whether servers could be trusted by these roots alone.
pub(crate) fn check(pem: &[u8]) -> Result<()> {
    add_pem(&mut RootCertStore::empty(), pem).map_err(|why| TransportError::new(TransportErrorKind::Refused, why))
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

/// What is logged of a failure to read roots.
const UNREADABLE: &str = "roots cannot be read; those in force stay";

/// The longest CA file, in bytes. The system's own bundles have a quarter of it.
pub(crate) const CA_FILE_LIMIT: usize = 1024 * 1024;

/// How many exclusive roots are remembered. A cluster has one, and two while it changes them.
const MAX_EXCLUSIVE: usize = 8;

/// How soon after the base was read an unknown issuer has it read again; reading the system's takes milliseconds.
const RELOAD_AT_MOST_EVERY: Duration = Duration::from_secs(10);

/// How often CA files are looked at while nothing is unknown.
const LOOK_AT_MOST_EVERY: Duration = Duration::from_secs(1);

#[cfg(test)]
pub(crate) mod tests {
    use std::fs::File;

    use rcgen::{CertificateParams, KeyPair};
    use tokio::time::advance;

    use super::*;

    pub(crate) fn pem(name: &str) -> String {
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
        let first = trust.settings(&ServerTrust::Roots).unwrap();
        write(&two);
        assert!(Arc::ptr_eq(&first, &trust.settings(&ServerTrust::Roots).unwrap()));
        assert!(trust.renewed(&first).is_none(), "it was read just before");
        advance(RELOAD_AT_MOST_EVERY).await;
        let second = trust.renewed(&first).unwrap();
        assert!(!Arc::ptr_eq(&first, &second) && first.is_retired() && !second.is_retired());
        assert!(Arc::ptr_eq(&second, &trust.settings(&ServerTrust::Roots).unwrap()));
        // Who still had the old settings gets the new ones without another look.
        assert!(Arc::ptr_eq(&second, &trust.renewed(&first).unwrap()));
        advance(RELOAD_AT_MOST_EVERY).await;
        assert!(trust.renewed(&second).is_none(), "nothing has changed");
        fs::remove_file(path).unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn files_are_looked_at_once_a_second_and_when_an_issuer_is_unknown() {
        let path = std::env::temp_dir().join(format!("identity-tokio-{}-looks.pem", std::process::id()));
        let texts = ["one", "two", "three", "four"].map(pem);
        let all = |count: usize| texts[..count].concat();
        fs::write(&path, all(1)).unwrap();
        let trust = Trust::new(Roots::None, vec![Authority::File(path.clone())]).unwrap();
        let now = || trust.settings(&ServerTrust::Roots).unwrap();
        let first = now();
        fs::write(&path, all(2)).unwrap();
        assert!(Arc::ptr_eq(&first, &now()), "it was looked at just before");
        advance(LOOK_AT_MOST_EVERY).await;
        let second = now();
        assert!(!Arc::ptr_eq(&first, &second) && first.is_retired());
        fs::write(&path, all(3)).unwrap();
        let third = trust.renewed(&second).unwrap();
        assert!(!Arc::ptr_eq(&second, &third) && second.is_retired());
        // What cannot be read changes nothing, neither the roots nor that it is looked at.
        fs::write(&path, "half").unwrap();
        advance(LOOK_AT_MOST_EVERY).await;
        assert!(Arc::ptr_eq(&third, &now()) && !third.is_retired());
        fs::write(&path, all(4)).unwrap();
        advance(LOOK_AT_MOST_EVERY).await;
        assert!(!Arc::ptr_eq(&third, &now()));
        fs::remove_file(path).unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn exclusive_roots_are_never_replaced_by_others() {
        let trust = Trust::new(Roots::None, vec![Authority::Pem(pem("one"))]).unwrap();
        trust.settings(&ServerTrust::Roots).unwrap();
        let texts: Vec<Arc<str>> = (0..2 * MAX_EXCLUSIVE).map(|_| pem("two").into()).collect();
        advance(RELOAD_AT_MOST_EVERY).await;
        let exclusive = ServerTrust::OnlyRoots(Arc::clone(&texts[0]));
        let first = trust.settings(&exclusive).unwrap();
        assert!(trust.renewed(&first).is_none());
        for text in &texts {
            trust.settings(&ServerTrust::OnlyRoots(Arc::clone(text))).unwrap();
        }
        assert_eq!(trust.lock().only.len(), MAX_EXCLUSIVE);
        // Also when they have been forgotten meanwhile.
        assert!(trust.renewed(&first).is_none() && first.is_retired());
    }

    #[test]
    fn the_same_trust_is_the_same_settings() {
        let trust = Trust::new(Roots::None, vec![Authority::Pem(pem("one"))]).unwrap();
        let two = pem("two");
        let [one, same] = [(); 2].map(|()| trust.settings(&ServerTrust::Roots).unwrap());
        let [only, equal] = [(); 2].map(|()| trust.settings(&ServerTrust::OnlyRoots(two.as_str().into())).unwrap());
        assert!(Arc::ptr_eq(&one, &same) && Arc::ptr_eq(&only, &equal) && !Arc::ptr_eq(&one, &only));
    }
}
