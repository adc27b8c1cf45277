//! Processes that are killed while they lock, send or receive: after any instruction.
//!
//! A child does something once under ptrace(2), and is killed before and after each instruction
//! that changes the shared memory. Others run freely and are killed at some moment: a hundred in
//! each test, or a thousand with `MEMORY_MAP_LONG`. What they leave behind must be usable within a
//! second, before any process has waited for them.
#![cfg(target_os = "linux")]
#![allow(missing_docs, clippy::panic, clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;

mod barrier;
mod broadcast;
mod channel;
mod condition;
mod event;
mod latest;
mod mutex;
mod queue;
mod rwlock;
mod successor;

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex as StdMutex, PoisonError};
use std::time::Duration;

use common::{TempFile, shared};
use memory_map::ipc::{Channel, Patience, Queue};
use memory_map::{Mapping, Protection};

/// In what the places are counted. Not in pages, which may be large: all is read after each step.
const AREA: usize = 4096;
/// Set while the mutex at 0 is held, or somebody has the lock at `RWLOCK` alone.
const BUSY: usize = 64;
/// Set when a message has been received, and before it is released.
const RECEIVED: usize = 128;
const CHANNEL: usize = AREA;
const LATEST: usize = 256;
const RWLOCK: usize = 1024;
const BROADCAST: usize = 2 * AREA;
const LOSSLESS: usize = 3 * AREA;
const QUEUE: usize = 5 * AREA;
/// Where nothing is yet.
const FRESH: usize = 5 * AREA + 2048;
const LENGTH: usize = 6 * AREA;

/// What is left behind is to be usable within a second; a busy machine may take longer.
const LIMIT: Duration = Duration::from_secs(60);

/// One test at a time: a process that is forked has only one thread, and the locks of all.
static ALONE: StdMutex<()> = StdMutex::new(());

fn word(map: &Mapping, offset: usize) -> &AtomicU64 {
    // SAFETY: the offset is inside the mapping, which lives as long as the reference.
    unsafe { AtomicU64::from_ptr((map.address().unwrap() + offset) as *mut u64) }
}

fn soon() -> Patience<'static> {
    Patience::of(Duration::from_secs(120))
}

/// A file with a mutex, a channel and a queue, and this process's mapping of it.
struct Place {
    file: TempFile,
    contents: File,
    map: Mapping,
}

impl Place {
    fn new() -> Self {
        let file = TempFile::sparse(LENGTH as u64);
        let contents = File::open(&file.0).unwrap();
        let map = shared(&file, Protection::ReadWrite);
        Channel::create(&map, CHANNEL, 1024).unwrap();
        Queue::create(&map, QUEUE, 1024).unwrap();
        Self { file, contents, map }
    }

    fn open(&self) -> Mapping {
        shared(&self.file, Protection::ReadWrite)
    }

    /// Reads all that is shared. It is read as a file, which takes one call, however long it is.
    fn read(&self, state: &mut [u8]) {
        self.contents.read_exact_at(state, 0).unwrap();
    }
}

/// Another process, forked from this one. It is killed, and waited for, when this goes.
struct Child(i32);

impl Child {
    /// Starts one that prepares something, and then does it under ptrace.
    fn start<T>(
        place: &Place,
        prepare: impl FnOnce(&Mapping) -> T,
        act: impl FnOnce(&Mapping, &T),
    ) -> Self {
        let child = Self::run(place, |map| {
            let prepared = prepare(map);
            // SAFETY: takes no pointers.
            unsafe { libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0) };
            // SAFETY: takes no pointers.
            unsafe { libc::raise(libc::SIGSTOP) };
            act(map, &prepared);
        });
        assert_eq!(child.wait_for_stop(), Some(libc::SIGSTOP));
        child
    }

    /// Starts one that does something.
    fn run(place: &Place, act: impl FnOnce(&Mapping)) -> Self {
        // SAFETY: no other test runs, so that no thread holds a lock that the child needs.
        let pid = unsafe { libc::fork() };
        assert!(pid >= 0);
        if pid > 0 {
            return Self(pid);
        }
        let act = std::panic::AssertUnwindSafe(|| act(&place.open()));
        let done = std::panic::catch_unwind(act);
        // SAFETY: ends the process, without what the test harness would do.
        unsafe { libc::_exit(if done.is_ok() { 0 } else { 99 }) };
    }

    /// The signal by which it has stopped; `None` where it has ended as it should.
    fn wait_for_stop(&self) -> Option<i32> {
        let mut status = 0;
        // SAFETY: `status` is valid for one int.
        let pid = unsafe { libc::waitpid(self.0, &raw mut status, libc::__WALL) };
        assert_eq!(pid, self.0);
        if libc::WIFSTOPPED(status) {
            return Some(libc::WSTOPSIG(status));
        }
        assert_eq!(status, 0, "the child has failed");
        None
    }

    /// Runs an instruction; whether there is another one.
    fn step(&self) -> bool {
        // SAFETY: takes no pointers but null ones.
        assert_eq!(unsafe { libc::ptrace(libc::PTRACE_SINGLESTEP, self.0, 0, 0) }, 0);
        match self.wait_for_stop() {
            Some(libc::SIGTRAP) => true,
            Some(signal) => panic!("stopped by {signal}"),
            None => false,
        }
    }

    fn kill(&self) {
        // SAFETY: takes no pointers; the process is a child of ours and not waited for.
        unsafe { libc::kill(self.0, libc::SIGKILL) };
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.kill();
        // SAFETY: a null pointer is allowed for the status.
        unsafe { libc::waitpid(self.0, std::ptr::null_mut(), libc::__WALL) };
    }
}

/// Keeps this thread and a child on one processor while it lives: in a machine of QEMU's, a step of a
/// child on another one takes milliseconds.
struct Together(libc::cpu_set_t);

impl Together {
    const SIZE: usize = size_of::<libc::cpu_set_t>();

    fn with(child: &Child) -> Self {
        // SAFETY: a set is bits only, of which none need be set.
        let [mut before, mut one] = [(); 2].map(|()| unsafe { std::mem::zeroed() });
        // SAFETY: takes no pointers.
        let processor = usize::try_from(unsafe { libc::sched_getcpu() }).unwrap();
        // SAFETY: `one` has room for every processor that Linux names to a program with such a set.
        unsafe { libc::CPU_SET(processor, &mut one) };
        // SAFETY: `before` is valid for as many bytes.
        assert_eq!(unsafe { libc::sched_getaffinity(0, Self::SIZE, &raw mut before) }, 0);
        for id in [0, child.0] {
            // SAFETY: `one` is valid for as many bytes.
            assert_eq!(unsafe { libc::sched_setaffinity(id, Self::SIZE, &raw const one) }, 0);
        }
        Self(before)
    }
}

impl Drop for Together {
    fn drop(&mut self) {
        // SAFETY: the set is valid for as many bytes.
        unsafe { libc::sched_setaffinity(0, Self::SIZE, &raw const self.0) };
    }
}

/// Runs the child until the shared memory has changed so many times, or to the instruction before
/// the next change; `None` where it does not change so often.
fn run_until(place: &Place, child: &Child, changes: usize) -> Option<()> {
    let _together = Together::with(child);
    let mut left = changes;
    let [mut before, mut now] = [(); 2].map(|()| vec![0; LENGTH]);
    place.read(&mut before);
    while left > 0 {
        if !child.step() {
            return None;
        }
        place.read(&mut now);
        left -= usize::from(now != before);
        std::mem::swap(&mut before, &mut now);
    }
    Some(())
}

/// Kills a new child after each of the changes that it makes, and before the first; says how many.
fn after_every_change(
    prepare: impl Fn(&Place),
    start: impl Fn(&Place) -> Child,
    check: impl Fn(&Place, Child, &str),
) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    for changes in 0.. {
        let place = Place::new();
        prepare(&place);
        let child = start(&place);
        if run_until(&place, &child, changes).is_none() {
            std::mem::forget(child); // it has ended
            assert!(changes > 2, "nothing was seen to change");
            return;
        }
        check(&place, child, &format!("after {changes} changes"));
    }
}

/// Numbers from 0 to before `below`.
fn random(below: u64) -> u64 {
    static STATE: AtomicU64 = AtomicU64::new(1);
    let state = STATE.load(Ordering::Relaxed).wrapping_mul(6364136223846793005).wrapping_add(1);
    STATE.store(state, Ordering::Relaxed);
    (state >> 33) % below
}

/// How many are killed at some moment. A busy machine may need more, until enough of them have done something.
fn kills() -> u64 {
    if std::env::var_os("MEMORY_MAP_LONG").is_some() { 1000 } else { 100 }
}

/// Lets a child run for up to a millisecond, also where there is one processor for both.
fn some_time() {
    std::thread::sleep(Duration::from_micros(random(1000)));
}
