//! Sleeping on a word until another thread wakes the sleeper.

use std::time::{Duration, Instant};

use super::atomic::AtomicU64;
pub(crate) use super::nap::LOOK;
use super::nap::Nap;
use crate::error::{Error, Result};
use crate::sys::{self, OwnWords, Woken};

/// How long a wait sleeps at a time. A wake-up is lost only if its sender dies just before it, and is noticed after that.
pub(crate) const SLICE: Duration = Duration::from_millis(500);

/// How a sleep on a word ended.
///
/// ```
/// use std::time::Duration;
///
/// use memory_map::ipc::{Patience, WaitResult, wait};
/// use memory_map::{Mapping, Options};
///
/// let map = Mapping::anonymous(4096, true, &Options::default())?;
/// let patience = Patience::of(Duration::from_millis(1));
/// assert_eq!(wait(&map, 0, 0, &patience)?, WaitResult::TimedOut);
/// # Ok::<(), memory_map::Error>(())
/// ```
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
///
/// ```
/// use memory_map::ipc::{Cancel, Patience, wait};
/// use memory_map::{Error, Mapping, Options};
///
/// let map = Mapping::anonymous(4096, true, &Options::default())?;
/// let cancel = Cancel::default();
/// cancel.cancel();
/// assert_eq!(wait(&map, 0, 0, &Patience::FOREVER.or_until(&cancel)), Err(Error::Cancelled));
/// # Ok::<(), memory_map::Error>(())
/// ```
#[derive(Default)]
pub struct Cancel(OwnWords);

impl Cancel {
    /// Ends the wait with [`Error::Cancelled`], and every later one.
    pub fn cancel(&self) {
        self.0.cancel.store(1, std::sync::atomic::Ordering::SeqCst);
        sys::wake_private(&self.0.cancel);
    }

    /// Lets waits begin again.
    pub(crate) fn reset(&self) {
        self.0.cancel.store(0, std::sync::atomic::Ordering::SeqCst);
    }

    fn is_cancelled(&self) -> bool {
        self.0.cancel.load(std::sync::atomic::Ordering::SeqCst) != 0
    }

    /// Whether a thread sleeps with it, so that a wake reaches that; also `true` where that cannot be known.
    pub(crate) fn has_sleeper(&self) -> bool {
        sys::has_sleeper(&self.0)
    }
}

/// How long to wait.
///
/// ```
/// use std::time::Duration;
///
/// use memory_map::ipc::{Cancel, Patience};
///
/// let cancel = Cancel::default();
/// let patience = Patience::of(Duration::from_secs(1)).or_until(&cancel);
/// assert!(patience.deadline.is_some());
/// ```
#[derive(Clone, Copy, Default)]
pub struct Patience<'a> {
    /// Until then; for ever where there is none.
    pub deadline: Option<Instant>,
    /// Ends the wait.
    pub cancel: Option<&'a Cancel>,
    /// Called ten times a second while the thread sleeps, on that thread; ends the wait by returning `false`.
    pub tick: Option<&'a dyn Fn() -> bool>,
    /// The state of a wait that is called again after each sleep.
    pub(crate) nap: Option<&'a Nap>,
}

/// How long a thread sleeps at a time if it has to ask whether to go on waiting, or whether the word is still there.
const TICK: Duration = Duration::from_millis(100);

impl<'a> Patience<'a> {
    /// Waits for ever.
    pub const FOREVER: Self = Self { deadline: None, cancel: None, tick: None, nap: None };

    /// Waits for so long at most.
    pub fn of(timeout: Duration) -> Self {
        Self { deadline: Instant::now().checked_add(timeout), ..Self::FOREVER }
    }

    /// The same, which `cancel` can end.
    pub fn or_until(self, cancel: &'a Cancel) -> Self {
        Self { cancel: Some(cancel), ..self }
    }

    /// The same, which `tick` can end by returning `false`: it is called now and then while the thread sleeps.
    ///
    /// ```
    /// use memory_map::ipc::{Mutex, Patience};
    /// use memory_map::{Error, Mapping, Options};
    ///
    /// let map = Mapping::anonymous(4096, true, &Options::default())?;
    /// let other = Mutex::new(&map, 0)?;
    /// other.lock(&Patience::FOREVER)?;
    /// let no = || false;
    /// let patience = Patience::FOREVER.while_true(&no);
    /// assert_eq!(other.lock_in_turn(&patience), Err(Error::Cancelled));
    /// # Ok::<(), memory_map::Error>(())
    /// ```
    pub fn while_true(self, tick: &'a dyn Fn() -> bool) -> Self {
        Self { tick: Some(tick), ..self }
    }

    /// Whether the wait has slept, and was called again.
    pub(crate) fn has_slept(&self) -> bool {
        self.nap.is_some_and(Nap::has_slept)
    }

    /// If the call ends only to sleep, notes that the next one keeps its turn.
    pub(crate) fn keep_turn(&self) -> bool {
        let nap = self.nap.filter(|nap| nap.is_asleep());
        nap.map(Nap::keep_turn).is_some()
    }

    /// Whether the call before kept its turn, for this one.
    pub(crate) fn take_turn(&self) -> bool {
        self.nap.is_some_and(Nap::take_turn)
    }

    /// How long from now on; `None` if that has no end.
    pub(crate) fn remaining(&self) -> Option<Duration> {
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
        Ok(self.remaining().is_some_and(|left| left.is_zero()))
    }
}

/// Sleeps while the four bytes at `address` are `expected`, for `limit` at most, or until the time is up. It
/// may end for no reason; without a `limit` it does so now and then, so that the caller sees whether the word
/// is still there. In a wait that has no thread it fails with [`Error::Cancelled`] instead. That wait is called
/// again after the sleep, or in the middle of it, and then the first call of this returns how the sleep was.
pub(crate) fn sleep_on(
    address: usize,
    expected: u32,
    limit: Option<Duration>,
    patience: &Patience<'_>,
) -> Result<Woken> {
    if let Some(nap) = patience.nap.filter(|nap| !nap.has_thread()) {
        let is_cancelled = patience.cancel.is_some_and(Cancel::is_cancelled);
        return nap.sleep(address, expected, limit, patience.deadline, is_cancelled);
    }
    let tick = (limit.is_none() || patience.tick.is_some()).then_some(TICK);
    let end = [patience.remaining(), limit, tick].into_iter().flatten().min();
    let own = patience.cancel.map(|cancel| &cancel.0);
    if let Some(nap) = patience.nap {
        nap.announce();
    }
    let woken = sys::futex_wait(address, expected, end, own);
    if let Some(nap) = patience.nap {
        nap.begin();
    }
    match woken.map_err(|errno| Error::os(errno, "futex"))? {
        Woken::TimedOut | Woken::Perhaps => {
            if patience.tick.is_some_and(|tick| !tick()) {
                return Err(Error::Cancelled);
            }
            Ok(Woken::Perhaps)
        }
        woken => Ok(woken),
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
    sleep_on(low_half(word), expected as u32, Some(limit), patience).map(drop)
}

/// Wakes up to `count` threads that sleep on `word`.
pub(crate) fn wake(word: &AtomicU64, count: u32) {
    sys::futex_wake(low_half(word), count);
}

/// Address of the low half of a word.
fn low_half(word: &AtomicU64) -> usize {
    word.as_ptr() as usize + if cfg!(target_endian = "big") { 4 } else { 0 }
}
