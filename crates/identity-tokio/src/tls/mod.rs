//! From a connection to a secure one, and what stood in the way.

use std::{io, sync::Arc};

use identity_core::http::{TransportError, TransportErrorKind};
use rustls::{AlertDescription, CertificateError, ClientConfig, Error, OtherError, pki_types::ServerName};
use tokio_rustls::TlsConnector;

use crate::stream::Stream;

pub(crate) mod pinned;
pub(crate) mod trust;

/// Secures a connection. Nothing but the handshake is written before the server has proved who it is.
pub(crate) async fn secure(
    stream: Stream,
    name: ServerName<'static>,
    config: Arc<ClientConfig>,
) -> Result<Stream, Failure> {
    let shown = name.to_str().into_owned();
    match TlsConnector::from(config).connect(name, stream).await {
        Ok(stream) => Ok(Box::new(stream)),
        Err(error) => Err(match reason(&error) {
            Some(reason) => Failure {
                unknown_issuer: matches!(reason, Error::InvalidCertificate(CertificateError::UnknownIssuer)),
                error: TransportError::new(TransportErrorKind::Tls, explain(reason, &shown)),
            },
            None => Failure {
                unknown_issuer: false,
                // Nothing of the request was written.
                error: TransportError::new(
                    TransportErrorKind::Connect,
                    format!("the TLS handshake with {shown} was cut short: {error}"),
                ),
            },
        }),
    }
}

/// Why a connection is not secure.
pub(crate) struct Failure {
    pub(crate) error: TransportError,
    /// Whether other roots could help.
    pub(crate) unknown_issuer: bool,
}

/// What the TLS layer has against a connection, if it was the TLS layer that failed it.
pub(crate) fn reason(error: &io::Error) -> Option<&Error> {
    error.get_ref()?.downcast_ref::<Error>()
}

/// Says what is wrong and what to do about it.
pub(crate) fn explain(reason: &Error, name: &str) -> String {
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
    match certificate {
        C::Other(OtherError(own)) => own.to_string(),
        C::BadSignature => format!(
            "{name} did not prove that it holds the key of its certificate; where it is pinned, an RSA key needs 2048 to 8192 bits"
        ),
        C::Expired | C::ExpiredContext { .. } => {
            format!("the TLS certificate of {name} has expired, or the local clock is ahead: {certificate}")
        }
        C::NotValidYet | C::NotValidYetContext { .. } => {
            format!("the TLS certificate of {name} is not valid yet: is the local clock right? ({certificate})")
        }
        C::UnknownIssuer => format!(
            "the TLS certificate of {name} comes from an unknown issuer: if a corporate proxy or a private authority signs it, add that root by a CA file or SSL_CERT_FILE"
        ),
        C::NotValidForName | C::NotValidForNameContext { .. } => {
            format!("the TLS certificate is for another name than {name}: {certificate}")
        }
        other => format!("the TLS certificate of {name} is not accepted: {other}"),
    }
}

impl From<TransportError> for Failure {
    fn from(error: TransportError) -> Self {
        Self { error, unknown_issuer: false }
    }
}
