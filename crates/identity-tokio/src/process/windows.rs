//! Job objects.

use std::{fs, io, os::windows::fs::MetadataExt as _, path::Path, process::ExitStatus};

use tokio::process::{Child, Command};

/// A program and its descendants. Dropping it kills them.
pub(super) struct Tree {
    child: Child,
}

impl Tree {
    pub(super) fn start(mut command: Command) -> io::Result<Self> {
        Ok(Self { child: command.spawn()? })
    }

    pub(super) fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Whether the program itself has ended.
    pub(super) fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// There is no way to ask a program without a window: it is ended.
    pub(super) fn ask_to_end(&mut self) {
        self.kill();
    }

    /// Ends them.
    pub(super) fn kill(&mut self) {
        let _ = self.child.start_kill();
    }

    /// Collects the program, which has ended.
    pub(super) async fn reap(mut self) -> io::Result<ExitStatus> {
        self.child.wait().await
    }
}

/// Whether it is one is in its name, which the caller chose.
pub(super) fn is_executable(path: &Path) -> bool {
    path.is_file()
}

pub(super) fn stamp(path: &Path) -> Option<u64> {
    let facts = fs::metadata(path).ok()?;
    Some(super::mix(&[facts.last_write_time(), facts.creation_time(), facts.file_size()]))
}
