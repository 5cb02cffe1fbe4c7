//! What a tool gets from a process that really has all the things it should not get: this test's program once more.

use std::{
    collections::BTreeMap,
    env, fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::Command,
};

use identity_core::{CallContext, TokenRequestOptions};
use identity_tests::{Logs, find_secret, shown};

use crate::world::{JWT, SCOPE, TOOLS, World, answer, build, get, runtime, says, token};

const SECRETS: [(&str, &str); 3] = [
    ("AZURE_CLIENT_SECRET", "canary-of-the-secret"),
    ("AZURE_CLIENT_CERTIFICATE_PASSWORD", "canary-of-the-certificate"),
    ("AZURE_PASSWORD", "canary-of-the-person"),
];
/// Names the folder for what the other process found out.
const FOLDER: &str = "STAND_IN_RESULTS";

/// The other process: a service that has files and connections, and asks each tool by the platform as it is.
#[test]
fn as_another_process() {
    let Some(folder) = env::var_os(FOLDER).map(PathBuf::from) else { return };
    let _open = (TcpListener::bind("127.0.0.1:0").unwrap(), fs::File::open("/etc/passwd").unwrap());
    // What whoever started this has left open for everyone is not ours.
    let inheritable: Vec<String> = fs::read_dir("/proc/self/fdinfo")
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| !fs::read_to_string(entry.path()).unwrap_or_default().contains("flags:\t02"))
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    fs::write(folder.join("inheritable"), inheritable.join("\n")).unwrap();
    for tool in TOOLS {
        let credential = build!(tool, &identity_tokio::platform()).unwrap();
        let (result, log) = Logs::of(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(credential.get_token(&[SCOPE], None))
        });
        let outcome = match result {
            Ok(token) => token.secret().to_owned(),
            Err(error) => format!("{:?}\n{}", error.kind(), shown(&error)),
        };
        fs::write(folder.join(format!("outcome-{tool}")), outcome).unwrap();
        fs::write(folder.join(format!("log-{tool}")), format!("{log}\n{credential:?}")).unwrap();
    }
}

/// Starts it; says what came of each tool.
fn in_another_process(world: &World, directory: &Path, path: &str) -> BTreeMap<&'static str, String> {
    let mut program = Command::new(env::current_exe().unwrap());
    program.args(["--exact", "inherited::as_another_process"]).current_dir(directory);
    // What it could read is of no concern to a tool.
    fs::write(world.path("input"), "y\n").unwrap();
    program.stdin(fs::File::open(world.path("input")).unwrap());
    program.env_clear().envs(SECRETS).env("PATH", path).env("HOME", world.path("")).env(FOLDER, world.path(""));
    let output = program.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    TOOLS.map(|tool| (tool, fs::read_to_string(world.path(&format!("outcome-{tool}"))).unwrap())).into()
}

/// A play that notes all variables and descriptors.
fn notes(tool: &str) -> String {
    let descriptors =
        "cd /proc/self/fd; for one in *; do [ -e $one ] && printf \"%s \" $one && readlink $one; done; exit 0";
    let found = format!("env >\"$world/env-{tool}\"; sh -c '{descriptors}' 2>/dev/null | cat >\"$world/fds-{tool}\"");
    format!("PATH=/usr/bin:/bin\n{found}\n{}", says(&answer(tool, "one")))
}

#[test]
fn a_tool_has_no_secret_and_no_descriptor_of_ours() {
    let world = World::new();
    TOOLS.iter().for_each(|tool| world.plays(tool, &notes(tool)));
    let outcomes = in_another_process(&world, Path::new("/"), world.path("bin").to_str().unwrap());
    let read = |name: &str, tool: &str| fs::read_to_string(world.path(&format!("{name}-{tool}"))).unwrap();
    let inheritable = fs::read_to_string(world.path("inheritable")).unwrap();
    for tool in TOOLS {
        assert_eq!(outcomes[tool], token("one"));
        let variables = read("env", tool);
        // It has what it needs to find its state, and is told not to use colours.
        let no_color = if tool == "az" { "AZURE_CORE_NO_COLOR=true" } else { "NO_COLOR=true" };
        for variable in [&format!("HOME={}", world.path("").display()), no_color] {
            assert!(variables.lines().any(|line| line == variable), "{tool}: {variable} is not in {variables}");
        }
        assert!(!variables.contains("canary"), "{variables}");
        for (name, _) in SECRETS {
            assert!(!variables.contains(&format!("{name}=")), "{variables}");
        }
        let descriptors = read("fds", tool);
        assert!(descriptors.starts_with("0 /dev/null\n1 pipe:"), "{descriptors}");
        assert!(!descriptors.contains("socket:") && !descriptors.contains("passwd"), "{descriptors}");
        for line in descriptors.lines() {
            let number = line.split(' ').next().unwrap();
            assert!(inheritable.lines().any(|one| one == number), "{line} of {descriptors}");
        }
        let args = world.runs().iter().find(|run| run.tool == tool).unwrap().args.join(" ");
        let log = read("log", tool);
        assert!(log.contains("a tool is run"), "{log}");
        assert_eq!(find_secret(&format!("{args}\n{log}"), SECRETS.map(|(_, value)| value)), None);
        assert!(!log.contains(JWT), "{log}");
    }
    assert_eq!(world.run_count(), TOOLS.len());
}

#[test]
fn secrets_of_the_real_environment_are_masked_where_a_tool_says_them() {
    let world = World::new();
    // How a tool would know them is its own affair.
    let said: Vec<&str> = SECRETS.iter().map(|(_, value)| *value).collect();
    for tool in TOOLS {
        world.plays(tool, &format!("{} >&2; exit 1", says(&format!("ERROR: {}", said.join(" ")))));
    }
    for (tool, outcome) in in_another_process(&world, Path::new("/"), world.path("bin").to_str().unwrap()) {
        assert!(outcome.contains("it said: ") && outcome.contains("***"), "{outcome}");
        assert!(!outcome.contains("canary"), "{tool}: {outcome}");
    }
}

#[test]
fn what_is_planted_in_the_working_directory_never_runs() {
    // The folder that the process runs in has planted tools in it, and in folders below and beside it.
    for path in ["", ".", "./", ":", "bin", "./bin", "../planted", "../planted/bin", ".:bin::./", "~/bin", "planted"] {
        let world = World::new();
        for folder in ["planted", "planted/bin", "planted/planted", "planted/~/bin"] {
            for tool in TOOLS {
                world.install(folder, tool);
            }
        }
        // Whichever of them ran, would note it in another world than this.
        for outcome in in_another_process(&world, &world.path("planted"), path).values() {
            assert!(outcome.starts_with("CredentialUnavailable\n"), "{path:?}: {outcome}");
            assert!(outcome.contains("is not on the PATH; install"), "{path:?}: {outcome}");
        }
        // Behind it, the right one is found.
        let path = format!("{path}:{}", world.path("bin").display());
        for outcome in in_another_process(&world, &world.path("planted"), &path).values() {
            assert_eq!(*outcome, token("one"), "{path:?}");
        }
        assert_eq!(world.run_count(), TOOLS.len());
    }
}

#[test]
fn a_relative_way_to_the_right_tools_is_none_either() {
    let world = World::new();
    let here = env::current_dir().unwrap();
    let up: String = here.components().skip(1).map(|_| "../").collect();
    let relative = format!("{up}{}", world.path("bin").strip_prefix("/").unwrap().display());
    assert!(Path::new(&relative).join("az").exists());
    for tool in TOOLS {
        let credential = build!(tool, &world.platform_with(&[("PATH", &relative)])).unwrap();
        assert!(get(&credential).unwrap_err().is_unavailable());
    }
    assert_eq!(world.run_count(), 0);
}

/// What PowerShell is to run, in the order of its lines.
const SCRIPT: &str = include_str!("../../../crates/identity-cli/src/token.ps1");

#[test]
fn powershell_runs_the_same_script_whatever_is_wanted() {
    let world = World::new();
    let note = "printf %s \"$6\" | base64 -d >\"$world/script-$$\"; env >\"$world/env-$$\"\n";
    world.plays("pwsh", &format!("{note}{}", says(&answer("pwsh", "one"))));
    let long = format!("https://{}", "a".repeat(504));
    let rows = [
        (SCOPE, None, "https://vault.azure.net"),
        ("https://vault.azure.net//.default", Some("contoso.example"), "https://vault.azure.net/"),
        ("api://a_b-c.d/x", Some("11111111-1111-4111-8111-111111111111"), "api://a_b-c.d/x"),
        (&long, None, &long),
    ];
    for (scope, tenant, _) in rows {
        let mut options = TokenRequestOptions::new().with_context(CallContext::Chain);
        if let Some(tenant) = tenant {
            options = options.with_tenant_id(tenant);
        }
        runtime().block_on(world.credential("pwsh").get_token(&[scope], Some(&options))).unwrap();
    }
    let runs = world.runs();
    assert_eq!(runs.len(), rows.len());
    for (run, (_, tenant, resource)) in runs.iter().zip(rows) {
        assert_eq!(run.args, runs[0].args);
        assert_eq!(run.args[..5], ["-NoProfile", "-NonInteractive", "-OutputFormat", "Text", "-EncodedCommand"]);
        assert_eq!(run.args.len(), 6);
        let script = fs::read(world.path(&format!("script-{}", run.pid))).unwrap();
        let units: Vec<u16> = script.chunks(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
        assert_eq!(String::from_utf16(&units).unwrap(), SCRIPT);
        let variables = fs::read_to_string(world.path(&format!("env-{}", run.pid))).unwrap();
        for (name, value) in [("RESOURCE", resource), ("TENANT_ID", tenant.unwrap_or_default())] {
            let variable = format!("AZURE_IDENTITY_POWERSHELL_{name}={value}");
            assert!(variables.lines().any(|line| line == variable), "{variable}: {variables}");
        }
    }
}
