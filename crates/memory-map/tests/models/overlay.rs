//! Steps that JavaScript takes by itself in pages that may fail.

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};

use loom::sync::Arc;
use loom::thread;

use crate::check;
use crate::ipc::atomic::AtomicU64;

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
