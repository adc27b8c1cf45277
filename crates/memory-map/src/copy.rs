//! Copies between mapped pages and ordinary memory that end in an error where a page fails, or where
//! the region is not the mapping's any more that `token` is the name of.

use crate::error::Result;
use crate::os;
use crate::region::Region;
use crate::watched::{CHUNK, watched};

/// Copies out of a region, from `at` bytes after its start.
pub(crate) fn out(region: &Region, token: u64, at: usize, bytes: &mut [u8]) -> Result<()> {
    let to = bytes.as_mut_ptr();
    let backwards = (to as usize) > region.range().start + at;
    chunkwise(region, token, at, bytes.len(), backwards, |from, done, length| {
        // SAFETY: the caller checked that the range lies in the region, which stays mapped while
        // it is borrowed; `bytes` is ours alone. The bytes may change under the copy, by another
        // thread or process: what arrives is then some mixture, never an invalid value.
        unsafe { std::ptr::copy(from as *const u8, to.add(done), length) };
    })
}

/// Copies into a region, from `at` bytes after its start.
///
/// # Safety
/// `bytes` must be readable; they may lie in the region.
pub(crate) unsafe fn into(
    region: &Region,
    token: u64,
    at: usize,
    bytes: *const [u8],
) -> Result<()> {
    let from = bytes.cast::<u8>();
    let backwards = (from as usize) < region.range().start + at;
    chunkwise(region, token, at, bytes.len(), backwards, |to, done, length| {
        // SAFETY: as in `out`, and whether the pages are writable was checked; should another
        // thread protect them meanwhile, the guard catches that. `copy` allows an overlap, which
        // there is when `bytes` is itself a view of the mapping, and the chunks go the right way.
        unsafe { std::ptr::copy(from.add(done), to as *mut u8, length) };
    })
}

/// Loads from every page of a part of a region.
pub(crate) fn touch(region: &Region, token: u64, at: usize, length: usize) -> Result<()> {
    chunkwise(region, token, at, length, false, |from, _, length| {
        let first = os::floor(from, os::page_size());
        for page in (first..from + length).step_by(os::page_size()) {
            // SAFETY: the caller checked that the range lies in the region, which stays mapped
            // while it is borrowed.
            unsafe { std::ptr::read_volatile(page.max(from) as *const u8) };
        }
    })
}

/// Runs a copy of `length` bytes chunk by chunk; it begins with the last chunk if `backwards`, for
/// ranges that overlap.
fn chunkwise(
    region: &Region,
    token: u64,
    at: usize,
    length: usize,
    backwards: bool,
    copy: impl Fn(usize, usize, usize),
) -> Result<()> {
    let start = region.range().start + at;
    let range = start..start + length;
    watched(region, token, range.clone(), |watch| {
        let mut done = 0;
        while done < length && !watch.is_over(&range) {
            let chunk = CHUNK.min(length - done);
            let first = if backwards { length - done - chunk } else { done };
            copy(start + first, first, chunk);
            done += chunk;
        }
        ((), range)
    })
}
