//! Sleeping on a word of shared memory on macOS: os_sync_wait_on_address(3) with the shared flag,
//! which macOS 14.4 and later have; on older ones as `futex_poll`.

use std::ffi::{CStr, c_int, c_void};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::sys::{OwnWords, Woken};

#[path = "../futex_poll.rs"]
mod poll;

/// From `os/os_sync_wait_on_address.h`.
const SHARED: u32 = 1;
/// From `os/clock.h`.
const CLOCK_MACH_ABSOLUTE: u32 = 32;

type Wait = unsafe extern "C" fn(*mut c_void, u64, usize, u32, u32, u64) -> c_int;
type Wake = unsafe extern "C" fn(*mut c_void, usize, u32) -> c_int;

struct Calls {
    wait: Wait,
    wake_one: Wake,
    wake_all: Wake,
}

fn calls() -> Option<&'static Calls> {
    static CALLS: OnceLock<Option<Calls>> = OnceLock::new();
    let find = |name: &CStr| {
        // SAFETY: `name` is a string that ends with a zero; RTLD_DEFAULT needs no library.
        let symbol = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
        (!symbol.is_null()).then_some(symbol)
    };
    CALLS
        .get_or_init(|| {
            let wait = find(c"os_sync_wait_on_address_with_timeout")?;
            let wake_one = find(c"os_sync_wake_by_address_any")?;
            let wake_all = find(c"os_sync_wake_by_address_all")?;
            Some(Calls {
                // SAFETY: the header gives the function of this name this type.
                wait: unsafe { std::mem::transmute::<*mut c_void, Wait>(wait) },
                // SAFETY: as above.
                wake_one: unsafe { std::mem::transmute::<*mut c_void, Wake>(wake_one) },
                // SAFETY: as above.
                wake_all: unsafe { std::mem::transmute::<*mut c_void, Wake>(wake_all) },
            })
        })
        .as_ref()
}

/// Whether `futex_wait` sleeps, or looks at the word again and again.
pub(crate) fn sleeps_on_a_word() -> bool {
    calls().is_some()
}

/// How often a wait checks whether it was cancelled: it sleeps no longer at a time.
const GLANCE: Duration = Duration::from_millis(100);

/// Sleeps while the word at `address` is `expected`, for `limit` at most, and until `own.cancel` is not
/// 0.
pub(crate) fn futex_wait(
    address: usize,
    expected: u32,
    limit: Option<Duration>,
    own: Option<&OwnWords>,
) -> Result<Woken, i32> {
    let Some(calls) = calls() else { return poll::futex_wait(address, expected, limit, own) };
    // SAFETY: the word belongs to an `Access`, whose region stays mapped and whose faults are
    // contained, until the caller returns.
    let word = unsafe { AtomicU32::from_ptr(address as *mut u32) };
    if word.load(Ordering::SeqCst) != expected {
        return Ok(Woken::NotEqual);
    }
    if let Some(own) = own {
        // SAFETY: the call takes nothing.
        let thread = unsafe { libc::pthread_self() };
        // SAFETY: it is this thread.
        own.last.store(unsafe { libc::pthread_mach_thread_np(thread) }, Ordering::SeqCst);
    }
    let deadline = limit.and_then(|limit| Instant::now().checked_add(limit));
    loop {
        if own.is_some_and(|own| own.cancel.load(Ordering::SeqCst) != 0) {
            return Ok(Woken::Perhaps);
        }
        let remaining = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        if remaining.is_some_and(|remaining| remaining.is_zero()) {
            return Ok(Woken::TimedOut);
        }
        let slice =
            remaining.map_or(GLANCE, |remaining| remaining.min(GLANCE)).as_nanos().max(1) as u64;
        let (at, value) = (address as *mut c_void, u64::from(expected));
        // SAFETY: the address is aligned and checked by the kernel; the timeout, in nanoseconds, is
        // not 0.
        let status = unsafe { (calls.wait)(at, value, 4, SHARED, CLOCK_MACH_ABSOLUTE, slice) };
        if status >= 0 {
            return Ok(Woken::Notified);
        }
        match super::errno() {
            libc::ETIMEDOUT | libc::EINTR => {}
            errno => return Err(errno),
        }
    }
}

/// Whether a thread sleeps in `futex_wait` with these words, so that a wake reaches it. Also `true` where that cannot be
/// known.
pub(crate) fn has_sleeper(own: &OwnWords) -> bool {
    let thread = own.last.load(Ordering::SeqCst);
    if thread == 0 {
        return calls().is_none();
    }
    // SAFETY: integers, of which all may be 0.
    let mut info: libc::thread_basic_info = unsafe { std::mem::zeroed() };
    let (flavor, mut count) = (libc::THREAD_BASIC_INFO as u32, libc::THREAD_BASIC_INFO_COUNT);
    // SAFETY: `info` has so many words. A thread that has ended is an error return.
    let status =
        unsafe { libc::thread_info(thread, flavor, (&raw mut info).cast(), &raw mut count) };
    status != 0 || info.run_state == libc::TH_STATE_WAITING
}

/// Wakes up to `count` sleepers of any process, and says how many calls found one.
pub(crate) fn futex_wake(address: usize, count: u32) -> u32 {
    let Some(calls) = calls() else { return poll::futex_wake(address, count) };
    let at = address as *mut c_void;
    if count == u32::MAX {
        // SAFETY: the kernel does not access the word; a bad address is an error return.
        return u32::from(unsafe { (calls.wake_all)(at, 4, SHARED) } >= 0);
    }
    // SAFETY: as above.
    let wake = || unsafe { (calls.wake_one)(at, 4, SHARED) } >= 0;
    (0..count).take_while(|_| wake()).count() as u32
}

// Waits that can be cancelled look by themselves.
pub(crate) use poll::wake_private;
