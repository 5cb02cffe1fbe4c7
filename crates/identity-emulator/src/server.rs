//! Accepts connections and serves requests.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{HeaderName, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Response, StatusCode};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::answer::{Connection, Plan};
use crate::control;
use crate::io::{HyperIo, HyperTimer, Socket};
use crate::lock;
use crate::record::Request;
use crate::reply::{Reply, reply};
use crate::shared::{Counted, Shared};
use crate::source::Source;
use crate::text::decode_form;
use crate::wire::{Script, drain};

/// Serves one listener for ever; `source` is `None` for the control listener.
pub(crate) async fn listen(
    listener: TcpListener,
    shared: Arc<Shared>,
    source: Option<Source>,
    tls: Option<TlsAcceptor>,
) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    // The semaphore is never closed, so the loop does not end.
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        match listener.accept().await {
            Ok((stream, _)) => {
                let shared = Arc::clone(&shared);
                let tls = tls.clone();
                connections.spawn(async move {
                    let _place = place;
                    // What goes wrong on a connection is the client's affair.
                    let _ = connection(stream, &shared, source, tls).await;
                });
            }
            // No descriptors left, or a connection that ended while it waited.
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(
    mut stream: TcpStream,
    shared: &Arc<Shared>,
    source: Option<Source>,
    tls: Option<TlsAcceptor>,
) -> io::Result<()> {
    let Some(source) = source else { return control::serve(stream, shared).await };
    let _counted = Counted::connection(shared, source);
    match shared.faults.take_at_accept(source) {
        Connection::Refuse => return stream.set_zero_linger(),
        Connection::Stall => return drain(&mut stream).await,
        Connection::Serve | Connection::Silence => {}
    }
    stream.set_nodelay(true)?;
    match tls {
        None => serve(stream, shared, source).await,
        Some(tls) => {
            // A client that says nothing, or something else than TLS, has to go.
            let handshake = tokio::time::timeout(READ_TIMEOUT, tls.accept(stream)).await;
            serve(handshake.map_err(io::Error::other)??, shared, source).await
        }
    }
}

/// Serves the requests of one connection. Hyper reads them and sends decent answers; for any other,
/// the service fails and what is left of the connection plays the script.
async fn serve<S: Socket + 'static>(socket: S, shared: &Arc<Shared>, source: Source) -> io::Result<()> {
    let script = Mutex::new(None);
    let service = service_fn(|request: hyper::Request<Incoming>| {
        Box::pin(async {
            match handle(shared, source, request).await {
                Handled::Response(response) => Ok(response),
                Handled::Script(played) => {
                    *lock(&script) = Some(played);
                    Err(io::Error::other("the connection is used otherwise"))
                }
            }
        })
    });
    let mut connection = server().serve_connection(HyperIo(socket), service);
    let served = std::future::poll_fn(|cx| connection.poll_without_shutdown(cx)).await;
    let mut socket = connection.into_parts().io.0;
    let script = lock(&script).take();
    match script {
        Some(script) => script.play(socket).await,
        None => {
            tokio::io::AsyncWriteExt::shutdown(&mut socket).await?;
            served.map_err(io::Error::other)
        }
    }
}

/// How connections are read, here and on the control listener.
pub(crate) fn server() -> http1::Builder {
    let mut server = http1::Builder::new();
    server.timer(HyperTimer).header_read_timeout(READ_TIMEOUT).max_buf_size(MAX_HEAD);
    server
}

enum Handled {
    Response(Response<Full<Bytes>>),
    Script(Script),
}

async fn handle(shared: &Shared, source: Source, request: hyper::Request<Incoming>) -> Handled {
    let _counted = Counted::request(shared, source);
    let plan = shared.faults.take(source, request.uri().path());
    // From before the request can be seen in the record, so that no release is missed.
    let mut releases = shared.faults.releases();
    let (request, refused) = read(source, request).await;
    let (request, ticket) = shared.record(request);
    if plan.hold {
        // The sender lives as long as `shared`: only a release ends the wait.
        let _ = releases.changed().await;
    }
    if plan.delay_ms > 0 {
        tokio::time::sleep(Duration::from_millis(plan.delay_ms)).await;
    }
    match plan.connection {
        Connection::Serve => {}
        Connection::Refuse => return Handled::Script(Script::Reset),
        Connection::Stall | Connection::Silence => return Handled::Script(Script::Silence),
    }
    let reply = match refused {
        Some(status) => Reply { status, ..Reply::default() },
        None => reply(shared, &request, &plan),
    };
    if reply.raw.is_none() {
        lock(&shared.log).answered(ticket, reply.status);
        shared.changed.send_replace(());
    }
    if needs_script(&reply, &plan) {
        return Handled::Script(Script::new(reply, &plan));
    }
    match response(&reply) {
        Some(response) => Handled::Response(response),
        None => Handled::Script(Script::new(reply, &plan)),
    }
}

/// The request as it is recorded, and a status if it has to be refused whoever asks.
async fn read(source: Source, request: hyper::Request<Incoming>) -> (Request, Option<u16>) {
    let (parts, body) = request.into_parts();
    // An absolute URI is what a proxy gets, and nobody here is one.
    let mut refused = parts.uri.authority().is_some().then_some(400);
    let body = match tokio::time::timeout(READ_TIMEOUT, Limited::new(body, MAX_BODY).collect()).await {
        Ok(Ok(body)) => body.to_bytes().to_vec(),
        Ok(Err(_)) => {
            refused = Some(413);
            Vec::new()
        }
        Err(_) => {
            refused = Some(408);
            Vec::new()
        }
    };
    let raw_query = parts.uri.query().unwrap_or_default().to_owned();
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let request = Request {
        source,
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        query: decode_form(&raw_query).unwrap_or_default(),
        raw_query,
        headers: parts.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect(),
        body,
        time: SystemTime::UNIX_EPOCH,
        since_start: Duration::ZERO,
        status: None,
        trace_id: String::new(),
    };
    (request, refused)
}

fn needs_script(reply: &Reply, plan: &Plan) -> bool {
    reply.raw.is_some()
        || reply.filling.is_some()
        || plan.drip.is_some()
        || plan.cut_after.is_some()
        || plan.reset_after.is_some()
}

/// The answer as hyper sends it, if it keeps to the rules.
pub(crate) fn response(reply: &Reply) -> Option<Response<Full<Bytes>>> {
    if !(200..=599).contains(&reply.status) {
        return None;
    }
    let mut response = Response::new(Full::new(Bytes::from(reply.body.clone())));
    *response.status_mut() = StatusCode::from_u16(reply.status).ok()?;
    for (name, value) in &reply.headers {
        if name.eq_ignore_ascii_case("content-length") || name.eq_ignore_ascii_case("transfer-encoding") {
            return None;
        }
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        response.headers_mut().append(name, HeaderValue::from_str(value).ok()?);
    }
    Some(response)
}

/// Connections that one listener serves at once; more wait to be accepted.
const MAX_CONNECTIONS: usize = 8_192;
/// How large a request line and headers may be, in bytes.
const MAX_HEAD: usize = 64 * 1024;
/// How large the body of a request may be, in bytes.
pub(crate) const MAX_BODY: usize = 64 * 1024;
/// How long a client may take to send a head or a body, or to shake hands.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
