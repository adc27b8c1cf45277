//! Mutexes and semaphores between mappings of one file.
#![cfg(not(target_os = "freebsd"))] // it has no mutex and no channel
#![allow(missing_docs, clippy::panic, clippy::unwrap_used)]

mod common;

use std::sync::atomic::Ordering;
use std::time::Duration;

use common::ipc::{HANG, ms, open, word, word64};
use common::{PAGE, TempFile};
use memory_map::Error;
use memory_map::ipc::{Locked, Mutex, Patience, RwLock, Semaphore};

#[test]
fn a_mutex_excludes_others_and_knows_its_owner() {
    let file = TempFile::sparse(PAGE as u64);
    let (a, b) = (open(&file), open(&file));
    let (first, second) = (Mutex::new(&a, 64).unwrap(), Mutex::new(&b, 64).unwrap());
    assert_eq!(first.lock(&Patience::FOREVER).unwrap(), Some(Locked::Acquired));
    assert_eq!(first.lock(&Patience::FOREVER).unwrap_err(), Error::Deadlock);
    assert_eq!(first.try_lock().unwrap(), None);
    assert_eq!(second.try_lock().unwrap(), None);
    assert_eq!(second.lock(&ms(50)).unwrap(), None);
    assert_eq!(second.unlock().unwrap_err(), Error::NotOwner);
    // Another object of the same mapping is the same owner.
    Mutex::new(&a, 64).unwrap().unlock().unwrap();
    assert_eq!(first.unlock().unwrap_err(), Error::NotOwner);
    assert_eq!(second.try_lock().unwrap(), Some(Locked::Acquired));
    second.unlock().unwrap();
}

#[test]
fn a_mutex_of_a_closed_mapping_is_recovered_at_once() {
    let file = TempFile::sparse(PAGE as u64);
    let (a, b) = (open(&file), open(&file));
    let (first, second) = (Mutex::new(&a, 0).unwrap(), Mutex::new(&b, 0).unwrap());
    first.try_lock().unwrap();
    a.close();
    assert_eq!(second.try_lock().unwrap(), Some(Locked::Recovered));
    second.unlock().unwrap();
    assert_eq!(second.lock(&ms(HANG)).unwrap(), Some(Locked::Acquired));
}

#[test]
fn many_threads_count_under_a_mutex_and_lose_nothing() {
    let file = TempFile::sparse(PAGE as u64);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let map = open(&file);
                let mutex = Mutex::new(&map, 0).unwrap();
                for _ in 0..5000 {
                    assert_eq!(mutex.lock(&ms(HANG)).unwrap(), Some(Locked::Acquired));
                    let count = word(&map, 128);
                    count.store(count.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
                    mutex.unlock().unwrap();
                }
            });
        }
    });
    assert_eq!(word(&open(&file), 128).load(Ordering::Relaxed), 20_000);
}

#[test]
fn who_would_not_wait_leaves_no_mark_for_which_the_owner_would_wake_others() {
    let file = TempFile::sparse(PAGE as u64);
    let (a, b) = (open(&file), open(&file));
    Mutex::new(&a, 0).unwrap().try_lock().unwrap();
    Semaphore::new(&a, 64, Some(1)).unwrap().try_acquire().unwrap();
    RwLock::new(&a, 1024).unwrap().try_lock_exclusive().unwrap();
    let (mutex, lock) = (Mutex::new(&b, 0).unwrap(), RwLock::new(&b, 1024).unwrap());
    let semaphore = Semaphore::new(&b, 64, None).unwrap();
    let words = || (0..256).map(|i| word64(&b, 8 * i).load(Ordering::SeqCst)).collect::<Vec<_>>();
    let before = words();
    assert_eq!(mutex.lock(&ms(0)), Ok(None));
    assert_eq!(semaphore.acquire(&ms(0)), Ok(false));
    assert_eq!(lock.lock_exclusive(&ms(0)), Ok(None));
    assert_eq!(lock.lock_shared(&ms(0)), Ok(None));
    assert_eq!(words(), before);
}

#[test]
fn a_semaphore_gives_out_what_it_has() {
    let file = TempFile::sparse(PAGE as u64);
    let (a, b) = (open(&file), open(&file));
    let first = Semaphore::new(&a, 0, Some(2)).unwrap();
    let second = Semaphore::new(&b, 0, Some(100)).unwrap();
    assert!(second.try_acquire().unwrap() && first.try_acquire().unwrap());
    assert!(!first.try_acquire().unwrap());
    assert!(!first.acquire(&ms(20)).unwrap());
    std::thread::scope(|scope| {
        let waiters: Vec<_> =
            (0..3).map(|_| scope.spawn(|| first.acquire(&ms(HANG)).unwrap())).collect();
        std::thread::sleep(Duration::from_millis(20));
        second.release(3).unwrap();
        assert!(waiters.into_iter().all(|waiter| waiter.join().unwrap()));
    });
    assert!(!second.try_acquire().unwrap());
    first.release(Semaphore::MAX).unwrap();
    assert!(matches!(first.release(1), Err(Error::OutOfRange { .. })));
}

#[test]
#[cfg(unix)]
fn no_lock_is_held_by_a_file_that_is_not_the_one_that_was_mapped() {
    use std::os::fd::AsRawFd;
    let (file, other) = (TempFile::sparse(PAGE as u64), TempFile::sparse(PAGE as u64));
    let map = open(&file);
    let own = map.file().unwrap();
    let stranger = std::fs::OpenOptions::new().read(true).write(true).open(&other.0).unwrap();
    // SAFETY: both descriptors are open; the mapping's own stays so, and its owner closes it.
    assert!(unsafe { libc::dup2(stranger.as_raw_fd(), own.as_raw_fd()) } >= 0);
    let locked = Mutex::new(&map, 0).and_then(|mutex| mutex.try_lock());
    assert!(matches!(locked, Err(Error::Os { errno: libc::EBADF, .. })), "{locked:?}");
}
