//! Token exchange: workload identity as a source.

use std::io;

use identity_core::{
    ErrorKind,
    http::{Proxy, ServerTrust},
};

use super::*;

const FILE: &str = "/var/run/secrets/azure/tokens/azure-identity-token";
const BUILDER: fn() -> ManagedIdentityCredentialBuilder = ManagedIdentityCredential::builder;

fn pod(more: &[(&str, &str)], replies: &'static [(u16, &'static str)]) -> World {
    let world = World::replies(&[WORKLOAD, more].concat(), replies);
    world.env.file(FILE, Ok(b"CANARY-assertion\n"));
    world
}

/// The parameters of the only request, sorted.
fn parameters(world: &World) -> Vec<String> {
    let requests = world.transport.requests();
    let [request] = &requests[..] else { panic!("{requests:?}") };
    let mut pairs: Vec<_> = request
        .body
        .as_ref()
        .unwrap()
        .expose()
        .split('&')
        .map(|pair| pair.replace("%3A", ":").replace("%2F", "/"))
        .collect();
    pairs.sort();
    pairs
}

#[test]
fn the_token_in_the_file_is_exchanged() {
    let world = pod(&[], &[(200, TOKEN)]);
    let credential = world.credential();
    assert_eq!((credential.source(), world.env.reads().len()), ("token exchange", 0));
    let token = world.get(&credential).unwrap();
    assert_eq!((token.secret(), token.credential(), token.origin()), ("CANARY-token", crate::NAME, "token exchange"));
    world.get_in_chain(&credential).unwrap();
    let expected = [
        "client_assertion=CANARY-assertion",
        "client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_id=c",
        "client_info=1",
        "grant_type=client_credentials",
        "scope=https://storage.azure.com/.default",
    ];
    assert_eq!(parameters(&world), expected);
    let request = &world.transport.requests()[0];
    assert_eq!(request.url, "https://login.microsoftonline.com/t/oauth2/v2.0/token");
    assert_eq!((request.proxy, &request.trust), (Proxy::Configured, &ServerTrust::Roots));
    assert!(!format!("{credential:?} {credential:#?}").contains("CANARY"));
}

#[test]
fn a_client_id_of_the_builder_takes_the_place_of_the_variable() {
    for client_id in ["", "other"] {
        let world = pod(&[("AZURE_CLIENT_ID", client_id)], &[(200, TOKEN)]);
        let credential = world.build(BUILDER().client_id(CLIENT)).unwrap();
        world.get(&credential).unwrap();
        assert!(parameters(&world).contains(&format!("client_id={CLIENT}")));
    }
}

#[test]
fn an_exchange_that_is_excluded_leaves_its_place_to_imds_and_to_nobody_else() {
    let world = pod(&[], &[(200, TOKEN)]);
    let credential = world.build(BUILDER().exclude_token_exchange()).unwrap();
    assert_eq!(credential.source(), "IMDS");
    world.get(&credential).unwrap();
    assert!(world.transport.requests()[0].url.starts_with("http://169.254.169.254/"));
    // Nothing of it matters then.
    let world = pod(&[("AZURE_CLIENT_ID", ""), ("AZURE_AUTHORITY_HOST", "http://no")], &[]);
    assert_eq!(world.build(BUILDER().exclude_token_exchange()).unwrap().source(), "IMDS");
    let app_service = [("IDENTITY_ENDPOINT", "http://127.0.0.1:41741/msi/token"), ("IDENTITY_HEADER", "h")];
    let world = pod(&app_service, &[]);
    assert_eq!(world.build(BUILDER().exclude_token_exchange()).unwrap().source(), "App Service");
}

#[test]
fn what_it_cannot_work_with_is_refused_when_it_is_built() {
    let (client, tenant, authority) = ("AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_AUTHORITY_HOST");
    for (builder, vars, says) in [
        (BUILDER(), (client, ""), "AZURE_CLIENT_ID"),
        (BUILDER(), (client, "a b"), "client id"),
        (BUILDER(), (tenant, "../evil"), "tenant id"),
        (BUILDER(), (authority, "http://login.microsoftonline.com"), "AZURE_AUTHORITY_HOST"),
        (BUILDER().object_id(OBJECT), (client, "c"), "token exchange takes no object id"),
        (BUILDER().resource_id(RESOURCE), (client, "c"), "token exchange takes no resource id"),
    ] {
        let world = pod(&[vars], &[(200, TOKEN)]);
        let error = world.build(builder).expect_err(says);
        assert_eq!((error.kind(), error.credential()), (ErrorKind::InvalidArgument, crate::NAME));
        assert!(error.to_string().contains(says), "{error}");
        assert_eq!(world.transport.count(), 0);
    }
}

#[test]
fn the_proxy_of_aks_is_not_used_whatever_its_variables_say() {
    for proxy in ["https://10.0.0.1/", "nonsense"] {
        let more = [("AZURE_KUBERNETES_TOKEN_PROXY", proxy), ("AZURE_KUBERNETES_CA_FILE", "/none")];
        let world = pod(&more, &[(200, TOKEN)]);
        world.get(&world.credential()).unwrap();
        assert_eq!(world.transport.requests()[0].origin(), "https://login.microsoftonline.com");
    }
}

#[test]
fn calls_take_one_scope_and_no_other_tenant() {
    let world = pod(&[], &[(200, TOKEN)]);
    let credential = world.credential();
    let error = world.sim.run(credential.get_token(&["a/.default", "b/.default"], None)).unwrap_err();
    assert_eq!((error.kind(), world.transport.count()), (ErrorKind::InvalidArgument, 0));
    world.get_with(&credential, &TokenRequestOptions::new().with_tenant_id("ignored")).unwrap();
    assert!(world.transport.requests()[0].url.contains("/t/oauth2"));
}

#[test]
fn claims_and_cae_reach_entra() {
    let world = pod(&[], &[(200, TOKEN)]);
    let credential = world.credential();
    let options = TokenRequestOptions::new().with_claims(r#"{"access_token":{"nbf":{"value":"1"}}}"#).enable_cae();
    world.get_with(&credential, &options).unwrap();
    let claims = parameters(&world).into_iter().find(|pair| pair.starts_with("claims=")).unwrap();
    assert!(claims.contains("nbf") && claims.contains("xms_cc"), "{claims}");
}

#[test]
fn failures_are_those_of_workload_identity_in_the_name_of_managed_identity() {
    const REFUSED: &str =
        r#"{"error":"invalid_client","error_description":"AADSTS70021: no match for CANARY-assertion"}"#;
    let world = pod(&[], &[(401, REFUSED), (200, TOKEN)]);
    let credential = world.credential();
    for _ in 0..2 {
        let error = world.get(&credential).unwrap_err();
        assert_eq!((error.kind(), error.credential()), (ErrorKind::AuthenticationFailed, crate::NAME));
        assert_eq!(error.entra_codes(), [70_021]);
        let shown = shown(&error);
        assert!(error.to_string().starts_with("token exchange: ") && !shown.contains("CANARY"), "{shown}");
    }
    assert_eq!(world.transport.count(), 1);
    // Another token in the file is another chance.
    world.env.file(FILE, Ok(b"new"));
    world.get(&credential).unwrap();

    let world = pod(&[], &[(200, TOKEN)]);
    let credential = world.credential();
    world.env.file(FILE, Err(io::ErrorKind::PermissionDenied));
    let error = world.get_in_chain(&credential).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert!(shown(&error).contains(FILE) && shown(&error).contains("permission denied"), "{error:?}");
    world.env.file(FILE, Ok(b"back"));
    world.get_in_chain(&credential).unwrap();
}
