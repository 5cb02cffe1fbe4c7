//! From a connection to a secure one, and what stood in the way.

use std::{io, sync::Arc};

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

    let certificate = match reason {
        Error::InvalidCertificate(certificate) => certificate,
        Error::PeerIncompatible(_) | Error::AlertReceived(AlertDescription::ProtocolVersion) => {
            return format!(
                "the TLS handshake failed: {name} shares no version or cipher of TLS 1.2 or 1.3 ({reason})"
            );
        }
        Error::AlertReceived(_) => return format!("the TLS handshake failed: {name} refused it ({reason})"),
        other => return format!("the TLS handshake with {name} failed: {other}"),
    };
    match (certificate, help) {
        (C::Other(OtherError(own)), _) => own.to_string(),
        (C::BadSignature, None) => format!(
            "{name} did not prove that it holds the key of its certificate; where it is pinned, an RSA key needs 2048 to 8192 bits"
        ),
        (C::BadSignature, Some(help)) => format!(
            "the TLS certificate of {name} is signed by a key other than that of the root we know under this name: {help}"
        ),
        (C::UnknownIssuer, help) => {
            format!("the TLS certificate of {name} comes from an unknown issuer: {}", help.unwrap_or_default())
        }
        (C::Expired | C::ExpiredContext { .. }, _) => {
            format!("the TLS certificate of {name} has expired, or the local clock is ahead: {certificate}")
        }
        (C::NotValidYet | C::NotValidYetContext { .. }, _) => {
            format!("the TLS certificate of {name} is not valid yet: is the local clock right? ({certificate})")
        }
        (C::NotValidForNameContext { presented, .. }, _) => {
            let count = presented.len();
            let mut text = format!("the TLS certificate is for another name than {name}; its names ({count}):");
            for one in presented.iter().take(NAMES_SHOWN) {
                text.push(' ');
                text.push_str(one);
            }
            text
        }
        (other, _) => format!("the TLS certificate of {name} is not accepted: {other}"),
    }
}

/// How many of its names are shown of a certificate that has another one.
const NAMES_SHOWN: usize = 5;

/// The longest explanation, in bytes.
const TEXT_LIMIT: usize = 1024;
