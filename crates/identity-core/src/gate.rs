//! What keeps thousands of callers from hurting an endpoint that is in trouble, or has a limit.
//!
//! Two rules, one [`Gate`] for both. *Slots*: only so many requests are under way to an origin at a time, the others
//! wait their turn. *Trouble*: after "too many requests", or after a flight gave up, requests of the same client to the
//! same origin wait or fail at once; when the time is over, one request goes out as a probe and the others wait for
//! what it finds.

use std::{
    fmt,
    future::poll_fn,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    task::{Poll, Waker},
    time::{Duration, Instant},
};

use crate::{BoxFuture, Clock, Error, ErrorKind, Moment, Result, slots::Slots};

pub use crate::slots::{Turn, Turns};

/// All gates of a platform.
#[derive(Default)]
pub struct Gates(Mutex<Registry>);

#[derive(Default)]
struct Registry {
    slots: Vec<(String, Weak<Slots>)>,
    clients: Vec<(String, String, Weak<Mutex<Client>>)>,
}

impl Gates {
    /// The gate of `client` at `origin`, where at most `limit` requests of all clients are under way at a time. The
    /// first caller's limit holds as long as anyone has a gate at that origin.
    #[must_use]
    pub fn gate(&self, origin: &str, client: &str, limit: usize) -> Gate {
        let mut registry = lock(&self.0);
        registry.slots.retain(|(_, slots)| slots.strong_count() > 0);
        registry.clients.retain(|(_, _, client)| client.strong_count() > 0);
        let known = registry.slots.iter().find(|(o, _)| o == origin).and_then(|(_, slots)| slots.upgrade());
        let slots = known.unwrap_or_else(|| {
            let slots = Arc::new(Slots::new(limit));
            registry.slots.push((origin.to_owned(), Arc::downgrade(&slots)));
            slots
        });
        let known = registry.clients.iter().find(|(o, c, _)| o == origin && c == client);
        let state = known.and_then(|(_, _, state)| state.upgrade()).unwrap_or_else(|| {
            let state = Arc::<Mutex<Client>>::default();
            registry.clients.push((origin.to_owned(), client.to_owned(), Arc::downgrade(&state)));
            state
        });
        Gate { slots, client: state }
    }
}

impl fmt::Debug for Gates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gates").finish_non_exhaustive()
    }
}

/// The way of one client to one origin.
#[derive(Clone)]
pub struct Gate {
    slots: Arc<Slots>,
    client: Arc<Mutex<Client>>,
}

#[derive(Default)]
struct Client {
    trouble: Option<Trouble>,
    /// Counts what befell the trouble, so that an answer is not taken for news of something that came after its request.
    events: u64,
    waiting: Vec<Waker>,
}

struct Trouble {
    /// On the monotonic clock.
    until: Instant,
    /// Whether the retries of flights under way wait as well: the server named the time.
    binding: bool,
    /// How often it was closed in a row.
    step: u32,
    /// What new flights are told at once; without it they wait.
    error: Option<Error>,
    /// Whether a probe is under way.
    probing: bool,
}

enum Decision {
    Go { probe: Option<Probe> },
    Sleep(Duration),
    Fail(Error),
}

/// The one request that goes out when a time of trouble is over.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Probe {
    /// After a pause that the endpoint asked for.
    AfterPause,
    /// After a flight gave up.
    AfterFailure,
}

impl Gate {
    /// Waits until a request may go out. `first` tells a flight's first request from its retries: a flight's own
    /// back-off is not subject to the gate, except to a time that the server named.
    pub(crate) async fn enter(&self, clock: &dyn Clock, first: bool, patience: Duration) -> Result<Permit> {
        let deadline = clock.now().plus(patience).monotonic;
        let wait = async {
            loop {
                let decision = poll_fn(|cx| {
                    let mut client = lock(&self.client);
                    let decision = client.decide(clock.now().monotonic, first);
                    if decision.is_none() && !client.waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
                        client.waiting.push(cx.waker().clone());
                    }
                    decision.map_or(Poll::Pending, Poll::Ready)
                });
                match decision.await {
                    Decision::Fail(error) => return Err(error),
                    Decision::Sleep(wait) => {
                        if clock.now().plus(wait).monotonic > deadline {
                            return Err(paused(wait));
                        }
                        clock.sleep(wait).await;
                    }
                    Decision::Go { probe } => {
                        // From here on the probe's place is given back by the permit's drop.
                        let client = Arc::clone(&self.client);
                        let mut permit = Permit { client, slots: None, probe, events: 0 };
                        self.slots.acquire().await;
                        permit.slots = Some(Arc::clone(&self.slots));
                        if permit.confirm(clock.now().monotonic, first) {
                            return Ok(permit);
                        }
                        // Trouble came while it waited for its slot, which is free again: back to the gate.
                    }
                }
            }
        };
        match timeout(clock, patience, wait).await {
            Some(result) => result,
            None => Err(Error::new(
                ErrorKind::Transport,
                format!(
                    "no request could be sent within {} s: earlier requests to the same endpoint are still under way",
                    patience.as_secs()
                ),
            )),
        }
    }

    /// What a request that came now would be told at once, for those who have work to do before they send one.
    ///
    /// # Errors
    ///
    /// As [`retry::send`](crate::retry::send) would, if it may not go out within `patience`.
    pub fn check(&self, clock: &dyn Clock, patience: Duration) -> Result<()> {
        match lock(&self.client).refusal(clock.now().monotonic) {
            Some(Decision::Fail(error)) => Err(error),
            Some(Decision::Sleep(wait)) if wait > patience => Err(paused(wait)),
            _ => Ok(()),
        }
    }

    /// Turns every request of this client away for `wait`, with this error: the service forbids to ask.
    pub fn forbid(&self, now: &Moment, error: &Error, wait: Duration) {
        self.close(now.monotonic, error.clone(), wait, true);
    }

    /// Says that a flight gave up: new flights fail at once for 1 s, doubling to 10 s, or for `wait` if that is longer.
    pub(crate) fn close(&self, now: Instant, error: Error, wait: Duration, binding: bool) {
        let mut client = lock(&self.client);
        let step = client.trouble.as_ref().map_or(0, |trouble| trouble.step);
        client.trouble(later(now, wait.max(pause(step))), binding, step.saturating_add(1), Some(error));
        wake(client);
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").finish_non_exhaustive()
    }
}

impl Client {
    /// What a first request is told at once, or how long it has to wait.
    fn refusal(&self, now: Instant) -> Option<Decision> {
        let trouble = self.trouble.as_ref()?;
        let left = trouble.until.saturating_duration_since(now);
        match &trouble.error {
            // While a probe is under way its answer decides, which takes as long as it takes.
            Some(error) if trouble.probing || !left.is_zero() => {
                Some(Decision::Fail(error.clone().with_retry_after(left.max(pause(0)))))
            }
            _ if left.is_zero() => None,
            _ => Some(Decision::Sleep(left)),
        }
    }

    /// What a request does now; `None` is to wait for the probe that is under way.
    fn decide(&mut self, now: Instant, first: bool) -> Option<Decision> {
        let refusal = if first { self.refusal(now) } else { None };
        let Some(trouble) = &mut self.trouble else { return Some(Decision::Go { probe: None }) };
        if refusal.is_some() {
            return refusal;
        }
        let left = trouble.until.saturating_duration_since(now);
        if !left.is_zero() {
            return Some(if trouble.binding { Decision::Sleep(left) } else { Decision::Go { probe: None } });
        }
        if trouble.probing {
            return None;
        }
        trouble.probing = true;
        let probe = if trouble.error.is_some() { Probe::AfterFailure } else { Probe::AfterPause };
        Some(Decision::Go { probe: Some(probe) })
    }

    /// Takes note of trouble until a time. What lasts longer stays.
    fn trouble(&mut self, until: Instant, binding: bool, step: u32, error: Option<Error>) {
        self.events += 1;
        match &mut self.trouble {
            Some(old) if old.until > until => {
                old.step = old.step.max(step);
                old.error = error.or_else(|| old.error.take());
            }
            old => {
                let probing = old.as_ref().is_some_and(|old| old.probing);
                *old = Some(Trouble { until, binding, step, error, probing });
            }
        }
    }
}

/// The right to have one request under way. Dropping it gives the slot back.
pub(crate) struct Permit {
    client: Arc<Mutex<Client>>,
    slots: Option<Arc<Slots>>,
    probe: Option<Probe>,
    /// What had happened when the request was let out.
    events: u64,
}

impl Permit {
    /// Whether the request is the one that finds out whether the endpoint is back after a flight gave up: it has no
    /// retries, for one request per opening is all that goes out.
    pub(crate) fn is_last_chance(&self) -> bool {
        self.probe == Some(Probe::AfterFailure)
    }

    /// Whether the request may still go out, now that it has its slot.
    fn confirm(&mut self, now: Instant, first: bool) -> bool {
        let mut client = lock(&self.client);
        self.events = client.events;
        if self.probe.is_some() {
            return true;
        }
        match client.decide(now, first) {
            Some(Decision::Go { probe }) => {
                self.probe = probe;
                true
            }
            _ => false,
        }
    }

    /// The endpoint answered as a healthy one does.
    pub(crate) fn healthy(mut self) {
        let mut client = lock(&self.client);
        if client.events == self.events {
            client.trouble = None;
        } else {
            client.end_probe(self.probe.is_some());
        }
        self.probe = None;
        wake(client);
    }

    /// The endpoint asked for a pause; `binding` if it named the time itself.
    pub(crate) fn pause(mut self, now: Instant, wait: Duration, binding: bool) {
        let mut client = lock(&self.client);
        client.end_probe(self.probe.is_some());
        let step = client.trouble.as_ref().map_or(0, |trouble| trouble.step);
        client.trouble(later(now, wait), binding, step, None);
        self.probe = None;
        wake(client);
    }

    /// The request failed otherwise. If it was a probe after a pause, it will be a while until the next; if it was one
    /// after a failure, its flight gives up, which says the same.
    pub(crate) fn failed(mut self, now: Instant) {
        let Some(probe) = self.probe.take() else { return };
        let mut client = lock(&self.client);
        client.end_probe(true);
        if let Some(trouble) = &client.trouble {
            let (step, error) = (trouble.step, trouble.error.clone());
            let next = step.saturating_add(u32::from(probe == Probe::AfterPause));
            client.trouble(later(now, pause(step)), false, next, error);
        }
        wake(client);
    }
}

impl Client {
    fn end_probe(&mut self, was_probe: bool) {
        if let Some(trouble) = self.trouble.as_mut().filter(|_| was_probe) {
            trouble.probing = false;
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(slots) = &self.slots {
            slots.release();
        }
        if self.probe.is_some() {
            // The probe was dropped unanswered: the next one in line takes its place.
            let mut client = lock(&self.client);
            client.end_probe(true);
            wake(client);
        }
    }
}

/// Gives `work` at most `limit`; `None` if it took longer. The timer exists only if `work` is not done at once.
pub async fn timeout<T>(clock: &dyn Clock, limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    let mut work = std::pin::pin!(work);
    let mut timer: Option<BoxFuture<'static, ()>> = None;
    poll_fn(|cx| {
        if let Poll::Ready(value) = work.as_mut().poll(cx) {
            return Poll::Ready(Some(value));
        }
        timer.get_or_insert_with(|| clock.sleep(limit)).as_mut().poll(cx).map(|()| None)
    })
    .await
}

/// Waits are an hour at the most, so that only a clock at the end of time stays where it is.
fn later(now: Instant, wait: Duration) -> Instant {
    now.checked_add(wait).unwrap_or(now)
}

/// How long new flights are turned away after the given number of failures in a row.
fn pause(step: u32) -> Duration {
    Duration::from_secs(1 << step.min(4)).min(Duration::from_secs(10))
}

fn paused(wait: Duration) -> Error {
    Error::new(
        ErrorKind::Transport,
        format!("the endpoint asked for a pause; the next request may go out in {} s", wait.as_secs().max(1)),
    )
    .with_retry_after(wait)
}

fn wake(mut client: MutexGuard<'_, Client>) {
    let waiting = std::mem::take(&mut client.waiting);
    drop(client);
    waiting.into_iter().for_each(Waker::wake);
}

/// Nothing that runs under these locks can panic, so a poisoned one is as good as any.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
