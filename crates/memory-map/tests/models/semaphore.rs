//! The semaphore, with the steps that JavaScript takes by itself.

use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::time::Duration;

use loom::sync::Arc;

use crate::ipc::atomic::{AtomicU64, fence};
use crate::ipc::eventcount;
use crate::ipc::park::{self, Patience};
use crate::{check, threads};

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
            let value = eventcount::prepare(&self.released);
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
            eventcount::signal(&self.released);
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
