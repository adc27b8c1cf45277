//! Advising the system about pages, locking them, asking which are in memory, and prefetching.

use memory_map::Advice;
use napi::bindgen_prelude::*;
use napi_derive::napi;

use crate::error::Outcome;
use crate::mapping::Token;
use crate::task::{NativeStop, Work};

/// The name of each advice. Its position is its number.
const ADVICE: [(&str, Advice); 22] = [
    ("normal", Advice::Normal),
    ("random", Advice::Random),
    ("sequential", Advice::Sequential),
    ("willneed", Advice::WillNeed),
    ("dontneed", Advice::DontNeed),
    ("free", Advice::Free),
    ("cold", Advice::Cold),
    ("pageout", Advice::PageOut),
    ("mergeable", Advice::Mergeable),
    ("unmergeable", Advice::Unmergeable),
    ("hugepage", Advice::HugePage),
    ("nohugepage", Advice::NoHugePage),
    ("dontdump", Advice::DontDump),
    ("dodump", Advice::DoDump),
    ("dontfork", Advice::DontFork),
    ("dofork", Advice::DoFork),
    ("remove", Advice::Remove),
    ("wipeonfork", Advice::WipeOnFork),
    ("keeponfork", Advice::KeepOnFork),
    ("populate-read", Advice::PopulateRead),
    ("populate-write", Advice::PopulateWrite),
    ("collapse", Advice::Collapse),
];

fn advice(index: u32) -> Advice {
    ADVICE.get(index as usize).map_or(Advice::Normal, |&(_, advice)| advice)
}

/// The names of the advice, by number.
#[napi]
pub fn advice_names() -> Vec<&'static str> {
    ADVICE.map(|(name, _)| name).to_vec()
}

/// Whether this system has an advice.
#[napi]
pub fn supports(index: u32) -> bool {
    advice(index).is_supported()
}

/// Which pages of a range are in memory.
#[napi(object, object_from_js = false)]
pub struct NativeResidency {
    pub pages: f64,
    pub resident: f64,
    pub bitmap: Option<Uint8Array>,
}

/// Tells the system what a range is for.
#[napi(namespace = "mapping")]
pub fn advise(map: Token, index: u32, start: f64, end: f64) -> Outcome<()> {
    Outcome(map.mapping.advise(advice(index), start as usize..end as usize))
}

/// Keeps a range in memory.
#[napi(namespace = "mapping")]
pub fn lock(map: Token, start: f64, end: f64, on_fault: bool) -> Outcome<()> {
    Outcome(map.mapping.lock(start as usize..end as usize, on_fault))
}

/// Ends what `lock` began.
#[napi(namespace = "mapping")]
pub fn unlock(map: Token, start: f64, end: f64) -> Outcome<()> {
    Outcome(map.mapping.unlock(start as usize..end as usize))
}

/// How many pages of a range are in memory and, with `bitmap`, which.
#[napi(namespace = "mapping")]
pub fn residency(map: Token, start: f64, end: f64, bitmap: bool) -> Outcome<NativeResidency> {
    let found = map.mapping.residency(start as usize..end as usize, bitmap);
    Outcome(found.map(|found| NativeResidency {
        pages: found.pages as f64,
        resident: found.resident as f64,
        bitmap: bitmap.then(|| found.bitmap.into()),
    }))
}

/// Brings a range in, off this thread.
#[napi(namespace = "mapping", ts_return_type = "Promise<void>")]
pub fn prefetch(
    map: Token,
    start: f64,
    end: f64,
    stop: &NativeStop,
) -> Outcome<AsyncTask<Work<()>>> {
    let stop = stop.flag();
    let prefetch = map.mapping.prefetch(start as usize..end as usize);
    Outcome(prefetch.map(|prefetch| Work::task(move || prefetch.run(&stop))))
}
