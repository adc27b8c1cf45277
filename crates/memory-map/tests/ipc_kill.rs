//! Processes that are killed while they lock, send or receive: after any instruction.
//!
//! A child does something once under ptrace(2), and is killed before and after each instruction
//! that changes the shared memory. Others run freely and are killed at some moment, a thousand of
//! them. What they leave behind must be usable within a second, before any process has waited for them.
#![cfg(target_os = "linux")]
#![allow(missing_docs, clippy::panic, clippy::unwrap_used)]

mod common;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex as StdMutex, PoisonError};
use std::time::{Duration, Instant};

use common::{PAGE, TempFile, shared};
use memory_map::ipc::{Channel, Locked, Mutex, Patience};
use memory_map::{Mapping, Protection};

/// Set while the mutex at 0 is held.
const BUSY: usize = 64;
/// Set when a message has been received, and before it is released.
const RECEIVED: usize = 128;
const CHANNEL: usize = PAGE;

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

/// A file with a mutex and a channel, and this process's mapping of it.
struct Place {
    file: TempFile,
    map: Mapping,
}

impl Place {
    fn new() -> Self {
        let file = TempFile::sparse(3 * PAGE as u64);
        let map = shared(&file, Protection::ReadWrite);
        Channel::create(&map, CHANNEL, 1024).unwrap();
        Self { file, map }
    }

    fn open(&self) -> Mapping {
        shared(&self.file, Protection::ReadWrite)
    }

    /// A sum over all that is shared, to see changes by.
    fn state(&self) -> u64 {
        let words = [0..3, CHANNEL / 8..CHANNEL / 8 + 128].into_iter().flatten();
        words.fold(0u64, |sum, i| {
            sum.rotate_left(5).wrapping_mul(31) ^ word(&self.map, 8 * i).load(Ordering::Relaxed)
        })
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

/// Runs the child until the shared memory has changed so many times, or to the instruction before
/// the next change; `None` where it does not change so often.
fn run_until(place: &Place, child: &Child, changes: usize) -> Option<()> {
    let mut left = changes;
    let mut state = place.state();
    while left > 0 {
        if !child.step() {
            return None;
        }
        let now = place.state();
        left -= usize::from(now != state);
        state = now;
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

/// Lets a child run for up to a millisecond.
fn some_time() {
    let end = Instant::now() + Duration::from_micros(random(1000));
    while Instant::now() < end {
        std::hint::spin_loop();
    }
}

/// Takes the lock, within a second; `busy` must be clear unless the owner died.
fn take(place: &Place, when: &str) {
    let start = Instant::now();
    let mutex = Mutex::new(&place.map, 0).unwrap();
    let locked = mutex.lock(&soon()).unwrap();
    assert!(start.elapsed() < LIMIT, "{when}: {:?}", start.elapsed());
    if word(&place.map, BUSY).load(Ordering::Acquire) == 1 {
        assert_eq!(locked, Some(Locked::Recovered), "{when}");
    }
    mutex.unlock().unwrap();
    assert_eq!(mutex.lock(&soon()).unwrap(), Some(Locked::Acquired), "{when}");
    mutex.unlock().unwrap();
}

#[test]
#[cfg_attr(any(target_arch = "arm", target_arch = "riscv64"), ignore = "no single steps")]
fn whoever_is_killed_with_a_lock_leaves_it_to_the_next() {
    after_every_change(
        |_| {},
        |place| {
            let mutex = |map: &Mapping| Mutex::new(map, 0).unwrap();
            Child::start(place, mutex, |map, mutex| {
                mutex.lock(&soon()).unwrap();
                word(map, BUSY).store(1, Ordering::Release);
                word(map, BUSY).store(0, Ordering::Release);
                mutex.unlock().unwrap();
            })
        },
        |place, child, when| {
            child.kill();
            take(place, when);
        },
    );
}

#[test]
#[cfg_attr(any(target_arch = "arm", target_arch = "riscv64"), ignore = "no single steps")]
fn whoever_is_killed_with_a_lock_that_was_taken_directly_leaves_it_to_the_next() {
    after_every_change(
        |_| {},
        |place| {
            let mutex = |map: &Mapping| Mutex::new(map, 0).unwrap();
            Child::start(place, mutex, |map, mutex| {
                // As lib/sync/words.ts does it.
                let step = |from, to| {
                    let seen =
                        word(map, 0).compare_exchange(from, to, Ordering::SeqCst, Ordering::SeqCst);
                    assert_eq!(seen, Ok(from));
                };
                step(0, mutex.held());
                word(map, BUSY).store(1, Ordering::Release);
                word(map, BUSY).store(0, Ordering::Release);
                step(mutex.held(), 0);
            })
        },
        |place, child, when| {
            child.kill();
            take(place, when);
        },
    );
}

#[test]
#[cfg_attr(any(target_arch = "arm", target_arch = "riscv64"), ignore = "no single steps")]
fn whoever_is_killed_while_he_unlocks_leaves_nobody_asleep() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    for changes in 0..=1 {
        let place = Place::new();
        let child = Child::start(
            &place,
            |map| {
                let mutex = Mutex::new(map, 0).unwrap();
                mutex.lock(&soon()).unwrap();
                mutex
            },
            |_, mutex| mutex.unlock().unwrap(),
        );
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| {
                let mutex = Mutex::new(&place.map, 0).unwrap();
                (mutex.lock(&soon()).unwrap(), Instant::now())
            });
            // The word says when a thread is about to sleep.
            while word(&place.map, 0).load(Ordering::Acquire) & 1 == 0 {
                std::thread::yield_now();
            }
            std::thread::sleep(Duration::from_millis(2));
            run_until(&place, &child, changes).unwrap();
            let killed = Instant::now();
            child.kill();
            let (locked, at) = waiter.join().unwrap();
            // Before the change the lock is held, after it nobody has been woken.
            let how = if changes == 0 { Locked::Recovered } else { Locked::Acquired };
            assert_eq!(locked, Some(how));
            assert!(at.saturating_duration_since(killed) < LIMIT);
        });
    }
}

#[test]
#[cfg_attr(any(target_arch = "arm", target_arch = "riscv64"), ignore = "no single steps")]
fn a_sender_that_is_killed_loses_that_message_only() {
    after_every_change(
        |place| {
            // The ring is to wrap around in what the child sends.
            let channel = Channel::open(&place.map, CHANNEL).unwrap();
            assert!(channel.send(&[0; 200], None).unwrap());
            assert!(channel.send(&[0; 200], None).unwrap());
            for _ in 0..2 {
                let message = channel.receive(None).unwrap().unwrap();
                channel.release(message).unwrap();
            }
            assert!(channel.send(b"before", None).unwrap());
        },
        |place| {
            let channel = |map: &Mapping| Channel::open(map, CHANNEL).unwrap();
            Child::start(place, channel, |_, channel| {
                assert!(channel.send(&[7; 150], Some(&soon())).unwrap());
            })
        },
        |place, child, when| {
            child.kill();
            let start = Instant::now();
            let channel = Channel::open(&place.map, CHANNEL).unwrap();
            assert!(channel.send(b"after", Some(&soon())).unwrap());
            let mut messages = Vec::new();
            while messages.last().is_none_or(|last| last != b"after") {
                let message = channel.receive(Some(&soon())).unwrap();
                let message = message.unwrap_or_else(|| panic!("{when}: nothing comes"));
                let mut bytes = vec![0; message.length()];
                channel.read(&message, &mut bytes).unwrap();
                channel.release(message).unwrap();
                messages.push(bytes);
            }
            assert!(start.elapsed() < LIMIT, "{when}");
            let whole = [b"before".to_vec(), vec![7; 150], b"after".to_vec()];
            let without = [b"before".to_vec(), b"after".to_vec()];
            assert!(messages == whole || messages == without, "{when}: {messages:?}");
        },
    );
}

#[test]
#[cfg_attr(any(target_arch = "arm", target_arch = "riscv64"), ignore = "no single steps")]
fn a_receiver_that_is_killed_is_replaced() {
    after_every_change(
        |place| {
            let channel = Channel::open(&place.map, CHANNEL).unwrap();
            for i in 0..3u8 {
                assert!(channel.send(&[i; 30], None).unwrap());
            }
        },
        |place| {
            let channel = |map: &Mapping| Channel::open(map, CHANNEL).unwrap();
            Child::start(place, channel, |map, channel| {
                let message = channel.receive(Some(&soon())).unwrap().unwrap();
                word(map, RECEIVED).store(1, Ordering::Release);
                channel.release(message).unwrap();
            })
        },
        |place, child, when| {
            child.kill();
            let start = Instant::now();
            let channel = Channel::open(&place.map, CHANNEL).unwrap();
            let mut next = None;
            loop {
                // The system needs a moment to end the process.
                let message = match channel.receive(None) {
                    Err(memory_map::Error::Busy(_)) if start.elapsed() < LIMIT => continue,
                    result => result.unwrap(),
                };
                let Some(message) = message else { break };
                let mut bytes = vec![0; message.length()];
                channel.read(&message, &mut bytes).unwrap();
                channel.release(message).unwrap();
                assert!(bytes.len() == 30 && bytes.iter().all(|byte| *byte == bytes[0]));
                assert!(next.is_none_or(|next| next == bytes[0]), "{when}");
                next = Some(bytes[0] + 1);
                let taken = word(&place.map, RECEIVED).load(Ordering::Acquire) == 1;
                assert!(bytes[0] <= u8::from(taken) || next > Some(1), "{when}: one is missing");
            }
            assert_eq!(next, Some(3), "{when}");
            assert!(start.elapsed() < LIMIT, "{when}");
        },
    );
}

#[test]
fn a_thousand_that_are_killed_anywhere_stop_nobody() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let place = Place::new();
    let channel = Channel::open(&place.map, CHANNEL).unwrap();
    let (mut received, mut sent) = (0, 0);
    for run in 0..1000 {
        word(&place.map, BUSY).store(0, Ordering::Release);
        let child = Child::run(&place, |map| {
            let mutex = Mutex::new(map, 0).unwrap();
            let channel = Channel::open(map, CHANNEL).unwrap();
            for i in 0u64.. {
                mutex.lock(&soon()).unwrap();
                word(map, BUSY).store(1, Ordering::Release);
                word(map, BUSY).store(0, Ordering::Release);
                mutex.unlock().unwrap();
                let mut bytes = vec![i as u8; 8 + (i % 90) as usize];
                bytes[..8].copy_from_slice(&i.to_le_bytes());
                channel.send(&bytes, Some(&soon())).unwrap();
            }
        });
        some_time();
        child.kill();
        let start = Instant::now();
        take(&place, &format!("run {run}"));
        let mut next = 0u64;
        // The ring may be full of what the child has sent.
        let mut marked = false;
        loop {
            marked = marked || channel.send(b"after", None).unwrap();
            assert!(start.elapsed() < Duration::from_secs(120), "run {run}: nothing comes");
            let Some(message) = channel.receive(None).unwrap() else { continue };
            let mut bytes = vec![0; message.length()];
            channel.read(&message, &mut bytes).unwrap();
            channel.release(message).unwrap();
            received += 1;
            if bytes == b"after" {
                break;
            }
            assert_eq!(bytes[..8], next.to_le_bytes(), "run {run}");
            assert!(bytes[8..].iter().all(|byte| *byte == next as u8), "run {run}");
            next += 1;
        }
        assert!(start.elapsed() < LIMIT, "run {run}: {:?}", start.elapsed());
        sent += next;
    }
    assert!(sent > 100, "{sent} messages of {received} were the children's");
}

#[test]
fn receivers_that_are_killed_anywhere_lose_nothing() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let place = Place::new();
    let channel = Channel::open(&place.map, CHANNEL).unwrap();
    let mut sent = 0u64;
    for run in 0..200 {
        let child = Child::run(&place, |map| {
            let channel = Channel::open(map, CHANNEL).unwrap();
            while let Ok(message) = channel.receive(Some(&soon())) {
                let message = message.unwrap();
                let mut bytes = [0; 8];
                channel.read(&message, &mut bytes).unwrap();
                let expected = word(map, RECEIVED).load(Ordering::Acquire);
                // The previous owner may have died after it counted and before it released.
                let number = u64::from_le_bytes(bytes);
                assert!(number == expected || number + 1 == expected);
                word(map, RECEIVED).store(number + 1, Ordering::Release);
                channel.release(message).unwrap();
            }
            // Busy: the one before is not gone yet.
        });
        let end = Instant::now() + Duration::from_micros(random(2000));
        while Instant::now() < end {
            sent += u64::from(channel.send(&sent.to_le_bytes(), None).unwrap());
        }
        child.kill();
        assert!(run < 100 || word(&place.map, RECEIVED).load(Ordering::Acquire) > 0);
    }
    let start = Instant::now();
    let mut next = word(&place.map, RECEIVED).load(Ordering::Acquire);
    let first = next;
    while next < sent {
        let message = match channel.receive(Some(&soon())) {
            Err(memory_map::Error::Busy(_)) if start.elapsed() < LIMIT => continue,
            result => result.unwrap().unwrap(),
        };
        let mut bytes = [0; 8];
        channel.read(&message, &mut bytes).unwrap();
        channel.release(message).unwrap();
        let number = u64::from_le_bytes(bytes);
        assert!(number == next || (next == first && number + 1 == next), "{number}, not {next}");
        next = number + 1;
    }
}
