//! An answer that brings a token.

use std::time::{Duration, SystemTime};

use identity_core::{
    Error, ErrorKind, Result, Secret, check,
    date::{parse_http_date, parse_seconds, parse_time},
    expiry,
    http::Response,
};

use crate::{
    endpoint::Endpoint,
    source::Kind,
    wire::{Fields, WrongType},
};

/// A token with its times, counted from when it was asked for.
#[derive(Debug)]
pub(crate) struct Token {
    pub(crate) secret: Secret,
    pub(crate) life: Duration,
    pub(crate) refresh_in: Option<Duration>,
}

/// Reads a token that was asked for at `wall`; `None` if there is none.
///
/// # Errors
///
/// - `Protocol` if what is there breaks a rule. No message repeats anything of the answer, for it may be the token.
/// - `AuthenticationFailed` if the token is of another identity than the one asked for.
pub(crate) fn token(
    fields: &Fields<'_>,
    response: &Response,
    endpoint: &Endpoint,
    wall: SystemTime,
) -> Result<Option<Token>> {
    let Some(secret) = fields.string("access_token").map_err(|WrongType| wrong("access_token"))? else {
        return Ok(None);
    };
    let secret = Secret::new(secret);
    if !check::is_token(secret.expose()) {
        return Err(protocol("the access_token is empty or has a character that no token has"));
    }
    let token_type = fields.text("token_type").map_err(|WrongType| wrong("token_type"))?;
    if token_type.is_some_and(|kind| !kind.eq_ignore_ascii_case("bearer")) {
        return Err(protocol("the token_type is not Bearer, which was asked for"));
    }
    // One time that can be read is enough: a good token is not thrown away for the form of another.
    let number = |name: &str, parse: fn(&str) -> Option<i64>| parse(&fields.text(name).ok()??);
    let (expires_in, expires_on) = (number("expires_in", parse_seconds), number("expires_on", parse_time));
    let date = response.header("date").and_then(parse_http_date);
    let life = expiry::life(expires_in, expires_on, date, wall).ok_or_else(|| {
        protocol("neither expires_in nor expires_on tells a time in the future; check the clocks of both sides")
    })?;
    let refresh_in = number("refresh_in", parse_seconds).and_then(|seconds| u64::try_from(seconds).ok());
    check_identity(fields, endpoint)?;
    Ok(Some(Token { secret, life, refresh_in: refresh_in.map(Duration::from_secs) }))
}

/// Whether the token is of the identity that was asked for, as far as the answer tells. Azure Arc must tell: agents that
/// know one identity only ignore the question.
fn check_identity(fields: &Fields<'_>, endpoint: &Endpoint) -> Result<()> {
    let Some(id) = &endpoint.id else { return Ok(()) };
    let mut told = id.kind.fields().iter().filter_map(|name| fields.text(name).ok().flatten()).peekable();
    let problem = if endpoint.source.kind == Kind::AzureArc && told.peek().is_none() {
        "does not say whose token this is; update the agent, or ask for the machine's own identity"
    } else if told.any(|told| !told.eq_ignore_ascii_case(&id.value)) {
        "gave the token of another identity; assign the one asked for to this resource"
    } else {
        return Ok(());
    };
    Err(Error::new(
        ErrorKind::AuthenticationFailed,
        format!("asked for the {} {}, {} {problem}", id.kind.name(), id.value, endpoint.source.name),
    ))
}

fn wrong(name: &str) -> Error {
    protocol(&format!("{name} cannot be read"))
}

fn protocol(message: &str) -> Error {
    Error::new(ErrorKind::Protocol, message)
}
