//! The directory that an emulator has when nobody gives it another.

use std::time::SystemTime;

use crate::directory::{App, Directory, Subscription, Tenant, User};
use crate::entra::EXCHANGE_AUDIENCE;
use crate::identity::{BLUE_OBJECT_ID, GREEN_OBJECT_ID, SUBSCRIPTION_ID, SYSTEM_OBJECT_ID};
use crate::token::TEST_CERTIFICATE_PEM;

/// The domain name of the home tenant.
pub const TENANT_DOMAIN: &str = "contoso.example";
/// A second tenant, which knows [`WEB_CLIENT_ID`] too.
pub const OTHER_TENANT_ID: &str = "7e57ab1e-0000-4000-8000-000000000009";
/// The domain name of the second tenant.
pub const OTHER_TENANT_DOMAIN: &str = "fabrikam.example";
/// An application with a client secret, known in both tenants.
pub const WEB_CLIENT_ID: &str = "7e57ab1e-0000-4000-8000-0000000000e0";
/// The secret of [`WEB_CLIENT_ID`]; public, so it protects nothing.
pub const WEB_CLIENT_SECRET: &str = "PUBLIC-test~secret.of_the-emulator0123456";
/// An application with a certificate, [`TEST_CERTIFICATE_PEM`](crate::TEST_CERTIFICATE_PEM).
pub const CERTIFICATE_CLIENT_ID: &str = "7e57ab1e-0000-4000-8000-0000000000e1";
/// An application that trusts the tokens of the emulated Kubernetes cluster, of Azure Pipelines, of GitHub Actions and of
/// the managed identities.
pub const FEDERATED_CLIENT_ID: &str = "7e57ab1e-0000-4000-8000-0000000000e2";
/// An application whose only secret, [`EXPIRED_CLIENT_SECRET`], has expired.
pub const EXPIRED_CLIENT_ID: &str = "7e57ab1e-0000-4000-8000-0000000000e3";
/// The secret of [`EXPIRED_CLIENT_ID`], expired since 2020.
pub const EXPIRED_CLIENT_SECRET: &str = "PUBLIC-test~secret.that_has-expired012345";
/// An application with the secret [`WEB_CLIENT_SECRET`] that an administrator has disabled.
pub const DISABLED_CLIENT_ID: &str = "7e57ab1e-0000-4000-8000-0000000000e4";

/// A public client, known in both tenants, as programs on people's own machines are.
pub const PUBLIC_CLIENT_ID: &str = "7e57ab1e-0000-4000-8000-0000000000e5";
/// The Azure CLI, a public client that every tenant knows; this is its real id.
///
/// Source: azure-cli 2.91.0, and "Application IDs of commonly used Microsoft applications", learn.microsoft.com.
pub const AZURE_CLI_CLIENT_ID: &str = "04b07795-8ddb-461a-bbee-02f9e1bf7b46";
/// A redirect URI of [`WEB_CLIENT_ID`]; `http://localhost` is one, too, and that of [`PUBLIC_CLIENT_ID`].
pub const WEB_REDIRECT_URI: &str = "https://web.contoso.example/signed-in";

/// The name of the one subscription, [`SUBSCRIPTION_ID`], which is of the home tenant.
pub const SUBSCRIPTION_NAME: &str = "Emulated subscription";

/// A person of the home tenant.
pub const USER_NAME: &str = "ada@contoso.example";
/// The password of [`USER_NAME`] and of all other people here; public, so it protects nothing.
pub const USER_PASSWORD: &str = "PUBLIC test password";
/// The object id of [`USER_NAME`].
pub const USER_OBJECT_ID: &str = "7e57ab1e-0000-4000-8000-000000000ada";
/// A person of the second tenant.
pub const OTHER_USER_NAME: &str = "edith@fabrikam.example";
/// A person whom a policy asks for a second factor (AADSTS50076).
pub const MFA_USER_NAME: &str = "grace@contoso.example";
/// A person whose password AD FS knows, and Entra not.
pub const FEDERATED_USER_NAME: &str = "katherine@adfs.contoso.example";
/// A person whose account is disabled (AADSTS50057).
pub const DISABLED_USER_NAME: &str = "mallory@contoso.example";
/// A person who has to change the password first (AADSTS50055).
pub const EXPIRED_PASSWORD_USER_NAME: &str = "hedy@contoso.example";

/// The issuer of the tokens of the emulated Kubernetes cluster.
pub const KUBERNETES_ISSUER: &str = "https://westeurope.oic.prod-aks.azure.com/7e57ab1e-0000-4000-8000-000000000001/7e57ab1e-0000-4000-8000-0000000000f0/";
/// The service account whose token is written to a file.
pub const KUBERNETES_SUBJECT: &str = "system:serviceaccount:default:workload";
/// The issuer of the tokens of Azure Pipelines.
pub const PIPELINES_ISSUER: &str = "https://vstoken.dev.azure.com/7e57ab1e-0000-4000-8000-0000000000f1";
/// The service connection of Azure Pipelines, as a subject.
pub const PIPELINES_SUBJECT: &str = "sc://contoso/emulator/azure";
/// The id of the one service connection that Azure Pipelines knows.
pub const SERVICE_CONNECTION_ID: &str = "7e57ab1e-0000-4000-8000-0000000000f2";
/// The issuer of the tokens of GitHub Actions.
pub const GITHUB_ISSUER: &str = "https://token.actions.githubusercontent.com";
/// The branch for which GitHub Actions runs a job.
pub const GITHUB_SUBJECT: &str = "repo:contoso/emulator:ref:refs/heads/main";

impl Directory {
    /// The built-in directory, its home tenant of this id.
    pub(crate) fn built_in(tenant_id: &str) -> Self {
        Self {
            tenants: vec![
                Tenant::new(tenant_id).domain(TENANT_DOMAIN).domain(ADFS_DOMAIN),
                Tenant::new(OTHER_TENANT_ID).domain(OTHER_TENANT_DOMAIN),
            ],
            apps: vec![
                App::new(WEB_CLIENT_ID)
                    .name("web")
                    .tenant(tenant_id)
                    .tenant(OTHER_TENANT_ID)
                    .secret(WEB_CLIENT_SECRET)
                    .redirect_uri(WEB_REDIRECT_URI)
                    .redirect_uri(LOCALHOST),
                App::new(CERTIFICATE_CLIENT_ID).name("certificate").certificate_pem(TEST_CERTIFICATE_PEM),
                federations(App::new(FEDERATED_CLIENT_ID).name("federated"), tenant_id),
                App::new(EXPIRED_CLIENT_ID)
                    .name("expired")
                    .secret_until(EXPIRED_CLIENT_SECRET, SystemTime::UNIX_EPOCH + EXPIRED_SINCE),
                App::new(DISABLED_CLIENT_ID).name("disabled").secret(WEB_CLIENT_SECRET).disabled(),
                App::new(PUBLIC_CLIENT_ID)
                    .name("public")
                    .tenant(tenant_id)
                    .tenant(OTHER_TENANT_ID)
                    .public_client()
                    .redirect_uri(LOCALHOST),
                App::new(AZURE_CLI_CLIENT_ID)
                    .name("Microsoft Azure CLI")
                    .tenant(tenant_id)
                    .tenant(OTHER_TENANT_ID)
                    .public_client()
                    .redirect_uri(LOCALHOST),
            ],
            issuers: Vec::new(),
            users: vec![
                person(USER_NAME).object_id(USER_OBJECT_ID).display_name("Ada"),
                person(OTHER_USER_NAME).tenant(OTHER_TENANT_ID),
                person(MFA_USER_NAME).mfa(),
                person(FEDERATED_USER_NAME).federated(),
                person(DISABLED_USER_NAME).disabled(),
                person(EXPIRED_PASSWORD_USER_NAME).must_change_password(),
            ],
            subscriptions: vec![Subscription::new(SUBSCRIPTION_NAME).id(SUBSCRIPTION_ID)],
            resources: Vec::new(),
        }
    }
}

fn person(name: &str) -> User {
    User::new(name, USER_PASSWORD)
}

fn federations(app: App, tenant_id: &str) -> App {
    let entra = format!("https://login.microsoftonline.com/{tenant_id}/v2.0");
    let own = [SYSTEM_OBJECT_ID, BLUE_OBJECT_ID, GREEN_OBJECT_ID].map(|subject| (entra.as_str(), subject));
    let others = [
        (KUBERNETES_ISSUER, KUBERNETES_SUBJECT),
        (PIPELINES_ISSUER, PIPELINES_SUBJECT),
        (GITHUB_ISSUER, GITHUB_SUBJECT),
    ];
    others.into_iter().chain(own).fold(app, |app, (issuer, subject)| app.federated(issuer, subject, EXCHANGE_AUDIENCE))
}

/// The domain name of the home tenant whose people AD FS knows.
const ADFS_DOMAIN: &str = "adfs.contoso.example";
/// Where programs on people's own machines listen, at any port.
const LOCALHOST: &str = "http://localhost";
/// The first of January 2020.
const EXPIRED_SINCE: std::time::Duration = std::time::Duration::from_secs(1_577_836_800);
