//! An answer that brings a token.

use std::time::SystemTime;

use identity_core::{
    Error, ErrorKind, Result,
    answer::{self, Token},
    http::Response,
};

use crate::{endpoint::Endpoint, source::Kind, wire::Fields};

/// Reads a token that was asked for at `wall`; `None` if there is none.
///
/// # Errors
///
/// - `Protocol` if what is there breaks a rule.
/// - `AuthenticationFailed` if the token is of another identity than the one asked for.
pub(crate) fn token(
    fields: &Fields<'_>,
    response: &Response,
    endpoint: &Endpoint,
    wall: SystemTime,
) -> Result<Option<Token>> {
    let token = answer::token(fields, response, wall)?;
    if token.is_some() {
        check_identity(fields, endpoint)?;
    }
    Ok(token)
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
