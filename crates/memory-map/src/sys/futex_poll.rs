//! Sleeping on a word of shared memory where the system cannot wake across processes: looking
//! again, at first often and then every 16 ms. A wake that changes nothing is not noticed.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::sys::{OwnWords, Woken};

const LONGEST: Duration = Duration::from_millis(16);

/// Sleeps while the word at `address` is `expected`, for `limit` at most, and until `own.cancel` is not
/// 0.
pub(crate) fn futex_wait(
    address: usize,
    expected: u32,
    limit: Option<Duration>,
    own: Option<&OwnWords>,
) -> Result<Woken, i32> {
    // SAFETY: the word belongs to an `Access`, whose region stays mapped and whose faults are
    // contained, until the caller returns.
    let word = unsafe { AtomicU32::from_ptr(address as *mut u32) };
    if word.load(Ordering::SeqCst) != expected {
        return Ok(Woken::NotEqual);
    }
    let start = Instant::now();
    let mut pause = Duration::from_micros(50);
    loop {
        if own.is_some_and(|own| own.cancel.load(Ordering::SeqCst) != 0) {
            return Ok(Woken::Perhaps);
        }
        let remaining = limit.map(|limit| limit.saturating_sub(start.elapsed()));
        if remaining.is_some_and(|remaining| remaining.is_zero()) {
            return Ok(Woken::TimedOut);
        }
        std::thread::sleep(remaining.map_or(pause, |remaining| remaining.min(pause)));
        if word.load(Ordering::SeqCst) != expected {
            return Ok(Woken::Notified);
        }
        pause = (2 * pause).min(LONGEST);
    }
}

/// Nothing reaches a thread that looks by itself.
#[cfg_attr(target_vendor = "apple", allow(dead_code))]
pub(crate) fn has_sleeper(_own: &OwnWords) -> bool {
    true
}

/// Returns 0: no sleeper is known.
pub(crate) fn futex_wake(_address: usize, _count: u32) -> u32 {
    0
}

/// Nothing to do: sleepers look by themselves.
pub(crate) fn wake_private(_word: &AtomicU32) {}

/// Whether `futex_wait` sleeps, or looks at the word again and again.
#[cfg_attr(target_vendor = "apple", allow(dead_code))]
pub(crate) fn sleeps_on_a_word() -> bool {
    false
}
