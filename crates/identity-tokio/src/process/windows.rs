//! Job objects.

use std::{fs, io, os::windows::fs::MetadataExt as _, path::Path, process::ExitStatus};

use process_wrap::tokio::{ChildWrapper, CommandWrap, CommandWrapper, JobObject, KillOnDrop};
use tokio::process::{ChildStderr, ChildStdout, Command};

/// A program and its descendants, in a job that none of them can leave. It is there before the program runs its first
/// instruction; when its last handle is closed, as by dropping this or by the end of this process, all of them are ended.
pub(super) struct Tree {
    child: Box<dyn ChildWrapper>,
}

impl Tree {
    pub(super) fn start(command: Command) -> io::Result<Self> {
        let mut wrap = CommandWrap::from(command);
        // In this order: a job sets the flags anew.
        wrap.wrap(KillOnDrop).wrap(JobObject).wrap(NoWindow);
        Ok(Self { child: wrap.spawn()? })
    }

    pub(super) fn outputs(&mut self) -> Option<(ChildStdout, ChildStderr)> {
        Some((self.child.stdout().take()?, self.child.stderr().take()?))
    }

    /// Whether the program itself has ended.
    pub(super) fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Ends them: a program without a window cannot be asked to end by itself.
    pub(super) fn ask_to_end(&mut self) {
        self.kill();
    }

    /// Ends them.
    pub(super) fn kill(&mut self) {
        // It fails if nobody is left.
        let _ = self.child.start_kill();
    }

    /// Collects the program, which has ended.
    #[expect(clippy::unused_async, reason = "on other systems this waits for a moment")]
    pub(super) async fn reap(mut self) -> io::Result<ExitStatus> {
        self.child.try_wait()?.ok_or_else(|| io::ErrorKind::WouldBlock.into())
    }
}

/// Opens no window for a program that wants a console. After [`JobObject`], whose flag it keeps.
///
/// Source: <https://learn.microsoft.com/windows/win32/procthread/process-creation-flags>.
#[derive(Debug)]
struct NoWindow;

impl CommandWrapper for NoWindow {
    fn pre_spawn(&mut self, command: &mut Command, _: &CommandWrap) -> io::Result<()> {
        const CREATE_NO_WINDOW: u32 = 0x0800_0000;
        const CREATE_SUSPENDED: u32 = 0x4;
        command.creation_flags(CREATE_NO_WINDOW | CREATE_SUSPENDED);
        Ok(())
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
