//! Memory areas in reserve, for when the process has used up all that the system lets it have.
//!
//! Linux refuses every `mmap` then (vm.max_map_count), also one that replaces a whole area and so
//! would need none. What it never refuses is to join areas: the reserve is a range of inaccessible
//! pages of which every other one is readable, and each of these is two areas fewer once it is
//! inaccessible too. Nothing is unmapped, so the addresses stay ours.

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use crate::protection::Protection;
use crate::sys::{self, Backing};

/// Where the range begins, once it is mapped; it has a page to hold for each bit of `HELD`.
static START: AtomicUsize = AtomicUsize::new(0);

/// The pages that are readable.
static HELD: AtomicU32 = AtomicU32::new(0);

/// Pages left for calls that replace whole areas, and so give them back at once.
const FEW: u32 = 8;

/// How often a call is made again: other threads can take what was released for it.
const TRIES: u32 = 16;

/// Makes a call that may fail for want of VMAs, with those in reserve if it must. *handler*
pub(crate) fn with_vma_reserve<T>(call: impl Fn() -> Result<T, i32>) -> Result<T, i32> {
    let mut result = call();
    let mut tries = 0;
    while result.as_ref().err() == Some(&sys::ENOMEM) && tries < TRIES && release() {
        result = call();
        tries += 1;
    }
    if tries > 0 {
        hold();
    }
    result
}

/// Whether the reserve is so low that calls should need no VMA. *handler*
pub(super) fn are_few() -> bool {
    START.load(Ordering::Relaxed) != 0 && HELD.load(Ordering::Relaxed).count_ones() <= FEW
}

/// Fills the reserve up, as far as the system allows.
pub(super) fn refill() {
    let has_limit = cfg!(any(target_os = "linux", target_os = "android"));
    if !has_limit || HELD.load(Ordering::Relaxed) == u32::MAX {
        return;
    }
    if START.load(Ordering::Acquire) == 0 {
        let length = (2 * u32::BITS as usize + 1) * sys::page_size();
        let Ok(start) = sys::map(0, length, Protection::None, Backing::Zeros) else { return };
        if START.compare_exchange(0, start as usize, Ordering::AcqRel, Ordering::Acquire).is_err() {
            // SAFETY: the range was mapped above, and no one else knows of it.
            unsafe { sys::unmap(start as usize, length) };
        }
    }
    hold();
}

/// Makes pages readable until the system refuses it. *handler*
///
/// If another thread releases a page at that moment, it may be noted as held without being readable. It is
/// then useless, but harmless.
fn hold() {
    for index in 0..u32::BITS {
        if HELD.load(Ordering::Acquire) >> index & 1 == 0 {
            if protect(index, Protection::Read).is_err() {
                return;
            }
            HELD.fetch_or(1 << index, Ordering::AcqRel);
        }
    }
}

/// Gives two areas back to the process; `false` if there are none. *handler*
fn release() -> bool {
    let without_last = |held: u32| Some(held & held.checked_sub(1)?);
    let held = HELD.fetch_update(Ordering::AcqRel, Ordering::Acquire, without_last);
    held.is_ok_and(|held| protect(held.trailing_zeros(), Protection::None).is_ok())
}

/// Changes a page of the reserve, which has inaccessible neighbours. *handler*
fn protect(index: u32, protection: Protection) -> Result<(), i32> {
    let page = sys::page_size();
    let start = START.load(Ordering::Acquire) + (2 * index as usize + 1) * page;
    // SAFETY: the page is the reserve's, and nothing accesses it.
    unsafe { sys::protect(start, page, protection) }
}
