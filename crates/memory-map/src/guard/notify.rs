//! From the handler, which may only note a fault, to the threads that may tell it.
//!
//! The handler pushes the record on a stack without locks and wakes a thread of ours, which sorts
//! the records by owner and calls each owner's waker. The owner then collects, on its own thread.

use std::collections::HashMap;
use std::ptr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicPtr, Ordering};

use super::record::FaultRecord;
use crate::error::{Error, Result};
use crate::lock_anyway::LockAnyway;
use crate::sys;

static STACK: AtomicPtr<FaultRecord> = AtomicPtr::new(ptr::null_mut());

/// Notes that `record` has something to tell. Returns whether that is new. Async-signal-safe.
pub(super) fn push(record: &'static FaultRecord) -> bool {
    if record.pending.swap(true, Ordering::AcqRel) {
        return false;
    }
    let mut top = STACK.load(Ordering::Acquire);
    loop {
        record.below.store(top, Ordering::Relaxed);
        let this = ptr::from_ref(record).cast_mut();
        match STACK.compare_exchange_weak(top, this, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => return true,
            Err(now) => top = now,
        }
    }
}

/// The owner of mappings whose faults nobody is told of.
const NONE: u64 = 0;

/// Stands for the mappings of owners that have ended, which any other owner is told of.
pub const ORPHANS: u64 = 0;

struct Owner {
    wake: Box<dyn Fn() + Send>,
    /// Tokens of the mappings that have something to tell.
    waiting: Vec<u64>,
}

impl Owner {
    fn note(&mut self, token: u64) {
        if !self.waiting.contains(&token) {
            self.waiting.push(token);
        }
    }
}

#[derive(Default)]
struct Table {
    owners: HashMap<u64, Owner>,
    /// If several owners have a mapping: whom to tell instead of the record's own owner, and by which token.
    sharers: HashMap<u64, Vec<(u64, u64)>>,
}

static TABLE: Mutex<Option<Table>> = Mutex::new(None);

fn with_table<R>(f: impl FnOnce(&mut Table) -> R) -> R {
    f(TABLE.lock_anyway().get_or_insert_default())
}

fn with_owners<R>(f: impl FnOnce(&mut HashMap<u64, Owner>) -> R) -> R {
    with_table(|table| f(&mut table.owners))
}

/// Has `owner` be told, by `token`, of faults of the pages that records know by `pages`.
pub(crate) fn share(pages: u64, owner: u64, token: u64) {
    with_table(|table| table.sharers.entry(pages).or_default().push((owner, token)));
}

/// Ends what `share` began.
pub(crate) fn unshare(pages: u64, token: u64) {
    with_table(|table| {
        if let Some(sharers) = table.sharers.get_mut(&pages) {
            sharers.retain(|(_, sharer)| *sharer != token);
        }
    });
}

/// Ends all that `share` began.
pub(crate) fn end_sharing(pages: u64) {
    with_table(|table| table.sharers.remove(&pages));
}

/// Wakes all who share some pages, but for the one who knows already.
pub(crate) fn tell_sharers(pages: u64, knows: u64) {
    with_table(|Table { owners, sharers }| {
        for (owner, token) in sharers.get(&pages).into_iter().flatten() {
            if let Some(owner) = owners.get_mut(owner).filter(|_| *token != knows) {
                owner.note(*token);
                (owner.wake)();
            }
        }
    });
}

/// Makes `wake` be called, on any thread, whenever a mapping of `owner` has faulted.
///
/// `wake` must return soon and must not call this module.
pub fn register_owner(owner: u64, wake: impl Fn() + Send + 'static) {
    with_owners(|owners| owners.insert(owner, Owner { wake: Box::new(wake), waiting: Vec::new() }));
}

/// Calls what `register_owner` was given, for a reason of the caller's own.
pub fn wake_owner(owner: u64) {
    with_owners(|owners| {
        if let Some(owner) = owners.get(&owner) {
            (owner.wake)();
        }
    });
}

/// The same for all owners.
pub fn wake_all_owners() {
    with_owners(|owners| owners.values().for_each(|owner| (owner.wake)()));
}

/// Ends what `register_owner` began.
///
/// ```
/// use memory_map::{forget_owner, register_owner, wake_all_owners, wake_owner};
///
/// let (sender, woken) = std::sync::mpsc::channel();
/// register_owner(2, move || sender.send(()).unwrap_or(()));
/// wake_owner(2);
/// woken.recv().unwrap();
/// wake_all_owners();
/// woken.recv().unwrap();
/// forget_owner(2);
/// assert!(woken.recv().is_err());
/// ```
pub fn forget_owner(owner: u64) {
    with_owners(|owners| owners.remove(&owner));
}

/// The tokens of the mappings of `owner` that have faulted since the last call, or [`ORPHANS`].
///
/// ```
/// use memory_map::{Mapping, Options, Protection, register_owner, take_faulted};
///
/// let (sender, woken) = std::sync::mpsc::channel();
/// register_owner(1, move || sender.send(()).unwrap_or(()));
/// let options = Options { protection: Protection::Read, owner: 1, ..Options::default() };
/// let map = Mapping::anonymous(100, false, &options)?;
/// // SAFETY: the page is mapped, and the fault of a store to it is contained.
/// unsafe { (map.address().unwrap() as *mut u8).write_volatile(1) };
/// woken.recv().unwrap();
/// assert_eq!(take_faulted(1), [map.token()]);
/// # Ok::<(), memory_map::Error>(())
/// ```
pub fn take_faulted(owner: u64) -> Vec<u64> {
    with_table(|table| {
        sort_out(table);
        table
            .owners
            .get_mut(&owner)
            .map(|owner| std::mem::take(&mut owner.waiting))
            .unwrap_or_default()
    })
}

/// Empties the stack into the owners' lists.
fn sort_out(Table { owners, sharers }: &mut Table) {
    let mut next = STACK.swap(ptr::null_mut(), Ordering::AcqRel);
    // SAFETY: what is on the stack are `&'static FaultRecord`s.
    while let Some(record) = unsafe { next.as_ref() } {
        next = record.below.load(Ordering::Relaxed);
        // From here on a new fault pushes the record again, so the token must be read after this.
        record.pending.store(false, Ordering::Release);
        let token = record.token.load(Ordering::Acquire);
        let owner = record.owner.load(Ordering::Acquire);
        let shared = sharers.get(&token).into_iter().flatten();
        let mut told = false;
        for (owner, token) in shared {
            if let Some(owner) = owners.get_mut(owner) {
                owner.note(*token);
                told = true;
            }
        }
        if told {
            continue;
        }
        let (owner, token) = match owners.keys().min() {
            Some(&first) if owner != NONE && !owners.contains_key(&owner) => (first, ORPHANS),
            _ => (owner, token),
        };
        if let Some(owner) = owners.get_mut(&owner) {
            owner.note(token);
        }
    }
}

fn wake_owners() {
    with_table(|table| {
        sort_out(table);
        for owner in table.owners.values().filter(|owner| !owner.waiting.is_empty()) {
            (owner.wake)();
        }
    });
}

/// Starts the notifier: a thread that wakes the owners each time `wait` returns. It ends when `wait` fails;
/// owners then learn of faults only when they ask.
pub(super) fn start(mut wait: impl FnMut() -> Result<()> + Send + 'static) -> Result<()> {
    std::thread::Builder::new()
        .name("memory-map".into())
        .stack_size(128 << 10)
        .spawn(move || {
            sys::block_signals();
            while wait().is_ok() {
                wake_owners();
            }
        })
        .map(drop)
        .map_err(|error| Error::io(&error, "pthread_create"))
}
