//! The least program that asks an App Service endpoint for one token and prints it.
//!
//! No retries, no cache, no limits, no checks beyond the status: what remains is the weight of the libraries.

use std::env;
use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http_body_util::{BodyExt, Empty};
use hyper::Request;
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::HOST;
use hyper::rt::{Read, ReadBufCursor, Write};
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;

#[derive(Deserialize)]
struct Answer {
    access_token: String,
    expires_on: String,
}

fn main() -> Result<(), Box<dyn Error>> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let answer = ask().await?;
        println!("{} {}", answer.access_token, answer.expires_on);
        Ok(())
    })
}

async fn ask() -> Result<Answer, Box<dyn Error>> {
    let endpoint = env::var("IDENTITY_ENDPOINT")?;
    let secret = env::var("IDENTITY_HEADER")?;
    let rest = endpoint.strip_prefix("http://").ok_or("the endpoint must start with http://")?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let stream = TcpStream::connect(host.parse::<SocketAddr>()?).await?;
    let (mut sender, connection) = http1::handshake::<_, Empty<Bytes>>(Io(stream)).await?;
    tokio::spawn(connection);
    let request = Request::get(format!("/{path}?api-version=2019-08-01&resource=https%3A%2F%2Fstorage.azure.com"))
        .header(HOST, host)
        .header("x-identity-header", secret)
        .body(Empty::new())?;
    let response: hyper::Response<Incoming> = sender.send_request(request).await?;
    if !response.status().is_success() {
        return Err(response.status().to_string().into());
    }
    let body = response.into_body().collect().await?.to_bytes();
    Ok(serde_json::from_slice(&body)?)
}

/// tokio's stream under hyper's traits.
struct Io(TcpStream);

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
