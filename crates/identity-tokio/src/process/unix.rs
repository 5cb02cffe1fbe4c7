//! Process groups.

use std::{fs, io, os::unix::fs::MetadataExt as _, path::Path, process::ExitStatus};

use rustix::{
    fs::{Access, access},
    io::Errno,
    process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid},
};
use tokio::{
    process::{Child, ChildStderr, ChildStdout, Command},
    signal::unix::{SignalKind, signal},
};

/// A program and its descendants. Dropping it kills them.
pub(super) struct Tree {
    child: Child,
    /// The number of the program and of its group, as long as no other process can have it.
    group: Option<Pid>,
}

impl Tree {
    pub(super) fn start(mut command: Command) -> io::Result<Self> {
        // Before anything is started, since tokio would only then panic where its drivers are off. And where this process
        // was told to ignore the end of its children, the system would not keep them for us.
        drop(signal(SignalKind::child())?);
        let child = command.process_group(0).spawn()?;
        let group = child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?));
        Ok(Self { child, group })
    }

    pub(super) fn outputs(&mut self) -> Option<(ChildStdout, ChildStderr)> {
        Some((self.child.stdout.take()?, self.child.stderr.take()?))
    }

    /// Whether the program itself has ended; it is not collected.
    pub(super) fn has_ended(&mut self) -> bool {
        let Some(group) = self.group else { return true };
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        match waitid(WaitId::Pid(group), look) {
            Ok(status) => status.is_some(),
            Err(Errno::INTR) => false,
            Err(_) => {
                // Somebody else has collected it, and its number may be another's.
                self.group = None;
                true
            }
        }
    }

    /// Asks them to end.
    pub(super) fn ask_to_end(&mut self) {
        self.signal(Signal::TERM);
    }

    /// Ends them.
    pub(super) fn kill(&mut self) {
        self.signal(Signal::KILL);
    }

    /// Collects the program, which has ended.
    pub(super) async fn reap(mut self) -> io::Result<ExitStatus> {
        // From here on its number may be another's.
        self.group = None;
        self.child.wait().await
    }

    fn signal(&self, signal: Signal) {
        if let Some(group) = self.group {
            // It fails if nobody is left.
            let _ = kill_process_group(group, signal);
        }
    }
}

impl Drop for Tree {
    /// The program itself is collected by tokio.
    fn drop(&mut self) {
        self.kill();
    }
}

pub(super) fn is_executable(path: &Path) -> bool {
    path.is_file() && access(path, Access::EXEC_OK).is_ok()
}

pub(super) fn stamp(path: &Path) -> Option<u64> {
    let facts = fs::metadata(path).ok()?;
    let parts = [facts.mtime() as u64, facts.mtime_nsec() as u64, facts.size(), facts.ino(), facts.dev()];
    Some(super::mix(&parts))
}
