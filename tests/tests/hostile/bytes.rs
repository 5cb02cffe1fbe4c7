//! Answers that are not HTTP, or not quite.

use ErrorKind::{AuthenticationFailed, Protocol, Transport};
use identity_core::ErrorKind;
use identity_emulator::{Answer, Source::AppService};

use crate::table::{Row, recovers, row, run};

/// A good body, and its length.
const BODY: &str = r#"{"access_token":"{token}","expires_in":"3600"}"#;

fn raw(what: &'static str, bytes: impl Into<String>, kind: ErrorKind, says: &'static str) -> Row {
    row(what, AppService, Answer::raw(bytes), kind, says)
}

/// A response with these header lines, each ended, and the good body to the end of the connection.
fn with_head(lines: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{lines}\r\n{BODY}")
}

#[test]
fn bytes_that_are_no_answer_are_refused() {
    run(vec![
        raw("another protocol", "SSH-2.0-OpenSSH_9.2\r\n", Protocol, "App Service"),
        raw("another version", "HTTP/9.9 200 OK\r\n\r\n", Protocol, "App Service"),
        raw("no status", "HTTP/1.1 OK\r\n\r\n", Protocol, "App Service"),
        raw("a header of 1 MB", with_head(&format!("X: {}\r\n", "x".repeat(1 << 20))), Protocol, "App Service"),
        raw("1,000 headers", with_head(&"X: y\r\n".repeat(1_000)), Protocol, "App Service"),
        raw("folded lines", with_head("X: a\r\n b\r\n"), Protocol, "App Service"),
        raw("a name with a space", with_head("X y: z\r\n"), Protocol, "App Service"),
        raw("NUL in a value", with_head("X: a\0b\r\n"), Protocol, "App Service"),
        raw("two lengths", with_head("Content-Length: 5\r\nContent-Length: 6\r\n"), Protocol, "App Service"),
        raw(
            "a length and chunks",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            Protocol,
            "App Service",
        ),
        raw("a length that is none", with_head("Content-Length: -1\r\n"), Protocol, "App Service"),
        raw("a length without end", with_head("Content-Length: 99999999999999999999\r\n"), Protocol, "App Service"),
        raw(
            "chunks that are none",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nab\r\n0\r\n\r\n",
            Protocol,
            "App Service",
        ),
        raw(
            "a chunk without end",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff1\r\nab",
            Protocol,
            "App Service",
        ),
        raw("a length that is too large", with_head("Content-Length: 300000000\r\n"), Protocol, "is the limit"),
        raw(
            "another protocol by upgrade",
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
            Protocol,
            "App Service",
        ),
        raw("a refusal in few words", "HTTP/1.1 403 x\r\n\r\n", AuthenticationFailed, "403"),
        raw("an odd status", "HTTP/1.1 777 x\r\nContent-Length: 0\r\n\r\n", Transport, "777")
            .requests(5..=5)
            .within_secs(16),
        raw("nothing", "", Transport, "5 attempts").requests(5..=5).within_secs(16),
        raw("half a head", "HTTP/1.1 200 OK\r\nContent-", Transport, "5 attempts").requests(5..=5).within_secs(16),
        raw("less than announced", with_head("Content-Length: 200000\r\n"), Transport, "5 attempts")
            .requests(5..=5)
            .within_secs(16),
        raw(
            "chunks that are cut",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
            Transport,
            "5 attempts",
        )
        .requests(5..=5)
        .within_secs(16),
    ]);
}

#[test]
fn bytes_that_are_an_answer_are_taken() {
    run(vec![
        recovers("to the end of the connection", AppService, vec![Answer::raw(with_head(""))], 1),
        recovers("HTTP/1.0", AppService, vec![Answer::raw(format!("HTTP/1.0 200 OK\r\n\r\n{BODY}"))], 1),
        recovers("99 headers", AppService, vec![Answer::raw(with_head(&"X: y\r\n".repeat(90)))], 1),
        recovers(
            "a word before",
            AppService,
            vec![Answer::raw(format!("HTTP/1.1 100 Continue\r\n\r\n{}", with_head("")))],
            1,
        ),
        recovers("bytes behind the answer", AppService, vec![Answer::raw(format!("{}   ", with_head("")))], 1),
    ]);
}
