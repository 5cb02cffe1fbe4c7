//! `identity token`.

use std::{path::PathBuf, time::Duration};

use clap::{
    Args,
    builder::{PossibleValuesParser, TypedValueParser},
};
use identity_emulator::Source;

use super::{
    chain::ChainArgs,
    help,
    names::{AssertionFrom, Credential, Output, RootsName},
    refused::RefusedArgs,
    values::duration,
};

/// Get a token and show who got it, for what and until when
#[derive(Debug, Args)]
#[command(after_help = help::TOKEN_SHORT, after_long_help = help::TOKEN)]
pub(crate) struct TokenArgs {
    /// What the token is for, such as https://storage.azure.com/.default
    ///
    /// Some credentials take several.
    #[arg(long, value_name = "SCOPE", required = true)]
    pub(crate) scope: Vec<String>,

    /// Which credential to ask
    #[arg(long, value_name = "NAME", value_enum, default_value_t)]
    pub(crate) credential: Credential,

    /// What to print
    #[arg(long, short, value_name = "FORMAT", value_enum, default_value_t)]
    pub(crate) output: Output,

    /// Tell on standard error what is tried
    #[arg(long, short)]
    pub(crate) verbose: bool,

    #[command(flatten)]
    pub(crate) app: AppArgs,
    #[command(flatten)]
    pub(crate) chain: ChainArgs,
    #[command(flatten)]
    pub(crate) proof: ProofArgs,
    #[command(flatten)]
    pub(crate) tool: ToolArgs,
    #[command(flatten)]
    pub(crate) request: RequestArgs,
    #[command(flatten)]
    pub(crate) service: ServiceArgs,
    #[command(flatten)]
    pub(crate) transport: TransportArgs,
    #[command(flatten)]
    pub(crate) emulator: TokenEmulatorArgs,
    #[command(flatten)]
    pub(crate) refused: RefusedArgs,
}

/// Who asks.
#[derive(Debug, Args)]
#[command(next_help_heading = "Who asks")]
pub(crate) struct AppArgs {
    /// Tenant of the application: id or domain name [env: AZURE_TENANT_ID; azure-pipelines: AZURESUBSCRIPTION_TENANT_ID];
    /// for azure-cli, azure-developer-cli and azure-powershell another than the tool's own, by no variable
    #[arg(long, value_name = "TENANT")]
    pub(crate) tenant_id: Option<String>,

    /// The application [env: AZURE_CLIENT_ID; azure-pipelines: AZURESUBSCRIPTION_CLIENT_ID], or for managed-identity and
    /// the default chain a user-assigned managed identity
    #[arg(long, value_name = "ID", group = "identity")]
    pub(crate) client_id: Option<String>,

    /// Use the user-assigned identity with this object (principal) id
    #[arg(long, value_name = "ID", group = "identity", help_heading = "Only for managed-identity and default")]
    pub(crate) object_id: Option<String>,

    /// Use the user-assigned identity with this ARM resource id
    #[arg(long, value_name = "ID", group = "identity", help_heading = "Only for managed-identity and default")]
    pub(crate) resource_id: Option<String>,

    /// Let the endpoint that a variable names be anywhere, not only at a local address
    #[arg(long, help_heading = "Only for managed-identity and default")]
    pub(crate) allow_remote_endpoint: bool,
}

/// What proves who asks.
#[derive(Debug, Args)]
pub(crate) struct ProofArgs {
    /// File with the secret, `-` for standard input [env: AZURE_CLIENT_SECRET, the secret itself]
    #[arg(long, value_name = "FILE", help_heading = "What proves the application")]
    pub(crate) client_secret_file: Option<PathBuf>,

    /// File with certificate and private key [env: AZURE_CLIENT_CERTIFICATE_PATH]
    #[arg(long, value_name = "FILE", help_heading = "What proves the application")]
    pub(crate) certificate_path: Option<PathBuf>,

    /// File with the password of that one, `-` for standard input [env: AZURE_CLIENT_CERTIFICATE_PASSWORD, the password itself]
    #[arg(long, value_name = "FILE", help_heading = "What proves the application")]
    pub(crate) certificate_password_file: Option<PathBuf>,

    /// Send all its certificates, as needed for subject name and issuer [env: AZURE_CLIENT_SEND_CERTIFICATE_CHAIN=true]
    #[arg(long, help_heading = "What proves the application")]
    pub(crate) send_certificate_chain: bool,

    /// File with the assertion, read for each exchange [env: AZURE_FEDERATED_TOKEN_FILE]
    #[arg(long, value_name = "FILE", help_heading = "What proves the application")]
    pub(crate) assertion_file: Option<PathBuf>,

    /// Take the token of another credential for the assertion
    #[arg(
        long,
        value_name = "NAME",
        value_enum,
        conflicts_with = "assertion_file",
        help_heading = "Only for client-assertion"
    )]
    pub(crate) assertion_from: Option<AssertionFrom>,

    /// Scope of that token, for other clouds than the public one
    #[arg(long, value_name = "SCOPE", requires = "assertion_from", help_heading = "Only for client-assertion")]
    pub(crate) assertion_scope: Option<String>,

    /// The user-assigned identity that gets that token, by its client id
    #[arg(
        long,
        value_name = "ID",
        requires = "assertion_from",
        group = "assertion_identity",
        help_heading = "Only for client-assertion"
    )]
    pub(crate) assertion_client_id: Option<String>,

    /// The same by its object id
    #[arg(
        long,
        value_name = "ID",
        requires = "assertion_from",
        group = "assertion_identity",
        help_heading = "Only for client-assertion"
    )]
    pub(crate) assertion_object_id: Option<String>,

    /// The same by its ARM resource id
    #[arg(
        long,
        value_name = "ID",
        requires = "assertion_from",
        group = "assertion_identity",
        help_heading = "Only for client-assertion"
    )]
    pub(crate) assertion_resource_id: Option<String>,

    /// File with the platform's token, read for each exchange [env: AZURE_FEDERATED_TOKEN_FILE]
    #[arg(long, value_name = "FILE", help_heading = "Only for workload-identity")]
    pub(crate) token_file_path: Option<PathBuf>,

    /// Go through the proxy of AKS identity bindings, if there is one [env: AZURE_KUBERNETES_TOKEN_PROXY]
    #[arg(long, help_heading = "Only for workload-identity")]
    pub(crate) enable_azure_proxy: bool,

    /// The service connection [env: AZURESUBSCRIPTION_SERVICE_CONNECTION_ID]
    #[arg(long, value_name = "ID", help_heading = "Only for azure-pipelines")]
    pub(crate) service_connection_id: Option<String>,

    /// File with the job's access token, `-` for standard input [env: SYSTEM_ACCESSTOKEN, the token itself]
    #[arg(long, value_name = "FILE", help_heading = "Only for azure-pipelines")]
    pub(crate) system_access_token_file: Option<PathBuf>,

    /// File with the token that the user called with, `-` for standard input [env: IDENTITY_USER_ASSERTION_FILE]
    #[arg(long, value_name = "FILE", help_heading = "Only for on-behalf-of")]
    pub(crate) user_assertion_file: Option<PathBuf>,

    /// File with the code that the person came back with, `-` for standard input [env: IDENTITY_CODE_FILE]
    #[arg(long, value_name = "FILE", help_heading = "Only for authorization-code")]
    pub(crate) code_file: Option<PathBuf>,

    /// Where the person came back to, as in the request to sign in [env: IDENTITY_REDIRECT_URI]
    #[arg(long, value_name = "URI", help_heading = "Only for authorization-code")]
    pub(crate) redirect_uri: Option<String>,

    /// File with the code verifier, if a challenge was sent (PKCE), `-` for standard input
    #[arg(long, value_name = "FILE", help_heading = "Only for authorization-code")]
    pub(crate) code_verifier_file: Option<PathBuf>,

    /// The person's name, such as ada@contoso.com [env: AZURE_USERNAME]
    #[arg(long, value_name = "NAME", help_heading = "Only for username-password")]
    pub(crate) username: Option<String>,

    /// File with the person's password, `-` for standard input [env: AZURE_PASSWORD, the password itself]
    #[arg(long, value_name = "FILE", help_heading = "Only for username-password")]
    pub(crate) password_file: Option<PathBuf>,

    /// Audience of the job's token, for other clouds than the public one
    #[arg(long, value_name = "AUDIENCE", help_heading = "Only for github-actions")]
    pub(crate) audience: Option<String>,
}

/// A tool that is signed in.
#[derive(Debug, Args)]
#[command(next_help_heading = "Only for azure-cli and the other tools")]
pub(crate) struct ToolArgs {
    /// Only azure-cli: name or id of the subscription whose account and tenant to take
    #[arg(long, value_name = "NAME|ID")]
    pub(crate) subscription: Option<String>,

    /// How long the tool may take, 90s at most; 10s if not given; for default, too
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) process_timeout: Option<Duration>,

    /// Remember nothing; a run asks once, so that this only tries it out
    #[arg(long)]
    pub(crate) no_cache: bool,
}

/// One request.
#[derive(Debug, Args)]
#[command(next_help_heading = "The request")]
pub(crate) struct RequestArgs {
    /// Ask for a token of another tenant; managed identities ignore it
    #[arg(long, value_name = "TENANT")]
    pub(crate) request_tenant_id: Option<String>,

    /// Answer a challenge: the JSON text of its claims, decoded from base64
    #[arg(long, value_name = "JSON")]
    pub(crate) claims: Option<String>,

    /// Ask for a token for continuous access evaluation
    #[arg(long)]
    pub(crate) enable_cae: bool,

    /// How long a refusal is remembered, 60s at most
    ///
    /// A run asks once, so that this and the next two only try out the value.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) failure_memory: Option<Duration>,

    /// How many tokens are remembered; not for default and managed-identity
    #[arg(long, value_name = "COUNT")]
    pub(crate) cache_capacity: Option<usize>,

    /// How many requests may be under way at a time; not for default and managed-identity
    #[arg(long, value_name = "COUNT")]
    pub(crate) max_in_flight: Option<usize>,
}

/// The service that is asked.
#[derive(Debug, Args)]
#[command(next_help_heading = "Who is asked at Entra ID")]
pub(crate) struct ServiceArgs {
    /// Who issues the token, such as login.microsoftonline.us [env: AZURE_AUTHORITY_HOST]
    #[arg(long, value_name = "HOST|URL", conflicts_with = "emulator")]
    pub(crate) authority: Option<String>,

    /// Trust the authority without asking login.microsoftonline.com about it
    #[arg(long)]
    pub(crate) disable_instance_discovery: bool,

    /// Let requests name this tenant, too; `*` allows any [env: AZURE_ADDITIONALLY_ALLOWED_TENANTS]
    ///
    /// May be given several times.
    #[arg(long, value_name = "TENANT")]
    pub(crate) additionally_allowed_tenant: Vec<String>,

    /// Ask in one region, such as westus2; or tryautodetect [env: AZURE_REGIONAL_AUTHORITY_NAME]
    #[arg(long, value_name = "REGION")]
    pub(crate) region: Option<String>,

    /// Refuse a token that grants less than all scopes
    #[arg(long)]
    pub(crate) require_granted_scopes: bool,
}

/// How it is asked.
#[derive(Debug, Args)]
#[command(next_help_heading = "Connections to Entra ID")]
pub(crate) struct TransportArgs {
    /// Trust the roots in this PEM file, too; may be given several times
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_file: Vec<PathBuf>,

    /// Whose roots to trust: the system's [env: SSL_CERT_FILE, SSL_CERT_DIR, in their place] or those of Mozilla that are built in
    #[arg(long, value_name = "ROOTS", value_enum)]
    pub(crate) roots: Option<RootsName>,

    /// Go through this proxy, http://host:port [env: HTTPS_PROXY, NO_PROXY]
    ///
    /// A proxy that wants a password goes into the variable, which nobody else can read.
    #[arg(long, value_name = "URL")]
    pub(crate) proxy: Option<String>,

    /// Go through no proxy, whatever the variables say
    #[arg(long, conflicts_with = "proxy")]
    pub(crate) no_proxy: bool,
}

/// What stands in for the real world.
#[derive(Debug, Args)]
#[command(next_help_heading = "Emulator")]
pub(crate) struct TokenEmulatorArgs {
    /// Ask an emulator in this process instead of the real world; it needs no cloud and no other option
    #[arg(long)]
    pub(crate) emulator: bool,

    /// What it stands in for, where a managed identity is asked; app-service if not given
    ///
    /// azure-arc writes to /var/opt/azcmagent/tokens, which takes root.
    #[arg(long, value_name = "SOURCE", requires = "emulator", value_parser = metadata_sources())]
    pub(crate) emulator_source: Option<Source>,
}

/// The sources of managed identity.
fn metadata_sources() -> impl TypedValueParser<Value = Source> {
    const SOURCES: [Source; 7] = [
        Source::Imds,
        Source::AppService,
        Source::AzureArc,
        Source::ServiceFabric,
        Source::AzureMl,
        Source::CloudShell,
        // Token exchange.
        Source::WorkloadIdentity,
    ];
    PossibleValuesParser::new(SOURCES.map(Source::name)).try_map(|name| name.parse::<Source>())
}
