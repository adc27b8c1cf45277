//! Searches find what a search of plain bytes finds, wherever chunks and blocks end.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::PAGE;
use common::search::{BLOCK, CHUNK, Random, Search, check, memory, memory_with, places};
use memory_map::{Error, Needle};

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
    use memory_map::{Mapping, Options, Protection};
    // Two copies of it are more than the addresses that a process has.
    const HUGE: usize = 1 << 46;
    let options = Options { reserve: false, ..common::options(Protection::Read) };
    let map = Mapping::anonymous(HUGE as u64, false, &options).unwrap();
    // SAFETY: the bytes are mapped, and nobody changes them.
    let bytes = unsafe { std::slice::from_raw_parts(map.address().unwrap() as *const u8, HUGE) };
    for wide in [false, true] {
        let refused = Needle::new(bytes, wide).err();
        assert!(matches!(refused, Some(Error::Os { errno: libc::ENOMEM, .. })), "{refused:?}");
    }
}
