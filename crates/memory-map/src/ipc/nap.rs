//! The sleep of a wait that has no thread of its own: the wait asks for it and returns. When it is called
//! again, it is told how the sleep ended.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock};
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::lock_anyway::LockAnyway;
use crate::sys::Woken;

/// What a wait sleeps on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sleep {
    pub address: usize,
    pub expected: u32,
    pub until: Option<Instant>,
    /// Whether the wait only looks again at that time, because its own deadline is later.
    pub is_slice: bool,
    /// Whether it has slept there before.
    pub is_again: bool,
    /// Whether the wait must be told exactly how the sleep ended; otherwise it may end for no reason.
    pub is_exact: bool,
}

/// How a sleep ended, or the error of the system.
pub(crate) type Outcome = std::result::Result<Woken, i32>;

/// How long a wait sleeps at a time if nobody can wake it, because the memory is not writable.
pub(crate) const LOOK: Duration = Duration::from_millis(10);
/// How long a wait sleeps at first that must be told how it ended: then it sees whether the word is still there.
const EXACT: Duration = Duration::from_millis(100);
/// The longest slice that one grows to.
const LONGEST: Duration = Duration::from_millis(320);

/// How long at most the begin of a wait is awaited: on a busy machine its thread can take a while.
const SOON: Duration = Duration::from_secs(2);
/// Whether that was not enough, as where a file system holds the thread up: until a wait begins again, none is awaited.
static IS_HELD_UP: AtomicBool = AtomicBool::new(false);

/// What a wait keeps from one call to the next.
#[derive(Default)]
pub(crate) struct Nap {
    state: Mutex<State>,
    /// Notified when it begins, or is about to.
    begun: Condvar,
}

#[derive(Default)]
struct State {
    /// Whether it sleeps on a thread of its own after all.
    has_thread: bool,
    asked: Option<Sleep>,
    how: Option<Outcome>,
    /// Whether the last sleep goes on.
    goes_on: bool,
    has_slept: bool,
    /// Whether it is about to sleep on a thread of its own.
    is_announced: bool,
    /// Whether the wait sleeps so that it can be woken, or has, or will not sleep.
    has_begun: bool,
    kept_turn: bool,
    /// Where it slept last, and how often in a row.
    address: usize,
    round: usize,
}

impl Nap {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock_anyway()
    }

    pub fn has_thread(&self) -> bool {
        self.state().has_thread
    }

    /// Whether the wait sleeps on the thread that calls it from now on.
    pub fn set_thread(&self, has_thread: bool) {
        self.state().has_thread = has_thread;
    }

    /// Tells how the sleep ended that was asked for.
    pub fn end(&self, how: Outcome) {
        self.state().how = Some(how);
    }

    /// Tells that the sleep that was asked for goes on, and only the memory is to be looked at.
    pub fn go_on(&self) {
        self.state().goes_on = true;
    }

    /// The sleep that the call which just ended asked for.
    pub fn take(&self) -> Option<Sleep> {
        self.state().asked.take()
    }

    /// Returns how the last sleep ended. If that was returned already, asks for another sleep, and ends the call
    /// with [`Error::Cancelled`]. The caller may read the word at `address`.
    pub fn sleep(
        &self,
        address: usize,
        expected: u32,
        limit: Option<Duration>,
        deadline: Option<Instant>,
        is_cancelled: bool,
    ) -> Result<Woken> {
        let mut state = self.state();
        let goes_on = std::mem::take(&mut state.goes_on);
        if let Some(how) = state.how.take() {
            return how.map_err(|errno| Error::os(errno, "futex"));
        }
        // One that goes on is ended, or told of a wake-up, all the same.
        if is_cancelled && !goes_on {
            return Err(Error::Cancelled);
        }
        // SAFETY: as for `sys::futex_wait`, the word belongs to an `Access` of the caller's, which
        // keeps it mapped and contains its faults.
        let word = unsafe { AtomicU32::from_ptr(address as *mut u32) };
        if word.load(Ordering::SeqCst) != expected && !goes_on {
            return Ok(Woken::NotEqual);
        }
        let is_again = state.address == address;
        state.round = if is_again { state.round + 1 } else { 0 };
        state.address = address;
        // A wait that is called again has forgotten how often it slept, so the slices grow here, except those of
        // a wait that nobody can wake.
        let growth = |limit| if limit == LOOK { 0 } else { state.round.min(8) };
        let grown = |limit: Duration| limit.max((limit * (1 << growth(limit))).min(LONGEST));
        let slice = end_of(grown(limit.unwrap_or(EXACT)));
        let is_slice = deadline.is_none_or(|deadline| slice < deadline);
        let until = if is_slice { Some(slice) } else { deadline };
        let is_exact = limit.is_none();
        state.asked = Some(Sleep { address, expected, until, is_slice, is_again, is_exact });
        state.has_slept = true;
        Err(Error::Cancelled)
    }

    /// Whether the call ends only to sleep.
    pub fn is_asleep(&self) -> bool {
        self.state().asked.is_some()
    }

    /// Whether it has slept before.
    pub fn has_slept(&self) -> bool {
        self.state().has_slept
    }

    /// Tells that the wait is about to sleep on the thread that calls it.
    pub fn announce(&self) {
        if !std::mem::replace(&mut self.state().is_announced, true) {
            self.begun.notify_all();
        }
    }

    /// Tells that the wait can be woken from now on, or is not to be awaited any more.
    pub fn begin(&self) {
        IS_HELD_UP.store(false, Ordering::Relaxed);
        if !std::mem::replace(&mut self.state().has_begun, true) {
            self.begun.notify_all();
        }
    }

    pub fn has_begun(&self) -> bool {
        self.state().has_begun
    }

    /// Waits until that is so, but not beyond the wait's deadline. `is_asleep` says whether a thread of its own sleeps.
    pub fn await_begin(&self, is_asleep: impl Fn() -> bool, deadline: Option<Instant>) {
        if IS_HELD_UP.load(Ordering::Relaxed) {
            return;
        }
        let soon = Instant::now() + SOON;
        let end = deadline.map_or(soon, |deadline| deadline.min(soon));
        let limit = end.saturating_duration_since(Instant::now());
        let is_early = |state: &mut State| !(state.has_begun || state.is_announced);
        drop(self.begun.wait_timeout_while(self.state(), limit, is_early));
        while !self.has_begun() && !is_asleep() {
            if Instant::now() >= end {
                return IS_HELD_UP.store(end == soon, Ordering::Relaxed);
            }
            std::thread::yield_now();
        }
    }

    pub fn keep_turn(&self) {
        self.state().kept_turn = true;
    }

    pub fn take_turn(&self) -> bool {
        std::mem::take(&mut self.state().kept_turn)
    }
}

/// When a slice that begins now is over: rounded, so that the thread wakes up once for many.
fn end_of(slice: Duration) -> Instant {
    static START: OnceLock<Instant> = OnceLock::new();
    let start = *START.get_or_init(Instant::now);
    let grid = (slice.as_nanos() / 8).max(1);
    let end = (start.elapsed() + slice).as_nanos().div_ceil(grid) * grid;
    start + Duration::from_nanos(u64::try_from(end).unwrap_or(u64::MAX / 2))
}
