//! What a child process inherits: nothing of ours. A program of its own, so that every descriptor is one of this test.
#![cfg(all(target_os = "linux", feature = "tls"))]
#![expect(clippy::disallowed_methods, reason = "the servers live on threads of their own, a child is a process")]
#![expect(clippy::unwrap_used, reason = "a test ends when it is not so")]

mod support;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use identity_core::Links;

use self::support::{
    Server, quick, send,
    tls::{Authority, TlsServer, send_by},
};

/// What the descriptors of this process lead to.
fn ours() -> BTreeSet<PathBuf> {
    let entries = fs::read_dir("/proc/self/fd").unwrap();
    // Another thread may close one meanwhile.
    entries.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok()).collect()
}

/// What those of a child lead to, but for its own output.
fn of_a_child() -> BTreeSet<PathBuf> {
    let script = "for fd in /proc/self/fd/*; do readlink \"$fd\" >&2; done; exit 0";
    let output = Command::new("sh").args(["-c", script]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stderr).unwrap().lines().map(PathBuf::from).collect()
}

#[tokio::test]
async fn a_child_has_no_connection_and_no_file_of_ours() {
    let before = ours();
    let authority = Authority::new("ours");
    let platform = authority.platform();
    // A connection that is kept, and one in the middle of an exchange.
    let server = TlsServer::plain(authority.sign(&["localhost"], |_| {}).config());
    send_by(&platform, server.get()).await.unwrap();
    let silent = Server::holding("");
    let asking = tokio::spawn(send(quick(silent.get())));
    while silent.connections() == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let opened: BTreeSet<_> = ours().difference(&before).cloned().collect();
    assert!(opened.iter().filter(|link| link.to_string_lossy().starts_with("socket:[")).count() >= 4, "{opened:?}");

    // A file that takes so long to read that a child starts meanwhile.
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("inherited-{}", std::process::id()));
    fs::File::create(&path).unwrap().set_len(64 << 20).unwrap();
    let done = Arc::new(AtomicBool::new(false));
    let reader = {
        let (path, done) = (path.clone(), Arc::clone(&done));
        let env = Arc::clone(platform.env());
        thread::spawn(move || {
            while !done.load(Ordering::SeqCst) {
                env.read(&path, 64 << 20, Links::Refuse).unwrap();
            }
        })
    };
    let mut children = 0;
    while children < 3 {
        let was_open = ours().contains(&path);
        let theirs = of_a_child();
        assert!(!theirs.is_empty());
        let inherited: Vec<_> = theirs.intersection(&opened).collect();
        assert!(inherited.is_empty() && !theirs.contains(&path), "{inherited:?} of {theirs:?}");
        children += usize::from(was_open && ours().contains(&path));
    }
    done.store(true, Ordering::SeqCst);
    reader.join().unwrap();
    fs::remove_file(path).unwrap();
    asking.abort();

    // The connection is still there.
    send_by(&platform, server.get()).await.unwrap();
    assert_eq!(server.handshakes(), 1);
}
