//! What is promised of a program that is run: what it is given, how it ends, and that nothing of it stays.
//!
//! Shell scripts play the programs. A variable marks each of them and its descendants, so that they are found wherever
//! they have gone.

#![cfg(target_os = "linux")]
#![expect(clippy::disallowed_methods, reason = "looks at processes, and waits for them in real time")]
#![expect(clippy::unwrap_used, reason = "a test ends when it is not so")]

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use identity_core::process::{AT_ONCE, Command, ERROR_LIMIT, GRACE, OUTPUT_LIMIT, ProcessError, Processes};

fn processes() -> Arc<dyn Processes> {
    Arc::clone(identity_tokio::platform().processes().unwrap())
}

/// A script and everything that it starts. Fails if anything of it is left at the end.
struct Script {
    command: Command,
    mark: String,
}

impl Script {
    fn new(text: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let mark = format!("{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let command = Command {
            program: "/bin/sh".into(),
            args: vec!["-c".into(), text.into(), "script".into()],
            variables: vec![(MARK, mark.clone())],
            hidden: &["PROGRAMS_HIDDEN"],
            directory: "/bin".into(),
            timeout: Duration::from_secs(30),
        };
        Self { command, mark }
    }

    fn within(mut self, millis: u64) -> Self {
        self.command.timeout = Duration::from_millis(millis);
        self
    }

    async fn run(&self) -> Result<(Option<i32>, String, String), ProcessError> {
        let output = processes().run(self.command.clone()).await?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok((output.code(), text(output.stdout()), text(output.stderr())))
    }

    /// Who has the mark, zombies included.
    fn alive(&self) -> Vec<u32> {
        let mark = format!("{MARK}={}", self.mark);
        let has_mark = |folder: &Path| {
            let environ = fs::read(folder.join("environ")).unwrap_or_default();
            environ.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
        };
        let number = |folder: &Path| folder.file_name()?.to_str()?.parse().ok();
        let folders = fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path());
        folders.filter(|folder| has_mark(folder)).filter_map(|folder| number(&folder)).collect()
    }

    /// Waits until that many have the mark.
    fn wait_for(&self, count: usize, limit: Duration) {
        let start = Instant::now();
        while self.alive().len() != count {
            assert!(start.elapsed() < limit, "{} live, not {count}: {:?}", self.mark, self.alive());
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        if !thread::panicking() {
            self.wait_for(0, Duration::from_secs(1));
        }
    }
}

/// Children of this process that have ended and that nobody has collected.
fn zombies() -> usize {
    let own = std::process::id().to_string();
    let is_one = |stat: &str| {
        let mut fields = stat.rsplit(") ").next().unwrap_or_default().split(' ');
        fields.next() == Some("Z") && fields.next() == Some(&own)
    };
    let stats =
        fs::read_dir("/proc").unwrap().filter_map(|entry| fs::read_to_string(entry.ok()?.path().join("stat")).ok());
    stats.filter(|stat| is_one(stat)).count()
}

fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    folder
}

#[tokio::test]
async fn a_program_gets_its_arguments_as_they_are_and_nothing_to_read() {
    let mut script = Script::new("printf '%s|' \"$0\" \"$@\"; pwd; cat; echo on >&2; exit 3");
    script.command.args.extend(["a b".into(), "$HOME; `id`".into(), "".into(), "--x=\"'".into()]);
    let (code, stdout, stderr) = script.run().await.unwrap();
    let directory = fs::canonicalize("/bin").unwrap();
    assert_eq!(code, Some(3));
    assert_eq!(stdout.split_once("'|").unwrap().0, "script|a b|$HOME; `id`||--x=\"");
    assert!(
        [Path::new("/bin"), &directory].contains(&Path::new(stdout.rsplit('|').next().unwrap().trim())),
        "{stdout}"
    );
    assert_eq!(stderr, "on\n");
}

#[tokio::test]
async fn a_program_has_the_variables_of_this_process_but_for_the_hidden_ones() {
    let mut script = Script::new("echo \"$PATH|$PROGRAMS_ADDED|${CARGO_MANIFEST_DIR-none}\"");
    script.command.variables.push(("PROGRAMS_ADDED", "x y".into()));
    script.command.hidden = &["CARGO_MANIFEST_DIR"];
    let (_, stdout, _) = script.run().await.unwrap();
    assert_eq!(stdout.trim(), format!("{}|x y|none", std::env::var("PATH").unwrap()));
}

#[tokio::test]
async fn a_program_inherits_no_descriptor() {
    let _open = (TcpListener::bind("127.0.0.1:0").unwrap(), fs::File::open("/etc/passwd").unwrap());
    let text = "cd /proc/self/fd; for one in *; do [ -e $one ] && printf '%s ' $one && readlink $one; done";
    let (_, stdout, _) = Script::new(text).run().await.unwrap();
    // What whoever started the test has left open for everyone is not ours.
    let left_open: Vec<String> = fs::read_dir("/proc/self/fdinfo")
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| !fs::read_to_string(entry.path()).unwrap_or_default().contains("flags:\t02"))
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    let rest: Vec<&str> = stdout
        .lines()
        .filter(|line| !left_open.iter().any(|number| line.split(' ').next() == Some(number.as_str())))
        .collect();
    assert!(rest.is_empty() && !stdout.contains("socket:") && !stdout.contains("passwd"), "{rest:?} {stdout}");
    assert!(stdout.starts_with("0 /dev/null\n1 pipe:"), "{stdout}");
}

#[tokio::test]
async fn what_cannot_be_started_is_told_from_what_failed() {
    for (program, directory) in [("/nonexistent/az", "/bin"), ("/etc/passwd", "/bin"), ("/bin/sh", "/nonexistent")] {
        let mut script = Script::new("exit 0");
        script.command.program = program.into();
        script.command.directory = directory.into();
        assert!(matches!(script.run().await, Err(ProcessError::NotStarted(_))), "{program} in {directory}");
    }
    let (code, ..) = Script::new("kill -KILL $$").run().await.unwrap();
    assert_eq!(code, None);
}

#[tokio::test]
async fn what_hangs_is_ended_with_its_descendants() {
    let script = Script::new("sleep 77 & sh -c 'sleep 77' & sleep 77").within(300);
    let start = Instant::now();
    assert!(matches!(script.run().await, Err(ProcessError::TimedOut)));
    assert!(start.elapsed() < Duration::from_millis(300) + GRACE, "{:?}", start.elapsed());
    script.wait_for(0, Duration::from_millis(500));
}

#[tokio::test]
async fn it_may_clean_up_but_not_for_long() {
    let file = folder("clean-up").join("lock");
    fs::write(&file, "").unwrap();
    let text = format!("trap 'rm {}; exit' TERM; sleep 77 & wait", file.display());
    let polite = Script::new(&text).within(300);
    assert!(matches!(polite.run().await, Err(ProcessError::TimedOut)));
    assert!(!file.exists());

    let stubborn = Script::new("trap '' TERM; while :; do sleep 0.1; done").within(300);
    let start = Instant::now();
    assert!(matches!(stubborn.run().await, Err(ProcessError::TimedOut)));
    let took = start.elapsed();
    assert!(took >= Duration::from_millis(300) + GRACE && took < Duration::from_millis(1300), "{took:?}");
}

#[tokio::test]
async fn a_dropped_future_kills_all_of_them_at_once() {
    let script = Script::new("trap '' TERM; sleep 77 & sh -c 'sleep 77; true' & sleep 77");
    {
        let mut run = Box::pin(script.run());
        let started = async {
            while script.alive().len() < 5 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::select! { _ = &mut run => panic!("it ended"), () = started => {} }
    }
    script.wait_for(0, Duration::from_millis(200));
    let start = Instant::now();
    while zombies() > 0 {
        assert!(start.elapsed() < Duration::from_secs(1));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[test]
fn a_runtime_that_ends_takes_its_programs_with_it() {
    let script = Arc::new(Script::new("sleep 77 & sleep 77"));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let task = Arc::clone(&script);
    runtime.spawn(async move { task.run().await.map(drop) });
    script.wait_for(3, Duration::from_secs(5));
    runtime.shutdown_background();
    script.wait_for(0, Duration::from_secs(1));
}

#[test]
fn a_runtime_without_its_drivers_starts_nothing() {
    let script = Script::new("sleep 77");
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let run = std::panic::AssertUnwindSafe(|| runtime.block_on(script.run()).map(drop));
    assert!(std::panic::catch_unwind(run).is_err());
    assert!(script.alive().is_empty());
}

#[tokio::test]
async fn a_descendant_that_holds_the_outputs_open_is_not_waited_for() {
    let script = Script::new("sleep 77 & echo token");
    let start = Instant::now();
    assert_eq!(script.run().await.unwrap(), (Some(0), "token\n".into(), String::new()));
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_descendant_that_minds_its_own_business_is_left_alone() {
    let script = Script::new("sleep 77 >/dev/null 2>&1 & echo $!");
    let start = Instant::now();
    let (_, stdout, _) = script.run().await.unwrap();
    assert!(start.elapsed() < Duration::from_millis(400), "{:?}", start.elapsed());
    assert_eq!(script.alive(), [stdout.trim().parse::<u32>().unwrap()]);
    std::process::Command::new("kill").args(["-KILL", stdout.trim()]).status().unwrap();
}

#[tokio::test]
async fn a_flood_ends_the_program() {
    for (redirect, name) in [("", "standard output"), (" >&2", "standard error")] {
        let script = Script::new(&format!("trap '' PIPE; while :; do echo xxxxxxxxxxxxxxxxxxxxxxxx{redirect}; done"));
        match script.run().await {
            Err(ProcessError::TooMuch(what)) => assert_eq!(what, name),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn both_outputs_are_read_to_their_limits_whatever_their_order() {
    let text =
        format!("head -c {ERROR_LIMIT} /dev/zero >&2; head -c {} /dev/zero; head -c 7 /dev/zero", OUTPUT_LIMIT - 7);
    let (code, stdout, stderr) = Script::new(&text).run().await.unwrap();
    assert_eq!((code, stdout.len(), stderr.len()), (Some(0), OUTPUT_LIMIT, ERROR_LIMIT));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_few_run_at_a_time_and_the_others_wait_their_turn() {
    let log = folder("turns").join("log");
    fs::write(&log, "").unwrap();
    let runs: Vec<_> = (0..3 * AT_ONCE)
        .map(|_| {
            let script = Script::new(&format!("echo + >> {0}; sleep 0.2; echo - >> {0}", log.display()));
            tokio::spawn(async move { script.run().await.map(drop) })
        })
        .collect();
    for run in runs {
        run.await.unwrap().unwrap();
    }
    let (mut now, mut most) = (0, 0);
    for line in fs::read_to_string(&log).unwrap().lines() {
        now = if line == "+" { now + 1 } else { now - 1 };
        most = most.max(now);
    }
    // Others of this test's process may have had a turn as well.
    assert!(now == 0 && (1..=AT_ONCE).contains(&most), "{now} {most}");
}

#[test]
fn a_stamp_tells_whether_a_file_was_written() {
    let (processes, file) = (processes(), folder("stamps").join("profile"));
    let stamp = || processes.stamp(&file);
    let _ = fs::remove_file(&file);
    assert_eq!(stamp(), None);
    fs::write(&file, "one").unwrap();
    let first = stamp().unwrap();
    assert_eq!(stamp(), Some(first));
    thread::sleep(Duration::from_millis(20));
    fs::write(&file, "two").unwrap();
    let second = stamp().unwrap();
    assert_ne!(first, second);
    fs::write(file.with_extension("new"), "two").unwrap();
    fs::rename(file.with_extension("new"), &file).unwrap();
    assert_ne!(stamp(), Some(second));
}

#[test]
fn programs_are_files_that_may_be_run() {
    let processes = processes();
    assert!(processes.is_executable(Path::new("/bin/sh")));
    for path in ["/bin", "/etc/passwd", "/nonexistent"] {
        assert!(!processes.is_executable(Path::new(path)), "{path}");
    }
}

const MARK: &str = "PROGRAMS_MARK";
