//! tokio's streams under hyper's traits.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use hyper::rt::{Read, ReadBufCursor, Write};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use zeroize::Zeroizing;

/// A connection, plain or secured.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A connection as hyper wants it.
pub(crate) struct Io {
    stream: Box<dyn Stream>,
    /// hyper's uninitialised buffer can be reached without `unsafe` only by way of a copy. Wiped on drop.
    buffer: Zeroizing<Vec<u8>>,
}

impl Io {
    pub(crate) fn new(stream: Box<dyn Stream>) -> Self {
        Self { stream, buffer: Zeroizing::new(vec![0; BUFFER_SIZE]) }
    }
}

impl Read for Io {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, mut to: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        let Self { stream, buffer } = self.get_mut();
        let room = to.remaining().min(buffer.len());
        let mut from = ReadBuf::new(buffer.get_mut(..room).unwrap_or_default());
        ready!(Pin::new(stream).poll_read(cx, &mut from))?;
        to.put_slice(from.filled());
        Poll::Ready(Ok(()))
    }
}

impl Write for Io {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// What hyper reads at a time at first.
const BUFFER_SIZE: usize = 8 * 1024;
