//! Sleeping on any number of words at once, and learning which were woken: io_uring(7) with
//! IORING_OP_FUTEX_WAIT, which Linux has since 6.7. Containers often forbid io_uring.
//!
//! The constants and layouts are those of `linux/io_uring.h`, which are the same everywhere.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::futex::{FUTEX2_PRIVATE, FUTEX2_SIZE_U32};
use crate::sys::Woken;

/// Entries of the submission queue, which is emptied whenever it is full.
const ENTRIES: u32 = 64;
/// Entries of the completion queue; the kernel keeps what does not fit.
const COMPLETIONS: u32 = 1024;

/// The same on every architecture that Rust has a standard library for, MIPS excepted.
const SYS_IO_URING_SETUP: libc::c_long = 425;
const SYS_IO_URING_ENTER: libc::c_long = 426;
const SYS_IO_URING_REGISTER: libc::c_long = 427;

const SETUP_CQSIZE: u32 = 1 << 3;
const SETUP_SINGLE_ISSUER: u32 = 1 << 12;
const SETUP_DEFER_TASKRUN: u32 = 1 << 13;
const SETUP_NO_SQARRAY: u32 = 1 << 16;
const OFF_RINGS: libc::off_t = 0;
const OFF_ENTRIES: libc::off_t = 0x1000_0000;
const ENTER_GETEVENTS: u32 = 1;
const ENTER_EXT_ARG: u32 = 1 << 3;
const REGISTER_SYNC_CANCEL: u32 = 24;
const CANCEL_ALL: u32 = 1;
const CANCEL_ANY: u32 = 1 << 2;
const OP_ASYNC_CANCEL: u8 = 14;
const OP_FUTEX_WAIT: u8 = 51;

#[repr(C)]
#[derive(Default)]
struct Offsets {
    head: u32,
    tail: u32,
    mask: u32,
    entries: u32,
    /// The flags of the submission queue; how often the completion queue was full.
    flags_or_overflow: u32,
    dropped_or_entries: u32,
    array_or_flags: u32,
    reserved: u32,
    address: u64,
}

#[repr(C)]
#[derive(Default)]
struct Params {
    submissions: u32,
    completions: u32,
    flags: u32,
    thread: [u32; 2],
    features: u32,
    worker: u32,
    reserved: [u32; 3],
    submission: Offsets,
    completion: Offsets,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Submission {
    operation: u8,
    flags: u8,
    priority: u16,
    /// For a wait, the flags of the futex.
    fd: i32,
    /// For a wait, the expected value.
    offset: u64,
    /// For a wait, the address of the word; for a cancel, the mark of what is cancelled.
    address: u64,
    length: u32,
    operation_flags: u32,
    mark: u64,
    buffer: u16,
    personality: u16,
    file: i32,
    /// For a wait, the mask of wakes.
    third: u64,
    padding: u64,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct Completion {
    mark: u64,
    result: i32,
    flags: u32,
}

/// What `io_uring_enter` is told about how long to wait.
#[repr(C)]
struct Limit {
    signals: u64,
    size: u32,
    padding: u32,
    time: u64,
}

/// What `io_uring_register` is told about what to cancel.
#[repr(C)]
#[derive(Default)]
struct SyncCancel {
    mark: u64,
    fd: i32,
    flags: u32,
    limit: [i64; 2],
    operation: u8,
    padding: [u8; 7],
    reserved: [u64; 3],
}

/// Memory that is shared with the kernel.
struct Shared {
    start: *mut u8,
    length: usize,
}

impl Shared {
    fn map(fd: &OwnedFd, length: usize, offset: libc::off_t) -> Result<Self, i32> {
        let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED);
        // SAFETY: the kernel chooses the addresses, where nothing is.
        let start = unsafe {
            libc::mmap(std::ptr::null_mut(), length, protection, flags, fd.as_raw_fd(), offset)
        };
        if start == libc::MAP_FAILED {
            return Err(super::errno());
        }
        let shared = Self { start: start.cast(), length };
        // A child process does not get it. SAFETY: the range was just mapped and is ours.
        unsafe { libc::madvise(start, length, libc::MADV_DONTFORK) };
        Ok(shared)
    }

    fn has_word(&self, offset: u32) -> bool {
        offset.is_multiple_of(4) && offset as usize + 4 <= self.length
    }

    /// # Safety
    /// `has_word`.
    unsafe fn word(&self, offset: u32) -> &AtomicU32 {
        // SAFETY: it lies inside of what is mapped as long as `self` is there, is aligned, and the
        // kernel changes it by atomic operations only.
        unsafe { AtomicU32::from_ptr(self.start.add(offset as usize).cast()) }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // SAFETY: it was mapped by `map`, and nothing that borrows from it is left.
        unsafe { libc::munmap(self.start.cast(), self.length) };
    }
}

/// Sleeps of one thread on many words. Only the thread that made it may use it.
pub(crate) struct FutexRing {
    fd: OwnedFd,
    rings: Shared,
    entries: Shared,
    params: Params,
    /// How many entries were put into the queue and not handed to the kernel yet.
    queued: u32,
    /// Whether the kernel is to take nothing more.
    #[cfg(test)]
    pub is_refused: bool,
}

impl FutexRing {
    /// `Err` holds the error number: the system may have none, or forbid it.
    pub fn new() -> Result<Self, i32> {
        if !super::REFUSES_BY_ERROR {
            return Err(libc::ENOSYS);
        }
        let mut params = Params {
            flags: SETUP_CQSIZE | SETUP_SINGLE_ISSUER | SETUP_DEFER_TASKRUN | SETUP_NO_SQARRAY,
            completions: COMPLETIONS,
            ..Params::default()
        };
        // SAFETY: `params` is what the call reads and writes. The descriptor closes at `exec`.
        let fd = unsafe { libc::syscall(SYS_IO_URING_SETUP, ENTRIES, &raw mut params) };
        if fd < 0 {
            return Err(super::errno());
        }
        // SAFETY: the call has just given this descriptor to us alone.
        let fd = unsafe { OwnedFd::from_raw_fd(fd as i32) };
        let first = params.completion.dropped_or_entries as usize;
        let length = first + params.completions as usize * size_of::<Completion>();
        let rings = Shared::map(&fd, length, OFF_RINGS)?;
        let length = params.submissions as usize * size_of::<Submission>();
        let entries = Shared::map(&fd, length, OFF_ENTRIES)?;
        let Params { submission, completion, .. } = &params;
        let words = [submission.tail, completion.head, completion.tail];
        if !words.into_iter().all(|word| rings.has_word(word)) {
            return Err(libc::EINVAL);
        }
        let mut ring = Self {
            fd,
            rings,
            entries,
            params,
            queued: 0,
            #[cfg(test)]
            is_refused: false,
        };
        ring.probe()?;
        Ok(ring)
    }

    /// Whether the kernel can wait for words in it.
    fn probe(&mut self) -> Result<(), i32> {
        let word = AtomicU32::new(0);
        self.wait_private(0, &word, 1)?;
        let mut told = None;
        self.enter(Some(Duration::from_secs(1)))?;
        self.take(|_, result| told = Some(result));
        match told {
            Some(Ok(Woken::NotEqual)) => Ok(()),
            Some(Err(errno)) => Err(errno),
            _ => Err(libc::ENOSYS),
        }
    }

    /// Begins to sleep while the word at `address` is `expected`. `take` tells the end, by `mark`.
    pub fn wait(&mut self, mark: u64, address: usize, expected: u32) -> Result<(), i32> {
        self.push_wait(mark, address, expected, FUTEX2_SIZE_U32)
    }

    /// The same with a word that only this process wakes; the word must stay until the sleep has ended.
    pub fn wait_private(&mut self, mark: u64, word: &AtomicU32, expected: u32) -> Result<(), i32> {
        let flags = FUTEX2_SIZE_U32 | FUTEX2_PRIVATE;
        self.push_wait(mark, word.as_ptr() as usize, expected, flags)
    }

    fn push_wait(&mut self, mark: u64, address: usize, value: u32, flags: u32) -> Result<(), i32> {
        self.push(Submission {
            operation: OP_FUTEX_WAIT,
            fd: flags as i32,
            offset: value.into(),
            address: address as u64,
            mark,
            third: u32::MAX.into(),
            ..Submission::default()
        })
    }

    /// Ends a sleep, unless it was woken before.
    pub fn cancel(&mut self, mark: u64) -> Result<(), i32> {
        let cancel = Submission {
            operation: OP_ASYNC_CANCEL,
            fd: -1,
            address: mark,
            mark: CANCEL,
            ..Submission::default()
        };
        self.push(cancel)
    }

    fn push(&mut self, entry: Submission) -> Result<(), i32> {
        if self.queued == self.params.submissions {
            self.submit(0, None)?;
        }
        // SAFETY: `new` has looked.
        let tail = unsafe { self.rings.word(self.params.submission.tail) };
        let at = tail.load(Ordering::Relaxed);
        let index = at % self.params.submissions;
        // SAFETY: so many are mapped. The kernel does not read the entry before the tail is past it,
        // and has read what was there before.
        unsafe { self.entries.start.cast::<Submission>().add(index as usize).write(entry) };
        tail.store(at.wrapping_add(1), Ordering::Release);
        self.queued += 1;
        Ok(())
    }

    /// Sleeps until something ends, or for `limit`.
    pub fn enter(&mut self, limit: Option<Duration>) -> Result<(), i32> {
        self.submit(1, limit)
    }

    /// Hands the kernel what is queued: those sleeps have begun.
    ///
    /// # Errors
    /// The system's error number.
    pub fn begin(&mut self) -> Result<(), i32> {
        self.submit(0, None)
    }

    /// Hands the kernel what is queued, and waits until `least` sleeps have ended.
    fn submit(&mut self, least: u32, limit: Option<Duration>) -> Result<(), i32> {
        #[cfg(test)]
        if self.is_refused {
            return Err(libc::EAGAIN);
        }
        let time = limit.map(|limit| {
            let seconds = i64::try_from(limit.as_secs()).unwrap_or(i64::MAX);
            [seconds, i64::from(limit.subsec_nanos())]
        });
        let time = time.as_ref().map_or(0, |time| time.as_ptr() as u64);
        let limit = Limit { signals: 0, size: 0, padding: 0, time };
        loop {
            // SAFETY: the kernel reads `limit` and the time in it, which outlive the call, and the
            // entries that were queued, whose addresses it checks.
            let status = unsafe {
                libc::syscall(
                    SYS_IO_URING_ENTER,
                    self.fd.as_raw_fd(),
                    self.queued,
                    least,
                    ENTER_GETEVENTS | ENTER_EXT_ARG,
                    &raw const limit,
                    size_of::<Limit>(),
                )
            };
            if let Ok(taken) = u32::try_from(status) {
                self.queued = self.queued.saturating_sub(taken);
                if least > 0 || self.queued == 0 {
                    return Ok(());
                }
                if taken > 0 {
                    continue;
                }
                return Err(libc::EAGAIN);
            }
            match super::errno() {
                libc::ETIME => return Ok(()),
                libc::EINTR if least > 0 => return Ok(()),
                libc::EINTR => {}
                errno => return Err(errno),
            }
        }
    }

    /// Ends all sleeps, also where the kernel takes nothing more from the queue.
    pub fn cancel_all(&mut self) {
        let all = SyncCancel { fd: -1, flags: CANCEL_ALL | CANCEL_ANY, ..SyncCancel::default() };
        let fd = self.fd.as_raw_fd();
        // SAFETY: the kernel reads one `SyncCancel`, which outlives the call. What it cancels is of this ring.
        unsafe {
            libc::syscall(SYS_IO_URING_REGISTER, fd, REGISTER_SYNC_CANCEL, &raw const all, 1)
        };
        // The kernel tells what has ended only when it is entered.
        let (nothing, none) = (0, std::ptr::null::<Limit>());
        // SAFETY: the call takes no entries, and reads no limit.
        unsafe {
            libc::syscall(SYS_IO_URING_ENTER, fd, nothing, nothing, ENTER_GETEVENTS, none, nothing)
        };
    }

    /// Tells which sleeps have ended, and how.
    pub fn take(&mut self, mut told: impl FnMut(u64, Result<Woken, i32>)) {
        let completion = &self.params.completion;
        // SAFETY: `new` has looked.
        let (head, tail) =
            unsafe { (self.rings.word(completion.head), self.rings.word(completion.tail)) };
        let mut at = head.load(Ordering::Relaxed);
        while at != tail.load(Ordering::Acquire) {
            let index = (at % self.params.completions) as usize;
            let place = completion.dropped_or_entries as usize + index * size_of::<Completion>();
            // SAFETY: `new` has mapped so many. The kernel has written the entry before the tail went
            // past it, and leaves it until the head is.
            let entry = unsafe { self.rings.start.add(place).cast::<Completion>().read() };
            at = at.wrapping_add(1);
            head.store(at, Ordering::Release);
            if entry.mark != CANCEL {
                told(entry.mark, outcome(entry.result));
            }
        }
    }
}

impl Drop for FutexRing {
    /// Ends all sleeps. The kernel does so too when the ring is closed, but later, by a thread of its own: until then they
    /// would take wake-ups from others who sleep on the same words, or on what is at their addresses next.
    fn drop(&mut self) {
        self.cancel_all();
    }
}

/// Marks cancels, whose own end tells nothing.
const CANCEL: u64 = u64::MAX;

fn outcome(result: i32) -> Result<Woken, i32> {
    match -result {
        ..=0 => Ok(Woken::Notified),
        libc::EAGAIN => Ok(Woken::NotEqual),
        libc::ECANCELED | libc::EINTR => Ok(Woken::Perhaps),
        errno => Err(errno),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys;

    #[test]
    fn a_ring_that_is_gone_sleeps_on_no_word() -> Result<(), i32> {
        let words = [AtomicU32::new(0), AtomicU32::new(0)];
        let address = words[1].as_ptr() as usize;
        for _ in 0..100 {
            let Ok(mut ring) = FutexRing::new() else { return Ok(()) };
            ring.wait_private(0, &words[0], 0)?;
            ring.wait(1, address, 0)?;
            ring.enter(Some(Duration::ZERO))?;
            drop(ring);
            assert_eq!(sys::futex_wake(address, 1), 0);
        }
        Ok(())
    }
}
