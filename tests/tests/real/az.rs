//! The Azure CLI, as its makers release it, signs programs and people in to the emulator.
//!
//! What it says in trouble is what programs that start it have to understand, so the words are checked here, where they come
//! from, too.

mod ours;
mod people;
mod programs;
mod session;

pub(crate) use session::{SECOND_SUBSCRIPTION, SECOND_SUBSCRIPTION_NAME, Session, VAULT};

use serde_json::Value;

/// Arguments for a token, and words of a refusal, in the order in which they come.
type Refusal<'a> = (&'a [&'a str], &'a [&'a str]);

#[test]
#[ignore = "needs installed components: cargo xtask real"]
fn az_says_that_nobody_is_signed_in() {
    let Some(session) = Session::start("az-nobody") else { return };
    for more in [&[][..], &["--scope", VAULT], &["--tenant", session.emulator().tenant_id()]] {
        session.refuses_a_token(more, &[NOBODY]);
    }
    session.refuses(&["account", "show", "--output", "json"], &[NOBODY]);
    // It does not even know the argument, and says so by another code.
    let output = session.az(&["account", "get-access-token", "--claims", "x"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(output.stdout.is_empty());
    let asked: Vec<String> = session.emulator().requests().iter().map(|one| one.path().to_owned()).collect();
    assert_eq!(asked, ["/metadata/endpoints"], "nothing but what the cloud is like");
}

/// What does not depend on who is signed in.
fn refuses_what_is_not_there(session: &Session, cached: &str) {
    let unknown = "0fedcba9-0000-4000-8000-0000000000ff";
    let not_found = "not found. Check the spelling and casing and try again.";
    let home = session.emulator().tenant_id();
    let rows: [Refusal<'_>; 5] = [
        (&["--subscription", unknown], &["ERROR: Subscription '", unknown, not_found]),
        (&["--subscription", "No Such"], &["ERROR: Subscription 'No Such'", not_found]),
        (
            &["--subscription", SECOND_SUBSCRIPTION, "--tenant", home],
            &["ERROR: Please specify only one of subscription and tenant, not both"],
        ),
        (
            &["--tenant", unknown],
            &[
                "ERROR: The command failed with an unexpected error.",
                "Unable to get authority configuration for ",
                unknown,
            ],
        ),
        (&["--scope", "https://nobody.example/.default"], &["ERROR: AADSTS500011: ", "az logout\naz login"]),
    ];
    for (more, words) in rows {
        session.refuses_a_token(more, words);
    }
    assert_eq!(session.token(&["--scope", VAULT])["accessToken"], *cached, "what it has is what it gives");
}

/// Checks what az prints of a token against what is in it.
fn agrees(printed: &Value, claims: &Value, subscription: Option<&str>) {
    assert_eq!(printed["tokenType"], "Bearer");
    assert_eq!(printed["tenant"], claims["tid"]);
    assert_eq!(printed.get("subscription").and_then(Value::as_str), subscription);
    let (expires, end) = (printed["expires_on"].as_i64().unwrap(), claims["exp"].as_i64().unwrap());
    // It counts by its own clock, from about when it asked.
    assert!((expires - end).abs() <= 30, "{expires} {end}");
    // Local time, without saying so.
    let local = expires + session::OFFSET_SECS;
    let (hour, minute, second) = (local / 3_600 % 24, local / 60 % 60, local % 60);
    let clock = format!(" {hour:02}:{minute:02}:{second:02}.000000");
    assert!(printed["expiresOn"].as_str().unwrap().ends_with(&clock), "{printed}");
}

const NOBODY: &str = "ERROR: Please run 'az login' to setup account.\n";
