//! Waiting on a 32-bit word of shared memory, as `Atomics.wait` does, between processes.

use std::sync::atomic::{AtomicU32, Ordering};

use super::park::{self, Patience, WaitResult};
use super::shared_range::{SharedRange, locate};
use super::spin::Spin;
use crate::error::{Error, Result};
use crate::mapping::Mapping;
use crate::region::access::Access;
use crate::sys::{self, Woken};

/// What waits have learned, by address.
static SPINS: [Spin; 64] = [const { Spin::new() }; 64];

/// Sleeps while the word at `offset` is `expected`, until [`notify`] wakes it.
///
/// It spins for a moment before it sleeps. If the word changes in that moment, the result is
/// [`WaitResult::NotEqual`], as if it had been called later.
///
/// ```
/// use memory_map::ipc::{Patience, WaitResult, notify, wait};
/// use memory_map::{Mapping, Options};
///
/// let map = Mapping::anonymous(4096, true, &Options::default())?;
/// assert_eq!(wait(&map, 0, 1, &Patience::FOREVER)?, WaitResult::NotEqual);
/// assert_eq!(notify(&map, 0, 1)?, 0);
/// # Ok::<(), memory_map::Error>(())
/// ```
///
/// # Errors
/// [`Error::NotShared`]; [`Error::OutOfRange`] for a word that is not inside or not aligned;
/// [`Error::Fault`] if the page cannot be read; [`Error::Closed`], [`Error::Cancelled`].
pub fn wait(
    mapping: &Mapping,
    offset: usize,
    expected: u32,
    patience: &Patience<'_>,
) -> Result<WaitResult> {
    let (range, _) = SharedRange::to_read(mapping, offset, 4, 4)?;
    let place = range.place();
    let words = place.enter()?;
    let address = words.address(0, 4).ok_or(Error::Closed)?;
    // SAFETY: the four bytes lie inside the range and are aligned; `words` contains faults and
    // keeps them mapped until it ends.
    let word = unsafe { AtomicU32::from_ptr(address as *mut u32) };
    let differs = || (word.load(Ordering::SeqCst) != expected).then_some(());
    // After a sleep, how that ended comes first.
    if !patience.has_slept() {
        if differs().is_some() {
            words.check()?;
            return Ok(WaitResult::NotEqual);
        }
        words.check()?;
        if patience.is_over()? {
            return Ok(WaitResult::TimedOut);
        }
        let spin = &SPINS[address / 4 % SPINS.len()];
        if spin.until(differs).is_some() {
            return words.check().map(|()| WaitResult::NotEqual);
        }
    }
    loop {
        let woken = park::sleep_on(address, expected, None, patience);
        if woken != Ok(Woken::Notified) {
            let _ = differs(); // the file may have lost the word, which only an access tells
        }
        words.check()?;
        match woken? {
            Woken::Notified => return Ok(WaitResult::Ok),
            Woken::NotEqual => return Ok(WaitResult::NotEqual),
            Woken::TimedOut | Woken::Perhaps if patience.is_over()? => {
                return Ok(WaitResult::TimedOut);
            }
            Woken::TimedOut | Woken::Perhaps => {}
        }
    }
}

/// Wakes up to `count` threads, of any process, that [`wait`] on the word at `offset`; says how
/// many.
///
/// ```
/// use std::thread;
///
/// use memory_map::ipc::{Patience, WaitResult, notify, wait};
/// use memory_map::{Mapping, Options};
///
/// let map = Mapping::anonymous(4096, true, &Options::default())?;
/// thread::scope(|scope| {
///     let sleeper = scope.spawn(|| wait(&map, 0, 0, &Patience::FOREVER));
///     map.write(&1_u32.to_ne_bytes(), 0)?;
///     notify(&map, 0, 1)?;
///     assert_ne!(sleeper.join().unwrap()?, WaitResult::TimedOut);
///     Ok::<(), memory_map::Error>(())
/// })?;
/// # Ok::<(), memory_map::Error>(())
/// ```
///
/// # Errors
/// As for [`wait`].
pub fn notify(mapping: &Mapping, offset: usize, count: u32) -> Result<u32> {
    let (there, word) = locate(mapping, offset, 4, 4)?;
    let address = word.start;
    let access = Access::begin(&there.region, word)?;
    let woken = sys::futex_wake(address, count);
    access.stop();
    Ok(woken)
}
