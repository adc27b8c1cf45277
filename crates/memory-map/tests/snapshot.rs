//! What `keep` leaves at the addresses that `close` and `resize` take from a mapping.
#![cfg(target_os = "linux")]
#![allow(missing_docs, clippy::unwrap_used, clippy::single_range_in_vec_init)]

mod common;

use std::sync::atomic::{AtomicBool, Ordering};

use common::{PAGE, TempFile, View, options, private, shared};
use memory_map::{Error, Fault, FaultKind, Mapping, Protection, RegionKey};

const PAGES: usize = 64;

/// A file with a different byte, not zero, in each page.
fn numbered() -> TempFile {
    let bytes: Vec<u8> = (0..PAGES * PAGE).map(|at| 1 + (at / PAGE) as u8).collect();
    TempFile::new(&bytes)
}

fn lasting(map: &Mapping) -> RegionKey {
    let key = map.key().unwrap();
    key.make_lasting();
    key
}

/// The pages that show what they held, and those that read zeros.
fn pages(view: View) -> (Vec<usize>, Vec<usize>) {
    (0..PAGES).partition(|page| view.load(page * PAGE) == 1 + *page as u8)
}

#[test]
fn close_leaves_copies_of_what_is_kept_and_traps_elsewhere() {
    let file = numbered();
    for map in [shared(&file, Protection::ReadWrite), private(&file, Protection::Read)] {
        let key = lasting(&map);
        let view = View::of(&map);
        map.leave_snapshots(vec![0..1]).unwrap();
        map.leave_snapshots(vec![
            9 * PAGE + 7..9 * PAGE + 8,
            3 * PAGE..5 * PAGE,
            4 * PAGE..6 * PAGE,
        ])
        .unwrap();
        assert_eq!(map.close(), []);
        for page in [3, 4, 5, 9] {
            assert_eq!(view.load(page * PAGE), 1 + page as u8);
        }
        assert_eq!(map.faults(), 0);
        assert_eq!(pages(view).0, [3, 4, 5, 9], "opening the rest leaves them as they are");
        assert_eq!(map.faults(), 1);
        let closed = |fault: &Fault| fault.kind == FaultKind::Closed && fault.offset == 0;
        assert!(map.collect().iter().all(closed));
        view.store(4 * PAGE, 99);
        view.store(0, 99);
        drop((map, key));
    }
    assert!(file.contents().iter().enumerate().all(|(at, byte)| *byte == 1 + (at / PAGE) as u8));
}

#[test]
fn what_is_kept_does_not_hold_the_file() {
    let file = numbered();
    let map = shared(&file, Protection::ReadWrite);
    let _key = lasting(&map);
    map.leave_snapshots(vec![0..PAGES * PAGE]).unwrap();
    map.close();
    let name = file.0.to_str().unwrap();
    assert!(!std::fs::read_to_string("/proc/self/maps").unwrap().contains(name));
}

#[test]
fn resize_leaves_copies_where_it_moves_the_mapping() {
    for carried in [true, false] {
        let map =
            Mapping::anonymous((PAGES * PAGE) as u64, !carried, &options(Protection::ReadWrite))
                .unwrap();
        for page in 0..PAGES {
            map.write(&[1 + page as u8], page * PAGE).unwrap();
        }
        let _key = lasting(&map);
        let view = View::of(&map);
        map.leave_snapshots(vec![7 * PAGE..8 * PAGE]).unwrap();
        map.resize((1000 * PAGE) as u64).unwrap();
        assert_eq!(pages(view).0, [7]);
        assert_eq!(pages(View::of(&map)).0.len(), PAGES);
        view.store(7 * PAGE, 0);
        assert_eq!(View::of(&map).load(7 * PAGE), 8);
    }
}

#[test]
fn a_page_that_is_gone_is_not_kept() {
    let file = numbered();
    let map = shared(&file, Protection::Read);
    let _key = lasting(&map);
    let view = View::of(&map);
    file.truncate((10 * PAGE) as u64);
    map.leave_snapshots(vec![3 * PAGE..4 * PAGE, 12 * PAGE..13 * PAGE]).unwrap();
    let reports = map.close();
    assert_eq!(reports.iter().map(|fault| fault.kind).collect::<Vec<_>>(), [FaultKind::BeyondEnd]);
    assert_eq!(pages(view).0, [3]);
}

#[test]
fn only_ranges_of_the_mapping_are_kept() {
    let map = shared(&numbered(), Protection::Read);
    let outside = PAGES * PAGE..PAGES * PAGE + 1;
    assert!(matches!(map.leave_snapshots(vec![outside]), Err(Error::OutOfRange { .. })));
}

#[test]
fn a_reader_never_sees_kept_pages_change() {
    for _ in 0..100 {
        let map = shared(&numbered(), Protection::Read);
        let key = lasting(&map);
        let view = View::of(&map);
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    for page in 20..40 {
                        assert_eq!(view.load(page * PAGE), 1 + page as u8);
                    }
                }
            });
            std::thread::yield_now();
            map.leave_snapshots(vec![20 * PAGE..40 * PAGE]).unwrap();
            map.close();
            std::thread::yield_now();
            stop.store(true, Ordering::Relaxed);
        });
        drop(key);
    }
}
