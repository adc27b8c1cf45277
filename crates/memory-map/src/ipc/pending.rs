//! A wait on another thread that can be ended, and holds nothing afterwards.
//!
//! Pages must not move or go while a thread is about to take a lock in them: it would take it in
//! pages that no one else sees, or take it and be told that it failed. So a mapping that is about
//! to move has the threads leave its memory first, and they go on afterwards; one that is about to
//! be closed ends them. What a thread has taken by then, and not yet reported, is given back.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Instant;

use super::nap::{Nap, Outcome};
use super::park::{Cancel, Patience};
use super::sleepers::{self, Next, Place, Sleeper};
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

    /// Waits. Wherever it would sleep it is interrupted, and is called again from the start: it must remember
    /// what it has done by then.
    ///
    /// # Errors
    /// [`Error::Cancelled`] if the patience says so, and then nothing was taken.
    fn wait(&self, patience: &Patience<'_>) -> Result<Self::Output>;

    /// Whether it is to sleep before [`Pending::start`] returns, so that whoever notifies after that wakes it, even
    /// if nothing has changed.
    fn sleeps_first(&self) -> bool {
        false
    }

    /// Gives back what was taken, if it can be.
    ///
    /// # Errors
    /// The output, where it is too late.
    fn give_back(&self, output: Self::Output) -> std::result::Result<(), Self::Output> {
        Err(output)
    }

    /// Undoes what the wait has begun, after an error, if it is not called again. If it is too late for that,
    /// returns what the wait came to after all. [`Poll::Pending`] if it would have to wait for others, and there is no
    /// `patience` or that ends it. Then it is called again, on a thread where it may wait, unless the mapping is closed:
    /// what it has begun goes on there as after the death of its process.
    fn give_up(&self, _patience: Option<&Patience<'_>>) -> Poll<Option<Self::Output>> {
        Poll::Ready(None)
    }
}

/// A wait that is pending, or over and not yet reported.
pub struct Pending<W: Wait> {
    wait: W,
    deadline: Option<Instant>,
    cancel: Cancel,
    nap: Nap,
    /// Where it sleeps, unless on a thread of its own.
    place: Option<Place>,
    state: Mutex<Progress<W>>,
    /// Notified when the wait is out of the memory, or may come back.
    changed: Condvar,
}

type Done<W> = Box<dyn FnOnce(Arc<Pending<W>>) + Send>;

struct Progress<W: Wait> {
    /// Whether it is in `wait`, or asleep.
    inside: bool,
    /// How many mappings want it to stay out of the memory for now.
    paused: u32,
    /// Whether the wait was ended before its time, and whether because its mapping is closed.
    ended: bool,
    closed: bool,
    result: Option<Result<W::Output>>,
    /// Called at the end.
    done: Option<Done<W>>,
}

impl<W: Wait> Pending<W> {
    /// Begins to wait, and leaves this thread free: another one calls `done` when the wait is over.
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
            deadline,
            cancel: Cancel::default(),
            nap: Nap::default(),
            place: sleepers::place(),
            state: Mutex::new(Progress {
                inside: false,
                paused: 0,
                ended: false,
                closed: false,
                result: None,
                done: Some(Box::new(done)),
            }),
            changed: Condvar::new(),
        });
        mapping.attached().attach(&pending);
        match &pending.place {
            Some(place) => place.start(Arc::clone(&pending) as Arc<dyn Sleeper>),
            None => pending.run_on_thread().inspect_err(|_| _ = pending.wait.give_up(None))?,
        }
        if pending.wait.sleeps_first() {
            pending.nap.await_begin(|| pending.cancel.has_sleeper(), deadline);
        }
        Ok(pending)
    }

    /// Has the wait end with another mapping too, which it also uses.
    pub fn also_in(self: &Arc<Self>, mapping: &Mapping) {
        mapping.attached().attach(self);
    }

    fn state(&self) -> MutexGuard<'_, Progress<W>> {
        self.state.lock_anyway()
    }

    fn patience(&self) -> Patience<'_> {
        let nap = Some(&self.nap);
        Patience { deadline: self.deadline, nap, ..Patience::FOREVER }.or_until(&self.cancel)
    }

    fn run_on_thread(self: &Arc<Self>) -> Result<()> {
        self.nap.set_thread(true);
        let own = Arc::clone(self);
        let started = threads::run(Box::new(move || {
            while let Next::Rest = own.advance() {
                let state = own.state();
                drop(own.changed.wait_while(state, |state| state.paused > 0 && !state.ended));
            }
        }));
        started.inspect_err(|_| self.nap.set_thread(false))
    }

    /// Goes on until it sleeps, must stay out of the memory, or is over; in the last two it is awaited no more.
    fn advance(self: &Arc<Self>) -> Next {
        let next = self.run();
        if self.is_awaited() && !matches!(next, Next::Sleep(_)) {
            self.nap.begin();
        }
        next
    }

    fn run(self: &Arc<Self>) -> Next {
        let mut state = self.state();
        let result = if state.inside || !state.ended {
            if state.paused > 0 && !state.inside && !state.ended {
                return Next::Rest;
            }
            state.inside = true;
            drop(state);
            let result = self.wait.wait(&self.patience());
            let sleep = self.nap.take();
            state = self.state();
            if result.as_ref().err() == Some(&Error::Cancelled) {
                if let Some(sleep) = sleep {
                    return Next::Sleep(sleep);
                }
                if state.paused > 0 && !state.ended {
                    state.inside = false;
                    self.changed.notify_all();
                    return Next::Rest;
                }
            }
            result
        } else {
            state.result.take().unwrap_or(Err(Error::Cancelled))
        };
        state.inside = true;
        drop(state);
        match result {
            Ok(output) => self.finish(Ok(output)),
            Err(error) => self.fail(error),
        }
        Next::Over
    }

    fn fail(self: &Arc<Self>, error: Error) {
        if let Poll::Ready(late) = self.wait.give_up(None) {
            return self.finish(late.ok_or(error));
        }
        // Other waits sleep on a thread that is shared.
        let (own, reason) = (Arc::clone(self), error.clone());
        if self.nap.has_thread() || threads::run(Box::new(move || own.give_up(reason))).is_err() {
            self.give_up(error);
        }
    }

    /// Gives the wait up, which may take as long as others like. It keeps out of the memory while that may move, and for
    /// good once the mapping is closed.
    fn give_up(self: &Arc<Self>, error: Error) {
        loop {
            let mut state = self.state();
            if state.paused > 0 && !state.closed {
                state.inside = false;
                self.changed.notify_all();
                let may_move = |state: &mut Progress<W>| state.paused > 0 && !state.closed;
                let rested = self.changed.wait_while(state, may_move);
                state = rested.unwrap_or_else(PoisonError::into_inner);
                state.inside = true;
            }
            if state.closed {
                let late = state.result.take();
                drop(state);
                return self.finish(late.unwrap_or(Err(error)));
            }
            self.cancel.reset();
            drop(state);
            let patience = Patience::FOREVER.or_until(&self.cancel);
            if let Poll::Ready(late) = self.wait.give_up(Some(&patience)) {
                return self.finish(late.ok_or(error));
            }
        }
    }

    fn finish(self: &Arc<Self>, result: Result<W::Output>) {
        let mut state = self.state();
        state.result = Some(result);
        if state.ended {
            self.revoke(&mut state);
        }
        state.inside = false;
        let done = state.done.take();
        drop(state);
        self.changed.notify_all();
        if let Some(done) = done {
            done(Arc::clone(self));
        }
    }

    /// Ends the wait: it comes to [`Error::Cancelled`], unless that is too late.
    ///
    /// ```
    /// use std::sync::{Arc, mpsc};
    ///
    /// use memory_map::ipc::{Locked, Mutex, Patience, Pending, Wait};
    /// use memory_map::{Error, Mapping, Options, Result};
    ///
    /// struct Lock(Mutex);
    ///
    /// impl Wait for Lock {
    ///     type Output = Option<Locked>;
    ///     fn wait(&self, patience: &Patience<'_>) -> Result<Self::Output> {
    ///         self.0.lock_in_turn(patience)
    ///     }
    ///     fn give_back(&self, how: Self::Output) -> std::result::Result<(), Self::Output> {
    ///         self.0.put_back(how.ok_or(how)?).map_err(|_| how)
    ///     }
    /// }
    ///
    /// let map = Mapping::anonymous(4096, true, &Options::default())?;
    /// Mutex::new(&map, 0)?.lock(&Patience::FOREVER)?;
    /// let (done, over) = mpsc::channel();
    /// let wait = Lock(Mutex::new(&map, 0)?);
    /// let pending = Pending::start(&map, None, wait, move |_| done.send(()).unwrap())?;
    /// pending.end();
    /// over.recv().unwrap();
    /// assert_eq!(pending.result(), Err(Error::Cancelled));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn end(&self) {
        let mut state = self.state();
        state.ended = true;
        self.revoke(&mut state);
        drop(state);
        self.changed.notify_all();
        self.cancel();
    }

    fn cancel(&self) {
        self.cancel.cancel();
        self.nudge();
    }

    fn nudge(&self) {
        if let Some(place) = &self.place {
            place.nudge();
        }
    }

    fn revoke(&self, state: &mut Progress<W>) {
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

impl<W: Wait> Sleeper for Pending<W> {
    fn go_on(self: Arc<Self>, how: Option<Outcome>) -> Next {
        if let Some(how) = how {
            self.nap.end(how);
        }
        self.advance()
    }

    fn look(self: Arc<Self>) -> Next {
        self.nap.go_on();
        self.advance()
    }

    fn move_out(self: Arc<Self>) -> bool {
        self.run_on_thread().is_ok()
    }

    fn is_awaited(&self) -> bool {
        self.wait.sleeps_first() && !self.nap.has_begun()
    }

    fn sleeps(&self) {
        self.nap.begin();
    }
}

impl<W: Wait> Attachment for Pending<W> {
    fn pause(&self) {
        self.state().paused += 1;
        self.cancel();
    }

    fn leave(&self) {
        let state = self.state();
        drop(self.changed.wait_while(state, |state| state.inside));
    }

    fn follow(&self, _to: Option<&Whereabouts>) {
        self.state().ended = true;
    }

    fn resume(&self) {
        let mut state = self.state();
        state.paused = state.paused.saturating_sub(1);
        if state.paused == 0 && !state.ended {
            self.cancel.reset();
        }
        drop(state);
        self.changed.notify_all();
        self.nudge();
    }

    fn end(&self) {
        self.state().closed = true;
        Self::end(self);
        let mut state = self.state();
        if !state.inside && state.result.is_none() {
            // It has not begun yet, or rests, and when it goes on the memory may be gone.
            if let Poll::Ready(late) = self.wait.give_up(None) {
                state.result = late.map(Ok);
            }
        }
    }
}
