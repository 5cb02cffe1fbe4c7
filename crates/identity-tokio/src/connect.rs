//! From a host to a connection: resolve, judge, race.

use std::{
    future::poll_fn,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    task::Poll,
    time::Duration,
};

use identity_core::{
    BoxFuture,
    http::{Reach, TransportError, TransportErrorKind},
};
use tokio::{
    net::{TcpSocket, TcpStream},
    time::sleep,
};

/// Connects to a host, at an address that `reach` allows.
pub(crate) async fn connect(host: &str, port: u16, reach: Reach) -> Result<TcpStream, TransportError> {
    let addresses = resolve(host, port).await?;
    judge(host, &addresses, reach)?;
    let stream = race(in_turn(addresses), &|address| Box::pin(connect_to(address))).await;
    // Small requests, one at a time: nothing is gained by waiting for more to send.
    let stream = stream.and_then(|stream| stream.set_nodelay(true).map(|()| stream));
    stream.map_err(|error| TransportError::new(TransportErrorKind::Connect, format!("no connection: {error}")))
}

/// The addresses of a host. Addresses in place of a name and `localhost` are known without asking anyone.
///
/// Source for `localhost`: RFC 6761, section 6.3.
async fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, TransportError> {
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, port)]);
    }
    if host.eq_ignore_ascii_case("localhost") {
        let both = [IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST)];
        return Ok(both.map(|ip| SocketAddr::new(ip, port)).into());
    }
    #[cfg(feature = "dns")]
    match tokio::net::lookup_host((host, port)).await {
        Ok(addresses) => Ok(addresses.collect()),
        Err(error) => Err(TransportError::new(TransportErrorKind::Dns, format!("{host} does not resolve: {error}"))),
    }
    #[cfg(not(feature = "dns"))]
    Err(TransportError::new(
        TransportErrorKind::Refused,
        format!("{host} is a name, and this build knows addresses and localhost only: turn on the feature dns"),
    ))
}

async fn connect_to(address: SocketAddr) -> io::Result<TcpStream> {
    // Windows' sockets for IPv6 reach no IPv4 address that an IPv6 address wraps.
    #[cfg(windows)]
    let address = SocketAddr::new(address.ip().to_canonical(), address.port());
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
    socket?.connect(address).await
}

/// Refuses addresses that may not be reached. All must qualify: who controls one of several can make it the one.
fn judge(host: &str, addresses: &[SocketAddr], reach: Reach) -> Result<(), TransportError> {
    if reach == Reach::Any || addresses.iter().all(|address| is_local(address.ip())) {
        return Ok(());
    }
    Err(TransportError::new(
        TransportErrorKind::Refused,
        format!("{host} is not, or not only, at a local address; expected loopback, 169.254.0.0/16 or fe80::/10"),
    ))
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

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use tokio::time::Instant;

    use super::*;

    fn addresses(list: &[&str]) -> Vec<SocketAddr> {
        list.iter().map(|address| SocketAddr::new(address.parse().unwrap(), 80)).collect()
    }

    #[test]
    fn local_means_loopback_and_link_local_in_either_family() {
        for (ip, expected) in [
            ("127.0.0.1", true),
            ("127.255.255.254", true),
            ("169.254.169.254", true),
            ("::1", true),
            ("fe80::1", true),
            ("febf::1", true),
            ("::ffff:127.0.0.1", true),
            ("::ffff:169.254.1.1", true),
            ("0.0.0.0", false),
            ("::", false),
            ("10.0.0.1", false),
            ("168.63.129.16", false),
            ("169.253.255.255", false),
            ("169.255.0.0", false),
            ("128.0.0.1", false),
            ("fec0::1", false),
            ("fd00:ec2::254", false),
            ("::ffff:8.8.8.8", false),
            ("::127.0.0.1", false),
            ("64:ff9b::7f00:1", false),
        ] {
            assert_eq!(is_local(ip.parse().unwrap()), expected, "{ip}");
        }
    }

    #[test]
    fn one_address_that_is_not_local_spoils_all() {
        for list in [&["127.0.0.1", "203.0.113.7"][..], &["203.0.113.7", "127.0.0.1"], &["::1", "2001:db8::1"]] {
            let error = judge("evil.example", &addresses(list), Reach::LocalOnly).unwrap_err();
            assert_eq!(error.kind(), TransportErrorKind::Refused);
            assert!(error.to_string().contains("evil.example"), "{error}");
            judge("evil.example", &addresses(list), Reach::Any).unwrap();
        }
        judge("localhost", &addresses(&["127.0.0.1", "::1", "169.254.169.254"]), Reach::LocalOnly).unwrap();
    }

    #[test]
    fn families_take_turns_and_the_first_stays_first() {
        for (list, expected) in [
            (&["::1", "::2", "::3", "1.1.1.1", "2.2.2.2"][..], &["::1", "1.1.1.1", "::2", "2.2.2.2", "::3"][..]),
            (&["1.1.1.1", "::1", "::2", "::3"], &["1.1.1.1", "::1", "::2", "::3"]),
            (&["1.1.1.1", "2.2.2.2"], &["1.1.1.1", "2.2.2.2"]),
            (&[], &[]),
        ] {
            assert_eq!(in_turn(addresses(list)), addresses(expected));
        }
    }

    /// What an attempt at an address does: connects or fails after so many milliseconds.
    type Plan = &'static [(&'static str, u64, bool)];

    struct Count(Arc<AtomicUsize>);

    impl Drop for Count {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::SeqCst);
        }
    }

    /// Who won and when, in milliseconds of virtual time; no attempt may be left over.
    async fn run(plan: Plan) -> (io::Result<String>, u128, Vec<(String, u128)>) {
        let start = Instant::now();
        let alive = Arc::new(AtomicUsize::new(0));
        let begun = Arc::new(std::sync::Mutex::new(Vec::new()));
        let list: Vec<_> = plan.iter().map(|(address, _, _)| *address).collect();
        let connect = |address: SocketAddr| -> BoxFuture<'static, io::Result<String>> {
            let ip = address.ip().to_string();
            let (_, wait, works) = *plan.iter().find(|(known, _, _)| *known == ip).unwrap();
            begun.lock().unwrap().push((ip.clone(), start.elapsed().as_millis()));
            alive.fetch_add(1, Ordering::SeqCst);
            let count = Count(Arc::clone(&alive));
            Box::pin(async move {
                let _count = count;
                sleep(Duration::from_millis(wait)).await;
                if works { Ok(ip) } else { Err(io::Error::other(ip)) }
            })
        };
        let result = race(addresses(&list), &connect).await;
        assert_eq!(alive.load(Ordering::SeqCst), 0, "attempts that lost are dropped");
        let begun = begun.lock().unwrap().clone();
        (result, start.elapsed().as_millis(), begun)
    }

    const NEVER: u64 = 100_000;

    #[tokio::test(start_paused = true)]
    async fn a_black_hole_costs_a_quarter_of_a_second() {
        let (result, at, begun) = run(&[("2001:db8::1", NEVER, true), ("127.0.0.1", 10, true)]).await;
        assert_eq!((result.unwrap().as_str(), at), ("127.0.0.1", 260));
        assert_eq!(begun, [("2001:db8::1".to_owned(), 0), ("127.0.0.1".to_owned(), 250)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_starts_the_next_at_once() {
        let (result, at, _) = run(&[("::1", 5, false), ("::2", 5, false), ("127.0.0.1", 5, true)]).await;
        assert_eq!((result.unwrap().as_str(), at), ("127.0.0.1", 15));
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_first_address_may_still_win() {
        let (result, at, begun) = run(&[("::1", 300, true), ("127.0.0.1", 200, true)]).await;
        assert_eq!((result.unwrap().as_str(), at, begun.len()), ("::1", 300, 2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_quick_answer_starts_nothing_else() {
        let (result, at, begun) = run(&[("::1", 249, true), ("127.0.0.1", 0, true)]).await;
        assert_eq!((result.unwrap().as_str(), at, begun.len()), ("::1", 249, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn if_all_fail_the_last_failure_is_told() {
        let (result, at, _) = run(&[("::1", 400, false), ("127.0.0.1", 20, false)]).await;
        assert_eq!((result.unwrap_err().to_string().as_str(), at), ("::1", 400));
        assert_eq!(run(&[]).await.0.unwrap_err().kind(), io::ErrorKind::AddrNotAvailable);
    }
}
