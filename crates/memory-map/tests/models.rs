//! (Long: the models share their steps.) The lock and the channel under loom, which tries every order in
//! which the threads' operations and what they see of each other can come (up to a number of preemptions, where said).
//!
//! The sources are the crate's own; atomics, sleep and spin under them are the models'. A sleep
//! ends by a wake only, or where the model says that all slices end, once a thread has died: any other
//! wake that is lost is a deadlock, which loom reports.
#![cfg(target_pointer_width = "64")] // what loom is for
#![allow(dead_code, missing_docs, clippy::unwrap_used)]

mod error {
    pub(crate) use memory_map::{Error, Result};
}

#[path = "../src/ipc"]
mod ipc {
    pub(crate) mod event;
    pub(crate) mod lock;
    pub(crate) mod ring;

    pub(crate) mod atomic {
        pub(crate) use loom::sync::atomic::{AtomicU64, Ordering, fence};
    }

    pub(crate) mod spin {
        pub(crate) struct Spin;

        impl Spin {
            pub const fn new() -> Self {
                Self
            }
            pub fn until<T>(&self, _ready: impl FnMut() -> Option<T>) -> Option<T> {
                None
            }
        }
    }

    pub(crate) mod park {
        use std::collections::HashMap;
        use std::time::Duration;

        use loom::sync::{Arc, Condvar, Mutex};

        use super::atomic::{AtomicU64, Ordering};
        use crate::error::Result;

        #[derive(Default)]
        pub(crate) struct Patience<'a>(std::marker::PhantomData<&'a ()>);

        impl Patience<'_> {
            pub(crate) fn is_over(&self) -> Result<bool> {
                Ok(false)
            }
        }

        #[derive(Default)]
        struct Beds {
            of: HashMap<usize, Arc<Condvar>>,
            /// Whether a thread has died: from now on sleepers wake up by themselves.
            uneasy: bool,
        }

        loom::lazy_static! {
            static ref BEDS: Mutex<Beds> = Mutex::new(Beds::default());
        }

        pub(crate) fn sleep(
            word: &AtomicU64,
            expected: u64,
            _limit: Duration,
            _patience: &Patience<'_>,
        ) -> Result<()> {
            let mut beds = BEDS.lock().unwrap();
            let address = std::ptr::from_ref(word) as usize;
            let bed =
                Arc::clone(beds.of.entry(address).or_insert_with(|| Arc::new(Condvar::new())));
            // As the kernel does it: nobody can wake between the look and the sleep.
            if beds.uneasy {
                drop(beds);
                loom::thread::yield_now();
            } else if word.load(Ordering::SeqCst) == expected {
                drop(bed.wait(beds).unwrap());
            }
            Ok(())
        }

        /// Somebody has died: everybody's slice ends, sooner or later.
        pub(crate) fn wake_all() {
            let mut beds = BEDS.lock().unwrap();
            beds.uneasy = true;
            beds.of.values().for_each(|bed| bed.notify_all());
        }

        pub(crate) fn wake(word: &AtomicU64, count: u32) {
            let beds = BEDS.lock().unwrap();
            let Some(bed) = beds.of.get(&(std::ptr::from_ref(word) as usize)) else { return };
            if count == 1 { bed.notify_one() } else { bed.notify_all() }
        }
    }
}

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use std::time::Duration;

use ipc::atomic::{AtomicU64, fence};
use ipc::event;
use ipc::lock::{self, Locked, World};
use ipc::park::{self, Patience};
use ipc::ring::{Learned, Memory, Part, Ring, at};
use ipc::spin::Spin;
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

/// Runs a model.
fn check(preemptions: Option<usize>, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    // Unoptimized it takes long.
    let fewer = usize::from(cfg!(debug_assertions));
    builder.preemption_bound = preemptions.map(|most| most - fewer);
    builder.max_branches = 10_000;
    builder.check(model);
}

const DEAD: u64 = 9;
/// What a lock leaves in a word that is held.
const TAKEN: u64 = 2;

/// A world in which the participant `DEAD` has died, and another one dies when it is said so.
struct Life {
    dead: AtomicU64,
}

impl World for Life {
    fn is_alive(&self, participant: u64) -> bool {
        participant != DEAD && participant != self.dead.load(SeqCst)
    }
    fn check(&self) -> memory_map::Result<()> {
        Ok(())
    }
}

fn everybody() -> Life {
    Life { dead: AtomicU64::new(0) }
}

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

fn threads<T: Send + 'static>(
    count: u64,
    run: impl Fn(u64) -> T + Send + Sync + Clone + 'static,
) -> Vec<T> {
    let others: Vec<_> = (2..=count)
        .map(|me| {
            let run = run.clone();
            thread::spawn(move || run(me))
        })
        .collect();
    let mut results = vec![run(1)];
    results.extend(others.into_iter().map(|other| other.join().unwrap()));
    results
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

const RING: usize = 64;

/// A channel of 64 bytes, in which every message of eight has a cell for its bytes.
struct Place {
    words: Vec<AtomicU64>,
    bytes: Vec<UnsafeCell<u64>>,
    life: Life,
    /// Of each participant.
    learned: [Learned; DEAD as usize + 1],
}

// SAFETY: as for `Locking`.
unsafe impl Sync for Place {}

impl World for Place {
    fn is_alive(&self, participant: u64) -> bool {
        self.life.is_alive(participant)
    }
    fn check(&self) -> memory_map::Result<()> {
        Ok(())
    }
}

/// The words that are used: loom cannot have as many as there are bytes.
const HEADS: [usize; 5] = [at::SENDERS, at::HEAD, at::TAIL, at::FILLED, at::EMPTIED];

impl Memory for Place {
    fn word(&self, offset: usize) -> &AtomicU64 {
        match HEADS.iter().position(|head| *head == offset) {
            Some(index) => &self.words[index],
            None => &self.words[HEADS.len() + (offset - at::DATA) / 8],
        }
    }
}

impl Place {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            words: (0..HEADS.len() + RING / 8).map(|_| AtomicU64::new(0)).collect(),
            bytes: (0..RING / 8).map(|_| UnsafeCell::new(0)).collect(),
            life: everybody(),
            learned: std::array::from_fn(|_| Learned::new()),
        })
    }

    fn ring(&self, me: u64) -> Ring<'_, Self> {
        Ring { memory: self, size: RING, me, learned: &self.learned[me as usize] }
    }

    fn fill(&self, part: Part, value: u64) {
        let cell = &self.bytes[(part.offset - at::DATA) / 8];
        // SAFETY: loom checks that nobody else has the pointer now.
        cell.with_mut(|bytes| unsafe { *bytes = value });
    }

    fn send(&self, me: u64, value: u64) {
        let ring = self.ring(me);
        let part = ring.reserve(8, Some(&Patience::default())).unwrap().unwrap();
        self.fill(part, value);
        ring.commit(part, 8).unwrap();
    }

    fn receive(&self) -> u64 {
        let ring = self.ring(1);
        let (part, end) = ring.next(Some(&Patience::default())).unwrap().unwrap();
        let cell = &self.bytes[(part.offset - at::DATA) / 8];
        // SAFETY: as above.
        let value = cell.with(|bytes| unsafe { *bytes });
        ring.release(end);
        value
    }
}

#[test]
fn messages_come_in_order_while_the_ring_fills_and_empties() {
    // Two fit at a time: the sender waits for room, and the fourth is where the first was.
    check(Some(3), || {
        let place = Place::new();
        let sender = Arc::clone(&place);
        let sending = thread::spawn(move || (1..=4).for_each(|i| sender.send(2, i)));
        let received: Vec<_> = (1..=4).map(|_| place.receive()).collect();
        assert_eq!(received, [1, 2, 3, 4]);
        sending.join().unwrap();
    });
}

#[test]
fn messages_that_are_sent_at_once_come_in_order_while_the_ring_fills_and_empties() {
    check(Some(3), || {
        let place = Place::new();
        let sender = Arc::clone(&place);
        let sending = thread::spawn(move || {
            let fill = |index: usize, part| sender.fill(part, index as u64 + 1);
            let patience = Patience::default();
            let sent = sender.ring(2).send_all([8; 4].into_iter(), Some(&patience), fill);
            assert_eq!(sent, Ok(4));
        });
        let received: Vec<_> = (1..=4).map(|_| place.receive()).collect();
        assert_eq!(received, [1, 2, 3, 4]);
        sending.join().unwrap();
    });
}

#[test]
fn the_messages_of_two_senders_all_come() {
    check(Some(3), || {
        let place = Place::new();
        let senders = [2, 3].map(|me| {
            let place = Arc::clone(&place);
            thread::spawn(move || place.send(me, me))
        });
        let mut received = [place.receive(), place.receive()];
        received.sort_unstable();
        assert_eq!(received, [2, 3]);
        senders.into_iter().for_each(|sender| sender.join().unwrap());
    });
}

#[test]
fn a_message_whose_sender_is_dead_is_skipped() {
    check(Some(3), || {
        let place = Place::new();
        place.ring(DEAD).reserve(8, None).unwrap().unwrap();
        let sender = Arc::clone(&place);
        let sending = thread::spawn(move || sender.send(2, 5));
        assert_eq!(place.receive(), 5);
        sending.join().unwrap();
    });
}

#[test]
fn a_message_that_was_committed_before_its_sender_died_comes() {
    check(Some(3), || {
        let place = Place::new();
        let sender = Arc::clone(&place);
        let sending = thread::spawn(move || {
            sender.send(2, 5);
            sender.life.dead.store(2, SeqCst);
            park::wake_all();
        });
        assert_eq!(place.receive(), 5);
        sending.join().unwrap();
    });
}

#[test]
fn a_sender_that_dies_with_the_lock_is_succeeded() {
    check(Some(3), || {
        let place = Place::new();
        let patience = Patience::default();
        let ring = place.ring(DEAD);
        lock::lock(ring.memory.word(at::SENDERS), DEAD, &Spin, &patience, &place.life).unwrap();
        let senders = [2, 3].map(|me| {
            let place = Arc::clone(&place);
            thread::spawn(move || place.send(me, me))
        });
        let mut received = [place.receive(), place.receive()];
        received.sort_unstable();
        assert_eq!(received, [2, 3]);
        senders.into_iter().for_each(|sender| sender.join().unwrap());
    });
}

/// A semaphore's words, used as `semaphore.rs` does, whose own code is tied to mappings.
#[derive(Default)]
struct Permits {
    /// How many there are, plus one.
    permits: AtomicU64,
    released: AtomicU64,
}

impl Permits {
    fn take(&self) -> bool {
        let mut seen = self.permits.load(Relaxed);
        while seen > 1 {
            match self.permits.compare_exchange(seen, seen - 1, SeqCst, Relaxed) {
                Ok(_) => return true,
                Err(now) => seen = now,
            }
        }
        false
    }

    fn acquire(&self) {
        while !self.take() {
            let value = event::prepare(&self.released);
            if self.take() {
                return;
            }
            let forever = (Duration::ZERO, Patience::default());
            park::sleep(&self.released, value, forever.0, &forever.1).unwrap();
        }
    }

    /// By the steps that JavaScript takes, which calls the library where somebody sleeps.
    fn release_directly(&self) {
        self.permits.fetch_add(1, SeqCst);
        // All atomic operations of JavaScript are in one order, which loom has for fences only.
        fence(SeqCst);
        if self.released.load(SeqCst) & 1 == 1 {
            event::signal(&self.released);
        }
    }
}

#[test]
fn a_permit_that_is_released_directly_wakes_whoever_waits() {
    for waiters in 1..=2 {
        check(Some(3), move || {
            let permits = Arc::new(Permits { permits: AtomicU64::new(1), ..Permits::default() });
            let shared = Arc::clone(&permits);
            threads(waiters + 1, move |me| match me {
                1 => (0..waiters).for_each(|_| shared.release_directly()),
                _ => shared.acquire(),
            });
            assert_eq!(permits.permits.load(SeqCst), 1);
        });
    }
}

/// A word of a page, and what lies over that page while it fails: `guard/changes.rs`.
struct Overlaid {
    /// The word, and the one that is in its place where 1 is `shown`.
    words: [AtomicU64; 2],
    shown: AtomicU64,
    changes: AtomicU64,
    /// The region's lock.
    region: loom::sync::Mutex<()>,
}

impl Overlaid {
    /// Puts another page there. The system call is a barrier.
    fn show(&self, which: u64) {
        let _locked = self.region.lock().unwrap();
        self.changes.fetch_add(1, SeqCst);
        self.shown.store(which, Release);
    }

    /// A step of `lib/sync/words.ts`, after the library has found the page in place; whether it is
    /// said to be done, and in which word it was made.
    fn step(&self) -> Option<(bool, u64)> {
        let clean = self.changes.load(SeqCst);
        {
            let _locked = self.region.lock().unwrap();
            if self.shown.load(Acquire) != 0 {
                return None;
            }
        }
        if self.changes.load(Relaxed) != clean {
            return None;
        }
        let shown = self.shown.load(Acquire);
        self.words[shown as usize].compare_exchange(0, 1, SeqCst, SeqCst).ok()?;
        Some((self.changes.load(SeqCst) == clean, shown))
    }
}

#[test]
fn a_direct_step_that_is_done_was_made_in_the_word_and_not_in_what_lay_over_it() {
    check(None, || {
        let page = Arc::new(Overlaid {
            words: [AtomicU64::new(0), AtomicU64::new(0)],
            shown: AtomicU64::new(0),
            changes: AtomicU64::new(0),
            region: loom::sync::Mutex::new(()),
        });
        let shared = Arc::clone(&page);
        let guard = thread::spawn(move || {
            shared.show(1);
            shared.show(0);
        });
        if let Some((true, shown)) = page.step() {
            assert_eq!(shown, 0);
        }
        guard.join().unwrap();
    });
}
