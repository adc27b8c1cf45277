//! Searches, on the JavaScript thread and off it.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use memory_map::{Count, Error, Mapping, Needle};
use napi::bindgen_prelude::*;
use napi_derive::napi;

use crate::error::to_js;
use crate::mapping::Token;
use crate::task::NativeStop;

type Outcome<T> = std::result::Result<T, Error>;

/// What is searched on the runtime's thread pool, and on more threads.
pub struct Work {
    mapping: Arc<Mapping>,
    needle: Needle,
    range: Range<usize>,
    stop: Arc<AtomicBool>,
}

pub struct FindTask(Work);

impl Task for FindTask {
    type Output = Outcome<Option<usize>>;
    type JsValue = f64;

    fn compute(&mut self) -> Result<Self::Output> {
        let Work { mapping, needle, range, stop } = &self.0;
        Ok(mapping.find_on_threads(needle, range.clone(), stop))
    }

    fn resolve(&mut self, env: Env, output: Self::Output) -> Result<f64> {
        output.map(index).map_err(|error| to_js(&env, &error))
    }
}

pub struct CountTask(Work);

impl Task for CountTask {
    type Output = Outcome<Count>;
    type JsValue = Vec<f64>;

    fn compute(&mut self) -> Result<Self::Output> {
        let Work { mapping, needle, range, stop } = &self.0;
        Ok(mapping.count_on_threads(needle, range.clone(), stop))
    }

    fn resolve(&mut self, env: Env, output: Self::Output) -> Result<Vec<f64>> {
        output
            .map(|Count { count, next }| vec![count as f64, next as f64])
            .map_err(|error| to_js(&env, &error))
    }
}

/// A place, or -1 where there is none.
fn index(found: Option<usize>) -> f64 {
    found.map_or(-1.0, |at| at as f64)
}

/// Where `needle` first begins in a range, or -1; at even offsets only if it is `wide`.
#[napi(namespace = "mapping")]
pub fn find(env: Env, map: Token, needle: &[u8], wide: bool, start: f64, end: f64) -> Result<f64> {
    search(&env, needle, wide, |needle| {
        map.mapping.find(needle, start as usize..end as usize).map(index)
    })
}

/// Where `needle` last begins in a range, or -1.
#[napi(namespace = "mapping")]
pub fn find_last(
    env: Env,
    map: Token,
    needle: &[u8],
    wide: bool,
    start: f64,
    end: f64,
) -> Result<f64> {
    search(&env, needle, wide, |needle| {
        map.mapping.find_last(needle, start as usize..end as usize).map(index)
    })
}

/// How many times `needle` is in a range.
#[napi(namespace = "mapping")]
pub fn count(env: Env, map: Token, needle: &[u8], wide: bool, start: f64, end: f64) -> Result<f64> {
    search(&env, needle, wide, |needle| {
        let count = map.mapping.count(needle, start as usize..end as usize)?;
        Ok(count as f64)
    })
}

fn search(
    env: &Env,
    needle: &[u8],
    wide: bool,
    search: impl FnOnce(&Needle) -> Outcome<f64>,
) -> Result<f64> {
    Needle::new(needle, wide).and_then(|needle| search(&needle)).map_err(|error| to_js(env, &error))
}

/// As `find`, off this thread.
#[napi(namespace = "mapping", ts_return_type = "Promise<number>")]
pub fn find_async(
    env: Env,
    map: Token,
    needle: &[u8],
    wide: bool,
    start: f64,
    end: f64,
    stop: &NativeStop,
) -> Result<AsyncTask<FindTask>> {
    work(&env, &map, needle, wide, start as usize..end as usize, stop)
        .map(|work| AsyncTask::new(FindTask(work)))
}

/// As `count`, off this thread; says too where the next one may begin.
#[napi(namespace = "mapping", ts_return_type = "Promise<[count: number, next: number]>")]
pub fn count_async(
    env: Env,
    map: Token,
    needle: &[u8],
    wide: bool,
    start: f64,
    end: f64,
    stop: &NativeStop,
) -> Result<AsyncTask<CountTask>> {
    work(&env, &map, needle, wide, start as usize..end as usize, stop)
        .map(|work| AsyncTask::new(CountTask(work)))
}

fn work(
    env: &Env,
    map: &Token,
    needle: &[u8],
    wide: bool,
    range: Range<usize>,
    stop: &NativeStop,
) -> Result<Work> {
    let needle = Needle::new(needle, wide).map_err(|error| to_js(env, &error))?;
    Ok(Work { mapping: Arc::clone(&map.mapping), needle, range, stop: stop.flag() })
}

/// Puts where lines of a range begin and end into `bounds`, by turns, and where the line after
/// them begins; says how many lines those are. What comes after the last `\n` is no line.
#[napi(namespace = "mapping")]
pub fn lines(
    env: Env,
    map: Token,
    start: f64,
    end: f64,
    mut bounds: Float64ArraySlice<'_>,
) -> Result<u32> {
    // SAFETY: nobody else uses the array during the call: it is of `lib/lines.ts` alone.
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
    let next = next.map_err(|error| to_js(&env, &error))?;
    if let Some(last) = bounds.last_mut() {
        *last = next as f64;
    }
    Ok(lines)
}
