//! Exact counts. Ours are gated by budgets.toml.

use crate::Result;
use crate::report::Report;
use crate::serve::{Answer, Server};
use crate::workspace::Workspace;

use super::run::{Programs, Scene, Side};
use super::table::{Row, Table, shown};
use super::valgrind;

const RERUN: &str = "cargo xtask bench --counts";
const CALLERS: [u64; 3] = [1, 1_000, 10_000];

pub(crate) fn run(workspace: &Workspace, programs: &Programs, table: &mut Table, report: &mut Report) {
    let counts = &workspace.budgets.counts;
    let peer = programs.peer.as_ref();
    report.step("cached get_token: instructions", RERUN, || {
        let row = Row {
            what: "cached get_token: instructions".to_owned(),
            unit: "count",
            ours: Some(valgrind::instructions_per_call(&programs.ours.cached)?),
            floor: Some(valgrind::instructions_per_call(&programs.floor_cached)?),
            peer: peer.map(|peer| valgrind::instructions_per_call(&peer.cached)).transpose()?,
            target: Some(counts.cached_instructions as f64),
        };
        gate(table, row)
    });
    report.step("cached get_token: allocations", RERUN, || {
        let (ours, ours_bytes) = valgrind::heap_per_call(&programs.ours.cached)?;
        let peer = peer.map(|peer| valgrind::heap_per_call(&peer.cached)).transpose()?;
        table.add(Row {
            what: "cached get_token: allocated".to_owned(),
            unit: "bytes",
            ours: Some(ours_bytes),
            peer: peer.map(|(_, bytes)| bytes),
            ..Row::default()
        });
        let row = Row {
            what: "cached get_token: allocations".to_owned(),
            unit: "count",
            ours: Some(ours),
            floor: Some(0.0),
            peer: peer.map(|(allocations, _)| allocations),
            target: Some(counts.cached_allocations as f64),
        };
        gate(table, row)
    });
    report.step("cold start: instructions", RERUN, || {
        let floor = valgrind::cold_start(&programs.floor_msi)? as f64;
        let row = Row {
            what: "cold start, one token: instructions".to_owned(),
            unit: "count",
            ours: Some(valgrind::cold_start(&programs.ours.msi)? as f64),
            floor: Some(floor),
            peer: peer.map(|peer| valgrind::cold_start(&peer.msi)).transpose()?.map(|count| count as f64),
            target: Some((floor * counts.cold_start_ratio).floor()),
        };
        gate(table, row)
    });
    for (endpoint, allowed) in [
        (Endpoint::Healthy, counts.requests_healthy),
        (Endpoint::Refuses, counts.requests_refused),
        (Endpoint::UnavailableOnce, counts.requests_unavailable_once),
    ] {
        for callers in CALLERS {
            let what = format!("{callers} callers, empty cache, endpoint {}", endpoint.name());
            report.step(&what, RERUN, || {
                let ours = Outcome::of(&programs.ours, endpoint, callers)?;
                let peer = peer.map(|peer| Outcome::of(peer, endpoint, callers)).transpose()?;
                let tokens = if endpoint == Endpoint::Refuses { 0.0 } else { callers as f64 };
                if ours.tokens != tokens || ours.distinct != 1.0 {
                    return Err(format!("{} tokens, {} different results", ours.tokens, ours.distinct));
                }
                if callers == 10_000 {
                    table.add(Row {
                        what: format!("{what}: all done after the answer"),
                        unit: "ms",
                        ours: Some(ours.done_after_ms),
                        peer: peer.as_ref().map(|peer| peer.done_after_ms),
                        ..Row::default()
                    });
                }
                let row = Row {
                    what: format!("{what}: requests"),
                    unit: "count",
                    ours: Some(ours.requests),
                    floor: None,
                    peer: peer.map(|peer| peer.requests),
                    target: Some(allowed as f64),
                };
                gate(table, row)
            });
        }
    }
}

/// Adds the row; an error if ours is above its target.
fn gate(table: &mut Table, row: Row) -> Result<String> {
    let (ours, target) = (row.ours.unwrap_or(f64::NAN), row.target.unwrap_or(f64::INFINITY));
    let floor = row.floor.map(|floor| format!(", floor {}", shown(floor))).unwrap_or_default();
    table.add(row);
    let line = format!("{} of {} allowed{floor}", shown(ours), shown(target));
    if ours <= target { Ok(line) } else { Err(line) }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Endpoint {
    Healthy,
    Refuses,
    UnavailableOnce,
}

impl Endpoint {
    fn name(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Refuses => "says 400",
            Self::UnavailableOnce => "says 503 once",
        }
    }

    fn start(self) -> Result<Server> {
        Server::start(move |asked| match self {
            Self::Healthy => Answer::good(),
            Self::Refuses => Answer::Status(400),
            Self::UnavailableOnce if asked.number == 1 => Answer::Status(503),
            Self::UnavailableOnce => Answer::good(),
        })
    }
}

/// What many callers got.
struct Outcome {
    requests: f64,
    tokens: f64,
    distinct: f64,
    done_after_ms: f64,
}

impl Outcome {
    fn of(side: &Side, endpoint: Endpoint, callers: u64) -> Result<Self> {
        let server = endpoint.start()?;
        let scene = Scene::run(&side.scenes, &server, &["callers", &callers.to_string()])?;
        let requests = server.requests()? as f64;
        let done_after_ms = ((scene.number("done-at")? - server.answered_at() as f64) / 1e6).max(0.0);
        Ok(Self { requests, tokens: scene.number("tokens")?, distinct: scene.number("distinct")?, done_after_ms })
    }
}
