use std::sync::Arc;

use identity_confidential::{ClientAssertionCredential, TokenAssertion};
use identity_core::{ErrorKind::AuthenticationFailed, Platform};
use identity_emulator::{
    App, BLUE_CLIENT_ID, Emulator, FEDERATED_CLIENT_ID, OTHER_TENANT_ID, SYSTEM_OBJECT_ID, Source, TENANT_ID,
};
use identity_msi::ManagedIdentityCredential;
use identity_tests::Variables;

use crate::world::{STORAGE, VAULT, World};

/// The platform of a machine with that source, which knows of Entra ID as well.
fn machine(world: &World, source: Source) -> Platform {
    let mut variables = world.emulator.variables(source);
    variables.extend(world.emulator.variables(Source::Entra));
    world.platform(source).with_env(Arc::new(Variables::new(variables)))
}

#[test]
fn a_managed_identity_exchanges_the_token_of_its_pod() {
    let world = World::new();
    let platform = world.platform(Source::WorkloadIdentity);
    let credential = ManagedIdentityCredential::builder().disable_instance_discovery().build_with(&platform).unwrap();
    assert_eq!(credential.source(), "token exchange");
    for scope in [STORAGE, VAULT, STORAGE] {
        assert_eq!(world.claims(&credential, scope)["appid"], FEDERATED_CLIENT_ID);
    }
    let unknown = ManagedIdentityCredential::builder().client_id(BLUE_CLIENT_ID).disable_instance_discovery();
    world.refusal(&unknown.build_with(&platform).unwrap(), AuthenticationFailed, 700_016);
    world.end(&[(Source::WorkloadIdentity, 3)]);
}

#[test]
fn a_managed_identity_speaks_for_an_application() {
    let world = World::new();
    for source in [Source::Imds, Source::AppService] {
        let platform = machine(&world, source);
        let identity = ManagedIdentityCredential::builder().build_with(&platform).unwrap();
        let assertion = TokenAssertion::new(Arc::new(identity));
        let builder = ClientAssertionCredential::builder(TENANT_ID, FEDERATED_CLIENT_ID, assertion);
        let credential = builder.disable_instance_discovery().build_with(&platform).unwrap();
        for scope in [STORAGE, VAULT, STORAGE] {
            assert_eq!(world.claims(&credential, scope)["appid"], FEDERATED_CLIENT_ID);
        }
        assert_eq!(world.count(source), 1, "its token is remembered as well");
    }
    world.end(&[(Source::Imds, 1), (Source::AppService, 1), (Source::Entra, 4)]);
}

#[test]
fn a_managed_identity_speaks_for_an_application_of_another_tenant() {
    let issuer = format!("https://login.microsoftonline.com/{TENANT_ID}/v2.0");
    let app = App::new(GUEST).tenant(OTHER_TENANT_ID).federated(issuer, SYSTEM_OBJECT_ID, "api://AzureADTokenExchange");
    let world = World::of(Emulator::builder().app(app));
    let platform = machine(&world, Source::AppService);
    let guest = |identity: ManagedIdentityCredential| {
        let assertion = TokenAssertion::new(Arc::new(identity));
        let builder = ClientAssertionCredential::builder(OTHER_TENANT_ID, GUEST, assertion);
        builder.disable_instance_discovery().build_with(&platform).unwrap()
    };
    let system = ManagedIdentityCredential::builder().build_with(&platform).unwrap();
    let claims = world.claims(&guest(system), STORAGE);
    assert_eq!((claims["appid"].as_str(), claims["tid"].as_str()), (Some(GUEST), Some(OTHER_TENANT_ID)));
    // One that the application does not name.
    let blue = ManagedIdentityCredential::builder().client_id(BLUE_CLIENT_ID).build_with(&platform).unwrap();
    world.refusal(&guest(blue), AuthenticationFailed, 700_213);
    world.end(&[(Source::AppService, 2), (Source::Entra, 2)]);
}

const GUEST: &str = "7e57ab1e-0000-4000-8000-00000000ce21";
