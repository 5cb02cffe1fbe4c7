//! `identity emulator`.

#[cfg(unix)]
use std::process::Command;
use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    process::{Child, ChildStdout, Stdio},
};

use serde_json::Value;

#[cfg(unix)]
use crate::SCOPE;
use crate::{Files, done, program, run, token};

/// A running emulator; it ends with the test.
struct Running {
    child: Child,
    stdout: BufReader<ChildStdout>,
}

impl Running {
    fn start(arguments: &[&str]) -> Self {
        let mut command = program();
        Self::of(command.arg("emulator").args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
    }

    fn of(mut child: Child) -> Self {
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Self { child, stdout }
    }

    /// Ends it, and gives what it said on standard error.
    fn end(mut self) -> String {
        self.child.kill().unwrap();
        let mut told = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut told).unwrap();
        told
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line
    }

    /// The variables of a source, from `--output json`.
    fn variables(&mut self, source: &str) -> Vec<(String, String)> {
        let object: Value = serde_json::from_str(&self.line()).unwrap();
        let pairs = object["variables"][source].as_object().unwrap().iter();
        pairs.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
#[cfg(unix)]
fn a_shell_that_evaluates_the_lines_gets_tokens_even_with_other_variables_set() {
    let mut emulator = Running::start(&["--source", "azure-ml"]);
    let lines: String = (0..3).map(|_| emulator.line()).collect();
    assert_eq!(lines.matches("export ").count(), 2, "{lines}");
    let script = format!("{lines}\nexec \"$0\" token --scope {SCOPE}");
    let mut shell = Command::new("/bin/sh");
    shell.env_clear().env("IDENTITY_ENDPOINT", "http://127.0.0.1:9/").env("IDENTITY_HEADER", "other");
    for name in ["AZURE_FEDERATED_TOKEN_FILE", "AZURE_AUTHORITY_HOST", "AZURE_TENANT_ID", "DEFAULT_IDENTITY_CLIENT_ID"]
    {
        shell.env(name, "elsewhere");
    }
    let done = done(shell.args(["-c", &script, env!("CARGO_BIN_EXE_identity")]));
    assert!(done.stdout.contains("from Azure ML"), "{}", done.all());
}

#[test]
fn json_names_everything_that_a_script_needs() {
    let mut emulator = Running::start(&["--output", "json"]);
    let object: Value = serde_json::from_str(&emulator.line()).unwrap();
    assert_eq!(
        object["variables"].as_object().unwrap().len(),
        identity_emulator::Source::ALL.len() + 4,
        "a certificate and three ways to act for a user, too"
    );
    assert_eq!(object["identities"]["user"].as_array().unwrap().len(), 2);
    let control = object["control"].as_str().unwrap();
    let keys = object["keys_url"].as_str().unwrap();
    let path = keys.strip_prefix(control).unwrap();
    let mut stream = TcpStream::connect(control.strip_prefix("http://").unwrap()).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("\"keys\""), "{answer}");
}

#[test]
#[cfg(unix)]
fn a_shell_that_evaluates_the_lines_of_entra_gets_tokens() {
    for (source, credential) in [
        ("entra", "client-secret"),
        ("certificate", "certificate"),
        ("workload-identity", "workload-identity"),
        ("on-behalf-of", "on-behalf-of"),
        ("authorization-code", "authorization-code"),
        ("username-password", "username-password"),
    ] {
        let mut emulator = Running::start(&["--source", source]);
        let mut lines = String::new();
        while !lines.contains("\nexport no_proxy=") {
            lines.push_str(&emulator.line());
        }
        let script = format!(
            "{lines}\nexec \"$0\" token --scope {SCOPE} --credential {credential} --disable-instance-discovery"
        );
        let mut shell = Command::new("/bin/sh");
        for name in ["AZURE_CLIENT_SECRET", "AZURE_CLIENT_CERTIFICATE_PATH", "AZURE_REGIONAL_AUTHORITY_NAME"] {
            shell.env(name, "elsewhere");
        }
        // Nobody listens at port 9.
        shell.env("HTTPS_PROXY", "http://127.0.0.1:9").env("no_proxy", "example.org");
        let done = done(shell.args(["-c", &script, env!("CARGO_BIN_EXE_identity")]));
        assert_eq!(done.code, Some(0), "{source}: {}", done.all());
    }
}

#[test]
fn programs_that_act_for_users_find_what_they_need() {
    let mut emulator = Running::start(&["-o", "json"]);
    let object: Value = serde_json::from_str(&emulator.line()).unwrap();
    let value = |flow: &str, name: &str| object["variables"][flow][name].as_str().unwrap().to_owned();
    let token = fs::read_to_string(value("on-behalf-of", "IDENTITY_USER_ASSERTION_FILE")).unwrap();
    assert_eq!(token.split('.').count(), 3, "{token}");
    assert_eq!(value("on-behalf-of", "AZURE_CLIENT_ID"), identity_emulator::WEB_CLIENT_ID);
    let code = fs::read_to_string(value("authorization-code", "IDENTITY_CODE_FILE")).unwrap();
    assert!(code.starts_with("1.") && !code.contains(char::is_whitespace), "{code}");
    assert_eq!(value("authorization-code", "IDENTITY_REDIRECT_URI"), identity_emulator::WEB_REDIRECT_URI);
    assert_eq!(value("username-password", "AZURE_USERNAME"), identity_emulator::USER_NAME);
    assert_eq!(value("username-password", "AZURE_PASSWORD"), identity_emulator::USER_PASSWORD);
    let mut alone = Running::start(&["--source", "username-password", "-o", "json", "--optional-pkce"]);
    assert!(alone.variables("username-password").iter().any(|(name, _)| name == "AZURE_USERNAME"));
}

#[test]
fn files_go_where_they_are_asked_for_and_stay() {
    let files = Files::new("emulate");
    let (ca, directory) = (files.path("ca.pem"), files.path("made"));
    let mut emulator =
        Running::start(&["--source", "certificate", "-o", "json", "--ca-file", &ca, "--files", &directory]);
    let object: Value = serde_json::from_str(&emulator.line()).unwrap();
    assert_eq!(fs::read(&ca).unwrap(), fs::read(object["ca_file"].as_str().unwrap()).unwrap());
    let certificate = object["variables"]["certificate"]["AZURE_CLIENT_CERTIFICATE_PATH"].as_str().unwrap();
    assert!(certificate.starts_with(&directory), "{certificate}");
    let arguments = ["--credential", "certificate", "--certificate-path", certificate, "--ca-file", &ca];
    let authority = ["--authority", object["authority"].as_str().unwrap(), "--disable-instance-discovery"];
    let client = ["--client-id", identity_emulator::CERTIFICATE_CLIENT_ID];
    let tenant = ["--tenant-id", object["tenant_id"].as_str().unwrap()];
    let done = token(&[], &[&arguments[..], &authority, &client, &tenant].concat());
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    drop(emulator);
    assert!(fs::exists(&ca).unwrap());
    let failed = run(&["emulator", "--ca-file", &files.path("none/ca.pem")]);
    assert_eq!((failed.code, failed.stdout.as_str()), (Some(1), ""));
    assert!(failed.stderr.contains("none/ca.pem"), "{}", failed.stderr);
}

#[test]
fn a_directory_that_is_written_can_be_changed_and_used() {
    let files = Files::new("directory");
    let path = files.path("directory.toml");
    let written = run(&["emulator", "--write-directory", &path]);
    assert_eq!((written.code, written.stdout.as_str()), (Some(0), ""), "{}", written.stderr);
    let again = run(&["emulator", "--write-directory", &path]);
    assert!(again.code == Some(1) && again.stderr.contains("is there already"), "{}", again.stderr);
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace(identity_emulator::WEB_CLIENT_SECRET, "another~secret")).unwrap();
    let mut emulator = Running::start(&["--source", "entra", "-o", "json", "--directory", &path]);
    let variables = emulator.variables("entra");
    let old = files.write("secret", identity_emulator::WEB_CLIENT_SECRET);
    let first = ["--credential", "client-secret", "--disable-instance-discovery"];
    assert_eq!(token(&variables, &first).code, Some(0));
    assert_eq!(token(&variables, &[&first[..], &["--client-secret-file", &old]].concat()).code, Some(5));
    fs::write(&path, "tenants = 1").unwrap();
    let failed = run(&["emulator", "--directory", &path]);
    assert!(failed.code == Some(2) && failed.stderr.contains("directory.toml"), "{}", failed.stderr);
}

#[test]
fn files_of_somebody_else_are_never_replaced() {
    let files = Files::new("foreign");
    let foreign = files.write("ca.pem", "PRIVATE KEY of somebody");
    let directory = files.0.display().to_string();
    for arguments in [["--ca-file", &foreign], ["--files", &directory], ["--write-directory", &foreign]] {
        let failed = run(&[&["emulator"], &arguments[..]].concat());
        assert_eq!((failed.code, failed.stdout.as_str()), (Some(1), ""), "{arguments:?}");
        assert!(failed.stderr.contains("ca.pem") && failed.stderr.contains("is there already"), "{}", failed.stderr);
        assert_eq!(fs::read_to_string(&foreign).unwrap(), "PRIVATE KEY of somebody");
    }
    assert_eq!(fs::read_dir(&files.0).unwrap().count(), 1);
}

#[test]
fn a_source_that_nobody_can_use_stops_the_start() {
    let files = Files::new("nobody");
    let home = identity_emulator::TENANT_ID;
    let path = files.write("directory.toml", &format!("[[tenants]]\nid = \"{home}\"\n"));
    for (source, part) in [
        ("entra", "client secret"),
        ("certificate", "test certificate"),
        ("on-behalf-of", "client secret"),
        ("authorization-code", "redirect URI"),
        ("username-password", "public client"),
        ("workload-identity", "federated credential"),
    ] {
        let failed = run(&["emulator", "--source", source, "--directory", &path]);
        assert_eq!((failed.code, failed.stdout.as_str()), (Some(2), ""), "{source}");
        let begin = format!("error: --source {source} has nobody to sign in: ");
        assert!(failed.stderr.starts_with(&begin) && failed.stderr.contains(part), "{}", failed.stderr);
    }
    let mut emulator = Running::start(&["--directory", &path]);
    let mut lines = String::new();
    while !lines.contains("# github-actions\n# ") {
        lines.push_str(&emulator.line());
    }
    assert!(lines.contains("\n# entra\n# none: the directory has no application"), "{lines}");
    assert!(!lines.contains("AZURE_CLIENT_ID"), "{lines}");
}

#[test]
fn a_directory_that_breaks_is_told_once_and_without_secrets() {
    let files = Files::new("broken");
    let path = files.path("directory.toml");
    assert_eq!(run(&["emulator", "--write-directory", &path]).code, Some(0));
    let good = fs::read_to_string(&path).unwrap();
    let mut emulator = Running::start(&["--source", "entra", "-o", "json", "--directory", &path]);
    let variables = emulator.variables("entra");
    let ask = || token(&variables, &["--credential", "client-secret", "--disable-instance-discovery"]);
    fs::write(&path, good.replace("[[apps.secrets]]", "secrets = [\"hunter2\"]\n[[other]]")).unwrap();
    for _ in 0..2 {
        let refused = ask();
        assert_eq!(refused.code, Some(6), "{}", refused.stderr);
        assert!(refused.stderr.contains("see what the emulator says"), "{}", refused.stderr);
    }
    fs::write(&path, &good).unwrap();
    assert_eq!(ask().code, Some(0));
    let told = emulator.end();
    assert_eq!(told.matches("warning: ").count(), 1, "{told}");
    assert!(told.contains("directory.toml: line ") && told.contains("whole again"), "{told}");
    assert!(!told.contains("hunter2"), "{told}");
}

#[test]
fn strictness_and_forms_by_flag_reach_the_client() {
    let files = Files::new("flags");
    let start = |arguments: &[&str]| {
        let mut emulator = Running::start(&[&["--output", "json"], arguments].concat());
        let object: Value = serde_json::from_str(&emulator.line()).unwrap();
        (emulator, object)
    };
    let variables = |object: &Value, source: &str| -> Vec<(String, String)> {
        let pairs = object["variables"][source].as_object().unwrap().iter();
        pairs.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect()
    };
    let secret = ["--credential", "client-secret", "--disable-instance-discovery"];
    let assertion = ["--credential", "client-assertion", "--disable-instance-discovery"];

    let (_running, object) =
        start(&["--refresh-in-secs", "100", "--expires-in-as-text", "--dns-name", "westus2.localhost"]);
    let done = token(&variables(&object, "entra"), &[&secret[..], &["-o", "json"]].concat());
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    let told: Value = serde_json::from_str(&done.stdout).unwrap();
    let early = told["expires_on"].as_i64().unwrap() - told["refresh_on"].as_i64().unwrap();
    assert!((3_490..=3_500).contains(&early), "{told}");

    let (_running, object) = start(&["--loop-limit", "1"]);
    assert_eq!(token(&variables(&object, "entra"), &secret).code, Some(0));
    let refused = token(&variables(&object, "entra"), &secret);
    assert!(refused.code == Some(6) && refused.stderr.contains("429"), "{}", refused.stderr);

    let (_running, object) = start(&["--refuse-replayed-assertions", "--refuse-padded-assertions"]);
    let pod = variables(&object, "workload-identity");
    assert_eq!(token(&pod, &assertion).code, Some(0));
    let again = token(&pod, &assertion);
    assert!(again.code == Some(5) && again.stderr.contains("AADSTS50012"), "{}", again.stderr);
    let file = pod.iter().find(|(name, _)| name == "AZURE_FEDERATED_TOKEN_FILE").unwrap().1.clone();
    let padded: Vec<String> = fs::read_to_string(file)
        .unwrap()
        .split('.')
        .map(|part| format!("{part}{}", "=".repeat((4 - part.len() % 4) % 4)))
        .collect();
    assert!(padded.concat().contains('='));
    let padded = files.write("padded", &padded.join("."));
    let refused = token(&pod, &[&assertion[..], &["--assertion-file", &padded]].concat());
    assert!(refused.code == Some(5) && refused.stderr.contains("AADSTS50027"), "{}", refused.stderr);

    for wrong in [["--dns-name", "a b"], ["--loop-limit", "0"], ["--refresh-in-secs", "x"]] {
        assert_eq!(run(&[&["emulator"], &wrong[..]].concat()).code, Some(2), "{wrong:?}");
    }
}

#[test]
fn faults_by_flag_reach_the_client() {
    for (arguments, code, part) in [
        (&["--fail", "403"][..], 5, "HTTP 403"),
        (&["--throttle", "2m", "--latency", "10ms"], 6, "try again in"),
        (&["--lifetime", "2h"], 0, "in 1 h 59 min"),
    ] {
        let mut emulator = Running::start(&[&["--output", "json"], arguments].concat());
        let entra = emulator.variables("entra");
        let done = token(&entra, &["--credential", "client-secret", "--disable-instance-discovery"]);
        assert_eq!(done.code, Some(code), "{arguments:?}: {}", done.all());
        assert!(done.all().contains(part), "{arguments:?}: {}", done.all());

        let mut emulator = Running::start(&[&["--output", "json"], arguments].concat());
        let done = token(&emulator.variables("app-service"), &[]);
        assert_eq!(done.code, Some(code), "{arguments:?}: {}", done.all());
        assert!(done.all().contains(part), "{arguments:?}: {}", done.all());
    }
}

#[test]
#[cfg(unix)]
fn a_signal_ends_it_well_even_right_after_the_start() {
    for signal in ["-INT", "-TERM"] {
        let mut emulator = Running::start(&["--source", "imds", "--output", "json"]);
        emulator.line();
        let pid = emulator.child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
        assert_eq!(emulator.child.wait().unwrap().code(), Some(0), "{signal}");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_terminal_that_closes_ends_it_and_its_files_but_not_under_nohup() {
    let files = Files::new("hangup");
    let made = || fs::read_dir(&files.0).unwrap().count();
    for (trap, stays) in [("true", false), ("trap '' HUP", true)] {
        let script = format!("{trap}; exec \"$0\" emulator -o json");
        let mut shell = Command::new("/bin/sh");
        shell.env_clear().env("TMPDIR", &files.0).args(["-c", &script, env!("CARGO_BIN_EXE_identity")]);
        let child = shell.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut emulator = Running::of(child);
        let variables = emulator.variables("app-service");
        assert_eq!(made(), 1);
        let pid = emulator.child.id().to_string();
        assert!(Command::new("kill").args(["-HUP", &pid]).status().unwrap().success());
        if stays {
            assert_eq!(token(&variables, &[]).code, Some(0));
            assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        }
        assert_eq!(emulator.child.wait().unwrap().code(), Some(0), "{trap}");
        assert_eq!(made(), 0, "{trap}");
    }
}

#[test]
fn azure_arc_without_a_directory_for_its_keys_is_1_at_once() {
    // No directory can be made below a file, not even by root.
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml/tokens");
    let failed = done(program().args(["emulator", "--source", "azure-arc", "--arc-directory", file]));
    assert_eq!((failed.code, failed.stdout.as_str()), (Some(1), ""));
    for part in ["error: Azure Arc", file, "run this as root"] {
        assert!(failed.stderr.contains(part), "{part} in\n{}", failed.stderr);
    }
    // Who asks for another source is not kept from it.
    Running::start(&["--source", "imds", "--arc-directory", file, "-o", "json"]).variables("imds");
}

#[test]
fn a_port_that_is_taken_is_1_and_named() {
    let mut first = Running::start(&["--source", "imds", "--output", "json"]);
    let variables = first.variables("imds");
    let port = variables[0].1.rsplit(':').next().unwrap().to_owned();
    let done = done(program().args(["emulator", "--source", "imds", "--port", &port]));
    assert_eq!((done.code, done.stdout.as_str()), (Some(1), ""));
    assert!(done.stderr.starts_with("error: ") && done.stderr.contains(&port), "{}", done.stderr);
}
