//! Searches, on the JavaScript thread and off it.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use memory_map::{Error, Mapping, Needle};
use napi::bindgen_prelude::*;
use napi_derive::napi;

use crate::advice::NativeStop;
use crate::error::to_js;
use crate::mapping::NativeMapping;

type Found = std::result::Result<f64, Error>;

/// A search on the runtime's thread pool, and on more threads.
pub struct SearchTask {
    mapping: Arc<Mapping>,
    needle: Needle,
    range: Range<usize>,
    count: bool,
    stop: Arc<AtomicBool>,
}

impl Task for SearchTask {
    type Output = Found;
    type JsValue = f64;

    fn compute(&mut self) -> Result<Self::Output> {
        let Self { mapping, needle, range, count, stop } = self;
        Ok(if *count {
            mapping.count_on_threads(needle, range.clone(), stop).map(|count| count as f64)
        } else {
            mapping.find_on_threads(needle, range.clone(), stop).map(index)
        })
    }

    fn resolve(&mut self, env: Env, output: Self::Output) -> Result<f64> {
        output.map_err(|error| to_js(&env, &error))
    }
}

/// A place, or -1 where there is none.
fn index(found: Option<usize>) -> f64 {
    found.map_or(-1.0, |at| at as f64)
}

#[napi]
impl NativeMapping {
    /// Where `needle` first begins in a range, or -1; at even offsets only if it is `wide`.
    #[napi]
    pub fn find(&self, env: Env, needle: &[u8], wide: bool, start: f64, end: f64) -> Result<f64> {
        self.search(&env, needle, wide, |needle| {
            self.mapping.find(needle, start as usize..end as usize).map(index)
        })
    }

    /// Where `needle` last begins in a range, or -1.
    #[napi]
    pub fn find_last(
        &self,
        env: Env,
        needle: &[u8],
        wide: bool,
        start: f64,
        end: f64,
    ) -> Result<f64> {
        self.search(&env, needle, wide, |needle| {
            self.mapping.find_last(needle, start as usize..end as usize).map(index)
        })
    }

    /// How many times `needle` is in a range.
    #[napi]
    pub fn count(&self, env: Env, needle: &[u8], wide: bool, start: f64, end: f64) -> Result<f64> {
        self.search(&env, needle, wide, |needle| {
            let count = self.mapping.count(needle, start as usize..end as usize)?;
            Ok(count as f64)
        })
    }

    fn search(
        &self,
        env: &Env,
        needle: &[u8],
        wide: bool,
        search: impl FnOnce(&Needle) -> Found,
    ) -> Result<f64> {
        Needle::new(needle, wide)
            .and_then(|needle| search(&needle))
            .map_err(|error| to_js(env, &error))
    }

    /// As `find`, or `count`, off this thread.
    #[napi(ts_return_type = "Promise<number>")]
    #[allow(clippy::too_many_arguments)] // as for `map_file`
    pub fn search_async(
        &self,
        env: Env,
        count: bool,
        needle: &[u8],
        wide: bool,
        start: f64,
        end: f64,
        stop: &NativeStop,
    ) -> Result<AsyncTask<SearchTask>> {
        let needle = Needle::new(needle, wide).map_err(|error| to_js(&env, &error))?;
        let range = start as usize..end as usize;
        let mapping = Arc::clone(&self.mapping);
        Ok(AsyncTask::new(SearchTask { mapping, needle, range, count, stop: stop.flag() }))
    }

    /// Puts where lines of a range begin and end into `bounds`, by turns, and where the line after
    /// them begins; says how many lines those are. What comes after the last `\n` is no line.
    #[napi]
    pub fn lines(
        &self,
        env: Env,
        start: f64,
        end: f64,
        mut bounds: Float64ArraySlice<'_>,
    ) -> Result<u32> {
        // SAFETY: nobody else uses the array during the call: it is of `lib/lines.ts` alone.
        let bounds = unsafe { bounds.as_mut() };
        let (pairs, _) = bounds.as_chunks_mut::<2>();
        let mut room = pairs.iter_mut();
        let mut lines = 0;
        let next = self.mapping.lines(start as usize..end as usize, |line| {
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
}
