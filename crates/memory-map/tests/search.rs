//! Searches find what a search of plain bytes finds, wherever chunks and blocks end, and fail where
//! pages do.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

use common::{PAGE, TempFile, View, options, private, shared};
use memory_map::{Error, Fault, FaultKind, Mapping, Needle, Protection, Result};

/// How much is searched at a time, and how much one of several threads takes.
const CHUNK: usize = 1 << 17;
const BLOCK: usize = 16 << 20;

/// Numbers that are the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) as usize % limit
    }

    fn range(&mut self, limit: usize) -> Range<usize> {
        let (a, b) = (self.below(limit + 1), self.below(limit + 1));
        a.min(b)..a.max(b)
    }
}

/// Tells another thread to end, also where this one has failed.
struct SetAtEnd<'a>(&'a AtomicBool);

impl Drop for SetAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn memory(length: usize) -> Mapping {
    Mapping::anonymous(length as u64, false, &options(Protection::ReadWrite)).unwrap()
}

fn memory_with(bytes: &[u8]) -> Mapping {
    let map = memory(bytes.len());
    map.write(bytes, 0).unwrap();
    map
}

/// A search of a range, in every way that there is.
struct Search<'a> {
    map: &'a Mapping,
    needle: Needle,
    range: Range<usize>,
}

impl<'a> Search<'a> {
    fn new(map: &'a Mapping, needle: &[u8], wide: bool, range: Range<usize>) -> Self {
        Self { map, needle: Needle::new(needle, wide).unwrap(), range }
    }

    fn first(&self) -> Result<Option<usize>> {
        self.map.find(&self.needle, self.range.clone())
    }

    fn last(&self) -> Result<Option<usize>> {
        self.map.find_last(&self.needle, self.range.clone())
    }

    fn count(&self) -> Result<usize> {
        self.map.count(&self.needle, self.range.clone())
    }

    fn first_on_threads(&self) -> Result<Option<usize>> {
        self.map.find_on_threads(&self.needle, self.range.clone(), &AtomicBool::new(false))
    }

    fn count_on_threads(&self) -> Result<usize> {
        self.map
            .count_on_threads(&self.needle, self.range.clone(), &AtomicBool::new(false))
            .map(|count| count.count)
    }
}

/// Every place where `needle` begins in a range.
fn places(bytes: &[u8], needle: &[u8], wide: bool, range: Range<usize>) -> Vec<usize> {
    range
        .clone()
        .filter(|at| at + needle.len() <= range.end && (!wide || at % 2 == 0))
        .filter(|at| bytes[*at..].starts_with(needle))
        .collect()
}

fn count(places: &[usize], length: usize) -> usize {
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

fn check(search: &Search, places: &[usize], length: usize, what: &str) {
    assert_eq!(search.first().unwrap(), places.first().copied(), "first of {what}");
    assert_eq!(search.last().unwrap(), places.last().copied(), "last of {what}");
    assert_eq!(search.count().unwrap(), count(places, length), "count of {what}");
    assert_eq!(search.first_on_threads().unwrap(), places.first().copied(), "{what}, on threads");
    assert_eq!(search.count_on_threads().unwrap(), count(places, length), "{what}, on threads");
}

#[test]
fn everything_is_found_in_bytes_of_few_kinds() {
    let mut random = Random(1);
    for round in 0..3000 {
        let (kinds, length) = (1 + random.below(3), 1 + random.below(300));
        let bytes: Vec<u8> = (0..length).map(|_| random.below(kinds) as u8).collect();
        let map = memory_with(&bytes);
        let range = random.range(length);
        let needle: Vec<u8> = match random.below(2) {
            0 => (0..1 + random.below(70)).map(|_| random.below(kinds) as u8).collect(),
            _ => bytes[random.range(length)].to_vec(),
        };
        let wide = random.below(2) == 0;
        if !needle.is_empty() {
            let search = Search::new(&map, &needle, wide, range.clone());
            let expected = places(&bytes, &needle, wide, range);
            check(&search, &expected, needle.len(), &format!("round {round}"));
        }
    }
}

#[test]
fn needles_are_found_across_the_borders_of_chunks_and_blocks() {
    let map = memory(2 * BLOCK + 3 * PAGE);
    let mut random = Random(2);
    for border in [CHUNK, 2 * CHUNK, BLOCK, 2 * BLOCK, BLOCK + CHUNK] {
        for length in [1, 2, 3, 33, 100, 5000] {
            let needle: Vec<u8> = (0..length).map(|_| 1 + random.below(255) as u8).collect();
            for before in [0, 1, length / 2, length - 1, length] {
                let at = border - before;
                map.write(&needle, at).unwrap();
                for wide in [false, true] {
                    let expected = if wide && at % 2 == 1 { vec![] } else { vec![at] };
                    let search = Search::new(&map, &needle, wide, 0..map.len());
                    check(&search, &expected, length, &format!("{length} bytes at {at}"));
                    let cut = Search::new(&map, &needle, wide, 0..at + length - 1);
                    check(&cut, &[], length, "what the range ends before");
                    let late = Search::new(&map, &needle, wide, at + 1..map.len());
                    check(&late, &[], length, "what began before the range");
                }
                map.write(&vec![0; length], at).unwrap();
            }
        }
    }
}

#[test]
fn needles_longer_than_a_chunk_are_found() {
    let mut random = Random(3);
    let needle: Vec<u8> = (0..3 * CHUNK + 5).map(|_| random.below(2) as u8).collect();
    let map = memory(5 * needle.len());
    let expected = [1, needle.len() + 1, 3 * needle.len() + 77];
    for at in expected {
        map.write(&needle, at).unwrap();
    }
    check(&Search::new(&map, &needle, false, 0..map.len()), &expected, needle.len(), "long");
}

#[test]
fn what_overlaps_itself_is_counted_across_borders() {
    let map = memory_with(&vec![b'a'; BLOCK + CHUNK + 7]);
    for length in [1, 2, 3, 7, 1000, CHUNK + 1] {
        let search = Search::new(&map, &vec![b'a'; length], false, 0..map.len());
        assert_eq!(search.count().unwrap(), map.len() / length);
        assert_eq!(search.count_on_threads().unwrap(), map.len() / length);
        assert_eq!(search.last().unwrap(), Some(map.len() - length));
    }
}

/// Not a time, but a test that ends: each of these took hours with an algorithm of the naive kind.
#[test]
fn needles_that_almost_match_everywhere_are_found_in_linear_time() {
    let length = 64 << 10;
    let mut needle = vec![b'a'; length];
    let map = memory_with(&vec![b'a'; 4 * CHUNK]);
    check(&Search::new(&map, &needle, false, 0..length), &[0], length, "one");
    assert_eq!(
        Search::new(&map, &needle, false, 0..map.len()).last().unwrap(),
        Some(map.len() - length)
    );
    for odd in [0, length / 2, length - 1] {
        needle[odd] = b'b';
        check(&Search::new(&map, &needle, false, 0..map.len()), &[], length, "none");
        needle[odd] = b'a';
    }
    // Text in UTF-16 that begins at an odd offset: every second place matches, and none counts.
    let text: Vec<u8> = (0..map.len()).map(|at| (at % 2) as u8).collect();
    map.write(&text, 0).unwrap();
    let needle: Vec<u8> = (0..length).map(|at| ((at + 1) % 2) as u8).collect();
    check(&Search::new(&map, &needle, true, 0..map.len()), &[], length, "none at even offsets");
    assert_eq!(Search::new(&map, &needle, false, 0..map.len()).first().unwrap(), Some(1));
}

/// The lines of a mapping, fetched so many at a time, and where the one after them begins.
fn lines(map: &Mapping, batch: usize) -> (Vec<Vec<u8>>, usize) {
    let (mut lines, mut at) = (Vec::new(), 0);
    loop {
        let mut fetched = 0;
        let next = map
            .lines(at..map.len(), |line| {
                let mut bytes = vec![0; line.len()];
                map.read(line.start, &mut bytes).unwrap();
                lines.push(bytes);
                fetched += 1;
                fetched < batch
            })
            .unwrap();
        at = next;
        if fetched < batch {
            return (lines, at);
        }
    }
}

#[test]
fn lines_are_what_split_gives() {
    let mut random = Random(4);
    for _ in 0..300 {
        let bytes: Vec<u8> =
            (0..random.below(200)).map(|_| b"\n\n\r\ra"[random.below(5)]).collect();
        if bytes.is_empty() {
            continue;
        }
        let mut expected: Vec<Vec<u8>> =
            bytes.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
        let rest = expected.pop().unwrap();
        for line in &mut expected {
            if line.last() == Some(&b'\r') {
                line.pop();
            }
        }
        let map = memory_with(&bytes);
        for batch in [1, 2, 1000] {
            assert_eq!(lines(&map, batch), (expected.clone(), bytes.len() - rest.len()));
        }
    }
}

#[test]
fn line_ends_are_found_across_chunks() {
    let map = memory(3 * CHUNK);
    for text in [&b"\r\n"[..], b"\n", b"a\r\n", b"\n\r\n"] {
        for before in 0..=text.len() {
            let at = CHUNK - before;
            map.write(text, at).unwrap();
            let mut ends = Vec::new();
            map.lines(0..map.len(), |line| {
                ends.push(line.end);
                true
            })
            .unwrap();
            let expected: Vec<usize> = match text {
                b"\n\r\n" => vec![at, at + 1],
                b"a\r\n" => vec![at + 1],
                _ => vec![at],
            };
            assert_eq!(ends, expected, "{text:?} at {at}");
            map.write(&vec![0; text.len()], at).unwrap();
        }
    }
}

/// The fault that a call has thrown.
fn fault<T>(result: Result<T>) -> Option<Fault> {
    match result {
        Err(Error::Fault(fault)) => Some(fault),
        _ => None,
    }
}

/// What kind that is of.
fn kind<T>(result: Result<T>) -> Option<FaultKind> {
    fault(result).map(|fault| fault.kind)
}

#[test]
#[cfg(unix)] // Windows does not let a mapped file be truncated
fn a_search_into_a_truncated_file_fails_and_one_before_the_cut_does_not() {
    let pages = (2 * BLOCK) / PAGE;
    let file = TempFile::new(&vec![b'.'; pages * PAGE]);
    for guard in [true, false] {
        let options = memory_map::Options { guard, ..options(Protection::ReadWrite) };
        file.truncate((pages * PAGE) as u64);
        let source = memory_map::Source::Path(&file.0);
        let map = Mapping::shared(source, &common::WHOLE, &options).unwrap();
        let cut = 300 * PAGE;
        map.write(b"needle", cut - 6).unwrap();
        file.truncate(cut as u64);

        for needle in [&b"absent"[..], b"\n", b"\0"] {
            let search = Search::new(&map, needle, false, 0..map.len());
            assert_eq!(kind(search.first()), Some(FaultKind::BeyondEnd));
            assert_eq!(kind(search.last()), Some(FaultKind::BeyondEnd));
            assert_eq!(kind(search.count()), Some(FaultKind::BeyondEnd));
            assert_eq!(kind(search.first_on_threads()), Some(FaultKind::BeyondEnd));
            let thrown = fault(search.count_on_threads());
            assert_eq!(thrown.as_ref().map(|fault| fault.kind), Some(FaultKind::BeyondEnd));
            assert!(map.collect().iter().any(|fault| Some(fault) == thrown.as_ref()));
        }
        assert_eq!(kind(map.lines(0..map.len(), |_| true)), Some(FaultKind::BeyondEnd));
        // Vectors reach beyond what is found, and so do other threads.
        let search = Search::new(&map, b"needle", false, 0..map.len());
        for _ in 0..10 {
            assert_eq!(search.first().unwrap(), Some(cut - 6));
            assert_eq!(search.first_on_threads().unwrap(), Some(cut - 6));
        }
        let search = Search::new(&map, b"needle", false, 0..cut);
        check(&search, &[cut - 6], 6, "before the cut");
        file.truncate((pages * PAGE) as u64);
        map.collect();
        let search = Search::new(&map, b"needle", false, 0..map.len());
        check(&search, &[cut - 6], 6, "grown again");
    }
}

#[test]
fn a_fault_that_another_thread_meets_hides_nothing_before_it() {
    let map = memory(4 * BLOCK);
    map.write(b"needle", 2 * BLOCK - 6).unwrap();
    map.write(b"needle", 3 * BLOCK).unwrap();
    map.protect(2 * BLOCK..2 * BLOCK + PAGE, Protection::None).unwrap();
    let all = Search::new(&map, b"needle", false, 0..map.len());
    let behind = Search::new(&map, b"needle", false, 2 * BLOCK - 5..map.len());
    for _ in 0..30 {
        assert_eq!(all.first_on_threads(), Ok(Some(2 * BLOCK - 6)));
        assert_eq!(kind(behind.first_on_threads()), Some(FaultKind::Protection));
        map.collect();
    }
}

#[test]
fn a_search_of_forbidden_pages_fails_and_gives_nothing_away() {
    let map = memory(8 * PAGE);
    map.write(b"secret", 5 * PAGE).unwrap();
    map.protect(5 * PAGE..6 * PAGE, Protection::None).unwrap();
    let search = Search::new(&map, b"secret", false, 0..map.len());
    for result in [search.first(), search.last(), search.first_on_threads()] {
        assert_eq!(kind(result), Some(FaultKind::Protection));
    }
    assert_eq!(Search::new(&map, b"secret", false, 0..5 * PAGE).first().unwrap(), None);
    map.protect(0..map.len(), Protection::Read).unwrap();
    assert_eq!(search.first().unwrap(), Some(5 * PAGE));
}

/// Also when its news is collected, and the page healed, before the search has ended.
#[test]
#[cfg(unix)]
fn a_fault_is_not_lost_when_another_thread_collects_it() {
    let file = TempFile::new(&vec![b'.'; 8 * BLOCK]);
    let map = shared(&file, Protection::ReadWrite);
    file.truncate(PAGE as u64);
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _stop = SetAtEnd(&over);
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                map.collect();
            }
        });
        for _ in 0..200 {
            let search = Search::new(&map, b"absent", false, 0..map.len());
            assert_eq!(kind(search.first_on_threads()), Some(FaultKind::BeyondEnd));
            assert_eq!(kind(search.count()), Some(FaultKind::BeyondEnd));
        }
    });
}

#[test]
fn a_fault_elsewhere_does_not_end_a_search() {
    let file = TempFile::sparse(2 * BLOCK as u64);
    let map = shared(&file, Protection::ReadWrite);
    let end = 2 * BLOCK - PAGE;
    map.write(b"needle", end - 6).unwrap();
    map.protect(end..2 * BLOCK, Protection::Read).unwrap();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _stop = SetAtEnd(&over);
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                View::of(&map).store(end, 1);
                map.collect();
            }
        });
        let search = Search::new(&map, b"needle", false, 0..end);
        for _ in 0..30 {
            check(&search, &[end - 6], 6, "beside faults");
        }
    });
}

#[test]
fn bytes_that_change_give_some_answer_inside_the_range() {
    let map = memory(64 * PAGE);
    let range = 5..map.len() - 3;
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _stop = SetAtEnd(&over);
        scope.spawn(|| {
            let (view, mut random) = (View::of(&map), Random(5));
            while !over.load(Ordering::Relaxed) {
                view.store(random.below(64 * PAGE), b"ab\n"[random.below(3)]);
            }
        });
        let mut random = Random(6);
        for _ in 0..1000 {
            let needle: Vec<u8> =
                (0..1 + random.below(50)).map(|_| b"ab"[random.below(2)]).collect();
            let search = Search::new(&map, &needle, random.below(2) == 0, range.clone());
            let inside = |at: usize| range.start <= at && at + needle.len() <= range.end;
            assert!(search.first().unwrap().is_none_or(inside));
            assert!(search.last().unwrap().is_none_or(inside));
            assert!(search.count().unwrap() <= range.len() / needle.len());
            let mut last = range.start;
            map.lines(range.clone(), |line| {
                assert!(last <= line.start && line.start <= line.end && line.end < range.end);
                last = line.end;
                true
            })
            .unwrap();
        }
    });
}

const VAST: u64 = 1 << if usize::BITS < 64 { 30 } else { 40 };

/// Runs a search of memory that is too large to be searched in the time of a test.
fn while_searching(act: impl FnOnce(&Mapping, &AtomicBool)) -> Result<Option<usize>> {
    let file = TempFile::sparse(VAST);
    let map = shared(&file, Protection::Read);
    let needle = Needle::new(b"absent", false).unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let searching = scope.spawn(|| map.find_on_threads(&needle, 0..map.len(), &stop));
        std::thread::sleep(std::time::Duration::from_millis(50));
        act(&map, &stop);
        searching.join().unwrap()
    })
}

#[test]
fn a_search_can_be_stopped() {
    let result = while_searching(|_, stop| stop.store(true, Ordering::Relaxed));
    assert_eq!(result, Ok(None));
}

#[test]
fn close_ends_a_search() {
    assert_eq!(while_searching(|map, _| drop(map.close())), Err(Error::Closed));
    let map = memory(PAGE);
    map.close();
    assert_eq!(Search::new(&map, b"x", false, 0..1).first(), Err(Error::Closed));
    assert_eq!(map.lines(0..1, |_| true), Err(Error::Closed));
}

#[test]
fn a_range_that_resize_cuts_ends_a_search() {
    let result = while_searching(|map, _| map.resize(VAST >> 10).unwrap());
    assert!(matches!(result, Err(Error::OutOfRange { .. })), "{result:?}");
}

#[test]
fn what_moves_when_it_grows_is_found() {
    const MIB: usize = 1 << 20;
    let file = TempFile::sparse(64 << 20);
    for round in 0..1000 {
        let map = match round % 64 {
            0 => private(&file, Protection::ReadWrite),
            1 => shared(&file, Protection::ReadWrite),
            // For a moment the old addresses of these hold zeros.
            _ => memory(MIB),
        };
        map.resize(MIB as u64).unwrap();
        map.write(b"needle", MIB - 6).unwrap();
        let search = Search::new(&map, b"needle", false, 0..MIB);
        let brief = Search::new(&map, b"needle", false, MIB - 6..MIB);
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let _over = SetAtEnd(&over);
                for mebibytes in [2, 5, 11, 23, 47] {
                    map.resize(mebibytes << 20).unwrap();
                }
            });
            while !over.load(Ordering::Relaxed) {
                assert_eq!(search.count_on_threads(), Ok(1), "{:?}", map.kind());
                for _ in 0..100 {
                    assert_eq!(brief.first(), Ok(Some(MIB - 6)), "{:?}", map.kind());
                }
            }
        });
    }
}

#[test]
fn zeros_that_close_left_are_not_found() {
    for _ in 0..200 {
        let map = memory_with(&vec![1; CHUNK]);
        let search = Search::new(&map, b"\0", false, 0..map.len());
        std::thread::scope(|scope| {
            scope.spawn(|| map.close());
            assert!(matches!(search.first(), Ok(None) | Err(Error::Closed)));
        });
    }
}

#[test]
fn what_cannot_be_searched_says_why() {
    let map = memory(PAGE);
    for range in [1..PAGE + 1, PAGE + 1..PAGE + 2] {
        let search = Search::new(&map, b"x", false, range.clone());
        assert!(matches!(search.first(), Err(Error::OutOfRange { .. })));
        assert!(matches!(map.lines(range, |_| true), Err(Error::OutOfRange { .. })));
    }
    assert!(matches!(Needle::new(b"", false), Err(Error::OutOfRange { .. })));
    let empty = memory(0);
    check(&Search::new(&empty, b"x", false, 0..0), &[], 1, "nothing");
    assert_eq!(empty.lines(0..0, |_| true), Ok(0));
}

#[test]
#[cfg(all(unix, target_pointer_width = "64"))]
fn a_needle_for_which_there_is_no_memory_is_refused() {
    // Two copies of it are more than the addresses that a process has.
    const HUGE: usize = 1 << 46;
    let options = memory_map::Options { reserve: false, ..options(Protection::Read) };
    let map = Mapping::anonymous(HUGE as u64, false, &options).unwrap();
    // SAFETY: the bytes are mapped, and nobody changes them.
    let bytes = unsafe { std::slice::from_raw_parts(map.address().unwrap() as *const u8, HUGE) };
    for wide in [false, true] {
        let refused = Needle::new(bytes, wide).err();
        assert!(matches!(refused, Some(Error::Os { errno: libc::ENOMEM, .. })), "{refused:?}");
    }
}
