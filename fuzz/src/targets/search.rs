//! Searches find what is found by looking at every place, also where a chunk ends.

use std::cell::RefCell;
use std::ops::Range;
use std::sync::atomic::AtomicBool;

use memory_map::{Mapping, Needle, Options};

use super::Input;

/// How much the library searches at a time.
const CHUNK: usize = 1 << 17;
/// Bytes of an input that are searched, at most.
const MOST: usize = 4096;

thread_local! {
    /// Zeros, except while something is searched.
    static MAP: RefCell<Option<Mapping>> = const { RefCell::new(None) };
}

pub fn run(data: &[u8]) {
    let mut input = Input(data);
    let (wide, kinds) = (input.flag(), input.byte());
    // Where the bytes lie, and how much before them is searched too.
    let lead = match input.byte() % 4 {
        0 => 0,
        1 => CHUNK - input.below(MOST),
        2 => 2 * CHUNK - input.below(MOST),
        _ => input.below(3),
    };
    let start = input.byte() as usize % 4;
    let needle_from = (input.byte(), input.below(MOST), input.below(300));
    let cut = (input.below(64), input.below(64));
    let stop_after = input.byte() as usize;
    let length = input.byte().into();
    let needle_bytes = input.take(length);
    let few = |byte: &u8| if kinds < 128 { byte % (1 + kinds % 4) } else { *byte };
    let bytes: Vec<u8> = input.take(MOST).iter().map(few).collect();
    let needle: Vec<u8> = match needle_from.0 % 2 {
        0 => needle_bytes.iter().map(few).collect(),
        _ => {
            let from = needle_from.1.min(bytes.len());
            bytes[from..bytes.len().min(from + needle_from.2)].to_vec()
        }
    };

    MAP.with_borrow_mut(|map| {
        let map = map.get_or_insert_with(|| {
            let length = (2 * CHUNK + 2 * MOST) as u64;
            Mapping::anonymous(length, false, &Options::default()).expect("there is memory")
        });
        let at = start + lead;
        map.write(&bytes, at).expect("it is writable");
        let mut all = vec![0; at + bytes.len() + 3];
        all[at..at + bytes.len()].copy_from_slice(&bytes);
        let range = (start + cut.0).min(all.len())..all.len() - cut.1.min(all.len());
        let range = range.start.min(range.end)..range.end;
        search(map, &all, &needle, wide, range.clone());
        lines(map, &all, range, stop_after);
        map.write(&vec![0; bytes.len()], at).expect("it is writable");
    });
}

fn search(map: &Mapping, all: &[u8], bytes: &[u8], wide: bool, range: Range<usize>) {
    let needle = Needle::new(bytes, wide);
    assert_eq!(needle.is_err(), bytes.is_empty());
    let Ok(needle) = needle else { return };
    let is_place = |at: &usize| (!wide || at.is_multiple_of(2)) && all[*at..].starts_with(bytes);
    let last = (range.end + 1).saturating_sub(bytes.len()).max(range.start);
    let places: Vec<usize> = (range.start..last).filter(is_place).collect();
    let mut count = 0;
    let mut next = 0;
    for at in &places {
        if *at >= next {
            (count, next) = (count + 1, at + bytes.len());
        }
    }
    let never = AtomicBool::new(false);
    let (first, last) = (places.first().copied(), places.last().copied());
    assert_eq!(map.find(&needle, range.clone()), Ok(first));
    assert_eq!(map.find_on_threads(&needle, range.clone(), &never), Ok(first));
    assert_eq!(map.find_last(&needle, range.clone()), Ok(last));
    assert_eq!(map.count(&needle, range.clone()), Ok(count));
    let counted = map.count_on_threads(&needle, range, &never);
    assert_eq!(counted.map(|counted| counted.count), Ok(count));
}

fn lines(map: &Mapping, all: &[u8], range: Range<usize>, most: usize) {
    let (mut expected, mut next) = (Vec::new(), range.start);
    for at in range.clone().filter(|at| all[*at] == b'\n') {
        let end = if at > next && all[at - 1] == b'\r' { at - 1 } else { at };
        expected.push(next..end);
        next = at + 1;
        if expected.len() > most {
            break;
        }
    }
    let mut found = Vec::new();
    let ended = map.lines(range, |line| {
        found.push(line);
        found.len() <= most
    });
    assert_eq!((found, ended), (expected, Ok(next)));
}
