//! The words of a barrier.

use std::sync::atomic::Ordering::SeqCst;

use loom::sync::Arc;
use loom::thread;

use crate::ipc::atomic::AtomicU64;
use crate::ipc::lock::World;
use crate::ipc::park::{self, Patience};
use crate::ipc::rendezvous::Party;
use crate::ipc::ring::Memory;
use crate::ipc::spin::Spin;
use crate::{DEAD, Life, check, everybody, threads};

const PARTIES: u32 = 2;

/// The words, as many as the parties use.
struct Words {
    words: Vec<AtomicU64>,
    life: Life,
}

impl World for Words {
    fn is_alive(&self, participant: u64) -> bool {
        self.life.is_alive(participant)
    }
    fn check(&self) -> memory_map::Result<()> {
        Ok(())
    }
}

impl Memory for Words {
    fn word(&self, offset: usize) -> &AtomicU64 {
        &self.words[offset / 8]
    }
}

impl Words {
    fn new() -> Arc<Self> {
        Self::of(PARTIES)
    }

    fn of(parties: u32) -> Arc<Self> {
        let words = (0..3 + parties).map(|_| AtomicU64::new(0)).collect();
        let words = Arc::new(Self { words, life: everybody() });
        words.party(1).prepare(Some(parties)).unwrap();
        words
    }

    fn party(&self, me: u64) -> Party<'_, Self> {
        Party { memory: self, me, spin: &Spin }
    }

    fn pass(&self, me: u64) -> memory_map::Result<u32> {
        let patience = Patience::default();
        let arrival = self.party(me).arrive(&patience)?;
        Ok(self.party(me).wait(arrival, &patience)?.unwrap())
    }
}

#[test]
fn two_meet_twice_and_none_goes_round_alone() {
    check(Some(2), || {
        let words = Words::new();
        let count = Arc::new(AtomicU64::new(0));
        let (there, counted) = (Arc::clone(&words), Arc::clone(&count));
        let other = thread::spawn(move || {
            (0..2)
                .map(|round| {
                    counted.fetch_add(1, SeqCst);
                    let index = there.pass(2).unwrap();
                    assert!(counted.load(SeqCst) >= 2 * (round + 1));
                    index
                })
                .collect::<Vec<_>>()
        });
        let here: Vec<_> = (0..2)
            .map(|round| {
                count.fetch_add(1, SeqCst);
                let index = words.pass(1).unwrap();
                assert!(count.load(SeqCst) >= 2 * (round + 1));
                index
            })
            .collect();
        let there = other.join().unwrap();
        assert!(here.iter().zip(&there).all(|(a, b)| a + b == 1), "{here:?} {there:?}");
    });
}

#[test]
fn whoever_waits_for_one_that_has_come_and_died_is_told() {
    check(Some(2), || {
        let words = Words::new();
        words.party(3).arrive(&Patience::default()).unwrap();
        let there = Arc::clone(&words);
        let death = thread::spawn(move || {
            there.life.dead.store(3, SeqCst);
            park::wake_all();
        });
        // Both had come, or the other one was found dead.
        let passed = words.pass(1);
        assert!(passed.is_ok() || passed == Err(memory_map::Error::Broken));
        assert_eq!(words.party(1).look().unwrap().2, passed.is_err());
        death.join().unwrap();
    });
}

#[test]
fn a_wait_that_has_no_thread_leaves_none_asleep_that_wants_the_lock() {
    check(Some(3), || {
        let words = Words::of(3);
        let arrival = words.party(2).arrive(&Patience::default()).unwrap();
        words.party(DEAD).arrive(&Patience::default()).unwrap();
        threads(3, move |me| match me {
            2 => {
                let passed = park::in_parts(|patience| words.party(2).wait(arrival, patience));
                assert_eq!(passed, Err(memory_map::Error::Broken));
            }
            _ => words.party(me).abort().unwrap(),
        });
    });
}

#[test]
fn one_that_withdraws_has_come_or_not() {
    check(Some(2), || {
        let words = Words::new();
        let there = Arc::clone(&words);
        let arrival = words.party(2).arrive(&Patience::default()).unwrap();
        let other = thread::spawn(move || {
            let arrival = there.party(1).arrive(&Patience::default()).unwrap();
            let passed = there.party(1).withdraw(arrival).unwrap();
            passed.is_some()
        });
        let passed = match words.party(2).try_withdraw(arrival, None).unwrap() {
            Some(passed) => passed,
            None => words.party(2).withdraw(arrival).unwrap(), // the other party has the lock
        };
        assert_eq!(other.join().unwrap(), passed.is_some());
        assert_eq!(words.party(1).look().unwrap(), (PARTIES, 0, false));
    });
}

#[test]
fn an_abort_is_seen_by_those_who_wait_and_those_who_come_later() {
    check(Some(2), || {
        let words = Words::new();
        let there = Arc::clone(&words);
        let waiter = thread::spawn(move || there.pass(2));
        words.party(1).abort().unwrap();
        assert_eq!(waiter.join().unwrap(), Err(memory_map::Error::Broken));
    });
}
