//! The words of a condition, with a mutex.

use std::sync::atomic::Ordering::SeqCst;

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

use crate::ipc::atomic::AtomicU64;
use crate::ipc::park::{self, Patience};
use crate::ipc::spin::Spin;
use crate::ipc::{lock, notices};
use crate::{Life, check, everybody, threads};

/// A condition and what it is about, used as `condition.rs` does, whose own code is tied to mappings.
struct Monitor {
    mutex: AtomicU64,
    word: AtomicU64,
    life: Life,
    jobs: UnsafeCell<u32>,
}

// SAFETY: loom checks that the cell is used by one thread at a time.
unsafe impl Sync for Monitor {}

impl Monitor {
    fn new() -> Arc<Self> {
        let [mutex, word] = [0, 0].map(AtomicU64::new);
        Arc::new(Self { mutex, word, life: everybody(), jobs: UnsafeCell::new(0) })
    }

    fn lock(&self, me: u64) {
        lock::lock(&self.mutex, me, &Spin, &Patience::default(), &self.life).unwrap().unwrap();
    }

    fn unlock(&self, me: u64) {
        lock::unlock(&self.mutex, me).unwrap();
    }

    /// Waits with the mutex held.
    fn wait(&self, me: u64) {
        let began = notices::begin(&self.word).unwrap();
        self.unlock(me);
        loop {
            let patience = Patience::default();
            notices::wait(&self.word, began, &Spin, &patience, || Ok(())).unwrap();
            self.lock(me);
            if notices::take(&self.word, began) {
                return;
            }
            self.unlock(me);
        }
    }

    /// Goes on with a wait that has begun, called again after each sleep.
    fn wait_in_parts(&self, me: u64, began: u32) {
        let wait = |patience: &Patience<'_>| loop {
            notices::wait(&self.word, began, &Spin, patience, || Ok(()))?;
            let locked = lock::lock(&self.mutex, me, &Spin, patience, &self.life);
            locked.inspect_err(|_| _ = patience.keep_turn())?;
            if notices::take(&self.word, began) {
                return Ok(());
            }
            self.unlock(me);
        };
        park::in_parts(wait).unwrap();
    }

    fn change(&self, by: i32) -> bool {
        // SAFETY: loom checks that nobody else has the pointer now.
        self.jobs.with_mut(|jobs| unsafe {
            let can = by > 0 || *jobs > 0;
            if can {
                *jobs = (*jobs).wrapping_add_signed(by);
            }
            can
        })
    }

    fn take_job(&self, me: u64) {
        self.lock(me);
        while !self.change(-1) {
            self.wait(me);
        }
        self.unlock(me);
    }

    fn add_job(&self, me: u64) {
        self.lock(me);
        self.change(1);
        self.unlock(me);
        notices::notify(&self.word, 1);
    }
}

#[test]
fn each_job_wakes_one_who_waits() {
    for workers in 1..=2 {
        check(Some(if workers == 1 { 3 } else { 2 }), move || {
            let monitor = Monitor::new();
            let threads: Vec<_> = (0..workers)
                .map(|i| {
                    let monitor = Arc::clone(&monitor);
                    thread::spawn(move || monitor.take_job(2 + i))
                })
                .collect();
            for _ in 0..workers {
                monitor.add_job(1);
            }
            threads.into_iter().for_each(|thread| thread.join().unwrap());
            assert!(!monitor.change(-1));
        });
    }
}

#[test]
fn a_wait_that_has_no_thread_leaves_none_asleep_that_wants_the_mutex() {
    check(Some(3), || {
        let monitor = Monitor::new();
        let [began, other] = [(); 2].map(|()| notices::begin(&monitor.word).unwrap());
        notices::notify(&monitor.word, 1);
        threads(3, move |me| {
            if me == 3 {
                monitor.wait_in_parts(me, began);
            } else {
                monitor.lock(me);
            }
            if me == 2 {
                notices::take(&monitor.word, other);
            }
            monitor.unlock(me);
            if me == 1 {
                notices::notify(&monitor.word, 1);
            }
        });
    });
}

#[test]
fn a_notification_whose_receiver_dies_before_it_has_the_mutex_goes_to_another_one() {
    check(Some(2), || {
        let monitor = Monitor::new();
        // One that is counted for ever, and wakes up no more.
        notices::begin(&monitor.word).unwrap();
        let there = Arc::clone(&monitor);
        let worker = thread::spawn(move || there.take_job(2));
        monitor.add_job(1);
        park::wake_all(); // the wake-up may have been the dead one's
        worker.join().unwrap();
    });
}

#[test]
fn whoever_begins_after_a_notification_does_not_take_it() {
    check(Some(3), || {
        let monitor = Monitor::new();
        monitor.lock(1);
        let first = notices::begin(&monitor.word).unwrap();
        monitor.unlock(1);
        let there = Arc::clone(&monitor);
        let late = thread::spawn(move || {
            notices::notify(&there.word, 1);
            let began = notices::begin(&there.word).unwrap();
            assert!(!notices::take(&there.word, began));
            notices::leave(&there.word);
        });
        let patience = Patience::default();
        notices::wait(&monitor.word, first, &Spin, &patience, || Ok(())).unwrap();
        assert!(notices::take(&monitor.word, first));
        late.join().unwrap();
        assert_eq!(monitor.word.load(SeqCst) >> 32, 0);
    });
}
