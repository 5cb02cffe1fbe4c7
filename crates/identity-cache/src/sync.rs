//! What the engine shares between threads, so that a model checker can stand in for it: `--cfg identity_model` puts
//! shuttle's types in the place of the real ones.

#[cfg(not(all(test, identity_model)))]
pub(crate) use std::sync::{Mutex, MutexGuard, atomic::AtomicBool};

#[cfg(all(test, identity_model))]
pub(crate) use shuttle::sync::{Mutex, MutexGuard, atomic::AtomicBool};

use std::sync::{Arc, PoisonError};

/// Nothing that runs under these locks can panic, so a poisoned one is as good as any.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A place for one shared value, read without a lock.
#[cfg(not(all(test, identity_model)))]
pub(crate) struct Slot<T>(arc_swap::ArcSwapOption<T>);

#[cfg(not(all(test, identity_model)))]
impl<T> Slot<T> {
    pub(crate) fn empty() -> Self {
        Self(arc_swap::ArcSwapOption::const_empty())
    }

    #[inline]
    pub(crate) fn read<R>(&self, look: impl FnOnce(&Arc<T>) -> Option<R>) -> Option<R> {
        self.0.load().as_ref().and_then(look)
    }

    pub(crate) fn set(&self, value: Option<Arc<T>>) {
        self.0.store(value);
    }
}

#[cfg(all(test, identity_model))]
pub(crate) struct Slot<T>(Mutex<Option<Arc<T>>>);

#[cfg(all(test, identity_model))]
impl<T> Slot<T> {
    pub(crate) fn empty() -> Self {
        Self(Mutex::new(None))
    }

    pub(crate) fn read<R>(&self, look: impl FnOnce(&Arc<T>) -> Option<R>) -> Option<R> {
        let value = lock(&self.0).clone();
        value.as_ref().and_then(look)
    }

    pub(crate) fn set(&self, value: Option<Arc<T>>) {
        *lock(&self.0) = value;
    }
}
