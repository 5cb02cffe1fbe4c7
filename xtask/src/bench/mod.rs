//! `cargo xtask bench`: what calls cost, how many requests leave, who waits.
//!
//! Instructions are counted by callgrind: user space only. The kernel is not counted, and valgrind hides the vDSO,
//! so that reading a clock counts as the system call's few instructions. Counts of one binary repeat exactly, or
//! within a tenth of a per cent where a process is counted whole (addresses and hash seeds differ).

mod build;
mod compare;
mod counts;
mod obo;
mod run;
mod table;
mod valgrind;

use std::fs;
use std::path::PathBuf;

use crate::Result;
use crate::report::Report;
use crate::shell::has;
use crate::workspace::Workspace;

use run::Programs;
use table::Table;

/// What is measured and where it goes.
pub(crate) struct Options {
    obo_only: bool,
    counts_only: bool,
    json: Option<PathBuf>,
}

impl Options {
    /// Our own exact counts alone.
    pub(crate) fn counts() -> Self {
        Self { obo_only: false, counts_only: true, json: None }
    }

    pub(crate) fn parse(arguments: &[&str]) -> Result<Self> {
        let mut options = Self { obo_only: false, counts_only: false, json: None };
        let mut arguments = arguments.iter();
        while let Some(&argument) = arguments.next() {
            match argument {
                "obo" => options.obo_only = true,
                "--counts" => options.counts_only = true,
                "--json" => options.json = Some(arguments.next().ok_or("--json needs a file name")?.into()),
                other => return Err(format!("bench does not know {other:?}: obo, --counts, --json FILE")),
            }
        }
        Ok(options)
    }
}

pub(crate) fn run(workspace: &Workspace, options: &Options, report: &mut Report) {
    if options.obo_only {
        obo::run(workspace, report);
        return;
    }
    report.section("bench: instructions are user space, without kernel and vDSO (callgrind)");
    if !has("valgrind") {
        report.skip("bench", "not installed: valgrind");
        return;
    }
    let mut programs = None;
    let built = report.step("programs built", "cargo xtask bench", || {
        programs = Some(Programs::build(workspace, !options.counts_only)?);
        Ok(String::new())
    });
    let Some(programs) = programs.filter(|_| built) else { return };
    let mut table = Table::default();
    counts::run(workspace, &programs, &mut table, report);
    obo::ours(workspace, report);
    if !options.counts_only {
        compare::run(workspace, &programs, &mut table, report);
    }
    table.print();
    if let Some(path) = &options.json {
        let what = format!("table in {}", path.display());
        report.step(&what, "cargo xtask bench", || {
            fs::write(path, table.json()?).map_err(|error| format!("{}: {error}", path.display()))?;
            Ok(String::new())
        });
    }
}
