//! Locks that a panic does not close for good.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks a mutex although a thread may have panicked that held it.
///
/// ```
/// use memory_map::LockAnyway;
///
/// let mutex = std::sync::Mutex::new(1);
/// let _ = std::panic::catch_unwind(|| {
///     let _held = mutex.lock();
///     panic!();
/// });
/// assert!(mutex.lock().is_err());
/// assert_eq!(*mutex.lock_anyway(), 1);
/// ```
pub trait LockAnyway<T> {
    /// Waits for the mutex. No code of these crates that holds one panics in the middle of a change.
    fn lock_anyway(&self) -> MutexGuard<'_, T>;
}

impl<T> LockAnyway<T> for Mutex<T> {
    fn lock_anyway(&self) -> MutexGuard<'_, T> {
        self.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
