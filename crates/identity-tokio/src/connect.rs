//! From a host to a connection: resolve, judge, race.

use std::{
    future::poll_fn,
    io,
    net::{IpAddr, SocketAddr},
    task::Poll,
    time::Duration,
};

use identity_core::{
    BoxFuture,
    http::{Reach, TransportError, TransportErrorKind},
};
use tokio::{
    net::{TcpStream, lookup_host},
    time::sleep,
};

use crate::target::Target;

/// Connects to the host of `target`, at an address that `reach` allows.
pub(crate) async fn connect(target: &Target<'_>, reach: Reach) -> Result<TcpStream, TransportError> {
    let addresses = match target.ip {
        Some(ip) => vec![SocketAddr::new(ip, target.port)],
        None => match lookup_host((target.host, target.port)).await {
            Ok(addresses) => addresses.collect(),
            Err(error) => {
                let message = format!("{} does not resolve: {error}", target.host);
                return Err(TransportError::new(TransportErrorKind::Dns, message));
            }
        },
    };
    judge(target.host, &addresses, reach)?;
    let stream = race(in_turn(addresses), &|address| Box::pin(TcpStream::connect(address))).await;
    // One small request per connection: nothing is gained by waiting for more to send.
    let stream = stream.and_then(|stream| stream.set_nodelay(true).map(|()| stream));
    stream.map_err(|error| TransportError::new(TransportErrorKind::Connect, format!("no connection: {error}")))
}

/// Refuses addresses that may not be reached. All must qualify: who controls one of several can make it the one.
fn judge(host: &str, addresses: &[SocketAddr], reach: Reach) -> Result<(), TransportError> {
    let allowed = |address: &SocketAddr| match reach {
        Reach::Any => true,
        _ => is_local(address.ip()),
    };
    match addresses.iter().find(|address| !allowed(address)) {
        None => Ok(()),
        Some(address) => Err(TransportError::new(
            TransportErrorKind::Refused,
            format!(
                "{host} is at {}, which is not local; expected loopback, 169.254.0.0/16 or fe80::/10, so that no secret leaves this machine",
                address.ip()
            ),
        )),
    }
}

/// Loopback and link-local addresses, also where an IPv6 address wraps them.
fn is_local(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.is_loopback() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unicast_link_local(),
    }
}

/// The addresses with their families in turn, the first one staying first: a family without a route costs one attempt.
///
/// Source: RFC 8305, section 4, with a First Address Family Count of 1.
fn in_turn(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_v4 = addresses.first().is_some_and(SocketAddr::is_ipv4);
    let (first, second): (Vec<_>, Vec<_>) = addresses.into_iter().partition(|address| address.is_ipv4() == first_is_v4);
    let mut second = second.into_iter();
    let mut all = Vec::new();
    for address in first {
        all.push(address);
        all.extend(second.next());
    }
    all.extend(second);
    all
}

/// Tries one address after the other, the next one when one fails or takes long, and takes the first connection.
async fn race<T>(
    addresses: Vec<SocketAddr>,
    connect: &(dyn Fn(SocketAddr) -> BoxFuture<'static, io::Result<T>> + Sync),
) -> io::Result<T> {
    let mut waiting = addresses.into_iter();
    let mut running = Vec::new();
    let mut stagger = Box::pin(sleep(STAGGER));
    let mut start = true;
    let mut failure = None;
    poll_fn(|cx| {
        loop {
            if start && let Some(address) = waiting.next() {
                running.push(connect(address));
                stagger = Box::pin(sleep(STAGGER));
            }
            start = false;
            let mut winner = None;
            running.retain_mut(|attempt| match attempt.as_mut().poll(cx) {
                Poll::Pending => true,
                Poll::Ready(Ok(stream)) => {
                    winner = Some(stream);
                    false
                }
                Poll::Ready(Err(error)) => {
                    failure = Some(error);
                    start = true;
                    false
                }
            });
            if let Some(stream) = winner {
                return Poll::Ready(Ok(stream));
            }
            if waiting.len() == 0 {
                if running.is_empty() {
                    let none = || io::Error::from(io::ErrorKind::AddrNotAvailable);
                    return Poll::Ready(Err(failure.take().unwrap_or_else(none)));
                }
                return Poll::Pending;
            }
            if !start && stagger.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            start = true;
        }
    })
    .await
}

/// How long one attempt has before the next one starts beside it.
///
/// Source: RFC 8305, section 5 ("Connection Attempt Delay").
const STAGGER: Duration = Duration::from_millis(250);
