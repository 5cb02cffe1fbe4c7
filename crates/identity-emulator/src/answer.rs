//! How one request is answered: the real answer, or one bent on purpose.

use std::time::Duration;

use serde::Deserialize;

/// The answer to one request: the real one, bent where it says so.
///
/// [`Answer::real`] changes nothing. Give it to [`Faults`](crate::Faults).
#[derive(Clone, Debug, Default)]
pub struct Answer(pub(crate) Plan);

/// The form of an expiry field. All times are UTC.
///
/// Source: what the services were seen to send, gathered from the parsers of the official SDKs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ExpiryFormat {
    /// The field is left out.
    Absent,
    /// A JSON number of seconds.
    Number,
    /// A JSON string with a number of seconds.
    Text,
    /// A JSON number with a fraction, such as `1795412345.75`.
    Fraction,
    /// `11/23/2026 05:39:05 +00:00`.
    UsDate,
    /// `11/23/2026 5:39:05 AM +00:00`.
    UsDateAmPm,
    /// `11/23/2026 05:39:05`.
    UsDateWithoutZone,
    /// `2026-11-23 05:39:05`.
    IsoWithSpace,
    /// `2026-11-23T05:39:05Z`.
    Rfc3339,
}

/// What an [`Answer`] consists of; also its JSON form in the control interface.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Plan {
    /// The end of the paths that it is for; `None` for any.
    pub(crate) at: Option<String>,
    pub(crate) status: Option<u16>,
    pub(crate) entra_error: Option<u32>,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Option<String>,
    pub(crate) raw: Option<String>,
    pub(crate) connection: Connection,
    pub(crate) delay_ms: u64,
    pub(crate) hold: bool,
    pub(crate) drip: Option<Drip>,
    pub(crate) cut_after: Option<u64>,
    pub(crate) reset_after: Option<u64>,
    pub(crate) gzip: bool,
    pub(crate) giant: Option<u64>,
    pub(crate) deep: Option<u32>,
    pub(crate) date_skew_secs: i64,
    pub(crate) lifetime_secs: Option<i64>,
    pub(crate) refresh_in_secs: Option<i64>,
    pub(crate) expires_on: Option<ExpiryFormat>,
    pub(crate) expires_in: Option<ExpiryFormat>,
    pub(crate) fields: serde_json::Map<String, serde_json::Value>,
    pub(crate) omit: Vec<String>,
}

/// What happens to the connection itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Connection {
    #[default]
    Serve,
    Refuse,
    Stall,
    Silence,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Drip {
    pub(crate) bytes: usize,
    pub(crate) every_ms: u64,
    #[serde(default)]
    pub(crate) head: bool,
}

impl Answer {
    /// The answer of the real service.
    #[must_use]
    pub fn real() -> Self {
        Self::default()
    }

    /// This status whatever was asked, with an error body of the shape that the source has.
    ///
    /// 200 to 599 are sent properly; anything else is sent as it is, which breaks HTTP's rules.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self(Plan { status: Some(status), ..Plan::default() })
    }

    /// Entra's refusal with that code, such as 7000215, whatever was asked: its status and its body.
    ///
    /// A code for which nobody knows the status and the error is not guessed: the answer is 501, and says so. Every other
    /// source says the same in its own shape.
    #[must_use]
    pub fn entra_error(code: u32) -> Self {
        Self(Plan { entra_error: Some(code), ..Plan::default() })
    }

    /// These bytes, unchanged, instead of a response; then the connection closes.
    ///
    /// `{token}` is replaced by a token that is good for what was asked, if the request was.
    #[must_use]
    pub fn raw(bytes: impl Into<String>) -> Self {
        Self(Plan { raw: Some(bytes.into()), ..Plan::default() })
    }

    /// The connection is reset as soon as it is accepted. No request is read or recorded.
    ///
    /// On a connection that is open already, its next request is recorded and then reset.
    #[must_use]
    pub fn refuse() -> Self {
        Self(Plan { connection: Connection::Refuse, ..Plan::default() })
    }

    /// The connection is accepted and not a byte is written to it, so that not even a TLS handshake
    /// ends, until the client closes it. No request is recorded.
    ///
    /// On a connection that is open already, this is [`silence`](Self::silence).
    #[must_use]
    pub fn stall() -> Self {
        Self(Plan { connection: Connection::Stall, ..Plan::default() })
    }

    /// The request is read and recorded, and never answered.
    #[must_use]
    pub fn silence() -> Self {
        Self(Plan { connection: Connection::Silence, ..Plan::default() })
    }

    /// A redirect with this status to `location`.
    #[must_use]
    pub fn redirect(status: u16, location: impl Into<String>) -> Self {
        Self::status(status).with_header("Location", location).with_body("")
    }

    /// 200 with an HTML page: a captive portal, or a proxy that answers for everyone.
    #[must_use]
    pub fn captive_portal() -> Self {
        Self::status(200)
            .with_header("Content-Type", "text/html; charset=utf-8")
            .with_body("<!DOCTYPE html><html><head><title>Sign in to the network</title></head><body>Accept the terms.</body></html>")
    }

    /// 403 as the proxy of Docker Desktop answers for an address that it cannot reach.
    ///
    /// Source: azure-identity 1.27.0, `_credentials/imds.py`, which looks for "unreachable".
    #[must_use]
    pub fn docker_unreachable() -> Self {
        Self::status(403)
            .with_header("Content-Type", "text/plain")
            .with_body("connecting to 169.254.169.254:80: dial tcp 169.254.169.254:80: connectex: A socket operation was attempted to an unreachable network.")
    }

    /// Keeps the answer for requests whose path ends so, such as `/oauth2/v2.0/token`; others pass it by, queued or standing.
    ///
    /// The connection is then accepted in any case, and read, for nobody knows the path before.
    #[must_use]
    pub fn at(mut self, path_end: impl Into<String>) -> Self {
        self.0.at = Some(path_end.into());
        self
    }

    /// Adds a header, or replaces the one of that name; give it twice to send it twice.
    #[must_use]
    pub fn with_header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.0.headers.push((name.into(), value.into()));
        self
    }

    /// Sends this body; `{token}` in it is replaced by a token that is good for what was asked.
    ///
    /// Without a [status](Self::status) it takes the place of a token answer only: refusals and the
    /// challenge of Azure Arc stay as they are.
    #[must_use]
    pub fn with_body(mut self, body: impl Into<String>) -> Self {
        self.0.body = Some(body.into());
        self
    }

    /// Waits this long before the answer's first byte, in whole milliseconds.
    #[must_use]
    pub fn with_delay(mut self, delay: Duration) -> Self {
        self.0.delay_ms = millis(delay);
        self
    }

    /// Waits for [`Faults::release`](crate::Faults::release) before the answer's first byte.
    #[must_use]
    pub fn held(mut self) -> Self {
        self.0.hold = true;
        self
    }

    /// Sends the head at once, then so many bytes of the body at a time with a pause before each.
    #[must_use]
    pub fn with_dripping_body(mut self, bytes: usize, every: Duration) -> Self {
        self.0.drip = Some(Drip { bytes, every_ms: millis(every), head: false });
        self
    }

    /// Sends so many bytes at a time with a pause before each, beginning with the status line.
    #[must_use]
    pub fn with_dripping_head(mut self, bytes: usize, every: Duration) -> Self {
        self.0.drip = Some(Drip { bytes, every_ms: millis(every), head: true });
        self
    }

    /// Announces the whole body, sends its first so many bytes, then closes the connection.
    #[must_use]
    pub fn cut_after(mut self, body_bytes: u64) -> Self {
        self.0.cut_after = Some(body_bytes);
        self
    }

    /// Announces the whole body, sends its first so many bytes, then resets the connection.
    #[must_use]
    pub fn reset_after(mut self, body_bytes: u64) -> Self {
        self.0.reset_after = Some(body_bytes);
        self
    }

    /// Compresses the body, unasked, and says so with `Content-Encoding: gzip`.
    #[must_use]
    pub fn gzipped(mut self) -> Self {
        self.0.gzip = true;
        self
    }

    /// Sends a well-formed token answer whose token is this many bytes long.
    #[must_use]
    pub fn with_giant_token(mut self, bytes: u64) -> Self {
        self.0.giant = Some(bytes);
        self
    }

    /// Adds an unknown field that nests this many arrays, at most a million, to a JSON body.
    #[must_use]
    pub fn with_deep_field(mut self, depth: u32) -> Self {
        self.0.deep = Some(depth);
        self
    }

    /// Moves the `Date` header by so many seconds; the token's own times stay right.
    #[must_use]
    pub fn with_date_skew_secs(mut self, seconds: i64) -> Self {
        self.0.date_skew_secs = seconds;
        self
    }

    /// Issues a token that lives so many seconds from now; negative for one that has expired.
    #[must_use]
    pub fn with_lifetime_secs(mut self, seconds: i64) -> Self {
        self.0.lifetime_secs = Some(seconds);
        self
    }

    /// Adds `refresh_in`, in seconds, in the form that the source uses for numbers.
    #[must_use]
    pub fn with_refresh_in_secs(mut self, seconds: i64) -> Self {
        self.0.refresh_in_secs = Some(seconds);
        self
    }

    /// Sends `expires_on` in this form.
    #[must_use]
    pub fn with_expires_on(mut self, format: ExpiryFormat) -> Self {
        self.0.expires_on = Some(format);
        self
    }

    /// Sends `expires_in` in this form; forms that are dates count as [`ExpiryFormat::Text`].
    #[must_use]
    pub fn with_expires_in(mut self, format: ExpiryFormat) -> Self {
        self.0.expires_in = Some(format);
        self
    }

    /// Adds a field to the token answer, or replaces it, with a JSON string.
    #[must_use]
    pub fn with_text_field(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.0.fields.insert(name.into(), value.into().into());
        self
    }

    /// Adds a field to the token answer, or replaces it, with a JSON number.
    #[must_use]
    pub fn with_number_field(mut self, name: impl Into<String>, value: i64) -> Self {
        self.0.fields.insert(name.into(), value.into());
        self
    }

    /// Leaves a field out of the token answer.
    #[must_use]
    pub fn without_field(mut self, name: impl Into<String>) -> Self {
        self.0.omit.push(name.into());
        self
    }
}

impl Plan {
    /// True if the connection is dealt with before a request is read.
    pub(crate) fn is_at_accept(&self) -> bool {
        matches!(self.connection, Connection::Refuse | Connection::Stall)
    }

    /// True if it may answer a request with that path; `None` stands for a connection without any request yet.
    pub(crate) fn is_for(&self, path: Option<&str>) -> bool {
        self.at.as_deref().is_none_or(|end| path.is_some_and(|path| path.ends_with(end)))
    }

    /// True if the token in the answer is an ordinary one.
    pub(crate) fn keeps_token(&self) -> bool {
        self.lifetime_secs.is_none()
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
