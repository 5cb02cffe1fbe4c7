//! What every credential of a tool does, on virtual time.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, SystemTime},
};

use identity_core::{
    AccessToken, CallContext, ErrorKind, Platform, Result, TokenCredential, TokenRequestOptions,
    fakes::{FakeClock, FakeEnv, FakeProcesses, FakeTransport, Sim, join_all, json, platform},
    process::{Command, Output, ProcessError},
};

use crate::{AzureCliCredential, AzureDeveloperCliCredential, AzurePowerShellCredential};

struct World {
    clock: FakeClock,
    env: FakeEnv,
    processes: FakeProcesses,
    platform: Platform,
    sim: Sim,
}

impl World {
    /// A world in which each run of a tool, counted from 0, comes to what `runner` says after half a second.
    fn new(runner: impl Fn(usize, &Command) -> Result<Output, ProcessError> + Send + Sync + 'static) -> Self {
        let clock = FakeClock::default();
        let runs = AtomicUsize::new(0);
        let programs = if cfg!(windows) {
            [r"C:\tools\az.cmd", r"C:\tools\azd.exe", r"C:\tools\pwsh.exe"]
        } else {
            ["/tools/az", "/tools/azd", "/tools/pwsh"]
        };
        let processes = FakeProcesses::new(&clock, &programs, Duration::from_millis(500), move |command| {
            runner(runs.fetch_add(1, SeqCst), command)
        });
        let transport = FakeTransport::new(&clock, |_| Ok(json(500, "{}")));
        let path = if cfg!(windows) { r"C:\bin;C:\tools" } else { "/usr/bin:/tools" };
        let home = if cfg!(windows) { "USERPROFILE" } else { "HOME" };
        let env = FakeEnv::new(&[("PATH", path), (home, "/home/ada"), ("SYSTEMROOT", r"C:\Windows")]);
        let platform = platform(&clock, &transport, &env).with_processes(Arc::new(processes.clone()));
        Self { sim: Sim::new(&clock), clock, env, processes, platform }
    }

    /// A world in which each run brings another token.
    fn good() -> Self {
        Self::new(|run, command| Ok(answer(run, command)))
    }

    fn get(&self, credential: &dyn TokenCredential, options: Option<&TokenRequestOptions>) -> Result<AccessToken> {
        self.sim.run(credential.get_token(&[SCOPE], options))
    }

    fn runs(&self) -> usize {
        self.processes.commands().len()
    }

    fn all(&self) -> [Box<dyn TokenCredential>; 3] {
        [
            Box::new(AzureCliCredential::builder().build_with(&self.platform).unwrap()),
            Box::new(AzureDeveloperCliCredential::builder().build_with(&self.platform).unwrap()),
            Box::new(AzurePowerShellCredential::builder().build_with(&self.platform).unwrap()),
        ]
    }
}

/// What a tool prints whose user is signed in: a token that says which run it came from, for an hour.
fn answer(run: usize, command: &Command) -> Output {
    let expires_on = FakeClock::START + 3600;
    let text = match command.program.file_stem().unwrap().to_str().unwrap() {
        "az" => format!(r#"{{"accessToken":"token.{run}","expires_on":{expires_on},"tokenType":"Bearer"}}"#),
        "azd" => format!(r#"{{"token":"token.{run}","expiresOn":"2026-01-01T01:00:00Z"}}"#),
        _ => format!("azsdk%token.{run}%{expires_on}\n"),
    };
    Output::new(Some(0), text.into(), Vec::new())
}

fn failure(stderr: &str) -> Output {
    Output::new(Some(1), Vec::new(), stderr.into())
}

fn options() -> TokenRequestOptions {
    TokenRequestOptions::new()
}

#[test]
fn the_command_lines_are_these() {
    let world = World::good();
    for credential in world.all() {
        let token = world.get(&*credential, None).unwrap();
        assert_eq!(token.credential(), credential.name());
        assert_eq!(token.expires_on(), SystemTime::UNIX_EPOCH + Duration::from_secs(FakeClock::START + 3600));
        world.get(&*credential, Some(&options().with_tenant_id("contoso.com"))).unwrap();
    }
    let azd = &world.all()[1];
    let claims = options().with_claims(r#"{"a":"b?>"}"#);
    world.sim.run(azd.get_token(&["https://a.net/.default", "User.Read"], Some(&claims))).unwrap();
    let commands = world.processes.commands();
    let args = |at: usize| commands[at].args.join(" ");
    assert_eq!(args(0), "account get-access-token --output json --resource https://vault.azure.net");
    assert_eq!(args(1), args(0) + " --tenant contoso.com");
    assert_eq!(args(2), "auth token --output json --no-prompt --scope https://vault.azure.net/.default");
    assert_eq!(args(3), args(2) + " --tenant-id contoso.com");
    assert_eq!(
        args(6),
        "auth token --output json --no-prompt --scope https://a.net/.default --scope User.Read --claims eyJhIjoiYj8+In0="
    );
    assert!(args(4).starts_with("-NoProfile -NonInteractive -OutputFormat Text -EncodedCommand "));
    assert_eq!(args(4), args(5));
    let variable = |at: usize, name: &str| {
        commands[at].variables.iter().find(|(key, _)| *key == name).map(|(_, value)| value.as_str())
    };
    assert_eq!(variable(0, "AZURE_CORE_NO_COLOR"), Some("true"));
    assert_eq!(variable(2, "NO_COLOR"), Some("true"));
    assert_eq!(variable(5, "AZURE_IDENTITY_POWERSHELL_RESOURCE"), Some("https://vault.azure.net"));
    assert_eq!([4, 5].map(|at| variable(at, "AZURE_IDENTITY_POWERSHELL_TENANT_ID")), [Some(""), Some("contoso.com")]);
    for command in &commands {
        assert_eq!(command.directory.to_str(), Some(if cfg!(windows) { r"C:\Windows" } else { "/bin" }));
        assert_eq!(command.timeout, Duration::from_secs(10));
        assert_eq!(command.hidden, ["AZURE_CLIENT_SECRET", "AZURE_CLIENT_CERTIFICATE_PASSWORD", "AZURE_PASSWORD"]);
    }
}

#[test]
fn the_script_of_powershell_is_plain_and_takes_nothing_in() {
    let script = include_str!("token.ps1");
    assert!(script.is_ascii() && script.matches("azsdk%").count() == 1);
    // A method call is what a constrained language mode refuses, but on few types, of which a credential is one.
    let word = |rest: &'static str| rest.find(|c: char| !c.is_ascii_alphanumeric()).map(|len| rest.split_at(len));
    let calls = script.split('.').skip(1).filter_map(word).filter(|(_, rest)| rest.starts_with('('));
    assert_eq!(calls.map(|(name, _)| name).collect::<Vec<_>>(), ["GetNetworkCredential"]);
}

#[test]
fn options_reach_the_command_line() {
    let world = World::good();
    let az = AzureCliCredential::builder()
        .subscription("My Subscription 1.0")
        .process_timeout(Duration::from_secs(90))
        .build_with(&world.platform)
        .unwrap();
    world.get(&az, None).unwrap();
    let azd = AzureDeveloperCliCredential::builder().tenant_id("own").build_with(&world.platform).unwrap();
    world.get(&azd, None).unwrap();
    // The own tenant is no other one.
    world.get(&azd, Some(&options().with_tenant_id("OWN"))).unwrap();
    let commands = world.processes.commands();
    assert_eq!(commands.len(), 2);
    assert_eq!(
        commands[0].args[4..],
        ["--resource", "https://vault.azure.net", "--subscription", "My Subscription 1.0"]
    );
    assert_eq!(commands[0].timeout, Duration::from_secs(90));
    assert_eq!(commands[1].args[7..], ["--tenant-id", "own"]);
}

#[test]
fn a_thousand_callers_share_one_run_whatever_it_comes_to() {
    for succeeds in [true, false] {
        let world = World::new(move |run, command| {
            Ok(if succeeds { answer(run, command) } else { failure("ERROR: AADSTS700016: no such application") })
        });
        for (number, credential) in world.all().iter().enumerate() {
            let outcomes = world.sim.run(join_all((0..1000).map(|_| credential.get_token(&[SCOPE], None))));
            for outcome in outcomes {
                match outcome {
                    Ok(token) => assert_eq!(token.secret(), format!("token.{number}")),
                    Err(error) => assert_eq!(error.entra_codes(), [700_016], "{error}"),
                }
            }
            assert_eq!(world.runs(), number + 1);
        }
        assert_eq!(world.clock.elapsed(), Duration::from_millis(1500));
    }
}

#[test]
fn another_sign_in_is_noticed_within_a_second() {
    for (number, file) in [
        (0, "/home/ada/.azure/azureProfile.json"),
        (1, "/home/ada/.azd/auth.json"),
        (1, "/home/ada/.azure/azureProfile.json"),
        (2, "/home/ada/.Azure/AzureRmContext.json"),
    ] {
        let world = World::good();
        let credential = &world.all()[number];
        for _ in 0..100 {
            assert_eq!(world.get(&**credential, None).unwrap().secret(), "token.0");
            world.clock.advance(Duration::from_secs(10));
        }
        world.processes.write(file);
        world.clock.advance(Duration::from_secs(1));
        assert_eq!(world.get(&**credential, None).unwrap().secret(), "token.1", "{file}");
        world.clock.advance(Duration::from_secs(10));
        assert_eq!((world.get(&**credential, None).unwrap().secret(), world.runs()), ("token.1", 2));
    }
}

#[test]
fn variables_move_the_files_that_are_looked_at() {
    for (number, variable, file) in
        [(0, "AZURE_CONFIG_DIR", "/elsewhere/azureProfile.json"), (1, "AZD_CONFIG_DIR", "/elsewhere/auth.json")]
    {
        let world = World::good();
        world.env.set(variable, "/elsewhere");
        let credential = &world.all()[number];
        world.get(&**credential, None).unwrap();
        world.processes.write(file);
        world.clock.advance(Duration::from_secs(1));
        assert_eq!(world.get(&**credential, None).unwrap().secret(), "token.1");
    }
}

#[test]
fn a_refusal_is_remembered_until_somebody_signs_in() {
    let world = World::new(|run, command| {
        Ok(if run == 0 { failure("ERROR: Please run 'az login' to setup account.") } else { answer(run, command) })
    });
    let az = &world.all()[0];
    for _ in 0..10 {
        let error = world.get(&**az, None).unwrap_err();
        assert_eq!((error.kind(), error.credential()), (ErrorKind::AuthenticationFailed, "AzureCliCredential"));
        assert_eq!(error.to_string(), "nobody is signed in to the Azure CLI (az); run `az login`");
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert_eq!(cause, "Please run 'az login' to setup account.");
    }
    assert_eq!(world.runs(), 1);
    world.processes.write("/home/ada/.azure/azureProfile.json");
    assert_eq!(world.get(&**az, None).unwrap().secret(), "token.1");
}

#[test]
fn a_failure_is_remembered_for_chains_as_well() {
    let ends: [fn() -> Result<Output, ProcessError>; 3] = [
        || Ok(failure("ERROR: Please run 'az login' to setup account.")),
        || Ok(failure("ERROR: AADSTS700016: no such application")),
        || Err(ProcessError::TimedOut),
    ];
    for end in ends {
        for context in [CallContext::Alone, CallContext::Chain, CallContext::DefaultChain] {
            let world = World::new(move |_, _| end());
            let (az, options) = (&world.all()[0], options().with_context(context));
            let kinds: Vec<_> = (0..3).map(|_| world.get(&**az, Some(&options)).unwrap_err().kind()).collect();
            assert_eq!((world.runs(), kinds[0], kinds[1]), (1, kinds[1], kinds[2]), "{context:?}");
            assert_eq!(
                kinds[0] == ErrorKind::CredentialUnavailable,
                context == CallContext::DefaultChain || {
                    context == CallContext::Chain && end().is_ok_and(|output| output.stderr().ends_with(b"account."))
                }
            );
        }
    }
}

#[test]
fn a_tool_that_came_in_its_own_way_is_run_once_more() {
    const LOST: &str = "ERROR: User 'ada' does not exist in MSAL token cache. Run `az login`.";
    for failures in [1, 2] {
        let world =
            World::new(move |run, command| Ok(if run < failures { failure(LOST) } else { answer(run, command) }));
        let az = &world.all()[0];
        let result = world.get(&**az, Some(&options().with_context(CallContext::Chain)));
        match failures {
            1 => assert_eq!(result.unwrap().secret(), "token.1"),
            _ => assert_eq!(result.unwrap_err().kind(), ErrorKind::CredentialUnavailable),
        }
        assert_eq!(world.runs(), 2);
        assert_eq!(world.clock.elapsed(), Duration::from_millis(1100), "a pause between the runs");
    }
}

#[test]
fn without_a_cache_every_call_runs_the_tool() {
    let world = World::good();
    let az = AzureCliCredential::builder().no_cache().build_with(&world.platform).unwrap();
    for number in 0..3 {
        let token = world.get(&az, None).unwrap();
        assert_eq!((token.secret(), token.credential()), (&*format!("token.{number}"), "AzureCliCredential"));
    }
    let outcomes = world.sim.run(join_all((0..5).map(|_| az.get_token(&[SCOPE], None))));
    assert_eq!((outcomes.len(), world.runs()), (5, 8));
    // Nothing is started for what cannot be asked.
    assert_eq!(world.sim.run(az.get_token(&["--help"], None)).unwrap_err().kind(), ErrorKind::InvalidArgument);
    assert_eq!(world.runs(), 8);
}

#[test]
fn challenges_name_the_command_that_answers_them() {
    let world = World::good();
    let claims = options().with_claims(r#"{"access_token":{"acrs":{"value":"c1"}}}"#).with_tenant_id("contoso.com");
    for (number, command) in [
        (
            0,
            "`az login --claims-challenge eyJhY2Nlc3NfdG9rZW4iOnsiYWNycyI6eyJ2YWx1ZSI6ImMxIn19fQ== --tenant contoso.com --scope https://vault.azure.net/.default` with Azure CLI 2.76",
        ),
        (
            2,
            "`Connect-AzAccount -ClaimsChallenge eyJhY2Nlc3NfdG9rZW4iOnsiYWNycyI6eyJ2YWx1ZSI6ImMxIn19fQ== -Tenant contoso.com` with Az.Accounts 5.2.0",
        ),
    ] {
        let credential = &world.all()[number];
        let error = world.get(&**credential, Some(&claims)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::CredentialUnavailable);
        assert!(error.to_string().contains(command), "{error}");
        assert_eq!((error.scopes(), error.claims()), (&[SCOPE.to_owned()][..], claims.claims()));
        // Before the scopes are looked at, which are not shown if they are none.
        let error = world.sim.run(credential.get_token(&["$(id)", "x"], Some(&claims))).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::CredentialUnavailable);
        assert!(!error.to_string().contains("$(id)"), "{error}");
    }
    assert_eq!(world.runs(), 0);
}

#[test]
fn what_azd_is_told_of_a_challenge_is_in_the_error() {
    let world = World::new(|_, _| Ok(failure("Error: AADSTS50158: more is needed")));
    let claims = options().with_claims(r#"{"a":1}"#);
    let error = world.get(&*world.all()[1], Some(&claims)).unwrap_err();
    assert_eq!((error.kind(), error.claims()), (ErrorKind::AuthenticationRequired, Some(r#"{"a":1}"#)));
    assert!(error.to_string().contains("run `azd auth login --scope https://vault.azure.net/.default`"), "{error}");
}

#[test]
fn what_cannot_be_asked_starts_nothing() {
    let world = World::good();
    let long = "x".repeat(600);
    for credential in world.all() {
        for scope in
            ["", "--help", "-x", "a b", "a;b", "a&b", "a|b", "$(id)", "a%b", "a^b", "a\"b", "a'b", "a\nb", "ａ", &long]
        {
            let error = world.sim.run(credential.get_token(&[scope], None)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{scope}");
        }
        for tenant in ["-", "--debug", "a/b", "../x", "a b", "a;b", "тенант", &long] {
            let error = world.get(&*credential, Some(&options().with_tenant_id(tenant))).unwrap_err();
            assert_eq!((error.kind(), error.credential()), (ErrorKind::InvalidArgument, credential.name()), "{tenant}");
        }
        for claims in ["x", "[]", "{"] {
            let error = world.get(&*credential, Some(&options().with_claims(claims))).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{claims}");
        }
        assert_eq!(world.sim.run(credential.get_token(&[], None)).unwrap_err().kind(), ErrorKind::InvalidArgument);
    }
    for credential in [&world.all()[0], &world.all()[2]] {
        let error = world.sim.run(credential.get_token(&["a", "b"], None)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    }
    assert_eq!(world.runs(), 0);
}

#[test]
fn what_cannot_be_built_is_told_at_once() {
    let world = World::good();
    let az = AzureCliCredential::builder;
    for subscription in ["", " ", "x\" & calc", "%COMSPEC%", "--only-show-errors", "a/b", "ä", &"x".repeat(129)] {
        let error = az().subscription(subscription).build_with(&world.platform).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{subscription}");
    }
    let wrong = [
        az().subscription("x").tenant_id("y"),
        az().tenant_id("--debug"),
        az().tenant_id(""),
        az().additionally_allowed_tenants(["a/b"]),
        az().process_timeout(Duration::ZERO),
        az().process_timeout(Duration::from_secs(91)),
        az().failure_memory(Duration::from_secs(61)),
    ];
    for builder in wrong {
        let shown = format!("{builder:?}");
        let error = builder.build_with(&world.platform).expect_err(&shown);
        assert_eq!((error.kind(), error.credential()), (ErrorKind::InvalidArgument, "AzureCliCredential"));
    }
    // Where a subscription is set, its tenant is the one.
    let az = az().subscription("x").build_with(&world.platform).unwrap();
    let error = world.get(&az, Some(&options().with_tenant_id("y"))).unwrap_err();
    assert_eq!((error.kind(), world.runs()), (ErrorKind::InvalidArgument, 0));
}

#[test]
fn tenants_are_those_that_are_allowed() {
    let world = World::good();
    let own = || AzureCliCredential::builder().tenant_id("own");
    let other = options().with_tenant_id("other");
    let error = world.get(&own().build_with(&world.platform).unwrap(), Some(&other)).unwrap_err();
    assert_eq!((error.kind(), world.runs()), (ErrorKind::InvalidArgument, 0));
    let allowed = own().additionally_allowed_tenants(["other"]).build_with(&world.platform).unwrap();
    world.get(&allowed, Some(&other)).unwrap();
    world.env.set("AZURE_IDENTITY_DISABLE_MULTITENANTAUTH", "1");
    world.get(&own().build_with(&world.platform).unwrap(), Some(&other)).unwrap();
    let tenants = world.processes.commands().into_iter().map(|command| command.args[7].clone());
    assert_eq!(tenants.collect::<Vec<_>>(), ["other", "own"]);
}

#[test]
fn a_tool_that_is_not_there_is_looked_for_again() {
    let world = World::good();
    let (path, program) = if cfg!(windows) { (r"C:\bin", r"C:\bin\az.cmd") } else { ("/usr/bin", "/usr/bin/az") };
    world.env.set("PATH", path);
    let names = ["the Azure CLI (az)", "the Azure Developer CLI (azd)", "Azure PowerShell"];
    for (credential, name) in world.all().iter().zip(names) {
        let error = world.get(&**credential, None).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::CredentialUnavailable);
        assert!(error.to_string().starts_with(&format!("{name} is not on the PATH; install")), "{error}");
    }
    world.processes.install(program);
    world.get(&*world.all()[0], None).unwrap();
    assert_eq!(world.processes.commands()[0].program.to_str(), Some(program));
}

#[test]
fn a_run_that_brings_nothing_is_told_by_its_end() {
    use std::io;

    type End = fn() -> Result<Output, ProcessError>;
    use ErrorKind::{CredentialUnavailable, InvalidArgument, Protocol, Transport};
    let ends: [(End, ErrorKind, &str); 7] = [
        (
            || Err(ProcessError::NotStarted(io::ErrorKind::PermissionDenied.into())),
            CredentialUnavailable,
            "cannot be started; run `",
        ),
        (
            || Err(ProcessError::NotStarted(io::ErrorKind::InvalidInput.into())),
            InvalidArgument,
            "cannot be given these arguments",
        ),
        (|| Err(ProcessError::TimedOut), Transport, "was not done within 10s and was ended; run `"),
        (|| Err(ProcessError::TooMuch("standard output")), Protocol, "more than any answer"),
        (|| Err(ProcessError::Lost(io::ErrorKind::BrokenPipe.into())), Transport, "was lost"),
        (|| Ok(Output::new(None, Vec::new(), Vec::new())), Transport, "it was killed; try again"),
        (|| Ok(Output::new(Some(0), b"nonsense".to_vec(), Vec::new())), Protocol, "it printed: nonsense"),
    ];
    for (end, kind, words) in ends {
        let world = World::new(move |_, _| end());
        for context in [CallContext::Alone, CallContext::DefaultChain] {
            for credential in world.all() {
                let error = world.get(&*credential, Some(&options().with_context(context))).unwrap_err();
                let goes_on = context == CallContext::DefaultChain && kind != InvalidArgument;
                assert_eq!(error.kind(), if goes_on { CredentialUnavailable } else { kind }, "{error}");
                assert!(error.to_string().contains(words), "{error}");
            }
        }
    }
}

#[test]
fn a_slow_tool_is_ended_and_no_more_than_its_time_is_waited() {
    let world = World::good();
    let builder = AzureCliCredential::builder().process_timeout(Duration::from_millis(400));
    let az = builder.build_with(&world.platform).unwrap();
    assert_eq!(world.get(&az, None).unwrap_err().kind(), ErrorKind::Transport);
    assert_eq!((world.clock.elapsed(), world.processes.active().0), (Duration::from_millis(400), 0));
}

#[test]
fn tokens_that_are_none_or_have_expired_are_refused() {
    for (token, expires_on) in [
        ("", "9999999999"),
        ("a b", "9999999999"),
        ("a\\u0000", "9999999999"),
        ("a", "1767225599"),
        ("a", "0"),
        ("a", "-1"),
    ] {
        let text = format!(r#"{{"accessToken":"{token}","expires_on":{expires_on}}}"#);
        let world = World::new(move |_, _| Ok(Output::new(Some(0), text.clone().into(), Vec::new())));
        let error = world.get(&*world.all()[0], None).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol, "{token:?} {expires_on}: {error}");
    }
    // The time of day of this place is no time.
    let local = r#"{"accessToken":"a","expiresOn":"2026-01-01 01:00:00.000000"}"#;
    let world = World::new(|_, _| Ok(Output::new(Some(0), local.into(), Vec::new())));
    let error = world.get(&*world.all()[0], None).unwrap_err();
    assert!(error.kind() == ErrorKind::Protocol && error.to_string().contains("2.54.0"), "{error}");
}

#[test]
fn secrets_of_this_process_are_not_shown_when_a_tool_prints_them() {
    let world = World::new(|_, _| {
        Ok(failure("ERROR: login with canary-secret-1 failed, eyJhbGciOiJSUzI1NiJ9.canary-secret-2"))
    });
    world.env.set("AZURE_CLIENT_SECRET", "canary-secret-1");
    for credential in world.all() {
        let error = world.get(&*credential, None).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}");
        assert!(error.to_string().contains("login with *** failed"), "{error}");
    }
}

#[test]
fn outside_a_runtime_and_without_programs_there_is_an_error() {
    let world = World::good();
    let az = AzureCliCredential::builder().no_cache().build_with(&world.platform).unwrap();
    let mut call = Box::pin(az.get_token(&[SCOPE], None));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match call.as_mut().poll(&mut context) {
        std::task::Poll::Ready(Err(error)) => assert_eq!(error.kind(), ErrorKind::InvalidArgument),
        other => panic!("{other:?}"),
    }
    let transport = FakeTransport::new(&world.clock, |_| Ok(json(500, "{}")));
    let bare = platform(&world.clock, &transport, &world.env);
    let error = AzureCliCredential::builder().build_with(&bare).unwrap_err();
    assert!(error.kind() == ErrorKind::InvalidArgument && error.to_string().contains("`process`"), "{error}");
}

/// Facts that the compiler checks.
const _: () = {
    const fn credential<T: TokenCredential + Clone + 'static>() {
        assert!(size_of::<T>() == size_of::<usize>());
    }
    credential::<AzureCliCredential>();
    credential::<AzureDeveloperCliCredential>();
    credential::<AzurePowerShellCredential>();
};

const SCOPE: &str = "https://vault.azure.net/.default";
