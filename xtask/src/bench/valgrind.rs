//! Counting what a program does.

use std::path::Path;

use crate::Result;
use crate::serve::{Answer, Server};
use crate::shell::Cmd;

/// Heap use of a whole run.
#[derive(Clone, Copy)]
pub(crate) struct Heap {
    pub(crate) allocations: u64,
    pub(crate) bytes: u64,
}

/// Two run lengths: what differs is the calls.
const SHORT: u64 = 1_000;
const LONG: u64 = 11_000;

/// User-space instructions of a process that asks for one token.
pub(crate) fn cold_start(program: &Path) -> Result<u64> {
    let once = || instructions(program, &[]);
    // The least of three: address layout and hash seeds add, never take away.
    Ok(once()?.min(once()?).min(once()?))
}

/// User-space instructions of one call: a slope.
pub(crate) fn instructions_per_call(program: &Path) -> Result<f64> {
    let (short, long) = (instructions(program, &[&SHORT.to_string()])?, instructions(program, &[&LONG.to_string()])?);
    Ok(long.saturating_sub(short) as f64 / (LONG - SHORT) as f64)
}

/// Allocations and bytes of one call: a slope.
pub(crate) fn heap_per_call(program: &Path) -> Result<(f64, f64)> {
    let (short, long) = (heap(program, &[&SHORT.to_string()])?, heap(program, &[&LONG.to_string()])?);
    let calls = (LONG - SHORT) as f64;
    let allocations = long.allocations.saturating_sub(short.allocations) as f64 / calls;
    Ok((allocations, long.bytes.saturating_sub(short.bytes) as f64 / calls))
}

fn instructions(program: &Path, arguments: &[&str]) -> Result<u64> {
    let text = under(&["--tool=callgrind", "--callgrind-out-file=/dev/null"], program, arguments)?;
    number_after(&text, "Collected :").ok_or_else(|| format!("callgrind counted nothing:\n{text}"))
}

fn heap(program: &Path, arguments: &[&str]) -> Result<Heap> {
    let text = under(&["--tool=memcheck", "--leak-check=no", "--undef-value-errors=no"], program, arguments)?;
    let line = text.lines().find_map(|line| line.split_once("total heap usage:"));
    let mut numbers = line.map(|(_, rest)| rest.split(", ").map(leading_number)).into_iter().flatten();
    match (numbers.next().flatten(), numbers.nth(1).flatten()) {
        (Some(allocations), Some(bytes)) => Ok(Heap { allocations, bytes }),
        _ => Err(format!("memcheck counted nothing:\n{text}")),
    }
}

/// Runs the program under valgrind against an endpoint that answers at once; what valgrind says.
fn under(options: &[&str], program: &Path, arguments: &[&str]) -> Result<String> {
    let server = Server::start(|_| Answer::good())?;
    let command = Cmd::new("valgrind").args(options).arg(program).args(arguments);
    Ok(server.point(command).env("PATH", "/usr/bin:/bin").run()?.stderr)
}

fn number_after(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| leading_number(line.split_once(key)?.1))
}

fn leading_number(text: &str) -> Option<u64> {
    text.split_whitespace().next()?.replace(',', "").parse().ok()
}
