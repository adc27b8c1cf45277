//! A lock of one word that survives the death of its owner, at any instruction.
//!
//! The word is 0, or the owner's number times four, plus `TAKEN`, plus `CONTENDED` if a thread may be asleep. A
//! held lock always names its owner, because taking it, recovering it from a dead owner and
//! giving it back are one atomic operation each. A death can only lose a wake-up (between giving
//! back and waking), so no thread sleeps longer than `SLICES` say before it checks by itself.

use std::time::Duration;

use super::atomic::{AtomicU64, Ordering};
use super::park::{self, Patience};
use super::spin::Spin;
use crate::error::{Error, Result};

const CONTENDED: u64 = 1;
/// In every word that a lock has written, except 0: other words are no lock's.
const TAKEN: u64 = 2;
const SHIFT: u32 = 2;

/// How long to sleep before checking again that the owner is alive: short at first, because its
/// death may be why this takes long.
const SLICES: [u64; 5] = [20, 40, 80, 160, 320];

/// What the algorithms ask of the world around the words.
pub(crate) trait World {
    /// Whether the participant of that number still exists.
    fn is_alive(&self, participant: u64) -> bool;
    /// Whether the words are still what they were.
    fn check(&self) -> Result<()>;
}

/// How a lock came to its new owner.
///
/// ```
/// use memory_map::ipc::{Locked, Mutex};
/// use memory_map::{Mapping, Options};
///
/// let map = Mapping::anonymous(4096, true, &Options::default())?;
/// let mutex = Mutex::new(&map, 0)?;
/// match mutex.try_lock()? {
///     Some(Locked::Acquired) => {}
///     Some(Locked::Recovered) => println!("check what the last owner left"),
///     None => println!("another owner has it"),
/// }
/// # Ok::<(), memory_map::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Locked {
    /// The last owner released it.
    Acquired,
    /// The last owner died: what the lock protects may be half changed.
    Recovered,
}

/// The slice of a wait after `round` slices.
pub(crate) fn slice(round: usize) -> Duration {
    Duration::from_millis(SLICES.get(round).copied().unwrap_or(320))
}

/// Takes the lock if it is free or its owner is dead.
pub(crate) fn try_lock(word: &AtomicU64, me: u64, world: &impl World) -> Option<Locked> {
    let seen = match take(word, 0, me, 0) {
        Ok(()) => return Some(Locked::Acquired),
        Err(seen) => seen,
    };
    inherit(word, seen, me, world)
}

/// Takes the lock if it is free.
pub(crate) fn take_free(word: &AtomicU64, me: u64) -> bool {
    take(word, 0, me, 0).is_ok()
}

/// Waits for the lock and takes it; `None` if the time is up first.
///
/// # Errors
/// What `world.check` says; [`Error::Cancelled`]; the OS's.
pub(crate) fn lock(
    word: &AtomicU64,
    me: u64,
    spin: &Spin,
    patience: &Patience<'_>,
    world: &impl World,
) -> Result<Option<Locked>> {
    if !patience.has_slept() {
        if take(word, 0, me, 0).is_ok() {
            return Ok(Some(Locked::Acquired));
        }
        // It has got no wake-up and will not sleep, so the owner need not hear of it.
        if patience.is_over()? {
            let locked = try_lock(word, me, world);
            return if locked.is_none() { world.check().and(Ok(None)) } else { Ok(locked) };
        }
        let spun = spin.until(|| {
            (word.load(Ordering::Relaxed) == 0 && take(word, 0, me, 0).is_ok()).then_some(())
        });
        if spun.is_some() {
            return Ok(Some(Locked::Acquired));
        }
    }
    let mut round = 0;
    let locked = loop {
        // Others may be asleep: a thread that has slept takes the lock as contended.
        let seen = match take(word, 0, me, CONTENDED) {
            Ok(()) => break Locked::Acquired,
            Err(seen) => seen,
        };
        if let Some(locked) = inherit(word, seen, me, world) {
            break locked;
        }
        // Before it gives up: it may have got the only wake-up, and the owner must wake the next.
        let contended = seen | CONTENDED;
        if seen != contended
            && word.compare_exchange(seen, contended, Ordering::Relaxed, Ordering::Relaxed).is_err()
        {
            continue;
        }
        world.check()?;
        if patience.is_over()? {
            return Ok(None);
        }
        park::sleep(word, contended, slice(round), patience)?;
        round += 1;
    };
    Ok(Some(locked))
}

/// The same; without `patience`, as `try_lock`.
pub(crate) fn lock_or_try(
    word: &AtomicU64,
    me: u64,
    spin: &Spin,
    patience: Option<&Patience<'_>>,
    world: &impl World,
) -> Result<Option<Locked>> {
    match patience {
        Some(patience) => lock(word, me, spin, patience, world),
        None => Ok(try_lock(word, me, world)),
    }
}

/// Gives the lock back.
///
/// # Errors
/// [`Error::NotOwner`].
pub(crate) fn unlock(word: &AtomicU64, me: u64) -> Result<()> {
    give(word, me, 0)
}

/// Gives the lock back after what was `done` with it, and returns how that went; if something else has stored to the
/// word, and there was no other error, `lost`.
pub(crate) fn unlock_after<T>(
    word: &AtomicU64,
    me: u64,
    done: Result<T>,
    lost: impl FnOnce() -> Error,
) -> Result<T> {
    match unlock(word, me) {
        Ok(()) => done,
        Err(_) => done.and(Err(lost())),
    }
}

/// Gives the lock back as if its owner had died: the next one is told so.
///
/// # Errors
/// [`Error::NotOwner`].
pub(crate) fn abandon(word: &AtomicU64, me: u64) -> Result<()> {
    give(word, me, TAKEN | CONTENDED)
}

fn give(word: &AtomicU64, me: u64, next: u64) -> Result<()> {
    if owner(word) != me {
        return Err(Error::NotOwner);
    }
    if word.swap(next, Ordering::Release) & CONTENDED != 0 {
        park::wake(word, 1);
    }
    Ok(())
}

/// The participant that holds the lock; 0 if none does.
pub(crate) fn owner(word: &AtomicU64) -> u64 {
    word.load(Ordering::Relaxed) >> SHIFT
}

/// The word of a lock that `me` holds and no thread waits for.
pub(crate) fn held(me: u64) -> u64 {
    me << SHIFT | TAKEN
}

fn take(word: &AtomicU64, from: u64, me: u64, flag: u64) -> std::result::Result<(), u64> {
    let taken = held(me) | flag;
    word.compare_exchange(from, taken, Ordering::Acquire, Ordering::Relaxed).map(drop)
}

/// Takes over from a dead owner. It cannot come back: its number is never used again. A word that no
/// lock has written, in memory that held something else, counts as free.
fn inherit(word: &AtomicU64, seen: u64, me: u64, world: &impl World) -> Option<Locked> {
    let owner = seen >> SHIFT;
    if seen == 0 || owner == me || (owner != 0 && world.is_alive(owner)) {
        return None;
    }
    let locked = if seen & TAKEN == 0 { Locked::Acquired } else { Locked::Recovered };
    take(word, seen, me, CONTENDED).is_ok().then_some(locked)
}
