//! Answers without end cost no memory and end the connection. A program of its own, so that nothing else is measured.
#![cfg(target_os = "linux")]
#![expect(clippy::disallowed_methods, reason = "the server lives on a thread of its own")]
#![expect(clippy::expect_used, clippy::indexing_slicing, clippy::unwrap_used, reason = "a test ends when it is not so")]

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    thread,
};

use identity_confidential::ClientSecretCredential;
use identity_core::{ErrorKind, TokenCredential as _};
use identity_emulator::{Answer, Emulator, Source::Entra, TENANT_ID, WEB_CLIENT_ID, WEB_CLIENT_SECRET};
use identity_msi::ManagedIdentityCredential;
use identity_tests::{Variables, platform_of};

/// What is sent before the same bytes follow for ever, and what comes of it.
const ENDLESS: [(&str, &str, ErrorKind); 7] = [
    ("HTTP/1.1 200 OK\r\n\r\n{\"access_token\":\"", "x", ErrorKind::Protocol),
    ("HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\n\r\n{\"x\":", "[", ErrorKind::Protocol),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "4\r\nabcd\r\n", ErrorKind::Protocol),
    ("HTTP/1.1 400 No\r\n\r\n", "no ", ErrorKind::AuthenticationFailed),
    ("HTTP/1.1 200 OK\r\n", "X: y\r\n", ErrorKind::Protocol),
    ("HTTP/1.1 200 OK\r\nX: ", "y", ErrorKind::Protocol),
    ("HTTP/1.1 ", "2", ErrorKind::Protocol),
];

#[test]
fn answers_without_end_cost_four_megabytes_at_most() {
    let _alone = ALONE.lock();
    let sent = Arc::new(AtomicU64::new(0));
    let address = serve(Arc::clone(&sent));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let ask = |row: usize| {
        let endpoint = format!("http://{address}/{row}");
        let variables = [("IDENTITY_ENDPOINT", endpoint.as_str()), ("IDENTITY_HEADER", "header")];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let platform = identity_tokio::platform().with_env(Arc::new(Variables::new(variables)));
        let credential = ManagedIdentityCredential::builder().build_with(&platform).unwrap();
        runtime.block_on(credential.get_token(&["https://a/.default"], None)).unwrap_err()
    };
    // What the first request needs once is not what is looked for.
    drop(ask(3));
    let before = peak();
    for (row, (head, _, kind)) in ENDLESS.iter().enumerate() {
        let error = ask(row);
        assert_eq!(error.kind(), *kind, "{head:?}: {error}");
        assert!(error.to_string().len() < 2048, "{head:?}: {} bytes of message", error.to_string().len());
    }
    let grown = peak() - before;
    println!("{grown} KiB more, {} KiB were sent", sent.load(SeqCst) / 1024);
    assert!(grown <= 4096, "{grown} KiB more");
    assert!(sent.load(SeqCst) > 1024 * 1024, "the server sent nothing of note");
}

#[test]
fn an_answer_of_400_mb_over_tls_costs_four_megabytes_at_most() {
    let _alone = ALONE.lock();
    let emulator = Emulator::builder().allow_any_resource().start_in_background().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let ask = |answer: Answer| {
        emulator.faults().always(Entra, answer);
        let builder = ClientSecretCredential::builder(TENANT_ID, WEB_CLIENT_ID, WEB_CLIENT_SECRET);
        let credential = builder.disable_instance_discovery().build_with(&platform_of(&emulator, Entra)).unwrap();
        runtime.block_on(credential.get_token(&["https://a.example/.default"], None))
    };
    // What the first requests need once, on both sides, is not what is looked for.
    for _ in 0..3 {
        ask(Answer::real()).unwrap();
        ask(Answer::status(400)).unwrap_err();
    }
    let idle = memory("VmRSS:");
    for (answer, kind) in [
        (Answer::real().with_giant_token(400 << 20), ErrorKind::Protocol),
        // What is announced could be taken, and is cut off there.
        (Answer::real().with_giant_token(400 << 20).with_header("Content-Length", "1048576"), ErrorKind::Transport),
        (Answer::real().with_giant_token(400 << 20).with_header("Content-Length", "1048577"), ErrorKind::Protocol),
    ] {
        let error = ask(answer).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().len() < 2048, "{} bytes of message", error.to_string().len());
        runtime.block_on(emulator.wait_until(|emulator| emulator.connections(Entra).open == 0));
    }
    let grown = peak().saturating_sub(idle);
    println!("{grown} KiB more over TLS");
    assert!(grown <= 4096, "{grown} KiB more");
}

/// A server that answers each path's row until the client closes, a connection after the other.
fn serve(sent: Arc<AtomicU64>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = [0; 4096];
            let len = stream.read(&mut request).unwrap();
            let request = String::from_utf8_lossy(&request[..len]).into_owned();
            let row: usize = request.split(['/', '?']).nth(1).expect("a path").parse().unwrap();
            let (head, again, _) = ENDLESS[row];
            let block = again.repeat(64 * 1024 / again.len());
            let mut next = head.as_bytes();
            while stream.write_all(next).is_ok() {
                sent.fetch_add(next.len() as u64, SeqCst);
                next = block.as_bytes();
            }
        }
    });
    address
}

/// The most memory that this process ever had, in KiB.
fn peak() -> u64 {
    memory("VmHWM:")
}

fn memory(what: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(what)).expect("Linux tells it");
    line.trim().strip_suffix(" kB").expect("in this unit").parse().unwrap()
}

/// What is measured is the process: one test at a time.
static ALONE: Mutex<()> = Mutex::new(());
