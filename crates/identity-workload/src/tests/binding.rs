//! The proxy of AKS identity bindings.

use std::io;

use identity_core::{
    BoxFuture, Secret,
    http::{Method, Proxy, ServerTrust, Transport, TransportErrorKind},
};
use identity_oauth::Route as _;

use super::*;
use crate::WorkloadIdentityCredential;

const NAME: &str = "WorkloadIdentityCredential";
const PROXY: (&str, &str) = ("AZURE_KUBERNETES_TOKEN_PROXY", "https://10.0.0.1:6443/token-proxy/");
const SNI: (&str, &str) = ("AZURE_KUBERNETES_SNI_NAME", "abc.ests.aks");
const CA: &str = "/var/run/secrets/ca.crt";
const CA_FILE: (&str, &str) = ("AZURE_KUBERNETES_CA_FILE", CA);
const PEM: &str = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
const NEW_PEM: &str = "# new\n-----BEGIN CERTIFICATE-----\nBBBB\n-----END CERTIFICATE-----\n-----BEGIN CERTIFICATE-----\nCC\n-----END CERTIFICATE-----";
/// A label of 64 characters.
const LONG: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.example";
const ROUTED: &str = "https://10.0.0.1:6443/token-proxy/tenant/oauth2/v2.0/token";

fn world(vars: &[(&str, &str)], replies: &'static [(u16, &'static str)]) -> World {
    let world = World::replies(&[POD, vars].concat(), replies);
    world.env.file(FILE, Ok(b"CANARY-assertion"));
    world.env.file(CA, Ok(PEM.as_bytes()));
    world
}

fn build(world: &World) -> Result<WorkloadIdentityCredential> {
    WorkloadIdentityCredential::builder().enable_azure_proxy().build_with(&world.platform)
}

#[test]
fn requests_go_to_the_proxy_and_trust_its_roots_only() {
    let world = world(&[PROXY, SNI, CA_FILE], &[(200, TOKEN)]);
    let credential = build(&world).unwrap();
    world.get(&credential).unwrap();
    let requests = world.transport.requests();
    let [request] = &requests[..] else { panic!("{requests:?}") };
    assert_eq!(request.url, ROUTED);
    assert_eq!(request.trust, ServerTrust::OnlyRoots(PEM.into()));
    assert_eq!((request.server_name.as_deref(), request.proxy), (Some("abc.ests.aks"), Proxy::Never));
    assert_eq!(assertion(request), "CANARY-assertion");
    assert!(form(request).contains(&("client_id".into(), "client".into())));
    let hidden = |secret: &Secret| secret.expose().contains("ests");
    assert!(request.headers.iter().all(|(name, value)| *name != "host" && !hidden(value)));
}

#[test]
fn the_path_of_the_proxy_comes_before_that_of_the_authority() {
    for (proxy, expected) in [
        ("https://proxy", "https://proxy/tenant/oauth2/v2.0/token"),
        ("https://proxy/", "https://proxy/tenant/oauth2/v2.0/token"),
        ("https://proxy:8443/a/b", "https://proxy:8443/a/b/tenant/oauth2/v2.0/token"),
        ("https://proxy/a//", "https://proxy/a/tenant/oauth2/v2.0/token"),
        ("https://[::1]:1", "https://[::1]:1/tenant/oauth2/v2.0/token"),
        // Who is the authority itself has nothing before it.
        ("https://login.microsoftonline.com", ENDPOINT),
    ] {
        let world = world(&[("AZURE_KUBERNETES_TOKEN_PROXY", proxy)], &[(200, TOKEN)]);
        world.get(&build(&world).unwrap()).unwrap();
        assert_eq!(world.urls(), [expected]);
        let request = &world.transport.requests()[0];
        assert_eq!((&request.trust, &request.server_name), (&ServerTrust::Roots, &None));
        assert_eq!(request.proxy, Proxy::Never);
    }
}

#[test]
fn neither_a_retry_nor_a_new_proof_is_rewritten_twice() {
    let outside = r#"{"error":"invalid_client","error_description":"AADSTS700024: outside"}"#;
    let replies = [(503, "{}"), (401, outside), (503, "{}"), (200, TOKEN)];
    let env = FakeEnv::new(&[POD, &[PROXY, CA_FILE]].concat());
    let (files, next) = (env.clone(), AtomicUsize::new(0));
    let world = World::new(&[], move |_| {
        let number = next.fetch_add(1, Ordering::SeqCst);
        files.file(FILE, Ok(format!("assertion-{number}").as_bytes()));
        Ok(json(replies[number].0, replies[number].1))
    });
    env.file(FILE, Ok(b"CANARY-assertion"));
    env.file(CA, Ok(PEM.as_bytes()));
    let world = world.with_env(env);
    world.get(&build(&world).unwrap()).unwrap();
    assert_eq!(world.urls(), [ROUTED; 4]);
}

#[test]
fn what_was_led_to_the_proxy_already_stays_as_it_is() {
    let world = world(&[PROXY, CA_FILE], &[]);
    let binding = crate::binding::Binding::from_variables(&world.platform).unwrap().unwrap();
    let mut request = Request::new(Method::Post, ENDPOINT);
    for _ in 0..3 {
        binding.apply(&mut request).unwrap();
        assert_eq!(request.url, ROUTED);
    }
}

#[test]
fn roots_that_change_between_two_attempts_count_for_the_second() {
    for first in [TransportErrorKind::Connect, TransportErrorKind::Tls] {
        let env = FakeEnv::new(&[POD, &[PROXY, SNI, CA_FILE]].concat());
        let (files, next) = (env.clone(), AtomicUsize::new(0));
        let world = World::new(&[], move |_| {
            if next.fetch_add(1, Ordering::SeqCst) > 0 {
                return Ok(json(200, TOKEN));
            }
            // The proxy comes back with another certificate.
            files.file(CA, Ok(NEW_PEM.as_bytes()));
            Err(TransportError::new(first, "as it was"))
        });
        env.file(FILE, Ok(b"CANARY-assertion"));
        env.file(CA, Ok(PEM.as_bytes()));
        let world = world.with_env(env);
        world.get(&build(&world).unwrap()).unwrap();
        let trust: Vec<_> = world.transport.requests().into_iter().map(|request| request.trust).collect();
        assert_eq!(trust, [ServerTrust::OnlyRoots(PEM.into()), ServerTrust::OnlyRoots(NEW_PEM.into())]);
    }
}

#[test]
fn trouble_with_the_proxy_names_what_set_it() {
    for (kind, names) in [
        (TransportErrorKind::Tls, &["AZURE_KUBERNETES_TOKEN_PROXY", "_SNI_NAME", "AZURE_KUBERNETES_CA_FILE"][..]),
        (TransportErrorKind::Connect, &["AZURE_KUBERNETES_TOKEN_PROXY"]),
    ] {
        let world =
            World::new(&[POD, &[PROXY, SNI, CA_FILE]].concat(), move |_| Err(TransportError::new(kind, "not trusted")));
        world.env.file(FILE, Ok(b"CANARY-assertion"));
        world.env.file(CA, Ok(PEM.as_bytes()));
        refused(&world.get(&build(&world).unwrap()).unwrap_err(), ErrorKind::Transport, NAME, names);
        // Nothing has changed, so that another try would be no other.
        assert_eq!(world.transport.count(), if kind == TransportErrorKind::Tls { 1 } else { 4 });
    }
}

/// A transport that cannot read `BAD`.
#[derive(Debug)]
struct Judge(Arc<dyn Transport>);

const BAD: &str = "-----BEGIN CERTIFICATE-----\nBAD\n-----END CERTIFICATE-----\n";

impl Transport for Judge {
    fn send(&self, request: Request) -> BoxFuture<'_, Result<Response, TransportError>> {
        self.0.send(request)
    }

    fn check_roots(&self, pem: &str) -> Result<(), TransportError> {
        match pem.contains("BAD") {
            true => Err(TransportError::new(TransportErrorKind::Refused, "has a certificate that cannot be read")),
            false => Ok(()),
        }
    }
}

#[test]
fn roots_that_the_transport_cannot_read_never_count() {
    let judged = |vars: &[(&str, &str)]| {
        let world = world(vars, &[(200, TOKEN)]);
        let platform = world.platform.with_transport(Arc::new(Judge(Arc::clone(world.platform.transport()))));
        World { platform, ..world }
    };
    for (name, says) in [("AZURE_KUBERNETES_CA_DATA", "cannot be read"), ("AZURE_KUBERNETES_CA_FILE", "names /bad")] {
        let world = judged(&[PROXY, (name, if name == CA_FILE.0 { "/bad" } else { BAD })]);
        world.env.file("/bad", Ok(BAD.as_bytes()));
        refused(&build(&world).unwrap_err(), ErrorKind::InvalidArgument, NAME, &[name, says]);
    }
    let world = judged(&[PROXY, CA_FILE]);
    let credential = build(&world).unwrap();
    for (at, content) in [BAD, "", &[PEM, BAD].concat(), PEM].iter().enumerate() {
        world.env.file(CA, Ok(content.as_bytes()));
        world.get_scope(&credential, &format!("api://{at}/.default")).unwrap();
        assert_eq!(world.transport.requests()[at].trust, ServerTrust::OnlyRoots(PEM.into()), "{content}");
    }
}

#[test]
fn an_authority_that_nobody_knows_is_not_looked_up() {
    let world = world(&[PROXY, ("AZURE_AUTHORITY_HOST", "https://sts.contoso.com/x")], &[(200, TOKEN)]);
    world.get(&build(&world).unwrap()).unwrap();
    assert_eq!(world.urls(), ["https://10.0.0.1:6443/token-proxy/x/tenant/oauth2/v2.0/token"]);
}

#[test]
fn without_its_variables_or_without_being_turned_on_there_is_no_proxy() {
    let empty = [("AZURE_KUBERNETES_TOKEN_PROXY", ""), ("AZURE_KUBERNETES_CA_FILE", "")];
    for (vars, is_on) in [(&[][..], true), (&empty, true), (&[PROXY, SNI, CA_FILE], false)] {
        let world = world(vars, &[(200, TOKEN)]);
        let mut builder = WorkloadIdentityCredential::builder();
        if is_on {
            builder = builder.enable_azure_proxy();
        }
        world.get(&builder.build_with(&world.platform).unwrap()).unwrap();
        let request = &world.transport.requests()[0];
        assert_eq!((request.url.as_str(), &request.trust), (ENDPOINT, &ServerTrust::Roots));
        assert_eq!((request.proxy, &request.server_name), (Proxy::Configured, &None));
    }
}

#[test]
fn roots_are_taken_from_a_variable_as_well() {
    let world = world(&[PROXY, ("AZURE_KUBERNETES_CA_DATA", PEM)], &[(200, TOKEN)]);
    world.get(&build(&world).unwrap()).unwrap();
    assert_eq!(world.transport.requests()[0].trust, ServerTrust::OnlyRoots(PEM.into()));
    assert!(world.env.reads().iter().all(|path| path.as_os_str() == FILE));
}

#[test]
fn roots_that_are_rotated_count_at_once_and_half_a_rotation_does_not() {
    let world = world(&[PROXY, CA_FILE], &[(200, TOKEN)]);
    let credential = build(&world).unwrap();
    let steps: [(Result<&[u8], io::ErrorKind>, &str); 8] = [
        (Ok(PEM.as_bytes()), PEM),
        (Ok(b""), PEM),
        (Err(io::ErrorKind::NotFound), PEM),
        (Ok(NEW_PEM.as_bytes()), NEW_PEM),
        (Err(io::ErrorKind::PermissionDenied), NEW_PEM),
        (Ok(b"not a certificate"), NEW_PEM),
        (Ok(b"\xff\xfe"), NEW_PEM),
        (Ok(PEM.as_bytes()), PEM),
    ];
    for (at, (content, expected)) in steps.into_iter().enumerate() {
        world.env.file(CA, content);
        world.get_scope(&credential, &format!("api://{at}/.default")).unwrap();
        assert_eq!(world.transport.requests()[at].trust, ServerTrust::OnlyRoots(expected.into()), "step {at}");
    }
}

#[test]
fn variables_that_do_not_go_together_are_refused_when_it_is_built() {
    let data = ("AZURE_KUBERNETES_CA_DATA", PEM);
    let proxy = |url: &'static str| vec![("AZURE_KUBERNETES_TOKEN_PROXY", url)];
    let (name, file) = ("AZURE_KUBERNETES_TOKEN_PROXY", "AZURE_KUBERNETES_CA_FILE");
    type Vars<'a> = Vec<(&'a str, &'a str)>;
    let rows: Vec<(Vars<'_>, Vec<&str>)> = vec![
        (vec![SNI], vec!["AZURE_KUBERNETES_SNI_NAME", name]),
        (vec![CA_FILE], vec![file, name]),
        (vec![data], vec!["AZURE_KUBERNETES_CA_DATA", name]),
        (vec![(name, ""), SNI, CA_FILE], vec!["AZURE_KUBERNETES_SNI_NAME", name]),
        (vec![PROXY, CA_FILE, data], vec![file, "AZURE_KUBERNETES_CA_DATA", "one of them"]),
        (proxy("http://proxy"), vec![name, "https"]),
        (proxy("proxy:6443"), vec![name, "https"]),
        (proxy("https://user:CANARY@proxy"), vec![name, "password"]),
        (proxy("https://proxy?CANARY"), vec![name, "query"]),
        (proxy("https://proxy/a?"), vec![name, "query"]),
        (proxy("https://proxy#CANARY"), vec![name, "fragment"]),
        (proxy("https://"), vec![name, "host"]),
        (proxy("https://proxy:99999"), vec![name, "port"]),
        (vec![PROXY, ("AZURE_KUBERNETES_SNI_NAME", "a b")], vec!["AZURE_KUBERNETES_SNI_NAME", "name of a server"]),
        (vec![PROXY, ("AZURE_KUBERNETES_SNI_NAME", "a..b")], vec!["AZURE_KUBERNETES_SNI_NAME", "name of a server"]),
        (vec![PROXY, ("AZURE_KUBERNETES_SNI_NAME", "-a")], vec!["AZURE_KUBERNETES_SNI_NAME", "name of a server"]),
        (vec![PROXY, ("AZURE_KUBERNETES_SNI_NAME", LONG)], vec!["AZURE_KUBERNETES_SNI_NAME", "name of a server"]),
        (proxy("https://[proxy]"), vec![name, "host"]),
        (vec![PROXY, (file, "/none")], vec![file, "/none", "entity not found"]),
        (vec![PROXY, (file, "/empty")], vec![file, "no certificate"]),
        (vec![PROXY, (file, "/key")], vec![file, "no certificate"]),
        (vec![PROXY, (file, "/secret")], vec![file, "/secret", "permission denied"]),
        (vec![PROXY, (file, "/directory")], vec![file, "/directory", "is a directory"]),
        (vec![PROXY, (file, "/large")], vec![file, "/large", "file too large"]),
        (vec![PROXY, ("AZURE_KUBERNETES_CA_DATA", "CANARY")], vec!["AZURE_KUBERNETES_CA_DATA", "no certificate"]),
        (vec![PROXY, (file, "/binary")], vec![file, "/binary", "UTF-8"]),
    ];
    for (vars, says) in rows {
        let world = world(&vars, &[(200, TOKEN)]);
        world.env.file("/empty", Ok(b""));
        world.env.file("/binary", Ok(b"-----BEGIN CERTIFICATE-----\xff"));
        world.env.file("/key", Ok(b"-----BEGIN PRIVATE KEY-----\nCANARY\n-----END PRIVATE KEY-----"));
        world.env.file("/secret", Err(io::ErrorKind::PermissionDenied));
        world.env.file("/directory", Err(io::ErrorKind::IsADirectory));
        world.env.file("/large", Ok(&vec![b'#'; 1024 * 1024 + 1]));
        let error = build(&world).expect_err(&format!("{vars:?}"));
        refused(&error, ErrorKind::InvalidArgument, NAME, &says);
        assert_eq!(world.transport.count(), 0);
        // Without the proxy none of this matters.
        WorkloadIdentityCredential::builder().build_with(&world.platform).unwrap();
    }
}

#[test]
fn debug_shows_where_it_leads() {
    let world = world(&[PROXY, SNI, CA_FILE], &[]);
    let binding = crate::binding::Binding::from_variables(&world.platform).unwrap().unwrap();
    let shown = format!("{binding:?}");
    assert!(shown.contains("https://10.0.0.1:6443/token-proxy\"") && shown.contains("abc.ests.aks"), "{shown}");
}
