//! What a clean build costs: processor seconds, which other work on the machine changes less than wall time.

use std::fs;
use std::path::Path;

use crate::Result;
use crate::shell::Cmd;
use crate::size::PROFILE;
use crate::workspace::Workspace;

/// User and system seconds of building a program from nothing.
pub(crate) fn seconds(workspace: &Workspace, manifest: &Path, package: &str) -> Result<f64> {
    let folder = workspace.target.join("clean-build");
    let clean = || match fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(format!("{}: {error}", folder.display())),
        _ => Ok(()),
    };
    clean()?;
    let before = children()?;
    Cmd::cargo(&["build", "--locked", "--package", package, "--profile", PROFILE, "--manifest-path"])
        .arg(manifest)
        .env("CARGO_TARGET_DIR", &folder)
        .run()?;
    let after = children()?;
    clean()?;
    Ok((after - before) as f64 / TICKS_PER_SECOND)
}

/// Processor time of all programs that we have started and that have ended, in ticks.
pub(super) fn children() -> Result<u64> {
    let stat = fs::read_to_string("/proc/self/stat").map_err(|error| format!("/proc/self/stat: {error}"))?;
    // The name in brackets may hold anything; `cutime` and `cstime` are the 14th and 15th field behind it.
    let fields = stat.rsplit_once(')').map(|(_, rest)| rest.split_whitespace()).ok_or("/proc/self/stat")?;
    let numbers: Vec<u64> = fields.skip(13).take(2).filter_map(|field| field.parse().ok()).collect();
    Ok(numbers.iter().sum())
}

/// Linux tells user space 100 on every architecture.
pub(super) const TICKS_PER_SECOND: f64 = 100.0;
