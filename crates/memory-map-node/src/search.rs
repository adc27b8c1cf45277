//! Searches, on the JavaScript thread and off it.

use std::sync::Arc;

use memory_map::{Count, Needle, Result};
use napi::bindgen_prelude::{AsyncTask, Float64ArraySlice};
use napi_derive::napi;

use crate::error::Outcome;
use crate::mapping::Token;
use crate::task::{NativeStop, Work};

/// An index as JavaScript has it: -1 if there is none.
fn index(found: Option<usize>) -> f64 {
    found.map_or(-1.0, |at| at as f64)
}

/// Where `needle` first begins in a range, or -1. If it is `wide`, only even offsets count.
#[napi(namespace = "mapping")]
pub fn find(map: Token, needle: &[u8], wide: bool, start: f64, end: f64) -> Outcome<f64> {
    search(needle, wide, |needle| {
        map.mapping.find(&needle, start as usize..end as usize).map(index)
    })
}

/// Where `needle` last begins in a range, or -1.
#[napi(namespace = "mapping")]
pub fn find_last(map: Token, needle: &[u8], wide: bool, start: f64, end: f64) -> Outcome<f64> {
    search(needle, wide, |needle| {
        map.mapping.find_last(&needle, start as usize..end as usize).map(index)
    })
}

/// How many times `needle` is in a range.
#[napi(namespace = "mapping")]
pub fn count(map: Token, needle: &[u8], wide: bool, start: f64, end: f64) -> Outcome<f64> {
    search(needle, wide, |needle| {
        let count = map.mapping.count(&needle, start as usize..end as usize)?;
        Ok(count as f64)
    })
}

fn search<T>(needle: &[u8], wide: bool, search: impl FnOnce(Needle) -> Result<T>) -> Outcome<T> {
    Outcome(Needle::new(needle, wide).and_then(search))
}

/// As `find`, off this thread.
#[napi(namespace = "mapping", ts_return_type = "Promise<number>")]
pub fn find_async(
    map: Token,
    needle: &[u8],
    wide: bool,
    start: f64,
    end: f64,
    stop: &NativeStop,
) -> Outcome<AsyncTask<Work<f64>>> {
    let (mapping, range, stop) =
        (Arc::clone(&map.mapping), start as usize..end as usize, stop.flag());
    search(needle, wide, |needle| {
        Ok(Work::task(move || mapping.find_on_threads(&needle, range.clone(), &stop).map(index)))
    })
}

/// As `count`, off this thread; also returns where the next occurrence may begin.
#[napi(namespace = "mapping", ts_return_type = "Promise<[count: number, next: number]>")]
pub fn count_async(
    map: Token,
    needle: &[u8],
    wide: bool,
    start: f64,
    end: f64,
    stop: &NativeStop,
) -> Outcome<AsyncTask<Work<Vec<f64>>>> {
    let (mapping, range, stop) =
        (Arc::clone(&map.mapping), start as usize..end as usize, stop.flag());
    search(needle, wide, |needle| {
        Ok(Work::task(move || {
            let Count { count, next } = mapping.count_on_threads(&needle, range.clone(), &stop)?;
            Ok(vec![count as f64, next as f64])
        }))
    })
}

/// Puts the start and the end of each line of a range into `bounds`, as many as fit, and into its last element
/// where the line after them begins. Returns how many lines. What comes after the last `\n` is not a line.
#[napi(namespace = "mapping")]
pub fn lines(map: Token, start: f64, end: f64, mut bounds: Float64ArraySlice<'_>) -> Outcome<u32> {
    // SAFETY: only `lib/lines.ts` has the array, and it does not use it during the call.
    let bounds = unsafe { bounds.as_mut() };
    let (pairs, _) = bounds.as_chunks_mut::<2>();
    let mut room = pairs.iter_mut();
    let mut lines = 0;
    let next = map.mapping.lines(start as usize..end as usize, |line| {
        if let Some(pair) = room.next() {
            *pair = [line.start as f64, line.end as f64];
            lines += 1;
        }
        room.len() > 0
    });
    Outcome(next.map(|next| {
        if let Some(last) = bounds.last_mut() {
            *last = next as f64;
        }
        lines
    }))
}
