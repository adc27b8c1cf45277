//! What the tests of searches share: a search in every way that there is, and what it should find.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

use memory_map::{Mapping, Needle, Protection, Result};

use super::options;

/// How much is searched at a time, and how much one of several threads takes.
pub const CHUNK: usize = 1 << 17;

pub const BLOCK: usize = 16 << 20;

/// Numbers that are the same in every run.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) as usize % limit
    }

    pub fn range(&mut self, limit: usize) -> Range<usize> {
        let (a, b) = (self.below(limit + 1), self.below(limit + 1));
        a.min(b)..a.max(b)
    }
}

/// Tells another thread to end, also where this one has failed.
pub struct SetAtEnd<'a>(pub &'a AtomicBool);

impl Drop for SetAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

pub fn memory(length: usize) -> Mapping {
    Mapping::anonymous(length as u64, false, &options(Protection::ReadWrite)).unwrap()
}

pub fn memory_with(bytes: &[u8]) -> Mapping {
    let map = memory(bytes.len());
    map.write(bytes, 0).unwrap();
    map
}

/// A search of a range, in every way that there is.
pub struct Search<'a> {
    map: &'a Mapping,
    needle: Needle,
    range: Range<usize>,
}

impl<'a> Search<'a> {
    pub fn new(map: &'a Mapping, needle: &[u8], wide: bool, range: Range<usize>) -> Self {
        Self { map, needle: Needle::new(needle, wide).unwrap(), range }
    }

    pub fn first(&self) -> Result<Option<usize>> {
        self.map.find(&self.needle, self.range.clone())
    }

    pub fn last(&self) -> Result<Option<usize>> {
        self.map.find_last(&self.needle, self.range.clone())
    }

    pub fn count(&self) -> Result<usize> {
        self.map.count(&self.needle, self.range.clone())
    }

    pub fn first_on_threads(&self) -> Result<Option<usize>> {
        self.map.find_on_threads(&self.needle, self.range.clone(), &AtomicBool::new(false))
    }

    pub fn count_on_threads(&self) -> Result<usize> {
        self.map
            .count_on_threads(&self.needle, self.range.clone(), &AtomicBool::new(false))
            .map(|count| count.count)
    }
}

/// Every place where `needle` begins in a range.
pub fn places(bytes: &[u8], needle: &[u8], wide: bool, range: Range<usize>) -> Vec<usize> {
    range
        .clone()
        .filter(|at| at + needle.len() <= range.end && (!wide || at % 2 == 0))
        .filter(|at| bytes[*at..].starts_with(needle))
        .collect()
}

pub fn count(places: &[usize], length: usize) -> usize {
    let mut next = 0;
    places
        .iter()
        .filter(|at| {
            **at >= next && {
                next = **at + length;
                true
            }
        })
        .count()
}

pub fn check(search: &Search, places: &[usize], length: usize, what: &str) {
    assert_eq!(search.first().unwrap(), places.first().copied(), "first of {what}");
    assert_eq!(search.last().unwrap(), places.last().copied(), "last of {what}");
    assert_eq!(search.count().unwrap(), count(places, length), "count of {what}");
    assert_eq!(search.first_on_threads().unwrap(), places.first().copied(), "{what}, on threads");
    assert_eq!(search.count_on_threads().unwrap(), count(places, length), "{what}, on threads");
}
