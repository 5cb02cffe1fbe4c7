//! Open connections that wait for the next request.

use std::{
    fmt,
    mem::{forget, take},
    process,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use identity_core::{Runtime as _, RuntimeId, http::Reach};
use rustls::pki_types::ServerName;
use tokio::{task::yield_now, time::Instant};

use crate::{http1::Live, runtime::TokioRuntime, tls::trust::Settings};

/// What two requests have in common that may use one connection.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub(crate) host: String,
    pub(crate) port: u16,
    /// The name that the server has proved to have.
    pub(crate) name: ServerName<'static>,
    /// How it has proved it.
    pub(crate) settings: Arc<Settings>,
    pub(crate) reach: Reach,
    pub(crate) proxied: bool,
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.settings, &other.settings)
            && (self.port, self.reach, self.proxied) == (other.port, other.reach, other.proxied)
            && self.host == other.host
            && self.name == other.name
    }
}

/// Idle connections, the latest at the end. Nobody watches them: each is looked at when its turn comes.
#[derive(Debug)]
pub(crate) struct Pool {
    idle: Mutex<Vec<Idle>>,
    max_per_host: usize,
    timeout: Duration,
}

struct Idle {
    key: Key,
    home: Home,
    since: Instant,
    live: Live,
}

/// Where a connection was opened, which is the only place where it works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Home {
    process: u32,
    runtime: Option<RuntimeId>,
}

impl Home {
    fn here() -> Self {
        Self { process: process::id(), runtime: TokioRuntime.current() }
    }
}

impl Pool {
    pub(crate) fn new(max_per_host: usize, timeout: Duration) -> Self {
        Self { idle: Mutex::default(), max_per_host, timeout }
    }

    /// A connection that is open as far as this side knows.
    pub(crate) async fn take(&self, key: &Key) -> Option<Live> {
        let here = Home::here();
        let mut is_news = true;
        while let Some(mut live) = self.pop(key, here) {
            if is_news {
                // The runtime looks for what has arrived meanwhile before it goes on: an end that the server has sent
                // long ago is seen even if nobody has waited for anything since.
                yield_now().await;
                is_news = false;
            }
            if live.is_idle().await {
                return Some(live);
            }
        }
        None
    }

    fn pop(&self, key: &Key, here: Home) -> Option<Live> {
        let (found, old) = {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            let old = self.expired(&mut idle, here);
            let at = idle.iter().rposition(|idle| idle.home == here && idle.key == *key);
            (at.map(|at| idle.remove(at)), old)
        };
        discard(old);
        found.map(|idle| idle.live)
    }

    /// Keeps a connection, if nothing is under way on it, for the next request. Where there is no room the one goes that
    /// has waited longest: its runtime may be gone, or nobody may ask for its trust any more.
    pub(crate) async fn put(&self, key: Key, mut live: Live) {
        if self.max_per_host == 0 || self.timeout.is_zero() || !live.is_idle().await {
            return;
        }
        let here = Home::here();
        let old = {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            let mut old = self.expired(&mut idle, here);
            let is_same = |other: &Idle| (&other.key.host, other.key.port) == (&key.host, key.port);
            if idle.iter().filter(|other| is_same(other)).count() >= self.max_per_host {
                old.extend(idle.iter().position(is_same).map(|at| idle.remove(at)));
            } else if idle.len() >= MAX_IDLE {
                old.push(idle.remove(0));
            }
            idle.push(Idle { key, home: here, since: Instant::now(), live });
            old
        };
        discard(old);
    }

    /// Closes the idle connections to this host. Where one has turned out to be dead without a word, as after a sleep of the
    /// machine or behind a router that has forgotten it, the others are most likely, too.
    pub(crate) fn forget(&self, host: &str, port: u16) {
        let is_same = |idle: &mut Idle| (&*idle.key.host, idle.key.port) == (host, port);
        let old: Vec<_> = {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            idle.extract_if(.., is_same).collect()
        };
        discard(old);
    }

    /// Takes out what has waited too long, whose trust was replaced, and what this process has inherited.
    fn expired(&self, idle: &mut Vec<Idle>, here: Home) -> Vec<Idle> {
        let now = Instant::now();
        idle.extract_if(.., |idle| {
            idle.home.process != here.process
                || now.saturating_duration_since(idle.since) >= self.timeout
                || idle.key.settings.is_retired()
        })
        .collect()
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        discard(take(self.idle.get_mut().unwrap_or_else(PoisonError::into_inner)));
    }
}

/// Closes connections, outside the lock.
fn discard(old: Vec<Idle>) {
    let process = process::id();
    for idle in old {
        if idle.home.process != process {
            // After a fork the connection, and the list of what the runtime waits for, belong to the parent, too.
            // Closing would take it off that list.
            forget(idle);
        }
    }
}

impl fmt::Debug for Idle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Idle").field("host", &self.key.host).field("port", &self.key.port).finish_non_exhaustive()
    }
}

/// The most idle connections of all hosts together.
const MAX_IDLE: usize = 256;

/// The most idle connections of one host, unless it is set.
pub(crate) const MAX_IDLE_PER_HOST: usize = 64;

/// How long a connection may be idle, unless it is set. Servers that we know of wait longer.
pub(crate) const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use identity_core::http::ServerTrust;
    use tokio::{
        io::{AsyncWriteExt as _, DuplexStream, duplex},
        time::advance,
    };

    use super::*;
    use crate::tls::trust::{Roots, Trust};

    /// Equal settings are others each time.
    fn settings() -> Arc<Settings> {
        Trust::of(Roots::None).settings(&ServerTrust::PinnedSha1([0; 20])).unwrap()
    }

    fn key() -> Key {
        let name = ServerName::try_from("login.example").unwrap();
        let host = "login.example".to_owned();
        Key { host, port: 443, name, settings: settings(), reach: Reach::Any, proxied: false }
    }

    /// A connection that has not been used yet, and its server.
    async fn live() -> (Live, DuplexStream) {
        let (client, server) = duplex(1024);
        (Live::new(Box::new(client)).await.unwrap(), server)
    }

    fn pool() -> Pool {
        Pool::new(2, Duration::from_secs(60))
    }

    fn len(pool: &Pool) -> usize {
        pool.idle.lock().unwrap().len()
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_put_in_comes_out_once_for_the_same_key() {
        let (pool, key) = (pool(), key());
        let (live, _server) = live().await;
        pool.put(key.clone(), live).await;
        let others = [
            Key { host: "other.example".to_owned(), ..key.clone() },
            Key { port: 8443, ..key.clone() },
            Key { name: ServerName::try_from("other.example").unwrap(), ..key.clone() },
            // Equal in what it says, but another trust.
            Key { settings: settings(), ..key.clone() },
            Key { reach: Reach::LocalOnly, ..key.clone() },
            Key { proxied: true, ..key.clone() },
        ];
        for other in &others {
            assert!(pool.take(other).await.is_none(), "{other:?}");
        }
        assert!(pool.take(&key).await.is_some());
        assert!(pool.take(&key).await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_of_another_process_is_never_used_and_left_alone() {
        let (pool, key) = (pool(), key());
        let (live, mut server) = live().await;
        pool.put(key.clone(), live).await;
        // As after a fork: what is here was opened by the parent.
        pool.idle.lock().unwrap()[0].home.process = process::id().wrapping_add(1);
        assert!(pool.take(&key).await.is_none());
        assert_eq!(len(&pool), 0);
        server.write_all(b"not closed").await.unwrap();

        let (live, mut server) = self::live().await;
        pool.put(key, live).await;
        pool.idle.lock().unwrap()[0].home.process = process::id().wrapping_add(1);
        drop(pool);
        server.write_all(b"not closed").await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn what_this_process_has_opened_is_closed_with_the_pool() {
        let (pool, key) = (pool(), key());
        let (live, mut server) = live().await;
        pool.put(key, live).await;
        drop(pool);
        server.write_all(b"x").await.unwrap_err();
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_opened_in_a_trust_that_was_replaced_is_closed() {
        let (pool, key) = (pool(), key());
        let (live, mut server) = live().await;
        pool.put(key.clone(), live).await;
        key.settings.retire();
        assert!(pool.take(&Key { settings: settings(), ..key }).await.is_none());
        assert_eq!(len(&pool), 0);
        server.write_all(b"x").await.unwrap_err();
    }

    #[tokio::test(start_paused = true)]
    async fn a_pool_that_keeps_none_closes_at_once() {
        for pool in [Pool::new(0, IDLE_TIMEOUT), Pool::new(2, Duration::ZERO)] {
            let (live, mut server) = live().await;
            pool.put(key(), live).await;
            server.write_all(b"x").await.unwrap_err();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_one_that_has_waited_longest_makes_room() {
        let (pool, one, two) = (pool(), key(), key());
        let mut servers = Vec::new();
        let mut put = async |key: &Key| {
            let (live, server) = live().await;
            servers.push(server);
            pool.put(key.clone(), live).await;
        };
        put(&one).await;
        put(&one).await;
        // As of a runtime that is gone: nothing of it is ever taken out.
        for idle in pool.idle.lock().unwrap().iter_mut() {
            idle.home.runtime = Some(RuntimeId(u64::MAX));
        }
        put(&one).await;
        assert!(pool.take(&one).await.is_some());
        put(&one).await;
        put(&two).await;
        put(&two).await;
        // Other hosts have room of their own.
        put(&Key { port: 8443, ..one.clone() }).await;
        assert_eq!(len(&pool), 3);
        assert!(pool.take(&one).await.is_none());
        assert!(pool.take(&two).await.is_some() && pool.take(&two).await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_of_another_runtime_waits_for_that_runtime() {
        let (pool, key) = (pool(), key());
        let (live, _server) = live().await;
        pool.put(key.clone(), live).await;
        let home = pool.idle.lock().unwrap()[0].home;
        pool.idle.lock().unwrap()[0].home.runtime = Some(RuntimeId(u64::MAX));
        assert!(pool.take(&key).await.is_none());
        pool.idle.lock().unwrap()[0].home = home;
        assert!(pool.take(&key).await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn what_has_waited_too_long_is_closed() {
        let (pool, key) = (pool(), key());
        for (wait, kept) in [(59, true), (60, false)] {
            let (live, mut server) = live().await;
            pool.put(key.clone(), live).await;
            advance(Duration::from_secs(wait)).await;
            assert_eq!(pool.take(&key).await.is_some(), kept);
            server.write_all(b"x").await.unwrap_err();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_server_has_ended_or_broken_is_not_handed_out() {
        let (pool, key) = (pool(), key());
        for answer in [None, Some("HTTP/1.1 408 Request Timeout\r\n\r\n"), Some("x")] {
            let (live, mut server) = live().await;
            pool.put(key.clone(), live).await;
            match answer {
                Some(answer) => server.write_all(answer.as_bytes()).await.unwrap(),
                None => drop(server),
            }
            assert!(pool.take(&key).await.is_none(), "{answer:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_is_kept_than_is_allowed() {
        let (pool, mut key) = (pool(), key());
        let mut servers = Vec::new();
        for _ in 0..3 {
            let (live, server) = live().await;
            servers.push(server);
            pool.put(key.clone(), live).await;
        }
        assert_eq!(len(&pool), 2);
        for port in 0..MAX_IDLE {
            let (live, server) = live().await;
            servers.push(server);
            key.port = 1000 + port as u16;
            pool.put(key.clone(), live).await;
        }
        assert_eq!(len(&pool), MAX_IDLE);
        assert!(pool.take(&key).await.is_some());
        key.port = 443;
        assert!(pool.take(&key).await.is_none(), "the oldest went");
    }
}
