//! Variables and files of this process.

use std::{
    env,
    ffi::OsString,
    fs::{self, FileType, OpenOptions},
    io::{self, Read},
    path::{Path, PathBuf},
};

use identity_core::{Env, Links};

/// The variables and files that this process sees.
#[derive(Debug)]
pub(crate) struct ProcessEnv;

impl Env for ProcessEnv {
    fn var_os(&self, name: &str) -> Option<OsString> {
        env::var_os(name)
    }

    fn read(&self, path: &Path, limit: usize, links: Links) -> io::Result<Vec<u8>> {
        let mut options = OpenOptions::new();
        options.read(true);
        never_block(&mut options, links);
        let file = options.open(path).map_err(|error| name_link(error, links))?;
        let facts = file.metadata()?;
        if !facts.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what_else(facts.file_type())));
        }
        read_whole(file, usize::try_from(facts.len()).unwrap_or(usize::MAX), limit)
    }

    fn is_file(&self, path: &Path) -> bool {
        path.is_file()
    }

    #[cfg(unix)]
    fn is_world_readable(&self, path: &Path) -> bool {
        use std::os::unix::fs::MetadataExt as _;

        fs::metadata(path).is_ok_and(|facts| facts.mode() & 0o004 != 0)
    }

    fn canonicalize(&self, path: &Path) -> io::Result<PathBuf> {
        fs::canonicalize(path)
    }
}

/// Reads a file that says that it has `announced` bytes. It may grow meanwhile: one byte more than allowed tells enough.
fn read_whole(file: impl Read, announced: usize, limit: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if announced <= limit {
        bytes.reserve_exact(announced.saturating_add(1));
        file.take((limit as u64).saturating_add(1)).read_to_end(&mut bytes)?;
    }
    if announced.max(bytes.len()) > limit {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("has more than {limit} bytes")));
    }
    Ok(bytes)
}

#[cfg(unix)]
fn never_block(options: &mut OpenOptions, links: Links) {
    use std::os::unix::fs::OpenOptionsExt as _;

    let refuse = if links == Links::Refuse { libc::O_NOFOLLOW } else { 0 };
    // std adds O_CLOEXEC. A terminal must not become ours by being opened.
    options.custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY | refuse);
}

#[cfg(windows)]
fn never_block(options: &mut OpenOptions, links: Links) {
    use std::os::windows::fs::OpenOptionsExt as _;

    /// Opens a link itself. Source: CreateFileW, `FILE_FLAG_OPEN_REPARSE_POINT`.
    const OPEN_REPARSE_POINT: u32 = 0x0020_0000;
    if links == Links::Refuse {
        options.custom_flags(OPEN_REPARSE_POINT);
    }
}

/// Says what a refused link is; the system calls it a loop.
#[cfg(unix)]
fn name_link(error: io::Error, links: Links) -> io::Error {
    if links == Links::Refuse && error.raw_os_error() == Some(libc::ELOOP) {
        return io::Error::new(io::ErrorKind::InvalidInput, LINK);
    }
    error
}

#[cfg(windows)]
fn name_link(error: io::Error, _: Links) -> io::Error {
    error
}

fn what_else(kind: FileType) -> &'static str {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt as _;

        if kind.is_fifo() {
            return "is a named pipe, not a file";
        }
        if kind.is_char_device() || kind.is_block_device() {
            return "is a device, not a file";
        }
    }
    if kind.is_dir() {
        "is a directory, not a file"
    } else if kind.is_symlink() {
        LINK
    } else {
        "is not a regular file"
    }
}

const LINK: &str = "is a symbolic link, which is not followed here";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_grows_is_read_to_the_limit_only() {
        // The rest of the file has no end: reading all of it would not return.
        for announced in [0, 10, 4096] {
            let error = read_whole(io::repeat(b'x'), announced, 4096).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
        }
        assert_eq!(read_whole(&b"shrunk"[..], 4096, 4096).unwrap(), b"shrunk");
    }
}
