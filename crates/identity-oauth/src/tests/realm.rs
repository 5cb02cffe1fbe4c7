//! Who checks a password, tokens of federation servers, and other servers that a flow has to ask.

use identity_cache::Ask;
use identity_core::{
    CallContext, Secret,
    http::Method,
    retry::{RetryPolicy, Verdict},
};

use super::*;
use crate::{Grant, Realm, SamlVersion};

fn ask() -> Ask {
    Ask {
        scopes: vec![SCOPE.to_owned()],
        tenant: String::new(),
        subject: String::new(),
        cae: false,
        claims: None,
        context: CallContext::Alone,
        evidence: None,
        current: None,
    }
}

fn public(world: &World, tenant: &str) -> Client {
    Client::new(&world.platform, tenant, "client", None, ClientOptions::default()).unwrap()
}

fn realm(body: &'static str, tenant: &str) -> (Result<Realm>, usize) {
    let world = World::new(move |_| Ok(json(200, body)));
    let client = public(&world, tenant);
    let result = world.sim.run(async { client.realm("ada", &ask(), RetryPolicy::ENTRA.budget).await });
    (result, world.transport.count())
}

#[test]
fn the_values_of_a_federation_are_handed_on_as_they_are() {
    const BODY: &str = r#"{"account_type":"FEDERATED","federation_metadata_url":"http://\u0078/mex",
        "federation_active_auth_url":"","cloud_audience_urn":"urn:x"}"#;
    for (body, metadata_url, audience) in [
        (BODY, Some("http://x/mex"), "urn:x"),
        (r#"{"account_type":"Federated"}"#, None, "urn:federation:MicrosoftOnline"),
    ] {
        let (Ok(Realm::Federated(federation)), 1) = realm(body, "tenant") else { panic!("{body}") };
        assert_eq!((federation.metadata_url.as_deref(), federation.active_auth_url), (metadata_url, None));
        assert_eq!(federation.audience, audience);
    }
    assert!(matches!(realm(BODY, "adfs"), (Ok(Realm::Managed), 0)));
}

#[test]
fn saml_tokens_are_presented_by_their_version_and_never_shown() {
    let world = World::new(|_| Ok(json(400, r#"{"error":"invalid_grant","error_description":"no CANARY-saml"}"#)));
    let client = public(&world, "tenant");
    let token = Secret::new("CANARY-saml");
    for (version, kind) in [(SamlVersion::V1_1, "saml1_1-bearer"), (SamlVersion::V2_0, "saml2-bearer")] {
        let grant = Grant::saml(version, &token);
        let error = world.sim.run(async { client.request(&grant, &ask()).await }).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AuthenticationFailed);
        assert!(!format!("{error} {error:?} {grant:?}").contains("CANARY"), "{error:?}");
        let requests = world.transport.requests();
        let body = requests.last().unwrap().body.as_ref().unwrap().expose().to_owned();
        let expected = format!(
            "client_id=client&grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3A{kind}&scope=https%3A%2F%2Fvault.azure.net\
             %2F.default%20offline_access%20openid%20profile&client_info=1&assertion=CANARY-saml"
        );
        assert_eq!(body, expected);
    }
}

#[test]
fn an_anchor_is_sent_if_it_can_be() {
    let world = World::new(|_| Ok(json(200, TOKEN)));
    let client = public(&world, "tenant");
    let password = Secret::new("password");
    for (anchor, expected) in [
        (Some("upn:ada@contoso.com"), Some("upn:ada@contoso.com")),
        (None, None),
        (Some(""), None),
        (Some("upn:ad\u{e4}"), None),
        (Some("upn:a\r\nx: y"), None),
        (Some("upn:a "), None),
    ] {
        let mut grant = Grant::password("ada", &password);
        if let Some(anchor) = anchor {
            grant = grant.with_anchor(anchor.to_owned());
        }
        world.sim.run(async { client.request(&grant, &ask()).await }).unwrap();
        let requests = world.transport.requests();
        let headers = &requests.last().unwrap().headers;
        let found = headers.iter().find(|(name, _)| *name == "x-anchormailbox").map(|(_, value)| value.expose());
        assert_eq!(found, expected, "{anchor:?}");
    }
}

#[test]
fn ever_new_origins_take_no_more_room_and_the_latest_are_remembered() {
    let world = World::new(|_| Ok(Response::new(429, vec![("retry-after".into(), "100".into())], Vec::new())));
    let client = public(&world, "tenant");
    let send = |number: usize| {
        let request = Request::new(Method::Get, format!("https://{number}.example/"));
        let judge = |_: &Response| Verdict::Retry;
        world.sim.run(async { client.send(&request, &judge, RetryPolicy::ENTRA.budget).await }).is_ok()
    };
    // An answer that asks for a pause is one; who is told of the pause at once gets none.
    assert!((0..40).all(send));
    assert!(!send(39) && !send(24) && send(0));
    assert_eq!(world.transport.count(), 41);
}
