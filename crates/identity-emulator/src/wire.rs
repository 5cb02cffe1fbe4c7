//! Answers that a decent server could not send: cut, dripping, giant or malformed.

use std::fmt::Write as _;
use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::answer::{Drip, Plan};
use crate::io::Socket;
use crate::reply::{Reply, has_header};
use crate::text::{Calendar, epoch_seconds};

/// What to do with a connection once hyper has let go of it.
pub(crate) enum Script {
    /// Reset it.
    Reset,
    /// Say nothing until the client goes.
    Silence,
    /// Send this, then close.
    Send(Box<Sending>),
}

pub(crate) struct Sending {
    head: Vec<u8>,
    front: Vec<u8>,
    /// So many letters between the two parts of the body.
    filling: u64,
    back: Vec<u8>,
    drip: Option<Drip>,
    limit: u64,
    reset: bool,
}

impl Script {
    pub(crate) fn new(reply: Reply, plan: &Plan) -> Self {
        let filling = reply.filling.map_or(0, |filling| filling.len);
        let split = reply.filling.map_or(reply.body.len(), |filling| filling.at);
        let mut front = reply.body;
        let back = front.split_off(split.min(front.len()));
        let len = (front.len() + back.len()) as u64 + filling;
        Self::Send(Box::new(Sending {
            head: reply.raw.unwrap_or_else(|| head(reply.status, &reply.headers, len)),
            front,
            filling,
            back,
            drip: plan.drip,
            limit: plan.reset_after.or(plan.cut_after).unwrap_or(u64::MAX),
            reset: plan.reset_after.is_some(),
        }))
    }

    pub(crate) async fn play<S: Socket>(self, mut socket: S) -> io::Result<()> {
        match self {
            Self::Reset => socket.tcp().set_zero_linger(),
            Self::Silence => drain(&mut socket).await,
            Self::Send(sending) => sending.send(socket).await,
        }
    }
}

impl Sending {
    async fn send<S: Socket>(self, mut socket: S) -> io::Result<()> {
        let head_drip = self.drip.filter(|drip| drip.head);
        write(&mut socket, &self.head, head_drip).await?;
        socket.flush().await?;
        let letters = [b'A'; 4_096];
        let mut filling = self.filling;
        let mut left = self.limit;
        write(&mut socket, take(&self.front, &mut left), self.drip).await?;
        while filling > 0 && left > 0 {
            let piece = usize::try_from(filling).unwrap_or(usize::MAX).min(letters.len());
            let piece = take(letters.get(..piece).unwrap_or_default(), &mut left);
            write(&mut socket, piece, self.drip).await?;
            filling -= piece.len() as u64;
        }
        write(&mut socket, take(&self.back, &mut left), self.drip).await?;
        socket.flush().await?;
        if self.reset {
            return socket.tcp().set_zero_linger();
        }
        socket.shutdown().await?;
        // A close with unread bytes would turn into a reset: wait for the client's own end, briefly.
        let _ = tokio::time::timeout(LINGER, drain(&mut socket)).await;
        Ok(())
    }
}

/// Reads and forgets until the client closes the connection.
pub(crate) async fn drain<S: Socket>(socket: &mut S) -> io::Result<()> {
    let mut buffer = [0; 1_024];
    while socket.read(&mut buffer).await? > 0 {}
    Ok(())
}

async fn write<S: Socket>(socket: &mut S, bytes: &[u8], drip: Option<Drip>) -> io::Result<()> {
    let Some(drip) = drip else { return socket.write_all(bytes).await };
    for piece in bytes.chunks(drip.bytes.max(1)) {
        tokio::time::sleep(Duration::from_millis(drip.every_ms)).await;
        socket.write_all(piece).await?;
        socket.flush().await?;
    }
    Ok(())
}

fn take<'a>(bytes: &'a [u8], left: &mut u64) -> &'a [u8] {
    let count = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
    *left -= count as u64;
    bytes.get(..count).unwrap_or_default()
}

fn head(status: u16, headers: &[(String, String)], body_len: u64) -> Vec<u8> {
    let reason = hyper::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
    let mut head = format!("HTTP/1.1 {status} {}\r\n", reason.unwrap_or("Unknown"));
    for (name, value) in headers {
        // Writing to a string cannot fail.
        let _ = write!(head, "{name}: {value}\r\n");
    }
    if !has_header(headers, "date") {
        let now = epoch_seconds(std::time::SystemTime::now());
        let _ = write!(head, "Date: {}\r\n", Calendar::from_epoch(now).http_date());
    }
    if !has_header(headers, "content-length") && !has_header(headers, "transfer-encoding") {
        let _ = write!(head, "Content-Length: {body_len}\r\n");
    }
    head.push_str("Connection: close\r\n\r\n");
    head.into_bytes()
}

/// How long a closed connection may linger for the client's own close.
const LINGER: Duration = Duration::from_secs(2);
