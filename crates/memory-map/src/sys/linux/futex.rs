//! Sleeping on a word of shared memory: futex(2), without FUTEX_PRIVATE_FLAG.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use nix::errno::Errno;

use crate::sys::{OwnWords, Woken, WokenOf};

/// How often a wait checks whether it was cancelled, if the kernel cannot wait for two words.
const GLANCE: Duration = Duration::from_millis(100);

/// Whether the system has no futex_waitv(2).
static WAITS_FOR_ONE: AtomicBool = AtomicBool::new(false);

/// Sleeps while the word at `address` is `expected`, for `limit` at most, and until `own.cancel` is not
/// 0. The page may be gone: then it is an error.
pub(crate) fn futex_wait(
    address: usize,
    expected: u32,
    limit: Option<Duration>,
    own: Option<&OwnWords>,
) -> Result<Woken, i32> {
    let Some(own) = own else { return wait_for_one(address, expected, limit) };
    if !WAITS_FOR_ONE.load(Ordering::Relaxed) {
        match wait_for_all(address, expected, limit, own) {
            Err(libc::ENOSYS | libc::EPERM) => WAITS_FOR_ONE.store(true, Ordering::Relaxed),
            result => return result,
        }
    }
    // SAFETY: the call takes nothing, and cannot fail. The C library has a function for it only since glibc 2.30.
    own.last.store(unsafe { libc::syscall(libc::SYS_gettid) } as u32, Ordering::SeqCst);
    let deadline = limit.and_then(|limit| Instant::now().checked_add(limit));
    loop {
        let remaining = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let slice = remaining.map_or(GLANCE, |remaining| remaining.min(GLANCE));
        match wait_for_one(address, expected, Some(slice))? {
            Woken::TimedOut if own.cancel.load(Ordering::SeqCst) != 0 => return Ok(Woken::Perhaps),
            Woken::TimedOut if remaining.is_none_or(|remaining| remaining > GLANCE) => {}
            woken => return Ok(woken),
        }
    }
}

/// Whether a thread sleeps in `futex_wait` with these words, so that a wake reaches it. Also `true` where that cannot be
/// known.
pub(crate) fn has_sleeper(own: &OwnWords) -> bool {
    if WAITS_FOR_ONE.load(Ordering::Relaxed) {
        return is_asleep(own.last.load(Ordering::SeqCst));
    }
    // To move sleepers from a word to the same word changes nothing, and says how many there are.
    let (word, operation) = (own.last.as_ptr(), libc::FUTEX_CMP_REQUEUE | libc::FUTEX_PRIVATE_FLAG);
    let (woken, moved, value) = (0, 1_usize, 0);
    // SAFETY: the kernel reads the word, and looks up which threads wait there.
    let status =
        unsafe { libc::syscall(libc::SYS_futex, word, operation, woken, moved, word, value) };
    match Errno::result(status) {
        Ok(count) => count > 0,
        // The word has a number by now: the thread has found out that it can only wait for one.
        Err(Errno::EAGAIN) => false,
        Err(_) => true,
    }
}

/// Whether a thread sleeps: one that is about to call futex(2) is in the word's queue then, for the kernel has that
/// locked when it changes the state.
fn is_asleep(thread: u32) -> bool {
    let stat = || std::fs::read_to_string(format!("/proc/self/task/{thread}/stat"));
    thread != 0 && stat().map_or(true, |stat| stat.contains(") S "))
}

fn wait_for_one(address: usize, expected: u32, limit: Option<Duration>) -> Result<Woken, i32> {
    // The call has the kernel's old `timespec`, of two words.
    let time = limit.map(|limit| {
        let seconds = libc::c_long::try_from(limit.as_secs()).unwrap_or(libc::c_long::MAX);
        [seconds, limit.subsec_nanos() as libc::c_long]
    });
    let time = time.as_ref().map_or(std::ptr::null(), |time| time.as_ptr());
    // SAFETY: the kernel checks the address and reads four bytes there; the time outlives the
    // call. FUTEX_WAIT measures it from now on, by the monotonic clock.
    let status =
        unsafe { libc::syscall(libc::SYS_futex, address, libc::FUTEX_WAIT, expected, time) };
    outcome(status)
}

/// Whether `futex_wait` sleeps, or looks at the word again and again.
pub(crate) fn sleeps_on_a_word() -> bool {
    true
}

/// How many words `futex_wait_any` can sleep on.
pub(crate) const MOST_WORDS: usize = 127;

/// Sleeps while each word is what is expected and `control` is 0, for `limit` at most.
pub(crate) fn futex_wait_any(
    words: impl Iterator<Item = (usize, u32)>,
    control: &AtomicU32,
    limit: Option<Duration>,
) -> WokenOf {
    let shared = words.take(MOST_WORDS).map(|(address, value)| Waiter::shared(address, value));
    let waiters: Vec<_> = [Waiter::own(control)].into_iter().chain(shared).collect();
    match wait_for_many(&waiters, limit) {
        Ok(0) | Err(libc::ETIMEDOUT | libc::EINTR) => WokenOf::Nothing,
        Ok(index) => WokenOf::Word(index - 1),
        Err(libc::EAGAIN) if control.load(Ordering::SeqCst) != 0 => WokenOf::Nothing,
        Err(libc::EAGAIN) => WokenOf::Any,
        Err(_) => WokenOf::Failed,
    }
}

/// One entry of futex_waitv(2).
#[repr(C)]
struct Waiter {
    value: u64,
    address: u64,
    flags: u32,
    reserved: u32,
}

/// The same on every architecture that Rust has a standard library for, MIPS excepted.
const SYS_FUTEX_WAITV: libc::c_long = 449;
pub(super) const FUTEX2_SIZE_U32: u32 = 2;
pub(super) const FUTEX2_PRIVATE: u32 = 128;

impl Waiter {
    fn shared(address: usize, expected: u32) -> Self {
        let (value, address) = (expected.into(), address as u64);
        Self { value, address, flags: FUTEX2_SIZE_U32, reserved: 0 }
    }

    /// One that waits while a word of our own is 0.
    fn own(word: &AtomicU32) -> Self {
        let (address, flags) = (word.as_ptr() as u64, FUTEX2_SIZE_U32 | FUTEX2_PRIVATE);
        Self { value: 0, address, flags, reserved: 0 }
    }
}

fn wait_for_all(
    address: usize,
    expected: u32,
    limit: Option<Duration>,
    own: &OwnWords,
) -> Result<Woken, i32> {
    // The kernel goes to sleep on them in this order, and says the last one that was woken.
    let words =
        [Waiter::own(&own.cancel), Waiter::shared(address, expected), Waiter::own(&own.last)];
    match wait_for_many(&words, limit) {
        Ok(0) => Ok(Woken::Perhaps), // cancelled
        Ok(_) => Ok(Woken::Notified),
        // One of them differed already, and which is not said.
        Err(libc::EAGAIN) if own.cancel.load(Ordering::SeqCst) != 0 => Ok(Woken::Perhaps),
        Err(errno) => failure(errno),
    }
}

/// Which one was woken; the last, if several were.
fn wait_for_many(waiters: &[Waiter], limit: Option<Duration>) -> Result<usize, i32> {
    if !super::REFUSES_BY_ERROR {
        return Err(libc::ENOSYS);
    }
    let end = match limit {
        Some(limit) => Some(now()?.plus(limit)),
        None => None,
    };
    let end = end.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: the kernel reads the entries and the time, which outlive the call, and checks the
    // addresses in them. The time is a point of the monotonic clock.
    let status = unsafe {
        libc::syscall(
            SYS_FUTEX_WAITV,
            waiters.as_ptr(),
            waiters.len(),
            0,
            end,
            libc::CLOCK_MONOTONIC,
        )
    };
    usize::try_from(status).map_err(|_| super::errno())
}

fn outcome(status: libc::c_long) -> Result<Woken, i32> {
    if status == 0 {
        return Ok(Woken::Notified);
    }
    failure(super::errno())
}

fn failure(errno: i32) -> Result<Woken, i32> {
    match errno {
        libc::EAGAIN => Ok(Woken::NotEqual),
        libc::ETIMEDOUT => Ok(Woken::TimedOut),
        libc::EINTR => Ok(Woken::Perhaps),
        errno => Err(errno),
    }
}

/// Wakes up to `count` sleepers of any process, and says how many.
pub(crate) fn futex_wake(address: usize, count: u32) -> u32 {
    wake(address, libc::FUTEX_WAKE, count)
}

/// Wakes the sleepers on a word of our own.
pub(crate) fn wake_private(word: &AtomicU32) {
    wake(word.as_ptr() as usize, libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG, u32::MAX);
}

fn wake(address: usize, operation: libc::c_int, count: u32) -> u32 {
    let count = i32::try_from(count).unwrap_or(i32::MAX);
    // SAFETY: the kernel does not access the word, only looks up which threads wait there; a bad address is an
    // error return.
    let woken = unsafe { libc::syscall(libc::SYS_futex, address, operation, count) };
    u32::try_from(woken).unwrap_or(0)
}

/// A time as futex_waitv takes it: 64 bits everywhere.
#[repr(C)]
struct Moment {
    seconds: i64,
    nanoseconds: i64,
}

impl Moment {
    fn plus(self, time: Duration) -> Self {
        let nanoseconds = self.nanoseconds + i64::from(time.subsec_nanos());
        let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
        Self {
            seconds: self
                .seconds
                .saturating_add(seconds)
                .saturating_add(nanoseconds / 1_000_000_000),
            nanoseconds: nanoseconds % 1_000_000_000,
        }
    }
}

fn now() -> Result<Moment, i32> {
    // SAFETY: all-zero bytes are a valid `timespec`.
    let mut time: libc::timespec = unsafe { std::mem::zeroed() };
    // SAFETY: `time` is valid for one `timespec`.
    if unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) } != 0 {
        return Err(super::errno());
    }
    #[allow(clippy::useless_conversion)] // the fields' types differ from one system to another
    Ok(Moment { seconds: time.tv_sec.into(), nanoseconds: time.tv_nsec.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_that_was_cancelled_before_it_sleeps_does_not_say_that_the_word_is_another() {
        let (word, own) = (AtomicU32::new(7), OwnWords::default());
        let wait = |expected| futex_wait(word.as_ptr() as usize, expected, None, Some(&own));
        own.cancel.store(1, Ordering::SeqCst);
        assert!(matches!(wait(7), Ok(Woken::Perhaps)));
        own.cancel.store(0, Ordering::SeqCst);
        assert!(matches!(wait(8), Ok(Woken::NotEqual)));
    }

    #[test]
    fn a_wake_reaches_a_thread_as_soon_as_it_is_known_to_sleep() {
        for _ in 0..1000 {
            let (word, own) = (AtomicU32::new(7), OwnWords::default());
            let address = word.as_ptr() as usize;
            assert!(!has_sleeper(&own));
            std::thread::scope(|scope| {
                let sleeper = scope.spawn(|| futex_wait(address, 7, None, Some(&own)));
                while !has_sleeper(&own) {
                    std::thread::yield_now();
                }
                assert_eq!(futex_wake(address, 1), 1);
                assert!(matches!(sleeper.join(), Ok(Ok(Woken::Notified))));
            });
        }
    }
}
