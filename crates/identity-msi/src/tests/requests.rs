//! What goes over the wire, whole, for every source and way to name an identity.

use identity_core::http::{Method, Reach, ServerTrust};

use super::*;

const RESOURCE_PARAMETER: &str = "resource=https%3A%2F%2Fstorage.azure.com";
const ID: &str = "x-ms-client-request-id: 00000000-0000-4000-8000-000000000000";

/// Whom to ask for.
#[derive(Clone, Copy, Debug)]
enum Id {
    Own,
    Client,
    Object,
    Resource,
}

fn builder(id: Id) -> ManagedIdentityCredentialBuilder {
    let builder = ManagedIdentityCredential::builder();
    match id {
        Id::Own => builder,
        Id::Client => builder.client_id(CLIENT),
        Id::Object => builder.object_id(OBJECT),
        Id::Resource => builder.resource_id(RESOURCE),
    }
}

fn lines(request: &Request) -> Vec<String> {
    let headers = request.headers.iter().map(|(name, value)| format!("{name}: {}", value.expose()));
    std::iter::once(format!("{} {}", request.method.as_str(), request.url)).chain(headers).collect()
}

#[test]
fn every_source_is_asked_in_its_own_way() {
    let encoded = "%2Fsubscriptions%2Fs%2FresourceGroups%2Fg%2Fproviders%2FMicrosoft.ManagedIdentity%2FuserAssignedIdentities%2Fn";
    let metadata = "metadata: true";
    // Variables, the URL up to the resource, headers, and the parameters for the ids.
    type Row = (&'static [(&'static str, &'static str)], &'static str, Vec<&'static str>, [Option<&'static str>; 3]);
    let rows: [Row; 5] = [
        (
            IMDS,
            "http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01",
            vec![metadata],
            [Some("client_id"), Some("object_id"), Some("msi_res_id")],
        ),
        (
            POD_HOST,
            "http://127.0.0.1:2579/metadata/identity/oauth2/token?api-version=2018-02-01",
            vec![metadata],
            [Some("client_id"), Some("object_id"), Some("msi_res_id")],
        ),
        (
            APP_SERVICE,
            "http://127.0.0.1:41741/msi/token?api-version=2019-08-01",
            vec![metadata, "x-identity-header: CANARY-header"],
            [Some("client_id"), Some("object_id"), Some("mi_res_id")],
        ),
        (
            ARC,
            "http://localhost:40342/metadata/identity/oauth2/token?api-version=2020-06-01",
            vec![metadata],
            [Some("client_id"), Some("object_id"), Some("msi_res_id")],
        ),
        (
            AZURE_ML,
            "http://127.0.0.1:46808/msi/token?api-version=2017-09-01",
            vec!["secret: CANARY-ml"],
            [Some("clientid"), None, None],
        ),
    ];
    for (vars, url, headers, ids) in rows {
        let ids = [(Id::Client, ids[0], CLIENT), (Id::Object, ids[1], OBJECT), (Id::Resource, ids[2], encoded)];
        let ids = ids.into_iter().filter_map(|(id, name, value)| Some((id, format!("&{}={value}", name?))));
        for (id, parameter) in ids.chain([(Id::Own, String::new())]) {
            let world = World::replies(vars, &[(500, "{}")]);
            world.get(&world.build(builder(id)).unwrap()).unwrap_err();
            let requests = world.transport.requests();
            assert_eq!(requests.len(), 5);
            let mut expected = vec![format!("GET {url}&{RESOURCE_PARAMETER}{parameter}")];
            expected.extend(headers.iter().chain(&[ID]).map(ToString::to_string));
            for request in requests {
                assert_eq!(lines(&request), expected, "{vars:?} {id:?}");
                assert!(request.body.is_none());
                assert_eq!((request.reach, request.trust), (Reach::LocalOnly, ServerTrust::Roots));
                assert_eq!(
                    (request.body_limit, request.connect_timeout.as_secs(), request.timeout.as_secs()),
                    (256 * 1024, 2, 10)
                );
            }
        }
    }
}

#[test]
fn cloud_shell_is_asked_by_a_form() {
    let world = World::replies(CLOUD_SHELL, &[(200, TOKEN)]);
    world.get(&world.credential()).unwrap();
    let request = world.transport.requests().remove(0);
    assert_eq!(request.method, Method::Post);
    assert_eq!(
        lines(&request),
        [
            "POST http://localhost:50342/oauth2/token",
            "content-type: application/x-www-form-urlencoded",
            "metadata: true",
            ID
        ]
    );
    assert_eq!(request.body.unwrap().expose(), RESOURCE_PARAMETER);
    assert_eq!(request.reach, Reach::LocalOnly);
}

#[test]
fn azure_ml_names_the_instances_default_identity_unless_told_otherwise() {
    for (default, builder, expected) in [
        (CLIENT, builder(Id::Own), format!("&clientid={CLIENT}")),
        ("33333333-3333-3333-3333-333333333333", builder(Id::Client), format!("&clientid={CLIENT}")),
        ("", builder(Id::Own), String::new()),
    ] {
        let world = World::replies(AZURE_ML, &[(200, TOKEN)]);
        world.env.set("DEFAULT_IDENTITY_CLIENT_ID", default);
        world.get(&world.build(builder).unwrap()).unwrap();
        let url = &world.transport.requests()[0].url;
        assert!(url.ends_with(&format!("{RESOURCE_PARAMETER}{expected}")), "{url}");
    }
    let world = World::replies(AZURE_ML, &[(200, TOKEN)]);
    world.env.set("DEFAULT_IDENTITY_CLIENT_ID", "a&b");
    let error = world.build(ManagedIdentityCredential::builder()).unwrap_err();
    assert!(error.to_string().starts_with("DEFAULT_IDENTITY_CLIENT_ID: "), "{error}");
}

#[test]
fn a_query_of_the_endpoint_is_kept() {
    let world =
        World::replies(&[("IDENTITY_ENDPOINT", "http://[::1]:1/t?a=b"), ("IDENTITY_HEADER", "h")], &[(200, TOKEN)]);
    world.get(&world.credential()).unwrap();
    let url = &world.transport.requests()[0].url;
    assert_eq!(*url, format!("http://[::1]:1/t?a=b&api-version=2019-08-01&{RESOURCE_PARAMETER}"));
}

#[test]
fn only_an_explicit_word_lets_an_endpoint_be_elsewhere() {
    for (builder, reach) in [
        (ManagedIdentityCredential::builder(), Reach::LocalOnly),
        (ManagedIdentityCredential::builder().allow_remote_endpoint(), Reach::Any),
    ] {
        let vars = [("IDENTITY_ENDPOINT", "http://endpoint.example/"), ("IDENTITY_HEADER", "h")];
        let world = World::replies(&vars, &[(200, TOKEN)]);
        world.get(&world.build(builder).unwrap()).unwrap();
        assert_eq!(world.transport.requests()[0].reach, reach);
    }
    // IMDS and the agent that a file betrays are where they are.
    let world = World::replies(IMDS, &[(200, TOKEN)]);
    world.get(&world.build(ManagedIdentityCredential::builder().allow_remote_endpoint()).unwrap()).unwrap();
    assert_eq!(world.transport.requests()[0].reach, Reach::LocalOnly);
}

#[test]
fn one_default_suffix_of_the_scope_is_stripped_and_the_rest_sent_as_it_is() {
    for (scope, resource) in [
        ("https://vault.azure.net//.default", "https%3A%2F%2Fvault.azure.net%2F"),
        ("https://vault.azure.net/.default", "https%3A%2F%2Fvault.azure.net"),
        ("api://x?a=b#c/.default", "api%3A%2F%2Fx%3Fa%3Db%23c"),
    ] {
        let world = World::replies(IMDS, &[(200, TOKEN)]);
        world.sim.run(world.credential().get_token(&[scope], None)).unwrap();
        assert!(world.transport.requests()[0].url.ends_with(&format!("resource={resource}")), "{scope}");
    }
}

#[test]
fn what_no_caller_may_ask_is_refused_before_anything_is_sent() {
    let world = World::replies(APP_SERVICE, &[(200, TOKEN)]);
    let credential = world.credential();
    let long = format!("https://{}", "x".repeat(64 * 1024));
    for scopes in [&[][..], &["a", "b"], &["--help"], &["a b"], &["a\"b"], &["/.default"], &["\u{430}"], &[&long]] {
        let error = world.sim.run(credential.get_token(scopes, None)).unwrap_err();
        assert_eq!(
            (error.kind(), error.credential()),
            (identity_core::ErrorKind::InvalidArgument, crate::NAME),
            "{error}"
        );
    }
    let (deep, large) = (format!("{{\"a\":{}", "[".repeat(10_000)), format!("{{\"a\":\"{}\"}}", "x".repeat(200_000)));
    for claims in ["nonsense", "[]", "{", "{\"a\":}", "{} {}", &deep, &large] {
        let options = TokenRequestOptions::new().with_claims(claims);
        let error = world.get_with(&credential, &options).unwrap_err();
        assert_eq!(error.kind(), identity_core::ErrorKind::InvalidArgument, "{claims:.50}");
    }
    assert_eq!(world.transport.count(), 0);
}

#[test]
fn the_tenant_of_a_request_is_ignored_and_claims_ask_again() {
    let world = World::replies(APP_SERVICE, &[(200, TOKEN)]);
    let credential = world.credential();
    world.get(&credential).unwrap();
    world.get_with(&credential, &TokenRequestOptions::new().with_tenant_id("../other")).unwrap();
    assert_eq!(world.transport.count(), 1);
    world.get_with(&credential, &TokenRequestOptions::new().with_claims("{\"access_token\":{}}")).unwrap();
    let requests = world.transport.requests();
    assert_eq!((requests.len(), &requests[0].url), (2, &requests[1].url));
}
