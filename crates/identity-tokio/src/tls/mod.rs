//! From a connection to a secure one, and what stood in the way.

use std::{fmt, io, sync::Arc};

use identity_core::http::{TransportError, TransportErrorKind};
use rustls::{AlertDescription, CertificateError, Error, OtherError, pki_types::ServerName};
use tokio_rustls::TlsConnector;

use self::trust::Settings;
use crate::stream::Stream;

pub(crate) mod pinned;
#[cfg(feature = "tls-native-roots")]
mod system;
pub(crate) mod trust;

/// Secures a connection. Nothing but the handshake is written before the server has proved who it is.
pub(crate) async fn secure(
    stream: Stream,
    name: ServerName<'static>,
    settings: &Arc<Settings>,
) -> Result<Stream, Failure> {
    let shown = name.to_str().into_owned();
    let error = match TlsConnector::from(Arc::clone(&settings.tls)).connect(name, stream).await {
        Ok(stream) => return Ok(Box::new(stream)),
        Err(error) => error,
    };
    let Some(reason) = reason(&error) else {
        // Nothing of the request was written.
        let why = format!("the TLS handshake with {shown} was cut short: {error}");
        return Err(TransportError::new(TransportErrorKind::Connect, why).into());
    };
    // A root that has got another key under the same name is another root.
    let is_stranger =
        matches!(reason, Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature));
    Err(Failure {
        error: TransportError::new(TransportErrorKind::Tls, explain(reason, &shown, settings.help.as_deref())),
        stale: is_stranger.then(|| Arc::clone(settings)),
        is_not_tls: matches!(reason, Error::InvalidMessage(_)),
    })
}

/// Why a connection is not secure.
pub(crate) struct Failure {
    pub(crate) error: TransportError,
    /// The settings that failed, if other roots could help.
    pub(crate) stale: Option<Arc<Settings>>,
    /// Whether what came back was something else than TLS.
    #[cfg_attr(not(feature = "proxy"), expect(dead_code, reason = "only a proxy has a choice"))]
    pub(crate) is_not_tls: bool,
}

impl From<TransportError> for Failure {
    fn from(error: TransportError) -> Self {
        Self { error, stale: None, is_not_tls: false }
    }
}

/// What the TLS layer has against a connection, if it was the TLS layer that failed it.
pub(crate) fn reason(error: &io::Error) -> Option<&Error> {
    error.get_ref()?.downcast_ref::<Error>()
}

/// Says what is wrong and what to do about it; `help` is for an unknown issuer, and there is none for a pin.
pub(crate) fn explain(reason: &Error, name: &str, help: Option<&str>) -> String {
    let mut text = describe(reason, name, help);
    // What a certificate says has no end.
    let end = (0..=TEXT_LIMIT).rev().find(|&at| text.is_char_boundary(at));
    text.truncate(end.unwrap_or_default());
    text
}

fn describe(reason: &Error, name: &str, help: Option<&str>) -> String {
    use CertificateError as C;

    let Error::InvalidCertificate(certificate) = reason else {
        let what = match reason {
            Error::PeerIncompatible(_) | Error::AlertReceived(AlertDescription::ProtocolVersion) => {
                "it shares no version or cipher of TLS 1.2 or 1.3: "
            }
            Error::AlertReceived(_) => "the server refused it: ",
            _ => "",
        };
        return format!("the TLS handshake with {name} failed: {what}{reason}");
    };
    let (what, detail): (_, &dyn fmt::Display) = match (certificate, help) {
        (C::Other(OtherError(own)), _) => return own.to_string(),
        (C::NotValidForNameContext { presented, .. }, _) => {
            let count = presented.len();
            let mut text = format!("the TLS certificate is for another name than {name}; its names ({count}):");
            for one in presented.iter().take(NAMES_SHOWN) {
                text.push(' ');
                text.push_str(one);
            }
            return text;
        }
        (C::BadSignature, None) => ("was not proved to be the server's: ", &"a pinned RSA key needs 2048 to 8192 bits"),
        (C::BadSignature, Some(_)) => {
            ("is signed by a key other than that of the root we know under this name: ", &help.unwrap_or_default())
        }
        (C::UnknownIssuer, _) => ("comes from an unknown issuer: ", &help.unwrap_or_default()),
        (C::Expired | C::ExpiredContext { .. }, _) => ("has expired, or the local clock is ahead: ", certificate),
        (C::NotValidYet | C::NotValidYetContext { .. }, _) => {
            ("is not valid yet, or the local clock is behind: ", certificate)
        }
        _ => ("is not accepted: ", certificate),
    };
    format!("the TLS certificate of {name} {what}{detail}")
}

/// Logs what a program should know although it goes on, or is told to nobody.
#[cold]
pub(crate) fn warn(error: &dyn fmt::Display, what: &str) {
    tracing::warn!(%error, "{what}");
}

/// How many of its names are shown of a certificate that has another one.
const NAMES_SHOWN: usize = 5;

/// The longest explanation, in bytes.
const TEXT_LIMIT: usize = 1024;
