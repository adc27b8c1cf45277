//! What the handler wakes the notifier with: a POSIX semaphore, which takes no descriptor.

use std::cell::UnsafeCell;
use std::time::{Duration, SystemTime};

struct Wakeup(UnsafeCell<libc::sem_t>);

// SAFETY: a semaphore is made to be used by several threads; `create_wakeup` runs before the others.
unsafe impl Sync for Wakeup {}

static WAKEUP: Wakeup = Wakeup(UnsafeCell::new(
    // SAFETY: all-zero bytes are a valid `sem_t` for `sem_init` to overwrite.
    unsafe { std::mem::zeroed() },
));

/// Makes the wake-up, before anything else is done with it.
pub(crate) fn create_wakeup() -> Result<(), i32> {
    // SAFETY: nothing uses the semaphore yet; it is for the threads of this process only.
    let status = unsafe { libc::sem_init(WAKEUP.0.get(), 0, 0) };
    if status == 0 { Ok(()) } else { Err(super::errno()) }
}

/// Wakes the notifier. *handler* (sem_post is async-signal-safe by POSIX)
pub(crate) fn send_wakeup() {
    // SAFETY: the semaphore was made before the handler was installed. It fails only when it
    // counts to its limit, and then the notifier is awake.
    unsafe { libc::sem_post(WAKEUP.0.get()) };
}

/// Waits for `send_wakeup`, for `limit` at most; whether it came.
pub(crate) fn wait_for_wakeup(limit: Duration) -> Result<bool, i32> {
    // By a clock that can be set back: the limit can come later, the wake-up cannot.
    let end = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default() + limit;
    // SAFETY: all-zero bytes are a valid `timespec`.
    let mut time: libc::timespec = unsafe { std::mem::zeroed() };
    time.tv_sec = end.as_secs() as libc::time_t;
    time.tv_nsec = end.subsec_nanos() as _;
    loop {
        // SAFETY: the semaphore was made before the notifier was started.
        let status = unsafe { libc::sem_timedwait(WAKEUP.0.get(), &raw const time) };
        match super::errno() {
            _ if status == 0 => return Ok(true),
            libc::ETIMEDOUT => return Ok(false),
            libc::EINTR => {}
            errno => return Err(errno),
        }
    }
}
