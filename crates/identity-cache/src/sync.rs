//! What the engine shares between threads, so that a model checker can stand in for it: under `--cfg identity_model`
//! the tests put shuttle's types in the place of the real ones.

#[cfg(not(all(test, identity_model)))]
pub(crate) use std::sync::{Mutex, MutexGuard, atomic::AtomicBool};

#[cfg(all(test, identity_model))]
pub(crate) use shuttle::sync::{Mutex, MutexGuard, atomic::AtomicBool};

use std::sync::PoisonError;

/// Nothing that runs under these locks can panic, so a poisoned one is as good as any.
#[inline]
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
