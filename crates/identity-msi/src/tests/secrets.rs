//! Secrets: in requests and tokens only.

use super::{log::Log, *};

/// Whatever the endpoint is told, it says it back, as servers in trouble do.
fn echo(status: u16) -> impl Fn(&Request) -> Result<Response, TransportError> + Send + Sync {
    move |request| {
        let told: Vec<_> = request.headers.iter().map(|(name, value)| format!("{name}={}", value.expose())).collect();
        let body = format!(r#"{{"error":"trouble","message":"you said {}"}}"#, told.join(" "));
        reply(status, &body)
    }
}

#[test]
fn no_secret_is_in_any_debug_error_or_log() {
    for vars in [IMDS, POD_HOST, APP_SERVICE, ARC, AZURE_ML, CLOUD_SHELL, SERVICE_FABRIC] {
        for status in [200, 400, 401, 403, 404, 410, 429, 500] {
            let world = World::new(vars, echo(status));
            let mut texts = Vec::new();
            let logged = Log::of(|| {
                let builder = ManagedIdentityCredential::builder();
                texts.push(format!("{builder:?} {builder:#?}"));
                let credential = world.build(builder).unwrap();
                texts.push(format!("{credential:?} {credential:#?}"));
                for error in [world.get(&credential).unwrap_err(), world.get_in_chain(&credential).unwrap_err()] {
                    texts.push(shown(&error));
                }
            });
            assert!(!logged.is_empty());
            for text in texts.iter().chain(&logged) {
                assert!(!text.contains("CANARY"), "{vars:?} {status}: {text}");
            }
        }
    }
}

/// However JSON lets it be written.
#[test]
fn a_secret_that_is_escaped_is_not_shown_either() {
    let escaped: String = "CANARY-header".chars().map(|c| format!("\\u{:04x}", u32::from(c))).collect();
    for form in [
        r#"{"error":{"code":"X","message":"S"}}"#,
        r#"{"error":{"message":{"value":"S"}}}"#,
        r#"{"error":["S"]}"#,
        r#"{"detail":"S"}"#,
        r#"{"Message":{"S":1}}"#,
        r#" ["S"]"#,
        r#""S""#,
        r#"{"message":"S""#,
    ] {
        let body = form.replace('S', &escaped);
        let world = World::new(APP_SERVICE, move |_| reply(400, &body));
        let error = world.get(&world.credential()).unwrap_err();
        assert!(!shown(&error).contains("CANARY") && !shown(&error).contains("0043"), "{form}: {error}");
    }
}

#[test]
fn a_token_is_in_no_debug_and_no_log() {
    let body = r#"{"access_token":"CANARY-token","expires_in":3600}"#;
    let world = World::replies(APP_SERVICE, Box::leak(Box::new([(200, body), (500, body)])));
    let logged = Log::of(|| {
        let credential = world.credential();
        let token = world.get(&credential).unwrap();
        assert_eq!(token.secret(), "CANARY-token");
        assert!(!format!("{token:?} {credential:?}").contains("CANARY"));
        // A refused refresh must not show the token that it was to replace.
        let options = TokenRequestOptions::new().with_claims("{}");
        let error = world.get_with(&credential, &options).unwrap_err();
        assert!(!shown(&error).contains("CANARY"), "{error}");
    });
    assert!(!logged.iter().any(|line| line.contains("CANARY")), "{logged:?}");
}

#[test]
fn text_of_a_server_cannot_steer_a_terminal_and_is_short() {
    let long = format!("{{\"message\":\"\\u001b[31m\\u202e{}\"}}", "x".repeat(200_000));
    let world = World::new(APP_SERVICE, move |_| reply(400, &long));
    let error = world.get(&world.credential()).unwrap_err();
    let text = error.to_string();
    assert!(text.len() < 2048 && !text.contains(['\u{1b}', '\u{202e}']), "{}", text.len());
}

#[test]
fn ids_are_shown_for_they_are_no_secrets() {
    let world = World::replies(IMDS, &[(500, "{}")]);
    let credential = world.build(ManagedIdentityCredential::builder().client_id(CLIENT)).unwrap();
    assert!(format!("{credential:?}").contains(CLIENT));
}
