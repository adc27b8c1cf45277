//! What the tests of mutexes, semaphores, channels and waits share: each mapping of a file is a
//! participant of its own, as another process would be.
#![allow(clippy::panic)]

use std::sync::atomic::{AtomicU32, AtomicU64};
use std::time::Duration;

use memory_map::ipc::{Channel, Patience, Received};
use memory_map::{Mapping, Protection, Result};

use super::{TempFile, shared};

pub fn open(file: &TempFile) -> Mapping {
    shared(file, Protection::ReadWrite)
}

pub fn word(map: &Mapping, offset: usize) -> &AtomicU32 {
    // SAFETY: the offset is inside the mapping, which lives as long as the reference.
    unsafe { AtomicU32::from_ptr((map.address().unwrap() + offset) as *mut u32) }
}

pub fn word64(map: &Mapping, offset: usize) -> &AtomicU64 {
    // SAFETY: as above.
    unsafe { AtomicU64::from_ptr((map.address().unwrap() + offset) as *mut u64) }
}

pub fn ms(time: u64) -> Patience<'static> {
    Patience::of(Duration::from_millis(time))
}

/// What a thing that must happen is waited for at most.
pub const HANG: u64 = 120_000;

pub fn receive(channel: &Channel) -> Option<Vec<u8>> {
    take(channel, Some(&ms(HANG)))
}

pub fn take(channel: &Channel, patience: Option<&Patience<'_>>) -> Option<Vec<u8>> {
    copied(|bytes| channel.receive_into(bytes, patience))
}

/// The message that `receive` copies, if there is one.
pub fn copied(receive: impl FnOnce(&mut [u8]) -> Result<Received>) -> Option<Vec<u8>> {
    let mut bytes = vec![0; 3000];
    match receive(&mut bytes).unwrap() {
        Received::Nothing => return None,
        Received::Copied(length) => bytes.truncate(length),
        Received::TooLong(length) => panic!("{length}"),
    }
    Some(bytes)
}
