//! How a failure is told.

use std::{error::Error as StdError, fmt::Write as _, process::ExitCode};

use identity::{Error, ErrorKind};
use serde_json::{Value, json};

use crate::{
    explain,
    screen::{self, Paint},
};

/// For scripts: one object. Errors that an error consists of have the same shape.
pub(crate) fn to_json(error: &Error) -> Value {
    let name = Some(error.credential()).filter(|name| !name.is_empty());
    json!({
        "kind": error.kind().as_str(),
        "message": error.to_string(),
        "causes": causes(error),
        "credential": name,
        "http_status": error.http_status(),
        "entra_codes": error.entra_codes(),
        "correlation_id": error.correlation_id(),
        "trace_id": error.trace_id(),
        "retry_after": error.retry_after().map(|wait| wait.as_secs()),
        "scopes": error.scopes(),
        "claims": error.claims(),
        "steps": error.steps(),
        "attempts": error.attempts().iter().map(to_json).collect::<Vec<_>>(),
        "help": error.kind().help(),
    })
}

/// For people.
pub(crate) fn to_text(error: &Error, paint: Paint) -> String {
    let text = error.to_string();
    // What a service says is long, and not ours.
    let mut lines = text.lines().flat_map(|line| match line.split_once(SAID) {
        Some((ours, theirs)) => vec![screen::escape(ours), format!("it said: {}", screen::escape(theirs))],
        None => vec![screen::escape(line)],
    });
    let first = lines.next().unwrap_or_default();
    let mut out = match error.credential() {
        // Chains name themselves.
        name if name.is_empty() || !error.attempts().is_empty() => format!("{} {first}\n", paint.red("error:")),
        name => format!("{} {name}: {first}\n", paint.red("error:")),
    };
    for line in lines {
        let _ = writeln!(out, "  {line}");
    }
    let own = causes(error);
    for cause in &own {
        let _ = writeln!(out, "  caused by: {}", screen::escape(cause));
    }
    // What stopped a chain has the chain's causes.
    for attempt in error.attempts().iter().filter(|attempt| own.is_empty() || causes(attempt) != own) {
        for cause in causes(attempt) {
            let _ = writeln!(out, "  {} failed because of: {}", attempt.credential(), screen::escape(&cause));
        }
    }
    let all = facts(error);
    // Nor are the facts of what stopped it told twice.
    for attempt in error.attempts() {
        let facts = facts(attempt);
        if facts != all {
            let _ = writeln!(out, "  {}", paint.dim(&format!("{}: {facts}", attempt.credential())));
        }
    }
    let _ = writeln!(out, "  {}", paint.dim(&all));
    // Who has only this program has no page to look into.
    let more = format!("read on by: {}", explain::command(error.kind()));
    let _ = writeln!(out, "  {}", paint.dim(&more));
    out
}

/// The exit code of each kind: a promise to scripts.
pub(crate) fn exit_code(kind: ErrorKind) -> ExitCode {
    ExitCode::from(match kind {
        ErrorKind::InvalidArgument => 2,
        ErrorKind::CredentialUnavailable => 3,
        ErrorKind::AuthenticationRequired => 4,
        ErrorKind::AuthenticationFailed => 5,
        ErrorKind::Transport => 6,
        ErrorKind::Protocol => 7,
        _ => 1,
    })
}

/// What support asks for, in one line.
pub(crate) fn facts(error: &Error) -> String {
    let mut facts = vec![error.kind().as_str().to_owned()];
    let codes = error.entra_codes().iter().map(|code| format!("AADSTS{code}"));
    facts.extend(error.http_status().map(|status| format!("HTTP {status}")));
    facts.extend(codes);
    facts.extend(error.correlation_id().map(|id| format!("correlation id {}", screen::escape(id))));
    facts.extend(error.trace_id().map(|id| format!("trace id {}", screen::escape(id))));
    facts.extend(error.retry_after().map(|wait| format!("try again in {}", crate::when::length(wait))));
    facts.join(", ")
}

fn causes(error: &Error) -> Vec<String> {
    let mut next = error.source();
    let mut causes = Vec::new();
    while let Some(cause) = next.filter(|_| causes.len() < CAUSES) {
        causes.push(cause.to_string());
        next = cause.source();
    }
    causes
}

/// Before the words of a service, in the library's messages.
const SAID: &str = "; it said: ";
/// More is a loop.
const CAUSES: usize = 16;

#[cfg(test)]
mod tests {
    use std::{fmt, io, time::Duration};

    use super::*;

    fn refused() -> Error {
        Error::new(ErrorKind::AuthenticationFailed, "no\u{1b}[2J")
            .with_credential("SomeCredential")
            .with_http_status(401)
            .with_entra_codes(vec![7_000_215])
            .with_ids(Some("c\u{202e}".into()), Some("t".into()))
            .with_retry_after(Duration::from_secs(90))
            .with_source(io::Error::other("the\u{7} wire"))
    }

    #[test]
    fn people_see_every_fact_and_nothing_that_steers_their_terminal() {
        assert_eq!(
            to_text(&refused(), Paint::NONE),
            "error: SomeCredential: no\\u{1b}[2J\n  caused by: the\\u{7} wire\n  \
             AuthenticationFailed, HTTP 401, AADSTS7000215, correlation id c\\u{202e}, trace id t, try again in 1 min\n  \
             read on by: identity explain authentication-failed\n"
        );
    }

    #[test]
    fn what_a_service_says_stands_apart() {
        let error = Error::new(ErrorKind::AuthenticationFailed, "refused; do this; it said: a; it said: b")
            .with_credential("SomeCredential");
        assert_eq!(
            to_text(&error, Paint::NONE),
            "error: SomeCredential: refused; do this\n  it said: a; it said: b\n  AuthenticationFailed\n  \
             read on by: identity explain authentication-failed\n"
        );
    }

    #[test]
    fn causes_of_attempts_are_told_and_loops_end() {
        #[derive(Debug)]
        struct Loop;
        impl fmt::Display for Loop {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("again")
            }
        }
        impl StdError for Loop {
            fn source(&self) -> Option<&(dyn StdError + 'static)> {
                Some(&Self)
            }
        }
        let chain = Error::new(ErrorKind::CredentialUnavailable, "chain failed\nA: gone")
            .with_attempts(vec![refused().with_source(Loop)]);
        let text = to_text(&chain, Paint::NONE);
        assert!(text.starts_with("error: chain failed\n  A: gone\n  SomeCredential failed because of: again\n"));
        assert!(
            text.contains(
                "\n  SomeCredential: AuthenticationFailed, HTTP 401, AADSTS7000215, correlation id c\\u{202e}"
            )
        );
        assert!(text.ends_with("\n  CredentialUnavailable\n  read on by: identity explain credential-unavailable\n"));
        assert_eq!(text.matches(": again").count(), CAUSES);
    }

    #[test]
    fn scripts_get_the_same_as_an_object() {
        let chain = Error::new(ErrorKind::CredentialUnavailable, "m").with_attempts(vec![refused()]);
        let object = to_json(&chain);
        assert_eq!((&object["kind"], &object["credential"]), (&json!("CredentialUnavailable"), &Value::Null));
        assert_eq!(object["help"], "docs/TROUBLESHOOTING.md#credential-unavailable");
        let attempt = &object["attempts"][0];
        assert_eq!(attempt["help"], "docs/TROUBLESHOOTING.md#authentication-failed");
        assert_eq!((&attempt["entra_codes"], &attempt["retry_after"]), (&json!([7_000_215]), &json!(90)));
        assert_eq!((&attempt["correlation_id"], &attempt["causes"]), (&json!("c\u{202e}"), &json!(["the\u{7} wire"])));
    }
}
