//! A wait on another thread that can be ended, and holds nothing afterwards.
//!
//! Pages must not move or go while a thread is about to take a lock in them: it would take it in
//! pages that no one else sees, or take it and be told that it failed. So a mapping that is about
//! to move has the threads leave its memory first, and they go on afterwards; one that is about to
//! be closed ends them. What a thread has taken by then, and not yet reported, is given back.

use std::sync::{Arc, Condvar, Mutex, MutexGuard};
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
    /// How it failed, where it has still to be given up.
    failed: Option<Error>,
    result: Option<Result<W::Output>>,
    /// Called at the end.
    done: Option<Done<W>>,
}

impl<W: Wait> Progress<W> {
    /// Whether it must stay out of the memory, which may be moving.
    fn must_rest(&self) -> bool {
        self.paused > 0 && !self.closed
    }
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
                failed: None,
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
                drop(own.changed.wait_while(state, |state| state.must_rest()));
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
        if state.must_rest() && !state.inside {
            return Next::Rest;
        }
        let result = if let Some(error) = state.failed.take() {
            state.result.take().unwrap_or(Err(error))
        } else if state.inside || !state.ended {
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
                    return self.rest(state);
                }
            }
            result
        } else {
            state.result.take().unwrap_or(Err(Error::Cancelled))
        };
        state.inside = true;
        drop(state);
        match result {
            Ok(output) => {
                self.finish(Ok(output));
                Next::Over
            }
            Err(error) => self.fail(error),
        }
    }

    /// Stays out of the memory until it is nudged.
    fn rest(&self, mut state: MutexGuard<'_, Progress<W>>) -> Next {
        state.inside = false;
        self.changed.notify_all();
        Next::Rest
    }

    fn fail(self: &Arc<Self>, error: Error) -> Next {
        if let Poll::Ready(late) = self.wait.give_up(None) {
            self.finish(late.ok_or(error));
            return Next::Over;
        }
        // Other waits sleep on a thread that is shared.
        if !self.nap.has_thread() {
            self.state().failed = Some(error.clone());
            if self.run_on_thread().is_ok() {
                return Next::Over;
            }
            self.state().failed = None;
        }
        self.give_up(error)
    }

    /// Gives the wait up, which may take as long as others like. It keeps out of the memory while that may move, and for
    /// good once the mapping is closed.
    fn give_up(self: &Arc<Self>, error: Error) -> Next {
        loop {
            let mut state = self.state();
            if state.closed {
                drop(state);
                self.finish(Err(error));
                return Next::Over;
            }
            if state.must_rest() {
                state.failed = Some(error);
                return self.rest(state);
            }
            self.cancel.reset();
            drop(state);
            let patience = Patience::FOREVER.or_until(&self.cancel);
            if let Poll::Ready(late) = self.wait.give_up(Some(&patience)) {
                self.finish(late.ok_or(error));
                return Next::Over;
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

#[cfg(all(test, target_os = "linux"))]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;
    use crate::file::Source;
    use crate::ipc::{Barrier, Coming, Locked, Mutex};
    use crate::options::{FileOptions, Options};

    struct Visit(Barrier, Coming);

    impl Wait for Visit {
        type Output = Option<u32>;

        fn wait(&self, patience: &Patience<'_>) -> Result<Self::Output> {
            self.0.wait_on(&self.1, patience)
        }

        fn give_up(&self, patience: Option<&Patience<'_>>) -> Poll<Option<Self::Output>> {
            self.0.try_withdraw(&self.1, patience).map(|index| index.map(Some))
        }
    }

    struct Locking(Mutex);

    impl Wait for Locking {
        type Output = Option<Locked>;

        fn wait(&self, patience: &Patience<'_>) -> Result<Self::Output> {
            self.0.lock_in_turn(patience)
        }
    }

    fn start<W: Wait>(map: &Mapping, wait: W) -> (Arc<Pending<W>>, mpsc::Receiver<()>) {
        let (done, over) = mpsc::channel();
        (Pending::start(map, None, wait, move |_| done.send(()).unwrap()).unwrap(), over)
    }

    #[test]
    fn a_wait_that_is_given_up_on_the_shared_thread_keeps_no_other_in_memory_that_may_move() {
        const LONG: Duration = Duration::from_secs(60);
        let map = Arc::new(Mapping::anonymous(4096, true, &Options::default()).unwrap());
        let file = map.file().unwrap();
        let source = Source::Fd(std::os::fd::AsRawFd::as_raw_fd(&*file));
        let other = Mapping::shared(source, &FileOptions::default(), &Options::default()).unwrap();
        let barrier = Barrier::new(&map, 0, Some(2)).unwrap();
        // The barrier begins with a lock like that of a mutex.
        let (lock, held) = (Mutex::new(&other, 0).unwrap(), Mutex::new(&other, 2048).unwrap());
        held.lock(&Patience::FOREVER).unwrap();
        let (locking, _over) = start(&map, Locking(Mutex::new(&map, 2048).unwrap()));
        let (visit, over) = start(&map, Visit(barrier, Coming::default()));
        while visit.wait.0.waiting() == Ok(0) {
            std::thread::yield_now();
        }
        lock.lock(&Patience::FOREVER).unwrap();
        threads::without(|| {
            visit.end();
            let mut word = [0; 8];
            while u64::from_ne_bytes(word) != lock.held() | 1 {
                map.read(0, &mut word).unwrap(); // until the shared thread waits for the lock
            }
            let (resized, moved) = (mpsc::channel(), Arc::clone(&map));
            std::thread::spawn(move || resized.0.send(moved.resize(1 << 20)));
            assert_eq!(resized.1.recv_timeout(LONG), Ok(Ok(())));
            lock.unlock().unwrap();
            over.recv_timeout(LONG).unwrap();
        });
        assert_eq!(visit.result(), Err(Error::Cancelled));
        assert_eq!(visit.wait.0.waiting(), Ok(0));
        locking.end();
    }
}
