//! Searches fail where pages do, and nowhere else.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::sync::atomic::{AtomicBool, Ordering};

use common::search::{BLOCK, Search, SetAtEnd, check, memory};
use common::{PAGE, TempFile, View, shared};
use memory_map::{Error, Fault, FaultKind, Protection, Result};

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
        let options = memory_map::Options { guard, ..common::options(Protection::ReadWrite) };
        file.truncate((pages * PAGE) as u64);
        let source = memory_map::Source::Path(&file.0);
        let map = memory_map::Mapping::shared(source, &common::WHOLE, &options).unwrap();
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
