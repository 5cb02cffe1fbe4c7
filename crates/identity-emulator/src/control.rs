//! The control listener: key set, discovery, and the emulator's own switches.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::answer::{Answer, Plan};
use crate::cluster::{CA, CLIENT};
use crate::entra::{Ask, CODE_LIFETIME_SECS, knows_code};
use crate::io::HyperIo;
use crate::lock;
use crate::reply::{JSON, Reply, json_body};
use crate::server::{MAX_BODY, response, server};
use crate::shared::Shared;
use crate::source::Source;
use crate::text::epoch_seconds;
use crate::tls::ServerCertificate;

/// Serves one connection of the control listener.
pub(crate) async fn serve(stream: TcpStream, shared: &Arc<Shared>) -> io::Result<()> {
    let service = service_fn(async |request: Request<Incoming>| {
        let (status, body) = match handle(shared, request).await {
            Ok(Some(value)) => (200, json_body(&value)),
            Ok(None) => (204, Vec::new()),
            Err((status, message)) => (status, json_body(&json!({ "error": message }))),
        };
        let headers = vec![("Content-Type".to_owned(), JSON.to_owned())];
        let reply = Reply { status, headers, body, ..Reply::default() };
        Ok::<Response<Full<Bytes>>, Infallible>(response(&reply).unwrap_or_default())
    });
    server().serve_connection(HyperIo(stream), service).await.map_err(io::Error::other)
}

type Handled = Result<Option<Value>, (u16, String)>;

async fn handle(shared: &Shared, request: Request<Incoming>) -> Handled {
    // A page in somebody's browser must not steer us, by a name that it points here or by a form.
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    if !is_local(host) {
        return Err((403, "the Host header names another machine".to_owned()));
    }
    let path = request.uri().path().to_owned();
    let method = request.method().clone();
    let tenant = shared.signer.tenant_id();
    if let Some(rest) = path.strip_prefix('/').and_then(|rest| rest.strip_prefix(tenant)) {
        return match (&method, rest) {
            (&Method::GET, "/.well-known/openid-configuration" | "/v2.0/.well-known/openid-configuration") => {
                Ok(Some(shared.signer.discovery(&shared.origin)))
            }
            (&Method::GET, "/discovery/v2.0/keys" | "/discovery/keys") => {
                let now = epoch_seconds(shared.now(Source::Entra));
                Ok(Some(shared.signer.key_set(&shared.signer.issuer(), now)))
            }
            _ => Err((404, "no such document".to_owned())),
        };
    }
    match (&method, path.as_str()) {
        (&Method::GET, "/__emulator/service-fabric") => Ok(Some(json!({
            "certificate": shared.certificate_pem,
            "thumbprint": shared.thumbprint,
        }))),
        (&Method::GET, "/__emulator/entra") => Ok(Some(entra(shared))),
        (&Method::POST, "/__emulator/clock") => {
            let Clock { skew_secs } = order(request).await?;
            shared.set_skew(skew_secs);
            Ok(None)
        }
        (&Method::POST, "/__emulator/certificate") => {
            let Shown { kind } = order(request).await?;
            shared.authority.show(kind).map(|()| None).map_err(|error| (500, error.to_string()))
        }
        (&Method::POST, "/__emulator/rotate") => {
            let Rotation { what } = order(request).await?;
            let rotated = match what {
                Rotated::Ca => shared.rotate_ca(),
                Rotated::IdentityBindingCa => shared.rotate_binding_ca(),
                Rotated::Tokens => shared.rotate_tokens(),
                Rotated::SigningKey => shared.roll_signing_key(),
            };
            rotated.map(|()| None).map_err(|error| (500, error.to_string()))
        }
        (&Method::POST, "/__emulator/code") => {
            let order: CodeOrder = order(request).await?;
            let CodeOrder { client_id, redirect_uri, scope, user, code_challenge, nonce } = &order;
            let (challenge, nonce) = (code_challenge.as_deref(), nonce.as_deref());
            let ask = Ask { client_id, redirect_uri, scope, challenge, nonce };
            let code = shared.code(&ask, user, Some(CODE_LIFETIME_SECS)).map_err(refused)?;
            Ok(Some(json!({ "code": code })))
        }
        (&Method::POST, "/__emulator/user-token") => {
            let UserTokenOrder { client_id, scope, user } = order(request).await?;
            let token = shared.user_token(&client_id, &scope, &user, None).map_err(refused)?;
            Ok(Some(json!({ "access_token": token })))
        }
        (&Method::POST, "/__emulator/grants") => {
            let GrantsOrder { user, end } = order(request).await?;
            let is_revoked = matches!(end, End::Revoke);
            shared.end_grants(user.as_deref(), is_revoked).map(|()| None).map_err(refused)
        }
        (&Method::GET, "/__emulator/requests") => Ok(Some(requests(shared))),
        (&Method::DELETE, "/__emulator/requests") => {
            lock(&shared.log).clear();
            Ok(None)
        }
        (&Method::POST, "/__emulator/faults") => add(shared, request).await,
        (&Method::DELETE, "/__emulator/faults") => {
            shared.faults.clear();
            Ok(None)
        }
        (&Method::POST, "/__emulator/release") => {
            shared.faults.release();
            Ok(None)
        }
        _ => Err((404, "no such switch".to_owned())),
    }
}

/// What `POST /__emulator/faults` takes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    /// The name of a source; all sources if absent.
    source: Option<String>,
    /// The standing answer.
    always: Option<Plan>,
    /// Answers to queue, in order.
    #[serde(default)]
    script: Vec<Plan>,
    /// How many times to queue the script; once if absent.
    #[serde(default = "once")]
    times: usize,
}

fn once() -> usize {
    1
}

/// What `POST /__emulator/clock` takes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Clock {
    skew_secs: i64,
}

/// What `POST /__emulator/certificate` takes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Shown {
    kind: ServerCertificate,
}

/// What `POST /__emulator/rotate` takes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rotation {
    what: Rotated,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Rotated {
    Ca,
    IdentityBindingCa,
    Tokens,
    SigningKey,
}

/// What `POST /__emulator/code` takes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CodeOrder {
    client_id: String,
    redirect_uri: String,
    scope: String,
    user: String,
    code_challenge: Option<String>,
    nonce: Option<String>,
}

/// What `POST /__emulator/user-token` takes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UserTokenOrder {
    client_id: String,
    scope: String,
    user: String,
}

/// What `POST /__emulator/grants` takes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GrantsOrder {
    /// The name of a user; everybody if absent.
    user: Option<String>,
    end: End,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum End {
    Revoke,
    Expire,
}

fn refused(error: io::Error) -> (u16, String) {
    (if error.kind() == io::ErrorKind::InvalidInput { 400 } else { 500 }, error.to_string())
}

/// The JSON of an order.
async fn order<T: DeserializeOwned>(request: Request<Incoming>) -> Result<T, (u16, String)> {
    let media_type = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = media_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if media_type != "application/json" {
        return Err((415, "send application/json".to_owned()));
    }
    let body = Limited::new(request.into_body(), MAX_BODY).collect().await;
    let body = body.map_err(|error| (413, error.to_string()))?.to_bytes();
    serde_json::from_slice(&body).map_err(|error| (400, error.to_string()))
}

async fn add(shared: &Shared, request: Request<Incoming>) -> Handled {
    let order: Order = order(request).await?;
    let source = match order.source.as_deref().map(str::parse::<Source>) {
        Some(source) => Some(source.map_err(|error| (400, error.to_string()))?),
        None => None,
    };
    if order.always.is_none() && order.script.is_empty() {
        return Err((400, "give `always` or `script`".to_owned()));
    }
    let mut codes = order.always.iter().chain(&order.script).filter_map(|plan| plan.entra_error);
    if let Some(code) = codes.find(|code| !knows_code(*code)) {
        return Err((400, format!("nobody knows how Entra answers with {code}: give `status` and `body`")));
    }
    let more = order.times.saturating_mul(order.script.len());
    if more.saturating_add(shared.faults.queued(source)) > MAX_QUEUED {
        return Err((400, format!("at most {MAX_QUEUED} answers can be queued")));
    }
    if let Some(plan) = order.always {
        shared.faults.always(source, Answer(plan));
    }
    shared.faults.repeat(source, order.times, order.script);
    Ok(None)
}

fn entra(shared: &Shared) -> Value {
    let path = |name: &str| shared.files.path(name).display().to_string();
    json!({
        "authority": shared.hosts.first().map(|host| format!("https://{host}")),
        "ca": shared.authority.ca_pem(),
        "ca_path": path(CA),
        "client_certificate_path": path(CLIENT),
        "identity_binding_ca": shared.binding.ca_pem(),
        "directory_error": shared.directory.now().err(),
    })
}

fn requests(shared: &Shared) -> Value {
    let requests = lock(&shared.log).all();
    let pairs = |pairs: &[(String, String)]| -> Vec<[String; 2]> {
        pairs.iter().map(|(name, value)| [name.clone(), value.clone()]).collect()
    };
    requests
        .iter()
        .map(|request| {
            json!({
                "source": request.source.name(),
                "method": request.method,
                "path": request.path,
                "query": pairs(&request.query),
                "headers": pairs(&request.headers),
                "body": String::from_utf8_lossy(&request.body),
                "since_start_ms": u64::try_from(request.since_start.as_millis()).unwrap_or(u64::MAX),
                "status": request.status,
            })
        })
        .collect()
}

fn is_local(host: &str) -> bool {
    let name = host
        .rsplit_once(':')
        .map_or(host, |(name, port)| if port.bytes().all(|byte| byte.is_ascii_digit()) { name } else { host });
    ["127.0.0.1", "localhost", "[::1]"].contains(&name)
}

/// Answers that may be queued from here for one source.
const MAX_QUEUED: usize = 10_000;
