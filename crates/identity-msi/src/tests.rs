//! Behaviour through the public API, over fakes of every seam.

use std::sync::atomic::{AtomicUsize, Ordering};

use identity_core::{
    AccessToken, CallContext, Error, Platform, Result, TokenCredential, TokenRequestOptions,
    fakes::{FakeClock, FakeEnv, FakeTransport, Sim, json, platform},
    http::{Request, Response, TransportError, TransportErrorKind},
};

use crate::{ManagedIdentityCredential, ManagedIdentityCredentialBuilder};

mod answers;
mod arc;
#[cfg(feature = "workload")]
mod exchange;
mod imds;
mod log;
mod requests;
mod secrets;
mod selection;
#[cfg(feature = "service-fabric")]
mod service_fabric;

const SCOPE: &str = "https://storage.azure.com/.default";
const CLIENT: &str = "11111111-1111-1111-1111-111111111111";
const OBJECT: &str = "22222222-2222-2222-2222-222222222222";
const RESOURCE: &str = "/subscriptions/s/resourceGroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/n";
const TOKEN: &str = r#"{"access_token":"CANARY-token","expires_in":"3600","token_type":"Bearer"}"#;
const IDENTITY_NOT_FOUND: &str = r#"{"error":"invalid_request","error_description":"Identity not found"}"#;

/// Variables of each source; every secret among them starts with CANARY.
const IMDS: &[(&str, &str)] = &[];
const POD_HOST: &[(&str, &str)] = &[("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://127.0.0.1:2579/")];
const APP_SERVICE: &[(&str, &str)] =
    &[("IDENTITY_ENDPOINT", "http://127.0.0.1:41741/msi/token"), ("IDENTITY_HEADER", "CANARY-header")];
const ARC: &[(&str, &str)] = &[
    ("IDENTITY_ENDPOINT", "http://localhost:40342/metadata/identity/oauth2/token"),
    ("IMDS_ENDPOINT", "http://localhost:40342"),
];
const SERVICE_FABRIC: &[(&str, &str)] = &[
    ("IDENTITY_ENDPOINT", "https://10.0.0.4:2377/metadata/identity/oauth2/token"),
    ("IDENTITY_HEADER", "CANARY-secret"),
    ("IDENTITY_SERVER_THUMBPRINT", "0123456789abcdef0123456789ABCDEF01234567"),
];
const AZURE_ML: &[(&str, &str)] = &[("MSI_ENDPOINT", "http://127.0.0.1:46808/msi/token"), ("MSI_SECRET", "CANARY-ml")];
const CLOUD_SHELL: &[(&str, &str)] = &[("MSI_ENDPOINT", "http://localhost:50342/oauth2/token")];
const WORKLOAD: &[(&str, &str)] = &[
    ("AZURE_AUTHORITY_HOST", "https://login.microsoftonline.com/"),
    ("AZURE_TENANT_ID", "t"),
    ("AZURE_CLIENT_ID", "c"),
    ("AZURE_FEDERATED_TOKEN_FILE", "/var/run/secrets/azure/tokens/azure-identity-token"),
];

/// A machine that exists only here.
struct World {
    clock: FakeClock,
    env: FakeEnv,
    transport: FakeTransport,
    platform: Platform,
    sim: Sim,
}

impl World {
    fn new(
        vars: &[(&str, &str)],
        answer: impl Fn(&Request) -> Result<Response, TransportError> + Send + Sync + 'static,
    ) -> Self {
        let clock = FakeClock::default();
        let transport = FakeTransport::new(&clock, answer);
        Self::with_transport(vars, clock, transport)
    }

    fn with_transport(vars: &[(&str, &str)], clock: FakeClock, transport: FakeTransport) -> Self {
        let env = FakeEnv::new(vars);
        let platform = platform(&clock, &transport, &env);
        Self { sim: Sim::new(&clock), clock, env, transport, platform }
    }

    /// Answers with one status and body after the other; the last one stays.
    fn replies(vars: &[(&str, &str)], replies: &'static [(u16, &'static str)]) -> Self {
        let next = AtomicUsize::new(0);
        Self::new(vars, move |_| {
            let (status, body) = replies[next.fetch_add(1, Ordering::Relaxed).min(replies.len() - 1)];
            reply(status, body)
        })
    }

    fn credential(&self) -> ManagedIdentityCredential {
        self.build(ManagedIdentityCredential::builder()).unwrap()
    }

    fn build(&self, builder: ManagedIdentityCredentialBuilder) -> Result<ManagedIdentityCredential> {
        builder.build_with(&self.platform)
    }

    fn get(&self, credential: &ManagedIdentityCredential) -> Result<AccessToken> {
        // Called inside the runtime, for that is where a hit may start a refresh.
        self.sim.run(async { credential.get_token(&[SCOPE], None).await })
    }

    fn get_in_chain(&self, credential: &ManagedIdentityCredential) -> Result<AccessToken> {
        self.get_with(credential, &TokenRequestOptions::new().with_context(CallContext::Chain))
    }

    fn get_with(&self, credential: &ManagedIdentityCredential, options: &TokenRequestOptions) -> Result<AccessToken> {
        self.sim.run(async { credential.get_token(&[SCOPE], Some(options)).await })
    }
}

/// An answer whose content type is what its body looks like; status 0 is a refused connection.
fn reply(status: u16, body: &str) -> Result<Response, TransportError> {
    match status {
        0 => Err(TransportError::new(TransportErrorKind::Connect, "connection refused")),
        _ if body.starts_with('{') => Ok(json(status, body)),
        _ => Ok(Response::new(status, vec![("content-type".into(), "text/html".into())], body.into())),
    }
}

/// Everything that an error can show.
fn shown(error: &Error) -> String {
    let mut text = format!("{error} {error:?} {error:#?}");
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(&format!(" {cause} {cause:?}"));
        source = cause.source();
    }
    text
}
