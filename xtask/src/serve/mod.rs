//! The endpoints that measured programs ask: strict about the request, scripted in what they answer. HTTP is by hand,
//! so that it is fast and looks like nobody's code under test.

mod app_service;
mod entra;
mod http;
mod on_behalf_of;
mod tls;

use std::io::{BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crate::Result;
use crate::shell::Cmd;

use http::{Head, flood, response, since_epoch};
use tls::Tls;

/// What answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::enum_variant_names, reason = "App Service is its name")]
pub(crate) enum Service {
    /// App Service's managed identity, plain HTTP.
    AppService,
    /// Entra's token endpoint for a client secret, over TLS.
    Entra,
    /// The same for one that acts for its users, and the document that some clients ask for before.
    OnBehalfOf,
}

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
    /// The resource or scope as it was sent, percent signs decoded.
    pub(crate) resource: String,
}

/// A running endpoint; gone when dropped.
pub(crate) struct Server {
    address: SocketAddr,
    state: Arc<State>,
}

struct State {
    service: Service,
    /// Where the service speaks it.
    tls: Option<Tls>,
    script: Box<dyn Fn(&Asked) -> Answer + Send + Sync>,
    requests: AtomicU64,
    /// Connections over TLS, each of which is a handshake.
    handshakes: AtomicU64,
    open: AtomicBool,
    /// When the last answer was written, nanoseconds since the Unix epoch.
    answered_at: AtomicU64,
    complaints: Mutex<Vec<String>>,
}

impl Server {
    /// App Service, with a script.
    pub(crate) fn start(script: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Result<Self> {
        Self::of(Service::AppService, script)
    }

    pub(crate) fn of(service: Service, script: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Result<Self> {
        let failed = |error: std::io::Error| format!("a loopback listener: {error}");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let tls = if service == Service::AppService { None } else { Some(Tls::new()?) };
        let state = Arc::new(State {
            service,
            tls,
            script: Box::new(script),
            requests: AtomicU64::new(0),
            handshakes: AtomicU64::new(0),
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
                thread::spawn(move || shared.accept(stream, address));
            }
        });
        Ok(Self { address, state })
    }

    /// The program with the variables of the service and no others.
    pub(crate) fn point(&self, program: Cmd) -> Cmd {
        let (program, address) = (program.bare(), self.address.to_string());
        let program = match self.state.service {
            Service::AppService => app_service::point(program, &address),
            Service::Entra | Service::OnBehalfOf => entra::point(program, &address),
        };
        match &self.state.tls {
            // Python and node look elsewhere.
            Some(tls) => ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"]
                .into_iter()
                .fold(program, |program, name| program.env(name, tls.bundle())),
            None => program,
        }
    }

    /// How many requests came; an error if one of them was not as the service wants it.
    pub(crate) fn requests(&self) -> Result<u64> {
        let complaints = self.state.complaints.lock().unwrap_or_else(PoisonError::into_inner);
        if complaints.is_empty() { Ok(self.state.requests.load(Ordering::SeqCst)) } else { Err(complaints.join("\n")) }
    }

    /// How many TLS handshakes there were.
    pub(crate) fn handshakes(&self) -> u64 {
        self.state.handshakes.load(Ordering::SeqCst)
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

    fn accept(&self, stream: TcpStream, address: SocketAddr) -> Option<()> {
        stream.set_nodelay(true).ok()?;
        match &self.tls {
            Some(tls) => {
                self.handshakes.fetch_add(1, Ordering::SeqCst);
                self.serve(tls.accept(stream)?, address)
            }
            None => self.serve(stream, address),
        }
    }

    fn serve(&self, stream: impl Read + Write, address: SocketAddr) -> Option<()> {
        let mut reader = BufReader::new(stream);
        loop {
            let head = Head::read(&mut reader)?;
            let form = head.body(&mut reader)?;
            if !self.open.load(Ordering::SeqCst) {
                return None;
            }
            if self.service == Service::OnBehalfOf
                && let Some(document) = on_behalf_of::document(&head)
            {
                let writer = reader.get_mut();
                writer.write_all(&response(200, &document)).ok()?;
                writer.flush().ok()?;
                continue;
            }
            let number = self.requests.fetch_add(1, Ordering::SeqCst) + 1;
            let parsed = match self.service {
                Service::AppService => app_service::parse(&head),
                Service::Entra => entra::parse(&head, &form),
                Service::OnBehalfOf => on_behalf_of::parse(&head, &form),
            };
            let writer = reader.get_mut();
            let answer = match parsed {
                Ok(resource) => (self.script)(&Asked { number, resource }),
                Err(complaint) => {
                    self.complaints.lock().unwrap_or_else(PoisonError::into_inner).push(complaint);
                    Answer::Status(400)
                }
            };
            match answer {
                Answer::Token { lives, after } => {
                    thread::sleep(after);
                    let token = token(number);
                    let body = match self.service {
                        Service::AppService => app_service::body(&token, lives),
                        Service::Entra => entra::body(&token, lives),
                        Service::OnBehalfOf => on_behalf_of::body(&token, lives),
                    };
                    writer.write_all(&response(200, &body)).ok()?;
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
            writer.flush().ok()?;
            self.answered_at.store(u64::try_from(since_epoch().as_nanos()).ok()?, Ordering::SeqCst);
        }
    }
}

/// A token of usual length, different every time.
fn token(number: u64) -> String {
    format!("{}.{number}", "eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiJ9".repeat(33))
}
