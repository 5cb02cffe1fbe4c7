//! The least program that asks Entra for one token with a client secret and prints it.
//!
//! No retries, no cache, no limits, no checks beyond the status: what remains is the weight of the libraries, and the
//! reading of the system's roots.

use std::env;
use std::error::Error;
use std::fmt::Write as _;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::rt::{Read, ReadBufCursor, Write};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

#[derive(Deserialize)]
struct Answer {
    access_token: String,
    expires_in: u64,
}

fn main() -> Result<(), Box<dyn Error>> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let answer = ask().await?;
        println!("{} {}", answer.access_token, answer.expires_in);
        Ok(())
    })
}

async fn ask() -> Result<Answer, Box<dyn Error>> {
    let authority = env::var("AZURE_AUTHORITY_HOST")?;
    let tenant = env::var("AZURE_TENANT_ID")?;
    let mut form = String::from("grant_type=client_credentials&scope=https%3A%2F%2Fstorage.azure.com%2F.default");
    for (name, value) in
        [("client_id", env::var("AZURE_CLIENT_ID")?), ("client_secret", env::var("AZURE_CLIENT_SECRET")?)]
    {
        write!(form, "&{name}=")?;
        for byte in value.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => form.push(char::from(byte)),
                _ => write!(form, "%{byte:02X}")?,
            }
        }
    }
    let host =
        authority.strip_prefix("https://").ok_or("the authority must start with https://")?.trim_end_matches('/');
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) => (name, port.parse()?),
        None => (host, 443),
    };
    let stream = connect(name, port).await?;
    let (mut sender, connection) = http1::handshake::<_, Full<Bytes>>(Io(stream)).await?;
    tokio::spawn(connection);
    let request = Request::post(format!("/{tenant}/oauth2/v2.0/token"))
        .header(HOST, host)
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Full::from(form))?;
    let response: hyper::Response<Incoming> = sender.send_request(request).await?;
    if !response.status().is_success() {
        return Err(response.status().to_string().into());
    }
    let body = response.into_body().collect().await?.to_bytes();
    Ok(serde_json::from_slice(&body)?)
}

async fn connect(name: &str, port: u16) -> Result<TlsStream<TcpStream>, Box<dyn Error>> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect((name, port)).await?;
    let name = ServerName::try_from(name.to_owned())?;
    Ok(TlsConnector::from(Arc::new(config)).connect(name, stream).await?)
}

/// The secure stream under hyper's traits.
struct Io(TlsStream<TcpStream>);

impl Read for Io {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut cursor: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        // hyper's uninitialised buffer can be reached without `unsafe` only by way of a copy.
        let mut space = [0_u8; 4096];
        let room = cursor.remaining().min(space.len());
        let mut buffer = ReadBuf::new(&mut space[..room]);
        ready!(Pin::new(&mut self.0).poll_read(cx, &mut buffer))?;
        cursor.put_slice(buffer.filled());
        Poll::Ready(Ok(()))
    }
}

impl Write for Io {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
