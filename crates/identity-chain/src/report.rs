//! What a chain says when it has no token.

use std::fmt::Write as _;

use identity_core::{Error, ErrorKind};

/// The failure of a chain of `total` credentials, of which these were tried, in this order.
#[cold]
pub(crate) fn failure(chain: &'static str, attempts: Vec<(&'static str, Error)>, total: usize) -> Error {
    let mut message = format!("{chain} failed to retrieve a token from the included credentials\n");
    for (name, error) in &attempts {
        // A chain within a chain has a message of several lines.
        let text = error.to_string().replace('\n', "\n  ");
        let _ = writeln!(message, "{name}: {text}");
    }
    // What stopped the chain comes last. Else what a person can solve tells more than what is absent.
    let decisive = attempts
        .iter()
        .find(|(_, error)| !error.is_unavailable())
        .or_else(|| attempts.iter().find(|(_, error)| error.kind() == ErrorKind::AuthenticationRequired));
    let advice = match decisive {
        None => "make one of them available as its line says, or add a credential that is".to_owned(),
        Some((name, error)) if error.is_unavailable() => format!("sign in as the line of {name} says"),
        Some((name, _)) => match total.saturating_sub(attempts.len()) {
            0 => format!("solve what the line of {name} says"),
            rest => format!(
                "solve what the line of {name} says; {rest} after it not tried, for another identity must not hide a failure"
            ),
        },
    };
    message.push_str(&advice);
    let error = match decisive {
        Some((_, error)) => error.clone().with_message(message),
        None => Error::new(ErrorKind::CredentialUnavailable, message).with_credential(chain),
    };
    error.with_attempts(attempts.into_iter().map(|(_, error)| error).collect())
}
