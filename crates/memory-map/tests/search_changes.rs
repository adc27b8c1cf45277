//! Searches of memory that changes, moves or is closed meanwhile, and searches that are stopped.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::sync::atomic::{AtomicBool, Ordering};

use common::search::{CHUNK, Random, Search, SetAtEnd, memory, memory_with};
use common::{PAGE, TempFile, View, private, shared};
use memory_map::{Error, Mapping, Needle, Protection, Result};

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
    let all = 0..map.len(); // as it is now: on a busy machine the search begins after `act`
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let searching = scope.spawn(|| map.find_on_threads(&needle, all, &stop));
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
