//! The waiters of a condition and its notifications, in one word.
//!
//! The lower half counts the calls of `notify`. Above are the number of waiters, and of notifications
//! that nobody has taken yet. A waiter takes one that came after it began, while it holds the mutex. So a
//! waiter that is killed before it has the mutex takes no notification with it. One that is killed while it
//! waits stays counted, so that another waiter may wake up for nothing. Each change is one atomic
//! operation, and no thread sleeps longer than a slice.

use super::atomic::{AtomicU64, Ordering};
use super::park::{self, Patience, SLICE};
use super::spin::Spin;
use crate::error::Result;

#[derive(Clone, Copy)]
struct Notices {
    calls: u32,
    waiting: u16,
    given: u16,
}

impl Notices {
    fn of(word: u64) -> Self {
        Self { calls: word as u32, waiting: (word >> 32) as u16, given: (word >> 48) as u16 }
    }

    fn word(self) -> u64 {
        u64::from(self.calls) | u64::from(self.waiting) << 32 | u64::from(self.given) << 48
    }

    fn is_due(self, began: u32) -> bool {
        self.given > 0 && self.calls != began
    }
}

/// Changes the word by `step`, unless that returns `None`. Returns what it was before, and what it is now.
fn change(
    word: &AtomicU64,
    step: impl Fn(Notices) -> Option<Notices>,
) -> Option<(Notices, Notices)> {
    let mut seen = word.load(Ordering::SeqCst);
    loop {
        let before = Notices::of(seen);
        let after = step(before)?;
        match word.compare_exchange(seen, after.word(), Ordering::SeqCst, Ordering::SeqCst) {
            Ok(_) => return Some((before, after)),
            Err(now) => seen = now,
        }
    }
}

/// Begins a wait for a notification that comes after the calls so far, and returns their number. `None` if
/// 65,535 wait already.
pub(crate) fn begin(word: &AtomicU64) -> Option<u32> {
    change(word, |seen| Some(Notices { waiting: seen.waiting.checked_add(1)?, ..seen }))
        .map(|(before, _)| before.calls)
}

/// Sleeps until there may be a notification to be taken, or the time is up. A wait that has kept its turn goes on with
/// the mutex: it may have got the wake-up that is for one who wants that.
///
/// # Errors
/// What `check` says; [`crate::error::Error::Cancelled`]; the OS's.
pub(crate) fn wait(
    word: &AtomicU64,
    began: u32,
    spin: &Spin,
    patience: &Patience<'_>,
    check: impl Fn() -> Result<()>,
) -> Result<()> {
    let is_due = || Notices::of(word.load(Ordering::SeqCst)).is_due(began).then_some(());
    if patience.take_turn() || is_due().or_else(|| spin.until(is_due)).is_some() {
        return check();
    }
    loop {
        let seen = word.load(Ordering::SeqCst);
        check()?;
        if Notices::of(seen).is_due(began) || patience.is_over()? {
            return Ok(());
        }
        park::sleep(word, seen, SLICE, patience)?;
    }
}

/// Takes a notification, and waits no more; `false` if there is none.
pub(crate) fn take(word: &AtomicU64, began: u32) -> bool {
    change(word, |seen| {
        let (waiting, given) = (seen.waiting.saturating_sub(1), seen.given.saturating_sub(1));
        seen.is_due(began).then_some(Notices { waiting, given, ..seen })
    })
    .is_some()
}

/// Ends a wait without a notification: those that are there are for others.
pub(crate) fn leave(word: &AtomicU64) {
    let left = change(word, |seen| {
        let waiting = seen.waiting.saturating_sub(1);
        Some(Notices { waiting, given: seen.given.min(waiting), ..seen })
    });
    // The waiter that leaves may have got the wake-up.
    if left.is_some_and(|(_, now)| now.given > 0) {
        park::wake(word, 1);
    }
}

/// Gives a notification to each of up to `count` waiters. If there is none after that, nobody waits, and the
/// wake-up, a system call, is left out.
pub(crate) fn notify(word: &AtomicU64, count: u32) {
    let more = u16::try_from(count).unwrap_or(u16::MAX);
    let changed = change(word, |seen| {
        let given = seen.given.saturating_add(more).min(seen.waiting);
        Some(Notices { calls: seen.calls.wrapping_add(1), given, ..seen })
    });
    if changed.is_some_and(|(_, now)| now.given > 0) {
        park::wake(word, count);
    }
}
