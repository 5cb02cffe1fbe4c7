use std::{fs, sync::Arc, time::Duration};

use identity_core::ErrorKind::{AuthenticationFailed, InvalidArgument, Transport};
use identity_emulator::{Emulator, FEDERATED_CLIENT_ID, KUBERNETES_SUBJECT, Source, TENANT_ID};
use identity_tests::Variables;
use identity_tokio::{Roots, TransportOptions};
use identity_workload::{AzurePipelinesCredential, GithubActionsCredential, WorkloadIdentityCredential};

use crate::world::{STORAGE, VAULT, World};

fn variable(emulator: &Emulator, source: Source, wanted: &str) -> String {
    let found = emulator.variables(source).into_iter().find(|(name, _)| name == wanted);
    found.unwrap_or_else(|| panic!("{source} has no {wanted}")).1
}

/// The platform of a process with one variable changed, and without kept connections.
fn changed(emulator: &Emulator, source: Source, name: &str, value: &str) -> identity_core::Platform {
    let mut variables = emulator.variables(source);
    variables.push((name.to_owned(), value.to_owned()));
    let options = TransportOptions::new().roots(Roots::None).ca_pem(emulator.ca_pem()).no_proxy();
    let platform = options.max_idle_per_host(0).platform().unwrap();
    platform.with_env(Arc::new(Variables::new(variables)))
}

#[test]
fn the_token_of_a_pod_is_exchanged_and_read_anew_when_it_is_rotated() {
    let world = World::new();
    let project = |audience: &str| {
        let lifetime = Duration::from_secs(3_600);
        world.emulator.project_kubernetes_token(world.folder(), KUBERNETES_SUBJECT, audience, lifetime).unwrap()
    };
    let file = project("api://elsewhere");
    let builder = WorkloadIdentityCredential::builder().token_file_path(&file).disable_instance_discovery();
    let credential = builder.build_with(&world.platform(Source::WorkloadIdentity)).unwrap();
    for _ in 0..2 {
        world.refusal(&credential, AuthenticationFailed, 700_212);
    }
    assert_eq!(world.count(Source::WorkloadIdentity), 1, "the refusal is remembered");
    // Not once the cluster has written another token.
    assert_eq!(project("api://AzureADTokenExchange"), file);
    assert_eq!(world.claims(&credential, STORAGE)["appid"], FEDERATED_CLIENT_ID);
    let sent = |world: &World| world.last(Source::WorkloadIdentity).form_value("client_assertion").unwrap();
    let first = sent(&world);
    assert_eq!(fs::read_to_string(&file).unwrap(), first);
    project("api://AzureADTokenExchange");
    world.claims(&credential, STORAGE);
    assert_eq!(world.count(Source::WorkloadIdentity), 2, "a remembered token outlives the token of the pod");
    world.claims(&credential, VAULT);
    assert_ne!(sent(&world), first);
    world.end(&[(Source::WorkloadIdentity, 3)]);
}

#[test]
fn the_proxy_of_an_identity_binding_is_trusted_by_its_own_ca_also_when_that_changes() {
    let world = World::new();
    let source = Source::IdentityBinding;
    let builder = || WorkloadIdentityCredential::builder().enable_azure_proxy().disable_instance_discovery();
    // Every request on a new connection, which shows a certificate.
    let platform = changed(&world.emulator, source, "AZURE_TENANT_ID", TENANT_ID);
    let credential = builder().build_with(&platform).unwrap();
    assert_eq!(world.claims(&credential, STORAGE)["appid"], FEDERATED_CLIENT_ID);
    let old = world.folder().join("old-ca.pem");
    fs::copy(variable(&world.emulator, source, "AZURE_KUBERNETES_CA_FILE"), &old).unwrap();
    world.emulator.rotate_identity_binding_ca().unwrap();
    world.claims(&credential, VAULT);
    assert_eq!(world.count(source), 2);

    // What looks like a certificate and is none is never used, and not taken for good when a credential is built.
    let copy = world.folder().join("ca.pem");
    fs::copy(variable(&world.emulator, source, "AZURE_KUBERNETES_CA_FILE"), &copy).unwrap();
    let platform = changed(&world.emulator, source, "AZURE_KUBERNETES_CA_FILE", copy.to_str().unwrap());
    let credential = builder().build_with(&platform).unwrap();
    let junk = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for (content, scope) in [(junk, STORAGE), ("", VAULT)] {
        fs::write(&copy, content).unwrap();
        world.claims(&credential, scope);
        let error = builder().build_with(&platform).unwrap_err();
        assert_eq!(error.kind(), InvalidArgument);
        assert!(error.to_string().contains("AZURE_KUBERNETES_CA_FILE"), "{error}");
    }
    assert_eq!(world.count(source), 4);

    // Nothing else is trusted: neither what the CA was, nor the CA of Entra ID, which the transport trusts.
    let entra = world.folder().join("entra-ca.pem");
    world.emulator.write_ca(&entra).unwrap();
    for ca in [old, entra] {
        let platform = changed(&world.emulator, source, "AZURE_KUBERNETES_CA_FILE", ca.to_str().unwrap());
        world.refusal(&builder().build_with(&platform).unwrap(), Transport, 0);
    }
    world.end(&[(source, 4)]);
}

#[test]
fn a_job_of_azure_pipelines_gets_a_token_by_its_service_connection() {
    let world = World::new();
    let source = Source::AzurePipelines;
    let of = |name: &str| variable(&world.emulator, source, name);
    let (client, connection) = (of("AZURESUBSCRIPTION_CLIENT_ID"), of("AZURESUBSCRIPTION_SERVICE_CONNECTION_ID"));
    let platform = world.platform(source);
    let job = |token: &str| {
        let builder = AzurePipelinesCredential::builder(TENANT_ID, client.as_str(), connection.as_str(), token);
        builder.disable_instance_discovery().build_with(&platform).unwrap()
    };
    let credential = job(&of("SYSTEM_ACCESSTOKEN"));
    for _ in 0..2 {
        assert_eq!(world.claims(&credential, STORAGE)["appid"], FEDERATED_CLIENT_ID);
    }
    let error = world.refusal(&job("wrong-token-of-a-job"), AuthenticationFailed, 0);
    assert_eq!(error.http_status(), Some(401), "{error}");
    world.end(&[(source, 2), (Source::Entra, 1)]);
}

#[test]
fn a_job_of_github_actions_gets_a_token() {
    let world = World::new();
    let source = Source::GithubActions;
    let credential = GithubActionsCredential::builder().disable_instance_discovery();
    let credential = credential.build_with(&world.platform(source)).unwrap();
    for scope in [STORAGE, STORAGE, VAULT] {
        assert_eq!(world.claims(&credential, scope)["appid"], FEDERATED_CLIENT_ID);
    }
    let platform = changed(&world.emulator, source, "ACTIONS_ID_TOKEN_REQUEST_TOKEN", "wrong-token-of-a-job");
    let wrong = GithubActionsCredential::builder().disable_instance_discovery().build_with(&platform).unwrap();
    let error = world.refusal(&wrong, AuthenticationFailed, 0);
    assert_eq!(error.http_status(), Some(401), "{error}");
    world.end(&[(source, 3), (Source::Entra, 2)]);
}
