//! Service Fabric: pinned, over TLS, and told which token is no good any more.

use identity_core::{
    ErrorKind,
    http::{Reach, ServerTrust},
};

use super::*;

#[test]
fn the_request_is_pinned_and_may_go_anywhere() {
    let world = World::replies(SERVICE_FABRIC, &[(200, TOKEN)]);
    world.get(&world.credential()).unwrap();
    let request = world.transport.requests().remove(0);
    assert_eq!(
        request.url,
        "https://10.0.0.4:2377/metadata/identity/oauth2/token?api-version=2019-07-01-preview&resource=https%3A%2F%2Fstorage.azure.com"
    );
    let headers: Vec<_> = request.headers.iter().map(|(name, value)| (*name, value.expose())).collect();
    assert_eq!(
        headers,
        [("secret", "CANARY-secret"), ("x-ms-client-request-id", "00000000-0000-4000-8000-000000000000")]
    );
    let pin = [0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef];
    let pin: Vec<u8> = pin.into_iter().cycle().take(20).collect();
    assert_eq!((request.reach, request.trust), (Reach::Any, ServerTrust::PinnedSha1(pin.try_into().unwrap())));
}

#[test]
fn a_challenge_names_the_token_that_it_rejects() {
    let world = World::replies(SERVICE_FABRIC, &[(200, r#"{"access_token":"abc","expires_in":3600}"#)]);
    let credential = world.credential();
    let claims = TokenRequestOptions::new().with_claims(r#"{"access_token":{}}"#);
    // Without a token there is none to reject.
    for (options, expected) in [
        (&claims, ""),
        (&claims, "&token_sha256_to_refresh=ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (&claims.clone().enable_cae(), "&xms_cc=CP1"),
        (
            &claims.clone().enable_cae(),
            "&token_sha256_to_refresh=ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad&xms_cc=CP1",
        ),
    ] {
        world.get_with(&credential, options).unwrap();
        let url = world.transport.requests().pop().unwrap().url;
        let (_, tail) = url.split_once("storage.azure.com").unwrap();
        assert_eq!(tail, expected);
    }
    // Others have no such parameters.
    let world = World::replies(APP_SERVICE, &[(200, TOKEN)]);
    let credential = world.credential();
    for _ in 0..2 {
        world.get_with(&credential, &claims.clone().enable_cae()).unwrap();
    }
    assert!(world.transport.requests().iter().all(|request| request.url.ends_with("storage.azure.com")));
}

#[test]
fn an_ordinary_refresh_rejects_no_token() {
    let world = World::replies(SERVICE_FABRIC, &[(200, r#"{"access_token":"abc","expires_in":3600}"#)]);
    let credential = world.credential();
    for _ in 0..2 {
        world.get(&credential).unwrap();
        world.sim.settle();
        world.clock.advance(std::time::Duration::from_secs(3400));
    }
    let requests = world.transport.requests();
    assert_eq!(requests.len(), 2);
    assert!(requests.iter().all(|request| request.url.ends_with("storage.azure.com")));
}

#[test]
fn endpoints_and_thumbprints_that_are_none_are_refused_by_name() {
    for (name, value) in [
        ("IDENTITY_ENDPOINT", "http://127.0.0.1:2377/metadata/identity/oauth2/token"),
        ("IDENTITY_ENDPOINT", "https://user:CANARY@10.0.0.4/"),
        ("IDENTITY_SERVER_THUMBPRINT", "CANARY"),
        ("IDENTITY_SERVER_THUMBPRINT", "0123456789abcdef0123456789abcdef0123456"),
        ("IDENTITY_SERVER_THUMBPRINT", "0123456789abcdef0123456789abcdef012345678"),
        ("IDENTITY_HEADER", "CANARY\r\nx: y"),
    ] {
        let world = World::replies(SERVICE_FABRIC, &[(200, TOKEN)]);
        world.env.set(name, value);
        let error = world.build(ManagedIdentityCredential::builder()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        assert!(error.to_string().starts_with(name) && !shown(&error).contains("CANARY"), "{error}");
    }
}

#[test]
fn its_errors_are_final_and_kept() {
    for (status, code) in [
        (404, "ManagedIdentityNotFound"),
        (400, "SecretHeaderNotFound"),
        (400, "ArgumentNullOrEmpty"),
        (403, "ServerForbidden"),
    ] {
        let body: &str =
            Box::leak(format!(r#"{{"error":{{"correlationId":"c","code":"{code}","message":"m"}}}}"#).into());
        let world = World::replies(SERVICE_FABRIC, Box::leak(Box::new([(status, body)])));
        let error = world.get_in_chain(&world.credential()).unwrap_err();
        assert_eq!((error.kind(), world.transport.count()), (ErrorKind::AuthenticationFailed, 1));
        assert!(error.to_string().contains(code), "{error}");
    }
}

#[test]
fn a_wrong_certificate_is_no_reason_to_try_again() {
    let world = World::new(SERVICE_FABRIC, |_| {
        Err(TransportError::new(TransportErrorKind::Tls, "the certificate has another thumbprint"))
    });
    let error = world.get(&world.credential()).unwrap_err();
    assert_eq!((error.kind(), world.transport.count()), (ErrorKind::Transport, 1));
    assert!(error.to_string().contains("IDENTITY_ENDPOINT") && error.to_string().contains("thumbprint"), "{error}");
}
