//! `identity emulator`.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    process::{Child, ChildStdout, Command, Stdio},
};

use serde_json::Value;

use crate::{Files, SCOPE, done, program, run, token};

/// A running emulator; it ends with the test.
struct Running {
    child: Child,
    stdout: BufReader<ChildStdout>,
}

impl Running {
    fn start(arguments: &[&str]) -> Self {
        let mut child =
            program().arg("emulator").args(arguments).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Self { child, stdout }
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
        identity_emulator::Source::ALL.len() + 1,
        "certificate, too"
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
    for (source, credential) in
        [("entra", "client-secret"), ("certificate", "certificate"), ("workload-identity", "workload-identity")]
    {
        let mut emulator = Running::start(&["--source", source]);
        let mut lines = emulator.line();
        lines.extend((0..9).map(|_| emulator.line()));
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
