//! A wait on another thread that can be ended, and holds nothing afterwards.
//!
//! Pages must not move or go while a thread is about to take a lock in them: it would take it in
//! pages that no one else sees, or take it and be told that it failed. So a mapping that is about
//! to move has the threads leave its memory first, and they go on afterwards; one that is about to
//! be closed ends them. What a thread has taken by then, but not reported, is given back.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::park::{Cancel, Patience};
use super::threads;
use crate::error::{Error, Result};
use crate::lock_anyway::LockAnyway;
use crate::mapping::{Attachment, Mapping, Whereabouts};

/// What is waited for.
///
/// ```
/// use std::sync::{Arc, mpsc};
///
/// use memory_map::ipc::{Patience, Pending, Wait, WaitResult, wait};
/// use memory_map::{Mapping, Options, Result};
///
/// struct OnWord(Arc<Mapping>);
///
/// impl Wait for OnWord {
///     type Output = WaitResult;
///     fn wait(&self, patience: &Patience<'_>) -> Result<WaitResult> {
///         wait(&self.0, 0, 1, patience)
///     }
/// }
///
/// let map = Arc::new(Mapping::anonymous(4096, true, &Options::default())?);
/// let (done, over) = mpsc::channel();
/// let pending = Pending::start(&map, None, OnWord(map.clone()), move |_| done.send(()).unwrap())?;
/// over.recv().unwrap();
/// assert_eq!(pending.result()?, WaitResult::NotEqual);
/// # Ok::<(), memory_map::Error>(())
/// ```
pub trait Wait: Send + Sync + 'static {
    /// What it comes to.
    type Output: Send;

    /// Waits; called again where it was interrupted.
    ///
    /// # Errors
    /// [`Error::Cancelled`] if the patience says so, and then nothing was taken.
    fn wait(&self, patience: &Patience<'_>) -> Result<Self::Output>;

    /// Gives back what was taken, if it can be.
    ///
    /// # Errors
    /// The output, where it is too late.
    fn give_back(&self, output: Self::Output) -> std::result::Result<(), Self::Output> {
        Err(output)
    }
}

/// A wait that is pending, or over and not yet reported.
pub struct Pending<W: Wait> {
    wait: W,
    cancel: Cancel,
    state: Mutex<Progress<W::Output>>,
    /// The thread is out of the memory, or may come back.
    changed: Condvar,
}

struct Progress<T> {
    /// Whether the thread is in `wait`.
    inside: bool,
    /// Whether it must stay out of the memory for now.
    paused: bool,
    /// Whether the wait was ended before its time.
    ended: bool,
    result: Option<Result<T>>,
}

impl<W: Wait> Pending<W> {
    /// Begins to wait on another thread, which calls `done` when the wait is over.
    ///
    /// # Errors
    /// [`Error::Busy`] if there is no thread for it.
    pub fn start(
        mapping: &Mapping,
        deadline: Option<Instant>,
        wait: W,
        done: impl FnOnce(Arc<Self>) + Send + 'static,
    ) -> Result<Arc<Self>> {
        let pending = Arc::new(Self {
            wait,
            cancel: Cancel::default(),
            state: Mutex::new(Progress {
                inside: false,
                paused: false,
                ended: false,
                result: None,
            }),
            changed: Condvar::new(),
        });
        mapping.attached().attach(&pending);
        let own = Arc::clone(&pending);
        threads::run(Box::new(move || {
            own.run(deadline);
            done(own);
        }))?;
        Ok(pending)
    }

    fn state(&self) -> MutexGuard<'_, Progress<W::Output>> {
        self.state.lock_anyway()
    }

    fn run(&self, deadline: Option<Instant>) {
        let patience = Patience { deadline, ..Patience::FOREVER }.or_until(&self.cancel);
        let mut state = self.state();
        loop {
            while state.paused && !state.ended {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            let result = if state.ended {
                Err(Error::Cancelled)
            } else {
                state.inside = true;
                drop(state);
                let result = self.wait.wait(&patience);
                state = self.state();
                if state.paused && !state.ended && result.as_ref().err() == Some(&Error::Cancelled)
                {
                    state.inside = false;
                    self.changed.notify_all();
                    continue;
                }
                result
            };
            state.result = Some(result);
            if state.ended {
                self.revoke(&mut state);
            }
            state.inside = false;
            self.changed.notify_all();
            return;
        }
    }

    /// Ends the wait: it comes to [`Error::Cancelled`], unless that is too late.
    pub fn end(&self) {
        let mut state = self.state();
        state.ended = true;
        self.revoke(&mut state);
        drop(state);
        self.changed.notify_all();
        self.cancel.cancel();
    }

    /// As `end`; returns when the thread is out of the memory.
    pub fn end_now(&self) {
        self.end();
        self.wait_outside(self.state());
    }

    /// Waits until the thread is out of the memory.
    fn wait_outside(&self, mut state: MutexGuard<'_, Progress<W::Output>>) {
        while state.inside {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn revoke(&self, state: &mut Progress<W::Output>) {
        if let Some(Ok(output)) = state.result.take_if(|result| result.is_ok()) {
            let back = self.wait.give_back(output);
            state.result = Some(back.map_or_else(Ok, |()| Err(Error::Cancelled)));
        }
    }

    /// What the wait came to, once it is over.
    ///
    /// # Errors
    /// Those of the wait; [`Error::Cancelled`] if it was ended.
    pub fn result(&self) -> Result<W::Output> {
        self.state().result.take().unwrap_or(Err(Error::Cancelled))
    }
}

impl<W: Wait> Attachment for Pending<W> {
    fn pause(&self) {
        let mut state = self.state();
        state.paused = true;
        self.cancel.cancel();
        self.wait_outside(state);
    }

    fn follow(&self, _to: Option<&Whereabouts>) {
        self.state().ended = true;
    }

    fn resume(&self) {
        let mut state = self.state();
        state.paused = false;
        if !state.ended {
            self.cancel.reset();
        }
        self.changed.notify_all();
    }

    fn end(&self) {
        self.end_now();
    }
}
