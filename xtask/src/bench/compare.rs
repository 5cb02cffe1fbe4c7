//! Times, memory and who waits: side by side with the official crate, for people to read. Nothing here gates.

use std::collections::BTreeMap;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::Result;
use crate::deps;
use crate::report::Report;
use crate::serve::{Answer, Server, Service};
use crate::shell::Cmd;
use crate::size;
use crate::workspace::Workspace;

use super::build;
use super::run::{Programs, Scene, Side};
use super::table::{Row, Table};

/// One situation: its name, and what is read from one side.
type Measure = fn(&Side) -> Result<Vec<Number>>;

/// What it is, its unit, the number.
type Number = (&'static str, &'static str, f64);

const SCENES: [(&str, Pace, Measure); 8] = [
    ("cached calls", Pace::Computes, cached),
    ("slow scope", Pace::Computes, slow_scope),
    ("refresh window", Pace::Waits, refresh_window),
    ("near expiry, endpoint down", Pace::Waits, near_expiry),
    ("endpoint says 500 for ever", Pace::Waits, outage),
    ("400 MB answer", Pace::Computes, flood),
    ("cold start", Pace::Computes, cold_start),
    ("cold start, client secret", Pace::Computes, cold_start_client_secret),
];

/// Whether both sides can be measured at the same time.
enum Pace {
    Computes,
    Waits,
}

const RERUN: &str = "cargo xtask bench";

pub(crate) fn run(workspace: &Workspace, programs: &Programs, table: &mut Table, report: &mut Report) {
    let Some(peer) = &programs.peer else { return };
    for (what, pace, measure) in SCENES {
        report.step(what, RERUN, || {
            let (ours, peers) = match pace {
                Pace::Computes => (measure(&programs.ours)?, measure(peer)?),
                Pace::Waits => thread::scope(|scope| {
                    let ours = scope.spawn(|| measure(&programs.ours));
                    let peers = measure(peer)?;
                    Ok::<_, String>((ours.join().map_err(|_| "a measurement panicked")??, peers))
                })?,
            };
            for ((what, unit, ours), (_, _, peer)) in ours.into_iter().zip(peers) {
                table.add(Row { what: what.to_owned(), unit, ours: Some(ours), peer: Some(peer), ..Row::default() });
            }
            Ok(String::new())
        });
    }
    report.step("weight", RERUN, || weight(workspace, table));
    report.step("clean builds", RERUN, || clean_builds(workspace, table));
}

/// The best of five on one thread and on two.
fn cached(side: &Side) -> Result<Vec<Number>> {
    let best = |threads: &str| -> Result<f64> {
        let server = Server::start(|_| Answer::good())?;
        let mut best = f64::INFINITY;
        for _ in 0..5 {
            best = best.min(Scene::run(&side.scenes, &server, &["cached", "1000000", threads])?.number("per-call")?);
        }
        Ok(best)
    };
    let (one, two) = (best("1")?, best("2")?);
    Ok(vec![
        ("cached get_token, one thread", "ns", one),
        ("cached get_token, two threads on one scope", "ns", two),
        ("cached get_token, two threads against one", "ratio", two / one),
    ])
}

fn slow_scope(side: &Side) -> Result<Vec<Number>> {
    let server = Server::start(|asked| {
        let after = Duration::from_secs(if asked.resource.contains("vault") { 5 } else { 0 });
        Answer::Token { lives: Duration::from_secs(3600), after }
    })?;
    let scene = Scene::run(&side.scenes, &server, &["slow-scope"])?;
    Ok(vec![
        ("cached scope A alone: p99", "ns", scene.number("before-p99")?),
        ("cached scope A while scope B takes 5 s: p99", "ns", scene.number("during-p99")?),
        ("cached scope A while scope B takes 5 s: longest", "ms", scene.number("during-max")? / 1e6),
    ])
}

/// Tokens that are due for a refresh seconds after they were given out, and an endpoint that takes 500 ms.
fn refresh_window(side: &Side) -> Result<Vec<Number>> {
    let server = Server::start(|asked| Answer::Token {
        lives: Duration::from_secs(304),
        after: if asked.number == 1 { Duration::ZERO } else { Duration::from_millis(500) },
    })?;
    let scene = Scene::run(&side.scenes, &server, &["refresh-window"])?;
    Ok(vec![
        ("refresh window, answer takes 500 ms, 8 tasks: calls that wait", "count", scene.number("waits")?),
        ("refresh window: longest wait", "ms", scene.number("longest")? / 1e6),
        ("refresh window: errors", "count", scene.number("errors")?),
        ("refresh window: requests in 12 s", "count", server.requests()? as f64),
    ])
}

fn near_expiry(side: &Side) -> Result<Vec<Number>> {
    let server = Server::start(|asked| match asked.number {
        1 => Answer::Token { lives: Duration::from_secs(240), after: Duration::ZERO },
        _ => Answer::Gone,
    })?;
    let scene = Scene::run(&side.scenes, &server, &["near-expiry"])?;
    Ok(vec![
        ("4 min from expiry, endpoint down: wait", "ms", scene.number("elapsed")? / 1e6),
        ("4 min from expiry, endpoint down: got the token", "0/1", scene.number("same")?),
    ])
}

fn outage(side: &Side) -> Result<Vec<Number>> {
    let server = Server::start(|_| Answer::Status(500))?;
    let scene = Scene::run(&side.scenes, &server, &["callers", "1"])?;
    Ok(vec![
        ("no token, 500 for ever: seconds to the error", "s", scene.number("elapsed")? / 1e9),
        ("no token, 500 for ever: requests", "count", server.requests()? as f64),
    ])
}

fn flood(side: &Side) -> Result<Vec<Number>> {
    let server = Server::start(|_| Answer::Flood(400 << 20))?;
    let scene = Scene::run(&side.scenes, &server, &["memory"])?;
    Ok(vec![("400 MB answer: peak memory above idle", "KiB", scene.number("peak-kib")?)])
}

fn cold_start(side: &Side) -> Result<Vec<Number>> {
    Ok(vec![("cold start, one token: wall time", "ms", wall_time(Service::AppService, &side.msi)?)])
}

fn cold_start_client_secret(side: &Side) -> Result<Vec<Number>> {
    let time = wall_time(Service::Entra, &side.client_secret)?;
    Ok(vec![("cold start, client secret, one token: wall time", "ms", time)])
}

/// Milliseconds of a process with one token: the median of 21.
fn wall_time(service: Service, program: &Path) -> Result<f64> {
    let server = Server::of(service, |_| Answer::good())?;
    let mut times = Vec::new();
    for _ in 0..21 {
        let started = Instant::now();
        server.point(Cmd::new(program)).run()?;
        times.push(started.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    Ok(times.get(times.len() / 2).copied().unwrap_or(f64::NAN))
}

fn weight(workspace: &Workspace, table: &mut Table) -> Result<String> {
    for program in &workspace.budgets.program {
        let side = |package: &Option<String>| -> Result<Option<(f64, f64)>> {
            let Some(package) = package else { return Ok(None) };
            let bytes = size::of(&workspace.build_peer(package, size::PROFILE)?)?;
            let crates = deps::third_party(&workspace.peers_manifest(), package, "normal")?;
            Ok(Some((bytes as f64, crates.len() as f64)))
        };
        let (floor, peer) = (side(&program.floor)?, side(&program.peer)?);
        let bytes = size::of(&workspace.build(&program.package, size::PROFILE)?)?;
        let crates = deps::third_party(&workspace.root.join("Cargo.toml"), &program.package, "normal")?;
        table.add(Row {
            what: format!("{}: stripped size", program.name),
            unit: "bytes",
            ours: Some(bytes as f64),
            floor: floor.map(|(bytes, _)| bytes),
            peer: peer.map(|(bytes, _)| bytes),
            target: Some(program.bytes as f64),
        });
        table.add(Row {
            what: format!("{}: third-party crates", program.name),
            unit: "count",
            ours: Some(crates.len() as f64),
            floor: floor.map(|(_, crates)| crates),
            peer: peer.map(|(_, crates)| crates),
            target: Some(program.crates as f64),
        });
    }
    Ok(String::new())
}

fn clean_builds(workspace: &Workspace, table: &mut Table) -> Result<String> {
    let root = workspace.root.join("Cargo.toml");
    // Programs share floors and peers.
    let mut known = BTreeMap::new();
    for program in &workspace.budgets.program {
        let mut side = |package: &Option<String>| -> Result<Option<f64>> {
            let Some(package) = package else { return Ok(None) };
            if !known.contains_key(package) {
                known.insert(package.clone(), build::seconds(workspace, &workspace.peers_manifest(), package)?);
            }
            Ok(known.get(package).copied())
        };
        table.add(Row {
            what: format!("{}: clean build, user and system time", program.name),
            unit: "s",
            floor: side(&program.floor)?,
            peer: side(&program.peer)?,
            ours: Some(build::seconds(workspace, &root, &program.package)?),
            target: None,
        });
    }
    Ok(String::new())
}
