//! Spinning for a while before going to sleep, if that paid off recently.
//!
//! Waking a sleeping core takes 30 to 80 µs; a word that another core writes is seen within one.
//! So a wait that may be short spins first. Whether that pays is learned for each object in each
//! process: after a spin in vain the next 4 waits sleep at once, after another one the next 8, and
//! so on up to 1024; successful spins undo that. The cost is bounded: `LIMIT` of processor time for
//! a spin in vain, and nothing with one processor. A spin that lasts gives way to other threads, for
//! both sides may be on the same processor.

use std::cell::Cell;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::time::{Duration, Instant};

/// How long to look: longer than it takes to wake the other side, which then stays awake.
const LIMIT: Duration = Duration::from_micros(100);
/// After how long to let other threads have the processor. The other side may be waiting for it: systems keep a thread
/// for a while on the processor that it last ran on, even if another one is idle.
const ALONE: Duration = Duration::from_micros(5);
/// Another thread has run if that took longer: then the next wait gives way at once.
const NOBODY: Duration = Duration::from_micros(2);
/// Waits without a look after one in vain, at least and at most.
const FEWEST: u16 = 4;
const MOST: u16 = 1024;
/// The same if others kept the processor for this long, even if there was something then: a thread that sleeps gets
/// the processor sooner.
const LONG: Duration = Duration::from_millis(1);
const MOST_LONG: u16 = 16 * MOST;

thread_local! {
    static NEVER: Cell<bool> = const { Cell::new(false) };
}

/// Has this thread not spin: others wait for it.
pub(crate) fn never_on_this_thread() {
    NEVER.set(true);
}

/// What an object has learned.
pub(crate) struct Spin {
    /// Waits that are to go by without a look.
    skip: AtomicU16,
    /// How many went by after the last look in vain.
    penalty: AtomicU16,
    /// Whether another thread ran when this one gave way.
    is_sharing: AtomicBool,
}

impl Spin {
    pub const fn new() -> Self {
        let (skip, penalty) = (AtomicU16::new(0), AtomicU16::new(0));
        Self { skip, penalty, is_sharing: AtomicBool::new(false) }
    }

    /// Calls `ready` until it gives something, or for as long as that may pay.
    pub fn until<T>(&self, mut ready: impl FnMut() -> Option<T>) -> Option<T> {
        if !worth_it() {
            return None;
        }
        let skip = self.skip.load(Ordering::Relaxed);
        let penalty = self.penalty.load(Ordering::Relaxed);
        if skip > 0 {
            self.skip.store(skip - 1, Ordering::Relaxed);
            return None;
        }
        let alone = if self.is_sharing.load(Ordering::Relaxed) { Duration::ZERO } else { ALONE };
        let start = Instant::now();
        let mut spent = Duration::ZERO;
        loop {
            let found = (0..32).find_map(|_| ready().or_else(rest));
            if found.is_some() && spent < LONG {
                self.penalty.store(penalty / 2, Ordering::Relaxed);
                return found;
            }
            if spent >= LIMIT {
                let most = if spent >= LONG { MOST_LONG } else { MOST };
                let next = (2 * penalty).clamp(FEWEST, most);
                self.penalty.store(next, Ordering::Relaxed);
                self.skip.store(next, Ordering::Relaxed);
                return found;
            }
            spent = start.elapsed();
            if spent >= alone {
                std::thread::yield_now();
                let before = std::mem::replace(&mut spent, start.elapsed());
                self.is_sharing.store(spent - before > NOBODY, Ordering::Relaxed);
            }
        }
    }
}

/// Whether what is waited for can happen while this thread spins, and this thread may spin.
fn worth_it() -> bool {
    static CORES: OnceLock<usize> = OnceLock::new();
    *CORES.get_or_init(|| std::thread::available_parallelism().map_or(1, usize::from)) > 1
        && !NEVER.get()
}

fn rest<T>() -> Option<T> {
    std::hint::spin_loop();
    None
}
