//! What all synchronisation objects need of their mapping, and what becomes of them when that moves,
//! is closed or loses its file.
#![cfg(not(target_os = "freebsd"))] // it has no mutex and no channel
#![allow(missing_docs, clippy::panic, clippy::unwrap_used)]

mod common;

use common::ipc::{HANG, ms, open, receive};
use common::{PAGE, TempFile, options, private, shared};
use memory_map::ipc::{Channel, Locked, Mutex, Patience, Semaphore, WaitResult, wait};
use memory_map::{Error, Mapping, Protection};

#[test]
fn memory_that_is_not_shared_writable_aligned_or_open_is_refused() {
    let file = TempFile::sparse(PAGE as u64);
    let alone = Mapping::anonymous(4096, false, &options(Protection::ReadWrite)).unwrap();
    let private = private(&file, Protection::ReadWrite);
    for map in [&alone, &private] {
        assert_eq!(wait(map, 0, 0, &ms(0)).unwrap_err(), Error::NotShared);
        assert_eq!(Mutex::new(map, 0).err(), Some(Error::NotShared));
    }
    let readable = shared(&file, Protection::Read);
    assert_eq!(Mutex::new(&readable, 0).err(), Some(Error::NotWritable));
    assert_eq!(wait(&readable, 0, 1, &ms(0)).unwrap(), WaitResult::NotEqual);
    let map = open(&file);
    for (offset, size) in [(4, "mutex"), (PAGE, "mutex"), (usize::MAX - 3, "mutex")] {
        assert!(
            matches!(Mutex::new(&map, offset), Err(Error::OutOfRange { .. })),
            "{size} at {offset}"
        );
    }
    let mutex = Mutex::new(&map, 0).unwrap();
    let semaphore = Semaphore::new(&map, 8, Some(1)).unwrap();
    let channel = Channel::create(&map, 1024, 1024).unwrap();
    map.close();
    assert_eq!(mutex.lock(&Patience::FOREVER).unwrap_err(), Error::Closed);
    assert_eq!(semaphore.try_acquire().unwrap_err(), Error::Closed);
    assert_eq!(channel.send(b"x", None).unwrap_err(), Error::Closed);
    assert_eq!(channel.receive(Some(&Patience::FOREVER)).unwrap_err(), Error::Closed);
}

#[test]
fn what_is_in_a_mapping_goes_with_it_when_it_moves() {
    let file = TempFile::sparse(PAGE as u64);
    let (a, b) = (open(&file), open(&file));
    let (mutex, other) = (Mutex::new(&a, 8).unwrap(), Mutex::new(&b, 8).unwrap());
    let channel = Channel::create(&a, 1024, 2048).unwrap();
    assert!(channel.send(b"before", None).unwrap());
    assert_eq!(mutex.lock(&ms(HANG)).unwrap(), Some(Locked::Acquired));
    let before = a.address();
    let mut length = 1 << 20;
    while a.address() == before {
        a.resize(length).unwrap();
        length *= 2;
    }
    assert_eq!(other.try_lock().unwrap(), None);
    mutex.unlock().unwrap();
    assert_eq!(other.try_lock().unwrap(), Some(Locked::Acquired));
    assert_eq!(receive(&channel), Some(b"before".to_vec()));
    let again = Channel::open(&a, 1024).unwrap();
    a.resize(PAGE as u64).unwrap();
    assert!(again.send(b"after", None).unwrap());
    assert_eq!(receive(&channel), Some(b"after".to_vec()));
    a.resize(0).unwrap();
    assert_eq!(mutex.try_lock(), Err(Error::Closed));
    a.resize(4096).unwrap();
    assert_eq!(mutex.try_lock().unwrap(), None);
}

#[test]
#[cfg(unix)] // Windows does not let a mapped file be truncated
fn a_file_that_is_cut_off_ends_waits_with_a_fault() {
    use std::time::{Duration, Instant};
    let file = TempFile::sparse(4 * PAGE as u64);
    let map = open(&file);
    let mutex = Mutex::new(&map, 2 * PAGE).unwrap();
    let channel = Channel::create(&map, PAGE, 2 * PAGE).unwrap();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| channel.receive(Some(&Patience::FOREVER)));
        std::thread::sleep(Duration::from_millis(30));
        file.truncate(0);
        let start = Instant::now();
        assert!(matches!(waiting.join().unwrap(), Err(Error::Fault(_))));
        assert!(start.elapsed() < Duration::from_millis(HANG));
    });
    assert!(matches!(mutex.lock(&Patience::FOREVER), Err(Error::Fault(_))));
    assert!(matches!(mutex.unlock(), Err(Error::Fault(_))));
    assert!(matches!(wait(&map, 8, 0, &Patience::FOREVER), Err(Error::Fault(_))));
}
