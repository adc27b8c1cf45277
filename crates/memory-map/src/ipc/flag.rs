//! A flag that many wait for, in one word.
//!
//! Bit 0 says that a thread may be asleep, bit 1 that the flag is set; the rest counts how often it
//! was set. A wait is over when the flag is set, or was since the wait began: a `clear` right after
//! the `set` takes nothing from those who waited. Each change is one atomic operation, so a death can
//! only lose the wake-up after one, and no thread sleeps longer than a slice.

use super::atomic::{AtomicU64, Ordering};
use super::park::{self, Patience, SLICE};
use super::spin::Spin;
use crate::error::Result;

const ASLEEP: u64 = 1;
const SET: u64 = 2;
const SHIFT: u32 = 2;

pub(crate) fn is_set(word: &AtomicU64) -> bool {
    word.load(Ordering::SeqCst) & SET != 0
}

/// Sets the flag and wakes all who wait.
pub(crate) fn set(word: &AtomicU64) {
    let mut seen = word.load(Ordering::Relaxed);
    loop {
        let next = ((seen >> SHIFT).wrapping_add(1) << SHIFT) | SET;
        // A flag that is set already is stored again: whoever sees it sees what was done before this.
        let new = if seen & SET == 0 { next } else { seen };
        match word.compare_exchange(seen, new, Ordering::SeqCst, Ordering::Relaxed) {
            Ok(_) => break,
            Err(now) => seen = now,
        }
    }
    if seen & ASLEEP != 0 {
        park::wake(word, u32::MAX);
    }
}

pub(crate) fn clear(word: &AtomicU64) {
    word.fetch_and(!SET, Ordering::SeqCst);
}

/// Begins a wait. Returns how often the flag has been set: the wait is over when that number changes.
pub(crate) fn begin(word: &AtomicU64) -> u64 {
    let seen = word.load(Ordering::SeqCst);
    (seen >> SHIFT).wrapping_sub(u64::from(seen & SET != 0))
}

/// Waits until the flag is or was set since `begin`; `false` if the time is up first.
///
/// # Errors
/// What `check` says; [`crate::error::Error::Cancelled`]; the OS's.
pub(crate) fn wait(
    word: &AtomicU64,
    began: u64,
    spin: &Spin,
    patience: &Patience<'_>,
    check: impl Fn() -> Result<()>,
) -> Result<bool> {
    let is_over = |seen: u64| seen & SET != 0 || seen >> SHIFT != began;
    let is_over_now = || is_over(word.load(Ordering::SeqCst)).then_some(());
    if is_over_now().or_else(|| spin.until(is_over_now)).is_some() {
        return check().map(|()| true);
    }
    loop {
        let seen = word.load(Ordering::SeqCst);
        check()?;
        if is_over(seen) {
            return Ok(true);
        }
        if patience.is_over()? {
            return Ok(false);
        }
        let asleep = seen | ASLEEP;
        if seen != asleep
            && word.compare_exchange(seen, asleep, Ordering::SeqCst, Ordering::Relaxed).is_err()
        {
            continue;
        }
        park::sleep(word, asleep, SLICE, patience)?;
    }
}
