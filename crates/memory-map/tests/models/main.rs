//! What `ipc` is made of under loom, which tries every order in
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

#[path = "../../src/ipc"]
mod ipc {
    pub(crate) mod blocks;
    pub(crate) mod casting;
    pub(crate) mod counts;
    pub(crate) mod deliveries;
    pub(crate) mod eventcount;
    pub(crate) mod feed;
    pub(crate) mod flag;
    pub(crate) mod head;
    pub(crate) mod lock;
    pub(crate) mod notices;
    pub(crate) mod readers;
    pub(crate) mod rendezvous;
    pub(crate) mod ring;
    pub(crate) mod seqlock;

    pub(crate) mod atomic {
        pub(crate) use std::sync::PoisonError;

        pub(crate) use loom::sync::atomic::{AtomicU64, Ordering, fence};
        pub(crate) use loom::sync::{Mutex, MutexGuard};
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
        use std::cell::Cell;
        use std::collections::HashMap;
        use std::time::Duration;

        use loom::sync::{Arc, Condvar, Mutex};

        use super::atomic::{AtomicU64, Ordering};
        use crate::error::{Error, Result};

        pub(crate) const LOOK: Duration = Duration::from_millis(10);
        pub(crate) const SLICE: Duration = Duration::from_millis(500);

        #[derive(Clone, Copy, Default)]
        pub(crate) struct Patience<'a> {
            pub deadline: Option<std::time::Instant>,
            pub nap: Option<&'a Nap>,
        }

        /// The state of a wait that is called again after each sleep, as in `nap.rs`.
        #[derive(Default)]
        pub(crate) struct Nap {
            asked: Cell<Option<(*const AtomicU64, u64)>>,
            has_slept: Cell<bool>,
            is_told: Cell<bool>,
            kept_turn: Cell<bool>,
            /// Whether its time is up once it has slept.
            is_brief: bool,
        }

        /// Calls `wait` as those are called that have no thread: again after each sleep.
        pub(crate) fn in_parts<T>(wait: impl Fn(&Patience<'_>) -> Result<T>) -> Result<T> {
            run(&Nap::default(), wait)
        }

        /// The same of one that gives up after its first sleep.
        pub(crate) fn in_two_parts<T>(wait: impl Fn(&Patience<'_>) -> Result<T>) -> Result<T> {
            run(&Nap { is_brief: true, ..Nap::default() }, wait)
        }

        fn run<T>(nap: &Nap, wait: impl Fn(&Patience<'_>) -> Result<T>) -> Result<T> {
            loop {
                let result = wait(&Patience { nap: Some(nap), ..Patience::default() });
                match (result, nap.asked.take()) {
                    (Err(Error::Cancelled), Some((word, expected))) => {
                        // SAFETY: the words of a model are there until its end.
                        sleep_on(unsafe { &*word }, expected);
                        nap.is_told.set(true);
                    }
                    (result, _) => return result,
                }
            }
        }

        impl Patience<'_> {
            pub(crate) fn is_over(&self) -> Result<bool> {
                Ok(self.nap.is_some_and(|nap| nap.is_brief && nap.has_slept.get()))
            }
            pub(crate) fn has_slept(&self) -> bool {
                self.nap.is_some_and(|nap| nap.has_slept.get())
            }
            pub(crate) fn keep_turn(&self) -> bool {
                let nap = self.nap.filter(|nap| nap.asked.get().is_some());
                nap.map(|nap| nap.kept_turn.set(true)).is_some()
            }
            pub(crate) fn take_turn(&self) -> bool {
                self.nap.is_some_and(|nap| nap.kept_turn.take())
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
            patience: &Patience<'_>,
        ) -> Result<()> {
            match patience.nap.filter(|nap| !nap.is_told.take()) {
                Some(nap) if word.load(Ordering::SeqCst) == expected => {
                    nap.asked.set(Some((word, expected)));
                    nap.has_slept.set(true);
                    return Err(Error::Cancelled);
                }
                None if patience.nap.is_none() => sleep_on(word, expected),
                _ => {}
            }
            Ok(())
        }

        fn sleep_on(word: &AtomicU64, expected: u64) {
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

mod feed;
mod flag;
mod head;
mod lock;
mod notices;
mod overlay;
mod place;
mod queue;
mod readers;
mod rendezvous;
mod ring;
mod semaphore;
mod seqlock;

use std::sync::atomic::Ordering::SeqCst;

use ipc::atomic::AtomicU64;
use ipc::lock::World;
use loom::thread;

/// Runs a model.
pub fn check(preemptions: Option<usize>, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    // Unoptimized it takes long.
    let fewer = usize::from(cfg!(debug_assertions));
    builder.preemption_bound = preemptions.map(|most| most - fewer);
    builder.max_branches = 10_000;
    builder.check(model);
}

pub const DEAD: u64 = 9;
/// What a lock leaves in a word that is held.
pub const TAKEN: u64 = 2;

/// A world in which the participant `DEAD` has died, and another one dies when it is said so.
pub struct Life {
    pub dead: AtomicU64,
}

impl World for Life {
    fn is_alive(&self, participant: u64) -> bool {
        participant != DEAD && participant != self.dead.load(SeqCst)
    }
    fn check(&self) -> memory_map::Result<()> {
        Ok(())
    }
}

pub fn everybody() -> Life {
    Life { dead: AtomicU64::new(0) }
}

pub fn threads<T: Send + 'static>(
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
