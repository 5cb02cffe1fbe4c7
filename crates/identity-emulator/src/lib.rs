//! A strict local stand-in for Entra and the metadata endpoints of Azure.
//!
//! It gives out tokens as IMDS, App Service, Azure Arc, Service Fabric, Azure ML and Cloud Shell do, and as Entra's token
//! service does for applications and for people, and refuses what they refuse. Its tokens are
//! signed, and a published key set verifies them. It records every request, and it can be told to be slow,
//! to fail or to lie. Clients of any language find it by the environment variables that they look at anyway.
//!
//! ```
//! use identity_emulator::{Answer, App, Emulator, Source};
//!
//! # fn main() -> std::io::Result<()> {
//! let app = App::new("7e57ab1e-0000-4000-8000-00000000a001").secret("of this test");
//! let emulator = Emulator::builder().app(app).start_in_background()?;
//! for (name, value) in emulator.variables(Source::AppService) {
//!     // Set these for the program under test.
//!     assert!(name.starts_with("IDENTITY_") && !value.is_empty());
//! }
//! emulator.faults().times(Source::AppService, 2, Answer::status(503));
//! emulator.faults().next(Source::Entra, Answer::entra_error(7000215));
//! // Run the program, then look at what it asked.
//! assert_eq!(emulator.request_count(Source::AppService), 0);
//! # Ok(())
//! # }
//! ```
//!
//! # Variables
//!
//! [`Emulator::variables`] gives, for each [`Source`]:
//!
//! | source | variables |
//! |---|---|
//! | `imds` | `AZURE_POD_IDENTITY_AUTHORITY_HOST`; none at the real address |
//! | `app-service` | `IDENTITY_ENDPOINT`, `IDENTITY_HEADER` |
//! | `azure-arc` | `IDENTITY_ENDPOINT`, `IMDS_ENDPOINT` |
//! | `service-fabric` | `IDENTITY_ENDPOINT`, `IDENTITY_HEADER`, `IDENTITY_SERVER_THUMBPRINT` |
//! | `azure-ml` | `MSI_ENDPOINT`, `MSI_SECRET` |
//! | `cloud-shell` | `MSI_ENDPOINT` |
//! | `entra` | (1), `AZURE_CLIENT_SECRET` |
//! | `workload-identity` | (1), `AZURE_FEDERATED_TOKEN_FILE` |
//! | `identity-binding` | (1), `AZURE_FEDERATED_TOKEN_FILE`, `AZURE_KUBERNETES_TOKEN_PROXY`, `AZURE_KUBERNETES_SNI_NAME`, `AZURE_KUBERNETES_CA_FILE` |
//! | `azure-pipelines` | (1), `SYSTEM_OIDCREQUESTURI`, `SYSTEM_ACCESSTOKEN`, `AZURESUBSCRIPTION_TENANT_ID`, `AZURESUBSCRIPTION_CLIENT_ID`, `AZURESUBSCRIPTION_SERVICE_CONNECTION_ID` |
//! | `github-actions` | (1), `ACTIONS_ID_TOKEN_REQUEST_URL`, `ACTIONS_ID_TOKEN_REQUEST_TOKEN` |
//!
//! (1) is `AZURE_AUTHORITY_HOST`, `AZURE_TENANT_ID`, `AZURE_CLIENT_ID`, and the CA that has to be trusted for
//! them, under each name by which programs take one: `SSL_CERT_FILE`, `REQUESTS_CA_BUNDLE` (Python), `NODE_EXTRA_CA_CERTS`.
//! [`Emulator::certificate_variables`] are those of a program that signs in with a certificate, and
//! [`Emulator::user_variables`] those of one that acts for a person: a secret and the path of a file with the user's token
//! (on-behalf-of) or with a code, or a name and a password. Clients have to be told not to
//! ask the public cloud whether the authority is a real one (`disable_instance_discovery`).
//!
//! # Entra
//!
//! It serves, for tenants by id or domain name, and whatever the `Host` header says (documents name nobody but itself):
//!
//! | request | what it does |
//! |---|---|
//! | `POST /{tenant}/oauth2/v2.0/token` | tokens |
//! | `GET`, `POST /{tenant}/oauth2/v2.0/authorize` | a page on which a person signs in; a code for the application |
//! | `POST /adfs/oauth2/token` | tokens of AD FS, with its errors |
//! | `GET /common/userrealm/{user}?api-version=1.0` | who knows the password of a user: Entra or AD FS |
//! | `GET /adfs/services/trust/mex` | the endpoints of AD FS for federated users |
//! | `POST /adfs/services/trust/13/usernamemixed` | a SAML assertion for a password (WS-Trust 1.3), also below `2005` |
//! | `GET /common/discovery/instance` | aliases of a host; `invalid_instance` for unknown ones |
//! | `GET /{tenant}/v2.0/.well-known/openid-configuration` | discovery document, also without `/v2.0` and below `/adfs` |
//! | `GET /{tenant}/discovery/v2.0/keys` | key set, also without `/v2.0` |
//! | `GET /metadata/endpoints` | Azure Resource Manager: the cloud that this is |
//! | `GET /tenants`, `/subscriptions`, `/subscriptions/{id}` | the tenant of the token, and its subscriptions |
//!
//! The grants are `client_credentials`, `authorization_code`, `refresh_token`, `password`, on-behalf-of (`jwt-bearer`) and those
//! for SAML assertions (`saml1_1-bearer`, `saml2-bearer`); AD FS has the first only. An assertion is not signed: it is one that
//! this AD FS has given, to the last letter of what it says, or none. Device codes are answered with 501: it does not play them yet. A client shows
//! who it is by a secret, in the form or in a header, by an
//! assertion that one of its certificates signs (RS256 to PS512), or by a token of an issuer that it trusts; a public client by
//! nothing, and by a code verifier where it redeems a code. What is known
//! is in a directory: [`App`], [`User`], [`Subscription`] and their like in Rust, or a file that is read again when it changes
//! ([`Builder::directory`], [`Emulator::write_directory`]). The built-in one:
//!
//! | application | it has |
//! |---|---|
//! | [`WEB_CLIENT_ID`] | [`WEB_CLIENT_SECRET`], in both tenants ([`TENANT_ID`], [`OTHER_TENANT_ID`]); [`WEB_REDIRECT_URI`] and `http://localhost` |
//! | [`PUBLIC_CLIENT_ID`] | no credential, in both tenants; `http://localhost` |
//! | [`AZURE_CLI_CLIENT_ID`] | the same |
//! | [`CERTIFICATE_CLIENT_ID`] | [`TEST_CERTIFICATE_PEM`] and its key, [`TEST_KEY_PEM`] |
//! | [`FEDERATED_CLIENT_ID`] | trust in the emulated cluster, Azure Pipelines, GitHub Actions and the managed identities |
//! | [`EXPIRED_CLIENT_ID`] | [`EXPIRED_CLIENT_SECRET`] (AADSTS7000222) |
//! | [`DISABLED_CLIENT_ID`] | been disabled (AADSTS7000112) |
//!
//! | person | who |
//! |---|---|
//! | [`USER_NAME`] | needs [`USER_PASSWORD`], which all have, and nothing else |
//! | [`OTHER_USER_NAME`] | is of the second tenant |
//! | [`MFA_USER_NAME`] | needs a second factor (AADSTS50076) |
//! | [`FEDERATED_USER_NAME`] | has the password at AD FS (AADSTS50126 at Entra) |
//! | [`DISABLED_USER_NAME`] | has been disabled (AADSTS50057) |
//! | [`EXPIRED_PASSWORD_USER_NAME`] | has to change the password (AADSTS50055) |
//!
//! A scope for a user names one resource: `{resource}/.default` or `{resource}/{name}`, beside the words of OpenID Connect; that of a code may
//! name several, and then each request with it, or with a refresh token that came of it, has to name one. Azure's
//! resources have `user_impersonation`, Microsoft Graph whatever looks like `Mail.Read`, and an application what [`App::scope`] says.
//! Everything there is consented to, unless [`App::consent`] or [`App::without_consent`] say otherwise (AADSTS65001).
//! Refresh tokens are bound to a client, a user and the client's capabilities, serve every resource and live for 90 days;
//! [`Emulator::revoke_refresh_tokens`] ends them.
//! The page takes a name and a password, or a click on a name alone, and keeps nobody signed in: `prompt=none` is refused. Tests
//! without a browser use [`Emulator::authorization_code`].
//! On-behalf-of takes a token of a user for the application itself. If a policy demands a second factor that the user did not
//! show, the refusal has `claims`, and passes once the client hands them back.
//!
//! # The Azure CLI
//!
//! `az` signs programs and people in here. It needs to know the emulator as a cloud, to trust its CA, and not to ask the public cloud
//! about it; a configuration directory of its own leaves other sign-ins alone:
//!
//! ```sh
//! export AZURE_CONFIG_DIR="$PWD/az-emulated" REQUESTS_CA_BUNDLE="$CA"     # Emulator::ca_path
//! az config set core.instance_discovery=false core.collect_telemetry=no
//! az cloud register --name Emulated --endpoint-resource-manager "$AUTHORITY"     # Emulator::authority
//! az cloud set --name Emulated
//! az login --service-principal --username "$AZURE_CLIENT_ID" --password "$AZURE_CLIENT_SECRET" --tenant "$AZURE_TENANT_ID"
//! az login     # or a person, in a browser: the one that $BROWSER names
//! az account get-access-token --scope https://vault.azure.net/.default
//! ```
//!
//! Its resource manager has [`SUBSCRIPTION_NAME`], [`SUBSCRIPTION_ID`], in the home tenant, and what [`Builder::subscription`] adds; nothing
//! can be done with them but to list them, for a token that is signed here, for `https://management.core.windows.net/` or
//! `https://management.azure.com/`, and good. These requests count as ones to `entra`: [`Answer::at`] tells them apart. What `az` says in trouble is
//! had by [`Emulator::expire_refresh_tokens`] (AADSTS700082), [`Emulator::revoke_refresh_tokens`] (AADSTS50173), [`Emulator::put_user`] with
//! [`User::mfa`] (AADSTS50076), or an answer to token requests alone, such as `Answer::entra_error(90055).at("/oauth2/v2.0/token")`. MSAL
//! keeps a refusal in `msal_http_cache.bin` and repeats it: remove that file between two tries.
//!
//! # Control from other languages
//!
//! [`Emulator::control_origin`] answers:
//!
//! | request | what it does |
//! |---|---|
//! | `GET /{tenant}/.well-known/openid-configuration` | discovery document |
//! | `GET /{tenant}/discovery/v2.0/keys` | key set |
//! | `GET`, `DELETE /__emulator/requests` | what was asked; forget it |
//! | `POST /__emulator/faults` | `{"source": "imds", "script": [ANSWER, ..], "times": 3}` or `{"always": ANSWER}`; without `source`, for all |
//! | `DELETE /__emulator/faults` | only real answers from now on |
//! | `GET /__emulator/service-fabric` | `certificate` (PEM) and `thumbprint` of Service Fabric |
//! | `POST /__emulator/release` | lets held requests go on |
//! | `GET /__emulator/entra` | `authority`, `ca` (PEM), `ca_path`, `client_certificate_path`, `identity_binding_ca`, `directory_error` |
//! | `POST /__emulator/clock` | `{"skew_secs": 600}`: Entra's clock is so far ahead |
//! | `POST /__emulator/certificate` | `{"kind": "expired"}`, `"not-yet-valid"`, `"other-name"`, `"self-signed"` or `"good"`: what Entra shows |
//! | `POST /__emulator/user-token` | `{"client_id": .., "scope": .., "user": ..}`: gives an `access_token` of a user |
//! | `POST /__emulator/code` | the same and `redirect_uri`, `code_challenge`, `nonce`: gives a `code` |
//! | `POST /__emulator/grants` | `{"user": .., "end": "revoke"}` or `"expire"`: refresh tokens of a user; without `user`, all |
//! | `POST /__emulator/rotate` | `{"what": "ca"}`, `"identity-binding-ca"`, `"tokens"` or `"signing-key"`: new ones, also in the files |
//!
//! ANSWER is an object; every field is optional: `at` (the end of a path), `status`, `entra_error` (a code), `headers` (a list of pairs), `body`, `raw`,
//! `connection` (`"refuse"`, `"stall"` or `"silence"`), `delay_ms`, `hold`, `drip` (`{"bytes": 1, "every_ms": 1000, "head": false}`),
//! `cut_after`, `reset_after`, `gzip`, `giant`, `deep`, `date_skew_secs`, `lifetime_secs`, `refresh_in_secs`,
//! `expires_on` and `expires_in` (the names of [`ExpiryFormat`] in kebab case), `fields` (an object) and `omit` (a list of names).
//! [`Answer`] says what each does.
//!
//! # Security
//!
//! It listens on loopback addresses only (and at 169.254.169.254 when told to, for network namespaces). Its
//! signing key is public: nothing real may ever trust it. The keys of its CAs exist in memory only, until it
//! ends. Recorded requests contain the secrets that clients sent.
#![expect(clippy::disallowed_methods, reason = "a server of its own, which shares no seam with the code that it tests")]

mod answer;
mod arm;
mod builder;
mod cluster;
mod control;
mod directory;
mod emulator;
mod endpoints;
mod entra;
mod faults;
mod files;
mod gzip;
mod identity;
mod io;
mod jwt;
mod record;
mod reply;
mod resource;
mod server;
mod shared;
mod signing;
mod source;
mod text;
mod tls;
mod token;
mod users;
mod wire;
mod x509;

use std::sync::{Mutex, MutexGuard, PoisonError};

pub use answer::{Answer, ExpiryFormat};
pub use builder::Builder;
pub use directory::{
    AZURE_CLI_CLIENT_ID, App, CERTIFICATE_CLIENT_ID, DISABLED_CLIENT_ID, DISABLED_USER_NAME, EXPIRED_CLIENT_ID,
    EXPIRED_CLIENT_SECRET, EXPIRED_PASSWORD_USER_NAME, FEDERATED_CLIENT_ID, FEDERATED_USER_NAME, GITHUB_ISSUER,
    GITHUB_SUBJECT, KUBERNETES_ISSUER, KUBERNETES_SUBJECT, MFA_USER_NAME, OTHER_TENANT_DOMAIN, OTHER_TENANT_ID,
    OTHER_USER_NAME, PIPELINES_ISSUER, PIPELINES_SUBJECT, PUBLIC_CLIENT_ID, SERVICE_CONNECTION_ID, SUBSCRIPTION_NAME,
    Subscription, TENANT_DOMAIN, Tenant, USER_NAME, USER_OBJECT_ID, USER_PASSWORD, User, WEB_CLIENT_ID,
    WEB_CLIENT_SECRET, WEB_REDIRECT_URI,
};
pub use emulator::Emulator;
pub use faults::Faults;
pub use identity::{
    BLUE_CLIENT_ID, BLUE_OBJECT_ID, BLUE_RESOURCE_ID, GREEN_CLIENT_ID, GREEN_OBJECT_ID, GREEN_RESOURCE_ID, Identity,
    SUBSCRIPTION_ID, SYSTEM_CLIENT_ID, SYSTEM_OBJECT_ID, TENANT_ID,
};
pub use record::Request;
pub use shared::Connections;
pub use source::{Source, UnknownSource};
pub use tls::ServerCertificate;
pub use token::{TEST_CERTIFICATE_PEM, TEST_KEY_PEM};
pub use users::UserFlow;

/// Locks, whatever happened to those who held the lock before: all data here is whole between two statements.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
