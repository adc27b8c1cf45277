//! The lock.

use std::sync::atomic::Ordering::{Relaxed, SeqCst};

use loom::cell::UnsafeCell;
use loom::sync::Arc;

use crate::ipc::atomic::AtomicU64;
use crate::ipc::lock::{self, Locked};
use crate::ipc::park::{self, Patience};
use crate::ipc::spin::Spin;
use crate::{DEAD, Life, TAKEN, check, everybody, threads};

struct Locking {
    word: AtomicU64,
    life: Life,
    count: UnsafeCell<u32>,
}

// SAFETY: loom checks that the cell is used by one thread at a time; that is what is tested.
unsafe impl Sync for Locking {}

impl Locking {
    fn new(word: u64) -> Arc<Self> {
        Arc::new(Self { word: AtomicU64::new(word), life: everybody(), count: UnsafeCell::new(0) })
    }

    /// Counts under the lock; loom sees it where two do so at once.
    fn count(&self, me: u64) -> Locked {
        let locked = lock::lock(&self.word, me, &Spin, &Patience::default(), &self.life);
        // SAFETY: loom checks that nobody else has the pointer now.
        self.count.with_mut(|count| unsafe { *count += 1 });
        lock::unlock(&self.word, me).unwrap();
        locked.unwrap().unwrap()
    }

    /// The same by the steps that JavaScript takes where it can.
    fn count_directly(&self, me: u64) -> Locked {
        let step = |from, to| self.word.compare_exchange(from, to, SeqCst, SeqCst).is_ok();
        let locked = if step(0, lock::held(me)) {
            Locked::Acquired
        } else {
            lock::lock(&self.word, me, &Spin, &Patience::default(), &self.life).unwrap().unwrap()
        };
        // SAFETY: loom checks that nobody else has the pointer now.
        self.count.with_mut(|count| unsafe { *count += 1 });
        if !step(lock::held(me), 0) {
            lock::unlock(&self.word, me).unwrap();
        }
        locked
    }

    fn total(&self) -> u32 {
        // SAFETY: the threads have ended.
        self.count.with(|count| unsafe { *count })
    }
}

#[test]
fn two_exclude_each_other() {
    check(None, || {
        let locking = Locking::new(0);
        let shared = Arc::clone(&locking);
        let locked = threads(2, move |me| shared.count(me));
        assert_eq!(locked, [Locked::Acquired; 2]);
        assert_eq!(locking.total(), 2);
    });
}

#[test]
fn three_exclude_each_other_and_none_is_left_asleep() {
    check(Some(3), || {
        let locking = Locking::new(0);
        let shared = Arc::clone(&locking);
        threads(3, move |me| shared.count(me));
        assert_eq!(locking.total(), 3);
    });
}

#[test]
fn whoever_gives_up_leaves_none_asleep() {
    check(Some(3), || {
        let locking = Locking::new(0);
        let shared = Arc::clone(&locking);
        threads(3, move |me| {
            if me != 3 {
                shared.count(me);
                if me == 1 {
                    shared.count(me);
                }
                return;
            }
            let locked = park::in_two_parts(|patience| {
                lock::lock(&shared.word, me, &Spin, patience, &shared.life)
            });
            if locked.unwrap().is_some() {
                lock::unlock(&shared.word, me).unwrap();
            }
        });
        assert_eq!(locking.total(), 3);
    });
}

#[test]
fn direct_steps_exclude_each_other_and_the_calls() {
    for direct in [2, 1] {
        check(None, move || {
            let locking = Locking::new(0);
            let shared = Arc::clone(&locking);
            threads(
                2,
                move |me| {
                    if me <= direct { shared.count_directly(me) } else { shared.count(me) }
                },
            );
            assert_eq!(locking.total(), 2);
        });
    }
}

#[test]
fn of_three_with_direct_steps_none_is_left_asleep() {
    for direct in 1..=3 {
        check(Some(3), move || {
            let locking = Locking::new(0);
            let shared = Arc::clone(&locking);
            threads(
                3,
                move |me| {
                    if me <= direct { shared.count_directly(me) } else { shared.count(me) }
                },
            );
            assert_eq!(locking.total(), 3);
        });
    }
}

#[test]
fn one_of_two_with_direct_steps_recovers_the_lock_of_a_dead_owner() {
    for contended in 0..2 {
        check(None, move || {
            let locking = Locking::new(DEAD << 2 | TAKEN | contended);
            let shared = Arc::clone(&locking);
            let locked = threads(2, move |me| shared.count_directly(me));
            assert_eq!(locked.iter().filter(|how| **how == Locked::Recovered).count(), 1);
            assert_eq!(locking.total(), 2);
        });
    }
}

#[test]
fn one_of_two_recovers_the_lock_of_a_dead_owner() {
    for contended in 0..2 {
        check(None, move || {
            let locking = Locking::new(DEAD << 2 | TAKEN | contended);
            let shared = Arc::clone(&locking);
            let locked = threads(2, move |me| shared.count(me));
            assert_eq!(locked.iter().filter(|how| **how == Locked::Recovered).count(), 1);
            assert_eq!(locking.total(), 2);
        });
    }
}

#[test]
fn an_owner_who_dies_while_others_wait_leaves_the_lock_to_them() {
    check(Some(3), || {
        let locking = Locking::new(0);
        let shared = Arc::clone(&locking);
        let locked = threads(3, move |me| {
            if me == 3 {
                let how = lock::lock(&shared.word, me, &Spin, &Patience::default(), &shared.life);
                shared.life.dead.store(me, SeqCst);
                park::wake_all();
                return how.unwrap().unwrap();
            }
            shared.count(me)
        });
        let recovered = locked[..2].iter().filter(|how| **how == Locked::Recovered).count();
        // It may also have been the last to take it.
        assert!(recovered == 1 || locking.word.load(Relaxed) >> 2 == 3);
        assert_eq!(locking.total(), 2);
    });
}
