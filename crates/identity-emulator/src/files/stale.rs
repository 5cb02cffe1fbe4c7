//! Directories of emulators that were killed.

use std::fs;
use std::path::Path;
use std::time::Duration;

/// The name of a directory for the files of this process.
///
/// It says which process, and in which PID namespace (Linux): only there does the number mean anything.
pub(super) fn name(random: &str) -> String {
    let process = std::process::id();
    match namespace() {
        Some(namespace) => format!("{PREFIX}{process}-{namespace}-{random}"),
        None => format!("{PREFIX}{process}-{random}"),
    }
}

/// Removes the directories of emulators of this PID namespace that were killed more than an hour ago (Linux).
///
/// Those of other namespaces may belong to an emulator that runs there. The hour is for a directory just made.
pub(super) fn remove(all: &Path) {
    let (Some(own), Ok(entries)) = (namespace(), fs::read_dir(all)) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some((process, namespace)) = name.to_str().and_then(owner) else { continue };
        let modified = entry.metadata().and_then(|data| data.modified()).ok();
        let age = modified.and_then(|time| time.elapsed().ok()).unwrap_or_default();
        if namespace == own && !Path::new("/proc").join(process.to_string()).exists() && age > STALE {
            // Somebody else may be faster, or it may be somebody else's.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// The process and the namespace in a name.
fn owner(name: &str) -> Option<(u32, u64)> {
    let mut parts = name.strip_prefix(PREFIX)?.split('-');
    let owner = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    parts.next()?;
    parts.next().is_none().then_some(owner)
}

/// The number of this process's PID namespace, if `/proc` shows the processes of it.
fn namespace() -> Option<u64> {
    let own = fs::read_link("/proc/self").ok()?;
    if own != Path::new(&std::process::id().to_string()) {
        return None;
    }
    let link = fs::read_link("/proc/self/ns/pid").ok()?;
    link.to_str()?.strip_prefix("pid:[")?.strip_suffix(']')?.parse().ok()
}

const PREFIX: &str = "identity-emulator-";
const STALE: Duration = Duration::from_secs(3_600);

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_dead_of_this_namespace_left_long_ago_is_removed() {
        let all = std::env::temp_dir().join(format!("stale-{}", std::process::id()));
        let make = |name: &str, hours: u64| {
            let path = all.join(name);
            fs::create_dir_all(&path).unwrap();
            let time = std::time::SystemTime::now() - Duration::from_secs(3_600 * hours);
            fs::File::open(&path).unwrap().set_modified(time).unwrap();
            path
        };
        let own = namespace().unwrap();
        // No process has this number: the kernel's limit is 4,194,304.
        let dead = make(&format!("identity-emulator-4000000000-{own}-a"), 2);
        let kept = [
            make(&format!("identity-emulator-4000000000-{own}-b"), 0),
            make(&format!("identity-emulator-4000000000-{}-c", own + 1), 2),
            make("identity-emulator-4000000000-d", 2),
            make(&name("e"), 2),
            make("identity-emulator-x", 2),
            make(&format!("other-4000000000-{own}-f"), 2),
        ];
        remove(&all);
        assert!(!dead.exists() && kept.iter().all(|path| path.exists()));
        fs::remove_dir_all(&all).unwrap();
    }
}
