//! The tools of developers: which program it would be, and its version.

use std::{
    env::split_paths,
    future::poll_fn,
    path::{Path, PathBuf},
    pin::Pin,
    task::Poll,
    time::Duration,
};

use identity::{Env, Platform};
use identity_core::process::{Command, Output, Processes};
use serde_json::Value;

use super::report::Tool;

/// All of them, their versions asked for at the same time; `None` if the platform runs no programs.
pub(super) async fn all(platform: &Platform) -> Option<Vec<Tool>> {
    let processes = platform.processes()?.as_ref();
    let env = platform.env().as_ref();
    let mut running: Vec<Pin<Box<dyn Future<Output = Tool> + Send + '_>>> = Vec::new();
    for kind in &KINDS {
        running.push(Box::pin(kind.look(env, processes)));
    }
    let mut done: Vec<Option<Tool>> = KINDS.iter().map(|_| None).collect();
    poll_fn(|cx| {
        for (future, tool) in running.iter_mut().zip(&mut done) {
            if tool.is_none()
                && let Poll::Ready(found) = future.as_mut().poll(cx)
            {
                *tool = Some(found);
            }
        }
        if done.iter().all(Option::is_some) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    Some(done.into_iter().flatten().collect())
}

/// A tool, and how it tells its version.
struct Kind {
    name: &'static str,
    /// The same names as the credential looks for, in the same order.
    programs: &'static [&'static str],
    args: &'static [&'static str],
    read: fn(&str) -> Option<String>,
}

impl Kind {
    async fn look(&self, env: &dyn Env, processes: &dyn Processes) -> Tool {
        let Some(program) = find(env, processes, self.programs) else {
            return Tool { name: self.name, program: None, version: Err("not on the PATH".to_owned()) };
        };
        let version = self.version(&program, env, processes).await;
        Tool { name: self.name, program: Some(program), version }
    }

    async fn version(&self, program: &Path, env: &dyn Env, processes: &dyn Processes) -> Result<String, String> {
        let root = || env.text("SYSTEMROOT").ok().flatten().map(PathBuf::from).filter(|root| root.is_absolute());
        let directory = if cfg!(windows) { root().ok_or("SYSTEMROOT is not set")? } else { PathBuf::from("/bin") };
        let command = Command {
            program: program.to_owned(),
            args: self.args.iter().map(ToString::to_string).collect(),
            variables: vec![("NO_COLOR", "true".to_owned()), ("POWERSHELL_UPDATECHECK", "Off".to_owned())],
            hidden: &SECRETS,
            directory,
            timeout: PATIENCE,
        };
        let output: Output = processes.run(command).await.map_err(|error| error.to_string())?;
        if output.code() != Some(0) {
            let code = output.code().map_or("a signal".to_owned(), |code| format!("exit code {code}"));
            return Err(format!("asked for its version it ended with {code}"));
        }
        let said = std::str::from_utf8(output.stdout()).unwrap_or_default();
        let is_version = |text: &String| {
            let is_good = |b: u8| b.is_ascii_alphanumeric() || b".-+".contains(&b);
            (1..=64).contains(&text.len()) && text.bytes().all(is_good)
        };
        (self.read)(said).filter(is_version).ok_or_else(|| "it does not tell its version".to_owned())
    }
}

/// The first that is on the path, as `identity-cli` looks for it: absolute directories only.
fn find(env: &dyn Env, processes: &dyn Processes, names: &[&str]) -> Option<PathBuf> {
    let path = env.var_os("PATH")?;
    let directories: Vec<PathBuf> = split_paths(&path).filter(|directory| directory.is_absolute()).collect();
    let mut candidates = names.iter().flat_map(|name| directories.iter().map(move |directory| directory.join(name)));
    candidates.find(|candidate| processes.is_executable(candidate))
}

fn field(said: &str, path: &[&str]) -> Option<String> {
    let object: Value = serde_json::from_str(said).ok().filter(|_| identity_core::json::is_shallow(said.as_bytes()))?;
    path.iter().try_fold(&object, |value, name| value.get(name))?.as_str().map(str::to_owned)
}

fn first_line(said: &str) -> Option<String> {
    said.lines().map(str::trim).find(|line| !line.is_empty()).map(str::to_owned)
}

const KINDS: [Kind; 3] = [
    Kind {
        name: "az",
        programs: if cfg!(windows) { &["az.cmd", "az.exe", "az.bat"] } else { &["az"] },
        args: &["version", "--output", "json"],
        read: |said| field(said, &["azure-cli"]),
    },
    Kind {
        name: "pwsh",
        programs: if cfg!(windows) { &["pwsh.exe", "powershell.exe"] } else { &["pwsh"] },
        args: &["-NoProfile", "-NonInteractive", "-Command", "$PSVersionTable.PSVersion.ToString()"],
        read: first_line,
    },
    Kind {
        name: "azd",
        programs: if cfg!(windows) { &["azd.exe", "azd.cmd", "azd.bat"] } else { &["azd"] },
        args: &["version", "--output", "json"],
        read: |said| field(said, &["azd", "version"]),
    },
];

/// What no program needs that is asked for its version.
const SECRETS: [&str; 5] =
    ["AZURE_CLIENT_SECRET", "AZURE_CLIENT_CERTIFICATE_PASSWORD", "AZURE_PASSWORD", "IDENTITY_HEADER", "MSI_SECRET"];

/// How long each may take. Source: our choice; `az` takes half a second once it is in memory.
const PATIENCE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_what_the_tools_print() {
        // az 2.77, azd 1.19, pwsh 7.5, as they print it.
        let az = "{\n  \"azure-cli\": \"2.77.0\",\n  \"azure-cli-core\": \"2.77.0\",\n  \"extensions\": {}\n}\n";
        let azd = "{\"azd\":{\"version\":\"1.19.0\",\"commit\":\"ab12\"}}\n";
        for (kind, said, expected) in [
            (&KINDS[0], az, Some("2.77.0")),
            (&KINDS[0], "azure-cli 2.77.0", None),
            (&KINDS[0], "{\"azure-cli\":7}", None),
            (&KINDS[1], "7.5.0\r\n", Some("7.5.0")),
            (&KINDS[1], "\n", None),
            (&KINDS[2], azd, Some("1.19.0")),
            (&KINDS[2], "", None),
        ] {
            assert_eq!((kind.read)(said).as_deref(), expected, "{said}");
        }
    }
}
