//! tokio's streams under hyper's traits.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use hyper::rt::{Read, ReadBufCursor, Write};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use zeroize::Zeroizing;

/// An open connection. Builds without TLS know what it is, which makes them smaller.
#[cfg(not(feature = "tls"))]
pub(crate) type Stream = TcpStream;
#[cfg(feature = "tls")]
pub(crate) type Stream = Box<dyn Duplex>;

#[cfg(feature = "tls")]
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

#[cfg(feature = "tls")]
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// A connection as it is, without TLS.
#[cfg(not(feature = "tls"))]
pub(crate) fn plain(stream: TcpStream) -> Stream {
    stream
}

#[cfg(feature = "tls")]
pub(crate) fn plain(stream: TcpStream) -> Stream {
    Box::new(stream)
}

/// A connection as hyper wants it.
pub(crate) struct Io {
    stream: Stream,
    /// hyper's uninitialised buffer can be reached without `unsafe` only by way of a copy. Wiped on drop.
    buffer: Zeroizing<Vec<u8>>,
}

impl Io {
    pub(crate) fn new(stream: Stream) -> Self {
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
