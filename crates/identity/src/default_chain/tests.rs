//! The chain on virtual time; more of it is in the conformance folders.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use identity_core::{
    AccessToken, CallContext, Error, ErrorKind, Platform, Result, TokenCredential, TokenFuture, TokenRequestOptions,
    fakes::{FakeClock, FakeEnv, FakeProcesses, FakeTransport, Sim, json, platform},
    http::{Response, TransportError, TransportErrorKind},
    process::Output,
};

use super::{ChainLink, DefaultAzureCredential, DefaultAzureCredentialBuilder};

/// A machine: its variables, the tools it has, and what `az` says.
struct World {
    clock: FakeClock,
    transport: FakeTransport,
    #[cfg_attr(windows, expect(dead_code, reason = "tools are looked for where only Unix has them"))]
    processes: FakeProcesses,
    platform: Platform,
    sim: Sim,
}

impl World {
    /// A machine without a cloud and without tools.
    fn laptop(variables: &[(&str, &str)]) -> Self {
        Self::new(variables, &[], silence)
    }

    fn new(
        variables: &[(&str, &str)],
        tools: &[&str],
        answer: impl Fn(&str) -> Result<Response, TransportError> + Send + Sync + 'static,
    ) -> Self {
        let clock = FakeClock::default();
        let transport = FakeTransport::slow(&clock, SILENCE, move |request| answer(&request.url));
        let processes = FakeProcesses::new(&clock, tools, Duration::from_millis(500), |_| {
            Ok(Output::new(Some(1), Vec::new(), b"ERROR: Please run 'az login' to setup account.\n".to_vec()))
        });
        let env = FakeEnv::new(variables);
        env.set("PATH", "/tools");
        env.set("HOME", "/home/ada");
        let platform = platform(&clock, &transport, &env).with_processes(Arc::new(processes.clone()));
        Self { sim: Sim::new(&clock), clock, transport, processes, platform }
    }

    fn build(&self, builder: DefaultAzureCredentialBuilder) -> DefaultAzureCredential {
        builder.build_with(&self.platform).unwrap()
    }

    fn default(&self) -> DefaultAzureCredential {
        self.build(DefaultAzureCredential::builder())
    }

    fn get(&self, credential: &dyn TokenCredential) -> Result<AccessToken, Error> {
        self.sim.run(credential.get_token(&["https://vault.azure.net/.default"], None))
    }
}

fn silence(_: &str) -> Result<Response, TransportError> {
    Err(TransportError::new(TransportErrorKind::Timeout, "silence"))
}

/// How long a request takes that nobody answers.
const SILENCE: Duration = Duration::from_secs(1);

/// Has a token, always.
#[derive(Debug)]
struct Always;

impl TokenCredential for Always {
    fn get_token<'a>(&'a self, _: &'a [&'a str], _: Option<&'a TokenRequestOptions>) -> TokenFuture<'a> {
        let expires_on = SystemTime::UNIX_EPOCH;
        TokenFuture::ready(Ok(AccessToken::new("a", expires_on).with_credential("Always", "")))
    }

    fn name(&self) -> &'static str {
        "Always"
    }
}

#[test]
#[cfg(unix)]
fn a_laptop_without_a_cloud_and_tools_is_told_what_to_do_within_a_second() {
    let world = World::laptop(&[]);
    let error = world.get(&world.default()).unwrap_err();
    let expected = "\
DefaultAzureCredential failed to retrieve a token from the included credentials
EnvironmentCredential: none of its variables is set; it takes AZURE_TENANT_ID and AZURE_CLIENT_ID with AZURE_CLIENT_SECRET or AZURE_CLIENT_CERTIFICATE_PATH
WorkloadIdentityCredential: AZURE_FEDERATED_TOKEN_FILE is not set, as the webhook of Azure Workload Identity does in a pod of Kubernetes
ManagedIdentityCredential: no managed identity here: no variable names a source, and IMDS does not answer at http://169.254.169.254: no answer in time
SharedTokenCacheCredential: not available in this version, which reads no sign-ins of other tools
VisualStudioCodeCredential: not available in this version, which does not ask the editor
AzureCliCredential: the Azure CLI (az) is not on the PATH; install it, https://aka.ms/azure-cli tells how, and sign in by `az login`
AzurePowerShellCredential: Azure PowerShell is not on the PATH; install PowerShell and the module Az.Accounts, https://aka.ms/azps tells how, and sign in by `Connect-AzAccount`
AzureDeveloperCliCredential: the Azure Developer CLI (azd) is not on the PATH; install it, https://aka.ms/azd tells how, and sign in by `azd auth login`
BrokerCredential: not available in this version, which does not ask the broker of the system
what to do, the likeliest first:
1. on a developer's machine: install the Azure CLI, https://aka.ms/azure-cli tells how, and run `az login`
2. for an application of its own: set AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET, or AZURE_CLIENT_CERTIFICATE_PATH
3. on Azure: give the machine or service a managed identity
4. see what each of them finds: run `identity diagnose`";
    assert_eq!(error.to_string(), expected);
    assert_eq!((error.kind(), error.credential()), (ErrorKind::CredentialUnavailable, "DefaultAzureCredential"));
    let tried: Vec<&str> = error.attempts().iter().map(Error::credential).collect();
    let expected: Vec<&str> =
        ChainLink::ALL.iter().filter(|link| **link != ChainLink::InteractiveBrowser).map(|link| link.name()).collect();
    assert_eq!(tried, expected);
    assert_eq!(world.clock.elapsed(), SILENCE, "the probe waits for as long as IMDS says nothing");
    assert_eq!((world.transport.count(), world.processes.commands().len()), (1, 0));
}

#[test]
#[cfg(unix)]
fn what_is_nearest_to_a_token_comes_first() {
    let world = World::new(&[("AZURE_TENANT_ID", "t"), ("AZURE_CLIENT_ID", ID)], &["/tools/az"], silence);
    let error = world.get(&world.default()).unwrap_err();
    let text = error.to_string();
    let (_, steps) = text.split_once("the likeliest first:\n").unwrap();
    let steps: Vec<&str> = steps.lines().collect();
    let first = "1. set AZURE_CLIENT_SECRET or AZURE_CLIENT_CERTIFICATE_PATH, too: EnvironmentCredential has AZURE_CLIENT_ID, AZURE_TENANT_ID";
    assert_eq!(steps[0], first);
    assert_eq!(steps[1], "2. run `az login`");
    // Nobody is told to install what is there.
    assert_eq!(steps.len(), 4);
    let unnumbered: Vec<&str> = steps.iter().map(|step| &step[3..]).collect();
    assert_eq!(error.steps(), unnumbered);
    assert_eq!(error.attempts()[5].steps(), ["run `az login`"]);
}

#[test]
fn in_a_pod_nobody_is_told_to_set_a_secret() {
    let variables = [("AZURE_TENANT_ID", "t"), ("AZURE_CLIENT_ID", ID), ("AZURE_FEDERATED_TOKEN_FILE", "/token")];
    let chain = World::laptop(&variables).default();
    let (_, environment) = chain.links().next().unwrap();
    let world = World::laptop(&[]);
    let error = world.get(environment.unwrap().as_ref()).unwrap_err();
    assert!(error.to_string().starts_with("AZURE_CLIENT_ID, AZURE_TENANT_ID set, but no set of variables is complete"));
    assert_eq!(error.steps(), [""; 0]);
}

#[test]
fn every_place_is_listed_with_who_is_there_or_why_nobody_is() {
    let world = World::laptop(&[("AZURE_TOKEN_CREDENTIALS", " Prod ")]);
    let builder = DefaultAzureCredential::builder()
        .exclude(ChainLink::ManagedIdentity)
        .include(ChainLink::Broker)
        .replace(ChainLink::AzureCli, Arc::new(Always));
    let chain = world.build(builder);
    let listed: Vec<String> = chain
        .links()
        .map(|(link, member)| format!("{link} {}", member.map_or_else(|why| why, |member| member.name())))
        .collect();
    let left_out = "AZURE_TOKEN_CREDENTIALS is prod";
    assert_eq!(
        listed,
        [
            "EnvironmentCredential EnvironmentCredential",
            "WorkloadIdentityCredential WorkloadIdentityCredential",
            "ManagedIdentityCredential the program excludes it",
            &format!("SharedTokenCacheCredential {left_out}"),
            &format!("VisualStudioCodeCredential {left_out}"),
            "AzureCliCredential Always",
            &format!("AzurePowerShellCredential {left_out}"),
            &format!("AzureDeveloperCliCredential {left_out}"),
            &format!("InteractiveBrowserCredential {left_out}"),
            "BrokerCredential BrokerCredential",
        ]
    );
    assert_eq!(chain.winner(), None);
    assert_eq!(world.get(&chain).unwrap().credential(), "Always");
    assert_eq!(chain.clone().winner(), Some(ChainLink::AzureCli));
    let shown = format!("{chain:?}");
    assert!(shown.contains("winner: Some(\"Always\")") && shown.contains("BrokerCredential (absent)"), "{shown}");
}

#[test]
fn the_last_word_about_a_place_counts() {
    let world = World::laptop(&[]);
    let last = |builder: DefaultAzureCredentialBuilder| {
        let chain = world.build(builder);
        let (_, member) = chain.links().nth(2).unwrap();
        member.is_ok()
    };
    let link = ChainLink::ManagedIdentity;
    assert!(!last(DefaultAzureCredential::builder().include(link).exclude(link)));
    assert!(last(DefaultAzureCredential::builder().exclude(link).include(link)));
    assert!(last(DefaultAzureCredential::builder().exclude(link).replace(link, Arc::new(Always))));
}

#[test]
fn a_chain_of_nobody_and_a_variable_that_is_required_are_refused() {
    let all =
        ChainLink::ALL.iter().copied().fold(DefaultAzureCredential::builder(), DefaultAzureCredentialBuilder::exclude);
    let refuse = |variables: &[(&str, &str)], builder: DefaultAzureCredentialBuilder| {
        let error = builder.build_with(&World::laptop(variables).platform).unwrap_err();
        assert_eq!((error.kind(), error.credential()), (ErrorKind::InvalidArgument, "DefaultAzureCredential"));
        error.to_string()
    };
    assert_eq!(refuse(&[], all), "every credential is left out; at least one is required");
    let required = DefaultAzureCredential::builder().require_envvar();
    let expected = "AZURE_TOKEN_CREDENTIALS is not set, which this program requires; set it to dev, prod, or the name of a credential";
    assert_eq!(refuse(&[], required.clone()), expected);
    assert_eq!(refuse(&[("AZURE_TOKEN_CREDENTIALS", "")], required.clone()), expected);
    assert!(required.build_with(&World::laptop(&[("AZURE_TOKEN_CREDENTIALS", "dev")]).platform).is_ok());
}

#[test]
fn an_identity_that_a_source_does_not_take_counts_by_who_named_it() {
    let fabric = [
        ("IDENTITY_ENDPOINT", "https://127.0.0.1:1/"),
        ("IDENTITY_HEADER", "h"),
        ("IDENTITY_SERVER_THUMBPRINT", THUMBPRINT),
    ];
    let shell = [("MSI_ENDPOINT", "http://127.0.0.1:1/")];
    for variables in [&fabric[..], &shell] {
        let by_program = DefaultAzureCredential::builder().managed_identity_client_id(ID);
        let error = by_program.build_with(&World::laptop(variables).platform).unwrap_err();
        assert_eq!((error.kind(), error.credential()), (ErrorKind::InvalidArgument, "ManagedIdentityCredential"));

        let with_id = [variables, &[("AZURE_CLIENT_ID", ID)]].concat();
        let world = World::laptop(&with_id);
        let chain = world.default();
        let (_, member) = chain.links().nth(2).unwrap();
        let error = world.get(member.unwrap().as_ref()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::CredentialUnavailable);
        assert!(error.to_string().starts_with("AZURE_CLIENT_ID: "), "{error}");

        let system = world.build(DefaultAzureCredential::builder().system_assigned_managed_identity());
        assert!(format!("{system:?}").contains("identity: None"), "{system:?}");
    }
}

#[test]
fn a_malformed_endpoint_is_not_excused_by_a_client_id() {
    let variables = [("MSI_ENDPOINT", "nowhere"), ("AZURE_CLIENT_ID", ID)];
    let error = DefaultAzureCredential::builder().build_with(&World::laptop(&variables).platform).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert!(error.to_string().contains("MSI_ENDPOINT"), "{error}");
}

#[test]
fn where_nothing_else_is_meant_managed_identity_has_all_its_patience() {
    let alone = World::laptop(&[("AZURE_TOKEN_CREDENTIALS", "ManagedIdentityCredential")]);
    let chain = alone.default();
    let error = alone.get(&chain).unwrap_err();
    assert_eq!((error.kind(), chain.context()), (ErrorKind::Transport, CallContext::Alone), "silence is no absence");
    assert!(alone.transport.count() > 1 && alone.clock.elapsed() > 3 * SILENCE);

    let in_company = World::laptop(&[("AZURE_TOKEN_CREDENTIALS", "ManagedIdentityCredential")]);
    let error =
        in_company.get(&in_company.build(DefaultAzureCredential::builder().include(ChainLink::AzureCli))).unwrap_err();
    assert_eq!((error.kind(), error.attempts().len()), (ErrorKind::CredentialUnavailable, 2));
    assert_eq!(in_company.transport.count(), 1);
}

#[test]
fn a_platform_without_programs_has_a_chain_all_the_same() {
    let clock = FakeClock::default();
    let transport = FakeTransport::new(&clock, |_| Ok(json(404, "{}")));
    let platform = platform(&clock, &transport, &FakeEnv::new(&[]));
    let chain = DefaultAzureCredential::builder().build_with(&platform).unwrap();
    let error = Sim::new(&clock).run(chain.get_token(&["s"], None)).unwrap_err();
    assert_eq!(error.to_string().matches("Credential: this platform runs no programs\n").count(), 3);
}

/// Has no token, never.
#[derive(Debug)]
struct Never;

impl TokenCredential for Never {
    fn get_token<'a>(&'a self, _: &'a [&'a str], _: Option<&'a TokenRequestOptions>) -> TokenFuture<'a> {
        TokenFuture::ready(Err(Error::new(ErrorKind::CredentialUnavailable, "never")))
    }

    // A name that another one has as well.
    fn name(&self) -> &'static str {
        "Always"
    }
}

#[test]
fn the_winner_is_known_by_itself_and_not_by_its_name() {
    let world = World::laptop(&[]);
    let builder = DefaultAzureCredential::builder()
        .replace(ChainLink::Environment, Arc::new(Never))
        .replace(ChainLink::WorkloadIdentity, Arc::new(Always));
    let chain = world.build(builder);
    world.get(&chain).unwrap();
    assert_eq!(chain.winner(), Some(ChainLink::WorkloadIdentity));
}

/// What a pod has of the webhook.
const POD: [(&str, &str); 4] = [
    ("AZURE_FEDERATED_TOKEN_FILE", "/token"),
    ("AZURE_AUTHORITY_HOST", "https://login.microsoftonline.com"),
    ("AZURE_TENANT_ID", "contoso.com"),
    ("AZURE_CLIENT_ID", ID),
];

#[test]
fn the_exchange_of_managed_identity_goes_to_the_authority_of_the_program() {
    for (host, expected) in [("login.microsoftonline.us", 1), ("login.contoso.example", 1)] {
        let clock = FakeClock::default();
        let transport = FakeTransport::new(&clock, |_| Ok(json(400, r#"{"error":"invalid_client"}"#)));
        let env = FakeEnv::new(&POD);
        env.file("/token", Ok(b"assertion"));
        let builder = DefaultAzureCredential::builder()
            .replace(ChainLink::WorkloadIdentity, Arc::new(Never))
            .authority(host)
            .disable_instance_discovery();
        let chain = builder.build_with(&platform(&clock, &transport, &env)).unwrap();
        Sim::new(&clock).run(chain.get_token(&["https://vault.azure.net/.default"], None)).unwrap_err();
        let urls: Vec<String> = transport.requests().into_iter().map(|request| request.url).collect();
        assert_eq!(urls.len(), expected, "{urls:?}");
        assert!(urls[0].starts_with(&format!("https://{host}/contoso.com/")), "{urls:?}");
    }
}

#[test]
fn managed_identity_exchanges_the_token_of_a_pod_only_where_workload_identity_is_tried() {
    let source = |builder: DefaultAzureCredentialBuilder, chosen: &str| {
        let world = World::laptop(&[&POD[..], &[("AZURE_TOKEN_CREDENTIALS", chosen)]].concat());
        let chain = world.build(builder);
        let text = format!("{:?}", chain.links().nth(2).unwrap().1.unwrap());
        if text.contains("token exchange") { "exchange" } else { "IMDS" }
    };
    let (link, builder) = (ChainLink::WorkloadIdentity, DefaultAzureCredential::builder);
    assert_eq!(source(builder(), ""), "exchange");
    assert_eq!(source(builder().exclude(link), ""), "IMDS");
    assert_eq!(source(builder().replace(link, Arc::new(Never)), ""), "exchange");
    let alone = "managedidentitycredential";
    assert_eq!(source(builder(), alone), "IMDS");
    assert_eq!(source(builder().include(link), alone), "exchange");
    assert_eq!(source(builder().replace(link, Arc::new(Never)), alone), "exchange");
}

#[test]
fn a_workload_identity_that_cannot_be_built_leads_to_nobody_else() {
    let file = ("AZURE_FEDERATED_TOKEN_FILE", "/token");
    let tenant = ("AZURE_TENANT_ID", "contoso.com");
    let build =
        |variables: &[(&str, &str)]| DefaultAzureCredential::builder().build_with(&World::laptop(variables).platform);
    let of_workload = |chain: &DefaultAzureCredential| format!("{:?}", chain.links().nth(1).unwrap().1.unwrap());
    // Who it is, is not said: it may be meant for somebody else.
    for variables in
        [&[file][..], &[file, tenant], &[file, ("AZURE_CLIENT_ID", ID)], &[file, tenant, ("AZURE_CLIENT_ID", "")]]
    {
        assert!(of_workload(&build(variables).unwrap()).ends_with("(absent)"), "{variables:?}");
    }
    // It is said, and something else is wrong.
    let region = ("AZURE_REGIONAL_AUTHORITY_NAME", "not a region");
    let error = build(&[file, tenant, ("AZURE_CLIENT_ID", ID), region]).unwrap_err();
    assert_eq!((error.kind(), error.credential()), (ErrorKind::InvalidArgument, "WorkloadIdentityCredential"));
}

#[test]
fn options_are_judged_whatever_is_tried() {
    let minute = Duration::from_secs(60);
    type Tell = fn(DefaultAzureCredentialBuilder) -> DefaultAzureCredentialBuilder;
    let told: [Tell; 7] = [
        |builder| builder.failure_memory(Duration::from_secs(61)),
        |builder| builder.process_timeout(Duration::ZERO),
        |builder| builder.authority("http://contoso.com"),
        |builder| builder.additionally_allowed_tenants(["a b"]),
        |builder| builder.workload_identity_tenant_id("../x"),
        |builder| builder.workload_identity_client_id("a b"),
        |builder| builder.managed_identity_client_id("a b"),
    ];
    for chosen in ["dev", "prod", "environmentcredential", "azureclicredential"] {
        let world = World::laptop(&[("AZURE_TOKEN_CREDENTIALS", chosen)]);
        for (index, tell) in told.iter().enumerate() {
            let error = tell(DefaultAzureCredential::builder()).build_with(&world.platform).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{chosen} {index}");
        }
        let good = DefaultAzureCredential::builder().failure_memory(minute).process_timeout(minute);
        assert!(good.build_with(&world.platform).is_ok());
    }
    let world = World::laptop(&[("AZURE_ADDITIONALLY_ALLOWED_TENANTS", "a b")]);
    let error = DefaultAzureCredential::builder().build_with(&world.platform).unwrap_err();
    assert!(error.to_string().starts_with("AZURE_ADDITIONALLY_ALLOWED_TENANTS: "), "{error}");
}

#[test]
#[cfg(unix)]
fn how_long_a_refusal_is_remembered_is_said_to_all_of_them() {
    for (memory, asked) in [(None, 1), (Some(Duration::ZERO), 2)] {
        let builder = || {
            let builder = DefaultAzureCredential::builder().retry_sources();
            match memory {
                Some(memory) => builder.failure_memory(memory),
                None => builder,
            }
        };
        let world = World::new(&[("AZURE_TOKEN_CREDENTIALS", "azureclicredential")], &["/tools/az"], silence);
        let chain = world.build(builder());
        (0..2).for_each(|_| drop(world.get(&chain).unwrap_err()));
        assert_eq!(world.processes.commands().len(), asked, "{memory:?}");

        let variables = [("IDENTITY_ENDPOINT", "http://127.0.0.1:1/"), ("IDENTITY_HEADER", "h")];
        let world = World::new(&variables, &[], |_| Ok(json(400, r#"{"error":"invalid_request"}"#)));
        let chain = world.build(builder());
        (0..2).for_each(|_| drop(world.get(&chain).unwrap_err()));
        assert_eq!(world.transport.count(), asked, "{memory:?}");
    }
}

#[test]
fn nothing_secret_is_shown() {
    let variables = [
        ("AZURE_TENANT_ID", "t"),
        ("AZURE_CLIENT_ID", ID),
        ("AZURE_CLIENT_SECRET", "canary"),
        ("AZURE_PASSWORD", "canary"),
        ("IDENTITY_ENDPOINT", "http://127.0.0.1:1/"),
        ("IDENTITY_HEADER", "canary"),
    ];
    let builder = DefaultAzureCredential::builder().authority("https://user:canary@contoso.com");
    assert!(!format!("{builder:?} {builder:#?}").contains("canary"));
    let world = World::laptop(&variables);
    let chain = world.default();
    let error = world.get(&chain).unwrap_err();
    let provider = crate::get_bearer_token_provider(Arc::new(chain.clone()), ["s"]);
    assert!(!format!("{chain:?} {chain:#?} {error:?} {error} {provider:?}").contains("canary"));
}

const ID: &str = "11111111-2222-3333-4444-555555555555";
const THUMBPRINT: &str = "0123456789ABCDEF0123456789ABCDEF01234567";
