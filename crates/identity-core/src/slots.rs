//! Who comes next, where only so many may be at work.

use std::{
    collections::VecDeque,
    fmt,
    pin::Pin,
    sync::Mutex,
    task::{Context, Poll, Waker},
};

use crate::gate::lock;

/// Lets one caller at a time find something out while the others wait for it.
///
/// Whoever has its turn looks first whether somebody before it was lucky.
pub struct Turns(Slots);

impl Turns {
    /// Waits for the caller's turn.
    ///
    /// # Cancellation
    ///
    /// Dropping the future gives the place in the queue to the next one.
    pub async fn take(&self) -> Turn<'_> {
        self.0.acquire().await;
        Turn(self)
    }
}

impl Default for Turns {
    fn default() -> Self {
        Self(Slots::new(1))
    }
}

impl fmt::Debug for Turns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Turns")
    }
}

/// The right to be at work. Dropping it ends the turn.
#[derive(Debug)]
pub struct Turn<'a>(&'a Turns);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.0.release();
    }
}

/// A fair counting semaphore.
pub(crate) struct Slots(Mutex<Queue>);

#[derive(Default)]
struct Queue {
    free: usize,
    waiting: VecDeque<(u64, Waker)>,
    granted: Vec<u64>,
    next_id: u64,
}

impl Slots {
    pub(crate) fn new(limit: usize) -> Self {
        Self(Mutex::new(Queue { free: limit.max(1), ..Queue::default() }))
    }

    /// Waits for a slot and takes it; the caller releases it.
    pub(crate) fn acquire(&self) -> Acquire<'_> {
        Acquire { slots: self, id: None }
    }

    pub(crate) fn release(&self) {
        let mut queue = lock(&self.0);
        match queue.waiting.pop_front() {
            Some((id, waker)) => {
                queue.granted.push(id);
                drop(queue);
                waker.wake();
            }
            None => queue.free += 1,
        }
    }
}

/// A place in the queue, given back when dropped.
pub(crate) struct Acquire<'a> {
    slots: &'a Slots,
    id: Option<u64>,
}

impl Future for Acquire<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut queue = lock(&self.slots.0);
        match self.id {
            None if queue.free > 0 => {
                queue.free -= 1;
                return Poll::Ready(());
            }
            None => {
                let id = queue.next_id;
                queue.next_id += 1;
                queue.waiting.push_back((id, cx.waker().clone()));
                drop(queue);
                self.id = Some(id);
            }
            Some(id) => {
                if let Some(at) = queue.granted.iter().position(|&granted| granted == id) {
                    queue.granted.swap_remove(at);
                    drop(queue);
                    self.id = None;
                    return Poll::Ready(());
                }
                if let Some((_, waker)) = queue.waiting.iter_mut().find(|(waiting, _)| *waiting == id) {
                    waker.clone_from(cx.waker());
                }
            }
        }
        Poll::Pending
    }
}

impl Drop for Acquire<'_> {
    fn drop(&mut self) {
        let Some(id) = self.id else { return };
        let mut queue = lock(&self.slots.0);
        // Thousands may go at a time, when an endpoint is silent, mostly in the order in which they came.
        if queue.waiting.front().is_some_and(|(waiting, _)| *waiting == id) {
            queue.waiting.pop_front();
            return;
        }
        queue.waiting.retain(|(waiting, _)| *waiting != id);
        if let Some(at) = queue.granted.iter().position(|&granted| granted == id) {
            queue.granted.swap_remove(at);
            drop(queue);
            self.slots.release();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicUsize, Ordering},
        time::Duration,
    };

    use super::*;
    use crate::{
        Clock as _,
        fakes::{FakeClock, Sim, join_all},
    };

    #[test]
    fn one_is_at_work_and_who_leaves_makes_room() {
        let clock = FakeClock::default();
        let (turns, busy, done) = (Turns::default(), AtomicUsize::new(0), AtomicUsize::new(0));
        let work = |gives_up: bool| {
            let (turns, busy, done, clock) = (&turns, &busy, &done, &clock);
            async move {
                let work = async {
                    let _turn = turns.take().await;
                    assert_eq!(busy.fetch_add(1, Ordering::SeqCst), 0);
                    clock.sleep(Duration::from_secs(1)).await;
                    busy.fetch_sub(1, Ordering::SeqCst);
                    done.fetch_add(1, Ordering::SeqCst);
                };
                let limit = Duration::from_millis(if gives_up { 500 } else { 60_000 });
                crate::gate::timeout(clock, limit, work).await;
            }
        };
        Sim::new(&clock).run(join_all((0..9).map(|number| work(number % 3 == 1))));
        assert_eq!((done.load(Ordering::SeqCst), clock.elapsed().as_secs()), (6, 6));
    }
}
