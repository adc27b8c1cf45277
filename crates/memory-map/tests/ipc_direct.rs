//! Steps that code outside takes in shared memory itself, and what tells whether they arrived.
#![cfg(not(target_os = "freebsd"))] // it has no mutex and no channel
#![allow(missing_docs, clippy::panic, clippy::unwrap_used)]

mod common;

use std::sync::atomic::Ordering;

use common::ipc::{HANG, ms, open, word64};
use common::{PAGE, TempFile};
use memory_map::ipc::{Locked, Mutex, mark};
use memory_map::{Error, changes};

const ORDER: Ordering = Ordering::SeqCst;

#[test]
fn a_lock_that_is_taken_directly_is_one() {
    let file = TempFile::sparse(PAGE as u64);
    let (a, b) = (open(&file), open(&file));
    let (mutex, other) = (Mutex::new(&a, 8).unwrap(), Mutex::new(&b, 8).unwrap());
    let before = mark(&a, 8, 8).unwrap();
    let step = |from, to| word64(&a, 8).compare_exchange(from, to, ORDER, ORDER).is_ok();
    assert!(step(0, mutex.held()));
    assert_eq!(mutex.lock(&ms(HANG)), Err(Error::Deadlock));
    assert_eq!((other.try_lock(), other.unlock()), (Ok(None), Err(Error::NotOwner)));
    assert!(step(mutex.held(), 0));
    assert_eq!(mutex.unlock(), Err(Error::NotOwner));
    assert_eq!(other.try_lock(), Ok(Some(Locked::Acquired)));
    assert!(!step(0, mutex.held()) && !step(mutex.held(), 0));
    assert!(before.is_some_and(|mark| mark.address == word64(&a, 8).as_ptr() as usize));
    assert_eq!(mark(&a, 8, 8), Ok(before));
}

#[test]
#[cfg(unix)] // Windows does not let a mapped file be truncated
fn a_step_that_was_taken_in_scratch_memory_is_known() {
    let file = TempFile::sparse(2 * PAGE as u64);
    let map = open(&file);
    let before = mark(&map, PAGE, 8).unwrap();
    let number = changes().load(ORDER);
    file.truncate(PAGE as u64);
    // Where it was not noticed two processes would have the lock.
    assert_eq!(word64(&map, PAGE).compare_exchange(0, 5, ORDER, ORDER), Ok(0));
    assert_ne!(changes().load(ORDER), number);
    assert_ne!(mark(&map, PAGE, 8), Ok(before));
    file.truncate(2 * PAGE as u64);
    assert_ne!(mark(&map, PAGE, 8), Ok(before));
    assert_eq!(word64(&map, PAGE).load(ORDER), 0);
}

#[test]
fn a_mapping_that_goes_or_moves_changes_the_number() {
    let file = TempFile::sparse(PAGE as u64);
    let map = open(&file);
    let key = map.key().unwrap();
    key.make_lasting(); // or it may stay where it is
    let number = changes().load(ORDER);
    map.resize(100 * PAGE as u64).unwrap();
    let moved = changes().load(ORDER);
    assert_ne!(number, moved);
    let _key = map.key().unwrap();
    map.close();
    assert_ne!(moved, changes().load(ORDER));
}
