//! What a chain says when it has no token.

use std::fmt::Write as _;

use identity_core::{Error, ErrorKind};

/// The failure of a chain of `total` credentials, of which these were tried, in this order. `others` are steps that help where
/// nothing is available, each with the name of the credential that it is about.
#[cold]
pub(crate) fn failure(
    chain: &'static str,
    attempts: Vec<(&'static str, Error)>,
    total: usize,
    others: &[(&'static str, String)],
) -> Error {
    let mut message = format!("{chain} failed to retrieve a token from the included credentials\n");
    for (name, error) in &attempts {
        // A chain within a chain has a message of several lines.
        let text = error.to_string().replace('\n', "\n  ");
        let _ = writeln!(message, "{name}: {text}");
    }
    let steps = what_next(&attempts, total, others);
    match steps.as_slice() {
        [only] => message.push_str(only),
        several => {
            message.push_str("what to do, the likeliest first:");
            for (number, step) in several.iter().enumerate() {
                let _ = write!(message, "\n{}. {step}", number + 1);
            }
        }
    }
    // What stopped the chain comes last. Else what a person can solve tells more than what is absent.
    let decisive = attempts
        .iter()
        .find(|(_, error)| !error.is_unavailable())
        .or_else(|| attempts.iter().find(|(_, error)| error.kind() == ErrorKind::AuthenticationRequired));
    let error = match decisive {
        Some((_, error)) => error.clone().with_message(message),
        None => {
            let error = Error::new(ErrorKind::CredentialUnavailable, message).with_credential(chain);
            // A challenge that somebody could answer by signing in again.
            match attempts.iter().find(|(_, error)| error.claims().is_some()) {
                Some((_, challenged)) => {
                    let scopes: Vec<&str> = challenged.scopes().iter().map(String::as_str).collect();
                    error.with_scopes(&scopes, challenged.claims())
                }
                None => error,
            }
        }
    };
    error.with_steps(steps).with_attempts(attempts.into_iter().map(|(_, error)| error).collect())
}

/// What to do next, the likeliest first; at least one step.
///
/// A failure that stopped the chain is the only thing to see to. Else a credential that says what it lacks was nearer to a
/// token than those that are not here at all, and nearest is one that only a person keeps from it.
fn what_next(attempts: &[(&'static str, Error)], total: usize, others: &[(&'static str, String)]) -> Vec<String> {
    if let Some((name, error)) = attempts.iter().find(|(_, error)| !error.is_unavailable()) {
        return vec![match (error.kind(), total.saturating_sub(attempts.len())) {
            (_, 0) => format!("solve what the line of {name} says"),
            // Others would say the same, or be asked for what was not meant.
            (ErrorKind::InvalidArgument, rest) => {
                format!("correct what the line of {name} says; {rest} after it not tried")
            }
            (_, rest) => format!(
                "solve what the line of {name} says; {rest} after it not tried, for another identity must not hide a failure"
            ),
        }];
    }
    let needs_person = |error: &Error| error.kind() == ErrorKind::AuthenticationRequired;
    let is_near = |error: &Error| needs_person(error) || !error.steps().is_empty();
    let mut nearest: Vec<&(&str, Error)> = attempts.iter().filter(|(_, error)| is_near(error)).collect();
    nearest.sort_by_key(|(_, error)| !needs_person(error));
    let mut steps: Vec<String> = Vec::new();
    for (name, error) in &nearest {
        if error.steps().is_empty() {
            steps.push(format!("sign in as the line of {name} says"));
        }
        for step in error.steps() {
            if !steps.contains(step) {
                steps.push(step.clone());
            }
        }
    }
    let is_left_out = |about: &str| nearest.iter().any(|(name, _)| *name == about);
    steps.extend(others.iter().filter(|(about, _)| !is_left_out(about)).map(|(_, step)| step.clone()));
    if steps.is_empty() {
        steps.push("make one of them available as its line says, or add a credential that is".to_owned());
    }
    steps
}
