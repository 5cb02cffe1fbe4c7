//! Which answer the next request gets.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex};

use tokio::sync::watch;

use crate::answer::{Answer, Connection, Plan};
use crate::lock;
use crate::source::Source;

/// Sets how requests are answered, while the emulator runs.
///
/// An answer holds for one [`Source`] or, with `None`, for all of them. The next request of a source takes, in this order: the
/// next answer queued for it, the next one queued for all, the standing answer for it, the standing
/// answer for all, the real answer. An answer replaces another; the two are never combined. One that is kept for other
/// [paths](Answer::at) counts as not there.
///
/// Cheap to clone; every clone steers the same emulator.
#[derive(Clone)]
pub struct Faults(Arc<Rules>);

struct Rules {
    queued: Mutex<Tables<VecDeque<Arc<Plan>>>>,
    standing: Mutex<Tables<Option<Arc<Plan>>>>,
    released: watch::Sender<u64>,
}

/// One row for each source and a last one for all.
type Tables<T> = [T; Source::ALL.len() + 1];

impl Faults {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Rules { queued: Mutex::default(), standing: Mutex::default(), released: watch::Sender::new(0) }))
    }

    /// Answers every request so from now on; [`Answer::real`] ends it.
    pub fn always(&self, source: impl Into<Option<Source>>, answer: Answer) {
        if let Some(row) = lock(&self.0.standing).get_mut(row(source.into())) {
            *row = Some(Arc::new(answer.0));
        }
    }

    /// Answers the next request so, after those for which an answer is queued already.
    pub fn next(&self, source: impl Into<Option<Source>>, answer: Answer) {
        self.script(source, [answer]);
    }

    /// Answers the next requests so, one answer for each, after those that are queued already.
    pub fn script(&self, source: impl Into<Option<Source>>, answers: impl IntoIterator<Item = Answer>) {
        let script = answers.into_iter().map(|answer| answer.0).collect();
        self.repeat(source.into(), 1, script);
    }

    /// Answers the next `count` requests so.
    pub fn times(&self, source: impl Into<Option<Source>>, count: usize, answer: Answer) {
        self.repeat(source.into(), count, vec![answer.0]);
    }

    /// Queues a script so many times.
    pub(crate) fn repeat(&self, source: Option<Source>, times: usize, script: Vec<Plan>) {
        let script: Vec<Arc<Plan>> = script.into_iter().map(Arc::new).collect();
        if let Some(row) = lock(&self.0.queued).get_mut(row(source)) {
            for _ in 0..times {
                row.extend(script.iter().cloned());
            }
        }
    }

    /// The number of queued answers that no request has taken yet.
    #[must_use]
    pub fn queued(&self, source: impl Into<Option<Source>>) -> usize {
        lock(&self.0.queued).get(row(source.into())).map_or(0, VecDeque::len)
    }

    /// Forgets every answer, so that all requests get the real one, and releases held requests.
    pub fn clear(&self) {
        *lock(&self.0.queued) = Tables::default();
        *lock(&self.0.standing) = Tables::default();
        self.release();
    }

    /// Lets every request go on that is [held](Answer::held) now; later ones wait again.
    pub fn release(&self) {
        self.0.released.send_modify(|times| *times = times.wrapping_add(1));
    }

    /// Sees every release from now on; taken before a request is recorded, so that none is missed.
    pub(crate) fn releases(&self) -> watch::Receiver<u64> {
        self.0.released.subscribe()
    }

    /// Takes the next answer for a new connection, if it is one that is given before a request is read.
    pub(crate) fn take_at_accept(&self, source: Source) -> Connection {
        let plan = self.take_if(source, None, Plan::is_at_accept);
        plan.map_or(Connection::Serve, |plan| plan.connection)
    }

    /// Takes the next answer for a request with that path.
    pub(crate) fn take(&self, source: Source, path: &str) -> Arc<Plan> {
        self.take_if(source, Some(path), |_| true).unwrap_or_default()
    }

    /// Takes the next answer unless it is not wanted.
    fn take_if(&self, source: Source, path: Option<&str>, wanted: impl Fn(&Plan) -> bool) -> Option<Arc<Plan>> {
        let rows = [row(Some(source)), row(None)];
        {
            let mut queued = lock(&self.0.queued);
            for row in rows {
                let queue = queued.get_mut(row)?;
                let next = queue.iter().enumerate().find(|(_, plan)| plan.is_for(path));
                if let Some((place, plan)) = next {
                    return if wanted(plan) { queue.remove(place) } else { None };
                }
            }
        }
        let standing = lock(&self.0.standing);
        let plan = rows.iter().find_map(|row| standing.get(*row)?.clone().filter(|plan| plan.is_for(path)))?;
        wanted(&plan).then_some(plan)
    }
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let queued: usize = lock(&self.0.queued).iter().map(VecDeque::len).sum();
        let standing = lock(&self.0.standing).iter().flatten().count();
        f.debug_struct("Faults").field("queued", &queued).field("standing", &standing).finish()
    }
}

fn row(source: Option<Source>) -> usize {
    source.map_or(Source::ALL.len(), Source::row)
}
