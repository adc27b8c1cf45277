//! The lock that readers share.

use std::cell::Cell;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use memory_map::Result;

use crate::ipc::atomic::{AtomicU64, Mutex};
use crate::ipc::lock::{Locked, World};
use crate::ipc::park::{self, Patience};
use crate::ipc::readers::{Hold, User, at};
use crate::ipc::ring::Memory;
use crate::ipc::spin::Spin;
use crate::{DEAD, Life, TAKEN, check, everybody, threads};

const SLOTS: usize = 2;
/// Of the models with the most states; unoptimized they would take a minute.
const PREEMPTIONS: usize = if cfg!(debug_assertions) { 2 } else { 3 };
/// The words that are used: there is one between them.
const USED: [usize; 3] = [at::GATE, at::STATE, at::LEFT];

struct Shared {
    words: [AtomicU64; USED.len() + SLOTS],
    /// Of each participant.
    holds: [Mutex<Hold>; 4],
    spin: Spin,
    life: Life,
    count: UnsafeCell<u32>,
}

// SAFETY: loom checks that the cell is used by one writer or by readers; that is what is tested.
unsafe impl Sync for Shared {}

impl World for Shared {
    fn is_alive(&self, participant: u64) -> bool {
        self.life.is_alive(participant)
    }
    fn check(&self) -> memory_map::Result<()> {
        Ok(())
    }
}

impl Memory for Shared {
    fn word(&self, offset: usize) -> &AtomicU64 {
        match USED.iter().position(|used| *used == offset) {
            Some(index) => &self.words[index],
            None => &self.words[USED.len() + (offset - at::SLOTS) / 8],
        }
    }
}

impl Shared {
    /// Gate, state, eventcount and slots.
    fn new(words: [u64; USED.len() + SLOTS]) -> Arc<Self> {
        Arc::new(Self {
            words: words.map(AtomicU64::new),
            holds: std::array::from_fn(|me| Mutex::new(Hold::none(me as u64, SLOTS))),
            spin: Spin::new(),
            life: everybody(),
            count: UnsafeCell::new(0),
        })
    }

    fn user(&self, me: u64) -> User<'_, Self> {
        let hold = &self.holds[me as usize];
        User { memory: self, slots: SLOTS, me, hold, spin: &self.spin, in_turn: true }
    }

    /// As a thread that blocks.
    fn blocking(&self, me: u64) -> User<'_, Self> {
        User { in_turn: false, ..self.user(me) }
    }

    fn write(&self, me: u64) -> Locked {
        self.wrote(me, self.user(me).lock_exclusive(&mut false, &Patience::default()))
    }

    fn read(&self, me: u64) -> Locked {
        self.has_read(me, self.user(me).lock_shared(&Patience::default()))
    }

    /// As `write` and `read`, called again after each sleep, as `ExclusiveWait` does.
    fn write_in_parts(&self, me: u64) -> Locked {
        let gate = Cell::new(false);
        let how = park::in_parts(|patience| {
            let mut has_gate = gate.get();
            let how = self.user(me).lock_exclusive(&mut has_gate, patience);
            gate.set(has_gate);
            how
        });
        self.wrote(me, how)
    }

    fn read_in_parts(&self, me: u64) -> Locked {
        self.has_read(me, park::in_parts(|patience| self.user(me).lock_shared(patience)))
    }

    /// Adds one with the lock, and gives it back.
    fn wrote(&self, me: u64, how: Result<Option<Locked>>) -> Locked {
        let how = how.unwrap().unwrap();
        self.add();
        self.user(me).unlock().unwrap();
        how
    }

    /// Looks with the lock, and gives it back.
    fn has_read(&self, me: u64, how: Result<Option<Locked>>) -> Locked {
        let how = how.unwrap().unwrap();
        self.look();
        self.user(me).unlock().unwrap();
        how
    }

    /// Loom sees it where others write or read at once.
    fn add(&self) {
        // SAFETY: loom checks that nobody else has the pointer now.
        self.count.with_mut(|count| unsafe { *count += 1 });
    }

    /// Loom sees it where others write at once.
    fn look(&self) -> u32 {
        // SAFETY: loom checks that nobody writes now.
        self.count.with(|count| unsafe { *count })
    }

    /// Nobody has anything any more.
    fn is_free(&self) -> bool {
        let left = self.words.iter().enumerate().filter(|(i, _)| *i != 2);
        left.map(|(_, word)| word.load(Relaxed)).all(|word| word == 0)
    }
}

/// Has three users lock, of whom the first one, two and three write, by what is given who it is and how many write.
fn check_three(lock: fn(&Shared, u64, u64) -> Locked) {
    for writers in 1..=3 {
        check(Some(PREEMPTIONS), move || {
            let words = Shared::new([0; 5]);
            let shared = Arc::clone(&words);
            let locked = threads(3, move |me| lock(&shared, me, writers));
            assert_eq!(locked, [Locked::Acquired; 3]);
            assert_eq!(words.look(), writers as u32);
            assert!(words.is_free());
        });
    }
}

#[test]
fn a_writer_and_readers_exclude_each_other_and_none_is_left_asleep() {
    check_three(|lock, me, writers| if me <= writers { lock.write(me) } else { lock.read(me) });
}

#[test]
fn waits_that_have_no_thread_leave_none_asleep() {
    check_three(|lock, me, writers| match me {
        1 => lock.write(me),
        _ if me <= writers => lock.write_in_parts(me),
        _ => lock.read_in_parts(me),
    });
}

#[test]
fn one_writer_and_one_reader_exclude_each_other() {
    check(Some(5), || {
        let lock = Shared::new([0; 5]);
        let shared = Arc::clone(&lock);
        threads(2, move |me| if me == 1 { shared.write(me) } else { shared.read(me) });
        assert!(lock.is_free());
    });
}

#[test]
fn readers_are_in_together() {
    check(None, || {
        let lock = Shared::new([0; 5]);
        let shared = Arc::clone(&lock);
        threads(2, move |me| {
            shared.user(me).lock_shared(&Patience::default()).unwrap().unwrap();
            // Each of the two waits until the other one is in.
            while shared.words[3..].iter().any(|slot| slot.load(SeqCst) == 0) {
                loom::thread::yield_now();
            }
            shared.look();
        });
        assert!(!lock.is_free());
    });
}

#[test]
fn one_participant_reads_twice_while_a_writer_waits() {
    // On one thread, which blocks; and on two, of which one waits in its turn.
    check(Some(PREEMPTIONS), || {
        let lock = Shared::new([0; 5]);
        let shared = Arc::clone(&lock);
        threads(3, move |thread| match thread {
            1 => drop(shared.write(1)),
            2 => drop(shared.read(2)),
            _ => {
                let me = shared.blocking(2);
                for _ in 0..2 {
                    me.lock_shared(&Patience::default()).unwrap().unwrap();
                    shared.look();
                }
                (0..2).for_each(|_| me.unlock().unwrap());
            }
        });
        assert!(lock.is_free());
    });
}

#[test]
fn more_readers_than_slots_wait_for_one() {
    check(Some(2), || {
        let lock = Shared::new([0; 5]);
        let shared = Arc::clone(&lock);
        threads(3, move |me| shared.read(me));
        assert!(lock.is_free());
    });
}

#[test]
fn attempts_exclude_each_other_and_leave_nobody_asleep() {
    check(Some(3), || {
        let lock = Shared::new([0; 5]);
        let shared = Arc::clone(&lock);
        threads(3, move |me| match me {
            1 => drop(shared.write(me)),
            2 => {
                if shared.user(me).try_lock_shared().is_some() {
                    shared.look();
                    shared.user(me).unlock().unwrap();
                }
            }
            _ => {
                if shared.user(me).try_lock_exclusive().is_some() {
                    shared.add();
                    shared.user(me).unlock().unwrap();
                }
            }
        });
        assert!(lock.is_free());
    });
}

#[test]
fn what_the_dead_left_is_recovered() {
    let gate = DEAD << 2 | TAKEN;
    for (words, recovered) in [
        ([gate, gate, 0, 0, 0], true),      // a writer who was in
        ([gate | 1, 0, 1, 0, DEAD], false), // one who waited for a reader, who waited for him
        ([0, gate, 0, DEAD, DEAD], true),   // readers in place of a writer
        ([gate, 0, 0, DEAD, 0], false),     // a reader who had just come in
    ] {
        check(Some(3), move || {
            let lock = Shared::new(words);
            park::wake_all(); // as it was when they died
            let shared = Arc::clone(&lock);
            let locked =
                threads(2, move |me| if me == 1 { shared.write(me) } else { shared.read(me) });
            let told = if recovered { Locked::Recovered } else { Locked::Acquired };
            assert_eq!(locked[0], told);
            // The reader was first, or the writer had repaired it.
            assert!(recovered || locked[1] == Locked::Acquired);
            assert!(lock.is_free());
        });
    }
}

#[test]
fn whoever_dies_while_others_wait_leaves_the_lock_to_them() {
    for writes in [false, true] {
        check(Some(PREEMPTIONS), move || {
            let lock = Shared::new([0; 5]);
            let shared = Arc::clone(&lock);
            let locked = threads(3, move |me| {
                if me == 3 {
                    let user = shared.user(me);
                    let how = if writes {
                        user.lock_exclusive(&mut false, &Patience::default())
                    } else {
                        user.lock_shared(&Patience::default())
                    };
                    shared.life.dead.store(me, SeqCst);
                    park::wake_all();
                    return how.unwrap().unwrap();
                }
                if me == 1 { shared.write(me) } else { shared.read(me) }
            });
            assert!(writes || locked[..2] == [Locked::Acquired; 2]);
        });
    }
}
