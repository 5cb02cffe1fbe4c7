//! The proxy of AKS identity bindings, which stands between a pod and Entra ID.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use identity_core::{
    Error, Links, Platform, check,
    http::{Proxy, Request, ServerTrust, TransportError, TransportErrorKind},
    redact, text,
};
use identity_oauth::Route;
use tracing::warn;

use crate::{
    env::{CA_DATA, CA_FILE, SNI_NAME, TOKEN_PROXY},
    url::{self, invalid},
};

/// Leads token requests to the proxy.
///
/// Source: azure-identity 1.27.0, `_internal/token_binding_transport_mixin.py` and `_credentials/workload_identity.py`;
/// azidentity 1.14 (Go), `internal/customtokenproxy`, which compares the roots' text and wants certificates in it, as we
/// do.
pub(crate) struct Binding {
    platform: Platform,
    /// Without a slash at its end.
    url: String,
    server_name: Option<Arc<str>>,
    roots: Roots,
}

/// Whose certificates prove that it is the proxy.
enum Roots {
    /// What the transport trusts.
    Usual,
    Text(Arc<str>),
    /// Those in a file, and what was in it when it was last good.
    File {
        path: PathBuf,
        last: Mutex<Arc<str>>,
    },
}

impl Binding {
    /// What the variables say; `None` if they name no proxy. Reads the file of its roots.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for variables that do not go together, or are malformed.
    pub(crate) fn from_variables(platform: &Platform) -> Result<Option<Self>, Error> {
        let env = platform.env().as_ref();
        let (sni, file, data) = (env.text(SNI_NAME)?, env.text(CA_FILE)?, env.text(CA_DATA)?);
        let Some(url) = env.text(TOKEN_PROXY)? else {
            let others = [(SNI_NAME, &sni), (CA_FILE, &file), (CA_DATA, &data)];
            return match others.iter().find(|(_, value)| value.is_some()) {
                Some((name, _)) => Err(invalid(&[name, " is set and ", TOKEN_PROXY, " is not; set both or neither"])),
                None => Ok(None),
            };
        };
        url::check(TOKEN_PROXY, &url)?;
        if url::has(&url, b'?') {
            return Err(invalid(&[TOKEN_PROXY, " has a query; expected an https URL without one"]));
        }
        if sni.as_deref().is_some_and(|name| !check::is_host(name)) {
            return Err(invalid(&[SNI_NAME, " is not the name of a server"]));
        }
        let roots = match (file, data) {
            (Some(_), Some(_)) => {
                return Err(invalid(&[CA_FILE, " and ", CA_DATA, " are both set; set one of them"]));
            }
            (None, None) => Roots::Usual,
            (None, Some(text)) => {
                judge(platform, &text)
                    .map_err(|why| invalid(&[CA_DATA, " ", &why, "; expected certificates in PEM"]))?;
                Roots::Text(text.into())
            }
            (Some(path), None) => {
                let path = PathBuf::from(path);
                let last = read(platform, &path).map_err(|why| {
                    let path = redact::path(&path);
                    invalid(&[CA_FILE, " names ", &path, ", which ", &why, "; expected certificates in PEM"])
                })?;
                Roots::File { path, last: Mutex::new(last) }
            }
        };
        let url = url.trim_end_matches('/').to_owned();
        Ok(Some(Self { platform: platform.clone(), url, server_name: sni.map(Into::into), roots }))
    }

    /// The proxy's URL for what would have been asked for at `original`.
    fn rewrite(&self, original: &Request) -> String {
        if original.url.strip_prefix(&self.url).is_some_and(|rest| rest.starts_with('/')) {
            return original.url.clone();
        }
        let path = original.url.get(original.origin().len()..).unwrap_or_default();
        [&self.url, "/", path.trim_start_matches('/')].concat()
    }

    /// The roots as they are now; while the file is being replaced, as they were.
    fn trust(&self) -> ServerTrust {
        match &self.roots {
            Roots::Usual => ServerTrust::Roots,
            Roots::Text(text) => ServerTrust::OnlyRoots(Arc::clone(text)),
            Roots::File { path, last } => {
                let read = read(&self.platform, path);
                let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
                match read {
                    // The same text stays the same allocation, by which it is told that it is the same.
                    Ok(text) if text == *last => {}
                    Ok(text) => *last = text,
                    Err(why) => warn!(?path, why, "the roots of the token proxy stay as they were"),
                }
                ServerTrust::OnlyRoots(Arc::clone(&last))
            }
        }
    }
}

impl Route for Binding {
    fn apply(&self, request: &mut Request) -> Result<(), Error> {
        request.url = self.rewrite(request);
        request.trust = self.trust();
        request.server_name.clone_from(&self.server_name);
        // It is in the cluster; a proxy of the environment is not on the way there.
        request.proxy = Proxy::Never;
        Ok(())
    }

    fn explain(&self, error: TransportError) -> TransportError {
        let names = match (error.kind(), &self.roots) {
            (TransportErrorKind::Tls, Roots::Usual) => [TOKEN_PROXY, ", ", SNI_NAME].concat(),
            (TransportErrorKind::Tls, Roots::Text(_)) => [TOKEN_PROXY, ", ", SNI_NAME, ", ", CA_DATA].concat(),
            (TransportErrorKind::Tls, Roots::File { .. }) => [TOKEN_PROXY, ", ", SNI_NAME, ", ", CA_FILE].concat(),
            _ => TOKEN_PROXY.to_owned(),
        };
        let message = format!("{error}; the token proxy of AKS is set by {names}");
        TransportError::new(error.kind(), message)
    }
}

impl fmt::Debug for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { url, server_name, .. } = self;
        f.debug_struct("Binding").field("url", url).field("server_name", server_name).finish_non_exhaustive()
    }
}

/// What is in the file; else what is wrong with it.
fn read(platform: &Platform, path: &Path) -> Result<Arc<str>, String> {
    let bytes = platform.env().read(path, LIMIT, Links::Follow).map_err(|error| format!("cannot be read ({error})"))?;
    let text = String::from_utf8(bytes).map_err(|_| "is not text in UTF-8".to_owned())?;
    judge(platform, &text).map(|()| text.into())
}

/// What is wrong with roots, as those see it who will have to trust by them.
fn judge(platform: &Platform, pem: &str) -> Result<(), String> {
    if text::find(pem, BEGIN).is_none() {
        return Err("holds no certificate".to_owned());
    }
    platform.transport().check_roots(pem).map_err(|error| error.to_string())
}

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
/// The longest CA file, in bytes. Source: our choice; all public roots together have 220 KB.
const LIMIT: usize = 1024 * 1024;
