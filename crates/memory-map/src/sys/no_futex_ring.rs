//! Systems that cannot sleep on many words at once.

use std::sync::atomic::AtomicU32;
use std::time::Duration;

use crate::sys::{Woken, WokenOf};

/// Has no value: there is no ring.
pub(crate) enum FutexRing {}

impl FutexRing {
    /// Fails.
    pub fn new() -> Result<Self, i32> {
        Err(0)
    }

    /// Cannot be called.
    pub fn wait(&mut self, _mark: u64, _address: usize, _expected: u32) -> Result<(), i32> {
        match *self {}
    }

    /// Cannot be called.
    pub fn wait_private(&mut self, _mark: u64, _word: &AtomicU32, _: u32) -> Result<(), i32> {
        match *self {}
    }

    /// Cannot be called.
    pub fn cancel(&mut self, _mark: u64) -> Result<(), i32> {
        match *self {}
    }

    /// Cannot be called.
    pub fn cancel_all(&mut self) {
        match *self {}
    }

    /// Cannot be called.
    pub fn begin(&mut self) -> Result<(), i32> {
        match *self {}
    }

    /// Cannot be called.
    pub fn enter(&mut self, _limit: Option<Duration>) -> Result<(), i32> {
        match *self {}
    }

    /// Cannot be called.
    pub fn take(&mut self, _told: impl FnMut(u64, Result<Woken, i32>)) {
        match *self {}
    }
}

/// None.
pub(crate) const MOST_WORDS: usize = 0;

/// Fails.
pub(crate) fn futex_wait_any(
    _words: impl Iterator<Item = (usize, u32)>,
    _control: &AtomicU32,
    _limit: Option<Duration>,
) -> WokenOf {
    WokenOf::Failed
}
