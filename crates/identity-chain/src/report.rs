//! What a chain says when it has no token.

use std::fmt::Write as _;

use identity_core::{Error, ErrorKind};

/// The failure of a chain of `total` credentials, of which these were tried, in this order. `steps` help where nothing is
/// available.
#[cold]
pub(crate) fn failure(
    chain: &'static str,
    attempts: Vec<(&'static str, Error)>,
    total: usize,
    steps: &[String],
) -> Error {
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
    match what_next(&attempts, total, steps).as_slice() {
        [only] => message.push_str(only),
        several => {
            message.push_str("what to do, the likeliest first:");
            for (number, step) in several.iter().enumerate() {
                let _ = write!(message, "\n{}. {step}", number + 1);
            }
        }
    }
    let error = match decisive {
        Some((_, error)) => error.clone().with_message(message),
        None => Error::new(ErrorKind::CredentialUnavailable, message).with_credential(chain),
    };
    error.with_attempts(attempts.into_iter().map(|(_, error)| error).collect())
}

/// What to do next, the likeliest first; at least one step.
///
/// A failure that stopped the chain is the only thing to see to. Else a credential that says what it lacks was nearer to a
/// token than those that are not here at all, and nearest is one that only a person keeps from it.
fn what_next(attempts: &[(&'static str, Error)], total: usize, others: &[String]) -> Vec<String> {
    if let Some((name, _)) = attempts.iter().find(|(_, error)| !error.is_unavailable()) {
        return vec![match total.saturating_sub(attempts.len()) {
            0 => format!("solve what the line of {name} says"),
            rest => format!(
                "solve what the line of {name} says; {rest} after it not tried, for another identity must not hide a failure"
            ),
        }];
    }
    let needs_person = |error: &Error| error.kind() == ErrorKind::AuthenticationRequired;
    let mut nearest: Vec<&(&str, Error)> =
        attempts.iter().filter(|(_, error)| needs_person(error) || !error.advice().is_empty()).collect();
    nearest.sort_by_key(|(_, error)| !needs_person(error));
    let mut steps: Vec<String> = Vec::new();
    for (name, error) in nearest {
        let step = match error.advice() {
            "" => format!("sign in as the line of {name} says"),
            advice => advice.to_owned(),
        };
        if !steps.contains(&step) {
            steps.push(step);
        }
    }
    steps.extend_from_slice(others);
    if steps.is_empty() {
        steps.push("make one of them available as its line says, or add a credential that is".to_owned());
    }
    steps
}
