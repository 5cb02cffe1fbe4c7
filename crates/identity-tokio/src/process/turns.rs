//! Who runs next, where only so many programs run at a time.

use std::{
    collections::VecDeque,
    fmt,
    pin::Pin,
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep_until};

/// So many turns, in the order in which they were asked for.
///
/// A turn ends when it is dropped, or when its time is over, and whoever is called and does not come is passed by: a task of a
/// runtime that nobody drives does neither.
pub(super) struct Turns {
    at_once: usize,
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    /// Until when, at most.
    taken: Vec<(u64, Instant)>,
    waiting: VecDeque<Waiting>,
    next: u64,
}

impl Queue {
    /// Whom to wake of those who may go. Each is called once.
    fn call(&mut self, at_once: usize, now: Instant) -> Vec<Waker> {
        let free = at_once.saturating_sub(self.taken.len());
        let mut wakers = Vec::new();
        for waiting in self.waiting.iter_mut().take(free).filter(|waiting| waiting.called.is_none()) {
            waiting.called = Some(now);
            wakers.push(waiting.waker.clone());
        }
        wakers
    }
}

struct Waiting {
    id: u64,
    waker: Waker,
    /// Since when it could have come.
    called: Option<Instant>,
}

impl Turns {
    pub(super) fn new(at_once: usize) -> Self {
        Self { at_once, queue: Mutex::default() }
    }

    /// Waits for a turn, which is over after `lasts` at the latest.
    pub(super) fn take(&self, lasts: Duration) -> Take<'_> {
        Take { turns: self, lasts, id: None, alarm: None }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls those who may go.
    fn call(&self) {
        let mut queue = self.lock();
        let wakers = queue.call(self.at_once, Instant::now());
        drop(queue);
        wakers.into_iter().for_each(Waker::wake);
    }
}

impl fmt::Debug for Turns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Turns")
    }
}

/// The right to run. Dropping it ends the turn.
pub(super) struct Turn<'a> {
    turns: &'a Turns,
    id: u64,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.turns.lock().taken.retain(|(id, _)| *id != self.id);
        self.turns.call();
    }
}

/// A place in the queue, given back when dropped.
pub(super) struct Take<'a> {
    turns: &'a Turns,
    lasts: Duration,
    id: Option<u64>,
    alarm: Option<Pin<Box<Sleep>>>,
}

impl<'a> Future for Take<'a> {
    type Output = Turn<'a>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Turn<'a>> {
        let turns = self.turns;
        loop {
            let now = Instant::now();
            let mut queue = turns.lock();
            queue.taken.retain(|(_, until)| *until > now);
            let id = self.id.unwrap_or_else(|| {
                queue.next += 1;
                let id = queue.next;
                queue.waiting.push_back(Waiting { id, waker: cx.waker().clone(), called: None });
                id
            });
            self.id = Some(id);
            // Also where a turn is over that nobody has ended.
            let called = queue.call(turns.at_once, now);
            let free = turns.at_once.saturating_sub(queue.taken.len());
            let comes = |waiting: &&Waiting| waiting.called.is_none_or(|called| now < called + PATIENCE);
            let before = queue.waiting.iter().take_while(|waiting| waiting.id != id).filter(comes).count();
            if before < free {
                queue.waiting.retain(|waiting| waiting.id != id);
                queue.taken.push((id, now + self.lasts));
                drop(queue);
                self.id = None;
                return Poll::Ready(Turn { turns, id });
            }
            if let Some(waiting) = queue.waiting.iter_mut().find(|waiting| waiting.id == id) {
                waiting.waker.clone_from(cx.waker());
                waiting.called = None;
            }
            // With turns to spare it is for those before us to come; else for those who have one to end.
            let ends = queue.taken.iter().map(|(_, until)| *until).min().filter(|_| free == 0);
            drop(queue);
            called.into_iter().filter(|waker| !waker.will_wake(cx.waker())).for_each(Waker::wake);
            let again = ends.unwrap_or(now + PATIENCE);
            let mut alarm = Box::pin(sleep_until(again));
            if alarm.as_mut().poll(cx).is_pending() {
                self.alarm = Some(alarm);
                return Poll::Pending;
            }
        }
    }
}

impl Drop for Take<'_> {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            self.turns.lock().waiting.retain(|waiting| waiting.id != id);
            self.turns.call();
        }
    }
}

/// How long somebody who is called has to come. Source: our choice; a runtime that is driven takes milliseconds.
const PATIENCE: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn turns_come_in_the_order_in_which_they_were_asked_for() {
        let turns = Arc::new(Turns::new(2));
        let order = Arc::new(Mutex::new(Vec::new()));
        let tasks: Vec<_> = (0..7)
            .map(|number| {
                let (turns, order) = (Arc::clone(&turns), Arc::clone(&order));
                tokio::spawn(async move {
                    let _turn = turns.take(LONG).await;
                    order.lock().unwrap().push(number);
                    assert!(turns.lock().taken.len() <= 2);
                    tokio::time::sleep(Duration::from_secs(1)).await;
                })
            })
            .collect();
        let start = Instant::now();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!((start.elapsed().as_secs(), &*order.lock().unwrap()), (4, &vec![0, 1, 2, 3, 4, 5, 6]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_turn_that_nobody_ends_is_over_in_time_and_who_does_not_come_is_passed_by() {
        let turns = Turns::new(1);
        let held = turns.take(LONG).await;
        let mut absent = Box::pin(turns.take(LONG));
        let poll =
            |take: &mut Pin<Box<Take<'_>>>| take.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready();
        assert!(!poll(&mut absent));
        let start = Instant::now();
        let second = tokio::time::timeout(2 * LONG, turns.take(LONG)).await.unwrap();
        assert!(start.elapsed() >= LONG && start.elapsed() < LONG + 3 * PATIENCE, "{:?}", start.elapsed());
        // The first one's end is no longer anybody's.
        drop(held);
        assert_eq!(turns.lock().taken.len(), 1);
        drop(second);
        assert!(poll(&mut absent));
    }

    #[tokio::test(start_paused = true)]
    async fn who_goes_leaves_the_place_to_the_next() {
        let turns = Turns::new(1);
        let held = turns.take(LONG).await;
        let gone = tokio::time::timeout(Duration::from_secs(1), turns.take(LONG)).await;
        assert!(gone.is_err() && turns.lock().waiting.is_empty());
        drop(held);
        let start = Instant::now();
        drop(turns.take(LONG).await);
        assert_eq!(start.elapsed(), Duration::ZERO);
    }
}
