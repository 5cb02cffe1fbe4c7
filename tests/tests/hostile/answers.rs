//! Answers that are HTTP, and no good.

use std::{net::TcpListener, time::Duration};

use ErrorKind::{AuthenticationFailed, CredentialUnavailable, InvalidArgument, Protocol, Transport};
use Source::{AppService, AzureMl, CloudShell, Imds, ServiceFabric};
use identity_core::ErrorKind;
use identity_emulator::{Answer, Source};

use crate::table::{Row, recovers, row, run};

fn json(body: &str) -> Answer {
    Answer::real().with_body(body)
}

#[test]
fn answers_that_lie_have_their_kinds() {
    run(vec![
        row("400 MB", AppService, Answer::real().with_giant_token(400 << 20), Protocol, "is the limit"),
        row("400 MB by IMDS", Imds, Answer::real().with_giant_token(400 << 20), CredentialUnavailable, "is the limit"),
        row("a token of 300 KB", AzureMl, Answer::real().with_giant_token(300_000), Protocol, "is the limit"),
        row("gzip", AppService, Answer::real().gzipped(), Protocol, "compress"),
        row("gzip with an error", AppService, Answer::status(400).gzipped(), Protocol, "compress"),
        row("deflate", AppService, Answer::real().with_header("Content-Encoding", "deflate"), Protocol, "compress"),
        row("10,000 levels", AppService, Answer::real().with_deep_field(10_000), Protocol, "nests too deeply"),
        row("a million levels", AppService, Answer::real().with_deep_field(1_000_000), Protocol, "is the limit"),
        row("captive portal", AppService, Answer::captive_portal(), Protocol, "App Service"),
        row("captive portal for IMDS", Imds, Answer::captive_portal(), CredentialUnavailable, "captive portal"),
        row("captive portal in a chain", Imds, Answer::captive_portal(), CredentialUnavailable, "captive portal")
            .in_chain(),
        row("Docker Desktop", Imds, Answer::docker_unreachable(), CredentialUnavailable, "403"),
        row(
            "line break in the token",
            AppService,
            json(r#"{"access_token":"a\r\nb","expires_in":"9"}"#),
            Protocol,
            "token",
        ),
        row("no token", CloudShell, Answer::real().without_field("access_token"), Protocol, "200"),
        row("another type", AppService, Answer::real().with_text_field("token_type", "pop"), Protocol, "Bearer"),
        row(
            "no times",
            CloudShell,
            Answer::real().without_field("expires_in").without_field("expires_on"),
            Protocol,
            "expires",
        ),
        row("an expired token", AppService, Answer::real().with_lifetime_secs(-60), Protocol, "expires"),
        row("refusal", AppService, Answer::status(401), AuthenticationFailed, "401"),
        row("no such identity", Imds, Answer::status(400), CredentialUnavailable, "400"),
        row("404 of Service Fabric", ServiceFabric, Answer::status(404), AuthenticationFailed, "404"),
        row("204", AppService, Answer::status(204).with_body(""), Protocol, "204"),
        row(
            "Retry-After beyond the budget",
            AppService,
            Answer::status(429).with_header("Retry-After", "120"),
            Transport,
            "429",
        ),
    ]);
}

#[test]
fn passing_trouble_is_waited_out() {
    run(vec![
        recovers("a refused connection", AppService, vec![Answer::refuse()], 1),
        recovers("a reset in the body", AppService, vec![Answer::real().reset_after(10)], 2),
        recovers("a body that is cut", AppService, vec![Answer::real().cut_after(20)], 2),
        recovers("a body that is cut at once", ServiceFabric, vec![Answer::real().cut_after(0)], 2),
        recovers("429 and 503", AppService, vec![Answer::status(429), Answer::status(503)], 3),
        recovers("Retry-After", AppService, vec![Answer::status(503).with_header("Retry-After", "4")], 2),
        recovers("404 of IMDS", Imds, vec![Answer::status(404), Answer::status(404)], 3),
        recovers("410 of IMDS", Imds, vec![Answer::status(410), Answer::status(410)], 3),
        recovers("a wrong Date", Imds, vec![Answer::real().with_date_skew_secs(-315_360_000)], 1),
        recovers("a slow answer", CloudShell, vec![Answer::real().with_delay(Duration::from_millis(100))], 1),
        row("503 for ever", AppService, Answer::status(503), Transport, "5 attempts").requests(5..=5).within_secs(16),
        row("resets for ever", AzureMl, Answer::real().reset_after(3), Transport, "5 attempts")
            .requests(5..=5)
            .within_secs(16),
        row("refused for ever", AppService, Answer::refuse(), Transport, "IDENTITY_ENDPOINT")
            .requests(0..=0)
            .within_secs(16),
    ]);
}

#[test]
fn answers_that_never_end_are_cut_off() {
    // No more than the budget, whatever each attempt does.
    let slow = |row: Row, requests| row.requests(requests).within_secs(46);
    let (byte, pause) = (1, Duration::from_millis(50));
    run(vec![
        slow(row("silence", AppService, Answer::silence(), Transport, "no answer"), 4..=5),
        slow(row("no handshake", ServiceFabric, Answer::stall(), Transport, "no answer"), 0..=0),
        slow(row("nothing at all", AppService, Answer::stall(), Transport, "no answer"), 0..=0),
        slow(
            row("a byte a second", AppService, Answer::real().with_dripping_body(byte, pause), Transport, "no answer"),
            4..=5,
        ),
        slow(
            row(
                "a byte of head a second",
                Imds,
                Answer::real().with_dripping_head(byte, pause),
                Transport,
                "no answer",
            ),
            4..=5,
        ),
    ]);
}

#[test]
fn redirects_lead_nowhere() {
    let elsewhere = TcpListener::bind("127.0.0.1:0").unwrap();
    elsewhere.set_nonblocking(true).unwrap();
    let target = format!("http://{}/secret-path?secret=1", elsewhere.local_addr().unwrap());
    let redirect = |status| Answer::redirect(status, target.as_str());
    run(vec![
        row("301", AppService, redirect(301), Protocol, "127.0.0.1"),
        row("302", Imds, redirect(302), CredentialUnavailable, "127.0.0.1"),
        row("303", AzureMl, redirect(303), Protocol, "127.0.0.1"),
        row("307", CloudShell, redirect(307), Protocol, "127.0.0.1"),
        row("308", ServiceFabric, redirect(308), Protocol, "127.0.0.1"),
        row("no target", AppService, Answer::status(302).with_body(""), Protocol, "302"),
    ]);
    assert!(elsewhere.accept().is_err(), "somebody followed a redirect");
}

#[test]
fn nothing_is_sent_where_nothing_belongs() {
    let nowhere = |row: Row, variables| row.requests(0..=0).variables(variables);
    run(vec![
        nowhere(
            row("an address of others", AppService, Answer::real(), InvalidArgument, "allow_remote_endpoint"),
            &[("IDENTITY_ENDPOINT", "http://192.0.2.1/msi/token")],
        ),
        nowhere(
            row(
                "an address of others, written oddly",
                AppService,
                Answer::real(),
                InvalidArgument,
                "IDENTITY_ENDPOINT",
            ),
            &[("IDENTITY_ENDPOINT", "http://[::ffff:192.0.2.1]/msi/token")],
        ),
        nowhere(
            row("https without a pin", AppService, Answer::real(), InvalidArgument, "IDENTITY_ENDPOINT"),
            &[("IDENTITY_ENDPOINT", "https://192.0.2.1/msi/token")],
        ),
        nowhere(
            row("another certificate", ServiceFabric, Answer::real(), Transport, "Service Fabric"),
            &[("IDENTITY_SERVER_THUMBPRINT", "0123456789012345678901234567890123456789")],
        ),
        nowhere(
            row("a name that does not exist", AppService, Answer::real(), Transport, "name.invalid"),
            &[("IDENTITY_ENDPOINT", "http://name.invalid/msi/token")],
        ),
    ]);
}
