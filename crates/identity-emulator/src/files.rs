//! The files that clients read: certificates and tokens.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

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
            None => {
                let all = std::env::temp_dir();
                remove_stale(&all);
                all.join(format!("{PREFIX}{}-{}", std::process::id(), random()?))
            }
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

/// Removes the directories of emulators that were killed more than an hour ago, where that can be told (Linux).
///
/// The hour is for processes that this one cannot see.
fn remove_stale(all: &Path) {
    let processes = Path::new("/proc");
    let Ok(entries) = fs::read_dir(all) else { return };
    if !processes.join("self").exists() {
        return;
    }
    for entry in entries.flatten() {
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.split_once('-')?.0.parse::<u32>().ok());
        let modified = entry.metadata().and_then(|data| data.modified()).ok();
        let age = modified.and_then(|time| time.elapsed().ok()).unwrap_or_default();
        if owner.is_some_and(|owner| !processes.join(owner.to_string()).exists()) && age > STALE {
            // Somebody else may be faster, or it may be somebody else's.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

const PREFIX: &str = "identity-emulator-";
const STALE: Duration = Duration::from_secs(3_600);

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn only_what_the_dead_left_long_ago_is_removed() {
        let all = std::env::temp_dir().join(format!("stale-{}", std::process::id()));
        let make = |name: &str, hours: u64| {
            let path = all.join(name);
            fs::create_dir_all(&path).unwrap();
            let time = std::time::SystemTime::now() - Duration::from_secs(3_600 * hours);
            fs::File::open(&path).unwrap().set_modified(time).unwrap();
            path
        };
        // No process has this number: the kernel's limit is 4,194,304.
        let dead = make("identity-emulator-4000000000-a", 2);
        let kept = [
            make("identity-emulator-4000000000-b", 0),
            make(&format!("identity-emulator-{}-c", std::process::id()), 2),
            make("identity-emulator-x", 2),
            make("other-4000000000-d", 2),
        ];
        remove_stale(&all);
        assert!(!dead.exists() && kept.iter().all(|path| path.exists()));
        fs::remove_dir_all(&all).unwrap();
    }
}
