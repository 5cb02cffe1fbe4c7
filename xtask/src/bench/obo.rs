//! `cargo xtask bench obo`: a service that acts for a thousand users, beside the official libraries of other languages,
//! which ask the same server in the same run.

use std::path::Path;

use crate::Result;
use crate::real;
use crate::report::Report;
use crate::serve::{Answer, Server, Service};
use crate::shell::Cmd;
use crate::size::grouped;
use crate::workspace::Workspace;

use super::build::{TICKS_PER_SECOND, children};
use super::run::Scene;

const USERS: u64 = 1_000;
const AT_A_TIME: u64 = 64;
/// Through a cache for a thousand.
const CROWD: u64 = 100_000;

const RERUN: &str = "cargo xtask bench obo";

pub(crate) fn run(workspace: &Workspace, report: &mut Report) {
    report.section("bench obo: 1,000 users, 64 at a time, over TLS; CPU is user and system time of the client");
    let mut rows: Vec<(&str, Side)> = ours(workspace, report).map(|side| ("ours", side)).into_iter().collect();
    let crowd = format!("{} users, memory for 1,000 tokens", grouped(CROWD));
    report.step(&crowd, RERUN, || {
        let program = workspace.build("program-obo", "release")?;
        let server = Server::of(Service::OnBehalfOf, |_| Answer::good())?;
        let arguments = [&CROWD.to_string(), &AT_A_TIME.to_string(), "1000"].map(String::from);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let scene = Scene::run(&program, &server, &arguments)?;
        let (tenth, all) = (scene.number("kib-after-a-tenth")?, scene.number("kib-after-all")?);
        let line = format!(
            "{} requests, {} handshakes; {} KiB after a tenth, {} KiB after all",
            grouped(server.requests()?),
            server.handshakes(),
            grouped(tenth as u64),
            grouped(all as u64)
        );
        // Flat: what allocators keep back, and no more.
        let is_flat = all < tenth * 1.1 + 2_048.0;
        if server.requests()? == CROWD && is_flat { Ok(line) } else { Err(line) }
    });
    match real::programs(workspace) {
        Ok((python, modules)) => {
            report.step("Python", RERUN, || {
                let script = workspace.root.join("tests/real/python/obo.py");
                rows.push(("azure-identity, Python", Side::of(|| Cmd::new(&python).arg(&script))?));
                Ok(String::new())
            });
            report.step("JavaScript", RERUN, || {
                let script = stage(workspace, &modules)?;
                rows.push(("@azure/identity, node", Side::of(|| Cmd::new("node").arg(&script))?));
                Ok(String::new())
            });
        }
        Err(why) => report.skip("Python and JavaScript", &why),
    }
    print(&rows);
}

/// One request for each user, over no more connections than there are users at a time, and then none.
pub(super) fn ours(workspace: &Workspace, report: &mut Report) -> Option<Side> {
    let mut ours = None;
    report.step("on behalf of users", RERUN, || {
        let program = workspace.build("program-obo", "release")?;
        let side = Side::of(|| Cmd::new(&program))?;
        if side.redemptions != USERS || side.handshakes > AT_A_TIME || side.tokens != USERS as f64 {
            return Err(format!(
                "{} redemptions, {} handshakes, {} tokens",
                side.redemptions, side.handshakes, side.tokens
            ));
        }
        if side.scene.number("again-same")? != 1.0 {
            return Err("the second round brought other tokens".to_owned());
        }
        let line = format!(
            "{} users: {} redemptions, {} handshakes; second round from memory: {:.1} ms, no request",
            grouped(USERS),
            grouped(side.redemptions),
            side.handshakes,
            side.scene.number("again-elapsed")? / 1e6
        );
        ours = Some(side);
        Ok(line)
    });
    ours
}

/// node looks for modules beside the script.
fn stage(workspace: &Workspace, modules: &Path) -> Result<std::path::PathBuf> {
    let folder = modules.parent().ok_or("node_modules has no folder")?;
    let script = folder.join("obo.mjs");
    std::fs::copy(workspace.root.join("tests/real/js/obo.mjs"), &script).map_err(|error| error.to_string())?;
    Ok(script)
}

pub(super) struct Side {
    scene: Scene,
    redemptions: u64,
    handshakes: u64,
    tokens: f64,
    cpu: f64,
}

impl Side {
    fn of(program: impl Fn() -> Cmd) -> Result<Self> {
        let server = Server::of(Service::OnBehalfOf, |_| Answer::good())?;
        let before = children()?;
        let scene = Scene::of(server.point(program().args(&[&USERS.to_string(), &AT_A_TIME.to_string()])));
        let cpu = (children()? - before) as f64 / TICKS_PER_SECOND;
        // What the server did not like says more than what the program made of it.
        let (redemptions, scene) = (server.requests()?, scene?);
        let tokens = scene.number("tokens")?;
        Ok(Self { scene, redemptions, handshakes: server.handshakes(), tokens, cpu })
    }
}

fn print(rows: &[(&str, Side)]) {
    let number = |side: &Side, name: &str| side.scene.number(name).unwrap_or(f64::NAN);
    println!();
    println!(
        "{:<24} {:>11} {:>10} {:>14} {:>9} {:>9} {:>9} {:>10}",
        "", "redemptions", "handshakes", "CPU ms/redeem", "p50 ms", "p99 ms", "all s", "peak KiB"
    );
    for (name, side) in rows {
        println!(
            "{name:<24} {:>11} {:>10} {:>14.2} {:>9.1} {:>9.1} {:>9.2} {:>10}",
            side.redemptions,
            side.handshakes,
            side.cpu * 1e3 / side.redemptions as f64,
            number(side, "p50") / 1e6,
            number(side, "p99") / 1e6,
            number(side, "elapsed") / 1e9,
            grouped(number(side, "kib") as u64)
        );
    }
    println!();
}
