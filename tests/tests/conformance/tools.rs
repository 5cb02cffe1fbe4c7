//! The tools of a case: which there are, what their runs come to, and how they have to be run.

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use identity_core::{
    BoxFuture, Clock as _,
    fakes::FakeClock,
    process::{Command, Output, ProcessError, Processes},
};
use serde::Deserialize;
use serde_json::Value;

use crate::case::at_once;

/// `processes.json`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tools {
    /// Their paths.
    pub(crate) programs: Vec<String>,
    /// What one run after the other comes to.
    #[serde(default)]
    pub(crate) runs: Vec<Run>,
}

/// What a run comes to.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Run {
    pub(crate) program: String,
    /// The exit code; a signal ended it if it is negative.
    #[serde(default)]
    pub(crate) code: i32,
    /// The standard output, or an object of JSON there.
    #[serde(default)]
    pub(crate) stdout: String,
    pub(crate) json: Option<Value>,
    #[serde(default)]
    pub(crate) stderr: String,
    #[serde(default)]
    pub(crate) takes_secs: f64,
    /// Whether it cannot be started.
    #[serde(default)]
    pub(crate) is_broken: bool,
}

/// A run as it must have been.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ran {
    /// When, in seconds from the start; one run for each.
    #[serde(default = "at_once")]
    pub(crate) at_secs: Vec<f64>,
    pub(crate) program: String,
    /// All of them; `*` for any one.
    pub(crate) args: Vec<String>,
    /// All that are set besides those that the process has.
    #[serde(default)]
    pub(crate) variables: BTreeMap<String, String>,
    #[serde(default = "usual_timeout")]
    pub(crate) timeout_secs: f64,
}

impl Tools {
    /// What must show nowhere of what is printed: each word with `SECRET` in it.
    pub(crate) fn secrets(&self) -> Vec<String> {
        let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        let printed = |run: &Run| [run.stdout.clone(), run.stderr.clone(), run.text()].concat();
        let printed: Vec<String> = self.runs.iter().map(printed).collect();
        let words = printed.iter().flat_map(|text| text.split(|c| !is_part(c)));
        words.filter(|word| word.contains("SECRET")).map(str::to_owned).collect()
    }
}

impl Run {
    fn text(&self) -> String {
        self.json.as_ref().map_or_else(|| self.stdout.clone(), Value::to_string)
    }

    fn output(&self) -> Result<Output, ProcessError> {
        if self.is_broken {
            return Err(ProcessError::NotStarted(io::ErrorKind::PermissionDenied.into()));
        }
        let code = (self.code >= 0).then_some(self.code);
        Ok(Output::new(code, self.text().into_bytes(), self.stderr.clone().into_bytes()))
    }
}

/// Where the tools play their parts.
#[derive(Clone, Debug)]
pub(crate) struct Stage {
    clock: FakeClock,
    programs: Vec<String>,
    play: Arc<Mutex<Play>>,
}

/// The runs that are left, and those that were so far.
#[derive(Debug, Default)]
struct Play {
    rows: VecDeque<Run>,
    ran: Vec<(Duration, Command)>,
    surplus: usize,
}

impl Stage {
    pub(crate) fn new(clock: &FakeClock, tools: &Tools) -> Self {
        let play = Play { rows: tools.runs.iter().cloned().collect(), ..Play::default() };
        Self { clock: clock.clone(), programs: tools.programs.clone(), play: Arc::new(Mutex::new(play)) }
    }

    /// What was run, and when.
    pub(crate) fn ran(&self) -> Vec<(Duration, Command)> {
        self.play.lock().unwrap().ran.clone()
    }

    /// How many runs did not happen, and how many nobody had foreseen.
    pub(crate) fn left(&self) -> (usize, usize) {
        let play = self.play.lock().unwrap();
        (play.rows.len(), play.surplus)
    }
}

impl Processes for Stage {
    fn is_executable(&self, path: &Path) -> bool {
        self.programs.iter().any(|program| Path::new(program) == path)
    }

    fn stamp(&self, _: &Path) -> Option<u64> {
        None
    }

    fn run(&self, command: Command) -> BoxFuture<'_, Result<Output, ProcessError>> {
        Box::pin(async move {
            let row = {
                let mut play = self.play.lock().unwrap();
                play.ran.push((self.clock.elapsed(), command.clone()));
                let is_next = |row: &Run| Path::new(&row.program) == command.program;
                let row = if play.rows.front().is_some_and(is_next) { play.rows.pop_front() } else { None };
                play.surplus += usize::from(row.is_none());
                row
            };
            let Some(row) = row else {
                return Err(ProcessError::Lost(io::Error::other("no run of it is left")));
            };
            let takes = Duration::from_secs_f64(row.takes_secs);
            self.clock.sleep(takes.min(command.timeout)).await;
            if takes >= command.timeout { Err(ProcessError::TimedOut) } else { row.output() }
        })
    }
}

pub(crate) fn compare_runs(expected: &[Ran], ran: &[(Duration, Command)]) -> Result<(), String> {
    let mut wanted: Vec<(f64, &Ran)> =
        expected.iter().flat_map(|one| one.at_secs.iter().map(move |at| (*at, one))).collect();
    wanted.sort_by(|one, other| one.0.total_cmp(&other.0));
    if wanted.len() != ran.len() {
        return Err(format!("{} runs, expected {}: {ran:?}", ran.len(), wanted.len()));
    }
    for ((at, expected), (time, command)) in wanted.into_iter().zip(ran) {
        if (time.as_secs_f64() - at).abs() > 0.001 {
            return Err(format!("a run at {} s, expected at {at} s: {command:?}", time.as_secs_f64()));
        }
        let variables: BTreeMap<String, String> =
            command.variables.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        let same_args = command.args.len() == expected.args.len()
            && command.args.iter().zip(&expected.args).all(|(sent, wanted)| wanted == sent || wanted == "*");
        let same = command.program == Path::new(&expected.program)
            && same_args
            && variables == expected.variables
            && (command.timeout.as_secs_f64() - expected.timeout_secs).abs() < 0.001;
        if !same {
            return Err(format!("ran {command:?}, expected {expected:?}"));
        }
        if command.directory != Path::new("/bin") || command.hidden != HIDDEN {
            return Err(format!("ran in {:?} without {:?}", command.directory, command.hidden));
        }
    }
    Ok(())
}

/// Secrets of the environment that no tool has to know.
const HIDDEN: [&str; 3] = ["AZURE_CLIENT_SECRET", "AZURE_CLIENT_CERTIFICATE_PASSWORD", "AZURE_PASSWORD"];

fn usual_timeout() -> f64 {
    10.0
}
