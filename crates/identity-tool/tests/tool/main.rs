//! The command as its users run it: the built program in an empty environment.
#![expect(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test says so by failing, and this one takes the time"
)]

use std::{
    fs,
    path::PathBuf,
    process::{Command, Output},
    time::Duration,
};

use identity_emulator::{Answer, Emulator, Source};

mod diagnose;
mod emulate;
mod entra;
mod explain;
mod failures;
mod kubectl;
mod proofs;
mod tokens;
#[cfg(unix)]
mod tools;

const SCOPE: &str = "https://storage.azure.com/.default";

/// What a run came to.
struct Done {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Done {
    /// The text of both streams.
    fn all(&self) -> String {
        [self.stdout.as_str(), &self.stderr].concat()
    }
}

/// A directory of a test, gone at its end.
struct Files(PathBuf);

impl Files {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("identity-tool-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    fn write(&self, name: &str, content: &str) -> String {
        fs::write(self.0.join(name), content).unwrap();
        self.path(name)
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The program, with no variables at all.
fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_identity"));
    command.env_clear();
    command
}

fn run(arguments: &[&str]) -> Done {
    done(program().args(arguments))
}

/// `identity token` for the usual scope, with these variables.
fn token(variables: &[(String, String)], arguments: &[&str]) -> Done {
    done(program().args(["token", "--scope", SCOPE]).args(arguments).envs(variables.iter().cloned()))
}

fn done(command: &mut Command) -> Done {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let done = Done { code: status.code(), stdout: text(stdout), stderr: text(stderr) };
    assert!(!done.all().contains("panicked"), "{}", done.stderr);
    assert!(!done.all().contains('\u{1b}'), "no colour where there is no terminal");
    done
}

/// An emulator that answers like this, and the variables of `source`.
fn answering(source: Source, answer: Answer) -> (Emulator, Vec<(String, String)>) {
    let builder = Emulator::builder().identity_header(CANARY).azure_ml_secret(CANARY);
    let emulator = builder.start_in_background().unwrap();
    emulator.faults().always(source, answer);
    let variables = emulator.variables(source);
    (emulator, variables)
}

/// Must never be seen.
const CANARY: &str = "canary-3f9a1c";
/// How long a program may take that has nothing to wait for.
const SOON: Duration = Duration::from_secs(5);
