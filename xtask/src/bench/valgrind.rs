//! Counting what a program does.

use std::path::Path;
use std::{fs, io};

use crate::Result;
use crate::serve::{Answer, Server, Service};
use crate::shell::Cmd;

/// Heap use of a whole run.
#[derive(Clone, Copy)]
pub(crate) struct Heap {
    pub(crate) allocations: u64,
    pub(crate) bytes: u64,
}

/// Two run lengths: what differs is the calls, so many that what differs by chance, as a handshake does, is less than
/// an instruction of each.
const SHORT: u64 = 1_000;
const LONG: u64 = 201_000;

/// Allocations by which two whole runs may differ, since threads meet otherwise; no call's.
const STRAY: u64 = 16;

/// A process that asked a service for one token.
pub(crate) struct ColdStart {
    /// In user space.
    pub(crate) instructions: u64,
    /// All of them as the service wants them.
    pub(crate) requests: u64,
}

pub(crate) fn cold_start(service: Service, program: &Path) -> Result<ColdStart> {
    let once = || -> Result<ColdStart> {
        let server = Server::of(service, |_| Answer::good())?;
        let instructions = instructions(&server, program, &[])?;
        Ok(ColdStart { instructions, requests: server.requests()? })
    };
    // The least of three: address layout, hash seeds and random numbers add, never take away.
    let runs = [once()?, once()?, once()?];
    let requests = runs.iter().map(|run| run.requests).max().unwrap_or_default();
    let instructions = runs.iter().map(|run| run.instructions).min().unwrap_or_default();
    Ok(ColdStart { instructions, requests })
}

/// User-space instructions of one call: a slope.
pub(crate) fn instructions_per_call(service: Service, program: &Path, arguments: &[&str]) -> Result<f64> {
    let (short, long) = (
        calls(SHORT, service, program, arguments, instructions)?,
        calls(LONG, service, program, arguments, instructions)?,
    );
    Ok(long.saturating_sub(short) as f64 / (LONG - SHORT) as f64)
}

/// Allocations and bytes of one call: a slope.
pub(crate) fn heap_per_call(service: Service, program: &Path, arguments: &[&str]) -> Result<(f64, f64)> {
    let (short, long) =
        (calls(SHORT, service, program, arguments, heap)?, calls(LONG, service, program, arguments, heap)?);
    let calls = (LONG - SHORT) as f64;
    let more = long.allocations.saturating_sub(short.allocations);
    let allocations = if more <= STRAY { 0.0 } else { more as f64 / calls };
    Ok((allocations, long.bytes.saturating_sub(short.bytes) as f64 / calls))
}

/// What a program costs that makes so many calls; its arguments name the credential first.
fn calls<T>(
    number: u64,
    service: Service,
    program: &Path,
    arguments: &[&str],
    measure: fn(&Server, &Path, &[&str]) -> Result<T>,
) -> Result<T> {
    let server = Server::of(service, |_| Answer::good())?;
    measure(&server, program, &[arguments, &[&number.to_string()]].concat())
}

fn instructions(server: &Server, program: &Path, arguments: &[&str]) -> Result<u64> {
    let text = under(server, &["--tool=callgrind", "--callgrind-out-file=/dev/null"], program, arguments)?;
    number_after(&text, "Collected :").ok_or_else(|| format!("callgrind counted nothing:\n{text}"))
}

fn heap(server: &Server, program: &Path, arguments: &[&str]) -> Result<Heap> {
    let text = under(server, &["--tool=memcheck", "--leak-check=no", "--undef-value-errors=no"], program, arguments)?;
    let line = text.lines().find_map(|line| line.split_once("total heap usage:"));
    let mut numbers = line.map(|(_, rest)| rest.split(", ").map(leading_number)).into_iter().flatten();
    match (numbers.next().flatten(), numbers.nth(1).flatten()) {
        (Some(allocations), Some(bytes)) => Ok(Heap { allocations, bytes }),
        _ => Err(format!("memcheck counted nothing:\n{text}")),
    }
}

/// Runs the program under valgrind; what valgrind says.
fn under(server: &Server, options: &[&str], program: &Path, arguments: &[&str]) -> Result<String> {
    let command = Cmd::new("valgrind").args(options).arg(program).args(arguments);
    let path = match program.parent().filter(|_| program.ends_with("program-cli")) {
        Some(folder) => format!("{}:/usr/bin:/bin", stand_in(folder)?),
        None => "/usr/bin:/bin".to_owned(),
    };
    Ok(server.point(command).env("PATH", path).run()?.stderr)
}

/// A folder with a program in place of `az`, that prints a token as `az` does.
fn stand_in(folder: &Path) -> Result<String> {
    let folder = folder.join("stand-in");
    let script = "#!/bin/sh\nprintf '{\"accessToken\":\"a.b.c\",\"expires_on\":%s,\"tokenType\":\"Bearer\"}' $(($(date +%s) + 3600))\n";
    let failed = |error: io::Error| format!("{}: {error}", folder.display());
    fs::create_dir_all(&folder).map_err(failed)?;
    let az = folder.join("az");
    fs::write(&az, script).map_err(failed)?;
    Cmd::new("chmod").args(&["755"]).arg(&az).run()?;
    Ok(folder.display().to_string())
}

fn number_after(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| leading_number(line.split_once(key)?.1))
}

fn leading_number(text: &str) -> Option<u64> {
    text.split_whitespace().next()?.replace(',', "").parse().ok()
}
