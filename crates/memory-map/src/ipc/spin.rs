//! Spinning for a while before going to sleep, if that paid off recently.
//!
//! Waking a sleeping core takes 30 to 80 µs; a word that another core writes is seen within one.
//! So a wait that may be short spins first. Whether that pays is learned for each object in each
//! process: after a spin in vain the next 4 waits sleep at once, after another one the next 8, and
//! so on up to 1024; successful spins undo that. The cost is bounded: `LIMIT` of processor time for
//! a spin in vain, and nothing with one processor.

use std::cell::Cell;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// How long to look: longer than it takes to wake the other side, which then stays awake.
const LIMIT: Duration = Duration::from_micros(100);
/// Waits without a look after one in vain, at least and at most.
const FEWEST: u32 = 4;
const MOST: u32 = 1024;

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
    skip: AtomicU32,
    /// How many went by after the last look in vain.
    penalty: AtomicU32,
}

impl Spin {
    pub const fn new() -> Self {
        Self { skip: AtomicU32::new(0), penalty: AtomicU32::new(0) }
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
        let start = Instant::now();
        loop {
            for _ in 0..32 {
                if let Some(value) = ready() {
                    self.penalty.store(penalty / 2, Ordering::Relaxed);
                    return Some(value);
                }
                std::hint::spin_loop();
            }
            if start.elapsed() >= LIMIT {
                let next = (2 * penalty).clamp(FEWEST, MOST);
                self.penalty.store(next, Ordering::Relaxed);
                self.skip.store(next, Ordering::Relaxed);
                return None;
            }
        }
    }
}

/// Whether what is waited for can happen while this thread spins, and it may.
fn worth_it() -> bool {
    static CORES: OnceLock<usize> = OnceLock::new();
    *CORES.get_or_init(|| std::thread::available_parallelism().map_or(1, usize::from)) > 1
        && !NEVER.get()
}
