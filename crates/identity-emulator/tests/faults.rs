//! Each fault does what its name says, for as many requests and sources as it was ordered for.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test says so by failing"
)]

mod common;

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant, SystemTime};

use common::{Response, builder, claims, control, document, fields, imds, imds_bytes, imds_request, token};
use identity_emulator::{Answer, ExpiryFormat, Source, TENANT_ID};

fn with(answer: Answer) -> Response {
    let emulator = builder().start_in_background().unwrap();
    emulator.faults().next(Source::Imds, answer);
    let response = imds(&emulator);
    assert_eq!(emulator.faults().queued(Source::Imds), 0, "the answer was used up");
    assert_eq!(imds(&emulator).status, 200, "and the next one is real");
    response
}

#[test]
fn answers_are_chosen_in_the_documented_order() {
    let emulator = builder().start_in_background().unwrap();
    let faults = emulator.faults().clone();
    faults.always(None, Answer::status(500));
    assert_eq!(imds(&emulator).status, 500);
    faults.always(Source::Imds, Answer::status(501));
    faults.always(Source::AppService, Answer::status(599));
    assert_eq!(imds(&emulator).status, 501);
    faults.script(None, [Answer::status(502)]);
    faults.times(Source::Imds, 2, Answer::status(503));
    faults.next(Source::Imds, Answer::status(504));
    faults.next(Source::AppService, Answer::status(598));
    let statuses: Vec<u16> = (0..5).map(|_| imds(&emulator).status).collect();
    assert_eq!(statuses, [503, 503, 504, 502, 501]);
    faults.always(Source::Imds, Answer::real());
    assert_eq!(imds(&emulator).status, 200, "the real answer, not that for all");
    faults.clear();
    assert_eq!((faults.queued(Source::AppService), imds(&emulator).status), (0, 200));
}

#[test]
fn an_answer_for_other_paths_is_passed_by() {
    let emulator = builder().start_in_background().unwrap();
    let faults = emulator.faults();
    let document = || document(&emulator, "/common/v2.0/.well-known/openid-configuration").status;
    let token = || token(&emulator, TENANT_ID, &fields(&[])).status;
    let at_token = |answer: Answer| answer.at("/oauth2/v2.0/token");
    faults.next(Source::Entra, at_token(Answer::entra_error(90055)));
    faults.next(Source::Entra, Answer::status(503));
    faults.always(Source::Entra, at_token(Answer::status(504)));
    faults.always(None, Answer::status(505).at("/openid-configuration"));
    assert_eq!([document(), document()], [503, 505], "the first one is not for it");
    assert_eq!((faults.queued(Source::Entra), imds(&emulator).status), (1, 200));
    assert_eq!([token(), token()], [429, 504]);
    // Nobody knows the path when a connection comes: it is read, then reset.
    faults.next(Source::Entra, at_token(Answer::refuse()));
    assert_eq!(document(), 505);
    let before = emulator.request_count(Source::Entra);
    assert!(common::send_tls(&emulator, Source::Entra, &common::token_request(TENANT_ID, &fields(&[]))).is_err());
    assert_eq!(emulator.request_count(Source::Entra), before + 1);
    let order = r#"{"source":"entra","always":{"at":"/keys","status":506}}"#;
    assert_eq!(control(&emulator, "POST", "/__emulator/faults", order).status, 204);
    assert_eq!((document(), token()), (505, 200));
}

#[test]
fn statuses_come_with_headers_and_a_body_of_the_source() {
    let throttled = with(Answer::status(429).with_header("Retry-After", "3"));
    assert_eq!((throttled.status, throttled.header("retry-after")), (429, Some("3")));
    assert_eq!(throttled.json()["error"], "fault");

    let other = with(Answer::status(404).with_header("Content-Type", "text/plain").with_body("gone"));
    assert_eq!((other.header("content-type"), other.text().as_str()), (Some("text/plain"), "gone"));
    assert_eq!(other.head.to_lowercase().matches("content-type").count(), 1);

    let odd = with(Answer::status(999));
    assert_eq!(odd.status, 999);

    let twice = with(Answer::status(401).with_header("X-A", "1").with_header("X-A", "2"));
    assert_eq!(twice.head.to_lowercase().matches("x-a: ").count(), 2);

    let redirect = with(Answer::redirect(307, "http://evil.example/"));
    assert_eq!((redirect.status, redirect.header("location")), (307, Some("http://evil.example/")));

    let portal = with(Answer::captive_portal());
    assert_eq!((portal.status, portal.header("content-type")), (200, Some("text/html; charset=utf-8")));

    let docker = with(Answer::docker_unreachable());
    assert!(docker.status == 403 && docker.text().contains("unreachable"));
}

#[test]
fn a_body_can_carry_the_real_token() {
    let answer = with(Answer::real().with_body(r#"{"access_token":"{token}","expires_in":1e400}"#));
    let text = answer.text();
    assert!(text.ends_with(r#"","expires_in":1e400}"#));
    assert_eq!(claims(text.split('"').nth(3).unwrap())["ver"], "1.0");

    let emulator = builder().start_in_background().unwrap();
    emulator.faults().always(None, Answer::real().with_body("lie"));
    let refused = common::send(emulator.address(Source::Imds), "GET", "/metadata/identity/oauth2/token", &[], "");
    assert_eq!((refused.status, refused.json()["error"].as_str()), (400, Some("invalid_request")));
}

#[test]
fn raw_bytes_break_any_rule() {
    let emulator = builder().start_in_background().unwrap();
    let raw = "HTTP/1.1 200 OK\r\nX-A: 1\r\n folded\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n{token}";
    emulator.faults().next(None, Answer::raw(raw));
    let answer = String::from_utf8(imds_bytes(&emulator).unwrap()).unwrap();
    let (head, token) = answer.split_at(raw.len() - "{token}".len());
    assert!(raw.starts_with(head));
    assert_eq!(claims(token)["ver"], "1.0");
    assert_eq!(emulator.requests()[0].status(), None);
}

#[test]
fn a_refused_connection_is_reset_and_no_request_is_seen() {
    let emulator = builder().start_in_background().unwrap();
    emulator.faults().next(Source::Imds, Answer::refuse());
    let error = imds_bytes(&emulator).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe), "{error}");
    assert_eq!((emulator.request_count(None), emulator.connections(Source::Imds).accepted), (0, 1));
}

#[test]
fn silence_sees_the_request_and_a_stall_does_not() {
    for (answer, seen) in [(Answer::silence(), 1), (Answer::stall(), 0)] {
        let emulator = builder().start_in_background().unwrap();
        emulator.faults().next(Source::Imds, answer);
        let mut stream = TcpStream::connect(emulator.address(Source::Imds)).unwrap();
        stream.write_all(&imds_request()).unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        let error = stream.read(&mut [0]).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{error}");
        assert_eq!(emulator.request_count(Source::Imds), seen);
        assert_eq!(emulator.connections(Source::Imds).open, 1);
        drop(stream);
        block_on(emulator.wait_until(|emulator| emulator.connections(Source::Imds).open == 0));
    }
}

#[test]
fn a_body_can_be_cut_or_reset() {
    let emulator = builder().start_in_background().unwrap();
    emulator.faults().next(Source::Imds, Answer::real().cut_after(10));
    let cut = Response::parse(&imds_bytes(&emulator).unwrap());
    assert_eq!(cut.body.len(), 10);
    assert!(cut.header("content-length").unwrap().parse::<u32>().unwrap() > 1_000);

    emulator.faults().next(Source::Imds, Answer::real().reset_after(0));
    let mut stream = TcpStream::connect(emulator.address(Source::Imds)).unwrap();
    stream.write_all(&imds_request()).unwrap();
    let mut bytes = Vec::new();
    let error = stream.read_to_end(&mut bytes).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[test]
fn delays_and_drips_take_their_time() {
    let emulator = builder().start_in_background().unwrap();
    let short = Answer::status(200).with_body("0123456789");
    let every = Duration::from_millis(20);
    for (answer, least) in [
        (short.clone().with_delay(Duration::from_millis(150)), 150),
        (short.clone().with_dripping_body(2, every), 100),
        (short.with_dripping_head(20, every), 140),
    ] {
        emulator.faults().next(Source::Imds, answer);
        let start = Instant::now();
        assert_eq!(imds(&emulator).text(), "0123456789");
        assert!(start.elapsed() >= Duration::from_millis(least), "{:?}", start.elapsed());
    }
}

#[test]
fn held_requests_wait_for_a_release() {
    let emulator = builder().start_in_background().unwrap();
    emulator.faults().always(Source::Imds, Answer::real().held());
    let streams: Vec<TcpStream> = (0..3)
        .map(|_| {
            let mut stream = TcpStream::connect(emulator.address(Source::Imds)).unwrap();
            stream.write_all(&imds_request()).unwrap();
            stream
        })
        .collect();
    block_on(emulator.wait_until(|emulator| emulator.request_count(Source::Imds) == 3));
    let connections = emulator.connections(Source::Imds);
    assert_eq!((connections.in_flight, connections.most_in_flight, connections.open), (3, 3, 3));
    emulator.faults().release();
    for mut stream in streams {
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        assert_eq!(Response::parse(&answer).status, 200);
    }
    block_on(emulator.wait_until(|emulator| emulator.connections(Source::Imds).open == 0));
    assert_eq!(emulator.connections(Source::Imds).in_flight, 0);
}

#[test]
fn a_client_that_goes_is_noticed_while_its_request_is_held() {
    let emulator = builder().start_in_background().unwrap();
    emulator.faults().always(Source::Imds, Answer::real().held());
    let mut stream = TcpStream::connect(emulator.address(Source::Imds)).unwrap();
    stream.write_all(&imds_request()).unwrap();
    block_on(emulator.wait_until(|emulator| emulator.connections(Source::Imds).in_flight == 1));
    drop(stream);
    block_on(emulator.wait_until(|emulator| emulator.connections(Source::Imds).open == 0));
    assert_eq!(emulator.connections(Source::Imds).in_flight, 0);
}

#[test]
fn bodies_can_be_compressed_giant_or_deep() {
    let gzip = with(Answer::real().gzipped());
    assert_eq!((gzip.header("content-encoding"), &gzip.body[..3]), (Some("gzip"), &[0x1f, 0x8b, 8][..]));

    let giant = with(Answer::real().with_giant_token(5_000_000));
    assert_eq!(giant.header("content-length").unwrap(), giant.body.len().to_string());
    assert_eq!(giant.json()["access_token"].as_str().unwrap().len(), 5_000_000);

    let deep = with(Answer::real().with_deep_field(10_000)).text();
    assert!(deep.contains(&"[".repeat(10_000)) && deep.ends_with(&format!("{}}}", "]".repeat(10_000))));
}

#[test]
fn the_token_answer_can_lie() {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let expired = with(Answer::real().with_lifetime_secs(-60));
    assert_eq!(expired.json()["expires_in"], "-60");
    assert!(expired.claims()["exp"].as_u64().unwrap() < now);

    let soon = with(Answer::real().with_refresh_in_secs(5));
    assert_eq!(soon.json()["refresh_in"], "5");

    let answer = with(
        Answer::real()
            .with_text_field("access_token", "a\r\nb")
            .with_text_field("client_id", "somebody else")
            .with_text_field("token_type", "pop")
            .with_number_field("expires_in", i64::MAX)
            .without_field("expires_on"),
    );
    let json = answer.json();
    assert_eq!(json["access_token"], "a\r\nb");
    assert_eq!((&json["client_id"], &json["token_type"]), (&"somebody else".into(), &"pop".into()));
    assert_eq!((json["expires_in"].as_i64(), json.get("expires_on")), (Some(i64::MAX), None));

    // To the end of June 2100, far from any change of year.
    let skew = 4_118_000_000 - i64::try_from(now).unwrap();
    let skewed = with(Answer::real().with_date_skew_secs(skew));
    assert!(skewed.header("date").unwrap().contains(" Jun 2100 "), "{skewed:?}");
    assert_eq!(skewed.head.to_lowercase().matches("\r\ndate: ").count(), 1);
}

#[test]
fn expiry_comes_in_the_form_that_was_ordered() {
    for (format, is_right) in [
        (ExpiryFormat::Absent, (|value: &str| value == "null") as fn(&str) -> bool),
        (ExpiryFormat::Number, |value| value.parse::<u64>().is_ok()),
        (ExpiryFormat::Text, |value| value.trim_matches('"').parse::<u64>().is_ok() && value.starts_with('"')),
        (ExpiryFormat::Fraction, |value| value.ends_with(".75")),
        (ExpiryFormat::UsDate, |value| value.ends_with(" +00:00\"") && !value.contains('M')),
        (ExpiryFormat::UsDateAmPm, |value| value.ends_with("M +00:00\"")),
        (ExpiryFormat::UsDateWithoutZone, |value| value.contains('/') && !value.contains('+')),
        (ExpiryFormat::IsoWithSpace, |value| value.contains('-') && value.contains(' ')),
        (ExpiryFormat::Rfc3339, |value| value.ends_with("Z\"") && value.contains('T')),
    ] {
        let value = with(Answer::real().with_expires_on(format)).json()["expires_on"].to_string();
        assert!(is_right(&value), "{format:?}: {value}");
    }
    let answer = with(Answer::real().with_expires_in(ExpiryFormat::Number)).json();
    assert_eq!(answer["expires_in"], 86_400);
}

#[test]
fn another_language_orders_faults_over_http() {
    let emulator = builder().start_in_background().unwrap();
    let order = |body: &str| control(&emulator, "POST", "/__emulator/faults", body);
    let script = r#"{"source":"imds","times":2,"script":[{"status":503},{"lifetime_secs":5,"expires_on":"rfc3339","fields":{"token_type":"mac"},"omit":["resource"]}]}"#;
    assert_eq!(order(script).status, 204);
    assert_eq!(order(r#"{"always":{"status":410,"headers":[["Retry-After","9"]]}}"#).status, 204);
    let statuses: Vec<u16> = (0..3).map(|_| imds(&emulator).status).collect();
    assert_eq!(statuses, [503, 200, 503]);
    let json = imds(&emulator).json();
    assert_eq!((&json["token_type"], json.get("resource")), (&"mac".into(), None));
    assert_eq!(imds(&emulator).header("retry-after"), Some("9"));
    assert_eq!(control(&emulator, "DELETE", "/__emulator/faults", "").status, 204);
    assert_eq!(imds(&emulator).status, 200);

    let requests = control(&emulator, "GET", "/__emulator/requests", "").json();
    let first = &requests[0];
    assert_eq!((&first["source"], &first["status"], &first["method"]), (&"imds".into(), &503.into(), &"GET".into()));
    assert_eq!(first["query"][0][0], "api-version");
    assert_eq!(control(&emulator, "DELETE", "/__emulator/requests", "").status, 204);
    assert_eq!(emulator.request_count(None), 0);

    for (body, part) in [
        ("{}", "always"),
        ("[", "EOF"),
        (r#"{"source":"moon","always":{}}"#, "unknown source"),
        (r#"{"always":{"statsu":1}}"#, "statsu"),
        (r#"{"always":{"connection":"sing"}}"#, "sing"),
        (r#"{"always":{"lifetime_secs":"x"}}"#, "invalid type"),
        (r#"{"script":[{}],"times":10001}"#, "10000"),
    ] {
        let refused = order(body);
        assert_eq!(refused.status, 400, "{body}");
        assert!(refused.json()["error"].as_str().unwrap().contains(part), "{refused:?}");
    }
    assert_eq!(control(&emulator, "POST", "/__emulator/release", "").status, 204);
}

fn block_on(future: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let bounded = async { tokio::time::timeout(Duration::from_secs(20), future).await };
    runtime.unwrap().block_on(bounded).unwrap();
}

#[tokio::test]
async fn it_runs_on_the_runtime_of_its_caller_and_stops_when_dropped() {
    let emulator = std::sync::Arc::new(builder().start().await.unwrap());
    let shared = std::sync::Arc::clone(&emulator);
    let answer = tokio::task::spawn_blocking(move || imds(&shared).status).await.unwrap();
    assert_eq!((answer, emulator.request_count(Source::Imds)), (200, 1));

    let address = emulator.address(Source::Imds);
    let open = tokio::net::TcpStream::connect(address).await.unwrap();
    emulator.wait_until(|emulator| emulator.connections(Source::Imds).open == 1).await;
    drop(emulator);
    open.readable().await.unwrap();
    assert!(matches!(open.try_read(&mut [0]), Ok(0)), "the open connection is closed");
    while tokio::net::TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
}
