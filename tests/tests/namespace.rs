//! IMDS at its real address, 169.254.169.254, in a network of our own; what the command says there, and where nobody is.
//!
//! Each test starts itself again in a new network namespace, which goes when its last process does: there is nothing
//! to clean up. That takes root, or a system that lets users have namespaces, and the program `identity`.
#![cfg(target_os = "linux")]
#![expect(clippy::disallowed_methods, reason = "starts programs and measures real time")]
#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test ends when it is not so"
)]

use std::{
    env,
    net::TcpListener,
    process::{Command, Output},
    time::{Duration, Instant},
};

use identity_emulator::{Answer, Emulator, Source};
use identity_tests::{command, skip};
use serde_json::Value;

/// IMDS answers only here.
const IMDS: &str = "169.254.169.254:80";
const LOCAL: &str = "ip link set lo up && ip address add 169.254.169.254/32 dev lo";
/// A link whose other end is down swallows what is sent to it, after nobody answered who has the address.
const BLACK_HOLE: &str = "ip link set lo up && ip link add v0 type veth peer name v1 && ip address add 10.9.9.1/24 dev v0 \
    && ip link set v1 up && ip link set v0 up && ip route add 169.254.169.254/32 dev v0";
const NO_ROUTE: &str = "ip link set lo up";

#[test]
fn the_command_gets_a_token_from_imds_at_its_real_address() {
    outside("inside::token", LOCAL);
}

#[test]
fn the_command_says_why_when_nobody_listens() {
    outside("inside::refused", LOCAL);
}

#[test]
fn the_command_says_why_when_the_address_swallows_everything() {
    outside("inside::black_hole", BLACK_HOLE);
}

#[test]
fn the_command_says_why_when_there_is_no_route() {
    outside("inside::no_route", NO_ROUTE);
}

/// Runs one of the tests below in a network that these commands set up.
fn outside(test: &str, network: &str) {
    let Some(_) = command() else {
        return skip(test, "the program identity is not built; cargo build -p identity-tool");
    };
    let unshare = |script: &str| {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--net", "sh", "-c", script, "sh"]);
        command.arg(env::current_exe().unwrap()).args(["--exact", test, "--ignored", "--nocapture"]);
        command.env(INSIDE, "1").output()
    };
    match unshare(network) {
        Ok(output) if output.status.success() => {}
        Ok(output) => return skip(test, &format!("no network of our own: {}", text(&output.stderr))),
        Err(error) => return skip(test, &format!("unshare: {error}")),
    }
    let output = unshare(&format!("{network} && exec \"$@\"")).unwrap();
    let said = text(&output.stdout) + &text(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
    println!("{said}");
}

/// What runs in the network of its own. Not tests by themselves: they do nothing elsewhere.
mod inside {
    use super::*;

    #[test]
    #[ignore = "only another test starts it, in a network of its own"]
    fn token() {
        if !is_inside() {
            return;
        }
        let emulator = Emulator::builder().imds_address(IMDS.parse().unwrap()).start_in_background().unwrap();
        assert!(emulator.variables(Source::Imds).is_empty(), "no variable is needed");
        let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
        proxy.set_nonblocking(true).unwrap();
        let proxy_url = format!("http://{}", proxy.local_addr().unwrap());
        let proxies = ["http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]
            .map(|name| (name, proxy_url.as_str()));

        let (output, took) = ask(&["--output", "json"], &proxies);
        assert!(output.status.success(), "{}", text(&output.stderr));
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(answer["credential"], "ManagedIdentityCredential");
        assert_eq!(answer["claims"]["aud"], "https://storage.azure.com");
        assert_eq!(answer["claims"]["appid"], identity_emulator::SYSTEM_CLIENT_ID);
        assert!(took < Duration::from_secs(2), "{took:?}");
        // The default is a chain: first the question whether anyone is there, which no token answers.
        let requests = emulator.requests();
        let metadata: Vec<Option<&str>> = requests.iter().map(|request| request.header("metadata")).collect();
        assert_eq!(metadata, [None, Some("true")], "{requests:?}");

        // Chosen on purpose, it is not asked whether it is there.
        emulator.clear_requests();
        let (output, _) = ask(&["--output", "token", "--credential", "managed-identity"], &proxies);
        assert!(text(&output.stdout).starts_with("eyJ"), "{}", text(&output.stderr));
        assert_eq!(emulator.request_count(None), 1);
        assert!(proxy.accept().is_err(), "a proxy was asked");

        // Something that answers, and is not IMDS.
        emulator.faults().always(Source::Imds, Answer::captive_portal());
        fails(3, Duration::from_secs(1), &["169.254.169.254", "not IMDS"]);
        // Something that takes the connection, and says nothing.
        emulator.faults().always(Source::Imds, Answer::stall());
        fails(3, Duration::from_secs(2), &["169.254.169.254"]);
    }

    #[test]
    #[ignore = "only another test starts it, in a network of its own"]
    fn refused() {
        if is_inside() {
            fails(3, Duration::from_secs(1), &["169.254.169.254", "refused"]);
        }
    }

    #[test]
    #[ignore = "only another test starts it, in a network of its own"]
    fn black_hole() {
        if is_inside() {
            // What is promised of the whole default chain where there is no tool.
            let took = fails(3, Duration::from_millis(1_500), &["169.254.169.254"]);
            assert!(took > Duration::from_millis(900), "it was no black hole: {took:?}");
        }
    }

    #[test]
    #[ignore = "only another test starts it, in a network of its own"]
    fn no_route() {
        if is_inside() {
            fails(3, Duration::from_secs(1), &["169.254.169.254", "unreachable"]);
        }
    }
}

/// The command must fail with that code within that time, and name all of these and every source.
fn fails(code: i32, within: Duration, says: &[&str]) -> Duration {
    let (output, took) = ask(&["--output", "json"], &[]);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(output.stdout.is_empty(), "{}", text(&output.stdout));
    let failure: Value = serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"));
    assert_eq!(failure["kind"], "CredentialUnavailable", "{said}");
    for word in says {
        assert!(said.contains(word), "{word}: {said}");
    }
    assert!(took < within, "{took:?}: {said}");
    // For people: why each source was not it.
    let (output, _) = ask(&["--verbose"], &[]);
    let said = text(&output.stderr);
    assert!(said.contains("\n  AzureCliCredential: the Azure CLI (az) is not on the PATH"), "{said}");
    for source in ["App Service", "Azure Arc", "Azure ML", "Cloud Shell", "Service Fabric", "IMDS"] {
        assert!(said.contains(source), "{source}: {said}");
    }
    println!("{took:?}:\n{said}");
    took
}

/// Runs `identity token` with these variables and no others.
fn ask(arguments: &[&str], variables: &[(&str, &str)]) -> (Output, Duration) {
    let mut command = Command::new(command().unwrap());
    command.args(["token", "--scope", "https://storage.azure.com/.default"]).args(arguments);
    command.env_clear().envs(variables.iter().copied());
    let start = Instant::now();
    let output = command.output().unwrap();
    (output, start.elapsed())
}

/// The program `identity`, which cargo builds beside the tests of the workspace.
fn is_inside() -> bool {
    env::var_os(INSIDE).is_some()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

const INSIDE: &str = "IDENTITY_TESTS_INSIDE";
