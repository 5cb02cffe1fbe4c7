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
use zeroize::Zeroize as _;

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
pub(crate) struct Io(pub(crate) Stream);

impl Read for Io {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, mut to: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        // hyper's uninitialised buffer can be reached without `unsafe` only by way of a copy.
        let mut space = [0; BUFFER_SIZE];
        let room = to.remaining().min(space.len());
        let mut from = ReadBuf::new(space.get_mut(..room).unwrap_or_default());
        ready!(Pin::new(&mut self.0).poll_read(cx, &mut from))?;
        to.put_slice(from.filled());
        // Wiping goes byte by byte, so only what was used.
        from.filled_mut().zeroize();
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

/// A token and its header fit.
const BUFFER_SIZE: usize = 4 * 1024;
