//! A place where stand-ins play the tools, with notes of how they were run.
//!
//! Everything is real but the tools: the platform, the search of the `PATH`, processes and their groups, pipes and signals.
//! No variable of this process is set. Credentials see those of their world; the stand-ins inherit those of this process, as
//! tools do, and find what they need in files beside them.

use std::{
    fs,
    io::Write as _,
    panic::resume_unwind,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicI64, AtomicU32, Ordering::SeqCst},
    },
    thread,
    time::{Duration, Instant, SystemTime},
};

use identity_core::{
    AccessToken, BoxFuture, CallContext, Clock, Moment, Platform, Result, TokenCredential, TokenRequestOptions,
};
use identity_tests::{Logs, Variables};
use identity_tokio::{Roots, TransportOptions};
use tokio::runtime::{Builder, Runtime};

/// The programs that are looked for.
pub(crate) const TOOLS: [&str; 3] = ["az", "azd", "pwsh"];
pub(crate) const SCOPE: &str = "https://vault.azure.net/.default";
/// How every token of these tests starts.
pub(crate) const JWT: &str = "eyJ0eXAiOi";
/// What is worth waiting for comes much sooner, but for a machine that has a lot to do.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// How soon everything of a tool is gone.
pub(crate) const GONE: Duration = Duration::from_secs(1);

/// The credential of a program, with these setters of its builder called.
macro_rules! build {
    ($tool:expr, $platform:expr $(, $setter:ident($($value:expr),*))*) => {
        match $tool {
            "az" => identity_cli::AzureCliCredential::builder()$(.$setter($($value),*))*.build_with($platform)
                .map(|it| std::sync::Arc::new(it) as std::sync::Arc<dyn identity_core::TokenCredential>),
            "azd" => identity_cli::AzureDeveloperCliCredential::builder()$(.$setter($($value),*))*.build_with($platform)
                .map(|it| std::sync::Arc::new(it) as _),
            _ => identity_cli::AzurePowerShellCredential::builder()$(.$setter($($value),*))*.build_with($platform)
                .map(|it| std::sync::Arc::new(it) as _),
        }
    };
}
pub(crate) use build;

/// A folder with the stand-ins. Fails at its end if one of them or a descendant is still there, or the log shows a token.
#[derive(Debug)]
pub(crate) struct World {
    folder: PathBuf,
    clock: Arc<Shifted>,
    production: Platform,
}

/// How a stand-in was run.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) pid: u32,
    pub(crate) directory: String,
    pub(crate) tool: String,
    pub(crate) args: Vec<String>,
}

impl World {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        Logs::of_process();
        let name = format!("world-{}-{}", std::process::id(), NEXT.fetch_add(1, SeqCst));
        let folder = fs::canonicalize(env!("CARGO_TARGET_TMPDIR")).unwrap().join(name);
        // One that failed may have left it.
        let _ = fs::remove_dir_all(&folder);
        for one in ["bin", "runs", ".azure", ".azd", ".Azure"] {
            fs::create_dir_all(folder.join(one)).unwrap();
        }
        // Turns of its own: worlds do not wait for each other.
        let production = TransportOptions::new().roots(Roots::Webpki).no_proxy().platform().unwrap();
        let clock = Arc::new(Shifted { inner: Arc::clone(production.clock()), ahead: AtomicI64::new(0) });
        let world = Self { folder, clock, production };
        for tool in TOOLS {
            world.install("bin", tool);
            world.answers(tool, "one");
        }
        world
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Puts a stand-in there. Its notes and its play are those of this world, if `folder` is one of the world's own.
    pub(crate) fn install(&self, folder: &str, tool: &str) {
        fs::create_dir_all(self.path(folder)).unwrap();
        std::os::unix::fs::symlink(stand_in(), self.path(folder).join(tool)).unwrap();
    }

    /// Tells a stand-in what to do, in the language of the shell; `$world` is the folder.
    pub(crate) fn plays(&self, tool: &str, play: &str) {
        let new = self.path(&format!("new-{tool}"));
        fs::write(&new, play).unwrap();
        fs::rename(new, self.path(&format!("play-{tool}"))).unwrap();
    }

    /// Tells a stand-in to print this account's token.
    pub(crate) fn answers(&self, tool: &str, account: &str) {
        self.plays(tool, &says(&answer(tool, account)));
    }

    /// Lets the stand-ins go on whose play waits for [`HELD`].
    pub(crate) fn release(&self) {
        fs::write(self.path("go"), "").unwrap();
    }

    /// What a credential sees: the machine's programs and files, and these variables besides the usual ones.
    pub(crate) fn platform_with(&self, more: &[(&str, &str)]) -> Platform {
        let (path, home) = (self.path("bin").display().to_string(), self.folder.display().to_string());
        let variables = [("PATH", path.as_str()), ("HOME", &home)].into_iter().chain(more.iter().copied());
        let env = Variables::new(variables.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let real = &self.production;
        Platform::new(
            Arc::clone(real.transport()),
            Arc::clone(&self.clock) as Arc<dyn Clock>,
            Arc::clone(real.random()),
            Arc::new(env),
            Arc::clone(real.runtime()),
        )
        .with_processes(Arc::clone(real.processes().unwrap()))
    }

    pub(crate) fn platform(&self) -> Platform {
        self.platform_with(&[])
    }

    pub(crate) fn credential(&self, tool: &str) -> Arc<dyn TokenCredential> {
        build!(tool, &self.platform()).unwrap()
    }

    /// Puts the time of day forward, or to that time.
    pub(crate) fn jump(&self, seconds: i64) {
        self.clock.ahead.fetch_add(seconds, SeqCst);
    }

    pub(crate) fn jump_to(&self, wall: u64) {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        self.clock.ahead.store(wall as i64 - now as i64, SeqCst);
    }

    /// Every run so far, in the order of their beginnings.
    pub(crate) fn runs(&self) -> Vec<Run> {
        let log = fs::read_to_string(self.path("log")).unwrap_or_default();
        let pids = log.lines().filter_map(|line| line.strip_prefix('+'));
        pids.map(|pid| self.run(pid)).collect()
    }

    fn run(&self, pid: &str) -> Run {
        let notes = fs::read_to_string(self.path("runs").join(pid)).unwrap();
        let mut lines = notes.lines().map(str::to_owned);
        let (tool, directory) = (lines.next().unwrap(), lines.next().unwrap());
        Run { pid: pid.parse().unwrap(), tool, directory, args: lines.collect() }
    }

    pub(crate) fn run_count(&self) -> usize {
        fs::read_to_string(self.path("log")).unwrap_or_default().matches('+').count()
    }

    pub(crate) fn wait_for_runs(&self, count: usize) {
        wait_until(PATIENCE, &|| format!("{} runs, not {count}", self.run_count()), || self.run_count() == count);
    }

    /// How many ran at the same time at most, of those whose play ends with [`DONE`].
    pub(crate) fn most_at_once(&self) -> usize {
        let (mut now, mut most) = (0_usize, 0);
        for line in fs::read_to_string(self.path("log")).unwrap().lines() {
            now = if line.starts_with('+') { now + 1 } else { now - 1 };
            most = most.max(now);
        }
        assert_eq!(now, 0);
        most
    }

    /// The processes of this world. What has ended and was not collected has neither arguments nor variables any more.
    pub(crate) fn alive(&self) -> Vec<u32> {
        let inside = format!("{}/", self.folder.display());
        let mark = format!("STAND_IN={}", self.folder.display());
        let has = |path: PathBuf, is_it: &dyn Fn(&[u8]) -> bool| {
            fs::read(path).is_ok_and(|text| text.split(|byte| *byte == 0).any(is_it))
        };
        let is_ours = |process: &Path| {
            has(process.join("cmdline"), &|arg| arg.starts_with(inside.as_bytes()))
                || has(process.join("environ"), &|variable| variable == mark.as_bytes())
        };
        let processes = fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path());
        let number = |process: &Path| process.file_name()?.to_str()?.parse().ok();
        processes.filter_map(|process| number(&process).filter(|_| is_ours(&process))).collect()
    }

    /// Waits for that many processes.
    pub(crate) fn wait_for(&self, count: usize, limit: Duration) {
        let what = || format!("{count} processes, not {:?}", self.alive());
        wait_until(limit, &what, || self.alive().len() == count);
    }

    /// The same for a test whose runtime must go on.
    pub(crate) async fn see(&self, count: usize, limit: Duration) {
        let start = Instant::now();
        while self.alive().len() != count {
            assert!(start.elapsed() < limit, "{count} processes, not {:?}", self.alive());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if thread::panicking() {
            return;
        }
        // What was left to itself would stay much longer.
        self.wait_for(0, PATIENCE);
        let log = Logs::of_process().text();
        assert!(!log.contains(JWT), "a token is in the log");
        fs::remove_dir_all(&self.folder).unwrap();
    }
}

/// The one program behind all stand-ins. Another process writes it: a file that this process has open for writing, a child of
/// another test may have open as well when it is to be run, and then it is "busy".
fn stand_in() -> &'static Path {
    static FILE: OnceLock<PathBuf> = OnceLock::new();
    FILE.get_or_init(|| {
        let folder = fs::canonicalize(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let (new, file) = (folder.join(format!("stand-in-{}", std::process::id())), folder.join("stand-in"));
        write_program(&new, SCRIPT);
        fs::rename(new, &file).unwrap();
        file
    })
}

/// Writes a program, whatever there was before.
pub(crate) fn write_program(file: &Path, text: &str) {
    let mut writer = Command::new("/bin/sh");
    writer.args(["-c", "rm -f \"$1\" && cat >\"$1\" && chmod 755 \"$1\"", "sh"]).arg(file).stdin(Stdio::piped());
    let mut writer = writer.spawn().unwrap();
    writer.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    assert!(writer.wait().unwrap().success());
}

const SCRIPT: &str = r#"#!/bin/sh
# This is no tool of Azure. It is a stand-in that replays a transcript, or what else the test has written beside it.
world=${0%/*/*} name=${0##*/}
export STAND_IN="$world"
{ printf '%s\n' "$name" "$PWD"; for arg; do printf '%s\n' "$arg"; done; } >"$world/runs/$$"
echo "+$$" >>"$world/log"
. "$world/play-$name"
"#;

/// A play that waits for [`World::release`].
pub(crate) const HELD: &str = "while ! [ -e \"$world/go\" ]; do sleep 0.02; done\n";
/// How a play ends whose end is to be counted.
pub(crate) const DONE: &str = "\necho \"-$$\" >>\"$world/log\"\n";

/// A play that prints a text without quotes.
pub(crate) fn says(text: &str) -> String {
    format!("printf '%s\\n' '{text}'")
}

/// A play that prints these texts on its outputs and ends with this code, or is killed. It starts no other program.
pub(crate) fn prints(stdout: &str, stderr: &str, code: Option<i32>) -> String {
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "'\\''"));
    let end = code.map_or("kill -KILL $$".to_owned(), |code| format!("exit {code}"));
    format!("printf %s {}; printf %s {} >&2; {end}", quoted(stdout), quoted(stderr))
}

/// What a tool prints for an account.
pub(crate) fn answer(tool: &str, account: &str) -> String {
    let token = token(account);
    match tool {
        "az" => format!(
            r#"{{"accessToken": "{token}", "expiresOn": "2098-12-31 23:00:00.000000", "expires_on": {EXPIRY}, "tokenType": "Bearer"}}"#
        ),
        "azd" => format!(r#"{{"token":"{token}","expiresOn":"2099-01-01T00:00:00Z"}}"#),
        _ => format!("azsdk%{token}%{EXPIRY}"),
    }
}

/// Its token.
pub(crate) fn token(account: &str) -> String {
    format!("{JWT}JKV1QiLCJhbGciOiJSUzI1NiJ9.{account}.c2lnbmF0dXJl")
}

/// In 2099.
const EXPIRY: u64 = 4_070_908_800;

/// A runtime as servers have it.
pub(crate) fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// Asks in a runtime of its own, as small programs have it.
pub(crate) fn get(credential: &Arc<dyn TokenCredential>) -> Result<AccessToken> {
    get_with(credential, &TokenRequestOptions::new())
}

pub(crate) fn get_with(credential: &Arc<dyn TokenCredential>, options: &TokenRequestOptions) -> Result<AccessToken> {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(credential.get_token(&[SCOPE], Some(options)))
}

/// Does this for each tool, all at the same time: most of it is waiting.
pub(crate) fn each_tool(work: impl Fn(&'static str) + Sync) {
    let work = &work;
    thread::scope(|scope| {
        let threads = TOOLS.map(|tool| scope.spawn(move || work(tool)));
        // The message is the first of them that fails, and not that one has.
        threads.into_iter().for_each(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic)));
    });
}

/// A call that a task can make.
pub(crate) fn ask(credential: &Arc<dyn TokenCredential>) -> impl Future<Output = Result<AccessToken>> + Send + 'static {
    let credential = Arc::clone(credential);
    async move { credential.get_token(&[SCOPE], None).await }
}

pub(crate) fn wait_until(limit: Duration, what: &dyn Fn() -> String, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < limit, "after {:?}: {}", start.elapsed(), what());
        thread::sleep(Duration::from_millis(5));
    }
}

/// The child is a zombie of this process: it has ended, and nobody has collected it.
pub(crate) fn is_zombie(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let mut fields = stat.rsplit(") ").next().unwrap_or_default().split(' ');
    fields.next() == Some("Z") && fields.next() == Some(std::process::id().to_string().as_str())
}

pub(crate) const CONTEXTS: [CallContext; 3] = [CallContext::Alone, CallContext::Chain, CallContext::DefaultChain];

/// The real clock with another time of day.
#[derive(Debug)]
struct Shifted {
    inner: Arc<dyn Clock>,
    /// In seconds.
    ahead: AtomicI64,
}

impl Clock for Shifted {
    fn now(&self) -> Moment {
        let (mut now, ahead) = (self.inner.now(), self.ahead.load(SeqCst));
        let by = Duration::from_secs(ahead.unsigned_abs());
        now.wall = if ahead < 0 { now.wall - by } else { now.wall + by };
        now
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        self.inner.sleep(duration)
    }
}
