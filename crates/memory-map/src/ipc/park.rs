//! Sleeping on a word until somebody wakes it.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::{Duration, Instant};

use super::atomic::AtomicU64;
use crate::error::{Error, Result};
use crate::mapping::{Attachment, Mapping, Whereabouts};

/// How a sleep on a word ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitResult {
    /// It was woken.
    Ok,
    /// The word held something else.
    NotEqual,
    /// The time was up.
    TimedOut,
}

/// What ends a wait before its time, from another thread.
#[derive(Default)]
pub struct Cancel(pub(crate) Arc<AtomicU32>);

impl Cancel {
    /// Ends the wait with [`Error::Cancelled`], and every later one.
    pub fn cancel(&self) {
        self.0.store(1, std::sync::atomic::Ordering::SeqCst);
        crate::sys::wake_private(&self.0);
    }

    /// Has `close`, and a move of the mapping, end the wait too.
    pub fn end_with(self: &Arc<Self>, mapping: &Mapping) {
        mapping.attached().attach(self);
    }

    fn is_cancelled(&self) -> bool {
        self.0.load(std::sync::atomic::Ordering::SeqCst) != 0
    }
}

impl Attachment for Cancel {
    fn follow(&self, _to: Option<&Whereabouts>) {
        self.cancel();
    }

    fn end(&self) {
        self.cancel();
    }
}

/// How long to wait.
#[derive(Clone, Copy, Default)]
pub struct Patience<'a> {
    /// Until then; for ever where there is none.
    pub deadline: Option<Instant>,
    /// Ends the wait.
    pub cancel: Option<&'a Cancel>,
}

impl<'a> Patience<'a> {
    /// Waits for ever.
    pub const FOREVER: Self = Self { deadline: None, cancel: None };

    /// Waits for so long at most.
    pub fn of(timeout: Duration) -> Self {
        Self { deadline: Instant::now().checked_add(timeout), cancel: None }
    }

    /// The same, which `cancel` can end.
    pub fn or_until(self, cancel: &'a Cancel) -> Self {
        Self { cancel: Some(cancel), ..self }
    }

    /// How long from now on; `None` where that has no end.
    pub(crate) fn left(&self) -> Option<Duration> {
        self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()))
    }

    /// Whether the time is up.
    ///
    /// # Errors
    /// [`Error::Cancelled`].
    pub(crate) fn is_over(&self) -> Result<bool> {
        if self.cancel.is_some_and(Cancel::is_cancelled) {
            return Err(Error::Cancelled);
        }
        Ok(self.left().is_some_and(|left| left.is_zero()))
    }
}

/// Sleeps while the low half of `word` is that of `expected`, for `limit` at most. It may end for
/// no reason.
pub(crate) fn sleep(
    word: &AtomicU64,
    expected: u64,
    limit: Duration,
    patience: &Patience<'_>,
) -> Result<()> {
    let limit = patience.left().map_or(limit, |left| left.min(limit));
    let address = word.as_ptr() as usize + if cfg!(target_endian = "big") { 4 } else { 0 };
    let cancel = patience.cancel.map(|cancel| &*cancel.0);
    crate::sys::futex_wait(address, expected as u32, Some(limit), cancel)
        .map(drop)
        .map_err(|errno| Error::os(errno, "futex"))
}

/// Wakes up to `count` threads that sleep on `word`.
pub(crate) fn wake(word: &AtomicU64, count: u32) {
    let address = word.as_ptr() as usize + if cfg!(target_endian = "big") { 4 } else { 0 };
    crate::sys::futex_wake(address, count);
}
