//! The flag of an event.

use std::sync::atomic::Ordering::{Relaxed, SeqCst};

use loom::sync::Arc;
use loom::thread;

use crate::check;
use crate::ipc::atomic::AtomicU64;
use crate::ipc::flag;
use crate::ipc::park::{self, Patience};
use crate::ipc::spin::Spin;

fn wait(word: &AtomicU64, began: u64) {
    assert!(flag::wait(word, began, &Spin, &Patience::default(), || Ok(())).unwrap());
}

#[test]
fn a_set_wakes_all_who_wait_though_it_is_cleared_at_once() {
    for waiters in 1..=2 {
        check(Some(3), move || {
            let word = Arc::new(AtomicU64::new(0));
            let began = flag::begin(&word);
            let waiters: Vec<_> = (0..waiters)
                .map(|_| {
                    let word = Arc::clone(&word);
                    thread::spawn(move || wait(&word, began))
                })
                .collect();
            flag::set(&word);
            flag::clear(&word);
            assert!(!flag::is_set(&word));
            waiters.into_iter().for_each(|waiter| waiter.join().unwrap());
        });
    }
}

#[test]
fn whoever_sees_it_set_sees_what_was_done_before_though_it_was_set_already() {
    check(Some(3), || {
        let shared = Arc::new((AtomicU64::new(0), AtomicU64::new(0)));
        let others: Vec<_> = (0..2)
            .map(|_| {
                let shared = Arc::clone(&shared);
                thread::spawn(move || {
                    shared.1.fetch_add(1, Relaxed);
                    flag::set(&shared.0);
                })
            })
            .collect();
        wait(&shared.0, 0);
        assert!(shared.1.load(Relaxed) >= 1);
        others.into_iter().for_each(|other| other.join().unwrap());
    });
}

#[test]
fn two_take_turns_by_two_flags() {
    check(Some(3), || {
        let flags = Arc::new((AtomicU64::new(0), AtomicU64::new(0)));
        let there = Arc::clone(&flags);
        let other = thread::spawn(move || {
            for round in 0..2 {
                wait(&there.0, round);
                flag::clear(&there.0);
                flag::set(&there.1);
            }
        });
        for round in 0..2 {
            flag::set(&flags.0);
            wait(&flags.1, round);
            flag::clear(&flags.1);
        }
        other.join().unwrap();
    });
}

#[test]
fn whoever_dies_between_a_set_and_its_wake_up_leaves_nobody_asleep_for_longer_than_a_slice() {
    check(Some(3), || {
        let word = Arc::new(AtomicU64::new(0));
        let there = Arc::clone(&word);
        let waiter = thread::spawn(move || wait(&there, 0));
        // What `set` does up to there.
        let mut seen = word.load(SeqCst);
        while let Err(now) = word.compare_exchange(seen, 4 | 2, SeqCst, SeqCst) {
            seen = now;
        }
        park::wake_all();
        waiter.join().unwrap();
    });
}
