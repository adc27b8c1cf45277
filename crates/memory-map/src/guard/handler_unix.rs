//! The signal handler.
//!
//! # Why this is safe
//!
//! *Which calls it makes.* `fstat`, `mmap`, `munmap`, `mprotect`, `process_vm_readv`,
//! `sched_yield`, for memory that is somebody else's `open`, `pread` and `close`, and `sem_post` (on
//! macOS and the BSDs `write` on a pipe): calls that neither lock nor allocate in libc. POSIX lists
//! `fstat`, `open`, `close`, `sem_post` and `write` as async-signal-safe; the others are not listed
//! only because they are not in that standard or because it does not say so, and on every system
//! here they are bare system calls. `errno` is put back at the end. `sigaction` and `raise` (both
//! listed) are called where a fault is not ours. No Rust code on this path allocates, formats or
//! can panic.
//!
//! *What it reads.* The radix tree of `registry`, whose nodes are never freed and whose entries
//! are atomic, one record, never freed either, under that record's lock, and the atomics of `vma_reserve`.
//!
//! *The lock.* A spin lock, taken by the handler and by the code that closes, protects and heals.
//! It cannot deadlock: its holders never touch the region's pages (they copy by system calls that
//! return short instead of faulting), so a holder never enters the handler for that record; all
//! signals are blocked while the handler runs, so nothing interrupts it on its own thread; and a
//! holder on another thread goes on running meanwhile.
//!
//! *Two threads fault at once.* The second waits for the lock, finds the page overlaid, and makes
//! its access again.
//!
//! *Stores under an overlay* open windows of scratch memory (`scratch_windows`), and close others, each by
//! one call that replaces or changes the pages in one step. A thread whose window was closed before
//! it stored faults again and opens it again; there are so many that it gets its turn. Only what
//! was to be thrown away is lost with a window.
//!
//! *The mapping is being closed.* `close` replaces the pages under the lock, and the addresses
//! stay registered, as `State::Reserved`, until they are given back to the OS, which happens only
//! when nothing can reach them. A fault that was raised before the replacement is simply retried
//! on the new pages. A record that was given up or used again says so under its lock (`Stale`), and
//! the registry is asked once more.
//!
//! *The registry grows.* A new node is hung into the tree, complete, by one atomic store.
//!
//! *Memory of somebody else's is left.* It is accessible from then on and in no region, so a fault
//! that was raised before is simply retried: `LATE` says that there may be some.
//!
//! *What it lays over pages.* Only pages of a live region, under its lock: no other memory of the
//! process can be at those addresses, because they are unmapped only after the record was freed
//! under the same lock.
//!
//! *Faults that are not ours* go to the handler that was installed before, or to the default
//! action, with the same arguments.

use std::ffi::{c_int, c_void};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use super::decide::Outcome;
use super::overlay::{AccessKind, Cause};
use super::{notify, registry, vma_reserve};
use crate::error::{Error, Result};
use crate::sys;

const SIGNALS: [c_int; 2] = [libc::SIGSEGV, libc::SIGBUS];

/// The handlers that were there before, in the order of `SIGNALS`.
static PREVIOUS: OnceLock<[libc::sigaction; 2]> = OnceLock::new();

/// Installs the handler and starts the reporter, once for the process.
pub(crate) fn install() -> Result<()> {
    static INSTALLED: Mutex<bool> = Mutex::new(false);
    let mut installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
    if !*installed {
        try_install()?;
        *installed = true;
    }
    vma_reserve::refill();
    Ok(())
}

fn try_install() -> Result<()> {
    sys::create_wakeup().map_err(|errno| Error::os(errno, "sem_init"))?;
    notify::start(block_signals, || {
        sys::wait_for_wakeup().map_err(|errno| Error::os(errno, "sem_wait"))
    })?;

    let previous = SIGNALS.map(current_action);
    PREVIOUS.get_or_init(|| previous);
    for signal in SIGNALS {
        let mut action = current_action(signal);
        let ours: extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) = handler;
        action.sa_sigaction = ours as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        // SAFETY: `action.sa_mask` is a valid signal set, to be filled.
        unsafe { libc::sigfillset(&raw mut action.sa_mask) };
        // SAFETY: `action` is complete, and `handler` is an `extern "C"` function of the right
        // type that is never unloaded: the binding pins the library.
        if unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) } != 0 {
            return Err(Error::os(sys::errno(), "sigaction"));
        }
    }
    Ok(())
}

/// Leaves the process's signals to its other threads.
pub(crate) fn block_signals() {
    use nix::sys::signal::{SigSet, SigmaskHow, pthread_sigmask};
    // The worst that a failure does is that a signal interrupts `read`.
    let _ = pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), None);
}

/// What the process does with a signal now.
fn current_action(signal: c_int) -> libc::sigaction {
    // SAFETY: all-zero bytes are a valid `sigaction`: the default action, no flags, no mask.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: without a new action this only fills `action`.
    unsafe { libc::sigaction(signal, std::ptr::null(), &raw mut action) };
    action
}

extern "C" fn handler(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    let errno = nix::errno::Errno::last_raw();
    // SAFETY: the kernel passes a valid `siginfo_t` to a SA_SIGINFO handler.
    let contained = unsafe { is_memory_fault(signal, info) } && {
        // SAFETY: as above, and for a memory fault the address is set.
        let address = unsafe { (*info).si_addr() } as usize;
        contain(address, if signal == libc::SIGBUS { Cause::Backing } else { Cause::Protection })
    };
    if !contained {
        // SAFETY: these are the arguments that the kernel gave for this signal.
        unsafe { pass_on(signal, info, context) };
    }
    nix::errno::Errno::set_raw(errno);
}

/// Whether the kernel raised the signal for an access, rather than a process for its own reasons.
///
/// # Safety
/// `info` must be what a signal handler was given.
unsafe fn is_memory_fault(signal: c_int, info: *const libc::siginfo_t) -> bool {
    // SAFETY: the caller vouches for `info`.
    let code = unsafe { (*info).si_code };
    if cfg!(any(target_os = "linux", target_os = "android")) {
        const SEGV_MAPERR: c_int = 1;
        const SEGV_ACCERR: c_int = 2;
        const BUS_ADRALN: c_int = 1;
        // From the kernel's include/uapi/asm-generic/siginfo.h; a misaligned access is a bug.
        if signal == libc::SIGBUS {
            code > BUS_ADRALN
        } else {
            matches!(code, SEGV_MAPERR | SEGV_ACCERR)
        }
    } else {
        // The BSDs have signals of processes from SI_USER (0x10001) on: siginfo(3).
        (1..0x10000).contains(&code)
    }
}

/// How many faults elsewhere may have been raised where a region has been in the meantime.
static LATE: AtomicUsize = AtomicUsize::new(0);

/// Has accesses made again that fail outside all regions: a region is about to be forgotten of
/// which the pages stay, accessible by now, and a thread may be on its way into the handler.
///
/// There is an end to that: an access that fails for another reason soon has used it up.
pub(crate) fn expect_late_faults() {
    const MANY: usize = 1024;
    LATE.store(MANY, Ordering::Release);
}

fn is_late() -> bool {
    LATE.fetch_update(Ordering::AcqRel, Ordering::Acquire, |late| late.checked_sub(1)).is_ok()
}

fn contain(address: usize, cause: Cause) -> bool {
    // A record can be given up between the lookup and its lock, but hardly twice in a row.
    for _ in 0..16 {
        let Some(record) = registry::find(address) else { return is_late() };
        match record.contain(address, cause, AccessKind::Unknown) {
            Outcome::Overlaid => {
                if notify::push(record) {
                    sys::send_wakeup();
                }
                return true;
            }
            Outcome::Retry => return true,
            Outcome::Stale => {}
            Outcome::Foreign => return false,
        }
    }
    false
}

/// Does with a signal what would have happened without us.
///
/// # Safety
/// The arguments must be those of the signal handler that calls this.
unsafe fn pass_on(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    let index = usize::from(signal == libc::SIGBUS);
    let previous = PREVIOUS.get().map(|actions| &actions[index]);
    match previous.map(|action| (action.sa_sigaction, action.sa_flags)) {
        // Ignored when a process sends it; a fault cannot be ignored.
        // SAFETY: `info` is what the kernel gave us.
        Some((libc::SIG_IGN, _)) if !unsafe { is_memory_fault(signal, info) } => {}
        Some((function, flags)) if function != libc::SIG_DFL && function != libc::SIG_IGN => {
            if flags & libc::SA_RESETHAND != 0 {
                reset(signal);
            }
            if flags & libc::SA_SIGINFO != 0 {
                type Action = extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void);
                // SAFETY: an action with SA_SIGINFO that is neither default nor ignore is such a
                // function, by sigaction(2).
                let function = unsafe { std::mem::transmute::<usize, Action>(function) };
                function(signal, info, context);
            } else {
                // SAFETY: and without SA_SIGINFO such a one.
                let function =
                    unsafe { std::mem::transmute::<usize, extern "C" fn(c_int)>(function) };
                function(signal);
            }
        }
        _ => {
            // The default: the access is made again when we return, and ends the process as it
            // would have. A signal that a process sent does not come again by itself.
            reset(signal);
            // macOS says of each that it was a fault, at the address of the thread's last one (XNU,
            // bsd/dev/arm/unix_signal.c and bsd/dev/i386/unix_signal.c).
            // SAFETY: `info` is what the kernel gave us.
            if cfg!(target_vendor = "apple") || !unsafe { is_memory_fault(signal, info) } {
                // SAFETY: raise is async-signal-safe and takes any signal.
                unsafe { libc::raise(signal) };
            }
        }
    }
}

/// Gives a signal its default action.
fn reset(signal: c_int) {
    // SAFETY: all-zero bytes are a valid `sigaction`: the default action, no flags, no mask.
    let default: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: `default` is complete; sigaction is async-signal-safe.
    unsafe { libc::sigaction(signal, &raw const default, std::ptr::null_mut()) };
}
