//! The JSON of all sources.

use identity_core::answer;

/// What the body of an answer is.
pub(crate) type Body<'a> = answer::Body<'a, { NAMES.len() }>;
/// The fields of an object that matter.
pub(crate) type Fields<'a> = answer::Fields<'a, { NAMES.len() }>;

/// Reads a body; `is_json` is what its header says about it.
pub(crate) fn parse(body: &[u8], is_json: bool) -> Body<'_> {
    Body::parse(&NAMES, body, is_json)
}

/// Every field that is read.
const NAMES: [&str; 14] = [
    "access_token",
    "client_id",
    "code",
    "correlation_id",
    "error",
    "error_description",
    "expires_in",
    "expires_on",
    "message",
    "mi_res_id",
    "msi_res_id",
    "object_id",
    "refresh_in",
    "token_type",
];
