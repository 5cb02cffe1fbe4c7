//! Variables and files, as the platform reads them.

#![expect(clippy::disallowed_methods, reason = "what is read is compared with what std reads")]
#![expect(clippy::unwrap_used, reason = "a test ends when it is not so")]

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use identity_core::{Env, Links};

fn env_seam() -> Arc<dyn Env> {
    Arc::clone(identity_tokio::platform().env())
}

/// An empty folder of this test.
fn folder(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(&path).unwrap();
    path
}

fn refused(path: &Path, limit: usize, links: Links) -> (io::ErrorKind, String) {
    let error = env_seam().read(path, limit, links).unwrap_err();
    (error.kind(), error.to_string())
}

#[test]
fn variables_are_the_processs() {
    assert_eq!(env_seam().var_os("PATH"), env::var_os("PATH"));
    assert_eq!(env_seam().var_os("IDENTITY_TOKIO_NOT_SET"), None);
    for name in ["", "a=b", "a\0b"] {
        assert_eq!(env_seam().var_os(name), None, "{name:?}");
    }
}

#[test]
fn files_are_read_up_to_the_limit() {
    let path = folder("limit").join("file");
    for (size, limit, fits) in [(0, 0, true), (0, 9, true), (9, 9, true), (10, 9, false), (1_000_000, 9, false)] {
        fs::write(&path, vec![b'x'; size]).unwrap();
        let result = env_seam().read(&path, limit, Links::Refuse);
        assert_eq!(result.as_ref().map(Vec::len).ok(), fits.then_some(size), "{size} {limit}");
        if !fits {
            assert_eq!(result.unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        }
    }
    assert!(env_seam().is_file(&path) && !env_seam().is_file(path.parent().unwrap()));
    assert!(!env_seam().is_file(&path.join("below")));
}

#[test]
fn a_terabyte_costs_nothing() {
    let path = folder("sparse").join("file");
    // A sparse file; some file systems have none, or none so large.
    if fs::File::create(&path).unwrap().set_len(1 << 40).is_ok() {
        assert_eq!(refused(&path, 4096, Links::Refuse).0, io::ErrorKind::FileTooLarge);
        fs::remove_file(path).unwrap();
    }
}

#[test]
fn the_systems_reason_is_kept() {
    let folder = folder("reasons");
    let file = folder.join("file");
    fs::write(&file, "x").unwrap();
    for path in [folder.join("missing"), file.join("below"), folder.join("x".repeat(300)), PathBuf::from("a\0b")] {
        let expected = fs::read(&path).unwrap_err();
        assert_eq!(refused(&path, 9, Links::Follow), (expected.kind(), expected.to_string()), "{}", path.display());
        assert!(env_seam().canonicalize(&path).is_err() && !env_seam().is_file(&path));
    }
}

#[cfg(unix)]
mod unix {
    use std::{
        os::unix::{fs::PermissionsExt as _, fs::symlink, net::UnixListener},
        process::Command,
        time::{Duration, Instant},
    };

    use super::*;

    #[test]
    fn what_is_no_regular_file_is_refused_at_once() {
        let folder = folder("kinds");
        let (pipe, socket) =
            (folder.join("pipe"), PathBuf::from(format!("identity-tokio-{}.sock", std::process::id())));
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        for (path, word) in [
            (folder.as_path(), "directory"),
            (&pipe, "named pipe"),
            (Path::new("/dev/zero"), "device"),
            (Path::new("/dev/null"), "device"),
        ] {
            for links in [Links::Follow, Links::Refuse] {
                let start = Instant::now();
                let (kind, text) = refused(path, 4096, links);
                assert!(start.elapsed() < Duration::from_millis(100));
                assert_eq!(kind, io::ErrorKind::InvalidInput, "{}", path.display());
                assert!(text.contains(word), "{text}");
            }
        }
        // A relative path in the current folder, for a socket's path must be short.
        let _listener = UnixListener::bind(&socket).unwrap();
        env_seam().read(&socket, 4096, Links::Follow).unwrap_err();
        fs::remove_file(&socket).unwrap();
    }

    #[test]
    fn links_are_followed_or_refused_as_asked() {
        let folder = folder("links");
        let (file, link, around) = (folder.join("file"), folder.join("link"), folder.join("around"));
        fs::write(&file, "x").unwrap();
        symlink("file", &link).unwrap();
        symlink("around", &around).unwrap();
        assert_eq!(env_seam().read(&link, 9, Links::Follow).unwrap(), b"x");
        let (kind, text) = refused(&link, 9, Links::Refuse);
        assert!(kind == io::ErrorKind::InvalidInput && text.contains("symbolic link"), "{text}");
        // A link that leads nowhere is a link, too.
        assert_eq!(refused(&around, 9, Links::Refuse).0, io::ErrorKind::InvalidInput);
        assert_eq!(refused(&around, 9, Links::Follow).1, fs::read(&around).unwrap_err().to_string());
        assert_eq!(env_seam().canonicalize(&link).unwrap(), file.canonicalize().unwrap());
        // Only the last part is judged: folders above may be links.
        symlink(".", folder.join("here")).unwrap();
        assert_eq!(env_seam().read(&folder.join("here/file"), 9, Links::Refuse).unwrap(), b"x");
    }

    #[test]
    fn what_may_not_be_read_says_so() {
        let path = folder("permissions").join("file");
        fs::write(&path, "x").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
        match fs::read(&path) {
            Err(expected) => assert_eq!(refused(&path, 9, Links::Refuse), (expected.kind(), expected.to_string())),
            Ok(_) => assert_eq!(env_seam().read(&path, 9, Links::Refuse).unwrap(), b"x", "the superuser reads all"),
        }
    }

    #[test]
    fn it_is_known_whether_every_user_may_read_a_file() {
        let folder = folder("modes");
        let (file, link) = (folder.join("file"), folder.join("link"));
        fs::write(&file, "x").unwrap();
        symlink("file", &link).unwrap();
        for (mode, expected) in [
            (0o644, true),
            (0o604, true),
            (0o444, true),
            (0o600, false),
            (0o640, false),
            (0o400, false),
            (0o660, false),
        ] {
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
            for path in [&file, &link] {
                assert_eq!(env_seam().is_world_readable(path), expected, "{mode:o} {}", path.display());
            }
        }
        for path in [folder.join("missing"), file.join("below"), PathBuf::from("a\0b")] {
            assert!(!env_seam().is_world_readable(&path), "{}", path.display());
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_file_that_holds_more_than_it_says_is_left_at_the_limit() {
        // The kernel's files say that they are empty.
        let path = Path::new("/proc/self/status");
        assert_eq!(fs::metadata(path).unwrap().len(), 0);
        assert_eq!(refused(path, 100, Links::Refuse).0, io::ErrorKind::FileTooLarge);
        assert!(env_seam().read(path, 64 * 1024, Links::Refuse).unwrap().starts_with(b"Name:"));
    }
}
