//! Signal chaining: the guard's handler among those of others.
//!
//! A process has one action for a signal. Setting another one takes it from the guard:
//! `process.on('SIGBUS')` does so, and any native library may. `Chain::reclaim` puts the guard's
//! handler back, and what it replaces becomes the action that gets the signals that are not ours.
//!
//! *Entries.* Code that replaced our handler may have kept it, to pass signals on to. Were the same
//! function installed again, and passed them back to theirs, they would go round for ever. So each
//! action of others that is chained has an entry of its own: the handler with the number of a level.
//! It passes on to the action that was there when it was installed, which can know earlier entries
//! only. An action that comes twice is taken out where it was before.
//!
//! *Plain actions* (the default, "ignore", and handlers without SA_SIGINFO, as libuv's) are not
//! told the address. They take the signals that processes send, and stand beside the handler of
//! their level instead of in front of it: a fault that is not ours goes on to that, to V8's for
//! WebAssembly for example, after a plain handler has returned.

use std::ffi::{c_int, c_void};
use std::ptr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use crate::error::{Error, Result};
use crate::lock_anyway::LockAnyway;
use crate::sys;

/// What sigaction(2) takes with SA_SIGINFO.
pub(super) type Handler = extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void);

/// How many handlers of others can be chained. The number is limited because another library may also look,
/// and put its own back each time.
pub(super) const LEVELS: usize = 8;

const FLAGS: c_int = libc::SA_SIGINFO | libc::SA_ONSTACK;

/// The actions of others for one signal.
pub(super) struct Chain {
    signal: c_int,
    /// What is installed at each level.
    entries: [Handler; LEVELS],
    levels: [Level; LEVELS],
    /// How many levels are in use.
    used: AtomicUsize,
}

/// What an entry passes on to.
struct Level {
    /// A handler with SA_SIGINFO.
    handler: Action,
    /// The plain action that came last since then.
    plain: Action,
}

/// Another library's action, or none.
struct Action(AtomicPtr<libc::sigaction>);

impl Action {
    const fn none() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }

    fn get(&self) -> Option<&'static libc::sigaction> {
        // SAFETY: only `set` stores here, and what it is given lives for ever.
        unsafe { self.0.load(Ordering::Acquire).as_ref() }
    }

    fn set(&self, action: Option<&'static libc::sigaction>) {
        let action = action.map_or(ptr::null(), ptr::from_ref);
        self.0.store(action.cast_mut(), Ordering::Release);
    }
}

impl Chain {
    pub(super) const fn new(signal: c_int, entries: [Handler; LEVELS]) -> Self {
        let levels = [const { Level { handler: Action::none(), plain: Action::none() } }; LEVELS];
        Self { signal, entries, levels, used: AtomicUsize::new(0) }
    }

    /// Installs our handler if it is not in place. If it is, this costs one system call.
    ///
    /// When all levels are used up, what has replaced it stays.
    pub(super) fn reclaim(&self) -> Result<()> {
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        if self.is_in_place(&self.exchange(None)?) {
            return Ok(());
        }
        let _one = ONE_AT_A_TIME.lock_anyway();
        let mut found = self.exchange(None)?;
        while !self.is_in_place(&found) {
            let level = self.level_of(&found).inspect(|level| self.levels[*level].plain.set(None));
            let Some(level) = level.or_else(|| self.adopt(remember(found))) else { break };
            let replaced = self.exchange(Some(self.entries[level]))?;
            if is_same(&replaced, &found) {
                break;
            }
            found = replaced; // another thread came between
        }
        Ok(())
    }

    /// Whether an action is ours, as we install it: Bun puts the function that it had replaced back
    /// without its flags when the last listener goes.
    fn is_in_place(&self, action: &libc::sigaction) -> bool {
        action.sa_flags & FLAGS == FLAGS && self.level_of(action).is_some()
    }

    fn level_of(&self, action: &libc::sigaction) -> Option<usize> {
        self.entries.iter().position(|entry| *entry as usize == action.sa_sigaction)
    }

    /// Chains an action that is in the place of ours, and says at which level ours comes back.
    fn adopt(&self, found: &'static libc::sigaction) -> Option<usize> {
        let used = self.used.load(Ordering::Relaxed);
        if is_plain(found) {
            let level = used.saturating_sub(1);
            self.levels[level].plain.set(Some(found));
            self.used.store(level + 1, Ordering::Relaxed);
            return Some(level);
        }
        let (before, rest) = self.levels.split_at(used);
        rest.first()?.handler.set(Some(found));
        let is_found = |level: &Level| level.handler.get().is_some_and(|it| is_same(it, found));
        if let Some(at) = before.iter().position(is_found) {
            // It may have kept any entry since then, and so this one must not lead to it.
            let below = at.checked_sub(1).map(|below| &before[below]);
            before[at].handler.set(below.and_then(|level| level.handler.get()));
            before[at].plain.set(below.and_then(|level| level.plain.get()));
        }
        self.used.store(used + 1, Ordering::Relaxed);
        Some(used)
    }

    /// Returns the process's action for the signal, and replaces it by `new` if that is given.
    fn exchange(&self, new: Option<Handler>) -> Result<libc::sigaction> {
        let mut old = default_action();
        let new = new.map(|handler| {
            let mut action = default_action();
            action.sa_sigaction = handler as usize;
            action.sa_flags = FLAGS;
            // SAFETY: `action.sa_mask` is a valid signal set, to be filled.
            unsafe { libc::sigfillset(&raw mut action.sa_mask) };
            action
        });
        let new = new.as_ref().map_or(ptr::null(), ptr::from_ref);
        // SAFETY: `old` is valid to be filled, and `new` is null or a complete action, of a handler
        // that is never unloaded: the binding pins the library.
        match unsafe { libc::sigaction(self.signal, new, &raw mut old) } {
            0 => Ok(old),
            _ => Err(Error::os(sys::errno(), "sigaction")),
        }
    }

    /// Does with a signal that came to the entry of a level what would have happened without us.
    /// *handler*
    ///
    /// # Safety
    /// `info` and `context` must be those of the signal handler that calls this.
    pub(super) unsafe fn pass_on(
        &self,
        level: usize,
        is_sent: bool,
        info: *mut libc::siginfo_t,
        context: *mut c_void,
    ) {
        let Level { handler, plain } = &self.levels[level];
        let (handler, plain) = (handler.get(), plain.get());
        match plain.map(|action| (action, action.sa_sigaction)) {
            Some((_, libc::SIG_IGN)) if is_sent => return,
            None | Some((_, libc::SIG_DFL | libc::SIG_IGN)) => {}
            Some((action, _)) => {
                // SAFETY: the caller vouches for the arguments.
                unsafe { self.call(action, info, context) };
                if is_sent || handler.is_none() {
                    return;
                }
            }
        }
        match handler.filter(|_| !is_sent || plain.is_none()) {
            // SAFETY: as above.
            Some(action) => unsafe { self.call(action, info, context) },
            None => self.take_default(is_sent),
        }
    }

    /// # Safety
    /// As for `pass_on`; the action must be a handler.
    unsafe fn call(
        &self,
        action: &libc::sigaction,
        info: *mut libc::siginfo_t,
        context: *mut c_void,
    ) {
        if action.sa_flags & libc::SA_RESETHAND != 0 {
            self.reset();
        }
        let function = action.sa_sigaction;
        if action.sa_flags & libc::SA_SIGINFO != 0 {
            // SAFETY: sigaction(2) took it as such a function.
            let function = unsafe { std::mem::transmute::<usize, Handler>(function) };
            function(self.signal, info, context);
        } else {
            // SAFETY: without SA_SIGINFO, sigaction(2) took it as a function of this type.
            let function = unsafe { std::mem::transmute::<usize, extern "C" fn(c_int)>(function) };
            function(self.signal);
        }
    }

    /// Ends the process, as the default action does.
    fn take_default(&self, is_sent: bool) {
        self.reset();
        // The access of a fault is made again when the handler returns, and ends the process as it
        // would have. A signal that a process sent does not come again by itself. macOS says of
        // each that it was a fault, at the address of the thread's last one (XNU,
        // bsd/dev/arm/unix_signal.c and bsd/dev/i386/unix_signal.c).
        if cfg!(target_vendor = "apple") || is_sent {
            // SAFETY: raise is async-signal-safe and takes any signal.
            unsafe { libc::raise(self.signal) };
        }
    }

    /// Gives the signal its default action.
    fn reset(&self) {
        let default = default_action();
        // SAFETY: `default` is complete; sigaction is async-signal-safe.
        unsafe { libc::sigaction(self.signal, &raw const default, ptr::null_mut()) };
    }
}

/// The default action, no flags, no mask.
fn default_action() -> libc::sigaction {
    // SAFETY: all-zero bytes are that, and a valid `sigaction`.
    unsafe { std::mem::zeroed() }
}

fn is_plain(action: &libc::sigaction) -> bool {
    action.sa_flags & libc::SA_SIGINFO == 0
        || matches!(action.sa_sigaction, libc::SIG_DFL | libc::SIG_IGN)
}

fn is_same(one: &libc::sigaction, other: &libc::sigaction) -> bool {
    (one.sa_sigaction, one.sa_flags) == (other.sa_sigaction, other.sa_flags)
}

/// The same action, in memory that is never freed: handlers may be using it at any time. A process
/// has few, which come and go.
fn remember(action: libc::sigaction) -> &'static libc::sigaction {
    static KNOWN: Mutex<Vec<&libc::sigaction>> = Mutex::new(Vec::new());
    let mut known = KNOWN.lock_anyway();
    known.iter().copied().find(|known| is_same(known, &action)).unwrap_or_else(|| {
        let action: &libc::sigaction = Box::leak(Box::new(action));
        known.push(action);
        action
    })
}
