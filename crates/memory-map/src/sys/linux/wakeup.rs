//! What the handler wakes the reporter with: a POSIX semaphore, which takes no descriptor.

use std::cell::UnsafeCell;

struct Bell(UnsafeCell<libc::sem_t>);

// SAFETY: a semaphore is made to be used by several threads; `create` runs before the others.
unsafe impl Sync for Bell {}

static BELL: Bell = Bell(UnsafeCell::new(
    // SAFETY: all-zero bytes are a valid `sem_t` for `sem_init` to overwrite.
    unsafe { std::mem::zeroed() },
));

/// Makes the bell, before anything else is done with it.
pub(crate) fn create_bell() -> Result<(), i32> {
    // SAFETY: nobody uses the semaphore yet; it is for the threads of this process only.
    let status = unsafe { libc::sem_init(BELL.0.get(), 0, 0) };
    if status == 0 { Ok(()) } else { Err(super::errno()) }
}

/// Wakes the reporter. *handler* (sem_post is async-signal-safe by POSIX)
pub(crate) fn ring_bell() {
    // SAFETY: the semaphore was made before the handler was installed. It fails only when it
    // counts to its limit, and then the reporter is awake.
    unsafe { libc::sem_post(BELL.0.get()) };
}

/// Waits for `ring_bell`; `Err` where that cannot be waited for.
pub(crate) fn wait_for_bell() -> Result<(), i32> {
    loop {
        // SAFETY: the semaphore was made before the reporter was started.
        let status = unsafe { libc::sem_wait(BELL.0.get()) };
        match super::errno() {
            _ if status == 0 => return Ok(()),
            libc::EINTR => {}
            errno => return Err(errno),
        }
    }
}
