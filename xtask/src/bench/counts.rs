//! Exact counts. Ours are gated by budgets.toml.

use std::path::PathBuf;

use crate::Result;
use crate::report::Report;
use crate::serve::{Answer, Server, Service};
use crate::workspace::Workspace;

use super::run::{Programs, Scene, Side};
use super::table::{Row, Table, shown};
use super::valgrind;

const RERUN: &str = "cargo xtask bench --counts";
const CALLERS: [u64; 3] = [1, 1_000, 10_000];

pub(crate) fn run(workspace: &Workspace, programs: &Programs, table: &mut Table, report: &mut Report) {
    let (counts, peer) = (&workspace.budgets.counts, programs.peer.as_ref());
    let (own, chain) = (&programs.ours.cached, &programs.default_chain);
    let (service, entra) = (Service::AppService, Service::Entra);
    let allowed = (counts.cached_instructions, counts.cached_allocations);
    let msi = Cached { of: "", program: own, which: &["msi"], service, allowed };
    cached(&msi, programs, table, report);
    let allowed = (counts.client_secret_cached_instructions, counts.client_secret_cached_allocations);
    let which = &["client-secret"];
    cached(&Cached { of: ", client secret", program: own, which, service: entra, allowed }, programs, table, report);
    let allowed = (counts.azure_cli_cached_instructions, counts.azure_cli_cached_allocations);
    cached(&Cached { of: ", az", program: &programs.cli, which: &[], service, allowed }, programs, table, report);
    let allowed = (counts.default_cached_instructions, counts.default_cached_allocations);
    cached(&Cached { of: ", default chain", program: chain, which: &[], service, allowed }, programs, table, report);
    let allowed = (counts.default_client_secret_cached_instructions, counts.default_client_secret_cached_allocations);
    let of = ", default chain, client secret";
    cached(&Cached { of, program: chain, which: &[], service: entra, allowed }, programs, table, report);
    let allowed = (counts.blocking_cached_instructions, counts.blocking_cached_allocations);
    let which = &["blocking"];
    cached(&Cached { of: ", blocking", program: own, which, service, allowed }, programs, table, report);
    cold_start(Service::AppService, workspace, programs, table, report);
    cold_start(Service::Entra, workspace, programs, table, report);
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

/// Calls that find their token in memory.
struct Cached<'a> {
    /// What the table calls the credential.
    of: &'a str,
    program: &'a PathBuf,
    /// What the program calls it; nothing for a program that has one only.
    which: &'a [&'a str],
    /// What answers.
    service: Service,
    /// Instructions and allocations of one.
    allowed: (u64, u64),
}

/// What a call costs that finds its token in memory.
fn cached(what: &Cached<'_>, programs: &Programs, table: &mut Table, report: &mut Report) {
    let Cached { of, program, which, service, allowed: (instructions, allocations) } = what;
    let is_tool = **program == programs.cli;
    // The peer remembers no token of a tool, has no default chain and no calls without async.
    let has_peer = which.iter().any(|which| *which != "blocking");
    let peer = programs.peer.as_ref().filter(|_| has_peer).map(|peer| &peer.cached);
    report.step(&format!("cached get_token{of}: instructions"), RERUN, || {
        let per_call = |program: &PathBuf| valgrind::instructions_per_call(*service, program, which);
        let row = Row {
            what: format!("cached get_token{of}: instructions"),
            unit: "count",
            ours: Some(per_call(program)?),
            floor: Some(valgrind::instructions_per_call(Service::AppService, &programs.floor_cached, &[])?),
            peer: peer.map(per_call).transpose()?,
            target: Some(*instructions as f64),
        };
        gate(table, row)
    });
    report.step(&format!("cached get_token{of}: allocations"), RERUN, || {
        let per_call = |program: &PathBuf| valgrind::heap_per_call(*service, program, which);
        let (mut ours, mut ours_bytes) = per_call(program)?;
        if is_tool {
            // Once a second it is looked whether somebody else has signed in.
            (ours, ours_bytes) = (ours.round(), ours_bytes.round());
        }
        let peer = peer.map(per_call).transpose()?;
        table.add(Row {
            what: format!("cached get_token{of}: allocated"),
            unit: "bytes",
            ours: Some(ours_bytes),
            peer: peer.map(|(_, bytes)| bytes),
            ..Row::default()
        });
        let row = Row {
            what: format!("cached get_token{of}: allocations"),
            unit: "count",
            ours: Some(ours),
            floor: Some(0.0),
            peer: peer.map(|(allocations, _)| allocations),
            target: Some(*allocations as f64),
        };
        gate(table, row)
    });
}

/// What a process costs that asks for one token.
fn cold_start(service: Service, workspace: &Workspace, programs: &Programs, table: &mut Table, report: &mut Report) {
    let counts = &workspace.budgets.counts;
    let (of, floor, ratio, allowed) = match service {
        Service::AppService => ("", &programs.floor_msi, counts.cold_start_ratio, counts.requests_healthy),
        _ => {
            let (ratio, allowed) = (counts.client_secret_cold_start_ratio, counts.client_secret_requests);
            (", client secret", &programs.floor_client_secret, ratio, allowed)
        }
    };
    report.step(&format!("cold start{of}"), RERUN, || {
        let run = |side: &Side| {
            valgrind::cold_start(service, if service == Service::Entra { &side.client_secret } else { &side.msi })
        };
        let (ours, floor) = (run(&programs.ours)?, valgrind::cold_start(service, floor)?.instructions as f64);
        let peer = programs.peer.as_ref().map(run).transpose()?;
        let instructions = Row {
            what: format!("cold start{of}, one token: instructions"),
            unit: "count",
            ours: Some(ours.instructions as f64),
            floor: Some(floor),
            peer: peer.as_ref().map(|peer| peer.instructions as f64),
            target: Some((floor * ratio).floor()),
        };
        let requests = Row {
            what: format!("cold start{of}, one token: requests"),
            unit: "count",
            ours: Some(ours.requests as f64),
            floor: Some(1.0),
            peer: peer.map(|peer| peer.requests as f64),
            target: Some(allowed as f64),
        };
        let (instructions, requests) = (gate(table, instructions), gate(table, requests));
        Ok(format!("{}; requests: {}", instructions?, requests?))
    });
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
