//! The files that clients read: certificates and tokens.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A directory for files, which goes when dropped unless somebody else chose it.
pub(crate) struct Files {
    directory: PathBuf,
    is_ours: bool,
}

impl Files {
    /// The directory that was chosen, or a new one with a random name.
    pub(crate) fn new(chosen: Option<PathBuf>, random: impl FnOnce() -> io::Result<String>) -> io::Result<Self> {
        let is_ours = chosen.is_none();
        let directory = match chosen {
            Some(directory) => directory,
            None => std::env::temp_dir().join(format!("identity-emulator-{}", random()?)),
        };
        let mut maker = fs::DirBuilder::new();
        maker.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut maker, 0o700);
        maker.create(&directory).map_err(|error| about(&directory, &error))?;
        // Clients may run in another directory.
        let directory = std::path::absolute(directory)?;
        Ok(Self { directory, is_ours })
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    pub(crate) fn write(&self, name: &str, content: &str) -> io::Result<()> {
        write(&self.path(name), content)
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        if self.is_ours {
            // A directory that someone has removed already does no harm.
            let _ = fs::remove_dir_all(&self.directory);
        }
    }
}

/// Writes a file so that a reader sees the old content or the new.
pub(crate) fn write(path: &Path, content: &str) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = path.with_file_name(name);
    let written = fs::write(&new, content).and_then(|()| fs::rename(&new, path));
    written.map_err(|error| about(path, &error))
}

/// Writes a file below a directory as a kubelet does, so that it can be exchanged at one stroke, and gives its path.
///
/// Source: `AtomicWriter` of Kubernetes, `pkg/volume/util/atomic_writer.go`, which documents this layout.
pub(crate) fn project(directory: &Path, name: &str, content: &str, version: &str) -> io::Result<PathBuf> {
    fs::create_dir_all(directory).map_err(|error| about(directory, &error))?;
    let path = directory.join(name);
    #[cfg(unix)]
    {
        use std::os::unix::fs::symlink;

        let data = directory.join("..data");
        let old = fs::read_link(&data).ok();
        let payload = format!("..{version}");
        fs::create_dir(directory.join(&payload)).map_err(|error| about(directory, &error))?;
        write(&directory.join(&payload).join(name), content)?;
        let new = directory.join("..data_tmp");
        let swapped = symlink(&payload, &new).and_then(|()| fs::rename(&new, &data));
        swapped.map_err(|error| about(&data, &error))?;
        match symlink(Path::new("..data").join(name), &path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(about(&path, &error)),
            _ => {}
        }
        if let Some(old) = old {
            // A reader that has it open keeps it.
            let _ = fs::remove_dir_all(directory.join(old));
        }
    }
    #[cfg(not(unix))]
    {
        let _ = version;
        write(&path, content)?;
    }
    Ok(path)
}

/// The error with the path that it is about.
pub(crate) fn about(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}
