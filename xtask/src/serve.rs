//! The endpoint that measured programs ask: App Service's managed identity over HTTP/1.1, strict about the request,
//! scripted in what it answers. Standard library only, so that it is fast and looks like nobody's code under test.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::Result;
use crate::shell::Cmd;

/// What a request is answered with.
pub(crate) enum Answer {
    /// A new token that lives this long, given out after a while.
    Token { lives: Duration, after: Duration },
    /// An error with an error body.
    Status(u16),
    /// This many bytes of JSON, in chunks, so that no length warns the client.
    Flood(u64),
    /// Nothing: the connection is closed, and later ones are refused.
    Gone,
}

impl Answer {
    /// A token for an hour, at once.
    pub(crate) fn good() -> Self {
        Self::Token { lives: Duration::from_secs(3600), after: Duration::ZERO }
    }
}

/// What the script is told about a request.
pub(crate) struct Asked {
    /// Counted from 1.
    pub(crate) number: u64,
    /// As it was sent, percent signs decoded.
    pub(crate) resource: String,
}

/// A running endpoint; gone when dropped.
pub(crate) struct Server {
    address: SocketAddr,
    state: Arc<State>,
}

struct State {
    script: Box<dyn Fn(&Asked) -> Answer + Send + Sync>,
    requests: AtomicU64,
    open: AtomicBool,
    /// When the last answer was written, nanoseconds since the Unix epoch.
    answered_at: AtomicU64,
    complaints: Mutex<Vec<String>>,
}

impl Server {
    pub(crate) fn start(script: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Result<Self> {
        let failed = |error: std::io::Error| format!("a loopback listener: {error}");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let state = Arc::new(State {
            script: Box::new(script),
            requests: AtomicU64::new(0),
            open: AtomicBool::new(true),
            answered_at: AtomicU64::new(0),
            complaints: Mutex::default(),
        });
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if !shared.open.load(Ordering::SeqCst) {
                    break;
                }
                let shared = Arc::clone(&shared);
                // A client that goes away in the middle is the client's business.
                thread::spawn(move || shared.serve(&stream, address));
            }
        });
        Ok(Self { address, state })
    }

    /// The program with the variables of App Service and no others.
    pub(crate) fn point(&self, program: Cmd) -> Cmd {
        program.bare().env("IDENTITY_ENDPOINT", format!("http://{}{PATH}", self.address)).env("IDENTITY_HEADER", SECRET)
    }

    /// How many requests came; an error if one of them was not as App Service wants it.
    pub(crate) fn requests(&self) -> Result<u64> {
        let complaints = self.state.complaints.lock().unwrap_or_else(PoisonError::into_inner);
        if complaints.is_empty() { Ok(self.state.requests.load(Ordering::SeqCst)) } else { Err(complaints.join("\n")) }
    }

    /// When the last answer was complete, nanoseconds since the Unix epoch.
    pub(crate) fn answered_at(&self) -> u64 {
        self.state.answered_at.load(Ordering::SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.state.close(self.address);
    }
}

impl State {
    /// Ends the accepting thread, which frees the port; the connection only wakes it.
    fn close(&self, address: SocketAddr) {
        if self.open.swap(false, Ordering::SeqCst) {
            let _ = TcpStream::connect(address);
        }
    }

    fn serve(&self, stream: &TcpStream, address: SocketAddr) -> Option<()> {
        stream.set_nodelay(true).ok()?;
        let mut reader = BufReader::new(stream);
        let mut writer = stream;
        loop {
            let head = read_head(&mut reader)?;
            if !self.open.load(Ordering::SeqCst) {
                return None;
            }
            let number = self.requests.fetch_add(1, Ordering::SeqCst) + 1;
            let answer = match parse(&head) {
                Ok(resource) => (self.script)(&Asked { number, resource }),
                Err(complaint) => {
                    self.complaints.lock().unwrap_or_else(PoisonError::into_inner).push(complaint);
                    Answer::Status(400)
                }
            };
            match answer {
                Answer::Token { lives, after } => {
                    thread::sleep(after);
                    writer.write_all(&response(200, &token(number, lives))).ok()?;
                }
                Answer::Status(code) => {
                    let body = format!(r#"{{"statusCode":{code},"message":"scripted failure {code}"}}"#);
                    writer.write_all(&response(code, &body)).ok()?;
                }
                Answer::Flood(bytes) => return flood(writer, bytes),
                Answer::Gone => {
                    self.close(address);
                    return None;
                }
            }
            self.answered_at.store(u64::try_from(since_epoch().as_nanos()).ok()?, Ordering::SeqCst);
        }
    }
}

/// Everything up to the empty line; none at the end of the connection.
fn read_head(reader: &mut impl BufRead) -> Option<String> {
    let mut head = String::new();
    loop {
        let before = head.len();
        if reader.read_line(&mut head).ok()? == 0 || head.len() > MAX_HEAD {
            return None;
        }
        if head.get(before..) == Some("\r\n") {
            return Some(head);
        }
    }
}

/// The resource that is asked for, if the request is one that App Service would answer.
fn parse(head: &str) -> Result<String> {
    let complain = |what: &str| format!("{what}: {}", head.lines().next().unwrap_or_default());
    let mut lines = head.split("\r\n");
    let target = lines
        .next()
        .and_then(|line| line.strip_prefix("GET "))
        .and_then(|line| line.strip_suffix(" HTTP/1.1"))
        .ok_or_else(|| complain("not a GET"))?;
    let (path, query) = target.split_once('?').ok_or_else(|| complain("no query"))?;
    let value = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    let header = |name: &str| {
        head.lines().skip(1).filter_map(|line| line.split_once(':')).find(|(key, _)| key.eq_ignore_ascii_case(name))
    };
    if path != PATH {
        return Err(complain("another path"));
    }
    if value("api-version") != Some("2019-08-01") {
        return Err(complain("another api-version"));
    }
    if header("x-identity-header").map(|(_, value)| value.trim()) != Some(SECRET) {
        return Err(complain("no x-identity-header, or a wrong one"));
    }
    if header("host").is_none() {
        return Err(complain("no host"));
    }
    let resource = value("resource").unwrap_or_default().replace("%3A", ":").replace("%2F", "/");
    if resource.starts_with("https://") && !resource.contains('%') {
        Ok(resource)
    } else {
        Err(complain("no resource"))
    }
}

/// A token of usual length, different every time.
fn token(number: u64, lives: Duration) -> String {
    let filler = "eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiJ9".repeat(33);
    let expires = since_epoch().saturating_add(lives).as_secs();
    format!(
        r#"{{"access_token":"{filler}.{number}","client_id":"5e29463d-71da-4fe0-8e69-999b57db23b0","expires_on":"{expires}","resource":"https://storage.azure.com","token_type":"Bearer"}}"#
    )
}

fn response(code: u16, body: &str) -> Vec<u8> {
    let date = http_date(since_epoch().as_secs());
    let length = body.len();
    format!(
        "HTTP/1.1 {code} Scripted\r\nContent-Type: application/json; charset=utf-8\r\nDate: {date}\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

fn flood(mut writer: &TcpStream, bytes: u64) -> Option<()> {
    let chunk = [b'a'; 1 << 16];
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
    writer.write_all(head.as_bytes()).ok()?;
    writer.write_all(b"11\r\n{\"access_token\":\"\r\n").ok()?;
    for _ in 0..bytes / (1 << 16) {
        writer.write_all(b"10000\r\n").ok()?;
        writer.write_all(&chunk).ok()?;
        writer.write_all(b"\r\n").ok()?;
    }
    writer.write_all(b"2\r\n\"}\r\n0\r\n\r\n").ok()
}

fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Seconds since the Unix epoch as RFC 9110 writes a date.
fn http_date(seconds: u64) -> String {
    let (mut days, time) = (seconds / 86_400, seconds % 86_400);
    let weekday = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"].into_iter().cycle().nth((days % 7) as usize);
    let leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let mut year = 1970;
    while days >= 365 + u64::from(leap(year)) {
        days -= 365 + u64::from(leap(year));
        year += 1;
    }
    let february = 28 + u64::from(leap(year));
    let lengths = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let names = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let mut month = "";
    for (name, length) in names.into_iter().zip(lengths) {
        month = name;
        if days < length {
            break;
        }
        days -= length;
    }
    let weekday = weekday.unwrap_or_default();
    let (hour, minute, second) = (time / 3600, time / 60 % 60, time % 60);
    format!("{weekday}, {:02} {month} {year} {hour:02}:{minute:02}:{second:02} GMT", days + 1)
}

const PATH: &str = "/msi/token";
const SECRET: &str = "853b9a84-5bfa-4b22-a3f3-0b9a43d9ad8a";
const MAX_HEAD: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(http_date(0), "Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(http_date(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(http_date(951_782_400), "Tue, 29 Feb 2000 00:00:00 GMT");
        assert_eq!(http_date(1_798_761_599), "Thu, 31 Dec 2026 23:59:59 GMT");
    }

    #[test]
    fn a_request_that_app_service_refuses_is_a_complaint() {
        let good = format!(
            "GET {PATH}?api-version=2019-08-01&resource=https%3A%2F%2Fvault.azure.net HTTP/1.1\r\nHost: x\r\nX-Identity-Header: {SECRET}\r\n\r\n"
        );
        assert_eq!(parse(&good), Ok("https://vault.azure.net".to_owned()));
        for (from, to) in [("2019", "2017"), (PATH, "/other"), (SECRET, "guess"), ("GET", "PUT"), ("resource", "scope")]
        {
            assert!(parse(&good.replace(from, to)).is_err(), "{from} -> {to}");
        }
    }
}
