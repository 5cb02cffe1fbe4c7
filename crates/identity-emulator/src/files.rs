//! The files that clients read: certificates and tokens.

mod ours;
mod stale;

use std::ffi::OsString;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use crate::lock;
pub(crate) use ours::{Kind, check};

/// A directory for files, which goes when dropped unless somebody else chose it.
pub(crate) struct Files {
    directory: PathBuf,
    is_ours: bool,
    /// One token is exchanged at a time.
    projecting: Mutex<()>,
}

impl Files {
    /// The directory that was chosen, or a new one with a random name.
    pub(crate) fn new(chosen: Option<PathBuf>, random: impl FnOnce() -> io::Result<String>) -> io::Result<Self> {
        let is_ours = chosen.is_none();
        let directory = match chosen {
            Some(directory) => directory,
            None => {
                let all = std::env::temp_dir();
                stale::remove(&all);
                all.join(stale::name(&random()?))
            }
        };
        let mut maker = fs::DirBuilder::new();
        maker.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut maker, 0o700);
        maker.create(&directory).map_err(|error| about(&directory, &error))?;
        // Clients may run in another directory.
        let directory = std::path::absolute(directory)?;
        Ok(Self { directory, is_ours, projecting: Mutex::default() })
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Writes a file, in place of an older one of that kind; `version` as for [`replace`].
    pub(crate) fn write(&self, name: &str, content: &str, kind: Kind, version: &str) -> io::Result<()> {
        replace(&self.path(name), content, kind, version)
    }

    /// Writes a file below a directory as a kubelet does, so that it can be exchanged at one stroke, and gives its path.
    ///
    /// `version` consists of 16 hexadecimal digits. What somebody else has put there is refused, not replaced.
    ///
    /// Source: `AtomicWriter` of Kubernetes, `pkg/volume/util/atomic_writer.go`, which documents this layout.
    pub(crate) fn project(&self, directory: &Path, name: &str, content: &str, version: &str) -> io::Result<PathBuf> {
        let _one = lock(&self.projecting);
        fs::create_dir_all(directory).map_err(|error| about(directory, &error))?;
        let path = directory.join(name);
        #[cfg(unix)]
        {
            use std::os::unix::fs::symlink;

            let (data, link) = (directory.join(DATA), Path::new(DATA).join(name));
            let old = existing_link(&data)?;
            if old.as_deref().is_some_and(|old| payload(old).is_none()) {
                return Err(ours::refusal(&data));
            }
            if existing_link(&path)?.is_some_and(|old| old != link) {
                return Err(ours::refusal(&path));
            }
            let new_payload = format!("..{version}");
            fs::create_dir(directory.join(&new_payload)).map_err(|error| about(directory, &error))?;
            let file = directory.join(&new_payload).join(name);
            create(&file, content, None).map_err(|error| about(&file, &error))?;
            let new = directory.join("..data_tmp");
            if existing_link(&new)?.is_some() {
                // Whoever wrote it was killed.
                fs::remove_file(&new).map_err(|error| about(&new, &error))?;
            }
            let swapped = symlink(&new_payload, &new).and_then(|()| fs::rename(&new, &data));
            swapped.map_err(|error| about(&data, &error))?;
            match symlink(&link, &path) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(about(&path, &error)),
                _ => {}
            }
            if let Some(old) = old.as_deref().and_then(payload) {
                remove_payload(&directory.join(old), name);
            }
        }
        #[cfg(not(unix))]
        replace(&path, content, Kind::Token, version)?;
        Ok(path)
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

/// Where a link leads; `None` if there is nothing.
///
/// # Errors
///
/// Something is there that is no link.
#[cfg(unix)]
fn existing_link(path: &Path) -> io::Result<Option<PathBuf>> {
    match fs::read_link(path) {
        Ok(target) => Ok(Some(target)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Err(ours::refusal(path)),
        Err(error) => Err(about(path, &error)),
    }
}

/// The name of a directory, if it is one that [`Files::project`] gives: nothing that leads elsewhere.
#[cfg(unix)]
fn payload(target: &Path) -> Option<&str> {
    let name = target.to_str()?;
    let digits = name.strip_prefix("..")?;
    let is_version = digits.len() == 16 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_version.then_some(name)
}

/// Removes a directory that holds that file and nothing else, if it is no link. A reader that has the file open keeps it.
#[cfg(unix)]
fn remove_payload(directory: &Path, name: &str) {
    if fs::symlink_metadata(directory).is_ok_and(|data| data.is_dir()) {
        let _ = fs::remove_file(directory.join(name));
        // With anything else in it, it stays.
        let _ = fs::remove_dir(directory);
    }
}

/// Writes a file so that a reader sees the old content or the new; what is no older file of that kind is refused.
///
/// `version` makes the name of the file in between one that nobody can guess.
pub(crate) fn replace(path: &Path, content: &str, kind: Kind, version: &str) -> io::Result<()> {
    check(path, kind)?;
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{version}"));
    let new = path.with_file_name(name);
    create(&new, content, None).map_err(|error| about(path, &error))?;
    fs::rename(&new, path).map_err(|error| {
        let _ = fs::remove_file(&new);
        about(path, &error)
    })
}

/// Writes a file that is not there yet, not even as a link; `mode` is that of Unix, less the umask.
pub(crate) fn create(path: &Path, content: &str, mode: Option<u32>) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode.unwrap_or(0o666));
    #[cfg(not(unix))]
    let _ = mode;
    let mut file = options.open(path)?;
    file.write_all(content.as_bytes()).inspect_err(|_| {
        // Half a file is worse than none.
        let _ = fs::remove_file(path);
    })
}

/// The error with the path that it is about.
pub(crate) fn about(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

#[cfg(unix)]
const DATA: &str = "..data";

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    const FIRST: &str = "0123456789abcdef";
    const SECOND: &str = "fedcba9876543210";

    /// A directory of a test, and the files of an emulator in it.
    fn place(name: &str) -> (PathBuf, Files) {
        let all = std::env::temp_dir().join(format!("emulator-files-{name}-{}", std::process::id()));
        let files = Files::new(Some(all.join("mine")), || unreachable!("it is chosen")).unwrap();
        (all, files)
    }

    #[test]
    fn a_link_that_leads_elsewhere_is_refused_and_nothing_is_removed() {
        let (all, files) = place("elsewhere");
        let precious = all.join("precious");
        let pod = files.path("pod");
        fs::create_dir_all(&precious).unwrap();
        fs::create_dir_all(pod.join("..theirs")).unwrap();
        fs::write(precious.join("work.txt"), "x").unwrap();
        fs::write(pod.join("..theirs/work.txt"), "x").unwrap();
        for target in [precious.to_str().unwrap(), "../..", "../../precious", "..", "..theirs", "theirs"] {
            symlink(target, pod.join(DATA)).unwrap();
            let error = files.project(&pod, "token", "new", FIRST).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::AlreadyExists, "{target}: {error}");
            fs::remove_file(pod.join(DATA)).unwrap();
            assert!(precious.join("work.txt").exists() && pod.join("..theirs/work.txt").exists(), "{target}");
        }
        fs::remove_dir_all(&all).unwrap();
    }

    #[test]
    fn of_an_old_directory_only_the_token_is_removed() {
        let (all, files) = place("old");
        let pod = files.path("pod");
        let path = files.project(&pod, "token", "one", FIRST).unwrap();
        let old = pod.join(format!("..{FIRST}"));
        fs::write(old.join("work.txt"), "x").unwrap();
        assert_eq!(files.project(&pod, "token", "two", SECOND).unwrap(), path);
        assert_eq!(fs::read_to_string(&path).unwrap(), "two");
        assert!(old.join("work.txt").exists() && !old.join("token").exists());
        // The name of an old directory, but a link: what it leads to stays.
        let precious = all.join("precious");
        fs::create_dir_all(&precious).unwrap();
        fs::write(precious.join("token"), "x").unwrap();
        fs::remove_dir_all(&old).unwrap();
        symlink(&precious, &old).unwrap();
        fs::remove_file(pod.join(DATA)).unwrap();
        symlink(old.file_name().unwrap(), pod.join(DATA)).unwrap();
        files.project(&pod, "token", "three", "0000000000000000").unwrap();
        assert!(precious.join("token").exists());
        fs::remove_dir_all(&all).unwrap();
    }

    #[test]
    fn what_a_killed_emulator_left_does_not_stop_the_next() {
        let (all, files) = place("killed");
        let pod = files.path("pod");
        fs::create_dir_all(&pod).unwrap();
        symlink("gone", pod.join("..data_tmp")).unwrap();
        symlink(format!("..{FIRST}"), pod.join(DATA)).unwrap();
        let path = files.project(&pod, "token", "new", SECOND).unwrap();
        assert_eq!(fs::read_to_string(path).unwrap(), "new");
        fs::remove_dir_all(&all).unwrap();
    }

    #[test]
    fn a_token_of_somebody_else_is_refused() {
        let (all, files) = place("token");
        let pod = files.path("pod");
        fs::create_dir_all(&pod).unwrap();
        fs::write(pod.join("token"), "theirs").unwrap();
        files.project(&pod, "token", "new", FIRST).unwrap_err();
        assert_eq!(fs::read_to_string(pod.join("token")).unwrap(), "theirs");
        fs::remove_dir_all(&all).unwrap();
    }

    #[test]
    fn a_new_file_follows_no_link_and_replaces_nothing() {
        let (all, files) = place("new");
        let (path, victim) = (files.path("new"), files.path("victim"));
        fs::write(&victim, "victim").unwrap();
        symlink(&victim, &path).unwrap();
        for path in [&path, &victim] {
            assert_eq!(create(path, "x", Some(0o600)).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        }
        assert_eq!(fs::read_to_string(&victim).unwrap(), "victim");
        let fresh = files.path("fresh");
        create(&fresh, "x", Some(0o600)).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&fresh).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
        fs::remove_dir_all(&all).unwrap();
    }
}
