//! Which signals a thread takes.
//!
//! pthread_sigmask(3) and sigwait(3) return an error number. nix 0.31 looks for -1 instead: it takes a failure for
//! success, and a mask that was not filled in for the one before.

use std::cell::Cell;
use std::ffi::c_int;

thread_local! {
    /// Whether SIGXFSZ is blocked only because the system has refused to unblock it.
    static STUCK: Cell<bool> = const { Cell::new(false) };
}

/// Changes which signals this thread blocks; returns those that it blocked before, or the error number.
fn change_blocked(how: c_int, signals: &libc::sigset_t) -> Result<libc::sigset_t, c_int> {
    let mut before = nothing();
    // SAFETY: both are sets.
    match unsafe { libc::pthread_sigmask(how, signals, &raw mut before) } {
        0 => Ok(before),
        error => Err(error),
    }
}

/// Leaves the process's signals to its other threads.
pub(crate) fn block_signals() {
    let mut all = nothing();
    // SAFETY: `all` is a set.
    unsafe { libc::sigfillset(&raw mut all) };
    // The worst that comes of a failure is that a signal interrupts the wait for a wake-up.
    let _ = change_blocked(libc::SIG_SETMASK, &all);
}

/// Makes a call that can make a file longer. Beyond RLIMIT_FSIZE the system sends SIGXFSZ besides the error,
/// which ends a process that does not ignore it. Linux sends it to this thread; the BSDs and macOS to the process, of
/// which another thread may take it.
pub(crate) fn without_size_signal<T>(call: impl FnOnce() -> T) -> T {
    let signal = only(libc::SIGXFSZ);
    let Ok(before) = change_blocked(libc::SIG_BLOCK, &signal) else { return call() };
    let result = call();
    if !has(&before, libc::SIGXFSZ) || STUCK.get() {
        if is_pending(libc::SIGXFSZ) {
            let mut taken = 0;
            // SAFETY: both pointers are valid. The signal is blocked and pending, so this does not wait.
            unsafe { libc::sigwait(&raw const signal, &raw mut taken) };
        }
        STUCK.set(change_blocked(libc::SIG_UNBLOCK, &signal).is_err());
    }
    result
}

/// No signals. libc fills in only the bytes that it has signals for.
fn nothing() -> libc::sigset_t {
    // SAFETY: a set is integers, which may all be 0; on every system here that is what sigemptyset(3) makes it.
    unsafe { std::mem::zeroed() }
}

fn only(signal: c_int) -> libc::sigset_t {
    let mut set = nothing();
    // SAFETY: `set` is a set.
    unsafe { libc::sigaddset(&raw mut set, signal) };
    set
}

fn has(set: &libc::sigset_t, signal: c_int) -> bool {
    // SAFETY: `set` is a set.
    unsafe { libc::sigismember(set, signal) == 1 }
}

fn is_pending(signal: c_int) -> bool {
    let mut pending = nothing();
    // SAFETY: `pending` is a set.
    unsafe { libc::sigpending(&raw mut pending) == 0 && has(&pending, signal) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_that_is_refused_gives_no_mask() {
        let no_such_change = -1;
        assert_eq!(change_blocked(no_such_change, &only(libc::SIGXFSZ)).err(), Some(libc::EINVAL));
    }

    #[test]
    fn the_size_signal_is_blocked_during_the_call_alone() {
        let blocked = || {
            let added = change_blocked(libc::SIG_BLOCK, &only(libc::SIGXFSZ));
            added.map(|before| has(&before, libc::SIGXFSZ))
        };
        std::thread::spawn(move || {
            assert_eq!(without_size_signal(blocked), Ok(true));
            assert_eq!(blocked(), Ok(false));
        })
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    }

    #[test]
    fn what_could_not_be_unblocked_is_so_the_next_time() {
        std::thread::spawn(|| {
            let signal = only(libc::SIGXFSZ);
            assert!(change_blocked(libc::SIG_BLOCK, &signal).is_ok());
            STUCK.set(true);
            without_size_signal(|| ());
            let before = change_blocked(libc::SIG_BLOCK, &signal);
            assert_eq!(before.map(|before| has(&before, libc::SIGXFSZ)), Ok(false));
        })
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    }
}
