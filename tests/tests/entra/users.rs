//! Applications that act for people.

use std::{collections::HashSet, fs, sync::Arc};

use identity_certificate::ClientCertificate;
#[expect(deprecated, reason = "whoever uses it is told")]
use identity_confidential::UsernamePasswordCredential;
use identity_confidential::{
    AuthorizationCodeCredential, AuthorizationCodeCredentialBuilder, OnBehalfOfClient, OnBehalfOfClientBuilder,
    OnBehalfOfCredential,
};
use identity_core::{
    ErrorKind::{AuthenticationFailed, AuthenticationRequired, Transport},
    Secret, TokenRequestOptions,
};
use identity_emulator::{
    Answer, CERTIFICATE_CLIENT_ID, DISABLED_USER_NAME, EXPIRED_PASSWORD_USER_NAME, FEDERATED_CLIENT_ID,
    FEDERATED_USER_NAME, MFA_USER_NAME, OTHER_TENANT_ID, OTHER_USER_NAME, PUBLIC_CLIENT_ID, Source, TENANT_ID,
    USER_NAME, USER_OBJECT_ID, USER_PASSWORD, User, WEB_CLIENT_ID, WEB_CLIENT_SECRET, WEB_REDIRECT_URI,
};
use identity_oauth::www_authenticate;
use serde_json::json;

use crate::world::{STORAGE, VAULT, World};

// Source: RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

fn service(client: &str) -> OnBehalfOfClientBuilder {
    OnBehalfOfClient::builder(TENANT_ID, client).disable_instance_discovery()
}

/// Made in this world, with its secret.
fn web(world: &World) -> OnBehalfOfClient {
    service(WEB_CLIENT_ID).client_secret(WEB_CLIENT_SECRET).build_with(&world.platform(Source::Entra)).unwrap()
}

/// What a user calls that application with.
fn called(world: &World, client: &str, user: &str) -> String {
    world.emulator.user_token(PUBLIC_CLIENT_ID, &format!("{client}/.default"), user).unwrap()
}

/// So many people whom nobody knew before, in the order of their object ids, and their credentials.
fn crowd(world: &World, service: &OnBehalfOfClient, client: &str, many: usize) -> Vec<(String, OnBehalfOfCredential)> {
    let one = |number: usize| {
        let name = format!("user{number}@contoso.example");
        let id = format!("7e57ab1e-0000-4000-9000-{number:012}");
        world.emulator.put_user(User::new(&name, USER_PASSWORD).object_id(&id)).unwrap();
        (id, service.credential(called(world, client, &name)).unwrap())
    };
    (0..many).map(one).collect()
}

#[test]
fn many_users_share_connections_and_one_proof_and_no_token() {
    let world = World::new();
    let certificate = ClientCertificate::builder().certificate_path(world.emulator.client_certificate_path());
    let certificate = Arc::new(certificate.build_with(&world.platform(Source::Entra)).unwrap());
    let federated = fs::read_to_string(world.variable(Source::WorkloadIdentity, "AZURE_FEDERATED_TOKEN_FILE")).unwrap();
    let federated = move || std::future::ready(Ok(Secret::new(federated.clone())));
    for (client, service) in [
        (WEB_CLIENT_ID, service(WEB_CLIENT_ID).client_secret(WEB_CLIENT_SECRET)),
        (CERTIFICATE_CLIENT_ID, service(CERTIFICATE_CLIENT_ID).client_authentication(certificate)),
        (FEDERATED_CLIENT_ID, service(FEDERATED_CLIENT_ID).client_assertion(federated)),
    ] {
        let before = (world.count(Source::Entra), world.emulator.connections(Source::Entra).accepted);
        let service = service.build_with(&world.platform(Source::Entra)).unwrap();
        let crowd = crowd(&world, &service, client, 40);
        let credentials: Vec<OnBehalfOfCredential> = crowd.iter().map(|(_, one)| one.clone()).collect();
        for _ in 0..2 {
            let claims = world.all(&credentials, STORAGE);
            for ((id, _), claims) in crowd.iter().zip(claims) {
                let claims = claims.unwrap();
                assert_eq!((&claims["oid"], &claims["appid"]), (&json!(id), &json!(client)));
            }
        }
        let connections = world.emulator.connections(Source::Entra).accepted - before.1;
        assert_eq!(world.count(Source::Entra) - before.0, 40, "{client}");
        assert!(connections <= 40, "{client}: {connections} connections");
        let requests = world.emulator.requests().into_iter().skip(usize::try_from(before.0).unwrap());
        let proofs: HashSet<_> = requests.map(|request| request.form_value("client_assertion")).collect();
        assert_eq!(proofs.len(), 1, "{client}: one proof for all");
    }
    world.end(&[(Source::Entra, 120)]);
}

#[test]
fn who_has_to_prove_more_in_the_middle_of_a_burst_is_alone_in_it() {
    let world = World::new();
    let service = web(&world);
    let mut crowd = crowd(&world, &service, WEB_CLIENT_ID, 60);
    let grace = service.credential(called(&world, WEB_CLIENT_ID, MFA_USER_NAME)).unwrap();
    crowd.insert(30, ("grace".to_owned(), grace.clone()));
    let credentials: Vec<OnBehalfOfCredential> = crowd.iter().map(|(_, one)| one.clone()).collect();
    for ((id, _), claims) in crowd.iter().zip(world.all(&credentials, STORAGE)) {
        match claims {
            Ok(claims) => assert_eq!(claims["oid"], *id),
            Err(error) => {
                assert_eq!(
                    (error.kind(), error.entra_codes(), &id[..]),
                    (AuthenticationRequired, &[50076][..], "grace")
                );
                assert!(www_authenticate(&error).unwrap().contains("insufficient_claims"), "{error}");
            }
        }
    }
    // It is remembered for her, and what answers it is not.
    let error = world.refusal(&grace, AuthenticationRequired, 50076);
    assert_eq!((error.scopes(), world.count(Source::Entra)), (&[STORAGE.to_owned()][..], 61));
    let claims = error.claims().unwrap();
    assert_eq!(world.claims_with(&grace, TokenRequestOptions::new().with_claims(claims))["upn"], MFA_USER_NAME);
    world.end(&[(Source::Entra, 62)]);
}

#[test]
fn the_token_of_somebody_who_is_not_welcome_is_refused_with_its_reason() {
    let world = World::new();
    let (service, ada) = (web(&world), called(&world, WEB_CLIENT_ID, USER_NAME));
    let (front, signature) = ada.rsplit_once('.').unwrap();
    let forged = format!("{front}.{}", signature.chars().rev().collect::<String>());
    let malformed = ada.replace('.', "");
    let others = called(&world, CERTIFICATE_CLIENT_ID, USER_NAME);
    let foreign = called(&world, WEB_CLIENT_ID, OTHER_USER_NAME);
    for (assertion, code) in [(forged, 50013), (malformed, 50027), (others, 500_131), (foreign, 50013)] {
        world.refusal(&service.credential(assertion).unwrap(), AuthenticationFailed, code);
    }
    world.emulator.set_clock_skew_secs(7_200);
    let error = world.refusal(&service.credential(ada).unwrap(), AuthenticationFailed, 500_133);
    assert_eq!(www_authenticate(&error).unwrap(), "Bearer error=\"invalid_token\"");
    world.end_without_token(&[(Source::Entra, 5)]);
}

#[test]
fn a_service_that_is_told_to_wait_asks_once_whoever_calls_it() {
    let world = World::new();
    let service = web(&world);
    let credentials: Vec<OnBehalfOfCredential> =
        crowd(&world, &service, WEB_CLIENT_ID, 200).into_iter().map(|(_, one)| one).collect();
    world.emulator.faults().always(Source::Entra, Answer::status(429).with_header("retry-after", "120"));
    for claims in world.all(&credentials, STORAGE) {
        let error = claims.unwrap_err();
        assert!(error.kind() == Transport && error.retry_after().is_some(), "{error}");
    }
    // Those that were under way when the first answer came.
    assert!(world.count(Source::Entra) <= 64, "{} requests", world.count(Source::Entra));
    let before = world.count(Source::Entra);
    world.all(&credentials, STORAGE);
    assert_eq!(world.count(Source::Entra), before);
}

fn code(world: &World, user: &str) -> AuthorizationCodeCredentialBuilder {
    let scope = format!("{STORAGE} offline_access openid profile");
    let code = world.emulator.authorization_code(WEB_CLIENT_ID, WEB_REDIRECT_URI, &scope, user, None, None).unwrap();
    AuthorizationCodeCredential::builder(TENANT_ID, WEB_CLIENT_ID, code, WEB_REDIRECT_URI)
        .client_secret(WEB_CLIENT_SECRET)
        .disable_instance_discovery()
}

#[test]
fn a_code_gets_tokens_of_every_resource_and_is_good_once() {
    let world = World::new();
    let platform = world.platform(Source::Entra);
    let builder = code(&world, USER_NAME);
    let credential = builder.clone().build_with(&platform).unwrap();
    for scope in [STORAGE, VAULT, STORAGE, VAULT] {
        assert_eq!(world.claims(&credential, scope)["oid"], USER_OBJECT_ID);
    }
    assert_eq!(world.last(Source::Entra).form_value("grant_type").unwrap(), "refresh_token");
    world.refusal(&builder.build_with(&platform).unwrap(), AuthenticationFailed, 54005);

    world.emulator.revoke_refresh_tokens(Some(USER_NAME)).unwrap();
    let graph = "https://graph.microsoft.com/.default";
    world.refusal_of(&credential, graph, None, AuthenticationRequired, 50173);
    // Nothing is left to ask with; what was got is still there.
    world.refusal_of(&credential, "https://redis.azure.com/.default", None, AuthenticationRequired, 0);
    world.claims(&credential, STORAGE);
    world.end(&[(Source::Entra, 4)]);
}

#[test]
fn a_program_of_the_users_own_shows_its_verifier() {
    let world = World::new();
    let local = "http://localhost:8400";
    let codes: Vec<String> = (0..3)
        .map(|_| {
            let scope = format!("{STORAGE} offline_access");
            let asked = (PUBLIC_CLIENT_ID, Some(CHALLENGE));
            world.emulator.authorization_code(asked.0, local, &scope, MFA_USER_NAME, asked.1, None).unwrap()
        })
        .collect();
    let build = |code: &str, redirect_uri: &str, verifier: &str| {
        AuthorizationCodeCredential::builder(TENANT_ID, PUBLIC_CLIENT_ID, code, redirect_uri)
            .code_verifier(verifier)
            .disable_instance_discovery()
            .build_with(&world.platform(Source::Entra))
            .unwrap()
    };
    assert_eq!(world.claims(&build(&codes[0], local, VERIFIER), STORAGE)["amr"], json!(["pwd", "mfa"]));
    let other = VERIFIER.replace('d', "e");
    world.refusal(&build(&codes[1], local, &other), AuthenticationFailed, 501_481);
    world.refusal(&build(&codes[2], "http://localhost:8401", VERIFIER), AuthenticationFailed, 500_112);
    world.end(&[(Source::Entra, 3)]);
}

#[expect(deprecated, reason = "whoever uses it is told")]
fn password(world: &World, tenant: &str, user: &str, password: &str) -> UsernamePasswordCredential {
    UsernamePasswordCredential::builder(PUBLIC_CLIENT_ID, user, password)
        .tenant_id(tenant)
        .disable_instance_discovery()
        .build_with(&world.platform(Source::Entra))
        .unwrap()
}

#[test]
fn a_password_is_checked_by_whoever_knows_it() {
    let world = World::new();
    for (tenant, user, requests) in [
        (TENANT_ID, USER_NAME, 2),
        ("organizations", OTHER_USER_NAME, 2),
        // The realm, what AD FS has, its token, and the exchange of that.
        (TENANT_ID, FEDERATED_USER_NAME, 4),
    ] {
        let before = world.count(Source::Entra);
        let credential = password(&world, tenant, user, USER_PASSWORD);
        for scope in [STORAGE, VAULT, STORAGE, VAULT] {
            assert_eq!(world.claims(&credential, scope)["upn"], user);
        }
        assert_eq!(world.count(Source::Entra) - before, requests + 1, "{user}: the second resource by what was left");
    }
    world.end(&[(Source::Entra, 11)]);
}

#[test]
fn a_password_that_is_not_enough_says_what_is() {
    let world = World::new();
    for (user, secret, kind, code) in [
        (USER_NAME, "wrong password", AuthenticationFailed, 50126),
        ("nobody@contoso.example", USER_PASSWORD, AuthenticationFailed, 50034),
        (DISABLED_USER_NAME, USER_PASSWORD, AuthenticationFailed, 50057),
        (MFA_USER_NAME, USER_PASSWORD, AuthenticationRequired, 50076),
        (EXPIRED_PASSWORD_USER_NAME, USER_PASSWORD, AuthenticationRequired, 50055),
        (FEDERATED_USER_NAME, "wrong password", AuthenticationFailed, 0),
    ] {
        world.refusal(&password(&world, TENANT_ID, user, secret), kind, code);
    }
    world.refusal(&password(&world, OTHER_TENANT_ID, USER_NAME, USER_PASSWORD), AuthenticationFailed, 50034);
    // The realm and the grant of each; for AD FS, what it has and its refusal.
    world.end_without_token(&[(Source::Entra, 15)]);
}
