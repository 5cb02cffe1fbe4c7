//! The same for the token endpoint of Entra ID, over TLS.

use std::{net::TcpListener, time::Duration};

use ErrorKind::{AuthenticationFailed, Protocol, Transport};
use Source::Entra;
use identity_core::ErrorKind;
use identity_emulator::{Answer, Source};

use crate::table::{Row, recovers, row, run};

fn json(body: &str) -> Answer {
    Answer::real().with_body(body)
}

#[test]
fn answers_that_lie_have_their_kinds() {
    run(vec![
        row("400 MB", Entra, Answer::real().with_giant_token(400 << 20), Protocol, "is the limit"),
        row("a token of 2 MB", Entra, Answer::real().with_giant_token(2 << 20), Protocol, "is the limit"),
        row("gzip", Entra, Answer::real().gzipped(), Protocol, "compress"),
        row("gzip with an error", Entra, Answer::status(400).gzipped(), Protocol, "compress"),
        row("10,000 levels", Entra, Answer::real().with_deep_field(10_000), Protocol, "nests too deeply"),
        row("captive portal", Entra, Answer::captive_portal(), Protocol, "text/html"),
        row("line break in the token", Entra, json(r#"{"access_token":"a\r\nb","expires_in":9}"#), Protocol, "token"),
        row("no token", Entra, Answer::real().without_field("access_token"), Protocol, "no access_token"),
        row("another type", Entra, Answer::real().with_text_field("token_type", "pop"), Protocol, "Bearer"),
        row(
            "no times",
            Entra,
            Answer::real().without_field("expires_in").without_field("expires_on"),
            Protocol,
            "expires",
        ),
        row("an expired token", Entra, Answer::real().with_lifetime_secs(-60), Protocol, "expires"),
        row("401 without a word", Entra, Answer::status(401).with_body("{}"), Protocol, "401"),
        row("a refusal", Entra, Answer::entra_error(7_000_222), AuthenticationFailed, "has expired"),
        row("a loop", Entra, Answer::entra_error(50_196), AuthenticationFailed, "loop"),
        row("204", Entra, Answer::status(204).with_body(""), Protocol, "204"),
        row(
            "Retry-After beyond the budget",
            Entra,
            Answer::status(429).with_header("Retry-After", "120"),
            Transport,
            "429",
        ),
    ]);
}

#[test]
fn passing_trouble_is_waited_out() {
    run(vec![
        recovers("a refused connection", Entra, vec![Answer::refuse()], 1),
        recovers("a reset in the body", Entra, vec![Answer::real().reset_after(10)], 2),
        recovers("a body that is cut", Entra, vec![Answer::real().cut_after(20)], 2),
        recovers("a body that is cut at once", Entra, vec![Answer::real().cut_after(0)], 2),
        recovers("429 and 503", Entra, vec![Answer::status(429), Answer::status(503)], 3),
        recovers("Retry-After", Entra, vec![Answer::status(503).with_header("Retry-After", "4")], 2),
        recovers("a wrong Date", Entra, vec![Answer::real().with_date_skew_secs(-315_360_000)], 1),
        recovers("a slow answer", Entra, vec![Answer::real().with_delay(Duration::from_millis(100))], 1),
        row("503 for ever", Entra, Answer::status(503), Transport, "4 attempts").requests(4..=4).within_secs(8),
        row("resets for ever", Entra, Answer::real().reset_after(3), Transport, "4 attempts")
            .requests(4..=4)
            .within_secs(8),
        row("refused for ever", Entra, Answer::refuse(), Transport, "4 attempts").requests(0..=0).within_secs(8),
    ]);
}

#[test]
fn answers_that_never_end_are_cut_off() {
    let slow = |row: Row, requests| row.requests(requests).within_secs(46);
    let (byte, pause) = (1, Duration::from_millis(50));
    run(vec![
        slow(row("silence", Entra, Answer::silence(), Transport, "no answer"), 3..=4),
        // 5 s for a handshake, four times, and the pauses.
        row("no handshake", Entra, Answer::stall(), Transport, "no connection").requests(0..=0).within_secs(27),
        slow(
            row("a byte a second", Entra, Answer::real().with_dripping_body(byte, pause), Transport, "no answer"),
            3..=4,
        ),
        slow(
            row(
                "a byte of head a second",
                Entra,
                Answer::real().with_dripping_head(byte, pause),
                Transport,
                "no answer",
            ),
            3..=4,
        ),
    ]);
}

#[test]
fn redirects_lead_nowhere() {
    let elsewhere = TcpListener::bind("127.0.0.1:0").unwrap();
    elsewhere.set_nonblocking(true).unwrap();
    let target = format!("https://{}/secret-path?secret=1", elsewhere.local_addr().unwrap());
    let redirect = |status| Answer::redirect(status, target.as_str());
    run([301, 302, 303, 307, 308]
        .map(|status| row("a redirect", Entra, redirect(status), Protocol, "127.0.0.1"))
        .into());
    assert!(elsewhere.accept().is_err(), "somebody followed a redirect");
}

#[test]
fn nothing_is_sent_where_nothing_belongs() {
    let nowhere = |row: Row, variables| row.requests(0..=0).variables(variables);
    run(vec![
        nowhere(
            row("a name that does not exist", Entra, Answer::real(), Transport, "name.invalid"),
            &[("AZURE_AUTHORITY_HOST", "https://name.invalid")],
        ),
        nowhere(
            row("a region that does not exist", Entra, Answer::real(), Transport, "nowhere.localhost"),
            &[("AZURE_REGIONAL_AUTHORITY_NAME", "nowhere")],
        ),
        row("a wrong secret", Entra, Answer::real(), AuthenticationFailed, "AADSTS7000215")
            .variables(&[("AZURE_CLIENT_SECRET", "wrong-one")]),
        row("an unknown application", Entra, Answer::real(), AuthenticationFailed, "AADSTS700016")
            .variables(&[("AZURE_CLIENT_ID", "11111111-1111-1111-1111-111111111111")]),
        row("an unknown tenant", Entra, Answer::real(), AuthenticationFailed, "AADSTS90002")
            .variables(&[("AZURE_TENANT_ID", "11111111-1111-1111-1111-111111111111")]),
    ]);
}
