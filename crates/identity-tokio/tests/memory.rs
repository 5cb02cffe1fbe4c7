//! Answers over TLS that nobody announced the length of cost no memory. A program of its own: the process is measured.
#![cfg(all(target_os = "linux", feature = "tls"))]
#![expect(clippy::disallowed_methods, reason = "the servers live on threads of their own")]
#![expect(clippy::unwrap_used, reason = "a test ends when it is not so")]

mod support;

use std::{
    fs,
    io::Write as _,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use identity_core::http::TransportErrorKind::{Malformed, TooLarge};

use self::support::{
    read_request,
    tls::{Authority, OK, TlsServer, send_by},
};

#[tokio::test]
async fn answers_without_end_cost_four_megabytes_at_most() {
    let authority = Authority::new("ours");
    let platform = authority.platform();
    for (head, block, expected) in [
        (OK, "", Ok(200)),
        ("HTTP/1.1 200 OK\r\n\r\n{\"access_token\":\"", "x", Err(TooLarge)),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", CHUNK, Err(TooLarge)),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n18fffff8\r\n", "x", Err(TooLarge)),
        ("HTTP/1.1 500 No\r\n\r\n", "no ", Ok(500)),
        ("HTTP/1.1 200 OK\r\n", "x: y\r\n", Err(Malformed)),
        ("HTTP/1.1 200 OK\r\nx: ", "y", Err(Malformed)),
    ] {
        let sent = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&sent);
        let server = TlsServer::new(authority.sign(&["localhost"], |_| {}).config(), move |mut tls| {
            read_request(&mut tls);
            let _ = tls.write_all(head.as_bytes()).and_then(|()| tls.flush());
            let block = block.repeat(16 * 1024 / block.len().max(1));
            while !block.is_empty()
                && count.load(Ordering::SeqCst) < 400 << 20
                && tls.write_all(block.as_bytes()).is_ok()
            {
                count.fetch_add(block.len(), Ordering::SeqCst);
            }
        });
        // The peak of before is forgotten, where the kernel can do that.
        let _ = fs::write("/proc/self/clear_refs", "5");
        let before = memory("VmRSS:");
        let mut request = server.get();
        request.body_limit = 1024 * 1024;
        let got = send_by(&platform, request).await.map(|answer| answer.status()).map_err(|error| error.kind());
        assert_eq!(got, expected, "{head:?}");
        assert!(sent.load(Ordering::SeqCst) < 16 << 20, "{head:?}: what the system buffers and no more");
        let grown = memory("VmHWM:").saturating_sub(before);
        println!("{head:?}: {grown} KiB more");
        assert!(grown <= 4096, "{head:?}: {grown} KiB more");
    }
}

/// Small enough to cost more than what is in it, large enough to be read in time by a build that is not optimised.
const CHUNK: &str = "20\r\nabcdefghijklmnopqrstuvwxyz012345\r\n";

fn memory(what: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(what)).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse().unwrap()
}
