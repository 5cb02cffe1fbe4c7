//! What an answer may look like, and what is made of it.

use std::time::{Duration, SystemTime};

use identity_core::ErrorKind;

use super::*;

fn life_of(body: &'static str, headers: &'static [(&'static str, &'static str)]) -> Result<u64, ErrorKind> {
    let world = World::new(AZURE_ML, move |_| {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Ok(Response::new(200, headers, body.into()))
    });
    let token = world.get(&world.credential()).map_err(|error| error.kind())?;
    let start = SystemTime::UNIX_EPOCH + Duration::from_secs(FakeClock::START);
    Ok(token.expires_on().duration_since(start).unwrap().as_secs())
}

#[test]
fn every_form_of_expiry_is_understood() {
    // The fake clock starts at 2026-01-01 00:00:00 UTC, 1767225600.
    for body in [
        r#"{"access_token":"a","expires_in":3600}"#,
        r#"{"access_token":"a","expires_in":"3600"}"#,
        r#"{"access_token":"a","expires_in":3600.9}"#,
        r#"{"access_token":"a","expires_in":"3600","expires_on":"1767229200","token_type":"bearer"}"#,
        r#"{"access_token":"a","expires_in":null,"expires_on":1767229200,"token_type":null}"#,
        r#"{"access_token":"a","expires_in":"","expires_on":"1767229200"}"#,
        r#"{"access_token":"a","expires_on":"01/01/2026 01:00:00 +00:00"}"#,
        r#"{"access_token":"a","expires_on":"1/1/2026 1:00:00 AM +00:00"}"#,
        r#"{"access_token":"a","expires_on":"01/01/2026 01:00:00"}"#,
        r#"{"access_token":"a","expires_on":"2026-01-01 01:00:00"}"#,
        r#"{"access_token":"a","expires_on":"2026-01-01T01:00:00Z"}"#,
        r#"{"access_token":"a","expires_on":"2026-01-01T02:00:00+01:00"}"#,
        // One that cannot be read does no harm beside one that can.
        r#"{"access_token":"a","expires_in":"soon","expires_on":"1767229200"}"#,
        r#"{"access_token":"a","expires_in":{},"expires_on":"1767229200"}"#,
        r#"{"access_token":"a","expires_in":3600,"expires_on":"tomorrow"}"#,
        r#"{"access_token":"a","expires_in":3600,"expires_on":[],"refresh_in":"x"}"#,
        r#"{"access_token":"a","expires_in":3600,"refresh_in":-5}"#,
        r#"{"access_token":"a","expires_in":3600,"refresh_in":[]}"#,
        // expires_in wins when they disagree.
        r#"{"access_token":"a","expires_in":"3600","expires_on":"1767999999"}"#,
    ] {
        assert_eq!(life_of(body, &[]), Ok(3600), "{body}");
    }
    // By the clock of the one who answered.
    let date: &[_] = &[("date", "Thu, 01 Jan 2026 00:30:00 GMT")];
    assert_eq!(life_of(r#"{"access_token":"a","expires_on":1767231000}"#, date), Ok(3600));
    // Nobody is believed for more than a week.
    for body in [
        r#"{"access_token":"a","expires_in":1e400}"#,
        r#"{"access_token":"a","expires_in":9223372036854775808}"#,
        r#"{"access_token":"a","expires_in":"315360000"}"#,
    ] {
        assert_eq!(life_of(body, &[]), Ok(7 * 24 * 3600), "{body}");
    }
}

#[test]
fn the_services_wish_for_an_early_refresh_is_passed_on() {
    let world = World::replies(APP_SERVICE, &[(200, r#"{"access_token":"a","expires_in":86400,"refresh_in":"1000"}"#)]);
    let token = world.get(&world.credential()).unwrap();
    let start = SystemTime::UNIX_EPOCH + Duration::from_secs(FakeClock::START);
    assert_eq!(token.refresh_on(), Some(start + Duration::from_secs(1000)));
    assert_eq!((token.credential(), token.origin(), token.token_type()), (crate::NAME, "App Service", "Bearer"));
}

#[test]
fn answers_that_break_a_rule_are_protocol_errors_and_show_no_token() {
    for body in [
        r#"{"access_token":"","expires_in":3600}"#,
        r#"{"access_token":"CANARY\r\n","expires_in":3600}"#,
        r#"{"access_token":"CANARY x","expires_in":3600}"#,
        r#"{"access_token":"CANARY\u0000","expires_in":3600}"#,
        r#"{"access_token":"CANARYä","expires_in":3600}"#,
        r#"{"access_token":["CANARY"],"expires_in":3600}"#,
        r#"{"access_token":{"x":"CANARY"},"expires_in":3600}"#,
        r#"{"access_token":"CANARY"}"#,
        r#"{"access_token":"CANARY","expires_in":0}"#,
        r#"{"access_token":"CANARY","expires_in":-1}"#,
        r#"{"access_token":"CANARY","expires_in":"soon"}"#,
        r#"{"access_token":"CANARY","expires_in":"NaN"}"#,
        r#"{"access_token":"CANARY","expires_in":true}"#,
        r#"{"access_token":"CANARY","expires_in":-1e400}"#,
        r#"{"access_token":"CANARY","expires_on":1767225600}"#,
        r#"{"access_token":"CANARY","expires_on":"1/1/2020 1:00:00 AM"}"#,
        r#"{"access_token":"CANARY","expires_on":"tomorrow"}"#,
        r#"{"access_token":"CANARY","expires_in":"soon","expires_on":"tomorrow"}"#,
        r#"{"access_token":"CANARY","expires_in":"soon","expires_on":1767225600}"#,
        r#"{"access_token":"CANARY","expires_in":0,"expires_on":1767229200}"#,
        r#"{"access_token":"CANARY","expires_in":3600,"token_type":[]}"#,
        r#"{"access_token":"CANARY","expires_in":3600,"token_type":"pop"}"#,
        r#"{"access_token":"CANARY","expires_in":3600,"token_type":"mac"}"#,
        r#"{"access_token":"CANARY","expires_in":3600,"access_token":"CANARY2"}"#,
        r#"{"access_token":"CANARY","expires_in":NaN}"#,
        r#"{"token":"CANARY","expires_in":3600}"#,
        r#"{"error":"server_error","error_description":"eyJhbGciOiJSUzI1NiJ9.eyJDQU5BUlkiOjF9.CANARY"}"#,
        r#"["CANARY"]"#,
        "\"CANARY\"",
        "CANARY",
        "<html>CANARY</html>",
        "",
    ] {
        let world = World::replies(APP_SERVICE, Box::leak(Box::new([(200, body)])));
        let error = world.get(&world.credential()).unwrap_err();
        assert_eq!((error.kind(), error.http_status()), (ErrorKind::Protocol, Some(200)), "{body}: {error}");
        assert!(!shown(&error).contains("CANARY"), "{body}: {error}");
        assert!(error.to_string().starts_with("App Service"), "{error}");
        assert_eq!(world.transport.count(), 1, "{body}");
    }
}

#[test]
fn deep_json_is_refused_before_any_parser_sees_it_even_with_a_small_stack() {
    let deep =
        format!(r#"{{"access_token":"a","expires_in":3600,"unknown":{}{}}}"#, "[".repeat(10_000), "]".repeat(10_000));
    let check = move || {
        for (vars, status) in [(APP_SERVICE, 200), (IMDS, 200), (IMDS, 400)] {
            let body = deep.clone();
            let world = World::new(vars, move |_| reply(status, &body));
            let error = world.get(&world.credential()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");
        }
    };
    std::thread::Builder::new().stack_size(64 * 1024).spawn(check).unwrap().join().unwrap();
}

#[test]
fn answers_that_were_cut_are_asked_for_again() {
    for cut in
        [r#"{"access_token":"CANARY"#, r#"{"access_token":"CANARY","#, r#"{"access_token":"CANARY","expires_in":3600"#]
    {
        let world = World::replies(APP_SERVICE, Box::leak(Box::new([(200, cut), (200, TOKEN)])));
        world.get(&world.credential()).unwrap();
        assert_eq!(world.transport.times(), [0.0, 1.0]);
        let world = World::replies(APP_SERVICE, Box::leak(Box::new([(200, cut)])));
        let error = world.get(&world.credential()).unwrap_err();
        assert_eq!((error.kind(), world.transport.count()), (ErrorKind::Transport, 5), "{error}");
        assert!(!shown(&error).contains("CANARY"), "{error}");
    }
}

#[test]
fn a_token_of_another_identity_is_refused() {
    let new = ManagedIdentityCredential::builder;
    let upper: String = CLIENT.replace('1', "A");
    for (builder, named, ok) in [
        (new(), r#""client_id":"33333333-3333-3333-3333-333333333333""#.to_owned(), true),
        (new().client_id(CLIENT), String::from("\"x\":1"), true),
        (new().client_id(CLIENT), format!(r#""client_id":"{CLIENT}""#), true),
        (new().client_id(upper.to_lowercase()), format!(r#""client_id":"{upper}""#), true),
        (new().client_id(CLIENT), format!(r#""client_id":"{OBJECT}""#), false),
        (new().object_id(OBJECT), format!(r#""client_id":"{CLIENT}""#), true),
        (new().object_id(OBJECT), format!(r#""object_id":"{CLIENT}""#), false),
        (new().resource_id(RESOURCE), format!(r#""client_id":"{CLIENT}""#), true),
        (new().resource_id(RESOURCE), format!(r#""mi_res_id":"{}""#, RESOURCE.to_uppercase()), true),
        (new().resource_id(RESOURCE), r#""msi_res_id":"/subscriptions/other""#.to_owned(), false),
    ] {
        let body = format!(r#"{{"access_token":"CANARY","expires_in":3600,{named}}}"#);
        let world = World::new(APP_SERVICE, move |_| reply(200, &body));
        let result = world.get(&world.build(builder).unwrap());
        assert_eq!(result.as_ref().err().map(Error::kind), (!ok).then_some(ErrorKind::AuthenticationFailed), "{named}");
    }
}

#[test]
fn refusals_of_sources_that_are_surely_there_stop_a_chain() {
    for vars in [APP_SERVICE, AZURE_ML, CLOUD_SHELL] {
        for (status, body) in [
            (400, r#"{"statusCode":400,"message":"No User Assigned or Delegated Managed Identity found"}"#),
            (401, "{}"),
            (403, "<html>no</html>"),
            (404, "{}"),
            (410, "{}"),
        ] {
            let world = World::replies(vars, Box::leak(Box::new([(status, body)])));
            let error = world.get_in_chain(&world.credential()).unwrap_err();
            assert_eq!((error.kind(), error.http_status()), (ErrorKind::AuthenticationFailed, Some(status)), "{error}");
            assert_eq!(world.transport.count(), 1);
        }
    }
    let world = World::replies(APP_SERVICE, &[(400, r#"{"statusCode":400,"message":"No such identity"}"#)]);
    assert_eq!(
        world.get(&world.credential()).unwrap_err().to_string(),
        "App Service (IDENTITY_ENDPOINT) answered HTTP 400: correct the identity, its id or the scope; it said: No such identity"
    );
}

#[test]
fn a_dead_endpoint_is_named_with_its_variable_and_nobody_else_is_asked() {
    for (vars, name) in [
        (APP_SERVICE, "IDENTITY_ENDPOINT"),
        (ARC, "IDENTITY_ENDPOINT"),
        (AZURE_ML, "MSI_ENDPOINT"),
        (CLOUD_SHELL, "MSI_ENDPOINT"),
    ] {
        let world = World::replies(vars, &[(0, "")]);
        let error = world.get_in_chain(&world.credential()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Transport);
        assert!(error.to_string().contains(name) && error.to_string().contains("connection refused"), "{error}");
        let url = vars[0].1;
        assert!(world.transport.requests().iter().all(|request| request.url.starts_with(url)));
        assert_eq!(world.transport.times(), [0.0, 1.0, 3.0, 7.0, 15.0]);
    }
}

#[test]
fn an_endpoint_that_may_not_be_reached_is_a_fault_of_its_variable() {
    for (vars, name) in [
        (APP_SERVICE, "IDENTITY_ENDPOINT"),
        (ARC, "IDENTITY_ENDPOINT"),
        (POD_HOST, "AZURE_POD_IDENTITY_AUTHORITY_HOST"),
    ] {
        let world = World::new(vars, |_| {
            Err(TransportError::new(TransportErrorKind::Refused, "evil.example is at 192.0.2.1, which is not local"))
        });
        let error = world.get(&world.credential()).unwrap_err();
        assert_eq!((error.kind(), world.transport.count()), (ErrorKind::InvalidArgument, 1));
        let text = error.to_string();
        let places = [name, "192.0.2.1", "allow_remote_endpoint()"].map(|word| text.find(word));
        assert!(places.iter().all(Option::is_some) && places.is_sorted(), "the problem comes first: {text}");
        assert!(world.env.reads().is_empty());
    }
}

/// A build without names of hosts says what it lacks; another address is no way out.
#[test]
fn what_the_build_lacks_is_not_blamed_on_the_address() {
    let world = World::new(APP_SERVICE, |_| {
        Err(TransportError::new(TransportErrorKind::Refused, "evil.example is a name: turn on the feature dns"))
    });
    let error = world.get(&world.credential()).unwrap_err();
    assert_eq!(error.to_string(), "App Service (IDENTITY_ENDPOINT): evil.example is a name: turn on the feature dns");
}

#[test]
fn refusals_name_the_variable_to_look_at() {
    for (vars, status, word) in [
        (APP_SERVICE, 401, "set IDENTITY_HEADER or MSI_SECRET"),
        (APP_SERVICE, 403, "set IDENTITY_HEADER or MSI_SECRET"),
        (AZURE_ML, 401, "set IDENTITY_HEADER or MSI_SECRET"),
        (AZURE_ML, 403, "set IDENTITY_HEADER or MSI_SECRET"),
        (APP_SERVICE, 404, "(IDENTITY_ENDPOINT) answered HTTP 404: the variable does not lead"),
        (AZURE_ML, 405, "(MSI_ENDPOINT) answered HTTP 405: the variable does not lead"),
        (CLOUD_SHELL, 410, "(MSI_ENDPOINT) answered HTTP 410: the variable does not lead"),
        (ARC, 404, "(IDENTITY_ENDPOINT) answered HTTP 404: correct the identity"),
    ] {
        let world = World::new(vars, move |_| reply(status, "{}"));
        let error = world.get(&world.credential()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AuthenticationFailed);
        assert!(error.to_string().contains(word), "{error}");
    }
}

#[test]
fn a_page_is_told_by_its_type_and_json_by_what_it_lacks() {
    for (body, text) in [
        ("<html>", " with text/html: something else answers there, such as a proxy or a sign-in page"),
        ("{}", ": the answer has no access_token"),
    ] {
        let world = World::new(APP_SERVICE, move |_| reply(200, body));
        let error = world.get(&world.credential()).unwrap_err();
        assert_eq!(error.to_string(), format!("App Service (IDENTITY_ENDPOINT) answered HTTP 200{text}"));
    }
}

#[test]
fn a_pause_that_the_service_names_is_passed_on() {
    let world =
        World::new(APP_SERVICE, |_| Ok(Response::new(429, vec![("retry-after".into(), "120".into())], Vec::new())));
    let error = world.get(&world.credential()).unwrap_err();
    assert_eq!((error.kind(), error.retry_after()), (ErrorKind::Transport, Some(Duration::from_secs(120))));
    assert_eq!((world.transport.count(), world.clock.elapsed()), (1, Duration::ZERO));
}
