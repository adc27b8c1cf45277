//! The newest value, between mappings of one file.
#![cfg(not(target_os = "freebsd"))] // it has no mutex and no channel
#![allow(missing_docs, clippy::panic, clippy::unwrap_used)]

mod common;

use std::sync::atomic::{AtomicBool, Ordering};

use common::ipc::{HANG, ms, open, word64};
use common::{PAGE, TempFile, shared};
use memory_map::ipc::{Cancel, Latest, Patience};
use memory_map::{Error, Protection};

const LENGTH: usize = Latest::size_for(1000);

#[test]
fn readers_see_whole_values_in_order_while_two_write() {
    let file = TempFile::sparse(PAGE as u64);
    let maps = [open(&file), open(&file), open(&file)];
    let over = AtomicBool::new(false);
    let all = maps.each_ref().map(|map| Latest::new(map, 0, LENGTH).unwrap());
    let [first, second, reader] = &all;
    assert_eq!(reader.read(&mut []), Ok(None));
    std::thread::scope(|scope| {
        let writers = [first, second].map(|writer| {
            scope.spawn(|| {
                for i in 0..20_000_usize {
                    let bytes = vec![i as u8; i % 1001];
                    assert!(writer.write(&bytes, &ms(HANG)).unwrap());
                }
            })
        });
        let over = &over;
        scope.spawn(move || {
            let (mut bytes, mut seen) = ([0; 1000], 0);
            while !over.load(Ordering::Acquire) {
                let version = reader.version().unwrap();
                assert!(version >= seen);
                seen = version;
                if let Some(length) = reader.read(&mut bytes).unwrap() {
                    let first = bytes[0];
                    assert!(bytes[..length].iter().all(|byte| *byte == first), "{length}");
                }
            }
        });
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        over.store(true, Ordering::Release);
    });
    assert_eq!(reader.version(), Ok(40_000));
    assert_eq!(reader.max_length(), 1000);
}

#[test]
fn a_read_only_mapping_reads_and_waits_and_does_not_write() {
    let file = TempFile::sparse(PAGE as u64);
    let (map, read_only) = (open(&file), shared(&file, Protection::Read));
    let reader = Latest::new(&read_only, 0, LENGTH).unwrap();
    assert_eq!(reader.read(&mut []), Ok(None));
    let writer = Latest::new(&map, 0, LENGTH).unwrap();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| reader.wait(0, &ms(HANG)));
        assert!(writer.write(b"hello", &ms(HANG)).unwrap());
        assert_eq!(waiting.join().unwrap(), Ok(true));
    });
    let mut bytes = [0; 8];
    assert_eq!(reader.read(&mut bytes), Ok(Some(5)));
    assert_eq!(&bytes, b"hello\0\0\0");
    assert_eq!(reader.write(b"no", &ms(HANG)), Err(Error::NotWritable));
    assert_eq!(reader.wait(1, &ms(5)), Ok(false));
}

#[test]
fn a_value_that_does_not_fit_says_how_long_it_is() {
    let file = TempFile::sparse(PAGE as u64);
    let map = open(&file);
    let latest = Latest::new(&map, 0, LENGTH).unwrap();
    assert!(latest.write(&[7; 100], &ms(HANG)).unwrap());
    let mut bytes = [0; 99];
    assert_eq!(latest.read(&mut bytes), Ok(Some(100)));
    assert_eq!(bytes, [0; 99]);
    assert!(matches!(latest.write(&[0; 1001], &ms(HANG)), Err(Error::OutOfRange { .. })));
    assert!(latest.write(&[], &ms(HANG)).unwrap());
    assert_eq!(latest.read(&mut bytes), Ok(Some(0)));
}

#[test]
fn a_wait_ends_when_it_is_cancelled_and_sees_what_came_before() {
    let file = TempFile::sparse(PAGE as u64);
    let map = open(&file);
    let latest = Latest::new(&map, 0, LENGTH).unwrap();
    let cancel = Cancel::default();
    cancel.cancel();
    assert_eq!(latest.wait(0, &Patience::FOREVER.or_until(&cancel)), Err(Error::Cancelled));
    assert_eq!(latest.wait(5, &Patience::FOREVER), Ok(true));
}

#[test]
fn memory_that_holds_something_else_is_an_error() {
    let file = TempFile::sparse(PAGE as u64);
    let map = open(&file);
    let latest = Latest::new(&map, 0, LENGTH).unwrap();
    let other = Latest::new(&map, 0, LENGTH - 24);
    assert!(matches!(other, Err(Error::Invalid(_))));
    assert!(latest.write(b"hello", &ms(HANG)).unwrap());
    // The number of a value that is not there, and one that no value can have.
    for number in [7, u64::MAX - 1] {
        word64(&map, 16).store(number, Ordering::Relaxed);
        assert!(matches!(latest.read(&mut [0; 8]), Err(Error::Invalid(_))), "{number}");
    }
    assert!(matches!(latest.write(b"hello", &ms(HANG)), Err(Error::Invalid(_))));
    word64(&map, 0).store(12345, Ordering::Relaxed);
    assert!(matches!(latest.read(&mut [0; 8]), Err(Error::Invalid(_))));
    assert!(matches!(Latest::new(&map, 0, LENGTH), Err(Error::Invalid(_))));
    // Zeros are a new one.
    for word in 0..4 {
        word64(&map, 8 * word).store(0, Ordering::Relaxed);
    }
    assert_eq!(latest.read(&mut [0; 8]), Ok(None));
    assert!(latest.write(b"again", &ms(HANG)).unwrap());
    assert_eq!(latest.version(), Ok(1));
    assert!(matches!(Latest::new(&map, 0, 135), Err(Error::OutOfRange { .. })));
    assert!(matches!(Latest::new(&map, 4, LENGTH), Err(Error::OutOfRange { .. })));
}
