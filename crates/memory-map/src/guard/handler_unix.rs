//! The signal handler.
//!
//! # Why this is safe
//!
//! *Which calls it makes.* `fstat`, `mmap`, `munmap`, `mprotect`, `process_vm_readv`,
//! `sched_yield`, for foreign and for private memory `open`, `pread` and `close`, and `sem_post`
//! (on macOS and the BSDs `write` on a pipe): calls that neither lock nor allocate in libc. POSIX lists
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
//! holder on another thread goes on running meanwhile. In the child of a fork(2) there is no such thread: there a
//! fault that finds the lock taken goes to the handlers of others after a second, by which the child ends.
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
//! stay registered, as `Phase::Reserved`, until they are given back to the OS, which happens only
//! when nothing can reach them. A fault that was raised before the replacement is simply retried
//! on the new pages. A record that was given up or used again says so under its lock (`Stale`), and
//! the registry is asked once more.
//!
//! *The registry grows.* A new node is hung into the tree, complete, by one atomic store.
//!
//! *Foreign memory is left.* It is accessible from then on and in no region, so a fault
//! that was raised before is simply retried: `LATE` says that there may be some.
//!
//! *What it lays over pages.* Only pages of a live region, under its lock: no other memory of the
//! process can be at those addresses, because they are unmapped only after the record was freed
//! under the same lock.
//!
//! *Faults that are not ours* go to the handlers of others, or to the default action, with the same
//! arguments: see `signal_chain`.

use std::ffi::{c_int, c_void};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use super::decide::contain;
use super::overlay::{AccessKind, Cause};
use super::record::note_process;
use super::signal_chain::{Chain, Handler, LEVELS};
use super::{notify, vma_reserve};
use crate::error::{Error, Result};
use crate::lock_anyway::LockAnyway;
use crate::sys;

/// What others do with the two signals of faults.
static CHAINS: [Chain; 2] = [Chain::new(libc::SIGSEGV, ENTRIES), Chain::new(libc::SIGBUS, ENTRIES)];

const ENTRIES: [Handler; LEVELS] = [
    handler::<0>,
    handler::<1>,
    handler::<2>,
    handler::<3>,
    handler::<4>,
    handler::<5>,
    handler::<6>,
    handler::<7>,
];

static INSTALLED: AtomicBool = AtomicBool::new(false);

/// Installs the handler, where it is not, and starts the notifier, once for the process.
pub(crate) fn install() -> Result<()> {
    static FIRST: Mutex<()> = Mutex::new(());
    note_process();
    if !INSTALLED.load(Ordering::Acquire) {
        let _first = FIRST.lock_anyway();
        if !INSTALLED.load(Ordering::Acquire) {
            start_notifier()?;
            INSTALLED.store(true, Ordering::Release);
        }
    }
    vma_reserve::refill();
    reclaim()
}

/// Puts the handler back if it was replaced, now and again soon: runtimes tell of their handlers before
/// they install them.
///
/// # Errors
/// The OS's for sigaction(2).
pub fn reclaim_soon() -> Result<()> {
    reclaim()?;
    if INSTALLED.load(Ordering::Acquire) {
        sys::send_wakeup();
    }
    Ok(())
}

/// Puts the handler back if it was replaced.
fn reclaim() -> Result<()> {
    if INSTALLED.load(Ordering::Acquire) {
        CHAINS.iter().try_for_each(Chain::reclaim)
    } else {
        Ok(())
    }
}

/// The notifier also looks, now and then, whether the handler is still in place: soon after
/// something has happened, and up to a second later where nothing does.
fn start_notifier() -> Result<()> {
    const SOON: Duration = Duration::from_millis(1);
    const LATE: Duration = Duration::from_secs(1);
    sys::create_wakeup().map_err(|errno| Error::os(errno, "sem_init"))?;
    let mut limit = LATE;
    notify::start(move || {
        let woken = sys::wait_for_wakeup(limit).map_err(|errno| Error::os(errno, "sem_wait"))?;
        limit = if woken { SOON } else { LATE.min(2 * limit) };
        let _ = reclaim(); // which has not failed before
        Ok(())
    })
}

extern "C" fn handler<const LEVEL: usize>(
    signal: c_int,
    info: *mut libc::siginfo_t,
    context: *mut c_void,
) {
    let errno = nix::errno::Errno::last_raw();
    // SAFETY: the kernel passes a valid `siginfo_t` to a SA_SIGINFO handler.
    let origin = unsafe { origin(signal, info) };
    let contained = origin == Origin::Memory && {
        // SAFETY: as above, and for a memory fault the address is set.
        let address = unsafe { (*info).si_addr() } as usize;
        let cause = if signal == libc::SIGBUS { Cause::Backing } else { Cause::Protection };
        contain(address, cause, AccessKind::Unknown).unwrap_or_else(is_late)
    };
    if !contained {
        let chain = &CHAINS[usize::from(signal == libc::SIGBUS)];
        // SAFETY: these are the arguments that the kernel gave for this signal.
        unsafe { chain.pass_on(LEVEL, origin == Origin::Sent, info, context) };
    }
    nix::errno::Errno::set_raw(errno);
}

/// Why a signal was raised.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// A page could not be accessed.
    Memory,
    /// Another fault of the instruction, which is made again.
    Instruction,
    /// A process has sent it.
    Sent,
}

/// # Safety
/// `info` must be what a signal handler was given.
unsafe fn origin(signal: c_int, info: *const libc::siginfo_t) -> Origin {
    // SAFETY: the caller vouches for `info`.
    let code = unsafe { (*info).si_code };
    if !cfg!(any(target_os = "linux", target_os = "android")) {
        // The BSDs have signals of processes from SI_USER (0x10001) on: siginfo(3).
        return if (1..0x10000).contains(&code) { Origin::Memory } else { Origin::Sent };
    }
    // From the kernel's include/uapi/asm-generic/siginfo.h; a misaligned access is a bug.
    const SEGV_MAPERR: c_int = 1;
    const SEGV_ACCERR: c_int = 2;
    const BUS_ADRALN: c_int = 1;
    match (signal, code) {
        (_, ..=0) => Origin::Sent,
        (libc::SIGBUS, BUS_ADRALN) => Origin::Instruction,
        (libc::SIGBUS, _) | (_, SEGV_MAPERR | SEGV_ACCERR) => Origin::Memory,
        _ => Origin::Instruction,
    }
}

/// How many faults outside all regions may be late: raised while their address was still in a region.
static LATE: AtomicUsize = AtomicUsize::new(0);

/// Has accesses that fail outside all regions be made again: a region is about to be forgotten whose pages
/// stay and are accessible by now, and a thread may be on its way into the handler.
///
/// The number is limited, so that an access that fails for another reason soon uses it up.
pub(crate) fn expect_late_faults() {
    const MOST_LATE: usize = 1024;
    LATE.store(MOST_LATE, Ordering::Release);
}

fn is_late() -> bool {
    LATE.fetch_update(Ordering::AcqRel, Ordering::Acquire, |late| late.checked_sub(1)).is_ok()
}
